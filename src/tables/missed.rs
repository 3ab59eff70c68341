//! Scheduled moments and what became of them, one a row.

use jiff::tz::TimeZone;

use crate::domain::moment::{Disposition, Moment};
use crate::tables::table::{Cell, Table};

/// The moments as rows.
///
/// JSON: a list with the names of the view `missed_run`: `{job, planned, disposition, reason, covered_by}`.
#[must_use]
pub fn table(moments: &[Moment], zone: &TimeZone) -> Table {
    let columns = [
        ("job", "Job"),
        ("planned", "Planned for"),
        ("disposition", "What became of it"),
        ("reason", "Why"),
        ("covered_by", "Covered by"),
    ];
    let mut table = Table::new(&columns, "no scheduled run was missed");
    for moment in moments {
        let why = moment.reason.clone().unwrap_or_else(|| meaning(moment.disposition).to_owned());
        table.push(vec![
            Cell::text(&moment.job),
            Cell::moment(moment.planned_at, zone),
            Cell::text(moment.disposition.as_str()),
            Cell::new(moment.reason.clone(), why),
            Cell::optional(moment.run.as_ref(), |run| Cell::text(run.as_str())),
        ]);
    }
    table
}

/// What a disposition means, where nothing more is known.
#[must_use]
pub const fn meaning(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Ran => "it ran",
        Disposition::Late => "it ran late",
        Disposition::CaughtUp => "it ran afterwards",
        Disposition::Collapsed => "a later run covers it",
        Disposition::TooOld => "too long ago to be caught up",
        Disposition::Skipped => "the job is not caught up",
        Disposition::Overlap => "the run before was still going on",
        Disposition::TooSoon => "too close to the run before",
        Disposition::Paused => "the job was paused",
        Disposition::Down => "the service was not running",
        Disposition::Asleep => "the machine was asleep",
        Disposition::QueueFull => "the service was overrun with moments",
    }
}
