//! Okta's management API, as far as a reconciler of managers reads it: users, groups, apps, with the vendor's paging,
//! search expressions, rate limits and error objects; and the sign-in of service apps.

mod apps;
mod expression;
mod gate;
mod groups;
mod paging;
mod render;
pub(in crate::sandbox) mod signin;
mod users;

use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};

use crate::sandbox::answers::{Canned, okta_error};
use crate::sandbox::server::Site;

/// What an operation answers when it goes wrong.
type Answer<T> = Result<T, Canned>;

/// The routes of the Okta listener.
pub(crate) fn router(site: Site) -> Router {
    let used = signin::Used::default();
    let gate = gate::Gate::new(site.clone(), used.clone());
    Router::new()
        .route(signin::TOKEN, post(signin::give_token))
        .route("/api/v1/users", get(users::list))
        .route("/api/v1/users/{key}", get(users::one))
        .route("/api/v1/groups", get(groups::list))
        .route("/api/v1/groups/{id}", get(groups::one))
        .route("/api/v1/groups/{id}/users", get(groups::members))
        .route("/api/v1/apps", get(apps::list))
        .route("/api/v1/apps/{id}", get(apps::one))
        .route("/api/v1/apps/{id}/users", get(apps::assigned))
        .method_not_allowed_fallback(no_such_method)
        .fallback(no_such_path)
        .layer(from_fn_with_state(gate, gate::admit))
        .layer(Extension(used))
        .with_state(site)
}

/// The refusal of Okta's catalogue with this text, in the shape that belongs to the path; or that of an API token, by its
/// code.
pub(in crate::sandbox) fn refuse(site: &Site, path: &str, text: &str) -> Option<Canned> {
    if let Some(canned) = gate::refusal(text) {
        return Some(canned);
    }
    let refusal = signin::refusal::Refusal::named(text)?;
    if path != signin::TOKEN {
        return Some(refusal.at_resource(&site.okta_url, path, gate::scope_of(path)));
    }
    Some(refusal.at_token_endpoint().header_if("dpop-nonce", refusal.asks_for_nonce().then(|| signin::nonce(site))))
}

async fn no_such_path(_: Uri) -> Response {
    okta_error(404, "E0000008", "The requested path was not found").into_response()
}

async fn no_such_method() -> Response {
    okta_error(405, "E0000022", "The endpoint does not support the provided HTTP method").into_response()
}

/// 404 for an object that is not there.
fn not_found(key: &str, kind: &str) -> Canned {
    okta_error(404, "E0000007", &format!("Not found: Resource not found: {key} ({kind})"))
}

/// Both arms as a response.
fn answer(result: Answer<Response>) -> Response {
    result.unwrap_or_else(Canned::into_response)
}
