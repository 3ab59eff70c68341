//! The write journal: what we were about to write, what the answer was, and what was read back.
//!
//! An intent is on disk before its request leaves, so a kill at any point leaves no doubt about what may have been written.

mod recent;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use crate::domain::decision::ChangeKind;
use crate::domain::identity::{AccountId, PersonId};
use crate::domain::run::{RunId, words};
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::{ALL, Row, account_text, signed, stamp};
use crate::history::runs::LIMIT;

pub use crate::history::changes::recent::{RecentWrite, Repeats};

/// Names one row of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChangeId(i64);

impl ChangeId {
    /// The row of this number.
    #[must_use]
    pub const fn stored(number: i64) -> Self {
        Self(number)
    }

    /// The number of the row.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A write about to be sent.
#[derive(Clone, Debug)]
pub struct Intent {
    pub person: PersonId,
    pub login: String,
    pub account: AccountId,
    pub upn: String,
    pub kind: ChangeKind,
    /// The manager seen before, and the one to be. A label is what a person calls it: login or principal name, or blank.
    pub from: Option<AccountId>,
    pub from_label: String,
    pub to: Option<AccountId>,
    pub to_label: String,
    /// What the vendor's logs find the request by.
    pub client_request_id: Uuid,
}

/// What came back for a write.
#[derive(Clone, Debug)]
pub enum Answer {
    Accepted {
        request_id: Option<String>,
    },
    Refused {
        status: u16,
        code: String,
        message: String,
        request_id: Option<String>,
    },
    /// The answer was lost; whether it was carried out has to be read.
    Unknown {
        message: String,
    },
}

words! {
    /// What was read back after a write.
    Confirmation, "confirmation", {
        /// Accepted and read back as written.
        Confirmed => "confirmed",
        /// Accepted, but the old value is still read.
        Unconfirmed => "unconfirmed",
        /// In doubt, and found carried out.
        Written => "written",
        /// In doubt, and found not carried out.
        NotWritten => "not_written",
        /// Somebody else wrote a third value since.
        Overtaken => "overtaken",
    }
}

words! {
    /// The latest that is known of a write.
    ChangeState, "state of a change", {
        Intended => "intended",
        Accepted => "accepted",
        Refused => "refused",
        Unknown => "unknown",
        Confirmed => "confirmed",
        Unconfirmed => "unconfirmed",
        Written => "written",
        NotWritten => "not_written",
        Overtaken => "overtaken",
    }
}

/// A write as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub id: ChangeId,
    pub run: RunId,
    pub job: String,
    pub person: PersonId,
    pub login: String,
    pub account: AccountId,
    pub upn: String,
    pub kind: ChangeKind,
    pub from: Option<AccountId>,
    pub from_label: String,
    pub to: Option<AccountId>,
    pub to_label: String,
    pub client_request_id: String,
    pub intent_at: Timestamp,
    pub state: ChangeState,
    pub answered_at: Option<Timestamp>,
    /// Of the vendor's refusal, as are `code` and `message`.
    pub status: Option<u16>,
    pub code: Option<String>,
    pub message: Option<String>,
    pub request_id: Option<String>,
    pub settled_at: Option<Timestamp>,
}

/// Which changes to list. The default lists the newest of all.
#[derive(Clone, Debug, Default)]
pub struct ChangeFilter {
    /// An Okta id, a login or a user principal name.
    pub user: Option<String>,
    pub job: Option<String>,
    pub run: Option<RunId>,
    /// Noted then or later.
    pub since: Option<Timestamp>,
    /// Noted before.
    pub until: Option<Timestamp>,
    /// Only those that come behind this one.
    pub before: Option<ChangeId>,
    /// At most so many; `None` is 100.
    pub limit: Option<u32>,
}

#[derive(sqlx::FromRow)]
struct ChangeRow {
    id: i64,
    run: String,
    job: String,
    person: String,
    login: String,
    account: String,
    upn: String,
    kind: String,
    from_account: Option<String>,
    from_label: String,
    to_account: Option<String>,
    to_label: String,
    client_request_id: String,
    intent_at: i64,
    state: String,
    answered_at: Option<i64>,
    status: Option<i64>,
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    settled_at: Option<i64>,
}

impl TryFrom<ChangeRow> for Change {
    type Error = HistoryError;

