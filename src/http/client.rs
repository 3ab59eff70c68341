//! The client: attempts, waits, records.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};
use tracing::{debug, info};
use url::Url;

use crate::clock::Clock;
use crate::domain::causes::chain;
use crate::http::advice;
use crate::http::call::{Answer, Body, Call, Draft, Pace};
use crate::http::calls::{self, CallLog};
use crate::http::error::HttpError;
use crate::http::heard::Heard;
use crate::http::meter::{Cause, Meter};
use crate::http::network::{self, Network, Trouble};
use crate::http::obstacle::Obstacle;
use crate::http::proxy::Proxy;
use crate::http::redact;
use crate::http::retry::{Backoff, Failure, Next};

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
    /// How the world is reached, or why not.
    pub network: Result<Network, Trouble>,
    /// Where requests and waits are counted.
    pub meter: Arc<Meter>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            patience: Duration::from_mins(5),
            first_wait: Duration::from_millis(200),
            user_agent: concat!("graphkeeper/", env!("CARGO_PKG_VERSION")).to_owned(),
            network: Ok(Network::default()),
            meter: Arc::default(),
        }
    }
}

/// Waits of at least this length are worth a line at `info`.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// The process's one HTTP client. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: ClientSettings,
    clock: Arc<dyn Clock>,
    /// For the world: https only.
    world: OnceCell<reqwest::Client>,
    /// For plain http to this machine: no proxy, and no CA certificates needed.
    loopback: OnceCell<reqwest::Client>,
}

impl Inner {
    fn to_the_world(&self) -> Result<reqwest::Client, HttpError> {
        let network = self.settings.network.as_ref();
        let network = network.map_err(|trouble| HttpError::Network { source: trouble.clone() })?;
        network::to_the_world(&self.settings, network)
    }

