//! Where reading the configuration again stands: one reading at a time, in a task of its own.

use tokio::task::{JoinError, JoinHandle};

use super::Reloaded;

#[derive(Default)]
pub(super) struct Rereading {
    task: Option<JoinHandle<Option<Reloaded>>>,
    /// Asked for once more meanwhile.
    pub(super) again: bool,
    /// The service manager waits for an answer.
    pub(super) owed: bool,
    /// What was paused and resumed meanwhile, which the configuration being read may not know.
    pub(super) pauses: Vec<(String, Option<String>)>,
}

impl Rereading {
    /// Begins, or notes that it is to be done once more.
    pub(super) fn begin(&mut self, read: impl Future<Output = Option<Reloaded>> + Send + 'static) {
        if self.task.is_some() {
            self.again = true;
        } else {
            self.task = Some(tokio::spawn(read));
        }
    }

    /// Waits for what was read; for ever while nothing is. None: it cannot be read yet. May be dropped and called again.
    pub(super) async fn read(&mut self) -> Option<Reloaded> {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let read = task.await;
        self.task = None;
        let panicked = |failure| Some(Reloaded::Refused(format!("reading it panicked: {}", panic_message(failure))));
        read.unwrap_or_else(panicked)
    }

    /// Notes a pause that came while the configuration is being read.
    pub(super) fn note(&mut self, job: String, why: Option<String>) {
        if self.task.is_some() {
            self.pauses.push((job, why));
        }
    }

    pub(super) fn abort(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// What a panic said, as far as it was text.
pub(super) fn panic_message(failure: JoinError) -> String {
    let Ok(payload) = failure.try_into_panic() else { return "the task was cancelled".to_owned() };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => {
            payload.downcast_ref::<&str>().map_or_else(|| "no message".to_owned(), |text| (*text).to_owned())
        }
    }
}
