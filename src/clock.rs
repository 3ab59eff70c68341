//! Where the program reads the time of day. Sleeping goes through `tokio::time`, which tests can pause.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// The wall clock. Rooms that record moments are handed one; pure functions take `now` as a value.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// The clocks that nobody can set, read at the same instant: what the wall clock is held against.
    fn uptime(&self) -> Uptime;
}

/// How long the machine has been up, by two clocks; only differences mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uptime {
    /// Without the time in which the machine was suspended (`CLOCK_MONOTONIC`).
    pub awake: Duration,
    /// With it (`CLOCK_BOOTTIME`).
    pub since_boot: Duration,
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn uptime(&self) -> Uptime {
        Uptime { awake: read(ClockId::Monotonic), since_boot: read(ClockId::Boottime) }
    }
}

fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).try_into().unwrap_or_default() // both count up from zero
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_of_the_machine_run_forward_and_sleep_is_counted_by_one_of_them() {
        let first = SystemClock.uptime();
        let second = SystemClock.uptime();
        assert!(first.awake > Duration::ZERO && first.awake <= first.since_boot, "{first:?}");
        assert!(second.awake >= first.awake && second.since_boot >= first.since_boot, "{first:?}, {second:?}");
    }
}
