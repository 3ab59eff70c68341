//! What a run leaves in history about people: decisions, links, stored plans, parked people.

use std::collections::HashSet;
use std::fmt::Write;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use crate::domain::decision::Reason;
use crate::domain::directory::{AccountIx, Accounts, PersonIx};
use crate::domain::identity::{AccountId, PersonId};
use crate::domain::run::PlanId;
use crate::graph::GraphError;
use crate::graph::error::Refusal;
use crate::history::Found;
use crate::history::decisions::{Decision, Pass};
use crate::history::parked::ParkedPerson;
use crate::history::plans::{LoadedPlan, PlanOrigin, PlannedChange, StoredPlan, diff};
use crate::http::Method;
use crate::jobs::error::JobError;
use crate::jobs::managers::fate::Fate;
use crate::jobs::managers::read::Sides;
use crate::jobs::runner::Context;
use crate::reconcile::known::{Known, Park};
use crate::reconcile::plan::{Change, Plan, Planner};

/// A refused person is tried again after this: permissions and objects change.
const REVIEW: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A manager's name for people: its user principal name, or its id when it is no listed account.
pub(super) fn label(accounts: &Accounts, manager: Option<AccountId>) -> Option<String> {
    let manager = manager?;
    let listed = accounts.find(manager).map(|ix| accounts.get(ix).user_principal_name().to_owned());
    Some(listed.unwrap_or_else(|| manager.to_string()))
}

/// Boxed: the compiler cannot see by itself that a future over an iterator of closures may change threads.
type Recording<'a> = BoxFuture<'a, Result<(), JobError>>;

/// Records what was decided about everybody, a row for each decision that changed.
pub(super) fn decisions<'a>(
    context: &'a Context,
    sides: &'a Sides,
    planner: &'a Planner<'a>,
    plan: &'a Plan,
) -> Recording<'a> {
    Box::pin(async move {
        let pass = Pass { run: &context.run, job: &context.job, at: context.now(), full: true };
        let rows = sides.people.iter().map(|(ix, _)| decision(sides, planner, plan, ix));
        context.history.record_decisions(&pass, rows).await?;
        Ok(())
    })
}

/// Records what was decided about one person.
pub(super) fn decision_of<'a>(
    context: &'a Context,
    sides: &'a Sides,
    planner: &'a Planner<'a>,
    plan: &'a Plan,
    ix: PersonIx,
) -> Recording<'a> {
    Box::pin(async move {
        let pass = Pass { run: &context.run, job: &context.job, at: context.now(), full: false };
        context.history.record_decisions(&pass, std::iter::once(decision(sides, planner, plan, ix))).await?;
        Ok(())
    })
}

fn decision<'a>(
    sides: &'a Sides,
    planner: &'a Planner<'_>,
    plan: &'a Plan,
    ix: PersonIx,
) -> Decision<'a, impl FnOnce() -> String + Send + 'a> {
    let person = sides.people.get(ix);
    let verdict = plan.verdict(ix);
    let account = verdict.account().map(|account| sides.accounts.get(account));
    Decision {
        person: person.id(),
        login: person.login(),
        upn: account.map_or("", |account| account.user_principal_name()),
        account: account.map(|account| account.id()),
        reason: verdict.reason,
        digest: plan.digest(ix),
        evidence: move || planner.evidence(plan, ix).stored(),
    }
}

/// Stores a plan, its changes made one by one on the way: texts of a whole company need not stand in memory.
pub(super) fn plan<'a>(
    context: &'a Context,
    sides: &'a Sides,
    (id, policy_fingerprint, origin): (PlanId, String, PlanOrigin),
    changes: &'a [Change],
    held: &'a [Change],
) -> Recording<'a> {
    Box::pin(async move {
        let held: HashSet<AccountIx> = held.iter().map(|change| change.account).collect();
        let changes = changes.iter().copied().map(|change| planned(sides, &change, held.contains(&change.account)));
        let plan = StoredPlan {
            id,
            job: context.job.clone(),
            run: context.run.clone(),
            created_at: context.now(),
            policy_fingerprint,
            origin,
            changes,
        };
        Ok(context.history.store_plan(&plan).await?)
    })
}

