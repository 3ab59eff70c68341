//! Shared by the tests of this room and of its readers: a fresh history in a temporary directory, and its inhabitants.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use uuid::Uuid;

use crate::domain::decision::ChangeKind;
use crate::domain::identity::{AccountId, PersonId};
use crate::domain::run::{JobKind, Outcome, RunId, Trigger};
use crate::history::History;
use crate::history::changes::{Answer, Change, ChangeId, Confirmation, Intent};
use crate::history::jobs::{NewSchedule, TakenUp};
use crate::history::licenses::{PlanState, SkuRow, SubscriptionRow};
use crate::history::runs::{Closing, NewRun};

/// A history that goes when it is dropped.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) history: History,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let history = History::open(&directory.path().join("graphkeeper.db"), at(0)).await.unwrap();
        Self { directory, history }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("graphkeeper.db")
    }

    /// What a program sees that starts after this one was killed: nothing is written back first.
    pub(crate) async fn killed(self) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for suffix in ["", "-wal"] {
            let name = format!("graphkeeper.db{suffix}");
            std::fs::copy(self.directory.path().join(&name), copy.path().join(&name)).unwrap();
        }
        self.history.close().await;
        let history = History::open(&copy.path().join("graphkeeper.db"), at(0)).await.unwrap();
        Self { directory: copy, history }
    }
}

/// A schedule in UTC.
pub(crate) fn new_schedule(job: &str, schedule: &str) -> NewSchedule {
    NewSchedule { job: job.to_owned(), schedule: schedule.to_owned(), zone: "UTC".to_owned() }
}

/// Has the jobs scheduled so from then on, in UTC, each by its name and schedule, and no others.
pub(crate) async fn take_up(history: &History, jobs: &[(&str, &str)], when: Timestamp) {
    let new = jobs.iter().map(|(job, schedule)| new_schedule(job, schedule)).collect();
    let scheduled = jobs.iter().map(|(job, _)| (*job).to_owned()).collect();
    history.take_up(&TakenUp { bygone: Vec::new(), new, scheduled }, when).await.unwrap();
}

/// Patience in tests of a locked database.
pub(crate) const SOON: Duration = Duration::from_millis(50);

/// So many seconds after a day in 2026.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

pub(crate) fn account(number: u128) -> AccountId {
    AccountId::new(Uuid::from_u128(number))
}

/// A run of the job `managers`, to be opened.
pub(crate) fn a_run(id: &str, trigger: Trigger, started: i64) -> NewRun {
    NewRun {
        id: RunId::stored(id),
        job: "managers".to_owned(),
        kind: JobKind::Managers,
        trigger,
        caller: "daemon".to_owned(),
        config_fingerprint: "0123456789ab".to_owned(),
        started_at: at(started),
        pid: 7,
        host: "host".to_owned(),
        for_one: false,
        moment: None,
    }
}

pub(crate) fn closing(run: &RunId, outcome: Outcome, ended: i64) -> Closing {
    Closing {
        run: run.clone(),
        ended_at: at(ended),
        outcome,
        reason: None,
        message: None,
        hint: None,
        tally: None,
        unresolved: None,
    }
}

/// A run that began and ended.
pub(crate) async fn past_run(history: &History, id: &str, trigger: Trigger, started: i64) -> RunId {
    let run = a_run(id, trigger, started);
    history.open_run(&run).await.unwrap();
    history.close_run(&closing(&run.id, Outcome::Succeeded, started + 1)).await.unwrap();
    run.id
}

/// A change of an account's manager, of the person `00u` and the account's number.
pub(crate) fn intent(number: u128, from: Option<u128>, to: Option<u128>) -> Intent {
    let kind = match (from, to) {
        (None, _) => ChangeKind::Set,
        (_, None) => ChangeKind::Clear,
        _ => ChangeKind::Change,
    };
    Intent {
        person: PersonId::new(&format!("00u{number}")),
        login: format!("person{number}@example.com"),
        account: account(number),
        upn: format!("person{number}@contoso.example"),
        kind,
        from: from.map(account),
        from_label: from.map_or_else(String::new, |from| format!("person{from}@contoso.example")),
        to: to.map(account),
        to_label: to.map_or_else(String::new, |to| format!("person{to}@contoso.example")),
        client_request_id: Uuid::from_u128(number),
    }
}

/// Sends one write at a moment; the answer comes a second later and the reading back at once.
pub(crate) async fn write(
    history: &History,
    run: &RunId,
    intent: Intent,
    when: i64,
    confirmation: Option<Confirmation>,
) -> ChangeId {
    let id = history.record_intents(run, "managers", at(when), &[intent]).await.unwrap()[0];
    let accepted = Answer::Accepted { request_id: Some("r-1".to_owned()) };
    history.record_answers(&[(id, accepted)], at(when + 1)).await.unwrap();
    if let Some(confirmation) = confirmation {
        history.record_confirmations(&[(id, confirmation)], at(when + 1)).await.unwrap();
    }
    id
}

/// The change with this id, among those of its run.
pub(crate) async fn change(history: &History, run: &RunId, id: ChangeId) -> Change {
    history.changes_of_run(run).await.unwrap().into_iter().find(|change| change.id == id).unwrap()
}

/// A product of that name, with 16 of 25 seats assigned.
pub(crate) fn sku(name: &str) -> SkuRow {
    SkuRow {
        sku: format!("id-{name}"),
        part_number: name.to_owned(),
        name: name.to_owned(),
        status: "Enabled".to_owned(),
        applies_to: "User".to_owned(),
        bought: 25,
        assigned: 16,
        warning: 0,
        suspended: 0,
        locked_out: 0,
        plans: vec![PlanState { name: "TEAMS1".to_owned(), status: "Success".to_owned(), id: "p-1".to_owned() }],
    }
}

/// A product's subscription, which ends so many seconds after [`at`]'s beginning.
pub(crate) fn subscription(name: &str, ends: i64) -> SubscriptionRow {
    SubscriptionRow {
        id: format!("sub-{name}"),
        sku: format!("id-{name}"),
        part_number: name.to_owned(),
        name: name.to_owned(),
        status: "Enabled".to_owned(),
        licenses: 25,
        trial: Some(true),
        created_at: None,
        next_lifecycle: Some(at(ends)),
    }
}

/// How SQLite means to answer a query, a line a step.
pub(crate) async fn query_plan(history: &History, sql: &str) -> Vec<String> {
    let explain = format!("explain query plan {sql}");
    let steps: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(sqlx::AssertSqlSafe(explain)).fetch_all(&history.reader).await.unwrap();
    steps.into_iter().map(|(_, _, _, detail)| detail).collect()
}

/// How many rows a table has.
pub(crate) async fn rows(history: &History, table: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
        .fetch_one(&history.reader)
        .await
        .unwrap()
}
