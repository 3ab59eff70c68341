//! What the tests of this room share: clocks that a test sets, entries, and a bound on every wait.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::StoreSchedules;
use super::elapsed::Reading;
use super::plan::Entry;
use crate::clock::{Clock, Uptime};
use crate::domain::moment::Past;
use crate::schedule::{CatchUp, Schedule};

/// Clocks that move when they are told to.
pub(super) struct HandClock(Mutex<Reading>);

impl HandClock {
    pub(super) fn at(text: &str) -> Arc<Self> {
        let uptime = Uptime { awake: Duration::from_hours(1), since_boot: Duration::from_hours(1) };
        Arc::new(Self(Mutex::new(Reading { wall: text.parse().unwrap(), uptime })))
    }

    fn change(&self, wall: i64, awake: u64, asleep: u64) -> Timestamp {
        let mut now = self.0.lock().unwrap();
        now.wall += SignedDuration::from_millis(wall);
        now.uptime.awake += Duration::from_millis(awake);
        now.uptime.since_boot += Duration::from_millis(awake + asleep);
        now.wall
    }

    /// So many milliseconds pass.
    pub(super) fn step(&self, millis: u64) -> Timestamp {
        self.change(i64::try_from(millis).unwrap(), millis, 0)
    }

    /// The wall clock is set, backward when negative.
    pub(super) fn set(&self, millis: i64) -> Timestamp {
        self.change(millis, 0, 0)
    }

    /// The machine sleeps.
    pub(super) fn sleep(&self, millis: u64) -> Timestamp {
        self.change(i64::try_from(millis).unwrap(), 0, millis)
    }

    pub(super) fn reading(&self) -> Reading {
        *self.0.lock().unwrap()
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        self.reading().wall
    }

    fn uptime(&self) -> Uptime {
        self.reading().uptime
    }
}

/// A job in UTC without jitter, that has its schedule since eight o'clock of the tests and never had a moment.
pub(super) fn entry(job: &str, cron: &str) -> Entry {
    Entry {
        job: job.to_owned(),
        schedule: Schedule::parse_cron(cron).unwrap(),
        zone: TimeZone::UTC,
        jitter: Duration::ZERO,
        catch_up: CatchUp::Once,
        catch_up_within: None,
        past: Past::none(EIGHT.parse().unwrap()),
        paused: None,
    }
}

/// When most tests begin.
pub(super) const EIGHT: &str = "2026-11-20T08:00:00Z";

/// Stores schedules nowhere.
pub(super) fn stored() -> StoreSchedules {
    StoreSchedules::new(|_| std::future::ready(Ok(())))
}

/// The next value, or a failed test after ten seconds.
pub(super) async fn soon<T>(values: &mut mpsc::UnboundedReceiver<T>) -> T {
    let value = tokio::time::timeout(Duration::from_secs(10), values.recv()).await;
    value.expect("it comes in time").expect("somebody still sends")
}
