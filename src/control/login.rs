//! A person signs in or out through the service: its identity, its files; the person and the browser are with whoever asks.
//!
//! The sign-in lives as long as its connection: who leaves has given it up. A browser comes back to whoever asked, who may
//! be on another machine's screen; what it brings is a second request, and the first one tells how it ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use crate::app::{App, identities};
use crate::auth::browser::{self, Back};
use crate::auth::{AuthError, Authorizer};
use crate::control::asked::{Answered, Asked, wrong};
use crate::control::refusal::{Refusal, Told};
use crate::control::routes::Counter;
use crate::control::stream::{self, QUEUE, line};
use crate::control::wire::{CameBack, LoggedOut, LoginLine, LoginRequest, Person};
use crate::secret::Secret;

/// Sign-ins for which a browser is on its way, by the state that it brings back.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected(Arc<Mutex<HashMap<String, oneshot::Sender<Back>>>>);

impl Expected {
    fn expect(&self, state: &str) -> Expecting<'_> {
        let (came, comes) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(state.to_owned(), came);
        Expecting { expected: self, state: state.to_owned(), comes }
    }

    fn take(&self, state: &str) -> Option<oneshot::Sender<Back>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(state)
    }
}

/// One of them, until this is dropped.
struct Expecting<'a> {
    expected: &'a Expected,
    state: String,
    comes: oneshot::Receiver<Back>,
}

impl Expecting<'_> {
    async fn back(mut self) -> Result<Back, AuthError> {
        let back = tokio::time::timeout(browser::PATIENCE, &mut self.comes).await;
        back.ok().and_then(Result::ok).ok_or_else(browser::nobody_came)
    }
}

impl Drop for Expecting<'_> {
    fn drop(&mut self) {
        self.expected.take(&self.state);
    }
}

/// `POST /v1/login`: what to show, and how it ended.
pub(super) async fn login(State(counter): State<Counter>, asked: Asked<LoginRequest>) -> Result<Response, Answered> {
    let Asked { request, caller, app, patience } = asked;
    let user = app.person().map_err(Refusal::from)?;
    info!(%caller, "{caller} begins to sign a person in");
    let (say, lines) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let signing_in = sign_in(&counter.expected, &user, &request, &caller, &say);
        let ended = tokio::select! {
            ended = signing_in => ended,
            () = say.closed() => return info!(%caller, "{caller} went away, and nobody was signed in"),
        };
        let last = end(&app, ended, &caller);
        stream::end_with(say, &last, &patience).await;
    });
    Ok(stream::answer(lines))
}

async fn sign_in(
    expected: &Expected,
    user: &Authorizer,
    request: &LoginRequest,
    caller: &str,
    say: &mpsc::Sender<Bytes>,
) -> Result<Vec<String>, AuthError> {
    // The first line always finds room.
    let show = |shown: LoginLine| drop(say.try_send(line(&shown)));
    let signed_in = match request {
        LoginRequest::Code {} => {
            let code = |prompt: &crate::auth::device::Prompt| {
                let (address, code, seconds) =
                    (prompt.address.clone(), prompt.code.clone(), prompt.expires_in.as_secs());
                show(LoginLine::Code { address, code, seconds });
            };
            user.sign_in_by_code(caller, code).await?
        }
        LoginRequest::Browser { port } => {
            let asked = user.ask_browser(*port).await;
            let expecting = expected.expect(&asked.state);
            show(LoginLine::Browser { address: asked.address.to_string(), state: asked.state.clone() });
            let back = expecting.back().await?;
            user.come_back(asked, back, caller).await?
        }
    };
    Ok(signed_in.scopes)
}

/// The last line of a sign-in.
fn end(app: &App, ended: Result<Vec<String>, AuthError>, caller: &str) -> LoginLine {
    match ended {
        Ok(scopes) => {
            info!(%caller, "{caller} signed a person in");
            let (tenant, client_id) = identities::person(&app.settings);
            LoginLine::SignedIn(Person { tenant, client_id, scopes })
        }
        Err(error) => {
            let told = Told::of(&Refusal::from(error));
            info!(%caller, "nobody was signed in: {}", told.message);
            LoginLine::Failure(told)
        }
    }
}

/// `POST /v1/login/back`: what the browser brought to whoever began the sign-in.
pub(super) async fn came_back(State(counter): State<Counter>, asked: Asked<CameBack>) -> Result<StatusCode, Answered> {
    let CameBack { state, code, error, description } = asked.request;
    let back = match (code, error) {
        (Some(code), None) => Back::Code(Secret::new(code)),
        (None, Some(error)) => Back::Refused { error, description: description.unwrap_or_default() },
        _ => return Err(wrong(StatusCode::BAD_REQUEST, "a browser brings a code or an error".to_owned(), None)),
    };
    let waiting = counter.expected.take(&state);
    match waiting.map(|waiting| waiting.send(back)) {
        Some(Ok(())) => Ok(StatusCode::NO_CONTENT),
        _ => Err(wrong(StatusCode::NOT_FOUND, "no sign-in waits for this browser".to_owned(), None)),
    }
}

/// `POST /v1/logout`: whether anybody was signed in.
pub(super) async fn logout(asked: Asked<()>) -> Result<Json<LoggedOut>, Answered> {
    let Asked { caller, app, .. } = asked;
    let user = app.person().map_err(Refusal::from)?;
    let signed_out = user.sign_out(&caller).await.map_err(Refusal::from)?;
    info!(%caller, "{caller} signed the person out");
    Ok(Json(LoggedOut { signed_out, first_token: identities::has_first_token(&app.settings) }))
}
