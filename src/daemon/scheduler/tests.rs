//! Promises of the store, looked at as the crate looks at it, and of the trigger as it really ticks.

use super::super::testing::{EIGHT, HandClock, entry, soon, stored};
use super::*;
use crate::clock::SystemClock;
use crate::domain::moment::{Moment, Past};

/// A ledger whose rows are told as `job disposition`.
fn ledger() -> (Ledger, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let ledger = Ledger::open(move |moments: Vec<Moment>| {
        for moment in moments {
            // The test may be over.
            let _ = tell.send(format!("{} {}", moment.job, moment.disposition));
        }
        std::future::ready(Ok(()))
    });
    (ledger, told)
}

/// A store with one job, added in the way of the crate.
async fn store(clock: &Arc<HandClock>, entry: Entry) -> (Store, Uuid) {
    let mut store = Store::new(Arc::clone(clock) as Arc<dyn Clock>, mpsc::channel(1).0, ledger().0);
    let mut job = Job::new_async(DUMMY, |_, _| Box::pin(async {})).unwrap();
    store.lock().plans.start(vec![(job.guid(), entry)]);
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
    store.fetch(id).into_iter().map(|fired| fired.tick.planned_at.to_string()).collect()
}

fn next_due(store: &Store) -> Option<String> {
    store.lock().plans.next().map(|next| next.due.to_string())
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
async fn a_look_does_not_count_when_nobody_fetches_what_is_due() {
    let clock = HandClock::at(EIGHT);
    let (mut store, id) = store(&clock, entry("managers", "*/5 * * * *")).await;
    let (look, mut looked) = mpsc::channel(1);
    store.looked = look;
    clock.step(300_000);
    clock.sleep(60_000); // while the machine sleeps, nobody can
    for (millis, counts) in [(0, true), (10_000, true), (1, false), (500, false)] {
        clock.step(millis);
        assert!(due(&mut store).await);
        assert_eq!(looked.try_recv().is_ok(), counts, "{millis}");
    }
    assert_eq!(fetch(&store, id), ["2026-11-20T08:05:00Z"]);
    assert!(!due(&mut store).await);
    assert!(looked.try_recv().is_ok());
    clock.step(300_000);
    assert!(due(&mut store).await);
    clock.step(60_000);
    store.lock().closed = true;
    looked.try_recv().unwrap();
    assert!(!due(&mut store).await);
    assert!(looked.try_recv().is_ok(), "the watchdog is fed until the service has left");
}

#[tokio::test]
async fn what_the_crate_plans_from_the_dummy_is_ignored() {
    let clock = HandClock::at(EIGHT);
    let (mut store, id) = store(&clock, entry("managers", "0 9 * * *")).await;
    let offered = Some(Utc::UNIX_EPOCH);
    store.set_next_and_last_tick(id, offered, offered).await.unwrap();
    store.set_next_and_last_tick(id, None, offered).await.unwrap();
    assert_eq!(next_due(&store).unwrap(), "2026-11-20T09:00:00Z");
    assert_eq!(store.time_till_next_job().await.unwrap(), Some(Duration::from_hours(1)));
    assert!(!due(&mut store).await);
}

#[tokio::test]
async fn a_job_removed_meanwhile_is_no_error() {
    let clock = HandClock::at(EIGHT);
    let (mut store, id) = store(&clock, entry("managers", "0 9 * * *")).await;
    let now = Reading::of(clock.as_ref());
    assert_eq!(store.lock().plans.reload(Vec::new(), stored(), now).taken_out, [id]);
    store.delete(id).await.unwrap();
    store.set_next_and_last_tick(id, None, None).await.unwrap();
    assert_eq!(store.get(id).await.unwrap(), None);
    assert!(fetch(&store, id).is_empty());
    assert_eq!(next_due(&store), None);
}

#[tokio::test]
async fn the_trigger_fires_by_the_real_clock_and_not_after_stop() {
    let (fire, mut fired) = mpsc::channel(8);
    let (look, mut looked) = mpsc::channel(1);
    let started = SystemClock.now();
    let past = Past::none(started);
    let entries = vec![Entry { past, ..entry("managers", "* * * * * *") }];
    let mut scheduler = Scheduler::start(entries, Arc::new(SystemClock), fire, look, ledger().0).await.unwrap();
    let first = tokio::time::timeout(Duration::from_secs(10), fired.recv()).await.unwrap().unwrap();
    assert_eq!(&*first.job, "managers");
    assert!(first.tick.planned_at > started && first.tick.planned_at <= SystemClock.now());
    assert_eq!(first.tick.planned_at.subsec_nanosecond(), 0);
    assert_eq!(looked.recv().await, Some(()), "whoever feeds the watchdog hears of it");
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
    let hand: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let _scheduler = Scheduler::start(entries, hand, fire, mpsc::channel(1).0, ledger().0).await.unwrap();
    clock.step(3_600_000);
    let mut jobs = HashSet::new();
    while jobs.len() < JOBS {
        let fired = tokio::time::timeout(Duration::from_secs(10), fired.recv()).await.unwrap().unwrap();
        assert!(jobs.insert(fired.job), "no job is fired twice");
    }
}

#[tokio::test]
async fn a_moment_that_finds_the_queue_full_is_recorded() {
    let (fire, mut fired) = mpsc::channel(1);
    let clock = HandClock::at(EIGHT);
    let entries = vec![entry("managers", "0 9 * * *"), entry("licenses", "0 9 * * *")];
    let (ledger, mut rows) = ledger();
    let hand: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let _scheduler = Scheduler::start(entries, hand, fire, mpsc::channel(1).0, ledger).await.unwrap();
    clock.step(3_600_000);
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(soon(&mut rows).await);
    }
    told.retain(|row| !row.ends_with(" ran")); // each was told when it came due
    let fired = fired.recv().await.unwrap().job;
    let other = if &*fired == "managers" { "licenses" } else { "managers" };
    assert_eq!(told, [format!("{other} queue_full")]);
}

