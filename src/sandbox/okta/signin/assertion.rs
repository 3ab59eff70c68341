//! Client assertions: a JWT that a service app signs to say who it is.
//! Source: <https://developer.okta.com/docs/api/openapi/okta-oauth/guides/client-auth/>

use crate::sandbox::jwt::Jwt;
use crate::sandbox::model::okta::ServiceApp;
use crate::sandbox::okta::signin::refusal::Refusal;
use crate::sandbox::okta::signin::{Office, TOKEN};

/// The type of every client assertion.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The longest that an assertion may have to live.
const LONGEST: i64 = 3_600;

impl Office<'_> {
    /// The app that signed the assertion of a token request. Its `jti` is used up even when the request fails later.
    pub(super) fn authenticate(&self, field: &dyn Fn(&str) -> Option<String>) -> Result<&ServiceApp, Refusal> {
        if field("client_secret").is_some() {
            return Err(Refusal::SECRET);
        }
        let assertion = field("client_assertion");
        let kind = field("client_assertion_type");
        let Some(assertion) = assertion else {
            let unknown = field("client_id").is_some_and(|id| self.app(&id).is_none());
            return Err(if unknown { Refusal::UNKNOWN_CLIENT } else { Refusal::NO_CREDENTIALS });
        };
        if kind.as_deref() != Some(JWT_BEARER) {
            return Err(Refusal::ASSERTION_TYPE);
        }
        let jwt = Jwt::parse(&assertion).ok_or(Refusal::ASSERTION_UNREADABLE)?;
        let app = jwt.text("iss").and_then(|issuer| self.app(issuer)).ok_or(Refusal::ISSUER)?;
        if jwt.text("sub") != Some(&app.client_id) {
            return Err(Refusal::SUBJECT);
        }
        if jwt.text("aud") != Some(&format!("{}{TOKEN}", self.base)) {
            return Err(Refusal::AUDIENCE);
        }
        check_signature(&jwt, app)?;
        self.check_times(&jwt)?;
        if !app.service {
            return Err(Refusal::NOT_A_SERVICE);
        }
        if !app.in_zone {
            return Err(Refusal::OUTSIDE_ZONE);
        }
        if jwt.text("jti").is_some_and(|id| !self.used.up("assertion", id)) {
            return Err(Refusal::ASSERTION_USED);
        }
        Ok(app)
    }

    fn app(&self, client: &str) -> Option<&ServiceApp> {
        self.okta.services.iter().find(|app| app.client_id == client)
    }

    fn check_times(&self, jwt: &Jwt) -> Result<(), Refusal> {
        let expires = jwt.seconds("exp").ok_or(Refusal::NO_EXPIRY)?;
        if expires <= self.now {
            return Err(Refusal::ASSERTION_EXPIRED);
        }
        if expires > self.now + LONGEST {
            return Err(Refusal::EXPIRY_TOO_FAR);
        }
        if jwt.seconds("iat").is_some_and(|issued| issued > self.now) {
            return Err(Refusal::ASSERTION_FROM_THE_FUTURE);
        }
        Ok(())
    }
}

fn check_signature(jwt: &Jwt, app: &ServiceApp) -> Result<(), Refusal> {
    if !["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"].contains(&jwt.algorithm()) {
        return Err(Refusal::ASSERTION_ALGORITHM);
    }
    if app.keys.is_empty() {
        return Err(Refusal::NO_KEYS);
    }
    let key = match (jwt.header["kid"].as_str(), app.keys.as_slice()) {
        (Some(id), keys) => keys.iter().find(|(known, _)| known == id),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let (_, key) = key.ok_or(Refusal::KEY_ID)?;
    if jwt.is_signed_by(key) { Ok(()) } else { Err(Refusal::ASSERTION_SIGNATURE) }
}
