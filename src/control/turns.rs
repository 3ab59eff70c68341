//! Changes of which each is written into the database and then told to the service: one after the other, so that the last
//! that was written is the last that was told.

use std::sync::Arc;

use tokio::sync::Mutex;

#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Mutex<()>>);

impl Turns {
    /// Makes a change while no other is made. Whole once it was begun, also when whoever asked for it has gone.
    pub(super) async fn take<T: Send + 'static>(&self, change: impl Future<Output = T> + Send + 'static) -> T {
        let turn = Arc::clone(&self.0).lock_owned().await;
        let change = tokio::spawn(async move {
            let _turn = turn;
            change.await
        });
        change.await.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use tokio::sync::Notify;

    use super::*;

    /// Writes, waits for the gate, and tells.
    async fn change(name: &'static str, gate: Arc<Notify>, steps: Sender<String>) {
        steps.send(format!("{name} written")).unwrap();
        gate.notified().await;
        steps.send(format!("{name} told")).unwrap();
    }

    /// Enough for every task that can go on to have gone on: the runtime of a test has one thread.
    async fn others_go_on() {
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_was_written_last_is_told_last() {
        let (turns, (steps, told)) = (Turns::default(), channel());
        let (slow, quick) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        quick.notify_one();
        let open = async {
            others_go_on().await;
            slow.notify_one();
        };
        tokio::join!(
            turns.take(change("resume", Arc::clone(&slow), steps.clone())),
            turns.take(change("pause", quick, steps)),
            open
        );
        let steps: Vec<String> = told.iter().collect();
        assert_eq!(steps, ["resume written", "resume told", "pause written", "pause told"]);
    }

    #[tokio::test]
    async fn what_was_begun_is_told_when_nobody_waits_for_it_any_more() {
        let (turns, (steps, told)) = (Turns::default(), channel());
        let gate = Arc::new(Notify::new());
        tokio::select! {
            biased;
            () = turns.take(change("pause", Arc::clone(&gate), steps)) => unreachable!("the gate is closed"),
            () = others_go_on() => gate.notify_one(),
        }
        turns.take(async {}).await;
        assert_eq!(told.iter().collect::<Vec<_>>(), ["pause written", "pause told"]);
    }
}
