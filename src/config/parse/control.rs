//! Where the running service listens to commands.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::config::key::KeyPath;
use crate::config::parse::Parser;
use crate::config::raw::RawControl;
use crate::config::settings::ControlSettings;

/// What a Unix socket's name may take, in bytes: `sun_path` has 108, and one is for the end.
/// Source: `unix(7)`
const LONGEST: usize = 107;

impl Parser<'_> {
    /// `control.socket`, else the place that goes with the state directory.
    pub(super) fn control(&mut self, raw: RawControl, state: &Path) -> Option<ControlSettings> {
        let key = KeyPath::of("control.socket");
        let socket = match raw.socket {
            Some(written) => self.path(&key, &written)?,
            None => socket_beside(state),
        };
        let length = socket.as_os_str().as_bytes().len();
        if length > LONGEST {
            let socket = socket.display();
            let message = format!(
                "{socket} has {length} bytes, and a socket's path at most {LONGEST}: write a shorter one, such as \
                 \"/run/graphkeeper/control.sock\""
            );
            self.report.problem(&key, message);
            return None;
        }
        Some(ControlSettings { socket })
    }
}

/// systemd gives a unit `/run/X` (`RuntimeDirectory=`) beside `/var/lib/X` (`StateDirectory=`). Elsewhere the state
/// directory is the one place that the service may surely write.
fn socket_beside(state: &Path) -> PathBuf {
    let runtime = state.strip_prefix("/var/lib").ok().filter(|name| !name.as_os_str().is_empty());
    runtime.map_or_else(|| state.to_owned(), |name| Path::new("/run").join(name)).join("control.sock")
}
