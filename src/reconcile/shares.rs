//! How far rules lead: for some people, how many find their account, and whose manager reference leads to somebody.

use crate::domain::directory::{Accounts, People, PersonIx};
use crate::reconcile::correlate::{AccountKeys, Found};
use crate::reconcile::fold::is_placeholder;
use crate::reconcile::policy::{CorrelateRule, ManagerRule, Policy, Unfit, WhenEmpty};
use crate::reconcile::resolve::{Meant, Resolver};

/// What manager rules came to, tried in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Led {
    /// People with a value that is no placeholder.
    pub given: usize,
    /// Of each person asked for, whether the rules lead to exactly one person or account.
    pub resolved: Vec<bool>,
    /// People whose value leads to several.
    pub several: usize,
}

impl Led {
    /// How many are led to somebody.
    #[must_use]
    pub fn count(&self) -> usize {
        self.resolved.iter().filter(|resolved| **resolved).count()
    }
}

/// Tries manager rules on these people.
#[must_use]
pub fn led(people: &People, accounts: &Accounts, asked: &[PersonIx], rules: &[ManagerRule]) -> Led {
    let policy = policy(&[], rules);
    let (keys, resolver) = (AccountKeys::new(accounts, policy.account_keys()), Resolver::new(people, &policy));
    let mut led = Led::default();
    for ix in asked {
        let meant = resolver.resolve(people.get(*ix), &keys).0;
        led.given += usize::from(!matches!(meant, Meant::NotGiven | Meant::Placeholder));
        led.several += usize::from(meant == Meant::Several);
        led.resolved.push(matches!(meant, Meant::Account(_) | Meant::Person(_) | Meant::LookedUp(_)));
    }
    led
}

/// How many people find an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Correlated {
    pub one: usize,
    pub none: usize,
    pub several: usize,
}

/// Tries correlate rules on these people.
#[must_use]
pub fn correlated(people: &People, accounts: &Accounts, asked: &[PersonIx], rules: &[CorrelateRule]) -> Correlated {
    let keys = AccountKeys::new(accounts, policy(rules, &[]).account_keys());
    let mut correlated = Correlated::default();
    for ix in asked {
        match keys.by_rules(rules, people, people.get(*ix)) {
            Found::One(_) => correlated.one += 1,
            Found::Nothing => correlated.none += 1,
            Found::Several => correlated.several += 1,
        }
    }
    correlated
}

/// Whether a value of a manager attribute names anybody at all.
#[must_use]
pub fn names_somebody(value: &str) -> bool {
    !value.trim().is_empty() && !is_placeholder(value.trim())
}

/// Rules alone: nothing here is written, so that what may be written does not matter.
fn policy(correlate: &[CorrelateRule], manager: &[ManagerRule]) -> Policy {
    Policy {
        correlate: correlate.to_vec(),
        manager: manager.to_vec(),
        when_empty: WhenEmpty::Keep,
        manager_disabled: Unfit::Keep,
        manager_is_guest: Unfit::Keep,
        exclude: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::directory::{NewAccount, NewPerson};
    use crate::domain::identity::{AccountId, PersonStatus};
    use crate::reconcile::policy::{AccountKey, RefersTo};

    const COLUMNS: [&str; 3] = ["email", "managerEmail", "managerId"];

    fn people(rows: &[(&str, &str, &str)]) -> People {
        let mut people = People::new(&COLUMNS.map(str::to_owned));
        for (name, email, id) in rows {
            let (login, mail) = (format!("{name}@corp.example"), format!("{name}@mail.example"));
            let values = [login.as_str(), &mail, email, id];
            people.push(&NewPerson { id: &format!("00u{name}"), status: PersonStatus::Active, values: &values });
        }
        people.seal();
        people
    }

    fn accounts(names: &[&str]) -> Accounts {
        let mut accounts = Accounts::new();
        for (number, name) in names.iter().enumerate() {
            accounts.push(&NewAccount {
                id: AccountId::new(uuid::Uuid::from_u128(number as u128 + 1)),
                user_principal_name: &format!("{name}@corp.example"),
                mail: "",
                proxy_addresses: &[],
                employee_id: "",
                on_premises_immutable_id: "",
                enabled: true,
                guest: false,
                mastered_on_premises: false,
                manager: None,
            });
        }
        accounts.seal();
        accounts
    }

    fn rule(attribute: &str, is: RefersTo) -> ManagerRule {
        ManagerRule { attribute: attribute.to_owned(), is }
    }

    #[test]
    fn each_rule_leads_as_far_as_it_does_alone_and_together_they_lead_further() {
        let people = people(&[
            ("bo", "", ""),
            ("ana", "BO@mail.example", "bo@corp.example"),
            ("eva", "bo@corp.example", "bo@corp.example "),
            ("ida", "bo@mail.example", "N/A"),
            ("kim", "nobody@mail.example", ""),
        ]);
        let everybody: Vec<PersonIx> = people.iter().map(|(ix, _)| ix).collect();
        let nobody = accounts(&[]);
        let email = rule("managerEmail", RefersTo::Email);
        let login = rule("managerId", RefersTo::Login);
        let tried = |rules: &[ManagerRule]| {
            let led = led(&people, &nobody, &everybody, rules);
            (led.given, led.count(), led.several)
        };
        assert_eq!(tried(std::slice::from_ref(&email)), (4, 2, 0));
        assert_eq!(tried(std::slice::from_ref(&login)), (2, 2, 0), "a placeholder is no reference");
        assert_eq!(tried(&[email, login]), (4, 3, 0));
        assert_eq!(tried(&[rule("managerId", RefersTo::Upn)]), (2, 0, 0), "there is no such account");
        assert_eq!(tried(&[rule("supervisor", RefersTo::Login)]), (0, 0, 0), "nobody has that attribute");
        let led = led(&people, &accounts(&["bo"]), &everybody, &[rule("managerId", RefersTo::Upn)]);
        assert_eq!(led.resolved, [false, true, true, false, false]);
    }

    #[test]
    fn people_are_counted_by_what_the_rules_find() {
        let people = people(&[("ana", "", ""), ("bo", "", ""), ("eva", "", "")]);
        let rules = [CorrelateRule { okta: "login".parse().unwrap(), entra: AccountKey::UserPrincipalName }];
        let everybody: Vec<PersonIx> = people.iter().map(|(ix, _)| ix).collect();
        let found = correlated(&people, &accounts(&["Ana", "bo", "bo"]), &everybody, &rules);
        assert_eq!(found, Correlated { one: 1, none: 1, several: 1 });
    }
}
