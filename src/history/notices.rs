//! What people are to be told: what is wrong, as each channel knows it, and the notices that come of an event.
//!
//! Deciding is not this room's: it reads what is remembered, asks a function, and writes what that says, all within one
//! transaction. So two processes never tell the same thing twice, and a run and its notices are written together.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::domain::notice::{Manner, Output, Severity, Tone};
use crate::domain::run::RunId;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, signed, stamp};
use crate::history::{History, Write};

/// A trouble that stands, as one channel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub channel: String,
    /// Names the trouble: `run:managers`.
    pub key: String,
    pub job: Option<String>,
    /// What it is just now, a code word or two.
    pub cause: String,
    /// All that the channel heard it is since it began, the newest last.
    pub causes: Vec<String>,
    pub manner: Manner,
    pub severity: Severity,
    pub title: String,
    pub lines: Vec<String>,
    pub since: Timestamp,
    pub last_at: Timestamp,
    pub seen: u64,
    /// When the channel first heard of it under this cause.
    pub told_at: Timestamp,
    pub reminders: u32,
}

/// A notice to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// A UUID: the same in every attempt to deliver it.
    pub uid: String,
    pub channel: String,
    pub job: Option<String>,
    pub run: Option<RunId>,
    pub kind: String,
    /// The name of the event's trouble, where it comes of one.
    pub key: Option<String>,
    pub tone: Tone,
    pub severity: Severity,
    pub title: String,
    pub lines: Vec<String>,
    pub outputs: Vec<Output>,
    pub made_at: Timestamp,
}

/// A line of a later digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestItem {
    pub channel: String,
    pub at: Timestamp,
    pub job: Option<String>,
    pub severity: Severity,
    pub title: String,
}

/// What is remembered of what an event is about.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Of every channel.
    pub standings: Vec<Standing>,
    /// The lowest share of people left unresolved since a rise was told, in percent.
    pub share: Option<f64>,
    /// What was told lately.
    pub lately: Vec<Lately>,
}

/// A notice of the last days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lately {
    pub channel: String,
    pub key: String,
    pub job: Option<String>,
}

impl Remembered {
    /// What a channel knows of a trouble.
    #[must_use]
    pub fn of(&self, channel: &str, key: &str) -> Option<&Standing> {
        self.standings.iter().find(|standing| standing.channel == channel && standing.key == key)
    }
}

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub standings: Vec<Standing>,
    /// Troubles that are over, by channel and key.
    pub over: Vec<(String, String)>,
    pub notices: Vec<NewNotice>,
    pub items: Vec<DigestItem>,
    /// The new lowest share of the job.
    pub share: Option<f64>,
}

/// Says what is to be written, from what is remembered.
type Decide = dyn Fn(&Remembered) -> Told + Send + Sync;

/// Something to be told.
#[derive(Clone)]
pub struct Telling {
    /// When.
    now: Timestamp,
    /// The troubles that it is about; none: all of them.
    keys: Vec<String>,
    /// The job whose share of unresolved people matters.
    job: Option<String>,
    decide: Arc<Decide>,
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telling").field("keys", &self.keys).field("job", &self.job).finish_non_exhaustive()
    }
}

impl Telling {
    /// About these troubles, and the share of this job. `decide` may be asked again when the database fails meanwhile.
    #[must_use]
    pub fn new(
        now: Timestamp,
        keys: Vec<String>,
        job: Option<String>,
        decide: impl Fn(&Remembered) -> Told + Send + Sync + 'static,
    ) -> Self {
        Self { now, keys, job, decide: Arc::new(decide) }
    }
}

#[derive(sqlx::FromRow)]
struct CauseRow {
    channel: String,
    key: String,
    job: Option<String>,
    cause: String,
    causes: String,
    manner: String,
    severity: String,
    title: String,
    lines: String,
    since: i64,
    last_at: i64,
    seen: i64,
    told_at: i64,
    reminders: i64,
}

impl TryFrom<CauseRow> for Standing {
    type Error = HistoryError;

    fn try_from(row: CauseRow) -> Result<Self, HistoryError> {
        let id = format!("{} {}", row.channel, row.key);
        let at = Row { table: "cause", id: &id };
        Ok(Self {
            causes: serde_json::from_str(&row.causes).map_err(|error| at.bad("causes", error))?,
            manner: at.parse("manner", &row.manner)?,
            severity: at.parse("severity", &row.severity)?,
            lines: serde_json::from_str(&row.lines).map_err(|error| at.bad("lines", error))?,
            since: at.time("since", row.since)?,
            last_at: at.time("last_at", row.last_at)?,
            seen: at.number("seen", row.seen)?,
            told_at: at.time("told_at", row.told_at)?,
            reminders: at.number("reminders", row.reminders)?,
            channel: row.channel,
            key: row.key,
            job: row.job,
            cause: row.cause,
            title: row.title,
        })
    }
}

