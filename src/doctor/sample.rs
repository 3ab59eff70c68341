//! A sample of people, and how far each manager attribute leads over it: those that the configuration names, and those that
//! it could name.

use std::collections::BTreeSet;

use crate::domain::directory::{Accounts, People, PersonIx};
use crate::okta::User;
use crate::reconcile::policy::{ManagerRule, Policy, RefersTo};
use crate::reconcile::shares::{Correlated, correlated, led, names_somebody};

/// How many people stand for all: a page of Okta's listing.
pub(super) const PEOPLE: usize = 200;

/// How many attributes are tried.
const ATTRIBUTES: usize = 12;

/// Most rules that are proposed together.
const PROPOSED: usize = 3;

/// What of a name makes an attribute worth a try.
const TELLING: [&str; 5] = ["manager", "supervisor", "reportsto", "reports_to", "superior"];

/// What the value of an attribute may refer to, the likeliest first. A display name is nobody's key.
const LIKELY: [RefersTo; 11] = [
    RefersTo::Login,
    RefersTo::Email,
    RefersTo::Id,
    RefersTo::EmployeeNumber,
    RefersTo::ShortLogin,
    RefersTo::Upn,
    RefersTo::Mail,
    RefersTo::ObjectId,
    RefersTo::EmployeeId,
    RefersTo::ProxyAddress,
    RefersTo::DisplayName,
];

/// How far one rule leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) rule: ManagerRule,
    pub(super) configured: bool,
    pub(super) resolved: usize,
}

/// What the sample of one job shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub(super) job: String,
    pub(super) people: usize,
    /// People with any manager reference.
    pub(super) with_reference: usize,
    /// The configured rules in their order, then others, the furthest first.
    pub(super) tried: Vec<Tried>,
    /// What the configured rules come to together, and how many people they lead to several.
    pub(super) resolved: usize,
    pub(super) several: usize,
    /// Rules that lead further, with what they come to.
    pub(super) better: Option<(Vec<ManagerRule>, usize)>,
    /// Configured attributes that nobody in the sample has, with the nearest that somebody has.
    pub(super) absent: Vec<(String, Option<String>)>,
    pub(super) correlated: Correlated,
    /// References and accounts that were not looked up, because there were too many.
    pub(super) left_out: usize,
}

/// The attributes worth a try: those that the rules name, and whatever in these profiles looks like a manager.
pub(super) fn attributes(policy: &Policy, users: &[User]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let found: BTreeSet<&String> = users.iter().flat_map(|user| user.profile.keys()).collect();
    let telling = |name: &&&String| TELLING.iter().any(|word| name.to_lowercase().contains(word));
    let configured = policy.manager.iter().map(|rule| &rule.attribute);
    for name in configured.chain(found.iter().filter(telling).copied()) {
        if !names.contains(name) && names.len() < ATTRIBUTES {
            names.push(name.clone());
        }
    }
    names
}

/// Configured attributes that no profile has.
pub(super) fn absent(policy: &Policy, users: &[User]) -> Vec<(String, Option<String>)> {
    let found: BTreeSet<&String> = users.iter().flat_map(|user| user.profile.keys()).collect();
    let missing = policy.manager.iter().map(|rule| &rule.attribute).filter(|name| !found.contains(name));
    let nearest = |name: &String| {
        let near = found.iter().map(|other| (strsim::jaro_winkler(name, other), *other));
        near.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name.clone())
    };
    missing.map(|name| (name.clone(), nearest(name))).collect()
}

/// Thinks about `asked`, who stand in `people` among others to whom they may refer.
pub(super) fn think(
    job: &str,
    (people, accounts): (&People, &Accounts),
    asked: &[PersonIx],
    policy: &Policy,
    attributes: &[String],
) -> Sample {
    let with_reference = asked.iter().filter(|ix| has_reference(people, **ix, attributes)).count();
    let trial = Trial { people, accounts, asked };
    let together = led(people, accounts, asked, &policy.manager);
    let tried = trial.tried(policy, attributes);
    let better = trial.better(&tried).filter(|(_, count)| is_worth(*count, together.count(), with_reference));
    Sample {
        job: job.to_owned(),
        people: asked.len(),
        with_reference,
        tried,
        resolved: together.count(),
        several: together.several,
        better,
        correlated: correlated(people, accounts, asked, &policy.correlate),
        ..Sample::default()
    }
}

