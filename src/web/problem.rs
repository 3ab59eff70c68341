//! Why a request is not answered, for programs: `application/problem+json`.
//!
//! Source: RFC 9457.

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// JSON: `{status, title, detail, hint}`. `hint` is what to do about it, where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) detail: String,
    pub(super) hint: Option<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>, hint: Option<&str>) -> Self {
        Self { status, detail: detail.into(), hint: hint.map(str::to_owned) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail, hint } = self;
        let title = status.canonical_reason().unwrap_or_default();
        let body = json!({ "status": status.as_u16(), "title": title, "detail": detail, "hint": hint });
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
