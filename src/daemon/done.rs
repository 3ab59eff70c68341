//! Which moments of a job are not to be fired again, should a clock that is set back bring them once more.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::moment::Past;

/// The most stretches that are remembered: each suspend or pause ends one, so that these are years.
const MOST: usize = 1000;

/// Stretches of time within which every moment of the job's schedule was fired, as first and last moment. A job that
/// fires each second for months is one stretch.
#[derive(Clone, Debug, Default)]
pub(super) struct Done(BTreeMap<Timestamp, Timestamp>);

impl Done {
    /// What a job's past says: every moment up to the newest row, and those that lie ahead of a clock that was set back.
    ///
    /// Of the former, a week. A clock set back by more was wrong by more, perhaps by years when those rows were written; to
    /// hold on to them would silence the job for as long.
    pub(super) fn of(past: &Past) -> Self {
        const WEEK: Duration = Duration::from_hours(7 * 24);
        let until = past.last.map(|last| (last.checked_sub(WEEK).unwrap_or(Timestamp::MIN), last));
        Self(until.into_iter().chain(past.ahead.iter().map(|moment| (*moment, *moment))).collect())
    }

    /// Notes that `moment` was fired, the one that follows `before` in the schedule. No stretch comes to lie in another.
    pub(super) fn add(&mut self, before: Option<Timestamp>, moment: Timestamp) {
        if self.end_of(moment).is_some() {
            return;
        }
        let stretch = before.and_then(|before| self.0.range(..=before).next_back().filter(|(_, end)| **end == before));
        let first = stretch.map_or(moment, |(first, _)| *first);
        // Single moments that lay ahead and are passed over now.
        while let Some((inner, _)) = self.0.range((Excluded(first), Included(moment))).next() {
            let inner = *inner;
            self.0.remove(&inner);
        }
        self.0.insert(first, moment);
        if self.0.len() > MOST {
            self.0.pop_first();
        }
    }

    /// The end of the stretch that `moment` lies in, if it was fired.
    pub(super) fn end_of(&self, moment: Timestamp) -> Option<Timestamp> {
        self.0.range(..=moment).next_back().map(|(_, end)| *end).filter(|end| *end >= moment)
    }

    /// The newest moment known to have been fired that does not lie after `now`: of a stretch that does, its first.
    pub(super) fn newest(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.range(..=now).next_back().map(|(first, end)| if *end <= now { *end } else { *first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn moments_in_a_row_are_one_stretch_and_others_are_not_covered_by_it() {
        let mut done = Done::of(&Past { ahead: [at(5)].into(), ..Past::none(at(0)) });
        for second in 10..1_000_000 {
            done.add((second > 10).then(|| at(second - 1)), at(second));
        }
        done.add(None, at(2_000_000));
        assert_eq!(done.0.len(), 3);
        for (asked, end) in [
            (4, None),
            (5, Some(5)),
            (6, None),
            (10, Some(999_999)),
            (500_000, Some(999_999)),
            (1_000_000, None),
            (2_000_000, Some(2_000_000)),
        ] {
            assert_eq!(done.end_of(at(asked)), end.map(at), "{asked}");
        }
        for (now, newest) in
            [(4, None), (7, Some(5)), (500_000, Some(10)), (1_500_000, Some(999_999)), (3_000_000, Some(2_000_000))]
        {
            assert_eq!(done.newest(at(now)), newest.map(at), "{now}");
        }
    }

    #[test]
    fn a_clock_set_back_by_less_than_a_week_brings_nothing_that_has_a_row() {
        let week = 7 * 86_400;
        let done = Done::of(&Past { last: Some(at(2 * week)), ..Past::none(at(0)) });
        let cases = [(week - 1, None), (week, Some(2 * week)), (2 * week, Some(2 * week)), (2 * week + 1, None)];
        for (asked, end) in cases {
            assert_eq!(done.end_of(at(asked)), end.map(at), "{asked}");
        }
    }

    #[test]
    fn no_stretch_hides_the_rest_of_another() {
        let mut done = Done::of(&Past { last: Some(at(100)), ahead: [at(120)].into(), ..Past::none(at(0)) });
        done.add(None, at(50)); // made up for
        assert_eq!(done.end_of(at(90)), Some(at(100)));
        done.add(Some(at(100)), at(110));
        done.add(Some(at(110)), at(130)); // 120 was passed over
        assert_eq!((done.end_of(at(125)), done.0.len()), (Some(at(130)), 1));
    }

    #[test]
    fn the_oldest_stretches_are_let_go() {
        let mut done = Done::default();
        (0..3000).for_each(|second| done.add(None, at(2 * second)));
        assert_eq!(done.0.len(), MOST);
        assert_eq!((done.end_of(at(3998)), done.end_of(at(4000))), (None, Some(at(4000))));
    }
}
