//! Secrets in memory: one type that cannot be printed and is wiped when dropped.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A password, token or key. Prints as `Secret(..)`; opens through [`Secret::expose`] alone, so that every place which
/// handles the clear text is found by one search.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
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
    }
}
