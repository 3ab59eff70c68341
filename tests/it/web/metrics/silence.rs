//! What the figures do not tell: who anybody is. And in which form they come.

use std::collections::BTreeSet;

use crate::support::Org;
use crate::web::Page;
use crate::web::metrics::exposition::Exposition;
use crate::web::metrics::{QUIET, eventful};

/// Every label there may be. What each may say is in `docs/metrics.md`, and held against it.
const LABELS: [&str; 18] = [
    "cause",
    "channel",
    "credential",
    "disposition",
    "endpoint",
    "identity",
    "job_name",
    "kind",
    "le",
    "origin",
    "outcome",
    "part_number",
    "reason",
    "result",
    "service",
    "state",
    "status",
    "version",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_figure_names_anybody_or_anything_of_theirs() {
    let org = Org::team(["quetzalcoatl", "nefertiti", "zarathustra"]).await;
    org.configure(QUIET);
    let page = Page::of(&org).await;
    org.moves("quetzalcoatl", "chief");
    org.moves("nefertiti", "gilgamesh");
    org.reconcile().await;
    org.moves("zarathustra", "chief");
    org.run(&["plan", "managers"]).await.exits(0);
    for job in ["licenses", "keepalive"] {
        org.run(&["run", job]).await.exits(0);
    }
    let run = org.run(&["run", "managers", "--user", "zarathustra@corp.example"]).await.exits(0).run_id();
    org.shows(&["undo", &run, "--yes"]).await.exits(0);
    let mut database = org.database().await;
    let mut secrets: BTreeSet<String> = BTreeSet::new();
    for sql in [
        "select login from user_decision",
        "select person from user_decision",
        "select upn from user_decision",
        "select account from user_decision where account is not null",
        "select new_manager from manager_change",
        "select new_manager_name from manager_change",
        "select id from run",
        "select caller from run where caller <> 'schedule'",
        "select host from run",
        "select id from plan",
        "select who from identity",
        "select path from call where path like '%/users/%'",
        "select request_id from call where request_id is not null",
        "select value from meta where key in ('org_url', 'tenant')",
    ] {
        secrets.extend(database.texts(sql).await);
    }
    secrets.extend(
        ["quetzalcoatl", "nefertiti", "zarathustra", "gilgamesh", "chief", "corp.example", "@"].map(str::to_owned),
    );
    secrets.retain(|secret| !secret.is_empty());
    assert!(secrets.len() > 25, "{secrets:?}");
    for accept in ["text/plain", "application/openmetrics-text"] {
        let answer = page.asked("GET", "/metrics", &[("host", "localhost"), ("accept", accept)]).await;
        let told = answer.body.to_lowercase();
        for secret in &secrets {
            assert!(!told.contains(&secret.to_lowercase()), "{secret} is told in {accept}");
        }
    }
    let figures = page.figures().await;
    let labels: BTreeSet<&str> =
        figures.samples().flat_map(|sample| sample.labels.keys()).map(String::as_str).collect();
    let unknown: Vec<_> = labels.iter().filter(|label| !LABELS.contains(label)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_people_make_no_more_figures() {
    let count = async |people: u32| {
        let org = Org::untidy(people).await;
        org.configure(QUIET);
        let page = Page::of(&org).await;
        org.reconcile().await;
        let figures = page.figures().await;
        let calls = figures.families["graphkeeper_vendor_calls_total"].samples.len();
        let found = figures.by("graphkeeper_people", &["reason"]).len();
        page.stop().await;
        (figures.samples().count() - calls, found)
    };
    let ((few, _), (many, reasons)) = (count(30).await, count(600).await);
    assert!(reasons > 8, "they differ in many ways: {reasons}");
    assert_eq!(few, many);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_formats_tell_the_same_and_each_is_called_by_its_name() {
    let (org, page) = eventful().await;
    org.reconcile().await;
    let asked = async |accept: &str| page.asked("GET", "/metrics", &[("host", "localhost"), ("accept", accept)]).await;
    let (text, open) = (asked("*/*").await, asked("application/openmetrics-text;version=1.0.0,*/*;q=0.1").await);
    assert_eq!(text.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(open.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    for answer in [&text, &open] {
        assert_eq!((answer.header("vary"), answer.header("cache-control")), ("accept", "no-store"));
    }
    assert!(!text.body.contains("# EOF") && open.body.ends_with("\n# EOF\n"));
    let figures =
        |body: &str| body.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(figures(&text.body), figures(&open.body));
    assert!(Exposition::of(&text.body).families.len() > 30);
    let head = page.asked("HEAD", "/metrics", &[("host", "localhost")]).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    page.stop().await;
}
