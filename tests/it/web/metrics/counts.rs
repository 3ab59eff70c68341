//! Figures against what really happened.

#![expect(clippy::float_cmp, reason = "counts are whole, and moments are milliseconds")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use graphkeeper::sandbox::faults::{Fault, RetryAfter, When};
use graphkeeper::sandbox::server::Service;

use crate::support::database::Database;
use crate::support::{ACCOUNTS, Org, within};
use crate::web::metrics::exposition::Exposition;
use crate::web::metrics::{QUIET, eventful};
use crate::web::{Page, hourly};

/// What a tenant bought.
const LICENSES: &str = "/v1.0/subscribedSkus";

/// What a query that gives words and a count says, as figures are told.
async fn told(database: &mut Database, sql: &str) -> BTreeMap<String, f64> {
    let rows = database.texts(sql).await;
    let pair =
        |row: &String| row.rsplit_once(' ').map(|(words, count)| (words.to_owned(), count.parse().unwrap())).unwrap();
    rows.iter().map(pair).collect()
}

/// What the tenants saw, by service and class of the answer: requests, or what was inside batches.
fn seen(org: &Org, items: bool) -> BTreeMap<String, f64> {
    let mut seen = BTreeMap::new();
    for row in org.journal().rows(|row| row.item == items) {
        let service = match row.service {
            Service::Okta => "okta",
            Service::Login => "entra",
            Service::Graph => "graph",
        };
        let class = if row.status == 429 { "429".to_owned() } else { format!("{}xx", row.status / 100) };
        let key = if items { class } else { format!("{service} {class}") };
        *seen.entry(key).or_default() += 1.0;
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_those_of_the_tenants_journal_and_of_the_history() {
    let (org, page) = eventful().await;
    let nothing = page.figures().await;
    assert_eq!(nothing.by("graphkeeper_runs_total", &["outcome"]), BTreeMap::new());
    assert_eq!(nothing.figure("graphkeeper_runs_total", &[("job_name", "managers"), ("outcome", "failed")]), 0.0);
    org.graph_fault(ACCOUNTS, When::Next(1), Fault::Throttle { retry_after: RetryAfter::Seconds(1) });
    let written = org.reconcile().await;
    org.moves("m4", "chief");
    org.reconcile().await;
    for job in ["licenses", "keepalive"] {
        org.run(&["run", job]).await.exits(0);
    }
    // One that asks for one thing at a time: nothing is cut off on the way, which the tenants would count and we would not.
    org.graph_fault(LICENSES, When::Always, Fault::Status { status: 403, html: false });
    org.run(&["run", "licenses"]).await.exits(5);
    org.faults().clear();
    org.moves("m5", "chief");
    org.run(&["plan", "managers"]).await.exits(0);
    let figures = page.figures().await;
    let mut database = org.database().await;

    assert_eq!(figures.by("graphkeeper_vendor_calls_total", &["service", "status"]), seen(&org, false));
    assert_eq!(figures.by("graphkeeper_graph_batch_items_total", &["status"]), seen(&org, true));
    let refused = [("endpoint", "licenses"), ("service", "graph"), ("status", "4xx")];
    assert_eq!(figures.figure("graphkeeper_vendor_calls_total", &refused), 1.0);
    let throttled = [("cause", "throttled"), ("service", "graph")];
    assert_eq!(figures.figure("graphkeeper_vendor_waits_total", &throttled), 1.0);
    let waited = figures.figure("graphkeeper_vendor_wait_seconds_total", &throttled);
    assert!((1.0..2.0).contains(&waited), "{waited}");

    let runs = "select job || ' ' || outcome || ' ' || count(*) from run group by job, outcome";
    let runs = told(&mut database, runs).await;
    assert_eq!((runs["licenses needs_human"], runs["managers succeeded"]), (1.0, 2.0), "{runs:?}");
    assert_eq!(figures.by("graphkeeper_runs_total", &["job_name", "outcome"]), runs);
    let began = told(&mut database, "select job || ' ' || count(*) from run group by job").await;
    for (job, count) in began {
        let labels = [("job_name", job.as_str())];
        assert_eq!(figures.figure("graphkeeper_run_duration_seconds_count", &labels), count);
        let all = [("job_name", job.as_str()), ("le", "+Inf")];
        assert_eq!(figures.figure("graphkeeper_run_duration_seconds_bucket", &all), count);
    }
    let changes = "select kind || ' ' || state || ' ' || count(*) from manager_change group by kind, state";
    let changes = told(&mut database, changes).await;
    assert_eq!(changes, BTreeMap::from([("change confirmed".to_owned(), 3.0)]));
    assert_eq!(figures.by("graphkeeper_changes_total", &["kind", "result"]), changes);

    people_and_plans(&figures, written.tally()["reasons"]["manager_not_found"].as_f64().unwrap());
    tenant(&figures);
    let last = figures.figure("graphkeeper_job_last_run_timestamp_seconds", &[("job_name", "managers")]);
    let sql = "select cast(max(ended_at) as text) from run where job = 'managers' and trigger = 'manual'";
    let ended: f64 = database.texts(sql).await[0].parse().unwrap();
    assert_eq!(last, ended / 1_000.0);
    let last = ["keepalive succeeded", "licenses needs_human", "managers succeeded"].map(|last| (last.to_owned(), 1.0));
    assert_eq!(figures.by("graphkeeper_job_last_run_outcome", &["job_name", "outcome"]), last.into());
    next_runs(&org, &figures).await;
    page.stop().await;
}

fn people_and_plans(figures: &Exposition, not_found: f64) {
    let not_found_label = [("job_name", "managers"), ("reason", "manager_not_found")];
    assert_eq!((figures.figure("graphkeeper_people", &not_found_label), not_found), (1.0, 1.0));
    assert_eq!(figures.figure("graphkeeper_people_in_scope", &[("job_name", "managers")]), 42.0);
    // That one, and the one whose change is only planned.
    assert_eq!(figures.figure("graphkeeper_people_unresolved", &[("job_name", "managers")]), 2.0);
    let planned = [("job_name", "managers"), ("origin", "planned")];
    assert_eq!(figures.figure("graphkeeper_plans_waiting", &planned), 1.0);
    assert_eq!(figures.figure("graphkeeper_plans_waiting", &[("job_name", "managers"), ("origin", "held")]), 0.0);
    assert!(figures.figure("graphkeeper_plans_oldest_timestamp_seconds", &planned) > 1.7e9);
}

/// As the sandbox's tenant is: 25 seats, 16 of them assigned, for 90 days.
fn tenant(figures: &Exposition) {
    let pack = [("part_number", "DEVELOPERPACK_E5")];
    let counts =
        ["bought", "assigned", "free"].map(|what| figures.figure(&format!("graphkeeper_licenses_{what}"), &pack));
    assert_eq!(counts, [25.0, 16.0, 9.0]);
    let lifecycle = figures.figure("graphkeeper_license_lifecycle_timestamp_seconds", &pack);
    let keepalive = [("job_name", "keepalive")];
    assert_eq!(figures.figure("graphkeeper_subscription_end_timestamp_seconds", &keepalive), lifecycle);
    let active = [("job_name", "keepalive"), ("state", "active")];
    assert_eq!(figures.figure("graphkeeper_subscription_state", &active), 1.0);
    let states = figures.by("graphkeeper_identity_state", &["identity", "state"]);
    assert_eq!(states, ["app ok", "okta ok", "user ok"].map(|state| (state.to_owned(), 1.0)).into());
}

async fn next_runs(org: &Org, figures: &Exposition) {
    let jobs = org.run(&["jobs"]).await.exits(0).json();
    let mut scheduled = 0;
    for job in jobs.as_array().unwrap() {
        let next = job["next"].as_str().map(|next| next.parse::<jiff::Timestamp>().unwrap().as_second().to_string());
        let name = [("job_name", job["job"].as_str().unwrap())];
        let told = figures.find("graphkeeper_job_next_run_timestamp_seconds", &name);
        assert_eq!(told.map(|told| told.to_string()), next, "{job}");
        scheduled += u32::from(next.is_some());
    }
    assert_eq!(scheduled, 3, "{jobs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_outlive_a_change_of_the_configuration_and_what_is_wrong_with_it_is_told() {
    let org = Org::team(["ana"]).await;
    org.configure(QUIET);
    let mut page = Page::of(&org).await;
    org.reconcile().await.exits(0);
    let before = page.figures().await;
    org.configure(&format!("{QUIET}timeout = \"9 minutes\"\n[http]\ntimeout = \"29 seconds\"\n"));
    page.service.says("was read anew").await;
    org.reconcile().await.exits(0);
    let after = page.figures().await;
    let succeeded = [("job_name", "managers"), ("outcome", "succeeded")];
    assert_eq!(after.figure("graphkeeper_runs_total", &succeeded), 2.0);
    let calls = |figures: &Exposition| figures.by("graphkeeper_vendor_calls_total", &["service"]);
    assert!(calls(&before)["okta"] >= 1.0 && calls(&after)["okta"] == 2.0 * calls(&before)["okta"], "{after:?}");
    assert_eq!(after.figure("graphkeeper_configuration_refused", &[]), 0.0);
    assert_eq!(after.figure("process_start_time_seconds", &[]), before.figure("process_start_time_seconds", &[]));

    org.shows(&["pause", "managers"]).await.exits(0);
    let waiting = async {
        let next = [("job_name", "managers")];
        while page.figures().await.find("graphkeeper_job_next_run_timestamp_seconds", &next).is_some() {
            tokio::task::yield_now().await;
        }
    };
    within("a paused job has no next run", waiting).await;
    let paused = page.figures().await.by("graphkeeper_job_paused", &["job_name"]);
    assert_eq!(paused, [("managers".to_owned(), 1.0)].into());

    org.configure(&format!("{QUIET}nonsense = 1\n"));
    page.service.says("is not used").await;
    let waiting = async {
        while page.figures().await.figure("graphkeeper_configuration_refused", &[]) != 1.0 {
            tokio::task::yield_now().await;
        }
    };
    within("the refusal is told", waiting).await;
    let since = "graphkeeper_configuration_refused_since_timestamp_seconds";
    assert!(page.figures().await.figure(since, &[]) > 1.7e9);
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moments_that_were_missed_are_those_of_the_ledger() {
    let org = Org::empty().await;
    org.configure(&QUIET.replace("0 0 1 1 *", &hourly()));
    let service = org.serve().await;
    service.terminate();
    service.finish().await.exits(0);
    org.database().await.days_pass(2).await;
    let mut page = Page::of(&org).await;
    for job in ["managers", "licenses", "keepalive"] {
        page.service.says(&format!("of {job} begins")).await;
    }
    let missed = "select job || ' ' || disposition || ' ' || count(*) from missed_run group by job, disposition";
    let waiting = async {
        while page.figures().await.figure("graphkeeper_moments_unwritten", &[]) != 0.0 {
            tokio::task::yield_now().await;
        }
    };
    within("the ledger is written", waiting).await;
    let expected = told(&mut org.database().await, missed).await;
    assert!(expected.len() >= 3 && expected.values().sum::<f64>() > 100.0, "{expected:?}");
    let figures = page.figures().await;
    assert_eq!(figures.by("graphkeeper_missed_moments_total", &["job_name", "disposition"]), expected);
    assert!(figures.find("graphkeeper_job_success_due_timestamp_seconds", &[("job_name", "managers")]).is_some());
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_100_000_runs_makes_no_difference() {
    let org = Org::empty().await;
    org.configure(QUIET);
    org.run(&["run", "licenses"]).await.exits(0);
    let mut database = org.database().await;
    // The worst there is: success lies behind all of them, and none looked at everybody.
    let mut sql = String::new();
    for (job, kind) in [("managers", "managers"), ("keepalive", "keepalive")] {
        let _ = write!(
            sql,
            "insert into run (id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host, ended_at, outcome,
                              tally)
             with recursive n(i) as (values (1) union all select i + 1 from n where i < 50000)
             select printf('{job}%06d', i), '{job}', '{kind}', 'schedule', 'schedule', 'f', 1700000000000 + i * 1000, 1,
                    'host', 1700000000500 + i * 1000, iif(i = 1, 'succeeded', 'failed'), '{{}}' from n;
             insert into moment (job, planned_at, disposition, recorded_at)
             with recursive n(i) as (values (1) union all select i + 1 from n where i < 50000)
             select '{job}', 1700000000000 + i * 1000, iif(i = 1, 'ran', 'paused'), 1700000000000 from n;"
        );
    }
    for statement in sql.split_inclusive(';').filter(|statement| !statement.trim().is_empty()) {
        database.execute(statement).await;
    }
    let page = Page::of(&org).await;
    let mut took = Duration::MAX;
    for _ in 0..10 {
        let begun = Instant::now();
        let figures = page.figures().await;
        took = took.min(begun.elapsed());
        let success = figures.figure("graphkeeper_job_last_success_timestamp_seconds", &[("job_name", "managers")]);
        assert_eq!(success, 1_700_000_001.5);
    }
    println!("/metrics over 100,000 runs, in a build without optimization: {took:?}");
    assert!(took < Duration::from_millis(250), "{took:?}");
    page.stop().await;
}
