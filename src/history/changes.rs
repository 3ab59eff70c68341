//! The write journal: what we were about to write, what the answer was, and what was read back.
//!
//! An intent is on disk before its request leaves, so a kill at any point leaves no doubt about what may have been written.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use crate::domain::decision::{ChangeKind, Kinds};
use crate::domain::identity::{AccountId, PersonId};
use crate::domain::run::{RunId, words};
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, account_text, stamp};
use crate::history::runs::LIMIT;

/// Names one row of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChangeId(i64);

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
    pub since: Option<Timestamp>,
    /// At most so many; `None` is 100.
    pub limit: Option<u32>,
}

/// The last write of an account whose effect a listing may not show yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentWrite {
    pub account: AccountId,
    pub to: Option<AccountId>,
    pub at: Timestamp,
    /// Neither known to be carried out nor known not to be.
    pub open: bool,
}

/// How often in a row one value was written to an account and read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeats {
    pub to: Option<AccountId>,
    pub confirmed: u32,
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

    /// How much a job has written at or after a moment, for the brake. What an operator approved or undid does not count.
    pub async fn written_since(&self, job: &str, since: Timestamp) -> Result<Kinds, HistoryError> {
        let since = stamp(since);
        let rows = sqlx::query!(
            r#"select change.kind as "kind!", count(*) as "count!: i64"
                 from change
                 join run on run.id = change.run
                where change.job = ? and change.intent_at >= ? and run.trigger not in ('approve', 'undo')
                  and (change.answer = 'accepted' or change.settled in ('confirmed', 'written'))
                group by change.kind"#,
            job,
            since
        )
        .fetch_all(&self.reader)
        .await?;
        let mut kinds = Kinds::default();
        for row in rows {
            let at = Row { table: "change", id: &row.kind };
            let count = at.number("count", row.count)?;
            match at.parse("kind", &row.kind)? {
                ChangeKind::Set => kinds.set = count,
                ChangeKind::Change => kinds.change = count,
                ChangeKind::Clear => kinds.clear = count,
            }
        }
        Ok(kinds)
    }

    /// The writes of a run, in the order they were sent.
    pub async fn changes_of_run(&self, run: &RunId) -> Result<Vec<Change>, HistoryError> {
        let run = run.as_str();
        let rows = sqlx::query_as!(
            ChangeRow,
            r#"select id, run, job, person, login, account, upn, kind, from_account, from_label, to_account, to_label,
                      client_request_id, intent_at, coalesce(settled, answer, 'intended') as "state!: String", answered_at,
                      status, code, message, request_id, settled_at
                 from change where run = ? order by id"#,
            run
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

    /// The last write per account that a job sent at or after a moment, where it was or may have been carried out; and
    /// every write in doubt, however old. Any of them may not show in a listing yet.
    pub async fn recent_writes(&self, job: &str, since: Timestamp) -> Result<Vec<RecentWrite>, HistoryError> {
        let since = stamp(since);
        let rows = sqlx::query!(
            r#"select id as "id!", account as "account!", to_account as "to_account?", intent_at as "intent_at!", 0 as "open!: i64"
                 from change
                where job = ?1 and intent_at >= ?2 and answer = 'accepted' and (settled is null or settled <> 'overtaken')
               union all
               select id, account, to_account, intent_at, 0
                 from change where job = ?1 and intent_at >= ?2 and settled = 'written' and answer is not 'accepted'
               union all
               select id, account, to_account, intent_at, 1
                 from change where job = ?1 and settled is null and (answer is null or answer = 'unknown')
                order by 1"#,
            job,
            since
        )
        .fetch_all(&self.reader)
        .await?;
        let mut last: HashMap<AccountId, RecentWrite> = HashMap::new();
        for row in rows {
            let id = row.id.to_string();
            let at = Row { table: "change", id: &id };
            let account = at.parse("account", &row.account)?;
            let to = at.maybe("to_account", row.to_account.as_deref())?;
            let open = row.open == 1 || last.get(&account).is_some_and(|earlier| earlier.open);
            last.insert(account, RecentWrite { account, to, at: at.time("intent_at", row.intent_at)?, open });
        }
        Ok(last.into_values().collect())
    }

    /// Per account, the value that a job last wrote and how many confirmed writes of it stand in a row: since another
    /// value was written, and since the person was last released. Writes of an undo never count. Looks at writes at or
    /// after `since` and returns accounts with `at_least` of them.
    pub async fn confirmed_repeats(
        &self,
        job: &str,
        since: Timestamp,
        at_least: u32,
    ) -> Result<HashMap<AccountId, Repeats>, HistoryError> {
        let (since, wanted) = (stamp(since), i64::from(at_least.max(1)));
        // The inner query walks the index alone: most accounts were written once, and are not looked at further.
        let mut rows = sqlx::query!(
            r#"select change.id as "id!", change.account as "account!", change.to_account as "to_account?"
                 from change
                 join run on run.id = change.run
                where change.job = ?1 and change.intent_at >= ?2
                  and change.account in (select account from change where job = ?1 and intent_at >= ?2
                                          group by account having count(*) >= ?3)
                  and change.settled in ('confirmed', 'written') and run.trigger <> 'undo'
                  and change.intent_at >= coalesce((select max(parked.ended_at) from parked
                                                     where parked.job = change.job and parked.person = change.person
                                                       and parked.ended_as = 'released'), ?2)
                order by change.account, change.id"#,
            job,
            since,
            wanted
        )
        .fetch(&self.reader);
        let mut repeats: HashMap<AccountId, Repeats> = HashMap::new();
        while let Some(row) = rows.try_next().await? {
            let id = row.id.to_string();
            let at = Row { table: "change", id: &id };
            let account = at.parse("account", &row.account)?;
            let to = at.maybe("to_account", row.to_account.as_deref())?;
            let entry = repeats.entry(account).or_insert(Repeats { to, confirmed: 0 });
            *entry = Repeats { to, confirmed: if entry.to == to { entry.confirmed + 1 } else { 1 } };
        }
        repeats.retain(|_, repeat| repeat.confirmed >= at_least);
        Ok(repeats)
    }
}

/// Refuses an update that met no row.
fn one_row(rows: u64, id: ChangeId) -> Result<(), HistoryError> {
    if rows == 1 { Ok(()) } else { Err(HistoryError::Missing { what: "change", id: id.to_string() }) }
}

/// The list of changes as SQL. Each filter has an index; none makes SQLite read the whole table.
pub(super) fn list_query(filter: &ChangeFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(" where intent_at >= ").push_bind(filter.since.map_or(i64::MIN, stamp));
    if let Some(job) = &filter.job {
        query.push(" and job = ").push_bind(job.clone());
    }
    if let Some(run) = &filter.run {
        query.push(" and run = ").push_bind(run.as_str().to_owned());
    }
    if let Some(user) = &filter.user {
        query.push(" and id in (select id from change where person = ").push_bind(user.clone());
        query.push(" union select id from change where login collate nocase = ").push_bind(user.clone());
        query.push(" union select id from change where upn collate nocase = ").push_bind(user.clone()).push(")");
    }
    query.push(" order by intent_at desc, id desc limit ").push_bind(i64::from(filter.limit.unwrap_or(LIMIT)));
    query
}
