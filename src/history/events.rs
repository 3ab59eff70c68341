//! What runs noticed: for whoever tells people, and for whoever asks later.
//!
//! This is where a room that sends notices begins: [`History::events_of_run`] hands over what a run noticed, as data, each
//! event with its kind, severity, key, title and lines. The same list stands in a run's report.

use jiff::Timestamp;

use crate::domain::event::{Alarm, Alarms, Event, News};
use crate::domain::run::RunId;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, stamp};
use crate::history::{History, Write};

/// An event and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    pub run: RunId,
    pub job: String,
    pub at: Timestamp,
    pub event: Event,
}

/// Which events; every part narrows.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    pub job: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub limit: Option<u32>,
}

struct StoredEvent {
    id: i64,
    run: String,
    job: String,
    at: i64,
    kind: String,
    severity: String,
    key: String,
    subject: String,
    title: String,
    lines: String,
}

impl TryFrom<StoredEvent> for EventRow {
    type Error = HistoryError;

    fn try_from(row: StoredEvent) -> Result<Self, HistoryError> {
        let id = row.id.to_string();
        let at = Row { table: "event", id: &id };
        Ok(Self {
            at: at.time("at", row.at)?,
            event: Event {
                kind: at.parse("kind", &row.kind)?,
                severity: at.parse("severity", &row.severity)?,
                key: row.key,
                subject: row.subject,
                title: row.title,
                lines: serde_json::from_str(&row.lines).map_err(|error| at.bad("lines", error))?,
            },
            run: RunId::stored(&row.run),
            job: row.job,
        })
    }
}

impl History {
    /// What a run noticed, in the order in which it is to be told.
    pub async fn events_of_run(&self, run: &RunId) -> Result<Vec<Event>, HistoryError> {
        let run = run.as_str();
        let rows = sqlx::query_as!(
            StoredEvent,
            "select id, run, job, at, kind, severity, key, subject, title, lines from event where run = ? order by id",
            run
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(|row| Ok(EventRow::try_from(row)?.event)).collect()
    }

    /// The events that fit, newest first.
    pub async fn list_events(&self, filter: &EventFilter) -> Result<Vec<EventRow>, HistoryError> {
        let (since, until) = (filter.since.map_or(i64::MIN, stamp), filter.until.map_or(i64::MAX, stamp));
        let limit = filter.limit.map_or(-1, i64::from);
        let rows = match &filter.job {
            Some(job) => {
                sqlx::query_as!(
                    StoredEvent,
                    "select id, run, job, at, kind, severity, key, subject, title, lines from event
                      where job = ? and at >= ? and at <= ? order by at desc, id desc limit ?",
                    job,
                    since,
                    until,
                    limit
                )
                .fetch_all(&self.reader)
                .await?
            }
            None => {
                sqlx::query_as!(
                    StoredEvent,
                    "select id, run, job, at, kind, severity, key, subject, title, lines from event
                      where at >= ? and at <= ? order by at desc, id desc limit ?",
                    since,
                    until,
                    limit
                )
                .fetch_all(&self.reader)
                .await?
            }
        };
        rows.into_iter().map(EventRow::try_from).collect()
    }

    /// What a job has told and need not tell again.
    pub async fn alarms(&self, job: &str) -> Result<Alarms, HistoryError> {
        let rows = sqlx::query!("select kind, subject, date, days from alarm where job = ?", job);
        let rows = rows.fetch_all(&self.reader).await?;
        rows.into_iter()
            .map(|row| {
                let at = Row { table: "alarm", id: &row.subject };
                let (kind, days) = (at.parse("kind", &row.kind)?, at.number("days", row.days)?);
                let date = at.maybe_time("date", Some(row.date).filter(|date| *date != 0))?;
                Ok((Alarm { kind, subject: row.subject, date }, days))
            })
            .collect()
    }
}

/// Records what a run noticed, and which alarms stand from now on.
pub(super) async fn record(
    tx: &mut Write<'_>,
    (job, run, at): (&str, &RunId, Timestamp),
    news: &News,
) -> Result<(), HistoryError> {
    let (run, at) = (run.as_str(), stamp(at));
    for event in &news.events {
        let (kind, severity) = (event.kind.as_str(), event.severity.as_str());
        let lines = serde_json::json!(event.lines).to_string();
        sqlx::query!(
            "insert into event (run, job, at, kind, severity, key, subject, title, lines)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            run,
            job,
            at,
            kind,
            severity,
            event.key,
            event.subject,
            event.title,
            lines
        )
        .execute(&mut **tx)
        .await?;
    }
    sqlx::query!("delete from alarm where job = ?", job).execute(&mut **tx).await?;
    for (alarm, days) in &news.alarms {
        let (kind, date, days) = (alarm.kind.as_str(), alarm.date.map_or(0, stamp), i64::from(*days));
        sqlx::query!(
            "insert into alarm (job, kind, subject, date, days) values (?, ?, ?, ?, ?)",
            job,
            kind,
            alarm.subject,
            date,
            days
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{EventKind, Severity};
    use crate::domain::run::Trigger;
    use crate::history::testing::{Place, at, past_run};

    fn event(kind: EventKind) -> Event {
        Event {
            kind,
            severity: Severity::Warning,
            key: format!("{kind}/s"),
            subject: "s".to_owned(),
            title: "E5 ends in 13 days".to_owned(),
            lines: vec!["bought 25".to_owned()],
        }
    }

    #[tokio::test]
    async fn events_come_back_by_run_and_newest_first() {
        let place = Place::new().await;
        let history = &place.history;
        let alarm = Alarm { kind: EventKind::Expiring, subject: "s".to_owned(), date: Some(at(900)) };
        let other = Alarm { kind: EventKind::OverUsed, subject: "s".to_owned(), date: None };
        let mut news = News { events: vec![event(EventKind::Expiring), event(EventKind::OverUsed)], ..News::default() };
        for (id, when, job, days) in [("run1", 0, "licenses", 14), ("run2", 10, "second", 7)] {
            let run = past_run(history, id, Trigger::Schedule, when).await;
            news.alarms = [(alarm.clone(), days), (other.clone(), 0)].into();
            let mut tx = history.begin().await.unwrap();
            record(&mut tx, (job, &run, at(when)), &news).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(history.events_of_run(&run).await.unwrap(), news.events);
        }
        assert_eq!(history.alarms("licenses").await.unwrap()[&alarm], 14);
        assert_eq!(history.alarms("second").await.unwrap(), news.alarms, "each job has its own");
        let told = |rows: Vec<EventRow>| rows.into_iter().map(|row| (row.run.to_string(), row.event.kind)).collect();
        let all: Vec<_> = told(history.list_events(&EventFilter::default()).await.unwrap());
        assert_eq!((all.len(), &all[0]), (4, &("run2".to_owned(), EventKind::OverUsed)));
        let filter =
            EventFilter { job: Some("licenses".to_owned()), until: Some(at(5)), limit: Some(1), since: Some(at(0)) };
        let one: Vec<_> = told(history.list_events(&filter).await.unwrap());
        assert_eq!(one, [("run1".to_owned(), EventKind::OverUsed)]);
    }
}
