//! The client: where Graph is, who asks, at what pace.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::auth::Authorizer;
use crate::graph::error::GraphError;
use crate::graph::paths;
use crate::http::calls::Service;
use crate::http::gate::Gate;
use crate::http::header::{HeaderMap, HeaderName, HeaderValue};
use crate::http::retry::Backoff;
use crate::http::{Answer, Call, Client, Draft, Repeat};

/// Names a call in Microsoft's logs and in our own. Fresh for each attempt.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

/// Asks for the directory's index, which counting needs.
const CONSISTENCY_LEVEL: HeaderName = HeaderName::from_static("consistencylevel");

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The application itself.
    App,
    /// The person who signed in.
    User,
}

/// Microsoft Graph v1.0. Clones share connections and pace.
#[derive(Clone, Debug)]
pub struct GraphClient {
    http: Client,
    app: Option<Arc<Authorizer>>,
    user: Option<Arc<Authorizer>>,
    root: Url,
    gate: Arc<Gate>,
}

impl GraphClient {
    /// A client for the Graph at `graph_url` (the root, without `/v1.0`), with the identities that are configured.
    #[must_use]
    pub fn new(http: Client, app: Option<Arc<Authorizer>>, user: Option<Arc<Authorizer>>, graph_url: Url) -> Self {
        Self { http, app, user, root: graph_url, gate: Arc::new(Gate::graph()) }
    }

    /// The same Graph at the same pace, by other connections and identities.
    #[must_use]
    pub fn with(&self, http: Client, app: Option<Arc<Authorizer>>, user: Option<Arc<Authorizer>>) -> Self {
        Self { http, app, user, ..self.clone() }
    }

    /// Whether an identity is configured.
    #[must_use]
    pub const fn has(&self, identity: Identity) -> bool {
        match identity {
            Identity::App => self.app.is_some(),
            Identity::User => self.user.is_some(),
        }
    }

    /// Waits until a sign-in of this identity that is under way has ended, its new refresh token stored. See
    /// [`Authorizer::settled`].
    pub async fn signed_in(&self, identity: Identity) {
        if let Ok(authorizer) = self.authorizer(identity) {
            authorizer.settled().await;
        }
    }

    pub(super) fn authorizer(&self, identity: Identity) -> Result<&Authorizer, GraphError> {
        let (authorizer, name) = match identity {
            Identity::App => (&self.app, "app"),
            Identity::User => (&self.user, "user"),
        };
        authorizer.as_deref().ok_or(GraphError::NoIdentity(name))
    }

    pub(super) fn at(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        paths::at(&self.root, segments, query)
    }

    /// The root without a slash at its end, as it stands in bodies that name an object.
    pub(super) fn root(&self) -> &str {
        self.root.as_str().trim_end_matches('/')
    }

    pub(super) fn get(url: Url, endpoint: &'static str) -> Call<'static> {
        Call::get(Service::Graph, url, endpoint)
    }

    /// Sends a call; an answer of any status comes back.
    pub(super) async fn send(
        &self,
        identity: Identity,
        call: Call<'_>,
        writes: u32,
        draft: impl Fn() -> Draft + Send + Sync,
    ) -> Result<Answer, GraphError> {
        let call = Call { pace: Some((&self.gate, writes)), ..call };
        let draft = |_| draft().header(CLIENT_REQUEST_ID, fresh_id());
        Ok(self.authorizer(identity)?.send(&self.http, &call, draft).await?)
    }

    /// Reads, with 2xx or an error.
    pub(super) async fn read(&self, identity: Identity, call: Call<'_>) -> Result<Answer, GraphError> {
        let answer = self.send(identity, call, 0, Draft::new).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(GraphError::refused(&answer)) }
    }

    /// Reads from the directory's index.
    pub(super) async fn read_index(&self, identity: Identity, call: Call<'_>) -> Result<Answer, GraphError> {
        let eventual = || Draft::new().header(CONSISTENCY_LEVEL, HeaderValue::from_static("eventual"));
        let answer = self.send(identity, call, 0, eventual).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(GraphError::refused(&answer)) }
    }

    /// The bounds of trying again, for items of batches, which the HTTP client does not see.
    pub(super) fn backoff(&self) -> Backoff {
        self.http.backoff()
    }

    pub(super) fn asked_wait(&self, status: u16, headers: &HeaderMap) -> Option<Duration> {
        self.http.asked_wait(status, headers)
    }

    /// Posts a batch; an answer of any status comes back.
    pub(super) async fn post_batch<T: Serialize + Sync>(
        &self,
        batch: &T,
        writes: u32,
        repeat: Repeat,
        patience: Option<Duration>,
    ) -> Result<Answer, GraphError> {
        let call = Call::post(Service::Graph, self.at(&["$batch"], &[]), "/$batch", repeat);
        let call = Call { patience, ..call };
        self.send(Identity::App, call, writes, || Draft::new().json(batch)).await
    }
}

fn fresh_id() -> HeaderValue {
    HeaderValue::from_str(&Uuid::new_v4().to_string()).expect("a UUID is plain ASCII")
}

/// A header of an item of a batch, which is an object whose names come in any case and whose values need not be text.
pub(super) fn header<'a>(headers: &'a HashMap<String, Value>, name: &str) -> Option<Cow<'a, str>> {
    let (_, value) = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value.as_str().map_or_else(|| value.to_string().into(), Cow::Borrowed))
}

/// The headers of an item as those of an answer, so that one function reads both.
pub(super) fn header_map(headers: &HashMap<String, Value>) -> HeaderMap {
    let pairs = headers.keys().filter_map(|name| {
        let value = header(headers, name)?;
        Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::from_str(&value).ok()?))
    });
    pairs.collect()
}
