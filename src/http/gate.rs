//! The pace towards one vendor, shared by all its calls.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, sleep_until};

use crate::http::advice::RateWindow;
use crate::http::throttle::{Budget, Share};

/// Graph's write budget per app and tenant is 3,000 in 150 seconds, which is 20 a second; a batch holds 20.
/// Source: <https://learn.microsoft.com/graph/throttling-limits>
const GRAPH_WRITES: u32 = 20;

/// How many batches of writes are in the air at once. They have places of their own, since whoever has one reads old
/// values before it writes: places for all would be taken by writers who wait for readers.
const WRITERS: usize = 2;

/// The longest time for which one answer keeps everybody out. After it somebody may ask whether it is still so.
const LONGEST_HOLD: Duration = Duration::from_mins(5);

/// Holds requests back: so many at once, a share of each observed rate limit, a budget of writes, and nobody before a
/// moment that the server named. Limits are kept apart by endpoint, which is how both vendors count.
#[derive(Debug)]
pub struct Gate {
    slots: Semaphore,
    writers: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    share: Option<f64>,
    shares: HashMap<&'static str, Share>,
    not_before: HashMap<&'static str, Instant>,
    budget: Option<Budget>,
}

impl Gate {
    /// Okta: four requests at once, and `share` of whatever limit its answers announce.
    #[must_use]
    pub fn okta(share: f64) -> Self {
        Self::new(4, Some(share), None)
    }

    /// Graph: eight requests at once, and the write budget.
    #[must_use]
    pub fn graph() -> Self {
        Self::new(8, None, Some(Budget::new(GRAPH_WRITES, GRAPH_WRITES, Instant::now())))
    }

