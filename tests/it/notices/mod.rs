//! What people are told: once, with reminders, and once when it is over; on every kind of channel; and never what is secret.

mod channels;
mod delivery;

use std::fs;

use graphkeeper::sandbox::faults::{Fault, When};
use serde_json::json;

use crate::support::hook::Hook;
use crate::support::{ACCOUNTS, Org, until};

/// Jobs that run by hand alone, as far as a test does not say otherwise.
const QUIET: &str = "[jobs.managers]\nschedule = \"0 0 1 1 *\"\n[jobs.licenses]\nschedule = \"0 0 1 1 *\"\n\
                     [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\nmin_interval = \"0 seconds\"\n";

/// The same with a managers job at every second.
const BUSY: &str = "[jobs.managers]\nschedule = \"* * * * * *\"\n[jobs.licenses]\nschedule = \"0 0 1 1 *\"\n\
                    [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\n";

/// Two people, and a webhook as the channel `ops`, with more of its table.
async fn hooked(jobs: &str, more: &str) -> (Org, Hook) {
    let (org, hook) = (Org::team(["ana", "bo"]).await, Hook::start().await);
    let url = org.secret("hook-url", &format!("{}/hook/TOPSECRET", hook.url));
    org.configure(&format!("{jobs}[notices.ops]\nkind = \"webhook\"\nurl = {url}\n{more}"));
    (org, hook)
}

fn fails(org: &Org) {
    org.graph_fault(ACCOUNTS, When::Always, Fault::Status { status: 501, html: false });
}

