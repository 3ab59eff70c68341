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
pub struct Patience {
    stage: watch::Sender<Stage>,
    to_read: Duration,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Its request has not arrived whole.
    Asks {
        until: Instant,
    },
    Works,
    /// It takes the answer.
    Reads {
        until: Instant,
    },
}

impl Patience {
    /// Waits for a request from now on.
    pub(super) fn new() -> Self {
        Self::of(TO_ASK, TO_READ)
    }

    fn of(to_ask: Duration, to_read: Duration) -> Self {
        Self { stage: watch::Sender::new(Stage::Asks { until: Instant::now() + to_ask }), to_read }
    }

    /// The request is there, and is worked on.
    pub fn works(&self) {
        self.stage.send_replace(Stage::Works);
    }

    /// The answer is complete.
    pub fn answered(&self) {
        self.stage.send_replace(Stage::Reads { until: Instant::now() + self.to_read });
    }

    /// Whether the request has not arrived whole.
    pub(super) fn asks(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Asks { .. })
    }

    /// Waits until the other side has taken too long.
    pub(super) async fn ends(&self) {
        let mut stages = self.stage.subscribe();
        loop {
            let stage = *stages.borrow_and_update();
            // The sender is held by `self`: waiting for a change does not fail.
            match stage {
                Stage::Works => drop(stages.changed().await),
                Stage::Asks { until } | Stage::Reads { until } => tokio::select! {
                    () = tokio::time::sleep_until(until) => return,
                    _ = stages.changed() => {}
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
        assert!(patience.asks() && within(Duration::from_secs(10), patience.clone()).await);
        patience.works();
        assert!(!patience.asks());
        assert!(!within(Duration::from_millis(50), patience.clone()).await, "the service is at work");
        let waiting = tokio::spawn(within(Duration::from_secs(10), patience.clone()));
        patience.answered();
        assert!(waiting.await.unwrap());
    }
}
