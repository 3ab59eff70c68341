//! One person: reads that person, the manager and the chain above, and does for them what a pass would do.
//!
//! Counts towards the brake's day, never towards the source baseline.

use std::collections::HashSet;

use futures_util::StreamExt;
use jiff::Timestamp;

use crate::domain::decision::Reason;
use crate::domain::directory::{Accounts, People, PersonIx, PersonRef};
use crate::domain::identity::{AccountId, PersonStatus};
use crate::domain::run::{Mode, Outcome};
use crate::graph::Account;
use crate::history::Found;
use crate::jobs::error::JobError;
use crate::jobs::managers::apply;
use crate::jobs::managers::confirm::{confirm, settle_open};
use crate::jobs::managers::fate::Fate;
use crate::jobs::managers::known::known;
use crate::jobs::managers::lookup::{expression, search};
use crate::jobs::managers::pass::DAY;
use crate::jobs::managers::read::{Sides, columns};
use crate::jobs::managers::record::{self, Outcomes};
use crate::jobs::managers::rules::Rules;
use crate::jobs::managers::summary::{Done, Summary};
use crate::jobs::managers::{Managers, ScopeRule, stopped};
use crate::jobs::reading::push_person;
use crate::jobs::report::Finish;
use crate::jobs::runner::{Context, unless_stopped};
use crate::okta::{Page, User};
use crate::reconcile::brake::brake;
use crate::reconcile::completeness::{Counts, Reading};
use crate::reconcile::known::Known;
use crate::reconcile::meaning::{meaning, remedy};
use crate::reconcile::plan::{Change, Input, Lookup, Planner, Scope};

/// Reconciles the person whom `name` names: a login, an address or an Okta id.
pub(super) async fn one(job: &Managers, name: &str, context: &Context) -> Result<Finish, JobError> {
    let read = unless_stopped(&context.stop, Box::pin(settle_and_gather(job, name, context)));
    let (mut known, read_at, (mut sides, looked_up)) = match read.await {
        Err(JobError::Stopped) => return Ok(stopped()),
        other => other?,
    };
    let me = PersonIx(0);
    let (reason, changes) = {
        let mut planner = Planner::new(input(job, &sides, &known));
        let plan = planner.plan(&looked_up);
        let mine: Vec<_> = plan.changes.iter().filter(|change| change.person == me).copied().collect();
        (plan.verdict(me).reason, mine)
    };
    let reason = standing_conflict(context, sides.people.get(me).id(), reason).await?;
    if reason != Reason::Planned {
        return Ok(left_alone(&sides, reason));
    }
    if let Some(left) = held_back(job, context, &sides, &changes).await? {
        return Ok(left);
    }
    let mut summary = Summary::default();
    let mut tally = crate::domain::decision::Tally { people: 1, in_scope: 1, ..Default::default() };
    for change in &changes {
        tally.planned.add(change.kind);
    }
    let plan = apply::Plan { people: &sides.people, accounts: &sides.accounts, changes: &changes, read_at };
    let mut applied = apply::apply(job, context, &plan).await;
    if let Err(error) = confirm(job, context, &plan, &mut applied).await {
        applied.broken.get_or_insert(error);
    }
    let outcomes = Outcomes { changes: &changes, fates: &applied.fates };
    let finish = summary.applied(&Done {
        sides: &sides,
        tally,
        outcomes: &outcomes,
        held: &[],
        holds: &[],
        held_plan: None,
        stale: 0,
        broken: applied.broken,
        stopped: context.stop.is_cancelled(),
    });
    let confirmed: Vec<_> = outcomes.iter().filter(|(_, fate)| **fate == Fate::Confirmed).map(|(c, _)| *c).collect();
    for change in confirmed {
        sides.accounts.set_manager(change.account, change.to);
    }
    known.own_writes.clear();
    let mut planner = Planner::new(input(job, &sides, &known));
    let last = planner.plan(&looked_up);
    record::decision_of(context, &sides, &planner, &last, me).await?;
    Ok(refused_is_failed(finish))
}

/// What is remembered, when reading began, both sides, and who has left.
async fn settle_and_gather(
    job: &Managers,
    name: &str,
    context: &Context,
) -> Result<(Known, Timestamp, (Sides, People)), JobError> {
    settle_open(job, context).await?;
    let read_at = context.now();
    let known = known(job, context, read_at).await?;
    let gathered = gather(job, name, &known).await?;
    Ok((known, read_at, gathered))
}

