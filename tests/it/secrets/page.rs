//! What the service's page says, to programs and to people: all of it.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Org, within};
use crate::web::Page;

/// What stands beside the API and the pages.
const BESIDE: [&str; 5] = ["/metrics", "/healthz", "/readyz", "/api/v1/openapi.json", "/nowhere"];

/// The most pages that are looked at. Each job, outcome and person has its own address in several lists.
const MOST: usize = 400;

/// Every answer, head and body: whatever the API's document describes, of everything there is, what stands beside it, every
/// page to which a page leads, and what is told while a run goes on. `token` opens it; who has none, or a wrong one, is
/// answered too.
pub(super) async fn everything(org: &Org, page: &Page, token: &str) -> String {
    let mut said = String::new();
    for given in ["", "Bearer not-the-token-but-one-that-somebody-tried", &format!("Basic {token}")] {
        for path in ["/", "/api/v1/jobs", "/metrics"] {
            let answer = page.asked("GET", path, &[("host", "localhost"), ("authorization", given)]).await;
            assert_eq!(answer.status, 401, "{path}");
            said.push_str(&answer.whole());
        }
    }
    let mut reader = Reader { page, bearer: format!("Bearer {token}"), said };
    for path in BESIDE {
        reader.reads(path).await;
    }
    for path in reader.addresses().await {
        let status = reader.reads(&path).await.0;
        assert_eq!(status, 200, "{path}");
    }
    reader.follows().await;
    reader.hears(org).await;
    reader.said
}

struct Reader<'a> {
    page: &'a Page,
    bearer: String,
    said: String,
}

impl Reader<'_> {
    async fn reads(&mut self, path: &str) -> (u16, String) {
        let headers = [("host", "localhost"), ("authorization", self.bearer.as_str())];
        let answer = self.page.asked("GET", path, &headers).await;
        self.said.push_str(&answer.whole());
        (answer.status, answer.body)
    }

    async fn json(&mut self, path: &str) -> Value {
        serde_json::from_str(&self.reads(path).await.1).unwrap()
    }

    /// What the document describes, once for each run, plan and person.
    async fn addresses(&mut self) -> Vec<String> {
        let document = self.json("/api/v1/openapi.json").await;
        let runs = ids(&self.json("/api/v1/runs?limit=500").await, "run");
        let plans = ids(&self.json("/api/v1/plans?limit=500").await, "plan");
        assert!(runs.len() > 5 && !plans.is_empty(), "{runs:?} {plans:?}");
        let mut addresses = Vec::new();
        for path in document["paths"].as_object().unwrap().keys() {
            match path.as_str() {
                "/api/v1/licenses/diff" => addresses.push(format!("{path}?before=now&after=now")),
                "/api/v1/people/{name}" => {
                    addresses.extend(["ana", "bo"].map(|name| format!("/api/v1/people/{name}@corp.example")));
                }
                path if path.contains("{id}") => {
                    let ids = if path.contains("/plans/") { &plans } else { &runs };
                    addresses.extend(ids.iter().map(|id| path.replace("{id}", id)));
                }
                path => addresses.push(path.to_owned()),
            }
        }
        assert!(addresses.len() > 20 && !addresses.iter().any(|path| path.contains('{')), "{addresses:?}");
        addresses
    }

    /// From the first page on, wherever a link or a part leads; what goes on for ever is left out.
    async fn follows(&mut self) {
        let (mut known, mut ahead) = (BTreeSet::from(["/".to_owned()]), VecDeque::from(["/".to_owned()]));
        while let Some(path) = ahead.pop_front() {
            let (_, body) = self.reads(&path).await;
            for link in links(&body) {
                if known.len() < MOST && !link.starts_with("/events") && known.insert(link.clone()) {
                    ahead.push_back(link);
                }
            }
        }
        assert!(["/runs", "/licenses", "/plans"].iter().all(|page| known.contains(*page)), "{known:?}");
    }

    /// What goes on for ever, from its beginning until the end of a run.
    async fn hears(&mut self, org: &Org) {
        let mut stream = TcpStream::connect(self.page.address).await.unwrap();
        let request = format!("GET /events HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\n\r\n", self.bearer);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut told = Vec::new();
        let mut until = async |words: &str| {
            let what = format!("the page says {words}");
            while !String::from_utf8_lossy(&told).contains(words) {
                let read = within(&what, stream.read_buf(&mut told)).await.unwrap();
                assert!(read > 0, "{what}: {}", String::from_utf8_lossy(&told));
            }
        };
        until(": here").await;
        org.run(&["run", "licenses"]).await.exits(0);
        until("\"succeeded\"").await;
        self.said.push_str(&String::from_utf8_lossy(&told));
    }
}

fn ids(rows: &Value, name: &str) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
}

/// The addresses below the same root that a page names.
fn links(html: &str) -> Vec<String> {
    let named = ["href=\"", "src=\""].into_iter().flat_map(|name| html.split(name).skip(1));
    let values = named.filter_map(|rest| rest.split('"').next()).filter(|value| value.starts_with('/'));
    values.map(|value| value.split('#').next().unwrap_or_default().replace("&amp;", "&")).collect()
}
