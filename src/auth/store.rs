//! The rotated refresh token on disk: one small file, replaced whole, readable by its owner alone, and encrypted where a
//! key is given.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::mem::take;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::auth::error::AuthError;
use crate::auth::seal::Seal;
use crate::secret::{Secret, Wiped};

/// How long another process may hold the lock: longer than a refresh with its retries takes.
const LOCK_PATIENCE: Duration = Duration::from_mins(1);

/// What an entry takes beside its tokens, in bytes, and more.
const ROOM: usize = 4096;

/// Tokens in clear, and tokens sealed.
const CLEAR: u32 = 1;
const SEALED: u32 = 2;

/// What is stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) tenant: String,
    pub(super) client_id: String,
    pub(super) refresh_token: Secret,
    /// The one before, kept until the next rotation shows that this one works.
    pub(super) previous: Option<Secret>,
    pub(super) obtained_at: Timestamp,
    /// The fingerprint of the configured token when it was last used or found dead: another one there is news.
    pub(super) configured: Option<String>,
}

impl Stored {
    /// Whom the tokens belong to; sealed along with them, so that they cannot be moved.
    fn owner(&self) -> String {
        owner(&self.tenant, &self.client_id)
    }
}

fn owner(tenant: &str, client_id: &str) -> String {
    format!("entra-user {tenant} {client_id}")
}

#[derive(Serialize, Deserialize)]
struct Layout {
    version: u32,
    tenant: String,
    client_id: String,
    refresh_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    obtained_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configured: Option<String>,
}

/// The place of one identity's refresh token.
#[derive(Clone, Debug)]
pub(super) struct Store {
    directory: PathBuf,
    seal: Option<Arc<Seal>>,
}

/// Keeps other processes out while it lives. The kernel lets go when the process dies.
#[derive(Debug)]
pub(super) struct Held {
    _file: File,
}

/// As much of what is stored as needs no key.
#[derive(Deserialize)]
struct Label {
    tenant: String,
    client_id: String,
    obtained_at: Timestamp,
}

/// Whether a rotated refresh token is kept in this directory.
#[must_use]
pub fn is_kept_in(directory: &Path) -> bool {
    Store::new(directory.to_owned(), None).file().exists()
}

impl Store {
    /// With a seal, what is written is encrypted. What was written without one can still be read.
    pub(super) fn new(directory: PathBuf, seal: Option<Seal>) -> Self {
        Self { directory, seal: seal.map(Arc::new) }
    }

    fn file(&self) -> PathBuf {
        self.directory.join("entra-user.json")
    }

    /// Waits until no other process renews this identity. Blocks.
    pub(super) fn lock(&self) -> Result<Held, AuthError> {
        self.lock_within(LOCK_PATIENCE)
    }

    fn lock_within(&self, patience: Duration) -> Result<Held, AuthError> {
        let path = self.directory.join("entra-user.lock");
        let failed = |source| store_error(&path, "locked", source);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).map_err(failed)?;
        let file =
            OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Held { _file: file }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) if start.elapsed() >= patience => {
                    return Err(AuthError::Locked { path: path.display().to_string(), seconds: patience.as_secs() });
                }
                Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(50)),
            }
        }
    }

    /// What is stored, if anything.
    pub(super) fn read(&self) -> Result<Option<Stored>, AuthError> {
        let path = self.file();
        let text = match fs::read(&path) {
            Ok(text) => Wiped::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(store_error(&path, "read", source)),
        };
        let unreadable = |reason: String| AuthError::Unreadable { path: path.display().to_string(), reason };
        // No more of serde's words than the place: they may quote the token.
        let layout: Layout = serde_json::from_slice(&text)
            .map_err(|e| unreadable(format!("no valid content at line {} column {}", e.line(), e.column())))?;
        let owner = owner(&layout.tenant, &layout.client_id);
        let open = |token: String| match layout.version {
            CLEAR => Ok(Secret::new(token)),
            SEALED => self.unseal(&path, &owner, &token),
            other => Err(unreadable(format!("version {other} and not {CLEAR} or {SEALED}"))),
        };
        Ok(Some(Stored {
            refresh_token: open(layout.refresh_token)?,
            previous: layout.previous.map(open).transpose()?,
            tenant: layout.tenant,
            client_id: layout.client_id,
            obtained_at: layout.obtained_at,
            configured: layout.configured,
        }))
    }

    /// When the token of this owner was obtained; `None` when there is none, or nobody can tell.
    pub(super) fn obtained_at(&self, tenant: &str, client_id: &str) -> Option<Timestamp> {
        let label: Label = serde_json::from_slice(&fs::read(self.file()).ok()?).ok()?;
        (label.tenant == tenant && label.client_id == client_id).then_some(label.obtained_at)
    }

    fn unseal(&self, path: &Path, owner: &str, token: &str) -> Result<Secret, AuthError> {
        let sealed = |reason| AuthError::Sealed { path: path.display().to_string(), reason };
        let seal = self.seal.as_ref().ok_or_else(|| sealed("no `entra.user.encryption_key` is configured"))?;
        seal.open(owner, token)
            .ok_or_else(|| sealed("`entra.user.encryption_key` is not the key it was encrypted with"))
    }

    /// Takes away what is stored. Whether there was anything.
    pub(super) fn remove(&self) -> Result<bool, AuthError> {
        match fs::remove_file(self.file()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(store_error(&self.file(), "removed", source)),
        }
    }

    /// Replaces what is stored. When this returns, a power cut leaves the new one; before, the old one.
    pub(super) fn write(&self, stored: &Stored) -> Result<(), AuthError> {
        let owner = stored.owner();
        let written = |token: &Secret| match &self.seal {
            Some(seal) => seal.close(&owner, token),
            None => token.expose().to_owned(),
        };
        let mut layout = Layout {
            version: if self.seal.is_some() { SEALED } else { CLEAR },
            tenant: stored.tenant.clone(),
            client_id: stored.client_id.clone(),
            refresh_token: written(&stored.refresh_token),
            previous: stored.previous.as_ref().map(written),
            obtained_at: stored.obtained_at,
            configured: stored.configured.clone(),
        };
        let (token, previous) = (layout.refresh_token.len(), layout.previous.as_ref().map_or(0, String::len));
        // With room to spare: what grows is moved, and its old place would keep the tokens.
        let mut text = Wiped::new(Vec::with_capacity(2 * (token + previous) + ROOM));
        serde_json::to_writer_pretty(&mut *text, &layout).expect("text and a moment are JSON");
        drop((Secret::new(take(&mut layout.refresh_token)), layout.previous.take().map(Secret::new)));
        self.replace(&text).map_err(|source| store_error(&self.file(), "stored", source))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let new = self.directory.join("entra-user.json.new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Made anew, so that the mode holds from the first byte on.
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, self.file())?;
        File::open(&self.directory)?.sync_all()
    }
}

