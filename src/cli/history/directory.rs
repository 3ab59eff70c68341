//! `history directory`: what an import of both directories found, and what was new in it.

use std::fmt::Write as _;

use serde_json::json;

use crate::cli::args::Imports;
use crate::cli::desk::Desk;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::imports;
use crate::cli::page::Page;
use crate::cli::render;
use crate::tables::table::Table;
use crate::tables::words::{local, relative};
use crate::domain::import::{Changed, Kind};
use crate::history::History;
use crate::history::directory::Import;
use crate::reconcile::import_diff::differences;

/// Prints the newest import, or that of a run.
///
/// JSON: `{run, job, time, entries, more}`, with `entries` a list of `{kind, login, status, upn, account_is, guest, disabled,
/// person, account}` and `more` how many there are beyond `--limit`. With `--diff`: `{run, job, time, previous, changes,
/// more}`, with `changes` a list of `{difference, kind, login, upn, before, person, account}` and `previous` the run of the
/// import before, null for the first.
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
        let json = json!({
            "run": import.run, "job": import.job, "time": import.at.to_string(), "entries": rows.to_json(), "more": more,
        });
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
    let previous = history.import_before(import).await?;
    let mut found: Vec<Changed> = Vec::new();
    if previous.is_some() {
        let (ended, begun) = history.entries_changed_by(import).await?;
        found = differences(&ended, &begun);
    }
    found.retain(|changed| asked.kinds.is_empty() || asked.kinds.contains(&changed.entry.kind));
    found.sort_by_key(|changed| changed.difference);
    let more = found.len().saturating_sub(asked.limit as usize) as u64;
    found.truncate(asked.limit as usize);
    let rows = imports::changes(&found);
    let title = match &previous {
        None => "The first import".to_owned(),
        Some(previous) => format!("What is new since run {}, in the import", previous.run),
    };
    let json = json!({
        "run": import.run, "job": import.job, "time": import.at.to_string(),
        "previous": previous.map(|previous| previous.run), "changes": rows.to_json(), "more": more,
    });
    Ok(Page { text: text(desk, import, &title, &rows, more), json, rows })
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
