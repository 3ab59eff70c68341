//! Runs, one a row.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::decision::{Kinds, Tally};
use crate::domain::run::Outcome;
use crate::history::runs::Run;
use crate::tables::table::{Cell, Table};
use crate::tables::words::duration;

/// The runs as rows.
///
/// JSON: a list of `{run, job, kind, trigger, caller, started, ended, seconds, outcome, reason, planned, held, accepted,
/// confirmed, unresolved, message, hint}`. `outcome` is `running` while a run lasts, and `ended` and `seconds` are null
/// then; counts are null for jobs that do not count them.
#[must_use]
pub fn table(runs: &[Run], zone: &TimeZone) -> Table {
    let columns = [
        ("run", "Run"),
        ("job", "Job"),
        ("kind", ""),
        ("trigger", "Why"),
        ("caller", ""),
        ("started", "Began"),
        ("ended", ""),
        ("seconds", "Took"),
        ("outcome", "Outcome"),
        ("reason", ""),
        ("planned", ""),
        ("held", ""),
        ("accepted", "Written"),
        ("confirmed", ""),
        ("unresolved", "Unresolved"),
        ("message", "Message"),
        ("hint", ""),
    ];
    let mut table = Table::new(&columns, "no runs");
    for run in runs {
        table.push(row(run, zone));
    }
    table
}

fn row(run: &Run, zone: &TimeZone) -> Vec<Cell> {
    let tally = run.managers_tally();
    let count = |kinds: fn(&Tally) -> &Kinds| Cell::optional(tally.as_ref(), |tally| number(kinds(tally).total()));
    let text = |text: &Option<String>| Cell::optional(text.clone(), Cell::text);
    vec![
        Cell::text(run.id.as_str()),
        Cell::text(&run.job),
        Cell::text(run.kind.as_str()),
        Cell::text(run.trigger.as_str()),
        Cell::text(&run.caller),
        Cell::moment(run.started_at, zone),
        Cell::optional(run.ended_at, |ended| Cell::moment(ended, zone)),
        Cell::optional(run.ended_at, |ended| seconds(run.started_at, ended)),
        Cell::text(outcome(run)),
        text(&run.reason),
        count(|tally| &tally.planned),
        count(|tally| &tally.held),
        count(|tally| &tally.accepted),
        count(|tally| &tally.confirmed),
        Cell::optional(run.unresolved, number),
        text(&run.message),
        text(&run.hint),
    ]
}

/// The word for how a run ended, or that it has not.
#[must_use]
pub fn outcome(run: &Run) -> &'static str {
    run.outcome.map_or("running", Outcome::as_str)
}

/// Counts stay far below what JSON holds.
fn number(count: u64) -> Cell {
    Cell::new(count, count.to_string())
}

fn seconds(from: Timestamp, to: Timestamp) -> Cell {
    let took = to.duration_since(from).unsigned_abs();
    Cell::new(took.as_secs_f64(), duration(took))
}
