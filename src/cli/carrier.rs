//! Who carries a command out: the service, when it answers on its socket, else this process, when the state is its own.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::cli::failure::Failure;
use crate::cli::render;
use crate::cli::{caller, exit};
use crate::config::settings::Settings;
use crate::control::client::Client;
use crate::control::peer;
use crate::jobs::lock::{self, SERVICE};

/// Who carries a command out.
#[derive(Debug)]
pub(super) enum Carrier {
    Service(Client),
    /// This process. `beside` is the service that serves the same state directory and cannot be asked.
    Here {
        beside: Option<String>,
    },
}

/// Finds out, and says so where it is the service.
///
/// # Errors
///
/// Nobody can: the service does not let this user ask, or there is none and the state directory is another user's.
pub(super) async fn carrier(settings: &Settings) -> Result<Carrier, Failure> {
    let state = &settings.state_directory;
    if let Some(client) = Client::reach(&settings.control.socket, state).await? {
        render::say(&format!("the service (process {}) carries it out", client.about.pid));
        return Ok(Carrier::Service(client.claiming(caller::sudo_user().as_deref())));
    }
    let beside = unheard(state);
    let socket = settings.control.socket.display();
    if let Some(owner) = stranger(state) {
        let me = peer::user(peer::me());
        return Err(not_ours(state, &owner, &me, beside.as_deref(), &socket.to_string()));
    }
    if let Some(who) = &beside {
        render::say(&format!("{who} serves {} but does not listen on {socket}: done beside it", state.display()));
    }
    Ok(Carrier::Here { beside })
}

/// Refuses to let a command put files into the state directory of another user.
pub(super) fn own(state: &Path, command: &str) -> Result<(), Failure> {
    let Some(owner) = stranger(state) else { return Ok(()) };
    let (me, state) = (peer::user(peer::me()), state.display());
    let message = format!("the state directory {state} belongs to {owner}, and this is {me}");
    let hint = format!("run it as its owner: `sudo -u {} graphkeeper {command}`", sudo(&owner));
    Err(Failure::new(exit::USAGE, message, Some(hint)))
}

/// The owner of a state directory, if that is another user. One that is not there yet is nobody's.
fn stranger(state: &Path) -> Option<String> {
    let owner = state.metadata().ok()?.uid();
    (owner != peer::me()).then(|| peer::user(owner))
}

/// A user as `sudo` takes one: a number without a name stands behind `#`.
fn sudo(user: &str) -> String {
    user.strip_prefix("uid ").map_or_else(|| user.to_owned(), |uid| format!("'#{uid}'"))
}

/// The service that holds a state directory, as far as that can be seen.
fn unheard(state: &Path) -> Option<String> {
    (lock::is_held(state, SERVICE) == Some(true)).then(|| match lock::holder(state, SERVICE) {
        Some(holder) => format!("process {}", holder.pid),
        None => "a service".to_owned(),
    })
}

/// The files of a state directory are its owner's: what another user made there, root too, the service could not use.
fn not_ours(state: &Path, owner: &str, me: &str, beside: Option<&str>, socket: &str) -> Failure {
    let state = state.display();
    let (reason, start) = match beside {
        Some(who) => (
            format!("{who} serves it but does not listen on {socket}"),
            "look into the service's log why it does not listen",
        ),
        None => (format!("no service answers on {socket}"), "start the service, which then carries it out"),
    };
    let message = format!("the state directory {state} belongs to {owner}, and this is {me}; {reason}");
    let hint = format!("{start}; or `sudo -u {} graphkeeper …`", sudo(owner));
    Failure::new(exit::FAILED, message, Some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_state_directory_is_refused_with_its_owner_and_the_way_out() {
        let failure = not_ours(Path::new("/var/lib/gk"), "gk", "root", None, "/run/gk/control.sock");
        insta::assert_snapshot!(failure.text(), @r"
        error: the state directory /var/lib/gk belongs to gk, and this is root; no service answers on /run/gk/control.sock
        hint: start the service, which then carries it out; or `sudo -u gk graphkeeper …`
        ");
        assert_eq!((sudo("gk").as_str(), sudo("uid 7").as_str()), ("gk", "'#7'"));
        let failure = not_ours(Path::new("/var/lib/gk"), "gk", "ana", Some("process 7"), "/run/gk/control.sock");
        insta::assert_snapshot!(failure.text(), @r"
        error: the state directory /var/lib/gk belongs to gk, and this is ana; process 7 serves it but does not listen on /run/gk/control.sock
        hint: look into the service's log why it does not listen; or `sudo -u gk graphkeeper …`
        ");
    }
}
