//! Promises about runs: one open run of a job, and lists that read no more than they show.

use super::*;
use crate::history::testing::{Place, a_run, at, closing, intent, past_run, query_plan, write};

#[tokio::test]
async fn a_run_comes_back_as_it_was_closed() {
    let place = Place::new().await;
    let new = a_run("aaaa1111", Trigger::Manual, 0);
    place.history.open_run(&new).await.unwrap();
    assert_eq!(place.history.run(&new.id).await.unwrap().unwrap().outcome, None);
    let tally = serde_json::json!({ "people": 12, "planned": { "set": 1, "change": 2, "clear": 0 } });
    let end = Closing {
        reason: Some("Authorization_RequestDenied".to_owned()),
        message: Some("refused".to_owned()),
        hint: Some("grant it".to_owned()),
        tally: Some(tally.clone()),
        unresolved: Some(3),
        ..closing(&new.id, Outcome::Partial, 60)
    };
    place.history.close_run(&end).await.unwrap();
    let run = place.history.run(&new.id).await.unwrap().unwrap();
    assert_eq!((run.outcome, run.ended_at, run.unresolved), (Some(Outcome::Partial), Some(at(60)), Some(3)));
    assert_eq!((run.tally, run.hint.as_deref(), run.pid), (Some(tally), Some("grant it"), 7));
    let twice = place.history.close_run(&end).await;
    assert!(matches!(twice, Err(HistoryError::Missing { .. })), "{twice:?}");
}

#[tokio::test]
async fn a_second_run_of_a_job_is_refused_and_names_the_first() {
    let place = Place::new().await;
    place.history.open_run(&a_run("aaaa1111", Trigger::Schedule, 0)).await.unwrap();
    let elsewhere = History::open(&place.path(), at(0)).await.unwrap();
    let Err(HistoryError::Busy(open)) = elsewhere.open_run(&a_run("bbbb2222", Trigger::Manual, 9)).await else {
        panic!("opened twice");
    };
    assert_eq!((open.run.as_str(), open.since, open.pid, open.caller.as_str()), ("aaaa1111", at(0), 7, "daemon"));
    let other_job = NewRun { job: "licenses".to_owned(), ..a_run("cccc3333", Trigger::Schedule, 0) };
    elsewhere.open_run(&other_job).await.unwrap();
}

#[tokio::test]
async fn the_index_keeps_two_runs_of_a_job_apart_even_without_the_function() {
    let place = Place::new().await;
    place.history.open_run(&a_run("aaaa1111", Trigger::Schedule, 0)).await.unwrap();
    let copy = "insert into run (id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host)
                select 'bbbb2222', job, kind, trigger, caller, config_fingerprint, started_at, pid, host from run";
    let refused = sqlx::query(copy).execute(place.history.writer().unwrap()).await.unwrap_err();
    assert!(refused.as_database_error().unwrap().is_unique_violation(), "{refused}");
}

#[tokio::test]
async fn an_id_in_use_asks_for_another() {
    let place = Place::new().await;
    past_run(&place.history, "aaaa1111", Trigger::Schedule, 0).await;
    let again = place.history.open_run(&a_run("aaaa1111", Trigger::Schedule, 5)).await;
    assert!(matches!(again, Err(HistoryError::RunIdTaken(_))), "{again:?}");
}

#[tokio::test]
async fn a_run_that_its_process_left_open_is_interrupted() {
    let place = Place::new().await;
    place.history.open_run(&a_run("aaaa1111", Trigger::Schedule, 0)).await.unwrap();
    let place = place.killed().await;
    let closed = place.history.interrupt_open_runs("managers", at(100)).await.unwrap();
    assert_eq!(closed, [RunId::stored("aaaa1111")]);
    assert!(place.history.interrupt_open_runs("managers", at(100)).await.unwrap().is_empty());
    let run = place.history.run(&closed[0]).await.unwrap().unwrap();
    assert_eq!((run.outcome, run.ended_at), (Some(Outcome::Interrupted), Some(at(100))));
    place.history.open_run(&a_run("bbbb2222", Trigger::Startup, 101)).await.unwrap();
}

#[tokio::test]
async fn a_unique_beginning_names_a_run() {
    let place = Place::new().await;
    for id in ["abcd1111", "abce2222", "zzzz0000"] {
        past_run(&place.history, id, Trigger::Schedule, 0).await;
    }
    let resolve = async |prefix: &str| place.history.resolve_run_prefix(prefix).await.unwrap();
    assert_eq!(resolve("Z").await, Found::One(RunId::stored("zzzz0000")));
    assert_eq!(resolve("abcd1111").await, Found::One(RunId::stored("abcd1111")));
    assert_eq!(resolve("ab").await, Found::Several(vec!["abcd1111".to_owned(), "abce2222".to_owned()]));
    assert_eq!(resolve("q").await, Found::Nothing);
    assert_eq!(resolve("%").await, Found::Nothing);
}

