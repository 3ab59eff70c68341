//! Moments and lengths of time as people type them.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// A moment that an operator named.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// `2026-11-20T14:00:00Z`
    Instant(Timestamp),
    /// `2026-11-20` or `2026-11-20 14:00`, in the configured zone.
    Civil(DateTime),
    /// `3 days ago`, or `now`.
    Ago(Ago),
}

/// A length of time before now.
#[derive(Clone, Copy, Debug)]
pub struct Ago(Span);

impl PartialEq for Ago {
    fn eq(&self, other: &Self) -> bool {
        self.0.fieldwise() == other.0.fieldwise()
    }
}

impl When {
    /// The moment itself. A civil time that a clock change repeats is its first pass; one that it skips, the first
    /// valid moment after. Moments beyond the calendar are its ends.
    #[must_use]
    pub fn at(&self, zone: &TimeZone, now: Timestamp) -> Timestamp {
        match self {
            Self::Instant(instant) => *instant,
            Self::Civil(civil) => zone.to_timestamp(*civil).unwrap_or(Timestamp::MAX),
            Self::Ago(Ago(span)) => {
                now.to_zoned(zone.clone()).checked_sub(*span).map_or(Timestamp::MIN, |moment| moment.timestamp())
            }
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("now") {
            return Ok(Self::Ago(Ago(Span::new())));
        }
        if let Ok(instant) = text.parse() {
            return Ok(Self::Instant(instant));
        }
        if let Ok(date) = text.parse::<Date>()
            && !text.contains(':')
        {
            return Ok(Self::Civil(date.to_datetime(jiff::civil::Time::midnight())));
        }
        if let Ok(civil) = text.parse() {
            return Ok(Self::Civil(civil));
        }
        match text.strip_suffix("ago").unwrap_or(text).trim().parse::<Span>() {
            Ok(span) if span.is_positive() => Ok(Self::Ago(Ago(span))),
            _ => Err("write 2026-11-20, \"2026-11-20 14:00\", 2026-11-20T14:00:00Z or \"3 days ago\"".to_owned()),
        }
    }
}

/// Reads `24 hours` or `150 ms`; days are taken as 24 hours here.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time with its unit, such as \"30 seconds\", \"150 ms\" or \"2 hours\"".to_owned();
    let span: Span = text.trim().parse().map_err(|_| wrong())?;
    let signed: SignedDuration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_the_zone_of_the_operator() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let oslo = TimeZone::get("Europe/Oslo").unwrap();
        for (text, expected) in [
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-11-20 14:00", "2026-11-20T13:00:00Z"),
            ("2026-11-20T14:00:00Z", "2026-11-20T14:00:00Z"),
            ("3 days ago", "2026-11-18T12:00:00Z"),
            ("now", "2026-11-21T12:00:00Z"),
            ("90m", "2026-11-21T10:30:00Z"),
        ] {
            let when: When = text.parse().unwrap();
            assert_eq!(when.at(&oslo, now).to_string(), expected, "{text}");
        }
        for text in ["yesterday", "", "2026-13-01", "-3 days ago"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_of_time_carry_their_unit() {
        assert_eq!(duration("150 ms"), Ok(Duration::from_millis(150)));
        assert_eq!(duration("2 days"), Ok(Duration::from_hours(48)));
        assert!(duration("5").is_err());
        assert!(duration("-5 s").is_err());
    }
}
