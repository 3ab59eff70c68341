//! What the token endpoint gives out, and how the API reads it again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::sandbox::okta::signin::proof::Proof;
use crate::sandbox::okta::signin::refusal::Refusal;
use crate::sandbox::okta::signin::{Office, TOKEN};
use crate::sandbox::server::fresh_id;

/// Okta's tokens live for an hour; a test may have them shorter.
const ACCESS: &str = "okta access token";

/// A token that was given out.
pub(super) struct Given {
    pub(super) body: Value,
    /// Whether it is bound to a key.
    pub(super) bound: bool,
}

/// A token that was brought back and is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox::okta) struct AccessToken {
    pub(in crate::sandbox::okta) client: String,
    pub(in crate::sandbox::okta) scopes: Vec<String>,
    /// Of the key that it is bound to.
    pub(super) thumbprint: Option<String>,
}

impl Office<'_> {
    /// The answer to a token request: its form and its `DPoP` headers.
    pub(super) fn token(&self, form: &[(String, String)], proofs: &[&str]) -> Result<Given, Refusal> {
        let field = |name: &str| {
            let value = form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())?;
            (!value.is_empty()).then_some(value)
        };
        let grant = field("grant_type").ok_or(Refusal::NO_GRANT_TYPE)?;
        let app = self.authenticate(&field)?;
        if grant != "client_credentials" {
            return Err(Refusal::OTHER_GRANT);
        }
        let bound_to = if app.dpop {
            let proof = Proof::read(proofs)?;
            proof.check(self, "POST", &format!("{}{TOKEN}", self.base))?;
            proof.check_nonce(self)?;
            Some(proof.key.thumbprint().to_owned())
        } else {
            None
        };
        let asked = field("scope").ok_or(Refusal::NO_SCOPE)?;
        let asked: Vec<&str> = asked.split_whitespace().collect();
        if asked.contains(&"openid") {
            return Err(Refusal::OPENID);
        }
        let granted: Vec<&str> = asked.into_iter().filter(|scope| app.scopes.iter().any(|own| own == scope)).collect();
        if granted.is_empty() {
            return Err(Refusal::NO_CONSENT);
        }
        let life = self.okta.token_life;
        let access = self.mint(&app.client_id, &granted, bound_to.as_deref(), life);
        let kind = if bound_to.is_some() { "DPoP" } else { "Bearer" };
        let body = json!({"token_type": kind, "expires_in": life, "access_token": access, "scope": granted.join(" ")});
        Ok(Given { body, bound: bound_to.is_some() })
    }

    fn mint(&self, client: &str, scopes: &[&str], bound_to: Option<&str>, life: i64) -> String {
        let header = json!({"kid": "sandbox", "typ": "application/okta-internal-at+jwt", "alg": "HS256"});
        let mut claims = json!({
            "ver": 1, "jti": format!("AT.{}", fresh_id().simple()), "iss": self.base, "aud": self.base, "sub": client,
            "cid": client, "iat": self.now, "exp": self.now + life, "scp": scopes,
        });
        if let Some(thumbprint) = bound_to {
            claims["cnf"] = json!({"jkt": thumbprint});
        }
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.keys.sign(ACCESS, &text);
        format!("{text}.{signature}")
    }
}

impl AccessToken {
    /// Reads a token that this org gave out.
    pub(super) fn open(office: &Office<'_>, token: &str) -> Result<Self, Refusal> {
        let (text, signature) = token.rsplit_once('.').ok_or(Refusal::TOKEN_INVALID)?;
        if office.keys.sign(ACCESS, text) != signature {
            return Err(Refusal::TOKEN_INVALID);
        }
        let claims = text.split_once('.').and_then(|(_, claims)| URL_SAFE_NO_PAD.decode(claims).ok());
        let claims = claims.and_then(|claims| serde_json::from_slice::<Value>(&claims).ok());
        let claims = claims.ok_or(Refusal::TOKEN_INVALID)?;
        if claims["iss"] != office.base {
            return Err(Refusal::TOKEN_ISSUER);
        }
        if claims["exp"].as_i64().is_none_or(|expires| expires <= office.now) {
            return Err(Refusal::TOKEN_EXPIRED);
        }
        if office.okta.tokens_revoked_at.is_some_and(|at| claims["iat"].as_i64().is_none_or(|issued| issued <= at)) {
            return Err(Refusal::TOKEN_REVOKED);
        }
        let scopes = claims["scp"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        Ok(Self {
            client: claims["cid"].as_str().unwrap_or_default().to_owned(),
            scopes: scopes.collect(),
            thumbprint: claims["cnf"]["jkt"].as_str().map(str::to_owned),
        })
    }

    /// Whether a scope was granted; `….manage` includes `….read`.
    pub(in crate::sandbox::okta) fn grants(&self, scope: &str) -> bool {
        let manage = scope.strip_suffix(".read").map(|stem| format!("{stem}.manage"));
        self.scopes.iter().any(|own| own == scope || Some(own) == manage.as_ref())
    }
}
