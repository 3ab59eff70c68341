//! Who may come in, and how often: API tokens and tokens of service apps, rate limits per bucket, concurrency.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;

use super::signin::{self, Office, Refusal, Used};
use crate::sandbox::answers::{Canned, okta_error};
use crate::sandbox::model::okta::Role;
use crate::sandbox::server::{CONTROL, Site, now};

/// Windows last so many seconds from the first request in them; they are not aligned to minutes.
const WINDOW: i64 = 60;

/// The most that a header claims, so that clients which keep the ceiling in small integers are not surprised.
const SHOWN: u32 = 1_000_000;

/// The door of the org. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    site: Site,
    used: Used,
    windows: Arc<Mutex<HashMap<(String, &'static str), Window>>>,
    inside: Arc<AtomicU32>,
}

/// A bucket of one credential: when its window ends, in seconds since 1970, and what was spent in it.
#[derive(Clone, Copy, Debug)]
struct Window {
    ends: i64,
    spent: u32,
}

/// What the rate headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meter {
    limit: u32,
    remaining: u32,
    reset: i64,
}

impl Gate {
    pub(super) fn new(site: Site, used: Used) -> Self {
        Self { site, used, windows: Arc::default(), inside: Arc::default() }
    }

    /// Whether the credential is good for this path. A scheme that is not known has no session.
    fn check(&self, request: &Request) -> Result<Caller, Canned> {
        let path = request.uri().path();
        if path == signin::TOKEN {
            return Ok(Caller { name: "sign-in".to_owned(), role: Role::Nothing });
        }
        let header = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
        let (scheme, token) = (scheme.to_ascii_lowercase(), token.trim());
        match scheme.as_str() {
            "ssws" => {
                let known = self.site.world.read().okta.tokens.iter().any(|known| known == token);
                if known {
                    Ok(Caller { name: token.to_owned(), role: Role::Everything })
                } else {
                    Err(refused("E0000011"))
                }
            }
            "bearer" | "dpop" => self.check_service(request, &scheme, token),
            _ => Err(refused("E0000005")),
        }
    }

    /// Whether a service app's token is good for this path.
    fn check_service(&self, request: &Request, scheme: &str, token: &str) -> Result<Caller, Canned> {
        let path = request.uri().path();
        let state = self.site.world.read();
        let base = &self.site.okta_url;
        let office =
            Office { okta: &state.okta, keys: &self.site.keys, used: &self.used, base, now: now().as_second() };
        let scope = scope_of(path);
        let refuse = |refusal: Refusal| refusal.at_resource(base, path, scope);
        let token = signin::check(&office, request, scheme, token).map_err(refuse)?;
        if !token.grants(scope) {
            return Err(refuse(Refusal::INSUFFICIENT_SCOPE));
        }
        let app = state.okta.services.iter().find(|app| app.client_id == token.client);
        let role = app.map_or(Role::Nothing, |app| app.role.clone());
        let is_list = matches!(path, "/api/v1/users" | "/api/v1/apps");
        if role != Role::Everything && !is_list {
            return Err(refused("E0000006"));
        }
        Ok(Caller { name: token.client, role })
    }

    /// Spends one request of a bucket. The error is what the meter says when there is none left.
    fn spend(&self, token: &str, path: &str, now: i64) -> Result<Meter, Meter> {
        let (bucket, limit) = bucket(path, self.site.rates.okta_per_minute);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((token.to_owned(), bucket)).or_insert(Window { ends: 0, spent: 0 });
        if now >= window.ends {
            *window = Window { ends: now + WINDOW, spent: 0 };
        }
        let meter = |spent: u32| Meter {
            limit: limit.min(SHOWN),
            remaining: limit.saturating_sub(spent).min(SHOWN),
            reset: window.ends,
        };
        if window.spent >= limit {
            return Err(meter(window.spent));
        }
        let meter = meter(window.spent + 1);
        window.spent += 1;
        Ok(meter)
    }
}

/// How the API refuses a credential: status, code, summary.
const REFUSALS: [(u16, &str, &str); 3] = [
    (403, "E0000005", "Invalid session"),
    (403, "E0000006", "You do not have permission to perform the requested action"),
    (401, "E0000011", "Invalid token provided"),
];

