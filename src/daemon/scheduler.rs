//! The only place that names `tokio-cron-scheduler`. It ticks twice a second and calls our closures; **we** decide when.
//!
//! Left to itself the crate runs zoned jobs an hour off after every clock change (its issue 107), reads a cron dialect of
//! its own, says nothing of the moment it meant, and loses runs when many are due at once. So it is handed our own
//! [`MetaDataStorage`]: each job carries a dummy pattern that is never asked, and the storage answers "due" or "not due"
//! from our plans. A closure only moves what is due into the serve loop's channel.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_cron_scheduler::job::job_data::{JobAndNextTick, JobStoredData, JobType};
use tokio_cron_scheduler::store::{DataStore, InitStore};
use tokio_cron_scheduler::{
    Job, JobScheduler, JobSchedulerError, MetaDataStorage, SimpleJobCode, SimpleNotificationCode,
    SimpleNotificationStore,
};
use uuid::Uuid;

use super::plan::{Entry, Tick};
use super::systemd::Next;
use crate::clock::Clock;

/// What the crate is told instead of a schedule; it wants one that parses.
const DUMMY: &str = "0 0 0 1 1 *";

/// The crate's internal channels. With the default of 200 it loses runs when more are due at once.
const CHANNELS: usize = 4096;

/// How the storage says "due": the crate compares whole seconds of the system clock, we compare instants of our own.
/// Zero would delete the job.
const DUE: u64 = 1;

/// How the storage says "not due": the last day of the year 9999, which the crate's date type still holds.
const NOT_DUE: u64 = 253_402_214_400;

/// A wall clock that reads this much less than at the last look was set back; less is the clocks' own unrest.
const SET_BACK: Duration = Duration::from_secs(2);

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
}

/// A moment that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fired {
    pub(super) job: Arc<str>,
    pub(super) tick: Tick,
}

/// The one scheduler of the process: a second one would leak its tasks, as the crate cannot be torn down.
pub(super) struct Scheduler {
    trigger: JobScheduler,
    store: Store,
}

impl Scheduler {
    /// Plans every entry and starts to tick. Moments go to `fired`; those that find it full go to `refused`.
    pub(super) async fn start(
        entries: Vec<Entry>,
        clock: Arc<dyn Clock>,
        fired: mpsc::Sender<Fired>,
        refused: impl Fn(Fired) + Send + Sync + 'static,
    ) -> Result<Self, SchedulerError> {
        let store = Store::new(clock);
        let trigger = JobScheduler::new_with_storage_and_code(
            Box::new(store.clone()),
            Box::new(SimpleNotificationStore::default()),
            Box::new(SimpleJobCode::default()),
            Box::new(SimpleNotificationCode::default()),
            CHANNELS,
        )
        .await
        .map_err(SchedulerError::Start)?;
        let scheduler = Self { trigger, store };
        let channel = Arc::new(Channel { fired, refused });
        // One after the other: concurrent additions hang the crate for good.
        for entry in entries {
            scheduler.add(entry, Arc::clone(&channel)).await?;
        }
        scheduler.trigger.start().await.map_err(SchedulerError::Start)?;
        Ok(scheduler)
    }

    /// Puts the plan into the store and then hands the job over, so that the crate never sees a job without a plan.
    async fn add<Refuse>(&self, entry: Entry, channel: Arc<Channel<Refuse>>) -> Result<(), SchedulerError>
    where
        Refuse: Fn(Fired) + Send + Sync + 'static,
    {
        let name = entry.job.clone();
        let failed = |source| SchedulerError::Add { job: name.clone(), source };
        let store = self.store.clone();
        let job = Job::new_async(DUMMY, move |id, _| {
            let (store, channel) = (store.clone(), Arc::clone(&channel));
            Box::pin(async move { store.take_due(id).into_iter().for_each(|fired| channel.send(fired)) })
        })
        .map_err(failed)?;
        self.store.put(job.guid(), entry);
        self.trigger.add(job).await.map_err(failed)?;
        Ok(())
    }

    /// What is fired next, of all jobs.
    pub(super) fn next(&self) -> Option<Next> {
        self.store.next()
    }

    /// How long ago the ticking task last looked. Far above half a second means that it hangs.
    pub(super) fn silent_for(&self) -> Duration {
        self.store.lock().looked.elapsed()
    }

    /// Fires nothing any more.
    pub(super) async fn stop(&mut self) {
        self.store.lock().closed = true;
        // It cannot fail as we set no handler; and nothing fires from a closed store even if it did.
        let _ = self.trigger.shutdown().await;
    }
}

/// Where the closures put what is due.
struct Channel<Refuse> {
    fired: mpsc::Sender<Fired>,
    refused: Refuse,
}

impl<Refuse: Fn(Fired)> Channel<Refuse> {
    fn send(&self, fired: Fired) {
        match self.fired.try_send(fired) {
            // Closed: the service is leaving, and the moment is made up for after the next start.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(fired)) => (self.refused)(fired),
        }
    }
}

/// The plans of all jobs, and the crate's view of them. Clones share one store; the lock is never held across an await.
#[derive(Clone)]
struct Store {
    clock: Arc<dyn Clock>,
    plans: Arc<Mutex<Plans>>,
}