    fn new(slots: usize, share: Option<f64>, budget: Option<Budget>) -> Self {
        let state = State { share, shares: HashMap::new(), not_before: HashMap::new(), budget };
        Self { slots: Semaphore::new(slots), writers: Semaphore::new(WRITERS), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn to read. Nobody keeps a place while waiting for a moment: a shut endpoint must not fill the places
    /// of the others.
    pub(super) async fn enter(&self, endpoint: &'static str) -> Leave<'_> {
        let mut waited = Duration::ZERO;
        loop {
            let place = self.slots.acquire().await.expect("the semaphore is never closed");
            match self.take(endpoint) {
                Ok(()) => return Leave { gate: self, endpoint, waited, _place: place },
                Err(later) => {
                    drop(place);
                    waited += slept_until(later).await;
                }
            }
        }
    }

    /// Waits for a turn to make so many writes, which the budget then counts as made. May take minutes, and nothing is
    /// lost when the wait is dropped.
    pub async fn leave_to_write(&self, endpoint: &'static str, writes: u32) -> Leave<'_> {
        let place = self.writers.acquire().await.expect("the semaphore is never closed");
        let mut waited = self.state().reserve(writes, Instant::now());
        sleep(waited).await;
        while let Err(later) = self.take(endpoint) {
            waited += slept_until(later).await;
        }
        Leave { gate: self, endpoint, waited, _place: place }
    }

    fn take(&self, endpoint: &'static str) -> Result<(), Instant> {
        self.state().take(endpoint, Instant::now())
    }

    /// Lets nobody pass to `endpoint` for as long as a refusal with this status asks for: what one is told holds for all.
    pub fn heed(&self, endpoint: &'static str, status: u16, asked: Option<Duration>) {
        let (429 | 503, Some(wait)) = (status, asked) else { return };
        let until = Instant::now() + wait.min(LONGEST_HOLD);
        let mut state = self.state();
        let known = state.not_before.entry(endpoint).or_insert(until);
        *known = (*known).max(until);
    }

    pub(super) fn observe(&self, endpoint: &'static str, window: RateWindow) {
        if let Some(share) = self.state().shares.get_mut(endpoint) {
            share.observe(window, Instant::now());
        }
    }
}

impl State {
    fn reserve(&mut self, writes: u32, now: Instant) -> Duration {
        self.budget.as_mut().map_or(Duration::ZERO, |budget| budget.reserve(writes, now))
    }

    fn shut_until(&self, endpoint: &'static str, now: Instant) -> Option<Instant> {
        self.not_before.get(endpoint).copied().filter(|moment| *moment > now)
    }

    fn take(&mut self, endpoint: &'static str, now: Instant) -> Result<(), Instant> {
        if let Some(later) = self.shut_until(endpoint, now) {
            return Err(later);
        }
        match self.share {
            Some(share) => self.shares.entry(endpoint).or_insert_with(|| Share::new(share)).take(now),
            None => Ok(()),
        }
    }
}

/// Sleeps until then, and says for how long that was.
async fn slept_until(later: Instant) -> Duration {
    let begun = Instant::now();
    sleep_until(later).await;
    begun.elapsed()
}

/// A request's leave to be in the air. Its place is free again when it is dropped.
#[derive(Debug)]
pub struct Leave<'a> {
    gate: &'a Gate,
    endpoint: &'static str,
    waited: Duration,
    _place: SemaphorePermit<'a>,
}

impl<'a> Leave<'a> {
    pub(super) const fn gate(&self) -> &'a Gate {
        self.gate
    }

    /// How long it was kept back. Waits for a place among the requests in the air are not counted: those are short.
    #[must_use]
    pub const fn waited(&self) -> Duration {
        self.waited
    }

    /// Whether the server has asked everybody to wait since this was given.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.gate.state().shut_until(self.endpoint, Instant::now()).is_some()
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(share) = self.gate.state().shares.get_mut(self.endpoint) {
            share.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hold_keeps_one_endpoint_shut_and_no_other() {
        let gate = Gate::okta(0.6);
        gate.heed("/a", 429, Some(Duration::from_mins(10)));
        assert!(passes(gate.enter("/b")).await);
        assert!(!passes(gate.enter("/a")).await);
    }

    #[tokio::test]
    async fn only_a_door_that_is_shut_for_a_time_shuts_it_for_all() {
        let minute = Some(Duration::from_mins(1));
        for (status, asked, open) in
            [(429, minute, false), (503, minute, false), (429, None, true), (403, minute, true), (500, minute, true)]
        {
            let gate = Gate::graph();
            gate.heed("/a", status, asked);
            assert_eq!(passes(gate.enter("/a")).await, open, "{status} {asked:?}");
        }
        let gate = Gate::graph();
        gate.heed("/a", 429, Some(Duration::from_hours(1)));
        gate.heed("/a", 429, Some(Duration::from_secs(1)));
        let shut = |from: Duration| gate.state().shut_until("/a", Instant::now() + from).is_some();
        assert!(shut(Duration::from_secs(299)), "a shorter wait does not take back a longer one");
        assert!(!shut(LONGEST_HOLD), "nobody is kept out for an hour on one word");
    }

    #[tokio::test]
    async fn whoever_waits_at_a_shut_door_takes_no_place_from_the_others() {
        let gate = Gate::okta(0.6);
        gate.heed("/a", 429, Some(Duration::from_mins(1)));
        let mut waiting: Vec<_> = (0..9).map(|_| Box::pin(gate.enter("/a"))).collect();
        for one in &mut waiting {
            assert!(!passes(one).await);
        }
        assert!(passes(gate.enter("/b")).await);
    }

    #[tokio::test]
    async fn a_writer_has_a_place_of_its_own_and_hears_that_its_leave_is_withdrawn() {
        let gate = Gate::graph();
        let leave = gate.leave_to_write("/a", 1).await;
        let reading: Vec<_> = futures_util::future::join_all((0..8).map(|_| gate.enter("/a"))).await;
        assert!(passes(gate.leave_to_write("/a", 1)).await, "readers do not keep writers out");
        drop(reading);
        assert!(!leave.is_withdrawn());
        gate.heed("/b", 429, Some(Duration::from_mins(1)));
        assert!(!leave.is_withdrawn(), "another door");
        gate.heed("/a", 429, Some(Duration::from_mins(1)));
        assert!(leave.is_withdrawn());
        assert!(!passes(gate.leave_to_write("/a", 1)).await);
    }

    /// Whether the turn comes without a wait worth the name.
    async fn passes(turn: impl Future<Output = Leave<'_>>) -> bool {
        tokio::time::timeout(Duration::from_millis(20), turn).await.is_ok()
    }

    #[tokio::test]
    async fn only_four_requests_to_okta_are_in_the_air() {
        let gate = Gate::okta(1.0);
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.push(gate.enter("/a").await);
        }
        assert!(!passes(gate.enter("/a")).await);
        taken.pop();
        assert!(passes(gate.enter("/a")).await);
    }

    #[test]
    fn writes_beyond_the_burst_wait_for_the_budget() {
        let gate = Gate::graph();
        let now = Instant::now();
        let mut state = gate.state();
        assert_eq!(state.reserve(20, now), Duration::ZERO);
        assert!(state.reserve(20, now) >= Duration::from_millis(900));
    }
}
