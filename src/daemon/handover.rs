//! Another configuration comes while moments wait, and the service is killed at any point of what it had to tell: the next
//! start finds every moment of the old schedule, in the ledger or by the schedule that is stored.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

use super::ledger::{Ledger, Rows};
use super::plan::Entry;
use super::plans::Plans;
use super::testing::{EIGHT, HandClock, entry, stored};

/// What the service tells, in this order, whose job has a moment every seven seconds and is then given another schedule, or
/// none. The trigger looks after so many milliseconds each.
fn told(jitter: u64, looks: &[u64], other: Option<&str>) -> (Vec<Result<Rows, Timestamp>>, Timestamp) {
    let clock = HandClock::at(EIGHT);
    let (ledger, mut read) = Ledger::to_read();
    let (mut plans, id) = (Plans::new(clock.reading(), ledger), Uuid::new_v4());
    let jitter = Duration::from_millis(jitter);
    let before = Entry { jitter, ..entry("managers", "*/7 * * * * *") };
    plans.start(vec![(id, before.clone())]);
    for millis in looks {
        clock.step(*millis);
        plans.look(clock.reading());
    }
    let schedule = |text: &str| Entry { schedule: entry("managers", text).schedule, ..before.clone() };
    plans.reload(other.map(schedule).into_iter().collect(), stored(), clock.reading());
    (read(), clock.reading().wall)
}

/// The moments of the old schedule until then, by walking every second.
fn moments(until: Timestamp) -> impl Iterator<Item = Timestamp> {
    let begin = EIGHT.parse::<Timestamp>().unwrap();
    let seconds = (1..).map(move |second| begin + SignedDuration::from_secs(second));
    seconds.take_while(move |second| *second <= until).filter(|second| second.as_second() % 60 % 7 == 0)
}

proptest! {
    #[test]
    fn a_kill_while_another_configuration_is_taken_over_loses_no_moment(
        jitter in prop_oneof![Just(0), 1..20_000_u64],
        looks in proptest::collection::vec(1..9_000_u64, 1..12),
        other in proptest::option::of(Just("*/11 * * * * *")),
    ) {
        let (lines, until) = told(jitter, &looks, other);
        prop_assert_eq!(lines.iter().filter(|line| line.is_err()).count(), 1);
        for killed in 0..=lines.len() {
            let written = &lines[..killed];
            let is_stored = written.iter().any(Result::is_err);
            let rows = written.iter().filter_map(|line| line.as_ref().ok()).flat_map(|rows| &rows.moments);
            let rows: BTreeSet<Timestamp> = rows.copied().collect();
            for moment in moments(until) {
                let is_found = !is_stored && rows.last().is_none_or(|last| moment > *last);
                prop_assert!(rows.contains(&moment) || is_found, "{moment} is lost at line {killed} of {lines:#?}");
            }
        }
        let since = lines.iter().find_map(|line| line.as_ref().err());
        prop_assert_eq!(since, Some(&until), "the new one counts from where the old one ends");
    }
}
