//! Does what is asked: in the service for whoever asks through the socket, and in a command's own process where no service
//! runs. Needs the history, and no secret; runs themselves go through [`crate::app::App::run`].

use jiff::Timestamp;
use serde_json::Value;

use crate::control::refusal::{Refusal, one};
use crate::control::wire::{
    AcceptRequest, Accepted, Paused, ReleaseRequest, Released, ReleasedPerson, RunRequest, TestRequest, Tested,
};
use crate::domain::run::{RunId, Trigger};
use crate::history::error::HistoryError;
use crate::history::parked::{ParkedPerson, Release};
use crate::history::runs::Run;
use crate::history::{Found, History};
use crate::jobs::Task;
use crate::jobs::runner::Order;
use crate::notices::Notices;

/// Where runs are listed, for whoever named one that there is not.
pub const LIST_RUNS: &str = "`graphkeeper history` lists the runs";

/// A run that is to begin, with every name led to what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    pub job: String,
    pub task: Task,
    trigger: Trigger,
}

impl Work {
    fn new(job: &str, task: Task, trigger: Trigger) -> Self {
        Self { job: job.to_owned(), task, trigger }
    }

    /// What is asked, with the plan or run of the past looked up in the history. That is opened only where one is named.
    ///
    /// # Errors
    ///
    /// [`Refusal::Nothing`] and [`Refusal::Several`] when the beginning of an id leads to none or to several.
    pub async fn of<H>(request: &RunRequest, history: H) -> Result<Self, Refusal>
    where
        H: AsyncFnOnce() -> Result<History, Refusal>,
    {
        match request {
            RunRequest::Approve { plan, max_age } => {
                let history = history().await?;
                let found = history.load_plan(plan).await?;
                let plan = one(found, "plan", plan, "`graphkeeper plan JOB` makes one")?.summary;
                let task = Task::Approve { plan: plan.id, max_age: *max_age };
                Ok(Self::new(&plan.job, task, Trigger::Approve))
            }
            RunRequest::Undo { run, apply } => {
                let run = named_run(&history().await?, run).await?;
                Ok(Self::new(&run.job, Task::Undo { of: run.id, apply: *apply }, Trigger::Undo))
            }
            RunRequest::Run { job } => Ok(Self::new(job, Task::Run, Trigger::Manual)),
            RunRequest::One { job, user } => Ok(Self::new(job, Task::One(user.clone()), Trigger::Manual)),
            RunRequest::Plan { job } => Ok(Self::new(job, Task::Plan, Trigger::Plan)),
        }
    }

    /// The order for the runner.
    #[must_use]
    pub fn order(self, caller: &str) -> Order {
        Order { trigger: self.trigger, caller: caller.to_owned(), task: self.task, moment: None }
    }
}

/// The run whose id begins so.
pub async fn named_run(history: &History, prefix: &str) -> Result<Run, Refusal> {
    let id = one(history.resolve_run_prefix(prefix).await?, "run", prefix, LIST_RUNS)?;
    history.run(&id).await?.ok_or_else(|| {
        let name = id.as_str().to_owned();
        Refusal::Nothing { what: "run", name, hint: LIST_RUNS }
    })
}

/// Okta's id of the person named so, as far as a decision about them is remembered; else the name itself.
pub async fn person(history: &History, name: &str) -> Result<String, Refusal> {
    match history.decisions_of_user(name).await? {
        Found::One(past) => Ok(past.first().map_or_else(|| name.to_owned(), |one| one.person.as_str().to_owned())),
        Found::Nothing => Ok(name.to_owned()),
        Found::Several(candidates) => Err(Refusal::Several { what: "person", name: name.to_owned(), candidates }),
    }
}

/// Lets the next run try people again. That the job is known is for whoever knows the configuration to see to.
pub async fn release(
    history: &History,
    request: &ReleaseRequest,
    by: &str,
    now: Timestamp,
) -> Result<Released, Refusal> {
    let whom = whom(history, request).await?;
    let released = history.release(&whom, now, by).await?;
    let missed = match &whom {
        Release::Users { names, .. } => unmatched(&request.users, names, &released),
        Release::Job { .. } => Vec::new(),
    };
    Ok(Released { people: released.into_iter().map(ReleasedPerson::from).collect(), missed })
}

