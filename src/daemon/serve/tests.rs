//! Promises of the service as a whole, with the real trigger: only the clock is in the test's hand.

use std::time::Duration;

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
