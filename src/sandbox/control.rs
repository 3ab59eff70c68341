//! `/_sandbox/…` on the Okta listener: another process orders faults, reads the journal, and looks at the world.
//! Neither journalled nor subject to faults.
//!
//! | request | does |
//! |---|---|
//! | `GET /_sandbox/journal` | the journal in figures |
//! | `GET /_sandbox/journal/rows`, `…/writes` | its rows; only manager writes |
//! | `DELETE /_sandbox/journal` | begins a new one |
//! | `POST /_sandbox/faults` | takes an order (or a list of them); `DELETE` cancels all |
//! | `GET`, `POST /_sandbox/gates/{name}` | how many requests are parked; lets them go |
//! | `GET /_sandbox/world` | people, accounts, accounts with a manager, stored writes |
//! | `GET`, `PUT /_sandbox/managers/{account}` | the stored manager; `{"manager": KEY or null}` as another administrator |
//! | `POST /_sandbox/people/{person}` | sets profile attributes (`null` unsets), and `status` |

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::sandbox::faults::Order;
use crate::sandbox::journal::Row;
use crate::sandbox::server::{Site, now};

/// The control routes.
pub(crate) fn router(site: Site) -> Router {
    Router::new()
        .route("/_sandbox/journal", get(summary).delete(forget))
        .route("/_sandbox/journal/rows", get(rows))
        .route("/_sandbox/journal/writes", get(writes))
        .route("/_sandbox/faults", post(order).delete(cancel))
        .route("/_sandbox/gates/{name}", get(waiting).post(open))
        .route("/_sandbox/world", get(world))
        .route("/_sandbox/managers/{account}", get(manager).put(manage))
        .route("/_sandbox/people/{person}", post(edit))
        .with_state(site)
}

fn bad(problem: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"problem": problem}))).into_response()
}

fn missing(key: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"problem": format!("nothing here is {key}")}))).into_response()
}

async fn summary(State(site): State<Site>) -> Response {
    Json(site.journal.summary()).into_response()
}

async fn forget(State(site): State<Site>) -> StatusCode {
    site.journal.clear();
    StatusCode::NO_CONTENT
}

async fn rows(State(site): State<Site>) -> Json<Vec<Row>> {
    Json(site.journal.rows(|_| true))
}

async fn writes(State(site): State<Site>) -> Json<Vec<Row>> {
    Json(site.journal.writes())
}

async fn order(State(site): State<Site>, Json(body): Json<Value>) -> Response {
    let orders = match body {
        Value::Array(orders) => orders,
        one => vec![one],
    };
    let parsed: Result<Vec<Order>, _> = orders.into_iter().map(serde_json::from_value).collect();
    match parsed {
        Ok(orders) => {
            for order in orders {
                site.faults.order(order);
            }
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => bad(&error.to_string()),
    }
}

async fn cancel(State(site): State<Site>) -> StatusCode {
    site.faults.clear();
    StatusCode::NO_CONTENT
}

async fn waiting(State(site): State<Site>, Path(name): Path<String>) -> Json<Value> {
    Json(json!({"waiting": site.faults.gate(&name).waiting()}))
}

async fn open(State(site): State<Site>, Path(name): Path<String>) -> StatusCode {
    site.faults.gate(&name).open();
    StatusCode::NO_CONTENT
}

async fn world(State(site): State<Site>) -> Json<Value> {
    let state = site.world.read();
    let managed = state.entra.iter().filter(|account| account.manager.is_some()).count();
    Json(json!({
        "people": state.okta.len(), "accounts": state.entra.len(), "managed": managed, "writes": state.entra.writes(),
    }))
}

async fn manager(State(site): State<Site>, Path(key): Path<String>) -> Response {
    let Some(id) = site.world.entra().find(&key) else { return missing(&key) };
    let state = site.world.read();
    let manager = state.entra.get(id).and_then(|account| account.manager);
    let name = manager.and_then(|manager| state.entra.get(manager)).map(|account| &*account.user_principal_name);
    let manager = manager.map(|manager: Uuid| manager.to_string());
    Json(json!({"account": id.to_string(), "manager": manager, "user_principal_name": name})).into_response()
}

async fn manage(State(site): State<Site>, Path(key): Path<String>, Json(body): Json<Value>) -> Response {
    let entra = site.world.entra();
    let Some(id) = entra.find(&key) else { return missing(&key) };
    let manager = match &body["manager"] {
        Value::Null => None,
        Value::String(manager) => match entra.find(manager) {
            Some(manager) => Some(manager),
            None => return missing(manager),
        },
        other => return bad(&format!("manager is {other}, neither a name nor null")),
    };
    site.world.write().entra.put_manager(id, manager);
    StatusCode::NO_CONTENT.into_response()
}

async fn edit(State(site): State<Site>, Path(key): Path<String>, Json(body): Json<Map<String, Value>>) -> Response {
    let mut state = site.world.write();
    let Some(row) = state.okta.find(&key) else { return missing(&key) };
    state.okta.edit(row, now().as_millisecond(), |user| {
        for (name, value) in body {
            match (name.as_str(), value) {
                ("status", Value::String(status)) => user.status = status.into(),
                (_, Value::Null) => user.profile.unset(&name),
                (_, value) => user.profile.set(name.clone(), value),
            }
        }
    });
    StatusCode::NO_CONTENT.into_response()
}
