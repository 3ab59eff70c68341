//! How an application shows Entra who it is, and the app-only sign-in.
//! Source: <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;
use url::Url;
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use crate::auth::error::AuthError;
use crate::auth::jwt::{Head, KeyError, Scheme, SigningKey};
use crate::auth::signin::{Endpoint, Token};
use crate::auth::source::Source;
use crate::auth::{JWT_BEARER, plain, with_remedy};
use crate::clock::Clock;
use crate::domain::condition::{Credential, Ending};
use crate::http::{Client, Draft};
use crate::pki::{Certificate, pfx};
use crate::secret::{Secret, Wiped};

/// Seconds that an assertion lives.
const ASSERTION_LIFE: i64 = 300;

/// What messages call the app-only identity.
pub(super) const NAME: &str = "the application";

/// How the client secret travels to the token endpoint. Both are documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretStyle {
    #[default]
    Form,
    /// `Authorization: Basic`, both parts form-encoded first (RFC 6749, 2.3.1).
    Basic,
}

/// How a client assertion names its certificate, and is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AssertionStyle {
    /// PS256 and `x5t#S256`, as documented today.
    #[default]
    Ps256,
    /// RS256 and `x5t`, the older form.
    Rs256,
}

/// What an application shows of itself.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// Nothing: a public client.
    Public,
    Secret {
        secret: Source,
        style: SecretStyle,
    },
    Certificate {
        /// PEM, or a PFX.
        certificate: Source,
        /// PEM, RSA. Absent when it is where the certificate is.
        private_key: Option<Source>,
        /// Of a PFX that has one.
        password: Option<Source>,
        style: AssertionStyle,
    },
    /// A token of the platform on which the program runs, read again each time: platforms renew it often.
    Federated {
        token: Source,
    },
}

/// The app-only identity in Entra.
#[derive(Clone, Debug)]
pub struct EntraApp {
    /// The sign-in root, such as `https://login.microsoftonline.com`.
    pub authority_url: Url,
    pub tenant: String,
    pub client_id: String,
    pub auth: ClientAuth,
    /// The end of the secret, where it is known: a secret does not tell.
    pub secret_ends: Option<Timestamp>,
    /// One resource and `/.default`, such as `https://graph.microsoft.com/.default`.
    pub scope: String,
}

