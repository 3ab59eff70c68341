//! What a large tenant and a long outage cost the history: the decisions of a pass over a million people, and a week of
//! every second that nobody ran.

use std::time::{Duration, Instant};

use graphkeeper::domain::decision::Reason;
use graphkeeper::domain::moment::{Disposition, Moment};
use graphkeeper::domain::run::{JobKind, Outcome, RunId, Trigger};
use graphkeeper::history::History;
use graphkeeper::history::decisions::{Decision, Pass, Recorded};
use graphkeeper::history::runs::{Closing, NewRun};
use jiff::Timestamp;

use super::Bench;
use super::table::Table;

const PEOPLE: u32 = 1_000_000;
const WEEK: i64 = 7 * 24 * 60 * 60;

/// What a service that starts may take until it serves.
const READY_MS: f64 = 200.0;

pub(crate) fn measure(bench: &Bench, table: &mut Table) {
    let path = bench.directory("scale").join("graphkeeper.db");
    bench.runtime.block_on(async {
        let history = History::open(&path, at(0)).await.expect("a fresh history opens");
        decisions(&history, table).await;
        outage(&history, table).await;
        history.close().await;
    });
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("a moment of this century")
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A first pass writes a row for everybody, and the one after it finds nothing new and writes none.
async fn decisions(history: &History, table: &mut Table) {
    let names: Vec<String> = (0..PEOPLE).map(|number| format!("00u{number:08}aBcDeFgH5d7")).collect();
    for (round, id, written) in [("a first", "aaaa0001", u64::from(PEOPLE)), ("an unchanged", "bbbb0002", 0)] {
        let run = past_run(history, id).await;
        let pass = Pass { run: &run, job: "managers", at: at(0), full: true };
        let decided = names.iter().map(|name| Decision {
            person: name,
            login: name,
            upn: name,
            account: None,
            reason: Reason::Agreed,
            digest: 7,
            evidence: || r#"{"given":"someone@example.com","rule":0}"#.to_owned(),
        });
        let start = Instant::now();
        let recorded = history.record_decisions(&pass, decided).await.expect("decisions are recorded");
        let took = start.elapsed();
        assert_eq!(recorded, Recorded { written, gone: 0 }, "{round} pass");
        table.note(format!("decisions of {round} pass over {PEOPLE} people, {written} rows"), seconds(took));
    }
}

async fn past_run(history: &History, id: &str) -> RunId {
    let run = RunId::stored(id);
    let new = NewRun {
        id: run.clone(),
        job: "managers".to_owned(),
        kind: JobKind::Managers,
        trigger: Trigger::Manual,
        caller: "bench".to_owned(),
        config_fingerprint: "0123456789ab".to_owned(),
        started_at: at(0),
        pid: 7,
        host: "host".to_owned(),
        for_one: false,
        moment: None,
    };
    history.open_run(&new).await.expect("the run opens");
    let closing = Closing {
        run: run.clone(),
        ended_at: at(1),
        outcome: Outcome::Succeeded,
        reason: None,
        message: None,
        hint: None,
        tally: None,
        unresolved: None,
    };
    history.close_run(&closing).await.expect("the run closes");
    run
}

/// A job of every second whose service was away for a week.
async fn outage(history: &History, table: &mut Table) {
    let moment = |when| Moment {
        job: "managers".to_owned(),
        planned_at: at(when),
        disposition: Disposition::Down,
        run: None,
        reason: Some("the service was not running".to_owned()),
    };
    let moments: Vec<Moment> = (0..WEEK).map(moment).collect();
    let start = Instant::now();
    history.record_moments(&moments, at(WEEK)).await.expect("moments are recorded");
    table.note(format!("{WEEK} missed moments recorded"), seconds(start.elapsed()));
    let start = Instant::now();
    let past = history.past("managers", at(WEEK)).await.expect("the past is read");
    let took = start.elapsed();
    assert_eq!(past.last, Some(at(WEEK - 1)), "all are there");
    table.at_most("the past of such a job, read at start", took.as_secs_f64() * 1000.0, READY_MS, ("ms", 1));
}