fn planned(sides: &Sides, change: &Change, held: bool) -> PlannedChange {
    let person = sides.people.get(change.person);
    let account = sides.accounts.get(change.account);
    PlannedChange {
        person: PersonId::new(person.id()),
        login: person.login().to_owned(),
        account: account.id(),
        upn: account.user_principal_name().to_owned(),
        kind: change.kind,
        from: change.from,
        from_label: label(&sides.accounts, change.from).unwrap_or_default(),
        to: change.to,
        to_label: label(&sides.accounts, change.to).unwrap_or_default(),
        held,
    }
}

/// A stored plan that may still be approved.
///
/// # Errors
///
/// Says which plan replaced it and what differs, or that it is too old or was approved before.
pub(super) async fn open_plan(context: &Context, id: &PlanId, max_age: SignedDuration) -> Result<LoadedPlan, JobError> {
    let Found::One(plan) = context.history.load_plan(id.as_str()).await? else {
        return Err(refused("no_such_plan", format!("there is no plan {id}")));
    };
    if let Some(approval) = &plan.summary.approval {
        let message = format!("plan {id} was approved by {} at {} (run {})", approval.by, approval.at, approval.run);
        return Err(refused("plan_approved", message));
    }
    if let Some(newer) = plan.summary.superseded_by.clone() {
        return Err(superseded(context, &plan, &newer).await?);
    }
    let age = context.now().duration_since(plan.summary.seen_at);
    if age > max_age {
        let message = format!("plan {id} was last seen {} hours ago, which is too long", age.as_hours());
        return Err(refused("plan_too_old", message));
    }
    Ok(plan)
}

/// How many differences between two plans are named.
const NAMED: usize = 5;

async fn superseded(context: &Context, old: &LoadedPlan, newer: &PlanId) -> Result<JobError, JobError> {
    let mut message = format!("plan {} was superseded by {newer}", old.summary.id);
    if let Found::One(new) = context.history.load_plan(newer.as_str()).await? {
        let diff = diff(&old.changes, &new.changes);
        let name = |change: &PlannedChange| change.login.clone();
        let gone: Vec<String> = diff.only_in_first.iter().take(NAMED).map(name).collect();
        let added: Vec<String> = diff.only_in_second.iter().take(NAMED).map(name).collect();
        for (what, all, named) in
            [("no longer in it", diff.only_in_first.len(), gone), ("new in it", diff.only_in_second.len(), added)]
        {
            if all > 0 {
                let more = if all > named.len() { ", …" } else { "" };
                let _ = write!(message, "; {all} changes are {what}: {}{more}", named.join(", "));
            }
        }
    }
    Ok(JobError::Refused {
        reason: "plan_superseded",
        message,
        hint: Some(format!("look at it with `graphkeeper history show {newer}`, then `graphkeeper approve {newer}`")),
    })
}

fn refused(reason: &'static str, message: String) -> JobError {
    JobError::Refused {
        reason,
        message,
        hint: Some("make a new one with `graphkeeper plan JOB`, and approve that".to_owned()),
    }
}

/// What became of the changes of this run.
#[derive(Debug)]
pub(super) struct Outcomes<'a> {
    pub changes: &'a [Change],
    /// One per change.
    pub fates: &'a [Fate],
}

