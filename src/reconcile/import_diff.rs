//! What is new in an import, told from the entries that ended with the one before and those that began with it.

use std::collections::{HashMap, HashSet};

use crate::domain::import::{Changed, Difference, Ended, Entry, Kind};

/// What is new. Entries that were the same in both imports are in neither list. In the order of `begun`, then of `ended`.
#[must_use]
pub fn differences(ended: &[Ended], begun: &[Entry]) -> Vec<Changed> {
    let before = Before::of(ended);
    let mut found: Vec<Changed> = begun.iter().map(|entry| before.changed(entry)).collect();
    let told: HashSet<(Option<&str>, Option<&str>)> = begun.iter().map(pair).collect();
    // A person in several entries is gone once.
    let mut gone = HashSet::new();
    for one in ended.iter().filter(|one| !told.contains(&pair(&one.entry))) {
        let person = one.entry.person.as_deref().filter(|_| !one.person_stays).filter(|id| gone.insert(*id));
        let account = one.entry.account.as_deref().filter(|_| !one.account_stays).filter(|id| gone.insert(*id));
        if person.is_some() || account.is_some() {
            let entry = one.entry.only(person.is_some(), account.is_some());
            found.push(Changed { difference: Difference::Gone, entry, before: Some(one.entry.clone()) });
        }
    }
    found
}

fn pair(entry: &Entry) -> (Option<&str>, Option<&str>) {
    (entry.person.as_deref(), entry.account.as_deref())
}

/// What ended, findable.
struct Before<'a> {
    pairs: HashMap<(Option<&'a str>, Option<&'a str>), &'a Entry>,
    matched_people: HashMap<&'a str, &'a Entry>,
    matched_accounts: HashMap<&'a str, &'a Entry>,
}

impl<'a> Before<'a> {
    fn of(ended: &'a [Ended]) -> Self {
        let entries = || ended.iter().map(|one| &one.entry);
        let matched = || entries().filter(|entry| entry.kind == Kind::Matched);
        Self {
            pairs: entries().map(|entry| (pair(entry), entry)).collect(),
            matched_people: matched().filter_map(|entry| Some((entry.person.as_deref()?, entry))).collect(),
            matched_accounts: matched().filter_map(|entry| Some((entry.account.as_deref()?, entry))).collect(),
        }
    }

