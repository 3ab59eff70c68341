//! A year of a developer tenant: its date moves twice and then no more, and every run of the service says so as it is.
//!
//! Nobody touches a clock. A day passes when the tenant's dates come a day nearer and all that is on record lies a day
//! further back, which is the same for whoever looks from today. In between the service was down: it catches up by itself
//! whenever it starts. `cargo test --test it year -- --show-output` prints the year.

#![expect(clippy::print_stdout, reason = "the year is there to be looked at, too")]

use graphkeeper::clock::{Clock as _, SystemClock};
use graphkeeper::sandbox::Options;
use graphkeeper::sandbox::model::entra::{Sku, Subscription};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use uuid::Uuid;

use crate::support::hook::Hook;
use crate::support::{Org, until};

const PACK: &str = "DEVELOPERPACK_E5";

/// What people call it.
const NAME: &str = "Microsoft 365 E5 Developer (without Windows and Audio Conferencing)";

/// Every morning at six, the floor between calls as in a real tenant.
const DAILY: &str = r#"
[jobs.managers]
schedule = "0 0 1 1 *"
catch_up = "skip"
[jobs.licenses]
schedule = "HOUR"
[jobs.keepalive]
schedule = "HOUR"
min_interval = "1 hour"
"#;

/// Lets so many days pass.
async fn pass(org: &Org, days: i64) {
    org.world().entra().days_pass(days);
    org.database().await.days_pass(days).await;
}

/// The year: on which day what Microsoft does, and what the runs of that day are to say of it: the gauge, how many calls
/// were made, and the events of the keepalive and of the licenses job. What people are told of it is in [`TOLD`].
const YEAR: [(i64, &str, &str, usize, &str, &str); 25] = [
    (0, "ends in 90 days", "active 90, never moved, 2 since", 2, "", ""),
    (30, "", "active 60, never moved, 4 since", 2, "", ""),
    (61, "", "expiring 29, never moved, 6 since", 2, "expiring", "expiring"),
    (62, "", "expiring 28, never moved, 8 since", 2, "", ""),
    (80, "ends in 100 days", "active 100, moved by 90 0 days ago, 0 since", 2, "date_moved", "date_moved"),
    (91, "", "active 89, moved by 90 11 days ago, 2 since", 2, "", ""),
    (121, "", "active 59, moved by 90 41 days ago, 4 since", 2, "", ""),
    (151, "", "expiring 29, moved by 90 71 days ago, 6 since", 2, "expiring", "expiring"),
    (170, "ends in 100 days", "active 100, moved by 90 0 days ago, 0 since", 2, "date_moved", "date_moved"),
    (182, "", "active 88, moved by 90 12 days ago, 2 since", 2, "", ""),
    (212, "", "active 58, moved by 90 42 days ago, 4 since", 2, "", ""),
    (241, "", "expiring 29, moved by 90 71 days ago, 6 since", 2, "expiring", "expiring"),
    (257, "", "expiring 13, moved by 90 87 days ago, 8 since", 2, "expiring", "expiring"),
    (264, "", "expiring 6, moved by 90 94 days ago, 10 since", 2, "expiring", "expiring"),
    (270, "", "expiring 0, moved by 90 100 days ago, 12 since", 2, "expiring", "expiring"),
    (271, "Warning", "expired, moved by 90 101 days ago, 14 since", 2, "expired", "status_changed counts_changed"),
    (285, "", "expired, moved by 90 115 days ago, 16 since", 2, "", ""),
    (301, "Suspended", "expired, moved by 90 131 days ago, 18 since", 2, "", "status_changed counts_changed"),
    (315, "", "expired, moved by 90 145 days ago, 20 since", 2, "", ""),
    (331, "gone", "expired, gone, moved by 90 161 days ago, 22 since", 2, "gone", "disappeared"),
    (332, "", "expired, gone, moved by 90 162 days ago, 22 since", 0, "", ""),
    (338, "", "expired, gone, moved by 90 168 days ago, 22 since", 0, "", ""),
    (345, "a new one, for 90", "active 90, never moved, 2 since", 2, "back", "appeared"),
    (346, "", "active 89, never moved, 4 since", 2, "", ""),
    (364, "", "active 71, never moved, 6 since", 2, "", ""),
];

/// What whoever wants to hear of failures alone is told of the year, by day; on all other days nothing. Two jobs see the same
/// end and the same move, and it is told once. A run that fails for days is told once, and again as reminded of.
const TOLD: [(i64, &[&str]); 14] = [
    (61, &["new license: E5 ends in 29 days"]),
    (80, &["recovered license: E5 ends on"]),
    (151, &["new license: E5 ends in 29 days"]),
    (170, &["recovered license: E5 ends on"]),
    (241, &["new license: E5 ends in 29 days"]),
    (257, &["changed license: E5 ends in 13 days"]),
    (264, &["changed license: E5 ends in 6 days"]),
    (270, &["changed license: E5 ends within a day"]),
    (271, &["new license: E5 has expired", "new license: E5: Enabled became Warning"]),
    (301, &["changed license: E5: Warning became Suspended"]),
    (
        331,
        &[
            "changed license: E5 is no longer among the tenant's subs",
            "news license: E5 is no longer among the tenant's prod",
        ],
    ),
    (332, &["new run: keepalive failed (subscription_gone)"]),
    (338, &["reminder run: keepalive failed (subscription_gone)"]),
    (345, &["recovered license: E5 is Enabled again", "recovered run: keepalive succeeded"]),
];

