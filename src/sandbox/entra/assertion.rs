//! Signed assertions in place of a client secret: by a certificate of the app, or by a platform that it trusts.
//! Source: <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use crate::sandbox::entra::refusal::Refusal;
use crate::sandbox::jwt::{Jwt, PublicKey};
use crate::sandbox::model::entra::{AppRegistration, Certificate};

/// The type of every client assertion.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far clocks may be apart, in seconds.
const SKEW: i64 = 300;

/// An assertion as it came with a token request.
pub(super) struct Assertion<'a> {
    pub(super) kind: Option<&'a str>,
    pub(super) text: &'a str,
    /// The address that was called.
    pub(super) endpoint: &'a str,
    pub(super) now: Timestamp,
}

impl Assertion<'_> {
    /// The client that an assertion speaks for, when the form does not say: its subject.
    pub(super) fn subject(text: &str) -> Option<String> {
        Jwt::parse(text)?.text("sub").map(str::to_owned)
    }

    /// Whether the assertion is the app's.
    pub(super) fn check(&self, app: &AppRegistration) -> Result<(), Refusal> {
        if self.kind != Some(JWT_BEARER) {
            return Err(Refusal::bad_assertion("The client_assertion_type is not supported."));
        }
        let jwt = Jwt::parse(self.text).ok_or_else(|| Refusal::bad_assertion("The assertion is not a JWT."))?;
        let client = app.client_id.to_string();
        let own = jwt.text("iss").is_some_and(|issuer| issuer.eq_ignore_ascii_case(&client));
        let good = if own { self.check_own(&jwt, app, &client) } else { Self::check_foreign(&jwt, app) };
        good?;
        self.check_times(&jwt)
    }

    fn check_own(&self, jwt: &Jwt, app: &AppRegistration, client: &str) -> Result<(), Refusal> {
        let certificate = app.certificates.iter().find(|certificate| is_named(jwt, certificate));
        let certificate = certificate.ok_or_else(|| {
            Refusal::bad_assertion(
                "The certificate with identifier used to sign the client assertion is not registered on application.",
            )
        })?;
        if !matches!(jwt.algorithm(), "PS256" | "RS256") || !jwt.is_signed_by(&certificate.key) {
            return Err(Refusal::bad_assertion("Client assertion failed signature validation."));
        }
        if jwt.text("aud") != Some(self.endpoint) {
            return Err(Refusal::bad_assertion("Client assertion audience claim does not match Realm issuer."));
        }
        let subject = jwt.text("sub").is_some_and(|subject| subject.eq_ignore_ascii_case(client));
        if subject { Ok(()) } else { Err(Refusal::bad_assertion("Client assertion subject is not the client.")) }
    }

    fn check_foreign(jwt: &Jwt, app: &AppRegistration) -> Result<(), Refusal> {
        let issuer = jwt.text("iss").unwrap_or_default();
        let found = app.federated.iter().find(|known| known.issuer == issuer);
        let known = found.ok_or_else(|| Refusal::no_federation(700_211, "issuer", issuer))?;
        let (audience, subject) = (jwt.text("aud").unwrap_or_default(), jwt.text("sub").unwrap_or_default());
        if known.audience != audience {
            return Err(Refusal::no_federation(700_212, "audience", audience));
        }
        if known.subject != subject {
            return Err(Refusal::no_federation(700_213, "subject", subject));
        }
        let signed = |key: &PublicKey| jwt.is_signed_by(key);
        if signed(&known.key) {
            Ok(())
        } else {
            Err(Refusal::bad_assertion("Client assertion failed signature validation."))
        }
    }

    fn check_times(&self, jwt: &Jwt) -> Result<(), Refusal> {
        let now = self.now.as_second();
        let good = jwt.seconds("exp").is_some_and(|end| end > now)
            && jwt.seconds("nbf").is_none_or(|start| start <= now + SKEW);
        if good { Ok(()) } else { Err(Refusal::assertion_out_of_time()) }
    }
}

/// Whether the header names this certificate, by SHA-256 or, in the older form, by SHA-1. With or without padding.
fn is_named(jwt: &Jwt, certificate: &Certificate) -> bool {
    let names = |member: &str, algorithm: &'static Algorithm| {
        let given = jwt.header[member].as_str().map(|text| text.trim_end_matches('='));
        given == Some(URL_SAFE_NO_PAD.encode(digest(algorithm, &certificate.der)).as_str())
    };
    names("x5t#S256", &SHA256) || names("x5t", &SHA1_FOR_LEGACY_USE_ONLY)
}
