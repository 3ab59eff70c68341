//! Secrets in memory: one type that cannot be printed and is wiped when dropped.

use std::fmt;

use secrecy::zeroize::Zeroize as _;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// Bytes or a text on the way to a [`Secret`] or to the wire: wiped when dropped, and not kept from being printed.
pub use secrecy::zeroize::Zeroizing as Wiped;

/// A password, token or key. Prints as `Secret(..)`; opens through [`Secret::expose`] alone, so that every place which
/// handles the clear text is found by one search.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    #[must_use]
    pub fn new(mut text: String) -> Self {
        // Boxing a text that has room to spare moves it, and its old place would keep the words.
        let secret = Self(SecretString::from(text.as_str()));
        text.zeroize();
        secret
    }

    /// One secret of several pieces, in memory that was never moved.
    #[must_use]
    pub fn of(pieces: &[&str]) -> Self {
        Self::new(pieces.concat())
    }

    /// The clear text, to be put on the wire and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// For telling that a secret was replaced by another. Never for judging one that somebody presents.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose(), "hunter2");
        assert!(secret == secret.clone() && secret != Secret::new("hunter3".to_owned()));
        assert_eq!(Secret::of(&["hunt", "er2"]).expose(), "hunter2");
    }

    #[test]
    fn a_panic_that_shows_what_it_was_working_on_shows_no_secret() {
        let identity = ("the application", Secret::new("hunter2".to_owned()), Some(Secret::new("hunter3".to_owned())));
        let panicked = std::panic::catch_unwind(|| panic!("{identity:?}: {:#?}", Err::<(), _>(&identity))).unwrap_err();
        let message = panicked.downcast_ref::<String>().unwrap();
        assert!(message.contains("the application") && !message.contains("hunter"), "{message}");
    }

    #[test]
    fn a_secret_in_json_of_another_shape_is_not_quoted() {
        #[derive(Debug, Deserialize)]
        struct Token {
            token: Secret,
        }
        let token: Token = serde_json::from_str(r#"{"token": "hunter2"}"#).unwrap();
        assert_eq!((token.token.expose(), format!("{token:?}").contains("hunter")), ("hunter2", false));
        let error = serde_json::from_str::<Token>(r#"{"token": ["hunter2"]}"#).unwrap_err();
        assert!(!error.to_string().contains("hunter"), "{error}");
    }
}
