//! Okta as a typed client: people, apps, groups' and apps' members. Reads only.

pub mod client;
pub mod error;
mod paging;
#[cfg(test)]
mod tests;
pub mod wire;

pub use client::{OktaClient, Page, Pages};
pub use error::{OktaError, Refusal};
pub use wire::{App, AppUser, User};
