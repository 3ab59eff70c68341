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
use crate::history::error::HistoryError;
use crate::history::runs::{Closing, NewRun};
use crate::http::calls::{CALLS, Call, CallLog};
use crate::jobs::error::JobError;
use crate::jobs::lock::{Holder, JobLock, LockError};
use crate::jobs::progress::Progress;
use crate::jobs::report::{Finish, Report};
use crate::jobs::{Job, Task};

/// Runs jobs, one at a time each.
#[derive(Clone)]
pub struct Runner {
    history: History,
    clock: Arc<dyn Clock>,
    state: std::path::PathBuf,
    config_fingerprint: String,
    host: String,
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
    pub fn new(history: History, clock: Arc<dyn Clock>, state: std::path::PathBuf, config_fingerprint: String) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned());
        Self { history, clock, state, config_fingerprint, host }
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
        let holder = Holder { pid: std::process::id(), caller: order.caller.clone(), run: run.to_string() };
        let finish = match JobLock::take(&self.state, &job.name, &holder) {
            Ok(lock) => {
                progress.begin(&run);
                let finish = self.locked(&run, job, &order, stop, progress, started).await;
                drop(lock);
                finish
            }
            Err(error @ LockError::Held { .. }) => Finish::busy(&error),
            Err(error) => Finish::failed(
                "state_unusable",
                &error,
                Some("the state directory must be writable for the user that runs graphkeeper"),
            ),
        };
        let finish = finish.naming(&run);
        let took = duration(started, self.clock.now());
        log(&finish, took, order.trigger);
        Report { run, job: job.name.clone(), kind: job.kind(), trigger: order.trigger, started, took, finish }
    }

    /// The run, once nobody else can have the job.
    async fn locked(
        &self,
        run: &RunId,
        job: &Arc<Job>,
        order: &Order,
        stop: CancellationToken,
        progress: Progress,
        started: Timestamp,
    ) -> Finish {
        if let Err(error) = self.open(run, job, order, started).await {
            return match error {
                HistoryError::Busy(_) => Finish::busy(&error),
                error => Finish::from_history(&error),
            };
        }
        info!(trigger = %order.trigger, "run {run} of {} begins", job.name);
        let context = Context {
            run: run.clone(),
            job: job.name.clone(),
            caller: order.caller.clone(),
            history: self.history.clone(),
            clock: Arc::clone(&self.clock),
            stop: stop.child_token(), // a run whose time is up stops itself, not its siblings
            progress,
        };
        let calls = CallLog::default();
        let mut finish = guarded(Arc::clone(job), order.task.clone(), context, calls.clone()).await.naming(run);
        if let Err(error) = self.close(run, job, &finish, &calls.take()).await {
            error!(error = &error as &dyn std::error::Error, "the end of run {run} could not be recorded");
            finish = finish.unrecorded(&error);
        }
        finish
    }

    /// Opens the row. Rows that an earlier process left open are closed first: nobody holds the job but us.
    async fn open(&self, run: &RunId, job: &Job, order: &Order, started: Timestamp) -> Result<(), HistoryError> {
        for lost in self.history.interrupt_open_runs(&job.name, started).await? {
            warn!("run {lost} of {} was cut off and is recorded as interrupted", job.name);
        }
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
                moment: order.moment,
            })
            .await
    }

    async fn close(&self, run: &RunId, job: &Job, finish: &Finish, calls: &[Call]) -> Result<(), HistoryError> {
        // The end is recorded even when the calls cannot be.
        let kept =
            if job.keeps_calls() { self.history.record_calls(run, &finish.call_rows(calls)).await } else { Ok(()) };
        self.history
            .close_run(&Closing {
                run: run.clone(),
                ended_at: self.clock.now(),
                outcome: finish.outcome,
                reason: finish.reason.clone(),
                message: Some(finish.message.clone()),
                hint: finish.hint.clone(),
                tally: Some(finish.tally(calls)),
                unresolved: finish.unresolved,
            })
            .await
            .and(kept)
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

/// Says how a run ended, once, for the log. Whoever typed a command reads the report, and needs no log line for it.
fn log(finish: &Finish, took: Duration, trigger: Trigger) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let Finish { outcome, reason, message, hint, .. } = finish;
    let watched = !matches!(trigger, Trigger::Schedule | Trigger::Startup);
    match outcome {
        _ if watched => info!(%outcome, duration_ms, reason, "{message}"),
        Outcome::Succeeded | Outcome::Planned => info!(%outcome, duration_ms, "{message}"),
        Outcome::Busy | Outcome::Interrupted | Outcome::Partial => {
            warn!(%outcome, duration_ms, reason, hint, "{message}");
        }
        _ => error!(%outcome, duration_ms, reason, hint, "{message}"),
    }
}