struct Plans {
    by_id: HashMap<Uuid, Plan>,
    /// The wall clock at the last look.
    seen: Timestamp,
    /// The same by the clock that nobody can set.
    looked: Instant,
    closed: bool,
}

struct Plan {
    job: Arc<str>,
    /// `entry.past.last` advances with every moment that comes due.
    entry: Entry,
    next: Option<Tick>,
    /// Has come due and was not yet fetched by the closure.
    due: VecDeque<Tick>,
    /// What the crate wants kept; none until it has added the job.
    stored: Option<JobStoredData>,
}

impl Plans {
    /// Notes what is due at `now` and lists the jobs that have something to fetch.
    ///
    /// A job stays listed until its closure has come: should the crate lose an activation, the next look repeats it, and
    /// as the closure takes each moment out of the store, none is fired twice.
    fn look(&mut self, now: Timestamp) -> Vec<(Uuid, bool)> {
        let set_back = now < self.seen && self.seen.duration_since(now).unsigned_abs() > SET_BACK;
        self.seen = now;
        self.looked = Instant::now();
        let open = !self.closed;
        let look = |(id, plan): (&Uuid, &mut Plan)| {
            if set_back {
                plan.next = plan.entry.first(now);
            }
            if let Some(tick) = plan.next.filter(|tick| tick.due <= now) {
                plan.due.push_back(tick);
                plan.entry.past.last = Some(tick.planned_at);
                plan.next = plan.entry.following(tick, now);
            }
            (*id, open && !plan.due.is_empty())
        };
        self.by_id.iter_mut().filter(|(_, plan)| plan.stored.is_some()).map(look).collect()
    }
}

impl Store {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let plans = Plans { by_id: HashMap::new(), seen: clock.now(), looked: Instant::now(), closed: false };
        Self { clock, plans: Arc::new(Mutex::new(plans)) }
    }

    fn lock(&self) -> MutexGuard<'_, Plans> {
        // A panic under the lock can only come from a schedule; the plans of the others are whole.
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, id: Uuid, entry: Entry) {
        let next = entry.first(self.clock.now());
        let plan = Plan { job: entry.job.as_str().into(), entry, next, due: VecDeque::new(), stored: None };
        self.lock().by_id.insert(id, plan);
    }

    /// Hands over what has come due for the job and forgets it.
    fn take_due(&self, id: Uuid) -> Vec<Fired> {
        let mut plans = self.lock();
        if plans.closed {
            return Vec::new();
        }
        let Some(plan) = plans.by_id.get_mut(&id) else { return Vec::new() };
        plan.due.drain(..).map(|tick| Fired { job: Arc::clone(&plan.job), tick }).collect()
    }

    fn next(&self) -> Option<Next> {
        let plans = self.lock();
        let next = plans.by_id.values().filter_map(|plan| plan.next.map(|tick| (tick, plan)));
        next.min_by_key(|(tick, plan)| (tick.due, Arc::clone(&plan.job))).map(|(tick, plan)| Next {
            job: Arc::clone(&plan.job),
            due: tick.due,
            zone: plan.entry.zone.clone(),
        })
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
        answer(self.lock().by_id.get(&id).and_then(|plan| plan.stored.clone()))
    }

    /// Keeps the crate's data for a job that has a plan; its own idea of the next tick is never read, and without the
    /// dummy pattern it does not even compute one.
    fn add_or_update(&mut self, data: JobStoredData) -> Answer<()> {
        let data = JobStoredData { job: None, ..data };
        let planned =
            data.id.map(Uuid::from).and_then(|id| self.lock().by_id.get_mut(&id).map(|plan| plan.stored = Some(data)));
        if planned.is_none() {
            return Box::pin(std::future::ready(Err(JobSchedulerError::CantAdd)));
        }
        answer(())
    }

    fn delete(&mut self, id: Uuid) -> Answer<()> {
        self.lock().by_id.remove(&id);
        answer(())
    }
}

impl MetaDataStorage for Store {
    fn list_next_ticks(&mut self) -> Answer<Vec<JobAndNextTick>> {
        let now = self.clock.now();
        let listed = self.lock().look(now);
        let row = |(id, due): (Uuid, bool)| JobAndNextTick {
            id: Some(id.into()),
            job_type: JobType::Cron.into(),
            next_tick: if due { DUE } else { NOT_DUE },
            // With one, the crate would compare it with the next tick and fall silent after a clock set back.
            last_tick: None,
        };
        answer(listed.into_iter().map(row).collect())
    }

    /// The offered ticks come from the dummy pattern; ours are planned already, when the moment came due.
    fn set_next_and_last_tick(&mut self, _: Uuid, _: Option<Utc>, _: Option<Utc>) -> Answer<()> {
        answer(())
    }

    fn time_till_next_job(&mut self) -> Answer<Option<Duration>> {
        let now = self.clock.now();
        answer(self.next().map(|next| next.due.duration_since(now).try_into().unwrap_or(Duration::ZERO)))
    }
}

/// The crate's own date type.
type Utc = chrono::DateTime<chrono::Utc>;

#[cfg(test)]
mod tests;
