//! Okta's management API, as far as a reconciler of managers reads it.

use axum::Router;

use crate::sandbox::server::Site;

/// The routes of the Okta listener.
pub(crate) fn router(site: Site) -> Router {
    let _ = site;
    Router::new()
}
