//! DPoP proofs: a JWT per request that shows possession of the key to which a token is bound (RFC 9449).
//! Source: <https://developer.okta.com/docs/guides/dpop/nonoktaresourceserver/main/>

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::sandbox::jwt::{Jwt, PublicKey};
use crate::sandbox::okta::signin::Office;
use crate::sandbox::okta::signin::refusal::Refusal;

/// The oldest that a proof may be, in seconds.
const OLDEST: i64 = 300;

/// A proof whose signature is good.
pub(super) struct Proof {
    jwt: Jwt,
    pub(super) key: PublicKey,
}

impl Proof {
    /// The one proof of a request, by its `DPoP` headers.
    pub(super) fn read(headers: &[&str]) -> Result<Self, Refusal> {
        let text = match headers {
            [] => return Err(Refusal::NO_PROOF),
            [one] => one,
            _ => return Err(Refusal::SEVERAL_PROOFS),
        };
        let jwt = Jwt::parse(text).ok_or(Refusal::PROOF_UNREADABLE)?;
        if jwt.header["typ"] != "dpop+jwt" {
            return Err(Refusal::PROOF_TYPE);
        }
        if !["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"].contains(&jwt.algorithm()) {
            return Err(Refusal::PROOF_ALGORITHM);
        }
        let key = PublicKey::from_jwk(&jwt.header["jwk"]).ok_or(Refusal::PROOF_UNREADABLE)?;
        if jwt.is_signed_by(&key) { Ok(Self { jwt, key }) } else { Err(Refusal::PROOF_SIGNATURE) }
    }

    /// Whether the proof is about this request, fresh, and not used before.
    pub(super) fn check(&self, office: &Office<'_>, method: &str, url: &str) -> Result<(), Refusal> {
        if self.jwt.text("htm") != Some(method) {
            return Err(Refusal::PROOF_METHOD);
        }
        if self.jwt.text("htu") != Some(url) {
            return Err(Refusal::PROOF_URL);
        }
        let issued = self.jwt.seconds("iat").ok_or(Refusal::PROOF_TIME)?;
        if issued > office.now {
            return Err(Refusal::PROOF_FROM_THE_FUTURE);
        }
        if issued < office.now - OLDEST {
            return Err(Refusal::PROOF_TOO_OLD);
        }
        let id = self.jwt.text("jti").ok_or(Refusal::PROOF_ID)?;
        if office.used.up("proof", id) { Ok(()) } else { Err(Refusal::PROOF_USED) }
    }

    /// Whether the proof carries a nonce that the server gave out.
    pub(super) fn check_nonce(&self, office: &Office<'_>) -> Result<(), Refusal> {
        if self.jwt.text("nonce").is_some_and(|nonce| office.honors(nonce)) { Ok(()) } else { Err(Refusal::USE_NONCE) }
    }

    /// Whether the proof belongs to this token, which is bound to the key with this thumbprint.
    pub(super) fn check_token(&self, token: &str, bound_to: &str) -> Result<(), Refusal> {
        let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()));
        if self.jwt.text("ath") != Some(&hash) {
            return Err(Refusal::PROOF_HASH);
        }
        if self.key.thumbprint() == bound_to { Ok(()) } else { Err(Refusal::PROOF_OTHER_KEY) }
    }
}
