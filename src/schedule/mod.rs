//! When jobs run: cron texts and periods, planned in the job's zone. Pure: moments in, moments out.
//!
//! Clock changes are where schedulers go wrong. Ours promises: a moment that a spring gap swallows runs at the first
//! valid moment after it; a fixed time that autumn repeats runs once, an interval (`*/30`) through both passes.

mod cron;
mod period;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::domain::run::words;

pub use crate::schedule::cron::Cron;
pub use crate::schedule::period::Period;

/// When a job runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    Cron(Box<Cron>),
    Every(Period),
}

words! {
    /// What becomes of moments that were missed while the service or the machine was off.
    CatchUp, "way to catch up", {
        /// The newest is run, and covers the older ones.
        Once => "once",
        /// Each is run, the newest ten at most.
        All => "all",
        /// None is run.
        Skip => "skip",
    }
}

/// How many missed moments of a job [`CatchUp::All`] runs at most.
pub const MOST_CAUGHT_UP: u8 = 10;

/// Where a period counts on from: the newest moments of a job that are decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    pub last: Option<Timestamp>,
    /// The one before. It tells the time of day that is meant, should `last` lie where a spring gap put it.
    pub before: Option<Timestamp>,
}

impl Anchor {
    /// Of a job whose newest moment is `last`, and of the one before nothing is known.
    #[must_use]
    pub const fn at(last: Timestamp) -> Self {
        Self { last: Some(last), before: None }
    }

    /// When `moment` is decided, too.
    #[must_use]
    pub const fn then(self, moment: Timestamp) -> Self {
        Self { last: Some(moment), before: self.last }
    }
}

/// A text is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("a schedule needs 5 fields (minute hour day month weekday), or 6 with seconds in front; this has {0}")]
    FieldCount(usize),
    #[error("a schedule has no year field: 5 fields (minute hour day month weekday), or 6 with seconds in front")]
    Year,
    #[error("{field} \"{value}\" is not {expected}")]
    Field { field: &'static str, value: String, expected: &'static str },
    #[error("`{0}` is not one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually")]
    Nickname(String),
    #[error("`{0}` never comes: no year has such a day")]
    Never(String),
    #[error("`{0}` is not a schedule: {1}")]
    Pattern(String, String),
    #[error("`{0}` is not a period, such as \"2 days\", \"90 minutes\" or \"1 week\"")]
    Period(String),
    #[error("`{0}` is not a period: months and years differ in length; use `schedule`, such as \"0 6 1 * *\"")]
    LongUnit(String),
    #[error("a period must be at least a second")]
    TooShort,
    #[error("`{0}` is neither `cron` and a pattern nor `every` and a period")]
    Stored(String),
}

impl Schedule {
    /// Reads a cron text of five fields, or six with seconds in front. Names (`MON`, `jan`), ranges, lists, steps, `L`,
    /// `W`, `#` and nicknames (`@daily`) are understood; when day and weekday are both given, either suffices.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`] names the field and its value; a pattern that never comes is refused.
    pub fn parse_cron(text: &str) -> Result<Self, ScheduleError> {
        Cron::parse(text).map(|cron| Self::Cron(Box::new(cron)))
    }

    /// Reads a period such as `2 days`. A day is a calendar day in the job's zone.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`] when it is not a period of at least a second, or one of months or years.
    pub fn every(text: &str) -> Result<Self, ScheduleError> {
        Period::parse(text).map(Self::Every)
    }

    /// The first moment after `now`. A period counts from the anchor's last moment, and keeps its rhythm however many moments
    /// were missed; without one it is due at once, which is `now` itself.
    ///
    /// A day of a period is a calendar day. When a spring gap swallows its moment, that one comes at the first valid moment,
    /// and those after it at their own time of day again.
    ///
    /// `None`: there is none before the calendar ends.
    #[must_use]
    pub fn next_after(&self, zone: &TimeZone, anchor: Anchor, now: Timestamp) -> Option<Timestamp> {
        match (self, anchor.last) {
            (Self::Cron(cron), _) => cron.next_after(zone, now),
            (Self::Every(period), Some(last)) => period.next_after(zone, anchor.before, last, now),
            (Self::Every(_), None) => Some(now),
        }
    }

    /// The moments after `from`, oldest first, without end.
    pub fn moments<'a>(
        &'a self,
        zone: &'a TimeZone,
        anchor: Anchor,
        from: Timestamp,
    ) -> impl Iterator<Item = Timestamp> + use<'a> {
        let (mut anchor, mut from) = (anchor, from);
        std::iter::from_fn(move || {
            from = self.next_after(zone, anchor, from)?;
            anchor = anchor.then(from);
            Some(from)
        })
    }

    /// What a person says instead of the text.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Cron(cron) => cron.describe(),
            Self::Every(period) => period.describe(),
        }
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cron(cron) => cron.as_str(),
            Self::Every(period) => period.as_str(),
        }
    }
}

/// How a schedule is stored: `cron 0 2 * * *` or `every 2 days`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron) => write!(f, "cron {}", cron.as_str()),
            Self::Every(period) => write!(f, "every {}", period.as_str()),
        }
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    /// Reads a schedule as it was stored.
    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        match text.split_once(' ') {
            Some(("cron", pattern)) => Self::parse_cron(pattern),
            Some(("every", period)) => Self::every(period),
            _ => Err(ScheduleError::Stored(text.to_owned())),
        }
    }
}

#[cfg(test)]
pub(crate) mod clock_changes;
#[cfg(test)]
mod tests;
