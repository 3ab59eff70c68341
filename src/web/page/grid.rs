//! The program's tables as HTML: the same rows, columns and words that the command line prints, with links and marks.

use askama::Template;
use askama::filters::HtmlSafe;
use jiff::Timestamp;
use serde_json::Value;

use super::parts::{Badge, Eye, Link, Prose, When, grouped};
use super::words::{self, Tone};
use crate::tables::table::{Cell, Table};

/// A table on a page.
#[derive(Debug, Template)]
#[template(path = "grid.html")]
pub(super) struct Grid {
    /// Unique on its page: the caption's id.
    id: String,
    caption: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Item>>,
}

impl HtmlSafe for Grid {}

#[derive(Debug)]
struct Column {
    title: String,
    class: &'static str,
}

/// A value in a cell.
#[derive(Debug)]
pub(super) enum Item {
    Nothing,
    Text(String),
    /// More than a few words.
    Long(Prose),
    Number(String),
    /// Ids and paths, letter by letter.
    Code(String),
    Badge(Badge),
    Link(Link),
    When(When),
}

impl Item {
    /// The class of its cell.
    fn class(&self) -> &'static str {
        match self {
            Self::Number(_) => "number",
            Self::Long(_) => "long",
            Self::Badge(_) | Self::When(_) => "keep",
            _ => "",
        }
    }
}

/// How columns of [`Table`]s look on the page, by their key. What is not named here is text, a number or a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Run,
    Plan,
    Job,
    /// A login, with Okta's id in the column `person`.
    Person,
    Badge,
    Code,
    Long,
    /// By what the value is.
    Plain,
}

fn look(key: &str) -> Look {
    match key {
        "run" | "covered_by" | "first_run" | "last_run" => Look::Run,
        "plan" => Look::Plan,
        "job" => Look::Job,
        "login" => Look::Person,
        "outcome" | "state" | "disposition" | "verdict" | "severity" => Look::Badge,
        "request_id" | "client_request_id" | "path" | "method" | "sku" => Look::Code,
        "message" | "meaning" | "remedy" | "reason" | "error" | "code" | "title" => Look::Long,
        _ => Look::Plain,
    }
}

