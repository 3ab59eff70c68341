//! Who may use the socket, whose files stay whose, and who is recorded.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use crate::control::{NEVER, by_the_service, quiet};
use crate::support::Org;

/// A member of the service's group, and somebody else. Neither has a name.
pub(crate) const MEMBER: (u32, u32) = (54_321, 43_210);
const OUTSIDER: (u32, u32) = (54_322, 54_322);

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_for_the_service_and_its_group() {
    let org = quiet(&["ana"]).await;
    let service = org.serve().await;
    let socket = fs::metadata(org.socket()).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.mode() & 0o777, 0o660);
    service.terminate();
    service.finish().await.exits(0);
}

/// The socket in a directory of its own, as in `/run`, and a home that others may enter.
pub(crate) fn open_house(org: &Org) -> String {
    fs::set_permissions(org.home(), Permissions::from_mode(0o755)).unwrap();
    let socket = org.home().join("run/control.sock");
    format!("{NEVER}[control]\nsocket = \"{}\"\n", socket.display())
}

pub(crate) fn owners(directory: &Path) -> Vec<u32> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: std::path::PathBuf| {
        let below = if path.is_dir() { owners(&path) } else { Vec::new() };
        below.into_iter().chain([fs::symlink_metadata(&path).unwrap().uid()])
    };
    entries.flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(may_become_others), ignore = "only root can become a member of the group and an outsider")]
async fn a_member_of_the_group_needs_no_secret_and_owns_no_file_and_an_outsider_is_told_the_group() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(&open_house(&org));
    org.moves("ana", "bo");
    let mut service = org.spawn_as(0, MEMBER.1, &["daemon"]);
    service.says("serving").await;
    let run = org.spawn_as(MEMBER.0, MEMBER.1, &["run", "managers", "--json"]).finish().await.exits(0);
    by_the_service(&run, &service);
    assert_eq!(org.database().await.texts("select caller from run").await, ["uid 54321"]);
    let paused = org.spawn_as(MEMBER.0, MEMBER.1, &["pause", "managers", "--json"]).finish().await.exits(0);
    assert_eq!(paused.json()["by"], "uid 54321");
    assert!(owners(&org.state()).iter().all(|owner| *owner == 0), "{:?}", owners(&org.state()));
    let refused = org.spawn_as(OUTSIDER.0, OUTSIDER.1, &["run", "managers"]).finish().await.exits(1);
    assert!(refused.stderr.contains("is not open to uid 54322"), "{}", refused.stderr);
    assert!(refused.stderr.contains("members of the group `gid 43210`"), "{}", refused.stderr);
    service.terminate();
    service.finish().await.exits(0);
    let refused = org.spawn_as(MEMBER.0, MEMBER.1, &["run", "managers"]).finish().await.exits(1);
    assert!(
        refused.stderr.contains("belongs to root, and this is uid 54321; no service answers"),
        "{}",
        refused.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(may_become_others), ignore = "only root can give a directory to another user")]
async fn root_leaves_no_files_of_its_own_in_the_services_state_directory() {
    let org = quiet(&["ana"]).await;
    fs::create_dir_all(org.state()).unwrap();
    chown(org.state(), Some(MEMBER.0), Some(MEMBER.1)).unwrap();
    for command in [&["run", "managers"][..], &["pause", "managers"], &["release", "ana"], &["accept-source", "7f"]] {
        let refused = org.shows(command).await.exits(1);
        assert!(refused.stderr.contains("belongs to uid 54321, and this is root"), "{}", refused.stderr);
        assert!(refused.stderr.contains("hint: start the service"), "{}", refused.stderr);
    }
    let refused = org.shows(&["daemon"]).await.exits(2);
    assert!(refused.stderr.contains("`sudo -u '#54321' graphkeeper daemon`"), "{}", refused.stderr);
    assert_eq!(fs::read_dir(org.state()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(may_become_others), ignore = "only root is believed")]
async fn what_sudo_says_is_recorded_as_a_claim_of_root_alone() {
    let mut org = Org::team(["ana", "bo"]).await;
    org.configure(&open_house(&org));
    org.env.push(("SUDO_USER".to_owned(), "eve".to_owned()));
    org.reconcile().await.exits(0);
    let mut service = org.spawn_as(0, MEMBER.1, &["daemon"]);
    service.says("serving").await;
    by_the_service(&org.reconcile().await.exits(0), &service);
    org.spawn_as(MEMBER.0, MEMBER.1, &["run", "managers"]).finish().await.exits(0);
    let callers = org.database().await.texts("select caller from run order by started_at").await;
    assert_eq!(callers, ["root (sudo: eve)", "root (sudo: eve)", "uid 54321"]);
    service.terminate();
    service.finish().await.exits(0);
}
