//! The serve loop: one task that receives moments, ends of runs, signals and the watchdog's beat, and waits for nothing
//! else, so that none of them can hold up the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::desk::{About, Asked, DeskEnd, NextRun, Refusal};
use super::ledger::Ledger;
use super::plan::{Entry, disposition};
use super::scheduler::{Fired, Scheduler};
use super::systemd::{self, ServiceManager, beat_every, status};
use super::{DaemonError, Ended, ExitReason, Firing, Hooks, Reloaded, Signal};
use crate::clock::Clock;
use crate::domain::moment::{Disposition, Moment};

/// How many moments may wait for the loop. It takes microseconds for each, so that a full queue means that it hangs.
const QUEUE: usize = 1024;

/// What is left to the runs after a first SIGTERM: they finish the call in hand and journal it. Together with
/// [`LAST_WORDS`] below the ten seconds within which the service promises to be gone.
const GRACE: Duration = Duration::from_secs(9);

/// What the ledger is given to write its last rows.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A trigger that has not looked for this long hangs (it looks twice a second), and the watchdog is no longer fed.
const STALLED: Duration = Duration::from_secs(10);

/// Fires `entries` at their moments until `signals` brings [`Signal::Stop`].
///
/// Every run is a task of its own; while one of a job is going on, further moments of that job are recorded as `overlap`.
/// The first stop raises [`Firing::stop`] and waits for the runs, at most ten seconds; a second one drops them.
///
/// # Errors
///
/// [`DaemonError::Scheduler`] when the trigger does not start. Once it has, nothing that a job does ends the service.
pub async fn serve<R, RunFuture, L, RecordFuture, N, ReloadFuture>(
    entries: Vec<Entry>,
    hooks: Hooks<R, L, N>,
    clock: Arc<dyn Clock>,
    mut signals: mpsc::Receiver<Signal>,
    mut desk: DeskEnd,
) -> Result<ExitReason, DaemonError>
where
    R: Fn(Firing) -> RunFuture + Send + Sync + 'static,
    RunFuture: Future<Output = Ended> + Send + 'static,
    L: Fn(Vec<Moment>) -> RecordFuture + Send + Sync + 'static,
    RecordFuture: Future<Output = Result<(), String>> + Send + 'static,
    N: Fn() -> ReloadFuture + Send + Sync + 'static,
    ReloadFuture: Future<Output = Reloaded> + Send + 'static,
{
    let ledger = Ledger::open(hooks.record);
    let (fire, mut fired) = mpsc::channel(QUEUE);
    let scheduler = {
        let ledger = ledger.clone();
        Scheduler::start(entries, Arc::clone(&clock), fire, move |fired| refuse(&ledger, &fired)).await?
    };
    let mut service = Service::new(hooks.run, clock, ledger, scheduler);
    let mut beat = beat();
    service.ready();
    desk.about.send_replace(service.about());
    loop {
        tokio::select! {
            biased; // a run that has ended is noted before the next moment of its job is looked at
            Some(signal) = signals.recv() => match signal {
                Signal::Stop => break,
                Signal::Reload => service.reloaded((hooks.reload)().await),
            },
            Some(asked) = desk.asked.recv() => match asked {
                Asked::Run { job, work, done } => service.begin_asked(&job, work(service.stop.clone()), done),
                Asked::Pause { job, why } => service.pause(job, why),
                Asked::Reload => service.reloaded((hooks.reload)().await),
            },
            () = next_beat(&mut beat) => service.beat(),
            Some(joined) = service.runs.join_next_with_id() => service.end(joined),
            Some(fired) = fired.recv() => service.begin(fired),
        }
        service.tell_status();
        desk.about.send_replace(service.about());
    }
    desk.asked.close();
    Ok(service.drain(&mut signals, &mut beat).await)
}

/// Records a moment that found the queue full.
fn refuse(ledger: &Ledger, fired: &Fired) {
    error!(job = %fired.job, planned_at = %fired.tick.planned_at, "{} was not run: the queue of moments is full", fired.job);
    ledger.tell(moment(&fired.job, fired.tick.planned_at, Disposition::QueueFull));
}

fn moment(job: &str, planned_at: Timestamp, disposition: Disposition) -> Moment {
    Moment { job: job.to_owned(), planned_at, disposition, run: None, reason: None }
}

