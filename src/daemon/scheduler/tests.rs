//! Promises of the store, looked at as the crate looks at it, and of the trigger as it really ticks.

use std::collections::HashSet;

use super::super::testing::{HandClock, entry, soon};
use super::*;
use crate::clock::SystemClock;

const EIGHT: &str = "2026-11-20T08:00:00Z";

/// A store with one job, added in the way of the crate.
async fn store(clock: &Arc<HandClock>, entry: Entry) -> (Store, Uuid) {
    let mut store = Store::new(Arc::clone(clock) as Arc<dyn Clock>);
    let mut job = Job::new_async(DUMMY, |_, _| Box::pin(async {})).unwrap();
    store.put(job.guid(), entry);
    store.add_or_update(job.job_data().unwrap()).await.unwrap();
    (store, job.guid())
}

/// What the crate reads: whether the job is to be activated now.
async fn due(store: &mut Store) -> bool {
    let rows = store.list_next_ticks().await.unwrap();
    assert!(rows.iter().all(|row| row.next_tick != 0), "zero deletes the job");
    rows.iter().any(|row| row.next_tick == DUE)
}

/// The moments that the closure would fetch, as text.
fn fetch(store: &Store, id: Uuid) -> Vec<String> {
    store.take_due(id).into_iter().map(|fired| fired.tick.planned_at.to_string()).collect()
}

#[tokio::test]
async fn a_moment_is_listed_until_it_is_fetched_and_fetched_once() {
    let clock = HandClock::at(EIGHT);
    let (mut store, id) = store(&clock, entry("managers", "*/5 * * * *")).await;
    assert!(!due(&mut store).await);
    clock.step(299_999);
    assert!(!due(&mut store).await);
    clock.step(1);
    assert!(due(&mut store).await);
    assert!(due(&mut store).await, "an activation that the crate lost is repeated");
    assert_eq!(fetch(&store, id), ["2026-11-20T08:05:00Z"]);
    assert!(!due(&mut store).await);
    assert!(fetch(&store, id).is_empty());
}

#[tokio::test]
async fn what_the_crate_plans_from_the_dummy_is_ignored() {
    let clock = HandClock::at(EIGHT);
    let (mut store, id) = store(&clock, entry("managers", "0 9 * * *")).await;
    let offered = Some(Utc::UNIX_EPOCH);
    store.set_next_and_last_tick(id, offered, offered).await.unwrap();
    store.set_next_and_last_tick(id, None, offered).await.unwrap();
    assert_eq!(store.next().unwrap().due.to_string(), "2026-11-20T09:00:00Z");
    assert_eq!(store.time_till_next_job().await.unwrap(), Some(Duration::from_hours(1)));
    assert!(!due(&mut store).await);
}

#[tokio::test]
async fn a_job_removed_meanwhile_is_no_error() {
    let clock = HandClock::at(EIGHT);
    let (mut store, id) = store(&clock, entry("managers", "0 9 * * *")).await;
    store.delete(id).await.unwrap();
    store.set_next_and_last_tick(id, None, None).await.unwrap();
    assert_eq!(store.get(id).await.unwrap(), None);
    assert!(fetch(&store, id).is_empty());
    assert!(store.next().is_none());
}

#[tokio::test]
async fn a_job_without_a_plan_is_refused() {
    let mut store = Store::new(HandClock::at(EIGHT));
    let mut job = Job::new_async(DUMMY, |_, _| Box::pin(async {})).unwrap();
    assert!(store.add_or_update(job.job_data().unwrap()).await.is_err());
}

#[tokio::test]
async fn a_clock_set_back_is_planned_anew_and_repeats_nothing() {
    let clock = HandClock::at(EIGHT);
    let (mut store, id) = store(&clock, entry("managers", "0 * * * *")).await;
    clock.step(3_600_400);
    assert!(due(&mut store).await);
    assert_eq!(fetch(&store, id), ["2026-11-20T09:00:00Z"]);
    clock.step(-3000);
    assert!(!due(&mut store).await);
    assert_eq!(store.next().unwrap().due.to_string(), "2026-11-20T10:00:00Z", "09:00 has run");
    // A clock that was ahead by three days: those moments never were.
    clock.step(-3 * 86_400_000);
    assert!(!due(&mut store).await);
    assert_eq!(store.next().unwrap().due.to_string(), "2026-11-17T09:00:00Z");
}

