//! When a job is next to be fired: pure functions over its schedule, what was planned before, and the time.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::moment::{Disposition, Past};
use crate::schedule::{CatchUp, Schedule};

/// From this much after its due time on, a run counts as `late`. The trigger looks twice a second, so that anything above
/// a second means that the machine was busy or asleep or its clock was set. A stall shorter than this loses no moment.
pub(super) const LATE_AFTER: Duration = Duration::from_secs(5);

/// A clock that steps back by less than this was merely corrected: what has run is not run again. By more, and the last
/// moment lay in a future that never was; holding on to it could silence the job for years.
const FORGET_AFTER: Duration = Duration::from_hours(1);

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
    /// The first tick after `now`, for a job that is new here or whose clock was set.
    pub(super) fn first(&self, now: Timestamp) -> Option<Tick> {
        let (last, from) = ground(self.past.last, now);
        self.tick(last, from)
    }

    /// The instant at which the job is next fired, jitter included, for whoever foretells it.
    #[must_use]
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.first(now).map(|tick| tick.due)
    }

    /// The tick after `fired`, which has just come due. After a stall shorter than [`LATE_AFTER`] each missed moment
    /// still comes; after a longer one they are passed over.
    pub(super) fn following(&self, fired: Tick, now: Timestamp) -> Option<Tick> {
        let stalled = now.duration_since(fired.due).unsigned_abs() > LATE_AFTER;
        self.tick(Some(fired.planned_at), if stalled { now.max(fired.planned_at) } else { fired.planned_at })
    }

    fn tick(&self, last: Option<Timestamp>, from: Timestamp) -> Option<Tick> {
        let planned_at = self.schedule.next_after(&self.zone, last, from)?;
        Some(Tick { planned_at, due: self.due(planned_at) })
    }

    /// The instant at which the moment `planned_at` is fired: never past the moment after it, so that jitter swaps nothing.
    fn due(&self, planned_at: Timestamp) -> Timestamp {
        if self.jitter.is_zero() {
            return planned_at;
        }
        let gap = self
            .schedule
            .next_after(&self.zone, Some(planned_at), planned_at)
            .map_or(Duration::MAX, |next| next.duration_since(planned_at).unsigned_abs());
        planned_at.checked_add(jitter(&self.job, planned_at, self.jitter.min(gap))).unwrap_or(planned_at)
    }
}

/// The last moment that counts, and the instant after which the next one is sought.
fn ground(last: Option<Timestamp>, now: Timestamp) -> (Option<Timestamp>, Timestamp) {
    match last {
        Some(last) if last <= now => (Some(last), now),
        Some(last) if last.duration_since(now).unsigned_abs() <= FORGET_AFTER => (Some(last), last),
        Some(_) | None => (None, now),
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

/// What becomes of a moment that was due at `due` and is looked at `now`.
pub(super) fn disposition(due: Timestamp, now: Timestamp, running: bool) -> Disposition {
    if running {
        Disposition::Overlap
    } else if now > due && now.duration_since(due).unsigned_abs() > LATE_AFTER {
        Disposition::Late
    } else {
        Disposition::Ran
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn entry(cron: &str, last: Option<&str>) -> Entry {
        Entry {
            job: "managers".to_owned(),
            schedule: Schedule::parse_cron(cron).unwrap(),
            zone: TimeZone::UTC,
            jitter: Duration::ZERO,
            catch_up: CatchUp::Once,
            catch_up_within: None,
            past: Past { last: last.map(at), ..Past::none(Timestamp::UNIX_EPOCH) },
            paused: None,
        }
    }

    #[test]
    fn what_has_run_is_not_run_again_unless_the_clock_was_far_off() {
        let cases = [
            // last, now, next
            (None, "2026-11-20T01:00:00Z", "2026-11-20T02:00:00Z"),
            (Some("2026-11-17T02:00:00Z"), "2026-11-20T01:00:00Z", "2026-11-20T02:00:00Z"),
            (Some("2026-11-20T02:00:00Z"), "2026-11-20T02:00:00.3Z", "2026-11-21T02:00:00Z"),
            (Some("2026-11-20T02:00:00Z"), "2026-11-20T01:59:57Z", "2026-11-21T02:00:00Z"),
            (Some("2026-11-20T02:00:00Z"), "2026-11-20T01:00:00Z", "2026-11-21T02:00:00Z"),
            (Some("2026-11-20T02:00:00Z"), "2026-11-20T00:59:59Z", "2026-11-20T02:00:00Z"),
            (Some("2036-01-01T02:00:00Z"), "2026-11-20T01:00:00Z", "2026-11-20T02:00:00Z"),
        ];
        for (last, now, next) in cases {
            let tick = entry("0 2 * * *", last).first(at(now)).unwrap();
            assert_eq!(tick.planned_at, at(next), "last {last:?}, now {now}");
            assert_eq!(tick.due, tick.planned_at);
        }
    }

    #[test]
    fn a_short_stall_loses_no_moment_and_a_long_one_starts_from_now() {
        let fired = Tick { planned_at: at("2026-11-20T10:00:00Z"), due: at("2026-11-20T10:00:00.8Z") };
        let cases = [
            // now, next
            ("2026-11-20T10:00:00.9Z", "2026-11-20T10:00:01Z"),
            ("2026-11-20T10:00:05.8Z", "2026-11-20T10:00:01Z"),
            ("2026-11-20T10:00:06Z", "2026-11-20T10:00:07Z"),
            ("2026-11-20T12:00:00Z", "2026-11-20T12:00:01Z"),
        ];
        for (now, next) in cases {
            assert_eq!(entry("* * * * * *", None).following(fired, at(now)).unwrap().planned_at, at(next), "now {now}");
        }
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
        let jittered = Entry { jitter: Duration::from_hours(1), ..entry("* * * * *", None) };
        let mut now = at("2026-11-20T02:00:30Z");
        for _ in 0..500 {
            let tick = jittered.first(now).unwrap();
            assert!(tick.due >= tick.planned_at && tick.due < tick.planned_at + Duration::from_mins(1), "{tick:?}");
            now = tick.planned_at;
        }
    }

    #[test]
    fn a_moment_is_run_late_or_overlaps() {
        let due = at("2026-11-20T02:00:00Z");
        let cases = [
            // now, running, becomes
            ("2026-11-20T02:00:00.4Z", false, Disposition::Ran),
            ("2026-11-20T02:00:05Z", false, Disposition::Ran),
            ("2026-11-20T02:00:05.001Z", false, Disposition::Late),
            ("2026-11-20T09:00:00Z", false, Disposition::Late),
            ("2026-11-20T01:59:00Z", false, Disposition::Ran), // the clock was set back in between
            ("2026-11-20T02:00:00.4Z", true, Disposition::Overlap),
            ("2026-11-20T09:00:00Z", true, Disposition::Overlap),
        ];
        for (now, running, becomes) in cases {
            assert_eq!(disposition(due, at(now), running), becomes, "now {now}, running {running}");
        }
    }
}
