//! The counter at which the rest of the program speaks to the running service: runs that somebody asks for, pauses, a
//! file that changed, and how the service is.

use std::collections::BTreeMap;
use std::pin::Pin;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::scheduler::STALLED;

/// How the service is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Since when it serves; none until it does.
    pub since: Option<Timestamp>,
    /// The run that comes next, of all jobs.
    pub next: Option<NextRun>,
    /// When each job comes next, jitter included, by name; those that are paused do not.
    pub due: BTreeMap<String, Timestamp>,
    /// Jobs with a run going on, by name.
    pub running: Vec<String>,
    /// The configuration was refused when it was last read, and the one before it is served.
    pub refused: Option<Refusal>,
    /// Rows that the ledger has still to write. Above zero for long: the database cannot be written.
    pub unwritten: usize,
    /// What other parts of the program cannot do at the moment, by the part, with the cause and what becomes of it.
    pub concerns: BTreeMap<&'static str, String>,
    /// It was asked to stop, and fires nothing any more.
    pub stopping: bool,
}

/// A run that will come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextRun {
    pub job: String,
    /// When it is fired, jitter included.
    pub due: Timestamp,
}

/// A configuration that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The first line of what is wrong.
    pub reason: String,
    /// Since when the configuration is wrong.
    pub since: Timestamp,
}

/// The service is stopping, or has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service is stopping")]
pub struct Leaving;

/// Work that somebody asked for, boxed for the way to the loop.
pub(super) type Work = Box<dyn FnOnce(CancellationToken) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What the loop is asked for.
pub(super) enum Asked {
    Run { job: String, work: Work, done: oneshot::Sender<()> },
    Pause { job: String, why: Option<String> },
    Reload,
    Concern { part: &'static str, what: Option<String> },
}

/// Where the service is spoken to. Clones speak to the same one.
#[derive(Clone, Debug)]
pub struct Desk {
    asked: mpsc::UnboundedSender<Asked>,
    about: watch::Receiver<About>,
    heard: watch::Receiver<Instant>,
}

/// The service's side of the desk, for [`super::serve()`].
#[derive(Debug)]
pub struct DeskEnd {
    pub(super) asked: mpsc::UnboundedReceiver<Asked>,
    pub(super) about: watch::Sender<About>,
    /// When the loop last heard of the trigger.
    pub(super) heard: watch::Sender<Instant>,
}

/// A desk and the service's side of it.
#[must_use]
pub fn desk() -> (Desk, DeskEnd) {
    // Unbounded on purpose: people ask no faster than the loop answers.
    let (ask, asked) = mpsc::unbounded_channel();
    let (tell, about) = watch::channel(About::default());
    let (hear, heard) = watch::channel(Instant::now());
    (Desk { asked: ask, about, heard }, DeskEnd { asked, about: tell, heard: hear })
}

impl Desk {
    /// Has `work` carried out as one of the service's runs of `job` and waits for its end: it is named in the status line,
    /// its token is raised when the service is asked to stop, and the service waits for it before it leaves. It goes on
    /// when whoever asked no longer waits. A panic ends that work alone, and counts as its end.
    ///
    /// # Errors
    ///
    /// [`Leaving`] when the service leaves and the work was not begun, or was cut off.
    pub async fn run<F>(
        &self,
        job: String,
        work: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> Result<(), Leaving>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (done, ended) = oneshot::channel();
        let work: Work = Box::new(move |stop| Box::pin(work(stop)));
        self.asked.send(Asked::Run { job, work, done }).map_err(|_| Leaving)?;
        ended.await.map_err(|_| Leaving)
    }

    /// Has the moments of `job` recorded as `paused` for this reason (`paused by ana`) instead of run; none: they are run
    /// again. Whoever calls has written it into the database, from where the next start takes it.
    pub fn pause(&self, job: String, why: Option<String>) {
        self.ask(Asked::Pause { job, why });
    }

    /// Has the configuration read again: a file of it has changed.
    pub fn reload(&self) {
        self.ask(Asked::Reload);
    }

    /// Has it told with the service's status that a part of the program cannot do its work, and why; none: it can again.
    pub fn concern(&self, part: &'static str, what: Option<String>) {
        self.ask(Asked::Concern { part, what });
    }

    /// How the service is.
    #[must_use]
    pub fn about(&self) -> About {
        self.about.borrow().clone()
    }

    /// The same, for whoever wants to hear when it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<About> {
        self.about.clone()
    }

    /// Whether the trigger, or the loop that hears of it, hangs: jobs are not fired.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.heard.borrow().elapsed() > STALLED
    }

    fn ask(&self, asked: Asked) {
        // A service that is leaving takes neither pauses nor reloads; its next start reads both.
        let _ = self.asked.send(asked);
    }
}
