//! A history in which everything occurs that the document describes.

use std::time::Duration;

use graphkeeper::clock::{Clock as _, SystemClock};
use graphkeeper::sandbox::faults::{Fault, When};
use graphkeeper::sandbox::model::habits::Person;

use crate::support::hook::Hook;
use crate::support::process::Output;
use crate::support::{Org, until};
use crate::web::{Page, hourly};

/// An hourly job, two channels of which one never delivers, a secret that ends, and pages.
fn configuration(org: &Org, hook: &Hook) -> String {
    let (arrives, lost) = (org.secret("hook", &hook.url), org.secret("nowhere", "http://127.0.0.1:9/hook"));
    format!(
        "[web]\nlisten = \"127.0.0.1:0\"\n[entra.app]\nclient_secret_ends = \"{ends}\"\n\
         [jobs.licenses]\nschedule = \"{hourly}\"\ncatch_up_within = \"5 hours\"\n\
         [jobs.managers]\nschedule = \"0 0 1 1 *\"\n\
         [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\nmin_interval = \"0 seconds\"\nsave_bodies = true\n\
         [notices.office]\nkind = \"webhook\"\nurl = {arrives}\non = \"change\"\n\
         [notices.lost]\nkind = \"webhook\"\nurl = {lost}\n",
        ends = (SystemClock.now() + Duration::from_hours(240)).strftime("%Y-%m-%d"),
        hourly = hourly(),
    )
}

async fn does(org: &Org, arguments: &[&str], code: i32) -> Output {
    org.run(arguments).await.exits(code)
}

/// A service that was away for two days, and what commands did afterwards; and the page over all of it.
pub(super) async fn filled() -> (Org, Page) {
    let org = Org::team(["ana", "bo", "cy", "dee", "eve"]).await;
    let hook = Hook::start().await;
    org.configure(&configuration(&org, &hook));
    let service = org.serve().await;
    service.terminate();
    service.finish().await.exits(0);
    org.database().await.days_pass(2).await;
    let service = org.serve().await;
    until(&org, "moments are missed", "select count(*) > 40 from missed_run").await;
    until(&org, "the licenses are read", "select count(*) from run where outcome = 'succeeded'").await;
    service.terminate();
    service.finish().await.exits(0);
    tenants_change(&org).await;
    plans(&org).await;
    let page = Page::of(&org).await;
    until(&org, "a notice arrived", "select count(*) from notice where state = 'delivered'").await;
    until(&org, "another did not", "select count(*) from notice where problem is not null and state = 'waiting'").await;
    (org, page)
}

/// Runs of every kind, and what they find differs from what was found before.
async fn tenants_change(org: &Org) {
    {
        let mut state = org.world().write();
        state.entra.habits.device_interval = 1;
        state.entra.habits.person = Person::AgreesAfter(0);
        state.entra.skus[0].consumed = 30;
    }
    org.shows(&["login"]).await.exits(0);
    does(org, &["run", "licenses"], 0).await;
    does(org, &["run", "keepalive"], 0).await;
    org.world().entra().subscription("DEVELOPERPACK_E5").ends_in(120);
    does(org, &["run", "keepalive"], 0).await;
    does(org, &["run", "import"], 0).await;
    org.world().okta().add("newcomer");
    org.world().okta().person("eve").rename("eva");
    org.world().entra().add("room");
    does(org, &["run", "import"], 0).await;
    org.moves("ana", "chief");
    org.moves("cy", "<script>alert(1)</script>");
    does(org, &["run", "managers"], 0).await;
}

/// A write that is refused, one that is given back, and plans that are replaced, approved and open.
async fn plans(org: &Org) {
    org.moves("bo", "chief");
    org.moves("dee", "chief");
    let refused =
        Fault::Refuse { status: 400, code: "Request_BadRequest".to_owned(), message: "Not today.".to_owned() };
    let bo = org.world().entra().account("bo").id();
    org.graph_fault(&format!("/v1.0/users/{bo}/manager/$ref"), When::Always, refused);
    let run = org.run(&["run", "managers"]).await.run_id();
    org.faults().clear();
    org.shows(&["undo", &run, "--yes"]).await.exits(0);
    org.moves("ana", "boss");
    does(org, &["plan", "managers"], 0).await;
    org.moves("eva", "chief");
    let plan = does(org, &["plan", "managers"], 0).await.plan_id();
    does(org, &["approve", &plan], 0).await;
    org.moves("eva", "boss");
    does(org, &["plan", "managers"], 0).await;
    for path in ["/v1.0/me", "/v1.0/directory/subscriptions"] {
        org.graph_fault(path, When::Always, Fault::Status { status: 403, html: false });
    }
    assert_eq!(org.run(&["run", "keepalive"]).await.outcome(), "partial");
    org.faults().clear();
    org.shows(&["pause", "import"]).await.exits(0);
}
