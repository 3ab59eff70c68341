//! A single read of any path, with whatever came back.

use std::time::Duration;

use crate::graph::client::{GraphClient, Identity};
use crate::graph::error::GraphError;

/// An answer as it came, whatever its status.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    pub status: u16,
    pub latency: Duration,
    pub request_id: Option<String>,
    pub client_request_id: Option<String>,
    pub content_type: Option<String>,
    /// At most 1 MiB.
    pub body: Vec<u8>,
    pub truncated: bool,
}

impl GraphClient {
    /// Reads `path` (`/me?$select=id`, below `/v1.0`). `Err` only when no answer arrived.
    pub async fn get_raw(&self, path: &str, identity: Identity) -> Result<RawAnswer, GraphError> {
        unimplemented!()
    }
}
