//! `GET /api/v1/groups`, one group, and its members.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::paging::{Listing, Query, take};
use super::render::{self, Trim};
use super::{Answer, answer, not_found};
use crate::sandbox::server::Site;

/// The default page of groups and of members, "for historical reasons".
const MEMBERS: usize = 1_000;
const GROUPS: (usize, usize) = (200, 10_000);

/// `GET /api/v1/groups`; of the ways to choose, `q` (begins-with on the name) is understood.
pub(super) async fn list(State(site): State<Site>, RawQuery(query): RawQuery) -> Response {
    answer(groups(&site, &Query::parse(query.as_deref())))
}

fn groups(site: &Site, query: &Query) -> Answer<Response> {
    let after = query.get("after");
    let effective: Vec<_> = query.get("q").map(|text| ("q", text)).into_iter().collect();
    let listing = Listing { path: "/api/v1/groups".to_owned(), effective, limit: query.limit(GROUPS.0, GROUPS.1)? };
    let start = listing.start(site, after)?;
    let wanted = query.get("q").unwrap_or_default().to_lowercase();
    let state = site.world.read();
    let rows = (0..).zip(&state.okta.groups).skip(start as usize);
    let (found, next) = take(rows.filter(|(_, group)| group.name.to_lowercase().starts_with(&wanted)), listing.limit);
    let items: Vec<_> = found.into_iter().map(|group| render::group(group, &site.okta_url)).collect();
    Ok(listing.page(site, &items, after, next))
}

/// `GET /api/v1/groups/{id}`.
pub(super) async fn one(State(site): State<Site>, Path(id): Path<String>) -> Response {
    let state = site.world.read();
    match state.okta.groups.iter().find(|group| group.id == id) {
        Some(group) => Json(render::group(group, &site.okta_url)).into_response(),
        None => not_found(&id, "UserGroup").into_response(),
    }
}

/// `GET /api/v1/groups/{id}/users`.
pub(super) async fn members(
    State(site): State<Site>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let trim = Trim::parse(headers.get("content-type").and_then(|value| value.to_str().ok()));
    answer(member_page(&site, &id, &Query::parse(query.as_deref()), trim))
}

fn member_page(site: &Site, id: &str, query: &Query, trim: Trim) -> Answer<Response> {
    let after = query.get("after");
    let path = format!("/api/v1/groups/{id}/users");
    let listing = Listing { path, effective: Vec::new(), limit: query.limit(MEMBERS, MEMBERS)? };
    let start = listing.start(site, after)?;
    let state = site.world.read();
    let group = state.okta.groups.iter().find(|group| group.id == id).ok_or_else(|| not_found(id, "UserGroup"))?;
    let from = group.members.partition_point(|row| *row < start);
    let rows = group.members[from..].iter().filter_map(|row| Some((*row, state.okta.at(*row)?)));
    let (users, next) = take(rows.filter(|(_, user)| !user.is_deprovisioned()), listing.limit);
    let items: Vec<_> = users.into_iter().map(|user| render::user(user, &site.okta_url, trim)).collect();
    Ok(listing.page(site, &items, after, next))
}
