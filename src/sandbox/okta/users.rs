//! `GET /api/v1/users` and `GET /api/v1/users/{id}`.

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::expression::{Dialect, Expression};
use super::paging::{Listing, Query, take};
use super::render::{self, Trim};
use super::{Answer, answer, not_found};
use crate::sandbox::answers::{okta_error, okta_error_with};
use crate::sandbox::model::okta::{Attribute, Okta, Role, Row, User};
use crate::sandbox::server::{Site, now};

/// The default and the largest page.
const PAGE: usize = 200;

/// `GET /api/v1/users`.
pub(super) async fn list(
    State(site): State<Site>,
    Extension(role): Extension<Role>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(page(&site, &Query::parse(query.as_deref()), trim(&headers), &role))
}

fn trim(headers: &HeaderMap) -> Trim {
    Trim::parse(headers.get("content-type").and_then(|value| value.to_str().ok()))
}

fn page(site: &Site, query: &Query, trim: Trim, role: &Role) -> Answer<Response> {
    let after = query.get("after");
    if after.is_none() && site.world.read().has_news() {
        site.world.write().begin_listing(now().as_millisecond());
    }
    let (search, filter) = (query.get("search"), query.get("filter"));
    let expression = match (search, filter) {
        (Some(_), Some(_)) => {
            return Err(okta_error(400, "E0000033", "Can't specify a search query and filter in the same request."));
        }
        (Some(text), None) => Some(parse(text, Dialect::Search)?),
        (None, Some(text)) => Some(parse(text, Dialect::Filter)?),
        (None, None) => None,
    };
    if let (None, Some(start)) = (&expression, query.get("q")) {
        return Ok(quick(site, start, query, trim));
    }
    let sort_by = query.get("sortBy").filter(|_| search.is_some());
    let mut effective = Vec::new();
    effective.extend(search.map(|text| ("search", text)));
    effective.extend(filter.map(|text| ("filter", text)));
    effective.extend(sort_by.map(|text| ("sortBy", text)));
    effective.extend(sort_by.and(query.get("sortOrder")).map(|text| ("sortOrder", text)));
    let listing = Listing { path: "/api/v1/users".to_owned(), effective, limit: query.limit(PAGE, PAGE)? };
    let start = listing.start(site, after)?;
    let state = site.world.read();
    let (users, next) = match (&expression, sort_by) {
        (Some(expression), Some(by)) => {
            let descending = query.get("sortOrder").is_some_and(|order| order.eq_ignore_ascii_case("desc"));
            sorted(&state.okta, expression, by, descending, start, listing.limit)
        }
        (expression, _) => {
            let fits = |user: &User| expression.as_ref().map_or(!user.is_deprovisioned(), |it| it.holds_for(user));
            let rows = state.okta.from_row(start);
            take(rows.filter(|(row, user)| shows(&state.okta, role, *row) && fits(user)), listing.limit)
        }
    };
    let items: Vec<_> = users.into_iter().map(|user| render::user(user, &site.okta_url, trim)).collect();
    Ok(listing.page(site, &items, after, next))
}

/// Whether a role lets its app see this person.
fn shows(okta: &Okta, role: &Role, row: Row) -> bool {
    match role {
        Role::Everything => true,
        Role::Group(id) => okta.groups.iter().any(|group| group.id == *id && group.members.contains(&row)),
        Role::Nothing => false,
    }
}

fn parse(text: &str, dialect: Dialect) -> Answer<Expression> {
    Expression::parse(text, dialect)
        .map_err(|cause| okta_error_with(400, "E0000031", "Invalid search criteria.", &[&cause]))
}

/// The matches in order of one property, ties by id. Cursors count matches here.
fn sorted<'a>(
    okta: &'a Okta,
    expression: &Expression,
    by: &str,
    descending: bool,
    start: u32,
    limit: usize,
) -> (Vec<&'a User>, Option<u32>) {
    let mut users: Vec<&User> = okta.iter().filter(|user| expression.holds_for(user)).collect();
    users.sort_by(|a, b| {
        let order = sort_key(a, by).cmp(&sort_key(b, by));
        let order = if descending { order.reverse() } else { order };
        order.then_with(|| a.id.cmp(&b.id))
    });
    take((0..).zip(users).skip(start as usize), limit)
}

fn sort_key(user: &User, by: &str) -> String {
    match by {
        "id" => user.id.to_string(),
        "status" => user.status.to_string(),
        "created" => render::date(user.created),
        "lastUpdated" => render::date(user.last_updated),
        _ => match user.profile.get(by.strip_prefix("profile.").unwrap_or(by)) {
            Some(Attribute::Text(text)) => text.to_ascii_lowercase(),
            Some(Attribute::Json(value)) => value.to_string(),
            None => String::new(),
        },
    }
}

/// `q`: begins-with on names and email, one page, nobody deprovisioned.
fn quick(site: &Site, start: &str, query: &Query, trim: Trim) -> Response {
    let limit = query.limit(10, PAGE).unwrap_or(10);
    let listing = Listing { path: "/api/v1/users".to_owned(), effective: vec![("q", start)], limit };
    let wanted = start.to_lowercase();
    let state = site.world.read();
    let fits = |user: &User| {
        let names = ["firstName", "lastName", "email"].map(|name| user.profile.text(name).unwrap_or_default());
        !user.is_deprovisioned() && names.iter().any(|name| name.to_lowercase().starts_with(&wanted))
    };
    let found = state.okta.iter().filter(|user| fits(user)).take(limit);
    let items: Vec<_> = found.map(|user| render::user(user, &site.okta_url, trim)).collect();
    listing.page(site, &items, None, None)
}

/// `GET /api/v1/users/{id}`, by id, login, or the login's short name.
pub(super) async fn one(State(site): State<Site>, Path(key): Path<String>, headers: HeaderMap) -> Response {
    let state = site.world.read();
    let Some(user) = state.okta.find(&key).and_then(|row| state.okta.at(row)) else {
        return not_found(&key, "User").into_response();
    };
    let body = render::whole_user(user, &site.okta_url, trim(&headers)).to_string();
    Response::builder()
        .header("content-type", "application/json")
        .header("etag", format!("W/\"{:x}\"", user.last_updated))
        .body(Body::from(body))
        .expect("headers are plain text")
}
