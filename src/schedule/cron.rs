//! Cron texts: read strictly, field by field, and planned over civil time.

use std::fmt;

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan};

use crate::schedule::ScheduleError;

/// The fields of a cron text, seconds first.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59, a list, a range or a step such as */15"),
    ("minute", "0 to 59, a list, a range or a step such as */15"),
    ("hour", "0 to 23, a list, a range or a step such as */6"),
    ("day", "1 to 31, a list, a range, a step, L or 15W"),
    ("month", "1 to 12 or JAN to DEC, a list, a range or a step"),
    ("weekday", "0 to 7 or SUN to SAT, a list, a range, MON#1 or FRI#L"),
];

/// A cron text that was understood and has a next moment.
#[derive(Clone)]
pub struct Cron {
    text: String,
    pattern: croner::Cron,
    /// Whether the minutes or hours are an interval (`*`, `*/30`) and not fixed times.
    interval: bool,
}

/// The text alone: the parsed pattern is thousands of lines.
impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cron").field(&self.text).finish()
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Cron {
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        let expanded = if text.starts_with('@') { nickname(text)? } else { text };
        let mut fields: Vec<&str> = expanded.split_whitespace().collect();
        match fields.len() {
            5 => fields.insert(0, "0"),
            6 => {}
            7 => return Err(ScheduleError::Year),
            count => return Err(ScheduleError::FieldCount(count)),
        }
        let whole = fields.join(" ");
        let pattern = parser().parse(&whole).map_err(|error| blame(text, &fields, &error))?;
        let interval = fields[1..3].iter().any(|field| field.contains(['*', '/']));
        let cron = Self { text: text.to_owned(), pattern, interval };
        // Any moment will do to ask whether there is a next one; this one begins a leap year.
        let asked = Timestamp::UNIX_EPOCH + 18_993.hours() * 24;
        match cron.pattern.find_next_occurrence(&asked.to_zoned(TimeZone::UTC), false) {
            Ok(_) => Ok(cron),
            Err(_) => Err(ScheduleError::Never(cron.text)),
        }
    }

    /// The first moment after `t`.
    ///
    /// Between two changes of the zone's offset, civil time is instants and an offset, so that croner is asked in UTC and
    /// the changes are ours: it would skip lists and steps in a gap, and repeat or lose moments around it.
    pub(super) fn next_after(&self, zone: &TimeZone, t: Timestamp) -> Option<Timestamp> {
        let mut offset = zone.to_offset(t);
        let mut civil = self.civil_after(self.past_repeat(zone, t, offset))?;
        for change in zone.following(t) {
            let at = change.timestamp();
            let found = offset.to_timestamp(civil).ok()?;
            if found < at {
                return Some(found);
            }
            let (before, after) = (offset.to_datetime(at), change.offset().to_datetime(at));
            if civil < after {
                return Some(at); // in the gap that opens here: the first valid moment
            }
            offset = change.offset();
            if self.interval && after < before {
                civil = self.civil_at_or_after(after)?;
            }
        }
        offset.to_timestamp(civil).ok()
    }

    /// The civil time of `t`, moved to the last one of a repeat that the moments of fixed times are not to follow.
    fn past_repeat(&self, zone: &TimeZone, t: Timestamp, offset: Offset) -> DateTime {
        let civil = offset.to_datetime(t);
        if self.interval {
            return civil;
        }
        // The change that began the offset in force at `t`; `preceding` excludes its argument.
        let Some(change) = t.checked_add(1.nanosecond()).ok().and_then(|t| zone.preceding(t).next()) else {
            return civil;
        };
        let at = change.timestamp();
        let Ok(just_before) = at.checked_sub(1.nanosecond()) else { return civil };
        civil.max(zone.to_offset(just_before).to_datetime(just_before))
    }

    fn civil_after(&self, civil: DateTime) -> Option<DateTime> {
        let found = self.pattern.find_next_occurrence(&civil.to_zoned(TimeZone::UTC).ok()?, false).ok()?;
        Some(found.datetime())
    }

    fn civil_at_or_after(&self, civil: DateTime) -> Option<DateTime> {
        let found = self.pattern.find_next_occurrence(&civil.to_zoned(TimeZone::UTC).ok()?, true).ok()?;
        Some(found.datetime())
    }

    /// Whether it names intervals rather than times of day.
    #[must_use]
    pub const fn is_interval(&self) -> bool {
        self.interval
    }

    pub(super) fn describe(&self) -> String {
        let said = self.pattern.describe();
        let said = said.trim_end_matches('.');
        said.strip_prefix("At every ").map_or_else(|| said.to_owned(), |interval| format!("every {interval}"))
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build()
}

fn nickname(text: &str) -> Result<&'static str, ScheduleError> {
    match text.to_ascii_lowercase().as_str() {
        "@hourly" => Ok("0 * * * *"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@monthly" => Ok("0 0 1 * *"),
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        _ => Err(ScheduleError::Nickname(text.to_owned())),
    }
}

/// Finds the field that is wrong by reading each one alone: croner's own errors name none.
fn blame(text: &str, fields: &[&str], whole: &croner::errors::CronError) -> ScheduleError {
    for (place, value) in fields.iter().enumerate() {
        let mut alone = ["*"; 6];
        alone[place] = value;
        if parser().parse(&alone.join(" ")).is_err() {
            let (field, expected) = FIELDS[place];
            return ScheduleError::Field { field, value: (*value).to_owned(), expected };
        }
    }
    ScheduleError::Pattern(text.to_owned(), whole.to_string().to_lowercase())
}
