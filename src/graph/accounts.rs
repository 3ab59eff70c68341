//! Accounts: listed, counted, found.

use futures_util::stream::BoxStream;

use crate::graph::client::GraphClient;
use crate::graph::error::GraphError;
use crate::graph::wire::Account;

/// A step of a listing.
#[derive(Debug)]
pub enum Page<T> {
    Items(Vec<T>),
    /// The page token died and the listing began again: what was collected so far is to be dropped.
    Restarted,
}

/// The pages of a listing, fetched as they are asked for.
pub type Pages<T> = BoxStream<'static, Result<Page<T>, GraphError>>;

impl GraphClient {
    /// All accounts with their managers. `properties` are Graph's names of what else is needed: `mail`, `proxyAddresses`,
    /// `employeeId`, `onPremisesImmutableId` (`id` and `userPrincipalName` are always read).
    pub fn list_accounts(&self, properties: &[&str]) -> Pages<Account> {
        unimplemented!()
    }
    pub async fn count_accounts(&self) -> Result<u64, GraphError> {
        unimplemented!()
    }
    /// Accounts whose `property` is `value`.
    pub async fn find_accounts(&self, property: &str, value: &str) -> Result<Vec<Account>, GraphError> {
        unimplemented!()
    }
    /// By object id or user principal name; `None` when there is none.
    pub async fn get_account(&self, key: &str) -> Result<Option<Account>, GraphError> {
        unimplemented!()
    }
}
