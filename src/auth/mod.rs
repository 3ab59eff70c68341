//! Access tokens: fetched, kept, renewed before they expire; one [`Authorizer`] per identity, shared by who needs it.

pub mod authorizer;
pub mod claims;
pub mod error;
mod refusal;
mod signin;
pub mod store;
#[cfg(test)]
mod tests;

pub use authorizer::{Authorizer, EntraApp, EntraUser, SecretStyle, SendError};
pub use claims::Granted;
pub use error::{AuthError, Class};
