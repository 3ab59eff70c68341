//! How far a run is, for whoever watches it.

use std::sync::Arc;

use tokio::sync::watch;

/// One moment of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What is being done, as an operator would say it: `reading people`.
    pub what: &'static str,
    pub done: u64,
    /// Of how many, where known.
    pub of: Option<u64>,
}

/// The sending side. Cheap to clone; nobody needs to listen.
#[derive(Clone, Debug)]
pub struct Progress {
    sender: Arc<watch::Sender<Step>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { sender: Arc::new(watch::Sender::new(Step::default())) }
    }
}

impl Progress {
    /// Says how far the run is.
    pub fn say(&self, what: &'static str, done: u64, of: Option<u64>) {
        self.sender.send_replace(Step { what, done, of });
    }

    /// A view that always holds the latest step. It ends when the last [`Progress`] is dropped.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Step> {
        self.sender.subscribe()
    }
}
