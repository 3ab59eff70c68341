use serde_json::json;

use super::*;
use crate::domain::decision::Kinds;
use crate::domain::moment::{Disposition, Moment};
use crate::domain::run::Trigger;
use crate::history::changes::Confirmation;
use crate::history::runs::{Closing, NewRun};
use crate::history::testing::{Place, a_run, at, closing, intent, past_run, query_plan, write};

async fn ended(history: &History, (id, trigger): (&str, Trigger), outcome: Outcome, started: i64) -> RunId {
    let run = a_run(id, trigger, started);
    history.open_run(&run).await.unwrap();
    history.close_run(&closing(&run.id, outcome, started + 5)).await.unwrap();
    run.id
}

#[tokio::test]
async fn the_last_success_is_the_newest_run_that_did_the_jobs_own_work() {
    let place = Place::new().await;
    let history = &place.history;
    assert_eq!(history.last_success("managers").await.unwrap(), None);
    ended(history, ("run1", Trigger::Schedule), Outcome::Failed, 0).await;
    assert_eq!(history.last_success("managers").await.unwrap(), None);
    ended(history, ("run2", Trigger::Schedule), Outcome::Succeeded, 10).await;
    ended(history, ("run3", Trigger::Manual), Outcome::Planned, 20).await;
    for (id, trigger) in [("run4", Trigger::Approve), ("run5", Trigger::Undo), ("run6", Trigger::Plan)] {
        ended(history, (id, trigger), Outcome::Succeeded, 30).await;
    }
    let one = NewRun { for_one: true, ..a_run("run9", Trigger::Manual, 35) };
    history.open_run(&one).await.unwrap();
    history.close_run(&closing(&one.id, Outcome::Succeeded, 36)).await.unwrap();
    assert_eq!(history.last_success("managers").await.unwrap(), Some(at(25)));
    ended(history, ("run7", Trigger::Startup), Outcome::Succeeded, 40).await;
    history.open_run(&a_run("run8", Trigger::Schedule, 50)).await.unwrap();
    assert_eq!(history.last_success("managers").await.unwrap(), Some(at(45)));
    assert_eq!(history.last_success("other").await.unwrap(), None);
}

#[tokio::test]
async fn a_success_is_due_since_the_moment_before_the_last_and_pauses_do_not_count() {
    let place = Place::new().await;
    let moment = |when: i64, disposition| Moment {
        job: "managers".to_owned(),
        planned_at: at(when),
        disposition,
        run: None,
        reason: None,
    };
    let due = async |now: i64| place.history.success_due("managers", at(now)).await.unwrap();
    let record = async |moments: &[Moment]| place.history.record_moments(moments, at(0)).await.unwrap();
    record(&[moment(10, Disposition::Ran)]).await;
    assert_eq!(due(15).await, None, "there was one");
    record(&[moment(20, Disposition::Overlap), moment(30, Disposition::Paused), moment(40, Disposition::Down)]).await;
    assert_eq!(due(50).await, Some(at(20)));
    assert_eq!(due(39).await, Some(at(10)), "what is to come does not count");
}

#[tokio::test]
async fn the_last_tally_is_of_a_run_that_looked_at_everybody() {
    let place = Place::new().await;
    let history = &place.history;
    let counted = async |id: &str, trigger, started: i64, tally: serde_json::Value| {
        let run = a_run(id, trigger, started);
        history.open_run(&run).await.unwrap();
        let closing =
            Closing { tally: Some(tally), unresolved: Some(3), ..closing(&run.id, Outcome::Partial, started) };
        history.close_run(&closing).await.unwrap();
    };
    let whole = Tally {
        people: 9,
        accounts: 8,
        planned: Kinds { set: 1, ..Kinds::default() },
        reasons: [(Reason::NoAccount, 4)].into(),
        ..Tally::default()
    };
    assert_eq!(history.last_tally("managers").await.unwrap(), None);
    counted("run1", Trigger::Schedule, 0, json!(whole)).await;
    counted(
        "run2",
        Trigger::Manual,
        10,
        json!(Tally { people: 1, reasons: [(Reason::Agreed, 1)].into(), ..Tally::default() }),
    )
    .await;
    counted("run3", Trigger::Schedule, 20, json!({ "calls": {} })).await;
    counted("run4", Trigger::Approve, 30, json!(Tally { people: 99, ..whole.clone() })).await;
    let found = history.last_tally("managers").await.unwrap();
    assert_eq!(found, Some(LastTally { tally: whole, unresolved: Some(3) }));
}

#[tokio::test]
async fn writes_are_counted_by_kind_and_by_what_is_known_of_them() {
    let place = Place::new().await;
    let run = past_run(&place.history, "aaaa0001", Trigger::Schedule, 0).await;
    let other = past_run(&place.history, "aaaa0002", Trigger::Schedule, 9).await;
    for number in 1..=2 {
        write(&place.history, &run, intent(number, None, Some(9)), 1, Some(Confirmation::Confirmed)).await;
    }
    write(&place.history, &run, intent(3, Some(8), Some(9)), 2, None).await;
    write(&place.history, &other, intent(4, Some(8), None), 10, None).await;
    let counts = place.history.change_counts(&run).await.unwrap();
    assert_eq!(counts, [(ChangeKind::Change, ChangeState::Accepted, 1), (ChangeKind::Set, ChangeState::Confirmed, 2)]);
}

#[tokio::test]
async fn every_figure_is_found_by_an_index_and_without_sorting() {
    let place = Place::new().await;
    let history = &place.history;
    for job in ["managers", "licenses"] {
        history.open_run(&NewRun { job: job.to_owned(), ..a_run(job, Trigger::Schedule, 0) }).await.unwrap();
    }
    for sql in [
        "select ended_at from run indexed by run_by_job_and_outcome
          where job = 'm' and outcome = 'planned' and trigger in ('schedule', 'startup', 'manual')
          order by started_at desc limit 1",
        "select planned_at, disposition from moment
          where job = 'm' and planned_at <= 7 order by planned_at desc limit 1000",
        "select id, tally, unresolved, trigger, started_at from run
          where job = 'm' and outcome is not null order by started_at desc limit 200",
        "select job, reason, count(*) from parked where ended_as is null group by job, reason",
    ] {
        let plan = query_plan(history, sql).await.join("; ");
        assert!(plan.contains("USING") && plan.contains("INDEX") || plan.contains("PRIMARY KEY"), "{sql}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}
