//! `history licenses`: what of the licenses, and of when.

use std::str::FromStr;

use clap::{ArgGroup, Args};
use jiff::civil::{Date, Time};

use crate::cli::chart::Glyphs;
use crate::tables::when::When;

/// What of the licenses.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("over_time").args(["events", "chart"]))]
pub struct LicensesArgs {
    /// As of this moment, as last read on this day, or as this run read them [default: the newest]
    #[arg(long, value_name = "WHEN", conflicts_with = "over_time")]
    pub at: Option<Reading>,
    /// What changed between two readings, each named by a moment, a day or its run
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["at", "over_time"])]
    pub diff: Option<Vec<Reading>>,
    /// What runs noticed of licenses and subscriptions, newest first
    #[arg(long)]
    pub events: bool,
    /// Bought, assigned and free seats over time, drawn with blocks or in plain ASCII
    #[arg(long, value_name = "HOW", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    pub chart: Option<Glyphs>,
    /// Of the events only those of this job
    #[arg(long, value_name = "JOB", requires = "events")]
    pub job: Option<String>,
    /// Of events or chart only from this moment on [default of the chart: 90 days ago]
    #[arg(long, value_name = "WHEN", requires = "over_time")]
    pub since: Option<When>,
    /// Up to this moment
    #[arg(long, value_name = "WHEN", requires = "over_time")]
    pub until: Option<When>,
    /// How many events at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// Names one reading of the licenses.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// The newest at a moment; on a day, the last one of it.
    At(When),
    /// That of a run, by the beginning of its id.
    Run(String),
}

impl FromStr for Reading {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Who asks for a day wants what was read on it, not what was there at midnight.
        if let Ok(day) = text.trim().parse::<Date>()
            && text.contains('-')
            && !text.contains(':')
        {
            return Ok(Self::At(When::Civil(day.to_datetime(Time::MAX))));
        }
        // A whole id is one even where it reads as a length of time, such as `10000000`.
        let is_id = text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
        match text.parse() {
            Ok(when) if !(is_id && text.len() == 8) => Ok(Self::At(when)),
            _ if is_id && text.len() >= 4 => Ok(Self::Run(text.to_owned())),
            Err(problem) => Err(format!("{problem}; or the first letters of a run's id")),
            Ok(when) => Ok(Self::At(when)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_named_by_a_moment_or_by_its_run() {
        for (text, run) in
            [("7f3k", true), ("c53md7bv", true), ("10000000", true), ("2026-11-20", false), ("90m", false)]
        {
            assert_eq!(matches!(text.parse().unwrap(), Reading::Run(_)), run, "{text}");
        }
        let day = "2026-11-20".parse::<Reading>().unwrap();
        let at = |reading: &Reading| match reading {
            Reading::At(when) => when.at(&jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH).to_string(),
            Reading::Run(run) => run.clone(),
        };
        assert_eq!(at(&day), "2026-11-20T23:59:59.999999999Z");
        assert_eq!(at(&"2026-11-20 00:00".parse().unwrap()), "2026-11-20T00:00:00Z");
        assert!("abc".parse::<Reading>().is_err() && "some day".parse::<Reading>().is_err());
    }
}
