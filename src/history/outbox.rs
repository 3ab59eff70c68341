//! The queue of notices: what waits, who is at delivering it, what became of it, and how each channel does.

use jiff::Timestamp;

use crate::domain::notice::{NoticeState, Output, Severity, Tone};
use crate::domain::run::RunId;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, stamp};
use crate::history::runs::LIMIT;
use crate::history::{History, Write};

/// A notice as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub id: i64,
    /// The same in every attempt.
    pub uid: String,
    pub channel: String,
    pub job: Option<String>,
    pub run: Option<RunId>,
    pub kind: String,
    pub tone: Tone,
    pub severity: Severity,
    pub title: String,
    pub lines: Vec<String>,
    pub outputs: Vec<Output>,
    pub made_at: Timestamp,
    /// When it is tried again; of no meaning once it is settled.
    pub next_try: Timestamp,
    pub attempts: u32,
    pub state: NoticeState,
    pub settled_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub problem: Option<String>,
    pub hint: Option<String>,
}

/// How a channel does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelState {
    pub name: String,
    /// Since when nothing arrives, and why.
    pub failing: Option<Failing>,
    /// The last time that something arrived.
    pub delivered_at: Option<Timestamp>,
    /// How many notices wait.
    pub waiting: u64,
}

/// A channel that does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    pub since: Timestamp,
    pub problem: String,
    pub hint: Option<String>,
}

/// What an attempt to deliver a notice came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    Delivered,
    /// To be tried again then. `others`: nothing else on the channel is tried before, either.
    Later {
        at: Timestamp,
        others: bool,
        problem: String,
        hint: Option<String>,
    },
    GivenUp {
        problem: String,
        hint: Option<String>,
    },
    /// Nothing was tried: it tells of a time that is over.
    TooOld,
}

/// Which notices to list. The default lists the newest of all.
#[derive(Clone, Debug, Default)]
pub struct NoticeFilter {
    pub job: Option<String>,
    /// Made then or later.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
    /// At most so many; `None` is 100.
    pub limit: Option<u32>,
}

#[derive(sqlx::FromRow)]
struct NoticeRow {
    id: i64,
    uid: String,
    channel: String,
    job: Option<String>,
    run: Option<String>,
    kind: String,
    tone: String,
    severity: String,
    title: String,
    lines: String,
    outputs: Option<String>,
    made_at: i64,
    next_try: i64,
    attempts: i64,
    state: String,
    settled_at: Option<i64>,
    problem: Option<String>,
    hint: Option<String>,
}

impl TryFrom<NoticeRow> for Notice {
    type Error = HistoryError;

    fn try_from(row: NoticeRow) -> Result<Self, HistoryError> {
        let id = row.id.to_string();
        let at = Row { table: "notice", id: &id };
        let outputs = row.outputs.as_deref().map(serde_json::from_str).transpose();
        Ok(Self {
            tone: at.parse("tone", &row.tone)?,
            severity: at.parse("severity", &row.severity)?,
            lines: serde_json::from_str(&row.lines).map_err(|error| at.bad("lines", error))?,
            outputs: outputs.map_err(|error| at.bad("outputs", error))?.unwrap_or_default(),
            made_at: at.time("made_at", row.made_at)?,
            next_try: at.time("next_try", row.next_try)?,
            attempts: at.number("attempts", row.attempts)?,
            state: at.parse("state", &row.state)?,
            settled_at: at.maybe_time("settled_at", row.settled_at)?,
            run: row.run.as_deref().map(RunId::stored),
            id: row.id,
            uid: row.uid,
            channel: row.channel,
            job: row.job,
            kind: row.kind,
            title: row.title,
            problem: row.problem,
            hint: row.hint,
        })
    }
}

