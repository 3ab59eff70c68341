//! What runs noticed, one a row.

use jiff::tz::TimeZone;

use crate::history::events::EventRow;
use crate::tables::table::{Cell, Table};

/// The events as rows.
///
/// JSON: a list with the names of the view `license_event`: `{run, job, time, kind, severity, key, subject, title, lines}`.
/// `lines` is a list of texts; `key` is the same for the same cause, whichever job noticed it.
#[must_use]
pub fn table(events: &[EventRow], zone: &TimeZone) -> Table {
    let columns = [
        ("run", "Run"),
        ("job", "Job"),
        ("time", "Time"),
        ("kind", ""),
        ("severity", "Severity"),
        ("key", ""),
        ("subject", ""),
        ("title", "What"),
        ("lines", ""),
    ];
    let mut table = Table::new(&columns, "nothing was noticed");
    for EventRow { run, job, at, event } in events {
        table.push(vec![
            Cell::text(run.as_str()),
            Cell::text(job),
            Cell::moment(*at, zone),
            Cell::text(event.kind.as_str()),
            Cell::text(event.severity.as_str()),
            Cell::text(&event.key),
            Cell::text(&event.subject),
            Cell::text(&event.title),
            Cell::new(event.lines.clone(), String::new()),
        ]);
    }
    table
}
