//! Why there is no usable answer.

use reqwest::Method;

use crate::http::network::Trouble;
use crate::http::obstacle::Obstacle;

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
    #[error("no certificate can be checked")]
    Trust {
        #[source]
        source: Box<rustls::Error>,
    },
    /// What was configured for it cannot be had.
    #[error("the network cannot be used as it is configured")]
    Network {
        #[source]
        source: Trouble,
    },
    #[error("requests are not sent to {host}: https is needed, or http to this machine")]
    Address { host: String },
    #[error("no connection to {host} for {method} {path}, {}", tries(*attempts))]
    Unreachable {
        method: Method,
        host: String,
        path: String,
        attempts: u32,
        #[source]
        source: Box<Obstacle>,
    },
    #[error("no answer in time from {host} to {method} {path}, {}", tries(*attempts))]
    TimedOut {
        method: Method,
        host: String,
        path: String,
        attempts: u32,
        #[source]
        source: reqwest::Error,
    },
    #[error("the connection to {host} broke during {method} {path}, {}", tries(*attempts))]
    Broken {
        method: Method,
        host: String,
        path: String,
        attempts: u32,
        #[source]
        source: reqwest::Error,
    },
    #[error("the answer to {method} {path} ends in the middle, after {bytes} bytes, {}", tries(*attempts))]
    CutShort {
        method: Method,
        path: String,
        bytes: usize,
        attempts: u32,
        #[source]
        source: Option<reqwest::Error>,
    },
    #[error(
        "{method} {path} was answered {status} with {what} instead of JSON, {}{}",
        tries(*attempts), named(request_id.as_deref())
    )]
    NotJson { method: Method, path: String, status: u16, what: String, attempts: u32, request_id: Option<String> },
    #[error("the answer to {method} {path} is longer than {limit} bytes")]
    TooLarge { method: Method, path: String, limit: usize },
    #[error("the answer to {method} {path} does not fit at `{place}`: {reason}")]
    Unexpected { method: Method, path: String, place: String, reason: String },
}

fn tries(attempts: u32) -> String {
    if attempts == 1 { "tried once".to_owned() } else { format!("tried {attempts} times") }
}

/// The vendor's id of a request: a proxy that answers in the vendor's place has none.
fn named(request_id: Option<&str>) -> String {
    request_id.map(|id| format!(" (request-id {id})")).unwrap_or_default()
}

impl HttpError {
    /// Whether the request may have been carried out all the same.
    #[must_use]
    pub const fn executed(&self) -> Executed {
        match self {
            Self::Setup { .. }
            | Self::Trust { .. }
            | Self::Network { .. }
            | Self::Address { .. }
            | Self::Unreachable { .. } => Executed::No,
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
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Trust { .. } => Some(
                "install the system's CA certificates (package `ca-certificates`), or name your own by `[http] ca_file`",
            ),
            Self::Network { source } => source.hint.as_deref(),
            Self::Address { .. } => Some("use an https address"),
            Self::Unreachable { source, .. } => Some(source.hint()),
            Self::NotJson { .. } => Some(
                "something between here and the service answered in its place, or the base URL is not the service's",
            ),
            _ => None,
        }
    }
}
