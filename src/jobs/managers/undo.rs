//! Takes a run back: each previous manager is restored where the current one is still what that run wrote.
//!
//! The people are `undone` afterwards: left alone until Okta's value for them changes or they are released.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::decision::{ChangeKind, Reason, Tally};
use crate::domain::directory::{NewPerson, People};
use crate::domain::identity::{AccountId, PersonStatus};
use crate::domain::run::RunId;
use crate::graph::ManagerState;
use crate::history::changes::{Change as Written, ChangeState};
use crate::history::parked::ParkedPerson;
use crate::jobs::error::JobError;
use crate::jobs::links::read_states;
use crate::jobs::managers::apply::{self, manager_of};
use crate::jobs::managers::confirm::{confirm, settle_open};
use crate::jobs::managers::fate::Fate;
use crate::jobs::managers::read::{Sides, read_accounts_only};
use crate::jobs::managers::record::{Outcomes, label};
use crate::jobs::managers::summary::{Done, Summary};
use crate::jobs::managers::{Managers, stopped};
use crate::jobs::report::Finish;
use crate::jobs::runner::{Context, unless_stopped};
use crate::reconcile::graph::Chains;
use crate::reconcile::plan::Change;

/// Restores what run `of` replaced. Without `apply` it only shows what would be restored.
pub(super) async fn undo(job: &Managers, of: &RunId, apply: bool, context: &Context) -> Result<Finish, JobError> {
    let written = written_by(context, of).await?;
    let read = unless_stopped(&context.stop, Box::pin(settle_and_read(job, people(&written), context)));
    let (read_at, mut sides) = match read.await {
        Err(JobError::Stopped) => return Ok(stopped()),
        other => other?,
    };
    let mut summary = Summary::default();
    let Believed::Yes(now) = now_of(job, context, &sides, &written).await? else {
        return Ok(summary.undo_unread(of));
    };
    for (account, manager) in &now {
        if let Some(ix) = sides.accounts.find(*account) {
            sides.accounts.set_manager(ix, *manager);
        }
    }
    let (restore, left_out) = restorations(&sides, &written, &now, &mut summary);
    let tally = tally(&sides, &restore);
    if !apply {
        return Ok(summary.undo_shown(&sides, &tally, &restore, of));
    }
    let plan = apply::Plan { people: &sides.people, accounts: &sides.accounts, changes: &restore, read_at };
    // On disk before the first write: a kill between the writes and here must not let the next run write again.
    let parked_before = context.history.load_parked(&context.job, Timestamp::MIN).await?;
    context.history.park(&undone(context, &sides, &restore, of)).await?;
    let mut applied = apply::apply(job, context, &plan).await;
    if let Err(error) = confirm(job, context, &plan, &mut applied).await {
        applied.broken.get_or_insert(error);
    }
    let outcomes = Outcomes { changes: &restore, fates: &applied.fates };
    let_go(context, &sides, &outcomes, &parked_before).await?;
    Ok(summary.applied(&Done {
        sides: &sides,
        tally,
        outcomes: &outcomes,
        held: &[],
        holds: &[],
        held_plan: None,
        stale: left_out,
        broken: applied.broken,
        stopped: context.stop.is_cancelled(),
    }))
}

/// When reading began, and the accounts beside the people of the run.
async fn settle_and_read(job: &Managers, people: People, context: &Context) -> Result<(Timestamp, Sides), JobError> {
    settle_open(job, context).await?;
    let read_at = context.now();
    Ok((read_at, read_accounts_only(job, people, &context.progress).await?))
}

/// The writes of a run that are or may be in force.
async fn written_by(context: &Context, of: &RunId) -> Result<Vec<Written>, JobError> {
    let in_force = |change: &Written| {
        matches!(
            change.state,
            ChangeState::Accepted | ChangeState::Confirmed | ChangeState::Unconfirmed | ChangeState::Written
        )
    };
    let mut written = context.history.changes_of_run(of).await?;
    written.retain(in_force);
    if written.is_empty() {
        return Err(JobError::Refused {
            reason: "nothing_to_undo",
            message: format!("run {of} wrote nothing that could be undone"),
            hint: Some(format!("`graphkeeper history show {of}` shows what it did")),
        });
    }
    Ok(written)
}

/// Whether what was read suffices to say what stands now.
enum Believed {
    /// The managers as they are now, of the accounts that still exist.
    Yes(HashMap<AccountId, Option<AccountId>>),
    /// An account exists, but the listing lacks it.
    No,
}

