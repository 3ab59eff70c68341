//! What somebody asks of the service: who it is, and the request, whole and understood; or the refusal as an answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::control::peer;
use crate::control::refusal::{Refusal, Told};
use crate::control::routes::Counter;
use crate::control::wire::CLAIM_HEADER;
use crate::inbound::patience::Patience;

/// What a request's body may take, in bytes: a few thousand names.
const BODY: usize = 256 * 1024;
/// How long the machine's directories may take to name a user.
const NAMING: Duration = Duration::from_secs(2);

/// The user whom nothing keeps from saying what `sudo` would say.
const ROOT: u32 = 0;

/// A request with a body, and all that an answer to it begins with.
pub(super) struct Asked<T> {
    pub(super) request: T,
    /// The user behind the connection, by name.
    pub(super) caller: String,
    /// The program as it is configured now.
    pub(super) app: Arc<App>,
    pub(super) patience: Patience,
}

impl<T: DeserializeOwned + Send> FromRequest<Counter> for Asked<T> {
    type Rejection = Answered;

    async fn from_request(request: Request, counter: &Counter) -> Result<Self, Answered> {
        let (mut parts, body) = request.into_parts();
        let peer: Peer = parts.extensions.remove().expect("each connection knows its peer");
        let patience: Patience = parts.extensions.remove().expect("each connection has a limit");
        let request = read(&patience, body).await?;
        let caller = peer.name(&parts.headers).await;
        Ok(Self { request, caller, app: counter.app(), patience })
    }
}

/// The body of a request, whole and understood.
async fn read<T: DeserializeOwned>(patience: &Patience, body: Body) -> Result<T, Answered> {
    let bytes = to_bytes(body, BODY).await.map_err(|_| {
        wrong(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a request may have {BODY} bytes at most, and has to be whole"),
            None,
        )
    })?;
    patience.works();
    serde_json::from_slice(&bytes)
        .map_err(|error| wrong(StatusCode::BAD_REQUEST, format!("the request is not understood: {error}"), None))
}

/// Who asks, by the kernel's word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
}

impl Peer {
    /// The name of the user, else the number. What root says of who became root is told as root's claim; others are
    /// themselves, whatever they say.
    pub(super) async fn name(self, headers: &HeaderMap) -> String {
        let named = tokio::task::spawn_blocking(move || peer::user(self.uid));
        let name = match tokio::time::timeout(NAMING, named).await {
            Ok(Ok(name)) => name,
            _ => format!("uid {}", self.uid),
        };
        let claim = headers.get(CLAIM_HEADER).filter(|_| self.uid == ROOT);
        peer::with_claim(&name, claim.and_then(|claim| str::from_utf8(claim.as_bytes()).ok()))
    }
}

/// A refusal as an answer.
pub(super) struct Answered(StatusCode, Told);

impl From<Refusal> for Answered {
    fn from(refusal: Refusal) -> Self {
        Self(StatusCode::CONFLICT, Told::of(&refusal))
    }
}

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

pub(super) fn wrong(status: StatusCode, message: String, hint: Option<&str>) -> Answered {
    let (causes, hint) = (Vec::new(), hint.map(str::to_owned));
    Answered(status, Told { message, causes, hint, usage: true, needs_human: false })
}
