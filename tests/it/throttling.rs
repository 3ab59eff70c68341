//! Vendors that are busy, forgetful or late: waited for as they ask, and never answered with a second write.

use graphkeeper::sandbox::faults::{Fault, RetryAfter, When};
use graphkeeper::sandbox::server::Service;
use jiff::SignedDuration;
use tokio::task::JoinSet;

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
            org.faults().order(graphkeeper::sandbox::faults::Order::new(service, path, fault).once());
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
                let order = graphkeeper::sandbox::faults::Order::new(service, path, fault.clone());
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
    org.faults().order(graphkeeper::sandbox::faults::Order::new(Service::Graph, MANAGER, fault).once());
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
