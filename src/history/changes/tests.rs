//! Promises of the write journal: what a kill leaves, what the brake counts, and what a list finds.

use super::*;
use crate::domain::decision::{Kinds, Reason};
use crate::domain::run::Trigger;
use crate::history::parked::{ParkedPerson, Release};
use crate::history::testing::{Place, account, at, change, intent, past_run, query_plan, write};

#[tokio::test]
async fn an_intent_outlives_a_kill_and_is_settled_after() {
    let place = Place::new().await;
    let run = past_run(&place.history, "aaaa0001", Trigger::Schedule, 0).await;
    let intents = [intent(1, None, Some(9)), intent(2, Some(8), Some(9)), intent(3, Some(8), None)];
    let ids = place.history.record_intents(&run, "managers", at(5), &intents).await.unwrap();
    let place = place.killed().await;
    let open = place.history.open_intents("managers").await.unwrap();
    assert_eq!(open.iter().map(|change| change.id).collect::<Vec<_>>(), ids);
    assert_eq!((open[1].from, open[1].to, open[1].state), (Some(account(8)), Some(account(9)), ChangeState::Intended));
    assert_eq!(open[1].client_request_id, intents[1].client_request_id.to_string());
    let settled =
        [(ids[0], Confirmation::Written), (ids[1], Confirmation::NotWritten), (ids[2], Confirmation::Overtaken)];
    place.history.record_confirmations(&settled, at(60)).await.unwrap();
    assert!(place.history.open_intents("managers").await.unwrap().is_empty());
    let states: Vec<_> =
        place.history.changes_of_run(&run).await.unwrap().into_iter().map(|change| change.state).collect();
    assert_eq!(states, [ChangeState::Written, ChangeState::NotWritten, ChangeState::Overtaken]);
}