async fn whom(history: &History, request: &ReleaseRequest) -> Result<Release, Refusal> {
    match (&request.job, request.users.is_empty()) {
        (Some(job), true) => Ok(Release::Job { job: job.clone(), reason: request.reason }),
        (job, _) => {
            let mut names = Vec::with_capacity(request.users.len());
            for user in &request.users {
                names.push(person(history, user).await?);
            }
            Ok(Release::Users { names, job: job.clone() })
        }
    }
}

/// Whom of those named nobody was released for. `resolved` stands beside `named`, in the same order.
fn unmatched(named: &[String], resolved: &[String], released: &[ParkedPerson]) -> Vec<String> {
    let is = |name: &str, one: &ParkedPerson| {
        let account = one.account.map(|account| account.to_string());
        one.person.as_str() == name
            || one.login.eq_ignore_ascii_case(name)
            || account.is_some_and(|account| account.eq_ignore_ascii_case(name))
    };
    let missed = named.iter().zip(resolved).filter(|(_, name)| !released.iter().any(|one| is(name, one)));
    missed.map(|(named, _)| named.clone()).collect()
}

impl From<ParkedPerson> for ReleasedPerson {
    fn from(parked: ParkedPerson) -> Self {
        let ParkedPerson { job, person, login, reason, since, cause, run, .. } = parked;
        Self { job, person: person.as_str().to_owned(), login, reason, since, cause, run }
    }
}

/// Makes the counts of a run the measure of later ones.
pub async fn accept_source(
    history: &History,
    request: &AcceptRequest,
    by: &str,
    now: Timestamp,
) -> Result<Accepted, Refusal> {
    let run = named_run(history, &request.run).await?;
    history.accept_reading(&run.id, by, now).await.map_err(|error| counted_nothing(&run.id, &run.job, error))?;
    let counted = |what: &str| run.tally.as_ref().and_then(|tally| tally.get(what)).and_then(Value::as_u64);
    Ok(Accepted {
        people: counted("people").unwrap_or(0),
        with_reference: counted("with_reference"),
        in_scope: counted("in_scope"),
        accounts: counted("accounts").unwrap_or(0),
        run: run.id,
        job: run.job,
        accepted_by: by.to_owned(),
        accepted_at: now,
    })
}

/// A run that read nothing cannot be a measure.
fn counted_nothing(run: &RunId, job: &str, error: HistoryError) -> Refusal {
    if !matches!(error, HistoryError::Missing { .. }) {
        return error.into();
    }
    let hint =
        "name a run that ended `source_incomplete`: `graphkeeper history --outcome source_incomplete` lists them";
    Refusal::Plain {
        message: format!("run {run} of {job} counted no people: there is nothing to accept"),
        hint: Some(hint.to_owned()),
        usage: false,
    }
}

/// Pauses a job: its moments are recorded and not run, across restarts too. That there is such a job is for whoever knows
/// the configuration to see to.
pub async fn pause(history: &History, job: &str, by: &str, now: Timestamp) -> Result<Paused, Refusal> {
    let changed = history.pause(job, now, by).await?;
    // A pause that was written is told, whatever becomes of a reading after it.
    let before = if changed { None } else { history.pauses().await?.remove(job) };
    let (since, by) = before.map_or((now, by.to_owned()), |pause| (pause.at, pause.by));
    Ok(Paused { job: job.to_owned(), since: Some(since), by: Some(by), changed })
}

/// Lets a paused job go on.
pub async fn resume(history: &History, job: &str) -> Result<Paused, Refusal> {
    let changed = history.resume(job).await?;
    Ok(Paused { job: job.to_owned(), since: None, by: None, changed })
}

