//! Which account is whose, of both directories at once, for a report that writes nothing.

use crate::domain::directory::{AccountIx, Accounts, People, PersonIx};
use crate::domain::identity::AccountId;
use crate::domain::import::{Entry, ImportTally, Kind, Unlisted};
use crate::reconcile::correlate::{AccountKeys, Hold, Relinked, Seat, seats};
use crate::reconcile::known::Known;
use crate::reconcile::names::Names;
use crate::reconcile::policy::{AccountKey, CorrelateRule};

/// Both sides as they were read, both listings sealed, and what was decided and remembered about them.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub people: &'a People,
    pub accounts: &'a Accounts,
    pub rules: &'a [CorrelateRule],
    /// Logins, addresses, ids of either side. Case does not matter.
    pub ignore: &'a [String],
    /// Links and accounts that are missing from the listing; the rest is not looked at.
    pub known: &'a Known,
}

/// An entry in twelve bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub kind: Kind,
    person: u32,
    account: u32,
}

impl Place {
    const NOBODY: u32 = u32::MAX;

    fn new(kind: Kind, person: Option<PersonIx>, account: Option<AccountIx>) -> Self {
        Self { kind, person: person.map_or(Self::NOBODY, |ix| ix.0), account: account.map_or(Self::NOBODY, |ix| ix.0) }
    }

    #[must_use]
    pub fn person(&self) -> Option<PersonIx> {
        (self.person != Self::NOBODY).then_some(PersonIx(self.person))
    }

    #[must_use]
    pub fn account(&self) -> Option<AccountIx> {
        (self.account != Self::NOBODY).then_some(AccountIx(self.account))
    }

    /// The entry with its names.
    #[must_use]
    pub fn entry(&self, people: &People, accounts: &Accounts) -> Entry {
        let person = self.person().map(|ix| people.get(ix));
        let account = self.account().map(|ix| accounts.get(ix));
        Entry {
            kind: self.kind,
            person: person.map(|person| person.id().to_owned()),
            login: person.map_or_else(String::new, |person| person.login().to_owned()),
            status: person.map_or_else(String::new, |person| person.status().as_str().to_owned()),
            account: account.map(|account| account.id().to_string()),
            upn: account.map_or_else(String::new, |account| account.user_principal_name().to_owned()),
            guest: account.is_some_and(|account| account.is_guest()),
            disabled: account.is_some_and(|account| !account.is_enabled()),
        }
    }

    /// Where it stands among those of its kind: members before the disabled, those before guests, then by name.
    #[must_use]
    pub fn rank<'a>(&self, people: &'a People, accounts: &'a Accounts) -> (bool, bool, &'a str, &'a str) {
        let account = self.account().map(|ix| accounts.get(ix));
        let login = self.person().map_or("", |ix| people.get(ix).login());
        let upn = account.map_or("", |account| account.user_principal_name());
        (account.is_some_and(|it| it.is_guest()), account.is_some_and(|it| !it.is_enabled()), login, upn)
    }
}

/// Everybody sorted.
#[derive(Clone, Debug, Default)]
pub struct Sorted {
    /// Every person and every account is in one at least; in the order of the listings.
    pub places: Vec<Place>,
    pub unlisted: Vec<Unlisted<PersonIx>>,
    /// Links that the rules found, of employed people.
    pub links: Vec<(PersonIx, AccountIx)>,
    /// Remembered links whose account is gone.
    pub relinked: Vec<Relinked>,
    /// Without the differences.
    pub tally: ImportTally,
}

/// The account attributes that rules compare with.
pub fn account_keys(rules: &[CorrelateRule]) -> impl Iterator<Item = AccountKey> {
    rules.iter().map(|rule| rule.entra)
}

/// Sorts everybody. Same input, same answer.
#[must_use]
pub fn sort_out(input: Input<'_>) -> Sorted {
    let Input { people, accounts, rules, known, .. } = input;
    let keys = AccountKeys::new(accounts, account_keys(rules).collect());
    let (seats, relinked) = seats(&keys, people, rules, known);
    let mut sorter = Sorter {
        input,
        ignored: Names::new(input.ignore),
        taken: vec![false; accounts.len()],
        sorted: Sorted { relinked, ..Sorted::default() },
    };
    for ((ix, person), seat) in people.iter().zip(&seats) {
        match known.links.get(person.id()).filter(|account| known.missing.contains(account)) {
            Some(account) => sorter.unlisted(ix, account),
            None => sorter.person(&keys, ix, *seat),
        }
    }
    for (ix, _) in accounts.iter() {
        if !sorter.taken[ix.0 as usize] {
            sorter.enter(Kind::UnmatchedInEntra, None, Some(ix));
        }
    }
    let mut done = sorter.sorted;
    done.tally.people = people.len() as u64;
    done.tally.accounts = accounts.len() as u64;
    done
}

