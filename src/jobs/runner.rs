//! One path for every run: take the job, open the row, work inside the time limit, close the row.
//!
//! A schedule, a command at the terminal and a run at startup all come through [`Runner::run`]. Whatever happens inside,
//! a panic included, ends as an [`Outcome`] with a reason, and as a row in history where that can be written.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span, warn};

use crate::clock::Clock;
use crate::domain::moment::Disposition;
use crate::domain::run::{Outcome, RunId, Trigger};
use crate::history::History;
use crate::history::ends::End;
use crate::history::error::HistoryError;
use crate::history::runs::{Closing, NewRun};
use crate::http::calls::{CALLS, Call, CallLog};
use crate::jobs::error::{JobError, chain};
use crate::jobs::lock::{Holder, JobLock, LockError};
use crate::jobs::meter::Meter;
use crate::jobs::progress::Progress;
use crate::jobs::report::{Finish, Report};
use crate::jobs::told::Found;
use crate::jobs::{Job, Task};
use crate::notices::Notices;

/// Runs jobs, one at a time each.
#[derive(Clone)]
pub struct Runner {
    notices: Notices,
    history: History,
    clock: Arc<dyn Clock>,
    state: std::path::PathBuf,
    config_fingerprint: String,
    host: String,
    meter: Arc<Meter>,
}

/// Why and for whom a run begins.
#[derive(Clone, Debug)]
pub struct Order {
    pub trigger: Trigger,
    /// The person or service that asked: a user name, or `schedule`.
    pub caller: String,
    pub task: Task,
    /// The scheduled moment that it is the run of, and what became of that.
    pub moment: Option<(Timestamp, Disposition)>,
}

/// What work is handed: where to record, what time it is, whether to stop.
#[derive(Clone)]
pub struct Context {
    pub run: RunId,
    pub job: String,
    pub caller: String,
    pub history: History,
    pub clock: Arc<dyn Clock>,
    pub stop: CancellationToken,
    pub progress: Progress,
    /// Somebody waits for it, who may just have mended what failed before.
    pub by_hand: bool,
    /// What the run finds that is worth telling beside its end.
    pub found: Found,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("run", &self.run).field("job", &self.job).finish_non_exhaustive()
    }
}