/// The refusal of a credential with this code.
pub(super) fn refusal(code: &str) -> Option<Canned> {
    let (status, code, summary) = REFUSALS.iter().find(|row| row.1 == code)?;
    Some(okta_error(*status, code, summary))
}

fn refused(code: &str) -> Canned {
    refusal(code).expect("a code of the table")
}

/// Who calls, and what they may see.
struct Caller {
    /// Rate limits are counted by it.
    name: String,
    role: Role,
}

/// The scope that a path needs.
pub(super) fn scope_of(path: &str) -> &'static str {
    match path.trim_start_matches("/api/v1/").split('/').next() {
        Some("groups") => "okta.groups.read",
        Some("apps") => "okta.apps.read",
        _ => "okta.users.read",
    }
}

/// Counts a request out when it ends, however it ends.
struct Inside(Arc<AtomicU32>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Lets a request in: credential, concurrency, rate.
pub(super) async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    if request.uri().path().starts_with(CONTROL) {
        return next.run(request).await;
    }
    let Caller { name, role } = match gate.check(&request) {
        Ok(caller) => caller,
        Err(canned) => return canned.into_response(),
    };
    request.extensions_mut().insert(role);
    let now = now().as_second();
    let inside = gate.inside.fetch_add(1, Ordering::AcqRel) + 1;
    let _leaves = Inside(Arc::clone(&gate.inside));
    if inside > gate.site.rates.okta_concurrency {
        return metered(too_many().into_response(), Meter { limit: 0, remaining: 0, reset: now + WINDOW });
    }
    match gate.spend(&name, request.uri().path(), now) {
        Ok(meter) => metered(next.run(request).await, meter),
        Err(meter) => metered(too_many().into_response(), meter),
    }
}

/// 429. Okta sends no `Retry-After`.
fn too_many() -> Canned {
    okta_error(429, "E0000047", "API call exceeded rate limit due to too many requests.")
}

fn metered(mut response: Response, meter: Meter) -> Response {
    let headers = response.headers_mut();
    headers.insert("x-rate-limit-limit", HeaderValue::from(meter.limit));
    headers.insert("x-rate-limit-remaining", HeaderValue::from(meter.remaining));
    headers.insert("x-rate-limit-reset", HeaderValue::from(meter.reset));
    response
}

/// The bucket of a path and its ceiling, in the proportions of a workforce org: 600 for the list of users, of which a
/// credential has half.
fn bucket(path: &str, users: u32) -> (&'static str, u32) {
    let part = |of_600: u32| {
        let limit = u64::from(users) * u64::from(of_600) / 600;
        u32::try_from(limit).unwrap_or(u32::MAX).max(1)
    };
    if path == signin::TOKEN {
        return (signin::TOKEN, part(2_000));
    }
    let segments: Vec<&str> = path.trim_start_matches("/api/v1/").split('/').collect();
    match segments.as_slice() {
        ["users", _] => ("/api/v1/users/{id}", part(2_000)),
        ["users", ..] => ("/api/v1/users", part(600)),
        ["groups"] | ["groups", _, "users"] => ("/api/v1/groups", part(500)),
        ["groups", _] => ("/api/v1/groups/{id}", part(1_000)),
        ["apps"] | ["apps", _, "users"] => ("/api/v1/apps", part(100)),
        ["apps", _] => ("/api/v1/apps/{id}", part(500)),
        _ => ("/api/v1", part(1_200)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_resources_share_the_bucket_of_their_list() {
        assert_eq!(bucket("/api/v1/users", 300), ("/api/v1/users", 300));
        assert_eq!(bucket("/api/v1/users/00u1", 300), ("/api/v1/users/{id}", 1_000));
        assert_eq!(bucket("/api/v1/groups/00g1/users", 300), ("/api/v1/groups", 250));
        assert_eq!(bucket("/api/v1/apps/0oa1/users", 300), ("/api/v1/apps", 50));
        assert_eq!(bucket("/api/v1/users", u32::MAX).1, u32::MAX);
    }
}
