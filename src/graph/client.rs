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
use crate::http::gate::{Gate, Leave};
use crate::http::header::{HeaderMap, HeaderName, HeaderValue};
use crate::http::meter::Cause;
use crate::http::retry::Backoff;
use crate::http::{Answer, Call, Client, Draft, HttpError, Repeat};
use crate::secret::Secret;

/// Names a call in Microsoft's logs and in our own. Fresh for each attempt.
pub(super) const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

/// Asks for the directory's index, which counting needs.
const CONSISTENCY_LEVEL: HeaderName = HeaderName::from_static("consistencylevel");

/// What all batches are paced and counted by.
const BATCH: &str = "/$batch";

/// Leave to make writes, once: the token is there, the budget is free and nobody was told to wait.
#[derive(Debug)]
pub struct WriteLeave<'a> {
    turn: Leave<'a>,
    authorization: Secret,
}

impl WriteLeave<'_> {
    /// Whether Graph has asked somebody to wait since this was given: better ask for another one.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.turn.is_withdrawn()
    }
}

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

    /// Signs in ahead of work. See [`Authorizer::sign_in`].
    ///
    /// # Errors
    ///
    /// [`GraphError::Auth`] when there is no token, [`GraphError::NoIdentity`] when there is nobody to sign in.
    pub async fn sign_in(&self, identity: Identity, anew: bool) -> Result<(), GraphError> {
        self.authorizer(identity)?.sign_in(anew).await.map_err(GraphError::Auth)
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

    /// Sends a call, under a fresh id for each attempt unless the draft has one; an answer of any status comes back.
    pub(super) async fn send(
        &self,
        identity: Identity,
        call: Call<'_>,
        draft: impl Fn() -> Draft + Send + Sync,
    ) -> Result<Answer, GraphError> {
        let call = call.paced(&self.gate);
        let draft = |_| {
            let draft = draft();
            let named = draft.headers.contains_key(CLIENT_REQUEST_ID);
            if named { draft } else { draft.header(CLIENT_REQUEST_ID, fresh_id()) }
        };
        Ok(self.authorizer(identity)?.send(&self.http, &call, draft).await?)
    }

    /// Reads, with 2xx or an error.
    pub(super) async fn read(&self, identity: Identity, call: Call<'_>) -> Result<Answer, GraphError> {
        let answer = self.send(identity, call, Draft::new).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(GraphError::refused(&answer)) }
    }

    /// Reads from the directory's index.
    pub(super) async fn read_index(&self, identity: Identity, call: Call<'_>) -> Result<Answer, GraphError> {
        let eventual = || Draft::new().header(CONSISTENCY_LEVEL, HeaderValue::from_static("eventual"));
        let answer = self.send(identity, call, eventual).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(GraphError::refused(&answer)) }
    }

    /// The bounds of trying again, for items of batches, which the HTTP client does not see.
    pub(super) fn backoff(&self) -> Backoff {
        self.http.backoff()
    }

    pub(super) fn asked_wait(&self, status: u16, headers: &HeaderMap) -> Option<Duration> {
        self.http.asked_wait(status, headers)
    }

    /// Lets everybody wait where items of a batch were turned away for a time.
    pub(super) fn heed(&self, status: u16, asked: Option<Duration>) {
        self.gate.heed(BATCH, status, asked);
    }

    /// Counts an answer inside a batch, which the HTTP client does not see.
    pub(super) fn count_item(&self, status: u16) {
        self.http.meter().item(status);
    }

    /// Counts a wait that the HTTP client does not see.
    pub(super) fn waited(&self, cause: Cause, time: Duration) {
        self.http.meter().waited(Service::Graph, cause, time);
    }

    /// Posts a batch of reads; an answer of any status comes back.
    pub(super) async fn post_reads<T: Serialize + Sync>(&self, batch: &T) -> Result<Answer, GraphError> {
        let call = Call::post(Service::Graph, self.at(&["$batch"], &[]), BATCH, Repeat::Safe);
        self.send(Identity::App, call, || Draft::new().json(batch)).await
    }

    /// Waits until so many writes may leave: for a token, for the budget, and for whatever Graph asked for. May take
    /// minutes, in which others write, so look at old values afterwards. Dropping the wait is harmless.
    ///
    /// # Errors
    ///
    /// When there is no token.
    pub async fn leave_to_write(&self, writes: usize) -> Result<WriteLeave<'_>, GraphError> {
        let app = self.authorizer(Identity::App)?;
        // What takes longest goes first, so that nobody's turn passes by meanwhile.
        app.authorization().await.map_err(GraphError::Auth)?;
        let turn = self.gate.leave_to_write(BATCH, u32::try_from(writes).unwrap_or(u32::MAX)).await;
        self.waited(Cause::Paced, turn.waited());
        Ok(WriteLeave { authorization: app.authorization().await.map_err(GraphError::Auth)?, turn })
    }

    /// Posts a batch of writes, once; an answer of any status comes back.
    pub(super) async fn post_writes<T: Serialize + Sync>(
        &self,
        leave: &WriteLeave<'_>,
        batch: &T,
    ) -> Result<Answer, HttpError> {
        let url = self.at(&["$batch"], &[]);
        let call = Call::post(Service::Graph, url, BATCH, Repeat::OnlyIfNotExecuted).with_leave(&leave.turn);
        let draft = |_| async {
            let authorization = Some(leave.authorization.clone());
            Ok(Draft { authorization, ..Draft::new().json(batch).header(CLIENT_REQUEST_ID, fresh_id()) })
        };
        self.http.send(&call, draft).await
    }

    /// Drops the token that Graph refused. Says whether a fresh one can be had.
    pub(super) async fn forget(&self, used: &Secret) -> bool {
        match &self.app {
            Some(app) => app.forget(used).await,
            None => false,
        }
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
