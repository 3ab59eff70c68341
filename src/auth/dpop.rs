//! DPoP: a signed proof with each request that the sender holds the key to which its token is bound (RFC 9449).
//!
//! A proof is always offered at the token endpoint: a service that does not bind tokens ignores it, and the answer's
//! `token_type` says which it was. Source: <https://developer.okta.com/docs/guides/dpop/nonoktaresourceserver/main/>

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::auth::jwt::{Head, KeyError, Scheme, SigningKey};
use crate::http::Answer;
use crate::http::advice::served_at;
use crate::http::header::HeaderName;

/// The header of a proof.
pub(super) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The key of this process, and what the other side said that proofs need.
#[derive(Debug)]
pub(super) struct Prover {
    key: SigningKey,
    heard: Mutex<Heard>,
}

#[derive(Clone, Debug, Default)]
struct Heard {
    nonce: Option<String>,
    /// How far the other side's clock is ahead of ours.
    ahead: SignedDuration,
}

impl Prover {
    /// With a key of its own, which is not the one that signs the client in.
    pub(super) fn new() -> Self {
        Self { key: SigningKey::generate(), heard: Mutex::default() }
    }

    fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The time of day as the other side has it.
    pub(super) fn their(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(self.heard().ahead).unwrap_or(now)
    }

    /// A proof for one try of one request; `token` is what the request is signed with, if it is.
    pub(super) fn proof(
        &self,
        method: &str,
        url: &Url,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<String, KeyError> {
        let mut claims = json!({
            "jti": Uuid::new_v4().to_string(), "htm": method, "htu": target(url), "iat": self.their(now).as_second(),
        });
        if let Some(nonce) = self.heard().nonce {
            claims["nonce"] = json!(nonce);
        }
        if let Some(token) = token {
            claims["ath"] = json!(URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())));
        }
        let head = Head { typ: Some("dpop+jwt"), with_key: true, ..Head::default() };
        self.key.sign(&head, Scheme::Usual, &claims)
    }

    /// Takes up the nonce that an answer brings. Whether it is another one than before.
    pub(super) fn hear_nonce(&self, answer: &Answer) -> bool {
        let Some(nonce) = answer.header("dpop-nonce") else { return false };
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = heard.nonce.as_deref() != Some(nonce);
        heard.nonce = Some(nonce.to_owned());
        is_new
    }

    /// Takes up the other side's time of day. Whether that changes what proofs say.
    pub(super) fn hear_time(&self, answer: &Answer, now: Timestamp) -> bool {
        let Some(theirs) = served_at(&answer.headers) else { return false };
        // Their stamp is cut to whole seconds: one more back is never in the future.
        let ahead = SignedDuration::from_secs(theirs.as_second() - now.as_second() - 1);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = ahead != heard.ahead;
        heard.ahead = ahead;
        changes
    }
}

/// The address without query and fragment, its path decoded: that is how Okta compares.
fn target(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    format!("{origin}{}", decoded(url.path()))
}

/// `%xx` as the byte it stands for; a path that is then no text stays as it is.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let escaped = (*first == b'%').then(|| u8::try_from(digit(0)? * 16 + digit(1)?).ok()).flatten();
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwt::part;

    #[test]
    fn a_proof_names_the_request_without_query_and_decoded() {
        for (url, expected) in [
            ("https://x.okta.example/api/v1/users?limit=200", "https://x.okta.example/api/v1/users"),
            ("https://x.okta.example/api/v1/users/a%40b.com", "https://x.okta.example/api/v1/users/a@b.com"),
            ("http://127.0.0.1:8080/a%2Fb%C3%A5#c", "http://127.0.0.1:8080/a/bå"),
            ("https://x.example/%ff%zz", "https://x.example/%ff%zz"),
        ] {
            assert_eq!(target(&Url::parse(url).unwrap()), expected);
        }
    }

    #[test]
    fn each_proof_is_another_one_and_carries_the_public_key_alone() {
        let prover = Prover::new();
        let url = Url::parse("https://x.example/t").unwrap();
        let now = Timestamp::from_second(1_000).unwrap();
        let [one, two] = [(); 2].map(|()| prover.proof("POST", &url, Some("token"), now).unwrap());
        let (header, claims) = (part(&one, 0), part(&one, 1));
        assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
        assert!(header["jwk"]["x"].is_string() && header["jwk"]["d"].is_null(), "{header}");
        assert_eq!((&claims["htm"], &claims["iat"]), (&json!("POST"), &json!(1_000)));
        // SHA-256 of `token`
        assert_eq!(claims["ath"], "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A");
        assert_ne!(claims["jti"], part(&two, 1)["jti"]);
    }
}
