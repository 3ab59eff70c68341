//! The ledger: what became of every scheduled moment.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::run::{RunId, words};
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, stamp};

words! {
    /// What became of a scheduled moment.
    Disposition, "disposition", {
        Ran => "ran",
        Late => "late",
        /// Missed, and run later.
        CaughtUp => "caught_up",
        /// Covered by a later run.
        Collapsed => "collapsed",
        TooOld => "too_old",
        Skipped => "skipped",
        /// The job was still running.
        Overlap => "overlap",
        TooSoon => "too_soon",
        Paused => "paused",
        /// The program was not running.
        Down => "down",
        /// The machine slept.
        Asleep => "asleep",
        QueueFull => "queue_full",
    }
}

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub job: String,
    pub planned_at: Timestamp,
    pub disposition: Disposition,
    /// The run that it began or that covers it.
    pub run: Option<RunId>,
    pub reason: Option<String>,
    pub recorded_at: Timestamp,
}

struct MomentRow {
    job: String,
    planned_at: i64,
    disposition: String,
    run: Option<String>,
    reason: Option<String>,
    recorded_at: i64,
}

impl TryFrom<MomentRow> for Moment {
    type Error = HistoryError;

    fn try_from(row: MomentRow) -> Result<Self, HistoryError> {
        let id = format!("{} {}", row.job, row.planned_at);
        let at = Row { table: "moment", id: &id };
        Ok(Self {
            planned_at: at.time("planned_at", row.planned_at)?,
            disposition: at.parse("disposition", &row.disposition)?,
            run: row.run.as_deref().map(RunId::stored),
            reason: row.reason,
            recorded_at: at.time("recorded_at", row.recorded_at)?,
            job: row.job,
        })
    }
}

impl History {
    /// Records what became of a moment. The first word stands: `false` when the moment has one already.
    pub async fn record_moment(&self, moment: &Moment) -> Result<bool, HistoryError> {
        let (planned_at, recorded_at) = (stamp(moment.planned_at), stamp(moment.recorded_at));
        let (disposition, run) = (moment.disposition.as_str(), moment.run.as_ref().map(RunId::as_str));
        let done = sqlx::query!(
            "insert into moment (job, planned_at, disposition, run, reason, recorded_at) values (?, ?, ?, ?, ?, ?)
             on conflict (job, planned_at) do nothing",
            moment.job,
            planned_at,
            disposition,
            run,
            moment.reason,
            recorded_at
        )
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The latest moment of a job in the ledger.
    pub async fn last_moment(&self, job: &str) -> Result<Option<Moment>, HistoryError> {
        let row = sqlx::query_as!(
            MomentRow,
            "select job, planned_at, disposition, run, reason, recorded_at
               from moment where job = ? order by planned_at desc limit 1",
            job
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(Moment::try_from).transpose()
    }

    /// Moments at or after one, newest first, of all jobs; with `missed_only`, those at which the job did not run.
    pub async fn list_moments(
        &self,
        since: Timestamp,
        missed_only: bool,
        limit: u32,
    ) -> Result<Vec<Moment>, HistoryError> {
        let (since, limit) = (stamp(since), i64::from(limit));
        let rows = sqlx::query_as!(
            MomentRow,
            "select job, planned_at, disposition, run, reason, recorded_at
               from moment
              where planned_at >= ? and (not ? or disposition not in ('ran', 'late', 'caught_up'))
              order by planned_at desc limit ?",
            since,
            missed_only,
            limit
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Moment::try_from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::{Place, at};

    fn moment(when: i64, disposition: Disposition) -> Moment {
        Moment {
            job: "managers".to_owned(),
            planned_at: at(when),
            disposition,
            run: Some(RunId::stored("aaaa0001")),
            reason: None,
            recorded_at: at(when + 1),
        }
    }

    #[tokio::test]
    async fn every_moment_has_one_word_and_the_first_stands() {
        let place = Place::new().await;
        for (when, disposition) in (0..).zip(Disposition::ALL) {
            assert!(place.history.record_moment(&moment(when, *disposition)).await.unwrap());
            assert!(!place.history.record_moment(&moment(when, Disposition::Down)).await.unwrap());
        }
        let last = place.history.last_moment("managers").await.unwrap();
        assert_eq!(last, Some(moment(11, Disposition::QueueFull)));
        assert_eq!(place.history.last_moment("other").await.unwrap(), None);
        assert_eq!(place.history.list_moments(at(0), false, 100).await.unwrap().len(), 12);
        assert_eq!(place.history.list_moments(at(0), true, 100).await.unwrap().len(), 9);
        assert_eq!(place.history.list_moments(at(10), false, 1).await.unwrap(), [moment(11, Disposition::QueueFull)]);
    }
}
