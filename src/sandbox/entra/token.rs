//! Access and refresh tokens that need no memory: whoever holds the keys can check them.
//!
//! An access token has the shape of a JWT and the claims that Graph reads. Its signature is an HMAC of this sandbox,
//! so nobody can make one but the token endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sandbox::keys::Keys;
use crate::sandbox::server::fresh_id;

/// The audience of every Graph token, whichever root the client named in its scope.
pub(in crate::sandbox) const GRAPH: &str = "https://graph.microsoft.com";

/// Keeps access tokens apart from everything else that the keys sign.
const ACCESS: &str = "access token";
const REFRESH: &str = "refresh token";

/// Whom an access token speaks for, and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Claims {
    pub(in crate::sandbox) tenant: Uuid,
    /// The application that asked for the token.
    pub(in crate::sandbox) client: Uuid,
    pub(in crate::sandbox) bearer: Bearer,
    pub(in crate::sandbox) audience: String,
    pub(in crate::sandbox) expires: Timestamp,
    /// What a resource wanted of the token and the client passed on.
    pub(in crate::sandbox) answered: Option<String>,
}

/// The two kinds of token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Bearer {
    /// The application itself, by its service principal.
    App { principal: Uuid, roles: Vec<String> },
    /// A person who signed in.
    Person { user: Uuid, scopes: Vec<String> },
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Flaw {
    /// Not three parts of base64url, or without the claims.
    Malformed,
    /// Not signed by this world.
    Forged,
    Expired,
}

/// What a refresh token remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refresh {
    pub(super) client: Uuid,
    pub(super) user: Uuid,
    /// The sign-in from which it descends.
    pub(super) family: String,
}

impl Claims {
    /// The token for these claims.
    pub(in crate::sandbox) fn mint(&self, keys: &Keys, now: Timestamp) -> String {
        let head = URL_SAFE_NO_PAD.encode(json!({"typ": "JWT", "alg": "HS256", "kid": "sandbox"}).to_string());
        let body = URL_SAFE_NO_PAD.encode(self.to_json(now).to_string());
        let text = format!("{head}.{body}");
        let signature = keys.sign(ACCESS, &text);
        format!("{text}.{signature}")
    }

    /// The claims of a token, when this world signed it and its time is not over.
    pub(in crate::sandbox) fn check(keys: &Keys, token: &str, now: Timestamp) -> Result<Self, Flaw> {
        let (text, signature) = token.rsplit_once('.').ok_or(Flaw::Malformed)?;
        let (_, body) = text.split_once('.').ok_or(Flaw::Malformed)?;
        let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| Flaw::Malformed)?;
        let body: Value = serde_json::from_slice(&body).map_err(|_| Flaw::Malformed)?;
        let claims = Self::from_json(&body).ok_or(Flaw::Malformed)?;
        if keys.sign(ACCESS, text) != signature {
            return Err(Flaw::Forged);
        }
        if now >= claims.expires {
            return Err(Flaw::Expired);
        }
        Ok(claims)
    }

    /// Whether one of these permissions was granted, in `roles` or in `scp`.
    pub(in crate::sandbox) fn grants(&self, permissions: &[&str]) -> bool {
        let (Bearer::App { roles: granted, .. } | Bearer::Person { scopes: granted, .. }) = &self.bearer;
        granted.iter().any(|permission| permissions.contains(&permission.as_str()))
    }

    fn to_json(&self, now: Timestamp) -> Value {
        let mut claims = json!({
            "aud": self.audience, "iss": format!("https://sts.windows.net/{}/", self.tenant), "iat": now.as_second(),
            "nbf": now.as_second(), "exp": self.expires.as_second(), "expms": self.expires.as_millisecond(),
            "appid": self.client.to_string(), "tid": self.tenant.to_string(), "ver": "1.0",
            "uti": fresh_id().simple().to_string(),
        });
        if let Some(answered) = &self.answered {
            claims["answered"] = json!(answered);
        }
        match &self.bearer {
            Bearer::App { principal, roles } => {
                claims["idtyp"] = json!("app");
                claims["appidacr"] = json!("1");
                claims["oid"] = json!(principal.to_string());
                if !roles.is_empty() {
                    claims["roles"] = json!(roles);
                }
            }
            Bearer::Person { user, scopes } => {
                claims["idtyp"] = json!("user");
                claims["appidacr"] = json!("0");
                claims["oid"] = json!(user.to_string());
                claims["scp"] = json!(scopes.join(" "));
            }
        }
        claims
    }

    fn from_json(claims: &Value) -> Option<Self> {
        let id = |name: &str| Uuid::try_parse(claims[name].as_str()?).ok();
        let object = id("oid")?;
        let bearer = match claims["scp"].as_str() {
            Some(scopes) => Bearer::Person { user: object, scopes: scopes.split(' ').map(str::to_owned).collect() },
            None => Bearer::App { principal: object, roles: texts(&claims["roles"]) },
        };
        Some(Self {
            tenant: id("tid")?,
            client: id("appid")?,
            bearer,
            audience: claims["aud"].as_str()?.to_owned(),
            answered: claims["answered"].as_str().map(str::to_owned),
            expires: Timestamp::from_millisecond(claims["expms"].as_i64()?).ok()?,
        })
    }
}

