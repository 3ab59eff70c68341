//! A single read of any path, with whatever came back.

use std::time::Duration;

use url::Url;

use crate::graph::client::{GraphClient, Identity};
use crate::graph::error::GraphError;
use crate::http::Draft;

/// Bytes kept of a body.
const MAX_BODY: usize = 1 << 20;

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
    /// At most 1 MiB.
    pub body: Vec<u8>,
    /// Whether there was more of it.
    pub truncated: bool,
    /// What was refused, when something was.
    pub refusal: Option<String>,
    /// What an operator can do about that, where we know.
    pub hint: Option<&'static str>,
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
        let error = (!answer.status.is_success()).then(|| GraphError::refused(&answer));
        Ok(RawAnswer {
            status: answer.status.as_u16(),
            latency: answer.latency,
            attempts: answer.attempts,
            content_type: answer.header("content-type").map(str::to_owned),
            request_id: answer.request_id,
            client_request_id: answer.client_request_id,
            body: answer.body,
            truncated: answer.truncated,
            refusal: error.as_ref().map(ToString::to_string),
            hint: match &error {
                Some(GraphError::Refused(refusal)) => refusal.hint(),
                _ => None,
            },
        })
    }

    /// The address of a path that somebody typed. It cannot lead out of `/v1.0`.
    fn address(&self, path: &str) -> Result<Url, GraphError> {
        let refused = || GraphError::Path { path: path.split('?').next().unwrap_or_default().to_owned() };
        if !path.starts_with('/') || path.starts_with("//") || path.contains(['#', '\\']) {
            return Err(refused());
        }
        let base = format!("{}/v1.0", self.root());
        let url = Url::parse(&format!("{base}{path}")).map_err(|_| refused())?;
        if url.as_str().starts_with(&format!("{base}/")) { Ok(url) } else { Err(refused()) }
    }
}

/// What the call is counted under: the names of the endpoints we know, without regard to case.
fn endpoint(path: &str) -> &'static str {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    let known = ["/me", "/subscribedSkus", "/directory/subscriptions", "/organization", "/users"];
    known.into_iter().find(|known| known.eq_ignore_ascii_case(path)).unwrap_or("/{path}")
}
