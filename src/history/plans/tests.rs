//! Promises about stored plans: the same keeps its row, and another supersedes it.

use super::*;
use crate::domain::run::Trigger;
use crate::history::testing::{Place, account, at, intent, past_run};

fn planned(number: u128, from: Option<u128>, to: Option<u128>, held: bool) -> PlannedChange {
    let intent = intent(number, from, to);
    PlannedChange {
        person: intent.person,
        login: intent.login,
        account: intent.account,
        upn: intent.upn,
        kind: intent.kind,
        from: intent.from,
        from_label: intent.from_label,
        to: intent.to,
        to_label: intent.to_label,
        held,
    }
}

fn plan(id: &str, run: &RunId, when: i64, changes: Vec<PlannedChange>) -> StoredPlan {
    StoredPlan {
        id: PlanId::stored(id),
        job: "managers".to_owned(),
        run: run.clone(),
        created_at: at(when),
        policy_fingerprint: "f".to_owned(),
        origin: PlanOrigin::Held,
        changes,
    }
}

async fn load(history: &History, prefix: &str) -> LoadedPlan {
    match history.load_plan(prefix).await.unwrap() {
        Found::One(plan) => plan,
        other => panic!("{prefix}: {other:?}"),
    }
}

#[tokio::test]
async fn a_plan_comes_back_in_order() {
    let place = Place::new().await;
    let run = past_run(&place.history, "aaaa0001", Trigger::Plan, 0).await;
    let mut changes: Vec<_> = (1..=2_500).rev().map(|number| planned(number, None, Some(9), false)).collect();
    changes.push(planned(3_000, Some(9), None, true));
    place.history.store_plan(&plan("paaaa1111", &run, 0, changes.clone())).await.unwrap();
    let loaded = load(&place.history, "PAAA").await;
    assert_eq!(loaded.changes, changes);
    assert_eq!((loaded.summary.changes, loaded.summary.held), (2_501, 1));
    assert_eq!(place.history.plans_of_run(&run).await.unwrap(), [PlanId::stored("paaaa1111")]);
}

#[tokio::test]
async fn the_same_plan_keeps_its_row_and_another_supersedes_it() {
    let place = Place::new().await;
    let history = &place.history;
    let one = past_run(history, "aaaa0001", Trigger::Plan, 0).await;
    let two = past_run(history, "aaaa0002", Trigger::Plan, 0).await;
    let first = plan("paaaa1111", &one, 0, vec![planned(1, None, Some(9), false)]);
    history.store_plan(&first).await.unwrap();
    history.store_plan(&StoredPlan { run: two.clone(), created_at: at(60), ..first.clone() }).await.unwrap();
    let kept = load(history, "paaaa1111").await.summary;
    assert_eq!((kept.run.as_str(), kept.created_at, kept.seen_at), ("aaaa0001", at(0), at(60)));
    history.store_plan(&plan("pbbbb2222", &two, 70, vec![planned(1, None, Some(8), true)])).await.unwrap();
    let old = load(history, "paaaa1111").await;
    assert_eq!(old.summary.superseded_by, Some(PlanId::stored("pbbbb2222")));
    let open: Vec<_> = history.list_plans(Some("managers"), true, 9).await.unwrap();
    assert_eq!(open.iter().map(|plan| plan.id.as_str()).collect::<Vec<_>>(), ["pbbbb2222"]);
    let differs = diff(&old.changes, &load(history, "pb").await.changes);
    assert_eq!(differs.only_in_first[0].to, Some(account(9)));
    assert_eq!(differs.only_in_second[0].to, Some(account(8)));
    history.store_plan(&StoredPlan { created_at: at(80), ..first }).await.unwrap();
    assert_eq!(load(history, "paaaa1111").await.summary.superseded_by, None, "it waits again");
    assert_eq!(history.list_plans(None, false, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_a_brake_holds_of_the_same_plan_is_kept_up_to_date() {
    let place = Place::new().await;
    let run = past_run(&place.history, "aaaa0001", Trigger::Plan, 0).await;
    for held in [false, true, false] {
        let stored = plan("paaaa1111", &run, 0, vec![planned(1, None, Some(9), held)]);
        place.history.store_plan(&stored).await.unwrap();
        assert_eq!(load(&place.history, "p").await.changes[0].held, held);
    }
}

#[tokio::test]
async fn an_approved_plan_waits_no_longer() {
    let place = Place::new().await;
    let history = &place.history;
    let run = past_run(history, "aaaa0001", Trigger::Approve, 0).await;
    let stored = plan("paaaa1111", &run, 0, vec![planned(1, None, Some(9), true)]);
    history.store_plan(&stored).await.unwrap();
    history.mark_approved(&stored.id, &run, "ana", at(5)).await.unwrap();
    assert!(history.list_plans(None, true, 9).await.unwrap().is_empty());
    let approval = load(history, "p").await.summary.approval.unwrap();
    assert_eq!(approval, Approval { run: run.clone(), by: "ana".to_owned(), at: at(5) });
    let missing = history.mark_approved(&PlanId::stored("pzzzz"), &run, "ana", at(5)).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no plan pzzzz in the history");
    assert_eq!(history.load_plan("q").await.unwrap(), Found::Nothing);
}
