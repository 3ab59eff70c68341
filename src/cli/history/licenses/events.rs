//! `history licenses --events`: what runs noticed of licenses and subscriptions.

use crate::cli::args::LicensesArgs;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::history::events::EventFilter;
use crate::tables::events::table;
use crate::tables::when::When;

/// Prints the events that fit, newest first.
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
