//! References to secrets: a configuration says where a secret is, never what it is.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::regular;
use crate::secret::{Secret, Wiped};

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// A file whose content, without the line end, is the secret.
    File(PathBuf),
    /// A file in which the platform keeps a token fresh. Platforms let others on the machine read it, and it is good for an
    /// hour: its mode is not looked at.
    TokenFile(PathBuf),
    /// An environment variable.
    Env(String),
    /// A credential that systemd hands to the service: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// A secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("secret file {} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("secret file {} can be read by everybody (mode {mode:04o})", path.display())]
    WorldReadable { path: PathBuf, mode: u32 },
    #[error("secret file {} is not text", path.display())]
    NotText { path: PathBuf },
    #[error("{what} is empty")]
    Empty { what: String },
    #[error("environment variable {name} is not set")]
    NotSet { name: String },
    #[error("credential `{name}` cannot be found: $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials { name: String },
}

impl SecretError {
    /// What an operator can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WorldReadable { path, .. } => Some(format!("chmod 0600 {}", path.display())),
            Self::Unreadable { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(format!("let the user who runs this read {}", path.display()))
            }
            Self::NotSet { name } => Some(format!("set {name}, or name a file: {{ file = \"…\" }}")),
            Self::NoCredentials { name } => {
                Some(format!("start the service with LoadCredential={name}:/path/to/file, or use {{ file = \"…\" }}"))
            }
            Self::NotText { path } => Some(format!(
                "if it is a PFX (PKCS#12) with a certificate and its key, take it apart: `openssl pkcs12 -in {} -nodes -out FILE.pem`",
                path.display()
            )),
            Self::Unreadable { .. } | Self::Empty { .. } => None,
        }
    }
}

impl SecretError {
    /// Whether the service, as another user with other variables, may well have the secret all the same.
    #[must_use]
    pub fn may_be_there_for_the_service(&self) -> bool {
        match self {
            Self::NotSet { .. } | Self::NoCredentials { .. } => true,
            Self::Unreadable { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            Self::WorldReadable { .. } | Self::NotText { .. } | Self::Empty { .. } => false,
        }
    }
}

impl SecretRef {
    /// Fetches the secret. A file is read anew on every call, so that a replaced secret takes effect.
    ///
    /// # Errors
    ///
    /// [`SecretError`] when it is missing, empty, not text, or a file that everybody may read.
    pub fn read(&self, env: &[(String, String)]) -> Result<Secret, SecretError> {
        match self {
            Self::File(path) => read_file(path, true),
            Self::TokenFile(path) => read_file(path, false),
            Self::Env(name) => {
                let value = lookup(env, name).ok_or_else(|| SecretError::NotSet { name: name.clone() })?;
                filled(value, || format!("environment variable {name}"))
            }
            Self::Credential(name) => {
                let directory = lookup(env, "CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| SecretError::NoCredentials { name: name.clone() })?;
                read_file(&Path::new(directory).join(name), true)
            }
        }
    }
}

fn lookup<'a>(env: &'a [(String, String)], name: &str) -> Option<&'a str> {
    env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn read_file(path: &Path, must_be_private: bool) -> Result<Secret, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let mode = regular::metadata(path).map_err(unreadable)?.permissions().mode() & 0o7777;
    if must_be_private && mode & 0o004 != 0 {
        return Err(SecretError::WorldReadable { path: path.to_owned(), mode });
    }
    let bytes = Wiped::new(regular::read(path).map_err(unreadable)?);
    let text = str::from_utf8(&bytes).map_err(|_| SecretError::NotText { path: path.to_owned() })?;
    filled(text.trim_start_matches('\u{feff}'), || format!("secret file {}", path.display()))
}

/// Line ends and blanks around a secret come from editors and `echo`; no vendor's secret has them.
fn filled(text: &str, what: impl FnOnce() -> String) -> Result<Secret, SecretError> {
    let text = text.trim();
    if text.is_empty() { Err(SecretError::Empty { what: what() }) } else { Ok(Secret::new(text.to_owned())) }
}
