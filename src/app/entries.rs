//! From where on each job is to be fired: the configured schedules beside what the history knows of each.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracing::{info, warn};

use crate::config::settings::JobSettings;
use crate::domain::moment::{Disposition, Moment, Past};
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::jobs::{Pause, Scheduled};
use crate::schedule::{Schedule, ScheduleError};

/// The most moments of a schedule that was changed which are recorded one by one: a week of every second.
const MOST: usize = 700_000;

/// How many of them are written at once.
const LIST: usize = 5000;

/// A scheduled job, as the service takes it up.
#[derive(Clone, Debug)]
pub struct Standing {
    pub settings: JobSettings,
    pub schedule: Schedule,
    pub past: Past,
    /// Why it is not to be run (`paused by ana`).
    pub paused: Option<String>,
}

/// When a configuration is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The service starts: nobody fired what lies between the ledger's last row and now.
    Start,
    /// The service runs: it has decided by the old schedules until now.
    Reload,
}

/// Joins `jobs` with the history, and stores there what is scheduled from now on. A new schedule counts from now; the
/// moments of the one before that nobody fired, and those of jobs that are scheduled no more, are recorded as `down`.
pub async fn standings(
    history: &History,
    jobs: impl IntoIterator<Item = &JobSettings>,
    when: When,
    now: Timestamp,
) -> Result<Vec<Standing>, HistoryError> {
    let Joined { standings, replaced, unstored } = join(history, jobs, when, now).await?;
    // Only now that everything is known: a database that fails in between has changed nothing.
    for rows in &replaced {
        rows.record(history, now).await?;
    }
    for standing in standings.iter().filter(|standing| unstored.contains(&standing.settings.name)) {
        let (settings, text) = (&standing.settings, standing.schedule.to_string());
        history.schedule_job(&settings.name, &text, &settings.zone.name, now).await?;
    }
    let names: Vec<&str> = standings.iter().map(|standing| standing.settings.name.as_str()).collect();
    history.unschedule_jobs_except(&names).await?;
    Ok(standings)
}

/// What [`standings`] would say; nothing is stored.
pub async fn foreseen(
    history: &History,
    jobs: impl IntoIterator<Item = &JobSettings>,
    when: When,
    now: Timestamp,
) -> Result<Vec<Standing>, HistoryError> {
    Ok(join(history, jobs, when, now).await?.standings)
}

/// The jobs beside the history, and what of it is not stored yet.
struct Joined {
    standings: Vec<Standing>,
    /// Moments of schedules that are no more.
    replaced: Vec<Replaced>,
    /// Jobs whose schedule counts from now.
    unstored: BTreeSet<String>,
}

async fn join(
    history: &History,
    jobs: impl IntoIterator<Item = &JobSettings>,
    when: When,
    now: Timestamp,
) -> Result<Joined, HistoryError> {
    let on_pause = history.pauses().await?;
    let mut schedules = history.schedules().await?;
    let (mut standings, mut replaced, mut unstored) = (Vec::new(), Vec::new(), BTreeSet::new());
    for settings in jobs {
        let Some(schedule) = settings.schedule.clone() else { continue };
        let (job, before) = (&settings.name, schedules.remove(&settings.name));
        let (past, paused) = (history.past(job, now).await?, on_pause.get(job).map(why));
        let mut standing = Standing { settings: settings.clone(), schedule, past, paused };
        let stays = before.as_ref().is_some_and(|before| standing.is_scheduled_as(before));
        if !stays || standing.past.since > now {
            standing.past.since = now;
            unstored.insert(job.clone());
        }
        if let (Some(before), When::Start, false) = (before, when, stays) {
            let moments = moments(job, &before, &standing.past, now);
            // A period counts from the newest moment of all.
            standing.past.last = moments.last().copied().or(standing.past.last);
            let why = "the schedule was changed while the service was down";
            replaced.push(Replaced::of(job, moments, standing.paused.as_ref(), why));
        }
        standings.push(standing);
    }
    if when == When::Start {
        for (job, before) in schedules {
            let past = history.past(&job, now).await?;
            let mut left = moments(&job, &before, &past, now);
            // Said to be run, and never begun: nobody makes up for them any more.
            left.extend(&past.unbegun);
            let why = "the job was taken out of the configuration while the service was down";
            replaced.push(Replaced::of(&job, left, on_pause.get(&job).map(self::why).as_ref(), why));
        }
    }
    Ok(Joined { standings, replaced, unstored })
}

/// Why a job is paused, as the ledger says it.
#[must_use]
pub fn why(pause: &Pause) -> String {
    format!("paused by {}", pause.by)
}

