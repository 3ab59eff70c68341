//! The client: where Graph is, who asks, at what pace.

use crate::auth::Authorizer;
use crate::http::Client;
use std::sync::Arc;
use url::Url;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The application itself.
    App,
    /// The person who signed in.
    User,
}

/// Microsoft Graph v1.0. Clones share connections and pace.
#[derive(Clone, Debug)]
pub struct GraphClient {
    _p: (),
}

impl GraphClient {
    /// A client for the Graph at `graph_url` (the root, without `/v1.0`), with the identities that are configured.
    #[must_use]
    pub fn new(http: Client, app: Option<Arc<Authorizer>>, user: Option<Arc<Authorizer>>, graph_url: Url) -> Self {
        unimplemented!()
    }
}
