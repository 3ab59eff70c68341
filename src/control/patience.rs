//! How long a connection may take: to ask, and to take the answer. While the service works, it may take as long as it does.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// For a whole request to arrive.
const TO_ASK: Duration = Duration::from_secs(10);
/// For an answer to be taken, once it is complete.
const TO_READ: Duration = Duration::from_secs(30);

/// The time limit of one connection. Clones are of the same one.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    limit: watch::Sender<Option<Instant>>,
    to_read: Duration,
}

impl Patience {
    /// Waits for a request from now on.
    pub(super) fn new() -> Self {
        Self::of(TO_ASK, TO_READ)
    }

    fn of(to_ask: Duration, to_read: Duration) -> Self {
        Self { limit: watch::Sender::new(Some(Instant::now() + to_ask)), to_read }
    }

    /// The request is there, and is worked on.
    pub(super) fn works(&self) {
        self.limit.send_replace(None);
    }

    /// The answer is complete.
    pub(super) fn answered(&self) {
        self.limit.send_replace(Some(Instant::now() + self.to_read));
    }

    /// Waits until the other side has taken too long.
    pub(super) async fn ends(&self) {
        let mut limit = self.limit.subscribe();
        loop {
            let until = *limit.borrow_and_update();
            // The sender is held by `self`: waiting for a change does not fail.
            match until {
                None => drop(limit.changed().await),
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => return,
                    _ = limit.changed() => {}
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asking_and_reading_are_bounded_and_work_is_not() {
        let within =
            |time, patience: Patience| async move { tokio::time::timeout(time, patience.ends()).await.is_ok() };
        let patience = Patience::of(Duration::ZERO, Duration::ZERO);
        assert!(within(Duration::from_secs(10), patience.clone()).await);
        patience.works();
        assert!(!within(Duration::from_millis(50), patience.clone()).await, "the service is at work");
        let waiting = tokio::spawn(within(Duration::from_secs(10), patience.clone()));
        patience.answered();
        assert!(waiting.await.unwrap());
    }
}
