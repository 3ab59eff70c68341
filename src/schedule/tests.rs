//! Promises of the planner, the ones about clock changes above all.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next `count` moments after a civil time, as civil times with their offset.
fn runs(pattern: &str, zone_name: &str, after: &str, count: usize) -> Vec<String> {
    let zone = zone(zone_name);
    let schedule = Schedule::parse_cron(pattern).unwrap();
    let begin = after.parse::<DateTime>().unwrap().to_zoned(zone.clone()).unwrap().timestamp();
    let moments = schedule.moments(&zone, Anchor::at(begin), begin).take(count);
    moments.map(|moment| moment.to_zoned(zone.clone()).strftime("%m-%d %H:%M %:z").to_string()).collect()
}

#[test]
fn a_sunday_without_two_o_clock_runs_at_the_first_valid_moment() {
    // In 2026 New York's clocks go from 02:00 to 03:00 on Sunday, 8 March.
    assert_eq!(
        runs("0 2 * * SUN,WED", "America/New_York", "2026-03-04T12:00", 3),
        ["03-08 03:00 -04:00", "03-11 02:00 -04:00", "03-15 02:00 -04:00"]
    );
}

#[test]
fn moments_in_a_gap_collapse_and_fixed_times_in_a_repeat_run_once() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("0,30 2 * * *", "Europe/Paris", "2026-03-28T12:00", &["03-29 03:00 +02:00", "03-30 02:00 +02:00"]),
        ("*/30 2 * * *", "Europe/Paris", "2026-03-28T12:00", &["03-29 03:00 +02:00", "03-30 02:00 +02:00"]),
        ("30 2 * * *", "Europe/Paris", "2026-10-24T12:00", &["10-25 02:30 +02:00", "10-26 02:30 +01:00"]),
        ("30 * * * *", "Europe/Paris", "2026-10-25T01:45", &["10-25 02:30 +02:00", "10-25 02:30 +01:00"]),
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00", &["04-24 01:00 +03:00", "04-25 00:00 +03:00"]),
        ("0 9 30 12 *", "Pacific/Apia", "2011-12-29T12:00", &["12-31 00:00 +14:00"]),
        ("30 7 * * *", "Europe/Paris", "2026-03-28T12:00", &["03-29 07:30 +02:00", "03-30 07:30 +02:00"]),
    ];
    for (pattern, zone, after, expected) in cases {
        assert_eq!(runs(pattern, zone, after, expected.len()), *expected, "{pattern} in {zone}");
    }
}

#[test]
fn five_and_six_fields_names_and_nicknames_are_understood() {
    for (pattern, after, expected) in [
        ("*/30 * * * *", "2026-11-21T12:00", "11-21 12:30 +00:00"),
        ("15 30 9 * * mon-FRI", "2026-11-21T12:00", "11-23 09:30 +00:00"),
        ("0 6 1 jan *", "2026-11-21T12:00", "01-01 06:00 +00:00"),
        ("0 6 L * *", "2026-11-21T12:00", "11-30 06:00 +00:00"),
        ("0 6 13 * FRI", "2026-11-21T12:00", "11-27 06:00 +00:00"),
        ("@Daily", "2026-11-21T12:00", "11-22 00:00 +00:00"),
        ("  0   6  *  *  7 ", "2026-11-21T12:00", "11-22 06:00 +00:00"),
    ] {
        assert_eq!(runs(pattern, "UTC", after, 1), [expected], "{pattern}");
    }
}

