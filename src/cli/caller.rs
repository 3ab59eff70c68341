//! Who typed the command, for the record.

use crate::control::peer;

/// The person behind `sudo`, else the user of the process by name, else by number.
#[must_use]
pub(super) fn name() -> String {
    let sudo = std::env::var("SUDO_USER").ok().filter(|name| !name.trim().is_empty());
    sudo.unwrap_or_else(|| peer::user(peer::me()))
}
