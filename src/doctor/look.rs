//! Reads what the sample of one job needs, page by page and search by search, with an end to it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures_util::StreamExt;

use crate::doctor::observed::{ManagersFacts, Trouble};
use crate::doctor::sample::{self, PEOPLE, Sample};
use crate::domain::directory::{Accounts, People, PersonIx};
use crate::domain::identity::AccountId;
use crate::graph::accounts::MOST_VALUES;
use crate::graph::{Account, GraphClient};
use crate::jobs::managers::ScopeRule;
use crate::jobs::managers::lookup::{PER_SEARCH, expression};
use crate::jobs::reading::push_person;
use crate::okta::{self, AppUser, OktaClient, User};
use crate::reconcile::plan::Lookup;
use crate::reconcile::policy::{AccountKey, Policy, RefersTo};
use crate::reconcile::shares::names_somebody;

/// Most searches in Okta for people outside the page that was read, a job.
pub(super) const SEARCHES: usize = 10;

/// Most searches in Graph for accounts outside the page that was read, a job.
pub(super) const FINDS: usize = 30;

/// Asks Okta for one page. How many it holds is Okta's affair.
pub(super) async fn first_page<T>(mut pages: okta::Pages<T>) -> Result<Vec<T>, okta::OktaError> {
    match pages.next().await.transpose()? {
        Some(okta::Page::Items(items)) => Ok(items),
        Some(okta::Page::Restarted) | None => Ok(Vec::new()),
    }
}

/// The people of a job's scope: those of its first page, or for an app their ids.
pub(super) enum InScope {
    Everybody,
    People(Vec<User>),
    Ids(Vec<AppUser>),
}

impl InScope {
    /// Asks for the first page of a scope; nothing for everybody's.
    pub(super) async fn read(okta: &OktaClient, scope: &ScopeRule) -> Result<Self, okta::OktaError> {
        Ok(match scope {
            ScopeRule::Everyone => Self::Everybody,
            ScopeRule::Search(search) => Self::People(first_page(okta.search_users(search)).await?),
            ScopeRule::Group(group) => Self::People(first_page(okta.list_group_members(group)).await?),
            ScopeRule::App(app) => Self::Ids(first_page(okta.list_app_users(app)).await?),
        })
    }

    /// How many are on the page; `None` for everybody's.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Everybody => None,
            Self::People(page) => Some(page.len()),
            Self::Ids(page) => Some(page.len()),
        }
    }

    /// Who of the scope is sampled. Of an app's people, those whom the listing has on its first page, or else that page.
    fn sampled<'a>(&'a self, listed: &'a [User]) -> Vec<&'a User> {
        let employed = |users: &'a [User]| users.iter().filter(|user| user.status.is_employed());
        match self {
            Self::People(page) => employed(page).take(PEOPLE).collect(),
            Self::Everybody => employed(listed).take(PEOPLE).collect(),
            Self::Ids(page) => {
                let ids: HashSet<&str> = page.iter().map(|user| user.id.as_str()).collect();
                let inside: Vec<&User> = employed(listed).filter(|user| ids.contains(user.id.as_str())).collect();
                if inside.is_empty() { employed(listed).collect() } else { inside }
            }
        }
    }
}

/// What was read already, for every job.
pub(super) struct Known<'a> {
    pub(super) users: &'a [User],
    pub(super) accounts: &'a [Account],
    /// Whether there are more accounts than these.
    pub(super) more_accounts: bool,
}

/// Samples one job.
pub(super) async fn sample(
    (job, facts): (&str, &ManagersFacts),
    scope: &InScope,
    known: &Known<'_>,
    (okta, graph): (&OktaClient, &GraphClient),
) -> Result<Sample, Trouble> {
    let policy = &facts.policy;
    let sampled: Vec<User> = scope.sampled(known.users).into_iter().cloned().collect();
    let names = sample::attributes(policy, &sampled);
    let mut users: Vec<User> = known.users.iter().chain(&sampled).cloned().collect();
    let (wanted, mut left_out) = references(policy, &names, &sampled, &users);
    for chunk in wanted.chunks(PER_SEARCH) {
        users.extend(first_page(okta.search_users(&expression(chunk))).await?);
    }
    let mut columns = policy.okta_attributes();
    columns.extend(names.iter().cloned());
    columns.extend(["email", "employeeNumber", "displayName"].map(str::to_owned));
    let mut people = People::new(&columns);
    for user in &users {
        push_person(&mut people, user);
    }
    people.seal();
    let asked: Vec<PersonIx> = sampled.iter().filter_map(|user| people.find(&user.id)).collect();
    let mut accounts = known.accounts.to_vec();
    if known.more_accounts {
        left_out += find_accounts(graph, policy, &names, (&people, &asked), &mut accounts).await?;
    }
    let mut listed = Accounts::new();
    for account in &accounts {
        account.push_into(&mut listed);
    }
    listed.seal();
    let thought = sample::think(job, (&people, &listed), &asked, policy, &names);
    Ok(Sample { left_out, absent: sample::absent(policy, &sampled), ..thought })
}

