//! Whole lives of the service in a test's hands: months with kills, outages, suspends, set clocks and pauses, and after
//! each life a look into the ledger. What should be there is worked out by walking every second or minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;
use uuid::Uuid;

use super::ledger::{Ledger, Rows};
use super::plan::Entry;
use super::plans::Plans;
use super::testing::{EIGHT, HandClock, entry};
use crate::clock::Clock;
use crate::domain::moment::{Disposition, Past};
use crate::schedule::clock_changes::{Case, case, walk};
use crate::schedule::{CatchUp, Schedule};

/// A row of the ledger, as the database would hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    disposition: Disposition,
    has_run: bool,
}

/// A service and its database, with one job.
struct Life {
    clock: Arc<HandClock>,
    entry: Entry,
    book: BTreeMap<Timestamp, Row>,
    /// Runs that were begun.
    begun: Vec<Timestamp>,
    process: Option<Process>,
}

struct Process {
    plans: Plans,
    id: Uuid,
    read: Box<dyn FnMut() -> Vec<Result<Rows, Timestamp>>>,
}

const MISSED: [Disposition; 5] =
    [Disposition::Down, Disposition::Asleep, Disposition::Skipped, Disposition::Collapsed, Disposition::TooOld];

impl Life {
    fn of(entry: Entry) -> Self {
        let mut life =
            Self { clock: HandClock::at(EIGHT), entry, book: BTreeMap::new(), begun: Vec::new(), process: None };
        life.start();
        life
    }

    /// What the database says of the job's past.
    fn past(&self) -> Past {
        let now = self.clock.now();
        let unbegun = |row: &Row| !row.has_run && matches!(row.disposition, Disposition::Ran | Disposition::CaughtUp);
        Past {
            // A schedule that begins in the future was stored by a clock that was ahead.
            since: self.entry.past.since.min(now),
            last: self.book.range(..=now).next_back().map(|(moment, _)| *moment),
            before: self.book.range(..=now).rev().nth(1).map(|(moment, _)| *moment),
            ahead: self
                .book
                .range(now..)
                .filter(|(_, row)| !MISSED.contains(&row.disposition))
                .map(|(m, _)| *m)
                .collect(),
            unbegun: self.book.range(..=now).rev().filter(|(_, row)| unbegun(row)).map(|(moment, _)| *moment).collect(),
        }
    }

    fn start(&mut self) {
        self.entry.past = self.past();
        let (ledger, read) = Ledger::to_read();
        let mut plans = Plans::new(self.clock.reading(), ledger);
        let id = Uuid::new_v4();
        plans.start(vec![(id, self.entry.clone())]);
        self.process = Some(Process { plans, id, read: Box::new(read) });
        self.look(false);
    }

    /// Dies at once: what was fetched is as far as it is.
    fn kill(&mut self) {
        self.write();
        self.process = None;
    }

    fn write(&mut self) {
        let Some(process) = &mut self.process else { return };
        for rows in (process.read)().into_iter().filter_map(Result::ok) {
            for moment in rows.moments {
                let has_run = self.book.get(&moment).is_some_and(|row| row.has_run);
                self.book.insert(moment, Row { disposition: rows.disposition, has_run });
            }
        }
    }

    /// The trigger looks, and what is due is begun; or the service dies between the two.
    fn look(&mut self, dies: bool) {
        let Some(process) = &mut self.process else { return };
        process.plans.look(self.clock.reading());
        let fired = process.plans.fetch(process.id);
        self.write();
        for fired in fired {
            let moment = fired.tick.planned_at;
            let disposition = if fired.missed.is_some() { Disposition::CaughtUp } else { Disposition::Ran };
            if self.entry.paused.is_some() {
                self.book.insert(moment, Row { disposition: Disposition::Paused, has_run: false });
                continue;
            }
            self.book.insert(moment, Row { disposition, has_run: !dies });
            if dies {
                return self.kill();
            }
            self.begun.push(moment);
        }
    }

    /// So much time passes. The trigger looks at the moments themselves and not at each half second between.
    fn pass(&mut self, millis: u64) {
        let end = self.clock.now() + SignedDuration::from_millis(i64::try_from(millis).unwrap());
        while let Some(process) = &self.process
            && let Some(next) = process.plans.next().map(|next| next.due)
            && next < end
        {
            let wait = next.duration_since(self.clock.now()).as_millis().max(1);
            self.clock.step(u64::try_from(wait).unwrap());
            self.look(false);
        }
        let rest = end.duration_since(self.clock.now()).as_millis().max(0);
        self.clock.step(u64::try_from(rest).unwrap());
        self.look(false);
    }

