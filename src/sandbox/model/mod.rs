//! The world behind the servers: one Okta org, one Entra tenant, and the handles by which tests edit them.
//!
//! Servers take [`World::read`] or [`World::write`] for the time of one request and never clone a table. A listing
//! resumes at a row number, so a page costs what it holds, also among a million people.

pub mod edit;
pub mod entra;
pub mod okta;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use entra::Entra;
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
