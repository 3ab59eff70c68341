//! Why there is no token, and whose turn it is.

use crate::auth::refusal::{self, Known};
use crate::http::HttpError;

/// Who has to act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Somebody has to sign in, consent, or lift a policy.
    NeedsHuman,
    /// The configuration, the app registration or the tenant is not as the program was told.
    Misconfigured,
    /// Passes by itself: the next run tries again.
    Retry,
}

/// No token.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The sign-in service said no. `description` is its own first line, which begins with the AADSTS number.
    #[error("Entra refused to sign in {identity}: {error}: {description}{}", trace(trace_id.as_deref()))]
    Refused {
        identity: &'static str,
        error: String,
        description: String,
        aadsts: Option<u32>,
        status: u16,
        trace_id: Option<String>,
    },
    #[error("{identity} could not be signed in")]
    Unreachable {
        identity: &'static str,
        #[source]
        source: HttpError,
    },
    #[error("nobody has signed in yet for client {client_id} in tenant {tenant}: there is no refresh token")]
    NoRefreshToken { tenant: String, client_id: String },
    #[error("the refresh token in {path} could not be {what}")]
    Store {
        path: String,
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} is not a refresh token that this program stored: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("another process has held the lock {path} for {seconds} seconds")]
    Locked { path: String, seconds: u64 },
    #[error("the {what} of {identity} holds a line break or another character that cannot be sent")]
    Unsendable { identity: &'static str, what: &'static str },
}

fn trace(id: Option<&str>) -> String {
    id.map(|id| format!(" (trace id {id})")).unwrap_or_default()
}

impl AuthError {
    /// Who has to act.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { error, aadsts, status, .. } => refusal::judge(error, *aadsts, *status).class,
            Self::NoRefreshToken { .. } => Class::NeedsHuman,
            Self::Unsendable { .. } | Self::Unreadable { .. } | Self::Store { .. } => Class::Misconfigured,
            Self::Unreachable { .. } | Self::Locked { .. } => Class::Retry,
        }
    }

    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { error, aadsts, status, .. } => {
                let Known { hint, .. } = refusal::judge(error, *aadsts, *status);
                Some(hint).filter(|hint| !hint.is_empty())
            }
            Self::Unreachable { source, .. } => source.hint(),
            Self::NoRefreshToken { .. } => Some("put a first refresh token where `entra.user.refresh_token` points"),
            Self::Store { .. } => Some("the state directory must be writable by the user that runs graphkeeper"),
            Self::Unreadable { .. } => Some("move the file away; the configured first refresh token is then used"),
            Self::Locked { .. } => Some("look for a graphkeeper that hangs, or a file system without locks"),
            Self::Unsendable { .. } => Some("look for a stray line break in the secret"),
        }
    }
}
