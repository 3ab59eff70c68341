//! Okta as a typed client: people, groups' and apps' members. Reads only.

pub mod client;
pub mod error;
mod paging;
pub mod wire;

pub use client::{OktaClient, Page, Pages};
pub use error::OktaError;
pub use wire::{AppUser, User};
