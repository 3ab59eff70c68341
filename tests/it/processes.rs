//! Several processes on one state directory, runs that are cut off, and the service's life.

use std::time::{Duration, Instant};

use graphkeeper::sandbox::faults::{Fault, When};

use crate::support::{ACCOUNTS, BATCH, Org, reached, within};

/// Every job of the service at every second.
const EVERY_SECOND: &str = "[jobs.managers]\nschedule = \"* * * * * *\"\n[jobs.licenses]\nschedule = \"* * * * * *\"\n\
                            [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_a_job_is_told_who_has_it() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "bo");
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let first = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    let second = org.reconcile().await.exits(6);
    assert_eq!(second.outcome(), "busy");
    assert!(second.message().contains(&format!("process {}", first.pid())), "{}", second.message());
    org.run(&["run", "licenses"]).await.exits(0);
    gate.open();
    first.finish().await.exits(0);
    assert_eq!(org.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cut_off_is_recorded_as_interrupted_by_the_next() {
    let org = Org::team(["ana", "bo"]).await;
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let run = org.spawn(&["run", "managers"]);
    reached(&gate).await;
    run.kill().await;
    gate.open();
    org.reconcile().await.exits(0);
    assert_eq!(org.database().await.outcomes("managers").await, ["interrupted", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_asked_to_stop_finishes_its_batch_and_says_so() {
    let org = Org::team_of(45).await;
    for name in 0..45 {
        org.moves(&format!("m{name}"), "chief");
    }
    let gate = org.hold_answer(BATCH, When::Nth(2));
    let mut run = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    run.terminate();
    run.says("stopping").await;
    gate.open();
    let run = run.finish().await.exits(1);
    assert_eq!((run.outcome().as_str(), org.writes()), ("interrupted", 20), "{}", run.stdout);
    org.reconcile().await.exits(0);
    assert_eq!(org.managed_by("chief"), 45);
    assert_eq!(org.writes(), 45, "nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_time_is_up_ends_as_timed_out() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure("[jobs.managers]\ntimeout = \"1 second\"");
    org.moves("ana", "bo");
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let run = org.reconcile().await.exits(1);
    assert_eq!((run.outcome().as_str(), org.writes()), ("timed_out", 0));
    gate.open();
    org.faults().clear();
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_fires_its_jobs_and_leaves_in_order_when_asked() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(EVERY_SECOND);
    org.moves("ana", "bo");
    let read_back = org.hold_answer(BATCH, When::Nth(3));
    let licenses = org.hold_answer("/v1.0/subscribedSkus", When::Nth(1));
    let mut service = org.spawn(&["daemon"]);
    service.says("serving").await;
    reached(&read_back).await;
    reached(&licenses).await;
    service.terminate();
    let asked = Instant::now();
    read_back.open();
    licenses.open();
    service.finish().await.exits(0);
    assert!(asked.elapsed() < Duration::from_secs(10), "gone within ten seconds");
    assert_eq!(org.world().entra().manager_of("ana").as_deref(), Some("bo"));
    let mut database = org.database().await;
    assert_eq!(database.number("select count(*) from run where outcome is null").await, 0);
    assert!(database.number("select count(*) from moment where job = 'managers' and disposition = 'ran'").await > 0);
    assert!(database.number("select count(*) from run where trigger = 'schedule'").await >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_service_on_one_state_directory_is_sent_away() {
    let org = Org::team(["ana", "bo"]).await;
    let mut first = org.spawn(&["daemon"]);
    first.says("serving").await;
    let second = org.spawn(&["daemon"]).finish().await.exits(6);
    assert!(second.stderr.contains(&format!("process {}", first.pid())), "{}", second.stderr);
    first.terminate();
    first.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_comes_while_the_job_is_busy_is_an_overlap() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(EVERY_SECOND);
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    // The first run is another process; the service finds the job taken, and later its own run still going on.
    let first = org.spawn(&["run", "managers"]);
    reached(&gate).await;
    let mut service = org.spawn(&["daemon"]);
    service.says("is being run by process").await;
    service.terminate();
    service.finish().await.exits(0);
    gate.open();
    first.finish().await.exits(0);
    let overlaps = "select count(*) from moment where job = 'managers' and disposition = 'overlap'";
    assert!(org.database().await.number(overlaps).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_comes_while_the_run_before_goes_on_is_an_overlap() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(EVERY_SECOND);
    org.moves("ana", "bo");
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let mut service = org.spawn(&["daemon"]);
    reached(&gate).await;
    service.says("managers was not run: the run of").await;
    let mut database = org.database().await;
    assert_eq!(database.number("select count(*) from run where job = 'managers'").await, 1);
    gate.open();
    service.terminate();
    service.finish().await.exits(0);
    let overlaps = "select count(*) from moment where job = 'managers' and disposition = 'overlap'";
    assert!(database.number(overlaps).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stop_ends_a_run_at_once_and_the_next_one_settles_it() {
    let org = Org::team_of(25).await;
    for name in 0..25 {
        org.moves(&format!("m{name}"), "chief");
    }
    let gate = org.hold_answer(BATCH, When::Nth(2));
    let mut run = org.spawn(&["run", "managers"]);
    reached(&gate).await;
    run.terminate();
    run.says("stopping").await;
    run.terminate();
    run.finish().await.exits(1);
    gate.open();
    org.faults().clear();
    org.reconcile().await.exits(0);
    assert_eq!((org.writes(), org.managed_by("chief")), (25, 25));
    assert_eq!(org.database().await.outcomes("managers").await, ["interrupted", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_job_does_not_end_the_service() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(EVERY_SECOND);
    org.moves("ana", "bo");
    org.okta_fault(crate::support::PEOPLE, When::Next(1), Fault::Status { status: 501, html: false });
    let written = org.hold_answer(BATCH, When::Nth(2));
    let mut service = org.spawn(&["daemon"]);
    service.says("outcome=failed").await;
    reached(&written).await;
    written.open();
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!(org.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_reads_the_history_while_the_service_writes_it() {
    let org = Org::team(["ana", "bo"]).await;
    org.reconcile().await.exits(0);
    org.configure(EVERY_SECOND);
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let service = org.spawn(&["daemon"]);
    reached(&gate).await;
    for command in [&["history"][..], &["jobs"], &["explain", "ana@corp.example"], &["history", "changes"]] {
        within("a reading command ends", org.shows(command)).await.exits(0);
    }
    gate.open();
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_gone_within_ten_seconds_also_when_a_vendor_never_answers() {
    let org = Org::team_of(25).await;
    for name in 0..25 {
        org.moves(&format!("m{name}"), "chief");
    }
    org.configure(EVERY_SECOND);
    let gate = org.hold_answer(BATCH, When::Nth(2));
    let service = org.spawn(&["daemon"]);
    reached(&gate).await;
    service.terminate();
    let asked = Instant::now();
    service.finish().await;
    assert!(asked.elapsed() < Duration::from_secs(11), "gone after {:?}", asked.elapsed());
    gate.open();
    org.faults().clear();
    org.reconcile().await.exits(0);
    assert_eq!(
        (org.writes(), org.managed_by("chief")),
        (25, 25),
        "what was cut off is settled, and nothing done twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_time_is_up_amid_a_write_leaves_intents_that_the_next_one_settles() {
    let org = Org::team_of(25).await;
    for name in 0..25 {
        org.moves(&format!("m{name}"), "chief");
    }
    org.configure("[jobs.managers]\ntimeout = \"2 seconds\"");
    let gate = org.hold_answer(BATCH, When::Nth(2));
    let run = org.reconcile().await.exits(1);
    assert_eq!((run.outcome().as_str(), org.writes()), ("timed_out", 20));
    gate.open();
    org.configure("");
    org.faults().clear();
    let run = org.reconcile().await.exits(0);
    assert!(run.notes().contains("20 writes"), "{}", run.notes());
    assert_eq!((org.writes(), org.managed_by("chief")), (25, 25));
}
