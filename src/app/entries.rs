//! From where on each job is to be fired: the configured schedules beside what the history knows of each.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracing::{info, warn};

use crate::config::settings::JobSettings;
use crate::domain::moment::{Disposition, Past};
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::jobs::{Bygone, NewSchedule, Pause, Scheduled, TakenUp};
use crate::schedule::{Anchor, Schedule, ScheduleError};

/// The most moments of a schedule that was changed which are recorded one by one: a week of every second.
const MOST: u32 = 700_000;

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

/// Joins `jobs` with the history when the service starts, and stores there what is scheduled from now on: all of it or
/// nothing. A new schedule counts from now; the moments of the one before that nobody fired, and those of jobs that are
/// scheduled no more, are recorded as `down`.
pub async fn standings(
    history: &History,
    jobs: impl IntoIterator<Item = &JobSettings>,
    now: Timestamp,
) -> Result<Vec<Standing>, HistoryError> {
    let (standings, taken) = join(history, jobs, When::Start, now).await?;
    history.take_up(&taken, now).await?;
    for Bygone { job, moments, disposition, reason } in &taken.bygone {
        info!(%job, moments = moments.len(), %disposition, "{job} has moments that are not made up for: {reason}");
    }
    Ok(standings)
}

/// Joins `jobs` with the history while the service runs. Nothing is stored: the second is to be, once the service goes by
/// the first and has told what it decided until then. A history that cannot be written has it refused.
pub async fn prepared(
    history: &History,
    jobs: impl IntoIterator<Item = &JobSettings>,
    now: Timestamp,
) -> Result<(Vec<Standing>, TakenUp), HistoryError> {
    history.can_write().await?;
    join(history, jobs, When::Reload, now).await
}

/// What [`standings`] would say; nothing is stored.
pub async fn foreseen(
    history: &History,
    jobs: impl IntoIterator<Item = &JobSettings>,
    when: When,
    now: Timestamp,
) -> Result<Vec<Standing>, HistoryError> {
    Ok(join(history, jobs, when, now).await?.0)
}

/// A job with the schedule that the service last served it by.
#[derive(Clone, Debug)]
pub struct Remembered {
    pub job: String,
    pub schedule: Schedule,
    pub zone: TimeZone,
    pub past: Past,
}

/// The jobs that the service last scheduled, by name, for whoever has no configuration at hand. Those whose schedule cannot
/// be read any more are left out.
pub async fn remembered(history: &History, now: Timestamp) -> Result<Vec<Remembered>, HistoryError> {
    let mut jobs = Vec::new();
    for (job, stored) in history.schedules().await? {
        if let Ok((schedule, zone)) = read(&stored) {
            let past = history.past(&job, now).await?;
            jobs.push(Remembered { job, schedule, zone, past });
        }
    }
    Ok(jobs)
}