#[test]
fn a_wrong_pattern_names_the_field_and_its_value() {
    for (pattern, message) in [
        ("0 25 * * *", "hour \"25\" is not 0 to 23, a list, a range or a step such as */6"),
        ("60 * * * *", "minute \"60\" is not 0 to 59, a list, a range or a step such as */15"),
        ("61 0 0 * * *", "second \"61\" is not 0 to 59, a list, a range or a step such as */15"),
        ("0 2 * * SUN,WEN", "weekday \"SUN,WEN\" is not 0 to 7 or SUN to SAT, a list, a range, MON#1 or FRI#L"),
        ("0 2 32 * *", "day \"32\" is not 1 to 31, a list, a range, a step, L or 15W"),
        ("0 2 * 13 *", "month \"13\" is not 1 to 12 or JAN to DEC, a list, a range or a step"),
        ("0 2 30 2 *", "`0 2 30 2 *` never comes: no year has such a day"),
        ("@reboot", "`@reboot` is not one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually"),
        (
            "* * * *",
            "a schedule needs 5 fields (minute hour day month weekday), or 6 with seconds in front; this has 4",
        ),
        ("", "a schedule needs 5 fields (minute hour day month weekday), or 6 with seconds in front; this has 0"),
        (
            "0 0 2 * * * 2027",
            "a schedule has no year field: 5 fields (minute hour day month weekday), or 6 with seconds in front",
        ),
    ] {
        assert_eq!(Schedule::parse_cron(pattern).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_period_keeps_its_rhythm_in_calendar_days() {
    let oslo = zone("Europe/Oslo");
    let every = Schedule::every("2 days").unwrap();
    let last = at("2026-03-28T01:00:00Z"); // 02:00 in winter time, the day before the change
    assert_eq!(
        every.next_after(&oslo, Anchor::at(last), last),
        Some(at("2026-03-30T00:00:00Z")),
        "02:00 in summer time"
    );
    let late = at("2026-04-02T12:00:00Z");
    assert_eq!(every.next_after(&oslo, Anchor::at(last), late), Some(at("2026-04-03T00:00:00Z")), "on the same grid");
    let long_after = at("2036-04-02T12:00:00Z");
    let next = every.next_after(&oslo, Anchor::at(last), long_after).unwrap();
    assert!(next > long_after && next.duration_since(long_after) <= SignedDuration::from_hours(48));
    assert_eq!(every.next_after(&oslo, Anchor::default(), late), Some(late), "due at once without a last moment");
    assert_eq!(Schedule::every("90m").unwrap().next_after(&oslo, Anchor::at(last), last), Some(last + 90.minutes()));
}

#[test]
fn a_period_whose_moment_a_gap_swallows_comes_at_the_first_valid_moment_and_keeps_its_time_of_day() {
    // In 2026 Oslo's clocks go from 02:00 to 03:00 on Sunday, 29 March.
    let oslo = zone("Europe/Oslo");
    let every = Schedule::every("1 day").unwrap();
    let (saturday, sunday) = (at("2026-03-28T01:30:00Z"), at("2026-03-29T01:00:00Z"));
    let monday = at("2026-03-30T00:30:00Z");
    let days: Vec<Timestamp> = every.moments(&oslo, Anchor::at(saturday), saturday).take(3).collect();
    assert_eq!(days, [sunday, monday, at("2026-03-31T00:30:00Z")], "03:00, 02:30, 02:30");
    let known = Anchor { last: Some(sunday), before: Some(saturday) };
    assert_eq!(every.next_after(&oslo, known, sunday), Some(monday), "also from what the ledger knows");
    let odd = Anchor { last: Some(sunday), before: Some(at("2026-03-28T09:00:00Z")) };
    assert_eq!(every.next_after(&oslo, odd, sunday), Some(at("2026-03-30T01:00:00Z")), "a moment of another rhythm");
    let half = Schedule::every("1 day 12 hours").unwrap();
    let mixed = half.next_after(&oslo, Anchor { last: Some(sunday), before: Some(saturday) }, sunday);
    assert_eq!(mixed, Some(at("2026-03-30T13:00:00Z")), "which has no time of day");
}

#[test]
fn what_is_not_a_period_is_refused() {
    for (text, message) in [
        ("0 seconds", "a period must be at least a second"),
        ("-2 days", "a period must be at least a second"),
        ("500 ms", "a period must be at least a second"),
        (
            "1 month",
            "`1 month` is not a period: months and years differ in length; use `schedule`, such as \"0 6 1 * *\"",
        ),
        ("often", "`often` is not a period, such as \"2 days\", \"90 minutes\" or \"1 week\""),
        ("5", "`5` is not a period, such as \"2 days\", \"90 minutes\" or \"1 week\""),
    ] {
        assert_eq!(Schedule::every(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_schedule_is_stored_as_text_and_reads_back() {
    for text in ["cron 0 2 * * SUN,WED", "cron @daily", "every 2 days"] {
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.to_string(), text);
    }
    assert_eq!("every 2 days".parse(), Schedule::every("2 days"));
    for (text, message) in [
        ("0 2 * * *", "`0 2 * * *` is neither `cron` and a pattern nor `every` and a period"),
        ("cron 0 25 * * *", "hour \"25\" is not 0 to 23, a list, a range or a step such as */6"),
    ] {
        assert_eq!(text.parse::<Schedule>().unwrap_err().to_string(), message);
    }
}

#[test]
fn a_schedule_is_said_in_words() {
    assert_eq!(Schedule::parse_cron("0 2 * * SUN,WED").unwrap().describe(), "At 02:00, on Sunday and Wednesday");
    assert_eq!(Schedule::parse_cron("*/30 * * * *").unwrap().describe(), "every 30 minutes");
    assert_eq!(Schedule::every("2 days").unwrap().describe(), "every 2 days");
}