impl Outcomes<'_> {
    /// Changes with their fates.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Change, &Fate)> {
        self.changes.iter().zip(self.fates)
    }

    /// Parks people whose write was refused while others were accepted: the fault is theirs and not ours.
    pub(super) async fn park(&self, context: &Context, sides: &Sides) -> Result<Vec<(String, Park)>, JobError> {
        if !self.fates.iter().any(Fate::was_accepted) {
            return Ok(Vec::new());
        }
        let now = context.now();
        let blocked: Vec<ParkedPerson> =
            self.iter().filter_map(|(change, fate)| blocked(context, sides, change, fate, now)).collect();
        if !blocked.is_empty() {
            context.history.park(&blocked).await?;
        }
        let park = |person: &ParkedPerson| Park { reason: person.reason, desired: person.desired };
        Ok(blocked.iter().map(|person| (person.person.as_str().to_owned(), park(person))).collect())
    }

    /// Gives people whose write came to nothing the reason that this run found.
    pub(super) fn overrule(&self, plan: &mut Plan, held: &[Change]) {
        for change in held {
            plan.verdicts[change.person.0 as usize].reason = Reason::Held;
        }
        for (change, fate) in self.iter() {
            if let Some(reason) = fate.reason() {
                plan.verdicts[change.person.0 as usize].reason = reason;
            }
        }
    }
}

fn blocked(context: &Context, sides: &Sides, change: &Change, fate: &Fate, now: Timestamp) -> Option<ParkedPerson> {
    let Fate::Refused { status, code, message, request_id } = fate else { return None };
    if !fate.is_lasting() {
        return None;
    }
    let person = sides.people.get(change.person);
    let request_id = request_id.as_deref().unwrap_or("none");
    let error = GraphError::Refused(Box::new(Refusal {
        method: Method::PUT,
        path: "/users/{id}/manager/$ref".to_owned(),
        status: *status,
        code: code.clone(),
        inner_code: None,
        message: message.clone(),
        request_id: Some(request_id.to_owned()),
        asked_to_wait: None,
    }));
    Some(ParkedPerson {
        job: context.job.clone(),
        person: PersonId::new(person.id()),
        login: person.login().to_owned(),
        account: Some(sides.accounts.get(change.account).id()),
        reason: Reason::Blocked,
        desired: change.to,
        cause: format!("{status} {code}: {message} (request-id {request_id})"),
        remedy: error.hint().unwrap_or("mend the account in Entra, then `graphkeeper release` this person").to_owned(),
        since: now,
        review_at: Some(now + REVIEW),
        run: context.run.clone(),
    })
}

/// Keeps the table of parked people true to the plan: who is contested is parked, who agrees is let go.
pub(super) async fn parked(context: &Context, sides: &Sides, known: &Known, plan: &Plan) -> Result<(), JobError> {
    let now = context.now();
    let mut contested = Vec::new();
    let mut settled = Vec::new();
    for (ix, person) in sides.people.iter() {
        let verdict = plan.verdict(ix);
        let park = known.parked.get(person.id());
        let desired = || verdict.manager().map(|manager| sides.accounts.get(manager).id());
        match verdict.reason {
            Reason::Contested if park.is_none_or(|park| park.reason != Reason::Contested) => {
                contested.push(ParkedPerson {
                    job: context.job.clone(),
                    person: PersonId::new(person.id()),
                    login: person.login().to_owned(),
                    account: verdict.account().map(|account| sides.accounts.get(account).id()),
                    reason: Reason::Contested,
                    desired: desired(),
                    cause: "another writer undid this value twice".to_owned(),
                    remedy: "find who else writes this manager; then `graphkeeper release` this person".to_owned(),
                    since: now,
                    review_at: None,
                    run: context.run.clone(),
                });
            }
            // What an operator undid stays undone while Okta says the same, whatever Entra shows meanwhile.
            Reason::Agreed if park.is_some_and(|park| park.reason != Reason::Undone || park.desired != desired()) => {
                settled.push(person.id());
            }
            _ => {}
        }
    }
    if !contested.is_empty() {
        context.history.park(&contested).await?;
    }
    if !settled.is_empty() {
        context.history.lift(&context.job, &settled, now).await?;
    }
    Ok(())
}
