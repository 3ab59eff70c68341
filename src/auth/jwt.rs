//! Private keys and the tokens they sign: the only place that knows `jsonwebtoken`.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::Value;

use crate::pki::{PfxError, pem};
use crate::secret::{Secret, Wiped};

/// Why a private key or a certificate cannot be used. No message quotes any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it is encrypted with a password")]
    Encrypted,
    #[error("it is {0} and not a private key")]
    NotPrivate(&'static str),
    #[error("it holds no private key, neither as PEM nor as a JWK")]
    NoKey,
    #[error("it holds no certificate in PEM form")]
    NoCertificate,
    #[error("it holds a certificate and no private key")]
    OnlyCertificate,
    #[error("it is PEM, and `password` is for a PFX")]
    PasswordForPem,
    #[error(transparent)]
    Pfx(#[from] PfxError),
    #[error("the key in it is damaged, too short, or of a kind that is not known here")]
    Damaged,
    #[error("the key in it is on an elliptic curve, and an RSA key is needed here")]
    NotRsa,
    #[error("the certificate belongs to another private key")]
    OtherKey,
    #[error("the certificate ended on {0}")]
    Ended(String),
    #[error("it has {0} characters, and at least 32 are needed")]
    WeakKey(usize),
}

impl KeyError {
    /// What an operator can do about it, where we know.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Encrypted => {
                Some("take the password off (`openssl pkcs8 -in KEY -out NEW`) and let only the service read the file")
            }
            Self::OnlyCertificate => {
                Some("say where its key is by `private_key`, or name a PFX or PEM file that holds both")
            }
            Self::PasswordForPem => Some("leave `password` out, and let only the service read the file"),
            Self::Pfx(source) => Some(source.hint()),
            Self::NotPrivate(_) => Some("name the file with the private half of the key"),
            Self::NoKey | Self::NoCertificate => Some("look for a file that begins with `-----BEGIN`"),
            Self::Damaged => Some(
                "RSA of 2048 bits or more, or the curves P-256 and P-384, in PKCS#8, PKCS#1, SEC1 or as a JWK are understood",
            ),
            Self::NotRsa => Some("Entra takes certificates with RSA keys"),
            Self::OtherKey => Some("name the certificate and the private key that were made together"),
            Self::Ended(_) => Some("make a new certificate and upload it to the app registration"),
            Self::WeakKey(_) => Some("make one with `openssl rand -base64 32`"),
        }
    }
}

/// What a signing key is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// RS256, ES256 or ES384, as the key is.
    Usual,
    /// RSA with PSS padding.
    Ps256,
}

/// What a token's header says beside its algorithm.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) kid: Option<String>,
    /// SHA-1 of the certificate.
    pub(super) x5t: Option<String>,
    /// SHA-256 of the certificate.
    pub(super) x5t_s256: Option<String>,
    /// `JWT` when absent.
    pub(super) typ: Option<&'static str>,
    /// Whether the public half comes along.
    pub(super) with_key: bool,
}

/// A JWK: what kind of key it is, and its numbers in base64url.
#[derive(Deserialize)]
struct Numbers {
    kty: Option<String>,
    crv: Option<String>,
    n: Option<Secret>,
    e: Option<Secret>,
    d: Option<Secret>,
    p: Option<Secret>,
    q: Option<Secret>,
    dp: Option<Secret>,
    dq: Option<Secret>,
    qi: Option<Secret>,
    x: Option<Secret>,
    y: Option<Secret>,
}

/// A number of a JWK in bytes.
fn bytes(number: Option<&Secret>) -> Result<Wiped<Vec<u8>>, KeyError> {
    let encoded = number.ok_or(KeyError::Damaged)?.expose().trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(encoded).map(Wiped::new).map_err(|_| KeyError::Damaged)
}

/// A private key that signs. Prints as its kind alone.
pub(super) struct SigningKey {
    kind: Kind,
    key: EncodingKey,
    /// `RSAPublicKey` in DER, or an uncompressed point.
    public: Vec<u8>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.kind)
    }
}

