//! `/metrics` as Prometheus meets it: what it counts is compared with what the tenants saw and what the history holds.

mod counts;
mod documents;
mod exposition;
mod promtool;
mod silence;

use crate::support::Org;
use crate::web::Page;
use crate::web::metrics::exposition::Exposition;

/// A page, and jobs that begin when somebody asks for them and not before.
const QUIET: &str = r#"
[web]
listen = "127.0.0.1:0"
[jobs.managers]
schedule = "0 0 1 1 *"
[jobs.licenses]
schedule = "0 0 1 1 *"
[jobs.keepalive]
schedule = "0 0 1 1 *"
min_interval = "0 seconds"
"#;

/// Waits to be told of things that are wrong, at a place where nobody listens.
const CHANNEL: &str = r#"
[notices.office]
kind = "webhook"
url = { file = "URL" }
"#;

impl Page {
    /// The figures as they are now, as text.
    async fn figures(&self) -> Exposition {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Exposition::of(&answer.body)
    }
}

/// An organization of 42 in which two people need another manager and one has a manager who is nobody, and a channel on
/// which nothing arrives.
async fn eventful() -> (Org, Page) {
    let names: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
    let org = Org::team(names.iter().map(String::as_str)).await;
    for name in ["m1", "m2"] {
        org.moves(name, "chief");
    }
    org.world().okta().person("m3").managed_by("nobody-of-this-name");
    let url = org.keep_secret("hook", "http://127.0.0.1:9/hook");
    org.configure(&format!("{QUIET}{}", CHANNEL.replace("URL", &url)));
    let page = Page::of(&org).await;
    (org, page)
}
