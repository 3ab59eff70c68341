//! When a digest is due. Pure.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// The newest moment of the daily `time` that has come after `told_to`. One digest stands for all days that were missed.
#[must_use]
pub(super) fn due(told_to: Timestamp, time: Time, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let today = now.to_zoned(zone.clone()).date();
    let days = [Some(today), today.checked_sub(1.day()).ok()];
    // In a spring gap it is the first moment after it, in an autumn fold the first of both.
    let moments = days.into_iter().flatten().filter_map(|day| {
        let moment = day.to_datetime(time).to_zoned(zone.clone()).ok()?;
        Some(moment.timestamp())
    });
    moments.filter(|moment| *moment <= now && *moment > told_to).max()
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use proptest::prelude::*;

    use super::*;

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_digest_comes_once_a_day_and_one_covers_what_was_missed() {
        let oslo = TimeZone::get("Europe/Oslo").unwrap();
        let eight = time(8, 0, 0, 0);
        let cases = [
            // told to, now, due
            ("2026-01-10T07:00:00Z", "2026-01-11T06:59:59Z", None),
            ("2026-01-10T07:00:00Z", "2026-01-11T07:00:00Z", Some("2026-01-11T07:00:00Z")),
            ("2026-01-10T07:00:00Z", "2026-01-14T06:00:00Z", Some("2026-01-13T07:00:00Z")),
            ("2026-01-11T07:00:00Z", "2026-01-11T07:00:30Z", None),
            ("2026-06-10T06:00:00Z", "2026-06-11T06:00:00Z", Some("2026-06-11T06:00:00Z")),
        ];
        for (told, now, expected) in cases {
            assert_eq!(due(utc(told), eight, &oslo, utc(now)), expected.map(utc), "{told} {now}");
        }
        // 02:30 does not exist on this day; 03:30 is the same instant.
        let gap = due(utc("2026-03-28T12:00:00Z"), time(2, 30, 0, 0), &oslo, utc("2026-03-29T12:00:00Z"));
        assert_eq!(gap, Some(utc("2026-03-29T01:30:00Z")));
    }

    proptest! {
        #[test]
        fn whoever_looks_every_minute_sends_one_a_day_across_clock_changes(day in 0_i64..365, hour in 0_i8..24) {
            let zone = TimeZone::get("America/New_York").unwrap();
            let begin = utc("2026-01-01T12:00:00Z").as_second() + day * 86_400;
            let mut told = Timestamp::from_second(begin).unwrap();
            let mut days = Vec::new();
            for minute in 0..4 * 24 * 60 {
                let now = Timestamp::from_second(begin + minute * 60).unwrap();
                if let Some(moment) = due(told, time(hour, 30, 0, 0), &zone, now) {
                    prop_assert!(moment > told && moment <= now);
                    told = moment;
                    days.push(moment.to_zoned(zone.clone()).date());
                }
            }
            prop_assert!(days.len() >= 3, "{days:?}");
            for pair in days.windows(2) {
                prop_assert_eq!(pair[0].tomorrow().unwrap(), pair[1]);
            }
        }
    }
}
