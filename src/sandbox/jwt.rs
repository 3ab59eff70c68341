//! Signed tokens that clients bring: read, and checked against a public key. Made with the crypto library alone, so that
//! no library of the client's is judge in its own case.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
    EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RsaKeyPair, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// A token in three parts, not yet believed.
#[derive(Clone, Debug)]
pub(super) struct Jwt {
    pub(super) header: Value,
    pub(super) payload: Value,
    signed: String,
    signature: Vec<u8>,
}

/// A public key that somebody registered, or that a token brought along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    /// Of a key that came as a JWK: base64url of SHA-256 over its required members (RFC 7638).
    thumbprint: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// `RSAPublicKey` in DER.
    Rsa(Vec<u8>),
    RsaParts {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    Ec(Curve, Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

impl Jwt {
    /// Three parts of base64url, the first two of them JSON objects.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let object = |part: &str| -> Option<Value> {
            let value: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
            value.is_object().then_some(value)
        };
        Some(Self {
            header: object(header)?,
            payload: object(payload)?,
            signed: signed.to_owned(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    pub(super) fn algorithm(&self) -> &str {
        self.header["alg"].as_str().unwrap_or_default()
    }

    /// A claim that is a text and not empty.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.payload[claim].as_str().filter(|text| !text.is_empty())
    }

    /// A claim in whole seconds since 1970.
    pub(super) fn seconds(&self, claim: &str) -> Option<i64> {
        self.payload[claim].as_i64()
    }

    pub(super) fn is_signed_by(&self, key: &PublicKey) -> bool {
        let (text, signature) = (self.signed.as_bytes(), &self.signature);
        let rsa = match self.algorithm() {
            "RS256" => Some(&RSA_PKCS1_2048_8192_SHA256),
            "RS384" => Some(&RSA_PKCS1_2048_8192_SHA384),
            "RS512" => Some(&RSA_PKCS1_2048_8192_SHA512),
            "PS256" => Some(&RSA_PSS_2048_8192_SHA256),
            _ => None,
        };
        match (&key.kind, rsa) {
            (Kind::Rsa(der), Some(rsa)) => UnparsedPublicKey::new(rsa, der).verify(text, signature).is_ok(),
            (Kind::RsaParts { n, e }, Some(rsa)) => {
                RsaPublicKeyComponents { n, e }.verify(rsa, text, signature).is_ok()
            }
            (Kind::Ec(curve, point), None) => {
                let algorithm = match (curve, self.algorithm()) {
                    (Curve::P256, "ES256") => &ECDSA_P256_SHA256_FIXED,
                    (Curve::P384, "ES384") => &ECDSA_P384_SHA384_FIXED,
                    (Curve::P521, "ES512") => &ECDSA_P521_SHA512_FIXED,
                    _ => return false,
                };
                UnparsedPublicKey::new(algorithm, point).verify(text, signature).is_ok()
            }
            _ => false,
        }
    }
}

impl PublicKey {
    /// A public JWK; one with private members is refused.
    #[must_use]
    pub fn from_jwk(jwk: &Value) -> Option<Self> {
        if ["d", "p", "q", "k"].iter().any(|member| !jwk[*member].is_null()) {
            return None;
        }
        let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
        let (kind, required) = match jwk["kty"].as_str()? {
            "RSA" => {
                let required = format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, jwk["e"], jwk["n"]);
                (Kind::RsaParts { n: part("n")?, e: part("e")? }, required)
            }
            "EC" => {
                let curve = match jwk["crv"].as_str()? {
                    "P-256" => Curve::P256,
                    "P-384" => Curve::P384,
                    "P-521" => Curve::P521,
                    _ => return None,
                };
                let point = [vec![4], part("x")?, part("y")?].concat();
                let required = format!(r#"{{"crv":{},"kty":"EC","x":{},"y":{}}}"#, jwk["crv"], jwk["x"], jwk["y"]);
                (Kind::Ec(curve, point), required)
            }
            _ => return None,
        };
        Some(Self { kind, thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, required.as_bytes())) })
    }

    /// The public half of an RSA or P-256 key in PKCS#8.
    #[must_use]
    pub fn of_private(pem: &str) -> Option<Self> {
        let der = pem_body(pem)?;
        let kind = if let Ok(pair) = RsaKeyPair::from_pkcs8(&der) {
            Kind::Rsa(pair.public_key().as_ref().to_vec())
        } else {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).ok()?;
            Kind::Ec(Curve::P256, pair.public_key().as_ref().to_vec())
        };
        Some(Self { kind, thumbprint: String::new() })
    }

    pub(super) fn thumbprint(&self) -> &str {
        &self.thumbprint
    }
}

/// The content of a PEM text of one part.
#[must_use]
pub fn pem_body(pem: &str) -> Option<Vec<u8>> {
    let lines = pem.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("-----"));
    STANDARD.decode(lines.collect::<String>()).ok()
}

/// Signs a token with an RSA key: what another issuer, or a test, would bring.
#[must_use]
pub fn sign_rs256(pem: &str, header: &Value, payload: &Value) -> Option<String> {
    let pair = RsaKeyPair::from_pkcs8(&pem_body(pem)?).ok()?;
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(header), encode(payload));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).ok()?;
    Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The example of RFC 7638, section 3.1.
    #[test]
    fn a_thumbprint_is_that_of_the_rfc() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
        let key = PublicKey::from_jwk(&jwk).unwrap();
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_signature_is_checked_and_a_private_key_is_no_public_one() {
        let pem = include_str!("people/keys/okta.key.pem");
        let token = sign_rs256(pem, &json!({"alg": "RS256"}), &json!({"a": 1})).unwrap();
        let jwt = Jwt::parse(&token).unwrap();
        assert!(jwt.is_signed_by(&PublicKey::of_private(pem).unwrap()));
        let other = PublicKey::of_private(include_str!("people/keys/workload.key.pem")).unwrap();
        assert!(!jwt.is_signed_by(&other));
        let none = sign_rs256(pem, &json!({"alg": "none"}), &json!({})).unwrap();
        assert!(!Jwt::parse(&none).unwrap().is_signed_by(&PublicKey::of_private(pem).unwrap()));
        assert_eq!(PublicKey::from_jwk(&json!({"kty": "EC", "crv": "P-256", "x": "", "y": "", "d": "AA"})), None);
    }
}
