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

/// Holds requests back: so many at once, a share of each observed rate limit, a budget of writes, and nobody before a
/// moment that the server named. Limits are kept apart by endpoint, which is how both vendors count.
#[derive(Debug)]
pub struct Gate {
    slots: Semaphore,
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
        Self { slots: Semaphore::new(slots), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn. The place is free again when the pass is dropped.
    pub(super) async fn enter(&self, endpoint: &'static str, writes: u32) -> Pass<'_> {
        let slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let wait = self.state().reserve(writes, Instant::now());
        if !wait.is_zero() {
            sleep(wait).await;
        }
        loop {
            let turn = self.state().take(endpoint, Instant::now());
            match turn {
                Ok(()) => return Pass { gate: self, endpoint, _slot: slot },
                Err(later) => sleep_until(later).await,
            }
        }
    }

    /// Lets nobody pass to `endpoint` for a while.
    pub(super) fn hold(&self, endpoint: &'static str, wait: Duration) {
        let until = Instant::now() + wait;
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
        match &mut self.budget {
            Some(budget) if writes > 0 => budget.reserve(writes, now),
            _ => Duration::ZERO,
        }
    }

    fn take(&mut self, endpoint: &'static str, now: Instant) -> Result<(), Instant> {
        if let Some(later) = self.not_before.get(endpoint).copied().filter(|moment| *moment > now) {
            return Err(later);
        }
        match self.share {
            Some(share) => self.shares.entry(endpoint).or_insert_with(|| Share::new(share)).take(now),
            None => Ok(()),
        }
    }
}

/// A request's leave to be in the air.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    endpoint: &'static str,
    _slot: SemaphorePermit<'a>,
}

impl Drop for Pass<'_> {
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
        gate.hold("/a", Duration::from_mins(10));
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, gate.enter("/b", 0)).await.is_ok());
        assert!(tokio::time::timeout(soon, gate.enter("/a", 0)).await.is_err());
    }

    #[tokio::test]
    async fn only_four_requests_to_okta_are_in_the_air() {
        let gate = Gate::okta(1.0);
        let mut passes = Vec::new();
        for _ in 0..4 {
            passes.push(gate.enter("/a", 0).await);
        }
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, gate.enter("/a", 0)).await.is_err());
        passes.pop();
        assert!(tokio::time::timeout(soon, gate.enter("/a", 0)).await.is_ok());
    }

    #[test]
    fn writes_beyond_the_burst_wait_for_the_budget_and_reads_do_not() {
        let gate = Gate::graph();
        let now = Instant::now();
        let mut state = gate.state();
        assert_eq!(state.reserve(20, now), Duration::ZERO);
        assert!(state.reserve(20, now) >= Duration::from_millis(900));
        assert_eq!(state.reserve(0, now), Duration::ZERO);
    }
}
