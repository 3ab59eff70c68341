//! Rows of cells, each with what programs get and what people read.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::tables::words::local;

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

    /// What programs get.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// What people read.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
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

    /// Keys and titles.
    #[must_use]
    pub fn columns(&self) -> &[(&'static str, &'static str)] {
        &self.columns
    }

    /// A cell for each column, row by row.
    #[must_use]
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// What people read when there is no row.
    #[must_use]
    pub const fn empty(&self) -> &'static str {
        self.empty
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
