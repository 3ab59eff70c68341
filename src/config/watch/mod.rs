//! Notices that the configuration was saved, however it was done. The only home of the `notify` crate.
//!
//! The kernel tells of changes in the directories on the way to the files; [`route`] says which those are, [`settling`]
//! what an event means and when it is time to look. Twice a minute everything is looked at from outside as well: some
//! file systems (NFS, FUSE) tell nothing, a directory far above may be exchanged, and watches are a scarce good.

mod route;
mod settling;

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tracing::{debug, warn};

use crate::config::watch::route::{Route, Stamp};
use crate::config::watch::settling::{Seen, Settling, seen};

pub use settling::SETTLE;

/// How long a change may go unnoticed where the kernel does not tell.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A route may change while it is being watched; each time it is found out anew, but not for ever.
const TRIES: usize = 5;

/// Watches a configuration until it is dropped.
#[derive(Debug)]
pub struct Watch {
    to_watcher: Sender<Message>,
}

#[derive(Debug)]
enum Message {
    Seen(Seen),
    /// These files belong to the configuration too.
    Others(Vec<PathBuf>),
    /// Tell at the next look, changed or not.
    Again,
    End,
}

impl Watch {
    /// Watches the file, its drop-ins and all links that lead to them; `tell` is called, on a thread of its own, when they
    /// changed and were then left alone for [`SETTLE`]. It is called once at the start as well, because the file may have
    /// been saved since it was read.
    ///
    /// # Errors
    ///
    /// [`io::Error`] when no thread can be started.
    pub fn start(file: PathBuf, tell: impl FnMut() + Send + 'static) -> io::Result<Self> {
        Self::looking_every(LOOK_EVERY, file, tell)
    }

    fn looking_every(every: Duration, file: PathBuf, tell: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let (to_watcher, messages) = mpsc::channel();
        let mut watcher = Watcher::new(file, to_watcher.clone(), every);
        thread::Builder::new().name("config-watch".to_owned()).spawn(move || watcher.work(&messages, tell))?;
        Ok(Self { to_watcher })
    }

    /// Watches these files too, instead of those that were named before: secrets, which are read with the configuration.
    pub fn also(&self, files: Vec<PathBuf>) {
        // The watcher ends with us alone.
        let _ = self.to_watcher.send(Message::Others(files));
    }

    /// Tells once more within [`LOOK_EVERY`], though nothing changes: for what may be mended elsewhere.
    pub fn look_again(&self) {
        let _ = self.to_watcher.send(Message::Again);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.to_watcher.send(Message::End);
    }
}

/// The thread's side.
struct Watcher {
    file: PathBuf,
    others: Vec<PathBuf>,
    to_self: Sender<Message>,
    look_every: Duration,
    route: Route,
    /// What the kernel was asked to tell; `None` when it could not be asked.
    kernel: Option<RecommendedWatcher>,
    /// Why the kernel does not tell all; said once.
    complaint: Option<String>,
    stamps: BTreeMap<PathBuf, Stamp>,
    /// Whether to tell at the next look in any case.
    again: bool,
    settling: Settling,
}

impl Watcher {
    fn new(file: PathBuf, to_self: Sender<Message>, look_every: Duration) -> Self {
        Self {
            file,
            others: Vec::new(),
            to_self,
            look_every,
            route: Route::default(),
            kernel: None,
            complaint: None,
            stamps: BTreeMap::new(),
            again: false,
            settling: Settling::default(),
        }
    }

    fn work(&mut self, messages: &Receiver<Message>, mut tell: impl FnMut()) {
        self.follow();
        self.settling.note(&Seen::Lost, Instant::now());
        let mut next_look = Instant::now() + self.look_every;
        loop {
            let due = self.settling.due();
            let until = due.map_or(next_look, |due| due.min(next_look));
            match messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Message::Seen(seen)) => self.note(&seen),
                Ok(Message::Others(files)) => self.also(files),
                Ok(Message::Again) => self.again = true,
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if due.is_some_and(|due| due <= Instant::now()) => {
                    self.follow();
                    // Before the files are read: what changes from now on is another change.
                    self.stamps = self.route.stamps();
                    self.settling.looked();
                    tell();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.look();
                    next_look = Instant::now() + self.look_every;
                }
            }
        }
    }

    fn also(&mut self, files: Vec<PathBuf>) {
        if files == self.others {
            return;
        }
        self.others = files;
        self.follow();
        let known = std::mem::replace(&mut self.stamps, self.route.stamps());
        self.stamps.extend(known.into_iter().filter(|(path, _)| self.route.concerns(path)));
    }

    fn note(&mut self, seen: &Seen) {
        debug!(?seen, "the configuration may have changed");
        self.settling.note(seen, Instant::now());
        match seen {
            Seen::Writing(_) => return, // a writer changes no directory
            Seen::Changed(_) => {}
            // A directory that is made again may look the same, down to its number, and is not watched.
            Seen::Lost => self.route = Route::default(),
        }
        self.follow();
    }

    /// Looks at everything from outside, for changes of which nobody told.
    fn look(&mut self) {
        self.follow();
        if self.complaint.is_some() {
            self.ask_kernel();
        }
        let unseen = self.settling.due().is_none() && self.route.stamps() != self.stamps;
        if unseen {
            debug!("the configuration changed, and no event told of it");
        }
        if std::mem::take(&mut self.again) || unseen {
            self.settling.note(&Seen::Lost, Instant::now());
        }
    }

    /// Finds out what is to be watched, and has the kernel watch that when it is not what it watches.
    fn follow(&mut self) {
        for _ in 0..TRIES {
            let route = Route::to(&self.file, &self.others);
            if route == self.route {
                return;
            }
            self.route = route;
            self.ask_kernel();
        }
    }

    /// Watches anew. The watches of before end when the new ones stand: no change falls between them. A watcher is never
    /// told to watch other directories, because it mixes up those that bore the same name one after the other.
    fn ask_kernel(&mut self) {
        let (route, to_self) = (self.route.clone(), self.to_self.clone());
        let report = move |event: notify::Result<Event>| {
            let seen = event.map_or(Some(Seen::Lost), |event| seen(&event, &route));
            if let Some(seen) = seen {
                let _ = to_self.send(Message::Seen(seen));
            }
        };
        let mut complaint = None;
        match notify::recommended_watcher(report) {
            Ok(mut kernel) => {
                for directory in self.route.directories.keys() {
                    if let Err(error) = kernel.watch(directory, RecursiveMode::NonRecursive) {
                        complaint = Some(error);
                    }
                }
                self.kernel = Some(kernel);
            }
            Err(error) => {
                self.kernel = None;
                complaint = Some(error);
            }
        }
        self.complain(complaint);
    }

    fn complain(&mut self, complaint: Option<notify::Error>) {
        let said = complaint.as_ref().map(ToString::to_string);
        if let Some(error) = complaint.filter(|_| said != self.complaint) {
            let seconds = self.look_every.as_secs();
            warn!(
                error = &error as &dyn Error,
                "the system does not tell of every edit of the configuration; it is looked at every {seconds} seconds"
            );
        }
        self.complaint = said;
    }
}

#[cfg(test)]
mod tests;
