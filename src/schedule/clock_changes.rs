//! The planner held against a walk along the wall's clock, minute by minute or second by second, around every change of
//! every zone that our tests use and over whole years between them. The walk knows neither croner nor the planner: what a
//! pattern names is written out by hand beside it.

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

use super::*;

/// A pattern, whether it is an interval, and what it names.
pub(crate) struct Case {
    pub(crate) pattern: &'static str,
    interval: bool,
    names: fn(DateTime) -> bool,
}

pub(crate) const fn case(pattern: &'static str, interval: bool, names: fn(DateTime) -> bool) -> Case {
    Case { pattern, interval, names }
}

/// Patterns of whole minutes.
const MINUTES: [Case; 10] = [
    case("0 2 * * SUN,WED", false, |c| {
        (c.hour(), c.minute()) == (2, 0) && matches!(c.weekday(), Weekday::Sunday | Weekday::Wednesday)
    }),
    case("0,30 2 * * *", false, |c| c.hour() == 2 && c.minute() % 30 == 0),
    case("30 1 * * *", false, |c| (c.hour(), c.minute()) == (1, 30)),
    case("0 0 * * *", false, |c| (c.hour(), c.minute()) == (0, 0)),
    case("15 1-3 * * *", false, |c| (1..=3).contains(&c.hour()) && c.minute() == 15),
    case("59 23 L * *", false, |c| (c.hour(), c.minute()) == (23, 59) && c.day() == c.date().days_in_month()),
    case("5 1 1 * MON", false, |c| {
        (c.hour(), c.minute()) == (1, 5) && (c.day() == 1 || c.weekday() == Weekday::Monday)
    }),
    case("*/20 * * * *", true, |c| c.minute() % 20 == 0),
    case("45 */2 * * *", true, |c| c.hour() % 2 == 0 && c.minute() == 45),
    case("*/10 2 * * *", true, |c| c.hour() == 2 && c.minute() % 10 == 0),
];

/// Patterns with seconds.
const SECONDS: [Case; 4] = [
    case("*/7 59 1,2 * * *", false, |c| matches!(c.hour(), 1 | 2) && c.minute() == 59 && c.second() % 7 == 0),
    case("30 0,30 * * * *", true, |c| c.minute() % 30 == 0 && c.second() == 30),
    case("* * * * * *", true, |_| true),
    case("1 30 2 * * *", false, |c| (c.hour(), c.minute(), c.second()) == (2, 30, 1)),
];

/// Every zone that a test of ours names, and those whose changes are odd: by half an hour or two, at midnight, of a whole
/// day, around Ramadan, by the minute.
const ZONES: [&str; 20] = [
    "UTC",
    "America/New_York",
    "Europe/Oslo",
    "Europe/Paris",
    "Europe/London",
    "Europe/Dublin",
    "Australia/Lord_Howe", // half an hour
    "Antarctica/Troll",    // two hours
    "America/St_Johns",
    "Pacific/Chatham",
    "Asia/Kathmandu",
    "Africa/Cairo",      // from midnight to one
    "Africa/Casablanca", // winter time in Ramadan
    "Asia/Gaza",
    "Asia/Beirut",
    "America/Havana",
    "America/Santiago",
    "America/Asuncion",
    "America/Nuuk", // the day before
    "Asia/Tehran",
];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What the promise says of the time from `first` (exclusive) to `last`, by walking it: every pattern's moments.
pub(crate) fn walk(
    cases: &[Case],
    zone: &TimeZone,
    step: Span,
    first: Timestamp,
    last: Timestamp,
) -> Vec<Vec<Timestamp>> {
    let mut found: Vec<Vec<Timestamp>> = cases.iter().map(|_| Vec::new()).collect();
    // A day early, so that what a change before `first` has shown already is known.
    let mut instant = first - 24.hours();
    let mut expected = zone.to_datetime(instant);
    let mut highest = expected;
    while instant <= last {
        let reads = zone.to_datetime(instant);
        for (case, found) in cases.iter().zip(&mut found) {
            // The wall skipped from `expected` to `reads`: what is named in between runs now.
            let skipped = || std::iter::successors(Some(expected), |c| Some(*c + step)).take_while(|c| *c < reads);
            let named = (case.names)(reads) && (reads >= highest || case.interval);
            if (named || skipped().any(case.names)) && instant > first {
                found.push(instant);
            }
        }
        expected = reads + step;
        highest = highest.max(expected);
        instant += step;
    }
    found
}

/// What the planner says of the same time.
fn planned(pattern: &str, zone: &TimeZone, first: Timestamp, last: Timestamp) -> Vec<Timestamp> {
    let schedule = Schedule::parse_cron(pattern).unwrap();
    schedule.moments(zone, Anchor::at(first), first).take_while(|moment| *moment <= last).collect()
}

fn agree(cases: &[Case], name: &str, step: Span, first: Timestamp, last: Timestamp) {
    let zone = TimeZone::get(name).unwrap();
    for (case, walked) in cases.iter().zip(walk(cases, &zone, step, first, last)) {
        let planned = planned(case.pattern, &zone, first, last);
        assert_eq!(planned, walked, "{} in {name} from {first} to {last}", case.pattern);
    }
}

/// The instants at which a zone's offset changes.
fn changes(name: &str, from: &str, to: &str) -> Vec<Timestamp> {
    let (zone, to) = (TimeZone::get(name).unwrap(), at(to));
    zone.following(at(from)).map(|change| change.timestamp()).take_while(|change| *change < to).collect()
}