impl SigningKey {
    /// A new key on the curve P-256, for this process alone.
    pub(super) fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("the system gives random numbers");
        Self::from_ec(Kind::P256, &pair).expect("a key that was just made")
    }

    /// Reads a key from PEM (PKCS#8, PKCS#1, SEC1) or a JWK, and signs once, so that a key that cannot is found here.
    pub(super) fn read(text: &Secret) -> Result<Self, KeyError> {
        let text = text.expose().trim();
        let key = if text.starts_with('{') { Self::from_jwk(text)? } else { Self::from_pem(text)? };
        key.sign(&Head::default(), Scheme::Usual, &serde_json::json!({}))?;
        Ok(key)
    }

    fn from_pem(text: &str) -> Result<Self, KeyError> {
        let mut other = None;
        for (label, der) in pem::blocks(text) {
            match label.as_str() {
                "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" if text.contains("Proc-Type: 4,ENCRYPTED") => {
                    return Err(KeyError::Encrypted);
                }
                "PRIVATE KEY" => return Self::from_pkcs8(&der),
                "RSA PRIVATE KEY" => {
                    return Self::from_rsa(&RsaKeyPair::from_der(&der).map_err(|_| KeyError::Damaged)?);
                }
                "EC PRIVATE KEY" => return Self::from_sec1(&der),
                "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
                "CERTIFICATE" => other = Some("a certificate"),
                "PUBLIC KEY" | "RSA PUBLIC KEY" => other = Some("a public key"),
                _ => {}
            }
        }
        Err(other.map_or(KeyError::NoKey, KeyError::NotPrivate))
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Self::from_rsa(&pair);
        }
        Self::from_curves(|algorithm| EcdsaKeyPair::from_pkcs8(algorithm, der).ok())
    }

    fn from_sec1(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_curves(|algorithm| EcdsaKeyPair::from_private_key_der(algorithm, der).ok())
    }

    fn from_curves(read: impl Fn(&'static EcdsaSigningAlgorithm) -> Option<EcdsaKeyPair>) -> Result<Self, KeyError> {
        let curves = [(Kind::P256, &ECDSA_P256_SHA256_FIXED_SIGNING), (Kind::P384, &ECDSA_P384_SHA384_FIXED_SIGNING)];
        let found = curves.into_iter().find_map(|(kind, algorithm)| Some((kind, read(algorithm)?)));
        let (kind, pair) = found.ok_or(KeyError::Damaged)?;
        Self::from_ec(kind, &pair)
    }

    fn from_jwk(text: &str) -> Result<Self, KeyError> {
        let jwk: Numbers = serde_json::from_str(text).map_err(|_| KeyError::NoKey)?;
        let part = |number: &Option<Secret>| bytes(number.as_ref());
        if jwk.kty.is_some() && jwk.d.is_none() {
            return Err(KeyError::NotPrivate("a public key"));
        }
        match (jwk.kty.as_deref(), jwk.crv.as_deref()) {
            (Some("RSA"), _) => {
                let public_key = PublicKeyComponents { n: part(&jwk.n)?, e: part(&jwk.e)? };
                let (d, p, q) = (part(&jwk.d)?, part(&jwk.p)?, part(&jwk.q)?);
                let (first, second, inverse) = (part(&jwk.dp)?, part(&jwk.dq)?, part(&jwk.qi)?);
                let components = KeyPairComponents { public_key, d, p, q, dP: first, dQ: second, qInv: inverse };
                Self::from_rsa(&RsaKeyPair::from_components(&components).map_err(|_| KeyError::Damaged)?)
            }
            (Some("EC"), Some(curve @ ("P-256" | "P-384"))) => {
                let (kind, algorithm) = if curve == "P-256" {
                    (Kind::P256, &ECDSA_P256_SHA256_FIXED_SIGNING)
                } else {
                    (Kind::P384, &ECDSA_P384_SHA384_FIXED_SIGNING)
                };
                let point = [&[4][..], &part(&jwk.x)?, &part(&jwk.y)?].concat();
                let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &part(&jwk.d)?, &point);
                Self::from_ec(kind, &pair.map_err(|_| KeyError::Damaged)?)
            }
            (Some(_), _) => Err(KeyError::Damaged),
            (None, _) => Err(KeyError::NoKey),
        }
    }

    fn from_rsa(pair: &RsaKeyPair) -> Result<Self, KeyError> {
        let der = pair.as_der().map_err(|_| KeyError::Damaged)?;
        // The library reads RSA keys in either form from PEM, and from DER in one of them only.
        let pem = pem::write("PRIVATE KEY", der.as_ref());
        let key = EncodingKey::from_rsa_pem(pem.expose().as_bytes()).map_err(|_| KeyError::Damaged)?;
        Ok(Self { kind: Kind::Rsa, key, public: pair.public_key().as_ref().to_vec() })
    }

    fn from_ec(kind: Kind, pair: &EcdsaKeyPair) -> Result<Self, KeyError> {
        let der = pair.to_pkcs8v1().map_err(|_| KeyError::Damaged)?;
        Ok(Self { kind, key: EncodingKey::from_ec_der(der.as_ref()), public: pair.public_key().as_ref().to_vec() })
    }

    pub(super) fn is_rsa(&self) -> bool {
        self.kind == Kind::Rsa
    }

    /// Whether this is the public half, as certificates have it.
    pub(super) fn is_half_of(&self, public: &[u8]) -> bool {
        self.public == public
    }

    const fn algorithm(&self, scheme: Scheme) -> Algorithm {
        match (self.kind, scheme) {
            (Kind::Rsa, Scheme::Usual) => Algorithm::RS256,
            (Kind::Rsa, Scheme::Ps256) => Algorithm::PS256,
            (Kind::P256, _) => Algorithm::ES256,
            (Kind::P384, _) => Algorithm::ES384,
        }
    }

    /// Signs claims.
    pub(super) fn sign(&self, head: &Head, scheme: Scheme, claims: &Value) -> Result<String, KeyError> {
        let mut header = Header::new(self.algorithm(scheme));
        header.kid.clone_from(&head.kid);
        header.x5t.clone_from(&head.x5t);
        header.x5t_s256.clone_from(&head.x5t_s256);
        if let Some(typ) = head.typ {
            header.typ = Some(typ.to_owned());
        }
        if head.with_key {
            let jwk = Jwk::from_encoding_key(&self.key, header.alg).map_err(|_| KeyError::Damaged)?;
            header.jwk = Some(jwk);
        }
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|_| KeyError::Damaged)
    }
}

/// A part of a token, opened.
#[cfg(test)]
pub(super) fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