impl Context {
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Runner {
    #[must_use]
    pub fn new(
        notices: Notices,
        (history, clock): (History, Arc<dyn Clock>),
        state: std::path::PathBuf,
        config_fingerprint: String,
        host: String,
    ) -> Self {
        let meter = Arc::new(Meter::new(clock.now()));
        Self { notices, history, clock, state, config_fingerprint, host, meter }
    }

    /// The same runner, which goes on counting where `other` counts.
    #[must_use]
    pub fn counting_with(mut self, other: &Self) -> Self {
        self.meter = Arc::clone(&other.meter);
        self
    }

    /// Where it counts what became of runs.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Runs `job` once, as `order` says, until it ends, its time is up or `stop` is raised.
    pub async fn run(&self, job: &Arc<Job>, order: Order, stop: CancellationToken, progress: Progress) -> Report {
        let run = RunId::from_bits(fastrand::u64(..));
        let span = info_span!("run", run.id = %run, job = %job.name);
        self.run_as(run, job, order, stop, progress).instrument(span).await
    }

    async fn run_as(
        &self,
        run: RunId,
        job: &Arc<Job>,
        order: Order,
        stop: CancellationToken,
        progress: Progress,
    ) -> Report {
        let started = self.clock.now();
        let (pid, since) = (std::process::id(), Some(started));
        let holder = Holder { pid, caller: order.caller.clone(), run: run.to_string(), since };
        let (begun, finish) = match JobLock::take(&self.state, &job.name, &holder) {
            Ok(mut lock) => {
                progress.begin(&run);
                match self.open(&run, job, &order, &mut lock, started).await {
                    Ok(()) => (true, self.opened(&run, job, &order, &mut lock, stop, progress).await),
                    Err(error @ HistoryError::Busy(_)) => (false, Finish::busy(&error)),
                    Err(error @ HistoryError::AlreadyRun { .. }) => (false, Finish::already_run(&error, error.hint())),
                    Err(error) => {
                        let what = format!("{} was not run: its run could not be recorded.", job.name);
                        self.notices.unwritten(Some(&job.name), &what, &error);
                        (false, Finish::from_history(&error))
                    }
                }
            }
            Err(error @ LockError::Held { .. }) => (false, Finish::busy(&error)),
            Err(error) => {
                let hint = "the state directory must be writable for the user that runs graphkeeper";
                let what = format!("{} was not run.", job.name);
                self.notices.unwritten_because(Some(&job.name), &what, &chain(&error), Some(hint));
                (false, Finish::failed("state_unusable", &error, Some(hint)))
            }
        };
        let finish = finish.naming(&run);
        let took = duration(started, self.clock.now());
        let lasted = begun.then_some(took);
        self.meter.count(&self.history, (&run, job), &finish, lasted).await;
        log(&finish, took, order.trigger);
        Report { run, job: job.name.clone(), kind: job.kind(), trigger: order.trigger, started, took, begun, finish }
    }

    /// The run, once nobody else can have the job and its row is there.
    async fn opened(
        &self,
        run: &RunId,
        job: &Arc<Job>,
        order: &Order,
        lock: &mut JobLock,
        stop: CancellationToken,
        progress: Progress,
    ) -> Finish {
        info!(trigger = %order.trigger, "run {run} of {} begins", job.name);
        let context = Context {
            run: run.clone(),
            job: job.name.clone(),
            caller: order.caller.clone(),
            history: self.history.clone(),
            clock: Arc::clone(&self.clock),
            stop: stop.child_token(), // a run whose time is up stops itself, not its siblings
            progress,
            by_hand: is_by_hand(order.trigger),
            found: Found::default(),
        };
        let found = context.found.clone();
        let tells = order.task == Task::Run;
        if tells {
            self.notices.run_begins(&job.name, run).await;
        }
        let calls = CallLog::default();
        let mut finish = guarded(Arc::clone(job), order.task.clone(), context, calls.clone()).await.naming(run);
        let mut end = self.end(run, job, &finish, &calls.take());
        end.telling = tells.then(|| self.notices.of_run(finish.told(&job.name, run, found.take()))).flatten();
        // Before the history, which may be locked for long: killed meanwhile, the next run closes this one as it ended.
        keep_end(lock, Some(end.closing.clone()));
        match self.history.record_end(end).await {
            Ok(()) => {
                keep_end(lock, None);
                self.notices.written();
                self.notices.wake();
            }
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "the end of run {run} could not be recorded");
                let what = format!("Run {run} of {} ended {}: {}", job.name, finish.outcome, finish.message);
                self.notices.unwritten(Some(&job.name), &what, &error);
                self.record_later();
                finish = finish.unrecorded(&error);
            }
        }
        finish
    }

    /// Opens the row. Rows that earlier runs left open are closed first, with what is known of them: nobody holds the job but
    /// us.
    async fn open(
        &self,
        run: &RunId,
        job: &Job,
        order: &Order,
        lock: &mut JobLock,
        started: Timestamp,
    ) -> Result<(), HistoryError> {
        self.close_before(lock, started).await?;
        self.history
            .open_run(&NewRun {
                id: run.clone(),
                job: job.name.clone(),
                kind: job.kind(),
                trigger: order.trigger,
                caller: order.caller.clone(),
                config_fingerprint: self.config_fingerprint.clone(),
                started_at: started,
                pid: std::process::id(),
                host: self.host.clone(),
                for_one: matches!(order.task, Task::One(_)),
                moment: order.moment,
            })
            .await
    }

    /// Closes the rows that dead processes left open, of every job that nobody runs just now. The next run of a job would do
    /// it, too; that may be days away, or never come for a job that is not configured any more.
    ///
    /// # Errors
    ///
    /// The history cannot be read or written.
    pub async fn close_lost(&self, caller: &str) -> Result<(), HistoryError> {
        for job in self.history.jobs_with_open_runs().await? {
            let now = self.clock.now();
            let (pid, run) = (std::process::id(), "none".to_owned());
            let holder = Holder { pid, caller: caller.to_owned(), run, since: Some(now) };
            // Held: that run goes on in another process.
            if let Ok(mut lock) = JobLock::take(&self.state, &job, &holder) {
                self.close_before(&mut lock, now).await?;
            }
        }
        Ok(())
    }

    /// Closes what earlier runs of a job left open, with what is known of them.
    async fn close_before(&self, lock: &mut JobLock, now: Timestamp) -> Result<(), HistoryError> {
        self.settle(lock).await?;
        for lost in self.history.interrupt_open_runs(lock.job(), now).await? {
            warn!("run {lost} of {} was cut off and is recorded as interrupted", lock.job());
            self.notices.run_was_closed(&lost).await;
        }
        Ok(())
    }

    /// Writes the ends that could not be written before: those of this process, and what the job's lock file kept.
    async fn settle(&self, lock: &mut JobLock) -> Result<(), HistoryError> {
        say_settled(&self.history.settle_ends().await?);
        let Some(end) = lock.end() else { return Ok(()) };
        let telling = self.notices.of_kept(lock.job(), end).await;
        match self.history.close_run_telling(end, telling.as_ref()).await {
            Ok(()) => {
                say_settled(std::slice::from_ref(&end.run));
                self.notices.wake();
            }
            // Written by the process that kept it, or of another history.
            Err(HistoryError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        keep_end(lock, None);
        Ok(())
    }

    /// Sees to it that the ends of runs are recorded as soon as the history takes them again. What this process does not
    /// live to see is left to the job's next run, by its lock file.
    fn record_later(&self) {
        let (history, notices) = (self.history.clone(), self.notices.clone());
        tokio::spawn(async move {
            let mut wait = RETRY_FIRST;
            while history.owes_ends() {
                tokio::time::sleep(wait).await;
                wait = RETRY_LAST.min(wait * 2);
                if let Ok(settled) = history.settle_ends().await {
                    say_settled(&settled);
                    notices.written();
                    notices.wake();
                }
            }
        });
    }

    /// Closes the rows of runs that go on while the process leaves, with what is known. For the very end: nothing that could
    /// not be written before is waited for long.
    pub async fn leave(&self) {
        // In this order: an end that is known is not called cut off.
        let closing = async {
            say_settled(&self.history.settle_ends().await?);
            let now = self.clock.now();
            let cut_off = self.history.interrupt_runs_of_process((std::process::id(), &self.host), now).await?;
            for run in &cut_off {
                self.notices.run_was_closed(run).await;
            }
            Ok::<_, HistoryError>(cut_off)
        };
        match tokio::time::timeout(LAST_WORDS, closing).await {
            Ok(Ok(cut_off)) => {
                for run in &cut_off {
                    warn!("run {run} was cut off and is recorded as interrupted");
                }
            }
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                warn!(error, "runs that were cut off are recorded by the next run of their job");
            }
            Err(_) => {
                warn!(
                    "the history could not be written in time; the next run of each job records how the last one ended"
                );
            }
        }
    }

    fn end(&self, run: &RunId, job: &Job, finish: &Finish, calls: &[Call]) -> End {
        let closing = Closing {
            run: run.clone(),
            ended_at: self.clock.now(),
            outcome: finish.outcome,
            reason: finish.reason.clone(),
            message: Some(finish.message.clone()),
            hint: finish.hint.clone(),
            tally: Some(finish.tally(calls)),
            unresolved: finish.unresolved,
        };
        let calls = if job.keeps_calls() { finish.call_rows(calls) } else { Vec::new() };
        End { closing, calls, watched: finish.watched(&job.name), telling: None }
    }
}

