//! The only place that names `tokio-cron-scheduler`. It ticks twice a second and calls our closures; **we** decide when.
//!
//! Left to itself the crate runs zoned jobs an hour off after every clock change (its issue 107), reads a cron dialect of
//! its own, says nothing of the moment it meant, and loses runs when many are due at once. So it is handed our own
//! [`MetaDataStorage`]: each job carries a dummy pattern that is never asked, and the storage answers "due" or "not due"
//! from our plans. A closure only moves what is due into the serve loop's channel.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_cron_scheduler::job::job_data::{JobAndNextTick, JobStoredData, JobType};
use tokio_cron_scheduler::store::{DataStore, InitStore};
use tokio_cron_scheduler::{
    Job, JobScheduler, JobSchedulerError, MetaDataStorage, SimpleJobCode, SimpleNotificationCode,
    SimpleNotificationStore,
};
use tracing::error;
use uuid::Uuid;

use super::StoreSchedules;
use super::elapsed::Reading;
use super::ledger::{Ledger, Rows};
use super::plan::Entry;
use super::plans::{Differences, Plans};
use super::systemd::Next;
use super::track::Fired;
use crate::clock::Clock;
use crate::domain::moment::Disposition;

/// What the crate is told instead of a schedule; it wants one that parses.
const DUMMY: &str = "0 0 0 1 1 *";

/// The crate's internal channels. With the default of 200 it loses runs when more are due at once.
const CHANNELS: usize = 4096;

/// How the storage says "due": the crate compares whole seconds of the system clock, we compare instants of our own.
/// Zero would delete the job.
const DUE: u64 = 1;

/// How the storage says "not due": the last day of the year 9999, which the crate's date type still holds.
const NOT_DUE: u64 = 253_402_214_400;

/// A trigger that has not looked for this long hangs (it looks twice a second), and so does one that does not fetch what it
/// was told to be due (it does so with the look).
pub(super) const STALLED: Duration = Duration::from_secs(10);

/// What the crate is given to take or drop all jobs of a reload, as the serve loop waits for it. It takes microseconds.
const TAKEN: Duration = Duration::from_secs(3);

/// The trigger could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    #[error("the scheduler did not start")]
    Start(#[source] JobSchedulerError),
    #[error("job `{job}` could not be handed to the scheduler")]
    Add {
        job: String,
        #[source]
        source: JobSchedulerError,
    },
    #[error("job `{job}` was not taken by the scheduler in time; restart the service if it is not scheduled")]
    Hangs { job: String },
}

/// The one scheduler of the process: a second one would leak its tasks, as the crate cannot be torn down.
pub(super) struct Scheduler {
    trigger: JobScheduler,
    store: Store,
    channel: Arc<Channel>,
}

impl Scheduler {
    /// Plans every entry, rules over what was missed while the service was down, and starts to tick. Moments go to `fired`,
    /// rows that need no run to `ledger`; `looked` hears of every look while what is due is fetched.
    pub(super) async fn start(
        entries: Vec<Entry>,
        clock: Arc<dyn Clock>,
        fired: mpsc::Sender<Fired>,
        looked: mpsc::Sender<()>,
        ledger: Ledger,
    ) -> Result<Self, SchedulerError> {
        let store = Store::new(clock, looked, ledger.clone());
        let trigger = JobScheduler::new_with_storage_and_code(
            Box::new(store.clone()),
            Box::new(SimpleNotificationStore::default()),
            Box::new(SimpleJobCode::default()),
            Box::new(SimpleNotificationCode::default()),
            CHANNELS,
        )
        .await
        .map_err(SchedulerError::Start)?;
        let scheduler = Self { trigger, store, channel: Arc::new(Channel { fired, ledger }) };
        let mut jobs = Vec::new();
        let mut plans = Vec::new();
        for entry in entries {
            let (name, job) = scheduler.job(&entry)?;
            plans.push((job.guid(), entry));
            jobs.push((name, job));
        }
        // All at once, so that the runs that make up for an outage can be told to begin one after the other.
        scheduler.store.lock().plans.start(plans);
        for (name, job) in jobs {
            scheduler.hand_over(name, job).await?;
        }
        scheduler.trigger.start().await.map_err(SchedulerError::Start)?;
        Ok(scheduler)
    }

