//! The pages that people look at: HTML made here and whole, live where a browser runs the script, and readable where it does
//! not. Nothing is loaded from anywhere else, nothing is styled or scripted inline, and whatever came from a directory goes
//! through a template that escapes it.
//!
//! | request | page |
//! |---|---|
//! | `/` | every job, identities, gauges, the newest runs |
//! | `/runs`, `/runs/{id}` | runs by job, outcome, time and person; one run with its changes and calls |
//! | `/people`, `/people/{id}` | people by reason; why somebody's manager is as it is |
//! | `/licenses` | bought, assigned and free over time, and the dates ahead |
//! | `/imports` | what an import of both directories found |
//! | `/calendar` | what became of each scheduled moment |
//! | `/plans`, `/plans/{id}` | plans that wait, and the commands that approve them |
//! | `/assets/{name}` | style, script and icon, by a name that changes with what is in them |
//! | `/events` | what happens, while it happens: [`events`] |

mod assets;
mod calendar;
mod changes;
mod charts;
mod events;
mod frame;
mod grid;
mod imports;
mod licenses;
mod overview;
mod parts;
mod people;
mod person;
mod plans;
mod run;
mod runs;
mod share;
#[cfg(test)]
mod tests;
mod words;

use axum::Router;
use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::frame::{Asked, Trouble};
use crate::web::lent::Lent;
use crate::web::problem::Problem;

pub(super) fn router() -> Router<Lent> {
    Router::new()
        .route("/", get(overview::show))
        .route("/runs", get(runs::show))
        .route("/runs/{id}", get(run::show))
        .route("/people", get(people::show))
        .route("/people/{id}", get(person::show))
        .route("/licenses", get(licenses::show))
        .route("/imports", get(imports::show))
        .route("/calendar", get(calendar::show))
        .route("/plans", get(plans::list))
        .route("/plans/{id}", get(plans::show))
        .route("/assets/{name}", get(assets::serve))
        .merge(events::router())
}

/// There is nothing at this path: a page for a browser, which says that it takes one, and a problem for a program.
pub(super) async fn unknown(State(lent): State<Lent>, uri: Uri, headers: HeaderMap) -> Response {
    let takes_pages =
        headers.get(ACCEPT).and_then(|taken| taken.to_str().ok()).is_some_and(|taken| taken.contains("text/html"));
    if takes_pages {
        return Asked::now(&lent).refused(Trouble::Missing { what: "page", name: uri.path().to_owned() });
    }
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()), None).into_response()
}
