//! Keys and certificates as files have them: PEM, DER, X.509 and PFX, as far as they are read here.
//!
//! Knows forms alone: what a key signs is [`crate::auth`]'s, and whom a certificate is believed [`crate::http`]'s.

pub mod certificate;
pub mod der;
pub mod pem;
pub mod pfx;
mod pfx_cipher;

pub use certificate::Certificate;
pub use pfx::PfxError;
