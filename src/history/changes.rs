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

impl ChangeId {
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
    /// value was written, since the person was last released, and since an undo. Writes of an undo never count. Looks at writes at or
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
            r#"select change.id as "id!", change.account as "account!", change.to_account as "to_account?",
                      run.trigger = 'undo' as "undo!: bool"
                 from change
                 join run on run.id = change.run
                where change.job = ?1 and change.intent_at >= ?2
                  and change.account in (select account from change where job = ?1 and intent_at >= ?2
                                          group by account having count(*) >= ?3)
                  and change.settled in ('confirmed', 'written')
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
            if row.undo {
                repeats.remove(&account);
                continue;
            }
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
    query.push(" order by intent_at desc, id desc limit ").push_bind(i64::from(filter.limit.unwrap_or(LIMIT)));
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::Reason;
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
        assert_eq!(
            (open[1].from, open[1].to, open[1].state),
            (Some(account(8)), Some(account(9)), ChangeState::Intended)
        );
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
        for bits in 0_u8..16 {
            let filter = ChangeFilter {
                until: Some(at(100)),
                user: (bits & 1 > 0).then(|| "a@example.com".to_owned()),
                job: (bits & 2 > 0).then(|| "managers".to_owned()),
                run: (bits & 4 > 0).then(|| RunId::stored("aaaa0001")),
                since: (bits & 8 > 0).then(|| at(0)),
                limit: None,
            };
            let steps = query_plan(&place.history, list_query(&filter).sql().as_str()).await;
            let narrow = bits & 5 > 0;
            assert!(
                narrow || !steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER")),
                "{filter:?}: {steps:#?}"
            );
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
}