/// The watchdog's rhythm, if there is a watchdog.
fn beat() -> Option<Interval> {
    beat_every().map(|every| {
        let mut interval = tokio::time::interval(every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    })
}

async fn next_beat(beat: &mut Option<Interval>) {
    match beat {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Waits for another [`Signal::Stop`]; for ever when nobody can send one.
async fn second_stop(signals: &mut mpsc::Receiver<Signal>) {
    loop {
        match signals.recv().await {
            Some(Signal::Stop) => return,
            Some(Signal::Reload) => {}
            None => std::future::pending().await,
        }
    }
}

/// A run that is going on.
struct Open {
    job: Arc<str>,
    planned_at: Timestamp,
    disposition: Disposition,
    begun: Instant,
    /// Told when it is over, where somebody asked for it; such a run is of no moment.
    asked: Option<oneshot::Sender<()>>,
}

/// What the loop keeps between two events.
struct Service<R> {
    run: Arc<R>,
    clock: Arc<dyn Clock>,
    ledger: Ledger,
    scheduler: Scheduler,
    manager: ServiceManager,
    /// The runs, as tasks; `open` says which is whose.
    runs: JoinSet<Option<Ended>>,
    open: HashMap<Id, Open>,
    stop: CancellationToken,
    grace: Duration,
    since: Timestamp,
    paused: HashMap<Arc<str>, String>,
    refused: Option<Refusal>,
}

impl<R, RunFuture> Service<R>
where
    R: Fn(Firing) -> RunFuture + Send + Sync + 'static,
    RunFuture: Future<Output = Ended> + Send + 'static,
{
    fn new(run: R, clock: Arc<dyn Clock>, ledger: Ledger, scheduler: Scheduler) -> Self {
        Self {
            run: Arc::new(run),
            since: clock.now(),
            paused: HashMap::new(),
            refused: None,
            clock,
            ledger,
            scheduler,
            manager: ServiceManager::default(),
            runs: JoinSet::new(),
            open: HashMap::new(),
            stop: CancellationToken::new(),
            grace: GRACE,
        }
    }

    fn ready(&mut self) {
        let status = self.status();
        info!("serving; {status}");
        self.manager.ready(status);
    }

    /// Starts the run of a moment that has come, or notes why there is none.
    fn begin(&mut self, Fired { job, tick }: Fired) {
        let running = self.open.values().find(|open| open.job == job);
        let disposition = disposition(tick.due, self.clock.now(), running.is_some());
        let mut told = moment(&job, tick.planned_at, disposition);
        if let Some(why) = self.paused.get(&job) {
            told = Moment { disposition: Disposition::Paused, reason: Some(why.clone()), ..told };
            return self.ledger.tell(told);
        }
        if let Some(running) = running {
            let reason = format!("the run of {} was still going on", running.planned_at);
            warn!(%job, planned_at = %tick.planned_at, "{job} was not run: {reason}");
            told.reason = Some(reason);
            return self.ledger.tell(told);
        }
        debug!(%job, planned_at = %tick.planned_at, %disposition, "the moment of {job} has come");
        self.ledger.tell(told);
        let (run, stop) = (Arc::clone(&self.run), self.stop.clone());
        let firing = Firing { job: job.to_string(), planned_at: tick.planned_at, disposition, stop };
        let task = self.runs.spawn(async move { Some(run(firing).await) });
        let open = Open { job, planned_at: tick.planned_at, disposition, begun: Instant::now(), asked: None };
        self.open.insert(task.id(), open);
    }

    /// Starts what somebody asked for.
    fn begin_asked(&mut self, job: &str, work: impl Future<Output = ()> + Send + 'static, done: oneshot::Sender<()>) {
        let task = self.runs.spawn(async move {
            work.await;
            None
        });
        let (planned_at, begun) = (self.clock.now(), Instant::now());
        let open = Open { job: job.into(), planned_at, disposition: Disposition::Ran, begun, asked: Some(done) };
        self.open.insert(task.id(), open);
    }

    fn pause(&mut self, job: String, why: Option<String>) {
        match why {
            Some(why) => self.paused.insert(job.into(), why),
            None => self.paused.remove(job.as_str()),
        };
    }

    fn reloaded(&mut self, reloaded: Reloaded) {
        self.refused = match reloaded {
            Reloaded::Unchanged | Reloaded::Now(_) => None,
            Reloaded::Refused(reason) => {
                let since = self.refused.take().map_or_else(|| self.clock.now(), |refused| refused.since);
                Some(Refusal { reason, since })
            }
        };
    }

    fn about(&self) -> About {
        About {
            since: Some(self.since),
            next: self.scheduler.next().map(|next| NextRun { job: next.job.to_string(), due: next.due }),
            running: self.running().iter().map(ToString::to_string).collect(),
            refused: self.refused.clone(),
            unwritten: 0,
        }
    }

    /// Notes how a run ended. A panic is the end of that run and of nothing else.
    fn end(&mut self, joined: Result<(Id, Option<Ended>), JoinError>) {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let mut open = self.open.remove(&id).expect("every task was entered when it was spawned");
        if let Some(asked) = open.asked.take() {
            // Whoever asked may have gone.
            let _ = asked.send(());
            return;
        }
        let mut told = moment(&open.job, open.planned_at, open.disposition);
        match joined {
            Ok((_, None)) => {}
            Ok((_, Some(ended))) => {
                log_end(&open, &ended);
                if let Some((disposition, reason)) = ended.instead {
                    (told.disposition, told.reason) = (disposition, Some(reason));
                }
                told.run = ended.run;
            }
            Err(failure) => {
                let reason = format!("the run panicked: {}", panic_message(failure));
                error!(job = %open.job, planned_at = %open.planned_at, "{}: {reason}; its next moment comes", open.job);
                told.reason = Some(reason);
            }
        }
        self.ledger.tell(told);
    }

    /// Feeds the watchdog, as long as the trigger is alive too.
    fn beat(&self) {
        let silent = self.scheduler.silent_for();
        if silent < STALLED {
            systemd::beat();
        } else {
            error!(silent_s = silent.as_secs(), "the scheduler hangs; the watchdog is not fed");
        }
    }

    fn tell_status(&mut self) {
        let status = self.status();
        self.manager.status(status);
    }

    fn status(&self) -> String {
        status(self.scheduler.next().as_ref(), &self.running())
    }

    /// Jobs with a run going on, in the order of their names.
    fn running(&self) -> Vec<Arc<str>> {
        let mut jobs: Vec<Arc<str>> = self.open.values().map(|open| Arc::clone(&open.job)).collect();
        jobs.sort();
        jobs
    }

    /// Lets the runs end, within the grace or until a second stop. Moments that still wait are not taken up: they have
    /// no row in the ledger, and the next start finds them missed.
    async fn drain(mut self, signals: &mut mpsc::Receiver<Signal>, beat: &mut Option<Interval>) -> ExitReason {
        let deadline = Instant::now() + self.grace;
        self.manager.stopping(systemd::stopping(&self.running()));
        info!(running = self.open.len(), "stopping: runs finish the call in hand");
        self.scheduler.stop().await;
        self.stop.cancel();
        let reason = loop {
            tokio::select! {
                joined = self.runs.join_next_with_id() => match joined {
                    Some(joined) => self.end(joined),
                    None => break ExitReason::Drained,
                },
                () = second_stop(signals) => break ExitReason::Aborted { running: self.open.len() },
                () = tokio::time::sleep_until(deadline) => break ExitReason::GraceOver { running: self.open.len() },
                () = next_beat(beat) => systemd::beat(), // the trigger is silent on purpose
            }
        };
        for open in self.open.values() {
            warn!(job = %open.job, planned_at = %open.planned_at, "{} is cut off; its next run settles what it left open", open.job);
        }
        self.runs.abort_all();
        if !self.ledger.flush(LAST_WORDS).await {
            warn!("the last scheduled moments were not recorded in time");
        }
        info!("stopped: {reason}");
        reason
    }
}

/// The run itself has told how it ended, with the level that its outcome deserves.
fn log_end(open: &Open, ended: &Ended) {
    let Open { job, planned_at, begun, .. } = open;
    let (outcome, run) = (ended.outcome, ended.run.as_ref().map(tracing::field::display));
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    debug!(%job, run.id = run, %planned_at, %outcome, duration_ms, "the moment of {job} is over: {outcome}");
}

/// What a panic said, as far as it was text.
fn panic_message(failure: JoinError) -> String {
    let Ok(payload) = failure.try_into_panic() else { return "the task was cancelled".to_owned() };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => {
            payload.downcast_ref::<&str>().map_or_else(|| "no message".to_owned(), |text| (*text).to_owned())
        }
    }
}

#[cfg(test)]
mod tests;