impl History {
    /// Decides and writes what an event means for every channel: all of it or nothing. How many notices came of it.
    pub async fn tell(&self, telling: &Telling) -> Result<usize, HistoryError> {
        let mut tx = self.begin().await?;
        let notices = tell_within(&mut tx, telling).await?;
        tx.commit().await?;
        Ok(notices)
    }

    /// Every trouble that stands, as each channel knows it.
    pub async fn standings(&self) -> Result<Vec<Standing>, HistoryError> {
        let rows = sqlx::query_as!(
            CauseRow,
            "select channel, key, job, cause, causes, manner, severity, title, lines, since, last_at, seen, told_at, reminders
               from cause order by channel, key"
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Standing::try_from).collect()
    }

    /// Up to when a channel's digests have told; `None` when there was none yet.
    pub async fn digest_told_to(&self, channel: &str) -> Result<Option<Timestamp>, HistoryError> {
        let told = sqlx::query_scalar!("select told_to from digest where channel = ?", channel)
            .fetch_optional(&self.reader)
            .await?;
        told.map(|told| Row { table: "digest", id: channel }.time("told_to", told)).transpose()
    }

    /// A channel's digests begin now: what was before is not told.
    pub async fn begin_digest(&self, channel: &str, now: Timestamp) -> Result<(), HistoryError> {
        let now = stamp(now);
        sqlx::query!(
            "insert into digest (channel, told_to) values (?, ?) on conflict (channel) do nothing",
            channel,
            now
        )
        .execute(self.writer()?)
        .await?;
        Ok(())
    }

