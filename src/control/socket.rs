//! The socket as a file: made for the service and its group, taken over from a service that died, removed at the end.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;

/// For the service and its group.
const MODE: u32 = 0o660;
/// For the directory of the socket, where the service has to make it.
const DIRECTORY_MODE: u32 = 0o750;
/// What the kernel takes as a socket's path, in bytes, its end not counted. Source: `man 7 unix`.
const LONGEST: usize = 107;
/// How many connections may wait to be taken; the kernel has a bound of its own.
const BACKLOG: i32 = 1024;
/// The longest text that is read of whoever holds a socket: a path and a little.
const HOLDER: u64 = 8192;

/// Why the service cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("{} is too long for a socket: {} bytes, and {LONGEST} are allowed", path.display(), path.as_os_str().len())]
    TooLong { path: PathBuf },
    #[error("{} belongs to {holder}", path.display())]
    Held { path: PathBuf, holder: Holder },
    #[error("another program listens on {} already", path.display())]
    Taken { path: PathBuf },
    #[error("{} is in the way: it is no socket", path.display())]
    NoSocket { path: PathBuf },
    #[error("cannot listen on {}", path.display())]
    Unusable { path: PathBuf, source: io::Error },
}

impl SocketError {
    /// What an operator can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "name a shorter place: `[control] socket`",
            Self::Held { .. } | Self::Taken { .. } => "give each service its own `[control] socket`",
            Self::NoSocket { .. } => "move it away, or name another place: `[control] socket`",
            Self::Unusable { .. } => "the directory must be writable for the user that runs the service",
        }
    }
}

/// The service that a socket belongs to, as far as it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder(Option<(u32, PathBuf)>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some((pid, state)) => write!(f, "process {pid}, which serves {}", state.display()),
            None => f.write_str("another service"),
        }
    }
}

/// A listening socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// The file that is ours: device and inode.
    file: (u64, u64),
    /// Given back after the file is gone.
    _place: Place,
}

impl Socket {
    /// Listens at `path`, with the mode 0660 and the group of the process, for the service of the state directory `state`.
    /// What a service that died left there is replaced; the directory is made where it is missing. Waits for nobody.
    pub fn open(path: &Path, state: &Path) -> Result<Self, SocketError> {
        if path.as_os_str().as_bytes().len() > LONGEST {
            return Err(SocketError::TooLong { path: path.to_owned() });
        }
        let unusable = |source| SocketError::Unusable { path: path.to_owned(), source };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory).map_err(unusable)?;
        }
        let place = Place::take(path, state)?;
        clear(path)?;
        let listener = listen(path).map_err(unusable)?;
        let file = fs::symlink_metadata(path).map_err(unusable)?;
        Ok(Self { listener, path: path.to_owned(), file: (file.dev(), file.ino()), _place: place })
    }
}

/// Makes the file with its mode before anybody can connect: what is asked of a socket that is bound and does not listen yet
/// is refused by the kernel.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = socket()?;
    // The kernel makes the file with the socket's mode less the umask: never wider than meant.
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(MODE))?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
}

