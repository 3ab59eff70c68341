//! The list of runs, newest first: by job, outcome, time and person.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;

use super::frame::{Asked, Frame, Section, Trouble, page};
use super::grid::Grid;
use super::parts::{Empty, Pager, query};
use super::words;
use crate::domain::run::{Outcome, RunId};
use crate::history::runs::RunFilter;
use crate::tables;

/// How many are on a page.
const PAGE: u32 = 50;

/// What is asked for, as it was written: blank where nothing was.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    job: String,
    outcome: String,
    since: String,
    until: String,
    user: String,
    /// The page begins behind this run.
    before: String,
}

impl Filter {
    fn is_narrow(&self) -> bool {
        [&self.job, &self.outcome, &self.since, &self.until, &self.user].iter().any(|value| !value.is_empty())
    }

    /// Times as days of the zone; the last day counts whole. What is no day or no outcome narrows nothing.
    fn of_history(&self, zone: &TimeZone) -> RunFilter {
        let given = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        RunFilter {
            job: given(&self.job),
            outcome: self.outcome.parse().ok(),
            since: day(&self.since, zone, 0),
            until: day(&self.until, zone, 1),
            user: given(&self.user),
            before: given(&self.before).map(|id| RunId::stored(&id)),
            limit: Some(PAGE + 1),
        }
    }

    /// The same list from another place on.
    fn path(&self, before: &str) -> String {
        let pairs = [
            ("job", self.job.as_str()),
            ("outcome", &self.outcome),
            ("since", &self.since),
            ("until", &self.until),
            ("user", &self.user),
            ("before", before),
        ];
        query("/runs", &pairs)
    }
}

/// The beginning of a day, or of one after it.
fn day(text: &str, zone: &TimeZone, later: i64) -> Option<Timestamp> {
    let day = text.parse::<Date>().ok()?.checked_add(later.days()).ok()?;
    Some(day.to_zoned(zone.clone()).ok()?.timestamp())
}

#[derive(Debug, Template)]
#[template(path = "runs.html")]
struct Runs {
    frame: Frame,
    said: String,
    filter: Filter,
    jobs: Vec<String>,
    grid: Grid,
    empty: Empty,
    pager: Pager,
    /// The newest runs are among them: a new one changes the page.
    is_newest: bool,
}

pub(super) async fn show(asked: Asked, Query(filter): Query<Filter>) -> Response {
    match runs(&asked, filter).await {
        Ok(runs) => page(&runs),
        Err(trouble) => asked.refused(trouble),
    }
}

async fn runs(asked: &Asked, filter: Filter) -> Result<Runs, Trouble> {
    let mut found = asked.history().list_runs(&filter.of_history(&asked.eye.zone)).await?;
    let jobs = asked.history().last_run_per_job().await?.into_keys().collect();
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let last = found.last().filter(|_| more);
    let pager = Pager {
        label: "More runs",
        newer: (!filter.before.is_empty()).then(|| filter.path("")),
        older: last.map(|run| filter.path(run.id.as_str())),
        back: "Newest",
        on: "Older",
        said: format!("{} runs on this page", found.len()),
    };
    let empty = if !filter.before.is_empty() {
        Empty::new("No older run is kept.")
    } else if filter.is_narrow() {
        Empty::new("No run fits.").advice("Widen what is asked for above.")
    } else {
        Empty::new("Nothing ran yet.")
            .advice("Jobs run on their schedules; one is run at once by")
            .command("graphkeeper run JOB")
    };
    Ok(Runs {
        frame: asked.frame(Section::Runs, "Runs"),
        said: if filter.is_narrow() { "Those that fit, newest first." } else { "Newest first." }.to_owned(),
        is_newest: filter.before.is_empty(),
        grid: Grid::of("runs", "Runs, newest first", &tables::runs::table(&found, &asked.eye.zone), &asked.eye, &[]),
        filter,
        jobs,
        empty,
        pager,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_zone_and_the_last_counts_whole() {
        let filter = Filter {
            since: "2026-11-20".into(),
            until: "2026-11-20".into(),
            outcome: "held".into(),
            ..Filter::default()
        };
        let asked = filter.of_history(&TimeZone::get("Europe/Oslo").unwrap());
        assert_eq!(asked.since, "2026-11-19T23:00:00Z".parse().ok());
        assert_eq!(asked.until, "2026-11-20T23:00:00Z".parse().ok());
        assert_eq!((asked.outcome, asked.job, asked.user), (Some(Outcome::Held), None, None));
        let older = Filter { before: "aaaa0001".into(), ..filter }.of_history(&TimeZone::UTC);
        assert_eq!(older.before, Some(RunId::stored("aaaa0001")));
    }

    #[test]
    fn what_makes_no_sense_narrows_nothing_and_is_kept_in_the_link() {
        let filter = Filter { since: "<script>".into(), outcome: "x".into(), ..Filter::default() };
        let asked = filter.of_history(&TimeZone::UTC);
        assert_eq!((asked.since, asked.outcome), (None, None));
        assert_eq!(filter.path(""), "/runs?outcome=x&since=%3Cscript%3E");
    }
}
