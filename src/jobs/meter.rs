//! Counts of what became of runs, writes and scheduled moments, since the process began.
//!
//! Kept in the process and not taken from the history: what the history forgets by age would make a count go down,
//! which whoever watches would take for a restart, and count again. A command that is carried out without the service
//! counts in its own process, and is seen by nobody; the gauges that are read from the history know of it all the same.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

use crate::domain::decision::ChangeKind;
use crate::domain::moment::Disposition;
use crate::domain::run::{JobKind, Outcome, RunId};
use crate::history::History;
use crate::history::changes::ChangeState;
use crate::jobs::Job;
use crate::jobs::report::{ALREADY_RUN, Finish};

/// Up to how many seconds each group of runs lasted: a keepalive takes one, the first pass over a large company an
/// hour.
pub const BOUNDS: [f64; 11] = [0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0];

/// How long runs lasted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// How many ended within each of [`BOUNDS`], and not within the one before; at last those that took longer.
    pub counts: [u64; BOUNDS.len() + 1],
    pub total: Duration,
}

impl Spread {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let group = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.counts[group] += 1;
        self.total += took;
    }
}

/// All counts at one moment, by the job's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    pub runs: BTreeMap<(String, Outcome), u64>,
    /// Of the runs that were begun.
    pub durations: BTreeMap<String, Spread>,
    /// Writes, by what was known of them when their run ended.
    pub changes: BTreeMap<(String, ChangeKind, ChangeState), u64>,
    /// Scheduled moments at which the job did not run.
    pub missed: BTreeMap<(String, Disposition), u64>,
}

/// The counts of a process.
#[derive(Debug)]
pub struct Meter {
    since: Timestamp,
    counts: Mutex<Counts>,
}

impl Meter {
    /// Counts from `since` on.
    #[must_use]
    pub fn new(since: Timestamp) -> Self {
        Self { since, counts: Mutex::default() }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when it counts.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// All counts as they are now.
    #[must_use]
    pub fn read(&self) -> Counts {
        self.counts().clone()
    }

    /// Counts a run that has ended, and its writes; `took` is how long it lasted, if it was begun. A moment that had
    /// its run before is no run.
    pub(super) async fn count(
        &self,
        history: &History,
        (run, job): (&RunId, &Job),
        finish: &Finish,
        took: Option<Duration>,
    ) {
        if finish.reason.as_deref() == Some(ALREADY_RUN) {
            return;
        }
        self.ended(&job.name, finish.outcome, took);
        if took.is_some() && job.kind() == JobKind::Managers {
            match history.change_counts(run).await {
                Ok(changes) => self.wrote(&job.name, &changes),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    warn!(error, "the writes of run {run} are missing among those that are counted");
                }
            }
        }
    }

    fn ended(&self, job: &str, outcome: Outcome, took: Option<Duration>) {
        let mut counts = self.counts();
        *counts.runs.entry((job.to_owned(), outcome)).or_default() += 1;
        if let Some(took) = took {
            counts.durations.entry(job.to_owned()).or_default().add(took);
        }
    }

    fn wrote(&self, job: &str, changes: &[(ChangeKind, ChangeState, u64)]) {
        let mut counts = self.counts();
        for (kind, state, count) in changes {
            *counts.changes.entry((job.to_owned(), *kind, *state)).or_default() += count;
        }
    }

    /// The ledger has so many rows more of this disposition. Moments at which the job ran are its runs, and not counted
    /// here.
    pub fn recorded(&self, job: &str, disposition: Disposition, moments: usize) {
        if !disposition.is_run() {
            let moments = u64::try_from(moments).unwrap_or(u64::MAX);
            *self.counts().missed.entry((job.to_owned(), disposition)).or_default() += moments;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_falls_into_the_first_group_that_holds_it() {
        let mut spread = Spread::default();
        for seconds in [0.0, 0.25, 0.26, 14_400.0, 14_401.0] {
            spread.add(Duration::from_secs_f64(seconds));
        }
        assert_eq!(spread.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(spread.total, Duration::from_secs_f64(28_801.51));
    }

    #[test]
    fn only_moments_without_a_run_are_missed() {
        let meter = Meter::new(Timestamp::UNIX_EPOCH);
        for disposition in Disposition::ALL {
            meter.recorded("managers", *disposition, 2);
        }
        let missed = meter.read().missed;
        assert_eq!(missed.len(), Disposition::ALL.len() - 3);
        assert!(missed.iter().all(|((_, disposition), count)| !disposition.is_run() && *count == 2), "{missed:?}");
    }
}