/// What was told since the notice of that number, of runs and of licenses, and the number of the last one.
async fn told_since(org: &Org, last: i64) -> (Vec<String>, i64) {
    let mut database = org.database().await;
    let said = "select tone || ' ' || kind || ': ' || title from notice where id > LAST and kind in ('run', 'license')";
    let mut told = database.texts(&said.replace("LAST", &last.to_string())).await;
    for one in &mut told {
        *one = one.replace(NAME, "E5");
    }
    told.sort();
    (told, database.number("select coalesce(max(id), 0) from notice").await)
}

fn microsoft_does(org: &Org, what: &str, (skus, subscriptions): &(Vec<Sku>, Vec<Subscription>)) {
    let entra = org.world().entra();
    match what {
        "" => {}
        "gone" => entra.subscription(PACK).remove(),
        "a new one, for 90" => {
            let mut state = org.world().write();
            state.entra.skus.clone_from(skus);
            state.entra.subscriptions.clone_from(subscriptions);
            let id = Uuid::new_v4();
            state.entra.subscriptions[0].id = id;
            state.entra.skus[0].subscription_ids = vec![id];
            drop(state);
            entra.subscription(PACK).ends_in(90);
        }
        "Warning" | "Suspended" => {
            entra.subscription(PACK).becomes(what).ends_in(30);
        }
        ends => {
            let days = ends.split(' ').nth(2).and_then(|days| days.parse().ok()).expect("ends in N days");
            entra.subscription(PACK).ends_in(days);
        }
    }
}

/// The gauge in a few words.
fn gauge(run: &Value) -> String {
    let gauge = &run["gauge"];
    let days = gauge["days_left"].as_i64().map(|days| format!(" {days}")).unwrap_or_default();
    let gone = if gauge["gone"] == true { ", gone" } else { "" };
    let at = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    let whole_days = |from, to: Timestamp| (to.duration_since(from).as_secs() + 60) / 86_400;
    let moved = match &gauge["moved"] {
        Value::Null => "never moved".to_owned(),
        moved => {
            let by = whole_days(at(&moved["from"]), at(&moved["to"]));
            let ago = whole_days(at(&moved["noticed"]), at(&gauge["read_at"]));
            format!("moved by {by} {ago} days ago")
        }
    };
    format!("{}{days}{gone}, {moved}, {} since", gauge["state"].as_str().unwrap(), gauge["calls_since"])
}

fn kinds(run: &Value) -> String {
    let events = run["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap());
    events.collect::<Vec<_>>().join(" ")
}

/// What the last run of a job is shown as.
async fn last_run(org: &Org, job: &str) -> Value {
    let last = format!("select id from run where job = '{job}' order by rowid desc limit 1");
    let id = org.database().await.texts(&last).await.remove(0);
    org.run(&["history", "show", &id]).await.exits(0).json()
}

/// Requests that keepalive and licenses make of Graph, the gauge's apart.
fn calls(org: &Org) -> usize {
    org.journal().count(|row| matches!(row.path.as_str(), "/v1.0/me" | "/v1.0/subscribedSkus"))
}

/// Starts the service, which was down when its moment came, and stops it when both jobs have caught up.
async fn a_day(org: &Org) {
    let mut service = org.serve().await;
    service.says_times("outcome=", 2).await;
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gauge_and_the_events_of_a_year_are_those_of_its_days() {
    let org = Org::start(Options::agreed(12)).await;
    // Far from now, so that no moment comes by itself.
    let hour = (SystemClock.now().to_zoned(TimeZone::UTC).hour() + 12) % 24;
    let schedule = format!("0 {hour} * * *\"\ntimezone = \"UTC");
    let hook = Hook::start().await;
    let channel = format!(
        "[notices.ops]\nkind = \"webhook\"\nurl = {}\nremind = [\"1 day\", \"14 days\"]\n",
        org.secret("hook-url", &hook.url)
    );
    org.configure(&(DAILY.replace("HOUR", &schedule) + &channel));
    let before = {
        let mut state = org.world().write();
        state.entra.skus[0].consumed = 12;
        (state.entra.skus.clone(), state.entra.subscriptions.clone())
    };
    // It is set up the day before.
    let service = org.serve().await;
    service.terminate();
    service.finish().await.exits(0);
    println!("{:>3}  {:<16} {:<49} {:>5}  {:<15} licenses", "day", "Microsoft", "gauge", "calls", "keepalive");
    let (mut today, mut last) = (-1, 0);
    for (day, does, expected, made, noticed, of_licenses) in YEAR {
        pass(&org, day - today).await;
        today = day;
        microsoft_does(&org, does, &before);
        let calls_before = calls(&org) + 1; // the licenses job's own
        a_day(&org).await;
        let (keepalive, licenses) = (last_run(&org, "keepalive").await, last_run(&org, "licenses").await);
        let found = (gauge(&keepalive), calls(&org) - calls_before, kinds(&keepalive), kinds(&licenses));
        println!("{day:>3}  {does:<16} {:<49} {:>5}  {:<15} {}", found.0, found.1, found.2, found.3);
        assert_eq!(found, (expected.to_owned(), made, noticed.to_owned(), of_licenses.to_owned()), "day {day}");
        let ends = if made == 0 { ("failed", "subscription_gone") } else { ("succeeded", "") };
        assert_eq!((&keepalive["outcome"], keepalive["reason"].as_str().unwrap_or_default()), (&ends.0.into(), ends.1));
        assert_eq!((&keepalive["trigger"], &licenses["outcome"]), (&"schedule".into(), &"succeeded".into()));
        let told;
        (told, last) = told_since(&org, last).await;
        for one in &told {
            println!("{:>70}{one}", "");
        }
        let expected = TOLD.iter().find(|(on, _)| *on == day).map_or(&[][..], |(_, told)| told);
        let as_expected = told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected));
        assert!(told.len() == expected.len() && as_expected, "day {day}: {told:#?} for {expected:#?}");
    }
    all_arrived(&org, &hook).await;
    afterwards(&org).await;
}

