//! Runs: opened, closed, listed. The database keeps two runs of one job apart.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, QueryBuilder, Sqlite};
use tracing::error;

use crate::domain::decision::Tally;
use crate::domain::import::ImportTally;
use crate::domain::moment::Disposition;
use crate::domain::run::{JobKind, Outcome, RunId, Trigger};
use crate::history::error::{HistoryError, OpenRun};
use crate::history::moments::begin_moment;
use crate::history::notices::{Telling, tell_within};
use crate::history::rows::{Row, signed, stamp};
use crate::history::{Found, History, after_prefix};

/// A run that begins.
#[derive(Clone, Debug)]
pub struct NewRun {
    pub id: RunId,
    pub job: String,
    pub kind: JobKind,
    pub trigger: Trigger,
    /// Who asked for it: a user's name, or `daemon`.
    pub caller: String,
    pub config_fingerprint: String,
    pub started_at: Timestamp,
    pub pid: u32,
    pub host: String,
    /// Whether it is about one person alone, and so does not speak for the job.
    pub for_one: bool,
    /// The scheduled moment that it is the run of, and what became of that: written together with the run.
    pub moment: Option<(Timestamp, Disposition)>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    pub run: RunId,
    pub ended_at: Timestamp,
    pub outcome: Outcome,
    /// A code word, such as a vendor's error code.
    pub reason: Option<String>,
    pub message: Option<String>,
    pub hint: Option<String>,
    pub tally: Option<serde_json::Value>,
    /// How many people or things were left unresolved.
    pub unresolved: Option<u64>,
}

/// A run as it is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub id: RunId,
    pub job: String,
    pub kind: JobKind,
    pub trigger: Trigger,
    pub caller: String,
    pub config_fingerprint: String,
    pub started_at: Timestamp,
    pub pid: u32,
    pub host: String,
    pub ended_at: Option<Timestamp>,
    /// `None` while the run lasts.
    pub outcome: Option<Outcome>,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub hint: Option<String>,
    pub tally: Option<serde_json::Value>,
    pub unresolved: Option<u64>,
}

impl Run {
    /// What a directory run counted.
    #[must_use]
    pub fn import_tally(&self) -> Option<ImportTally> {
        let tally = self.tally.as_ref().filter(|_| self.kind == JobKind::Directory)?;
        serde_json::from_value(tally.clone()).ok()
    }

    /// What a managers run counted. Other jobs count other things.
    #[must_use]
    pub fn managers_tally(&self) -> Option<Tally> {
        let tally = self.tally.as_ref().filter(|tally| tally.get("planned").is_some())?;
        serde_json::from_value(tally.clone()).ok()
    }
}

/// Which runs to list. The default lists the newest of all.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    pub job: Option<String>,
    pub outcome: Option<Outcome>,
    /// Began then or later.
    pub since: Option<Timestamp>,
    /// Began before.
    pub until: Option<Timestamp>,
    /// Runs that wrote this user or decided anew about them: an Okta id, a login or a user principal name.
    pub user: Option<String>,
    /// Only those that come behind this one, which may be forgotten by now: then there are none.
    pub before: Option<RunId>,
    /// At most so many; `None` is 100.
    pub limit: Option<u32>,
}

/// How many rows a list has when nobody says.
pub(super) const LIMIT: u32 = 100;

#[derive(sqlx::FromRow)]
struct RunRow {
    id: String,
    job: String,
    kind: String,
    trigger: String,
    caller: String,
    config_fingerprint: String,
    started_at: i64,
    pid: i64,
    host: String,
    ended_at: Option<i64>,
    outcome: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    hint: Option<String>,
    tally: Option<String>,
    unresolved: Option<i64>,
}

impl TryFrom<RunRow> for Run {
    type Error = HistoryError;

    fn try_from(row: RunRow) -> Result<Self, HistoryError> {
        let at = Row { table: "run", id: &row.id };
        let tally = row.tally.as_deref().map(serde_json::from_str).transpose();
        Ok(Self {
            kind: at.parse("kind", &row.kind)?,
            trigger: at.parse("trigger", &row.trigger)?,
            started_at: at.time("started_at", row.started_at)?,
            pid: at.number("pid", row.pid)?,
            ended_at: at.maybe_time("ended_at", row.ended_at)?,
            outcome: at.maybe("outcome", row.outcome.as_deref())?,
            tally: tally.map_err(|error| at.bad("tally", error))?,
            unresolved: row.unresolved.map(|count| at.number("unresolved", count)).transpose()?,
            id: RunId::stored(&row.id),
            job: row.job,
            caller: row.caller,
            config_fingerprint: row.config_fingerprint,
            host: row.host,
            reason: row.reason,
            message: row.message,
            hint: row.hint,
        })
    }
}

