//! Whom a manager reference means.

use crate::domain::directory::{AccountIx, People, PersonIx, PersonRef};
use crate::domain::index::Index;
use crate::reconcile::correlate::{AccountKeys, Found, rank};
use crate::reconcile::fold::hash_folded;
use crate::reconcile::fold::{is_placeholder, same};
use crate::reconcile::policy::{ManagerRule, Policy, RefersTo};

/// The rank of a person who left; see [`rank`].
const DEPARTED: u8 = 2;

/// People of one listing, findable by what manager references refer to.
#[derive(Debug)]
pub(crate) struct PersonKeys<'a> {
    people: &'a People,
    indexes: Vec<(RefersTo, Index)>,
}

impl<'a> PersonKeys<'a> {
    /// Indexes those people of whom `counts` is true, by the kinds of reference that the rules use.
    pub(crate) fn new(people: &'a People, policy: &Policy, counts: impl Fn(PersonRef<'_>) -> bool) -> Self {
        let mut indexes: Vec<(RefersTo, Index)> = Vec::new();
        for rule in policy.manager.iter().filter(|rule| rule.is.okta_attribute().is_some()) {
            if indexes.iter().all(|(is, _)| *is != rule.is) {
                let counted = people.iter().filter(|(_, person)| counts(*person));
                let keyed = counted.map(|(ix, person)| (key(people, person, rule.is), rank(person.status()), ix.0));
                let given = keyed.filter(|(key, ..)| !key.is_empty() && !is_placeholder(key));
                indexes.push((rule.is, Index::build(given.map(|(key, rank, row)| (hash_folded(key), rank, row)))));
            }
        }
        Self { people, indexes }
    }

    pub(crate) fn people(&self) -> &'a People {
        self.people
    }

    /// The people whom a value means, with their rank, best first.
    pub(crate) fn hits<'s>(&'s self, is: RefersTo, value: &'s str) -> impl Iterator<Item = (u8, PersonIx)> + 's {
        let by_id = if is == RefersTo::Id { self.people.find(value) } else { None };
        let by_id = by_id.map(|ix| (rank(self.people.get(ix).status()), ix));
        let index = self.indexes.iter().find(|(own, _)| *own == is).map(|(_, index)| index);
        let rows = index.into_iter().flat_map(move |index| index.find_ranked(hash_folded(value)));
        let ranked = rows.map(|(rank, row)| (rank, PersonIx(row)));
        let means = move |(_, ix): &(u8, PersonIx)| same(key(self.people, self.people.get(*ix), is), value);
        by_id.into_iter().chain(ranked.filter(means))
    }
}

/// The value of a person that a kind of reference is compared with.
fn key<'p>(people: &People, person: PersonRef<'p>, is: RefersTo) -> &'p str {
    let column = is.okta_attribute().and_then(|name| people.column(name));
    let value = column.map_or("", |column| person.value(column));
    if is == RefersTo::ShortLogin { value.split('@').next().unwrap_or("") } else { value }
}

/// One of those who come first, when no other comes as early.
fn best<T>(mut hits: impl Iterator<Item = (u8, T)>) -> Found<(u8, T)> {
    match (hits.next(), hits.next()) {
        (None, _) => Found::Nothing,
        (Some((rank, _)), Some((other, _))) if rank == other => Found::Several,
        (Some(hit), _) => Found::One(hit),
    }
}

/// Whom a person's references mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// No attribute has a value.
    NotGiven,
    /// What is given says "nobody".
    Placeholder,
    /// The references lead nowhere.
    Nobody,
    /// A reference leads to several.
    Several,
    /// Straight to an account.
    Account(AccountIx),
    /// To a person of the listing.
    Person(PersonIx),
    /// To a person who was looked up, of the second listing.
    LookedUp(PersonIx),
}

