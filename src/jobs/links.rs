//! Which account is whose, as remembered: a rename on either side breaks no link. Jobs with the same rules share them.

use std::collections::HashSet;

use aws_lc_rs::digest::{SHA256, digest};

use crate::domain::directory::{AccountIx, Accounts, People, PersonIx};
use crate::domain::identity::AccountId;
use crate::graph::{GraphClient, GraphError, ManagerState};
use crate::jobs::error::JobError;
use crate::jobs::runner::{Context, unless_stopped};
use crate::reconcile::known::Links;
use crate::reconcile::plan::Relinked;
use crate::reconcile::policy::CorrelateRule;

/// Names correlation rules: links are remembered under it.
pub(super) fn fingerprint(rules: &[CorrelateRule]) -> String {
    let rules: Vec<String> = rules.iter().map(|rule| format!("{} = {}", rule.okta, rule.entra)).collect();
    short(&rules.join("\n"))
}

/// The first twelve hexadecimal digits of the SHA-256.
pub(super) fn short(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref()[..6].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The links that these rules found before.
pub(super) async fn load(context: &Context, rules: &[CorrelateRule]) -> Result<Links, JobError> {
    let mut links = Vec::new();
    let each = |person: &str, account| links.push((Box::<str>::from(person), account));
    context.history.load_links(&fingerprint(rules), each).await?;
    Ok(links.into_iter().collect())
}

/// The accounts' managers, or whether they are gone, read one by one.
pub(super) async fn read_states(
    graph: &GraphClient,
    accounts: &[AccountId],
) -> Result<Vec<(AccountId, Result<ManagerState, GraphError>)>, JobError> {
    Ok(graph.read_managers(accounts).await?)
}

/// Remembered accounts that exist although the listing lacks them: the listing is behind. One that is gone may be replaced
/// by what the rules find; a wrong link would be remembered for good.
pub(super) async fn unlisted(
    context: &Context,
    graph: &GraphClient,
    people: &People,
    accounts: &Accounts,
    links: &Links,
) -> Result<HashSet<AccountId>, JobError> {
    let known = people.iter().filter_map(|(_, person)| links.get(person.id()));
    let lost: Vec<AccountId> = known.filter(|account| accounts.find(*account).is_none()).collect();
    if lost.is_empty() {
        return Ok(HashSet::new());
    }
    let states = unless_stopped(&context.stop, Box::pin(read_states(graph, &lost))).await?;
    let there = states.into_iter().filter(|(_, state)| !matches!(state, Ok(ManagerState::Gone)));
    Ok(there.map(|(account, _)| account).collect())
}

/// Remembers which account is whose, and forgets accounts that are gone without a successor.
pub(super) async fn record(
    context: &Context,
    rules: &[CorrelateRule],
    (people, accounts): (&People, &Accounts),
    found: &[(PersonIx, AccountIx)],
    relinked: &[Relinked],
) -> Result<(), JobError> {
    let mut links = Vec::with_capacity(found.len());
    for (person, account) in found {
        links.push((people.get(*person).id(), accounts.get(*account).id()));
    }
    let fingerprint = fingerprint(rules);
    let gone = relinked.iter().filter(|link| link.now.is_none());
    let gone: Vec<&str> = gone.map(|link| people.get(link.person).id()).collect();
    if !gone.is_empty() {
        context.history.forget_links(&fingerprint, &gone).await?;
    }
    context.history.save_links(&context.run, &fingerprint, links.into_iter(), context.now()).await?;
    Ok(())
}

/// What is worth saying about links whose account is gone.
pub(super) fn relinked(people: &People, accounts: &Accounts, relinked: &[Relinked]) -> Vec<String> {
    let line = |person: PersonIx, before: AccountId, now: Option<AccountIx>| {
        let login = people.get(person).login();
        match now {
            Some(now) => {
                let name = accounts.get(now).user_principal_name();
                format!("{login}: the account {before} is gone; {name} is now taken for this person's")
            }
            None => format!("{login}: the account {before} is gone, and the rules find no other"),
        }
    };
    relinked.iter().map(|link| line(link.person, link.before, link.now)).collect()
}
