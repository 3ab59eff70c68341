//! `GET /api/v1/apps`, one app, and who is assigned to it.

use axum::Json;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::response::{IntoResponse, Response};

use super::paging::{Listing, Query, take};
use super::{Answer, answer, not_found, render};
use crate::sandbox::answers::okta_error_with;
use crate::sandbox::model::okta::Role;
use crate::sandbox::server::Site;

/// Default and most, of apps and of assignments.
const APPS: (usize, usize) = (20, 200);
const ASSIGNED: (usize, usize) = (50, 500);

/// `GET /api/v1/apps`; of filters, `name eq "…"`, `id eq "…"` and `status eq "…"` are understood.
pub(super) async fn list(
    State(site): State<Site>,
    Extension(role): Extension<Role>,
    RawQuery(query): RawQuery,
) -> Response {
    answer(apps(&site, &Query::parse(query.as_deref()), &role))
}

fn apps(site: &Site, query: &Query, role: &Role) -> Answer<Response> {
    let after = query.get("after");
    let (filter, q) = (query.get("filter"), query.get("q").unwrap_or_default().to_lowercase());
    let wanted = filter.map(equality).transpose()?;
    let mut effective = Vec::new();
    effective.extend(filter.map(|text| ("filter", text)));
    effective.extend(query.get("q").map(|text| ("q", text)));
    let listing = Listing { path: "/api/v1/apps".to_owned(), effective, limit: query.limit(APPS.0, APPS.1)? };
    let start = listing.start(site, after)?;
    let state = site.world.read();
    let rows = (0..).zip(&state.okta.apps).skip(start as usize).filter(|(_, app)| {
        let filtered = wanted.is_none_or(|(name, value)| match name {
            "name" => app.name == value,
            "id" => app.id == value,
            _ => value == if app.inactive { "INACTIVE" } else { "ACTIVE" },
        });
        *role == Role::Everything && filtered && (app.name.starts_with(&q) || app.label.to_lowercase().starts_with(&q))
    });
    let (found, next) = take(rows, listing.limit);
    let items: Vec<_> = found.into_iter().map(|app| render::app(app, &site.okta_url)).collect();
    Ok(listing.page(site, &items, after, next))
}

/// `name eq "value"` as its two ends.
fn equality(filter: &str) -> Answer<(&str, &str)> {
    let parsed = filter.split_once(" eq ").and_then(|(name, value)| {
        let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
        ["name", "id", "status"].contains(&name.trim()).then_some((name.trim(), value))
    });
    parsed.ok_or_else(|| okta_error_with(400, "E0000031", "Invalid search criteria.", &["Invalid filter."]))
}

/// `GET /api/v1/apps/{id}`.
pub(super) async fn one(State(site): State<Site>, Path(id): Path<String>) -> Response {
    let state = site.world.read();
    match state.okta.apps.iter().find(|app| app.id == id) {
        Some(app) => Json(render::app(app, &site.okta_url)).into_response(),
        None => not_found(&id, "AppInstance").into_response(),
    }
}

/// `GET /api/v1/apps/{id}/users`.
pub(super) async fn assigned(State(site): State<Site>, Path(id): Path<String>, RawQuery(query): RawQuery) -> Response {
    answer(assigned_page(&site, &id, &Query::parse(query.as_deref())))
}

fn assigned_page(site: &Site, id: &str, query: &Query) -> Answer<Response> {
    let after = query.get("after");
    let expand = query.get("expand").filter(|what| *what == "user");
    let effective: Vec<_> = expand.map(|what| ("expand", what)).into_iter().collect();
    let path = format!("/api/v1/apps/{id}/users");
    let listing = Listing { path, effective, limit: query.limit(ASSIGNED.0, ASSIGNED.1)? };
    let start = listing.start(site, after)?;
    let state = site.world.read();
    let app = state.okta.apps.iter().find(|app| app.id == id).ok_or_else(|| not_found(id, "AppInstance"))?;
    let from = app.users.partition_point(|assigned| assigned.user < start);
    let rows = app.users[from..].iter().filter_map(|assigned| {
        let person = state.okta.at(assigned.user)?;
        Some((assigned.user, (assigned, person)))
    });
    let (found, next) = take(rows, listing.limit);
    let base = &site.okta_url;
    let render = |(assigned, person)| render::app_user(assigned, person, app, base, expand.is_some());
    let items: Vec<_> = found.into_iter().map(render).collect();
    Ok(listing.page(site, &items, after, next))
}
