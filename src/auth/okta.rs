//! Okta's service app: client credentials with a signed assertion, and a DPoP proof always offered.
//! Source: <https://developer.okta.com/docs/guides/implement-oauth-for-okta-serviceapp/main/>

use jiff::Timestamp;
use serde_json::{Value, json};
use tracing::warn;
use url::Url;
use uuid::Uuid;

use crate::auth::dpop::{DPOP, Prover};
use crate::auth::error::{AuthError, Class, Refusal};
use crate::auth::jwt::{Head, Scheme, SigningKey};
use crate::auth::signin::{Endpoint, Token};
use crate::auth::source::Source;
use crate::auth::{JWT_BEARER, header_value, plain, refusal};
use crate::clock::Clock;
use crate::http::{Answer, Client, Draft, redact};
use crate::secret::Secret;

/// Seconds that an assertion lives: long enough for clocks that differ, short enough to be worthless soon.
const ASSERTION_LIFE: i64 = 300;

/// How often one renewal asks: once more for a nonce, and once more when the clocks turn out to differ.
const ROUNDS: u32 = 3;

/// What messages call it.
pub(super) const NAME: &str = "the Okta service app";

/// What messages call the other way to sign in.
pub(super) const TOKEN_NAME: &str = "the Okta API token";

/// The service app towards Okta.
#[derive(Clone, Debug)]
pub struct OktaService {
    /// The organization's root, such as `https://example.okta.com`.
    pub org_url: Url,
    pub client_id: String,
    /// The id under which the public key is registered.
    pub key_id: String,
    /// PEM or JWK.
    pub private_key: Source,
    /// Such as `okta.users.read`.
    pub scopes: Vec<String>,
    /// Asked for as well, and done without.
    pub wishes: Vec<String>,
}

impl OktaService {
    /// Asks for a token. Each try has an assertion and a proof of its own: Okta uses up those of a refused one too.
    pub(super) async fn sign_in(&self, prover: &Prover, http: &Client, clock: &dyn Clock) -> Result<Token, AuthError> {
        let endpoint = Endpoint::okta(NAME, &self.org_url);
        let key = self.key()?;
        let mut round = 1;
        loop {
            let draft = || self.draft(&key, &endpoint.url, prover, clock.now());
            let answered = endpoint.clone().ask(http, draft).await?;
            let has_new_nonce = prover.hear_nonce(&answered.answer);
            let again = answered.refusal().is_some_and(|refusal| {
                (refusal.error == "use_dpop_nonce" && has_new_nonce)
                    || (is_about_time(&refusal) && prover.hear_time(&answered.answer, clock.now()))
            });
            if again && round < ROUNDS {
                round += 1;
                continue;
            }
            let token = answered.token().map_err(|error| self.with_remedy(error))?;
            self.note_missing(token.scope.as_deref());
            return Ok(token);
        }
    }

    fn key(&self) -> Result<SigningKey, AuthError> {
        let text = self.private_key.read(NAME)?;
        SigningKey::read(&text).map_err(|source| AuthError::Key { identity: NAME, key: self.private_key.key(), source })
    }

    fn draft(&self, key: &SigningKey, url: &Url, prover: &Prover, now: Timestamp) -> Result<Draft, AuthError> {
        let unusable = |source| AuthError::Key { identity: NAME, key: self.private_key.key(), source };
        let issued = prover.their(now).as_second();
        let claims = json!({
            "aud": url.as_str(), "iss": self.client_id, "sub": self.client_id, "iat": issued,
            "exp": issued + ASSERTION_LIFE, "jti": Uuid::new_v4().to_string(),
        });
        let head = Head { kid: Some(self.key_id.clone()), ..Head::default() };
        let assertion = key.sign(&head, Scheme::Usual, &claims).map_err(unusable)?;
        let proof = prover.proof("POST", url, None, now).map_err(unusable)?;
        let fields = vec![
            ("grant_type", plain("client_credentials")),
            ("scope", plain(&[self.scopes.as_slice(), &self.wishes].concat().join(" "))),
            ("client_assertion_type", plain(JWT_BEARER)),
            ("client_assertion", Secret::new(assertion)),
        ];
        Ok(Draft::new().form(fields).header(DPOP, header_value(&proof)))
    }

    /// A refused key that the process holds from its start may have been replaced since.
    fn with_remedy(&self, error: AuthError) -> AuthError {
        super::with_remedy(error, &self.private_key)
    }

    /// Okta grants what it may and says nothing of the rest: the API refuses that later, and only there.
    fn note_missing(&self, granted: Option<&str>) {
        let missing = missing(&self.scopes, granted);
        if !missing.is_empty() {
            let missing = missing.join(", ");
            warn!(
                missing,
                "Okta did not grant every scope that the jobs need: grant {missing} on the app's tab Okta API Scopes"
            );
        }
    }
}

/// What is known of a token or proof that Okta's API refused, by the words of its header: who has to act, and what to do
/// (empty when that is not known).
#[must_use]
pub fn judge_token(error: &str, description: &str, status: u16) -> (Class, &'static str) {
    let known = refusal::okta::judge(error, description, status);
    (known.class, known.hint)
}

/// What the answer to a call with a refused API token says.
/// Source: <https://developer.okta.com/docs/reference/error-codes/>
pub(super) fn token_refused(answer: &Answer) -> Refusal {
    let body: Value = answer.json().unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let code = text("errorCode");
    let hint = "make a new API token in Okta (Security, API, Tokens), and put it where `okta.auth.token` points";
    Refusal {
        by: "Okta",
        identity: TOKEN_NAME,
        error: if code.is_empty() { format!("HTTP {}", answer.status.as_u16()) } else { code },
        description: redact::people(&text("errorSummary")),
        aadsts: None,
        status: answer.status.as_u16(),
        trace_id: answer.request_id.clone(),
        claims: None,
        class: Class::NeedsHuman,
        hint: hint.to_owned(),
    }
}

fn missing<'a>(asked: &'a [String], granted: Option<&str>) -> Vec<&'a str> {
    let Some(granted) = granted else { return Vec::new() };
    let granted: Vec<&str> = granted.split_whitespace().collect();
    asked.iter().map(String::as_str).filter(|scope| !granted.contains(scope)).collect()
}

/// Whether a refusal may come from clocks that differ.
pub(super) fn is_about_time(refusal: &Refusal) -> bool {
    let words =
        ["issued in the future", "five minutes in the past", "token is expired", "issued before the current time"];
    words.iter().any(|words| refusal.description.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_that_were_not_granted_are_noticed() {
        let asked = ["okta.users.read".to_owned(), "okta.groups.read".to_owned()];
        assert_eq!(missing(&asked, Some("okta.users.read")), ["okta.groups.read"]);
        assert_eq!(missing(&asked, Some("okta.groups.read okta.users.read")), [""; 0]);
        assert_eq!(missing(&asked, None), [""; 0], "not said, not missing");
    }
}
