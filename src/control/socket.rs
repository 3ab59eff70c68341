//! The socket as a file: made for the service and its group, taken over from a service that died, removed at the end.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// For the service and its group.
const MODE: u32 = 0o660;
/// For the directory of the socket, where the service has to make it.
const DIRECTORY_MODE: u32 = 0o750;
/// What the kernel takes as a socket's path, in bytes, its end not counted. Source: `man 7 unix`.
const LONGEST: usize = 107;

/// Why the service cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("{} is too long for a socket: {} bytes, and {LONGEST} are allowed", path.display(), path.as_os_str().len())]
    TooLong { path: PathBuf },
    #[error("another program answers on {} already", path.display())]
    Taken { path: PathBuf },
    #[error("{} is in the way: it is no socket", path.display())]
    NoSocket { path: PathBuf },
    #[error("cannot listen on {}", path.display())]
    Unusable { path: PathBuf, source: io::Error },
}

/// A listening socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// The file that is ours: device and inode.
    file: (u64, u64),
}

impl Socket {
    /// Listens at `path`, with the mode 0660 and the group of the process. What a service that died left there is replaced;
    /// the directory is made where it is missing.
    pub fn open(path: &Path) -> Result<Self, SocketError> {
        if path.as_os_str().as_bytes().len() > LONGEST {
            return Err(SocketError::TooLong { path: path.to_owned() });
        }
        let unusable = |source| SocketError::Unusable { path: path.to_owned(), source };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory).map_err(unusable)?;
        }
        clear(path)?;
        let listener = UnixListener::bind(path).map_err(unusable)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(unusable)?;
        let file = fs::symlink_metadata(path).map_err(unusable)?;
        Ok(Self { listener, path: path.to_owned(), file: (file.dev(), file.ino()) })
    }
}

/// Removes the socket of a service that died. One that answers is left alone, and so is a file of another kind.
fn clear(path: &Path) -> Result<(), SocketError> {
    let unusable = |source| SocketError::Unusable { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(SocketError::NoSocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(unusable),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable(error)),
        Ok(_) => Err(SocketError::Taken { path: path.to_owned() }),
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.file);
        if is_ours {
            // One that stays is replaced by the next service.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_living_services_socket_is_not_taken_and_its_file_goes_with_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("run/control.sock");
        let first = Socket::open(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o660, 0o750));
        assert!(matches!(Socket::open(&path), Err(SocketError::Taken { .. })));
        assert!(UnixStream::connect(&path).is_ok(), "the first still listens");
        drop(first);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_dead_service_left_is_replaced_and_what_another_service_made_stays() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap()); // the standard library leaves the file
        assert!(path.exists());
        let first = Socket::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = Socket::open(&path).unwrap();
        drop(first);
        assert!(UnixStream::connect(&path).is_ok(), "the file is the second one's");
        drop(second);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_and_a_path_too_long_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Socket::open(&path), Err(SocketError::NoSocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let long = home.path().join("s".repeat(LONGEST));
        assert!(matches!(Socket::open(&long), Err(SocketError::TooLong { .. })));
    }
}
