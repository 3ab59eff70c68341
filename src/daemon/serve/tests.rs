//! Promises of the service as a whole, with the real trigger: only the clock is in the test's hand.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::super::catch_up::Cause;
use super::super::desk::{Leaving, NextRun, desk};
use super::super::plan::Tick;
use super::super::testing::{EIGHT, HandClock, entry, soon, stored};
use super::super::track::Fired;
use super::*;
use crate::domain::moment::Disposition;
use crate::domain::run::{Outcome, RunId};
use crate::schedule::Schedule;

/// A service that fires `managers` at once, which is second 00, and then every second of a clock that the runs move.
struct Rig {
    signals: mpsc::Sender<Signal>,
    /// What the ledger was told, as `second disposition run reason`.
    ledger: mpsc::UnboundedReceiver<String>,
    served: tokio::task::JoinHandle<Result<ExitReason, DaemonError>>,
}

impl Rig {
    /// Serves with `run` as the job; it is handed the clock too.
    fn serve<F>(run: impl Fn(Firing, Arc<HandClock>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let clock = HandClock::at("2026-11-20T08:00:00Z");
        let (signals, asked) = mpsc::channel(4);
        let (tell, ledger) = mpsc::unbounded_channel();
        let hand = Arc::clone(&clock);
        let hooks = Hooks {
            run: move |firing| run(firing, Arc::clone(&hand)),
            record: move |moments: Vec<Moment>| {
                let tell = tell.clone();
                async move {
                    tokio::time::sleep(Duration::from_millis(5)).await; // no database is quicker
                    for moment in &moments {
                        tell.send(row(moment)).unwrap();
                    }
                    Ok(())
                }
            },
            reload: || async { Reloaded::Unchanged },
        };
        let schedule = Schedule::every("1 second").unwrap();
        let entries = vec![Entry { schedule, ..entry("managers", "* * * * * *") }];
        let served = tokio::spawn(serve(entries, hooks, clock, asked, desk().1));
        Self { signals, ledger, served }
    }

    async fn ask(&self, signal: Signal) {
        self.signals.send(signal).await.unwrap();
    }

    async fn row(&mut self) -> String {
        soon(&mut self.ledger).await
    }

    /// How the service left, and what else the ledger was told.
    async fn left(mut self) -> (ExitReason, Vec<String>) {
        let served = tokio::time::timeout(Duration::from_secs(15), self.served).await;
        let reason = served.expect("the service leaves").unwrap().unwrap();
        let mut rows = Vec::new();
        while let Ok(row) = self.ledger.try_recv() {
            rows.push(row);
        }
        (reason, rows)
    }
}

fn row(moment: &Moment) -> String {
    assert_eq!(moment.job, "managers");
    let second = moment.planned_at.to_string()[17..19].to_owned();
    let run = moment.run.as_ref().map_or("-", RunId::as_str);
    format!("{second} {} {run} {}", moment.disposition, moment.reason.as_deref().unwrap_or("-"))
}

fn ended(outcome: Outcome) -> Ended {
    Ended { run: Some(RunId::stored("r1")), outcome, instead: None }
}

#[tokio::test]
async fn a_panicking_run_does_not_stop_the_next() {
    let mut rig = Rig::serve(|firing, clock| async move {
        clock.step(1000);
        assert_ne!(firing.planned_at.as_second() % 60, 0, "the panic of this test");
        ended(Outcome::Succeeded)
    });
    assert_eq!(rig.row().await, "00 ran - -");
    let panicked = rig.row().await;
    assert!(panicked.starts_with("00 ran - the run panicked: "), "{panicked}");
    assert!(panicked.contains("the panic of this test"), "{panicked}");
    assert_eq!(rig.row().await, "01 ran - -");
    assert_eq!(rig.row().await, "01 ran r1 -");
    rig.ask(Signal::Stop).await;
    assert_eq!(rig.left().await.0, ExitReason::Drained);
}

#[tokio::test]
async fn a_moment_during_a_run_is_an_overlap_and_a_stop_waits_for_the_run() {
    let mut rig = Rig::serve(|firing, clock| async move {
        clock.step(1000);
        firing.stop.cancelled().await;
        ended(Outcome::Interrupted)
    });
    assert_eq!(rig.row().await, "00 ran - -");
    assert_eq!(rig.row().await, "01 ran - -", "it has come");
    assert_eq!(rig.row().await, "01 overlap - the run of 2026-11-20T08:00:00Z was still going on");
    rig.ask(Signal::Reload).await;
    rig.ask(Signal::Stop).await;
    let (reason, rows) = rig.left().await;
    assert_eq!(reason, ExitReason::Drained);
    assert_eq!(rows, ["00 ran r1 -"], "the last row is written before the service leaves");
}

/// A service without a trigger, at eight o'clock, with `managers` scheduled, and what its ledger is told.
async fn service<F>(run: impl Fn(Firing) -> F + Send + Sync + 'static) -> (Service, mpsc::UnboundedReceiver<String>)
where
    F: Future<Output = Ended> + Send + 'static,
{
    reloading(run, || async { Reloaded::Unchanged }).await
}

async fn reloading<F, G>(
    run: impl Fn(Firing) -> F + Send + Sync + 'static,
    reload: impl Fn() -> G + Send + Sync + 'static,
) -> (Service, mpsc::UnboundedReceiver<String>)
where
    F: Future<Output = Ended> + Send + 'static,
    G: Future<Output = Reloaded> + Send + 'static,
{
    let (tell, told) = mpsc::unbounded_channel();
    let ledger = Ledger::open(move |moments: Vec<Moment>| {
        for moment in &moments {
            tell.send(row(moment)).unwrap();
        }
        std::future::ready(Ok(()))
    });
    (recording(run, reload, ledger).await, told)
}

async fn recording<F, G>(
    run: impl Fn(Firing) -> F + Send + Sync + 'static,
    reload: impl Fn() -> G + Send + Sync + 'static,
    ledger: Ledger,
) -> Service
where
    F: Future<Output = Ended> + Send + 'static,
    G: Future<Output = Reloaded> + Send + 'static,
{
    let clock: Arc<dyn Clock> = HandClock::at(EIGHT);
    let entries = vec![entry("managers", "0 9 * * *")];
    let (fire, look) = (mpsc::channel(1).0, mpsc::channel(1).0);
    let scheduler = Scheduler::start(entries, Arc::clone(&clock), fire, look, ledger.clone()).await.unwrap();
    let run: super::super::service::Run = Arc::new(move |firing| Box::pin(run(firing)));
    Service::new(run, Arc::new(move || Box::pin(reload())), clock, ledger, scheduler)
}

/// A service whose database takes rows only while there are permits, and what was written and begun, in that order.
async fn held() -> (Service, Arc<Semaphore>, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let database = Arc::new(Semaphore::new(0));
    let (begin, open) = (tell.clone(), Arc::clone(&database));
    let ledger = Ledger::open(move |moments: Vec<Moment>| {
        let (tell, open) = (tell.clone(), Arc::clone(&open));
        async move {
            open.acquire().await.unwrap().forget();
            for moment in &moments {
                tell.send(row(moment)).unwrap();
            }
            Ok(())
        }
    });
    let run = move |firing: Firing| {
        begin.send(format!("{} begins", &firing.planned_at.to_string()[17..19])).unwrap();
        async { ended(Outcome::Succeeded) }
    };
    (recording(run, || async { Reloaded::Unchanged }, ledger).await, database, told)
}

/// Lets every task go on until it waits.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_run_begins_when_all_that_was_told_before_it_is_written() {
    let (mut service, database, mut told) = held().await;
    service.pause("managers".to_owned(), Some("paused by ana".to_owned()));
    service.begin(due_ago(50, None));
    settle().await; // the older row is in the hand of the pen
    service.pause("managers".to_owned(), None);
    service.begin(due_ago(30, None));
    settle().await;
    assert!(told.try_recv().is_err(), "a run does not overtake the rows");
    assert_eq!(service.running(), ["managers".into()]);
    service.begin(due_ago(1, None));
    database.add_permits(9);
    assert_eq!(soon(&mut told).await, "10 paused - paused by ana");
    assert_eq!(soon(&mut told).await, "30 late - -");
    let mut rest = [soon(&mut told).await, soon(&mut told).await];
    rest.sort();
    assert_eq!(rest, ["30 begins", "59 overlap - the run of 2026-11-20T07:59:30Z was still going on"]);
    end_one(&mut service).await;
    assert_eq!(soon(&mut told).await, "30 late r1 -");
}

#[tokio::test]
async fn a_stop_is_heard_by_a_run_that_waits_for_the_database_and_it_is_not_begun() {
    let (mut service, database, mut told) = held().await;
    service.begin(due_ago(30, None));
    settle().await;
    let (_ask, mut asked) = mpsc::channel(1);
    let (_look, mut looked) = mpsc::channel(1);
    let left = tokio::time::timeout(Duration::from_secs(5), drain(&mut service, &mut asked, &mut looked)).await;
    assert_eq!(left.expect("the service leaves"), ExitReason::Drained);
    database.add_permits(9);
    assert_eq!(soon(&mut told).await, "30 late - -", "without a run, it is found by the next start");
    settle().await;
    assert!(told.try_recv().is_err());
}

/// A moment of `managers` that was due so many seconds before eight.
fn due_ago(seconds: u64, missed: Option<Cause>) -> Fired {
    let planned_at = EIGHT.parse::<Timestamp>().unwrap() - Duration::from_secs(seconds);
    Fired { job: "managers".into(), tick: Tick { planned_at, due: planned_at }, missed }
}

async fn end_one(service: &mut Service) {
    let joined = tokio::time::timeout(Duration::from_secs(10), service.runs.join_next_with_id()).await;
    service.end(joined.expect("a run ends").expect("a run goes on"));
}

#[tokio::test]
async fn a_run_that_begins_late_is_late_and_a_job_held_elsewhere_an_overlap() {
    let (mut service, mut told) = service(|_| async {
        let instead = Some((Disposition::Overlap, "another process held the job".to_owned()));
        Ended { run: None, outcome: Outcome::Busy, instead }
    })
    .await;
    service.begin(due_ago(30, None));
    assert_eq!(soon(&mut told).await, "30 late - -");
    end_one(&mut service).await;
    assert_eq!(soon(&mut told).await, "30 overlap - another process held the job");
    assert!(service.running().is_empty());
}

#[tokio::test]
async fn a_moment_waits_for_the_run_that_makes_up_for_another_and_the_next_one_does_not() {
    let (release, released) = tokio::sync::watch::channel(());
    let (mut service, mut told) = service(move |_| {
        let mut released = released.clone();
        async move {
            released.changed().await.unwrap();
            ended(Outcome::Succeeded)
        }
    })
    .await;
    for fired in [due_ago(40, Some(Cause::Down)), due_ago(30, Some(Cause::Down)), due_ago(20, None), due_ago(10, None)]
    {
        service.begin(fired);
    }
    assert_eq!(soon(&mut told).await, "40 late - the run of 2026-11-20T07:59:20Z was still going on");
    assert_eq!(soon(&mut told).await, "50 overlap - the run of 2026-11-20T07:59:20Z was still going on");
    for row in ["20 caught_up r1 the service was not running", "30 caught_up r1 the service was not running"] {
        release.send(()).unwrap();
        end_one(&mut service).await;
        assert_eq!(soon(&mut told).await, row);
    }
    assert_eq!(soon(&mut told).await, "40 late - -");
    release.send(()).unwrap();
    end_one(&mut service).await;
    assert_eq!(soon(&mut told).await, "40 late r1 -");
    assert!(service.running().is_empty());
}

#[tokio::test]
async fn what_waits_is_told_when_the_job_was_paused_meanwhile() {
    let (mut service, mut told) = service(|_| async { ended(Outcome::Succeeded) }).await;
    for fired in [due_ago(40, Some(Cause::Down)), due_ago(30, Some(Cause::Down)), due_ago(20, None)] {
        service.begin(fired);
    }
    assert_eq!(soon(&mut told).await, "40 late - the run of 2026-11-20T07:59:20Z was still going on");
    service.pause("managers".to_owned(), Some("paused by ana".to_owned()));
    end_one(&mut service).await;
    assert_eq!(soon(&mut told).await, "20 caught_up r1 the service was not running");
    assert_eq!(soon(&mut told).await, "30 paused - paused by ana");
    assert_eq!(soon(&mut told).await, "40 paused - paused by ana");
}

#[tokio::test]
async fn runs_that_were_asked_for_change_nothing_in_the_order_of_what_waits() {
    let (mut service, mut told) = service(|_| async { ended(Outcome::Succeeded) }).await;
    let ask = |service: &mut Service| {
        service.begin_asked("managers", Box::new(|_| Box::pin(async {})), tokio::sync::oneshot::channel().0);
    };
    service.begin(due_ago(50, Some(Cause::Down)));
    // Many, so that one of them would be met instead of the run that makes up.
    (0..20).for_each(|_| ask(&mut service));
    service.begin(due_ago(40, None));
    assert_eq!(soon(&mut told).await, "20 late - the run of 2026-11-20T07:59:10Z was still going on");
    for missed in [30, 20] {
        service.begin(due_ago(missed, Some(Cause::Asleep)));
    }
    let mut rows = Vec::new();
    while !service.running().is_empty() {
        end_one(&mut service).await;
        settle().await;
        rows.extend(std::iter::from_fn(|| told.try_recv().ok()));
    }
    let over: Vec<&str> = rows.iter().filter(|row| row.contains("r1")).map(|row| &row[..2]).collect();
    assert_eq!(over, ["10", "20", "30", "40"], "{rows:#?}");
}

#[tokio::test]
async fn a_paused_job_is_not_run_and_one_that_is_taken_out_neither() {
    let (mut service, mut told) =
        reloading(|_| async { panic!("nothing is run") }, || async { Reloaded::Now(Vec::new(), stored()) }).await;
    service.pause("managers".to_owned(), Some("paused by ana".to_owned()));
    service.begin(due_ago(3, None));
    assert_eq!(soon(&mut told).await, "57 paused - paused by ana");
    service.reload(false);
    let read = service.rereading.read().await;
    service.take_over(read).await;
    service.begin(due_ago(2, None));
    assert_eq!(soon(&mut told).await, "58 skipped - the job was taken out of the configuration");
}

#[tokio::test]
async fn a_pause_that_comes_while_the_configuration_is_read_outlives_it() {
    let (mut service, mut told) = reloading(
        |_| async { ended(Outcome::Succeeded) },
        || async { Reloaded::Now(vec![entry("managers", "0 9 * * *")], stored()) },
    )
    .await;
    service.reload(false);
    service.pause("managers".to_owned(), Some("paused by ana".to_owned()));
    let read = service.rereading.read().await;
    service.take_over(read).await;
    service.begin(due_ago(3, None));
    assert_eq!(soon(&mut told).await, "57 paused - paused by ana");
}

#[tokio::test]
async fn a_configuration_is_read_when_the_ledger_is_written() {
    let (mut service, database, mut told) = held().await;
    service.begin(due_ago(30, None));
    service.reload(true);
    let read = tokio::time::timeout(Duration::from_secs(10), service.rereading.read()).await.expect("a bound");
    assert!(read.is_none(), "what the next start would go by is not written");
    service.take_over(read).await;
    let refused = service.about().refused.expect("it is told");
    assert!(refused.reason.contains("as soon as the database"), "{}", refused.reason);
    assert!(!service.rereading.owed, "the service manager does not wait for a database");
    database.add_permits(9);
    assert_eq!(soon(&mut told).await, "30 late - -");
    let read = tokio::time::timeout(Duration::from_secs(10), service.rereading.read()).await.expect("a bound");
    assert!(matches!(read, Some(Reloaded::Unchanged)), "it is tried again by itself");
    service.take_over(read).await;
    assert!(service.about().refused.is_none());
}

#[tokio::test]
async fn a_refused_configuration_is_shown_until_it_is_mended() {
    let answers = std::sync::Mutex::new(vec![
        Reloaded::Unchanged,
        Reloaded::Refused("gk.toml:3:1: second".to_owned()),
        Reloaded::Refused("gk.toml:2:1: first".to_owned()),
    ]);
    let (mut service, _told) = reloading(
        |_| async { ended(Outcome::Succeeded) },
        move || std::future::ready(answers.lock().unwrap().pop().expect("the panic of this test")),
    )
    .await;
    let mut shown = Vec::new();
    for _ in 0..4 {
        service.reload(true);
        let read = service.rereading.read().await;
        service.take_over(read).await;
        shown.push(service.about().refused.map(|refused| refused.reason));
    }
    let panicked = shown.pop().unwrap().unwrap();
    assert!(panicked.starts_with("reading it panicked: the panic of this test"), "{panicked}");
    assert_eq!(shown, [Some("gk.toml:2:1: first".to_owned()), Some("gk.toml:3:1: second".to_owned()), None]);
}

#[tokio::test]
async fn what_is_asked_for_at_the_desk_is_a_run_like_another() {
    let (desk, end) = desk();
    let clock = HandClock::at(EIGHT);
    let (signals, asked) = mpsc::channel(4);
    let hooks = Hooks {
        run: |_| async { ended(Outcome::Succeeded) },
        record: |_| async { Ok(()) },
        reload: || async { Reloaded::Unchanged },
    };
    let served = tokio::spawn(serve(vec![entry("managers", "0 9 * * *")], hooks, clock, asked, end));
    desk.run("licenses".to_owned(), |_| async { panic!("a panic of this test") }).await.unwrap();
    let (show, mut shown) = mpsc::unbounded_channel();
    let work = {
        let (desk, watched) = (desk.clone(), desk.clone());
        let work = move |stop: CancellationToken| async move {
            // The loop shows what is going on as soon as it has begun it.
            while watched.about().running != ["managers"] {
                tokio::task::yield_now().await;
            }
            show.send(watched.about()).unwrap();
            stop.cancelled().await;
        };
        tokio::spawn(async move { desk.run("managers".to_owned(), work).await })
    };
    let about = soon(&mut shown).await;
    let next = NextRun { job: "managers".to_owned(), due: "2026-11-20T09:00:00Z".parse().unwrap() };
    assert_eq!((about.since, about.next), (Some(EIGHT.parse().unwrap()), Some(next)));
    signals.send(Signal::Stop).await.unwrap();
    assert_eq!(served.await.unwrap().unwrap(), ExitReason::Drained);
    assert_eq!(work.await.unwrap(), Ok(()), "a stop waits for it");
    assert_eq!(desk.run("managers".to_owned(), |_| async {}).await, Err(Leaving));
}

#[tokio::test]
async fn a_second_stop_does_not_wait() {
    let (mut service, _told) = service(|_| std::future::pending()).await;
    service.begin(due_ago(0, None));
    settle().await;
    let (ask, mut asked) = mpsc::channel(2);
    ask.send(Signal::Reload).await.unwrap();
    ask.send(Signal::Stop).await.unwrap();
    let (_look, mut looked) = mpsc::channel(1);
    let left = tokio::time::timeout(Duration::from_secs(5), drain(&mut service, &mut asked, &mut looked)).await;
    assert_eq!(left.expect("it does not wait"), ExitReason::Aborted { running: 1 });
}

#[tokio::test]
async fn a_run_that_does_not_end_is_cut_off_when_the_grace_is_over_and_nothing_begins_behind_it() {
    let (held, mut dropped) = mpsc::unbounded_channel::<()>();
    let never = move |_| {
        let held = held.clone();
        async move {
            held.closed().await;
            ended(Outcome::Failed)
        }
    };
    let (mut service, _told) = service(never).await;
    service.grace = Duration::from_millis(20);
    service.begin(due_ago(2, Some(Cause::Down)));
    service.begin(due_ago(0, None));
    settle().await;
    let (_ask, mut asked) = mpsc::channel(1);
    let (_look, mut looked) = mpsc::channel(1);
    let left = tokio::time::timeout(Duration::from_secs(5), drain(&mut service, &mut asked, &mut looked)).await;
    assert_eq!(left.expect("the service leaves"), ExitReason::GraceOver { running: 1 });
    drop(service);
    let cut_off = tokio::time::timeout(Duration::from_secs(5), dropped.recv()).await;
    assert_eq!(cut_off.expect("the run is dropped with its task"), None);
}
