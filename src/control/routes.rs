//! What the service does for whoever asks through the socket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::app::{self, App};
use crate::control::asked::{Answered, Asked, Peer, wrong};
use crate::control::carry::{self, Work};
use crate::control::login::{self, Expected};
use crate::control::refusal::Refusal;
use crate::control::stream;
use crate::control::turns::Turns;
use crate::control::wire::{
    self, About, AcceptRequest, DoctorRequest, JobRequest, PROTOCOL, PROTOCOL_HEADER, Refused, ReleaseRequest,
    RunRequest, TestRequest, VERSION, VERSION_HEADER, path,
};
use crate::daemon::Desk;
use crate::doctor;
use crate::doctor::examine::examine;
use crate::domain::run::RunId;
use crate::inbound::Streams;
use crate::inbound::patience::Patience;
use crate::jobs::progress::Progress;

/// What the service lends to those who ask: itself as it is configured now, and its desk.
#[derive(Clone)]
pub struct Counter {
    app: Arc<dyn Fn() -> Arc<App> + Send + Sync>,
    pub(super) desk: Desk,
    pub(super) stops: Stops,
    pub(super) expected: Expected,
    /// Of pauses and resumptions.
    turns: Turns,
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counter").field("desk", &self.desk).finish_non_exhaustive()
    }
}

impl Counter {
    /// `app` gives the program as it is configured now; a run keeps the one that it began with.
    pub fn new(app: impl Fn() -> Arc<App> + Send + Sync + 'static, desk: Desk) -> Self {
        Self {
            app: Arc::new(app),
            desk,
            stops: Stops::default(),
            expected: Expected::default(),
            turns: Turns::default(),
        }
    }

    pub(super) fn app(&self) -> Arc<App> {
        (self.app)()
    }
}

/// How each run that somebody asked for is stopped.
#[derive(Clone, Debug, Default)]
pub(super) struct Stops(Arc<Mutex<HashMap<RunId, CancellationToken>>>);

impl Stops {
    pub(super) fn add(&self, run: &RunId, stop: CancellationToken) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone(), stop);
    }

    pub(super) fn remove(&self, run: &RunId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
    }

    fn get(&self, run: &RunId) -> Option<CancellationToken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(run).cloned()
    }
}

/// Every route, each answer with the protocol and the version.
pub(super) fn router(counter: Counter) -> Router {
    Router::new()
        .route(path::RUNS, post(run))
        .route(path::STOP, post(stop))
        .route(path::RELEASE, post(release))
        .route(path::ACCEPT_SOURCE, post(accept_source))
        .route(path::PAUSE, post(pause))
        .route(path::RESUME, post(resume))
        .route(path::LOGIN, post(login::login))
        .route(path::CAME_BACK, post(login::came_back))
        .route(path::LOGOUT, post(login::logout))
        .route(path::DOCTOR, post(doctor))
        .route(path::NOTIFY_TEST, post(notify_test))
        .route(path::ABOUT, get(about))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn(speak))
        .with_state(counter)
}

/// Refuses another protocol, names ours, and bounds how long the answer may take to be read.
async fn speak(Extension(patience): Extension<Patience>, request: Request, next: Next) -> Response {
    let asked = request.headers().get(PROTOCOL_HEADER).and_then(|value| value.to_str().ok()).unwrap_or("none");
    let mut response = if asked == PROTOCOL.to_string() {
        next.run(request).await
    } else {
        let message =
            format!("the service is graphkeeper {VERSION} with protocol {PROTOCOL}, and was asked in protocol {asked}");
        wrong(StatusCode::BAD_REQUEST, message, Some(wire::SAME_VERSION)).into_response()
    };
    if response.extensions().get::<Streams>().is_none() {
        patience.answered();
    }
    let headers = response.headers_mut();
    headers.insert(PROTOCOL_HEADER, HeaderValue::from(PROTOCOL));
    headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    response
}

async fn unknown(method: Method, uri: Uri) -> Answered {
    let message = format!("the service knows no {method} {}", uri.path());
    wrong(StatusCode::NOT_FOUND, message, Some(wire::SAME_VERSION))
}

