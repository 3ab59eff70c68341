//! The history of a large tenant after years, measured. Too slow for every test run; by hand:
//!
//! ```text
//! cargo test --release --lib history::scale -- --ignored --nocapture --test-threads 1
//! ```

use std::time::{Duration, Instant};

use crate::domain::decision::Reason;
use crate::domain::moment::{Disposition, Moment};
use crate::domain::run::{Outcome, RunId, Trigger};
use crate::history::History;
use crate::history::changes::ChangeFilter;
use crate::history::decisions::{Decision, Pass, Recorded};
use crate::history::moments::MomentFilter;
use crate::history::runs::RunFilter;
use crate::history::testing::{Place, at, past_run};

const PEOPLE: u32 = 1_000_000;

/// Reports how long `what` took.
fn report(what: &str, since: Instant) -> Duration {
    let took = since.elapsed();
    println!("{what}: {} ms", took.as_millis());
    took
}

async fn fill(history: &History) {
    let statements = [
        "with recursive n (i) as (select 0 union all select i + 1 from n where i < 99999)
         insert into run (id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host, ended_at, outcome)
         select printf('r%07d', i), case i % 3 when 0 then 'managers' when 1 then 'licenses' else 'keepalive' end, 'managers',
                'schedule', 'daemon', 'f', 1700000000000 + i * 1000, 1, 'h', 1700000000500 + i * 1000,
                case when i % 1000 = 0 then 'failed' else 'succeeded' end from n",
        "with recursive n (i) as (select 0 union all select i + 1 from n where i < 999999)
         insert into change (run, job, person, login, account, upn, kind, from_account, from_label, to_account, to_label,
                             client_request_id, intent_at, answer, answered_at, settled, settled_at)
         select printf('r%07d', i / 10), 'managers', printf('00u%07d', i % 100000), printf('p%07d@example.com', i % 100000),
                printf('00000000-0000-0000-0000-%012d', i % 100000), printf('p%07d@contoso.example', i % 100000), 'set', null, '',
                printf('00000000-0000-0000-0000-%012d', i % 777), '', 'c', 1700000000000 + i * 100, 'accepted',
                1700000000000 + i * 100, 'confirmed', 1700000000000 + i * 100 from n",
    ];
    for statement in statements {
        sqlx::query(statement).execute(history.writer().unwrap()).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "fills a large database"]
async fn lists_over_a_hundred_thousand_runs_and_a_million_changes_take_50_ms() {
    let place = Place::new().await;
    fill(&place.history).await;
    let user = || Some("p0000042@EXAMPLE.com".to_owned());
    let job = || Some("managers".to_owned());
    for filter in [
        RunFilter::default(),
        RunFilter { job: job(), ..RunFilter::default() },
        RunFilter { outcome: Some(Outcome::Failed), ..RunFilter::default() },
        RunFilter { job: job(), outcome: Some(Outcome::NeedsHuman), ..RunFilter::default() },
        RunFilter { user: user(), ..RunFilter::default() },
        RunFilter { user: user(), job: job(), outcome: Some(Outcome::Failed), ..RunFilter::default() },
    ] {
        let start = Instant::now();
        place.history.list_runs(&filter).await.unwrap();
        assert!(report(&format!("runs, {filter:?}"), start) < Duration::from_millis(50));
    }
    for filter in [
        ChangeFilter::default(),
        ChangeFilter { job: job(), ..ChangeFilter::default() },
        ChangeFilter { run: Some(RunId::stored("r0000007")), ..ChangeFilter::default() },
        ChangeFilter { run: Some(RunId::stored("r0000007")), job: job(), ..ChangeFilter::default() },
        ChangeFilter { user: user(), job: job(), ..ChangeFilter::default() },
    ] {
        let start = Instant::now();
        place.history.list_changes(&filter).await.unwrap();
        assert!(report(&format!("changes, {filter:?}"), start) < Duration::from_millis(50));
    }
    let start = Instant::now();
    place.history.last_run_per_job().await.unwrap();
    assert!(report("last run per job", start) < Duration::from_millis(50));
    let start = Instant::now();
    place.history.confirmed_repeats("managers", at(-1_000_000_000), 2).await.unwrap();
    report("repeats of a million writes", start);
}

#[tokio::test]
#[ignore = "fills a large database"]
async fn a_pass_over_a_million_people_takes_seconds_and_the_next_writes_nothing() {
    let place = Place::new().await;
    let names: Vec<String> = (0..PEOPLE).map(|number| format!("00u{number:08}aBcDeFgH5d7")).collect();
    for (round, written) in [("first", u64::from(PEOPLE)), ("second", 0)] {
        let run = past_run(&place.history, round, Trigger::Schedule, 0).await;
        let pass = Pass { run: &run, job: "managers", at: at(0), full: true };
        let decisions = names.iter().map(|name| Decision {
            person: name,
            login: name,
            upn: name,
            account: None,
            reason: Reason::Agreed,
            digest: 7,
            evidence: || r#"{"given":"someone@example.com","rule":0}"#.to_owned(),
        });
        let start = Instant::now();
        let recorded = place.history.record_decisions(&pass, decisions).await.unwrap();
        report(&format!("{round} pass over {PEOPLE} people"), start);
        assert_eq!(recorded, Recorded { written, gone: 0 });
    }
}

#[tokio::test]
#[ignore = "fills a large database"]
async fn a_week_of_an_every_second_job_is_recorded_and_read_back_in_seconds() {
    const WEEK: i64 = 7 * 24 * 60 * 60;
    let place = Place::new().await;
    let moment = |when| Moment {
        job: "managers".to_owned(),
        planned_at: at(when),
        disposition: Disposition::Down,
        run: None,
        reason: Some("the service was not running".to_owned()),
    };
    let moments: Vec<Moment> = (0..WEEK).map(moment).collect();
    for round in ["first", "again"] {
        let start = Instant::now();
        place.history.record_moments(&moments, at(WEEK)).await.unwrap();
        assert!(report(&format!("{} moments recorded, {round}", moments.len()), start) < Duration::from_secs(20));
    }
    let start = Instant::now();
    place.history.past("managers", at(WEEK)).await.unwrap();
    assert!(report("the past of the job", start) < Duration::from_millis(50));
    for job in [None, Some("managers".to_owned()), Some("licenses".to_owned())] {
        let start = Instant::now();
        let filter = MomentFilter { job, missed_only: true, ..MomentFilter::default() };
        place.history.list_moments(&filter).await.unwrap();
        assert!(report(&format!("missed, {filter:?}"), start) < Duration::from_millis(50));
    }
}
