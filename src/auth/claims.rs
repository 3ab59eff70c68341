//! What a token says about itself. For display only: a token's reader is the service, and only it can trust it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;

/// What Entra granted, as the token tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// Application permissions (`roles`), sorted.
    pub roles: Vec<String>,
    /// Delegated scopes (`scp`), sorted.
    pub scopes: Vec<String>,
    pub tenant: Option<String>,
    pub expires: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scp: String,
    tid: Option<String>,
    exp: Option<i64>,
}

/// Reads the middle part of a token. `None` when it is not a readable JWT, which it need not be.
pub(super) fn granted(token: &str) -> Option<Granted> {
    let part = token.split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&json).ok()?;
    let mut roles = claims.roles;
    let mut scopes: Vec<String> = claims.scp.split_whitespace().map(str::to_owned).collect();
    roles.sort();
    scopes.sort();
    let expires = claims.exp.and_then(|seconds| Timestamp::from_second(seconds).ok());
    Some(Granted { roles, scopes, tenant: claims.tid, expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_for_what_it_grants() {
        let claims = r#"{"roles":["User.ReadWrite.All","LicenseAssignment.Read.All"],"tid":"t","exp":1790000000}"#;
        let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        let granted = granted(&token).unwrap();
        assert_eq!(granted.roles, ["LicenseAssignment.Read.All", "User.ReadWrite.All"]);
        assert_eq!(granted.expires.unwrap().as_second(), 1_790_000_000);
    }

    #[test]
    fn delegated_scopes_are_parted_at_spaces() {
        let token = format!("e30.{}.", URL_SAFE_NO_PAD.encode(r#"{"scp":"User.Read openid"}"#));
        assert_eq!(granted(&token).unwrap().scopes, ["User.Read", "openid"]);
    }

    #[test]
    fn an_opaque_token_grants_nothing_visible_and_breaks_nothing() {
        for token in ["", "opaque", "a.b.c", "..", "e30.!!.x"] {
            assert_eq!(granted(token), None, "{token}");
        }
    }
}
