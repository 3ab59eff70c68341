//! A run over both directories.
//!
//! Whatever the purpose, the way is the same until there is a plan: what is approved is planned afresh, so that nothing
//! is written from a world that was half read or has moved on.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use tracing::info;

use crate::domain::decision::Tally;
use crate::domain::directory::People;
use crate::domain::identity::AccountId;
use crate::domain::run::{Mode, PlanId};
use crate::history::plans::PlanOrigin;
use crate::jobs::error::JobError;
use crate::jobs::links;
use crate::jobs::managers::apply::{self, Applied};
use crate::jobs::managers::confirm::{confirm, settle_open};
use crate::jobs::managers::fate::Fate;
use crate::jobs::managers::known::known;
use crate::jobs::managers::lookup::look_up;
use crate::jobs::managers::read::{Sides, read};
use crate::jobs::managers::record::{self, Outcomes};
use crate::jobs::managers::rules::Rules;
use crate::jobs::managers::summary::{Done, Summary};
use crate::jobs::managers::{Managers, stopped};
use crate::jobs::reading::believed;
use crate::jobs::report::Finish;
use crate::jobs::runner::{Context, unless_stopped};
use crate::reconcile::brake::Hold;
use crate::reconcile::completeness::Doubt;
use crate::reconcile::known::Known;
use crate::reconcile::plan::{Change, Input, Plan, Planner, content_digest};

/// What a pass is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What the job's mode says.
    Scheduled,
    /// To see what would change.
    Plan,
    /// To carry out what of a stored plan still holds.
    Approve { plan: PlanId, max_age: SignedDuration },
}

/// The brake counts what was written within this time.
pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Reads, plans, and does what `purpose` asks for.
pub(super) async fn pass(job: &Managers, purpose: Purpose, context: &Context) -> Result<Finish, JobError> {
    let read = unless_stopped(&context.stop, Box::pin(settle_and_read(job, context)));
    let (settled, read_at, sides) = match read.await {
        Err(JobError::Stopped) => return Ok(stopped()),
        other => other?,
    };
    let mut summary = Summary::default();
    if settled > 0 {
        summary.note(format!("{settled} writes that an earlier run left open were settled by reading them back"));
    }
    if let Err(doubts) = judged(job, context, &sides, &mut summary).await? {
        return Ok(summary.incomplete(&context.run, &sides.reading, &doubts));
    }
    let known = known(job, context, read_at).await?;
    let mut pass = Pass { job, context, read_at, sides, known, summary };
    pass.go(purpose).await
}

/// How many open writes were settled, when reading began, and what was read.
async fn settle_and_read(job: &Managers, context: &Context) -> Result<(usize, Timestamp, Sides), JobError> {
    let settled = settle_open(job, context).await?;
    let read_at = context.now();
    Ok((settled, read_at, read(job, &context.progress).await?))
}

/// Judges the reading, and notes when there is nothing to measure it by.
async fn judged(
    job: &Managers,
    context: &Context,
    sides: &Sides,
    summary: &mut Summary,
) -> Result<Result<(), Vec<Doubt>>, JobError> {
    let belief = believed(context, &sides.reading, job.source_floor).await?;
    if belief.baseline.is_none() {
        let counts = sides.reading.counts;
        summary.note(format!(
            "no earlier reading to compare with: {} people seen, {} of them with a manager reference",
            counts.people,
            counts.with_reference.unwrap_or(0)
        ));
    }
    Ok(belief.verdict)
}

/// A pass whose reading is believed.
struct Pass<'a> {
    job: &'a Managers,
    context: &'a Context,
    /// When reading began: observed values are at least as old as this.
    read_at: Timestamp,
    sides: Sides,
    known: Known,
    summary: Summary,
}

/// What is to be written now, what waits, and why.
#[derive(Default)]
struct Selection {
    now: Vec<Change>,
    held: Vec<Change>,
    holds: Vec<Hold>,
    /// Of an approved plan, what no longer holds.
    stale: usize,
    /// The rules under which an approved plan was made.
    plan_rules: Option<String>,
}

