//! Whether to try again, and when: a pure decision.

use std::time::Duration;

use crate::http::call::Repeat;

/// What went wrong with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection: the request was certainly not carried out.
    Connect,
    /// No answer in time. Each of these has already cost the whole timeout.
    TimedOut,
    /// The connection broke, or the answer cannot be read.
    Broken,
    /// An answer, with the wait that it asks for.
    Status(u16, Option<Duration>),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Wait(Duration),
    /// Another attempt would end like this one, might do the work twice, is one too many, or lies beyond our patience.
    GiveUp,
}

/// The bounds of trying again.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The first wait of our own; it doubles from there.
    pub first_wait: Duration,
    /// All waits of a request together.
    pub patience: Duration,
}

/// No single wait of our own is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Backoff {
    /// Decides after attempt number `attempt` (from 1), `waited` having been spent on waits so far. `jitter` is random
    /// in 0..1 and takes up to half off our own waits, so that a fleet does not return in step.
    #[must_use]
    pub fn next(&self, attempt: u32, waited: Duration, failure: Failure, repeat: Repeat, jitter: f64) -> Next {
        let Some(attempts) = attempts(failure, repeat) else { return Next::GiveUp };
        if attempt >= attempts {
            return Next::GiveUp;
        }
        let wait = match failure {
            Failure::Status(_, Some(asked)) => asked,
            _ => self.own_wait(attempt, jitter),
        };
        if waited + wait > self.patience { Next::GiveUp } else { Next::Wait(wait) }
    }

    fn own_wait(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << (attempt - 1).min(16));
        doubled.min(LONGEST_WAIT).mul_f64(1.0 - jitter / 2.0)
    }
}

/// How many attempts a failure is worth in all; `None` when one was enough.
const fn attempts(failure: Failure, repeat: Repeat) -> Option<u32> {
    let safe = matches!(repeat, Repeat::Safe);
    match failure {
        // Turned away at the door: patience decides, the count only guards against `Retry-After: 0` for ever.
        Failure::Status(429 | 503 | 509, _) => Some(20),
        Failure::Connect => Some(6),
        Failure::Status(408 | 500 | 502 | 504, _) | Failure::Broken if safe => Some(6),
        Failure::TimedOut if safe => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BACKOFF: Backoff = Backoff { first_wait: Duration::from_millis(200), patience: Duration::from_mins(5) };

    fn after(attempt: u32, failure: Failure, repeat: Repeat) -> Next {
        BACKOFF.next(attempt, Duration::ZERO, failure, repeat, 0.0)
    }

    #[test]
    fn only_what_is_safe_to_repeat_is_repeated() {
        use Failure::{Broken, Connect, Status, TimedOut};
        let cases = [
            // failure, a read is repeated, a write is repeated
            (Connect, true, true),
            (Status(429, None), true, true),
            (Status(503, None), true, true),
            (Status(509, None), true, true),
            (Status(500, None), true, false),
            (Status(502, None), true, false),
            (Status(504, None), true, false),
            (Broken, true, false),
            (TimedOut, true, false),
            (Status(501, None), false, false),
            (Status(400, None), false, false),
            (Status(401, None), false, false),
            (Status(403, None), false, false),
            (Status(404, None), false, false),
            (Status(409, None), false, false),
        ];
        for (failure, read, write) in cases {
            let repeated = |repeat| matches!(after(1, failure, repeat), Next::Wait(_));
            assert_eq!((repeated(Repeat::Safe), repeated(Repeat::OnlyIfNotExecuted)), (read, write), "{failure:?}");
        }
    }

    #[test]
    fn our_own_waits_double_from_the_first() {
        let waits: Vec<Next> = (1..=6).map(|n| after(n, Failure::Connect, Repeat::Safe)).collect();
        let ms = |n| Next::Wait(Duration::from_millis(n));
        assert_eq!(waits, [ms(200), ms(400), ms(800), ms(1600), ms(3200), Next::GiveUp]);
        assert_eq!(BACKOFF.next(1, Duration::ZERO, Failure::Connect, Repeat::Safe, 1.0), ms(100), "jitter takes half");
    }

    #[test]
    fn a_wait_that_is_asked_for_beats_our_own() {
        let asked = Duration::from_secs(10);
        assert_eq!(after(3, Failure::Status(429, Some(asked)), Repeat::Safe), Next::Wait(asked));
    }

    #[test]
    fn a_wait_beyond_our_patience_ends_at_once() {
        let hour = Duration::from_hours(1);
        let next = after(1, Failure::Status(429, Some(hour)), Repeat::Safe);
        assert_eq!(next, Next::GiveUp);
        let spent = BACKOFF.next(
            2,
            Duration::from_secs(295),
            Failure::Status(503, Some(Duration::from_secs(6))),
            Repeat::Safe,
            0.0,
        );
        assert_eq!(spent, Next::GiveUp);
    }

    proptest! {
        #[test]
        fn every_request_ends_within_its_patience(asked in proptest::option::of(0u64..400), jitter in 0.0..1.0f64) {
            let failure = Failure::Status(429, asked.map(Duration::from_secs));
            let mut waited = Duration::ZERO;
            let mut attempt = 1;
            while let Next::Wait(wait) = BACKOFF.next(attempt, waited, failure, Repeat::Safe, jitter) {
                waited += wait;
                attempt += 1;
            }
            prop_assert!(waited <= BACKOFF.patience && attempt <= 20);
        }
    }
}
