//! Periods: `every = "2 days"`.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};

use crate::schedule::ScheduleError;

/// A length of time between two runs. Days and weeks are of the calendar, hours and below of the clock.
#[derive(Clone, Debug)]
pub struct Period {
    text: String,
    span: Span,
    /// Its length when every day has 24 hours; at least one.
    seconds: i64,
    /// Of whole days: its moments have a time of day.
    is_daily: bool,
}

impl PartialEq for Period {
    fn eq(&self, other: &Self) -> bool {
        self.span.fieldwise() == other.span.fieldwise()
    }
}

impl Period {
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        let span: Span = text.parse().map_err(|_| ScheduleError::Period(text.to_owned()))?;
        if span.get_years() != 0 || span.get_months() != 0 {
            return Err(ScheduleError::LongUnit(text.to_owned()));
        }
        let seconds = i64::from(span.get_weeks()) * 604_800
            + i64::from(span.get_days()) * 86_400
            + i64::from(span.get_hours()) * 3600
            + span.get_minutes() * 60
            + span.get_seconds();
        if seconds < 1 {
            return Err(ScheduleError::TooShort);
        }
        let is_daily = span.fieldwise() == Span::new().weeks(span.get_weeks()).days(span.get_days()).fieldwise();
        Ok(Self { text: text.to_owned(), span, seconds, is_daily })
    }

    /// The first moment after `now` of those that follow `last` in this rhythm. Where `last` follows `before` in it, the time
    /// of day is that of `before`: `last` may have lain in a spring gap.
    pub(super) fn next_after(
        &self,
        zone: &TimeZone,
        before: Option<Timestamp>,
        last: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let follows = |before: &Timestamp| {
            let until = last.checked_sub(1.nanosecond()).ok();
            self.is_daily && *before < last && until.and_then(|until| self.after(zone, *before, until)) == Some(last)
        };
        self.after(zone, before.filter(follows).unwrap_or(last), now)
    }

    /// The first moment after `now` of those that follow `first`.
    fn after(&self, zone: &TimeZone, first: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let anchor = first.to_zoned(zone.clone());
        let passed = now.as_second() - first.as_second();
        // Calendar days are a little longer or shorter than 24 hours, never by two periods in sum.
        let mut count = (passed / self.seconds - 2).max(1);
        loop {
            let span = self.span.checked_mul(count).ok()?;
            let moment = if self.is_daily {
                first_valid(zone, anchor.datetime().checked_add(span).ok()?)?
            } else {
                anchor.checked_add(span).ok()?.timestamp()
            };
            if moment > now {
                return Some(moment);
            }
            count += 1;
        }
    }

    pub(super) fn describe(&self) -> String {
        format!("every {}", self.text)
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The instant of a civil time: the earlier of two, and when there is none, the end of the gap that it lies in.
fn first_valid(zone: &TimeZone, civil: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { before, .. } => {
            // By the offset before, it lies behind the change.
            let inside = before.to_timestamp(civil).ok()?;
            zone.preceding(inside.checked_add(1.nanosecond()).ok()?).next().map(|change| change.timestamp())
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
    }
}
