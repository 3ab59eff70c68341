//! `history licenses --events`: what runs noticed of licenses and subscriptions.

use jiff::tz::TimeZone;

use crate::cli::args::LicensesArgs;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::cli::when::When;
use crate::history::events::{EventFilter, EventRow};
use crate::tables::table::{Cell, Table};

/// Prints the events that fit, newest first.
///
/// JSON: a list with the names of the view `license_event`: `{run, job, time, kind, severity, key, subject, title, lines}`.
/// `lines` is a list of texts; `key` is the same for the same cause, whichever job noticed it.
pub(super) async fn list(desk: &Desk, asked: &LicensesArgs) -> Result<(), Failure> {
    let at = |when: &When| when.at(desk.zone(), desk.now);
    let filter = EventFilter {
        job: asked.job.clone(),
        since: asked.since.as_ref().map(at),
        until: asked.until.as_ref().map(at),
        limit: Some(asked.limit),
    };
    let events = match &desk.history {
        None => Vec::new(),
        Some(history) => history.list_events(&filter).await?,
    };
    Ok(render::print(&table(&events, desk.zone()), desk.format)?)
}

fn table(events: &[EventRow], zone: &TimeZone) -> Table {
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
