//! Which account is whose: indexes over the accounts, and the claims of people to them.

use std::collections::BTreeSet;

use crate::domain::directory::{AccountIx, AccountRef, Accounts, People, PersonIx, PersonRef};
use crate::domain::identity::{AccountId, PersonStatus};
use crate::domain::index::Index;
use crate::reconcile::fold::hash_folded;
use crate::reconcile::fold::same;
use crate::reconcile::known::Known;
use crate::reconcile::policy::{AccountKey, CorrelateRule};

/// What a search by key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    Nothing,
    One(T),
    Several,
}

/// The accounts, findable by the attributes that the rules use.
#[derive(Debug)]
pub(crate) struct AccountKeys<'a> {
    accounts: &'a Accounts,
    indexes: Vec<(AccountKey, Index)>,
}

impl<'a> AccountKeys<'a> {
    pub(crate) fn new(accounts: &'a Accounts, mut keys: BTreeSet<AccountKey>) -> Self {
        keys.remove(&AccountKey::Id); // `Accounts` finds by id as it is
        let indexes = keys.into_iter().map(|key| (key, index(accounts, key))).collect();
        Self { accounts, indexes }
    }

    /// The accounts whose attribute means the same as `value`, each once.
    pub(crate) fn hits<'s>(&'s self, key: AccountKey, value: &'s str) -> impl Iterator<Item = AccountIx> + 's {
        let by_id = if key == AccountKey::Id { value.parse().ok().and_then(|id| self.accounts.find(id)) } else { None };
        let index = self.indexes.iter().find(|(own, _)| *own == key).map(|(_, index)| index);
        let rows = index.into_iter().flat_map(move |index| index.find(hash_folded(value)));
        let mut last = None;
        let means_it = move |ix: &AccountIx| {
            let repeated = last.replace(*ix) == Some(*ix); // rows of one hash come in order
            !repeated && values(self.accounts.get(*ix), key).any(|own| same(own, value))
        };
        by_id.into_iter().chain(rows.map(AccountIx).filter(means_it))
    }

    pub(crate) fn find(&self, key: AccountKey, value: &str) -> Found<AccountIx> {
        if value.is_empty() {
            return Found::Nothing;
        }
        let mut hits = self.hits(key, value);
        match (hits.next(), hits.next()) {
            (None, _) => Found::Nothing,
            (Some(one), None) => Found::One(one),
            (Some(_), Some(_)) => Found::Several,
        }
    }

    /// The accounts that the first rule to find any finds for a person.
    pub(crate) fn candidates(&self, rules: &[CorrelateRule], people: &People, person: PersonRef<'_>) -> Vec<AccountIx> {
        let by_rule = |rule: &CorrelateRule| -> Vec<AccountIx> {
            let value = evaluate(rule, people, person);
            if value.is_empty() { Vec::new() } else { self.hits(rule.entra, &value).collect() }
        };
        rules.iter().map(by_rule).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// The account that the rules find for a person.
    pub(crate) fn by_rules(&self, rules: &[CorrelateRule], people: &People, person: PersonRef<'_>) -> Found<AccountIx> {
        let found = rules.iter().map(|rule| self.find(rule.entra, &evaluate(rule, people, person)));
        found.into_iter().find(|found| *found != Found::Nothing).unwrap_or(Found::Nothing)
    }
}

/// What a rule's expression makes of a person.
pub(crate) fn evaluate<'p>(rule: &CorrelateRule, people: &People, person: PersonRef<'p>) -> std::borrow::Cow<'p, str> {
    rule.okta.evaluate(|name| people.column(name).map_or("", |column| person.value(column)))
}

fn index(accounts: &Accounts, key: AccountKey) -> Index {
    let keys = accounts.iter().flat_map(|(ix, account)| {
        let given = values(account, key).filter(|value| !value.is_empty());
        given.map(move |value| (hash_folded(value), 0, ix.0))
    });
    Index::build(keys)
}

/// The values of an attribute of an account; all but addresses have one.
fn values(account: AccountRef<'_>, key: AccountKey) -> impl Iterator<Item = &str> {
    let single = match key {
        AccountKey::UserPrincipalName => account.user_principal_name(),
        AccountKey::Mail => account.mail(),
        AccountKey::EmployeeId => account.employee_id(),
        AccountKey::OnPremisesImmutableId => account.on_premises_immutable_id(),
        AccountKey::ProxyAddresses | AccountKey::Id => "",
    };
    let addresses = (key == AccountKey::ProxyAddresses).then(|| account.proxy_addresses());
    std::iter::once(single).chain(addresses.into_iter().flatten()).filter(|value| !value.is_empty())
}

