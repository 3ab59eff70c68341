//! Who is calling: the bearer token of a request, checked.

use jiff::Timestamp;

use crate::sandbox::entra::token::{Claims, Flaw, GRAPH};
use crate::sandbox::graph::refusal::Refusal;
use crate::sandbox::server::Site;

/// The claims behind an `Authorization` header, or 401 in Graph's words.
pub(super) fn check(site: &Site, authorization: Option<&str>, now: Timestamp) -> Result<Claims, Refusal> {
    let token = authorization.and_then(strip_bearer).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Refusal::unauthorized("Access token is empty."))?;
    let claims = Claims::check(&site.keys, token, now).map_err(|flaw| Refusal::unauthorized(word(flaw)))?;
    if claims.audience != GRAPH {
        return Err(Refusal::unauthorized("Access token validation failure. Invalid audience."));
    }
    let world = site.world.read();
    if claims.tenant != world.entra.tenant {
        return Err(Refusal::unauthorized("Access token validation failure. Invalid issuer."));
    }
    if let Some(wanted) = world.entra.habits.claims_wanted
        && claims.answered.as_deref() != Some(wanted)
    {
        return Err(Refusal::challenged(wanted));
    }
    if !world.entra.apps.iter().any(|app| app.client_id == claims.client) {
        let message = "The identity of the calling application could not be established.";
        return Err(Refusal::new(401, "Authorization_IdentityNotFound", message));
    }
    Ok(claims)
}

fn strip_bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn word(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Malformed => "CompactToken parsing failed with error code: 80049217",
        Flaw::Forged => "Access token validation failure. Invalid signature.",
        Flaw::Expired => "Lifetime validation failed, the token is expired.",
    }
}
