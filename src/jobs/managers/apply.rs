//! Carries out changes, twenty at a time: check, note the intent, write, note the answer.
//!
//! An intent is on disk before its request leaves, and its answer after: a kill or a power cut at any point leaves rows
//! that `settle` can judge by reading. A refused change does not stop the others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};
use uuid::Uuid;

use crate::domain::decision::Reason;
use crate::domain::directory::{AccountIx, Accounts, People};
use crate::domain::identity::AccountId;
use crate::domain::identity::PersonId;
use crate::graph::{GraphError, ManagerState, ManagerTarget, ManagerWrite, WriteResult};
use crate::history::changes::{Answer, ChangeId, Confirmation, Intent};
use crate::http::Executed;
use crate::jobs::error::JobError;
use crate::jobs::managers::Managers;
use crate::jobs::managers::pass::read_states;
use crate::jobs::managers::record::label;
use crate::jobs::runner::{Context, unless_stopped};
use crate::reconcile::graph::Chains;
use crate::reconcile::plan::Change;

/// Microsoft's limit for one `$batch`.
const BATCH: usize = 20;

/// What became of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The run ended before it.
    NotReached,
    /// The account is gone.
    Vanished,
    /// Somebody else changed the manager since the plan was made.
    Stale,
    /// Another write was refused, and without it this one would close a cycle.
    ClosesCycle,
    Refused {
        status: u16,
        code: String,
        message: String,
        request_id: Option<String>,
    },
    /// No answer; to be settled by reading.
    Unknown(ChangeId),
    /// Accepted; to be confirmed by reading.
    Accepted(ChangeId),
    Confirmed,
    /// Accepted, and the old manager is still there.
    Unconfirmed,
    /// No answer, and the old manager is still there.
    NotWritten,
    /// Written, or perhaps written, and a third value is there.
    Overtaken,
}

impl Fate {
    /// Whether Graph said yes, whatever was read afterwards.
    pub(super) const fn was_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_) | Self::Confirmed | Self::Unconfirmed | Self::Overtaken)
    }

    /// Whether a refusal is about this person, and not about the moment.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            Self::Refused { status: 409, code, .. } => code.as_str() != "Directory_ConcurrencyViolation",
            Self::Refused { status, .. } => !matches!(*status, 401 | 408 | 429 | 500..),
            _ => false,
        }
    }

    /// Why the person was left as they were, where that is a reason of its own.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Vanished => Some(Reason::Vanished),
            Self::Stale | Self::Overtaken => Some(Reason::Stale),
            Self::ClosesCycle => Some(Reason::ClosesCycle),
            Self::Refused { .. } if self.is_lasting() => Some(Reason::Blocked),
            Self::Refused { .. }
            | Self::NotReached
            | Self::Unknown(_)
            | Self::Accepted(_)
            | Self::Confirmed
            | Self::Unconfirmed
            | Self::NotWritten => None,
        }
    }

    /// The word for people.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::NotReached => "not_reached",
            Self::Vanished => "vanished",
            Self::Stale => "stale",
            Self::ClosesCycle => "closes_cycle",
            Self::Refused { .. } => "refused",
            Self::Unknown(_) => "unknown",
            Self::Accepted(_) => "accepted",
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "unconfirmed",
            Self::NotWritten => "not_written",
            Self::Overtaken => "overtaken",
        }
    }
}

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
        recheck: HashSet::new(),
        waited: Duration::ZERO,
        fruitless: 0,
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
    /// Changes that waited: what was observed of them may have become old meanwhile.
    recheck: HashSet<usize>,
    /// How long, and how often in a row, nothing was accepted.
    waited: Duration,
    fruitless: u32,
}

/// How long a run waits for Graph to accept anything at all.
const PATIENCE: Duration = Duration::from_mins(5);

/// How often in a row a run is turned away before it leaves the rest to the next one.
const MOST_TRIES: u32 = 20;

/// The first wait when Graph names none; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(200);

