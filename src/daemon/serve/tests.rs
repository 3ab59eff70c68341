//! Promises of the service as a whole, with the real trigger: only the clock is in the test's hand.

use super::super::plan::Tick;
use super::super::testing::{HandClock, entry, soon};
use super::*;
use crate::daemon::desk;
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
    assert_eq!(rig.row().await, "01 overlap - the run of 2026-11-20T08:00:00Z was still going on");
    rig.ask(Signal::Reload).await;
    rig.ask(Signal::Stop).await;
    let (reason, rows) = rig.left().await;
    assert_eq!(reason, ExitReason::Drained);
    assert_eq!(rows, ["00 ran r1 -"], "the last row is written before the service leaves");
}

/// A service without a trigger, at eight o'clock, and what its ledger is told.
async fn service<R, F>(run: R) -> (Service<R>, mpsc::UnboundedReceiver<String>)
where
    R: Fn(Firing) -> F + Send + Sync + 'static,
    F: Future<Output = Ended> + Send + 'static,
{
    let clock: Arc<dyn Clock> = HandClock::at("2026-11-20T08:00:00Z");
    let scheduler = Scheduler::start(Vec::new(), Arc::clone(&clock), mpsc::channel(1).0, |_| {}).await.unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    let ledger = Ledger::open(move |moments: Vec<Moment>| {
        for moment in &moments {
            tell.send(row(moment)).unwrap();
        }
        std::future::ready(Ok(()))
    });
    (Service::new(run, clock, ledger, scheduler), told)
}

/// A moment of `managers` that was due so long ago.
fn due_ago(clock: &Arc<dyn Clock>, ago: Duration) -> Fired {
    let planned_at = clock.now() - ago;
    Fired { job: "managers".into(), tick: Tick { planned_at, due: planned_at } }
}

#[tokio::test]
async fn a_moment_long_past_is_late_and_a_job_held_elsewhere_an_overlap() {
    let (mut service, mut told) = service(|_| async {
        let instead = Some((Disposition::Overlap, "another process held the job".to_owned()));
        Ended { run: None, outcome: Outcome::Busy, instead }
    })
    .await;
    service.begin(due_ago(&service.clock, Duration::from_secs(30)));
    assert_eq!(soon(&mut told).await, "30 late - -");
    let joined = service.runs.join_next_with_id().await.unwrap();
    service.end(joined);
    assert_eq!(soon(&mut told).await, "30 overlap - another process held the job");
    assert!(service.running().is_empty());
}

#[tokio::test]
async fn a_second_stop_does_not_wait() {
    let (mut service, _told) = service(|_| std::future::pending()).await;
    service.begin(due_ago(&service.clock, Duration::ZERO));
    let (ask, mut asked) = mpsc::channel(2);
    ask.send(Signal::Reload).await.unwrap();
    ask.send(Signal::Stop).await.unwrap();
    let left = tokio::time::timeout(Duration::from_secs(5), service.drain(&mut asked, &mut None)).await;
    assert_eq!(left.expect("it does not wait"), ExitReason::Aborted { running: 1 });
}

#[tokio::test]
async fn a_run_that_does_not_end_is_cut_off_when_the_grace_is_over() {
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
    service.begin(due_ago(&service.clock, Duration::ZERO));
    let (_ask, mut asked) = mpsc::channel(1);
    let left = tokio::time::timeout(Duration::from_secs(5), service.drain(&mut asked, &mut None)).await;
    assert_eq!(left.expect("the service leaves"), ExitReason::GraceOver { running: 1 });
    let cut_off = tokio::time::timeout(Duration::from_secs(5), dropped.recv()).await;
    assert_eq!(cut_off.expect("the run is dropped with its task"), None);
}
