//! A scheduled moment: the instant at which a job was to run, and what became of it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::run::{RunId, words};

words! {
    /// What became of a scheduled moment.
    Disposition, "disposition of a scheduled moment", {
        /// A run began when it should.
        Ran => "ran",
        /// A run began, but noticeably after its moment: the machine was busy, asleep, or its clock was set.
        Late => "late",
        /// Missed, and run afterwards.
        CaughtUp => "caught_up",
        /// Missed, and covered by the run of a later moment.
        Collapsed => "collapsed",
        /// Missed for longer than the job may be caught up.
        TooOld => "too_old",
        /// Missed, and the job is not to be caught up.
        Skipped => "skipped",
        /// The run before was still going on, here or in another process.
        Overlap => "overlap",
        /// Closer to the run before than the job allows.
        TooSoon => "too_soon",
        /// An operator had paused the job.
        Paused => "paused",
        /// The service was not running.
        Down => "down",
        /// The machine was asleep.
        Asleep => "asleep",
        /// More moments came at once than the service could take in.
        QueueFull => "queue_full",
    }
}

impl Disposition {
    /// Whether the job ran, if late.
    #[must_use]
    pub const fn is_run(self) -> bool {
        matches!(self, Self::Ran | Self::Late | Self::CaughtUp)
    }
}

/// One row of the ledger. `(job, planned_at)` names it: the same moment told again replaces what was known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub job: String,
    /// The moment of the schedule itself, without jitter or lateness.
    pub planned_at: Timestamp,
    pub disposition: Disposition,
    /// The run it led to, once that is known.
    pub run: Option<RunId>,
    /// For the operator: why the disposition is what it is, where that is not plain.
    pub reason: Option<String>,
}

/// What the ledger holds of a job, as far as the next moments depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Moments after this instant count; the job has its schedule since then.
    pub since: Timestamp,
    /// The newest row that does not lie in the future, whatever its disposition.
    pub last: Option<Timestamp>,
    /// The one before it.
    pub before: Option<Timestamp>,
    /// Rows that lie in the future, as the clock has been set back, and at which the job was not merely missed
    /// (`down`, `asleep`, `skipped`, `collapsed`, `too_old`): these will not be run again.
    pub ahead: BTreeSet<Timestamp>,
    /// Moments of the last seven days that were said to be run (`ran`, `late`, `caught_up`) and for which no run was
    /// opened, newest first: the service was killed between the two.
    pub unbegun: Vec<Timestamp>,
}

impl Past {
    /// Of a job that has its schedule since then, and no row yet.
    #[must_use]
    pub const fn none(since: Timestamp) -> Self {
        Self { since, last: None, before: None, ahead: BTreeSet::new(), unbegun: Vec::new() }
    }

    /// Moments that were decided now, oldest first.
    pub fn pass(&mut self, moments: &[Timestamp]) {
        for moment in moments.iter().skip(moments.len().saturating_sub(2)) {
            (self.before, self.last) = (self.last, Some(*moment));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disposition_reads_back_from_its_word() {
        for disposition in Disposition::ALL {
            assert_eq!(disposition.as_str().parse::<Disposition>().unwrap(), *disposition);
        }
        assert!("missed".parse::<Disposition>().is_err());
    }
}
