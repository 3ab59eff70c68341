//! A year of a developer tenant: its date moves twice and then no more, and every run says so as it is.
//!
//! The clock is not touched. A day passes when the tenant's dates come a day nearer and all that is on record lies a day
//! further back, which is the same for whoever looks from today. `cargo test --test it year -- --show-output` prints it.

#![expect(clippy::print_stdout, reason = "the year is there to be looked at, too")]

use graphkeeper::sandbox::Options;
use graphkeeper::sandbox::model::entra::{Sku, Subscription};
use serde_json::Value;

use crate::support::Org;

const PACK: &str = "DEVELOPERPACK_E5";

/// Everything on record that is a moment, by table.
const MOMENTS: [(&str, &str); 7] = [
    ("run", "started_at ended_at"),
    ("call", "at"),
    ("license_reading", "at"),
    ("subscription_snapshot", "created_at next_lifecycle"),
    ("event", "at"),
    ("gauge", "at ends_at known_end moved_at moved_from moved_to"),
    ("moment", "planned_at recorded_at"),
];

/// Lets so many days pass.
async fn pass(org: &Org, days: i64) {
    org.world().entra().days_pass(days);
    let mut database = org.database().await;
    let back = days * 86_400_000;
    for (table, columns) in MOMENTS {
        let set: Vec<String> = columns.split(' ').map(|column| format!("{column} = {column} - {back}")).collect();
        database.execute(&format!("update {table} set {}", set.join(", "))).await;
    }
    database.execute(&format!("update alarm set date = date - {back} where date <> 0")).await;
}

/// The year: on which day what Microsoft does, and what the runs of that day are to say of it: the gauge, how many calls
/// were made, and the events of the keepalive and of the licenses job.
const YEAR: [(i64, &str, &str, u64, &str, &str); 18] = [
    (0, "ends in 90 days", "active 90, never moved, 2 since", 2, "", ""),
    (40, "", "active 50, never moved, 4 since", 2, "", ""),
    (61, "", "expiring 29, never moved, 6 since", 2, "expiring", "expiring"),
    (62, "", "expiring 28, never moved, 8 since", 2, "", ""),
    (80, "ends in 100 days", "active 100, moved by 90 0 days ago, 0 since", 2, "date_moved", "date_moved"),
    (151, "", "expiring 29, moved by 90 71 days ago, 2 since", 2, "expiring", "expiring"),
    (170, "ends in 100 days", "active 100, moved by 90 0 days ago, 0 since", 2, "date_moved", "date_moved"),
    (200, "", "active 70, moved by 90 30 days ago, 2 since", 2, "", ""),
    (241, "", "expiring 29, moved by 90 71 days ago, 4 since", 2, "expiring", "expiring"),
    (257, "", "expiring 13, moved by 90 87 days ago, 6 since", 2, "expiring", "expiring"),
    (264, "", "expiring 6, moved by 90 94 days ago, 8 since", 2, "expiring", "expiring"),
    (270, "", "expiring 0, moved by 90 100 days ago, 10 since", 2, "expiring", "expiring"),
    (271, "Warning", "expired, moved by 90 101 days ago, 12 since", 2, "expired", "status_changed counts_changed"),
    (301, "Suspended", "expired, moved by 90 131 days ago, 14 since", 2, "", "status_changed counts_changed"),
    (331, "gone", "expired, gone, moved by 90 161 days ago, 16 since", 2, "gone", "disappeared"),
    (338, "", "expired, gone, moved by 90 168 days ago, 16 since", 0, "", ""),
    (345, "back for 90 days", "active 90, moved by 165 0 days ago, 0 since", 2, "back date_moved", "appeared"),
    (365, "", "active 70, moved by 165 20 days ago, 2 since", 2, "", ""),
];

fn microsoft_does(org: &Org, what: &str, (skus, subscriptions): &(Vec<Sku>, Vec<Subscription>)) {
    let entra = org.world().entra();
    match what {
        "" => {}
        "gone" => entra.subscription(PACK).remove(),
        "back for 90 days" => {
            let mut state = org.world().write();
            state.entra.skus.clone_from(skus);
            state.entra.subscriptions.clone_from(subscriptions);
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
    let at = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let whole_days = |from, to: jiff::Timestamp| (to.duration_since(from).as_secs() + 60) / 86_400;
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

#[tokio::test(flavor = "multi_thread")]
async fn the_gauge_and_the_events_of_a_year_are_those_of_its_days() {
    let org = Org::start(Options::agreed(12)).await;
    org.configure("[jobs.keepalive]\nmin_interval = \"0 seconds\"");
    let before = {
        let mut state = org.world().write();
        state.entra.skus[0].consumed = 12;
        (state.entra.skus.clone(), state.entra.subscriptions.clone())
    };
    println!("{:>3}  {:<17} {:<49} {:>5}  {:<16} licenses", "day", "Microsoft", "gauge", "calls", "keepalive");
    let mut today = 0;
    for (day, does, expected, calls, noticed, of_licenses) in YEAR {
        if day > today {
            pass(&org, day - today).await;
        }
        today = day;
        microsoft_does(&org, does, &before);
        let gone = expected.contains("gone") && calls == 0;
        let keepalive = org.run(&["run", "keepalive"]).await.exits(i32::from(gone)).json();
        let licenses = org.run(&["run", "licenses"]).await.exits(0).json();
        let made = keepalive["details"]["keepalive"].as_array().unwrap().len() as u64;
        let found = (gauge(&keepalive), made, kinds(&keepalive), kinds(&licenses));
        println!("{day:>3}  {does:<17} {:<49} {:>5}  {:<16} {}", found.0, found.1, found.2, found.3);
        assert_eq!(found, (expected.to_owned(), calls, noticed.to_owned(), of_licenses.to_owned()), "day {day}");
        if gone {
            assert_eq!(keepalive["reason"], "subscription_gone");
        }
    }
    afterwards(&org).await;
}

/// The year as it is told at its end.
async fn afterwards(org: &Org) {
    let events = org.run(&["history", "licenses", "--events", "--job", "keepalive"]).await.exits(0).json();
    let told: Vec<_> = events.as_array().unwrap().iter().rev().map(|event| event["kind"].as_str().unwrap()).collect();
    let expected: Vec<_> = YEAR.iter().flat_map(|(_, _, _, _, kinds, _)| kinds.split_whitespace()).collect();
    assert_eq!(told, expected);
    let jobs = org.run(&["jobs"]).await.exits(0).json();
    let watching = jobs.as_array().unwrap().iter().find(|job| job["job"] == "keepalive").unwrap();
    assert_eq!((&watching["gauge"]["state"], &watching["gauge"]["days_left"]), (&"active".into(), &70.into()));
    let mut database = org.database().await;
    let runs = i64::try_from(YEAR.len()).unwrap();
    assert_eq!(database.number("select count(*) from license_reading").await, runs);
    // Enabled, its grace period, suspended, and there again.
    assert_eq!(database.number("select count(*) from license_snapshot").await, 4);
    assert_eq!(database.number("select count(*) from keepalive_gauge").await, runs);
    let chart = org.shows(&["history", "licenses", "--chart=ascii", "--since", "365 days ago"]).await.exits(0);
    println!("\n{}", chart.stdout);
    assert!(chart.stdout.is_ascii() && chart.stdout.contains("assigned      12"), "{}", chart.stdout);
}