/// Sends a test notice.
pub async fn notify_test(notices: &Notices, request: &TestRequest, by: &str) -> Result<Tested, Refusal> {
    let note = notices.test(&request.channel, by).await?;
    Ok(Tested { channel: request.channel.clone(), note: note.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::Reason;
    use crate::domain::identity::PersonId;
    use crate::history::testing::{Place, at, past_run};

    fn parked(number: u32, reason: Reason) -> ParkedPerson {
        ParkedPerson {
            job: "managers".to_owned(),
            person: PersonId::new(&format!("00u{number}")),
            login: format!("person{number}@example.com"),
            account: None,
            reason,
            desired: None,
            cause: "403".to_owned(),
            remedy: String::new(),
            since: at(0),
            review_at: None,
            run: RunId::stored("aaaa0001"),
        }
    }

    #[tokio::test]
    async fn who_was_released_is_told_and_who_was_not_is_named() {
        let place = Place::new().await;
        let history = &place.history;
        past_run(history, "aaaa0001", Trigger::Schedule, 0).await;
        history.park(&[parked(1, Reason::Blocked), parked(2, Reason::Undone)]).await.unwrap();
        let users = vec!["PERSON1@example.com".to_owned(), "nobody".to_owned()];
        let job = |job: &str| Some(job.to_owned());
        let others = ReleaseRequest { users: users.clone(), job: job("other"), reason: None };
        assert!(release(history, &others, "ana", at(9)).await.unwrap().people.is_empty());
        let request = ReleaseRequest { users, job: job("managers"), reason: None };
        let released = release(history, &request, "ana", at(9)).await.unwrap();
        assert_eq!((released.people.len(), released.missed), (1, vec!["nobody".to_owned()]));
        assert_eq!(released.people[0].person, "00u1");
        let request = ReleaseRequest { users: Vec::new(), job: job("managers"), reason: Some(Reason::Undone) };
        assert_eq!(release(history, &request, "ana", at(9)).await.unwrap().people[0].person, "00u2");
    }

    #[tokio::test]
    async fn a_run_that_counted_nobody_is_no_measure() {
        let place = Place::new().await;
        past_run(&place.history, "aaaa0001", Trigger::Schedule, 0).await;
        let request = AcceptRequest { run: "aaaa".to_owned() };
        let refusal = accept_source(&place.history, &request, "ana", at(50)).await.unwrap_err();
        assert!(refusal.to_string().contains("counted no people"), "{refusal}");
    }

    #[tokio::test]
    async fn the_first_to_pause_stays_on_record_until_somebody_resumes() {
        let place = Place::new().await;
        let first = pause(&place.history, "managers", "ana", at(0)).await.unwrap();
        let second = pause(&place.history, "managers", "bo", at(9)).await.unwrap();
        assert_eq!(
            first,
            Paused { job: "managers".to_owned(), since: Some(at(0)), by: Some("ana".to_owned()), changed: true }
        );
        assert_eq!(second, Paused { changed: false, ..first });
        assert!(resume(&place.history, "managers").await.unwrap().changed);
        assert!(!resume(&place.history, "managers").await.unwrap().changed);
    }

    #[tokio::test]
    async fn plans_and_runs_of_the_past_are_found_by_the_beginning_of_their_ids() {
        let place = Place::new().await;
        past_run(&place.history, "aaaa0001", Trigger::Manual, 0).await;
        let undo = |run: &str| RunRequest::Undo { run: run.to_owned(), apply: true };
        let history = async || Ok(place.history.clone());
        let work = Work::of(&undo("aaaa"), history).await.unwrap();
        let of = RunId::stored("aaaa0001");
        assert_eq!((work.job.as_str(), &work.task), ("managers", &Task::Undo { of, apply: true }));
        let order = work.order("ana");
        assert_eq!((order.trigger, order.caller.as_str(), order.moment), (Trigger::Undo, "ana", None));
        assert!(matches!(Work::of(&undo("b"), history).await, Err(Refusal::Nothing { what: "run", .. })));
        let approve = RunRequest::Approve { plan: "p1".to_owned(), max_age: jiff::SignedDuration::ZERO };
        assert!(matches!(Work::of(&approve, history).await, Err(Refusal::Nothing { what: "plan", .. })));
        let run = RunRequest::Run { job: "managers".to_owned() };
        let work = Work::of(&run, async || Err(HistoryError::Absent.into())).await.unwrap();
        assert_eq!(work, Work::new("managers", Task::Run, Trigger::Manual));
    }
}
