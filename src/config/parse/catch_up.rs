//! What becomes of moments that were missed.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::key::KeyPath;
use crate::config::parse::Parser;
use crate::config::parse::values::{seconds, spoken};
use crate::config::raw::RawJob;
use crate::config::settings::JobSettings;
use crate::domain::run::JobKind;
use crate::schedule::{Anchor, CatchUp, MOST_CAUGHT_UP, Schedule};

/// So many moments are looked at for a rhythm. A job of every minute in office hours needs 2,700 to show its week.
const SAMPLE: usize = 5000;

/// Of what is rarer than daily so many are enough.
const FEW: usize = 12;

/// A rhythm shows within this time: weekdays and weekend, and a day more.
const WEEK: SignedDuration = SignedDuration::from_hours(8 * 24);

impl Parser<'_> {
    /// `catch_up` and `catch_up_within` of the job at `path`.
    pub(super) fn catch_up(
        &mut self,
        path: &KeyPath,
        kind: Option<JobKind>,
        raw: &RawJob,
    ) -> (CatchUp, Option<Duration>) {
        let key = path.key("catch_up");
        let catch_up = self.listed(&key, raw.catch_up.as_deref(), CatchUp::ALL, CatchUp::Once);
        if let (CatchUp::All, Some(kind @ (JobKind::Managers | JobKind::Directory))) = (catch_up, kind) {
            let message =
                format!("{kind} jobs are not caught up run by run: one run finds all that differs; use `once`");
            self.report.problem(&key, message);
        }
        let key = path.key("catch_up_within");
        let written = raw.catch_up_within.as_deref();
        let within = written.map(|written| self.time_limit(&key, Some(written), seconds(1)));
        for (key, written) in [("catch_up", &raw.catch_up), ("catch_up_within", &raw.catch_up_within)] {
            if written.is_some() && raw.schedule.is_none() && raw.every.is_none() {
                self.report.warn(&path.key(key), "has no effect: a job without a schedule misses nothing");
            }
        }
        (catch_up, within)
    }

    /// A time that changes nothing is a misunderstanding.
    pub(super) fn vain_catch_up(&mut self, path: &KeyPath, job: &JobSettings) {
        let (Some(within), Some(schedule)) = (job.catch_up_within, &job.schedule) else { return };
        let key = path.key("catch_up_within");
        let (times, which) = match job.catch_up {
            CatchUp::Skip => {
                self.report.warn(&key, "has no effect: with `skip` nothing is caught up");
                return;
            }
            CatchUp::Once => (1, "the newest moment is"),
            CatchUp::All => (u32::from(MOST_CAUGHT_UP), "the newest ten moments are"),
        };
        let enough = longest_gap(schedule, &job.zone.tz).map(|gap| gap * times);
        if let Some(enough) = enough.filter(|enough| within > *enough) {
            let message = format!("is longer than makes sense: within {}, {which} always caught up", spoken(enough));
            self.report.warn(&key, message);
        }
    }
}

/// The longest time between two moments, as far as one sees; `None` when the rhythm does not show.
fn longest_gap(schedule: &Schedule, zone: &TimeZone) -> Option<Duration> {
    // Any moment will do to see the rhythm.
    let mut moments = schedule.moments(zone, Anchor::at(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
    let first = moments.next()?;
    let mut longest = SignedDuration::ZERO;
    let mut last = first;
    for (seen, moment) in moments.take(SAMPLE).enumerate() {
        longest = longest.max(moment.duration_since(last));
        last = moment;
        if seen >= FEW && last.duration_since(first) >= WEEK {
            return longest.try_into().ok();
        }
    }
    None
}