    fn try_from(row: ChangeRow) -> Result<Self, HistoryError> {
        let id = row.id.to_string();
        let at = Row { table: "change", id: &id };
        Ok(Self {
            id: ChangeId(row.id),
            run: RunId::stored(&row.run),
            job: row.job,
            person: PersonId::new(&row.person),
            login: row.login,
            account: at.parse("account", &row.account)?,
            upn: row.upn,
            kind: at.parse("kind", &row.kind)?,
            from: at.maybe("from_account", row.from_account.as_deref())?,
            from_label: row.from_label,
            to: at.maybe("to_account", row.to_account.as_deref())?,
            to_label: row.to_label,
            client_request_id: row.client_request_id,
            intent_at: at.time("intent_at", row.intent_at)?,
            state: at.parse("settled", &row.state)?,
            answered_at: at.maybe_time("answered_at", row.answered_at)?,
            status: row.status.map(|status| at.number("status", status)).transpose()?,
            code: row.code,
            message: row.message,
            request_id: row.request_id,
            settled_at: at.maybe_time("settled_at", row.settled_at)?,
        })
    }
}

/// The columns of [`ChangeRow`] for the query builder.
const COLUMNS: &str =
    "select id, run, job, person, login, account, upn, kind, from_account, from_label, to_account, to_label,
       client_request_id, intent_at, coalesce(settled, answer, 'intended') as state, answered_at, status, code, message,
       request_id, settled_at
  from change";

impl History {
    /// Notes writes about to be sent. They are on disk when this returns.
    pub async fn record_intents(
        &self,
        run: &RunId,
        job: &str,
        at: Timestamp,
        intents: &[Intent],
    ) -> Result<Vec<ChangeId>, HistoryError> {
        let (run, at) = (run.as_str(), stamp(at));
        let mut ids = Vec::with_capacity(intents.len());
        let mut tx = self.begin().await?;
        for intent in intents {
            let (person, account, kind) = (intent.person.as_str(), intent.account.to_string(), intent.kind.as_str());
            let (from, to) = (account_text(intent.from), account_text(intent.to));
            let client_request_id = intent.client_request_id.to_string();
            let done = sqlx::query!(
                "insert into change (run, job, person, login, account, upn, kind, from_account, from_label, to_account,
                                     to_label, client_request_id, intent_at)
                 values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                run,
                job,
                person,
                intent.login,
                account,
                intent.upn,
                kind,
                from,
                intent.from_label,
                to,
                intent.to_label,
                client_request_id,
                at
            )
            .execute(&mut *tx)
            .await?;
            ids.push(ChangeId(done.last_insert_rowid()));
        }
        tx.commit().await?;
        Ok(ids)
    }

    /// Notes what came back for writes.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Missing`] when an intent was never noted; then nothing is.
    pub async fn record_answers(&self, answers: &[(ChangeId, Answer)], at: Timestamp) -> Result<(), HistoryError> {
        let at = stamp(at);
        let mut tx = self.begin().await?;
        for (id, answer) in answers {
            let (word, status, code, message, request_id) = match answer {
                Answer::Accepted { request_id } => ("accepted", None, None, None, request_id.as_ref()),
                Answer::Refused { status, code, message, request_id } => {
                    ("refused", Some(i64::from(*status)), Some(code), Some(message), request_id.as_ref())
                }
                Answer::Unknown { message } => ("unknown", None, None, Some(message), None),
            };
            let done = sqlx::query!(
                "update change set answer = ?, answered_at = ?, status = ?, code = ?, message = ?, request_id = ? where id = ?",
                word,
                at,
                status,
                code,
                message,
                request_id,
                id.0
            )
            .execute(&mut *tx)
            .await?;
            one_row(done.rows_affected(), *id)?;
        }
        Ok(tx.commit().await?)
    }

    /// Notes what was read back of writes.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Missing`] when an intent was never noted; then nothing is.
    pub async fn record_confirmations(
        &self,
        confirmations: &[(ChangeId, Confirmation)],
        at: Timestamp,
    ) -> Result<(), HistoryError> {
        let at = stamp(at);
        let mut tx = self.begin().await?;
        for (id, confirmation) in confirmations {
            let word = confirmation.as_str();
            let done = sqlx::query!("update change set settled = ?, settled_at = ? where id = ?", word, at, id.0)
                .execute(&mut *tx)
                .await?;
            one_row(done.rows_affected(), *id)?;
        }
        Ok(tx.commit().await?)
    }

    /// Writes of a job of which nobody knows whether they were carried out, oldest first.
    pub async fn open_intents(&self, job: &str) -> Result<Vec<Change>, HistoryError> {
        let rows = sqlx::query_as!(
            ChangeRow,
            r#"select id, run, job, person, login, account, upn, kind, from_account, from_label, to_account, to_label,
                      client_request_id, intent_at, coalesce(settled, answer, 'intended') as "state!: String", answered_at,
                      status, code, message, request_id, settled_at
                 from change
                where job = ? and settled is null and (answer is null or answer = 'unknown')
                order by id"#,
            job
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Change::try_from).collect()
    }

    /// Writes of a job accepted at or after a moment that nobody has read back as written, oldest first.
    pub async fn unconfirmed(&self, job: &str, since: Timestamp) -> Result<Vec<Change>, HistoryError> {
        let since = stamp(since);
        let rows = sqlx::query_as!(
            ChangeRow,
            r#"select id, run, job, person, login, account, upn, kind, from_account, from_label, to_account, to_label,
                      client_request_id, intent_at, coalesce(settled, answer, 'intended') as "state!: String", answered_at,
                      status, code, message, request_id, settled_at
                 from change
                where job = ? and answered_at >= ?
                  and answer = 'accepted' and (settled is null or settled = 'unconfirmed')
                order by id"#,
            job,
            since
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Change::try_from).collect()
    }

    /// The writes of a run, in the order they were sent.
    pub async fn changes_of_run(&self, run: &RunId) -> Result<Vec<Change>, HistoryError> {
        self.changes_of_run_from(run, 0, ALL).await
    }

    /// At most so many of the writes of a run, in the order they were sent, after the first ones.
    pub async fn some_changes_of_run(&self, run: &RunId, skip: u64, most: u32) -> Result<Vec<Change>, HistoryError> {
        self.changes_of_run_from(run, skip, i64::from(most)).await
    }

    /// How many writes a run sent.
    pub async fn count_changes_of_run(&self, run: &RunId) -> Result<u64, HistoryError> {
        let id = run.as_str();
        let count = sqlx::query_scalar!(r#"select count(*) as "count!: i64" from change where run = ?"#, id)
            .fetch_one(&self.reader)
            .await?;
        Row { table: "change", id }.number("count", count)
    }

    async fn changes_of_run_from(&self, run: &RunId, skip: u64, most: i64) -> Result<Vec<Change>, HistoryError> {
        let (run, skip) = (run.as_str(), signed(skip));
        let rows = sqlx::query_as!(
            ChangeRow,
            r#"select id, run, job, person, login, account, upn, kind, from_account, from_label, to_account, to_label,
                      client_request_id, intent_at, coalesce(settled, answer, 'intended') as "state!: String", answered_at,
                      status, code, message, request_id, settled_at
                 from change where run = ? order by id limit ? offset ?"#,
            run,
            most,
            skip
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Change::try_from).collect()
    }

    /// Writes that fit, newest first.
    pub async fn list_changes(&self, filter: &ChangeFilter) -> Result<Vec<Change>, HistoryError> {
        let rows: Vec<ChangeRow> = list_query(filter).build_query_as().fetch_all(&self.reader).await?;
        rows.into_iter().map(Change::try_from).collect()
    }
}

