//! The table: what, measured, to reach, reached or not.

use std::fmt;

/// Lines in the order in which they were measured.
#[derive(Debug, Default)]
pub(crate) struct Table {
    lines: Vec<[String; 4]>,
}

impl Table {
    /// A figure that is reached when it is at most `limit`; both in `unit`, with `digits` after the point.
    pub(crate) fn at_most(
        &mut self,
        what: impl Into<String>,
        measured: f64,
        limit: f64,
        (unit, digits): (&str, usize),
    ) {
        let ok = if measured <= limit { "yes" } else { "NO" };
        let shown = |figure: f64| format!("{figure:.digits$} {unit}").trim_end().to_owned();
        self.lines.push([what.into(), shown(measured), format!("≤ {}", shown(limit)), ok.to_owned()]);
    }

    /// A figure that explains others and has no limit of its own.
    pub(crate) fn note(&mut self, what: impl Into<String>, measured: impl Into<String>) {
        self.lines.push([what.into(), measured.into(), String::new(), String::new()]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "measured", "figure to reach", "ok?"].map(str::to_owned);
        let width = |column: usize| {
            let cells = std::iter::once(&head).chain(&self.lines).map(|line| line[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths = [0, 1, 2, 3].map(width);
        for line in std::iter::once(&head).chain(&self.lines) {
            let cell = |column: usize| format!("{:<1$}", line[column], widths[column]);
            writeln!(f, "{}", [cell(0), cell(1), cell(2), cell(3)].join(" | ").trim_end())?;
        }
        Ok(())
    }
}
