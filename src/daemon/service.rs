//! What the serve loop keeps between two events, and what each event does to it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::catch_up::Cause;
use super::desk::{About, NextRun, Refusal, Work};
use super::ledger::{Ledger, Rows};
use super::plan::disposition;
use super::reread::{Rereading, panic_message};
use super::scheduler::{STALLED, Scheduler};
use super::systemd::{ServiceManager, Watchdog, status, stopping};
use super::track::Fired;
use super::{Ended, Firing, Reloaded};
use crate::clock::Clock;
use crate::domain::moment::Disposition;

/// What is left to the runs after a first SIGTERM: they finish the call in hand and journal it. The service promises to be
/// gone within ten seconds: 8.5 for the runs, 0.5 for [`LAST_WORDS`], 0.7 for connections to the control socket to close,
/// and 0.3 to spare.
const GRACE: Duration = Duration::from_millis(8500);

/// What the ledger is given to write its last rows.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What the ledger is given to write what is told, before the configuration is read again.
const SETTLE: Duration = Duration::from_secs(1);

/// Why the configuration is not read, as it is told.
const NOT_YET: &str = "it is read as soon as the database takes what was recorded before";

/// Carries a run out.
pub(super) type Run = Arc<dyn Fn(Firing) -> BoxFuture<'static, Ended> + Send + Sync>;

/// Reads the configuration again.
pub(super) type Reload = Arc<dyn Fn() -> BoxFuture<'static, Reloaded> + Send + Sync>;

/// A run that is going on.
struct Open {
    job: Arc<str>,
    begun: Instant,
    why: Why,
}

/// Why a run was begun.
enum Why {
    Moment {
        planned_at: Timestamp,
        disposition: Disposition,
        missed: Option<Cause>,
    },
    /// Somebody asked for it, and is told when it is over.
    Asked(oneshot::Sender<()>),
}

impl Open {
    fn is_moment(&self) -> bool {
        matches!(self.why, Why::Moment { .. })
    }

    fn makes_up(&self) -> bool {
        matches!(self.why, Why::Moment { missed: Some(_), .. })
    }

    /// What keeps another run of the job from beginning.
    fn described(&self) -> String {
        match &self.why {
            Why::Moment { planned_at, .. } => format!("the run of {planned_at} was still going on"),
            Why::Asked(_) => "a run that was asked for was still going on".to_owned(),
        }
    }
}

/// What becomes of a moment that comes while its job may be busy.
#[derive(Debug, PartialEq, Eq)]
enum Meeting {
    Begin,
    /// Behind the run that is going on.
    Wait,
    Overlap,
}

/// A moment that is made up for waits its turn. A regular one waits behind those, so that no occurrence eats another, and
/// only one does: a job that is always behind would otherwise never catch up.
fn meet(fired: &Fired, running: Option<&Open>, waiting: &VecDeque<Fired>) -> Meeting {
    let Some(running) = running else { return Meeting::Begin };
    let behind_made_up = running.makes_up() || waiting.iter().any(|fired| fired.missed.is_some());
    let is_first = waiting.iter().all(|fired| fired.missed.is_some());
    if fired.missed.is_some() || (behind_made_up && is_first) { Meeting::Wait } else { Meeting::Overlap }
}

pub(super) struct Service {
    run: Run,
    reload: Reload,
    clock: Arc<dyn Clock>,
    ledger: Ledger,
    scheduler: Scheduler,
    manager: ServiceManager,
    watchdog: Watchdog,
    /// When the trigger was last known to be alive.
    heard: Instant,
    since: Timestamp,
    /// The runs, as tasks; `open` says which is whose. Work that somebody asked for ends with nothing to record, and so does
    /// a moment whose run a stop came before.
    pub(super) runs: JoinSet<Option<Ended>>,
    open: HashMap<Id, Open>,
    /// Moments that wait for a run of their job to end, oldest first.
    waiting: HashMap<Arc<str>, VecDeque<Fired>>,
    stop: CancellationToken,
    pub(super) grace: Duration,
    pub(super) rereading: Rereading,
    refused: Option<Refusal>,
    concerns: BTreeMap<&'static str, String>,
}

impl Service {
    pub(super) fn new(run: Run, reload: Reload, clock: Arc<dyn Clock>, ledger: Ledger, scheduler: Scheduler) -> Self {
        Self {
            run,
            reload,
            since: clock.now(),
            clock,
            ledger,
            scheduler,
            manager: ServiceManager::default(),
            watchdog: Watchdog::new(),
            heard: Instant::now(),
            runs: JoinSet::new(),
            open: HashMap::new(),
            waiting: HashMap::new(),
            stop: CancellationToken::new(),
            grace: GRACE,
            rereading: Rereading::default(),
            refused: None,
            concerns: BTreeMap::new(),
        }
    }

    pub(super) fn ready(&mut self) {
        let status = self.status();
        info!("serving; {status}");
        self.manager.ready(status);
    }

