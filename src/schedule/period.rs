//! Periods: `every = "2 days"`.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::schedule::ScheduleError;

/// A length of time between two runs. Days and weeks are of the calendar, hours and below of the clock.
#[derive(Clone, Debug)]
pub struct Period {
    text: String,
    span: Span,
    /// Its length when every day has 24 hours; at least one.
    seconds: i64,
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
        Ok(Self { text: text.to_owned(), span, seconds })
    }

    /// The first moment after `now` of those that follow `last` in this rhythm.
    pub(super) fn next_after(&self, zone: &TimeZone, last: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let anchor = last.to_zoned(zone.clone());
        let passed = now.as_second() - last.as_second();
        // Calendar days are a little longer or shorter than 24 hours, never by two periods in sum.
        let mut count = (passed / self.seconds - 2).max(1);
        loop {
            let moment = anchor.checked_add(self.span.checked_mul(count).ok()?).ok()?.timestamp();
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
