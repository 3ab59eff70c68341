//! Small organizations for the tests of this room.

use uuid::Uuid;

use crate::domain::decision::Reason;
use crate::domain::directory::{Accounts, NewAccount, NewPerson, People};
use crate::domain::identity::{AccountId, PersonStatus};
use crate::reconcile::known::Known;
use crate::reconcile::plan::{Input, Plan, Planner, Scope};
use crate::reconcile::policy::{AccountKey, CorrelateRule, ManagerRule, Policy, RefersTo, Unfit, WhenEmpty};

/// A person who needs only a name; the rest follows from it.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) status: PersonStatus,
    pub(crate) login: String,
    pub(crate) email: String,
    /// The value of `managerId`, which refers to a login.
    pub(crate) manager: String,
    /// The value of `managerUpn`, which refers straight to an account.
    pub(crate) manager_upn: String,
}

/// An account, likewise.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) upn: String,
    pub(crate) proxies: Vec<String>,
    pub(crate) enabled: bool,
    pub(crate) guest: bool,
    pub(crate) on_premises: bool,
    pub(crate) manager: Option<AccountId>,
}

/// The id of the account of this name.
pub(crate) fn id(name: &str) -> AccountId {
    let mut bytes = [0; 16];
    let length = name.len().min(16);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    AccountId::new(Uuid::from_bytes(bytes))
}

/// Both sides, and what is decided and remembered about them.
#[derive(Clone, Debug)]
pub(crate) struct Org {
    pub(crate) people: Vec<Person>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) looked_up: Vec<Person>,
    pub(crate) scope: Scope,
    pub(crate) policy: Policy,
    pub(crate) known: Known,
}

/// What the planner reads.
pub(crate) struct Sides {
    pub(crate) people: People,
    pub(crate) accounts: Accounts,
    pub(crate) looked_up: People,
}

pub(crate) fn policy() -> Policy {
    Policy {
        correlate: vec![
            CorrelateRule { okta: "login".parse().unwrap(), entra: AccountKey::UserPrincipalName },
            CorrelateRule { okta: "email".parse().unwrap(), entra: AccountKey::ProxyAddresses },
        ],
        manager: vec![
            ManagerRule { attribute: "managerId".into(), is: RefersTo::Login },
            ManagerRule { attribute: "managerUpn".into(), is: RefersTo::Upn },
        ],
        when_empty: WhenEmpty::Keep,
        manager_disabled: Unfit::Keep,
        manager_is_guest: Unfit::Keep,
        exclude: Vec::new(),
    }
}

impl Org {
    /// Ana, Bo and Cy, all with accounts; Ana and Bo report to Cy on both sides.
    pub(crate) fn agreeing() -> Self {
        let mut org = Self {
            people: Vec::new(),
            accounts: Vec::new(),
            looked_up: Vec::new(),
            scope: Scope::Everyone,
            policy: policy(),
            known: Known::default(),
        };
        for (name, manager) in [("cy", ""), ("ana", "cy"), ("bo", "cy")] {
            org.add(name, manager);
        }
        org
    }

    /// A person and an account of this name, with this manager on both sides.
    pub(crate) fn add(&mut self, name: &str, manager: &str) {
        self.add_person(name, manager);
        self.add_account(name).manager = (!manager.is_empty()).then(|| id(manager));
    }

    pub(crate) fn add_person(&mut self, name: &str, manager: &str) -> &mut Person {
        self.people.push(person(name, manager));
        self.people.last_mut().unwrap()
    }

    pub(crate) fn add_account(&mut self, name: &str) -> &mut Account {
        self.accounts.push(Account {
            id: id(name),
            upn: format!("{name}@example.com"),
            proxies: Vec::new(),
            enabled: true,
            guest: false,
            on_premises: false,
            manager: None,
        });
        self.accounts.last_mut().unwrap()
    }