/// How a person came by an account, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The account is the person's, as remembered.
    Linked,
    /// The account is the person's, as the rules say.
    ByRule,
    /// No rule finds an account.
    Nothing,
    /// A rule finds several.
    Ambiguous,
    /// Another person has a claim to the account that is as good or better.
    Conflicting,
    /// An employed person has the account; this one is not employed.
    Lost,
}

/// The outcome of correlation for one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    account: u32,
    pub(crate) hold: Hold,
}

impl Seat {
    const NOBODY: u32 = u32::MAX;

    fn new(found: Found<AccountIx>, hold: Hold) -> Self {
        match found {
            Found::One(account) => Self { account: account.0, hold },
            Found::Nothing => Self { account: Self::NOBODY, hold: Hold::Nothing },
            Found::Several => Self { account: Self::NOBODY, hold: Hold::Ambiguous },
        }
    }

    /// The account that was found, also when another person has it.
    pub(crate) fn found(self) -> Option<AccountIx> {
        (self.account != Self::NOBODY).then_some(AccountIx(self.account))
    }

    /// The account, when it is the person's alone.
    pub(crate) fn account(self) -> Option<AccountIx> {
        matches!(self.hold, Hold::Linked | Hold::ByRule).then(|| self.found()).flatten()
    }
}

/// A remembered account is gone, and the rules were asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relinked {
    pub person: PersonIx,
    /// The account that is gone.
    pub before: AccountId,
    /// What the rules find instead, if it is the person's alone.
    pub now: Option<AccountIx>,
}

/// Everybody's seat, in the order of the listing, and the links that lead nowhere any more.
pub(crate) fn seats(
    keys: &AccountKeys<'_>,
    people: &People,
    rules: &[CorrelateRule],
    known: &Known,
) -> (Vec<Seat>, Vec<Relinked>) {
    let mut relinked = Vec::new();
    let mut seats = Vec::with_capacity(people.len());
    for (ix, person) in people.iter() {
        let link = known.links.get(person.id());
        if link.is_some_and(|account| known.missing.contains(&account)) {
            seats.push(Seat::new(Found::Nothing, Hold::Nothing));
            continue;
        }
        let linked = link.and_then(|account| keys.accounts.find(account));
        if let (Some(before), None) = (link, linked) {
            relinked.push(Relinked { person: ix, before, now: None });
        }
        seats.push(match linked {
            Some(account) => Seat::new(Found::One(account), Hold::Linked),
            None => Seat::new(keys.by_rules(rules, people, person), Hold::ByRule),
        });
    }
    settle_claims(&mut seats, people, keys.accounts.len());
    for link in &mut relinked {
        link.now = seats[link.person.0 as usize].account();
    }
    (seats, relinked)
}

/// Employed people come before others, and those before departed ones.
pub(crate) const fn rank(status: PersonStatus) -> u8 {
    match status {
        PersonStatus::Deprovisioned => 2,
        _ if status.is_employed() => 0,
        _ => 1,
    }
}

/// Gives each account to the best claim: employed before not, remembered before found. Equal best claims both lose.
fn settle_claims(seats: &mut [Seat], people: &People, accounts: usize) {
    const NOBODY: u32 = u32::MAX;
    let claim =
        |person: u32, seat: Seat| (rank(people.get(PersonIx(person)).status()), u8::from(seat.hold != Hold::Linked));
    let mut best = vec![NOBODY; accounts];
    let mut tied = vec![false; accounts];
    for (person, seat) in (0_u32..).zip(seats.iter()) {
        let Some(account) = seat.found() else { continue };
        let account = account.0 as usize;
        let before = match best[account] {
            NOBODY => std::cmp::Ordering::Less,
            other => claim(person, *seat).cmp(&claim(other, seats[other as usize])),
        };
        if before.is_lt() {
            best[account] = person;
            tied[account] = false;
        }
        tied[account] |= before.is_eq();
    }
    for (this, seat) in (0_u32..).zip(seats.iter_mut()) {
        let Some(account) = seat.found() else { continue };
        let account = account.0 as usize;
        if best[account] == this && !tied[account] {
            continue;
        }
        let rank_of = |person: u32| rank(people.get(PersonIx(person)).status());
        let lost = rank_of(this) > 0 && rank_of(best[account]) == 0;
        seat.hold = if lost { Hold::Lost } else { Hold::Conflicting };
    }
}