impl History {
    /// Notices that are to be delivered now and that nobody is at, oldest first; at most so many of each channel.
    pub async fn due_notices(&self, now: Timestamp, of_each: u32) -> Result<Vec<Notice>, HistoryError> {
        let now = stamp(now);
        let rows = sqlx::query_as!(
            NoticeRow,
            "select id, uid, channel, job, run, kind, tone, severity, title, lines, outputs, made_at, next_try, attempts,
                    state, settled_at, problem, hint
               from notice
              where id in (select id from (select id, row_number() over (partition by channel order by id) as place
                                             from notice
                                            where state = 'waiting' and next_try <= ?1 and coalesce(claimed_until, 0) <= ?1)
                            where place <= ?2)
              order by id",
            now,
            of_each
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Notice::try_from).collect()
    }

    /// When the next of the waiting notices is to be tried; `None` when none waits.
    pub async fn next_notice(&self) -> Result<Option<Timestamp>, HistoryError> {
        let next = sqlx::query_scalar!(
            r#"select max(next_try, coalesce(claimed_until, 0)) as "next!: i64" from notice
                where state = 'waiting' order by 1 limit 1"#
        )
        .fetch_optional(&self.reader)
        .await?;
        next.map(|next| Row { table: "notice", id: "next" }.time("next_try", next)).transpose()
    }

