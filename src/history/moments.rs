//! The ledger: what became of every scheduled moment.

use jiff::Timestamp;

use crate::domain::moment::Moment;
use crate::domain::run::RunId;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, stamp};
use crate::history::runs::LIMIT;

/// Which moments to list. The default lists the newest of all.
#[derive(Clone, Debug, Default)]
pub struct MomentFilter {
    pub job: Option<String>,
    /// Planned for then or later.
    pub since: Option<Timestamp>,
    /// Planned for before.
    pub until: Option<Timestamp>,
    /// Only those at which the job did not run.
    pub missed_only: bool,
    /// At most so many; `None` is 100.
    pub limit: Option<u32>,
}

struct MomentRow {
    job: String,
    planned_at: i64,
    disposition: String,
    run: Option<String>,
    reason: Option<String>,
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
            job: row.job,
        })
    }
}

impl History {
    /// Records what became of a moment, as known at `at`. The later word replaces the former: a moment is told when its run
    /// begins and again when that has ended.
    pub async fn record_moment(&self, moment: &Moment, at: Timestamp) -> Result<(), HistoryError> {
        let (planned_at, recorded_at) = (stamp(moment.planned_at), stamp(at));
        let (disposition, run) = (moment.disposition.as_str(), moment.run.as_ref().map(RunId::as_str));
        sqlx::query!(
            "insert into moment (job, planned_at, disposition, run, reason, recorded_at) values (?, ?, ?, ?, ?, ?)
             on conflict (job, planned_at) do update
                set disposition = excluded.disposition, run = excluded.run, reason = excluded.reason,
                    recorded_at = excluded.recorded_at",
            moment.job,
            planned_at,
            disposition,
            run,
            moment.reason,
            recorded_at
        )
        .execute(self.writer()?)
        .await?;
        Ok(())
    }

    /// The latest moment of a job in the ledger.
    pub async fn last_moment(&self, job: &str) -> Result<Option<Moment>, HistoryError> {
        let row = sqlx::query_as!(
            MomentRow,
            "select job, planned_at, disposition, run, reason
               from moment where job = ? order by planned_at desc limit 1",
            job
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(Moment::try_from).transpose()
    }

    /// Moments that fit, newest first.
    pub async fn list_moments(&self, filter: &MomentFilter) -> Result<Vec<Moment>, HistoryError> {
        let since = filter.since.map_or(i64::MIN, stamp);
        let until = filter.until.map_or(i64::MAX, stamp);
        let limit = i64::from(filter.limit.unwrap_or(LIMIT));
        let rows = sqlx::query_as!(
            MomentRow,
            "select job, planned_at, disposition, run, reason
               from moment
              where planned_at >= ?1 and planned_at < ?2 and (?3 is null or job = ?3)
                and (not ?4 or disposition not in ('ran', 'late', 'caught_up'))
              order by planned_at desc limit ?5",
            since,
            until,
            filter.job,
            filter.missed_only,
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
    use crate::domain::moment::Disposition;
    use crate::history::testing::{Place, at};

    fn moment(when: i64, disposition: Disposition) -> Moment {
        Moment {
            job: "managers".to_owned(),
            planned_at: at(when),
            disposition,
            run: Some(RunId::stored("aaaa0001")),
            reason: None,
        }
    }

    #[tokio::test]
    async fn every_moment_has_one_word_and_the_later_one_stands() {
        let place = Place::new().await;
        for (when, disposition) in (0..).zip(Disposition::ALL) {
            let early = Moment { run: None, reason: Some("begun".to_owned()), ..moment(when, Disposition::Ran) };
            place.history.record_moment(&early, at(when)).await.unwrap();
            place.history.record_moment(&moment(when, *disposition), at(when + 60)).await.unwrap();
        }
        let last = place.history.last_moment("managers").await.unwrap();
        assert_eq!(last, Some(moment(11, Disposition::QueueFull)));
        assert_eq!(place.history.last_moment("other").await.unwrap(), None);
        let found = async |filter: MomentFilter| place.history.list_moments(&filter).await.unwrap();
        assert_eq!(found(MomentFilter::default()).await.len(), 12);
        assert_eq!(found(MomentFilter { missed_only: true, ..MomentFilter::default() }).await.len(), 9);
        assert_eq!(found(MomentFilter { job: Some("other".to_owned()), ..MomentFilter::default() }).await, []);
        let last = MomentFilter { since: Some(at(10)), limit: Some(1), ..MomentFilter::default() };
        assert_eq!(found(last).await, [moment(11, Disposition::QueueFull)]);
        let first = MomentFilter { until: Some(at(1)), ..MomentFilter::default() };
        assert_eq!(found(first).await, [moment(0, Disposition::Ran)]);
    }
}
