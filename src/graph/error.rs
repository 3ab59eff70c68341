//! Why Graph gave no answer that could be used.

use crate::auth::{AuthError, Class};
use crate::http::{HttpError, Method};

#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    #[error("{method} {path} was refused: {status} {code}: {message} (request-id {request_id})")]
    Refused { method: Method, path: String, status: u16, code: String, message: String, request_id: String },
    #[error("no answer from Microsoft Graph")]
    Http(#[source] HttpError),
    #[error("no access to Microsoft Graph")]
    Auth(#[source] AuthError),
    /// The next link is not where we are, came before, or leads in a circle.
    #[error("the listing {path} cannot be believed: {why}")]
    Listing { path: String, why: String },
    #[error("{record} of {path}: {what}")]
    Record { path: String, record: String, what: String },
    #[error("no {0} identity is configured for Microsoft Graph")]
    NoIdentity(&'static str),
    #[error("`{0}` is not a path that can be asked for")]
    Path(String),
}

impl GraphError {
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
