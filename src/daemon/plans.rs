//! The places of all jobs, and what a look at the clock makes of them.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};
use uuid::Uuid;

use super::StoreSchedules;
use super::catch_up::stagger;
use super::elapsed::{Elapsed, Reading};
use super::ledger::{Ledger, Rows};
use super::plan::Entry;
use super::systemd::Next;
use super::track::{Fired, Found, Track};
use crate::domain::moment::Disposition;

/// A wall clock that reads this much less than at the last look was set back; less is the clocks' own unrest.
const SET_BACK: SignedDuration = SignedDuration::from_secs(2);

/// What is known of every job, by the trigger's name for it.
pub(super) struct Plans {
    by_id: HashMap<Uuid, Plan>,
    seen: Reading,
    ledger: Ledger,
}

struct Plan {
    track: Track,
    /// Caught-up moments that wait for their turn, with when that is.
    held: VecDeque<(Timestamp, Fired)>,
    /// Has come due and was not yet fetched.
    due: VecDeque<Fired>,
    /// Since when, awake, a look has found something in `due`.
    unfetched: Option<Duration>,
}

impl Plan {
    fn of(track: Track) -> Self {
        Self { track, held: VecDeque::new(), due: VecDeque::new(), unfetched: None }
    }

    /// Moves to `due` what was held until now, or all that was held when something else comes due.
    fn release(&mut self, now: Timestamp, fire: Vec<Fired>) {
        while let Some((_, fired)) = self.held.pop_front_if(|(begin, _)| *begin <= now || !fire.is_empty()) {
            self.due.push_back(fired);
        }
        self.due.extend(fire);
    }

    /// When something is next to be fired, jitter and turn included.
    fn next_due(&self) -> Option<Timestamp> {
        let regular = self.track.next().map(|tick| tick.due);
        self.held.front().map(|(begin, _)| *begin).into_iter().chain(regular).min()
    }
}

/// How the trigger is to follow a reload.
#[derive(Debug, Default)]
pub(super) struct Differences {
    pub(super) added: Vec<Entry>,
    pub(super) taken_out: Vec<Uuid>,
}

impl Plans {
    pub(super) fn new(seen: Reading, ledger: Ledger) -> Self {
        Self { by_id: HashMap::new(), seen, ledger }
    }

    /// Takes jobs up at the start of the service, and rules over what was missed while it was down.
    pub(super) fn start(&mut self, entries: Vec<(Uuid, Entry)>) {
        let now = self.seen.wall;
        let mut caught_up = Vec::new();
        for (id, entry) in entries {
            let (track, found) = Track::start(entry, now);
            self.by_id.insert(id, Plan::of(track));
            caught_up.extend(self.take(id, found));
        }
        self.hold(caught_up);
    }

    /// Takes a job up while the service runs.
    pub(super) fn add(&mut self, id: Uuid, entry: Entry) {
        self.by_id.insert(id, Plan::of(Track::new(entry, self.seen.wall)));
    }

    /// Decides what is due, and says which jobs have something to fetch.
    ///
    /// A job stays among them until it was fetched: should the trigger lose an activation, the next look repeats it, and
    /// as each moment is taken out when it is fetched, none is fired twice.
    pub(super) fn look(&mut self, now: Reading) -> HashSet<Uuid> {
        let elapsed = Elapsed::between(&self.seen, &now);
        log(elapsed);
        let set_back = self.seen.wall.duration_since(now.wall) >= SET_BACK;
        self.seen = now;
        let ids: Vec<Uuid> = self.by_id.keys().copied().collect();
        let mut caught_up = Vec::new();
        for id in ids {
            let Some(plan) = self.by_id.get_mut(&id) else { continue };
            if set_back {
                plan.track.set_back(now.wall);
                plan.held.iter_mut().for_each(|(begin, _)| *begin = now.wall.min(*begin));
            }
            let found = plan.track.look(now.wall, elapsed.cause());
            caught_up.extend(self.take(id, found));
        }
        self.hold(caught_up);
        let awake = now.uptime.awake;
        let due = self.by_id.iter_mut().filter(|(_, plan)| !plan.due.is_empty());
        due.map(|(id, plan)| {
            plan.unfetched.get_or_insert(awake);
            *id
        })
        .collect()
    }

    /// For how long something has been due that nobody fetches, as of the last look.
    pub(super) fn unfetched(&self) -> Duration {
        let since = self.by_id.values().filter_map(|plan| plan.unfetched).min();
        since.map_or(Duration::ZERO, |since| self.seen.uptime.awake.saturating_sub(since))
    }

    /// Tells the ledger what was found, has the rest fired, and hands back what is to be caught up. Also what is fired is told
    /// here, in the order in which it was decided: however little of it is written when the service is killed, no moment that
    /// is older than the newest row is without one.
    fn take(&mut self, id: Uuid, found: Found) -> Option<(Uuid, Vec<Fired>)> {
        let Found { rows, fire, mut catch_up } = found;
        for rows in rows {
            self.ledger.tell(rows);
        }
        for Fired { job, tick, .. } in &fire {
            self.ledger.tell(Rows::one(job, tick.planned_at, Disposition::Ran, None));
        }
        let (plan, now) = (self.by_id.get_mut(&id)?, self.seen.wall);
        if !fire.is_empty() {
            // What this look found missed comes before what it found due.
            plan.held.extend(catch_up.drain(..).map(|fired| (now, fired)));
        }
        plan.release(now, fire);
        (!catch_up.is_empty()).then_some((id, catch_up))
    }