    fn changed(&self, entry: &Entry) -> Changed {
        let same = self.pairs.get(&pair(entry)).copied();
        let told =
            |difference, before: Option<&Entry>| Changed { difference, entry: entry.clone(), before: before.cloned() };
        if let Some(before) = same.filter(|before| before.kind == entry.kind) {
            let renamed = before.login != entry.login || before.upn != entry.upn;
            return told(if renamed { Difference::Renamed } else { Difference::Changed }, same);
        }
        match entry.kind {
            Kind::Matched => {
                let of_account = entry.account.as_deref().and_then(|id| self.matched_accounts.get(id)).copied();
                let of_person = entry.person.as_deref().and_then(|id| self.matched_people.get(id)).copied();
                match (of_account, of_person) {
                    (Some(other), _) => told(Difference::Moved, Some(other)),
                    (None, Some(other)) => told(Difference::Relinked, Some(other)),
                    (None, None) => told(Difference::NewlyMatched, same),
                }
            }
            Kind::UnmatchedInOkta => {
                let before = entry.person.as_deref().and_then(|id| self.matched_people.get(id)).copied();
                told(Difference::NewlyUnmatched, before.or(same))
            }
            Kind::UnmatchedInEntra => {
                let before = entry.account.as_deref().and_then(|id| self.matched_accounts.get(id)).copied();
                told(Difference::NewlyUnmatched, before.or(same))
            }
            Kind::Ambiguous | Kind::Shared => told(Difference::NewlyInConflict, same),
            Kind::Ignored => told(Difference::NewlyIgnored, same),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kind person account`, a hyphen for none; `login=upn` beside when they differ from the ids.
    fn entry(text: &str) -> Entry {
        let mut words = text.split(' ');
        let kind = words.next().unwrap().parse().unwrap();
        let mut next = || words.next().filter(|word| *word != "-").map(str::to_owned);
        let (person, account) = (next(), next());
        let names = next();
        let (login, upn) = names.as_deref().and_then(|names| names.split_once('=')).unwrap_or_default();
        let status = person.as_ref().map_or("", |_| "ACTIVE").to_owned();
        let (login, upn) = (login.to_owned(), upn.to_owned());
        Entry { kind, person, login, status, account, upn, guest: false, disabled: false }
    }

    /// `+` and the ids that stay, after a comma-separated list of what ended.
    fn told(ended: &str, begun: &str) -> String {
        let (ended, stays) = ended.split_once(" + ").unwrap_or((ended, ""));
        let list = |text: &str| text.split(", ").filter(|it| !it.is_empty()).map(entry).collect::<Vec<_>>();
        let begun = list(begun);
        let stays = |id: Option<&String>| {
            let here = |entry: &Entry| entry.person.as_ref() == id || entry.account.as_ref() == id;
            id.is_some_and(|text| stays.split(' ').any(|it| it == text) || begun.iter().any(here))
        };
        let ended = list(ended).into_iter().map(|entry| Ended {
            person_stays: stays(entry.person.as_ref()),
            account_stays: stays(entry.account.as_ref()),
            entry,
        });
        let line = |changed: &Changed| {
            let Changed { difference, entry, before } = changed;
            let id = |id: &Option<String>| id.clone().unwrap_or_else(|| "-".to_owned());
            let was = before.as_ref().map(|it| format!(" was {} {} {}", it.kind, id(&it.person), id(&it.account)));
            format!("{difference} {} {}{}", id(&entry.person), id(&entry.account), was.unwrap_or_default())
        };
        let found = differences(&ended.collect::<Vec<_>>(), &begun);
        found.iter().map(line).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_difference_has_its_name() {
        let cases = [
            ("", "", ""),
            ("unmatched_in_okta P -, unmatched_in_entra - A", "matched P A", "newly_matched P A"),
            ("", "matched P A", "newly_matched P A"),
            ("", "unmatched_in_entra - A", "newly_unmatched - A"),
            ("matched P A", "unmatched_in_okta P -", "newly_unmatched P - was matched P A, gone - A was matched P A"),
            (
                "matched P A",
                "unmatched_in_okta P -, unmatched_in_entra - A",
                "newly_unmatched P - was matched P A, newly_unmatched - A was matched P A",
            ),
            ("matched P A", "", "gone P A was matched P A"),
            ("unmatched_in_entra - A", "", "gone - A was unmatched_in_entra - A"),
            (
                "matched P A, unmatched_in_okta Q -",
                "matched Q A, unmatched_in_okta P -",
                "moved Q A was matched P A, newly_unmatched P - was matched P A",
            ),
            ("matched P A", "matched P B", "relinked P B was matched P A, gone - A was matched P A"),
            ("matched P A p=a", "matched P A p=b", "renamed P A was matched P A"),
            ("matched P A p=a", "matched P A p=a", "changed P A was matched P A"),
            ("matched P A", "ignored P A", "newly_ignored P A was matched P A"),
            ("ignored P A", "matched P A", "newly_matched P A was ignored P A"),
            ("matched P A", "shared P A, shared Q A", "newly_in_conflict P A was matched P A, newly_in_conflict Q A"),
            // One of two candidates was deleted; the other one is the person's now.
            (
                "ambiguous P A, ambiguous P B",
                "matched P A",
                "newly_matched P A was ambiguous P A, gone - B was ambiguous P B",
            ),
            // It is another one's in an entry that did not change.
            ("ambiguous P A, ambiguous P B + B", "matched P A", "newly_matched P A was ambiguous P A"),
            ("ambiguous P A, ambiguous P B", "", "gone P A was ambiguous P A, gone - B was ambiguous P B"),
        ];
        for (ended, begun, expected) in cases {
            assert_eq!(told(ended, begun), expected, "{ended} → {begun}");
        }
    }
}
