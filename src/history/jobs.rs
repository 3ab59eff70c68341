//! What the service keeps of a job: the schedule whose moments count, and whether somebody paused it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, stamp};

/// The schedule that the service last served a job by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// As it was written, with its kind before it: `cron 0 2 * * *`, `every 2 days`.
    pub schedule: String,
    /// The name of its time zone.
    pub zone: String,
    /// Moments after this instant count.
    pub since: Timestamp,
}

/// A job that somebody paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub at: Timestamp,
    pub by: String,
}

impl History {
    /// The schedule that a job was last served by; `None` when it has none, or is new.
    pub async fn scheduled(&self, job: &str) -> Result<Option<Scheduled>, HistoryError> {
        let row = sqlx::query!(
            r#"select schedule as "schedule!", zone as "zone!", since as "since!"
                 from job where name = ? and schedule is not null"#,
            job
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| {
            let since = Row { table: "job", id: job }.time("since", row.since)?;
            Ok(Scheduled { schedule: row.schedule, zone: row.zone, since })
        })
        .transpose()
    }

    /// Every job that has a schedule on record, by name.
    pub async fn schedules(&self) -> Result<BTreeMap<String, Scheduled>, HistoryError> {
        let rows = sqlx::query!(
            r#"select name, schedule as "schedule!", zone as "zone!", since as "since!"
                 from job where schedule is not null"#
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let since = Row { table: "job", id: &row.name }.time("since", row.since)?;
                Ok((row.name, Scheduled { schedule: row.schedule, zone: row.zone, since }))
            })
            .collect()
    }

    /// Remembers the schedule of a job, whose moments count after `since`.
    pub async fn schedule_job(
        &self,
        job: &str,
        schedule: &str,
        zone: &str,
        since: Timestamp,
    ) -> Result<(), HistoryError> {
        let since = stamp(since);
        sqlx::query!(
            "insert into job (name, schedule, zone, since) values (?, ?, ?, ?)
             on conflict (name) do update set schedule = excluded.schedule, zone = excluded.zone, since = excluded.since",
            job,
            schedule,
            zone,
            since
        )
        .execute(self.writer()?)
        .await?;
        Ok(())
    }

    /// Forgets the schedules of all jobs but these. Whoever is paused stays so.
    pub async fn unschedule_jobs_except(&self, jobs: &[&str]) -> Result<(), HistoryError> {
        let jobs = json!(jobs).to_string();
        sqlx::query!(
            "update job set schedule = null, zone = null, since = null
              where schedule is not null and name not in (select value from json_each(?))",
            jobs
        )
        .execute(self.writer()?)
        .await?;
        Ok(())
    }

    /// Pauses a job, across restarts too. False when it is paused already: the first to do it stays on record.
    pub async fn pause(&self, job: &str, at: Timestamp, by: &str) -> Result<bool, HistoryError> {
        let at = stamp(at);
        let done = sqlx::query!(
            "insert into job (name, paused_at, paused_by) values (?, ?, ?)
             on conflict (name) do update set paused_at = excluded.paused_at, paused_by = excluded.paused_by
              where job.paused_at is null",
            job,
            at,
            by
        )
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Lets a paused job go on. False when it was not paused.
    pub async fn resume(&self, job: &str) -> Result<bool, HistoryError> {
        let done = sqlx::query!(
            "update job set paused_at = null, paused_by = null where name = ? and paused_at is not null",
            job
        )
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// The paused jobs, by name.
    pub async fn pauses(&self) -> Result<BTreeMap<String, Pause>, HistoryError> {
        let rows =
            sqlx::query!(r#"select name, paused_at as "at!", paused_by as "by!" from job where paused_at is not null"#)
                .fetch_all(&self.reader)
                .await?;
        rows.into_iter()
            .map(|row| {
                let at = Row { table: "job", id: &row.name }.time("paused_at", row.at)?;
                Ok((row.name, Pause { at, by: row.by }))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::{Place, at};

    #[tokio::test]
    async fn a_schedule_is_kept_until_another_comes_or_the_job_is_taken_out() {
        let place = Place::new().await;
        let history = &place.history;
        assert_eq!(history.scheduled("managers").await.unwrap(), None);
        history.schedule_job("managers", "cron 0 2 * * *", "Europe/Oslo", at(0)).await.unwrap();
        history.schedule_job("licenses", "every 2 days", "UTC", at(0)).await.unwrap();
        history.schedule_job("managers", "cron 0 3 * * *", "UTC", at(60)).await.unwrap();
        let later = Scheduled { schedule: "cron 0 3 * * *".to_owned(), zone: "UTC".to_owned(), since: at(60) };
        assert_eq!(history.scheduled("managers").await.unwrap(), Some(later.clone()));
        let schedules = history.schedules().await.unwrap();
        assert_eq!(schedules.keys().collect::<Vec<_>>(), ["licenses", "managers"]);
        assert_eq!(schedules["managers"], later);
        history.unschedule_jobs_except(&["managers", "unheard-of"]).await.unwrap();
        assert_eq!(history.scheduled("managers").await.unwrap(), Some(later));
        assert_eq!(history.scheduled("licenses").await.unwrap(), None);
        history.unschedule_jobs_except(&[]).await.unwrap();
        assert_eq!(history.scheduled("managers").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_pause_outlives_the_schedule_and_names_who_was_first() {
        let place = Place::new().await;
        let history = &place.history;
        assert!(!history.resume("managers").await.unwrap());
        assert!(history.pause("managers", at(0), "ana").await.unwrap());
        assert!(!history.pause("managers", at(9), "bo").await.unwrap());
        history.schedule_job("managers", "cron 0 2 * * *", "UTC", at(20)).await.unwrap();
        history.schedule_job("licenses", "cron 0 2 * * *", "UTC", at(20)).await.unwrap();
        history.unschedule_jobs_except(&[]).await.unwrap();
        let place = place.killed().await;
        assert_eq!(place.history.schedules().await.unwrap(), BTreeMap::new());
        let paused = BTreeMap::from([("managers".to_owned(), Pause { at: at(0), by: "ana".to_owned() })]);
        assert_eq!(place.history.pauses().await.unwrap(), paused);
        assert!(place.history.resume("managers").await.unwrap());
        assert!(place.history.pauses().await.unwrap().is_empty());
        assert!(place.history.pause("managers", at(30), "bo").await.unwrap());
    }
}