impl Pass<'_> {
    fn input(&self) -> Input<'_> {
        let Sides { people, accounts, scope, .. } = &self.sides;
        Input { people, accounts, scope, policy: &self.job.policy, known: &self.known }
    }

    async fn go(&mut self, purpose: Purpose) -> Result<Finish, JobError> {
        self.look_for_missing().await?;
        let mut planner = Planner::new(self.input());
        let looked_up = self.look_up(&planner).await?;
        let mut plan = planner.plan(&looked_up);
        info!(planned = plan.changes.len(), people = plan.tally.people, "planned");
        let rules = Rules::of(self.job);
        let looked_at = self.rules_are_approved(&rules, &plan).await?;
        let only_plan = match purpose {
            Purpose::Plan => true,
            Purpose::Scheduled => self.job.mode == Mode::Plan || !looked_at,
            Purpose::Approve { .. } => false,
        };
        if only_plan {
            let rehearsal = self.braked(&planner, &mut plan.clone()).await?;
            let id = self.store(&rules, &plan.changes, &rehearsal.held, PlanOrigin::Planned).await?;
            self.record(&planner, &plan).await?;
            drop(planner);
            let holds = rehearsal.holds.iter();
            self.summary
                .notes(holds.map(|hold| format!("a scheduled run would be held by its brake: {hold}")).collect());
            self.summary.notes(links::relinked(&self.sides.people, &self.sides.accounts, &plan.relinked));
            let rules_changed = purpose == Purpose::Scheduled && self.job.mode == Mode::Apply;
            return Ok(self.summary.planned(
                &self.sides,
                &plan.tally,
                &plan.changes,
                &rehearsal.held,
                id,
                rules_changed,
            ));
        }
        let selection = match &purpose {
            Purpose::Approve { plan: id, max_age } => self.approved(&planner, &plan, id, *max_age).await?,
            _ => self.braked(&planner, &mut plan).await?,
        };
        drop(planner);
        self.summary.notes(links::relinked(&self.sides.people, &self.sides.accounts, &plan.relinked));
        let held_plan = self.store(&rules, &selection.held, &selection.held, PlanOrigin::Held).await?;
        if let Purpose::Approve { plan: id, .. } = &purpose {
            self.note_approval(id, &rules, selection.plan_rules.as_deref()).await?;
            self.summary.note(format!("carries out plan {id}, approved by {}", self.context.caller));
        }
        let applied = self.write(&selection.now).await;
        self.finish(plan.tally, &selection, held_plan, applied, &looked_up).await
    }

    /// Accounts that exist and were not listed: their people are left alone.
    async fn look_for_missing(&mut self) -> Result<(), JobError> {
        let Sides { people, accounts, .. } = &self.sides;
        let missing = links::unlisted(self.context, &self.job.graph, people, accounts, &self.known.links).await?;
        if !missing.is_empty() {
            let missing = missing.len();
            self.summary.note(format!("{missing} accounts exist but were not listed: their people are left alone"));
        }
        self.known.missing = missing;
        Ok(())
    }

    /// People behind references that nobody in the listing answers.
    async fn look_up(&self, planner: &Planner<'_>) -> Result<People, JobError> {
        let lookups = planner.unresolved();
        let columns = self.sides.people.columns();
        unless_stopped(&self.context.stop, Box::pin(look_up(self.job, columns, &lookups, &self.context.progress))).await
    }

    async fn record(&self, planner: &Planner<'_>, plan: &Plan) -> Result<(), JobError> {
        record::decisions(self.context, &self.sides, planner, plan).await?;
        let Sides { people, accounts, .. } = &self.sides;
        let rules = &self.job.policy.correlate;
        links::record(self.context, rules, (people, accounts), &plan.links, &plan.relinked).await?;
        record::parked(self.context, &self.sides, &self.known, plan).await
    }

    /// The operator's word covers the changes, and the rules under which they were planned: today's only if those are
    /// the same.
    async fn note_approval(&self, id: &PlanId, rules: &Rules, plan_rules: Option<&str>) -> Result<(), JobError> {
        let Context { history, run, job, caller, .. } = self.context;
        let now = self.context.now();
        history.mark_approved(id, run, caller, now).await?;
        let text = rules.to_text();
        if plan_rules == Some(text.as_str()) {
            history.approve_rules(job, &text, now, caller).await?;
        }
        Ok(())
    }

    /// Whether somebody has looked at a plan made under these rules. The first rules of a job count as looked at:
    /// `mode = "apply"` was an operator's word. So do rules under which nothing would change.
    async fn rules_are_approved(&self, rules: &Rules, plan: &Plan) -> Result<bool, JobError> {
        let context = self.context;
        if self.job.mode == Mode::Plan {
            return Ok(true);
        }
        let text = rules.to_text();
        let fine = match context.history.approved_rules(&context.job).await? {
            Some(approved) if approved.fingerprint == text => return Ok(true),
            Some(approved) => plan.is_empty() || rules.need_no_look_after(&approved.fingerprint),
            None => true,
        };
        if fine {
            context.history.approve_rules(&context.job, &text, context.now(), &context.caller).await?;
        }
        Ok(fine)
    }

    async fn braked(&self, planner: &Planner<'_>, plan: &mut Plan) -> Result<Selection, JobError> {
        let since = self.context.now() - DAY;
        let written = self.context.history.written_since(&self.context.job, since).await?;
        let braked = planner.brake(plan, &self.job.brake, &written);
        Ok(Selection { now: plan.changes.clone(), held: braked.held, holds: braked.holds, ..Selection::default() })
    }

    /// What of a stored plan is still to be written: same person, same old value, same new value as planned just now.
    async fn approved(
        &self,
        planner: &Planner<'_>,
        plan: &Plan,
        id: &PlanId,
        max_age: SignedDuration,
    ) -> Result<Selection, JobError> {
        let stored = record::open_plan(self.context, id, max_age).await?;
        let accounts = &self.sides.accounts;
        let wanted: HashMap<AccountId, (Option<AccountId>, Option<AccountId>)> =
            stored.changes.iter().map(|change| (change.account, (change.from, change.to))).collect();
        let holds = |change: &&Change| {
            wanted.get(&accounts.get(change.account).id()).is_some_and(|seen| *seen == (change.from, change.to))
        };
        let still: Vec<Change> = plan.changes.iter().filter(holds).copied().collect();
        let chains = planner.chains();
        let (mut now, _) = chains.lint(accounts, &still);
        chains.order(accounts, &mut now);
        let stale = stored.changes.len() - now.len();
        let plan_rules = Some(stored.summary.policy_fingerprint);
        Ok(Selection { now, stale, plan_rules, ..Selection::default() })
    }

    /// Stores changes as a plan. Nothing to store is no plan.
    async fn store(
        &self,
        rules: &Rules,
        changes: &[Change],
        held: &[Change],
        origin: PlanOrigin,
    ) -> Result<Option<PlanId>, JobError> {
        if changes.is_empty() {
            return Ok(None);
        }
        let id = PlanId::from_digest(content_digest(&self.context.job, &self.sides.accounts, changes));
        let about = (id.clone(), rules.to_text(), origin);
        record::plan(self.context, &self.sides, about, changes, held).await?;
        Ok(Some(id))
    }

    /// Applies and confirms.
    async fn write(&self, changes: &[Change]) -> Applied {
        let Sides { people, accounts, .. } = &self.sides;
        let plan = apply::Plan { people, accounts, changes, read_at: self.read_at };
        let mut applied = apply::apply(self.job, self.context, &plan).await;
        if let Err(error) = confirm(self.job, self.context, &plan, &mut applied).await {
            applied.broken.get_or_insert(error);
        }
        applied
    }

    /// Plans once more over what is there now, so that what is recorded is what the next pass will find.
    async fn finish(
        &mut self,
        tally: Tally,
        selection: &Selection,
        held_plan: Option<PlanId>,
        applied: Applied,
        looked_up: &People,
    ) -> Result<Finish, JobError> {
        let outcomes = Outcomes { changes: &selection.now, fates: &applied.fates };
        self.known.parked.extend(outcomes.park(self.context, &self.sides).await?);
        for (change, _) in outcomes.iter().filter(|(_, fate)| **fate == Fate::Confirmed) {
            self.sides.accounts.set_manager(change.account, change.to);
        }
        let mut planner = Planner::new(self.input());
        let mut last = planner.plan(looked_up);
        outcomes.overrule(&mut last, &selection.held);
        self.record(&planner, &last).await?;
        drop(planner);
        let done = Done {
            sides: &self.sides,
            tally,
            outcomes: &outcomes,
            held: &selection.held,
            holds: &selection.holds,
            held_plan,
            stale: selection.stale,
            broken: applied.broken,
            stopped: self.context.stop.is_cancelled(),
        };
        Ok(self.summary.applied(&done))
    }
}
