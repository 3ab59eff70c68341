//! The calls.

use std::sync::Arc;

use futures_util::stream::BoxStream;
use url::Url;

use crate::auth::Authorizer;
use crate::http::Client;
use crate::okta::error::OktaError;
use crate::okta::wire::{AppUser, User};

/// A step of a listing.
#[derive(Debug)]
pub enum Page<T> {
    Items(Vec<T>),
    /// The cursor died and the listing began again: what was collected so far is to be dropped.
    Restarted,
}

/// The pages of a listing, fetched as they are asked for.
pub type Pages<T> = BoxStream<'static, Result<Page<T>, OktaError>>;

/// Okta's management API with one credential. Clones share connections and pace.
#[derive(Clone, Debug)]
pub struct OktaClient {
    _p: (),
}

impl OktaClient {
    /// A client for the organization at `org_url`, using at most `share` (0 to 1; 0.6 is polite) of each observed rate limit.
    #[must_use]
    pub fn new(http: Client, auth: Arc<Authorizer>, org_url: Url, share: f64) -> Self {
        unimplemented!()
    }
    /// Everybody but the deprovisioned.
    pub fn list_users(&self) -> Pages<User> {
        unimplemented!()
    }
    pub fn list_group_members(&self, group: &str) -> Pages<User> {
        unimplemented!()
    }
    pub fn list_app_users(&self, app: &str) -> Pages<AppUser> {
        unimplemented!()
    }
    /// Also the deprovisioned.
    pub fn search_users(&self, expression: &str) -> Pages<User> {
        unimplemented!()
    }
    /// By id, login or short login.
    pub async fn find_user(&self, key: &str) -> Result<Option<User>, OktaError> {
        unimplemented!()
    }
}