    /// A job of the crate that fetches what is due for `entry`.
    fn job(&self, entry: &Entry) -> Result<(String, Job), SchedulerError> {
        let (store, channel) = (self.store.clone(), Arc::clone(&self.channel));
        let job = Job::new_async(DUMMY, move |id, _| {
            let (store, channel) = (store.clone(), Arc::clone(&channel));
            Box::pin(async move { store.fetch(id).into_iter().for_each(|fired| channel.send(fired)) })
        });
        let job = job.map_err(|source| SchedulerError::Add { job: entry.job.clone(), source })?;
        Ok((entry.job.clone(), job))
    }

    /// Hands a job over that is planned, as the crate must never see one without a plan. One after the other: concurrent
    /// additions hang the crate for good.
    async fn hand_over(&self, name: String, job: Job) -> Result<(), SchedulerError> {
        self.trigger.add(job).await.map_err(|source| SchedulerError::Add { job: name, source })?;
        Ok(())
    }

    /// Fires `entries` from now on, and has their schedules stored. Jobs whose schedule and zone are as before keep their
    /// place. Takes [`TAKEN`] at most.
    ///
    /// # Errors
    ///
    /// The first of the problems with jobs that the crate does not take; those are not planned, and the others are fired all
    /// the same.
    pub(super) async fn reload(&self, entries: Vec<Entry>, store: StoreSchedules) -> Result<(), SchedulerError> {
        let until = Instant::now() + TAKEN;
        let now = Reading::of(self.store.clock.as_ref());
        let Differences { added, taken_out } = self.store.lock().plans.reload(entries, store, now);
        for id in taken_out {
            // The crate knows it, or never took it, or hangs; in any case it fires nothing without a plan.
            let _ = timeout_at(until, self.trigger.remove(&id)).await;
        }
        self.take_up(added, until, |name, job| self.hand_over(name, job)).await
    }

    /// Plans jobs that are new and has `hand_over` hand them to the crate, until then. What it did not take is not planned:
    /// it would come due and nobody would fetch it. Should the crate take it after all, it fires nothing without a plan.
    async fn take_up<F>(
        &self,
        added: Vec<Entry>,
        until: Instant,
        hand_over: impl Fn(String, Job) -> F,
    ) -> Result<(), SchedulerError>
    where
        F: Future<Output = Result<(), SchedulerError>>,
    {
        let mut result = Ok(());
        for entry in added {
            let taken = match self.job(&entry) {
                Ok((name, job)) => {
                    let (id, late) = (job.guid(), SchedulerError::Hangs { job: name.clone() });
                    self.store.lock().plans.add(id, entry);
                    let taken = timeout_at(until, hand_over(name, job)).await.unwrap_or(Err(late));
                    if taken.is_err() {
                        self.store.lock().plans.forget(id);
                    }
                    taken
                }
                Err(problem) => Err(problem),
            };
            result = result.and(taken);
        }
        result
    }

    /// Has a job paused for a reason, or none.
    pub(super) fn pause(&self, job: &str, why: Option<String>) {
        self.store.lock().plans.pause(job, why);
    }

    /// Whether a job is scheduled.
    pub(super) fn knows(&self, job: &str) -> bool {
        self.store.lock().plans.knows(job)
    }

    /// Why a job is paused, if it is.
    pub(super) fn paused(&self, job: &str) -> Option<String> {
        self.store.lock().plans.paused(job)
    }

    /// What is fired next, of all jobs.
    pub(super) fn next(&self) -> Option<Next> {
        self.store.lock().plans.next()
    }

    /// When each job comes next, but for those that are paused.
    pub(super) fn due(&self) -> BTreeMap<String, Timestamp> {
        self.store.lock().plans.due()
    }

    /// Fires and decides nothing any more; goes on to look, so that the watchdog is fed until the end.
    pub(super) fn close(&self) {
        self.store.lock().closed = true;
    }

    /// Looks no more.
    pub(super) async fn stop(&mut self) {
        self.close();
        // It cannot fail as we set no handler; and nothing fires from a closed store even if it did.
        let _ = self.trigger.shutdown().await;
    }
}

/// Where the closures put what is due.
struct Channel {
    fired: mpsc::Sender<Fired>,
    ledger: Ledger,
}

impl Channel {
    fn send(&self, fired: Fired) {
        match self.fired.try_send(fired) {
            // Closed: the service is leaving, and the moment, told and not begun, is made up for after the next start.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(Fired { job, tick, .. })) => {
                error!(%job, planned_at = %tick.planned_at, "{job} was not run: the queue of moments is full");
                self.ledger.tell(Rows::one(&job, tick.planned_at, Disposition::QueueFull, None));
            }
        }
    }
}

