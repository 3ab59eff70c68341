//! What the service keeps of a job: the schedule whose moments count, and whether somebody paused it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use crate::domain::moment::Disposition;
use crate::history::error::HistoryError;
use crate::history::moments::{bygone_row, write_rows};
use crate::history::rows::{Row, stamp};
use crate::history::{History, Write};

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

/// Moments of a job that came, and of which nothing came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bygone {
    pub job: String,
    pub moments: Vec<Timestamp>,
    pub disposition: Disposition,
    pub reason: String,
}

/// A schedule that a job did not have before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSchedule {
    pub job: String,
    /// As in [`Scheduled`].
    pub schedule: String,
    pub zone: String,
}

/// What changes when a configuration is taken up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenUp {
    pub bygone: Vec<Bygone>,
    pub new: Vec<NewSchedule>,
    /// All jobs with a schedule. Those of others are forgotten; whoever is paused stays so.
    pub scheduled: Vec<String>,
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

    /// Stores what a configuration changes that is in force since `at`, all of it or nothing. The moments of new schedules
    /// count after that.
    pub async fn take_up(&self, taken: &TakenUp, at: Timestamp) -> Result<(), HistoryError> {
        let mut tx = self.begin().await?;
        for Bygone { job, moments, disposition, reason } in &taken.bygone {
            let rows = moments.iter().map(|moment| bygone_row(job, *moment, *disposition, reason));
            write_rows(&mut tx, rows, at).await?;
        }
        for new in &taken.new {
            schedule(&mut tx, new, at).await?;
        }
        let jobs = json!(taken.scheduled).to_string();
        sqlx::query!(
            "update job set schedule = null, zone = null, since = null
              where schedule is not null and name not in (select value from json_each(?))",
            jobs
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
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

async fn schedule(tx: &mut Write<'_>, new: &NewSchedule, since: Timestamp) -> Result<(), HistoryError> {
    let NewSchedule { job, schedule, zone } = new;
    let since = stamp(since);
    sqlx::query!(
        "insert into job (name, schedule, zone, since) values (?, ?, ?, ?)
             on conflict (name) do update set schedule = excluded.schedule, zone = excluded.zone, since = excluded.since",
        job,
        schedule,
        zone,
        since
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::moments::MomentFilter;
    use crate::history::testing::{Place, at, new_schedule, take_up};

    #[tokio::test]
    async fn a_schedule_is_kept_until_another_comes_or_the_job_is_taken_out() {
        let place = Place::new().await;
        let history = &place.history;
        assert_eq!(history.scheduled("managers").await.unwrap(), None);
        take_up(history, &[("managers", "cron 0 2 * * *"), ("licenses", "every 2 days")], at(0)).await;
        let new = vec![new_schedule("managers", "cron 0 3 * * *")];
        let jobs = ["managers", "licenses"].map(str::to_owned).to_vec();
        history.take_up(&TakenUp { new, scheduled: jobs, ..TakenUp::default() }, at(60)).await.unwrap();
        let later = Scheduled { schedule: "cron 0 3 * * *".to_owned(), zone: "UTC".to_owned(), since: at(60) };
        assert_eq!(history.scheduled("managers").await.unwrap(), Some(later.clone()));
        let schedules = history.schedules().await.unwrap();
        assert_eq!(schedules.keys().collect::<Vec<_>>(), ["licenses", "managers"]);
        assert_eq!((schedules["managers"].clone(), schedules["licenses"].since), (later.clone(), at(0)));
        let jobs = ["managers", "unheard-of"].map(str::to_owned).to_vec();
        history.take_up(&TakenUp { scheduled: jobs, ..TakenUp::default() }, at(70)).await.unwrap();
        assert_eq!(history.scheduled("managers").await.unwrap(), Some(later));
        assert_eq!(history.scheduled("licenses").await.unwrap(), None);
        take_up(history, &[], at(80)).await;
        assert_eq!(history.scheduled("managers").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_configuration_is_stored_whole_or_not_at_all() {
        let place = Place::new().await;
        let history = &place.history;
        let guard = "create trigger full before insert on job when new.name = 'licenses'
                     begin select raise(abort, 'no room'); end";
        sqlx::query(guard).execute(history.writer().unwrap()).await.unwrap();
        take_up(history, &[("keepalive", "every 1 day")], at(0)).await;
        let bygone = Bygone {
            job: "managers".to_owned(),
            moments: vec![at(1)],
            disposition: Disposition::Down,
            reason: "the schedule was changed".to_owned(),
        };
        let new = ["managers", "licenses"].map(|job| new_schedule(job, "every 2 days")).to_vec();
        let scheduled = ["managers", "licenses"].map(str::to_owned).to_vec();
        let mut taken = TakenUp { bygone: vec![bygone], scheduled, new };
        history.take_up(&taken, at(9)).await.unwrap_err();
        let rows = async || history.list_moments(&MomentFilter::default()).await.unwrap();
        let jobs = async || history.schedules().await.unwrap().into_keys().collect::<Vec<_>>();
        assert_eq!((rows().await.len(), jobs().await), (0, vec!["keepalive".to_owned()]));
        taken.new.truncate(1);
        history.take_up(&taken, at(9)).await.unwrap();
        assert_eq!(jobs().await, ["managers"]);
        let row = &rows().await[0];
        assert_eq!((row.planned_at, row.disposition), (at(1), Disposition::Down));
    }

    #[tokio::test]
    async fn a_pause_outlives_the_schedule_and_names_who_was_first() {
        let place = Place::new().await;
        let history = &place.history;
        assert!(!history.resume("managers").await.unwrap());
        assert!(history.pause("managers", at(0), "ana").await.unwrap());
        assert!(!history.pause("managers", at(9), "bo").await.unwrap());
        take_up(history, &[("managers", "cron 0 2 * * *"), ("licenses", "cron 0 2 * * *")], at(20)).await;
        take_up(history, &[], at(21)).await;
        let place = place.killed().await;
        assert_eq!(place.history.schedules().await.unwrap(), BTreeMap::new());
        let paused = BTreeMap::from([("managers".to_owned(), Pause { at: at(0), by: "ana".to_owned() })]);
        assert_eq!(place.history.pauses().await.unwrap(), paused);
        assert!(place.history.resume("managers").await.unwrap());
        assert!(place.history.pauses().await.unwrap().is_empty());
        assert!(place.history.pause("managers", at(30), "bo").await.unwrap());
    }
}
