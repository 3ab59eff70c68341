//! Why there is no token, and whose turn it is.

use crate::auth::jwt::KeyError;
use crate::auth::source::Unavailable;
use crate::http::HttpError;

/// Who has to act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Somebody has to sign in, consent, or lift a policy.
    NeedsHuman,
    /// The configuration, the app registration or the tenant is not as the program was told.
    Misconfigured,
    /// Passes by itself when it is left alone for some minutes.
    Wait,
    /// Passes by itself: the next run tries again.
    Retry,
}

/// A sign-in service said no.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{by} refused to sign in {identity}: {error}: {description}{}", trace(trace_id.as_deref()))]
pub struct Refusal {
    /// `Entra` or `Okta`.
    pub by: &'static str,
    pub identity: &'static str,
    /// OAuth's word, such as `invalid_client`.
    pub error: String,
    /// The service's own first line; Entra's begins with the AADSTS number.
    pub description: String,
    pub aadsts: Option<u32>,
    pub status: u16,
    pub trace_id: Option<String>,
    /// What a policy wants of the next sign-in, as the service wrote it.
    pub claims: Option<String>,
    pub class: Class,
    /// What an operator can do about it; empty when nothing is known.
    pub hint: String,
}

fn trace(id: Option<&str>) -> String {
    id.map(|id| format!(" (trace id {id})")).unwrap_or_default()
}

/// No token.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error(transparent)]
    Refused(Box<Refusal>),
    #[error("{identity} could not be signed in")]
    Unreachable {
        identity: &'static str,
        #[source]
        source: HttpError,
    },
    #[error("nobody has signed in yet for client {client_id} in tenant {tenant}: there is no refresh token")]
    NoRefreshToken { tenant: String, client_id: String },
    /// A secret that the identity needs is not to be had.
    #[error("{key}, which {identity} needs, cannot be read: {why}")]
    Secret { identity: &'static str, key: &'static str, why: Unavailable },
    /// A private key or a certificate is there and cannot be used.
    #[error("{key}, which {identity} needs, cannot be used")]
    Key {
        identity: &'static str,
        key: &'static str,
        #[source]
        source: KeyError,
    },
    #[error("the refresh token in {path} could not be {what}")]
    Store {
        path: String,
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} is not a refresh token that this program stored: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("the refresh token in {path} is encrypted, and {reason}")]
    Sealed { path: String, reason: &'static str },
    #[error("another process has held the lock {path} for {seconds} seconds")]
    Locked { path: String, seconds: u64 },
    #[error("the {what} of {identity} holds a line break or another character that cannot be sent")]
    Unsendable { identity: &'static str, what: &'static str },
    /// The other side says yes, and what it sends is no token.
    #[error("the answer of {host} to the sign-in of {identity} {why}")]
    Unusable { identity: &'static str, host: String, why: &'static str },
    /// The person who was to sign in said no, or did not come in time.
    #[error("{0}")]
    NotCompleted(String),
    #[error("no address on this machine can be listened on for the browser")]
    Listener {
        #[source]
        source: std::io::Error,
    },
}

impl AuthError {
    /// Who has to act.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Refused(refusal) => refusal.class,
            Self::NoRefreshToken { .. } | Self::NotCompleted(_) => Class::NeedsHuman,
            Self::Unsendable { .. }
            | Self::Unusable { .. }
            | Self::Unreadable { .. }
            | Self::Sealed { .. }
            | Self::Secret { .. }
            | Self::Key { .. }
            | Self::Listener { .. }
            | Self::Store { .. } => Class::Misconfigured,
            Self::Unreachable { .. } | Self::Locked { .. } => Class::Retry,
        }
    }

    /// What a policy wants of the next sign-in, as the service wrote it.
    pub(super) fn claims(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.claims.as_deref(),
            _ => None,
        }
    }

    /// The code word under which the failure is found in history.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Refused(refusal) => {
                refusal.aadsts.map_or_else(|| refusal.error.clone(), |number| format!("AADSTS{number}"))
            }
            Self::NoRefreshToken { .. } => "not_signed_in".to_owned(),
            Self::Secret { .. } => "secret_unavailable".to_owned(),
            Self::Key { .. } => "key_unusable".to_owned(),
            _ => "sign_in_failed".to_owned(),
        }
    }

    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(refusal.hint.as_str()).filter(|hint| !hint.is_empty()),
            Self::Unreachable { source, .. } => source.hint(),
            Self::NoRefreshToken { .. } => Some(
                "sign in with `graphkeeper login`, or put a first refresh token where `entra.user.refresh_token` points",
            ),
            Self::Secret { why, .. } => why.hint.as_deref(),
            Self::Key { source, .. } => source.hint(),
            Self::Store { .. } => Some("the state directory must be writable by the user that runs graphkeeper"),
            Self::Unreadable { .. } => Some("move the file away; the configured first refresh token is then used"),
            Self::Sealed { .. } => Some(
                "put back the key that `entra.user.encryption_key` named when it was stored, or sign in again with \
                 `graphkeeper login`",
            ),
            Self::Locked { .. } => Some("look for a graphkeeper that hangs, or a file system without locks"),
            Self::Unsendable { .. } => Some("look for a stray line break in the secret"),
            Self::Unusable { .. } => Some(
                "check the addresses in the configuration, and look for a proxy that answers in the service's place",
            ),
            Self::NotCompleted(_) => Some("begin again with `graphkeeper login`"),
            Self::Listener { .. } => Some("sign in without `--browser`"),
        }
    }
}
