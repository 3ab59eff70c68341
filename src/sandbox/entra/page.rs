//! What a person sees: the device page, and refusals that lead nowhere back.

use axum::body::Bytes;
use axum::extract::{Extension, RawQuery};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};

use crate::sandbox::entra::form;
use crate::sandbox::entra::person::Memory;

/// `GET /devicelogin`: where a code is typed in.
pub(super) async fn show(RawQuery(query): RawQuery) -> Response {
    let query = form::parse(&query.unwrap_or_default());
    let code = query.iter().find(|(name, _)| name == "user_code").map_or("", |(_, value)| value.as_str());
    page(
        StatusCode::OK,
        &format!(
            "<h1>Sign in on another device</h1><p>You are Sandbox Administrator.</p><form method=\"post\">\
             <label>Code <input name=\"user_code\" value=\"{}\"></label> \
             <button name=\"answer\" value=\"yes\">Continue</button> \
             <button name=\"answer\" value=\"no\">Cancel</button></form>",
            escape(code)
        ),
    )
}

/// `POST /devicelogin`: what the person says.
pub(super) async fn answer(Extension(memory): Extension<Memory>, body: Bytes) -> Response {
    let fields = form::parse(&String::from_utf8_lossy(&body));
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    if memory.answer(field("user_code"), field("answer") == "yes") {
        page(StatusCode::OK, "<p>You may close this window.</p>")
    } else {
        error("There is no such code waiting.")
    }
}

/// A page that says what is wrong.
pub(super) fn error(text: &str) -> Response {
    page(
        StatusCode::BAD_REQUEST,
        &format!("<h1>Sorry, but we're having trouble signing you in.</h1><p>{}</p>", escape(text)),
    )
}

fn page(status: StatusCode, body: &str) -> Response {
    let head = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sign in</title></head><body>";
    (status, Html(format!("{head}{body}</body></html>\n"))).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
