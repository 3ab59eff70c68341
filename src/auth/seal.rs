//! Encryption of what is kept on disk: AES-256-GCM under a key that a credential gives (HKDF-SHA-256 makes it 32 bytes).

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::auth::jwt::KeyError;
use crate::secret::{Secret, Wiped};

/// The shortest text that is taken for a key, in characters: 24 random bytes as base64.
const SHORTEST: usize = 32;

/// Seals and opens texts.
pub(super) struct Seal {
    key: RandomizedNonceKey,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(..)")
    }
}

impl Seal {
    /// The seal that this text makes.
    pub(super) fn new(text: &Secret) -> Result<Self, KeyError> {
        let text = text.expose().trim();
        if text.len() < SHORTEST {
            return Err(KeyError::WeakKey(text.len()));
        }
        let mut bytes = Wiped::new([0; 32]);
        Salt::new(HKDF_SHA256, b"graphkeeper")
            .extract(text.as_bytes())
            .expand(&[b"refresh token 1"], HKDF_SHA256)
            .and_then(|key| key.fill(&mut *bytes))
            .expect("as many bytes as the hash has");
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*bytes).expect("32 bytes");
        Ok(Self { key })
    }

    /// Seals a text for an owner: nonce, text, tag, in base64.
    pub(super) fn close(&self, owner: &str, text: &Secret) -> String {
        let mut sealed = text.expose().as_bytes().to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(owner), &mut sealed).expect("a short text");
        STANDARD_NO_PAD.encode([nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// The text again; `None` when this key did not seal it for this owner.
    pub(super) fn open(&self, owner: &str, sealed: &str) -> Option<Secret> {
        let bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
        let mut rest = Wiped::new(rest.to_vec());
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.key.open_in_place(nonce, Aad::from(owner), &mut rest).ok()?;
        Some(Secret::new(str::from_utf8(text).ok()?.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_owner_and_not_when_touched() {
        let seal = Seal::new(&Secret::new("a".repeat(32))).unwrap();
        let text = Secret::new("hush".into());
        let sealed = seal.close("ana", &text);
        assert_ne!(seal.close("ana", &text), sealed, "another nonce each time");
        assert_eq!(seal.open("ana", &sealed).unwrap().expose(), "hush");
        assert!(seal.open("bo", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut touched = sealed.clone().into_bytes();
            touched[at] = if touched[at] == b'A' { b'B' } else { b'A' };
            assert!(seal.open("ana", &String::from_utf8(touched).unwrap()).is_none(), "{at}");
        }
        assert!(seal.open("ana", "").is_none() && seal.open("ana", "!").is_none());
    }

    #[test]
    fn a_key_that_is_too_short_is_refused() {
        assert_eq!(Seal::new(&Secret::new("short".into())).unwrap_err(), KeyError::WeakKey(5));
    }
}
