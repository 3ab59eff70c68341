//! Secrets as something that is read again each time it is needed, so that a replaced one takes effect.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

use crate::auth::error::AuthError;
use crate::secret::Secret;

/// What happens when the place of a secret is given another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// The next reading finds it: a file.
    UpToDate,
    /// The process goes on with what it started with: a systemd credential, a variable.
    FromTheStart,
}

/// A secret cannot be had, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unavailable {
    pub reason: String,
    /// What an operator can do about it, where that is known.
    pub hint: Option<String>,
}

type Read = dyn Fn() -> Result<Secret, Unavailable> + Send + Sync;

/// Where a secret comes from. Cheap to clone; prints as the key that names it.
///
/// Once it could be read, a reading that fails gives what was read last: a file is away for a moment while it is replaced.
#[derive(Clone)]
pub struct Source {
    key: &'static str,
    keeps: Keeps,
    read: Arc<Read>,
    last: Arc<Mutex<Option<Secret>>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.key)
    }
}

impl Source {
    /// A secret that `read` fetches. `key` is what the configuration calls it, such as `entra.app.client_secret`.
    #[must_use]
    pub fn new(
        key: &'static str,
        keeps: Keeps,
        read: impl Fn() -> Result<Secret, Unavailable> + Send + Sync + 'static,
    ) -> Self {
        Self { key, keeps, read: Arc::new(read), last: Arc::default() }
    }

    /// The same, with what was read before.
    #[must_use]
    pub fn knowing(self, last: Option<Secret>) -> Self {
        Self { last: Arc::new(Mutex::new(last)), ..self }
    }

    /// A secret that is known already.
    #[must_use]
    pub fn known(key: &'static str, secret: Secret) -> Self {
        Self::new(key, Keeps::FromTheStart, move || Ok(secret.clone()))
    }

    pub(super) const fn key(&self) -> &'static str {
        self.key
    }

    /// What to do so that a replaced secret takes effect, where that needs anything.
    pub(super) const fn remedy(&self) -> Option<&'static str> {
        match self.keeps {
            Keeps::UpToDate => None,
            Keeps::FromTheStart => Some(
                "the running service has this secret from its start: after replacing it, `systemctl restart` the service",
            ),
        }
    }

    /// The secret as it is now, or as it could last be read.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when it could never be read.
    pub fn get(&self) -> Result<Secret, Unavailable> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match ((self.read)(), &*last) {
            (Ok(secret), _) => {
                *last = Some(secret.clone());
                Ok(secret)
            }
            (Err(_), Some(last)) => Ok(last.clone()),
            (Err(why), None) => Err(why),
        }
    }

    /// The same, as part of a sign-in.
    pub(super) fn read(&self, identity: &'static str) -> Result<Secret, AuthError> {
        self.get().map_err(|why| AuthError::Secret { identity, key: self.key, why })
    }

    /// Tells two secrets apart without keeping either.
    pub(super) fn fingerprint(&self) -> Option<String> {
        (self.read)().ok().map(|secret| fingerprint(&secret))
    }
}

/// Sixteen hexadecimal digits that differ when a secret does. Enough to recognize a random one, and no way back to it.
pub(super) fn fingerprint(secret: &Secret) -> String {
    let hash = digest(&SHA256, secret.expose().trim().as_bytes());
    let half = hash.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    format!("{half:016x}")
}
