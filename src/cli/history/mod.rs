//! `history`: runs, one run, one plan, changes, calls, imports, licenses, missed moments and notices, as they were recorded;
//! all of it for other programs; and what is old is forgotten.

mod calls;
mod changes;
mod directory;
mod export;
mod licenses;
mod missed;
mod notices;
mod plan;
mod prune;
mod runs;
mod show;

pub(super) use show::noticed;

use jiff::Timestamp;

use crate::cli::args::{Global, History, HistoryCommand};
use crate::cli::desk::Desk;
use crate::cli::exit;
use crate::cli::failure::Failure;

/// Answers a question about the past.
pub(super) async fn run(global: &Global, arguments: &History, now: Timestamp) -> Result<u8, Failure> {
    let desk = Desk::open(global, now).await?;
    match &arguments.what {
        None => runs::list(&desk, arguments).await?,
        Some(HistoryCommand::Show { id, limit }) => show::show(&desk, id, *limit).await?,
        Some(HistoryCommand::Changes { range, user }) => changes::list(&desk, range, user.as_deref()).await?,
        Some(HistoryCommand::Calls { run }) => calls::list(&desk, run).await?,
        Some(HistoryCommand::Directory(asked)) => directory::list(&desk, asked).await?,
        Some(HistoryCommand::Licenses(asked)) => licenses::run(&desk, asked).await?,
        Some(HistoryCommand::Notices(range)) => notices::list(&desk, range).await?,
        Some(HistoryCommand::Missed(range)) => missed::list(&desk, range).await?,
        Some(HistoryCommand::Export(what)) => export::export(&desk, what).await?,
        Some(HistoryCommand::Prune { dry_run }) => prune::prune(&desk, *dry_run).await?,
    }
    Ok(exit::SUCCEEDED)
}