impl Standing {
    /// Of a job that has a schedule, where there is no history yet.
    #[must_use]
    pub fn fresh(settings: &JobSettings, now: Timestamp) -> Option<Self> {
        let schedule = settings.schedule.clone()?;
        Some(Self { settings: settings.clone(), schedule, past: Past::none(now), paused: None })
    }

    fn is_scheduled_as(&self, scheduled: &Scheduled) -> bool {
        scheduled.zone == self.settings.zone.name && scheduled.schedule.parse().as_ref() == Ok(&self.schedule)
    }
}

/// Moments that nobody decided, of a schedule that is no more.
struct Replaced {
    job: String,
    moments: Vec<Timestamp>,
    disposition: Disposition,
    reason: String,
}

impl Replaced {
    fn of(job: &str, moments: Vec<Timestamp>, paused: Option<&String>, why: &str) -> Self {
        let (disposition, reason) = match paused {
            Some(why) => (Disposition::Paused, why.clone()),
            None => (Disposition::Down, why.to_owned()),
        };
        Self { job: job.to_owned(), moments, disposition, reason }
    }

    async fn record(&self, history: &History, now: Timestamp) -> Result<(), HistoryError> {
        let Self { job, moments, disposition, reason } = self;
        info!(%job, moments = moments.len(), %disposition, "{job} has moments that are not made up for: {reason}");
        let row = |planned_at: &Timestamp| Moment {
            job: job.clone(),
            planned_at: *planned_at,
            disposition: *disposition,
            run: None,
            reason: Some(reason.clone()),
        };
        for list in moments.chunks(LIST) {
            history.record_moments(&list.iter().map(row).collect::<Vec<_>>(), now).await?;
        }
        Ok(())
    }
}

/// The moments of the schedule that is stored of a job which have no row, oldest first.
fn moments(job: &str, stored: &Scheduled, past: &Past, now: Timestamp) -> Vec<Timestamp> {
    let (schedule, zone) = match read(stored) {
        Ok(read) => read,
        Err(problem) => {
            warn!(%job, "what {job} missed by its schedule before cannot be told: {problem}");
            return Vec::new();
        }
    };
    let from = past.last.map_or(stored.since, |last| last.max(stored.since));
    let first = schedule.next_after(&zone, past.last, from);
    let next = |last: &Timestamp| schedule.next_after(&zone, Some(*last), *last);
    let moments = std::iter::successors(first, next).take_while(|moment| *moment <= now);
    moments.filter(|moment| !past.ahead.contains(moment)).take(MOST).collect()
}

