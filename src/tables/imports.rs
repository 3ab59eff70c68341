//! Imports of both directories: what was counted, what was found, what is new.

use serde_json::{Value, json};

use crate::domain::import::{Changed, Entry, ImportTally, Kind};
use crate::history::History;
use crate::history::directory::Import;
use crate::history::error::HistoryError;
use crate::reconcile::import_diff::differences;
use crate::tables::table::{Cell, Table};

/// An import, its `entries` as a table, of which there are so many `more`.
///
/// JSON: `{run, job, time, entries, more}`, with `entries` a list of `{kind, login, status, upn, account_is, guest, disabled,
/// person, account}`.
#[must_use]
pub fn object(import: &Import, entries: &Table, more: u64) -> Value {
    json!({
        "run": import.run, "job": import.job, "time": import.at.to_string(), "entries": entries.to_json(), "more": more,
    })
}

/// What was new in an import.
#[derive(Debug)]
pub struct News {
    /// The import before; `None` for the first.
    pub previous: Option<Import>,
    pub changes: Vec<Changed>,
    /// How many there are beside these.
    pub more: u64,
}

impl News {
    /// Reads what was new, at most so many differences, of these kinds; of all where none is named.
    pub async fn read(history: &History, import: &Import, kinds: &[Kind], limit: u32) -> Result<Self, HistoryError> {
        let previous = history.import_before(import).await?;
        let mut found: Vec<Changed> = Vec::new();
        if previous.is_some() {
            let (ended, begun) = history.entries_changed_by(import).await?;
            found = differences(&ended, &begun);
        }
        found.retain(|changed| kinds.is_empty() || kinds.contains(&changed.entry.kind));
        found.sort_by_key(|changed| changed.difference);
        let more = found.len().saturating_sub(limit as usize) as u64;
        found.truncate(limit as usize);
        Ok(Self { previous, changes: found, more })
    }

    /// What was new in `import`, with its changes as a table.
    ///
    /// JSON: `{run, job, time, previous, changes, more}`, with `changes` a list of `{difference, kind, login, upn, before,
    /// person, account}` and `previous` the run of the import before, null for the first.
    #[must_use]
    pub fn object(&self, import: &Import, changes: &Table) -> Value {
        json!({
            "run": import.run, "job": import.job, "time": import.at.to_string(),
            "previous": self.previous.as_ref().map(|previous| &previous.run), "changes": changes.to_json(),
            "more": self.more,
        })
    }
}

/// How many entries there are of each kind; guests and disabled accounts apart.
#[must_use]
pub fn counts(tally: &ImportTally) -> Table {
    let columns = [
        ("kind", "kind"),
        ("entries", "entries"),
        ("guests", "guests"),
        ("disabled", "disabled"),
        ("meaning", "meaning"),
    ];
    let mut table = Table::new(&columns, "");
    for kind in Kind::ALL.iter().rev().filter(|kind| tally.kinds.contains_key(kind)) {
        let count = tally.of(*kind);
        let number = |count: u64| Cell::new(count, count.to_string());
        table.push(vec![
            Cell::text(kind.as_str()),
            number(count.entries),
            number(count.guests),
            number(count.disabled),
            Cell::text(kind.meaning()),
        ]);
    }
    table
}

/// Entries, one a row.
#[must_use]
pub fn entries<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Table {
    let columns = [
        ("kind", "kind"),
        ("login", "person in Okta"),
        ("status", "status"),
        ("upn", "account in Entra"),
        ("account_is", "which is"),
        ("guest", ""),
        ("disabled", ""),
        ("person", ""),
        ("account", ""),
    ];
    let mut table = Table::new(&columns, "nothing of this kind was found");
    for entry in entries {
        table.push(vec![
            Cell::text(entry.kind.as_str()),
            name(&entry.login),
            Cell::optional(entry.person.as_ref(), |_| Cell::text(&entry.status)),
            name(&entry.upn),
            Cell::optional(entry.account.as_ref(), |_| Cell::text(account_is(entry))),
            Cell::new(entry.guest, entry.guest.to_string()),
            Cell::new(entry.disabled, entry.disabled.to_string()),
            Cell::optional(entry.person.clone(), Cell::text),
            Cell::optional(entry.account.clone(), Cell::text),
        ]);
    }
    table
}

/// Differences to the import before, one a row.
#[must_use]
pub fn changes<'a>(changes: impl IntoIterator<Item = &'a Changed>) -> Table {
    let columns = [
        ("difference", "what is new"),
        ("kind", "kind"),
        ("login", "person in Okta"),
        ("upn", "account in Entra"),
        ("before", "before"),
        ("person", ""),
        ("account", ""),
    ];
    let mut table = Table::new(&columns, "nothing is new");
    for changed in changes {
        let Changed { difference, entry, before } = changed;
        table.push(vec![
            Cell::text(difference.as_str()),
            Cell::text(entry.kind.as_str()),
            name(&entry.login),
            name(&entry.upn),
            Cell::optional(before.as_ref(), |before| Cell::text(in_words(before, entry))),
            Cell::optional(entry.person.clone(), Cell::text),
            Cell::optional(entry.account.clone(), Cell::text),
        ]);
    }
    table
}

fn name(text: &str) -> Cell {
    if text.is_empty() { Cell::new(serde_json::Value::Null, "–") } else { Cell::text(text) }
}

const fn account_is(entry: &Entry) -> &'static str {
    match (entry.guest, entry.disabled) {
        (true, true) => "guest, disabled",
        (true, false) => "guest",
        (false, true) => "disabled",
        (false, false) => "member",
    }
}

/// An entry as it was, as far as it was another one.
fn in_words(before: &Entry, now: &Entry) -> String {
    let mut parts = vec![before.kind.to_string()];
    if !before.login.is_empty() && before.login != now.login {
        parts.push(before.login.clone());
    }
    if !before.upn.is_empty() && before.upn != now.upn {
        parts.push(before.upn.clone());
    }
    if before.status != now.status && !before.status.is_empty() && before.person == now.person {
        parts.push(before.status.clone());
    }
    if before.account == now.account && (before.guest, before.disabled) != (now.guest, now.disabled) {
        parts.push(account_is(before).to_owned());
    }
    parts.join(", ")
}
