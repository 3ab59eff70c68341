//! Entra's sign-in: the token endpoint for applications and for people, the device flow, the browser's way, and the
//! discovery document.
//!
//! Tokens are signed and carry all they mean: every refresh token that was ever issued stays good, as Entra's do, until
//! [`crate::sandbox::model::habits`] says otherwise. Codes are good once, which is remembered.

mod assertion;
mod grant;
mod page;
mod person;
mod refusal;
mod rows;
mod scope;

pub(in crate::sandbox) mod form;
pub(in crate::sandbox) mod token;

use axum::body::Bytes;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sandbox::answers::Canned;
use crate::sandbox::keys::Keys;
use crate::sandbox::server::{RequestId, Site, fresh_id, now};
use grant::{Ask, Office};
use person::Memory;
use refusal::{Refusal, Trace};
use token::Refresh;

/// The routes of this listener.
pub(crate) fn router(site: Site) -> Router {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(give_token))
        .route("/{tenant}/oauth2/v2.0/devicecode", post(give_device_code))
        .route("/{tenant}/oauth2/v2.0/authorize", get(authorize))
        .route("/devicelogin", get(page::show).post(page::answer))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(discover))
        .fallback(nothing_here)
        .layer(Extension(Memory::default()))
        .with_state(site)
}

/// The refresh token that a person's sign-in with this client would have ended with. The same one for the same world,
/// so that a configuration that was printed earlier still works.
pub(crate) fn first_refresh_token(keys: &Keys, client: Uuid, user: Uuid) -> String {
    Refresh { client, user, family: "first".to_owned() }.mint(keys, "first")
}

/// The refusal with this number, as the token endpoint would give it.
pub(in crate::sandbox) fn refuse(site: &Site, request_id: &str, number: &str, error: Option<&str>) -> Option<Canned> {
    let refusal = Refusal::numbered(number.parse().ok()?, error)?;
    let trace = Trace { id: request_id, correlation_id: request_id, login_url: &site.login_url, at: now() };
    Some(Canned::json(refusal.status.as_u16(), &refusal.body(&trace)))
}

/// `POST /{tenant}/oauth2/v2.0/token`.
async fn give_token(
    State(site): State<Site>,
    Extension(memory): Extension<Memory>,
    Path(tenant): Path<String>,
    id: Option<Extension<RequestId>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer_form(&site, &memory, &tenant, &About::new(id, &headers), (&headers, &body), "token", |office, ask| {
        office.answer(ask)
    })
}

/// `POST /{tenant}/oauth2/v2.0/devicecode`.
async fn give_device_code(
    State(site): State<Site>,
    Extension(memory): Extension<Memory>,
    Path(tenant): Path<String>,
    id: Option<Extension<RequestId>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let about = About::new(id, &headers);
    answer_form(&site, &memory, &tenant, &about, (&headers, &body), "devicecode", |office, ask| {
        office.begin_device(ask)
    })
}

fn answer_form(
    site: &Site,
    memory: &Memory,
    tenant: &str,
    about: &About,
    (headers, body): (&HeaderMap, &Bytes),
    endpoint: &str,
    answer: impl FnOnce(&Office<'_>, &Ask<'_>) -> Result<Value, Refusal>,
) -> Response {
    let serial = fresh_id().to_string();
    let is_form = text(headers, header::CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
    let form = if is_form { form::parse(&String::from_utf8_lossy(body)) } else { Vec::new() };
    let authorization = text(headers, header::AUTHORIZATION.as_str());
    let endpoint = &format!("{}/{tenant}/oauth2/v2.0/{endpoint}", site.login_url);
    let ask = Ask { tenant, endpoint, authorization, form, now: now(), serial: &serial };
    match with_office(site, memory, |office| answer(office, &ask)) {
        Ok(tokens) => about.respond(StatusCode::OK, tokens),
        Err(refusal) => about.refuse(site, &refusal, Refusal::body),
    }
}

/// `GET /{tenant}/oauth2/v2.0/authorize`, where a browser arrives whose person is signed in already.
async fn authorize(
    State(site): State<Site>,
    Extension(memory): Extension<Memory>,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let serial = fresh_id().to_string();
    let form = form::parse(&query.unwrap_or_default());
    let ask = Ask { tenant: &tenant, endpoint: "", authorization: None, form, now: now(), serial: &serial };
    match with_office(&site, &memory, |office| office.authorize(&ask)) {
        Ok(back) => (StatusCode::FOUND, [(header::LOCATION, back)]).into_response(),
        Err(refusal) => page::error(&refusal.text()),
    }
}

/// <https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc>
async fn discover(
    State(site): State<Site>,
    Path(tenant): Path<String>,
    id: Option<Extension<RequestId>>,
    headers: HeaderMap,
) -> Response {
    let about = About::new(id, &headers);
    match with_office(&site, &Memory::default(), |office| office.check_tenant(&tenant, true).map(|()| document(office)))
    {
        Ok(document) => about.respond(StatusCode::OK, document),
        Err(refusal) => about.refuse(&site, &refusal, Refusal::discovery_body),
    }
}

async fn nothing_here() -> StatusCode {
    StatusCode::NOT_FOUND
}

fn with_office<T>(site: &Site, memory: &Memory, work: impl FnOnce(&Office<'_>) -> T) -> T {
    let world = site.world.read();
    let (graph_url, login_url) = (&site.graph_url, &site.login_url);
    work(&Office { entra: &world.entra, keys: &site.keys, graph_url, login_url, memory })
}

/// What clients learn about this sign-in service.
fn document(office: &Office<'_>) -> Value {
    let root = format!("{}/{}", office.login_url, office.entra.tenant);
    json!({
        "issuer": format!("{root}/v2.0"),
        "token_endpoint": format!("{root}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{root}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{root}/oauth2/v2.0/devicecode"),
        "jwks_uri": format!("{root}/discovery/v2.0/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "tenant_region_scope": "EU",
        "msgraph_host": office.graph_url.split_once("://").map_or(office.graph_url, |(_, host)| host),
    })
}

/// The ids of a request, for the answer to name.
struct About {
    trace_id: String,
    correlation_id: String,
}

impl About {
    fn new(id: Option<Extension<RequestId>>, headers: &HeaderMap) -> Self {
        let trace_id = id.map_or_else(|| fresh_id().to_string(), |Extension(RequestId(id))| id);
        let sent = text(headers, "client-request-id").and_then(|value| Uuid::try_parse(value).ok());
        Self { trace_id, correlation_id: sent.unwrap_or_else(fresh_id).to_string() }
    }

    fn respond(&self, status: StatusCode, body: Value) -> Response {
        let mut response = (status, Json(body)).into_response();
        let mut put = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        };
        put("cache-control", "no-store, no-cache");
        put("pragma", "no-cache");
        put("x-ms-request-id", &self.trace_id);
        put("client-request-id", &self.correlation_id);
        response
    }

    fn refuse(&self, site: &Site, refusal: &Refusal, body: impl Fn(&Refusal, &Trace<'_>) -> Value) -> Response {
        let Self { trace_id, correlation_id } = self;
        let trace = Trace { id: trace_id, correlation_id, login_url: &site.login_url, at: now() };
        self.respond(refusal.status, body(refusal, &trace))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests;
