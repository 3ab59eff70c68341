//! `/metrics`: figures for Prometheus and whatever else reads its formats. What each means is in `docs/metrics.md`.
//!
//! Counters count since the process began, where things happen ([`crate::http::meter`], [`crate::jobs::meter`]);
//! everything else is looked up when it is asked for, with questions that take as long for a history of ten years as
//! for one of a day. Labels are of closed lists, or names that the operator or the vendor gave to jobs, channels and
//! products: never people, ids or paths. The label is `job_name` since Prometheus calls its own targets `job`.

mod accept;
mod families;
mod gather;
mod sheet;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tracing::error;

use crate::web::lent::Lent;
use crate::web::problem::Problem;

pub(super) fn router() -> Router<Lent> {
    Router::new().route("/metrics", get(metrics))
}

/// The figures, in the format that is asked for. While the history cannot be read they are those that need no history,
/// and `graphkeeper_history_readable` is 0.
async fn metrics(State(lent): State<Lent>, headers: HeaderMap) -> Response {
    let facts = gather::facts(&lent).await;
    let Ok(text) = families::exposition(facts) else {
        error!("the figures for Prometheus could not be written down");
        let detail = "the figures could not be written down";
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail, None).into_response();
    };
    let format = accept::format(headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()));
    ([(CONTENT_TYPE, format.content_type()), (VARY, "accept")], format.of(text)).into_response()
}

#[cfg(test)]
mod tests;
