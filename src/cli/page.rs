//! What a command tells of one thing: text for people, one value for programs, rows for spreadsheets.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::Value;

use crate::cli::args::OutputFormat;
use crate::cli::render::{self, Table};

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
            OutputFormat::Csv => self.rows.write(out, format, None),
        })
    }
}

/// Adds a heading with a table below it; nothing when the table is empty.
pub(super) fn section(text: &mut String, title: &str, table: &Table, width: Option<u16>) {
    if table.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for line in table.to_text(width.map(|width| width.saturating_sub(2))).lines() {
        let _ = writeln!(text, "  {line}");
    }
}

/// `1 change`, `2 changes`.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A manager for people: its name, else its id, else that there is none.
pub(super) fn manager(label: &str, id: Option<impl ToString>) -> String {
    match id {
        None => "(none)".to_owned(),
        Some(id) if label.is_empty() => id.to_string(),
        Some(_) => label.to_owned(),
    }
}
