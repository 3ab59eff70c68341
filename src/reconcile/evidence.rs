//! All that `explain` tells of one person: what was read, which rules were tried, what they found, and why it ended so.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
    #[serde(default)]
    pub name: String,
}

/// A correlate rule and what it came to for this person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrelateTried {
    pub okta: String,
    pub entra: AccountKey,
    /// What the expression yields.
    #[serde(default)]
    pub value: String,
    #[serde(default)]
    pub found: Vec<Named>,
    /// More were found than are named.
    #[serde(default)]
    pub more: bool,
    /// This rule ended the search.
    #[serde(default)]
    pub decided: bool,
}

/// A manager rule and what it came to for this person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerTried {
    pub attribute: String,
    pub is: RefersTo,
    #[serde(default)]
    pub value: String,
    /// The value says "nobody" in somebody's words.
    #[serde(default)]
    pub placeholder: bool,
    /// People in Okta, or accounts when the rule goes straight to Entra.
    #[serde(default)]
    pub found: Vec<Named>,
    #[serde(default)]
    pub more: bool,
    #[serde(default)]
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
    #[serde(default)]
    pub in_scope: bool,
    #[serde(default)]
    pub excluded: bool,
    pub account: Option<Named>,
    pub account_by: FoundBy,
    /// Others who claim the same account are not named here; see the account.
    ///
    /// The rules that were tried, in their order: the one that decided is the last. For a remembered account none was; they
    /// are listed all the same, as long as something about the person is not right.
    #[serde(default)]
    pub correlate: Vec<CorrelateTried>,
    #[serde(default)]
    pub manager: Vec<ManagerTried>,
    /// The manager of the account in Entra.
    pub observed: Option<Named>,
    /// The manager as Okta wants it, as far as that is an account.
    pub desired: Option<Named>,
    pub reason: Reason,
}

impl Evidence {
    /// The evidence as it is stored beside the person, the account and the reason, which it leaves out: JSON text, without
    /// what is false, blank or empty. Of somebody who agrees, whom most rows are about, also without what can only be the
    /// same as something else.
    ///
    /// # Panics
    ///
    /// Never: texts, lists and words are JSON.
    #[must_use]
    pub fn stored(&self) -> String {
        let mut value = serde_json::to_value(self).expect("evidence is texts, lists and words");
        for beside in BESIDE {
            remove(&mut value, beside);
        }
        if self.is_agreement() {
            remove(&mut value, "observed");
        }
        let rules = value.get_mut("correlate").and_then(Value::as_array_mut).into_iter().flatten();
        for (rule, tried) in rules.zip(&self.correlate) {
            if tried.decided && self.account.as_ref().is_some_and(|account| tried.found == [account.clone()]) {
                remove(rule, "found");
            }
        }
        strip(&mut value);
        value.to_string()
    }

    /// The evidence as it was, from what is stored of it and what stands beside it.
    ///
    /// # Errors
    ///
    /// When `text` is the evidence of another version of the program.
    pub fn restored(text: &str, person: &Named, account: Option<&Named>, reason: Reason) -> serde_json::Result<Self> {
        let mut value: Map<String, Value> = serde_json::from_str(text)?;
        let beside = [serde_json::to_value(person)?, serde_json::to_value(account)?, serde_json::to_value(reason)?];
        // Earlier versions stored everything: what is there is taken as it is.
        let compact = !value.contains_key("reason");
        for (key, known) in BESIDE.into_iter().zip(beside) {
            value.entry(key).or_insert(known);
        }
        let mut evidence: Self = serde_json::from_value(Value::Object(value))?;
        if compact {
            if reason == Reason::Agreed && evidence.observed.is_none() {
                evidence.observed.clone_from(&evidence.desired);
            }
            let decided = evidence.correlate.iter_mut().filter(|tried| tried.decided && tried.found.is_empty());
            decided.for_each(|tried| tried.found.extend(account.cloned()));
        }
        Ok(evidence)
    }

    fn is_agreement(&self) -> bool {
        self.reason == Reason::Agreed && self.observed == self.desired
    }
}

/// What the history keeps in columns of their own.
const BESIDE: [&str; 3] = ["person", "account", "reason"];

fn remove(value: &mut Value, key: &str) {
    if let Some(object) = value.as_object_mut() {
        object.remove(key);
    }
}

/// Drops what says nothing: false, null, blank, empty.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| {
                strip(value);
                !matches!(value, Value::Null | Value::Bool(false))
                    && value.as_str() != Some("")
                    && !value.as_array().is_some_and(Vec::is_empty)
            });
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
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
            correlate: self.correlate_tried(plan, ix),
            manager: self.manager_tried(ix),
            observed: verdict.account().and_then(|account| self.observed(account)).map(|id| self.manager(id)),
            desired: verdict.manager().map(|manager| self.account(manager)),
            reason: verdict.reason,
        }
    }

    fn correlate_tried(&self, plan: &Plan, ix: PersonIx) -> Vec<CorrelateTried> {
        let person = self.input.people.get(ix);
        let mut open = self.seats[ix.0 as usize].hold != Hold::Linked;
        if !open && plan.verdict(ix).reason == Reason::Agreed {
            return Vec::new();
        }
        let tried = self.input.policy.correlate.iter().map(|rule| {
            let value = evaluate(rule, self.input.people, person).into_owned();
            let hits = (!value.is_empty()).then(|| self.accounts.hits(rule.entra, &value));
            let (found, more) = first(hits.into_iter().flatten().map(|account| self.account(account)));
            let decided = open && self.accounts.find(rule.entra, &value) != Found::Nothing;
            open &= !decided;
            CorrelateTried { okta: rule.okta.to_string(), entra: rule.entra, value, found, more, decided }
        });
        to_the_deciding(tried, |tried| tried.decided)
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
        to_the_deciding(tried, |tried| tried.decided)
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

/// All up to and with the one that decided; what stands behind it was not tried.
fn to_the_deciding<T>(tried: impl Iterator<Item = T>, decided: impl Fn(&T) -> bool) -> Vec<T> {
    let mut open = true;
    tried.take_while(|tried| std::mem::replace(&mut open, !decided(tried))).collect()
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
