//! What an import of both directories found: who is whose, who is nobody's, and what is new.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use super::frame::{Asked, Frame, Section, Trouble, page, run_id};
use super::grid::{Grid, Item};
use super::parts::{Empty, Link, When, query};
use super::share::{Counted, Shares};
use super::words;
use crate::domain::import::{Entry, Kind};
use crate::history::directory::Import;
use crate::reconcile::import_diff::differences;

/// Entries on the page.
const ENTRIES: u32 = 200;
/// Differences on the page.
const CHANGES: usize = 100;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// An import by its run; blank: the newest.
    run: String,
    /// Entries of one kind; blank: all that want to be looked at.
    kind: String,
}

#[derive(Debug, Template)]
#[template(path = "imports.html")]
struct Imports {
    frame: Frame,
    found: Option<Found>,
    empty: Empty,
}

/// One import.
#[derive(Debug)]
struct Found {
    job: Link,
    run: Link,
    ago: When,
    exact: When,
    kinds: Shares,
    /// Since the import before; none for the first.
    previous: Option<Link>,
    changes: Grid,
    more_changes: usize,
    nothing_new: Empty,
    title: String,
    entries: Grid,
    no_entries: Empty,
    more: u64,
}

pub(super) async fn show(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    match imports(&asked, &wanted).await {
        Ok(imports) => page(&imports),
        Err(trouble) => asked.refused(trouble),
    }
}

async fn imports(asked: &Asked, wanted: &Wanted) -> Result<Imports, Trouble> {
    let history = asked.history();
    let import = if wanted.run.is_empty() {
        history.latest_import(None).await?
    } else {
        let id = run_id(history, &wanted.run).await?;
        let missing = || Trouble::Missing { what: "complete import of run", name: id.to_string() };
        Some(history.import_of_run(&id).await?.ok_or_else(missing)?)
    };
    let found = match import {
        Some(import) => Some(found(asked, wanted, &import).await?),
        None => None,
    };
    Ok(Imports {
        frame: asked.frame(Section::Imports, "Directory imports"),
        found,
        empty: Empty::new("Nothing was imported yet.")
            .advice("A job of the kind `directory` compares both directories and writes nothing. It is run at once by")
            .command("graphkeeper run import"),
    })
}

async fn found(asked: &Asked, wanted: &Wanted, import: &Import) -> Result<Found, Trouble> {
    let (history, eye) = (asked.history(), &asked.eye);
    let mut counted = Vec::new();
    for kind in Kind::ALL {
        let (_, count) = history.entries_of_import(import, &[*kind], 0).await?;
        let href = query("/imports", &[("run", import.run.as_str()), ("kind", kind.as_str())]);
        counted.push(Counted { name: kind.as_str(), href, count, meaning: kind.meaning(), remedy: None });
    }
    let one = wanted.kind.parse::<Kind>().ok();
    let kinds: Vec<Kind> = one.map_or_else(
        || Kind::ALL.iter().copied().filter(|kind| !matches!(kind, Kind::Matched | Kind::Ignored)).collect(),
        |kind| vec![kind],
    );
    let (entries, more) = history.entries_of_import(import, &kinds, ENTRIES).await?;
    let previous = history.import_before(import).await?;
    let (changes, more_changes) = if previous.is_some() { changes(asked, import).await? } else { (Vec::new(), 0) };
    let titles = ["What is new", "Kind", "Person in Okta", "Account in Entra"];
    Ok(Found {
        job: Link::job(&import.job),
        run: Link::run(import.run.as_str()),
        ago: When::ago(import.at, eye),
        exact: When::exact(import.at, eye),
        kinds: Shares::of("kinds", "Entries by kind", counted),
        previous: previous
            .map(|previous| Link::new(query("/imports", &[("run", previous.run.as_str())]), previous.run.as_str())),
        changes: Grid::new("new", "What is new since the import before", &titles, changes),
        more_changes,
        nothing_new: Empty::new("Nothing is new."),
        title: one.map_or_else(|| "To be looked at".to_owned(), |kind| words::plain(kind.as_str())),
        entries: Grid::new(
            "entries",
            "Entries: conflicts first",
            &["Kind", "Person in Okta", "Status", "Account in Entra", "Which is"],
            entries.iter().map(entry).collect(),
        ),
        no_entries: Empty::new("Nothing of this kind was found."),
        more,
    })
}

/// What is new, as rows, and how much there is beside.
async fn changes(asked: &Asked, import: &Import) -> Result<(Vec<Vec<Item>>, usize), Trouble> {
    let (ended, begun) = asked.history().entries_changed_by(import).await?;
    let mut found = differences(&ended, &begun);
    found.sort_by_key(|changed| changed.difference);
    let more = found.len().saturating_sub(CHANGES);
    let row = |changed: &crate::domain::import::Changed| {
        let [person, account] = names(&changed.entry);
        let word = |word: &str| Item::Text(words::plain(word));
        vec![word(changed.difference.as_str()), word(changed.entry.kind.as_str()), person, account]
    };
    Ok((found.iter().take(CHANGES).map(row).collect(), more))
}

fn entry(entry: &Entry) -> Vec<Item> {
    let [person, account] = names(entry);
    let status = if entry.status.is_empty() { Item::Nothing } else { Item::Text(entry.status.clone()) };
    let is = match (&entry.account, entry.guest, entry.disabled) {
        (None, ..) => Item::Nothing,
        (_, true, true) => Item::Text("a guest, disabled".to_owned()),
        (_, true, false) => Item::Text("a guest".to_owned()),
        (_, false, true) => Item::Text("disabled".to_owned()),
        (_, false, false) => Item::Text("a member".to_owned()),
    };
    vec![Item::Text(words::plain(entry.kind.as_str())), person, status, account, is]
}

/// The person, with a link to what runs decided, and the account.
fn names(entry: &Entry) -> [Item; 2] {
    let person = entry.person.as_ref().map_or(Item::Nothing, |id| Item::Link(Link::person(id, &entry.login)));
    let account = if entry.upn.is_empty() { Item::Nothing } else { Item::Text(entry.upn.clone()) };
    [person, account]
}
