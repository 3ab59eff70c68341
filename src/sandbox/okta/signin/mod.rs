//! Okta's sign-in for service apps: the org authorization server's token endpoint, and what the API asks of its tokens.

mod assertion;
mod proof;
pub(in crate::sandbox) mod refusal;
mod token;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Extension, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;

use crate::sandbox::answers::Canned;
use crate::sandbox::entra::form;
use crate::sandbox::keys::Keys;
use crate::sandbox::model::okta::Okta;
use crate::sandbox::server::Site;
use proof::Proof;
pub(super) use refusal::Refusal;
pub(super) use token::AccessToken;

/// Where the token endpoint is.
pub(in crate::sandbox) const TOKEN: &str = "/oauth2/v1/token";

/// A nonce is renewed after so many seconds, and an older one is honored for three times as long.
const NONCE_LIFE: i64 = 86_400;
const NONCES_HONORED: i64 = 3;

/// The ids that were used once and are used up. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Used(Arc<Mutex<HashSet<String>>>);

impl Used {
    /// Uses an id of a kind up. `false` when it was used before.
    fn up(&self, kind: &str, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{kind} {id}"))
    }
}

/// What both the token endpoint and the API's door look at.
pub(super) struct Office<'a> {
    pub(super) okta: &'a Okta,
    pub(super) keys: &'a Keys,
    pub(super) used: &'a Used,
    /// The org's address, without a slash at the end.
    pub(super) base: &'a str,
    /// Seconds since 1970.
    pub(super) now: i64,
}

impl Office<'_> {
    /// The nonce that proofs have to carry now.
    fn nonce(&self) -> String {
        self.keys.seal("dpop nonce", &serde_json::json!(self.generation()))
    }

    fn generation(&self) -> i64 {
        self.now / NONCE_LIFE + self.okta.nonces_renewed
    }

    /// Whether a nonce is the one of now, or not too old.
    fn honors(&self, nonce: &str) -> bool {
        let of = self.keys.open("dpop nonce", nonce).and_then(|value| value.as_i64());
        of.is_some_and(|of| of <= self.generation() && of + NONCES_HONORED > self.generation())
    }
}

/// The nonce that proofs have to carry now.
pub(super) fn nonce(site: &Site) -> String {
    let (state, used, now) = (site.world.read(), Used::default(), crate::sandbox::server::now().as_second());
    Office { okta: &state.okta, keys: &site.keys, used: &used, base: &site.okta_url, now }.nonce()
}

/// `POST /oauth2/v1/token`.
pub(super) async fn give_token(
    State(site): State<Site>,
    Extension(used): Extension<Used>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let is_form = text(&headers, "content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
    let form = if is_form { form::parse(&String::from_utf8_lossy(&body)) } else { Vec::new() };
    let state = site.world.read();
    let now = crate::sandbox::server::now().as_second();
    let office = Office { okta: &state.okta, keys: &site.keys, used: &used, base: &site.okta_url, now };
    let nonce = office.nonce();
    match office.token(&form, &proofs(&headers)) {
        Ok(answer) => Canned::json(200, &answer.body).header_if("dpop-nonce", answer.bound.then_some(nonce)),
        Err(refusal) => refusal.at_token_endpoint().header_if("dpop-nonce", refusal.asks_for_nonce().then_some(nonce)),
    }
    .into_response()
}

/// Every `DPoP` header of a request.
pub(super) fn proofs(headers: &HeaderMap) -> Vec<&str> {
    headers.get_all("dpop").iter().filter_map(|value| value.to_str().ok()).collect()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The token of a request to the API, checked together with its proof.
pub(super) fn check(office: &Office<'_>, request: &Request, scheme: &str, token: &str) -> Result<AccessToken, Refusal> {
    let token_text = token;
    let token = AccessToken::open(office, token_text)?;
    match (&token.thumbprint, scheme.eq_ignore_ascii_case("dpop")) {
        (None, false) => {}
        (None, true) => return Err(Refusal::NOT_BOUND),
        (Some(_), false) => return Err(Refusal::WRONG_SCHEME),
        (Some(bound), true) => {
            let found = proofs(request.headers());
            if found.is_empty() {
                return Err(Refusal::NO_RESOURCE_PROOF);
            }
            let path = form::decode_path(request.uri().path());
            let url = format!("{}{path}", office.base);
            let proof = Proof::read(&found)?;
            proof.check(office, request.method().as_str(), &url)?;
            proof.check_token(token_text, bound)?;
        }
    }
    Ok(token)
}
