//! Whether a notice that did not arrive is tried again, and when. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::notice::Tone;

/// The first wait; each is twice the one before.
const FIRST: Duration = Duration::from_secs(30);

/// No wait of our own is longer.
const LONGEST: Duration = Duration::from_hours(1);

/// A notice that is older is of no use any more: what is wrong is told by a reminder, too.
const USEFUL: Duration = Duration::from_hours(3 * 24);

/// A ping tells of now.
const PING_USEFUL: Duration = Duration::from_hours(1);

/// What comes of a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    At(Timestamp),
    GiveUp,
}

/// Whether a notice is still of use. One that is not is no longer sent: it would tell of a time that is over.
#[must_use]
pub(super) fn is_of_use(tone: Tone, made_at: Timestamp, now: Timestamp) -> bool {
    let useful = if tone.is_ping() { PING_USEFUL } else { USEFUL };
    SignedDuration::try_from(useful).is_ok_and(|useful| now.duration_since(made_at) <= useful)
}

/// Decides after an attempt that failed, `before` others having failed already. `asked` is the wait that the other side
/// wants. `jitter` is random in 0..1.
#[must_use]
pub(super) fn next_try(
    tone: Tone,
    made_at: Timestamp,
    before: u32,
    asked: Option<Duration>,
    jitter: f64,
    now: Timestamp,
) -> Next {
    let own = FIRST.saturating_mul(1 << before.min(16)).min(LONGEST);
    let wait = asked.unwrap_or_default().max(own.mul_f64(1.0 + jitter / 10.0));
    let useful = if tone.is_ping() { PING_USEFUL } else { USEFUL };
    let later = |from: Timestamp, by: Duration| {
        from.checked_add(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
    };
    // Made in the future by a clock that was set back: it counts from now.
    let at = later(now, wait);
    if at > later(made_at.min(now), useful) { Next::GiveUp } else { Next::At(at) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::testing::at;

    fn after(tone: Tone, before: u32, asked: Option<u64>, now: i64) -> Next {
        next_try(tone, at(0), before, asked.map(Duration::from_secs), 0.0, at(now))
    }

    #[test]
    fn waits_double_up_to_an_hour_and_end_with_the_notices_use() {
        let waits: Vec<Next> = [0, 1, 2, 7, 30].map(|before| after(Tone::New, before, None, 0)).to_vec();
        assert_eq!(waits, [30, 60, 120, 3600, 3600].map(|second| Next::At(at(second))));
        assert_eq!(after(Tone::New, 90, None, 3 * 86_400), Next::GiveUp);
        assert_eq!(after(Tone::Success, 0, None, 3590), Next::GiveUp, "a ping is of use for an hour");
    }

    #[test]
    fn an_old_ping_is_of_no_use_and_an_older_notice_neither() {
        let cases = [(Tone::Success, 3600, true), (Tone::Success, 3601, false), (Tone::New, 3601, true)];
        for (tone, age, of_use) in cases {
            assert_eq!(is_of_use(tone, at(0), at(age)), of_use, "{tone} {age}");
        }
        assert!(!is_of_use(Tone::New, at(0), at(3 * 86_400 + 1)));
        assert!(is_of_use(Tone::New, at(60), at(0)), "of a clock that was set back");
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept() {
        assert_eq!(after(Tone::New, 0, Some(600), 0), Next::At(at(600)));
        assert_eq!(after(Tone::New, 7, Some(1), 0), Next::At(at(3600)), "our own is longer");
        assert_eq!(after(Tone::New, 0, Some(30 * 86_400), 0), Next::GiveUp);
    }

    proptest! {
        #[test]
        fn every_notice_is_settled_within_its_use(
            asked in proptest::option::of(0_u64..100_000), jitter in 0.0..1.0_f64, ping in any::<bool>(),
        ) {
            let tone = if ping { Tone::Fail } else { Tone::New };
            let (mut now, mut attempts) = (at(0), 0);
            while let Next::At(next) = next_try(tone, at(0), attempts, asked.map(Duration::from_secs), jitter, now) {
                prop_assert!(next > now);
                (now, attempts) = (next, attempts + 1);
            }
            prop_assert!(now.duration_since(at(0)) <= SignedDuration::from_hours(72));
            prop_assert!(attempts <= 90, "{attempts}");
        }
    }
}