#[tokio::test]
async fn each_answer_is_kept_with_what_the_vendor_said() {
    let place = Place::new().await;
    let run = past_run(&place.history, "aaaa0001", Trigger::Schedule, 0).await;
    let intents: Vec<Intent> = (1..=3).map(|number| intent(number, None, Some(9))).collect();
    let ids = place.history.record_intents(&run, "managers", at(5), &intents).await.unwrap();
    let refused = Answer::Refused {
        status: 403,
        code: "Authorization_RequestDenied".to_owned(),
        message: "no".to_owned(),
        request_id: Some("r-2".to_owned()),
    };
    let answers = [
        (ids[0], Answer::Accepted { request_id: Some("r-1".to_owned()) }),
        (ids[1], refused),
        (ids[2], Answer::Unknown { message: "reset".to_owned() }),
    ];
    place.history.record_answers(&answers, at(6)).await.unwrap();
    let open: Vec<_> = place.history.open_intents("managers").await.unwrap().iter().map(|open| open.id).collect();
    assert_eq!(open, [ids[2]]);
    let refused = change(&place.history, &run, ids[1]).await;
    assert_eq!(
        (refused.state, refused.status, refused.request_id.as_deref()),
        (ChangeState::Refused, Some(403), Some("r-2"))
    );
    let unconfirmed = place.history.unconfirmed("managers", at(0)).await.unwrap();
    assert_eq!(unconfirmed.iter().map(|change| change.id).collect::<Vec<_>>(), [ids[0]]);
    place.history.record_confirmations(&[(ids[0], Confirmation::Unconfirmed)], at(7)).await.unwrap();
    assert_eq!(place.history.unconfirmed("managers", at(0)).await.unwrap().len(), 1);
    assert_eq!(place.history.unconfirmed("managers", at(7)).await.unwrap().len(), 0);
    place.history.record_confirmations(&[(ids[0], Confirmation::Confirmed)], at(8)).await.unwrap();
    assert_eq!(place.history.unconfirmed("managers", at(0)).await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_answer_to_nothing_is_an_error_and_nothing_of_it_is_kept() {
    let place = Place::new().await;
    let run = past_run(&place.history, "aaaa0001", Trigger::Schedule, 0).await;
    let id = place.history.record_intents(&run, "managers", at(5), &[intent(1, None, Some(9))]).await.unwrap()[0];
    let accepted = Answer::Accepted { request_id: None };
    let answers = [(id, accepted.clone()), (ChangeId(99), accepted)];
    let error = place.history.record_answers(&answers, at(6)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no change 99 in the history");
    assert_eq!(change(&place.history, &run, id).await.state, ChangeState::Intended);
}

#[tokio::test]
async fn the_brake_counts_what_was_written_but_not_what_was_approved_or_undone() {
    let place = Place::new().await;
    let history = &place.history;
    for (number, trigger) in (1..).zip([Trigger::Schedule, Trigger::Manual, Trigger::Approve, Trigger::Undo]) {
        let run = past_run(history, &format!("run{number}0000"), trigger, 0).await;
        write(history, &run, intent(number, None, Some(9)), 10, Some(Confirmation::Confirmed)).await;
    }
    let run = past_run(history, "late0000", Trigger::Schedule, 0).await;
    write(history, &run, intent(5, Some(8), Some(9)), 20, None).await;
    write(history, &run, intent(6, Some(8), None), 20, Some(Confirmation::Unconfirmed)).await;
    history.record_intents(&run, "managers", at(20), &[intent(7, None, Some(9))]).await.unwrap();
    let written = async |since| history.written_since("managers", at(since)).await.unwrap();
    assert_eq!(written(0).await, Kinds { set: 2, change: 1, clear: 1 });
    assert_eq!(written(11).await, Kinds { set: 0, change: 1, clear: 1 });
    assert_eq!(history.written_since("other", at(0)).await.unwrap(), Kinds::default());
}

#[tokio::test]
async fn recent_writes_are_the_last_of_each_account_and_those_in_doubt() {
    let place = Place::new().await;
    let history = &place.history;
    let run = past_run(history, "aaaa0001", Trigger::Schedule, 0).await;
    write(history, &run, intent(1, None, Some(8)), 10, Some(Confirmation::Confirmed)).await;
    write(history, &run, intent(1, Some(8), Some(9)), 20, None).await;
    write(history, &run, intent(2, None, Some(9)), 1, None).await;
    history.record_intents(&run, "managers", at(2), &[intent(3, None, Some(9))]).await.unwrap();
    let mut recent = history.recent_writes("managers", at(5)).await.unwrap();
    recent.sort_by_key(|write| write.account);
    let expected = [
        RecentWrite { account: account(1), to: Some(account(9)), at: at(20), open: false },
        RecentWrite { account: account(3), to: Some(account(9)), at: at(2), open: true },
    ];
    assert_eq!(recent, expected);
}

#[tokio::test]
async fn repeats_count_one_value_in_a_row_and_never_an_undo() {
    let place = Place::new().await;
    let history = &place.history;
    let run = past_run(history, "aaaa0001", Trigger::Schedule, 0).await;
    let undo = past_run(history, "aaaa0002", Trigger::Undo, 0).await;
    let confirmed = Some(Confirmation::Confirmed);
    let repeats = async |at_least| history.confirmed_repeats("managers", at(0), at_least).await.unwrap();
    write(history, &run, intent(1, Some(8), Some(9)), 10, confirmed).await;
    write(history, &run, intent(2, Some(8), Some(9)), 10, confirmed).await;
    write(history, &run, intent(1, Some(8), Some(9)), 20, confirmed).await;
    assert_eq!(repeats(1).await[&account(1)], Repeats { to: Some(account(9)), confirmed: 2 });
    assert_eq!(repeats(1).await[&account(2)], Repeats { to: Some(account(9)), confirmed: 1 });
    assert_eq!(repeats(2).await.len(), 1);
    write(history, &run, intent(1, Some(8), Some(9)), 25, None).await;
    assert_eq!(repeats(2).await[&account(1)].confirmed, 2, "not confirmed, not counted");
    write(history, &undo, intent(1, Some(9), Some(8)), 30, confirmed).await;
    assert_eq!(repeats(1).await.get(&account(1)), None, "an operator took it back: nobody fights");
    write(history, &run, intent(1, Some(9), Some(7)), 50, confirmed).await;
    assert_eq!(repeats(1).await[&account(1)], Repeats { to: Some(account(7)), confirmed: 1 });
    assert!(history.confirmed_repeats("managers", at(60), 1).await.unwrap().is_empty(), "too long ago");
}

#[tokio::test]
async fn a_release_forgets_the_repeats() {
    let place = Place::new().await;
    let history = &place.history;
    let run = past_run(history, "aaaa0001", Trigger::Schedule, 0).await;
    for when in [10, 20] {
        write(history, &run, intent(1, Some(8), Some(9)), when, Some(Confirmation::Confirmed)).await;
    }
    let written = intent(1, Some(8), Some(9));
    let parked = ParkedPerson {
        job: "managers".to_owned(),
        person: written.person,
        login: written.login,
        account: Some(account(1)),
        reason: Reason::Contested,
        desired: Some(account(9)),
        cause: String::new(),
        remedy: String::new(),
        since: at(30),
        review_at: None,
        run: run.clone(),
    };
    history.park(&[parked]).await.unwrap();
    history.release(&Release::Users { names: vec!["00u1".to_owned()], job: None }, at(40), "ana").await.unwrap();
    assert!(history.confirmed_repeats("managers", at(0), 1).await.unwrap().is_empty());
    write(history, &run, intent(1, Some(8), Some(9)), 50, Some(Confirmation::Confirmed)).await;
    assert_eq!(history.confirmed_repeats("managers", at(0), 1).await.unwrap()[&account(1)].confirmed, 1);
}

#[tokio::test]
async fn changes_are_listed_newest_first_by_each_filter() {
    let place = Place::new().await;
    let history = &place.history;
    let one = past_run(history, "aaaa0001", Trigger::Schedule, 0).await;
    let two = past_run(history, "aaaa0002", Trigger::Schedule, 0).await;
    let first = write(history, &one, intent(1, None, Some(9)), 10, None).await;
    let second = write(history, &two, intent(2, None, Some(9)), 20, None).await;
    let list = async |filter: ChangeFilter| -> Vec<ChangeId> {
        history.list_changes(&filter).await.unwrap().into_iter().map(|change| change.id).collect()
    };
    assert_eq!(list(ChangeFilter::default()).await, [second, first]);
    assert_eq!(list(ChangeFilter { run: Some(one), ..ChangeFilter::default() }).await, [first]);
    assert_eq!(list(ChangeFilter { since: Some(at(11)), ..ChangeFilter::default() }).await, [second]);
    assert_eq!(list(ChangeFilter { until: Some(at(11)), ..ChangeFilter::default() }).await, [first]);
    assert_eq!(list(ChangeFilter { job: Some("x".to_owned()), ..ChangeFilter::default() }).await, []);
    assert_eq!(list(ChangeFilter { limit: Some(1), ..ChangeFilter::default() }).await, [second]);
    for name in ["00u1", "Person1@example.com", "PERSON1@contoso.example"] {
        assert_eq!(list(ChangeFilter { user: Some(name.to_owned()), ..ChangeFilter::default() }).await, [first]);
    }
}

#[tokio::test]
async fn no_filter_reads_the_whole_table_of_changes() {
    let place = Place::new().await;
    for bits in 0_u8..32 {
        let filter = ChangeFilter {
            until: Some(at(100)),
            user: (bits & 1 > 0).then(|| "a@example.com".to_owned()),
            job: (bits & 2 > 0).then(|| "managers".to_owned()),
            run: (bits & 4 > 0).then(|| RunId::stored("aaaa0001")),
            since: (bits & 8 > 0).then(|| at(0)),
            before: (bits & 16 > 0).then(|| ChangeId::stored(7)),
            limit: None,
        };
        let steps = query_plan(&place.history, list_query(&filter).sql().as_str()).await;
        let narrow = bits & 5 > 0;
        assert!(narrow || !steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER")), "{filter:?}: {steps:#?}");
        assert!(steps.iter().all(|step| !step.starts_with("SCAN change")), "{filter:?}: {steps:#?}");
        let wide = ["change_by_job", "change_by_time"].map(|index| steps.iter().any(|step| step.contains(index)));
        assert!(!narrow || wide == [false, false], "{filter:?}: {steps:#?}");
    }
}

#[tokio::test]
async fn the_database_refuses_a_change_that_makes_no_sense() {
    let place = Place::new().await;
    let run = past_run(&place.history, "aaaa0001", Trigger::Schedule, 0).await;
    let wrong = Intent { kind: ChangeKind::Clear, ..intent(1, None, Some(9)) };
    let error = place.history.record_intents(&run, "managers", at(0), &[wrong]).await.unwrap_err();
    assert!(matches!(error, HistoryError::Query { .. }), "{error:?}");
}