/// The plans of all jobs, and the crate's view of them. Clones share one store; the lock is never held across an await.
#[derive(Clone)]
struct Store {
    clock: Arc<dyn Clock>,
    looked: mpsc::Sender<()>,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    plans: Plans,
    /// What the crate wants kept, of the jobs that it has taken.
    stored: HashMap<Uuid, JobStoredData>,
    closed: bool,
}

impl Store {
    fn new(clock: Arc<dyn Clock>, looked: mpsc::Sender<()>, ledger: Ledger) -> Self {
        let plans = Plans::new(Reading::of(clock.as_ref()), ledger);
        let inner = Inner { plans, stored: HashMap::new(), closed: false };
        Self { clock, looked, inner: Arc::new(Mutex::new(inner)) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic under the lock can only come from a schedule; the plans of the others are whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of the jobs that the crate has taken are due.
    fn look(&self) -> Vec<(Uuid, bool)> {
        let now = Reading::of(self.clock.as_ref());
        let mut inner = self.lock();
        let due = if inner.closed { HashSet::new() } else { inner.plans.look(now) };
        let listed = inner.stored.keys().map(|id| (*id, due.contains(id))).collect();
        // A trigger that looks and fetches nothing fires nothing: its looks do not count.
        let is_alive = inner.closed || inner.plans.unfetched() <= STALLED;
        drop(inner);
        if is_alive {
            // A full channel: the loop has not yet heard of the look before, and will hear of this one with it.
            let _ = self.looked.try_send(());
        }
        listed
    }

    /// Hands over what has come due for the job and forgets it.
    fn fetch(&self, id: Uuid) -> Vec<Fired> {
        let mut inner = self.lock();
        if inner.closed { Vec::new() } else { inner.plans.fetch(id) }
    }
}

/// An answer of the storage, as the crate's trait wants it.
type Answer<T> = Pin<Box<dyn Future<Output = Result<T, JobSchedulerError>> + Send>>;

fn answer<T: Send + 'static>(value: T) -> Answer<T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl InitStore for Store {
    fn init(&mut self) -> Answer<()> {
        answer(())
    }

    fn inited(&mut self) -> Answer<bool> {
        answer(true)
    }
}

impl DataStore<JobStoredData> for Store {
    fn get(&mut self, id: Uuid) -> Answer<Option<JobStoredData>> {
        answer(self.lock().stored.get(&id).cloned())
    }

    /// Keeps the crate's data for a job; its own idea of the next tick is never read, and without the dummy pattern it does
    /// not even compute one.
    fn add_or_update(&mut self, data: JobStoredData) -> Answer<()> {
        let Some(id) = data.id.map(Uuid::from) else {
            return Box::pin(std::future::ready(Err(JobSchedulerError::CantAdd)));
        };
        self.lock().stored.insert(id, JobStoredData { job: None, ..data });
        answer(())
    }

    fn delete(&mut self, id: Uuid) -> Answer<()> {
        self.lock().stored.remove(&id);
        answer(())
    }
}

impl MetaDataStorage for Store {
    fn list_next_ticks(&mut self) -> Answer<Vec<JobAndNextTick>> {
        let row = |(id, due): (Uuid, bool)| JobAndNextTick {
            id: Some(id.into()),
            job_type: JobType::Cron.into(),
            next_tick: if due { DUE } else { NOT_DUE },
            // With one, the crate would compare it with the next tick and fall silent after a clock set back.
            last_tick: None,
        };
        answer(self.look().into_iter().map(row).collect())
    }

    /// The offered ticks come from the dummy pattern; ours are planned already, when the moment came due.
    fn set_next_and_last_tick(&mut self, _: Uuid, _: Option<Utc>, _: Option<Utc>) -> Answer<()> {
        answer(())
    }

    fn time_till_next_job(&mut self) -> Answer<Option<Duration>> {
        let now = self.clock.now();
        let next = self.lock().plans.next();
        answer(next.map(|next| next.due.duration_since(now).try_into().unwrap_or(Duration::ZERO)))
    }
}

/// The crate's own date type.
type Utc = chrono::DateTime<chrono::Utc>;

#[cfg(test)]
mod tests;
