//! Files as they are read here: regular ones alone. Reading a FIFO waits for whoever writes into it, perhaps for ever.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// The content of the file at `path`.
///
/// # Errors
///
/// It cannot be read, or is something else than a regular file, which is named.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    metadata(path)?;
    fs::read(path)
}

/// What there is to know of the file at `path`, short of its content.
///
/// # Errors
///
/// As [`read`].
pub(super) fn metadata(path: &Path) -> io::Result<Metadata> {
    let found = fs::metadata(path)?;
    let kind = found.file_type();
    let other = match () {
        () if kind.is_file() => return Ok(found),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(io::Error::other(format!("it is {other}, and only regular files are read")))
}
