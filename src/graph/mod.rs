//! Microsoft Graph as a typed client: accounts and their managers, licenses, and single reads.

pub mod accounts;
mod batch;
pub mod client;
pub mod error;
pub mod licenses;
pub mod mail;
pub mod managers;
mod paging;
mod paths;
pub mod permissions;
#[cfg(test)]
mod tests;
pub mod raw;
pub mod tenant;
pub mod wire;

pub use accounts::Expand;
pub use client::{GraphClient, Identity, WriteLeave};
pub use error::{GraphError, Refusal};
pub use licenses::{ServicePlan, Sku, Subscription};
pub use managers::{ManagerState, ManagerTarget, ManagerWrite, WriteAnswer, WriteResult};
pub use paging::{Page, Pages};
pub use raw::{RawAnswer, RawCall};
pub use tenant::{Domain, Organization, Synchronization};
pub use wire::Account;
