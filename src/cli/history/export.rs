//! `history export`: everything of a kind, for spreadsheets and other programs.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::cli::args::{Export, OutputFormat};
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::tables::table::spreadsheet;

/// Prints every row, oldest first, as CSV, or as a JSON list with a row a line. Columns are those of the documented views.
///
/// # Errors
///
/// The history or standard output cannot be used.
pub(super) async fn export(desk: &Desk, args: &Export) -> Result<(), Failure> {
    let Some(history) = &desk.history else { return Ok(()) };
    let since = args.since.as_ref().map(|when| when.at(desk.zone(), desk.now));
    let until = args.until.as_ref().map(|when| when.at(desk.zone(), desk.now));
    let mut out = io::BufWriter::new(io::stdout());
    let written = match desk.format {
        OutputFormat::Json => json(history, args, (since, until), &mut out).await?,
        OutputFormat::Csv | OutputFormat::Table => csv(history, args, (since, until), &mut out).await?,
    };
    Ok(render::unless_closed(written.and_then(|()| out.flush()))?)
}

async fn csv(
    history: &History,
    args: &Export,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    out: &mut impl Write,
) -> Result<io::Result<()>, HistoryError> {
    let mut csv = csv::Writer::from_writer(out);
    let (mut written, mut first) = (Ok(()), true);
    let write = |row: Vec<(&str, Value)>| {
        let titles = if first { csv.write_record(row.iter().map(|(column, _)| column)) } else { Ok(()) };
        first = false;
        written = titles
            .and_then(|()| csv.write_record(row.iter().map(|(_, value)| spreadsheet(value))))
            .map_err(io::Error::from);
        written.is_ok()
    };
    history.export(args.what.rows(), since, until, write).await?;
    Ok(written.and_then(|()| csv.flush()))
}

async fn json(
    history: &History,
    args: &Export,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    out: &mut impl Write,
) -> Result<io::Result<()>, HistoryError> {
    let mut written = write!(out, "[");
    let mut first = true;
    let write = |row: Vec<(&str, Value)>| {
        let line = Value::Object(
            row.into_iter().map(|(column, value)| (column.to_owned(), parsed(column, value))).collect::<Map<_, _>>(),
        );
        let before = if first { "\n" } else { ",\n" };
        first = false;
        written = write!(out, "{before}{line}");
        written.is_ok()
    };
    history.export(args.what.rows(), since, until, write).await?;
    Ok(written.and_then(|()| writeln!(out, "\n]")))
}

/// Columns that hold JSON are JSON here too.
fn parsed(column: &str, value: Value) -> Value {
    match (column, &value) {
        ("tally" | "evidence" | "lines", Value::String(text)) => serde_json::from_str(text).unwrap_or(value),
        _ => value,
    }
}