    fn pause(&mut self, why: Option<&str>) {
        self.entry.paused = why.map(str::to_owned);
        if let Some(process) = &mut self.process {
            process.plans.pause(&self.entry.job, self.entry.paused.clone());
        }
    }

    /// How many rows there are of each disposition.
    fn count(&self, disposition: Disposition) -> usize {
        self.book.values().filter(|row| row.disposition == disposition).count()
    }
}

/// A year in New York with nights off and weekends asleep, against a walk over each minute of it.
#[test]
fn a_year_of_the_service_has_a_row_for_every_moment_of_the_walk() {
    const CASES: [Case; 3] = [
        case("0 2 * * SUN,WED", false, |c| {
            use jiff::civil::Weekday::{Sunday, Wednesday};
            (c.hour(), c.minute()) == (2, 0) && matches!(c.weekday(), Sunday | Wednesday)
        }),
        case("*/20 * * * *", true, |c| c.minute() % 20 == 0),
        case("30 1,2 * * *", false, |c| matches!(c.hour(), 1 | 2) && c.minute() == 30),
    ];
    let zone = TimeZone::get("America/New_York").unwrap();
    let first: Timestamp = EIGHT.parse().unwrap();
    let walked = walk(&CASES, &zone, 1.minute(), first, first + (24 * 365).hours());
    for (case, walked) in CASES.iter().zip(walked) {
        let jitter = Duration::from_mins(if case.pattern.starts_with('*') { 0 } else { 10 });
        let mut life = Life::of(Entry { zone: zone.clone(), jitter, ..entry("keepalive", case.pattern) });
        for day in 0..365 {
            life.pass(20 * 3_600_000);
            match day % 7 {
                0 => {
                    life.kill();
                    life.pass(4 * 3_600_000);
                    life.start();
                }
                1 => {
                    life.clock.sleep(4 * 3_600_000);
                    life.look(false);
                }
                _ => life.pass(4 * 3_600_000),
            }
        }
        let now = life.clock.now();
        // One that jitter still puts off has no row yet.
        let settled = now - jitter;
        let rows: BTreeSet<Timestamp> = life.book.keys().copied().filter(|moment| *moment <= settled).collect();
        let expected: BTreeSet<Timestamp> = walked.into_iter().filter(|moment| *moment <= settled).collect();
        let odd: Vec<&Timestamp> = rows.symmetric_difference(&expected).collect();
        assert!(odd.is_empty(), "{} is lost or no moment: {odd:?}", case.pattern);
        let distinct: BTreeSet<Timestamp> = life.begun.iter().copied().collect();
        assert_eq!(distinct.len(), life.begun.len(), "no moment is run twice");
        assert!(life.count(Disposition::Ran) > 0 && life.count(Disposition::CaughtUp) > 0, "{}", case.pattern);
    }
}

#[test]
fn the_sunday_whose_two_o_clock_does_not_exist_is_run() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let mut life = Life::of(Entry { zone, ..entry("keepalive", "0 2 * * SUN,WED") });
    life.pass(150 * 86_400_000);
    let sunday: Timestamp = "2027-03-14T07:00:00Z".parse().unwrap(); // 03:00 in summer time
    assert!(life.begun.contains(&sunday), "{:?}", life.begun);
    assert_eq!(life.book[&sunday].disposition, Disposition::Ran);
}

#[test]
fn a_period_of_days_keeps_its_time_of_day_over_a_gap_and_through_restarts() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let schedule = Schedule::every("1 day").unwrap();
    let past = Past::none("2026-11-20T07:30:00Z".parse().unwrap());
    for restarts in [false, true] {
        let entry =
            Entry { zone: zone.clone(), schedule: schedule.clone(), past: past.clone(), ..entry("me", "@daily") };
        let mut life = Life { clock: HandClock::at("2026-11-20T07:30:00Z"), ..Life::of(entry) };
        (life.book, life.begun) = (BTreeMap::new(), Vec::new());
        life.start();
        for _ in 0..200 {
            life.pass(86_400_000);
            if restarts {
                life.kill();
                life.start();
            }
        }
        let times: BTreeSet<String> =
            life.begun.iter().map(|moment| zone.to_datetime(*moment).time().to_string()).collect();
        assert_eq!(times, BTreeSet::from(["02:30:00".to_owned(), "03:00:00".to_owned()]), "restarts: {restarts}");
        let sunday: Timestamp = "2027-03-14T07:00:00Z".parse().unwrap();
        assert_eq!(
            life.begun.iter().filter(|moment| zone.to_datetime(**moment).hour() == 3).collect::<Vec<_>>(),
            [&sunday]
        );
        assert!(life.begun.len() >= 199, "{}", life.begun.len());
    }
}