#[tokio::test]
async fn a_reload_adds_takes_out_and_reschedules_under_a_running_trigger() {
    let (fire, mut fired) = mpsc::channel(8);
    let clock = HandClock::at(EIGHT);
    let hand: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let entries = vec![entry("managers", "0 9 * * *"), entry("licenses", "0 9 * * *"), entry("keepalive", "0 9 * * *")];
    let scheduler = Scheduler::start(entries, hand, fire, mpsc::channel(1).0, ledger().0).await.unwrap();
    let past = Past::none(clock.now());
    let added = Entry { past, ..entry("added", "0 10 * * *") };
    let entries = vec![entry("managers", "0 9 * * *"), entry("licenses", "30 10 * * *"), added];
    scheduler.reload(entries, stored()).await.unwrap();
    for (minutes, job) in [(60, "managers"), (60, "added"), (30, "licenses")] {
        clock.step(minutes * 60_000);
        let fired = tokio::time::timeout(Duration::from_secs(10), fired.recv()).await.unwrap().unwrap();
        assert_eq!(&*fired.job, job);
    }
    assert!(!scheduler.knows("keepalive") && scheduler.knows("added"));
}

#[tokio::test]
async fn a_job_that_the_crate_does_not_take_is_not_planned_and_the_others_are() {
    let clock = HandClock::at(EIGHT);
    let hand: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let scheduler =
        Scheduler::start(Vec::new(), hand, mpsc::channel(1).0, mpsc::channel(1).0, ledger().0).await.unwrap();
    let added = ["refused", "managers", "hangs"].map(|job| entry(job, "0 9 * * *"));
    let until = Instant::now() + Duration::from_millis(50);
    let taken = scheduler.take_up(added.into(), until, |job: String, _| async move {
        match job.as_str() {
            "refused" => Err(SchedulerError::Add { job, source: JobSchedulerError::CantAdd }),
            "hangs" => std::future::pending().await,
            _ => Ok(()),
        }
    });
    let problem = tokio::time::timeout(Duration::from_secs(5), taken).await.expect("a bound").unwrap_err();
    assert!(matches!(problem, SchedulerError::Add { job, .. } if job == "refused"), "the first problem");
    assert_eq!(["refused", "managers", "hangs"].map(|job| scheduler.knows(job)), [false, true, false]);
}

#[tokio::test]
async fn a_crate_that_hangs_does_not_hold_up_a_reload_for_long() {
    let clock = HandClock::at(EIGHT);
    let hand: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let entries = vec![entry("managers", "0 9 * * *")];
    let scheduler = Scheduler::start(entries, hand, mpsc::channel(1).0, mpsc::channel(1).0, ledger().0).await.unwrap();
    let hangs = Arc::clone(&scheduler.trigger.context.metadata_storage);
    let _held = hangs.write().await;
    let reloaded = scheduler.reload(vec![entry("added", "0 9 * * *")], stored());
    let problem = tokio::time::timeout(TAKEN * 3, reloaded).await.expect("a bound").unwrap_err();
    assert!(matches!(problem, SchedulerError::Hangs { job } if job == "added"));
    assert!(!scheduler.knows("added") && !scheduler.knows("managers"));
}
