//! All printing. Data goes to standard output, all else to standard error; a reader that closes the pipe ends the
//! printing and is no error.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};

use comfy_table::{ContentArrangement, Table as Grid, presets};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::args::OutputFormat;

/// Below this a table is read better with lines that the terminal breaks.
const NARROWEST: u16 = 40;

/// One value of a [`Table`]: what programs get, and what people read.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    value: Value,
    shown: String,
}

impl Cell {
    /// A value that programs and people see differently.
    pub fn new(value: impl Into<Value>, shown: impl Into<String>) -> Self {
        Self { value: value.into(), shown: shown.into() }
    }

    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { value: Value::String(text.clone()), shown: text }
    }

    pub fn number(number: impl Into<i64>) -> Self {
        let number = number.into();
        Self { value: number.into(), shown: number.to_string() }
    }

    /// Nothing is known: `null` for programs, empty for people.
    pub const fn none() -> Self {
        Self { value: Value::Null, shown: String::new() }
    }

    /// A moment: RFC 3339 in UTC for programs, the zone's civil time for people.
    pub fn moment(moment: Timestamp, zone: &TimeZone) -> Self {
        Self::new(moment.to_string(), local(moment, zone))
    }

    /// As the cell that `make` makes, or [`Cell::none`].
    pub fn optional<T>(value: Option<T>, make: impl FnOnce(T) -> Self) -> Self {
        value.map_or_else(Self::none, make)
    }
}

/// Rows of the same shape. Column keys are a stable interface; titles are for people, who do not see a column without one.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(&'static str, &'static str)>,
    rows: Vec<Vec<Cell>>,
    empty: &'static str,
}

impl Table {
    /// Columns as key and title. `empty` is what people read when there is no row.
    #[must_use]
    pub fn new(columns: &[(&'static str, &'static str)], empty: &'static str) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), empty }
    }

    /// Adds a row, with a cell for each column.
    pub fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len(), "a cell for each column");
        self.rows.push(row);
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows as objects, by column key.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let object = |row: &Vec<Cell>| {
            let entries = self.columns.iter().zip(row).map(|((key, _), cell)| ((*key).to_owned(), cell.value.clone()));
            Value::Object(entries.collect::<Map<_, _>>())
        };
        self.rows.iter().map(object).collect()
    }

    /// Writes it in the format asked for. `width` is that of the terminal, if it is one.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write, format: OutputFormat, width: Option<u16>) -> io::Result<()> {
        match format {
            OutputFormat::Table if self.rows.is_empty() => writeln!(out, "{}", self.empty),
            OutputFormat::Table => self.write_grid(out, width),
            OutputFormat::Json => write_json(out, &self.to_json()),
            OutputFormat::Csv => self.write_csv(out),
        }
    }

    /// The table as people read it.
    #[must_use]
    pub fn to_text(&self, width: Option<u16>) -> String {
        let mut out = Vec::new();
        // Memory takes all that is written.
        let _ = self.write(&mut out, OutputFormat::Table, width);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn write_grid(&self, out: &mut impl Write, width: Option<u16>) -> io::Result<()> {
        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING);
        if let Some(width) = width {
            grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        let shown: Vec<usize> = (0..self.columns.len()).filter(|index| !self.columns[*index].1.is_empty()).collect();
        grid.set_header(shown.iter().map(|index| self.columns[*index].1));
        for row in &self.rows {
            grid.add_row(shown.iter().map(|index| row[*index].shown.as_str()));
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

    fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(self.columns.iter().map(|(key, _)| *key))?;
        for row in &self.rows {
            csv.write_record(row.iter().map(|cell| spreadsheet(&cell.value)))?;
        }
        csv.flush()
    }
}

/// A value as a cell of a spreadsheet. A text that a spreadsheet would take for a formula gets an apostrophe before it: names
/// come from directories, and anybody may have written them. Numbers stay what they are.
/// Source: <https://owasp.org/www-community/attacks/CSV_Injection>
#[must_use]
pub fn spreadsheet(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
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
    print_with(|out| table.write(out, format, terminal_width()))
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

/// `2026-11-21 03:00:00 CET`
#[must_use]
pub fn local(moment: Timestamp, zone: &TimeZone) -> String {
    moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// `3 minutes ago`, `in 2 days`, `now`.
#[must_use]
pub fn relative(moment: Timestamp, now: Timestamp) -> String {
    let distance = moment.duration_since(now);
    let length = rough(distance.abs());
    match (length.as_str(), distance.is_negative()) {
        ("0 seconds", _) => "now".to_owned(),
        (length, true) => format!("{length} ago"),
        (length, false) => format!("in {length}"),
    }
}

/// One unit, the largest of which there are at least two, so that nothing is off by half.
fn rough(length: SignedDuration) -> String {
    let seconds = length.as_secs();
    let (count, unit) = match seconds {
        ..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A measured length of time: `0.8 s`, `42 s`, `3 min 20 s`, `1 h 5 min`.
#[must_use]
pub fn duration(length: std::time::Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", length.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        table.write(&mut out, format, width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_text_that_looks_like_a_formula_is_none_in_a_spreadsheet() {
        for text in ["=1+1", "+47 1", "-x", "@sum", "\tx", "\r=x"] {
            assert_eq!(spreadsheet(&text.into()), format!("'{text}"));
        }
        for (value, cell) in
            [(Value::from(-1), "-1"), (Value::from("a=b"), "a=b"), (Value::from(""), ""), (Value::Null, "")]
        {
            assert_eq!(spreadsheet(&value), cell);
        }
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

    #[test]
    fn distances_and_lengths_read_as_people_say_them() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (seconds, said) in
            [(0, "now"), (-1, "1 second ago"), (-180, "3 minutes ago"), (7200, "in 2 hours"), (200_000, "in 2 days")]
        {
            assert_eq!(relative(now + SignedDuration::from_secs(seconds), now), said);
        }
        let lengths = [800, 42_000, 200_000, 3_900_000].map(|ms| duration(std::time::Duration::from_millis(ms)));
        assert_eq!(lengths, ["0.8 s", "42 s", "3 min 20 s", "1 h 5 min"]);
    }
}
