//! The long run: fires jobs at their moments, keeps them apart, tells the ledger and the service manager, and leaves in
//! an orderly way.
//!
//! Knows nothing of what the jobs do, of the configuration or of the database: the composition root hands it entries to
//! fire and two functions, one that carries a run out and one that records a moment. What is to be fired when is decided
//! by the pure functions of `plan`; `scheduler` is the trigger, `serve` the loop.

mod catch_up;
mod desk;
mod done;
mod elapsed;
mod ledger;
mod plan;
mod plans;
mod reread;
mod scheduler;
mod serve;
mod service;
mod signals;
mod systemd;
mod track;
#[cfg(test)]
mod handover;
#[cfg(test)]
mod life;
#[cfg(test)]
mod testing;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::domain::moment::Disposition;
use crate::domain::run::{Outcome, RunId};

pub use desk::{About, Desk, DeskEnd, Leaving, NextRun, Refusal, desk};
pub use plan::{Entry, jitter};
pub use scheduler::SchedulerError;
pub use serve::serve;
pub use signals::{Signal, listen};
pub use systemd::not_started;

/// What the service asks of the rest of the program.
#[derive(Debug)]
pub struct Hooks<R, L, N> {
    /// `Fn(Firing) -> impl Future<Output = Ended>`: carries a run out, in a task of its own. A panic ends that run alone.
    pub run: R,
    /// `Fn(Vec<Moment>) -> impl Future<Output = Result<(), String>>`: writes moments into the ledger, all or none, and says
    /// why it could not. Called for one list at a time, in order; what was not written comes again, before anything newer.
    /// The same `(job, planned_at)` comes again, and replaces the row, once the run that it led to is over.
    pub record: L,
    /// `Fn() -> impl Future<Output = Reloaded>`: reads the configuration again. Called for one at a time.
    pub reload: N,
}

/// What reading the configuration again came to.
#[derive(Clone, Debug)]
pub enum Reloaded {
    /// What is scheduled is as before.
    Unchanged,
    /// What is to be fired from now on. A job whose schedule and zone are as before keeps its place. The second is called
    /// once these are in force.
    Now(Vec<Entry>, StoreSchedules),
    /// The last good configuration stays; the first line of what is wrong with the new one.
    Refused(String),
}

/// Stores the schedules of a configuration, all or none. It is called with the instant since which they are in force, after
/// all moments that were decided by the schedules before have been recorded, and again until it could be done: whenever
/// the service is killed, the database tells by which schedule its moments since the newest row are to be found.
#[derive(Clone)]
pub struct StoreSchedules(Arc<dyn Fn(Timestamp) -> BoxFuture<'static, Result<(), String>> + Send + Sync>);

impl StoreSchedules {
    /// `store` says why it could not.
    pub fn new<F>(store: impl Fn(Timestamp) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move |since| Box::pin(store(since))))
    }

    fn store(&self, since: Timestamp) -> BoxFuture<'static, Result<(), String>> {
        (self.0)(since)
    }
}

impl fmt::Debug for StoreSchedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreSchedules(..)")
    }
}

/// A run that is to begin.
#[derive(Clone, Debug)]
pub struct Firing {
    pub job: String,
    /// The scheduled moment, without jitter or lateness.
    pub planned_at: Timestamp,
    /// `ran`, `late` or `caught_up`.
    pub disposition: Disposition,
    /// Raised when the service is asked to stop: finish the call in hand, journal it, and end as `interrupted`.
    pub stop: CancellationToken,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// None when no run was opened, as with [`Outcome::Busy`].
    pub run: Option<RunId>,
    pub outcome: Outcome,
    /// It did not run after all (`paused`, `too_soon`, `overlap`), and why.
    pub instead: Option<(Disposition, String)>,
}

/// Why the service left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It was asked to, and every run ended by itself.
    Drained,
    /// It was asked to, and these many runs did not end within the grace; their open intents are settled at the next start.
    GraceOver { running: usize },
    /// It was asked twice while these many runs were going on.
    Aborted { running: usize },
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drained => f.write_str("every run ended by itself"),
            Self::GraceOver { running } => {
                write!(f, "{running} of the runs did not end within the grace and were cut off")
            }
            Self::Aborted { running } => write!(f, "asked twice; {running} of the runs were cut off"),
        }
    }
}

/// The service cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("signals of the operating system cannot be received")]
    Signals {
        #[source]
        source: std::io::Error,
    },
    #[error("jobs cannot be scheduled")]
    Scheduler {
        #[from]
        source: SchedulerError,
    },
}
