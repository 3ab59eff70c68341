//! Vendors that are busy, forgetful or late: waited for as they ask, and never answered with a second write.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use graphkeeper::sandbox::faults::{Fault, Order, RetryAfter, When};
use graphkeeper::sandbox::server::Service;
use jiff::SignedDuration;
use tokio::task::JoinSet;

use crate::support::process::Output;
use crate::support::{ACCOUNTS, BATCH, MANAGER, Org, PEOPLE, within};

/// The order of a run's batches: old values are read, then written, then read back.
const WRITING: When = When::Nth(2);

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_time_is_given_it_in_every_form_and_place() {
    let mut cases = Vec::new();
    for (asked, least) in [
        (RetryAfter::Seconds(1), 1_000),
        (RetryAfter::Decimal(0.6), 600),
        (RetryAfter::Date(2), 1_000),
        (RetryAfter::Absent, 0),
    ] {
        for (service, path) in [(Service::Graph, ACCOUNTS), (Service::Graph, BATCH), (Service::Graph, MANAGER)] {
            cases.push((service, path, asked, least));
        }
    }
    for (asked, least) in [(RetryAfter::Seconds(2), 1_000), (RetryAfter::Absent, 0)] {
        cases.push((Service::Okta, PEOPLE, asked, least));
    }
    cases.push((Service::Login, "**", RetryAfter::Seconds(1), 1_000));
    let mut runs = JoinSet::new();
    for (service, path, asked, least) in cases {
        runs.spawn(async move {
            let org = Org::team(["ana", "bo"]).await;
            org.moves("ana", "bo");
            let fault = Fault::Throttle { retry_after: asked };
            org.faults().order(Order::new(service, path, fault).once());
            let run = org.reconcile().await;
            assert_eq!(run.code, Some(0), "{path} {asked:?}: {}{}", run.stdout, run.stderr);
            assert_eq!(org.writes(), 1, "{path} {asked:?}");
            let waited = waited(&org);
            assert!(waited >= SignedDuration::from_millis(least), "{path} {asked:?}: came back after {waited:#}");
        });
    }
    within("all cases end", runs.join_all()).await;
}

