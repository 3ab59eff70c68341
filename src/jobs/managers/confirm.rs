//! Reads writes back once Entra had time to show them. `accepted` and `confirmed` are different words.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use crate::domain::identity::AccountId;
use crate::graph::{GraphError, ManagerState};
use crate::history::changes::{ChangeId, ChangeState, Confirmation};
use crate::jobs::error::JobError;
use crate::jobs::links::read_states;
use crate::jobs::managers::Managers;
use crate::jobs::managers::apply::{Applied, Plan, manager_of};
use crate::jobs::managers::fate::Fate;
use crate::jobs::runner::{Context, unless_stopped};
use crate::notices::events;
use crate::reconcile::settle::{Settlement, settle};

/// A write to be read back.
struct Pending {
    row: ChangeId,
    account: AccountId,
    from: Option<AccountId>,
    to: Option<AccountId>,
    /// Whether Graph said yes; otherwise nobody knows.
    accepted: bool,
}

/// How often a write that does not show yet is looked at: Entra may need longer than `confirm_after`.
const LOOKS: u32 = 2;

/// How long ago an accepted write may lie that a run before did not come to read back.
const UNCONFIRMED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Confirms what this run wrote, and notes it. Ends early when the run is stopped: the next run then does it.
pub(super) async fn confirm(
    job: &Managers,
    context: &Context,
    plan: &Plan<'_>,
    applied: &mut Applied,
) -> Result<(), JobError> {
    let mut places: Vec<usize> = (0..applied.fates.len())
        .filter(|place| matches!(applied.fates[*place], Fate::Accepted(_) | Fate::Unknown(_)))
        .collect();
    let Some(mut since) = applied.last_write else { return Ok(()) };
    for look in 1..=LOOKS {
        if places.is_empty() || !wait(context, since, job.confirm_after).await {
            return Ok(());
        }
        let pending: Vec<Pending> = places.iter().map(|place| pending(plan, &applied.fates, *place)).collect();
        let settled = look_at(job, context, &pending).await?;
        let final_look = look == LOOKS;
        let mut later = Vec::new();
        let mut noted = Vec::new();
        for ((place, pending), settled) in places.iter().zip(&pending).zip(settled) {
            let Some(settled) = settled else { continue };
            if !final_look && matches!(settled, Confirmation::Unconfirmed | Confirmation::NotWritten) {
                later.push(*place);
                continue;
            }
            noted.push((pending.row, settled));
            applied.fates[*place] = fate(settled);
        }
        context.history.record_confirmations(&noted, context.now()).await?;
        since = context.now();
        places = later;
    }
    Ok(())
}

const fn fate(settled: Confirmation) -> Fate {
    match settled {
        Confirmation::Confirmed | Confirmation::Written => Fate::Confirmed,
        Confirmation::Unconfirmed => Fate::Unconfirmed,
        Confirmation::NotWritten => Fate::NotWritten,
        Confirmation::Overtaken => Fate::Overtaken,
    }
}

fn pending(plan: &Plan<'_>, fates: &[Fate], place: usize) -> Pending {
    let change = &plan.changes[place];
    let (row, accepted) = match fates[place] {
        Fate::Accepted(row) => (row, true),
        Fate::Unknown(row) => (row, false),
        _ => unreachable!("only accepted and unknown writes are read back"),
    };
    Pending { row, account: plan.accounts.get(change.account).id(), from: change.from, to: change.to, accepted }
}

/// Settles what earlier runs of the job left open: intents without an answer, and accepted writes never read back.
/// Returns how many there were. Nothing is written before this is done.
pub(super) async fn settle_open(job: &Managers, context: &Context) -> Result<usize, JobError> {
    let mut open = context.history.open_intents(&context.job).await?;
    let lately = context.now() - UNCONFIRMED_FOR;
    let unread = context.history.unconfirmed(&context.job, lately).await?;
    open.extend(unread.into_iter().filter(|change| change.state == ChangeState::Accepted));
    let Some(newest) = open.iter().map(|change| change.intent_at).max() else { return Ok(0) };
    if !wait(context, newest, job.confirm_after).await {
        return Ok(0);
    }
    let pending: Vec<Pending> = open
        .iter()
        .map(|change| Pending {
            row: change.id,
            account: change.account,
            from: change.from,
            to: change.to,
            accepted: change.state == ChangeState::Accepted,
        })
        .collect();
    let settled = look_at(job, context, &pending).await?;
    let hidden = open.iter().zip(&settled).filter(|(_, settled)| **settled == Some(Confirmation::Unconfirmed));
    let logins: Vec<&str> = hidden.map(|(change, _)| change.login.as_str()).collect();
    if !logins.is_empty() {
        context.found.add(events::unconfirmed(&context.job, &context.run, &logins));
    }
    let noted: Vec<(ChangeId, Confirmation)> =
        pending.iter().zip(settled).filter_map(|(pending, settled)| Some((pending.row, settled?))).collect();
    context.history.record_confirmations(&noted, context.now()).await?;
    Ok(noted.len())
}

/// Reads the managers of all pending writes and judges each; none for an account that cannot be read just now, whose
/// row stays open.
async fn look_at(
    job: &Managers,
    context: &Context,
    pending: &[Pending],
) -> Result<Vec<Option<Confirmation>>, JobError> {
    let total = pending.len() as u64;
    context.progress.say("changes read back", 0, Some(total));
    let accounts: Vec<AccountId> = pending.iter().map(|pending| pending.account).collect();
    let states = unless_stopped(&context.stop, Box::pin(read_states(&job.graph, &accounts))).await?;
    context.progress.say("changes read back", total, Some(total));
    let mut settled = Vec::with_capacity(pending.len());
    for (pending, (_, state)) in pending.iter().zip(states) {
        settled.push(match state {
            Ok(ManagerState::Gone) => Some(Confirmation::Overtaken),
            Ok(state) => Some(judge(pending, manager_of(state))),
            Err(GraphError::Refused(refusal)) => {
                warn!("account {} cannot be read back: {refusal}", pending.account);
                None
            }
            Err(error) => return Err(error.into()),
        });
    }
    Ok(settled)
}

const fn word(settlement: Settlement, accepted: bool) -> Confirmation {
    match (settlement, accepted) {
        (Settlement::Written, true) => Confirmation::Confirmed,
        (Settlement::Written, false) => Confirmation::Written,
        (Settlement::NotWritten, true) => Confirmation::Unconfirmed,
        (Settlement::NotWritten, false) => Confirmation::NotWritten,
        (Settlement::Overtaken, _) => Confirmation::Overtaken,
    }
}

fn judge(pending: &Pending, read: Option<AccountId>) -> Confirmation {
    word(settle(pending.from, pending.to, read), pending.accepted)
}

/// Waits until `after` has passed since `since`. `false` when the run was stopped meanwhile.
async fn wait(context: &Context, since: Timestamp, after: Duration) -> bool {
    let passed = Duration::try_from(context.now().duration_since(since)).unwrap_or_default();
    let left = after.saturating_sub(passed);
    tokio::select! {
        () = context.stop.cancelled() => false,
        () = tokio::time::sleep(left) => !context.stop.is_cancelled(),
    }
}
