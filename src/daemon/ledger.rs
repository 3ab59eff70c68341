//! The pen of the ledger: moments are written one after the other, in the order in which they were told, by a task of
//! its own. A slow database then delays neither the schedules nor the watchdog.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::domain::moment::Moment;

enum Line {
    Moment(Moment),
    /// Answered when everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// Where moments are told. Clones write into the same ledger.
#[derive(Clone)]
pub(super) struct Ledger {
    // Unbounded on purpose: a moment is some hundred bytes and comes no faster than the schedules.
    lines: mpsc::UnboundedSender<Line>,
}

impl Ledger {
    /// Starts the task that hands each moment to `record` and awaits it.
    pub(super) fn open<L, F>(record: L) -> Self
    where
        L: Fn(Vec<Moment>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let (lines, told) = mpsc::unbounded_channel();
        tokio::spawn(write(record, told));
        Self { lines }
    }

    /// Has `moment` written soon.
    pub(super) fn tell(&self, moment: Moment) {
        if self.lines.send(Line::Moment(moment)).is_err() {
            error!("a scheduled moment was not recorded: the ledger is closed");
        }
    }

    /// Waits until everything told so far is written, for at most `patience`. False when that was not enough.
    pub(super) async fn flush(&self, patience: Duration) -> bool {
        let (done, written) = oneshot::channel();
        self.lines.send(Line::Flush(done)).is_ok()
            && matches!(tokio::time::timeout(patience, written).await, Ok(Ok(())))
    }
}

async fn write<L, F>(record: L, mut told: mpsc::UnboundedReceiver<Line>)
where
    L: Fn(Vec<Moment>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let record = Arc::new(record);
    while let Some(line) = told.recv().await {
        match line {
            Line::Moment(moment) => {
                let record = Arc::clone(&record);
                let (job, planned_at) = (moment.job.clone(), moment.planned_at);
                // In a task of its own: a panic costs one row and not the ledger.
                let written = tokio::spawn(async move { record(vec![moment]).await }).await;
                if let Err(failure) = written.unwrap_or_else(|panic| Err(panic.to_string())) {
                    error!(job, %planned_at, "a scheduled moment of {job} was not recorded: {failure}");
                }
            }
            Line::Flush(done) => {
                // Whoever asked may have lost patience.
                let _ = done.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::Timestamp;

    use super::*;
    use crate::domain::moment::Disposition;

    fn moment(second: i64) -> Moment {
        Moment {
            job: "managers".to_owned(),
            planned_at: Timestamp::from_second(second).unwrap(),
            disposition: Disposition::Ran,
            run: None,
            reason: None,
        }
    }

    #[tokio::test]
    async fn moments_are_written_in_the_order_told_and_a_panic_costs_one_row() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let rows = Arc::clone(&written);
        let ledger = Ledger::open(move |moments: Vec<Moment>| {
            let moment = moments[0].clone();
            assert_ne!(moment.planned_at.as_second(), 2, "the panic of this test");
            let rows = Arc::clone(&rows);
            async move {
                rows.lock().unwrap().push(moment.planned_at.as_second());
                Ok(())
            }
        });
        (1..=4).for_each(|second| ledger.tell(moment(second)));
        assert!(ledger.flush(Duration::from_secs(5)).await);
        assert_eq!(*written.lock().unwrap(), [1, 3, 4]);
    }

    #[tokio::test]
    async fn a_flush_gives_up_on_a_database_that_hangs() {
        let ledger = Ledger::open(|_| std::future::pending());
        ledger.tell(moment(1));
        assert!(!ledger.flush(Duration::from_millis(20)).await);
    }
}