/// What was queued when the service left came with its next start, each notice once.
async fn all_arrived(org: &Org, hook: &Hook) {
    let service = org.serve().await;
    until(org, "nothing waits", "select count(*) = 0 from notice where state = 'waiting'").await;
    service.terminate();
    service.finish().await.exits(0);
    let mut database = org.database().await;
    let mut queued = database.texts("select uid from notice where state = 'delivered'").await;
    let mut arrived: Vec<String> =
        hook.received().iter().map(|received| received.header("graphkeeper-notice").to_owned()).collect();
    queued.sort();
    arrived.sort();
    // One that was under way when the service left comes again, under its own id.
    arrived.dedup();
    assert_eq!(queued, arrived);
    assert_eq!(database.number("select count(*) from notice where state <> 'delivered'").await, 0);
}

/// The year as it is told at its end.
async fn afterwards(org: &Org) {
    let events = org.run(&["history", "licenses", "--events", "--job", "keepalive"]).await.exits(0).json();
    let told: Vec<_> = events.as_array().unwrap().iter().rev().map(|event| event["kind"].as_str().unwrap()).collect();
    let expected: Vec<_> = YEAR.iter().flat_map(|(_, _, _, _, kinds, _)| kinds.split_whitespace()).collect();
    assert_eq!(told, expected);
    let jobs = org.run(&["jobs"]).await.exits(0).json();
    let watching = jobs.as_array().unwrap().iter().find(|job| job["job"] == "keepalive").unwrap();
    assert_eq!((&watching["gauge"]["state"], &watching["gauge"]["days_left"]), (&"active".into(), &71.into()));
    let mut database = org.database().await;
    let runs = i64::try_from(YEAR.len()).unwrap();
    assert_eq!(database.number("select count(*) from license_reading").await, runs);
    // Enabled, its grace period, suspended, and there again.
    assert_eq!(database.number("select count(*) from license_snapshot").await, 4);
    assert_eq!(database.number("select count(*) from keepalive_gauge").await, runs);
    // Both jobs tell of the same end and the same move under the same key, and of no end twice.
    let ends = "select count(distinct key) * 100 + count(*) from event where kind in ('expiring', 'date_moved')";
    assert_eq!(database.number(ends).await, 8 * 100 + 8 + 8);
    // A row a day in the ledger, whether the service was there or not.
    for job in ["keepalive", "licenses"] {
        let days = format!("select count(*) from moment where job = '{job}'");
        assert_eq!(database.number(&days).await, 365, "{job}");
        assert_eq!(database.number(&format!("{days} and disposition = 'caught_up'")).await, runs, "{job}");
    }
    let then = org.run(&["history", "licenses", "--at", "50 days ago"]).await.exits(0).json();
    assert_eq!((&then[0]["status"], &then[0]["suspended"]), (&"Suspended".into(), &25.into()));
    let gone = org.run(&["history", "licenses", "--at", "30 days ago"]).await.exits(0).json();
    assert_eq!(gone, serde_json::json!([]));
    let differs = org.run(&["history", "licenses", "--diff", "100 days ago", "50 days ago"]).await.exits(0).json();
    let fields: Vec<_> = differs.as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["status", "bought", "free", "suspended", "next_lifecycle"]);
    let chart = org.shows(&["history", "licenses", "--chart=ascii", "--since", "365 days ago"]).await.exits(0);
    println!("\n{}", chart.stdout);
    assert!(chart.stdout.is_ascii() && chart.stdout.contains("assigned      12"), "{}", chart.stdout);
}