/// The time between the answer 429 and the next request of the same kind.
fn waited(org: &Org) -> SignedDuration {
    let rows = org.journal().rows(|_| true);
    let at = rows.iter().position(|row| row.status == 429).unwrap();
    let refused = &rows[at];
    let same = |row: &&graphkeeper::sandbox::journal::Row| {
        (row.service, row.item, &row.method, &row.path)
            == (refused.service, refused.item, &refused.method, &refused.path)
    };
    rows[at + 1..].iter().find(same).unwrap().at.duration_since(refused.at)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_for_a_moment_is_asked_again() {
    let mut runs = JoinSet::new();
    for (service, path) in
        [(Service::Okta, PEOPLE), (Service::Graph, ACCOUNTS), (Service::Graph, MANAGER), (Service::Login, "**")]
    {
        for fault in [
            Fault::Status { status: 503, html: false },
            Fault::Status { status: 500, html: true },
            Fault::Status { status: 504, html: false },
        ] {
            runs.spawn(async move {
                let org = Org::team(["ana", "bo"]).await;
                org.moves("ana", "bo");
                let order = Order::new(service, path, fault.clone());
                org.faults().order(order.when(When::Next(2)));
                let run = org.reconcile().await;
                // A write that ends in 500 or 504 may have been made: it is settled by reading, and the next run writes it.
                let in_doubt = path == MANAGER && !matches!(fault, Fault::Status { status: 503, .. });
                let code = if in_doubt { 3 } else { 0 };
                assert_eq!(run.code, Some(code), "{path} {fault:?}: {}{}", run.stdout, run.stderr);
                if in_doubt {
                    org.faults().clear();
                    org.reconcile().await.exits(0);
                }
                assert_eq!(org.writes(), 1, "{path} {fault:?}");
            });
        }
    }
    within("all cases end", runs.join_all()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_while_we_wait_to_be_let_in_is_not_overwritten() {
    let mut org = Org::team(["ana", "bo", "cy"]).await;
    org.env.push(("GRAPHKEEPER_LOG".to_owned(), "info".to_owned()));
    org.moves("ana", "bo");
    let fault = Fault::Throttle { retry_after: RetryAfter::Seconds(3) };
    org.faults().order(Order::new(Service::Graph, MANAGER, fault).once());
    let mut run = org.spawn(&["run", "managers", "--json"]);
    run.says("put off").await;
    org.world().entra().account("ana").managed_by("cy");
    let done = run.finish().await.exits(3);
    assert_eq!(org.world().entra().manager_of("ana").as_deref(), Some("cy"), "the other administrator's word stands");
    assert_eq!(done.json()["details"]["managers"]["changes"][0]["state"], "stale");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_while_reading_is_made_anew() {
    for fault in [Fault::Reset, Fault::ResetBefore, Fault::CutJson] {
        let org = Org::team(["ana", "bo"]).await;
        org.moves("ana", "bo");
        org.okta_fault(PEOPLE, When::Next(1), fault.clone());
        org.graph_fault(ACCOUNTS, When::Next(1), fault);
        org.reconcile().await.exits(0);
        assert_eq!(org.writes(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_batch_whose_answer_is_lost_is_settled_by_reading_and_not_sent_again() {
    for fault in [Fault::Reset, Fault::CutJson, Fault::HtmlWith200] {
        let org = Org::team(["ana", "bo", "cy"]).await;
        for name in ["ana", "bo", "cy"] {
            org.moves(name, "chief");
        }
        let carried_out = fault != Fault::HtmlWith200;
        org.graph_fault(BATCH, WRITING, fault.clone());
        let run = org.reconcile().await;
        let states: Vec<String> = org.database().await.changes().await.into_iter().map(|c| c.state).collect();
        if carried_out {
            let run = run.exits(0);
            assert_eq!((org.writes(), run.counted("confirmed")), (3, 3), "{fault:?}");
            assert_eq!(states, ["written"; 3], "{fault:?}");
        } else {
            run.exits(3);
            assert_eq!((org.writes(), states), (0, vec!["not_written".to_owned(); 3]), "{fault:?}");
        }
        org.reconcile().await.exits(0);
        assert_eq!((org.writes(), org.managed_by("chief")), (3, 3), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_batch_that_never_arrived_is_written_by_a_later_run() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "bo");
    org.graph_fault(BATCH, WRITING, Fault::ResetBefore);
    let run = org.reconcile().await.exits(3);
    assert_eq!((run.fate("ana").as_str(), org.writes()), ("not_written", 0));
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_on_the_way_is_renewed_and_nothing_is_written_twice() {
    for (path, when) in [(ACCOUNTS, When::Nth(2)), (BATCH, WRITING), (MANAGER, When::Nth(2))] {
        let org = Org::agreed(1_100).await;
        for name in ["ana", "bo", "cy"] {
            org.world().hire(name);
        }
        org.moves("ana", "cy");
        org.moves("bo", "cy");
        org.graph_fault(path, when, Fault::ExpireToken);
        let run = org.reconcile().await.exits(0);
        assert_eq!((org.writes(), run.counted("confirmed")), (2, 2), "{path}");
        assert!(org.journal().requests(Service::Login) >= 2, "{path}: signed in anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_whose_page_token_expires_is_read_again_from_its_first_page() {
    let org = Org::agreed(1_100).await;
    org.graph_fault(ACCOUNTS, When::Next(1), Fault::ExpirePageToken);
    org.okta_fault(PEOPLE, When::Next(1), Fault::ExpirePageToken);
    let run = org.reconcile().await.exits(0);
    assert_eq!(run.tally()["accounts"], 1_101, "nobody is counted twice");
    assert_eq!(run.tally()["people"], 1_100);
    assert_eq!((run.counted("planned"), org.writes()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_accepted_and_not_stored_is_reported_and_written_by_a_later_run() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.moves("ana", "chief");
    org.moves("bo", "chief");
    org.graph_fault(MANAGER, When::Next(1), Fault::SilentWrite);
    let run = org.reconcile().await.exits(3);
    let fates = [run.fate("ana"), run.fate("bo")];
    assert!(fates.contains(&"unconfirmed".to_owned()) && fates.contains(&"confirmed".to_owned()), "{fates:?}");
    assert_eq!((run.counted("accepted"), run.counted("confirmed"), org.writes()), (2, 1, 1));
    org.reconcile().await.exits(0);
    assert_eq!((org.writes(), org.managed_by("chief")), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_shows_late_is_confirmed_after_the_wait_and_written_once() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure("[jobs.managers]\nconfirm_after = \"1 second\"");
    org.moves("ana", "bo");
    org.graph_fault(MANAGER, When::Always, Fault::StaleReads { millis: 700 });
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1);
    let states: Vec<String> = org.database().await.changes().await.into_iter().map(|c| c.state).collect();
    assert_eq!(states, ["confirmed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_again_while_reads_may_still_show_the_old_value() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure("[jobs.managers]\nconfirm_after = \"2 seconds\"");
    org.moves("ana", "bo");
    // Longer than both looks, shorter than the window of four times `confirm_after`.
    org.graph_fault(MANAGER, When::Always, Fault::StaleReads { millis: 5_000 });
    let run = org.reconcile().await.exits(3);
    assert_eq!(run.fate("ana"), "unconfirmed");
    org.reconcile().await;
    assert_eq!(org.writes(), 1, "the old value that the listing shows is ours, not yet visible");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowded_tenant_slows_a_run_down_and_loses_nothing() {
    let rates = graphkeeper::sandbox::server::Rates { okta_per_minute: 600, ..Default::default() };
    let org = Org::start(graphkeeper::sandbox::Options { rates, ..graphkeeper::sandbox::Options::agreed(60) }).await;
    org.world().hire("yan");
    org.world().hire("zoe").managed_by("yan");
    org.reconcile().await.exits(0);
    assert_eq!((org.writes(), org.journal().summary().throttled), (1, 0), "paced, so that nobody has to refuse");
}

/// The service's sign-in answers this late from its second request on: the first token is there at once.
fn slow_second_token(org: &Org, seconds: u32) {
    let fault = Fault::Throttle { retry_after: RetryAfter::Seconds(seconds) };
    org.faults().order(Order::new(Service::Login, "**", fault).when(When::Nth(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_turns_writes_away_without_naming_a_wait_is_asked_ever_more_rarely() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "bo");
    // A check goes before each try. An order does not count what an older one struck.
    for nth in 2..=6 {
        org.graph_fault(BATCH, When::Nth(nth), Fault::Throttle { retry_after: RetryAfter::Absent });
    }
    let run = org.reconcile().await.exits(0);
    assert_eq!((run.fate("ana").as_str(), org.writes()), ("confirmed", 1));
    let batches = org.journal().rows(|row| row.path == BATCH);
    let away: Vec<usize> = (0..batches.len()).filter(|place| batches[*place].status == 429).collect();
    assert_eq!(away.len(), 5, "{batches:?}");
    let last = away[4];
    let waited = batches[last + 1].at.duration_since(batches[last].at);
    // 0.4 seconds doubled four times, less up to half of it by chance.
    assert!(waited >= SignedDuration::from_millis(3_200), "came back after {waited:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_while_a_token_for_a_write_is_waited_for() {
    let mut org = Org::team(["ana", "bo"]).await;
    org.env.push(("GRAPHKEEPER_LOG".to_owned(), "info".to_owned()));
    org.moves("ana", "bo");
    org.graph_fault(BATCH, WRITING, Fault::ExpireToken);
    slow_second_token(&org, 50);
    let mut run = org.spawn(&["run", "managers", "--json"]);
    run.says("makes us wait").await;
    run.terminate();
    let asked = Instant::now();
    let run = run.finish().await.exits(1);
    assert!(asked.elapsed() < Duration::from_secs(10), "gone after {:?}", asked.elapsed());
    assert_eq!((run.outcome().as_str(), run.fate("ana").as_str(), org.writes()), ("interrupted", "not_reached", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_while_a_token_is_fetched_is_not_overwritten() {
    let mut org = Org::team(["ana", "bo", "cy"]).await;
    org.env.push(("GRAPHKEEPER_LOG".to_owned(), "debug".to_owned()));
    org.moves("ana", "bo");
    org.graph_fault(BATCH, WRITING, Fault::ExpireToken);
    slow_second_token(&org, 3);
    let mut run = org.spawn(&["run", "managers", "--json"]);
    run.says("trying again in 3").await;
    org.world().entra().account("ana").managed_by("cy");
    let run = run.finish().await.exits(3);
    assert_eq!((run.fate("ana").as_str(), org.writes()), ("stale", 0));
    assert_eq!(org.world().entra().manager_of("ana").as_deref(), Some("cy"), "the other administrator's word stands");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_try_that_reaches_the_tenant_has_an_intent_and_an_id_of_its_own() {
    let at_once = || Fault::Throttle { retry_after: RetryAfter::Seconds(0) };
    for (path, when, fault, tries) in [
        (MANAGER, When::Next(2), at_once(), 3),
        (MANAGER, When::Next(1), Fault::Status { status: 503, html: false }, 2),
        (MANAGER, When::Next(1), Fault::ExpireToken, 2),
        (BATCH, WRITING, Fault::ExpireToken, 2),
        (BATCH, WRITING, at_once(), 2),
        (BATCH, WRITING, Fault::Status { status: 503, html: false }, 2),
    ] {
        let org = Org::team(["ana", "bo"]).await;
        org.moves("ana", "bo");
        org.graph_fault(path, when, fault.clone());
        org.reconcile().await.exits(0);
        assert_eq!(org.writes(), 1, "{path} {fault:?}");
        let rows = org.database().await.changes().await;
        let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
        let mut expected = vec!["not_written"; tries - 1];
        expected.push("confirmed");
        assert_eq!(states, expected, "{path} {fault:?}");
        let journal = org.journal().rows(|row| row.item && row.method == "PUT");
        let sent: Vec<String> = journal.iter().filter_map(|row| row.client_request_id.clone()).collect();
        let ids: BTreeSet<&String> = sent.iter().collect();
        assert_eq!(ids.len(), sent.len(), "{path} {fault:?}: no id twice");
        let noted: BTreeSet<&String> = rows.iter().map(|row| &row.client_request_id).collect();
        assert!(ids.is_subset(&noted) && noted.len() == tries, "{path} {fault:?}: {ids:?} in {noted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_while_the_tenant_asks_for_time_leaves_at_once_and_writes_nothing_more() {
    for path in [MANAGER, BATCH] {
        let mut org = Org::team(["ana", "bo"]).await;
        org.env.push(("GRAPHKEEPER_LOG".to_owned(), "info".to_owned()));
        org.moves("ana", "bo");
        let when = if path == BATCH { WRITING } else { When::Next(1) };
        org.graph_fault(path, when, Fault::Throttle { retry_after: RetryAfter::Seconds(120) });
        let mut run = org.spawn(&["run", "managers", "--json"]);
        run.says("put off").await;
        run.terminate();
        let asked = Instant::now();
        let run = run.finish().await.exits(1);
        assert!(asked.elapsed() < Duration::from_secs(10), "gone after {:?}", asked.elapsed());
        assert_eq!((run.outcome().as_str(), run.fate("ana").as_str()), ("interrupted", "not_reached"), "{path}");
        assert!(!run.message().contains("refused"), "{}", run.message());
        let mut database = org.database().await;
        assert_eq!(database.outcomes("managers").await, ["interrupted"], "{path}");
        let states: Vec<String> = database.changes().await.into_iter().map(|change| change.state).collect();
        assert_eq!((org.writes(), states), (0, vec!["not_written".to_owned()]), "{path}");
        org.reconcile().await.exits(0);
        assert_eq!(org.writes(), 1, "{path}: the next run writes it");
    }
}

/// How many changes of a run came to this.
fn fates(run: &Output, state: &str) -> usize {
    let details = run.details();
    details["changes"].as_array().unwrap().iter().filter(|change| change["state"] == state).count()
}

/// How many writes reached the tenant, whatever it answered.
fn sent(org: &Org) -> usize {
    org.journal().count(|row| row.item && row.method == "PUT")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_asks_for_an_hour_is_left_to_a_later_run_at_once() {
    let org = Org::team_of(25).await;
    for name in 0..25 {
        org.moves(&format!("m{name}"), "chief");
    }
    org.graph_fault(MANAGER, When::Always, Fault::Throttle { retry_after: RetryAfter::Seconds(3_600) });
    let run = org.reconcile().await.exits(1);
    assert_eq!((run.outcome().as_str(), run.reason().as_str()), ("failed", "throttled"));
    assert!(run.message().contains("asks to come back in 3600 seconds"), "{}", run.message());
    assert_eq!((fates(&run, "not_reached"), org.writes()), (25, 0));
    assert_eq!(sent(&org), 20, "one batch was enough");
    let mut database = org.database().await;
    assert_eq!(database.number("select count(*) from manager_change where state <> 'not_written'").await, 0);
    assert_eq!(database.number("select count(*) from parked").await, 0);
    org.faults().clear();
    org.reconcile().await.exits(0);
    assert_eq!((org.writes(), org.managed_by("chief")), (25, 25));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_answers_no_write_is_not_sent_ever_more_of_them() {
    let org = Org::team_of(90).await;
    for name in 0..90 {
        org.moves(&format!("m{name}"), "chief");
    }
    org.graph_fault(MANAGER, When::Always, Fault::Status { status: 500, html: false });
    let run = org.reconcile().await.exits(1);
    assert_eq!((run.outcome().as_str(), run.reason().as_str()), ("failed", "writes_unanswered"));
    assert_eq!((fates(&run, "not_written"), fates(&run, "not_reached"), org.writes()), (60, 30, 0));
    assert_eq!(sent(&org), 60, "three batches were enough");
    org.faults().clear();
    org.reconcile().await.exits(0);
    assert_eq!((org.writes(), org.managed_by("chief")), (90, 90));
}