    /// Why there is no answer, or no whole one.
    fn broken(&self, call: &Call<'_>, attempts: u32, source: reqwest::Error) -> HttpError {
        let source = source.without_url();
        let (method, host, path) = (call.method.clone(), redact::host(&call.url), call.path());
        if source.is_builder() {
            HttpError::Setup { source }
        } else if source.is_connect() {
            let proxy = self.settings.network.as_ref().ok().and_then(|network| network.proxy_for(&call.url));
            let source = Box::new(Obstacle::of(source, &host, proxy, self.settings.connect_timeout));
            HttpError::Unreachable { method, host, path, attempts, source }
        } else if source.is_timeout() {
            HttpError::TimedOut { method, host, path, attempts, source }
        } else {
            HttpError::Broken { method, host, path, attempts, source }
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl Client {
    /// A client. Connections and certificates are set up at the first request to where they are needed.
    #[must_use]
    pub fn new(settings: ClientSettings, clock: Arc<dyn Clock>) -> Self {
        let inner = Inner { settings, clock, world: OnceCell::new(), loopback: OnceCell::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Sends until there is a final answer, of any status; once, and without waiting, where the call has its leave
    /// already. `draft` builds the content anew for each attempt (counted from 1), so that tokens and ids are fresh. What
    /// became of it is added to the task's [`CallLog`].
    ///
    /// # Errors
    ///
    /// [`HttpError`] when no usable answer came; whatever `draft` fails with.
    pub async fn send<E, F>(&self, call: &Call<'_>, draft: impl Fn(u32) -> F + Send + Sync) -> Result<Answer, E>
    where
        E: From<HttpError>,
        F: Future<Output = Result<Draft, E>> + Send,
    {
        let mut journey = Journey::begin(call, self.inner.clock.now());
        let backoff = self.backoff();
        loop {
            journey.attempts += 1;
            let turn = match call.pace {
                Pace::Turn(gate) => Some(gate.enter(call.endpoint).await),
                Pace::Free | Pace::Leave(_) | Pace::Once => None,
            };
            if let Some(turn) = &turn {
                self.meter().waited(call.service, Cause::Paced, turn.waited());
            }
            let draft = draft(journey.attempts).await?;
            journey.client_request_id = text(&draft.headers, "client-request-id");
            let outcome = self.attempt(call, draft, journey.attempts).await;
            drop(turn);
            self.meter().called(call.service, call.endpoint, status(&outcome));
            let next = match (failure(&outcome), call.pace) {
                (None, _) | (_, Pace::Leave(_) | Pace::Once) => Next::GiveUp,
                (Some(failure), _) => {
                    backoff.next(journey.attempts, journey.waited, failure, call.repeat, fastrand::f64())
                }
            };
            match next {
                Next::Wait(wait) => {
                    journey.wait(wait, &outcome).await;
                    self.meter().waited(call.service, cause(&outcome), wait);
                }
                Next::GiveUp => return Ok(journey.end(outcome)?),
            }
        }
    }

    /// Where its requests and waits are counted.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.inner.settings.meter
    }

    /// The proxy through which `url` is reached.
    #[must_use]
    pub fn proxy_for(&self, url: &Url) -> Option<&Proxy> {
        self.inner.settings.network.as_ref().ok()?.proxy_for(url)
    }

    /// The bounds of trying again, for what has parts that fail by themselves.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        Backoff { first_wait: self.inner.settings.first_wait, patience: self.inner.settings.patience }
    }

    /// How long an answer with these headers asks us to wait.
    #[must_use]
    pub fn asked_wait(&self, status: u16, headers: &HeaderMap) -> Option<Duration> {
        advice::wait(status, headers, self.inner.clock.now())
    }

    async fn attempt(&self, call: &Call<'_>, draft: Draft, attempts: u32) -> Result<Answer, HttpError> {
        let started = Instant::now();
        let authorization = draft.authorization.clone();
        let client_request_id = text(&draft.headers, "client-request-id");
        let request = self.request(call, draft).await?;
        let broken = |source| self.inner.broken(call, attempts, source);
        let response = request.send().await.map_err(broken)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let now = self.inner.clock.now();
        CallLog::hear(|| Heard::of(call.service, &call.url, &response, now), call.service, &redact::host(&call.url));
        let asked_to_wait = advice::wait(status.as_u16(), &headers, now).filter(|_| !status.is_success());
        if let Some(gate) = call.pace.gate() {
            if let Some(window) = advice::rate_window(&headers, now) {
                gate.observe(call.endpoint, window);
            }
            gate.heed(call.endpoint, status.as_u16(), asked_to_wait);
        }
        let (body, truncated) = read_body(call, response, attempts, broken).await?;
        let answer = Answer {
            method: call.method.clone(),
            path: call.path(),
            status,
            request_id: ["request-id", "x-okta-request-id", "x-ms-request-id"].iter().find_map(|n| text(&headers, n)),
            headers,
            body,
            truncated,
            attempts,
            duration: started.elapsed(),
            latency: started.elapsed(),
            client_request_id,
            authorization,
            asked_to_wait,
        };
        if call.json && status.is_success() { whole_json(answer) } else { Ok(answer) }
    }

    async fn request(&self, call: &Call<'_>, draft: Draft) -> Result<reqwest::RequestBuilder, HttpError> {
        let client = match door(&call.url) {
            Door::World => self.inner.world.get_or_try_init(|| async { self.inner.to_the_world() }).await?,
            Door::Loopback => {
                let build = || async { network::to_this_machine(&self.inner.settings) };
                self.inner.loopback.get_or_try_init(build).await?
            }
            Door::Shut => return Err(HttpError::Address { host: redact::host(&call.url) }),
        };
        let mut request = client.request(call.method.clone(), call.url.clone());
        request = match draft.body {
            Body::Empty => request,
            Body::Json(bytes) => request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(bytes),
            Body::Text(text) => {
                request.header(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")).body(text)
            }
            Body::Form(fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.expose())).collect();
                request.form(&fields)
            }
        };
        if let Some(authorization) = &draft.authorization {
            // A value that cannot be a header was refused when the identity was set up.
            if let Ok(mut value) = HeaderValue::from_str(authorization.expose()) {
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
        }
        if !draft.headers.contains_key(ACCEPT) {
            request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
        }
        Ok(request.headers(draft.headers))
    }
}

/// Which way out an address takes.
enum Door {
    World,
    Loopback,
    Shut,
}

fn door(url: &Url) -> Door {
    match url.scheme() {
        "https" => Door::World,
        "http" if is_loopback(url) => Door::Loopback,
        _ => Door::Shut,
    }
}

/// Whether an address is on this machine: the only place where plain http is spoken.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// One request on its way through its attempts.
struct Journey<'a> {
    call: &'a Call<'a>,
    at: Timestamp,
    started: Instant,
    attempts: u32,
    waited: Duration,
    client_request_id: Option<String>,
}

impl<'a> Journey<'a> {
    fn begin(call: &'a Call<'a>, at: Timestamp) -> Self {
        Self { call, at, started: Instant::now(), attempts: 0, waited: Duration::ZERO, client_request_id: None }
    }

    async fn wait(&mut self, wait: Duration, outcome: &Result<Answer, HttpError>) {
        let status = status(outcome);
        let (service, endpoint, seconds) = (self.call.service.as_str(), self.call.endpoint, wait.as_secs_f64());
        if wait >= LONG_WAIT {
            info!(service, endpoint, status, attempt = self.attempts, "{service} makes us wait {seconds:.0} seconds");
        } else {
            debug!(service, endpoint, status, attempt = self.attempts, "trying again in {seconds:.3} seconds");
        }
        sleep(wait).await;
        self.waited += wait;
    }

    fn end(self, outcome: Result<Answer, HttpError>) -> Result<Answer, HttpError> {
        let outcome = outcome.map(|answer| Answer { duration: self.started.elapsed(), ..answer });
        self.record(&outcome);
        outcome
    }

    fn record(self, outcome: &Result<Answer, HttpError>) {
        let answer = outcome.as_ref().ok();
        let call = calls::Call {
            service: self.call.service,
            method: self.call.method.to_string(),
            endpoint: self.call.endpoint,
            path: self.call.path(),
            status: status(outcome),
            attempts: self.attempts,
            duration: self.started.elapsed(),
            request_id: answer.and_then(|answer| answer.request_id.clone()),
            client_request_id: self.client_request_id,
            error: outcome.as_ref().err().map(|error| chain(error)),
            at: self.at,
        };
        let (service, method, endpoint) = (call.service.as_str(), &call.method, call.endpoint);
        let (attempts, duration_ms) = (call.attempts, call.duration.as_millis());
        let (request, client_request) = (&call.request_id, &call.client_request_id);
        debug!(
            service,
            method,
            endpoint,
            status = call.status,
            attempts,
            duration_ms,
            request.id = request,
            client_request.id = client_request,
            "call finished"
        );
        CallLog::record(call);
    }
}

fn status(outcome: &Result<Answer, HttpError>) -> Option<u16> {
    outcome.as_ref().ok().map(|answer| answer.status.as_u16())
}

/// Why there is a wait after an attempt that ended so.
fn cause(outcome: &Result<Answer, HttpError>) -> Cause {
    let throttled = |answer: &Answer| answer.status.as_u16() == 429 || answer.asked_to_wait.is_some();
    if outcome.as_ref().is_ok_and(throttled) { Cause::Throttled } else { Cause::Failed }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// What an attempt's end means for the next; `None` when it is a final answer.
fn failure(outcome: &Result<Answer, HttpError>) -> Option<Failure> {
    match outcome {
        Ok(answer) if answer.status.is_client_error() || answer.status.is_server_error() => {
            Some(Failure::Status(answer.status.as_u16(), answer.asked_to_wait))
        }
        Err(HttpError::Unreachable { source, .. }) if source.may_pass() => Some(Failure::Connect),
        Err(HttpError::TimedOut { .. }) => Some(Failure::TimedOut),
        Err(HttpError::Broken { .. } | HttpError::CutShort { .. } | HttpError::NotJson { .. }) => Some(Failure::Broken),
        Ok(_) | Err(_) => None,
    }
}

async fn read_body(
    call: &Call<'_>,
    mut response: reqwest::Response,
    attempts: u32,
    broken: impl Fn(reqwest::Error) -> HttpError,
) -> Result<(Vec<u8>, bool), HttpError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > call.max_body => {
                if call.json {
                    let (method, path) = (call.method.clone(), call.path());
                    return Err(HttpError::TooLarge { method, path, limit: call.max_body });
                }
                body.extend_from_slice(&chunk[..call.max_body - body.len()]);
                return Ok((body, true));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok((body, false)),
            Err(source) if source.is_timeout() => return Err(broken(source)),
            Err(source) => {
                let (method, path, source) = (call.method.clone(), call.path(), Some(source.without_url()));
                return Err(HttpError::CutShort { method, path, bytes: body.len(), attempts, source });
            }
        }
    }
}

/// Lets an answer pass that says it is JSON and has both its ends. Looking at the ends finds a body that was cut while
/// it can still be asked for again, without reading everything twice.
fn whole_json(answer: Answer) -> Result<Answer, HttpError> {
    let kind = answer.header("content-type");
    let body = answer.body.trim_ascii();
    let (method, path, attempts) = (answer.method.clone(), answer.path.clone(), answer.attempts);
    if !kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("json")) || body.is_empty() {
        let what = redact::kind_of_body(kind, &answer.body);
        let (status, request_id) = (answer.status.as_u16(), answer.request_id.clone());
        return Err(HttpError::NotJson { method, path, status, what, attempts, request_id });
    }
    match (body.first(), body.last()) {
        (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')) => Ok(answer),
        _ => Err(HttpError::CutShort { method, path, bytes: answer.body.len(), attempts, source: None }),
    }
}
