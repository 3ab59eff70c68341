//! Seals that only this world can make: tokens and cursors that need no memory.
//!
//! The key comes from the seed, so a token of an earlier start of the same world is still good.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Seals and opens small JSON values.
#[derive(Clone, Debug)]
pub struct Keys {
    key: hmac::Key,
}

impl Keys {
    /// The keys of the world with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let secret = digest::digest(&digest::SHA256, format!("sandbox {seed}").as_bytes());
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()) }
    }

    /// A value as an opaque string of letters, digits, `-`, `_` and one `.`; `purpose` keeps kinds apart.
    #[must_use]
    pub fn seal(&self, purpose: &str, value: &Value) -> String {
        let body = URL_SAFE_NO_PAD.encode(value.to_string());
        let seal = self.sign(purpose, &body);
        format!("{body}.{seal}")
    }

    /// The value again, when it was sealed for this purpose by these keys.
    #[must_use]
    pub fn open(&self, purpose: &str, sealed: &str) -> Option<Value> {
        let (body, seal) = sealed.rsplit_once('.')?;
        if self.sign(purpose, body) != seal {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
    }

    /// The signature over a text: 43 letters of base64url.
    #[must_use]
    pub fn sign(&self, purpose: &str, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, format!("{purpose}\n{text}").as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_for_its_purpose_in_its_world_only() {
        let value = serde_json::json!({"row": 7});
        let sealed = Keys::new(1).seal("cursor", &value);
        assert_eq!(Keys::new(1).open("cursor", &sealed), Some(value));
        assert_eq!(Keys::new(1).open("token", &sealed), None);
        assert_eq!(Keys::new(2).open("cursor", &sealed), None);
        assert_eq!(Keys::new(1).open("cursor", "rubbish"), None);
    }
}
