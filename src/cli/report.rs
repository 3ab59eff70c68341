//! A finished run on standard output.
//!
//! JSON: the run's `run`, `job`, `kind`, `trigger`, `started`, `took` (seconds), `outcome`, `reason`, `message`, `hint`,
//! `unresolved`, `gauge` (null, or the subscription that a keepalive job watches, as of `jobs`), `events` (a list of `{kind, severity,
//! key, subject, title, lines}`) and `details` (`managers` with `tally`, `plan`, `changes` (the first 10,000), `more_changes`, `notes`; `licenses` with `products`;
//! `keepalive`, a list of replies; `directory` with `tally`, `previous`, `entries` and `changes` (the first 10 of each kind),
//! `notes`; `request` with `method`, `address`, `identity`, `calls`, `items`, and of a plan `headers` and `body`). CSV: a row a
//! change, product, reply or entry.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use crate::cli::args::OutputFormat;
use crate::cli::history::noticed;
use crate::cli::imports;
use crate::cli::render;
use crate::domain::run::Outcome;
use crate::jobs::answers::Reply;
use crate::jobs::report::details::RequestDetails;
use crate::jobs::report::{ChangeLine, Details, LicensesDetails, ManagersDetails, Report};
use crate::reconcile::meaning::meaning;
use crate::tables::imports::entries;
use crate::tables::table::{Cell, Table};
use crate::tables::words::duration;

/// So many changes are shown; all are in the history.
const SHOWN: usize = 20;

/// Prints a run in the format asked for.
pub(super) fn print(report: &Report, format: OutputFormat) -> io::Result<()> {
    match format {
        OutputFormat::Json => render::print_with(|out| render::write_json(out, report)),
        OutputFormat::Csv => render::print(&rows(report, usize::MAX), OutputFormat::Csv),
        OutputFormat::Table => render::print_with(|out| out.write_all(text(report).as_bytes())),
    }
}

/// The run as people read it. The first line says how it ended and what was left unresolved.
pub(super) fn text(report: &Report) -> String {
    let finish = &report.finish;
    let took = duration(report.took);
    let mut text = format!("{} {} (run {}, {took}): {}\n", report.job, finish.outcome, report.run, finish.message);
    if let Some(hint) = &finish.hint {
        let _ = writeln!(text, "hint: {hint}");
    }
    if let Details::Directory(directory) = &finish.details {
        imports::report(&mut text, directory, report.run.as_str(), lines);
        return text;
    }
    let table = rows(report, SHOWN);
    if !table.is_empty() {
        text.push('\n');
        text.push_str(&lines(&table));
    }
    if let Details::Managers(managers) = &finish.details {
        more(&mut text, report, managers);
    }
    if let Details::Request(request) = &finish.details
        && finish.outcome == Outcome::Planned
    {
        text.push_str(&to_be_sent(request));
    }
    noticed(&mut text, &finish.events);
    if finish.gauge.is_some() {
        text.push_str(
            "\nWhether the subscription is renewed is decided by Microsoft; these calls are no promise of it.\n",
        );
    }
    text
}

fn lines(table: &Table) -> String {
    let mut out = Vec::new();
    let written = render::write(table, &mut out, OutputFormat::Table, render::terminal_width());
    written.map(|()| String::from_utf8_lossy(&out).into_owned()).unwrap_or_default()
}

/// What a managers run adds below its changes: those not shown, the reasons, the notes.
fn more(text: &mut String, report: &Report, managers: &ManagersDetails) {
    let hidden = managers.changes.len().saturating_sub(SHOWN) as u64 + managers.more_changes;
    if hidden > 0 {
        let _ = writeln!(text, "… and {hidden} more: graphkeeper history show {}", report.run);
    }
    if !managers.tally.reasons.is_empty() {
        let mut table =
            Table::new(&[("people", "people"), ("reason", "left alone because"), ("meaning", "meaning")], "");
        let mut reasons: Vec<_> = managers.tally.reasons.iter().collect();
        reasons.sort_by_key(|(reason, people)| (std::cmp::Reverse(**people), reason.as_str()));
        for (reason, people) in reasons {
            let people = i64::try_from(*people).unwrap_or(i64::MAX);
            table.push(vec![Cell::number(people), Cell::text(reason.as_str()), Cell::text(meaning(*reason))]);
        }
        text.push('\n');
        text.push_str(&lines(&table));
    }
    for note in &managers.notes {
        let _ = writeln!(text, "note: {note}");
    }
}

