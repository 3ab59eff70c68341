//! The one way to send a request: built anew for each attempt, paced, repeated only where that is safe, recorded.
//!
//! Knows nothing of a vendor's JSON. A final answer of any status is an [`Answer`]; only what gave no usable answer is an
//! [`HttpError`].

pub mod advice;
pub mod call;
pub mod calls;
pub mod chain;
pub mod client;
pub mod error;
pub mod gate;
pub mod heard;
pub mod meter;
pub mod network;
pub mod obstacle;
pub mod proxy;
pub mod redact;
pub mod retry;
#[cfg(test)]
pub(crate) mod testing;
pub mod throttle;
pub mod tls;
#[cfg(test)]
mod tests;

pub use call::{Answer, Body, Call, Draft, Pace, Repeat};
pub use client::{Client, ClientSettings};
pub use error::{Executed, HttpError};
pub use network::{Ip, Network, Trouble};
pub use obstacle::Obstacle;
pub use proxy::Proxy;
pub use reqwest::header;
pub use reqwest::{Method, StatusCode};
pub use url::Url;