/// One that never blocks.
fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// Removes the socket of a service that died. One on which somebody listens is left alone, also when it hangs and takes no
/// connection any more, and so is a file of another kind.
fn clear(path: &Path) -> Result<(), SocketError> {
    let unusable = |source| SocketError::Unusable { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(SocketError::NoSocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    let address = SocketAddrUnix::new(path).map_err(|error| unusable(error.into()))?;
    match rustix::net::connect(socket().map_err(unusable)?, &address) {
        // "Again": so many wait to be taken that there is no room for another. Source: `man 2 connect`.
        Ok(()) | Err(Errno::AGAIN) => Err(SocketError::Taken { path: path.to_owned() }),
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(unusable),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(unusable(error.into())),
    }
}

/// The right to the socket: a kernel lock on a file beside it, which the kernel takes back however its holder dies. The file
/// stays, since a lock on a file that is removed keeps nobody out.
#[derive(Debug)]
struct Place {
    _lock: File,
}

impl Place {
    fn take(socket: &Path, state: &Path) -> Result<Self, SocketError> {
        let mut path = socket.to_owned().into_os_string();
        path.push(".lock");
        let unusable = |source| SocketError::Unusable { path: socket.to_owned(), source };
        // Nobody else may hold it, and what lies behind a link is not overwritten.
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(|error| unusable(error.into()))?;
        let mut lock = File::from(lock);
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = Holder(holder(&mut lock));
                return Err(SocketError::Held { path: socket.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        // For whoever comes next to say. On a full disk they say less.
        let _ = lock.set_len(0).and_then(|()| write!(lock, "{} {}", std::process::id(), state.display()));
        Ok(Self { _lock: lock })
    }
}

/// What the holder of a lock file wrote into it.
fn holder(lock: &mut File) -> Option<(u32, PathBuf)> {
    let mut text = String::new();
    lock.take(HOLDER).read_to_string(&mut text).ok()?;
    let (pid, state) = text.split_once(' ')?;
    Some((pid.parse().ok()?, state.into()))
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
    use std::os::unix::net;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn open(path: &Path) -> Result<Socket, SocketError> {
        Socket::open(path, Path::new("/var/lib/gk"))
    }

    #[tokio::test]
    async fn a_living_services_socket_is_not_taken_and_its_file_goes_with_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("run/control.sock");
        let first = open(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o660, 0o750));
        assert!(net::UnixStream::connect(&path).is_ok());
        for removed in [false, true] {
            if removed {
                fs::remove_file(&path).unwrap(); // somebody cleaned up
            }
            let held = open(&path).unwrap_err();
            let said =
                format!("{} belongs to process {}, which serves /var/lib/gk", path.display(), std::process::id());
            assert_eq!(held.to_string(), said);
        }
        drop(first);
        let second = open(&path).unwrap();
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_dead_service_left_is_replaced_and_what_another_program_made_stays() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("control.sock");
        drop(net::UnixListener::bind(&path).unwrap()); // the standard library leaves the file
        assert!(path.exists());
        let ours = open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let theirs = net::UnixListener::bind(&path).unwrap();
        drop(ours);
        assert!(net::UnixStream::connect(&path).is_ok(), "the file is the other's");
        assert!(matches!(open(&path), Err(SocketError::Taken { .. })));
        drop(theirs);
    }

    #[tokio::test]
    async fn a_program_that_takes_no_connections_any_more_holds_nobody_up() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("control.sock");
        let frozen = socket().unwrap();
        rustix::net::bind(&frozen, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&frozen, 0).unwrap();
        let address = SocketAddrUnix::new(&path).unwrap();
        let mut waiting = Vec::new();
        loop {
            let one = socket().unwrap();
            match rustix::net::connect(&one, &address) {
                Ok(()) => waiting.push(one),
                Err(error) => break assert_eq!(error, Errno::AGAIN, "after {} connections", waiting.len()),
            }
        }
        let (tell, told) = std::sync::mpsc::channel();
        let asked = path.clone();
        std::thread::spawn(move || tell.send(clear(&asked)));
        let cleared = told.recv_timeout(std::time::Duration::from_secs(10)).expect("it does not wait");
        assert!(matches!(cleared, Err(SocketError::Taken { .. })), "{cleared:?}");
        assert!(path.exists());
    }

    #[tokio::test]
    async fn nobody_can_connect_before_the_file_has_its_mode() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("control.sock");
        let asked = path.clone();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        // Looks at the file all the while it is made anew.
        let watcher = std::thread::spawn(move || {
            let mut modes = std::collections::BTreeSet::new();
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                modes.extend(fs::metadata(&asked).ok().map(|file| file.permissions().mode() & 0o777));
            }
            modes
        });
        for _ in 0..300 {
            drop(open(&path).unwrap());
        }
        stop.send(()).unwrap();
        let modes = watcher.join().unwrap();
        assert!(modes.iter().all(|mode| mode & !MODE == 0), "{modes:?}");
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_and_a_path_too_long_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(open(&path), Err(SocketError::NoSocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let long = home.path().join("s".repeat(LONGEST));
        assert!(matches!(open(&long), Err(SocketError::TooLong { .. })));
        // What a link leads to is not written into.
        let linked = home.path().join("linked.sock");
        std::os::unix::fs::symlink(&path, home.path().join("linked.sock.lock")).unwrap();
        assert!(matches!(open(&linked), Err(SocketError::Unusable { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
