//! The plumbing under every service: listeners, faults, latency, ids, the journal.
//!
//! A service hands in a plain axum router. What is the same everywhere happens around it in [`around`]: the request
//! gets its id, faults that were ordered strike, and the answer is journalled before it leaves.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sandbox::answers::{self, Canned};
use crate::sandbox::crossed::Crossed;
use crate::sandbox::faults::{Fault, Faults};
use crate::sandbox::journal::{Journal, ManagerWrite, Row};
use crate::sandbox::keys::Keys;
use crate::sandbox::listen::Cut;
use crate::sandbox::model::World;
use crate::sandbox::tamper;
use crate::sandbox::{entra, okta};

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
    pub crossed: Crossed,
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
            graph_writes_per_second: 20,
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

/// Where control routes live; they are neither journalled nor subject to faults.
pub(crate) const CONTROL: &str = "/_sandbox/";

/// Wraps a service's router into the plumbing.
pub(crate) fn around(service: Service, router: Router, site: Site) -> Router {
    router.layer(from_fn_with_state((service, site), carry))
}

/// What the plumbing has to remember of a request that the handler consumes.
pub(crate) struct Asked {
    pub(crate) service: Service,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) client_request_id: Option<String>,
    pub(crate) request_id: String,
}

impl Asked {
    fn of(service: Service, request: &Request) -> Self {
        let id = fresh_id();
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            service,
            method: request.method().as_str().to_owned(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            authorization: header("authorization"),
            client_request_id: header("client-request-id"),
            request_id: if service == Service::Okta { id.simple().to_string() } else { id.to_string() },
        }
    }

    /// The whole path with its query, as it came.
    pub(crate) fn target(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }
}

/// One request: latency, faults before it is carried out, the handler, the journal, faults on the answer.
async fn carry(State((service, site)): State<(Service, Site)>, request: Request, next: Next) -> Response {
    if request.uri().path().starts_with(CONTROL) {
        return next.run(request).await;
    }
    let asked = Asked::of(service, &request);
    let mut request = site.crossed.hear(&asked, request).await;
    let cut = request.extensions().get::<ConnectInfo<Cut>>().map(|info| info.0.clone());
    request.extensions_mut().insert(RequestId(asked.request_id.clone()));
    if !site.latency.is_zero() {
        tokio::time::sleep(site.latency).await;
    }
    let fault = site.faults.draw(service, &asked.method, &asked.path, &asked.query);
    if let Some(Fault::Hold { gate }) = &fault {
        site.faults.gate(gate).pass().await;
    }
    let canned = before(&site, &asked, fault.as_ref(), cut.as_ref());
    let mut response = match canned {
        Some(canned) => canned.into_response(),
        None => next.run(request).await,
    };
    sign(&mut response, &asked);
    response = site.crossed.tell(&asked, response).await;
    record(&site, &asked, &response, fault.as_ref());
    match fault {
        Some(Fault::HoldAnswer { gate }) => site.faults.gate(&gate).pass().await,
        Some(Fault::Slow { millis }) => tokio::time::sleep(Duration::from_millis(millis)).await,
        Some(fault) => response = tamper::spoil(response, &fault, &asked, &site).await,
        None => {}
    }
    response
}

/// The answer that spares the handler the request, if there is one.
fn before(site: &Site, asked: &Asked, fault: Option<&Fault>, cut: Option<&Cut>) -> Option<Canned> {
    let authorization = asked.authorization.as_deref().unwrap_or_default();
    match fault {
        Some(Fault::ExpireToken) => site.faults.kill_credential(authorization),
        Some(Fault::ResetBefore) => {
            if let Some(cut) = cut {
                cut.now();
            }
            return Some(Canned::text(0, String::new()));
        }
        Some(Fault::RefuseSignIn { code, error, retry_after }) => {
            let after = retry_after.header().filter(|_| asked.service == Service::Login);
            return Some(refuse_sign_in(site, asked, code, error.as_deref()).header_if("retry-after", after));
        }
        Some(fault) => {
            if let Some(canned) = answers::to_fault(asked.service, fault, &asked.request_id) {
                return Some(canned);
            }
        }
        None => {}
    }
    let dead = asked.service != Service::Login && site.faults.is_dead(authorization);
    dead.then(|| answers::dead_token(asked.service, &asked.request_id))
}

/// A refusal that was ordered by its name. An order for one that nobody documents is a mistake in the test.
fn refuse_sign_in(site: &Site, asked: &Asked, code: &str, error: Option<&str>) -> Canned {
    let canned = match asked.service {
        Service::Login => entra::refuse(site, &asked.request_id, code, error),
        Service::Okta => okta::refuse(site, &asked.path, code),
        Service::Graph => None,
    };
    canned.unwrap_or_else(|| Canned::text(501, format!("nobody documents the refusal {code}")))
}

/// Puts the ids and the caching rule of the service on an answer.
fn sign(response: &mut Response, asked: &Asked) {
    let headers = response.headers_mut();
    let id = asked.request_id.as_str();
    let echoed = asked.client_request_id.as_deref().unwrap_or(id);
    match asked.service {
        Service::Okta => {
            put(headers, "x-okta-request-id", id);
            put(headers, "cache-control", "no-cache, no-store");
        }
        Service::Login => {
            put(headers, "x-ms-request-id", id);
            put(headers, "client-request-id", echoed);
            put(headers, "cache-control", "no-store, no-cache");
        }
        Service::Graph => {
            put(headers, "request-id", id);
            put(headers, "client-request-id", echoed);
            put(headers, "cache-control", "no-cache");
        }
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Journals a request before its answer leaves, so that nobody who has an answer can miss its row.
fn record(site: &Site, asked: &Asked, response: &Response, fault: Option<&Fault>) {
    let note = response.extensions().get::<Note>().copied().unwrap_or_default();
    let unanswered = matches!(fault, Some(Fault::ResetBefore));
    site.journal.push(Row {
        at: now(),
        service: asked.service,
        method: asked.method.clone(),
        path: asked.path.clone(),
        query: asked.query.clone(),
        status: if unanswered { 0 } else { response.status().as_u16() },
        client_request_id: asked.client_request_id.clone(),
        request_id: asked.request_id.clone(),
        item: false,
        write: note.write,
        fault: fault.map(Fault::name),
    });
}
