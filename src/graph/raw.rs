//! A single call of any path, with whatever came back.

use std::time::Duration;

use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::domain::request::{Method, Version};
use crate::graph::client::{CLIENT_REQUEST_ID, GraphClient, Identity};
use crate::graph::error::{GraphError, Refusal};
use crate::graph::paths;
use crate::http::call::MAX_BODY as WHOLE_BODY;
use crate::http::header::{HeaderName, HeaderValue};
use crate::http::{self, Draft, Executed, Repeat};

/// Bytes kept of a body.
const MAX_BODY: usize = 1 << 20;

/// A call that somebody wrote down.
#[derive(Clone, Debug)]
pub struct RawCall {
    pub method: Method,
    pub version: Version,
    /// Below the version, such as `/organization`.
    pub path: String,
    /// Names and values, not encoded.
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
    pub identity: Identity,
}

/// An answer as it came, whatever its status.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// Of the last attempt, waiting left out.
    pub latency: Duration,
    pub attempts: u32,
    pub request_id: Option<String>,
    pub client_request_id: Option<String>,
    pub content_type: Option<String>,
    /// At most 1 MiB, or 64 MiB of a [`RawCall`].
    pub body: Vec<u8>,
    /// Whether there was more of it.
    pub truncated: bool,
    /// What was refused, when something was.
    pub refused: Option<Refusal>,
    /// Whether Graph did what was asked, as far as the answer tells.
    pub executed: Executed,
}

impl GraphClient {
    /// Reads `path` (such as `/me?$select=id`, below `/v1.0`) once, throttling waited out.
    ///
    /// # Errors
    ///
    /// When `path` is none or no answer arrived. An answer of any status is `Ok`.
    pub async fn get_raw(&self, path: &str, identity: Identity) -> Result<RawAnswer, GraphError> {
        let mut call = Self::get(self.address(path)?, endpoint(path));
        call.json = false;
        call.max_body = MAX_BODY;
        let answer = self.send(identity, call, Draft::new).await?;
        Ok(RawAnswer::from(answer))
    }

    /// The address of a call.
    ///
    /// # Errors
    ///
    /// When its path is none.
    pub fn raw_address(&self, call: &RawCall) -> Result<Url, GraphError> {
        let mut url = self.address_below(call.version.as_str(), &call.path)?;
        if !call.query.is_empty() {
            let pairs = call.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            url.set_query(Some(&paths::query(pairs)));
        }
        Ok(url)
    }

    /// Makes a call at `url`, which is its own address or that of a further page. Throttling is waited out. A write is sent
    /// again only where it was certainly not carried out, and always under the same id.
    ///
    /// # Errors
    ///
    /// When no answer arrived. An answer of any status is `Ok`.
    pub async fn send_raw(&self, call: &RawCall, url: &Url, id: Uuid) -> Result<RawAnswer, GraphError> {
        let mut request = Self::get(url.clone(), endpoint(&call.path));
        request.json = false;
        request.max_body = WHOLE_BODY;
        if call.method.writes() {
            request.method = method(call.method);
            request.repeat = Repeat::OnlyIfNotExecuted;
        }
        let id = HeaderValue::from_str(&id.to_string()).expect("a UUID is plain ASCII");
        let draft = || {
            let mut draft = Draft::new().header(CLIENT_REQUEST_ID, id.clone());
            draft.headers.extend(call.headers.iter().filter_map(|(name, value)| header(name, value)));
            match &call.body {
                Some(body) => draft.json(body),
                None => draft,
            }
        };
        Ok(RawAnswer::from(self.send(call.identity, request, draft).await?))
    }

    /// The address of a path that somebody typed. It cannot lead out of `/v1.0`.
    fn address(&self, path: &str) -> Result<Url, GraphError> {
        self.address_below(Version::V1.as_str(), path)
    }

    fn address_below(&self, version: &str, path: &str) -> Result<Url, GraphError> {
        let refused = || GraphError::Path { path: path.split('?').next().unwrap_or_default().to_owned() };
        if !path.starts_with('/') || path.starts_with("//") || path.contains(['#', '\\']) {
            return Err(refused());
        }
        let base = format!("{}/{version}", self.root());
        let url = Url::parse(&format!("{base}{path}")).map_err(|_| refused())?;
        if url.as_str().starts_with(&format!("{base}/")) { Ok(url) } else { Err(refused()) }
    }
}

impl From<http::Answer> for RawAnswer {
    fn from(answer: http::Answer) -> Self {
        let refused = (!answer.status.is_success()).then(|| Refusal::of(&answer));
        Self {
            status: answer.status.as_u16(),
            latency: answer.latency,
            attempts: answer.attempts,
            content_type: answer.header("content-type").map(str::to_owned),
            executed: answer.executed(),
            request_id: answer.request_id,
            client_request_id: answer.client_request_id,
            body: answer.body,
            truncated: answer.truncated,
            refused,
        }
    }
}

/// The method as it travels.
#[must_use]
pub const fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Patch => http::Method::PATCH,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
    }
}

/// A header as it travels. Those that cannot were refused with the configuration.
fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
}

/// What the call is counted under: the names of the endpoints we know, without regard to case.
fn endpoint(path: &str) -> &'static str {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    let known = ["/me", "/subscribedSkus", "/directory/subscriptions", "/organization", "/users"];
    known.into_iter().find(|known| known.eq_ignore_ascii_case(path)).unwrap_or("/{path}")
}