/// Something that happens to a service.
#[derive(Clone, Copy, Debug)]
enum Event {
    Pass(u64),
    /// Killed, and started again after so long.
    Kill(u64),
    /// Killed when the next moment was told and its run not begun.
    KillAtMoment(u64),
    Sleep(u64),
    Set(i64),
    /// Nothing looks for so long.
    Stall(u64),
    Pause,
    Resume,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let short = || prop_oneof![1..5_000_u64, 5_000..900_000_u64, 900_000..20_000_000_u64];
    let event = prop_oneof![
        4 => short().prop_map(Event::Pass),
        2 => short().prop_map(Event::Kill),
        1 => short().prop_map(Event::KillAtMoment),
        1 => short().prop_map(Event::Sleep),
        2 => prop_oneof![-20_000_000..20_000_000_i64, -9000..9000_i64].prop_map(Event::Set),
        1 => short().prop_map(Event::Stall),
        1 => Just(Event::Pause),
        1 => Just(Event::Resume),
    ];
    proptest::collection::vec(event, 1..25)
}

/// A schedule and the seconds between its moments, which begin at the hour.
fn schedules() -> impl Strategy<Value = (Schedule, i64)> {
    let cron = |text: &str| Schedule::parse_cron(text).unwrap();
    prop_oneof![
        Just((cron("*/15 * * * * *"), 15)),
        Just((cron("* * * * *"), 60)),
        Just((cron("*/10 * * * *"), 600)),
        Just((cron("0 * * * *"), 3600)),
    ]
}

fn settings() -> impl Strategy<Value = (CatchUp, Option<Duration>, Duration)> {
    let within = proptest::option::of((0..20_000_u64).prop_map(Duration::from_secs));
    let jitter = prop_oneof![Just(0), 1..2000_u64].prop_map(Duration::from_secs);
    (proptest::sample::select(CatchUp::ALL), within, jitter)
}

impl Life {
    fn suffer(&mut self, event: Event) {
        match event {
            Event::Pass(millis) => self.pass(millis),
            Event::Kill(millis) => {
                self.kill();
                self.pass(millis);
                self.start();
            }
            Event::KillAtMoment(millis) => {
                let due = self.process.as_ref().and_then(|process| process.plans.next()).map(|next| next.due);
                let wait = due.map_or(0, |due| due.duration_since(self.clock.now()).as_millis().max(0));
                self.clock.step(u64::try_from(wait).unwrap());
                self.look(true);
                self.suffer(Event::Kill(millis));
            }
            Event::Sleep(millis) => {
                self.clock.sleep(millis);
                self.look(false);
            }
            Event::Set(millis) => {
                self.clock.set(millis);
                self.look(false);
            }
            Event::Stall(millis) => {
                self.clock.step(millis);
                self.look(false);
            }
            Event::Pause => self.pause(Some("paused by ana")),
            Event::Resume => self.pause(None),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_happens_every_moment_has_one_row_and_at_most_one_run(
        (schedule, every) in schedules(),
        (catch_up, catch_up_within, jitter) in settings(),
        events in events(),
    ) {
        let mut life = Life::of(Entry { schedule, jitter, catch_up, catch_up_within, ..entry("managers", "* * * * *") });
        let mut from = life.clock.now().as_second();
        for event in events {
            life.suffer(event);
            from = from.min(life.clock.now().as_second() + 1);
        }
        let now = life.clock.now();
        let since = EIGHT.parse::<Timestamp>().unwrap().as_second();
        let gap = i64::try_from(jitter.as_secs()).unwrap().min(every);
        for second in since + 1..=now.as_second() {
            let moment = Timestamp::from_second(second).unwrap();
            let named = second % every == 0;
            let row = life.book.get(&moment);
            if !named {
                prop_assert!(row.is_none(), "{moment} is no moment, and is {row:?}");
            } else if second + gap < now.as_second() {
                prop_assert!(row.is_some(), "{moment} is lost; now {now}");
            }
        }
        let distinct: BTreeSet<Timestamp> = life.begun.iter().copied().collect();
        prop_assert_eq!(distinct.len(), life.begun.len(), "{:?}", life.begun);
        for (moment, row) in &life.book {
            prop_assert_eq!(row.has_run, distinct.contains(moment), "{} is {:?}", moment, row);
            let runs = matches!(row.disposition, Disposition::Ran | Disposition::CaughtUp);
            // What was told and killed before it began is made up for, and stays without a run only if it may not be.
            prop_assert!(runs == row.has_run || *moment > now, "{} is {:?}", moment, row);
        }
    }
}
