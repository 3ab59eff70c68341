//! Microsoft Graph as a typed client: accounts and their managers, licenses, and single reads.

pub mod accounts;
mod batch;
pub mod client;
pub mod error;
pub mod licenses;
pub mod managers;
mod paging;
mod paths;
#[cfg(test)]
mod tests;
pub mod raw;
pub mod wire;

pub use client::{GraphClient, Identity, WriteLeave};
pub use error::{GraphError, Refusal};
pub use licenses::{ServicePlan, Sku, Subscription};
pub use managers::{ManagerState, ManagerTarget, ManagerWrite, WriteAnswer, WriteResult};
pub use paging::{Page, Pages};
pub use raw::RawAnswer;
pub use wire::Account;
