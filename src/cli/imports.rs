//! Imports as tables: what was counted, what was found, what is new. For the end of a run and for the history.

use std::fmt::Write as _;

use crate::tables::table::{Cell, Table};
use crate::domain::import::{Changed, Entry, ImportTally, Kind};
use crate::jobs::report::details::DirectoryDetails;

/// How many entries there are of each kind; guests and disabled accounts apart.
pub(super) fn counts(tally: &ImportTally) -> Table {
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
pub(super) fn entries<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Table {
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
pub(super) fn changes<'a>(changes: impl IntoIterator<Item = &'a Changed>) -> Table {
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

/// What an import run says below its first line. `lines` makes a table text.
pub(super) fn report(text: &mut String, details: &DirectoryDetails, run: &str, lines: impl Fn(&Table) -> String) {
    let mut section = |title: &str, table: &Table| {
        if !table.is_empty() {
            let _ = write!(text, "\n{title}\n{}", lines(table));
        }
    };
    section("Found", &counts(&details.tally));
    let previous = details.previous.as_ref().map(ToString::to_string).unwrap_or_default();
    section(&format!("New since run {previous}, the first of each kind"), &changes(&details.changes));
    section("To be looked at, the first of each kind", &entries(&details.entries));
    for note in &details.notes {
        let _ = writeln!(text, "note: {note}");
    }
    if details.tally.kinds.values().any(|count| count.entries > 0) {
        let _ = writeln!(text, "\nAll of it: graphkeeper history directory --run {run}   (--kind KIND, --diff)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::domain::import::{Count, Difference};

    fn entry(kind: Kind, login: &str, upn: &str) -> Entry {
        let given = |text: &str| (!text.is_empty()).then(|| format!("id-{text}"));
        Entry {
            kind,
            person: given(login),
            login: login.to_owned(),
            status: if login.is_empty() { String::new() } else { "ACTIVE".to_owned() },
            account: given(upn),
            upn: upn.to_owned(),
            guest: upn.contains("#EXT#"),
            disabled: false,
        }
    }

    #[test]
    fn entries_and_differences_are_told_side_by_side() {
        let found = [
            entry(Kind::UnmatchedInOkta, "ana@x", ""),
            entry(Kind::UnmatchedInEntra, "", "pia_y#EXT#@x"),
            entry(Kind::Matched, "bo@x", "bo@y"),
        ];
        insta::assert_snapshot!(samples::written(&entries(&found), OutputFormat::Table), @r"
        kind                person in Okta  status  account in Entra  which is
        unmatched_in_okta   ana@x           ACTIVE  –
        unmatched_in_entra  –                       pia_y#EXT#@x      guest
        matched             bo@x            ACTIVE  bo@y              member
        ");
        let news = Changed {
            difference: Difference::Moved,
            entry: found[2].clone(),
            before: Some(entry(Kind::Matched, "ana@x", "bo@y")),
        };
        insta::assert_snapshot!(samples::written(&changes([&news]), OutputFormat::Table), @r"
        what is new  kind     person in Okta  account in Entra  before
        moved        matched  bo@x            bo@y              matched, ana@x
        ");
        assert_eq!(entries(&found).to_json()[0]["upn"], serde_json::Value::Null);
    }

    #[test]
    fn counts_begin_with_what_is_well() {
        let mut tally = ImportTally::default();
        tally.kinds.insert(Kind::Shared, Count { entries: 2, ..Count::default() });
        tally.kinds.insert(Kind::UnmatchedInEntra, Count { entries: 6, guests: 2, disabled: 1 });
        tally.kinds.insert(Kind::Matched, Count { entries: 98, ..Count::default() });
        insta::assert_snapshot!(samples::written(&counts(&tally), OutputFormat::Table), @r"
        kind                entries  guests  disabled  meaning
        matched             98       0       0         the account is the person's alone
        unmatched_in_entra  6        2       1         an account in Entra without anybody in Okta
        shared              2        0       0         another person has a claim to the account that is as good or better
        ");
    }
}
