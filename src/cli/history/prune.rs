//! `history prune`: what is old is forgotten now, or shown.

use jiff::tz::TimeZone;

use crate::app;
use crate::cli::carrier;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::clock::SystemClock;
use crate::history::retention::Forgotten;
use crate::tables::table::{Cell, Table};

/// Forgets what is older than the configuration keeps, or shows how much that is. The service does it every day.
///
/// JSON: a list of `{what, class, before, rows}`.
///
/// # Errors
///
/// The configuration has mistakes, the state directory is another user's, or the history cannot be written.
pub(super) async fn prune(desk: &Desk, dry_run: bool) -> Result<(), Failure> {
    let settings = desk.settings()?;
    let cutoffs = settings.retention.cutoffs(&desk.now.to_zoned(desk.zone().clone()));
    let found = match &desk.history {
        None => Vec::new(),
        Some(history) if dry_run => history.forgettable(&cutoffs).await?,
        Some(_) => {
            carrier::own(&settings.state_directory, "history prune")?;
            let history = app::open_history_to_write(settings, &SystemClock).await?;
            let found = history.forget(&cutoffs, || true).await;
            history.close().await;
            found?
        }
    };
    let rows: u64 = found.iter().map(|list| list.rows).sum();
    render::print(&table(&found, desk.zone()), desk.format)?;
    render::say(&match (rows, dry_run) {
        (0, _) => "nothing is older than the configuration keeps".to_owned(),
        (rows, true) => format!("{rows} rows are older than the configuration keeps; nothing was forgotten"),
        (rows, false) => format!("{rows} rows forgotten"),
    });
    Ok(())
}

fn table(found: &[Forgotten], zone: &TimeZone) -> Table {
    let columns = [("what", "What"), ("class", "Class"), ("before", "Older than"), ("rows", "Rows")];
    let mut table = Table::new(&columns, "everything is kept forever");
    for list in found {
        table.push(vec![
            Cell::text(list.what),
            Cell::text(list.class.as_str()),
            Cell::moment(list.before, zone),
            Cell::new(list.rows, list.rows.to_string()),
        ]);
    }
    table
}