    /// Turns what was gathered for a channel's digest until `until` into the notice that `compose` makes of it and of the
    /// troubles that stand. False when another process was faster.
    pub async fn take_digest(
        &self,
        channel: &str,
        told_to: Timestamp,
        until: Timestamp,
        compose: impl FnOnce(Vec<DigestItem>, Vec<Standing>) -> NewNotice,
    ) -> Result<bool, HistoryError> {
        let (before, end) = (stamp(told_to), stamp(until));
        let mut tx = self.begin().await?;
        let done =
            sqlx::query!("update digest set told_to = ? where channel = ? and told_to = ?", end, channel, before)
                .execute(&mut *tx)
                .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let rows = sqlx::query!(
            "delete from digest_item where channel = ? and at < ? returning at, job, severity, title",
            channel,
            end
        )
        .fetch_all(&mut *tx)
        .await?;
        let items = rows.into_iter().map(|row| {
            let at = Row { table: "digest_item", id: channel };
            let (when, severity) = (at.time("at", row.at)?, at.parse("severity", &row.severity)?);
            Ok(DigestItem { channel: channel.to_owned(), at: when, job: row.job, severity, title: row.title })
        });
        let mut items = items.collect::<Result<Vec<_>, HistoryError>>()?;
        items.sort_by_key(|item| item.at);
        let mut standings = all_standings(&mut tx).await?;
        standings.retain(|standing| standing.channel == channel);
        add_notice(&mut tx, &compose(items, standings)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Forgets what stands for channels and jobs that are not configured any more, and gives their waiting notices up.
    pub async fn keep_notices_of(&self, channels: &[&str], jobs: &[&str], now: Timestamp) -> Result<(), HistoryError> {
        let (channels, jobs, now) = (json!(channels).to_string(), json!(jobs).to_string(), stamp(now));
        let mut tx = self.begin().await?;
        sqlx::query!(
            "delete from cause where channel not in (select value from json_each(?1))
                or job is not null and job not in (select value from json_each(?2))",
            channels,
            jobs
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("delete from channel where name not in (select value from json_each(?))", channels)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("delete from digest where channel not in (select value from json_each(?))", channels)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("delete from digest_item where channel not in (select value from json_each(?))", channels)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("delete from unresolved_share where job not in (select value from json_each(?))", jobs)
            .execute(&mut *tx)
            .await?;
        sqlx::query!(
            "update notice set state = 'given_up', settled_at = ?2, problem = 'its channel is not configured any more'
              where state = 'waiting' and channel not in (select value from json_each(?1))",
            channels,
            now
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}

async fn all_standings(tx: &mut Write<'_>) -> Result<Vec<Standing>, HistoryError> {
    let rows = sqlx::query_as!(
        CauseRow,
        "select channel, key, job, cause, causes, manner, severity, title, lines, since, last_at, seen, told_at, reminders
           from cause order by channel, key"
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(Standing::try_from).collect()
}

/// The same as [`History::tell`], within the transaction of whoever tells.
pub(super) async fn tell_within(tx: &mut Write<'_>, telling: &Telling) -> Result<usize, HistoryError> {
    // A handful of rows: what is wrong just now.
    let mut standings = all_standings(tx).await?;
    standings.retain(|standing| telling.keys.is_empty() || telling.keys.contains(&standing.key));
    let share = match &telling.job {
        Some(job) => {
            sqlx::query_scalar!("select share from unresolved_share where job = ?", job)
                .fetch_optional(&mut **tx)
                .await?
        }
        None => None,
    };
    let lately = told_lately(tx, telling).await?;
    let told = (telling.decide)(&Remembered { standings, share, lately });
    for (channel, key) in &told.over {
        sqlx::query!("delete from cause where channel = ? and key = ?", channel, key).execute(&mut **tx).await?;
    }
    for standing in &told.standings {
        put_standing(tx, standing).await?;
    }
    for item in &told.items {
        let (at, severity) = (stamp(item.at), item.severity.as_str());
        sqlx::query!(
            "insert into digest_item (channel, at, job, severity, title) values (?, ?, ?, ?, ?)",
            item.channel,
            at,
            item.job,
            severity,
            item.title
        )
        .execute(&mut **tx)
        .await?;
    }
    if let (Some(job), Some(share)) = (&telling.job, told.share) {
        sqlx::query!(
            "insert into unresolved_share (job, share) values (?, ?)
             on conflict (job) do update set share = excluded.share",
            job,
            share
        )
        .execute(&mut **tx)
        .await?;
    }
    for notice in &told.notices {
        add_notice(tx, notice).await?;
    }
    Ok(told.notices.len())
}

/// How far back a notice keeps another job from telling the same.
const LATELY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What was told of the same things in the days before now.
async fn told_lately(tx: &mut Write<'_>, telling: &Telling) -> Result<Vec<Lately>, HistoryError> {
    let since = telling.now.checked_sub(LATELY).unwrap_or(Timestamp::MIN);
    let (keys, since) = (json!(telling.keys).to_string(), stamp(since));
    let rows = sqlx::query_as!(
        Lately,
        r#"select channel, key as "key!", job from notice
            where key in (select value from json_each(?1)) and made_at >= ?2"#,
        keys,
        since
    );
    Ok(rows.fetch_all(&mut **tx).await?)
}

async fn put_standing(tx: &mut Write<'_>, standing: &Standing) -> Result<(), HistoryError> {
    let (severity, lines) = (standing.severity.as_str(), json!(standing.lines).to_string());
    let (since, last_at, told_at) = (stamp(standing.since), stamp(standing.last_at), stamp(standing.told_at));
    let (seen, manner, causes) = (signed(standing.seen), standing.manner.as_str(), json!(standing.causes).to_string());
    sqlx::query!(
        "insert or replace into cause (channel, key, job, cause, causes, manner, severity, title, lines, since, last_at,
                                       seen, told_at, reminders)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        standing.channel,
        standing.key,
        standing.job,
        standing.cause,
        causes,
        manner,
        severity,
        standing.title,
        lines,
        since,
        last_at,
        seen,
        told_at,
        standing.reminders
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Adds a notice to the queue. Of pings only the newest of a job is kept there: an old one would tell of a time that is over.
async fn add_notice(tx: &mut Write<'_>, notice: &NewNotice) -> Result<(), HistoryError> {
    let made_at = stamp(notice.made_at);
    if notice.tone.is_ping() {
        sqlx::query!(
            "update notice set state = 'superseded', settled_at = ?3
              where state = 'waiting' and channel = ?1 and job is ?2 and tone in ('start', 'success', 'fail')",
            notice.channel,
            notice.job,
            made_at
        )
        .execute(&mut **tx)
        .await?;
    }
    let (run, tone) = (notice.run.as_ref().map(RunId::as_str), notice.tone.as_str());
    let (severity, lines) = (notice.severity.as_str(), json!(notice.lines).to_string());
    let outputs = (!notice.outputs.is_empty()).then(|| json!(notice.outputs).to_string());
    sqlx::query!(
        "insert into notice (uid, channel, job, run, kind, key, tone, severity, title, lines, outputs, made_at, next_try)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
                 max(?12, coalesce((select held_until from channel where name = ?2), 0)))",
        notice.uid,
        notice.channel,
        notice.job,
        run,
        notice.kind,
        notice.key,
        tone,
        severity,
        notice.title,
        lines,
        outputs,
        made_at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
