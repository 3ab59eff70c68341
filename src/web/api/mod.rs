//! The JSON for programs: the same objects as `--output json`, described by `openapi.json`, which is served beside them.
//!
//! A list has at most `limit` rows; a header `Link` with `rel="next"` leads to those that follow.

mod lists;
mod query;
mod things;

use axum::http::header::{CONTENT_TYPE, LINK};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use crate::control::refusal::Refusal;
use crate::history::error::HistoryError;
use crate::web::api::query::Query;
use crate::web::lent::Lent;
use crate::web::problem::Problem;

/// The document that describes all of it. A test holds every answer against it.
const OPENAPI: &str = include_str!("openapi.json");

/// An answer, or why there is none.
type Answer = Result<Response, Problem>;

pub(super) fn router() -> Router<Lent> {
    Router::new()
        .route("/api/v1/openapi.json", get(openapi))
        .route("/api/v1/runs", get(lists::runs))
        .route("/api/v1/runs/{id}", get(things::run))
        .route("/api/v1/runs/{id}/changes", get(lists::changes_of_run))
        .route("/api/v1/runs/{id}/calls", get(lists::calls))
        .route("/api/v1/changes", get(lists::changes))
        .route("/api/v1/missed", get(lists::missed))
        .route("/api/v1/licenses", get(things::licenses))
        .route("/api/v1/licenses/diff", get(things::differences))
        .route("/api/v1/licenses/counts", get(things::counts))
        .route("/api/v1/licenses/events", get(lists::events))
        .route("/api/v1/jobs", get(things::jobs))
        .route("/api/v1/identities", get(things::identities))
        .route("/api/v1/plans", get(lists::plans))
        .route("/api/v1/plans/{id}", get(things::plan))
        .route("/api/v1/people/{name}", get(things::person))
        .route("/api/v1/imports", get(things::import))
        .route("/api/v1/imports/diff", get(things::news))
        .route("/api/v1/notices", get(lists::notices))
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], OPENAPI).into_response()
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Self {
        tracing::warn!(error = &error as &dyn std::error::Error, "a question to the history was not answered");
        let detail = "the history could not be read; the service's log says why";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail, error.hint())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Nothing { .. } => StatusCode::NOT_FOUND,
            Refusal::Several { .. } => StatusCode::CONFLICT,
            Refusal::History(error) => return error.into(),
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, refusal.to_string(), refusal.hint().as_deref())
    }
}

/// One page of a list of which `rows` were read from its beginning on, or from where the cursor leads: one more than is
/// wanted, so that it is known whether another page follows. `cursor` makes of the last row where that begins.
fn page<T>(
    mut rows: Vec<T>,
    (query, limit): (&Query, u32),
    uri: &Uri,
    cursor: impl FnOnce(&T) -> String,
    json: impl FnOnce(&[T]) -> Value,
) -> Response {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let mut response = Json(json(&rows)).into_response();
    let link = rows.last().filter(|_| more).map(|last| query.next(uri.path(), &cursor(last)));
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert(LINK, link);
    }
    response
}