#[tokio::test]
async fn a_clock_set_forward_fires_once_and_goes_on_from_there() {
    let clock = HandClock::at(EIGHT);
    let (mut store, id) = store(&clock, entry("managers", "0 * * * *")).await;
    clock.step(5 * 3_600_000 + 60_000);
    assert!(due(&mut store).await);
    assert_eq!(fetch(&store, id), ["2026-11-20T09:00:00Z"]);
    assert!(!due(&mut store).await);
    assert_eq!(store.next().unwrap().due.to_string(), "2026-11-20T14:00:00Z");
}

#[tokio::test]
async fn every_moment_of_a_jittered_job_is_fired_exactly_once() {
    let clock = HandClock::at(EIGHT);
    let jittered = Entry { jitter: Duration::from_mins(5), ..entry("managers", "* * * * *") };
    let (mut store, id) = store(&clock, jittered).await;
    let mut fired = Vec::new();
    for _ in 0..2 * 3600 {
        clock.step(500);
        store.list_next_ticks().await.unwrap();
        fired.extend(store.take_due(id).into_iter().map(|fired| fired.tick.planned_at.as_second() / 60));
    }
    let first = fired[0];
    assert_eq!(fired, (first..).take(fired.len()).collect::<Vec<_>>());
    assert!((59..=60).contains(&fired.len()), "{} moments in an hour", fired.len());
}

#[test]
fn the_next_run_is_the_earliest_of_all_and_ties_go_by_name() {
    let cases = [
        (vec![], None),
        (vec![("managers", "0 9 * * *"), ("keepalive", "0 10 * * *")], Some("managers")),
        (vec![("managers", "0 7 * * *"), ("keepalive", "0 10 * * *")], Some("keepalive")),
        (vec![("managers", "0 9 * * *"), ("keepalive", "0 9 * * *")], Some("keepalive")),
    ];
    for (jobs, next) in cases {
        let store = Store::new(HandClock::at(EIGHT));
        for (job, cron) in &jobs {
            store.put(Uuid::new_v4(), entry(job, cron));
        }
        assert_eq!(store.next().map(|next| next.job.to_string()).as_deref(), next, "{jobs:?}");
    }
}

#[tokio::test]
async fn the_trigger_fires_by_the_real_clock_and_not_after_stop() {
    let (fire, mut fired) = mpsc::channel(8);
    let started = SystemClock.now();
    let entries = vec![entry("managers", "* * * * * *")];
    let mut scheduler = Scheduler::start(entries, Arc::new(SystemClock), fire, |_| {}).await.unwrap();
    let first = tokio::time::timeout(Duration::from_secs(10), fired.recv()).await.unwrap().unwrap();
    assert_eq!(&*first.job, "managers");
    assert!(first.tick.planned_at > started && first.tick.planned_at <= SystemClock.now());
    assert_eq!(first.tick.planned_at.subsec_nanosecond(), 0);
    assert!(scheduler.silent_for() < Duration::from_secs(5));
    scheduler.stop().await;
    assert!(!due(&mut scheduler.store).await, "a closed store has nothing due");
}

/// On one thread, where the crate alone loses what exceeds its channels.
#[tokio::test]
async fn hundreds_of_jobs_due_at_once_are_all_fired() {
    const JOBS: usize = 400;
    let (fire, mut fired) = mpsc::channel(JOBS);
    let clock = HandClock::at(EIGHT);
    let entries = (0..JOBS).map(|number| entry(&format!("job-{number}"), "0 9 * * *")).collect();
    let _scheduler = Scheduler::start(entries, Arc::clone(&clock) as Arc<dyn Clock>, fire, |_| {}).await.unwrap();
    clock.step(3_600_000);
    let mut jobs = HashSet::new();
    while jobs.len() < JOBS {
        let fired = tokio::time::timeout(Duration::from_secs(10), fired.recv()).await.unwrap().unwrap();
        assert!(jobs.insert(fired.job), "no job is fired twice");
    }
}

#[tokio::test]
async fn a_moment_that_finds_the_queue_full_is_handed_back() {
    let (fire, mut fired) = mpsc::channel(1);
    let (hand_back, mut refused) = mpsc::unbounded_channel();
    let clock = HandClock::at(EIGHT);
    let entries = vec![entry("managers", "0 9 * * *"), entry("licenses", "0 9 * * *")];
    let told = move |fired: Fired| hand_back.send(fired.job).unwrap();
    let _scheduler = Scheduler::start(entries, Arc::clone(&clock) as Arc<dyn Clock>, fire, told).await.unwrap();
    clock.step(3_600_000);
    let refused = soon(&mut refused).await;
    let fired = fired.recv().await.unwrap().job;
    assert_eq!(HashSet::from([&*fired, &*refused]), HashSet::from(["managers", "licenses"]));
}
