//! What a managers job reads of both directories, at the same time.

use std::collections::HashMap;

use futures_util::StreamExt;

use crate::domain::directory::{Accounts, People};
use crate::graph::Expand;
use crate::jobs::error::JobError;
use crate::jobs::managers::{Managers, ScopeRule};
use crate::jobs::progress::Progress;
use crate::jobs::reading::{Meter, accounts, people, properties};
use crate::okta;
use crate::reconcile::completeness::{Counts, Reading, missing_canaries, with_reference};
use crate::reconcile::plan::Scope;

/// Both sides as this run read them.
#[derive(Debug)]
pub(super) struct Sides {
    pub people: People,
    pub accounts: Accounts,
    pub scope: Scope,
    pub reading: Reading,
}

/// Reads people, scope and accounts. Any page that does not arrive ends the reading with an error.
pub(super) async fn read(job: &Managers, progress: &Progress) -> Result<Sides, JobError> {
    let meter = Meter::new(progress);
    let columns = columns(job);
    let (mut people, listed_scope, accounts, counted) =
        tokio::try_join!(people(&job.okta, &columns, &meter), scope(job), all_accounts(job, &meter), count(job),)?;
    let scope = apply_scope(listed_scope, &mut people);
    let reading = Reading {
        counts: Counts {
            people: people.len() as u64,
            with_reference: Some(with_reference(&people, &job.policy)),
            scope: scope_size(&scope, &people),
            accounts: accounts.len() as u64,
        },
        accounts_counted: Some(counted),
        missing_canaries: missing_canaries(&people, &job.canaries),
    };
    Ok(Sides { people, accounts, scope, reading })
}

/// Reads the accounts alone, for people who are known already.
pub(super) async fn read_accounts_only(job: &Managers, people: People, progress: &Progress) -> Result<Sides, JobError> {
    let accounts = all_accounts(job, &Meter::new(progress)).await?;
    let counts =
        Counts { people: people.len() as u64, with_reference: None, scope: None, accounts: accounts.len() as u64 };
    let reading = Reading { counts, accounts_counted: None, missing_canaries: Vec::new() };
    Ok(Sides { people, accounts, scope: Scope::Everyone, reading })
}

/// The attributes to keep of each person: what the rules name, and what canaries and exclusions are compared with.
pub(super) fn columns(job: &Managers) -> Vec<String> {
    let mut columns = job.policy.okta_attributes();
    if !job.canaries.is_empty() || !job.policy.exclude.is_empty() {
        columns.push("email".to_owned());
    }
    columns
}

async fn count(job: &Managers) -> Result<u64, JobError> {
    Ok(job.graph.count_accounts().await?)
}

/// The accounts with their managers, and what else the rules and the exclusions compare with.
async fn all_accounts(job: &Managers, meter: &Meter<'_>) -> Result<Accounts, JobError> {
    let properties = properties(job.policy.account_keys(), !job.policy.exclude.is_empty());
    accounts(&job.graph, &properties, Expand::Manager, meter).await
}

/// The ids that a scope lists, with the name that its app gives each, if it is an app.
type Listed = Option<HashMap<String, Option<String>>>;

async fn scope(job: &Managers) -> Result<Listed, JobError> {
    match &job.scope {
        ScopeRule::Everyone => Ok(None),
        ScopeRule::Search(expression) => ids(job.okta.search_users(expression), |user| (user.id, None)).await.map(Some),
        ScopeRule::Group(group) => ids(job.okta.list_group_members(group), |user| (user.id, None)).await.map(Some),
        ScopeRule::App(app) => ids(job.okta.list_app_users(app), |user| (user.id, user.user_name)).await.map(Some),
    }
}

async fn ids<T>(
    mut pages: okta::Pages<T>,
    entry: impl Fn(T) -> (String, Option<String>),
) -> Result<HashMap<String, Option<String>>, JobError> {
    let mut listed = HashMap::new();
    while let Some(page) = pages.next().await {
        match page? {
            okta::Page::Items(items) => listed.extend(items.into_iter().map(&entry)),
            okta::Page::Restarted => listed.clear(),
        }
    }
    Ok(listed)
}

/// Makes the scope of the listed ids, and gives people the names that the app has for them.
fn apply_scope(listed: Listed, people: &mut People) -> Scope {
    let Some(listed) = listed else { return Scope::Everyone };
    if let Some(column) = people.column("app_username") {
        for (id, name) in &listed {
            if let (Some(ix), Some(name)) = (people.find(id), name) {
                people.set_value(ix, column, name);
            }
        }
    }
    Scope::Only(listed.into_keys().collect())
}

/// How many of the people listed are in scope; `None` when everybody is.
fn scope_size(scope: &Scope, people: &People) -> Option<u64> {
    match scope {
        Scope::Everyone => None,
        Scope::Only(ids) => Some(ids.iter().filter(|id| people.find(id).is_some()).count() as u64),
    }
}
