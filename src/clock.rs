//! Where the program reads the time of day. Sleeping goes through `tokio::time`, which tests can pause.

use jiff::Timestamp;

/// The wall clock. Rooms that record moments are handed one; pure functions take `now` as a value.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
