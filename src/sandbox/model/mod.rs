//! The world behind the servers: one Okta org, one Entra tenant, and the handles by which tests edit them.
//!
//! Servers take [`World::read`] or [`World::write`] for the time of one request and never clone a table. A listing
//! resumes at a row number, so a page costs what it holds, also among a million people.

pub mod edit;
pub mod entra;
pub mod habits;
pub mod okta;
pub mod subscription;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use entra::{Entra, Happening, Moment};
use okta::Okta;

/// Both directories. Cheap to clone; every clone is the same world.
#[derive(Clone, Debug)]
pub struct World {
    state: Arc<RwLock<State>>,
}

/// What the lock guards.
#[derive(Debug, Default)]
pub struct State {
    pub okta: Okta,
    pub entra: Entra,
}

impl World {
    /// A world made of these two directories.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { state: Arc::new(RwLock::new(state)) }
    }

    /// For answering a request that changes nothing. Never hold it over an `await`.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a request or a test that changes something. Never hold it over an `await`.
    pub fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Called when Okta's people are listed from the start: what Okta learned since the last run is there now.
    pub(crate) fn begin_listing(&mut self, now: i64) {
        if self.entra.writes() > 0 {
            for what in self.entra.due(Moment::NextListing) {
                self.happen(&what, now);
            }
        }
    }

    /// Whether [`State::begin_listing`] would do anything.
    pub(crate) fn has_news(&self) -> bool {
        let waiting = |incident: &entra::Incident| incident.when == Moment::NextListing && !incident.fired;
        self.entra.writes() > 0 && self.entra.incidents().iter().any(waiting)
    }

    /// Lets those incidents happen again that an earlier start of this world saw.
    pub(crate) fn replay(&mut self, fired: &[usize], now: i64) {
        for index in fired {
            if let Some(what) = self.entra.again(*index) {
                self.happen(&what, now);
            }
        }
    }

    fn happen(&mut self, what: &Happening, now: i64) {
        if let Happening::MovedInOkta { person, manager } = what {
            let Some(row) = self.okta.by_login(person) else { return };
            self.okta.edit(row, now, |user| {
                user.profile.set("managerId", manager.as_str());
                user.profile.set("managerEmail", manager.as_str());
            });
        } else {
            self.entra.happen(what);
        }
    }
}