#[test]
fn around_every_change_of_a_decade_the_planner_agrees_with_walking_every_minute() {
    let mut count = 0;
    for name in ZONES {
        for change in changes(name, "2021-01-01T00:00:00Z", "2031-01-01T00:00:00Z") {
            agree(&MINUTES, name, 1.minute(), change - 25.hours(), change + 25.hours());
            count += 1;
        }
    }
    assert!(count > 250, "{count} changes");
}

#[test]
fn changes_of_the_past_that_were_odder_still_agree_too() {
    let odd = [
        ("Pacific/Apia", "2011-12-01T00:00:00Z", "2012-12-01T00:00:00Z"), // 30 December never was
        ("Pacific/Kwajalein", "1993-08-01T00:00:00Z", "1993-09-01T00:00:00Z"),
        ("America/Caracas", "2007-12-01T00:00:00Z", "2016-06-01T00:00:00Z"), // half an hour, for good
        ("Asia/Pyongyang", "2015-08-01T00:00:00Z", "2018-06-01T00:00:00Z"),
        ("America/Sao_Paulo", "2016-01-01T00:00:00Z", "2019-12-01T00:00:00Z"), // midnight itself
        ("Europe/Lisbon", "1992-01-01T00:00:00Z", "1996-12-01T00:00:00Z"),
        ("Antarctica/Casey", "2009-10-01T00:00:00Z", "2023-12-01T00:00:00Z"), // three hours
        ("Asia/Kathmandu", "1985-12-01T00:00:00Z", "1986-02-01T00:00:00Z"),   // a quarter of an hour
    ];
    for (name, from, to) in odd {
        let changes = changes(name, from, to);
        assert!(!changes.is_empty(), "{name}");
        for change in changes {
            agree(&MINUTES, name, 1.minute(), change - 49.hours(), change + 25.hours());
        }
    }
}

#[test]
fn around_the_changes_of_a_year_the_planner_agrees_with_walking_every_second() {
    for name in ["America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Antarctica/Troll"] {
        for change in changes(name, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z") {
            agree(&SECONDS, name, 1.second(), change - 3.hours(), change + 3.hours());
        }
    }
}

#[test]
fn over_a_whole_year_the_planner_agrees_with_walking_every_minute() {
    agree(&MINUTES, "America/New_York", 1.minute(), at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
}

/// Whatever instant is asked about, and not only moments themselves, the answer is the first of the walk after it.
#[test]
fn the_next_moment_after_any_instant_is_the_first_of_the_walk() {
    for (name, change) in
        [("America/New_York", "2026-03-08T07:00:00Z"), ("Australia/Lord_Howe", "2026-04-04T15:00:00Z")]
    {
        let zone = TimeZone::get(name).unwrap();
        let (first, last) = (at(change) - 5.hours(), at(change) + 60.hours());
        for (case, walked) in MINUTES.iter().zip(walk(&MINUTES, &zone, 1.minute(), first, last)) {
            let schedule = Schedule::parse_cron(case.pattern).unwrap();
            let mut asked = first;
            while asked < at(change) + 5.hours() {
                let expected = walked.iter().find(|moment| **moment > asked).copied();
                let found = schedule.next_after(&zone, Anchor::default(), asked).filter(|moment| *moment <= last);
                assert_eq!(found, expected, "{} in {name} after {asked}", case.pattern);
                asked += 7.minutes().seconds(1).milliseconds(13);
            }
        }
    }
}

/// The first instant at which the wall reads `civil` or, if it never does, more: by walking every second of the change.
fn walked(zone: &TimeZone, civil: DateTime) -> Timestamp {
    let guess = civil.to_zoned(zone.clone()).unwrap();
    if guess.datetime() == civil {
        return guess.timestamp();
    }
    let mut instant = guess.timestamp() - 26.hours();
    while zone.to_datetime(instant) < civil {
        instant += 1.second();
    }
    instant
}

#[test]
fn a_period_of_days_keeps_its_time_of_day_over_every_change() {
    let mut swallowed = 0;
    let odd = ["Pacific/Apia", "America/Sao_Paulo", "Antarctica/Casey"].map(|name| (name, "2009-10-03"));
    for (name, from) in ZONES.map(|name| (name, "2021-01-02")).into_iter().chain(odd) {
        let zone = TimeZone::get(name).unwrap();
        for (text, days, time) in [
            ("1 day", 1, "02:30:00"),
            ("1 day", 1, "00:15:00"),
            ("2 days", 2, "12:34:56"),
            ("1 day", 1, "01:59:59"),
            ("1 week", 7, "02:00:00"),
        ] {
            let every = Schedule::every(text).unwrap();
            let civil: DateTime = format!("{from}T{time}").parse().unwrap();
            let first = civil.to_zoned(zone.clone()).unwrap().timestamp();
            for (count, moment) in (1_i64..).zip(every.moments(&zone, Anchor::at(first), first).take(1500)) {
                let meant = civil + (days * count).days();
                swallowed += i32::from(zone.to_datetime(moment) != meant);
                assert_eq!(moment, walked(&zone, meant), "{text} at {time} in {name}, {meant}");
            }
        }
    }
    assert!(swallowed > 100, "{swallowed} moments lay in a gap");
}
