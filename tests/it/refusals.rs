//! Writes that Graph refuses: one of many stops nobody else, and a missing permission parks nobody.

use graphkeeper::sandbox::faults::{Fault, RetryAfter, When};
use tokio::task::JoinSet;

use crate::support::{MANAGER, Org, within};

fn refuse(status: u16, code: &str) -> Fault {
    Fault::Refuse { status, code: code.to_owned(), message: "Ordered by a test.".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_write_of_many_is_parked_with_cause_and_remedy_and_the_others_are_written() {
    let mut runs = JoinSet::new();
    for (status, code) in [
        (400, "Request_BadRequest"),
        (403, "Authorization_RequestDenied"),
        (404, "Request_ResourceNotFound"),
        (409, "Request_MultipleObjectsWithSameKeyValue"),
    ] {
        runs.spawn(async move { one_is_refused(status, code).await });
    }
    within("all cases end", runs.join_all()).await;
}

async fn one_is_refused(status: u16, code: &'static str) {
    let org = Org::team(["ana", "bo", "cy", "dee"]).await;
    for name in ["ana", "bo", "cy"] {
        org.moves(name, "chief");
    }
    let bo = org.world().entra().account("bo").id();
    org.graph_fault(&format!("/v1.0/users/{bo}/manager/$ref"), When::Always, refuse(status, code));
    let run = org.reconcile().await.exits(3);
    assert_eq!(
        (run.outcome().as_str(), run.fate("bo").as_str(), run.left("blocked")),
        ("partial", "refused", 1),
        "{code}"
    );
    assert_eq!((org.writes(), org.managed_by("chief")), (2, 2), "{code}: the others are written");

    let mut database = org.database().await;
    let cause = database.texts("select cause from parked where ended_as is null").await.join("\n");
    let refused = org.journal().rows(|row| row.item && row.status == status).pop().unwrap();
    assert!(cause.contains(code) && cause.contains(&refused.request_id), "{code}: {cause}");
    let remedy =
        database.texts("select remedy from parked where ended_as is null and review_at > since").await.join("\n");
    assert!(!remedy.is_empty(), "{code}: no remedy, or no date to review it");

    let sent = org.journal().writes().len();
    let second = org.reconcile().await.exits(0);
    assert_eq!((org.journal().writes().len(), second.left("blocked")), (sent, 1), "{code}: left alone");

    org.faults().clear();
    org.shows(&["release", "bo@corp.example"]).await.exits(0);
    org.reconcile().await.exits(0);
    assert_eq!((org.writes(), org.managed_by("chief")), (3, 3), "{code}: tried again once released");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_turned_away_for_the_moment_parks_nobody_and_is_written_by_a_later_run() {
    let busy = Fault::Throttle { retry_after: RetryAfter::Seconds(0) };
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.moves("ana", "chief");
    org.moves("bo", "chief");
    let bo = org.world().entra().account("bo").id();
    org.graph_fault(&format!("/v1.0/users/{bo}/manager/$ref"), When::Always, busy);
    let run = org.reconcile().await.exits(3);
    assert_eq!(
        (run.fate("ana").as_str(), run.fate("bo").as_str(), run.left("blocked")),
        ("confirmed", "not_reached", 0)
    );
    assert_eq!(org.database().await.number("select count(*) from parked").await, 0);
    org.faults().clear();
    org.reconcile().await.exits(0);
    assert_eq!((org.writes(), org.managed_by("chief")), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_ends_the_run_names_itself_and_parks_nobody() {
    let org = Org::team_of(25).await;
    for name in 0..25 {
        org.moves(&format!("m{name}"), "chief");
    }
    org.graph_fault(MANAGER, When::Always, refuse(403, "Authorization_RequestDenied"));
    let run = org.reconcile().await.exits(1);
    assert_eq!((run.outcome().as_str(), run.reason().as_str()), ("failed", "Authorization_RequestDenied"));
    assert!(run.hint().contains("User.ReadWrite.All"), "{}", run.hint());
    assert_eq!((org.writes(), org.journal().writes().len()), (0, 20), "the first batch was enough");
    assert_eq!(org.database().await.number("select count(*) from parked").await, 0);
    org.faults().clear();
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_vanishes_between_plan_and_write_is_left_and_nobody_is_parked() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.moves("ana", "chief");
    org.moves("bo", "chief");
    let gate = org.hold(crate::support::BATCH, When::Nth(2));
    let run = org.spawn(&["run", "managers", "--json"]);
    crate::support::reached(&gate).await;
    org.world().entra().account("ana").remove();
    gate.open();
    let run = run.finish().await.exits(3);
    assert_eq!((run.fate("ana").as_str(), run.fate("bo").as_str(), run.left("vanished")), ("vanished", "confirmed", 1));
    assert_eq!(org.database().await.number("select count(*) from parked").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_changed_by_somebody_else_after_the_listing_is_not_overwritten() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.moves("ana", "chief");
    let gate = org.hold(crate::support::BATCH, When::Nth(1));
    let run = org.spawn(&["run", "managers", "--json"]);
    crate::support::reached(&gate).await;
    org.world().entra().account("ana").managed_by("cy");
    gate.open();
    let run = run.finish().await.exits(3);
    assert_eq!((run.fate("ana").as_str(), run.left("stale"), org.writes()), ("stale", 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_somebody_else_overtakes_is_stale_and_not_ours() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.moves("ana", "chief");
    let gate = org.hold(crate::support::BATCH, When::Nth(3));
    let run = org.spawn(&["run", "managers", "--json"]);
    crate::support::reached(&gate).await;
    org.world().entra().account("ana").managed_by("cy");
    gate.open();
    let run = run.finish().await.exits(3);
    assert_eq!((run.fate("ana").as_str(), run.left("stale"), org.writes()), ("overtaken", 1, 1));
    let undone = org.run(&["undo", &run.run_id(), "--yes"]).await;
    assert_eq!(org.world().entra().manager_of("ana").as_deref(), Some("cy"), "{}", undone.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_that_cannot_be_read_again_holds_up_nobody_else() {
    // Read before the write; or read twice after it, as often as a run looks.
    for (reads, fate, writes) in [(vec![When::Always], "refused", 1), (vec![When::Nth(2); 2], "accepted", 2)] {
        let org = Org::team(["ana", "bo", "cy"]).await;
        org.moves("ana", "chief");
        org.moves("bo", "chief");
        let bo = org.world().entra().account("bo").id();
        for when in reads {
            org.graph_fault(&format!("/v1.0/users/{bo}"), when, Fault::Status { status: 403, html: false });
        }
        let run = org.reconcile().await.exits(3);
        assert_eq!((run.fate("ana").as_str(), run.fate("bo").as_str(), org.writes()), ("confirmed", fate, writes));
        org.faults().clear();
        org.shows(&["release", "bo@corp.example"]).await;
        org.reconcile().await.exits(0);
        assert_eq!((org.writes(), org.managed_by("chief")), (2, 2), "{fate}");
    }
}