/// Refuses an update that met no row.
fn one_row(rows: u64, id: ChangeId) -> Result<(), HistoryError> {
    if rows == 1 { Ok(()) } else { Err(HistoryError::Missing { what: "change", id: id.to_string() }) }
}

/// The list of changes as SQL. Each filter has an index; none makes SQLite read the whole table.
pub(super) fn list_query(filter: &ChangeFilter) -> QueryBuilder<Sqlite> {
    // A plus keeps a column from its index: without it SQLite walks a job's million changes to find one user's.
    let narrow = filter.user.is_some() || filter.run.is_some();
    let plus = if narrow { "+" } else { "" };
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(" where ").push(plus).push("intent_at >= ").push_bind(filter.since.map_or(i64::MIN, stamp));
    if let Some(until) = filter.until {
        query.push(" and ").push(plus).push("intent_at < ").push_bind(stamp(until));
    }
    if let Some(job) = &filter.job {
        query.push(" and ").push(plus).push("job = ").push_bind(job.clone());
    }
    if let Some(run) = &filter.run {
        let plus = if filter.user.is_some() { "+" } else { "" };
        query.push(" and ").push(plus).push("run = ").push_bind(run.as_str().to_owned());
    }
    if let Some(user) = &filter.user {
        query.push(" and id in (select id from change where person = ").push_bind(user.clone());
        query.push(" union select id from change where login collate nocase = ").push_bind(user.clone());
        query.push(" union select id from change where upn collate nocase = ").push_bind(user.clone()).push(")");
    }
    if let Some(before) = filter.before {
        query.push(" and (intent_at, id) < (select intent_at, id from change where id = ").push_bind(before.get());
        query.push(")");
    }
    query.push(" order by intent_at desc, id desc limit ").push_bind(i64::from(filter.limit.unwrap_or(LIMIT)));
    query
}

#[cfg(test)]
mod tests;
