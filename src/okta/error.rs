//! Why Okta gave no answer that could be used.

use crate::auth::{AuthError, Class};
use crate::http::{HttpError, Method};

#[derive(Debug, thiserror::Error)]
pub enum OktaError {
    #[error(
        "{method} {path} was refused: {status} {code}: {message}{} (request id {request_id}, error id {error_id})",
        because(causes)
    )]
    Refused {
        method: Method,
        path: String,
        status: u16,
        code: String,
        message: String,
        causes: Vec<String>,
        error_id: String,
        request_id: String,
    },
    #[error("no answer from Okta")]
    Http(#[source] HttpError),
    #[error("no access to Okta")]
    Auth(#[source] AuthError),
    /// The next link is not where we are, came before, or leads in a circle.
    #[error("the listing {path} cannot be believed: {why}")]
    Listing { path: String, why: String },
    #[error("{record} of {path}: {what}")]
    Record { path: String, record: String, what: String },
}

fn because(causes: &[String]) -> String {
    if causes.is_empty() { String::new() } else { format!(" ({})", causes.join("; ")) }
}

impl OktaError {
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