fn store_error(path: &Path, what: &'static str, source: io::Error) -> AuthError {
    AuthError::Store { path: path.display().to_string(), what, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn stored(token: &str) -> Stored {
        Stored {
            tenant: "t".into(),
            client_id: "c".into(),
            refresh_token: Secret::new(token.into()),
            previous: Some(Secret::new("before".into())),
            obtained_at: Timestamp::UNIX_EPOCH,
            configured: None,
        }
    }

    #[test]
    fn what_is_stored_is_read_back_and_only_the_owner_may() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("identity"), None);
        let _held = store.lock().unwrap();
        assert!(store.read().unwrap().is_none());
        store.write(&stored("one")).unwrap();
        store.write(&stored("two")).unwrap();
        let read = store.read().unwrap().unwrap();
        assert_eq!((read.refresh_token.expose(), read.previous.unwrap().expose()), ("two", "before"));
        assert_eq!(store.obtained_at("t", "c"), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(store.obtained_at("t", "d"), None, "another's");
        let mode = fs::metadata(store.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::metadata(directory.path().join("identity")).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_that_is_not_ours_is_named_and_never_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().to_owned(), None);
        for text in [
            r#"{"version":1,"refresh_token":7"#,
            r#""hush""#,
            r#"{"version":9,"tenant":"t","client_id":"c","refresh_token":"hush","obtained_at":"2026-01-01T00:00:00Z"}"#,
        ] {
            fs::write(store.file(), text).unwrap();
            let error = store.read().unwrap_err().to_string();
            assert!(error.contains("entra-user.json") && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn two_do_not_hold_the_lock_and_waiting_for_it_ends() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().to_owned(), None);
        let held = store.lock().unwrap();
        assert!(matches!(store.lock_within(Duration::ZERO), Err(AuthError::Locked { .. })));
        drop(held);
        assert!(store.lock_within(Duration::ZERO).is_ok());
    }

    #[test]
    fn a_sealed_token_is_not_in_the_file_and_opens_with_its_key_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let seal = |text: &str| Some(Seal::new(&Secret::new(text.repeat(32))).unwrap());
        let store = |key| Store::new(directory.path().to_owned(), key);
        store(None).write(&stored("clear")).unwrap();
        assert_eq!(store(seal("k")).read().unwrap().unwrap().refresh_token.expose(), "clear", "from before the key");
        store(seal("k")).write(&stored("hush")).unwrap();
        let text = fs::read_to_string(store(None).file()).unwrap();
        assert!(!text.contains("hush") && !text.contains("before"), "{text}");
        let read = store(seal("k")).read().unwrap().unwrap();
        assert_eq!((read.refresh_token.expose(), read.previous.unwrap().expose()), ("hush", "before"));
        assert!(matches!(store(None).read(), Err(AuthError::Sealed { .. })));
        assert!(matches!(store(seal("x")).read(), Err(AuthError::Sealed { .. })));
        fs::write(store(None).file(), text.replace("\"client_id\": \"c\"", "\"client_id\": \"d\"")).unwrap();
        assert!(matches!(store(seal("k")).read(), Err(AuthError::Sealed { .. })), "moved to another client");
    }
}