    /// Starts the run of a moment that has come, or notes why there is none.
    pub(super) fn begin(&mut self, fired: Fired) {
        let Fired { job, tick, .. } = &fired;
        let planned_at = tick.planned_at;
        if !self.scheduler.knows(job) {
            return self.ledger.tell(Rows::taken_out(job, vec![planned_at]));
        }
        if let Some(why) = self.scheduler.paused(job) {
            return self.ledger.tell(Rows::one(job, planned_at, Disposition::Paused, Some(why)));
        }
        // A run that was asked for can go on beside the one of a moment, which says more of what waits behind it.
        let running = self.open.values().filter(|open| open.job == *job).max_by_key(|open| open.is_moment());
        let waiting = self.waiting.entry(Arc::clone(job)).or_default();
        match meet(&fired, running, waiting) {
            Meeting::Begin => self.spawn(fired),
            Meeting::Wait => {
                if fired.missed.is_none() {
                    // Told at once: after a kill, the ledger alone knows that it was not run.
                    let reason = running.map(Open::described);
                    self.ledger.tell(Rows::one(job, planned_at, Disposition::Late, reason));
                }
                waiting.push_back(fired);
            }
            Meeting::Overlap => {
                let reason = running.map(Open::described).unwrap_or_default();
                warn!(%job, %planned_at, "{job} was not run: {reason}");
                self.ledger.tell(Rows::one(job, planned_at, Disposition::Overlap, Some(reason)));
            }
        }
    }

    /// Begins the run of a moment once all that was told before is written, its own row included: it was told to have `ran`
    /// when it came due, and `caught_up` when it was ruled over. A run writes its moment itself: were older moments still to
    /// be written by then, a kill would lose them, as the next start counts from the newest row. So the run waits however
    /// long the database takes no rows, unless a stop comes first: it is not begun then, and its moment, without a run, is
    /// found by the next start. The job counts as running all the while.
    fn spawn(&mut self, Fired { job, tick, missed }: Fired) {
        let planned_at = tick.planned_at;
        let disposition = match missed {
            Some(_) => Disposition::CaughtUp,
            None => disposition(tick.due, self.clock.now()),
        };
        debug!(%job, %planned_at, %disposition, "the moment of {job} has come");
        if disposition == Disposition::Late {
            self.ledger.tell(Rows::one(&job, planned_at, disposition, None));
        }
        let (run, stop, written) = (Arc::clone(&self.run), self.stop.clone(), self.ledger.written());
        let firing = Firing { job: job.to_string(), planned_at, disposition, stop: stop.clone() };
        let task = self.runs.spawn(async move {
            stop.run_until_cancelled(written).await?;
            Some(run(firing).await)
        });
        let why = Why::Moment { planned_at, disposition, missed };
        self.open.insert(task.id(), Open { job, begun: Instant::now(), why });
    }

    /// Starts what somebody asked for.
    pub(super) fn begin_asked(&mut self, job: &str, work: Work, done: oneshot::Sender<()>) {
        let stop = self.stop.clone();
        let task = self.runs.spawn(async move {
            work(stop).await;
            None
        });
        self.open.insert(task.id(), Open { job: job.into(), begun: Instant::now(), why: Why::Asked(done) });
    }