/// The machine's name.
#[must_use]
pub fn host() -> String {
    // The unit leaves the service nothing of /proc but processes; there it is the name that the machine starts with.
    let host =
        ["/proc/sys/kernel/hostname", "/etc/hostname"].into_iter().find_map(|file| std::fs::read_to_string(file).ok());
    host.map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// How long to wait before the end of a run is tried to be recorded again: at first, doubling, and at most.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_mins(1);

/// What a process that leaves gives the history to take its last rows. Part of the ten seconds in which a service is gone.
const LAST_WORDS: Duration = Duration::from_millis(300);

fn say_settled(runs: &[RunId]) {
    for run in runs {
        info!("the end of run {run}, which could not be recorded at the time, is recorded now");
    }
}

/// Keeps the end of a run in the job's lock file, or forgets the one that is there.
fn keep_end(lock: &mut JobLock, end: Option<Closing>) {
    if let Err(error) = lock.keep_end(end) {
        warn!(error = &error as &dyn std::error::Error, "the lock file of {} cannot be written", lock.job());
    }
}

/// Does the work in a task of its own, so that a panic is a failed run and not a dead daemon.
async fn guarded(job: Arc<Job>, task: Task, context: Context, calls: CallLog) -> Finish {
    let limit = job.timeout;
    let stop = context.stop.clone();
    let work = CALLS.scope(calls, async move { job.work(task, context).await });
    let mut handle = tokio::spawn(work.in_current_span());
    let _bound = EndWithMe(handle.abort_handle());
    match tokio::time::timeout(limit, &mut handle).await {
        Ok(Ok(finish)) => finish,
        Ok(Err(join)) => panicked(join),
        Err(_) => {
            stop.cancel();
            // The call in hand may end and be recorded; then the work sees the token.
            let ended = tokio::time::timeout(GRACE, &mut handle).await;
            handle.abort();
            let counted = match ended {
                Ok(Ok(finish)) => Some(finish),
                _ => None,
            };
            Finish::timed_out(limit, counted)
        }
    }
}

/// Waits for `reading`, or for the stop. Reading has no effect that must be finished.
pub(super) async fn unless_stopped<T>(
    stop: &CancellationToken,
    reading: BoxFuture<'_, Result<T, JobError>>,
) -> Result<T, JobError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(JobError::Stopped),
        read = reading => read,
    }
}