type Fields = Vec<(&'static str, Secret)>;

impl ClientAuth {
    /// Adds what shows who the client is to a token request.
    pub(super) fn sign(
        &self,
        endpoint: &Endpoint,
        client_id: &str,
        mut fields: Fields,
        now: Timestamp,
    ) -> Result<Draft, AuthError> {
        let identity = endpoint.identity;
        let mut basic_header = None;
        match self {
            Self::Public => {}
            Self::Secret { secret, style: SecretStyle::Form } => {
                fields.push(("client_secret", secret.read(identity)?));
            }
            Self::Secret { secret, style: SecretStyle::Basic } => {
                basic_header = Some(basic(client_id, &secret.read(identity)?));
            }
            Self::Certificate { certificate, private_key, password, style } => {
                let places = (certificate, private_key.as_ref(), password.as_ref());
                let assertion = assertion(places, *style, endpoint, client_id, now)?;
                fields.extend([("client_assertion_type", plain(JWT_BEARER)), ("client_assertion", assertion)]);
            }
            Self::Federated { token } => {
                let token = token.read(identity)?;
                fields.extend([("client_assertion_type", plain(JWT_BEARER)), ("client_assertion", token)]);
            }
        }
        Ok(Draft { authorization: basic_header, ..Draft::new().form(fields) })
    }

    /// The secret that a refusal of the client is about.
    fn source(&self) -> Option<&Source> {
        match self {
            Self::Public => None,
            Self::Secret { secret, .. } => Some(secret),
            Self::Certificate { certificate, private_key, .. } => Some(private_key.as_ref().unwrap_or(certificate)),
            Self::Federated { token } => Some(token),
        }
    }

    /// The last moment of the certificate, if there is one.
    pub(super) fn certificate_ends(&self) -> Result<Option<Timestamp>, AuthError> {
        let Self::Certificate { certificate, private_key, password, .. } = self else { return Ok(None) };
        let read = |source: &Option<Source>| source.as_ref().map(|source| source.read(NAME)).transpose();
        let (text, private_key, password) = (certificate.read(NAME)?, read(private_key)?, read(password)?);
        // One that has ended is told with its day, too.
        let pair = pair(&text, private_key.as_ref(), password.as_ref(), Timestamp::UNIX_EPOCH);
        let unusable = |source| AuthError::Key { identity: NAME, key: certificate.key(), source };
        pair.map(|(certificate, _)| Some(certificate.ends)).map_err(unusable)
    }

    /// What a refusal of the client says about its secret.
    pub(super) fn explain(&self, error: AuthError) -> AuthError {
        match self.source() {
            Some(source) => with_remedy(error, source),
            None => error,
        }
    }

    /// Tells whether the secret was replaced between two moments.
    pub(super) fn fingerprint(&self) -> Option<String> {
        self.source().and_then(Source::fingerprint)
    }
}

impl EntraApp {
    /// What ends, and when.
    pub(super) fn ends(&self) -> Vec<Ending> {
        let secret = self.secret_ends.map(|at| Ending { what: Credential::ClientSecret, at });
        let certificate = match &self.auth {
            ClientAuth::Certificate { certificate, private_key, password, .. } => {
                let read = |source: &Source| source.read(NAME).ok();
                let (key, password) = (private_key.as_ref().and_then(read), password.as_ref().and_then(read));
                read(certificate).and_then(|text| certificate_ends(&text, key.as_ref(), password.as_ref()).ok())
            }
            ClientAuth::Public | ClientAuth::Secret { .. } | ClientAuth::Federated { .. } => None,
        };
        secret.into_iter().chain(certificate).collect()
    }

    /// Asks for a token; `claims` is what a service wanted of the next one.
    pub(super) async fn sign_in(
        &self,
        claims: Option<&str>,
        http: &Client,
        clock: &dyn Clock,
    ) -> Result<Token, AuthError> {
        let endpoint = Endpoint::entra(NAME, &self.authority_url, &self.tenant, "token");
        let draft = || {
            let mut fields = vec![
                ("grant_type", plain("client_credentials")),
                ("client_id", plain(&self.client_id)),
                ("scope", plain(&self.scope)),
            ];
            fields.extend(claims.map(|claims| ("claims", plain(claims))));
            self.auth.sign(&endpoint, &self.client_id, fields, clock.now())
        };
        let answered = endpoint.clone().ask(http, draft).await?;
        answered.token().map_err(|error| self.auth.explain(error))
    }
}

/// When a certificate ends, which is found as [`check_pair`] finds it.
///
/// # Errors
///
/// [`KeyError`] when it or its key cannot be used.
pub fn certificate_ends(
    certificate: &Secret,
    private_key: Option<&Secret>,
    password: Option<&Secret>,
) -> Result<Ending, KeyError> {
    let at = check_pair(certificate, private_key, password, Timestamp::MIN)?;
    Ok(Ending { what: Credential::Certificate, at })
}

/// A certificate and its key as text, read and found to belong together: PEM in one text or in two, or a PFX with its
/// password. Answers the certificate's last moment.
///
/// # Errors
///
/// [`KeyError`] when one of them cannot be used, they are not of one pair, or the certificate ended before `now`.
pub fn check_pair(
    certificate: &Secret,
    private_key: Option<&Secret>,
    password: Option<&Secret>,
    now: Timestamp,
) -> Result<Timestamp, KeyError> {
    pair(certificate, private_key, password, now).map(|(certificate, _)| certificate.ends)
}

fn pair(
    certificate: &Secret,
    private_key: Option<&Secret>,
    password: Option<&Secret>,
    now: Timestamp,
) -> Result<(Certificate, SigningKey), KeyError> {
    let opened = match (private_key, pfx::find(certificate.expose())) {
        (None, Some(der)) => Some(pfx::open(&der, password)?),
        (None, None) if password.is_some() => return Err(KeyError::PasswordForPem),
        _ => None,
    };
    let text = opened.as_ref().unwrap_or(certificate);
    let certificates = certificates(text)?;
    let key = SigningKey::read(private_key.unwrap_or(text)).map_err(|error| match (private_key, error) {
        (None, KeyError::NotPrivate(_)) => KeyError::OnlyCertificate,
        (_, error) => error,
    })?;
    if !key.is_rsa() {
        return Err(KeyError::NotRsa);
    }
    // A chain may stand in any order.
    let own = certificates.into_iter().find(|certificate| key.is_half_of(&certificate.public_key));
    let certificate = own.ok_or(KeyError::OtherKey)?;
    if certificate.ends <= now {
        return Err(KeyError::Ended(certificate.ends.to_string()));
    }
    Ok((certificate, key))
}

/// The certificates in a text, of which there is at least one.
pub(super) fn certificates(text: &Secret) -> Result<Vec<Certificate>, KeyError> {
    let certificates = Certificate::all(text.expose()).map_err(|_| KeyError::Damaged)?;
    if certificates.is_empty() { Err(KeyError::NoCertificate) } else { Ok(certificates) }
}

fn assertion(
    (certificate, private_key, password): (&Source, Option<&Source>, Option<&Source>),
    style: AssertionStyle,
    endpoint: &Endpoint,
    client_id: &str,
    now: Timestamp,
) -> Result<Secret, AuthError> {
    let identity = endpoint.identity;
    let read = |source: Option<&Source>| source.map(|source| source.read(identity)).transpose();
    let (text, key_text, password_text) = (certificate.read(identity)?, read(private_key)?, read(password)?);
    let unusable = |source: KeyError| {
        let of_key =
            matches!(source, KeyError::Encrypted | KeyError::NotPrivate(_) | KeyError::NoKey | KeyError::NotRsa);
        let about = private_key.filter(|_| of_key).unwrap_or(certificate);
        AuthError::Key { identity, key: about.key(), source }
    };
    let (certificate, key) = pair(&text, key_text.as_ref(), password_text.as_ref(), now).map_err(unusable)?;
    let (head, scheme) = match style {
        AssertionStyle::Ps256 => (Head { x5t_s256: Some(certificate.sha256()), ..Head::default() }, Scheme::Ps256),
        AssertionStyle::Rs256 => (Head { x5t: Some(certificate.sha1()), ..Head::default() }, Scheme::Usual),
    };
    let now = now.as_second();
    let claims = json!({
        "aud": endpoint.url.as_str(), "iss": client_id, "sub": client_id, "jti": Uuid::new_v4().to_string(),
        "nbf": now, "iat": now, "exp": now + ASSERTION_LIFE,
    });
    key.sign(&head, scheme, &claims).map(Secret::new).map_err(unusable)
}

fn basic(client_id: &str, secret: &Secret) -> Secret {
    let encoded = |text: &str| Wiped::new(byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Secret::of(&[&encoded(client_id), ":", &encoded(secret.expose())]);
    Secret::of(&["Basic ", &Wiped::new(STANDARD.encode(pair.expose()))])
}