/// Why a change that is due is not written: the job only plans, its rules wait for a look, or the brake's day is full.
async fn held_back(
    job: &Managers,
    context: &Context,
    sides: &Sides,
    changes: &[Change],
) -> Result<Option<Finish>, JobError> {
    let why = |reason: &str, why: &str, hint: &str| {
        let login = sides.people.get(PersonIx(0)).login();
        let to = changes.first().and_then(|change| record::label(&sides.accounts, change.to));
        let what = to.map_or_else(|| "cleared".to_owned(), |manager| format!("set to {manager}"));
        Some(Finish {
            outcome: Outcome::Partial,
            reason: Some(reason.to_owned()),
            message: format!("{login}: the manager would be {what}, but {why}"),
            hint: Some(hint.to_owned()),
            unresolved: Some(1),
            ..Finish::default()
        })
    };
    if job.mode == Mode::Plan {
        return Ok(why("planned", "the job's mode is plan", "set `mode = \"apply\"`, or approve a plan of the job"));
    }
    let rules = Rules::of(job);
    if let Some(approved) = context.history.approved_rules(&context.job).await?
        && !rules.need_no_look_after(&approved.fingerprint)
    {
        let hint = "`graphkeeper plan` the job and approve the plan first";
        return Ok(why("rules_changed", "the job's rules changed and wait for a plan to be approved", hint));
    }
    let now = context.now();
    let written = context.history.written_since(&context.job, now - DAY).await?;
    let baseline = context.history.baseline(&context.job, Timestamp::MIN).await?;
    let in_scope = baseline.map_or(1, |base| base.scope.unwrap_or(base.people));
    let braked = brake(changes, &job.brake, in_scope, &written);
    match braked.holds.first() {
        Some(hold) => {
            Ok(why("held", &format!("the brake holds it: {hold}"), "`graphkeeper plan` the job and approve the plan"))
        }
        None => Ok(None),
    }
}

fn input<'a>(job: &'a Managers, sides: &'a Sides, known: &'a Known) -> Input<'a> {
    Input { people: &sides.people, accounts: &sides.accounts, scope: &sides.scope, policy: &job.policy, known }
}

/// A conflict between two people is seen only when both are read: the last full pass knows.
async fn standing_conflict(context: &Context, person: &str, reason: Reason) -> Result<Reason, JobError> {
    if reason != Reason::Planned {
        return Ok(reason);
    }
    let Found::One(decisions) = context.history.decisions_of_user(person).await? else { return Ok(reason) };
    let conflict = decisions.iter().any(|decision| {
        decision.standing && decision.job == context.job && decision.reason == Reason::ConflictingPeople
    });
    Ok(if conflict { Reason::ConflictingPeople } else { reason })
}

/// The person is right already, or is left alone for a reason.
fn left_alone(sides: &Sides, reason: Reason) -> Finish {
    let login = sides.people.get(PersonIx(0)).login();
    let agreed = reason == Reason::Agreed;
    Finish {
        outcome: if agreed { Outcome::Succeeded } else { Outcome::Partial },
        reason: (!agreed).then(|| reason.as_str().to_owned()),
        message: format!("{login}: {reason}: {}", meaning(reason)),
        hint: remedy(reason).map(str::to_owned),
        unresolved: Some(u64::from(!reason.is_resolved())),
        ..Finish::default()
    }
}

/// For a single person a refusal is the whole result.
fn refused_is_failed(mut finish: Finish) -> Finish {
    if finish.outcome == Outcome::Partial {
        finish.outcome = Outcome::Failed;
    }
    finish
}

/// The person first, then whoever may be the manager; their accounts; the chain above. Departed people apart.
async fn gather(job: &Managers, name: &str, known: &Known) -> Result<(Sides, People), JobError> {
    let columns = columns(job);
    let person = find_person(job, name).await?;
    let mut people = People::new(&columns);
    push_person(&mut people, &person);
    let references = references(job, &people);
    let mut found = People::new(&columns);
    if !references.is_empty() {
        search(job, &expression(&references), &mut found).await?;
    }
    let looked_up = split(&mut people, &found, &columns);
    let scope = scope(job, &person, &mut people).await?;
    let accounts = accounts(job, known, &people, &looked_up).await?;
    let counts = Counts { people: 1, with_reference: Some(1), scope: None, accounts: accounts.len() as u64 };
    let reading = Reading { counts, accounts_counted: None, missing_canaries: Vec::new() };
    Ok((Sides { people, accounts, scope, reading }, looked_up))
}

async fn find_person(job: &Managers, name: &str) -> Result<User, JobError> {
    if let Some(user) = job.okta.find_user(name).await? {
        return Ok(user);
    }
    let by_address = [Lookup { is: crate::reconcile::policy::RefersTo::Email, value: name.to_owned() }];
    let mut pages = job.okta.search_users(&expression(&by_address));
    let mut users: Vec<User> = Vec::new();
    while let Some(page) = pages.next().await {
        match page? {
            Page::Items(items) => users.extend(items),
            Page::Restarted => users.clear(),
        }
    }
    let message = match users.len() {
        1 => return Ok(users.remove(0)),
        0 => format!("Okta knows nobody by the login, address or id `{name}`"),
        n => format!("{n} people in Okta have the address `{name}`"),
    };
    Err(JobError::Refused {
        reason: "no_such_person",
        message,
        hint: Some("name the person by the Okta login or id".to_owned()),
    })
}