fn has_reference(people: &People, ix: PersonIx, attributes: &[String]) -> bool {
    let columns = attributes.iter().filter_map(|name| people.column(name));
    columns.into_iter().any(|column| names_somebody(people.get(ix).value(column)))
}

/// Whether rules are so much better that it is worth to change the file: by two points.
fn is_worth(count: usize, now: usize, with_reference: usize) -> bool {
    count > now && (count - now) * 50 >= with_reference
}

/// Rules on trial.
struct Trial<'a> {
    people: &'a People,
    accounts: &'a Accounts,
    asked: &'a [PersonIx],
}

impl Trial<'_> {
    fn count(&self, rules: &[ManagerRule]) -> usize {
        led(self.people, self.accounts, self.asked, rules).count()
    }

    /// The configured rules, and of each attribute the reading that leads furthest, where that is further.
    fn tried(&self, policy: &Policy, attributes: &[String]) -> Vec<Tried> {
        let configured = policy.manager.iter().map(|rule| Tried {
            rule: rule.clone(),
            configured: true,
            resolved: self.count(std::slice::from_ref(rule)),
        });
        let mut tried: Vec<Tried> = configured.collect();
        let own = tried.len();
        for attribute in attributes {
            let Some(best) = self.best_reading(attribute) else { continue };
            let as_far = |known: &Tried| known.rule.attribute == *attribute && known.resolved >= best.resolved;
            if !tried.iter().any(as_far) {
                tried.push(best);
            }
        }
        tried[own..].sort_by_key(|tried| std::cmp::Reverse(tried.resolved));
        tried
    }

    /// What the attribute most likely refers to; `None` when it leads nobody anywhere.
    fn best_reading(&self, attribute: &str) -> Option<Tried> {
        let readings = LIKELY.into_iter().map(|is| {
            let rule = ManagerRule { attribute: attribute.to_owned(), is };
            let resolved = self.count(std::slice::from_ref(&rule));
            Tried { rule, configured: false, resolved }
        });
        // Of equals the first: `max_by_key` takes the last.
        readings.rev().max_by_key(|tried| tried.resolved).filter(|tried| tried.resolved > 0)
    }

    /// The rules that lead furthest together: the best one, and what adds to it. Never by display name, which two people may
    /// share.
    fn better(&self, tried: &[Tried]) -> Option<(Vec<ManagerRule>, usize)> {
        let mut candidates: Vec<&Tried> =
            tried.iter().filter(|tried| tried.resolved > 0 && tried.rule.is != RefersTo::DisplayName).collect();
        candidates.sort_by_key(|tried| std::cmp::Reverse(tried.resolved));
        let (mut rules, mut count) = (Vec::new(), 0);
        for candidate in candidates {
            let with: Vec<ManagerRule> = rules.iter().cloned().chain([candidate.rule.clone()]).collect();
            let further = self.count(&with);
            if further > count && rules.len() < PROPOSED {
                (rules, count) = (with, further);
            }
        }
        (count > 0).then_some((rules, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::directory::NewPerson;
    use crate::domain::identity::PersonStatus;
    use crate::reconcile::policy::{CorrelateRule, Unfit, WhenEmpty};
    use serde_json::json;

    fn policy(rules: &[(&str, RefersTo)]) -> Policy {
        let rule = |(attribute, is): &(&str, RefersTo)| ManagerRule { attribute: (*attribute).to_owned(), is: *is };
        Policy {
            correlate: Vec::<CorrelateRule>::new(),
            manager: rules.iter().map(rule).collect(),
            when_empty: WhenEmpty::Keep,
            manager_disabled: Unfit::Keep,
            manager_is_guest: Unfit::Keep,
            exclude: Vec::new(),
        }
    }

    fn users(profiles: &[serde_json::Value]) -> Vec<User> {
        let user = |(number, profile): (usize, &serde_json::Value)| User {
            id: format!("00u{number}"),
            status: PersonStatus::Active,
            profile: profile.as_object().unwrap().clone(),
        };
        profiles.iter().enumerate().map(user).collect()
    }

    /// A boss and people who name her by mail, by login, by both, or not at all.
    fn team() -> Vec<User> {
        let person = |name: &str, mail: &str, login: &str| {
            json!({"login": format!("{name}@corp"), "email": format!("{name}@mail"), "displayName": name,
                   "managerEmail": mail, "managerId": login, "title": "x"})
        };
        users(&[
            person("bo", "", ""),
            person("ana", "bo@mail", "bo@corp"),
            person("eva", "", "bo@corp"),
            person("ida", "bo@mail", "gone@corp"),
            person("kim", "n/a", ""),
        ])
    }

    fn thought(policy: &Policy, users: &[User]) -> Sample {
        let names = attributes(policy, users);
        let mut columns = policy.okta_attributes();
        columns.extend(names.iter().cloned());
        columns.extend(["email", "employeeNumber", "displayName"].map(str::to_owned));
        let mut people = People::new(&columns);
        for user in users {
            let values: Vec<_> = people.columns().iter().map(|name| user.attribute(name).unwrap_or_default()).collect();
            let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
            people.push(&NewPerson { id: &user.id, status: user.status, values: &values });
        }
        people.seal();
        let mut accounts = Accounts::new();
        accounts.seal();
        let asked: Vec<PersonIx> = people.iter().map(|(ix, _)| ix).collect();
        think("managers", (&people, &accounts), &asked, policy, &names)
    }

    fn shares(sample: &Sample) -> Vec<(String, &'static str, bool, usize)> {
        let share =
            |tried: &Tried| (tried.rule.attribute.clone(), tried.rule.is.as_str(), tried.configured, tried.resolved);
        sample.tried.iter().map(share).collect()
    }

    #[test]
    fn what_the_file_could_name_is_tried_and_proposed_when_it_leads_further() {
        let sample = thought(&policy(&[("managerEmail", RefersTo::Login)]), &team());
        assert_eq!((sample.people, sample.with_reference, sample.resolved), (5, 3, 0));
        assert_eq!(
            shares(&sample),
            [
                ("managerEmail".to_owned(), "login", true, 0),
                ("managerEmail".to_owned(), "email", false, 2),
                ("managerId".to_owned(), "login", false, 2),
            ]
        );
        let (rules, count) = sample.better.unwrap();
        let named: Vec<_> = rules.iter().map(|rule| (rule.attribute.as_str(), rule.is)).collect();
        assert_eq!((named, count), (vec![("managerEmail", RefersTo::Email), ("managerId", RefersTo::Login)], 3));
    }

    #[test]
    fn rules_that_lead_as_far_as_any_are_left_in_peace() {
        let rules = [("managerId", RefersTo::Login), ("managerEmail", RefersTo::Email)];
        let sample = thought(&policy(&rules), &team());
        assert_eq!((sample.resolved, sample.better), (3, None));
        assert!(is_worth(4, 3, 50) && !is_worth(4, 3, 51) && !is_worth(3, 3, 1), "two points");
    }

    #[test]
    fn a_display_name_is_tried_and_never_proposed() {
        let named = users(&[
            json!({"login": "bo@corp", "displayName": "Bo Berg"}),
            json!({"login": "ana@corp", "displayName": "Ana", "manager": "Bo Berg"}),
        ]);
        let sample = thought(&policy(&[("managerId", RefersTo::Login)]), &named);
        assert_eq!(shares(&sample)[1], ("manager".to_owned(), "display_name", false, 1));
        assert_eq!((sample.resolved, sample.better), (0, None));
    }

    #[test]
    fn an_attribute_that_nobody_has_is_named_with_the_nearest() {
        let policy = policy(&[("managerEmial", RefersTo::Email), ("managerId", RefersTo::Login), ("q", RefersTo::Id)]);
        let absent = absent(&policy, &team());
        assert_eq!(absent, [("managerEmial".to_owned(), Some("managerEmail".to_owned())), ("q".to_owned(), None)]);
        let names = attributes(&policy, &team());
        assert_eq!(names, ["managerEmial", "managerId", "q", "managerEmail"]);
    }
}
