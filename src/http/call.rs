//! What is sent and what comes back.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::http::calls::Service;
use crate::http::error::{Executed, HttpError};
use crate::http::gate::{Gate, Leave};
use crate::http::redact;
use crate::secret::Secret;

/// Whether a request may be sent again when nobody knows what became of the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Twice does no more than once.
    Safe,
    /// Only when it was certainly not carried out: no connection, 429, 503.
    OnlyIfNotExecuted,
}

/// When a request may leave, and how often.
#[derive(Clone, Copy, Debug)]
pub enum Pace<'a> {
    /// At once, each attempt.
    Free,
    /// Each attempt when its turn comes.
    Turn(&'a Gate),
    /// Once: its turn has come, and it is not tried again.
    Leave(&'a Leave<'a>),
    /// At once, and once: whoever sends it has a queue of his own.
    Once,
}

impl<'a> Pace<'a> {
    /// Where what the answer says about limits is to be heeded.
    pub(super) const fn gate(&self) -> Option<&'a Gate> {
        match self {
            Self::Free | Self::Once => None,
            Self::Turn(gate) => Some(gate),
            Self::Leave(leave) => Some(leave.gate()),
        }
    }
}

/// A request to be made: where, how often, at what pace. What is in it is a [`Draft`].
#[derive(Clone, Debug)]
pub struct Call<'a> {
    pub service: Service,
    pub method: Method,
    pub url: Url,
    /// The path without ids, such as `/users/{id}`: what logs and counts are grouped by.
    pub endpoint: &'static str,
    pub repeat: Repeat,
    /// Whether an answer with 2xx must be JSON. Anything else is then a broken answer.
    pub json: bool,
    pub pace: Pace<'a>,
    /// Bytes of body, after decompression, beyond which reading stops.
    pub max_body: usize,
    /// Whether the address is itself a secret, so that messages, logs and records show none of its path.
    pub secret_path: bool,
}

/// 64 MiB: a page of 999 accounts with long address lists has two or three.
pub const MAX_BODY: usize = 64 << 20;

impl<'a> Call<'a> {
    /// A request that reads JSON and may be repeated.
    #[must_use]
    pub fn get(service: Service, url: Url, endpoint: &'static str) -> Self {
        Self {
            service,
            method: Method::GET,
            url,
            endpoint,
            repeat: Repeat::Safe,
            json: true,
            pace: Pace::Free,
            max_body: MAX_BODY,
            secret_path: false,
        }
    }

    /// A POST that answers with JSON.
    #[must_use]
    pub fn post(service: Service, url: Url, endpoint: &'static str, repeat: Repeat) -> Self {
        Self { method: Method::POST, repeat, ..Self::get(service, url, endpoint) }
    }

    /// Lets each attempt wait for its turn at `gate`.
    #[must_use]
    pub const fn paced(mut self, gate: &'a Gate) -> Self {
        self.pace = Pace::Turn(gate);
        self
    }

    /// Lets the request out once, with a leave that was waited for before.
    #[must_use]
    pub const fn with_leave(mut self, leave: &'a Leave<'a>) -> Self {
        self.pace = Pace::Leave(leave);
        self
    }

    /// The path as messages and records show it: no query, no mail address.
    #[must_use]
    pub fn path(&self) -> String {
        if self.secret_path { "/…".to_owned() } else { redact::path(&self.url) }
    }
}

/// The content of one attempt.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub headers: HeaderMap,
    /// The `Authorization` value, handed back in the [`Answer`] so that a refused one can be dropped.
    pub authorization: Option<Secret>,
    pub body: Body,
}

/// A request's body. Prints as its kind alone: a form holds secrets.
#[derive(Clone, Default)]
pub enum Body {
    #[default]
    Empty,
    Json(Vec<u8>),
    Text(String),
    Form(Vec<(&'static str, Secret)>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Json(_) => "Json(..)",
            Self::Text(_) => "Text(..)",
            Self::Form(_) => "Form(..)",
        })
    }
}

impl Draft {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A JSON body.
    ///
    /// # Panics
    ///
    /// When `value` cannot be JSON, such as a map with keys that are no text: a fault of the program.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        self.body = Body::Json(serde_json::to_vec(value).expect("our own types are JSON"));
        self
    }

    #[must_use]
    pub fn form(mut self, fields: Vec<(&'static str, Secret)>) -> Self {
        self.body = Body::Form(fields);
        self
    }
}

/// The last answer to a request, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub method: Method,
    /// See [`Call::path`].
    pub path: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether the body was longer than [`Call::max_body`] and is cut there. Only when JSON was not asked for.
    pub truncated: bool,
    pub attempts: u32,
    /// From the first attempt to the last byte, waiting included.
    pub duration: Duration,
    /// The vendor's id of the request, from the headers.
    pub request_id: Option<String>,
    pub client_request_id: Option<String>,
    /// Of the last attempt alone.
    pub latency: Duration,
    /// What the last attempt was signed with.
    pub authorization: Option<Secret>,
    /// The wait that this answer asks for, if it refuses and names one.
    pub asked_to_wait: Option<Duration>,
}

impl Answer {
    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the request may have been carried out although this answer does not say so.
    #[must_use]
    pub fn executed(&self) -> Executed {
        match self.status.as_u16() {
            429 | 503 => Executed::No,
            500.. => Executed::Unknown,
            400.. => Executed::No,
            _ => Executed::Yes,
        }
    }

    /// The body as `T`.
    ///
    /// # Errors
    ///
    /// [`HttpError::Unexpected`] with the place in the JSON that does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut json).map_err(|error| HttpError::Unexpected {
            method: self.method.clone(),
            path: self.path.clone(),
            place: error.path().to_string(),
            reason: redact::values(&error.inner().to_string()),
        })
    }
}