/// The references of the person that lead to people in Okta.
fn references(job: &Managers, people: &People) -> Vec<Lookup> {
    let person = people.get(PersonIx(0));
    let given = job.policy.manager.iter().filter(|rule| rule.is.is_in_okta());
    given
        .filter_map(|rule| {
            let value = person.value(people.column(&rule.attribute)?);
            (!value.is_empty()).then(|| Lookup { is: rule.is, value: value.to_owned() })
        })
        .collect()
}

/// Adds the people found to `people`, but for the person itself and those who have left; returns the latter.
fn split(people: &mut People, found: &People, columns: &[String]) -> People {
    let mut departed = People::new(columns);
    let me = people.get(PersonIx(0)).id().to_owned();
    let mut seen = HashSet::from([me]);
    for (_, person) in found.iter() {
        if !seen.insert(person.id().to_owned()) {
            continue;
        }
        let left = person.status() == PersonStatus::Deprovisioned;
        copy(if left { &mut departed } else { people }, person);
    }
    people.seal();
    departed.seal();
    departed
}

fn copy(people: &mut People, person: PersonRef<'_>) {
    let values: Vec<&str> = (0..people.columns().len()).map(|column| person.value(column)).collect();
    people.push(&crate::domain::directory::NewPerson { id: person.id(), status: person.status(), values: &values });
}

/// The accounts that the rules may find for these people, those that a reference names directly, and all above them.
async fn accounts(job: &Managers, known: &Known, people: &People, looked_up: &People) -> Result<Accounts, JobError> {
    let mut listed: Vec<Account> = Vec::new();
    for everybody in [people, looked_up] {
        for (_, person) in everybody.iter() {
            if let Some(account) = known.links.get(person.id()) {
                listed.extend(job.graph.get_account(&account.to_string()).await?);
            }
            for rule in &job.policy.correlate {
                let column = |name: &str| everybody.column(name);
                let value = rule.okta.evaluate(|name| column(name).map_or("", |column| person.value(column)));
                if !value.is_empty() {
                    listed.extend(job.graph.find_accounts(rule.entra.as_str(), &value).await?);
                }
            }
        }
    }
    listed.extend(named_directly(job, people).await?);
    climb(job, &mut listed).await?;
    let mut accounts = Accounts::new();
    for account in &listed {
        account.push_into(&mut accounts);
    }
    accounts.seal();
    Ok(accounts)
}

async fn named_directly(job: &Managers, people: &People) -> Result<Vec<Account>, JobError> {
    let person = people.get(PersonIx(0));
    let mut found = Vec::new();
    for rule in &job.policy.manager {
        let (Some(key), Some(column)) = (rule.is.account_key(), people.column(&rule.attribute)) else { continue };
        let value = person.value(column);
        if !value.is_empty() {
            found.extend(job.graph.find_accounts(key.as_str(), value).await?);
        }
    }
    Ok(found)
}

/// Adds the managers above every account, up to the top or to where it goes in a circle.
async fn climb(job: &Managers, listed: &mut Vec<Account>) -> Result<(), JobError> {
    let mut known: HashSet<AccountId> = listed.iter().map(|account| account.id).collect();
    let mut next: Vec<AccountId> = listed.iter().filter_map(|account| account.manager).collect();
    while let Some(id) = next.pop() {
        if !known.insert(id) {
            continue;
        }
        if let Some(account) = job.graph.get_account(&id.to_string()).await? {
            next.extend(account.manager);
            listed.push(account);
        }
    }
    Ok(())
}

async fn scope(job: &Managers, person: &User, people: &mut People) -> Result<Scope, JobError> {
    let inside = match &job.scope {
        ScopeRule::Everyone => return Ok(Scope::Everyone),
        ScopeRule::Search(search) => {
            let narrowed = format!("({search}) and id eq \"{}\"", person.id);
            listed(job.okta.search_users(&narrowed), |user: &User| user.id == person.id).await?
        }
        ScopeRule::Group(group) => {
            listed(job.okta.list_group_members(group), |user: &User| user.id == person.id).await?
        }
        ScopeRule::App(app) => in_app(job, app, &person.id, people).await?,
    };
    Ok(Scope::Only(if inside { HashSet::from([person.id.clone()]) } else { HashSet::new() }))
}

/// Whether a person has the app; gives everybody at hand the name that the app has for them.
async fn in_app(job: &Managers, app: &str, me: &str, people: &mut People) -> Result<bool, JobError> {
    let mut inside = false;
    let column = people.column("app_username");
    let mut pages = job.okta.list_app_users(app);
    while let Some(page) = pages.next().await {
        let Page::Items(users) = page? else { continue };
        for user in users {
            inside |= user.id == me;
            if let (Some(column), Some(name), Some(ix)) = (column, &user.user_name, people.find(&user.id)) {
                people.set_value(ix, column, name);
            }
        }
    }
    Ok(inside)
}

async fn listed<T>(mut pages: crate::okta::Pages<T>, is: impl Fn(&T) -> bool) -> Result<bool, JobError> {
    let mut found = false;
    while let Some(page) = pages.next().await {
        match page? {
            Page::Items(items) => found |= items.iter().any(&is),
            Page::Restarted => found = false,
        }
    }
    Ok(found)
}