    /// Gives caught-up moments their turn.
    fn hold(&mut self, mut caught_up: Vec<(Uuid, Vec<Fired>)>) {
        let first = |fired: &[Fired]| fired.first().map(|fired| (fired.tick.planned_at, Arc::clone(&fired.job)));
        caught_up.sort_by_key(|(_, fired)| first(fired));
        let now = self.seen.wall;
        let next: Vec<Option<Timestamp>> = caught_up
            .iter()
            .map(|(id, _)| self.by_id.get(id).and_then(|plan| plan.track.next()).map(|tick| tick.due))
            .collect();
        for ((id, fired), begin) in caught_up.into_iter().zip(stagger(&next, now)) {
            let Some(plan) = self.by_id.get_mut(&id) else { continue };
            info!(job = %plan.track.job, moments = fired.len(), "{} catches up", plan.track.job);
            plan.held.extend(fired.into_iter().map(|fired| (begin, fired)));
            plan.release(now, Vec::new());
        }
    }

    /// Hands over what has come due for a job and forgets it.
    pub(super) fn fetch(&mut self, id: Uuid) -> Vec<Fired> {
        let Some(plan) = self.by_id.get_mut(&id) else { return Vec::new() };
        plan.unfetched = None;
        plan.due.drain(..).collect()
    }

    /// Takes over a new configuration: jobs that stay keep their places, and the trigger follows with the others. What is
    /// due by now is decided first, by the rules that held until now.
    ///
    /// `store` stores the schedules. It is told after every moment that the schedules before brought, and ahead of any that the new ones bring: whatever of it is written when the service is killed, the next
    /// start finds each moment in the ledger or by the schedule that is stored.
    pub(super) fn reload(&mut self, entries: Vec<Entry>, store: StoreSchedules, now: Reading) -> Differences {
        self.look(now);
        let ids: HashMap<String, Uuid> =
            self.by_id.iter().map(|(id, plan)| (plan.track.job.to_string(), *id)).collect();
        let mut taken_out: HashSet<Uuid> = ids.values().copied().collect();
        let mut differences = Differences::default();
        for entry in entries {
            match ids.get(&entry.job).and_then(|id| taken_out.take(id)).and_then(|id| self.by_id.get_mut(&id)) {
                Some(plan) => plan.track.change(entry, now.wall).into_iter().for_each(|rows| self.ledger.tell(rows)),
                None => differences.added.push(entry),
            }
        }
        for id in taken_out {
            self.remove(id);
            differences.taken_out.push(id);
        }
        self.ledger.tell_schedules(now.wall, store);
        differences
    }

    /// Forgets a job that the trigger did not take, without a word: its moments are missed, and found when it is taken up.
    pub(super) fn forget(&mut self, id: Uuid) {
        self.by_id.remove(&id);
    }

    /// Forgets a job, and has what it would still have fired recorded.
    fn remove(&mut self, id: Uuid) {
        let Some(Plan { track, held, due, .. }) = self.by_id.remove(&id) else { return };
        let job = Arc::clone(&track.job);
        let waiting = held.into_iter().map(|(_, fired)| fired).chain(due).map(|fired| fired.tick.planned_at);
        let waiting: Vec<Timestamp> = waiting.collect();
        if !waiting.is_empty() {
            self.ledger.tell(Rows::taken_out(&job, waiting));
        }
        if let Some(rows) = track.leave(self.seen.wall) {
            self.ledger.tell(rows);
        }
    }

    /// Has a job paused for a reason, or none.
    pub(super) fn pause(&mut self, job: &str, why: Option<String>) {
        if let Some(plan) = self.by_id.values_mut().find(|plan| &*plan.track.job == job) {
            plan.track.entry.paused = why;
        }
    }

    /// Whether a job is scheduled.
    pub(super) fn knows(&self, job: &str) -> bool {
        self.track(job).is_some()
    }

    /// Why a job is paused, if it is.
    pub(super) fn paused(&self, job: &str) -> Option<String> {
        self.track(job).and_then(|track| track.entry.paused.clone())
    }

    fn track(&self, job: &str) -> Option<&Track> {
        self.by_id.values().map(|plan| &plan.track).find(|track| &*track.job == job)
    }

    /// When each job comes next, but for those that are paused.
    pub(super) fn due(&self) -> BTreeMap<String, Timestamp> {
        let awake = self.by_id.values().filter(|plan| plan.track.entry.paused.is_none());
        awake.filter_map(|plan| plan.next_due().map(|due| (plan.track.job.to_string(), due))).collect()
    }

    pub(super) fn next(&self) -> Option<Next> {
        let next = self.by_id.values().filter_map(|plan| plan.next_due().map(|due| (due, &plan.track)));
        next.min_by_key(|(due, track)| (*due, Arc::clone(&track.job))).map(|(due, track)| Next {
            job: Arc::clone(&track.job),
            due,
            zone: track.entry.zone.clone(),
        })
    }
}

fn log(elapsed: Elapsed) {
    match elapsed {
        Elapsed::Usual => {}
        Elapsed::Stalled(time) => warn!("the service was held up for {time:#}"),
        Elapsed::Asleep(time) => info!("the machine was asleep for {time:#}"),
        Elapsed::SetForward(time) => warn!("the clock was set forward by {time:#}"),
        Elapsed::SetBack(time) => warn!("the clock was set back by {time:#}"),
    }
}