/// Reads the managers of the accounts in question once more, each by itself: a listing may be older than the run that is
/// taken back, and one that lacks an account would make it look as if that were gone.
async fn now_of(job: &Managers, context: &Context, sides: &Sides, written: &[Written]) -> Result<Believed, JobError> {
    let accounts: Vec<AccountId> = written.iter().map(|change| change.account).collect();
    let states = unless_stopped(&context.stop, Box::pin(read_states(&job.graph, &accounts))).await?;
    let mut now = HashMap::with_capacity(states.len());
    for (account, state) in states {
        match state? {
            ManagerState::Gone => {}
            _ if sides.accounts.find(account).is_none() => return Ok(Believed::No),
            state => {
                now.insert(account, manager_of(state));
            }
        }
    }
    Ok(Believed::Yes(now))
}

/// The people of a run's writes, as the journal names them.
fn people(written: &[Written]) -> People {
    let mut people = People::new(&[]);
    for change in written {
        let values = [change.login.as_str()];
        people.push(&NewPerson { id: change.person.as_str(), status: PersonStatus::Active, values: &values });
    }
    people.seal();
    people
}

/// The writes back, managers before reports, and how many are left out because they would close a cycle by now.
fn restorations(
    sides: &Sides,
    written: &[Written],
    now: &HashMap<AccountId, Option<AccountId>>,
    summary: &mut Summary,
) -> (Vec<Change>, usize) {
    let mut restore = Vec::with_capacity(written.len());
    let (mut moved_on, mut gone) = (0, 0);
    for change in written {
        let person = sides.people.find(change.person.as_str()).expect("made of the same rows");
        match (now.get(&change.account), sides.accounts.find(change.account)) {
            (Some(manager), Some(account)) if *manager == change.to => {
                let kind = match (change.to, change.from) {
                    (_, None) => ChangeKind::Clear,
                    (None, Some(_)) => ChangeKind::Set,
                    (Some(_), Some(_)) => ChangeKind::Change,
                };
                restore.push(Change { person, account, kind, from: change.to, to: change.from });
            }
            (Some(_), _) => moved_on += 1,
            (None, _) => gone += 1,
        }
    }
    if moved_on > 0 {
        summary.note(format!("{moved_on} people are left as they are: their manager is no longer what that run wrote"));
    }
    if gone > 0 {
        summary.note(format!("{gone} accounts that the run wrote to are gone"));
    }
    let chains = Chains::observed(&sides.accounts);
    let (mut kept, refused) = chains.lint(&sides.accounts, &restore);
    for change in &refused {
        let login = sides.people.get(change.person).login();
        let manager = label(&sides.accounts, change.to).unwrap_or_default();
        summary.note(format!("{login} is left as is: {manager} would close a cycle by now"));
    }
    chains.order(&sides.accounts, &mut kept);
    (kept, refused.len())
}

fn tally(sides: &Sides, restore: &[Change]) -> Tally {
    let mut tally = Tally {
        people: sides.people.len() as u64,
        in_scope: sides.people.len() as u64,
        accounts: sides.accounts.len() as u64,
        ..Tally::default()
    };
    for change in restore {
        tally.planned.add(change.kind);
    }
    tally
}

/// The people of these changes as parked: what that run wrote is not to be written again.
fn undone(context: &Context, sides: &Sides, restore: &[Change], of: &RunId) -> Vec<ParkedPerson> {
    let parked = |change: &Change| {
        let person = sides.people.get(change.person);
        ParkedPerson {
            job: context.job.clone(),
            person: crate::domain::identity::PersonId::new(person.id()),
            login: person.login().to_owned(),
            account: Some(sides.accounts.get(change.account).id()),
            reason: Reason::Undone,
            desired: change.from,
            cause: format!("{} undid run {of}", context.caller),
            remedy: "change the manager in Okta, or `graphkeeper release` this person".to_owned(),
            since: context.now(),
            review_at: None,
            run: context.run.clone(),
        }
    };
    restore.iter().map(parked).collect()
}

/// People whose restoration certainly did not happen are not undone: they are as they were, parked or not.
async fn let_go(
    context: &Context,
    sides: &Sides,
    outcomes: &Outcomes<'_>,
    before: &[ParkedPerson],
) -> Result<(), JobError> {
    let untouched = |fate: &Fate| {
        matches!(
            fate,
            Fate::NotReached
                | Fate::NotWritten
                | Fate::Stale
                | Fate::Vanished
                | Fate::ClosesCycle
                | Fate::Refused { .. }
        )
    };
    let people = outcomes.iter().filter(|(_, fate)| untouched(fate)).map(|(change, _)| sides.people.get(change.person));
    let (mut parked, mut free) = (Vec::new(), Vec::new());
    for person in people {
        match before.iter().find(|parked| parked.person.as_str() == person.id()) {
            Some(park) => parked.push(park.clone()),
            None => free.push(person.id()),
        }
    }
    if !parked.is_empty() {
        context.history.park(&parked).await?;
    }
    if !free.is_empty() {
        context.history.lift(&context.job, &free, context.now()).await?;
    }
    Ok(())
}