    /// Takes a notice in hand until then. False when somebody else has it, or it is settled.
    pub async fn claim_notice(&self, id: i64, now: Timestamp, until: Timestamp) -> Result<bool, HistoryError> {
        let (now, until) = (stamp(now), stamp(until));
        let done = sqlx::query!(
            "update notice set claimed_until = ?3
              where id = ?1 and state = 'waiting' and coalesce(claimed_until, 0) <= ?2",
            id,
            now,
            until
        )
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Records what an attempt came to, and how the channel does since.
    pub async fn settle_notice(&self, notice: &Notice, attempt: &Attempt, now: Timestamp) -> Result<(), HistoryError> {
        let (id, channel, at) = (notice.id, notice.channel.as_str(), stamp(now));
        let mut tx = self.begin().await?;
        match attempt {
            Attempt::Delivered => {
                sqlx::query!(
                    "update notice
                        set state = 'delivered', settled_at = ?2, attempts = attempts + 1, problem = null, hint = null,
                            claimed_until = null
                      where id = ?1",
                    id,
                    at
                )
                .execute(&mut *tx)
                .await?;
                mend_channel(&mut tx, channel, at).await?;
            }
            Attempt::Later { problem, hint, at: next, others } => {
                let (next, others) = (stamp(*next), i64::from(*others));
                sqlx::query!(
                    "update notice set attempts = attempts + 1, next_try = ?2, problem = ?3, hint = ?4, claimed_until = null
                      where id = ?1 and state = 'waiting'",
                    id,
                    next,
                    problem,
                    hint
                )
                .execute(&mut *tx)
                .await?;
                sqlx::query!(
                    "update notice set next_try = max(next_try, ?2) where ?3 <> 0 and channel = ?1 and state = 'waiting'",
                    channel,
                    next,
                    others
                )
                .execute(&mut *tx)
                .await?;
                fail_channel(&mut tx, channel, at, problem, hint.as_deref()).await?;
                sqlx::query!("update channel set held_until = ?2 where name = ?1 and ?3 <> 0", channel, next, others)
                    .execute(&mut *tx)
                    .await?;
            }
            Attempt::TooOld => {
                sqlx::query!(
                    "update notice
                        set state = 'given_up', settled_at = ?2, claimed_until = null,
                            problem = coalesce(problem, 'it was too old to be of use')
                      where id = ?1 and state = 'waiting'",
                    id,
                    at
                )
                .execute(&mut *tx)
                .await?;
            }
            Attempt::GivenUp { problem, hint } => {
                sqlx::query!(
                    "update notice
                        set state = 'given_up', settled_at = ?2, attempts = attempts + 1, problem = ?3, hint = ?4,
                            claimed_until = null
                      where id = ?1 and state = 'waiting'",
                    id,
                    at,
                    problem,
                    hint
                )
                .execute(&mut *tx)
                .await?;
                fail_channel(&mut tx, channel, at, problem, hint.as_deref()).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// A channel that does not work took something beside the queue: what waits for it is tried now. Nothing is noted of a
    /// channel that works, or that was never used.
    pub async fn channel_works(&self, channel: &str, now: Timestamp) -> Result<(), HistoryError> {
        let mut tx = self.begin().await?;
        let failing = sqlx::query_scalar!(
            r#"select count(*) as "count!: i64" from channel where name = ? and failing_since is not null"#,
            channel
        )
        .fetch_one(&mut *tx)
        .await?;
        if failing > 0 {
            mend_channel(&mut tx, channel, stamp(now)).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Has everything that waits tried now: the configuration is another one.
    pub async fn hurry_notices(&self, now: Timestamp) -> Result<(), HistoryError> {
        let now = stamp(now);
        let mut tx = self.begin().await?;
        sqlx::query!("update notice set next_try = ?1 where state = 'waiting' and next_try > ?1", now)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("update channel set held_until = null").execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// How each channel does that was ever used, by name.
    pub async fn channels(&self) -> Result<Vec<ChannelState>, HistoryError> {
        let rows = sqlx::query!(
            r#"select name, failing_since, problem, hint, delivered_at,
                      (select count(*) from notice where channel = channel.name and state = 'waiting') as "waiting!: i64"
                 from channel order by name"#
        )
        .fetch_all(&self.reader)
        .await?;
        let mut states = Vec::with_capacity(rows.len());
        for row in rows {
            let at = Row { table: "channel", id: &row.name };
            let failing = match (at.maybe_time("failing_since", row.failing_since)?, row.problem) {
                (Some(since), Some(problem)) => Some(Failing { since, problem, hint: row.hint }),
                _ => None,
            };
            let delivered_at = at.maybe_time("delivered_at", row.delivered_at)?;
            let waiting = at.number("waiting", row.waiting)?;
            states.push(ChannelState { name: row.name, failing, delivered_at, waiting });
        }
        Ok(states)
    }

    /// Notices that fit, newest first.
    pub async fn list_notices(&self, filter: &NoticeFilter) -> Result<Vec<Notice>, HistoryError> {
        let since = filter.since.map_or(i64::MIN, stamp);
        let until = filter.until.map_or(i64::MAX, stamp);
        let limit = filter.limit.unwrap_or(LIMIT);
        let rows = sqlx::query_as!(
            NoticeRow,
            "select id, uid, channel, job, run, kind, tone, severity, title, lines, outputs, made_at, next_try, attempts,
                    state, settled_at, problem, hint
               from notice
              where made_at >= ?1 and made_at < ?2 and (?3 is null or job = ?3)
              order by made_at desc, id desc limit ?4",
            since,
            until,
            filter.job,
            limit
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Notice::try_from).collect()
    }
}

/// Notes that a channel took something; what waited for it need not wait any longer.
async fn mend_channel(tx: &mut Write<'_>, channel: &str, at: i64) -> Result<(), HistoryError> {
    sqlx::query!(
        "update notice set next_try = ?2
          where channel = ?1 and state = 'waiting' and next_try > ?2
            and next_try <= (select held_until from channel where name = ?1)",
        channel,
        at
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "insert into channel (name, delivered_at) values (?1, ?2)
         on conflict (name) do update
            set delivered_at = excluded.delivered_at, failing_since = null, problem = null, hint = null, held_until = null",
        channel,
        at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes that a channel does not work, since when if that is new.
async fn fail_channel(
    tx: &mut crate::history::Write<'_>,
    channel: &str,
    at: i64,
    problem: &str,
    hint: Option<&str>,
) -> Result<(), HistoryError> {
    sqlx::query!(
        "insert into channel (name, failing_since, problem, hint) values (?1, ?2, ?3, ?4)
         on conflict (name) do update
            set failing_since = coalesce(channel.failing_since, excluded.failing_since), problem = excluded.problem,
                hint = excluded.hint",
        channel,
        at,
        problem,
        hint
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
