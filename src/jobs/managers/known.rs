//! Gathers what history remembers and the plan must heed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::identity::AccountId;
use crate::jobs::error::JobError;
use crate::jobs::links;
use crate::jobs::managers::Managers;
use crate::jobs::runner::Context;
use crate::reconcile::known::{Known, OwnWrite, Park};

/// How far back a fight with another writer is remembered.
const FIGHT: SignedDuration = SignedDuration::from_hours(180 * 24);

/// Twice undone is contested; fewer writes need not be loaded.
const FIGHT_FROM: u32 = 2;

/// A listing may be older than an accepted write by several times the usual delay.
const CONSISTENCY: u32 = 4;

/// How long after a write an older observed value is not believed.
pub(super) fn consistency_window(confirm_after: Duration) -> SignedDuration {
    SignedDuration::try_from(confirm_after * CONSISTENCY).unwrap_or(SignedDuration::MAX)
}

/// Links, parked people and our own writes, as they bear on this run.
///
/// `read_at` is when reading began: what was written within the consistency window before that may not show in it.
pub(super) async fn known(job: &Managers, context: &Context, read_at: Timestamp) -> Result<Known, JobError> {
    let parked = context.history.load_parked(&context.job, context.now()).await?;
    Ok(Known {
        links: links::load(context, &job.policy.correlate).await?,
        parked: parked
            .into_iter()
            .map(|parked| {
                let park = Park { reason: parked.reason, desired: parked.desired };
                (parked.person.as_str().to_owned(), park)
            })
            .collect(),
        own_writes: own_writes(job, context, read_at).await?,
        missing: HashSet::new(),
    })
}

async fn own_writes(
    job: &Managers,
    context: &Context,
    read_at: Timestamp,
) -> Result<HashMap<AccountId, OwnWrite>, JobError> {
    let now: Timestamp = context.now();
    let repeats = context.history.confirmed_repeats(&context.job, now - FIGHT, FIGHT_FROM).await?;
    let mut writes: HashMap<AccountId, OwnWrite> = repeats
        .into_iter()
        .map(|(account, repeats)| {
            (account, OwnWrite { to: repeats.to, confirmed: repeats.confirmed, ..OwnWrite::default() })
        })
        .collect();
    let fresh = context.history.recent_writes(&context.job, read_at - consistency_window(job.confirm_after)).await?;
    for write in fresh {
        let own = writes.entry(write.account).or_default();
        if own.to != write.to {
            *own = OwnWrite { to: write.to, ..OwnWrite::default() };
        }
        own.open = write.open;
        own.recent = !write.open;
    }
    Ok(writes)
}
