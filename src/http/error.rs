//! Why there is no usable answer.

use reqwest::Method;

/// Whether the other side did what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    Yes,
    /// Certainly not: it never arrived, or was turned away at the door.
    No,
    /// It may or may not have been: find out by reading.
    Unknown,
}

/// A request without a usable answer. Messages name method and path, never query, token or body.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the HTTP client could not be set up")]
    Setup {
        #[source]
        source: reqwest::Error,
    },
    #[error("`{url}` is not an address that requests are sent to: https is needed, or http to this machine")]
    Address { url: String },
    #[error("no connection for {method} {host}{path} after {attempts} attempts")]
    Unreachable {
        method: Method,
        host: String,
        path: String,
        attempts: u32,
        #[source]
        source: reqwest::Error,
    },
    #[error("no answer in time to {method} {host}{path} after {attempts} attempts")]
    TimedOut {
        method: Method,
        host: String,
        path: String,
        attempts: u32,
        #[source]
        source: reqwest::Error,
    },
    #[error("the connection broke during {method} {host}{path} after {attempts} attempts")]
    Broken {
        method: Method,
        host: String,
        path: String,
        attempts: u32,
        #[source]
        source: reqwest::Error,
    },
    #[error("the answer to {method} {path} ends after {bytes} bytes, in the middle")]
    CutShort {
        method: Method,
        path: String,
        bytes: usize,
        #[source]
        source: Option<reqwest::Error>,
    },
    #[error("{method} {path} was answered {status} with {what} instead of JSON")]
    NotJson { method: Method, path: String, status: u16, what: String },
    #[error("the answer to {method} {path} is longer than {limit} bytes")]
    TooLarge { method: Method, path: String, limit: usize },
    #[error("the answer to {method} {path} does not fit at `{place}`: {reason}")]
    Unexpected { method: Method, path: String, place: String, reason: String },
}

impl HttpError {
    /// Whether the request may have been carried out all the same.
    #[must_use]
    pub const fn executed(&self) -> Executed {
        match self {
            Self::Setup { .. } | Self::Address { .. } | Self::Unreachable { .. } => Executed::No,
            Self::TimedOut { .. }
            | Self::Broken { .. }
            | Self::CutShort { .. }
            | Self::NotJson { .. }
            | Self::TooLarge { .. }
            | Self::Unexpected { .. } => Executed::Unknown,
        }
    }

    /// What an operator can do about it, where we know.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Setup { .. } => Some("install the system's CA certificates (package `ca-certificates`)"),
            Self::Unreachable { .. } => Some("check the address, the network, the proxy and the firewall"),
            Self::NotJson { .. } => {
                Some("something between here and the service answers in its place, or the base URL is not its own")
            }
            _ => None,
        }
    }
}