impl History {
    /// Opens a run, and gives the scheduled moment that led to it this run: both rows are written, or none.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Busy`] names the run of this job that is open already, [`HistoryError::AlreadyRun`] the one that the
    /// moment has; [`HistoryError::RunIdTaken`] asks for another id.
    pub async fn open_run(&self, run: &NewRun) -> Result<(), HistoryError> {
        let mut tx = self.begin().await?;
        let (id, kind, trigger) = (run.id.as_str(), run.kind.as_str(), run.trigger.as_str());
        let (started_at, pid) = (stamp(run.started_at), i64::from(run.pid));
        let open = sqlx::query!(
            r#"select id as "id!", started_at as "started_at!", pid as "pid!", caller as "caller!"
                 from run where job = ? and outcome is null"#,
            run.job
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(open) = open {
            let at = Row { table: "run", id: &open.id };
            return Err(HistoryError::Busy(Box::new(OpenRun {
                job: run.job.clone(),
                since: at.time("started_at", open.started_at)?,
                pid: at.number("pid", open.pid)?,
                run: RunId::stored(&open.id),
                caller: open.caller,
            })));
        }
        let done = sqlx::query!(
            "insert into run (id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host, for_one)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do nothing",
            id,
            run.job,
            kind,
            trigger,
            run.caller,
            run.config_fingerprint,
            started_at,
            pid,
            run.host,
            run.for_one
        )
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Err(HistoryError::RunIdTaken(run.id.clone()));
        }
        if let Some(moment) = run.moment {
            begin_moment(&mut tx, (&run.job, &run.id), moment, run.started_at).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Closes an open run.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Missing`] when no run of this id is open.
    pub async fn close_run(&self, closing: &Closing) -> Result<(), HistoryError> {
        self.close_run_telling(closing, None).await
    }

    /// Closes an open run, and writes what people are told of that: both, or neither. Only a row of notices that cannot be
    /// understood does not keep a run open: its end is written, the error is logged, and nobody is told.
    ///
    /// # Errors
    ///
    /// As [`History::close_run`].
    pub async fn close_run_telling(&self, closing: &Closing, telling: Option<&Telling>) -> Result<(), HistoryError> {
        let (id, outcome, ended_at) = (closing.run.as_str(), closing.outcome.as_str(), stamp(closing.ended_at));
        let tally = closing.tally.as_ref().map(ToString::to_string);
        let unresolved = closing.unresolved.map(signed);
        let mut tx = self.begin().await?;
        let done = sqlx::query!(
            "update run set ended_at = ?, outcome = ?, reason = ?, message = ?, hint = ?, tally = ?, unresolved = ?
              where id = ? and outcome is null",
            ended_at,
            outcome,
            closing.reason,
            closing.message,
            closing.hint,
            tally,
            unresolved,
            id
        )
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Err(HistoryError::Missing { what: "open run", id: id.to_owned() });
        }
        if let Some(telling) = telling {
            let mut told = tx.begin().await?; // a savepoint
            match tell_within(&mut told, telling).await {
                Ok(_) => told.commit().await?,
                Err(problem @ HistoryError::BadRow { .. }) => {
                    told.rollback().await?;
                    error!(error = &problem as &dyn std::error::Error, "nobody is told of the end of run {id}");
                }
                Err(problem) => return Err(problem),
            }
        }
        Ok(tx.commit().await?)
    }

    /// The jobs that have an open run: one that goes on, or that a dead process left open.
    pub async fn jobs_with_open_runs(&self) -> Result<Vec<String>, HistoryError> {
        Ok(sqlx::query_scalar!("select job from run where outcome is null order by job")
            .fetch_all(&self.reader)
            .await?)
    }

    /// Closes runs of a job that a dead process left open. Call it only while holding the job's lock.
    pub async fn interrupt_open_runs(&self, job: &str, now: Timestamp) -> Result<Vec<RunId>, HistoryError> {
        let now = stamp(now);
        let closed = sqlx::query_scalar!(
            r#"update run
                  set ended_at = max(?1, started_at), outcome = 'interrupted', reason = 'process_gone',
                      message = 'the program ended before the run did'
                where job = ?2 and outcome is null
            returning id as "id!""#,
            now,
            job
        )
        .fetch_all(self.writer()?)
        .await?;
        Ok(closed.iter().map(|id| RunId::stored(id)).collect())
    }

    /// Closes the runs of this process on this host that are still open, but for those whose end is known and owed. For a
    /// program that leaves while they go on: they are cut off at once after it.
    pub async fn interrupt_runs_of_process(
        &self,
        (pid, host): (u32, &str),
        now: Timestamp,
    ) -> Result<Vec<RunId>, HistoryError> {
        let (now, pid, owed) = (stamp(now), i64::from(pid), self.owed_runs());
        let closed = sqlx::query_scalar!(
            r#"update run
                  set ended_at = max(?1, started_at), outcome = 'interrupted', reason = 'cut_off',
                      message = 'the program was asked to leave, and left before the run had ended',
                      hint = 'the next run settles what it left open'
                where pid = ?2 and host = ?3 and outcome is null and id not in (select value from json_each(?4))
            returning id as "id!""#,
            now,
            pid,
            host,
            owed
        )
        .fetch_all(self.writer()?)
        .await?;
        Ok(closed.iter().map(|id| RunId::stored(id)).collect())
    }

    /// The run whose id begins so.
    pub async fn resolve_run_prefix(&self, prefix: &str) -> Result<Found<RunId>, HistoryError> {
        let prefix = prefix.trim().to_ascii_lowercase();
        let end = after_prefix(&prefix);
        let ids = sqlx::query_scalar!(
            r#"select id as "id!" from run where id >= ? and id < ? order by id limit 10"#,
            prefix,
            end
        )
        .fetch_all(&self.reader)
        .await?;
        Ok(match ids.as_slice() {
            [] => Found::Nothing,
            [id] => Found::One(RunId::stored(id)),
            [first, ..] if *first == prefix => Found::One(RunId::stored(first)),
            _ => Found::Several(ids),
        })
    }

    /// One run.
    pub async fn run(&self, id: &RunId) -> Result<Option<Run>, HistoryError> {
        let id = id.as_str();
        let row = sqlx::query_as!(
            RunRow,
            r#"select id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host, ended_at, outcome, reason,
                      message, hint, tally, unresolved
                 from run where id = ?"#,
            id
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(Run::try_from).transpose()
    }

    /// Runs that fit, newest first.
    pub async fn list_runs(&self, filter: &RunFilter) -> Result<Vec<Run>, HistoryError> {
        let rows: Vec<RunRow> = list_query(filter).build_query_as().fetch_all(&self.reader).await?;
        rows.into_iter().map(Run::try_from).collect()
    }

    /// The newest ended run in which a job did what it is for: by schedule, at startup or by hand. Plans, approvals and
    /// undoings, refused ones too, do not hide it, nor does a run for one person.
    pub async fn last_run_proper(&self, job: &str) -> Result<Option<Run>, HistoryError> {
        let row = sqlx::query_as!(
            RunRow,
            r#"select id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host, ended_at, outcome, reason,
                      message, hint, tally, unresolved
                 from run
                where job = ? and trigger in ('schedule', 'startup', 'manual') and for_one = 0 and outcome is not null
                order by started_at desc, rowid desc limit 1"#,
            job
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(Run::try_from).transpose()
    }

    /// The newest run of each job that ever ran, by the job's name.
    pub async fn last_run_per_job(&self) -> Result<BTreeMap<String, Run>, HistoryError> {
        let rows = sqlx::query_as!(
            RunRow,
            r#"with recursive jobs (job) as (
                   select min(job) from run
                   union all
                   select (select min(later.job) from run as later where later.job > jobs.job) from jobs where job is not null
               )
               select id as "id!", run.job as "job!", kind as "kind!", trigger as "trigger!", caller as "caller!",
                      config_fingerprint as "config_fingerprint!", started_at as "started_at!", pid as "pid!",
                      host as "host!", ended_at as "ended_at?", outcome as "outcome?", reason as "reason?",
                      message as "message?", hint as "hint?", tally as "tally?", unresolved as "unresolved?"
                 from jobs
                 join run on run.id = (select newest.id from run as newest where newest.job = jobs.job
                                        order by newest.started_at desc, newest.rowid desc limit 1)"#
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Run::try_from).map(|run| run.map(|run| (run.job.clone(), run))).collect()
    }
}

/// The list of runs as SQL. Each filter has an index; none makes SQLite read the whole table.
pub(super) fn list_query(filter: &RunFilter) -> QueryBuilder<Sqlite> {
    // A plus keeps a column from its index: without it SQLite walks a job's runs to find one user's.
    let plus = if filter.user.is_some() { "+" } else { "" };
    let mut query = QueryBuilder::new(
        "select id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host, ended_at, outcome, reason,
                message, hint, tally, unresolved
           from run where ",
    );
    query.push(plus).push("started_at >= ").push_bind(filter.since.map_or(i64::MIN, stamp));
    if let Some(until) = filter.until {
        query.push(" and ").push(plus).push("started_at < ").push_bind(stamp(until));
    }
    if let Some(job) = &filter.job {
        query.push(" and ").push(plus).push("job = ").push_bind(job.clone());
    }
    if let Some(outcome) = filter.outcome {
        query.push(" and ").push(plus).push("outcome = ").push_bind(outcome.as_str());
    }
    if let Some(user) = &filter.user {
        query.push(" and id in (");
        let branches = [
            "select run from change where person = ",
            "select run from change where login collate nocase = ",
            "select run from change where upn collate nocase = ",
            "select first_run from decision where person = ",
            "select first_run from decision where login collate nocase = ",
            "select first_run from decision where upn collate nocase = ",
        ];
        for (place, branch) in branches.into_iter().enumerate() {
            query.push(if place == 0 { "" } else { " union " }).push(branch).push_bind(user.clone());
        }
        query.push(")");
    }
    if let Some(before) = &filter.before {
        query.push(" and (started_at, rowid) < (select started_at, rowid from run where id = ");
        query.push_bind(before.as_str().to_owned()).push(")");
    }
    query.push(" order by started_at desc, rowid desc limit ").push_bind(i64::from(filter.limit.unwrap_or(LIMIT)));
    query
}

#[cfg(test)]
mod tests;