async fn run(State(counter): State<Counter>, asked: Asked<RunRequest>) -> Result<Response, Answered> {
    let Asked { request, caller, app, patience } = asked;
    let work = Work::of(&request, async || Ok(app.history.clone())).await?;
    app::fits(&app.settings, &work.job, &work.task).map_err(Refusal::from)?;
    info!(job = %work.job, %caller, "{caller} asks for a run of {}", work.job);
    Ok(stream::begin(&counter, app, work, &caller, patience))
}

async fn stop(
    State(counter): State<Counter>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Path(run): Path<String>,
) -> Result<StatusCode, Answered> {
    let run = RunId::stored(&run);
    let Some(stop) = counter.stops.get(&run) else {
        return Err(wrong(StatusCode::NOT_FOUND, format!("no run {run} that somebody asked for is going on"), None));
    };
    let caller = peer.name(&headers).await;
    info!(run.id = %run, %caller, "{caller} stops run {run}");
    stop.cancel();
    Ok(StatusCode::NO_CONTENT)
}

async fn release(asked: Asked<ReleaseRequest>) -> Result<Json<wire::Released>, Answered> {
    let Asked { request, caller, app, .. } = asked;
    if let Some(job) = &request.job {
        app::known(&app.settings, job).map_err(Refusal::from)?;
    }
    let released = carry::release(&app.history, &request, &caller, app.clock.now()).await?;
    info!(%caller, people = released.people.len(), "{caller} released {} people", released.people.len());
    Ok(Json(released))
}

async fn accept_source(asked: Asked<AcceptRequest>) -> Result<Json<wire::Accepted>, Answered> {
    let Asked { request, caller, app, .. } = asked;
    let accepted = carry::accept_source(&app.history, &request, &caller, app.clock.now()).await?;
    info!(run.id = %accepted.run, %caller, "{caller} accepted the counts of run {}", accepted.run);
    Ok(Json(accepted))
}

async fn pause(State(counter): State<Counter>, asked: Asked<JobRequest>) -> Result<Json<wire::Paused>, Answered> {
    let Asked { request: JobRequest { job }, caller, app, .. } = asked;
    app::known(&app.settings, &job).map_err(Refusal::from)?;
    let (desk, now) = (counter.desk.clone(), app.clock.now());
    let pause = async move {
        let paused = carry::pause(&app.history, &job, &caller, now).await?;
        let by = paused.by.clone().unwrap_or_default();
        info!(%job, caller = by, "{job} is paused by {by}");
        desk.pause(job, Some(format!("paused by {by}")));
        Ok::<_, Refusal>(paused)
    };
    Ok(Json(counter.turns.take(pause).await?))
}

async fn resume(State(counter): State<Counter>, asked: Asked<JobRequest>) -> Result<Json<wire::Paused>, Answered> {
    let Asked { request: JobRequest { job }, caller, app, .. } = asked;
    app::known(&app.settings, &job).map_err(Refusal::from)?;
    let desk = counter.desk.clone();
    let resume = async move {
        let resumed = carry::resume(&app.history, &job).await?;
        info!(%job, %caller, "{job} is resumed by {caller}");
        desk.pause(job, None);
        Ok::<_, Refusal>(resumed)
    };
    Ok(Json(counter.turns.take(resume).await?))
}

/// Ends with the connection of whoever asked.
async fn doctor(asked: Asked<DoctorRequest>) -> Json<doctor::Report> {
    let Asked { caller, app, .. } = asked;
    info!(%caller, "{caller} asks for an examination");
    Json(examine(&app.patient(), &Progress::default()).await)
}

async fn notify_test(asked: Asked<TestRequest>) -> Result<Json<wire::Tested>, Answered> {
    let Asked { request, caller, app, .. } = asked;
    info!(channel = request.channel, %caller, "{caller} tries the channel {}", request.channel);
    Ok(Json(carry::notify_test(app.notices(), &request, &caller).await?))
}

async fn about(State(counter): State<Counter>) -> Json<About> {
    let about = counter.desk.about();
    let app = counter.app();
    Json(About {
        pid: std::process::id(),
        state_directory: app.settings.state_directory.clone(),
        unwritten: about.unwritten,
        concerns: about.concerns.into_values().collect(),
        refused: about.refused.map(|refused| Refused { since: refused.since, problem: refused.reason }),
    })
}