struct Sorter<'a> {
    input: Input<'a>,
    ignored: Names,
    /// The accounts that are in an entry.
    taken: Vec<bool>,
    sorted: Sorted,
}

impl Sorter<'_> {
    fn person(&mut self, keys: &AccountKeys<'_>, ix: PersonIx, seat: Seat) {
        let person = self.input.people.get(ix);
        match seat.hold {
            Hold::Linked | Hold::ByRule => {
                let account = seat.account();
                if let Some(account) = account.filter(|_| seat.hold == Hold::ByRule && person.status().is_employed()) {
                    self.sorted.links.push((ix, account));
                }
                self.enter(Kind::Matched, Some(ix), account);
            }
            Hold::Ambiguous => {
                for account in keys.candidates(self.input.rules, self.input.people, person) {
                    self.enter(Kind::Ambiguous, Some(ix), Some(account));
                }
            }
            Hold::Conflicting => self.enter(Kind::Shared, Some(ix), seat.found()),
            Hold::Nothing | Hold::Lost => self.enter(Kind::UnmatchedInOkta, Some(ix), None),
        }
    }

    fn unlisted(&mut self, person: PersonIx, account: AccountId) {
        self.sorted.unlisted.push(Unlisted { person, account });
        self.sorted.tally.unlisted += 1;
    }

    fn enter(&mut self, kind: Kind, person: Option<PersonIx>, account: Option<AccountIx>) {
        let Input { people, accounts, .. } = self.input;
        let shown = account.map(|ix| accounts.get(ix));
        let ignored = !self.ignored.is_empty()
            && (person.is_some_and(|ix| self.ignored.name_person(people, ix))
                || shown.is_some_and(|account| self.ignored.name_account(account)));
        let kind = if ignored { Kind::Ignored } else { kind };
        if let Some(account) = account {
            self.taken[account.0 as usize] = true;
        }
        let (guest, disabled) = shown.map_or((false, false), |account| (account.is_guest(), !account.is_enabled()));
        self.sorted.tally.kinds.entry(kind).or_default().add(guest, disabled);
        self.sorted.places.push(Place::new(kind, person, account));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::identity::PersonStatus;
    use crate::reconcile::samples::{Org, id};

    fn sort(org: &Org, ignore: &[String]) -> (Vec<Entry>, Sorted) {
        let sides = org.sides();
        let input = Input {
            people: &sides.people,
            accounts: &sides.accounts,
            rules: &org.policy.correlate,
            ignore,
            known: &org.known,
        };
        let sorted = sort_out(input);
        let entries = sorted.places.iter().map(|place| place.entry(&sides.people, &sides.accounts)).collect();
        (entries, sorted)
    }

    /// The entries as `kind person account`, sorted.
    fn told(org: &Org, ignore: &[&str]) -> Vec<String> {
        let ignore: Vec<String> = ignore.iter().map(|name| (*name).to_owned()).collect();
        let short = |name: &str| name.split('@').next().filter(|it| !it.is_empty()).unwrap_or("-").to_owned();
        let line = |entry: &Entry| format!("{} {} {}", entry.kind, short(&entry.login), short(&entry.upn));
        let mut lines: Vec<String> = sort(org, &ignore).0.iter().map(line).collect();
        lines.sort();
        lines
    }

    const ALL: [&str; 3] = ["matched ana ana", "matched bo bo", "matched cy cy"];

    #[test]
    fn everybody_is_sorted_once_for_each_way_to_be() {
        type Edit = fn(&mut Org);
        let cases: [(Edit, &[&str], &str); 9] = [
            (|_| (), &[], ""),
            (|o| _ = o.add_person("dee", ""), &[], "unmatched_in_okta dee -"),
            (|o| _ = o.add_account("room"), &[], "unmatched_in_entra - room"),
            (
                |o| {
                    o.add_person("dee", "");
                    for name in ["d1", "d2"] {
                        o.add_account(name).proxies.push("dee@mail.example.com".into());
                    }
                },
                &[],
                "ambiguous dee d1, ambiguous dee d2",
            ),
            (
                |o| {
                    for name in ["dee", "eve"] {
                        o.add_person(name, "").email = "desk@example.com".into();
                    }
                    o.add_account("front").proxies.push("desk@example.com".into());
                },
                &[],
                "shared dee front, shared eve front",
            ),
            (|o| _ = o.add_account("room"), &["ROOM@example.com"], "ignored - room"),
            (|o| _ = o.add_person("dee", ""), &[" Dee@Mail.example.com "], "ignored dee -"),
            (|o| o.add("dee", ""), &["00u-dee"], "ignored dee dee"),
            // Somebody who has left and somebody who is there: the account is whose is employed.
            (
                |o| {
                    o.add("dee", "");
                    let gone = o.add_person("old", "");
                    gone.status = PersonStatus::Deprovisioned;
                    gone.login = "dee@example.com".into();
                },
                &[],
                "matched dee dee, unmatched_in_okta dee -",
            ),
        ];
        for (edit, ignore, expected) in cases {
            let mut org = Org::agreeing();
            edit(&mut org);
            let new: Vec<String> =
                told(&org, ignore).into_iter().filter(|line| !ALL.contains(&line.as_str())).collect();
            assert_eq!(new.join(", "), expected);
        }
    }

    #[test]
    fn a_remembered_account_is_the_persons_under_any_name_and_kept_when_it_is_not_listed() {
        let mut org = Org::agreeing();
        org.account("bo").upn = "robert@example.com".into();
        assert!(told(&org, &[]).contains(&"unmatched_in_entra - robert".to_owned()));
        org.known.links = [("00u-bo", id("bo")), ("00u-ana", id("ana"))].into_iter().collect();
        assert!(told(&org, &[]).contains(&"matched bo robert".to_owned()));
        org.accounts.retain(|account| account.id != id("ana"));
        assert!(told(&org, &[]).contains(&"unmatched_in_okta ana -".to_owned()), "gone for good");
        org.known.missing.insert(id("ana"));
        let (entries, sorted) = sort(&org, &[]);
        assert!(entries.iter().all(|entry| entry.login != "ana@example.com"));
        assert_eq!((sorted.tally.unlisted, sorted.unlisted[0].account), (1, id("ana")));
    }

    #[test]
    fn guests_and_disabled_accounts_are_counted_apart() {
        let mut org = Org::agreeing();
        org.add_account("guest").guest = true;
        org.add_account("asleep").enabled = false;
        org.add_account("room");
        let guest = org.add_account("former");
        (guest.guest, guest.enabled) = (true, false);
        let count = sort(&org, &[]).1.tally.of(Kind::UnmatchedInEntra);
        assert_eq!((count.entries, count.guests, count.disabled, count.others()), (4, 2, 1, 1));
    }

    proptest! {
        /// Nobody is lost: every person and every account is in an entry, and in one match at most.
        #[test]
        fn nobody_is_lost(
            people in proptest::collection::vec((0..6_u8, 0..4_u8), 0..8),
            accounts in proptest::collection::vec((0..6_u8, 0..4_u8, any::<bool>()), 0..8),
            ignored in 0..6_u8,
        ) {
            let mut org = Org::agreeing();
            for (place, (login, email)) in people.iter().enumerate() {
                let person = org.add_person(&format!("p{place}"), "");
                person.login = format!("l{login}@example.com");
                person.email = format!("m{email}@example.com");
            }
            for (place, (upn, mail, guest)) in accounts.iter().enumerate() {
                let account = org.add_account(&format!("a{place}"));
                account.upn = format!("l{upn}@example.com");
                account.proxies.push(format!("m{mail}@example.com"));
                account.guest = *guest;
            }
            let (entries, sorted) = sort(&org, &[format!("l{ignored}@example.com")]);
            for person in &org.people {
                let own: Vec<_> = entries.iter().filter(|entry| entry.person.as_ref() == Some(&person.id)).collect();
                prop_assert!(!own.is_empty(), "{} is lost", person.id);
                let several = own.len() > 1;
                prop_assert!(!several || own.iter().all(|it| matches!(it.kind, Kind::Ambiguous | Kind::Ignored)));
            }
            for account in &org.accounts {
                let text = Some(account.id.to_string());
                let own: Vec<_> = entries.iter().filter(|entry| entry.account == text).collect();
                prop_assert!(!own.is_empty(), "{} is lost", account.upn);
                prop_assert!(own.iter().filter(|it| it.kind == Kind::Matched).count() <= 1);
                prop_assert!(own.len() == 1 || own.iter().all(|it| it.kind != Kind::UnmatchedInEntra));
            }
            let counted: u64 = sorted.tally.kinds.values().map(|count| count.entries).sum();
            prop_assert_eq!(counted, entries.len() as u64);
        }
    }
}