impl Refresh {
    /// A new refresh token; no two are alike.
    pub(super) fn mint(&self, keys: &Keys, serial: &str) -> String {
        let (client, user) = (self.client.to_string(), self.user.to_string());
        let value = json!({"client": client, "user": user, "family": self.family, "serial": serial});
        format!("1.{}", keys.seal(REFRESH, &value))
    }

    /// What a refresh token says, when this world issued it.
    pub(super) fn open(keys: &Keys, token: &str) -> Option<Self> {
        let value = keys.open(REFRESH, token.strip_prefix("1.")?)?;
        let id = |name: &str| Uuid::try_parse(value[name].as_str()?).ok();
        Some(Self { client: id("client")?, user: id("user")?, family: value["family"].as_str()?.to_owned() })
    }
}

/// When a token that is issued now ends.
pub(super) fn expiry(now: Timestamp, life: std::time::Duration) -> Timestamp {
    let life = SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX);
    now.checked_add(life).unwrap_or(Timestamp::MAX)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(bearer: Bearer) -> Claims {
        let expires = Timestamp::from_second(1_000).unwrap();
        Claims {
            tenant: Uuid::from_u128(1),
            client: Uuid::from_u128(2),
            bearer,
            audience: GRAPH.into(),
            expires,
            answered: None,
        }
    }

    #[test]
    fn both_kinds_of_token_say_again_what_they_were_minted_with() {
        let keys = Keys::new(1);
        let now = Timestamp::from_second(10).unwrap();
        for bearer in [
            Bearer::App { principal: Uuid::from_u128(3), roles: vec!["User.Read.All".into()] },
            Bearer::App { principal: Uuid::from_u128(3), roles: vec![] },
            Bearer::Person { user: Uuid::from_u128(4), scopes: vec!["User.Read".into(), "openid".into()] },
        ] {
            let claims = claims(bearer);
            assert_eq!(Claims::check(&keys, &claims.mint(&keys, now), now), Ok(claims));
        }
    }

    #[test]
    fn forged_expired_and_broken_tokens_are_told_apart() {
        let keys = Keys::new(1);
        let now = Timestamp::from_second(10).unwrap();
        let token = claims(Bearer::App { principal: Uuid::nil(), roles: vec![] }).mint(&keys, now);
        assert_eq!(Claims::check(&Keys::new(2), &token, now), Err(Flaw::Forged));
        assert_eq!(Claims::check(&keys, &format!("{token}x"), now), Err(Flaw::Forged));
        assert_eq!(Claims::check(&keys, &token, Timestamp::from_second(1_000).unwrap()), Err(Flaw::Expired));
        for broken in ["", "a", "a.b", "a.b.c", "a.e30.c"] {
            assert_eq!(Claims::check(&keys, broken, now), Err(Flaw::Malformed), "{broken}");
        }
    }

    #[test]
    fn a_token_without_the_permission_grants_nothing() {
        let app = claims(Bearer::App { principal: Uuid::nil(), roles: vec!["User.Read.All".into()] });
        assert!(app.grants(&["Directory.Read.All", "User.Read.All"]));
        assert!(!app.grants(&["User.ReadWrite.All"]));
    }

    #[test]
    fn refresh_tokens_differ_and_open_in_their_world() {
        let keys = Keys::new(1);
        let refresh = Refresh { client: Uuid::from_u128(5), user: Uuid::from_u128(6), family: "f".into() };
        let (first, second) = (refresh.mint(&keys, "1"), refresh.mint(&keys, "2"));
        assert_ne!(first, second);
        assert_eq!(Refresh::open(&keys, &first), Some(refresh.clone()));
        assert_eq!(Refresh::open(&keys, &second), Some(refresh));
        assert_eq!(Refresh::open(&Keys::new(2), &first), None);
        assert_eq!(Refresh::open(&keys, "rubbish"), None);
    }
}
