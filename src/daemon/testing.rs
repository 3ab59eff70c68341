//! What the tests of this room share: a clock that a test sets, entries, and a bound on every wait.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::plan::Entry;
use crate::clock::{Clock, Uptime};
use crate::domain::moment::Past;
use crate::schedule::{CatchUp, Schedule};

/// A clock that moves when it is told to.
pub(super) struct HandClock(Mutex<Timestamp>);

impl HandClock {
    pub(super) fn at(text: &str) -> Arc<Self> {
        Arc::new(Self(Mutex::new(text.parse().unwrap())))
    }

    /// Moves by so many milliseconds, backward when negative, and says where it is.
    pub(super) fn step(&self, millis: i64) -> Timestamp {
        let mut now = self.0.lock().unwrap();
        *now += SignedDuration::from_millis(millis);
        *now
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn uptime(&self) -> Uptime {
        Uptime::default()
    }
}

/// A job in UTC without jitter that never had a moment.
pub(super) fn entry(job: &str, cron: &str) -> Entry {
    Entry {
        job: job.to_owned(),
        schedule: Schedule::parse_cron(cron).unwrap(),
        zone: TimeZone::UTC,
        jitter: Duration::ZERO,
        catch_up: CatchUp::Once,
        catch_up_within: None,
        past: Past::none(Timestamp::UNIX_EPOCH),
        paused: None,
    }
}

/// The next value, or a failed test after ten seconds.
pub(super) async fn soon<T>(values: &mut mpsc::UnboundedReceiver<T>) -> T {
    let value = tokio::time::timeout(Duration::from_secs(10), values.recv()).await;
    value.expect("it comes in time").expect("somebody still sends")
}
