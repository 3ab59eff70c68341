//! Microsoft Graph, as far as our jobs call it: users and their managers, licenses, `/me`, and `$batch`.
//!
//! A request becomes a [`call::Call`] and is answered at the [`desk`]; the items of a `$batch` take the same way, so
//! that they are checked, charged and journalled like requests of their own.

mod account;
mod batch;
mod batch_run;
mod bearer;
mod call;
mod desk;
mod filter;
mod licenses;
mod mail;
mod manager;
mod query;
mod refusal;
mod route;
mod tenant;
mod throttle;
mod users;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};

use crate::sandbox::server::{RequestId, Site, fresh_id, now};
use call::{Answer, Call};
use throttle::Throttle;

/// The service: the site, and what only Graph remembers.
#[derive(Debug)]
struct Graph {
    site: Site,
    throttle: Throttle,
    batches: AtomicU64,
}

/// The routes of this listener.
pub(crate) fn router(site: Site) -> Router {
    let throttle = Throttle::new(site.rates);
    let graph = Graph { site, throttle, batches: AtomicU64::new(0) };
    Router::new().fallback(serve).with_state(Arc::new(graph))
}

impl Graph {
    /// Mixes the answers of a batch. The same world mixes its nth batch always the same way.
    fn shuffle<T>(&self, answers: &mut [T]) {
        let batch = self.batches.fetch_add(1, Ordering::Relaxed);
        let salt = self.site.keys.sign("batch order", &batch.to_string());
        let seed = salt.bytes().fold(0_u64, |seed, byte| seed.rotate_left(5) ^ u64::from(byte));
        fastrand::Rng::with_seed(seed).shuffle(answers);
    }
}

async fn serve(
    State(graph): State<Arc<Graph>>,
    method: Method,
    uri: Uri,
    id: Option<Extension<RequestId>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let call = Call {
        method: method.as_str().to_owned(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers: headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect(),
        body: body.to_vec(),
        id: id.map_or_else(|| fresh_id().to_string(), |Extension(RequestId(id))| id),
        at: now(),
    };
    let authorization = call.header("authorization").map(str::to_owned);
    let is_batch = method == Method::POST && matches!(route::Route::read(&call.path), Ok(route::Route::Batch));
    let answer = if is_batch {
        batch_run::run(&graph, &call, authorization.as_deref()).await
    } else {
        desk::answer(&graph.site, &graph.throttle, &call, authorization.as_deref())
    };
    respond(answer)
}

/// Puts an answer on the wire. The plumbing adds the ids.
fn respond(answer: Answer) -> Response<Body> {
    let body = match answer.body {
        call::Body::Empty => Body::empty(),
        call::Body::Json(value) => Body::from(value.to_string()),
        call::Body::Text(text) => Body::from(text),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let diagnostic = r#"{"ServerInfo":{"DataCenter":"Sandbox","Slice":"E","Ring":"1","ScaleUnit":"000"}}"#;
    let fixed = [("x-ms-ags-diagnostic", diagnostic.to_owned())];
    for (name, value) in answer.headers.into_iter().chain(fixed) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response.extensions_mut().insert(answer.note);
    response
}