impl Grid {
    /// The table as it is printed. `id` is unique on the page; `caption` names the table to whoever hears it. `extra` are
    /// columns that are shown here and not at a terminal, as key and title.
    pub(super) fn of(id: &str, caption: &str, table: &Table, eye: &Eye, extra: &[(&str, &str)]) -> Self {
        let keys: Vec<&str> = table.columns().iter().map(|(key, _)| *key).collect();
        let title = |key: &str, title: &'static str| {
            let extra = extra.iter().find(|(named, _)| *named == key).map(|(_, title)| (*title).to_owned());
            extra.or_else(|| (!title.is_empty()).then(|| title.to_owned()))
        };
        let shown: Vec<(usize, String)> = table
            .columns()
            .iter()
            .enumerate()
            .filter_map(|(place, (key, given))| title(key, given).map(|title| (place, title)))
            .collect();
        let rows: Vec<Vec<Item>> = table
            .rows()
            .iter()
            .map(|row| shown.iter().map(|(place, _)| item(&keys, row, *place, eye)).collect())
            .collect();
        let of_column = |place: usize| rows.iter().map(|row| row[place].class()).find(|class| !class.is_empty());
        let columns = shown.into_iter().enumerate().map(|(place, (_, title))| {
            // A column of numbers has its title above them.
            let class = if of_column(place) == Some("number") { "number" } else { "" };
            Column { title, class }
        });
        Self { id: id.to_owned(), caption: caption.to_owned(), columns: columns.collect(), rows }
    }

    /// A table of the page's own.
    pub(super) fn new(id: &str, caption: &str, titles: &[&str], rows: Vec<Vec<Item>>) -> Self {
        let class = |place: usize| {
            let number = rows.iter().any(|row| matches!(row[place], Item::Number(_)));
            if number { "number" } else { "" }
        };
        let columns =
            titles.iter().enumerate().map(|(place, title)| Column { title: (*title).to_owned(), class: class(place) });
        Self { id: id.to_owned(), caption: caption.to_owned(), columns: columns.collect(), rows }
    }

    /// A name and nothing but numbers in each row: narrow enough for a phone.
    fn is_figures(&self) -> bool {
        let mut rest = self.columns.iter().skip(1);
        self.columns.len() > 1 && rest.all(|column| column.class == "number")
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// One cell as the page shows it.
fn item(keys: &[&str], row: &[Cell], place: usize, eye: &Eye) -> Item {
    let (key, cell) = (keys[place], &row[place]);
    let shown = cell.shown();
    if shown.is_empty() && !matches!(cell.value(), Value::Number(_)) {
        return match cell.value() {
            Value::String(hidden) if !hidden.is_empty() => Item::Code(hidden.clone()),
            _ => Item::Nothing,
        };
    }
    let sibling = |key: &str| {
        let place = keys.iter().position(|known| *known == key)?;
        row[place].value().as_str().filter(|id| !id.is_empty())
    };
    let id = cell.value().as_str();
    match (look(key), id) {
        (Look::Run, Some(id)) => Item::Link(Link::run(id)),
        (Look::Plan, Some(id)) => Item::Link(Link::plan(id)),
        (Look::Job, Some(name)) => Item::Link(Link::job(name)),
        (Look::Person, Some(login)) => match sibling("person") {
            Some(person) => Item::Link(Link::person(person, login)),
            None => Item::Text(shown.to_owned()),
        },
        (Look::Badge, Some(word)) => Item::Badge(Badge::new(words::of_word(key, word).unwrap_or(Tone::Quiet), word)),
        (Look::Code, _) => Item::Code(shown.to_owned()),
        (Look::Long, _) => Item::Long(Prose::new(shown)),
        _ => plain(cell, eye),
    }
}

fn plain(cell: &Cell, eye: &Eye) -> Item {
    match cell.value() {
        Value::Number(number) => match number.as_u64() {
            // What is shown of a number may be more than the number.
            Some(count) if cell.shown() == count.to_string() => Item::Number(grouped(count)),
            _ => Item::Number(cell.shown().to_owned()),
        },
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(at) => Item::When(When::exact(at, eye)),
            Err(_) => Item::Text(cell.shown().to_owned()),
        },
        _ => Item::Text(cell.shown().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::parts::tests::eye;

    #[test]
    fn a_table_has_links_marks_times_and_numbers_and_nothing_hidden() {
        let columns = [
            ("run", "Run"),
            ("started", "Began"),
            ("outcome", "Outcome"),
            ("person", ""),
            ("login", "Person"),
            ("count", "Count"),
            ("request_id", ""),
        ];
        let mut table = Table::new(&columns, "no runs");
        let eye = eye();
        table.push(vec![
            Cell::text("aaaa0001"),
            Cell::moment(eye.now, &eye.zone),
            Cell::text("source_incomplete"),
            Cell::text("00u/1"),
            Cell::text("<img src=x onerror=alert(1)>"),
            Cell::number(12_345),
            Cell::text("r-1"),
        ]);
        let html = Grid::of("runs", "Runs", &table, &eye, &[]).render().unwrap();
        for part in [
            r#"<a href="/runs/aaaa0001">aaaa0001</a>"#,
            r#"<time datetime="2026-11-21T02:00:00Z" title="now">2026-11-21 03:00:00 CET</time>"#,
            r#"<span class="badge bad"><span aria-hidden="true">✕</span>source incomplete</span>"#,
            r#"<a href="/people/00u%2F1">&#60;img src=x onerror=alert(1)&#62;</a>"#,
            r#"<td role="cell" data-title="Count" class="number">12,345</td>"#,
            r#"<th role="columnheader" scope="col" class="number">Count</th>"#,
        ] {
            assert!(html.contains(part), "{part} is not in\n{html}");
        }
        assert!(!html.contains("r-1") && !html.contains(">00u"), "columns without a title are not for people: {html}");
        assert!(html.contains(r#"<div class="scroll" "#), "cards at a phone: {html}");
        let rows = vec![vec![Item::Text("set".to_owned()), Item::Number("1".to_owned())]];
        let figures = Grid::new("kinds", "Kinds", &["Changes", "Set"], rows).render().unwrap();
        assert!(figures.contains(r#"<div class="scroll figures" "#), "{figures}");
        let more = Grid::of("runs", "Runs", &table, &eye, &[("request_id", "Request id")]).render().unwrap();
        assert!(more.contains(r#"<code class="code">r-1</code>"#), "{more}");
    }
}
