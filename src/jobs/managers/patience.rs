//! How long a run bears being turned away: a pure decision.

use std::time::Duration;

/// How long a run waits, all waits together, for Graph to accept anything at all.
const PATIENCE: Duration = Duration::from_mins(5);

/// How often in a row a run is turned away before it leaves the rest to the next one.
const MOST_TRIES: u32 = 20;

/// The first wait is about this long when Graph names none; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(400);

/// No wait of our own is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What was borne since Graph last accepted something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Patience {
    tries: u32,
    waited: Duration,
}

impl Patience {
    /// Turned away once more: how long to wait now, or `None` when patience is spent. `asked` is what Graph asked for, if
    /// it did; a second time in a row it is at least what we would wait by ourselves, so that a door that says "at once"
    /// is not knocked at without end. `jitter` is random in 0..1 and takes up to half off our own waits.
    pub(super) fn turned_away(&mut self, asked: Option<Duration>, jitter: f64) -> Option<Duration> {
        let own = FIRST_WAIT.saturating_mul(1 << self.tries.min(16)).min(LONGEST_WAIT).mul_f64(1.0 - jitter / 2.0);
        let wait = match asked {
            Some(asked) if self.tries == 0 => asked,
            asked => own.max(asked.unwrap_or_default()),
        };
        self.tries += 1;
        self.waited = self.waited.saturating_add(wait);
        (self.tries <= MOST_TRIES && self.waited <= PATIENCE).then_some(wait)
    }

    /// Something was accepted.
    pub(super) fn restore(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waits(asked: Option<Duration>, jitter: f64) -> Vec<Duration> {
        let mut patience = Patience::default();
        std::iter::from_fn(|| patience.turned_away(asked, jitter)).collect()
    }

    #[test]
    fn without_a_word_the_waits_double_and_end_within_minutes() {
        let all = waits(None, 0.0);
        let ms: Vec<u128> = all.iter().map(Duration::as_millis).collect();
        assert_eq!(ms[..8], [400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
        assert!(all.iter().sum::<Duration>() <= PATIENCE);
        assert_eq!(waits(None, 1.0)[..3], all[..3].iter().map(|wait| *wait / 2).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_asked_for_is_waited_and_an_hour_is_not() {
        assert_eq!(waits(Some(Duration::from_secs(100)), 0.5), [Duration::from_secs(100); 3]);
        assert!(waits(Some(Duration::from_hours(1)), 0.5).is_empty());
        assert!(waits(Some(Duration::MAX), 0.5).is_empty());
    }

    #[test]
    fn at_once_is_taken_at_its_word_once() {
        let all = waits(Some(Duration::ZERO), 0.0);
        assert_eq!(all[..3].iter().map(Duration::as_millis).collect::<Vec<_>>(), [0, 800, 1600]);
    }

    #[test]
    fn something_accepted_restores_it() {
        let mut patience = Patience::default();
        assert_eq!(patience.turned_away(Some(PATIENCE), 0.0), Some(PATIENCE));
        patience.restore();
        assert_eq!(patience.turned_away(Some(PATIENCE), 0.0), Some(PATIENCE));
        assert_eq!(patience.turned_away(Some(Duration::from_secs(1)), 0.0), None);
    }

    proptest! {
        #[test]
        fn it_is_never_shorter_than_asked_and_always_ends(
            asked in proptest::collection::vec(proptest::option::of(0u64..400), 1..60), jitter in 0.0..1.0f64,
        ) {
            let mut patience = Patience::default();
            let (mut total, mut tries) = (Duration::ZERO, 0);
            for asked in asked.into_iter().cycle().take(60) {
                let asked = asked.map(Duration::from_secs);
                let Some(wait) = patience.turned_away(asked, jitter) else { break };
                prop_assert!(wait >= asked.unwrap_or_default());
                total += wait;
                tries += 1;
            }
            prop_assert!(total <= PATIENCE && tries <= MOST_TRIES);
        }
    }
}
