//! What a service tells whoever manages it.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// The service manager's end of `NOTIFY_SOCKET`.
#[derive(Debug)]
pub(crate) struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    pub(crate) fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("the socket binds");
        socket.set_read_timeout(Some(Duration::from_mins(5))).expect("a socket takes a timeout");
        Self { socket }
    }

    /// Waits for a message that satisfies `wanted`.
    pub(crate) fn wait(&self, wanted: impl Fn(&str) -> bool) {
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).expect("the service says how it is");
            if wanted(&String::from_utf8_lossy(&buffer[..length])) {
                return;
            }
        }
    }
}