/// A call as it would be sent.
fn to_be_sent(request: &RequestDetails) -> String {
    let method = request.method.map_or_else(String::new, |method| method.to_string());
    let mut text = format!("\n{method} {}\n", request.address);
    for (name, value) in &request.headers {
        let _ = writeln!(text, "{name}: {value}");
    }
    if let Some(body) = &request.body {
        let _ = writeln!(text, "\n{body:#}");
    }
    text
}

/// The rows that the kind of job has.
fn rows(report: &Report, most: usize) -> Table {
    match &report.finish.details {
        Details::Managers(managers) => changes(&managers.changes, most),
        Details::Licenses(licenses) => products(licenses),
        Details::Keepalive(replies) => calls(replies),
        Details::Directory(directory) => entries(&directory.entries),
        Details::Request(request) => calls(&request.calls),
        Details::None => Table::new(&[("outcome", "outcome")], ""),
    }
}

fn changes(changes: &[ChangeLine], most: usize) -> Table {
    let columns =
        [("kind", "kind"), ("login", "person"), ("from", "from"), ("to", "to"), ("state", "state"), ("note", "note")];
    let mut table = Table::new(&columns, "");
    let nobody = || Cell::text("–");
    for change in changes.iter().take(most) {
        table.push(vec![
            Cell::text(change.kind.as_str()),
            Cell::text(&change.login),
            change.from.as_ref().map_or_else(nobody, Cell::text),
            change.to.as_ref().map_or_else(nobody, Cell::text),
            Cell::text(change.state.as_ref()),
            Cell::text(change.note.clone().unwrap_or_default()),
        ]);
    }
    table
}

fn products(licenses: &LicensesDetails) -> Table {
    let columns = [
        ("sku", ""),
        ("part_number", ""),
        ("name", "product"),
        ("status", "status"),
        ("bought", "bought"),
        ("assigned", "assigned"),
        ("free", "free (estimate)"),
        ("warning", "in grace"),
        ("suspended", "suspended"),
        ("locked_out", "locked out"),
        ("next_lifecycle", "next date"),
        ("trial", ""),
        ("over_used_by", ""),
    ];
    let mut table = Table::new(&columns, "");
    for product in &licenses.products {
        let count = |count: u64| Cell::new(count, count.to_string());
        let free = match product.over_used_by {
            0 => product.free.to_string(),
            over => format!("over-used by {over}"),
        };
        let trial = if product.trial == Some(true) { " (trial)" } else { "" };
        table.push(vec![
            Cell::text(&product.sku),
            Cell::text(&product.part_number),
            Cell::text(&product.name),
            Cell::new(product.status.clone(), format!("{}{trial}", product.status)),
            count(product.bought),
            count(product.assigned),
            Cell::new(product.free, free),
            count(product.warning),
            count(product.suspended),
            count(product.locked_out),
            Cell::text(product.next_lifecycle.map(|date| date.to_string()).unwrap_or_default()),
            Cell::optional(product.trial, |trial| Cell::new(trial, trial.to_string())),
            count(product.over_used_by),
        ]);
    }
    table
}

fn calls(replies: &[Reply]) -> Table {
    let columns = [
        ("path", "request"),
        ("status", "status"),
        ("latency_ms", "ms"),
        ("verdict", "verdict"),
        ("problem", "problem"),
        ("request_id", "request-id"),
    ];
    let mut table = Table::new(&columns, "");
    for reply in replies {
        table.push(vec![
            Cell::text(&reply.path),
            reply.status.map_or_else(|| Cell::text("–"), Cell::number),
            Cell::number(i64::try_from(reply.latency_ms).unwrap_or(i64::MAX)),
            Cell::text(reply.verdict.as_str()),
            Cell::text(reply.problem.clone().unwrap_or_default()),
            Cell::text(reply.request_id.clone().unwrap_or_default()),
        ]);
    }
    table
}

/// Whether a run did useful work, although something may have been left.
#[cfg(feature = "sandbox")]
pub(super) const fn is_useful(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Succeeded | Outcome::Planned | Outcome::Partial | Outcome::Held)
}