    pub(crate) fn person(&mut self, name: &str) -> &mut Person {
        let login = format!("{name}@example.com");
        self.people.iter_mut().find(|person| person.login == login).unwrap()
    }

    pub(crate) fn account(&mut self, name: &str) -> &mut Account {
        self.accounts.iter_mut().find(|account| account.id == id(name)).unwrap()
    }

    pub(crate) fn sides(&self) -> Sides {
        let mut accounts = Accounts::new();
        for account in &self.accounts {
            let proxies: Vec<&str> = account.proxies.iter().map(String::as_str).collect();
            accounts.push(&NewAccount {
                id: account.id,
                user_principal_name: &account.upn,
                mail: "",
                proxy_addresses: &proxies,
                employee_id: "",
                on_premises_immutable_id: "",
                enabled: account.enabled,
                guest: account.guest,
                mastered_on_premises: account.on_premises,
                manager: account.manager,
            });
        }
        accounts.seal();
        Sides { people: self.listing(&self.people), accounts, looked_up: self.listing(&self.looked_up) }
    }

    fn listing(&self, rows: &[Person]) -> People {
        let mut people = People::new(&self.policy.okta_attributes());
        for row in rows {
            let value = |column: &String| match column.as_str() {
                "login" => row.login.as_str(),
                "email" => row.email.as_str(),
                "managerId" => row.manager.as_str(),
                "managerUpn" => row.manager_upn.as_str(),
                _ => "",
            };
            let values: Vec<&str> = people.columns().iter().map(value).collect();
            people.push(&NewPerson { id: &row.id, status: row.status, values: &values });
        }
        people.seal();
        people
    }

    pub(crate) fn with<T>(&self, think: impl FnOnce(&mut Planner<'_>, Plan, &Sides) -> T) -> T {
        let sides = self.sides();
        let (scope, policy, known) = (&self.scope, &self.policy, &self.known);
        let input = Input { people: &sides.people, accounts: &sides.accounts, scope, policy, known };
        let mut planner = Planner::new(input);
        let plan = planner.plan(&sides.looked_up);
        think(&mut planner, plan, &sides)
    }

    pub(crate) fn plan(&self) -> Plan {
        self.with(|_, plan, _| plan)
    }

    /// The verdict on one person.
    pub(crate) fn reason(&self, name: &str) -> Reason {
        let place = self.people.iter().position(|person| person.id == format!("00u-{name}")).unwrap();
        self.plan().verdicts[place].reason
    }

    /// The changes by name, as `ana: cy → bo`, in the order of writing.
    pub(crate) fn changes(&self) -> Vec<String> {
        let name = |id: Option<AccountId>| {
            let account = self.accounts.iter().find(|account| Some(account.id) == id);
            account.map_or("-".to_owned(), |account| account.upn.split('@').next().unwrap().to_owned())
        };
        let show = |plan: Plan, sides: &Sides| {
            let changes = plan.changes.iter();
            let line = |change: &crate::reconcile::plan::Change| {
                let account = sides.accounts.get(change.account).id();
                format!("{}: {} → {}", name(Some(account)), name(change.from), name(change.to))
            };
            changes.map(line).collect()
        };
        self.with(|_, plan, sides| show(plan, sides))
    }

    /// Writes the plan into the accounts.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        let sides = self.sides();
        for change in &plan.changes {
            let target = sides.accounts.get(change.account).id();
            let account = self.accounts.iter_mut().find(|account| account.id == target).unwrap();
            assert_eq!(account.manager, change.from, "the old value is the observed one");
            account.manager = change.to;
        }
    }
}

pub(crate) fn person(name: &str, manager: &str) -> Person {
    let manager = if manager.is_empty() { String::new() } else { format!("{manager}@example.com") };
    Person {
        id: format!("00u-{name}"),
        status: PersonStatus::Active,
        login: format!("{name}@example.com"),
        email: format!("{name}@mail.example.com"),
        manager,
        manager_upn: String::new(),
    }
}