/// Lets the history believe that all it knows of notices happened so many days earlier.
async fn age(org: &Org, days: i64) {
    let by = days * 86_400_000;
    let sql = format!("update cause set told_at = told_at - {by}, since = since - {by}, last_at = last_at - {by}");
    org.database().await.execute(&sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_identical_failing_nights_are_one_notice_and_the_reminders_and_recovery_is_told_once() {
    let (org, hook) = hooked(QUIET, "").await;
    fails(&org);
    for _ in 0..10 {
        org.reconcile().await.exits(1);
        age(&org, 1).await;
    }
    org.faults().clear();
    org.reconcile().await.exits(0);
    org.reconcile().await.exits(0);
    let told = hook.told();
    let tones: Vec<&str> = told.iter().map(|told| told.split_once(' ').unwrap().0).collect();
    assert_eq!(tones, ["new", "reminder", "reminder", "recovered"], "{told:?}");
    assert!(told[0].contains("managers failed (") && told[1].contains("still: managers failed ("), "{told:?}");
    assert_eq!(told[3], "recovered recovered: managers succeeded");
    let lines = hook.received()[2].json()["lines"].to_string();
    assert!(lines.contains("seen 8 times") && lines.contains("graphkeeper history show "), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_tells_of_a_failing_job_once_and_once_when_it_is_well_again() {
    let (org, hook) = hooked(BUSY, "").await;
    fails(&org);
    let service = org.serve().await;
    hook.hears(1).await;
    until(&org, "three runs failed", "select count(*) >= 3 from run where outcome = 'failed'").await;
    assert_eq!(hook.received().len(), 1, "{:?}", hook.told());
    org.faults().clear();
    hook.hears(2).await;
    until(&org, "three runs went well", "select count(*) >= 3 from run where outcome = 'succeeded'").await;
    service.terminate();
    service.finish().await.exits(0);
    let told = hook.told();
    assert_eq!((told.len(), told[1].as_str()), (2, "recovered recovered: managers succeeded"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_not_used_is_told_once_and_that_it_was_mended_too() {
    let (org, hook) = hooked(QUIET, "").await;
    let mut service = org.serve().await;
    let good = fs::read_to_string(org.config()).unwrap();
    for (times, mistake) in [(1, "frobnicate = 1\n"), (2, "unfrobnicate = 1\n")] {
        fs::write(org.config(), format!("{mistake}{good}")).unwrap();
        service.reload();
        service.says_times("is not used; the one in force stays", times).await;
    }
    hook.hears(1).await;
    fs::write(org.config(), format!("{good}\n# mended\n")).unwrap();
    service.reload();
    hook.hears(2).await;
    service.terminate();
    service.finish().await.exits(0);
    let told = hook.told();
    assert_eq!(
        told,
        ["new the saved configuration is not used", "recovered recovered: the configuration is good again"]
    );
    let lines = hook.received()[0].json()["lines"].to_string();
    assert!(lines.contains("frobnicate"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_at_which_a_job_did_not_run_is_told_after_the_start() {
    let quiet = QUIET.replacen("0 0 1 1 *", "0 0 * * * *", 1).replacen(
        "[jobs.licenses]",
        "catch_up = \"skip\"\n[jobs.licenses]",
        1,
    );
    let (org, hook) = hooked(&quiet, "").await;
    let service = org.serve().await;
    service.terminate();
    service.finish().await.exits(0);
    org.database().await.execute("update job set since = since - 3 * 3600000").await;
    let service = org.serve().await;
    hook.hears(1).await;
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!(hook.told(), ["new managers was not run at 3 scheduled moments (down)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_license_run_notices_is_told_and_a_channel_for_changes_hears_of_more() {
    let (org, hook) = hooked(QUIET, "").await;
    let url = org.secret("change-url", &format!("{}/change", hook.url));
    let config = fs::read_to_string(org.config()).unwrap();
    fs::write(org.config(), format!("{config}[notices.changes]\nkind = \"webhook\"\nurl = {url}\non = \"change\"\n"))
        .unwrap();
    org.run(&["run", "licenses"]).await.exits(0);
    let consume = |count| org.world().write().entra.skus[0].consumed = count;
    for (consumed, times) in [(26, 2), (5, 1)] {
        consume(consumed);
        for _ in 0..times {
            org.run(&["run", "licenses"]).await.exits(0);
        }
    }
    let told = |path: &str| {
        let all = hook.received().into_iter().filter(|received| received.target.starts_with(path));
        all.map(|received| {
            let said = received.json();
            let title = said["title"].as_str().unwrap().rsplit(") ").next().unwrap().to_owned();
            format!("{} {title}", said["tone"].as_str().unwrap())
        })
        .collect::<Vec<_>>()
    };
    let failures = told("/hook");
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].starts_with("new is over-used by 1") && failures[1].starts_with("recovered is no longer"));
    let changes = told("/change");
    assert_eq!(changes.len(), 4, "both counts beside: {changes:?}");
    assert_eq!(changes.iter().filter(|told| told.starts_with("news")).count(), 2, "{changes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_about_a_keepalive_tells_how_the_subscription_stands() {
    let (org, hook) = hooked(QUIET, "on = \"always\"\n").await;
    org.run(&["run", "keepalive"]).await.exits(0);
    let lines = hook.hears(1).await[0].json()["lines"].to_string();
    assert!(lines.contains("Subscription: active, ") && lines.contains("days left"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_gathers_and_a_word_of_the_job_goes_before_that_of_the_channel() {
    let (org, hook) = hooked(QUIET, "on = \"digest\"\n[jobs.licenses.notices]\nops = \"always\"\n").await;
    org.reconcile().await.exits(0);
    fails(&org);
    org.reconcile().await.exits(1);
    org.run(&["run", "licenses"]).await.exits(0);
    assert_eq!(hook.told(), ["news licenses succeeded"]);
    let service = org.serve().await;
    until(&org, "digests begin", "select count(*) from digest").await;
    service.terminate();
    service.finish().await.exits(0);
    org.database().await.execute("update digest set told_to = told_to - 3 * 86400000").await;
    org.database().await.execute("update digest_item set at = at - 2 * 86400000").await;
    let service = org.serve().await;
    let digest = hook.hears(2).await.remove(1).json();
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!((&digest["tone"], &digest["severity"]), (&json!("digest"), &json!("error")));
    let lines = digest["lines"].to_string();
    assert!(lines.contains("Wrong now: managers failed (") && lines.contains("managers succeeded"), "{lines}");
}
