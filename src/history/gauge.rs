//! What keepalive runs found of the subscription that they watch.

use crate::domain::event::News;
use crate::domain::gauge::{Gauge, Moved, ReadAs};
use crate::domain::run::RunId;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, signed, stamp};
use crate::history::{History, events};

/// A gauge as it is written, when the run that read it has ended.
#[derive(Clone, Debug)]
pub struct Watched {
    pub job: String,
    pub gauge: Gauge,
    pub news: News,
}

struct StoredGauge {
    run: String,
    at: i64,
    part_number: String,
    read_as: Option<String>,
    state: String,
    days_left: Option<i64>,
    why: Option<String>,
    subscription: Option<String>,
    status: Option<String>,
    ends_at: Option<i64>,
    gone: i64,
    known_end: Option<i64>,
    moved_at: Option<i64>,
    moved_from: Option<i64>,
    moved_to: Option<i64>,
    calls_since: i64,
}

impl TryFrom<StoredGauge> for Gauge {
    type Error = HistoryError;

    fn try_from(row: StoredGauge) -> Result<Self, HistoryError> {
        let at = Row { table: "gauge", id: &row.run };
        let moved = match (row.moved_at, row.moved_from, row.moved_to) {
            (Some(noticed), Some(from), Some(to)) => Some(Moved {
                noticed: at.time("moved_at", noticed)?,
                from: at.time("moved_from", from)?,
                to: at.time("moved_to", to)?,
            }),
            _ => None,
        };
        Ok(Self {
            state: at.parse("state", &row.state)?,
            days_left: row.days_left,
            ends: at.maybe_time("ends_at", row.ends_at)?,
            moved,
            calls_since: at.number("calls_since", row.calls_since)?,
            why: row.why,
            part_number: row.part_number,
            subscription: row.subscription,
            status: row.status,
            gone: row.gone == 1,
            known_end: at.maybe_time("known_end", row.known_end)?,
            read_as: at.maybe("read_as", row.read_as.as_deref())?,
            read_at: at.time("at", row.at)?,
        })
    }
}

impl History {
    /// Records what a run found, and what it noticed by that, both or neither. What is there already is not written again.
    pub async fn record_gauge(&self, run: &RunId, watched: &Watched) -> Result<(), HistoryError> {
        let Watched { job, gauge, news } = watched;
        let mut tx = self.begin().await?;
        let id = run.as_str();
        let (at, read_as, state) = (stamp(gauge.read_at), gauge.read_as.map(ReadAs::as_str), gauge.state.as_str());
        let (ends_at, known_end) = (gauge.ends.map(stamp), gauge.known_end.map(stamp));
        let moved = gauge.moved.as_ref();
        let moved_at = moved.map(|moved| stamp(moved.noticed));
        let (moved_from, moved_to) = (moved.map(|moved| stamp(moved.from)), moved.map(|moved| stamp(moved.to)));
        let calls_since = signed(gauge.calls_since);
        let added = sqlx::query!(
            "insert or ignore into gauge (run, job, at, part_number, read_as, state, days_left, why, subscription, status, ends_at,
                                gone, known_end, moved_at, moved_from, moved_to, calls_since)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            id,
            job,
            at,
            gauge.part_number,
            read_as,
            state,
            gauge.days_left,
            gauge.why,
            gauge.subscription,
            gauge.status,
            ends_at,
            gauge.gone,
            known_end,
            moved_at,
            moved_from,
            moved_to,
            calls_since
        )
        .execute(&mut *tx)
        .await?;
        if added.rows_affected() == 1 {
            events::record(&mut tx, (job, run, gauge.read_at), news).await?;
        }
        Ok(tx.commit().await?)
    }

    /// What the last run of a job found that could look; as it was then, see [`Gauge::as_of`].
    pub async fn last_gauge(&self, job: &str) -> Result<Option<Gauge>, HistoryError> {
        let row = sqlx::query_as!(
            StoredGauge,
            "select run, at, part_number, read_as, state, days_left, why, subscription, status, ends_at, gone, known_end,
                    moved_at, moved_from, moved_to, calls_since
               from gauge where job = ? order by id desc limit 1",
            job
        );
        row.fetch_optional(&self.reader).await?.map(Gauge::try_from).transpose()
    }

    /// What a run found; `None` when it did not look.
    pub async fn gauge_of_run(&self, run: &RunId) -> Result<Option<Gauge>, HistoryError> {
        let run = run.as_str();
        let row = sqlx::query_as!(
            StoredGauge,
            "select run, at, part_number, read_as, state, days_left, why, subscription, status, ends_at, gone, known_end,
                    moved_at, moved_from, moved_to, calls_since
               from gauge where run = ?",
            run
        );
        row.fetch_optional(&self.reader).await?.map(Gauge::try_from).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gauge::GaugeState;
    use crate::domain::run::Trigger;
    use crate::history::testing::{Place, at, past_run};

    #[tokio::test]
    async fn a_gauge_comes_back_whole_and_the_newest_is_found() {
        let place = Place::new().await;
        let whole = Gauge {
            state: GaugeState::Active,
            days_left: Some(62),
            ends: Some(at(62 * 86_400)),
            moved: Some(Moved { noticed: at(0), from: at(10), to: at(62 * 86_400) }),
            calls_since: 3,
            why: None,
            part_number: "DEVELOPERPACK_E5".to_owned(),
            subscription: Some("s-1".to_owned()),
            status: Some("Enabled".to_owned()),
            gone: false,
            known_end: Some(at(62 * 86_400)),
            read_as: Some(ReadAs::App),
            read_at: at(0),
        };
        let unread = Gauge {
            state: GaugeState::Unknown,
            days_left: None,
            moved: None,
            why: Some("nobody may".to_owned()),
            status: None,
            gone: true,
            read_as: None,
            ..whole.clone()
        };
        assert_eq!(place.history.last_gauge("keepalive").await.unwrap(), None);
        for (id, gauge) in [("run1", &whole), ("run2", &unread)] {
            let run = past_run(&place.history, id, Trigger::Schedule, 0).await;
            let watched = Watched { job: "keepalive".to_owned(), gauge: gauge.clone(), news: News::default() };
            place.history.record_gauge(&run, &watched).await.unwrap();
            place.history.record_gauge(&run, &watched).await.unwrap();
            assert_eq!(place.history.gauge_of_run(&run).await.unwrap().as_ref(), Some(gauge));
            assert_eq!(place.history.last_gauge("keepalive").await.unwrap().as_ref(), Some(gauge));
        }
        assert_eq!(place.history.last_gauge("other").await.unwrap(), None);
    }
}
