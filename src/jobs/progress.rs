//! How far a run is, for whoever watches it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::domain::run::RunId;

/// One moment of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The run, once it has the job.
    pub run: Option<RunId>,
    /// What is being done, as an operator would say it: `reading people`.
    pub what: Cow<'static, str>,
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
    /// Says that the run has its job.
    pub(super) fn begin(&self, run: &RunId) {
        self.sender.send_modify(|step| step.run = Some(run.clone()));
    }

    /// Says how far the run is.
    pub fn say(&self, what: &'static str, done: u64, of: Option<u64>) {
        self.sender.send_modify(|step| *step = Step { run: step.run.take(), what: Cow::Borrowed(what), done, of });
    }

    /// A view that always holds the latest step. It ends when the last [`Progress`] is dropped.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Step> {
        self.sender.subscribe()
    }
}