impl Applying<'_> {
    async fn all(&mut self) -> Result<(), JobError> {
        let total = self.plan.changes.len();
        let mut queue: VecDeque<usize> = (0..total).collect();
        while !queue.is_empty() && !self.context.stop.is_cancelled() {
            let batch = self.next_batch(&mut queue);
            let batch = self.checked(batch).await?;
            if !batch.is_empty() {
                let later = self.send(&batch).await?;
                self.put_off(later, &mut queue).await?;
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

    /// Waits as long as Graph asks, and puts what it turned away back at the head of the queue. Others may write
    /// meanwhile, so the old values are read again before it is sent again.
    async fn put_off(&mut self, later: Later, queue: &mut VecDeque<usize>) -> Result<(), JobError> {
        if later.places.is_empty() {
            (self.waited, self.fruitless) = (Duration::ZERO, 0);
            return Ok(());
        }
        self.fruitless += 1;
        let own = FIRST_WAIT.saturating_mul(1 << self.fruitless.min(7)).mul_f64(1.0 - fastrand::f64() / 2.0);
        let wait = later.after.unwrap_or(own);
        if self.waited + wait > PATIENCE || self.fruitless > MOST_TRIES {
            return Err(JobError::Throttled { seconds: wait.as_secs() });
        }
        info!(changes = later.places.len(), seconds = wait.as_secs_f64(), "changes are put off as Graph asks");
        tokio::select! {
            () = self.context.stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
        self.waited += wait;
        for place in later.places.into_iter().rev() {
            self.recheck.insert(place);
            queue.push_front(place);
        }
        Ok(())
    }

    /// Reads old values again when the plan has aged, and drops what is no longer as the plan saw it.
    async fn checked(&mut self, batch: Vec<usize>) -> Result<Vec<usize>, JobError> {
        let age = self.context.now().duration_since(self.plan.read_at);
        let limit = jiff::SignedDuration::try_from(self.job.check_after).unwrap_or(jiff::SignedDuration::MAX);
        // A clock that was set back makes ages negative, and says nothing.
        let fresh = !age.is_negative() && age < limit && !batch.iter().any(|place| self.recheck.contains(place));
        if batch.is_empty() || fresh {
            return Ok(batch);
        }
        let accounts: Vec<AccountId> =
            batch.iter().map(|place| self.plan.account(&self.plan.changes[*place])).collect();
        let read = Box::pin(read_states(self.job, &accounts));
        let states = unless_stopped(&self.context.stop, read).await?;
        let mut fit = Vec::with_capacity(batch.len());
        for (place, (_, state)) in batch.into_iter().zip(states) {
            let from = self.plan.changes[place].from;
            match state {
                Ok(ManagerState::Gone) => self.fates[place] = Fate::Vanished,
                Ok(state) if manager_of(state) == from => fit.push(place),
                Ok(_) => self.fates[place] = Fate::Stale,
                Err(error) => self.fates[place] = unreadable(error)?,
            }
        }
        Ok(fit)
    }

    /// Notes the intents, sends them, notes the answers. Returns what Graph turned away for now.
    async fn send(&mut self, batch: &[usize]) -> Result<Later, JobError> {
        let writes: Vec<ManagerWrite> = batch.iter().map(|place| self.write(*place)).collect();
        let intents: Vec<Intent> = batch.iter().zip(&writes).map(|(place, write)| self.intent(*place, write)).collect();
        let history = &self.context.history;
        let rows = history.record_intents(&self.context.run, &self.context.job, self.context.now(), &intents).await?;
        self.last_write = Some(self.context.now());
        // From here on the writes may have been made, whatever else fails.
        for (place, row) in batch.iter().zip(&rows) {
            self.fates[*place] = Fate::Unknown(*row);
        }
        // No waiting in there: nothing is sent again before it was looked at again.
        let answers = match self.job.graph.write_managers(&writes, Duration::ZERO).await {
            Ok(answers) => answers,
            Err(error) => {
                let not_written: Vec<_> = rows.iter().map(|row| (*row, Confirmation::NotWritten)).collect();
                history.record_confirmations(&not_written, self.context.now()).await?;
                for place in batch {
                    self.fates[*place] = Fate::NotReached;
                }
                return turned_away(batch, error);
            }
        };
        self.last_write = Some(self.context.now());
        let results: Vec<WriteResult> = answers.into_iter().map(|answer| answer.result).collect();
        let noted: Vec<(ChangeId, Answer)> =
            rows.iter().zip(&results).map(|(row, result)| (*row, answer(result))).collect();
        for ((place, row), result) in batch.iter().zip(rows).zip(&results) {
            self.take_in(*place, row, result);
        }
        history.record_answers(&noted, self.context.now()).await?;
        self.stop_when_denied(batch, &results)?;
        Ok(self.later(batch, &results))
    }

    /// What of a batch a later moment may help. A batch of which something was accepted is a sign of life.
    fn later(&mut self, batch: &[usize], results: &[WriteResult]) -> Later {
        if results.iter().any(|result| matches!(result, WriteResult::Accepted { .. })) {
            (self.waited, self.fruitless) = (Duration::ZERO, 0);
        }
        let mut later = Later::default();
        for (place, result) in batch.iter().zip(results) {
            if let WriteResult::Refused { after, .. } = result
                && !self.fates[*place].is_lasting()
                && matches!(self.fates[*place], Fate::Refused { .. })
            {
                later.places.push(*place);
                later.after = later.after.max(*after);
            }
        }
        later
    }

    fn take_in(&mut self, place: usize, row: ChangeId, result: &WriteResult) {
        let change = &self.plan.changes[place];
        self.fates[place] = match result {
            WriteResult::Accepted { .. } => {
                self.chains.set(change.account, self.manager(change));
                Fate::Accepted(row)
            }
            WriteResult::Unknown { .. } => {
                self.unknown.insert(change.account, self.manager(change));
                Fate::Unknown(row)
            }
            WriteResult::Refused { status: 404, message, .. } if names(message, self.plan.account(change)) => {
                Fate::Vanished
            }
            WriteResult::Refused { status, code, message, request_id, .. } => Fate::Refused {
                status: *status,
                code: code.clone(),
                message: message.clone(),
                request_id: request_id.clone(),
            },
        };
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

/// What was turned away for now, and the longest wait that was asked for.
#[derive(Debug, Default)]
struct Later {
    places: Vec<usize>,
    after: Option<Duration>,
}

/// A whole batch that was not carried out: throttled or not connected, it is tried again; else the error stands.
fn turned_away(batch: &[usize], error: GraphError) -> Result<Later, JobError> {
    let after = match &error {
        GraphError::Refused(refusal) if matches!(refusal.status, 429 | 503) => refusal.asked_to_wait,
        GraphError::Http(error) if error.executed() == Executed::No => None,
        _ => return Err(error.into()),
    };
    Ok(Later { places: batch.to_vec(), after })
}

/// One account that cannot be read is that account's matter; anything else ends the writing.
fn unreadable(error: GraphError) -> Result<Fate, JobError> {
    match error {
        GraphError::Refused(refusal) => Ok(Fate::Refused {
            status: refusal.status,
            code: refusal.code,
            message: refusal.message,
            request_id: refusal.request_id,
        }),
        other => Err(other.into()),
    }
}

/// Whether a 404 is about the account itself and not about the manager that it was to get.
fn names(message: &str, account: AccountId) -> bool {
    message.to_lowercase().contains(&account.to_string())
}

/// The manager that was read; nobody when the account is gone.
pub(super) const fn manager_of(state: ManagerState) -> Option<AccountId> {
    match state {
        ManagerState::Is(manager) => Some(manager),
        ManagerState::Nobody | ManagerState::Gone => None,
    }
}

fn answer(result: &WriteResult) -> Answer {
    match result {
        WriteResult::Accepted { request_id } => Answer::Accepted { request_id: request_id.clone() },
        WriteResult::Refused { status, code, message, request_id, .. } => Answer::Refused {
            status: *status,
            code: code.clone(),
            message: message.clone(),
            request_id: request_id.clone(),
        },
        WriteResult::Unknown { reason, .. } => Answer::Unknown { message: reason.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> Fate {
        Fate::Refused { status, code: code.to_owned(), message: String::new(), request_id: None }
    }

    #[test]
    fn a_refusal_of_the_moment_is_nobodys_fault() {
        let cases = [
            (refused(400, "Request_BadRequest"), true),
            (refused(403, "Authorization_RequestDenied"), true),
            (refused(404, "Request_ResourceNotFound"), true),
            (refused(409, "Request_MultipleObjectsWithSameKeyValue"), true),
            (refused(409, "Directory_ConcurrencyViolation"), false),
            (refused(401, "InvalidAuthenticationToken"), false),
            (refused(429, "TooManyRequests"), false),
            (refused(503, "serviceNotAvailable"), false),
        ];
        for (fate, lasting) in cases {
            assert_eq!(fate.is_lasting(), lasting, "{fate:?}");
            assert_eq!(fate.reason() == Some(Reason::Blocked), lasting, "{fate:?}");
        }
    }

    #[test]
    fn a_missing_manager_is_told_from_a_missing_account() {
        let account: AccountId = "AAAAAAAA-0000-4000-8000-000000000001".parse().unwrap();
        assert!(names("Resource 'aaaaaaaa-0000-4000-8000-000000000001' does not exist", account));
        assert!(!names("Resource 'manager' does not exist", account));
        assert!(!names("Resource 'aaaaaaaa-0000-4000-8000-000000000002' does not exist", account));
    }
}