    /// Notes how a run ended, and begins what waited for it. A panic is the end of that run and of nothing else.
    pub(super) fn end(&mut self, joined: Result<(Id, Option<Ended>), JoinError>) {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Open { job, begun, why } = self.open.remove(&id).expect("every task was entered when it was spawned");
        match why {
            Why::Asked(done) => {
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            Why::Moment { planned_at, disposition, missed } => {
                let reason = missed.map(|cause| cause.to_string());
                let mut row = Rows::one(&job, planned_at, disposition, reason);
                match joined {
                    Ok((_, None)) => return debug!(%job, %planned_at, "{job} was not begun: the service is stopping"),
                    Ok((_, Some(ended))) => {
                        log_end(&row, &ended, begun);
                        if let Some((disposition, reason)) = ended.instead {
                            (row.disposition, row.reason) = (disposition, Some(reason));
                        }
                        row.run = ended.run;
                    }
                    Err(failure) => {
                        let reason = format!("the run panicked: {}", panic_message(failure));
                        error!(%job, %planned_at, "{job}: {reason}; its next moment comes");
                        row.reason = Some(reason);
                    }
                }
                self.ledger.tell(row);
            }
        }
        self.begin_waiting(&job);
    }

    /// Begins what waited for the job to be free, oldest first: the first that runs keeps the others waiting. None is taken
    /// up while another run of the job goes on, as it would fall behind those that came after it; one that is not run, as the
    /// job was paused or taken out meanwhile, makes way for the next.
    fn begin_waiting(&mut self, job: &Arc<str>) {
        while !self.stop.is_cancelled() && self.open.values().all(|open| open.job != *job) {
            let Some(next) = self.waiting.get_mut(job).and_then(VecDeque::pop_front) else { return };
            self.begin(next);
        }
    }

    /// The trigger is alive, and so is the loop that hears of it: the watchdog may know.
    pub(super) fn looked(&mut self) {
        self.heard = Instant::now();
        self.watchdog.feed();
    }

    /// When a trigger that is not heard of is said to hang.
    pub(super) fn silent_at(&self) -> Instant {
        self.heard + STALLED
    }

    pub(super) fn silent(&mut self) {
        error!("the scheduler hangs; the watchdog is not fed");
        self.heard = Instant::now(); // said again after as long
    }

    pub(super) fn pause(&mut self, job: String, why: Option<String>) {
        self.scheduler.pause(&job, why.clone());
        self.rereading.note(job, why);
    }

    /// A part of the program cannot do its work, or can again.
    pub(super) fn concern(&mut self, part: &'static str, what: Option<String>) {
        match what {
            Some(what) => self.concerns.insert(part, what),
            None => self.concerns.remove(part),
        };
    }

    /// Has the configuration read again, and once more if it is being read. A signal is answered to the service manager.
    pub(super) fn reload(&mut self, by_signal: bool) {
        if by_signal {
            ServiceManager::reloading();
            self.rereading.owed = true;
        }
        let (reload, ledger) = (Arc::clone(&self.reload), self.ledger.clone());
        self.rereading.begin(async move {
            // What is read depends on the rows and schedules that were told, and schedules that cannot be stored are none.
            if ledger.flush(SETTLE).await { Some(reload().await) } else { None }
        });
    }

    /// Goes on with what was read; none when the ledger could not be written before.
    pub(super) async fn take_over(&mut self, read: Option<Reloaded>) {
        let waits = read.is_none();
        self.refused = match read {
            Some(Reloaded::Unchanged) => None,
            Some(Reloaded::Now(entries, store)) => {
                if let Err(problem) = self.scheduler.reload(entries, store).await {
                    error!(error = &problem as &dyn std::error::Error, "a new job is not fired");
                }
                None
            }
            Some(Reloaded::Refused(reason)) => Some(self.refusal(reason)),
            None => {
                if self.refused.is_none() {
                    warn!("the configuration is not read yet: {NOT_YET}");
                }
                Some(self.refusal(NOT_YET.to_owned()))
            }
        };
        for (job, why) in std::mem::take(&mut self.rereading.pauses) {
            self.scheduler.pause(&job, why);
        }
        let again = std::mem::take(&mut self.rereading.again);
        if again || waits {
            self.reload(false);
        }
        if (waits || !again) && std::mem::take(&mut self.rereading.owed) {
            let status = self.status();
            self.manager.ready(status);
        }
    }

    /// A configuration is not taken, since now if the one before it was.
    fn refusal(&mut self, reason: String) -> Refusal {
        let since = self.refused.take().map_or_else(|| self.clock.now(), |refused| refused.since);
        Refusal { reason, since }
    }

    pub(super) fn tell_status(&mut self) {
        let status = self.status();
        self.manager.status(status);
    }

    fn status(&self) -> String {
        let refused = self.refused.as_ref().map(|refused| refused.reason.as_str());
        status(self.scheduler.next().as_ref(), &self.running(), refused, self.concerns.values())
    }

    pub(super) fn about(&self) -> About {
        About {
            since: Some(self.since),
            next: self.scheduler.next().map(|next| NextRun { job: next.job.to_string(), due: next.due }),
            due: self.scheduler.due(),
            running: self.running().iter().map(ToString::to_string).collect(),
            refused: self.refused.clone(),
            unwritten: self.ledger.unwritten(),
            concerns: self.concerns.clone(),
            stopping: self.stop.is_cancelled(),
        }
    }

    /// Jobs with a run going on, in the order of their names.
    pub(super) fn running(&self) -> Vec<Arc<str>> {
        let mut jobs: Vec<Arc<str>> = self.open.values().map(|open| Arc::clone(&open.job)).collect();
        jobs.sort();
        jobs.dedup();
        jobs
    }

    /// Fires nothing any more and asks the runs to end.
    pub(super) fn leave(&mut self) {
        self.manager.stopping(stopping(&self.running()));
        info!(running = self.open.len(), "stopping: runs finish the call in hand");
        self.scheduler.close();
        self.stop.cancel();
        self.rereading.abort();
    }

    /// Ends what did not end by itself. False when the last rows of the ledger could not be written in time.
    pub(super) async fn cut_off(&mut self) -> bool {
        for Open { job, .. } in self.open.values() {
            warn!(%job, "{job} is cut off; its next run settles what it left open");
        }
        self.runs.abort_all();
        self.open.clear();
        self.scheduler.stop().await;
        self.ledger.flush(LAST_WORDS).await
    }
}

/// The run itself has told how it ended, with the level that its outcome deserves.
fn log_end(row: &Rows, ended: &Ended, begun: Instant) {
    let Rows { job, moments, .. } = row;
    let (outcome, run) = (ended.outcome, ended.run.as_ref().map(tracing::field::display));
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    debug!(%job, run.id = run, ?moments, %outcome, duration_ms, "the moment of {job} is over: {outcome}");
}
