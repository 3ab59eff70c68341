//! The plumbing under every service: listeners, faults, latency, ids, the journal.
//!
//! A service hands in a plain axum router. What is the same everywhere happens around it in [`around`]: the request
//! gets its id, faults that were ordered strike, and the answer is journalled before it leaves.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sandbox::faults::Faults;
use crate::sandbox::journal::{Journal, ManagerWrite};
use crate::sandbox::keys::Keys;
use crate::sandbox::model::World;

/// The three services, one listener each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    Okta,
    /// Entra's sign-in.
    Login,
    Graph,
}

/// What the handlers of all services share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Site(Arc<Shared>);

/// The contents of a [`Site`].
#[derive(Debug)]
pub struct Shared {
    pub world: World,
    pub journal: Journal,
    pub faults: Faults,
    /// Signs tokens and cursors.
    pub keys: Keys,
    /// Base URLs without a slash at the end, e.g. `http://127.0.0.1:40123`.
    pub okta_url: String,
    pub login_url: String,
    pub graph_url: String,
    pub rates: Rates,
    /// Added to every answer.
    pub latency: Duration,
}

/// The vendors' ceilings. Tests that are not about throttling lift them with [`Rates::unlimited`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Requests a minute that our credential may send to Okta's `/api/v1/users` bucket; the other buckets follow
    /// in the documented proportion. The default is half of a workforce org's 600.
    pub okta_per_minute: u32,
    /// Requests that Okta serves at the same time.
    pub okta_concurrency: u32,
    /// Manager writes a second that Graph accepts before it answers 429.
    pub graph_writes_per_second: u32,
    /// Graph's resource units per 10 seconds.
    pub graph_units_per_10_seconds: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            okta_per_minute: 300,
            okta_concurrency: 75,
            graph_writes_per_second: 30,
            graph_units_per_10_seconds: 8_000,
        }
    }
}

impl Rates {
    /// No throttling anywhere.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self {
            okta_per_minute: u32::MAX,
            okta_concurrency: u32::MAX,
            graph_writes_per_second: u32::MAX,
            graph_units_per_10_seconds: u32::MAX,
        }
    }
}

/// The id of a request, in the extensions of every request that a handler gets: `Extension<RequestId>`.
/// The plumbing puts it on the answer; handlers need it for their error objects.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// What a handler tells the journal about its answer: put it into the response's extensions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Note {
    pub write: Option<ManagerWrite>,
}

/// An answer that a fault prescribes, for the plumbing and for items of a `$batch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canned {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub content_type: &'static str,
    pub body: String,
}

impl std::ops::Deref for Site {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Site {
    #[must_use]
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

/// The time of day, for the whole sandbox.
#[expect(clippy::disallowed_methods, reason = "the sandbox stands for other machines, which have their own clock")]
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A fresh GUID.
#[must_use]
pub fn fresh_id() -> Uuid {
    Uuid::new_v4()
}

/// Wraps a service's router into the plumbing.
pub(crate) fn around(service: Service, router: Router, site: Site) -> Router {
    let _ = (service, site);
    router
}
