//! Access tokens: fetched, kept, renewed before they expire; one [`Authorizer`] per identity, shared by who needs it.
//!
//! Secrets come as [`Source`]s that are read each time they are needed, so that a replaced one takes effect. The ways to
//! sign in are [`okta`] (a service app's key), [`entra`] (an application's secret, certificate or platform token) and
//! [`user`] (a person's refresh token, first got by [`device`] or [`browser`]).

pub mod authorizer;
pub mod browser;
pub mod challenge;
pub mod claims;
pub mod condition;
pub mod device;
mod dpop;
pub mod entra;
pub mod error;
pub mod jwt;
mod keeper;
pub mod okta;
mod refusal;
mod seal;
mod signin;
pub mod source;
pub mod store;
pub mod user;

#[cfg(test)]
mod tests;

pub use authorizer::{Authorizer, SendError};
pub use claims::Granted;
pub use entra::{AssertionStyle, ClientAuth, EntraApp, SecretStyle};
pub use error::{AuthError, Class};
pub use jwt::KeyError;
pub use keeper::Keeper;
pub use okta::OktaService;
pub use source::{Keeps, Source, Unavailable};
pub use user::EntraUser;

use crate::http::header::HeaderValue;
use crate::secret::Secret;

/// Whether a private key can sign: it is tried once.
///
/// # Errors
///
/// [`KeyError`] with what is wrong with it.
pub fn check_signing_key(key: &Secret) -> Result<(), KeyError> {
    jwt::SigningKey::read(key).map(drop)
}

/// Whether a text holds a certificate.
///
/// # Errors
///
/// [`KeyError`] with what is wrong with it.
pub fn check_certificate(text: &Secret) -> Result<(), KeyError> {
    entra::certificates(text).map(drop)
}

/// Whether a text is hard enough to guess to encrypt with it.
///
/// # Errors
///
/// [`KeyError`] with what is wrong with it.
pub fn check_encryption_key(text: &Secret) -> Result<(), KeyError> {
    seal::Seal::new(text).map(drop)
}

/// The type of every client assertion (RFC 7523).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A form's field that is no secret.
fn plain(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// A signed token as a header, kept out of logs.
fn header_value(token: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(token).expect("base64url and dots");
    value.set_sensitive(true);
    value
}

/// Adds what to do to a refusal of the client, when the process holds its secret from its start.
fn with_remedy(error: AuthError, source: &Source) -> AuthError {
    match (error, source.remedy()) {
        (AuthError::Refused(mut refusal), Some(remedy)) if refusal.error == "invalid_client" => {
            refusal.hint =
                if refusal.hint.is_empty() { remedy.to_owned() } else { format!("{}; {remedy}", refusal.hint) };
            AuthError::Refused(refusal)
        }
        (error, _) => error,
    }
}
