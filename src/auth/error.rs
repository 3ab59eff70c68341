//! Why there is no token, and whose turn it is.

use crate::http::HttpError;

/// Who has to act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Somebody has to sign in, consent, or ask for a permission.
    NeedsHuman,
    /// The configuration, the app registration or the tenant is not as the program was told.
    Misconfigured,
    /// Passes by itself: the next run tries again.
    Retry,
}

/// No token.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The sign-in service said no.
    #[error("{identity} was not signed in: {summary}{}", trace(trace_id.as_deref()))]
    Refused {
        identity: &'static str,
        summary: String,
        error: String,
        aadsts: Option<u32>,
        status: u16,
        trace_id: Option<String>,
        class: Class,
    },
    #[error("{identity} was not signed in")]
    Unreachable {
        identity: &'static str,
        #[source]
        source: HttpError,
    },
    #[error("nobody has signed in yet: there is no refresh token for client {client_id} in tenant {tenant}")]
    NoRefreshToken { tenant: String, client_id: String },
    #[error("the stored refresh token {path} could not be {what}")]
    Store {
        path: String,
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("another process has been renewing the sign-in for {seconds} seconds (lock {path})")]
    Locked { path: String, seconds: u64 },
    #[error("the configured {what} of {identity} cannot be sent: it holds a line break or another control character")]
    Unsendable { identity: &'static str, what: &'static str },
}

fn trace(id: Option<&str>) -> String {
    id.map(|id| format!(" (trace id {id})")).unwrap_or_default()
}

impl AuthError {
    /// Who has to act.
    #[must_use]
    pub fn class(&self) -> Class {
        unimplemented!()
    }
    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        unimplemented!()
    }
}