fn read(stored: &Scheduled) -> Result<(Schedule, TimeZone), String> {
    let schedule = stored.schedule.parse().map_err(|problem: ScheduleError| problem.to_string())?;
    let zone = TimeZone::get(&stored.zone).map_err(|problem| problem.to_string())?;
    Ok((schedule, zone))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::settings::{Work, Zone};
    use crate::history::moments::MomentFilter;
    use crate::history::testing::{Place, at};
    use crate::schedule::CatchUp;

    fn job(name: &str, schedule: &str) -> JobSettings {
        JobSettings {
            name: name.to_owned(),
            schedule: (!schedule.is_empty()).then(|| schedule.parse().unwrap()),
            zone: Zone { name: "UTC".to_owned(), tz: TimeZone::UTC },
            jitter: Duration::ZERO,
            catch_up: CatchUp::Once,
            catch_up_within: None,
            timeout: Duration::from_mins(1),
            work: Work::Licenses,
        }
    }

    async fn taken_up(place: &Place, jobs: &[JobSettings], when: When, now: i64) -> Vec<Standing> {
        standings(&place.history, jobs, when, at(now)).await.unwrap()
    }

    async fn rows(place: &Place) -> Vec<(i64, Disposition)> {
        let filter = MomentFilter { limit: Some(10_000), ..MomentFilter::default() };
        let rows = place.history.list_moments(&filter).await.unwrap();
        rows.iter().rev().map(|row| (row.planned_at.as_second() - at(0).as_second(), row.disposition)).collect()
    }

    async fn record(place: &Place, job: &str, second: i64) {
        let row = Moment {
            job: job.to_owned(),
            planned_at: at(second),
            disposition: Disposition::Overlap,
            run: None,
            reason: None,
        };
        place.history.record_moments(&[row], at(second)).await.unwrap();
    }

    #[tokio::test]
    async fn a_new_job_counts_from_its_first_start_and_keeps_that_over_others() {
        let place = Place::new().await;
        let jobs = [job("managers", "cron 0 2 * * *"), job("by-hand", "")];
        for now in [0, 500, 9000] {
            let standings = taken_up(&place, &jobs, When::Start, now).await;
            assert_eq!(standings.len(), 1);
            assert_eq!(standings[0].past, Past::none(at(0)), "at {now}");
        }
        let place = place.killed().await;
        assert_eq!(taken_up(&place, &jobs, When::Start, 10_000).await[0].past.since, at(0));
    }

    #[tokio::test]
    async fn a_schedule_changed_while_the_service_was_down_has_its_moments_recorded() {
        let place = Place::new().await;
        taken_up(&place, &[job("managers", "every 10 seconds")], When::Start, 0).await;
        record(&place, "managers", 0).await;
        let standings = taken_up(&place, &[job("managers", "every 15 seconds")], When::Start, 35).await;
        assert_eq!((standings[0].past.since, standings[0].past.last), (at(35), Some(at(30))));
        let down = Disposition::Down;
        assert_eq!(rows(&place).await, [(0, Disposition::Overlap), (10, down), (20, down), (30, down)]);
        // In another zone, it is another schedule; and the same one again has nothing to tell.
        let mut oslo = job("managers", "every 15 seconds");
        oslo.zone = Zone { name: "Europe/Oslo".to_owned(), tz: TimeZone::get("Europe/Oslo").unwrap() };
        for now in [50, 70] {
            assert_eq!(taken_up(&place, std::slice::from_ref(&oslo), When::Start, now).await[0].past.since, at(50));
            assert_eq!(rows(&place).await.len(), 5, "and the one at 45");
        }
    }

    #[tokio::test]
    async fn a_schedule_changed_while_the_service_runs_is_the_service_s_to_tell() {
        let place = Place::new().await;
        taken_up(&place, &[job("managers", "every 10 seconds")], When::Start, 0).await;
        let standings = taken_up(&place, &[job("managers", "cron * * * * *")], When::Reload, 35).await;
        assert_eq!((standings[0].past.since, rows(&place).await.len()), (at(35), 0));
    }

    #[tokio::test]
    async fn a_job_taken_out_while_the_service_was_down_has_its_moments_recorded() {
        // One that is run by hand only has left its schedule too.
        for left in [&[job("managers", "")][..], &[]] {
            let place = Place::new().await;
            taken_up(&place, &[job("managers", "every 10 seconds")], When::Start, 0).await;
            let begun = Moment {
                job: "managers".to_owned(),
                planned_at: at(0),
                disposition: Disposition::Ran,
                run: None,
                reason: None,
            };
            place.history.record_moments(&[begun], at(0)).await.unwrap();
            assert!(foreseen(&place.history, left, When::Start, at(35)).await.unwrap().is_empty());
            assert_eq!(rows(&place).await, [(0, Disposition::Ran)], "foreseen, and not recorded");
            for now in [35, 60] {
                taken_up(&place, left, When::Start, now).await;
                assert_eq!(rows(&place).await, [0, 10, 20, 30].map(|second| (second, Disposition::Down)), "at {now}");
            }
        }
    }

    #[tokio::test]
    async fn a_job_put_back_counts_from_then() {
        let place = Place::new().await;
        let managers = [job("managers", "every 10 seconds")];
        taken_up(&place, &managers, When::Start, 0).await;
        record(&place, "managers", 10).await;
        taken_up(&place, &[], When::Reload, 20).await;
        let standings = taken_up(&place, &managers, When::Start, 50).await;
        assert_eq!((standings[0].past.since, standings[0].past.last), (at(50), Some(at(10))));
        assert_eq!(rows(&place).await.len(), 1);
    }

    #[tokio::test]
    async fn a_schedule_stored_by_a_clock_that_was_ahead_counts_from_now() {
        let place = Place::new().await;
        let managers = [job("managers", "every 10 seconds")];
        taken_up(&place, &managers, When::Start, 1_000_000_000).await;
        assert_eq!(taken_up(&place, &managers, When::Start, 7).await[0].past.since, at(7));
        assert_eq!(taken_up(&place, &managers, When::Start, 60).await[0].past.since, at(7));
    }

    #[tokio::test]
    async fn a_pause_names_who_asked_for_it() {
        let place = Place::new().await;
        let managers = [job("managers", "every 10 seconds")];
        taken_up(&place, &managers, When::Start, 0).await;
        record(&place, "managers", 0).await;
        place.history.pause("managers", at(5), "ana").await.unwrap();
        let standings = taken_up(&place, &[job("managers", "every 20 seconds")], When::Start, 15).await;
        assert_eq!(standings[0].paused.as_deref(), Some("paused by ana"));
        assert_eq!(rows(&place).await, [(0, Disposition::Overlap), (10, Disposition::Paused)]);
    }
}
