//! Carries out changes, twenty at a time: wait for leave, check, note the intent, write, note the answer.
//!
//! Whatever has to be waited for comes first, so that nothing lies between the look at the old values and the write but
//! the note of the intent; and every wait ends when the run is stopped. An intent is on disk before its request leaves,
//! and its answer after: a kill or a power cut at any point leaves rows that `settle` can judge by reading. A request is
//! sent once: what is turned away gets another intent later. A refused change does not stop the others.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};
use uuid::Uuid;

use crate::domain::directory::{AccountIx, Accounts, People};
use crate::domain::identity::{AccountId, PersonId};
use crate::graph::{GraphError, ManagerState, ManagerTarget, ManagerWrite, WriteLeave, WriteResult};
use crate::history::changes::{Answer, ChangeId, Confirmation, Intent};
use crate::http::Executed;
use crate::jobs::error::JobError;
use crate::jobs::links::read_states;
use crate::jobs::managers::Managers;
use crate::jobs::managers::fate::{Fate, answer};
use crate::jobs::managers::patience::Patience;
use crate::jobs::managers::record::label;
use crate::jobs::runner::{Context, unless_stopped};
use crate::reconcile::graph::Chains;
use crate::reconcile::plan::Change;

/// Microsoft's limit for one `$batch`.
const BATCH: usize = 20;

/// The end of applying.
#[derive(Debug)]
pub(super) struct Applied {
    /// One per change, in the order of the changes.
    pub fates: Vec<Fate>,
    /// When the last request was sent.
    pub last_write: Option<Timestamp>,
    /// Why applying ended before the last change, if it did.
    pub broken: Option<JobError>,
}

/// What applying needs to know of the run.
pub(super) struct Plan<'a> {
    pub people: &'a People,
    pub accounts: &'a Accounts,
    pub changes: &'a [Change],
    /// When the observed values were read.
    pub read_at: Timestamp,
}

impl Plan<'_> {
    fn account(&self, change: &Change) -> AccountId {
        self.accounts.get(change.account).id()
    }
}

/// Writes `plan.changes` in their order until all are done or the run is stopped.
pub(super) async fn apply(job: &Managers, context: &Context, plan: &Plan<'_>) -> Applied {
    let mut applying = Applying {
        job,
        context,
        plan,
        chains: Chains::observed(plan.accounts),
        fates: vec![Fate::NotReached; plan.changes.len()],
        last_write: None,
        sent_before: false,
        unknown: HashMap::new(),
        put_off: HashMap::new(),
        patience: Patience::default(),
        unanswered: 0,
        tokens_refused: 0,
    };
    let broken = applying.all().await.err();
    if let Some(error) = &broken {
        warn!(error = error as &dyn std::error::Error, "writing ended before the last change");
    }
    Applied { fates: applying.fates, last_write: applying.last_write, broken }
}

struct Applying<'a> {
    job: &'a Managers,
    context: &'a Context,
    plan: &'a Plan<'a>,
    /// The managers as they are now: as read, and as accepted since.
    chains: Chains,
    fates: Vec<Fate>,
    last_write: Option<Timestamp>,
    sent_before: bool,
    /// Writes without an answer: the account has either manager.
    unknown: HashMap<AccountIx, Option<AccountIx>>,
    /// How often a change was turned away: what was observed of it may have become old meanwhile.
    put_off: HashMap<usize, u32>,
    patience: Patience,
    /// How many batches in a row got no answer, and how many had their token refused.
    unanswered: u32,
    tokens_refused: u32,
}

/// How often a change is put off by itself, while others are accepted or when it is the last one, before it is left to
/// the next run.
const MOST_TIMES: u32 = 5;

/// How many batches in a row may stay without an answer: each one more is in doubt.
const MOST_UNANSWERED: u32 = 3;

/// A token that was refused is renewed; a second one in a row is refused for another reason.
const MOST_TOKENS: u32 = 2;

impl<'a> Applying<'a> {
    async fn all(&mut self) -> Result<(), JobError> {
        let total = self.plan.changes.len();
        let mut queue: VecDeque<usize> = (0..total).collect();
        while !queue.is_empty() && !self.context.stop.is_cancelled() {
            let batch = self.next_batch(&mut queue);
            if let Some((leave, batch)) = self.let_out(batch).await? {
                let tried = self.send(leave, &batch).await?;
                self.put_off(tried, &mut queue).await?;
            }
            self.context.progress.say("changes written", (total - queue.len()) as u64, Some(total as u64));
        }
        Ok(())
    }

