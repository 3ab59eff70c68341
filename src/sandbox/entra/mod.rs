//! Entra's sign-in.

use axum::Router;

use crate::sandbox::server::Site;

/// The routes of this listener.
pub(crate) fn router(site: Site) -> Router {
    let _ = site;
    Router::new()
}