/// All that is needed to resolve references.
#[derive(Debug)]
pub(crate) struct Resolver<'a> {
    /// Each rule with the column of its attribute.
    rules: Vec<(&'a ManagerRule, Option<usize>)>,
    pub(crate) listed: PersonKeys<'a>,
    pub(crate) looked_up: Option<PersonKeys<'a>>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(people: &'a People, policy: &'a Policy) -> Self {
        let rules = policy.manager.iter().map(|rule| (rule, people.column(&rule.attribute))).collect();
        Self { rules, listed: PersonKeys::new(people, policy, |_| true), looked_up: None }
    }

    /// The rules with the person's values, in order.
    pub(crate) fn values<'s>(&'s self, person: PersonRef<'s>) -> impl Iterator<Item = (&'a ManagerRule, &'s str)> + 's {
        self.rules.iter().map(move |(rule, column)| (*rule, column.map_or("", |column| person.value(column))))
    }

    /// Whom the person's references mean, and the place of the rule that said so.
    ///
    /// People who left are asked last of all, after every rule: whether one was looked up for somebody else's sake must
    /// not decide.
    pub(crate) fn resolve(&self, person: PersonRef<'_>, accounts: &AccountKeys<'_>) -> (Meant, Option<usize>) {
        match self.resolve_live(person, accounts) {
            (Meant::Nobody, _) => self.resolve_departed(person),
            found => found,
        }
    }

    /// The same without the people who left.
    pub(crate) fn resolve_live(&self, person: PersonRef<'_>, accounts: &AccountKeys<'_>) -> (Meant, Option<usize>) {
        let (mut given, mut placeholder) = (false, false);
        for (place, (rule, value)) in self.values(person).enumerate() {
            if value.is_empty() || is_placeholder(value) {
                placeholder |= !value.is_empty();
                continue;
            }
            given = true;
            match self.live(rule.is, value, accounts) {
                Found::Nothing => {}
                Found::One(meant) => return (meant, Some(place)),
                Found::Several => return (Meant::Several, Some(place)),
            }
        }
        let nobody = if given {
            Meant::Nobody
        } else if placeholder {
            Meant::Placeholder
        } else {
            Meant::NotGiven
        };
        (nobody, None)
    }

    /// Whom the references mean among people who left.
    pub(crate) fn resolve_departed(&self, person: PersonRef<'_>) -> (Meant, Option<usize>) {
        for (place, (rule, value)) in self.values(person).enumerate() {
            if value.is_empty() || is_placeholder(value) {
                continue;
            }
            match self.departed(rule.is, value) {
                Found::Nothing => {}
                Found::One(meant) => return (meant, Some(place)),
                Found::Several => return (Meant::Several, Some(place)),
            }
        }
        (Meant::Nobody, None)
    }

    fn live(&self, is: RefersTo, value: &str, accounts: &AccountKeys<'_>) -> Found<Meant> {
        if let Some(key) = is.account_key() {
            return match accounts.find(key, value) {
                Found::Nothing => Found::Nothing,
                Found::One(account) => Found::One(Meant::Account(account)),
                Found::Several => Found::Several,
            };
        }
        match best(self.listed.hits(is, value).take_while(|(rank, _)| *rank < DEPARTED)) {
            Found::Nothing => Found::Nothing,
            Found::One((_, person)) => Found::One(Meant::Person(person)),
            Found::Several => Found::Several,
        }
    }

    fn departed(&self, is: RefersTo, value: &str) -> Found<Meant> {
        if !is.is_in_okta() {
            return Found::Nothing;
        }
        let listed = self.listed.hits(is, value).map(|(rank, person)| (rank, Meant::Person(person)));
        let looked_up = self.looked_up.iter().flat_map(|keys| keys.hits(is, value));
        let looked_up = looked_up.filter(|(_, person)| !self.is_listed(*person));
        let mut hits: Vec<(u8, Meant)> = listed.take(2).collect();
        hits.extend(looked_up.map(|(rank, person)| (rank, Meant::LookedUp(person))).take(2));
        hits.sort_by_key(|(rank, _)| *rank);
        match best(hits.into_iter()) {
            Found::Nothing => Found::Nothing,
            Found::One((_, meant)) => Found::One(meant),
            Found::Several => Found::Several,
        }
    }

    /// Whether a person who was looked up is in the listing as well; the listing counts then.
    fn is_listed(&self, person: PersonIx) -> bool {
        let id = self.looked_up.as_ref().map(|keys| keys.people.get(person).id());
        id.is_some_and(|id| self.listed.people.find(id).is_some())
    }
}
