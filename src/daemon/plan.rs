//! When a job is next to be fired: pure functions over its schedule, what was planned before, and the time.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::moment::{Disposition, Past};
use crate::schedule::{Anchor, CatchUp, Schedule};

/// From this much after its due time on, a moment was missed, and a run is `late`. The trigger looks twice a second, so that
/// anything above a second means that the machine was busy or asleep or its clock was set.
pub(super) const LATE_AFTER: Duration = Duration::from_secs(5);

/// One thing to fire.
#[derive(Clone, Debug)]
pub struct Entry {
    pub job: String,
    pub schedule: Schedule,
    /// The zone in which the schedule is read.
    pub zone: TimeZone,
    /// The most by which a moment is put off; the gap to the next moment bounds it too. Zero for none.
    pub jitter: Duration,
    /// What becomes of missed moments.
    pub catch_up: CatchUp,
    /// How old a moment may be to be caught up; none: the smaller of the gap to the next moment and 24 hours.
    pub catch_up_within: Option<Duration>,
    /// What the ledger holds of the job.
    pub past: Past,
    /// Why the job is not to be run now, for the ledger (`paused by ana`).
    pub paused: Option<String>,
}

/// One moment of a job and the instant at which it is fired: the moment plus its jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) planned_at: Timestamp,
    pub(super) due: Timestamp,
}

impl Entry {
    /// The instant at which the anchor's last moment, `planned_at`, is fired: never past the moment after it, so that jitter
    /// swaps nothing.
    pub(super) fn due(&self, anchor: Anchor, planned_at: Timestamp) -> Timestamp {
        if self.jitter.is_zero() {
            return planned_at;
        }
        let gap = self.gap_after(anchor, planned_at).unwrap_or(Duration::MAX);
        planned_at.checked_add(jitter(&self.job, planned_at, self.jitter.min(gap))).unwrap_or(planned_at)
    }

    /// From the anchor's last moment, `planned_at`, to the one after it; none after the last.
    pub(super) fn gap_after(&self, anchor: Anchor, planned_at: Timestamp) -> Option<Duration> {
        let next = self.schedule.next_after(&self.zone, anchor, planned_at)?;
        Some(next.duration_since(planned_at).unsigned_abs())
    }
}

/// By how much the moment `planned_at` of `job` is put off: below `most`, spread evenly over jobs and moments, and the
/// same in every process and release, so that a restart neither repeats nor skips a moment.
#[must_use]
pub fn jitter(job: &str, planned_at: Timestamp, most: Duration) -> Duration {
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    let moment = planned_at.as_millisecond().to_le_bytes();
    let hash = job.bytes().chain(moment).fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3) // FNV-1a
    });
    // FNV leaves the upper bits of alike inputs alike; splitmix64's last step spreads them.
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let share = (u128::from(mixed ^ (mixed >> 31)) * u128::from(millis)) >> 64;
    Duration::from_millis(u64::try_from(share).unwrap_or(u64::MAX))
}

/// How a run is recorded whose moment was due at `due` and which begins `now`.
pub(super) fn disposition(due: Timestamp, now: Timestamp) -> Disposition {
    if now > due && now.duration_since(due).unsigned_abs() > LATE_AFTER { Disposition::Late } else { Disposition::Ran }
}

#[cfg(test)]
mod tests {
    use super::super::testing::entry;
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn jitter_is_the_same_for_a_job_and_moment_in_every_release() {
        let moment = at("2026-11-20T02:00:00Z");
        let most = Duration::from_mins(10);
        let cases = [
            ("managers", moment, 10_897),
            ("licenses", moment, 327_322),
            ("managers", at("2026-11-21T02:00:00Z"), 285_166),
        ];
        for (job, moment, millis) in cases {
            assert_eq!(jitter(job, moment, most), Duration::from_millis(millis), "{job} at {moment}");
        }
        assert_eq!(jitter("managers", moment, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn jitter_is_below_its_bound_and_spread_over_it() {
        let start = at("2026-11-20T02:00:00Z");
        let most = Duration::from_secs(100);
        let mut tenths = [0; 10];
        for day in 0_u64..1000 {
            let put_off = jitter("managers", start + Duration::from_hours(24 * day), most);
            tenths[usize::try_from(put_off.as_millis() / 10_000).unwrap()] += 1; // beyond the end would be above `most`
        }
        assert!(tenths.iter().all(|count| (60..140).contains(count)), "{tenths:?}");
    }

    #[test]
    fn jitter_never_passes_the_next_moment() {
        let jittered = Entry { jitter: Duration::from_hours(1), ..entry("managers", "* * * * *") };
        let mut now = at("2026-11-20T02:00:30Z");
        for _ in 0..500 {
            let planned_at = jittered.schedule.next_after(&TimeZone::UTC, Anchor::default(), now).unwrap();
            let due = jittered.due(Anchor::at(planned_at), planned_at);
            assert!(due >= planned_at && due < planned_at + Duration::from_mins(1), "{planned_at} at {due}");
            now = planned_at;
        }
    }

    #[test]
    fn a_run_that_begins_noticeably_after_its_moment_is_late() {
        let due = at("2026-11-20T02:00:00Z");
        let cases = [
            ("2026-11-20T02:00:00.4Z", Disposition::Ran),
            ("2026-11-20T02:00:05Z", Disposition::Ran),
            ("2026-11-20T02:00:05.001Z", Disposition::Late),
            ("2026-11-20T09:00:00Z", Disposition::Late),
            ("2026-11-20T01:59:00Z", Disposition::Ran), // the clock was set back in between
        ];
        for (now, becomes) in cases {
            assert_eq!(disposition(due, at(now)), becomes, "now {now}");
        }
    }
}
