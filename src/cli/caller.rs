//! Who typed the command, for the record.

use crate::control::peer;

/// The user of the process, and who is said to be behind `sudo`.
#[must_use]
pub(super) fn name() -> String {
    peer::with_claim(&peer::user(peer::me()), sudo_user().as_deref())
}

/// Who became this user, as `sudo` says in the environment. Whoever sets that can say anything.
#[must_use]
pub(super) fn sudo_user() -> Option<String> {
    std::env::var("SUDO_USER").ok()
}
