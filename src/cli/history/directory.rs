//! `history directory`: what an import of both directories found, and what was new in it.

use std::fmt::Write as _;

use serde_json::json;

use crate::cli::args::Imports;
use crate::cli::desk::Desk;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::page::Page;
use crate::cli::render;
use crate::domain::import::Kind;
use crate::history::History;
use crate::history::directory::Import;
use crate::tables::imports::{self, News};
use crate::tables::table::Table;
use crate::tables::words::{local, relative};

/// Prints the newest import, or that of a run, as [`imports::object`] and [`News::object`] describe.
pub(super) async fn list(desk: &Desk, asked: &Imports) -> Result<(), Failure> {
    let Some(import) = import(desk, asked).await? else {
        let rows = imports::entries([]);
        let text = "nothing was imported yet\n".to_owned();
        return Ok(Page { text, json: json!({ "entries": [], "more": 0 }), rows }.print(desk.format)?);
    };
    let history = desk.history()?;
    let page = if asked.diff {
        changed(desk, history, &import, asked).await?
    } else {
        let kinds = if asked.kinds.is_empty() { Kind::ALL } else { asked.kinds.as_slice() };
        let (entries, more) = history.entries_of_import(&import, kinds, asked.limit).await?;
        let rows = imports::entries(&entries);
        let json = imports::object(&import, &rows, more);
        Page { text: text(desk, &import, "Import", &rows, more), json, rows }
    };
    Ok(page.print(desk.format)?)
}

async fn import(desk: &Desk, asked: &Imports) -> Result<Option<Import>, Failure> {
    let Some(history) = &desk.history else { return Ok(None) };
    let Some(prefix) = &asked.run else { return Ok(history.latest_import(asked.job.as_deref()).await?) };
    let run = desk.run(prefix).await?;
    if let Some(import) = history.import_of_run(&run).await? {
        return Ok(Some(import));
    }
    let message = format!("run {run} made no complete import");
    let hint = format!("`graphkeeper history show {run}` tells how it ended");
    Err(Failure::new(exit::FAILED, message, Some(hint)))
}

/// What was new, of the kinds asked for.
async fn changed(desk: &Desk, history: &History, import: &Import, asked: &Imports) -> Result<Page, Failure> {
    let news = News::read(history, import, &asked.kinds, asked.limit).await?;
    let rows = imports::changes(&news.changes);
    let title = match &news.previous {
        None => "The first import".to_owned(),
        Some(previous) => format!("What is new since run {}, in the import", previous.run),
    };
    let json = news.object(import, &rows);
    Ok(Page { text: text(desk, import, &title, &rows, news.more), json, rows })
}

fn text(desk: &Desk, import: &Import, title: &str, rows: &Table, more: u64) -> String {
    let (when, ago) = (local(import.at, desk.zone()), relative(import.at, desk.now));
    let mut text = format!("{title} of {} {when} ({ago}), run {}\n\n", import.job, import.run);
    text.push_str(&render::to_text(rows, desk.width));
    if more > 0 {
        let _ = writeln!(text, "… and {more} more: --limit");
    }
    text
}
