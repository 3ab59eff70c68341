//! All printing. Data goes to standard output, all else to standard error; a reader that closes the pipe ends the
//! printing and is no error.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};

use comfy_table::{ContentArrangement, Table as Grid, presets};
use serde::Serialize;

use crate::cli::args::OutputFormat;
use crate::tables::table::{Table, spreadsheet};

/// Below this a table is read better with lines that the terminal breaks.
const NARROWEST: u16 = 40;

/// Writes a table in the format asked for. `width` is that of the terminal, if it is one.
///
/// # Errors
///
/// Those of `out`.
pub fn write(table: &Table, out: &mut impl Write, format: OutputFormat, width: Option<u16>) -> io::Result<()> {
    match format {
        OutputFormat::Table if table.is_empty() => writeln!(out, "{}", table.empty()),
        OutputFormat::Table => write_grid(table, out, width),
        OutputFormat::Json => write_json(out, &table.to_json()),
        OutputFormat::Csv => write_csv(table, out),
    }
}

/// A table as people read it.
#[must_use]
pub fn to_text(table: &Table, width: Option<u16>) -> String {
    let mut out = Vec::new();
    // Memory takes all that is written.
    let _ = write(table, &mut out, OutputFormat::Table, width);
    String::from_utf8_lossy(&out).into_owned()
}

fn write_grid(table: &Table, out: &mut impl Write, width: Option<u16>) -> io::Result<()> {
    let mut grid = Grid::new();
    grid.load_style(presets::NOTHING);
    if let Some(width) = width {
        grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let shown: Vec<usize> = (0..table.columns().len()).filter(|index| !table.columns()[*index].1.is_empty()).collect();
    grid.set_header(shown.iter().map(|index| table.columns()[*index].1));
    for row in table.rows() {
        grid.add_row(shown.iter().map(|index| row[*index].shown()));
    }
    for index in 0..shown.len() {
        if let Some(column) = grid.column_mut(index) {
            column.set_padding((0, 2));
        }
    }
    for line in grid.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn write_csv(table: &Table, out: &mut impl Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(table.columns().iter().map(|(key, _)| *key))?;
    for row in table.rows() {
        csv.write_record(row.iter().map(|cell| spreadsheet(cell.value())))?;
    }
    csv.flush()
}

/// Writes a value as indented JSON and a line end.
///
/// # Errors
///
/// Those of `out`.
pub fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// Prints a table to standard output.
///
/// # Errors
///
/// Those of standard output, a closed pipe apart.
pub fn print(table: &Table, format: OutputFormat) -> io::Result<()> {
    print_with(|out| write(table, out, format, terminal_width()))
}

/// Prints to standard output by `write`, buffered. A closed pipe is the end, not an error.
///
/// # Errors
///
/// Those of standard output, a closed pipe apart.
pub fn print_with(write: impl FnOnce(&mut io::BufWriter<io::StdoutLock<'static>>) -> io::Result<()>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    if written.is_err() {
        // What is still buffered would only be tried again.
        let _ = out.into_parts();
    }
    unless_closed(written)
}

/// A closed pipe is the end, not an error.
///
/// # Errors
///
/// All others.
pub fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Says something to the operator on standard error. Nobody is left to be told when that fails.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The columns of the terminal at standard output.
#[must_use]
pub fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.max(NARROWEST))
}

/// Whether standard error is a terminal. Where its `TERM` says that no line can be drawn again, the library draws none.
#[must_use]
pub fn may_redraw() -> bool {
    io::stderr().is_terminal()
}

/// An error with its causes, one a line, then what to do about it.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static), hint: Option<&str>) -> String {
    let mut text = format!("error: {error}");
    let mut before = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let message = current.to_string();
        // A transparent wrapper says what its source says.
        if message != before {
            let _ = write!(text, "\n  caused by: {message}");
        }
        before = message;
        cause = current.source();
    }
    if let Some(hint) = hint {
        let _ = write!(text, "\nhint: {hint}");
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::Value;

    use super::*;
    use crate::tables::table::Cell;

    fn sample() -> Table {
        let mut table = Table::new(&[("run", "Run"), ("at", "Began"), ("changes", "Changes")], "no runs yet");
        let moment = "2026-11-21T02:00:00Z".parse().unwrap();
        let oslo = TimeZone::get("Europe/Oslo").unwrap();
        table.push(vec![Cell::text("7f3k, \"x\""), Cell::moment(moment, &oslo), Cell::number(12)]);
        table.push(vec![Cell::text("a"), Cell::none(), Cell::number(0)]);
        table
    }

    fn written(table: &Table, format: OutputFormat, width: Option<u16>) -> String {
        let mut out = Vec::new();
        write(table, &mut out, format, width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_table_is_written_for_people_programs_and_spreadsheets() {
        insta::assert_snapshot!(written(&sample(), OutputFormat::Table, None), @r#"
        Run        Began                    Changes
        7f3k, "x"  2026-11-21 03:00:00 CET  12
        a                                   0
        "#);
        insta::assert_snapshot!(written(&sample(), OutputFormat::Csv, None), @r#"
        run,at,changes
        "7f3k, ""x""",2026-11-21T02:00:00Z,12
        a,,0
        "#);
        let json: Value = serde_json::from_str(&written(&sample(), OutputFormat::Json, None)).unwrap();
        assert_eq!(json[1], serde_json::json!({ "run": "a", "at": null, "changes": 0 }));
    }

    #[test]
    fn an_empty_table_says_so_to_people_and_is_a_list_for_programs() {
        let table = Table::new(&[("run", "Run")], "no runs yet");
        assert_eq!(written(&table, OutputFormat::Table, None), "no runs yet\n");
        assert_eq!(written(&table, OutputFormat::Json, None), "[]\n");
        assert_eq!(written(&table, OutputFormat::Csv, None), "run\n");
    }

    #[test]
    fn a_table_wraps_to_the_terminal() {
        let widest = written(&sample(), OutputFormat::Table, Some(40)).lines().map(|line| line.chars().count()).max();
        assert!(widest.unwrap() <= 40);
    }

    #[test]
    fn an_error_is_told_cause_by_cause_and_ends_with_what_to_do() {
        let error = anyhow::anyhow!("disk full").context("run not recorded").context("job managers");
        assert_eq!(
            error_chain(error.as_ref(), Some("free some space")),
            "error: job managers\n  caused by: run not recorded\n  caused by: disk full\nhint: free some space"
        );
    }
}
