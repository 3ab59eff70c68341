//! Why Okta gave no answer that could be used.

use std::time::Duration;

use crate::auth::okta::judge_token;
use crate::auth::{AuthError, Class, SendError, challenge};
use crate::http::chain::{Chain, Doubt};
use crate::http::{Answer, HttpError, Method, redact};
use crate::okta::wire::ErrorBody;

/// A call to Okta without a usable answer.
#[derive(Debug, thiserror::Error)]
pub enum OktaError {
    #[error("{0}")]
    Refused(Box<Refusal>),
    #[error("no usable answer from Okta")]
    Http(#[source] HttpError),
    #[error("no access to Okta")]
    Auth(#[source] AuthError),
    /// A page repeats itself, leads elsewhere, or dies again and again.
    #[error("Okta's listing {path} cannot be believed")]
    Listing {
        path: String,
        #[source]
        source: Doubt,
    },
    /// A record without a field that each must have.
    #[error("{record} in Okta's answer to {path} has no `{missing}`")]
    Record { path: String, record: String, missing: &'static str },
}

/// Okta said no.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{method} {path} was refused: {status} {code} {message}{}{} ({})", because(causes), patience(*asked_to_wait), ids(request_id, error_id))]
pub struct Refusal {
    pub method: Method,
    pub path: String,
    pub status: u16,
    /// Such as `E0000006`; for a refused token the word of the `WWW-Authenticate` header. May be empty.
    pub code: String,
    pub message: String,
    pub causes: Vec<String>,
    /// `oae…`: Okta's own id of the error.
    pub error_id: String,
    /// `X-Okta-Request-Id`.
    pub request_id: String,
    /// The wait that was asked for and was too long.
    pub asked_to_wait: Option<Duration>,
    /// Who has to act and what to do (empty when unknown), where the token or its proof was refused.
    of_token: Option<(Class, &'static str)>,
}

fn because(causes: &[String]) -> String {
    if causes.is_empty() { String::new() } else { format!(": {}", causes.join("; ")) }
}

fn patience(wait: Option<Duration>) -> String {
    wait.map(|wait| format!(", come back in {} seconds", wait.as_secs())).unwrap_or_default()
}

fn ids(request: &str, error: &str) -> String {
    let request = if request.is_empty() { "none" } else { request };
    if error.is_empty() { format!("request id {request}") } else { format!("request id {request}, error id {error}") }
}

impl From<SendError> for OktaError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Http(error) => Self::Http(error),
            SendError::Auth(error) => Self::Auth(error),
        }
    }
}

impl From<HttpError> for OktaError {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

impl OktaError {
    /// The refusal that an answer with another status than 2xx is. The body may be anything, even nothing.
    pub(super) fn refused(answer: &Answer) -> Self {
        let body: ErrorBody = answer.json().unwrap_or_default();
        let (mut code, mut message, mut of_token) = (body.code, body.summary, None);
        let challenge = challenge::read(answer);
        if code.is_empty() && !challenge.error.is_empty() {
            of_token = Some(judge_token(&challenge.error, &challenge.description, answer.status.as_u16()));
            (code, message) = (challenge.error, challenge.description);
        }
        if message.is_empty() {
            message = format!("with {}", redact::kind_of_body(answer.header("content-type"), &answer.body));
        }
        Self::Refused(Box::new(Refusal {
            method: answer.method.clone(),
            path: answer.path.clone(),
            status: answer.status.as_u16(),
            code,
            message: redact::people(&message),
            causes: body.causes.iter().map(|cause| redact::people(&cause.summary)).collect(),
            error_id: body.id,
            request_id: answer.request_id.clone().unwrap_or_default(),
            asked_to_wait: answer.asked_to_wait,
            of_token,
        }))
    }

    pub(super) fn doubt(chain: &Chain, source: Doubt) -> Self {
        Self::Listing { path: chain.path().to_owned(), source }
    }

    /// Whether an answer says that the object, and not the path, is unknown.
    pub(super) fn is_missing(answer: &Answer) -> bool {
        let body: ErrorBody = answer.json().unwrap_or_default();
        matches!(body.code.as_str(), "E0000007" | "E0000048")
    }

    /// Whether a listing has to begin again because its cursor is no longer good.
    pub(super) fn is_dead_cursor(&self) -> bool {
        let Self::Refused(refusal) = self else { return false };
        match refusal.code.as_str() {
            "E0000029" | "E0000054" => true,
            "E0000031" => refusal.causes.iter().any(|cause| cause.to_ascii_lowercase().contains("cursor")),
            _ => false,
        }
    }

    /// Who has to act.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Auth(error) => error.class(),
            Self::Http(HttpError::Setup { .. } | HttpError::Address { .. }) => Class::Misconfigured,
            Self::Http(_) | Self::Listing { .. } | Self::Record { .. } => Class::Retry,
            Self::Refused(refusal) => match (refusal.of_token, refusal.status, refusal.code.as_str()) {
                (Some((class, _)), ..) => class,
                (_, 401, _) | (_, _, "E0000005" | "E0000006") => Class::NeedsHuman,
                (_, 429 | 500.., _) => Class::Retry,
                _ => Class::Misconfigured,
            },
        }
    }

    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Auth(error) => error.hint(),
            Self::Http(error) => error.hint(),
            Self::Refused(refusal) => refusal.hint(),
            Self::Listing { .. } | Self::Record { .. } => None,
        }
    }
}

impl Refusal {
    fn hint(&self) -> Option<&'static str> {
        if let Some((_, hint)) = self.of_token {
            return Some(hint).filter(|hint| !hint.is_empty());
        }
        let hint = match (self.code.as_str(), self.status) {
            ("E0000011" | "E0000004", _) => {
                "make a new API token in Okta (Security, API, Tokens): this one is unknown, revoked, expired after 30 days \
                 without use, or its owner is deactivated"
            }
            ("E0000005", _) => "check the API token: Okta did not recognize the Authorization header",
            ("E0000006", _) => {
                "give the owner of the token an admin role that may read this (Read-only Administrator is enough)"
            }
            ("E0000015", _) => "the feature is not part of this Okta subscription",
            ("E0000008", _) => "check `okta.org_url`: there is no such path",
            ("E0000007" | "E0000048", _) => "check the id of the group or app in the configuration",
            ("E0000031" | "E0000053" | "E0000030", _) => "check the `search` expression of the job's scope",
            ("E0000047", _) | (_, 429) => "other programs use up the rate limit too: see Okta's rate limit dashboard",
            (_, 401) => "check the credential: Okta refused it",
            _ => return None,
        };
        Some(hint)
    }
}
