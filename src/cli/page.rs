//! What a command tells of one thing: text for people, one value for programs, rows for spreadsheets.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::Value;

use crate::cli::args::OutputFormat;
use crate::cli::render;
use crate::tables::table::Table;

/// One answer in the three formats.
#[derive(Debug)]
pub(super) struct Page {
    pub text: String,
    pub json: Value,
    pub rows: Table,
}

impl Page {
    /// Prints it to standard output.
    pub(super) fn print(&self, format: OutputFormat) -> io::Result<()> {
        render::print_with(|out| match format {
            OutputFormat::Table => out.write_all(self.text.as_bytes()),
            OutputFormat::Json => render::write_json(out, &self.json),
            OutputFormat::Csv => render::write(&self.rows, out, format, None),
        })
    }
}

/// Adds how many changes of a run or a plan were left out, and what shows them all.
pub(super) fn left_out(text: &mut String, id: &str, more: u64, all: u64) {
    if more > 0 {
        let _ = writeln!(text, "  … and {more} more: `graphkeeper history show {id} --limit {all}`");
    }
}

/// Adds a heading with a table below it; nothing when the table is empty.
pub(super) fn section(text: &mut String, title: &str, table: &Table, width: Option<u16>) {
    if table.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for line in render::to_text(table, width.map(|width| width.saturating_sub(2))).lines() {
        let _ = writeln!(text, "  {line}");
    }
}