/// The references to look up in Okta, and how many are too many.
fn references(policy: &Policy, names: &[String], sampled: &[User], known: &[User]) -> (Vec<Lookup>, usize) {
    let answered: HashSet<String> = known.iter().flat_map(keys).collect();
    let mut wanted: BTreeSet<(RefersTo, String)> = BTreeSet::new();
    for (user, name) in sampled.iter().flat_map(|user| names.iter().map(move |name| (user, name))) {
        let value = user.attribute(name).unwrap_or_default();
        let value = value.trim();
        if !names_somebody(value) || answered.contains(&value.to_lowercase()) {
            continue;
        }
        let configured = policy.manager.iter().filter(|rule| rule.attribute == *name && rule.is.is_in_okta());
        let mut kinds: Vec<RefersTo> = configured.map(|rule| rule.is).collect();
        kinds.extend(guesses(value));
        wanted.extend(kinds.into_iter().map(|is| (is, value.to_owned())));
    }
    let left_out = wanted.len().saturating_sub(SEARCHES * PER_SEARCH);
    let lookups = wanted.into_iter().take(SEARCHES * PER_SEARCH);
    (lookups.map(|(is, value)| Lookup { is, value }).collect(), left_out)
}

/// By what a person can be referred to, in lower case.
fn keys(user: &User) -> Vec<String> {
    let attribute = |name: &str| user.attribute(name).unwrap_or_default().to_lowercase();
    let login = attribute("login");
    let short = login.split('@').next().unwrap_or_default().to_owned();
    let others = ["email", "employeeNumber", "displayName"].map(attribute);
    [user.id.to_lowercase(), login, short].into_iter().chain(others).filter(|key| !key.is_empty()).collect()
}

/// What a value may refer to in Okta, by the looks of it.
fn guesses(value: &str) -> Vec<RefersTo> {
    if value.contains('@') {
        vec![RefersTo::Login, RefersTo::Email]
    } else if value.starts_with("00u") && value.len() == 20 {
        vec![RefersTo::Id]
    } else if value.bytes().all(|byte| byte.is_ascii_digit()) {
        vec![RefersTo::EmployeeNumber]
    } else if value.contains(' ') {
        vec![RefersTo::DisplayName]
    } else {
        vec![RefersTo::ShortLogin, RefersTo::EmployeeNumber]
    }
}

/// Finds the accounts that the correlate rules ask for, and those to which references may lead straight. Answers how many
/// values were too many.
async fn find_accounts(
    graph: &GraphClient,
    policy: &Policy,
    names: &[String],
    (people, asked): (&People, &[PersonIx]),
    accounts: &mut Vec<Account>,
) -> Result<usize, Trouble> {
    let mut wanted = account_values(policy, names, people, asked);
    let (mut finds, mut left_out) = (0, 0);
    for (key, values) in &mut wanted {
        values.retain(|value| !accounts.iter().any(|account| has(account, *key, value)));
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        for chunk in values.chunks(MOST_VALUES) {
            if finds == FINDS {
                left_out += chunk.len();
                continue;
            }
            finds += 1;
            accounts.extend(graph.find_any(key.as_str(), chunk).await?);
        }
    }
    Ok(left_out)
}

/// The values by which accounts are looked for, those of the first rules first.
fn account_values(
    policy: &Policy,
    names: &[String],
    people: &People,
    asked: &[PersonIx],
) -> Vec<(AccountKey, BTreeSet<String>)> {
    let mut wanted: Vec<(AccountKey, BTreeSet<String>)> = Vec::new();
    for rule in &policy.correlate {
        let value = |ix: &PersonIx| {
            let person = people.get(*ix);
            rule.okta.evaluate(|name| people.column(name).map_or("", |column| person.value(column))).trim().to_owned()
        };
        wanted.push((rule.entra, asked.iter().map(value).filter(|value| !value.is_empty()).collect()));
    }
    let mut straight: BTreeMap<AccountKey, BTreeSet<String>> = BTreeMap::new();
    for column in names.iter().filter_map(|name| people.column(name)) {
        for value in asked.iter().map(|ix| people.get(*ix).value(column)).filter(|value| names_somebody(value)) {
            let configured = policy.manager.iter().filter(|rule| people.column(&rule.attribute) == Some(column));
            let mut keys: BTreeSet<AccountKey> = configured.filter_map(|rule| rule.is.account_key()).collect();
            if value.contains('@') {
                keys.insert(AccountKey::UserPrincipalName);
            }
            if value.parse::<AccountId>().is_ok() {
                keys.insert(AccountKey::Id);
            } else {
                keys.remove(&AccountKey::Id);
            }
            for key in keys {
                straight.entry(key).or_default().insert(value.to_owned());
            }
        }
    }
    wanted.extend(straight);
    wanted
}

fn has(account: &Account, key: AccountKey, value: &str) -> bool {
    let same = |own: &str| own.eq_ignore_ascii_case(value);
    match key {
        AccountKey::UserPrincipalName => same(&account.user_principal_name),
        AccountKey::Mail => same(&account.mail),
        AccountKey::ProxyAddresses => account.proxy_addresses.iter().any(|own| same(own)),
        AccountKey::EmployeeId => same(&account.employee_id),
        AccountKey::OnPremisesImmutableId => same(&account.on_premises_immutable_id),
        AccountKey::Id => same(&account.id.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_looked_up_by_what_it_looks_like() {
        for (value, kinds) in [
            ("bo@corp.example", &[RefersTo::Login, RefersTo::Email][..]),
            ("00u4kq9w2ZrT7bMxe1d7", &[RefersTo::Id]),
            ("40117", &[RefersTo::EmployeeNumber]),
            ("Bo Berg", &[RefersTo::DisplayName]),
            ("bo.berg", &[RefersTo::ShortLogin, RefersTo::EmployeeNumber]),
        ] {
            assert_eq!(guesses(value), kinds, "{value}");
        }
    }
}
