//! The client: attempts, waits, records.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::http::call::{Answer, Call, Draft};
use crate::http::error::HttpError;

/// How to send.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// For one attempt, from the first byte sent to the last received.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// How long a request may wait between its attempts, all waits together.
    pub patience: Duration,
    /// The first wait when the other side names none; it doubles from there.
    pub first_wait: Duration,
    pub user_agent: String,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            patience: Duration::from_secs(300),
            first_wait: Duration::from_millis(200),
            user_agent: concat!("graphkeeper/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// The process's one HTTP client. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    _p: (),
}

impl Client {
    #[must_use]
    pub fn new(settings: ClientSettings, clock: Arc<dyn Clock>) -> Self {
        unimplemented!()
    }
    /// Sends until there is a final answer. `draft` builds the request anew for each attempt, counted from 1.
    pub async fn send<E, F>(&self, call: &Call<'_>, draft: impl Fn(u32) -> F + Send + Sync) -> Result<Answer, E>
    where
        E: From<HttpError>,
        F: Future<Output = Result<Draft, E>> + Send,
    {
        unimplemented!()
    }
}