#[tokio::test]
async fn runs_are_listed_newest_first_by_each_filter() {
    let place = Place::new().await;
    let first = past_run(&place.history, "aaaa0001", Trigger::Schedule, 0).await;
    write(&place.history, &first, intent(5, None, Some(1)), 0, None).await;
    past_run(&place.history, "aaaa0002", Trigger::Schedule, 10).await;
    let failed = NewRun { job: "licenses".to_owned(), ..a_run("aaaa0003", Trigger::Manual, 10) };
    place.history.open_run(&failed).await.unwrap();
    place.history.close_run(&closing(&failed.id, Outcome::Failed, 11)).await.unwrap();
    let list = async |filter: RunFilter| -> Vec<String> {
        let runs = place.history.list_runs(&filter).await.unwrap();
        runs.into_iter().map(|run| run.id.to_string()).collect()
    };
    assert_eq!(list(RunFilter::default()).await, ["aaaa0003", "aaaa0002", "aaaa0001"]);
    assert_eq!(list(RunFilter { limit: Some(1), ..RunFilter::default() }).await, ["aaaa0003"]);
    assert_eq!(list(RunFilter { job: Some("licenses".to_owned()), ..RunFilter::default() }).await, ["aaaa0003"]);
    assert_eq!(list(RunFilter { outcome: Some(Outcome::Failed), ..RunFilter::default() }).await, ["aaaa0003"]);
    assert_eq!(list(RunFilter { until: Some(at(10)), ..RunFilter::default() }).await, ["aaaa0001"]);
    assert_eq!(list(RunFilter { since: Some(at(10)), ..RunFilter::default() }).await, ["aaaa0003", "aaaa0002"]);
    for name in ["00u5", "PERSON5@example.com", "person5@CONTOSO.example"] {
        let filter = RunFilter { user: Some(name.to_owned()), ..RunFilter::default() };
        assert_eq!(list(filter).await, ["aaaa0001"], "{name}");
    }
    let newest = place.history.last_run_per_job().await.unwrap();
    let newest: Vec<_> = newest.iter().map(|(job, run)| (job.as_str(), run.id.as_str())).collect();
    assert_eq!(newest, [("licenses", "aaaa0003"), ("managers", "aaaa0002")]);
}

#[tokio::test]
async fn a_plan_or_an_approval_does_not_hide_how_the_job_itself_ended() {
    let place = Place::new().await;
    assert_eq!(place.history.last_run_proper("managers").await.unwrap(), None);
    for (number, trigger) in (0..).zip(Trigger::ALL) {
        past_run(&place.history, &format!("aaaa000{number}"), *trigger, number * 10).await;
    }
    place.history.open_run(&a_run("bbbb0001", Trigger::Schedule, 900)).await.unwrap();
    let last = place.history.last_run_proper("managers").await.unwrap().unwrap();
    assert_eq!((last.id.as_str(), last.trigger), ("aaaa0002", Trigger::Manual));
}

#[tokio::test]
async fn no_filter_reads_the_whole_table_of_runs() {
    let place = Place::new().await;
    for bits in 0_u8..32 {
        let filter = RunFilter {
            job: (bits & 1 > 0).then(|| "managers".to_owned()),
            outcome: (bits & 2 > 0).then_some(Outcome::Failed),
            since: (bits & 4 > 0).then(|| at(0)),
            until: (bits & 4 > 0).then(|| at(9)),
            user: (bits & 8 > 0).then(|| "a@example.com".to_owned()),
            before: (bits & 16 > 0).then(|| RunId::stored("aaaa0001")),
            limit: None,
        };
        let steps = query_plan(&place.history, list_query(&filter).sql().as_str()).await;
        let sorts = steps.iter().any(|step| step.contains("USE TEMP B-TREE FOR ORDER BY"));
        assert!(!sorts || bits & 8 > 0, "{filter:?} sorts: {steps:#?}");
        assert!(
            steps.iter().all(|step| !step.starts_with("SCAN run") && !step.starts_with("SCAN change")),
            "{steps:#?}"
        );
        let by_run = steps.iter().any(|step| step.contains("INDEX run_by_"));
        assert_eq!(by_run, bits & 8 == 0, "{filter:?}: {steps:#?}");
        assert!(steps.iter().all(|step| !step.starts_with("SCAN decision")), "{filter:?}: {steps:#?}");
    }
}

#[tokio::test]
async fn every_word_of_ours_is_one_of_the_database() {
    let place = Place::new().await;
    for (number, outcome) in Outcome::ALL.iter().enumerate() {
        for (place_of, trigger) in Trigger::ALL.iter().enumerate() {
            let run = a_run(&format!("run{number}{place_of}"), *trigger, 0);
            place.history.open_run(&run).await.unwrap();
            place.history.close_run(&closing(&run.id, *outcome, 0)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_row_that_is_not_understood_is_named() {
    let place = Place::new().await;
    past_run(&place.history, "aaaa0001", Trigger::Schedule, 0).await;
    sqlx::query("update run set kind = 'juggling'").execute(place.history.writer().unwrap()).await.unwrap();
    let error = place.history.run(&RunId::stored("aaaa0001")).await.unwrap_err();
    assert_eq!(error.to_string(), "run.kind of aaaa0001 is not understood");
}
