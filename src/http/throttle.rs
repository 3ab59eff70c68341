//! Paces as state machines: the moment is handed in, nothing sleeps here.

use std::time::Duration;

use tokio::time::Instant;

use crate::http::advice::RateWindow;

/// Keeps to a share of a rate limit that the server announces with each answer (Okta). Until the first answer of a
/// window nothing is known and nothing held back; whoever uses this keeps few requests in the air.
#[derive(Clone, Debug)]
pub struct Share {
    part: f64,
    /// The window that the last answer spoke of.
    window: Option<Window>,
    in_flight: u32,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    limit: u32,
    used: u32,
    ends: Instant,
}

impl Share {
    /// `part` of the limit, from 0 to 1; one request a window is always granted.
    #[must_use]
    pub const fn new(part: f64) -> Self {
        Self { part, window: None, in_flight: 0 }
    }

    /// Takes a place in the current window, or says when to ask again.
    ///
    /// # Errors
    ///
    /// The moment the window ends.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        if let Some(window) = self.window.filter(|window| window.ends > now) {
            if window.used + self.in_flight >= self.allowed(window.limit) {
                return Err(window.ends);
            }
        } else {
            self.window = None;
        }
        self.in_flight += 1;
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32 is a u32")]
    fn allowed(&self, limit: u32) -> u32 {
        ((f64::from(limit) * self.part.clamp(0.0, 1.0)).floor() as u32).max(1)
    }

    /// A request came back, with or without an answer.
    pub fn give_back(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// What an answer said. Answers overtake each other: within a window the highest use counts.
    pub fn observe(&mut self, seen: RateWindow, now: Instant) {
        if seen.limit == 0 {
            return; // too many at once; says nothing about the rate
        }
        let used = seen.limit.saturating_sub(seen.remaining);
        let ends = now + seen.ends_in.min(LONGEST_WINDOW);
        self.window = Some(match self.window {
            // Ends are computed from whole seconds and differ by up to one between answers of one window.
            Some(old) if ends < old.ends + Duration::from_secs(2) => {
                Window { limit: seen.limit, used: used.max(old.used), ends: old.ends }
            }
            _ => Window { limit: seen.limit, used, ends },
        });
    }
}

/// Okta's windows last about a minute. A longer one is the fault of a clock, and is not slept through.
const LONGEST_WINDOW: Duration = Duration::from_mins(2);

/// A budget of writes that refills steadily (Graph: 3,000 in 150 seconds per app and tenant).
#[derive(Clone, Debug)]
pub struct Budget {
    per_second: f64,
    burst: f64,
    /// Below zero when reserved ahead of time.
    left: f64,
    at: Instant,
}

impl Budget {
    #[must_use]
    pub fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self { per_second: f64::from(per_second), burst: f64::from(burst), left: f64::from(burst), at: now }
    }

    /// Reserves `count` writes and says how long to wait before making them. Reservations are served in order.
    pub fn reserve(&mut self, count: u32, now: Instant) -> Duration {
        let refill = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + refill).min(self.burst) - f64::from(count);
        self.at = now;
        Duration::from_secs_f64((-self.left).max(0.0) / self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(limit: u32, remaining: u32, seconds: u64) -> RateWindow {
        RateWindow { limit, remaining, ends_in: Duration::from_secs(seconds) }
    }

    /// Takes, answers, gives back, and counts how many fit before the window is full.
    fn fill(share: &mut Share, limit: u32, now: Instant) -> u32 {
        let mut made = 0;
        while share.take(now).is_ok() {
            made += 1;
            share.observe(window(limit, limit - made, 60), now);
            share.give_back();
        }
        made
    }

    #[test]
    fn only_the_share_of_the_limit_is_used() {
        let now = Instant::now();
        for (part, limit, made) in [(0.6, 600, 360), (0.6, 50, 30), (1.0, 20, 20), (0.1, 5, 1), (0.0, 100, 1)] {
            assert_eq!(fill(&mut Share::new(part), limit, now), made, "{part} of {limit}");
        }
    }

    #[test]
    fn a_full_window_is_waited_out_and_the_next_is_free() {
        let now = Instant::now();
        let mut share = Share::new(0.6);
        fill(&mut share, 50, now);
        assert_eq!(share.take(now), Err(now + Duration::from_mins(1)));
        assert_eq!(share.take(now + Duration::from_mins(1)), Ok(()));
    }

    #[test]
    fn what_others_use_of_the_limit_counts_as_used() {
        let now = Instant::now();
        let mut share = Share::new(0.6);
        share.observe(window(100, 35, 10), now);
        assert!(share.take(now).is_err());
    }

    #[test]
    fn requests_in_the_air_are_counted() {
        let now = Instant::now();
        let mut share = Share::new(0.5);
        share.observe(window(10, 8, 60), now);
        let taken = (0..10).filter(|_| share.take(now).is_ok()).count();
        assert_eq!(taken, 3, "5 allowed, 2 used");
    }

    #[test]
    fn an_overtaken_answer_does_not_make_the_window_emptier() {
        let now = Instant::now();
        let mut share = Share::new(0.5);
        share.observe(window(10, 4, 60), now);
        share.observe(window(10, 9, 60), now);
        assert!(share.take(now).is_err());
        share.observe(window(10, 9, 120), now);
        assert!(share.take(now).is_ok(), "a later window is another one");
    }

    #[test]
    fn too_many_at_once_says_nothing_about_the_rate() {
        let now = Instant::now();
        let mut share = Share::new(0.5);
        share.observe(window(0, 0, 60), now);
        assert!(share.take(now).is_ok());
    }

    #[test]
    fn a_burst_is_free_and_then_writes_come_at_their_rate() {
        let now = Instant::now();
        let mut budget = Budget::new(20, 20, now);
        assert_eq!(budget.reserve(20, now), Duration::ZERO);
        assert_eq!(budget.reserve(20, now), Duration::from_secs(1));
        assert_eq!(budget.reserve(20, now + Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!(
            budget.reserve(20, now + Duration::from_mins(1)),
            Duration::ZERO,
            "a rest refills one burst, no more"
        );
        assert_eq!(budget.reserve(10, now + Duration::from_mins(1)), Duration::from_millis(500));
    }

    proptest! {
        #[test]
        fn no_span_of_time_sees_more_than_burst_and_rate(counts in proptest::collection::vec(1u32..=20, 1..40)) {
            let start = Instant::now();
            let mut budget = Budget::new(20, 20, start);
            let mut now = start;
            let mut total = 0;
            for count in counts {
                now += budget.reserve(count, now);
                total += count;
                let allowed = 20.0 + 20.0 * (now - start).as_secs_f64() + 1e-6;
                prop_assert!(f64::from(total) <= allowed);
            }
        }
    }
}
