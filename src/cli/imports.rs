//! What an import run says at its end.

use std::fmt::Write as _;

use crate::jobs::report::details::DirectoryDetails;
use crate::tables::imports::{changes, counts, entries};
use crate::tables::table::Table;

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
    use crate::domain::import::{Changed, Count, Difference, Entry, ImportTally, Kind};

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