/// The jobs beside the history, and what of it is not stored yet.
async fn join(
    history: &History,
    jobs: impl IntoIterator<Item = &JobSettings>,
    when: When,
    now: Timestamp,
) -> Result<(Vec<Standing>, TakenUp), HistoryError> {
    let on_pause = history.pauses().await?;
    let mut schedules = history.schedules().await?;
    let (mut standings, mut taken) = (Vec::new(), TakenUp::default());
    for settings in jobs {
        let Some(schedule) = settings.schedule.clone() else { continue };
        let (job, before) = (&settings.name, schedules.remove(&settings.name));
        let (past, paused) = (history.past(job, now).await?, on_pause.get(job).map(why));
        let mut standing = Standing { settings: settings.clone(), schedule, past, paused };
        let stays = before.as_ref().is_some_and(|before| standing.is_scheduled_as(before));
        if !stays || standing.past.since > now {
            standing.past.since = now;
            let (schedule, zone) = (standing.schedule.to_string(), settings.zone.name.clone());
            taken.new.push(NewSchedule { job: job.clone(), schedule, zone });
        }
        taken.scheduled.push(job.clone());
        if let (Some(before), When::Start, false) = (before, when, stays) {
            let moments = moments(job, &before, &standing.past, now);
            // A period counts from the newest moment of all.
            standing.past.pass(&moments);
            let why = "the schedule was changed while the service was down";
            taken.bygone.push(bygone(job, moments, standing.paused.as_ref(), why));
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
            taken.bygone.push(bygone(&job, left, on_pause.get(&job).map(self::why).as_ref(), why));
        }
    }
    taken.bygone.retain(|bygone| !bygone.moments.is_empty());
    Ok((standings, taken))
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
fn bygone(job: &str, moments: Vec<Timestamp>, paused: Option<&String>, why: &str) -> Bygone {
    let (disposition, reason) = match paused {
        Some(why) => (Disposition::Paused, why.clone()),
        None => (Disposition::Down, why.to_owned()),
    };
    Bygone { job: job.to_owned(), moments, disposition, reason }
}

/// The moments of the schedule that is stored of a job which have no row, oldest first. None when it cannot be read, which
/// is said; and so is it when there are too many to tell each.
fn moments(job: &str, stored: &Scheduled, past: &Past, now: Timestamp) -> Vec<Timestamp> {
    match read(stored) {
        Ok((schedule, zone)) => {
            let (moments, all) = newest(&schedule, &zone, stored.since, past, now, MOST);
            if !all {
                warn!(%job, "{job} missed more than {MOST} moments: those of the last {MOST} seconds are recorded");
            }
            moments
        }
        Err(problem) => {
            warn!(%job, "what {job} missed by its schedule before cannot be told: {problem}");
            Vec::new()
        }
    }
}

/// The moments until now that have no row, and whether they are all: of more than `most`, those of the last `most` seconds,
/// of which each has one at most.
fn newest(
    schedule: &Schedule,
    zone: &TimeZone,
    since: Timestamp,
    past: &Past,
    now: Timestamp,
    most: u32,
) -> (Vec<Timestamp>, bool) {
    let anchor = Anchor { last: past.last, before: past.before };
    let after = |anchor: Anchor, from: Timestamp| {
        let moments = schedule.moments(zone, anchor, from);
        moments.take_while(|moment| *moment <= now).filter(|moment| !past.ahead.contains(moment))
    };
    let from = past.last.map_or(since, |last| last.max(since));
    let oldest: Vec<Timestamp> = after(anchor, from).take(most as usize + 1).collect();
    if oldest.len() <= most as usize {
        return (oldest, true);
    }
    let late = now.checked_sub(Duration::from_secs(most.into())).unwrap_or(from).max(from);
    let anchor = if anchor.last.is_some() { anchor } else { oldest.first().map_or(anchor, |first| Anchor::at(*first)) };
    (after(anchor, late).collect(), false)
}

fn read(stored: &Scheduled) -> Result<(Schedule, TimeZone), String> {
    let schedule = stored.schedule.parse().map_err(|problem: ScheduleError| problem.to_string())?;
    let zone = TimeZone::get(&stored.zone).map_err(|problem| problem.to_string())?;
    Ok((schedule, zone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::{LicensesSettings, Work, Zone};
    use crate::domain::moment::Moment;
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
            notices: crate::config::notices::JobNotices::default(),
            work: Work::Licenses(LicensesSettings::default()),
        }
    }

    async fn taken_up(place: &Place, jobs: &[JobSettings], when: When, now: i64) -> Vec<Standing> {
        if when == When::Start {
            return standings(&place.history, jobs, at(now)).await.unwrap();
        }
        let (standings, taken) = prepared(&place.history, jobs, at(now)).await.unwrap();
        place.history.take_up(&taken, at(now)).await.unwrap();
        standings
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

    #[test]
    fn of_too_many_moments_the_newest_are_told_in_their_rhythm() {
        let told = |schedule: &str, most| {
            let past = Past { ahead: [at(99)].into(), ..Past::none(at(0)) };
            let (moments, all) = newest(&schedule.parse().unwrap(), &TimeZone::UTC, at(0), &past, at(100), most);
            (moments.iter().map(|moment| moment.as_second() - at(0).as_second()).collect::<Vec<_>>(), all)
        };
        assert_eq!(told("every 3 seconds", 7), (vec![96], false));
        assert_eq!(told("every 40 seconds", 3), (vec![0, 40, 80], true));
        assert_eq!(told("every 1 second", 4), (vec![97, 98, 100], false));
    }

    #[tokio::test]
    async fn what_a_reload_prepares_is_not_stored_before_it_is_in_force() {
        let place = Place::new().await;
        taken_up(&place, &[job("managers", "every 10 seconds")], When::Start, 0).await;
        let before = place.history.schedules().await.unwrap();
        let added = [job("managers", "every 15 seconds"), job("licenses", "every 1 hour")];
        let (standings, taken) = prepared(&place.history, &added, at(35)).await.unwrap();
        assert_eq!((standings.len(), taken.new.len(), taken.bygone.len()), (2, 2, 0));
        assert_eq!(place.history.schedules().await.unwrap(), before);
        place.history.take_up(&taken, at(36)).await.unwrap();
        let stored = place.history.schedules().await.unwrap();
        assert_eq!(stored.values().map(|scheduled| scheduled.since).collect::<Vec<_>>(), [at(36), at(36)]);
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
