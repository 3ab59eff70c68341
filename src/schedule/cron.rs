//! Cron texts: read strictly, field by field, and planned over civil time.

use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

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

/// No zone moves its clock by more around one moment, save for whole skipped days, which are found all the same.
const NEAR: SignedDuration = SignedDuration::from_hours(4);

/// A cron text that was understood and has a next moment.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    pattern: croner::Cron,
    /// Whether the minutes or hours are an interval (`*`, `*/30`) and not fixed times.
    interval: bool,
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
    pub(super) fn next_after(&self, zone: &TimeZone, t: Timestamp) -> Option<Timestamp> {
        if let Ok(next) = self.pattern.find_next_occurrence(&t.to_zoned(zone.clone()), false) {
            let change = zone.following(t - NEAR).next();
            if change.is_none_or(|change| change.timestamp() > next.timestamp() + NEAR) {
                return Some(next.timestamp()); // no clock change near: croner is right, and quick
            }
        }
        self.next_over_change(zone, t)
    }

    /// Walks the *civil* moments of the pattern and takes the smallest instant after `t` that one of them runs at.
    fn next_over_change(&self, zone: &TimeZone, t: Timestamp) -> Option<Timestamp> {
        let start = t.to_zoned(zone.clone()).datetime() - NEAR;
        let mut best: Option<Timestamp> = None;
        for civil in self.pattern.iter_after(start.to_zoned(TimeZone::UTC).ok()?) {
            let civil = civil.datetime();
            if best.is_some_and(|best| civil > best.to_zoned(zone.clone()).datetime() + NEAR) {
                break;
            }
            best = self.instants(zone, civil).into_iter().flatten().filter(|i| *i > t).chain(best).min();
        }
        best
    }

    /// The instants at which one civil moment of the pattern is to run.
    fn instants(&self, zone: &TimeZone, civil: jiff::civil::DateTime) -> [Option<Timestamp>; 2] {
        let ambiguous = zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => [ambiguous.compatible().ok(), None],
            AmbiguousOffset::Gap { before, .. } => {
                // Read with the old offset it lies just after the change, which is the first valid moment.
                let inside = before.to_timestamp(civil).ok();
                let change = inside.and_then(|inside| zone.preceding(inside + 1.nanosecond()).next());
                [change.map(|change| change.timestamp()), None]
            }
            AmbiguousOffset::Fold { .. } => {
                [ambiguous.earlier().ok(), if self.interval { ambiguous.later().ok() } else { None }]
            }
        }
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
