//! The ledger as a calendar: each moment of a schedule is a cell, lettered and colored by what became of it.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;

use super::frame::{Asked, Frame, Section, Trouble, page};
use super::grid::Grid;
use super::parts::{Empty, Eye, Link, Pager, path, query};
use super::words::{self, Tone};
use crate::domain::moment::{Disposition, Moment};
use crate::history::moments::MomentFilter;
use crate::tables;

/// Days on a page.
const DAYS: i64 = 7;
/// Cells of a day: a job on a schedule of seconds has more.
const CELLS: usize = 96;
/// As many as fit when each day is full.
const ALL: usize = 7 * CELLS;
/// Missed moments that are listed.
const MISSED: usize = 50;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Until {
    /// The last day; blank: today.
    until: String,
}

#[derive(Debug, Template)]
#[template(path = "calendar.html")]
struct Calendar {
    frame: Frame,
    zone: String,
    legend: Vec<Key>,
    jobs: Vec<Job>,
    missed: Grid,
    more_missed: Option<String>,
    empty: Empty,
    pager: Pager,
}

/// What a letter means.
#[derive(Debug)]
struct Key {
    letter: char,
    tone: Tone,
    meaning: String,
    count: usize,
}

#[derive(Debug)]
struct Job {
    link: Link,
    days: Vec<Day>,
}

#[derive(Debug)]
struct Day {
    name: String,
    cells: Vec<Cell>,
    more: Option<String>,
}

#[derive(Debug)]
struct Cell {
    letter: char,
    tone: Tone,
    /// When, what, and why.
    told: String,
    /// To the run that it led to, or that covers it.
    href: Option<String>,
}

pub(super) async fn show(asked: Asked, Query(until): Query<Until>) -> Response {
    match calendar(&asked, &until).await {
        Ok(calendar) => page(&calendar),
        Err(trouble) => asked.refused(trouble),
    }
}

async fn calendar(asked: &Asked, until: &Until) -> Result<Calendar, Trouble> {
    let eye = &asked.eye;
    let today = eye.now.to_zoned(eye.zone.clone()).date();
    let last = last_day(&until.until, today);
    let (first, after) = (last.saturating_sub((DAYS - 1).days()), last.saturating_add(1.day()));
    let (since, end) = (midnight(first, eye), midnight(after, eye));
    let (mut jobs, mut legend) = (Vec::new(), Legend::default());
    for job in scheduled(asked).await? {
        let moments = moments(asked, &job, (first, last)).await?;
        if !moments.is_empty() {
            jobs.push(Job { link: Link::job(&job), days: days(&moments, &eye.zone, &mut legend) });
        }
    }
    let limit = u32::try_from(MISSED + 1).ok();
    let missed = MomentFilter { since, until: end, missed_only: true, limit, ..MomentFilter::default() };
    let mut missed = asked.history().list_moments(&missed).await?;
    let more_missed = (missed.len() > MISSED)
        .then(|| format!("The newest {MISSED}. All are listed by: graphkeeper history missed --since {first}"));
    missed.truncate(MISSED);
    let date = |date: Date| date.to_string();
    Ok(Calendar {
        frame: asked.frame(Section::Calendar, "Calendar"),
        zone: eye.zone.iana_name().unwrap_or("the zone of the service").to_owned(),
        legend: legend.keys(),
        jobs,
        missed: Grid::of(
            "missed",
            "Missed moments, newest first",
            &tables::missed::table(&missed, &eye.zone),
            eye,
            &[],
        ),
        more_missed,
        empty: Empty::new("No moment of a schedule came yet in these days.")
            .advice("A job has moments once it has a schedule and the service runs:")
            .command("graphkeeper jobs"),
        pager: Pager {
            label: "Other days",
            newer: (last < today)
                .then(|| query("/calendar", &[("until", &date(last.saturating_add(DAYS.days()).min(today)))])),
            older: Some(query("/calendar", &[("until", &date(first.saturating_sub(1.day())))])),
            back: "Later",
            on: "Earlier",
            said: format!("{first} to {last}"),
        },
    })
}

/// The newest day to show: as asked, where that is a day of the past. Days at the end of the calendar have no neighbors, and
/// nothing ran before 1970.
fn last_day(asked: &str, today: Date) -> Date {
    asked.parse::<Date>().unwrap_or(today).min(today).max(date(1970, 2, 1))
}

fn midnight(date: Date, eye: &Eye) -> Option<Timestamp> {
    date.to_zoned(eye.zone.clone()).ok().map(|moment| moment.timestamp())
}

/// The jobs that have moments: those with a schedule, whether they ever ran or not, and those that had one and ran.
async fn scheduled(asked: &Asked) -> Result<BTreeSet<String>, Trouble> {
    let ran = asked.history().last_run_per_job().await?.into_keys();
    Ok(asked.history().schedules().await?.into_keys().chain(ran).collect())
}

/// A job's moments on these days, newest first: of a day with more than [`CELLS`], the newest and one more.
async fn moments(asked: &Asked, job: &str, (first, last): (Date, Date)) -> Result<Vec<Moment>, Trouble> {
    let read = async |first: Date, last: Date, limit: usize| {
        let (since, until) = (midnight(first, &asked.eye), midnight(last.saturating_add(1.day()), &asked.eye));
        let limit = u32::try_from(limit).ok();
        let filter = MomentFilter { job: Some(job.to_owned()), since, until, missed_only: false, limit };
        asked.history().list_moments(&filter).await
    };
    let all = read(first, last, ALL + 1).await?;
    if all.len() <= ALL {
        return Ok(all);
    }
    // A schedule of minutes or seconds: a day at a time, so that no day goes without.
    let mut moments = Vec::new();
    let mut day = last;
    while day >= first {
        moments.extend(read(day, day, CELLS + 1).await?);
        let Ok(before) = day.yesterday() else { break };
        day = before;
    }
    Ok(moments)
}