/// Ends a task when whoever waits for it goes away: nothing works on behind a lock that was given back.
struct EndWithMe(tokio::task::AbortHandle);

impl Drop for EndWithMe {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long work may take to notice that its time is up: one answer from a vendor, and its row.
const GRACE: Duration = Duration::from_secs(10);

fn panicked(join: tokio::task::JoinError) -> Finish {
    let text = match join.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned()),
        Err(_) => "the task was cancelled".to_owned(),
    };
    Finish {
        outcome: Outcome::Failed,
        reason: Some("panic".to_owned()),
        message: format!("a defect in graphkeeper ended the run: {text}"),
        hint: Some("please report it with the log around this run; the next schedule tries again".to_owned()),
        ..Finish::default()
    }
}

fn duration(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

/// Whether somebody asked for a run, and waits for it.
const fn is_by_hand(trigger: Trigger) -> bool {
    !matches!(trigger, Trigger::Schedule | Trigger::Startup)
}

/// Says how a run ended, once, for the log. Whoever typed a command reads the report, and needs no log line for it.
fn log(finish: &Finish, took: Duration, trigger: Trigger) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let Finish { outcome, reason, message, hint, .. } = finish;
    match outcome {
        _ if is_by_hand(trigger) => info!(%outcome, duration_ms, reason, "{message}"),
        Outcome::Succeeded | Outcome::Planned => info!(%outcome, duration_ms, "{message}"),
        Outcome::Busy | Outcome::Interrupted | Outcome::Partial => {
            warn!(%outcome, duration_ms, reason, hint, "{message}");
        }
        _ => error!(%outcome, duration_ms, reason, hint, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::history::testing::{Place, a_run};

    #[tokio::test]
    async fn runs_that_dead_processes_left_open_are_closed_and_those_that_go_on_are_not() {
        let place = Place::new().await;
        for job in ["managers", "licenses"] {
            let run = NewRun { job: job.to_owned(), ..a_run(job, Trigger::Schedule, 0) };
            place.history.open_run(&run).await.unwrap();
        }
        let holder = Holder { pid: 7, caller: "root".to_owned(), run: "managers".to_owned(), since: None };
        let state = place.directory.path().to_owned();
        let _goes_on = JobLock::take(&state, "managers", &holder).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let notices = Notices::silent(place.history.clone(), Arc::clone(&clock));
        let both = (place.history.clone(), clock);
        let runner = Runner::new(notices, both, state, "1".to_owned(), "host".to_owned());
        runner.close_lost("root").await.unwrap();
        assert_eq!(place.history.jobs_with_open_runs().await.unwrap(), ["managers"]);
        let lost = place.history.run(&RunId::stored("licenses")).await.unwrap().unwrap();
        assert_eq!(lost.outcome, Some(Outcome::Interrupted));
    }
}
