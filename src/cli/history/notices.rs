//! `history notices`: what people were told, on which channel, and whether it arrived.

use crate::cli::args::Range;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::history::outbox::NoticeFilter;
use crate::tables::notices::table;
use crate::tables::when::When;

/// Prints the notices, newest first.
pub(super) async fn list(desk: &Desk, range: &Range) -> Result<(), Failure> {
    let at = |when: &When| when.at(desk.zone(), desk.now);
    let filter = NoticeFilter {
        job: range.job.clone(),
        since: range.since.as_ref().map(at),
        until: range.until.as_ref().map(at),
        limit: Some(range.limit),
    };
    let notices = match &desk.history {
        None => Vec::new(),
        Some(history) => history.list_notices(&filter).await?,
    };
    Ok(render::print(&table(&notices, desk.zone()), desk.format)?)
}