/// Days with their moments, the newest day first and its moments in their order.
fn days(moments: &[Moment], zone: &TimeZone, legend: &mut Legend) -> Vec<Day> {
    let mut days: BTreeMap<Date, Vec<&Moment>> = BTreeMap::new();
    for moment in moments.iter().rev() {
        days.entry(moment.planned_at.to_zoned(zone.clone()).date()).or_default().push(moment);
    }
    days.into_iter().rev().map(|(date, moments)| day(date, &moments, zone, legend)).collect()
}

fn day(date: Date, moments: &[&Moment], zone: &TimeZone, legend: &mut Legend) -> Day {
    let beyond = moments.len().saturating_sub(CELLS);
    let more = (beyond > 0).then(|| format!("The last {CELLS} of the day; there were more before."));
    let shown = &moments[beyond..];
    legend.0.extend(shown.iter().map(|moment| moment.disposition));
    let cells = shown.iter().map(|moment| cell(moment, zone)).collect();
    Day { name: date.strftime("%a %Y-%m-%d").to_string(), cells, more }
}

fn cell(moment: &Moment, zone: &TimeZone) -> Cell {
    let (letter, tone) = words::of_disposition(moment.disposition);
    let time = moment.planned_at.to_zoned(zone.clone()).strftime("%H:%M:%S");
    let why = moment.reason.as_deref().unwrap_or_else(|| tables::missed::meaning(moment.disposition));
    let told = format!("{time} {}: {why}", words::plain(moment.disposition.as_str()));
    Cell { letter, tone, told, href: moment.run.as_ref().map(|run| path("runs", run.as_str())) }
}

/// What became of the moments that have a cell.
#[derive(Debug, Default)]
struct Legend(Vec<Disposition>);

impl Legend {
    /// Every letter; those that occur say how often.
    fn keys(&self) -> Vec<Key> {
        let key = |disposition: &Disposition| {
            let (letter, tone) = words::of_disposition(*disposition);
            let count = self.0.iter().filter(|one| *one == disposition).count();
            let meaning = format!("{}: {}", words::plain(disposition.as_str()), tables::missed::meaning(*disposition));
            Key { letter, tone, meaning, count }
        };
        Disposition::ALL.iter().map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::RunId;

    fn moment(at: &str, disposition: Disposition) -> Moment {
        Moment {
            job: "managers".to_owned(),
            planned_at: at.parse().unwrap(),
            disposition,
            run: matches!(disposition, Disposition::Ran).then(|| RunId::stored("aaaa0001")),
            reason: None,
        }
    }

    #[test]
    fn the_days_end_today_or_at_a_day_of_the_past_that_clocks_know() {
        let today = date(2026, 11, 21);
        let days = ["2026-11-20", "2026-12-24", "9999-12-31", "-009999-01-01", "yesterday", ""]
            .map(|asked| last_day(asked, today));
        assert_eq!(days, [date(2026, 11, 20), today, today, date(1970, 2, 1), today, today]);
    }

    #[test]
    fn moments_lie_on_the_days_of_the_zone_in_their_order() {
        let newest_first = [
            moment("2026-11-20T23:30:00Z", Disposition::Ran),
            moment("2026-11-20T22:30:00Z", Disposition::Down),
            moment("2026-11-20T12:00:00Z", Disposition::Ran),
        ];
        let days = days(&newest_first, &TimeZone::get("Europe/Oslo").unwrap(), &mut Legend::default());
        let letters: Vec<(&str, String)> =
            days.iter().map(|day| (day.name.as_str(), day.cells.iter().map(|cell| cell.letter).collect())).collect();
        assert_eq!(letters, [("Sat 2026-11-21", "R".to_owned()), ("Fri 2026-11-20", "RD".to_owned())]);
        assert_eq!(days[1].cells[1].told, "23:30:00 down: the service was not running");
        assert_eq!((&days[1].cells[1].href, days[0].cells[0].href.as_deref()), (&None, Some("/runs/aaaa0001")));
    }

    #[test]
    fn a_day_of_too_many_moments_says_so_and_shows_the_last() {
        let base: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
        let moments: Vec<Moment> = (0..200_i64)
            .rev()
            .map(|second| Moment {
                planned_at: base + second.seconds(),
                ..moment("2026-11-20T00:00:00Z", Disposition::Ran)
            })
            .collect();
        let mut legend = Legend::default();
        let days = days(&moments, &TimeZone::UTC, &mut legend);
        assert_eq!((days.len(), days[0].cells.len()), (1, CELLS));
        assert_eq!(days[0].more.as_deref(), Some("The last 96 of the day; there were more before."));
        assert!(days[0].cells[CELLS - 1].told.starts_with("00:03:19 "), "{}", days[0].cells[CELLS - 1].told);
        assert_eq!(legend.keys().iter().map(|key| key.count).sum::<usize>(), CELLS, "of what is shown");
    }
}