    /// The next changes that may travel together. Any of them may be refused, so a change that could close a cycle with
    /// the old or the new manager of another waits for the next batch; one that would close it anyway is refused here.
    fn next_batch(&mut self, queue: &mut VecDeque<usize>) -> Vec<usize> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut waiting = Vec::new();
        let mut pending = self.unknown.clone();
        while batch.len() < BATCH
            && let Some(place) = queue.pop_front()
        {
            let change = &self.plan.changes[place];
            let to = self.manager(change);
            let closes = to.is_some_and(|to| self.chains.may_close_cycle(change.account, to, &pending));
            match (closes, batch.is_empty() && waiting.is_empty()) {
                (false, _) => {
                    batch.push(place);
                    pending.insert(change.account, to);
                }
                (true, true) => self.fates[place] = Fate::ClosesCycle,
                (true, false) => waiting.push(place),
            }
        }
        for place in waiting.into_iter().rev() {
            queue.push_front(place);
        }
        batch
    }

    /// Waits until the batch may leave, and only then looks at its old values: others may have written meanwhile.
    async fn let_out(&mut self, mut batch: Vec<usize>) -> Result<Option<(WriteLeave<'a>, Vec<usize>)>, JobError> {
        let job = self.job;
        while !batch.is_empty() {
            let writes = batch.len();
            let leave = Box::pin(async move { Ok(job.graph.leave_to_write(writes).await?) });
            let leave = unless_stopped(&self.context.stop, leave).await?;
            batch = self.checked(batch).await?;
            if !batch.is_empty() && !leave.is_withdrawn() {
                return Ok(Some((leave, batch)));
            }
        }
        Ok(None)
    }

    /// Waits as long as Graph asks, and puts what it turned away back at the head of the queue, to be looked at again
    /// before it is sent again.
    async fn put_off(&mut self, tried: Tried, queue: &mut VecDeque<usize>) -> Result<(), JobError> {
        if tried.moved {
            self.patience.restore();
        }
        if tried.later.is_empty() && (tried.moved || queue.is_empty()) {
            return Ok(());
        }
        if self.unanswered >= MOST_UNANSWERED {
            return Err(JobError::Unanswered { batches: self.unanswered });
        }
        let wait = self.patience.turned_away(tried.asked, fastrand::f64());
        let hopeless = self.tokens_refused >= MOST_TOKENS && !tried.moved;
        let Some(wait) = wait.filter(|_| !hopeless) else {
            return Err(tried.why.unwrap_or(JobError::Throttled { asked: tried.asked }));
        };
        info!(changes = tried.later.len(), seconds = wait.as_secs_f64(), "changes are put off");
        for place in tried.later.into_iter().rev() {
            *self.put_off.entry(place).or_default() += 1;
            queue.push_front(place);
        }
        tokio::select! {
            () = self.context.stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
        Ok(())
    }

    /// Reads old values again when the plan has aged, and drops what is no longer as the plan saw it.
    async fn checked(&mut self, batch: Vec<usize>) -> Result<Vec<usize>, JobError> {
        let age = self.context.now().duration_since(self.plan.read_at);
        let limit = jiff::SignedDuration::try_from(self.job.check_after).unwrap_or(jiff::SignedDuration::MAX);
        // A clock that was set back makes ages negative, and says nothing.
        let fresh = !age.is_negative() && age < limit && !batch.iter().any(|place| self.put_off.contains_key(place));
        if batch.is_empty() || fresh {
            return Ok(batch);
        }
        let accounts: Vec<AccountId> =
            batch.iter().map(|place| self.plan.account(&self.plan.changes[*place])).collect();
        let read = Box::pin(read_states(&self.job.graph, &accounts));
        let states = unless_stopped(&self.context.stop, read).await?;
        let mut fit = Vec::with_capacity(batch.len());
        for (place, (_, state)) in batch.into_iter().zip(states) {
            let from = self.plan.changes[place].from;
            match state {
                Ok(ManagerState::Gone) => self.fates[place] = Fate::Vanished,
                Ok(state) if manager_of(state) == from => fit.push(place),
                Ok(_) => self.fates[place] = Fate::Stale,
                // One account that cannot be read is that account's matter; anything else ends the writing.
                Err(GraphError::Refused(refusal)) => self.fates[place] = Fate::unread(*refusal),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(fit)
    }

    /// Notes the intents, sends them, notes the answers.
    async fn send(&mut self, leave: WriteLeave<'_>, batch: &[usize]) -> Result<Tried, JobError> {
        let writes: Vec<ManagerWrite> = batch.iter().map(|place| self.write(*place)).collect();
        let rows = self.intend(batch, &writes).await?;
        self.last_write = Some(self.context.now());
        // From here on the writes may have been made, whatever else fails.
        for (place, row) in batch.iter().zip(&rows) {
            self.fates[*place] = Fate::Unknown(*row);
        }
        let answers = match self.job.graph.write_managers(leave, &writes).await {
            Ok(answers) => answers,
            Err(error) => {
                self.not_written(batch, &rows).await?;
                return self.turned_away(batch, error);
            }
        };
        self.last_write = Some(self.context.now());
        let results: Vec<WriteResult> = answers.into_iter().map(|answer| answer.result).collect();
        let noted: Vec<(ChangeId, Answer)> =
            rows.iter().zip(&results).map(|(row, result)| (*row, answer(result))).collect();
        for ((place, row), result) in batch.iter().zip(&rows).zip(&results) {
            self.take_in(*place, *row, result);
        }
        self.context.history.record_answers(&noted, self.context.now()).await?;
        self.stop_when_denied(batch, &results)?;
        let tried = self.tried(batch, &results);
        let away = batch.iter().copied().zip(rows).filter(|(place, _)| self.fates[*place].may_be_tried_again());
        let (places, rows): (Vec<usize>, Vec<ChangeId>) = away.unzip();
        self.not_written(&places, &rows).await?;
        Ok(tried)
    }

    /// Has the intents on disk. The wait for a busy database ends with a stop: an intent that was noted all the same and
    /// never sent is settled by the next run.
    async fn intend(&self, batch: &[usize], writes: &[ManagerWrite]) -> Result<Vec<ChangeId>, JobError> {
        let intents: Vec<Intent> = batch.iter().zip(writes).map(|(place, write)| self.intent(*place, write)).collect();
        let Context { history, run, job, stop, .. } = self.context;
        let noted = Box::pin(async { Ok(history.record_intents(run, job, self.context.now(), &intents).await?) });
        unless_stopped(stop, noted).await
    }

    /// Notes that Graph did not carry these out, whatever it said: nothing was refused for good, and so nothing reached.
    async fn not_written(&mut self, places: &[usize], rows: &[ChangeId]) -> Result<(), JobError> {
        if rows.is_empty() {
            return Ok(());
        }
        let noted: Vec<_> = rows.iter().map(|row| (*row, Confirmation::NotWritten)).collect();
        self.context.history.record_confirmations(&noted, self.context.now()).await?;
        for place in places {
            self.fates[*place] = Fate::NotReached;
        }
        Ok(())
    }

    /// A whole batch that was not carried out: for a moment, or for good.
    fn turned_away(&mut self, batch: &[usize], error: GraphError) -> Result<Tried, JobError> {
        let asked = match &error {
            GraphError::Refused(refusal) if matches!(refusal.status, 401 | 408 | 429 | 503) => refusal.asked_to_wait,
            GraphError::Http(error) if error.executed() == Executed::No => None,
            _ => return Err(error.into()),
        };
        let status = if let GraphError::Refused(refusal) = &error { refusal.status } else { 0 };
        self.tokens_refused = if status == 401 { self.tokens_refused + 1 } else { 0 };
        let why = (!matches!(status, 429 | 503)).then(|| error.into());
        Ok(Tried { later: batch.to_vec(), asked, moved: false, why })
    }

    /// What of a batch a later moment may help. A batch of which something was settled is a sign of life.
    fn tried(&mut self, batch: &[usize], results: &[WriteResult]) -> Tried {
        let unanswered = |result: &WriteResult| matches!(result, WriteResult::Unknown { .. });
        let refused_token = |result: &&WriteResult| matches!(result, WriteResult::Refused { status: 401, .. });
        let first_refused = results.iter().find(refused_token);
        self.tokens_refused = if first_refused.is_some() { self.tokens_refused + 1 } else { 0 };
        self.unanswered = if results.iter().all(unanswered) { self.unanswered + 1 } else { 0 };
        let settled =
            |(place, result): (&usize, &WriteResult)| !unanswered(result) && !self.fates[*place].may_be_tried_again();
        let moved = batch.iter().zip(results).any(settled);
        let refusal = first_refused.filter(|_| self.tokens_refused >= MOST_TOKENS).and_then(WriteResult::refusal);
        let why = refusal.map(|refusal| GraphError::Refused(Box::new(refusal)).into());
        let mut tried = Tried { moved, why, ..Tried::default() };
        for (place, result) in batch.iter().zip(results) {
            let stubborn = self.put_off.get(place).is_some_and(|times| *times >= MOST_TIMES);
            let alone = moved || batch.len() == 1;
            if self.fates[*place].may_be_tried_again() && !(stubborn && alone) {
                tried.later.push(*place);
                tried.asked = tried.asked.max(result.after());
            }
        }
        tried
    }

    fn take_in(&mut self, place: usize, row: ChangeId, result: &WriteResult) {
        let change = &self.plan.changes[place];
        match result {
            WriteResult::Accepted { .. } => self.chains.set(change.account, self.manager(change)),
            WriteResult::Unknown { .. } => {
                self.unknown.insert(change.account, self.manager(change));
            }
            WriteResult::Refused { .. } => {}
        }
        self.fates[place] = Fate::of(result, self.plan.account(change), row);
    }

    /// When the first whole batch is refused for want of a permission, so would be all others: nothing more is tried.
    /// Likewise when a later one is, as after consent was taken back; a single late refusal is about that account.
    fn stop_when_denied(&mut self, batch: &[usize], results: &[WriteResult]) -> Result<(), JobError> {
        let all_of_us = !std::mem::replace(&mut self.sent_before, true) || batch.len() > 1;
        let denied = results
            .iter()
            .all(|result| matches!(result, WriteResult::Refused { code, .. } if code == "Authorization_RequestDenied"));
        if !all_of_us || !denied {
            return Ok(());
        }
        for place in batch {
            self.fates[*place] = Fate::NotReached;
        }
        let request_id = results.iter().find_map(|result| match result {
            WriteResult::Refused { request_id, .. } => request_id.clone(),
            _ => None,
        });
        Err(JobError::WritesDenied { request_id: request_id.unwrap_or_else(|| "none".to_owned()) })
    }

    /// The desired manager, if it is a listed account; a contact has no manager and closes no cycle.
    fn manager(&self, change: &Change) -> Option<AccountIx> {
        self.plan.accounts.find(change.to?)
    }

    fn write(&self, place: usize) -> ManagerWrite {
        let change = &self.plan.changes[place];
        let to = match change.to {
            None => ManagerTarget::Nobody,
            Some(manager) if self.plan.accounts.find(manager).is_some() => ManagerTarget::User(manager),
            Some(manager) => ManagerTarget::Object(manager),
        };
        ManagerWrite { account: self.plan.account(change), to, client_request_id: Uuid::new_v4() }
    }

    fn intent(&self, place: usize, write: &ManagerWrite) -> Intent {
        let change = &self.plan.changes[place];
        let person = self.plan.people.get(change.person);
        Intent {
            person: PersonId::new(person.id()),
            login: person.login().to_owned(),
            account: write.account,
            upn: self.plan.accounts.get(change.account).user_principal_name().to_owned(),
            kind: change.kind,
            from: change.from,
            from_label: label(self.plan.accounts, change.from).unwrap_or_default(),
            to: change.to,
            to_label: label(self.plan.accounts, change.to).unwrap_or_default(),
            client_request_id: write.client_request_id,
        }
    }
}

/// What a try left to be done.
#[derive(Debug, Default)]
struct Tried {
    /// Changes that were turned away for now.
    later: Vec<usize>,
    /// The longest wait that was asked for.
    asked: Option<Duration>,
    /// Something was accepted, or refused for good.
    moved: bool,
    /// What the run ends with when patience is spent, where it is not throttling.
    why: Option<JobError>,
}

/// The manager that was read; nobody when the account is gone.
pub(super) const fn manager_of(state: ManagerState) -> Option<AccountId> {
    match state {
        ManagerState::Is(manager) => Some(manager),
        ManagerState::Nobody | ManagerState::Gone => None,
    }
}
