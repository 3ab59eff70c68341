//! References to secrets: a configuration says where a secret is, never what it is.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::regular;
use crate::pki::{pem, pfx};
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
    /// A file of certificates: no secret, so that everybody may read it.
    Certificates(PathBuf),
    /// One of the above in which there may be a PFX: its bytes come as a part of PEM, since secrets are text.
    MaybePfx(Box<SecretRef>),
}

/// A secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{what} {} cannot be read", path.display())]
    Unreadable { what: &'static str, path: PathBuf, source: io::Error },
    #[error("secret file {} can be read by everybody (mode {mode:04o})", path.display())]
    WorldReadable { path: PathBuf, mode: u32 },
    #[error("secret file {} is not text", path.display())]
    NotText { path: PathBuf },
    #[error("certificate file {} is not text, and so not PEM", path.display())]
    NotPem { path: PathBuf },
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
            Self::Unreadable { path, source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(format!("let the user who runs this read {}", path.display()))
            }
            Self::NotSet { name } => Some(format!("set {name}, or name a file: {{ file = \"…\" }}")),
            Self::NoCredentials { name } => {
                Some(format!("start the service with LoadCredential={name}:/path/to/file, or use {{ file = \"…\" }}"))
            }
            Self::NotText { path } => Some(format!(
                "if it is a PFX (PKCS#12) with a certificate and its key, leave `private_key` out, or take it apart: \
                 `openssl pkcs12 -in {} -nodes -out FILE.pem`",
                path.display()
            )),
            Self::NotPem { path } => Some(format!(
                "if it is one certificate in DER form: `openssl x509 -inform der -in {} -out FILE.pem`",
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
            Self::WorldReadable { .. } | Self::NotText { .. } | Self::NotPem { .. } | Self::Empty { .. } => false,
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
            Self::File(path) => text(path, &private(path)?, SECRET),
            Self::TokenFile(path) => text(path, &bytes(path, SECRET)?, SECRET),
            Self::Certificates(path) => match text(path, &bytes(path, CERTIFICATES)?, CERTIFICATES) {
                Err(SecretError::NotText { path }) => Err(SecretError::NotPem { path }),
                read => read,
            },
            Self::Env(name) => {
                let value = lookup(env, name).ok_or_else(|| SecretError::NotSet { name: name.clone() })?;
                filled(value, || format!("environment variable {name}"))
            }
            Self::Credential(name) => {
                let directory = lookup(env, "CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| SecretError::NoCredentials { name: name.clone() })?;
                Self::File(Path::new(directory).join(name)).read(env)
            }
            Self::MaybePfx(place) => match place.read(env) {
                Err(SecretError::NotText { path }) => Ok(pem::write(pfx::LABEL, &private(&path)?)),
                read => read,
            },
        }
    }

    /// What happens with the secret when its place is given another one: the file in which the next reading finds it, if
    /// there is one. Not that of a token, which the platform renews many times a day.
    #[must_use]
    pub fn watched_file(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Certificates(path) => Some(path),
            Self::MaybePfx(place) => place.watched_file(),
            Self::TokenFile(_) | Self::Env(_) | Self::Credential(_) => None,
        }
    }

    /// Whether a process goes on with what it was started with.
    #[must_use]
    pub fn is_from_the_start(&self) -> bool {
        match self {
            Self::Env(_) | Self::Credential(_) => true,
            Self::MaybePfx(place) => place.is_from_the_start(),
            Self::File(_) | Self::TokenFile(_) | Self::Certificates(_) => false,
        }
    }
}

/// What messages call files.
const SECRET: &str = "secret file";
const CERTIFICATES: &str = "certificate file";

fn lookup<'a>(env: &'a [(String, String)], name: &str) -> Option<&'a str> {
    env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The content of a file that not everybody may read.
fn private(path: &Path) -> Result<Wiped<Vec<u8>>, SecretError> {
    let unreadable = |source| SecretError::Unreadable { what: SECRET, path: path.to_owned(), source };
    let mode = regular::metadata(path).map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o004 != 0 {
        return Err(SecretError::WorldReadable { path: path.to_owned(), mode });
    }
    bytes(path, SECRET)
}

fn bytes(path: &Path, what: &'static str) -> Result<Wiped<Vec<u8>>, SecretError> {
    let read = regular::read(path).map(Wiped::new);
    read.map_err(|source| SecretError::Unreadable { what, path: path.to_owned(), source })
}

fn text(path: &Path, bytes: &[u8], what: &str) -> Result<Secret, SecretError> {
    let text = str::from_utf8(bytes).map_err(|_| SecretError::NotText { path: path.to_owned() })?;
    filled(text.trim_start_matches('\u{feff}'), || format!("{what} {}", path.display()))
}

/// Line ends and blanks around a secret come from editors and `echo`; no vendor's secret has them.
fn filled(text: &str, what: impl FnOnce() -> String) -> Result<Secret, SecretError> {
    let text = text.trim();
    if text.is_empty() { Err(SecretError::Empty { what: what() }) } else { Ok(Secret::new(text.to_owned())) }
}
