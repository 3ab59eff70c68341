//! All that `explain` tells of one person: what was read, which rules were tried, what they found, and why it ended so.

use serde::{Deserialize, Serialize};

use crate::domain::decision::Reason;
use crate::domain::directory::{AccountIx, People, PersonIx};
use crate::domain::identity::{AccountId, PersonStatus};
use crate::reconcile::correlate::{Found, Hold, evaluate};
use crate::reconcile::fold::is_placeholder;
use crate::reconcile::plan::{Plan, Planner};
use crate::reconcile::policy::{AccountKey, RefersTo};
use crate::reconcile::resolve::Meant;

/// So many candidates are named; that there are more is said.
const CANDIDATES: usize = 5;

/// Somebody with an id and, where it is known, a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub id: String,
    /// A login or a user principal name; empty for a manager that was not listed, such as a contact.
    pub name: String,
}

/// A correlate rule and what it came to for this person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrelateTried {
    pub okta: String,
    pub entra: AccountKey,
    /// What the expression yields.
    pub value: String,
    pub found: Vec<Named>,
    /// More were found than are named.
    pub more: bool,
    /// This rule ended the search.
    pub decided: bool,
}

/// A manager rule and what it came to for this person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerTried {
    pub attribute: String,
    pub is: RefersTo,
    pub value: String,
    /// The value says "nobody" in somebody's words.
    pub placeholder: bool,
    /// People in Okta, or accounts when the rule goes straight to Entra.
    pub found: Vec<Named>,
    pub more: bool,
    pub decided: bool,
}

/// How the person came by the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// Remembered from an earlier run.
    Link,
    Rule,
    Nothing,
}

/// Why one person's manager is written or left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub person: Named,
    /// Okta's word for the person's status, in small letters.
    pub status: String,
    pub in_scope: bool,
    pub excluded: bool,
    pub account: Option<Named>,
    pub account_by: FoundBy,
    /// Others who claim the same account are not named here; see the account.
    pub correlate: Vec<CorrelateTried>,
    pub manager: Vec<ManagerTried>,
    /// The manager of the account in Entra.
    pub observed: Option<Named>,
    /// The manager as Okta wants it, as far as that is an account.
    pub desired: Option<Named>,
    pub reason: Reason,
}

impl Planner<'_> {
    /// The evidence for one person of the plan. Costs a few searches: not for everybody on every run.
    #[must_use]
    pub fn evidence(&self, plan: &Plan, ix: PersonIx) -> Evidence {
        let person = self.input.people.get(ix);
        let verdict = plan.verdict(ix);
        Evidence {
            person: person_named(self.input.people, ix),
            status: word(person.status()).to_owned(),
            in_scope: self.input.scope.contains(person.id()),
            excluded: self.is_excluded(ix),
            account: verdict.account().map(|account| self.account(account)),
            account_by: match (verdict.account(), self.seats[ix.0 as usize].hold) {
                (None, _) => FoundBy::Nothing,
                (Some(_), Hold::Linked) => FoundBy::Link,
                (Some(_), _) => FoundBy::Rule,
            },
            correlate: self.correlate_tried(ix),
            manager: self.manager_tried(ix),
            observed: verdict.account().and_then(|account| self.observed(account)).map(|id| self.manager(id)),
            desired: verdict.manager().map(|manager| self.account(manager)),
            reason: verdict.reason,
        }
    }

    fn correlate_tried(&self, ix: PersonIx) -> Vec<CorrelateTried> {
        let person = self.input.people.get(ix);
        let mut open = self.seats[ix.0 as usize].hold != Hold::Linked;
        let tried = self.input.policy.correlate.iter().map(|rule| {
            let value = evaluate(rule, self.input.people, person).into_owned();
            let hits = (!value.is_empty()).then(|| self.accounts.hits(rule.entra, &value));
            let (found, more) = first(hits.into_iter().flatten().map(|account| self.account(account)));
            let decided = open && self.accounts.find(rule.entra, &value) != Found::Nothing;
            open &= !decided;
            CorrelateTried { okta: rule.okta.to_string(), entra: rule.entra, value, found, more, decided }
        });
        tried.collect()
    }

    fn manager_tried(&self, ix: PersonIx) -> Vec<ManagerTried> {
        let person = self.input.people.get(ix);
        let (meant, decisive) = self.resolver.resolve(person, &self.accounts);
        let tried = self.resolver.values(person).enumerate().map(|(place, (rule, value))| {
            let placeholder = is_placeholder(value);
            let skipped = value.is_empty() || placeholder;
            let (found, more) = if skipped { (Vec::new(), false) } else { self.candidates(rule.is, value, meant) };
            let decided = decisive == Some(place);
            let (attribute, value) = (rule.attribute.clone(), value.to_owned());
            ManagerTried { attribute, is: rule.is, value, placeholder, found, more, decided }
        });
        tried.collect()
    }

    /// Whom a value means: accounts for the kinds that go straight to Entra, else people, those looked up among them.
    fn candidates(&self, is: RefersTo, value: &str, meant: Meant) -> (Vec<Named>, bool) {
        if let Some(key) = is.account_key() {
            return first(self.accounts.hits(key, value).map(|account| self.account(account)));
        }
        let listed = self.resolver.listed.hits(is, value).map(|(_, ix)| person_named(self.input.people, ix));
        let of_departed =
            self.resolver.looked_up.iter().filter(|_| !matches!(meant, Meant::Person(_) | Meant::Account(_)));
        let departed = of_departed.flat_map(|keys| keys.hits(is, value).map(|(_, ix)| person_named(keys.people(), ix)));
        first(listed.chain(departed))
    }

    fn account(&self, ix: AccountIx) -> Named {
        let account = self.input.accounts.get(ix);
        Named { id: account.id().to_string(), name: account.user_principal_name().to_owned() }
    }

    fn manager(&self, id: AccountId) -> Named {
        let listed = self.input.accounts.find(id).map(|ix| self.account(ix));
        listed.unwrap_or_else(|| Named { id: id.to_string(), name: String::new() })
    }
}

fn person_named(people: &People, ix: PersonIx) -> Named {
    let person = people.get(ix);
    Named { id: person.id().to_owned(), name: person.login().to_owned() }
}

fn first(mut all: impl Iterator<Item = Named>) -> (Vec<Named>, bool) {
    let named: Vec<Named> = all.by_ref().take(CANDIDATES).collect();
    (named, all.next().is_some())
}

const fn word(status: PersonStatus) -> &'static str {
    match status {
        PersonStatus::Staged => "staged",
        PersonStatus::Provisioned => "provisioned",
        PersonStatus::Active => "active",
        PersonStatus::Recovery => "recovery",
        PersonStatus::PasswordExpired => "password_expired",
        PersonStatus::LockedOut => "locked_out",
        PersonStatus::Suspended => "suspended",
        PersonStatus::Deprovisioned => "deprovisioned",
        PersonStatus::Unknown => "unknown",
    }
}
