//! Installation, upgrade, removal.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::{CONFIG, EVERY_SECOND, Machine, package};

/// Mode, owner and group of what is there.
fn owned(machine: &Machine, path: &str) -> String {
    machine.sh(&format!("stat --format='%a %U:%G' {path}")).exits(0).stdout.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn an_installation_brings_what_is_needed_and_starts_nothing() {
    let machine = Machine::boot("install").await;
    for (path, expected) in [
        ("/usr/bin/graphkeeper", "755 root:root"),
        ("/etc/graphkeeper", "750 root:graphkeeper"),
        (CONFIG, "640 root:graphkeeper"),
        ("/var/lib/graphkeeper", "750 graphkeeper:graphkeeper"),
    ] {
        assert_eq!(owned(&machine, path), expected, "{path}");
    }
    let files = machine.sh("dpkg --listfiles graphkeeper").exits(0).stdout;
    for file in [
        "/usr/share/man/man1/graphkeeper-history-show.1.gz",
        "/usr/share/doc/graphkeeper/examples/credentials.conf",
        "/usr/share/bash-completion/completions/graphkeeper",
        "/usr/share/zsh/vendor-completions/_graphkeeper",
        "/usr/share/fish/vendor_completions.d/graphkeeper.fish",
    ] {
        assert!(files.lines().any(|line| line == file), "{file} is not in\n{files}");
    }
    machine.sh("id graphkeeper && bash -n /usr/share/bash-completion/completions/graphkeeper").exits(0);
    assert_eq!(machine.property("graphkeeper", "ActiveState"), "inactive");
    assert_eq!(machine.property("graphkeeper", "UnitFileState"), "disabled");
    let check = machine.graphkeeper("graphkeeper", "check").exits(0).stdout;
    assert!(check.contains("The configuration is good (2 warnings)"), "{check}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn an_upgrade_keeps_all_a_removal_too_and_a_purge_takes_it() {
    let machine = Machine::serving("upgrade", EVERY_SECOND).await;
    let configured = machine.sh(&format!("sha256sum {CONFIG}")).exits(0).stdout;
    machine.sh("chown root:root /etc/graphkeeper && chmod 0755 /etc/graphkeeper").exits(0); // an administrator's choice
    let before = machine.until_runs(2);
    let process = machine.property("graphkeeper", "MainPID");

    let scratch = tempfile::tempdir().unwrap();
    machine.push(&newer(scratch.path()), "/root/newer.deb", &[]);
    machine.sh("dpkg --install /root/newer.deb").exits(0);
    assert!(machine.sh("dpkg --status graphkeeper").exits(0).stdout.contains("Version: 9.9.9-1"));
    assert_eq!(machine.property("graphkeeper", "ActiveState"), "active");
    assert_ne!(machine.property("graphkeeper", "MainPID"), process, "the new program serves");
    assert_eq!(machine.sh(&format!("sha256sum {CONFIG}")).exits(0).stdout, configured);
    assert_eq!(owned(&machine, "/etc/graphkeeper"), "755 root:root");
    let after = machine.until_runs(before.len() + 1);
    assert!(before.iter().all(|run| after.contains(run)), "{before:?} are not all in {after:?}");

    machine.sh("mkdir /var/lib/graphkeeper-north && chown graphkeeper: /var/lib/graphkeeper-north").exits(0);
    machine.sh("mkdir /var/lib/graphkeeper-of-others").exits(0);
    machine.sh("dpkg --remove graphkeeper").exits(0);
    assert_eq!(machine.property("graphkeeper", "ActiveState"), "inactive");
    machine.sh(&format!("test -e /var/lib/graphkeeper/graphkeeper.db && test -e {CONFIG}")).exits(0);

    machine.sh("dpkg --purge graphkeeper").exits(0);
    machine.sh("test ! -e /var/lib/graphkeeper && test ! -e /var/lib/graphkeeper-north").exits(0);
    machine.sh("test ! -e /etc/graphkeeper && test ! -e /usr/bin/graphkeeper").exits(0);
    machine.sh("test -d /var/lib/graphkeeper-of-others && id graphkeeper").exits(0);
    machine.sh("test -z \"$(find /etc/systemd /var/lib/systemd -name 'graphkeeper.service')\"").exits(0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn an_upgrade_does_not_start_what_did_not_run_and_a_service_removed_for_a_while_is_as_before() {
    let machine = Machine::serving("again", EVERY_SECOND).await;
    machine.sh("systemctl enable graphkeeper && systemctl stop graphkeeper").exits(0);
    machine.sh("dpkg --install /root/graphkeeper.deb").exits(0);
    assert_eq!(machine.property("graphkeeper", "ActiveState"), "inactive");
    machine.sh("dpkg --remove graphkeeper && dpkg --install /root/graphkeeper.deb").exits(0);
    assert_eq!(machine.property("graphkeeper", "UnitFileState"), "enabled");
    machine.sh("systemctl start graphkeeper").exits(0);
}

/// The same package under a later version.
fn newer(scratch: &Path) -> PathBuf {
    let (tree, made) = (scratch.join("tree"), scratch.join("newer.deb"));
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    run(Command::new("dpkg-deb").arg("--raw-extract").arg(package()).arg(&tree));
    run(Command::new("sed").args(["-i", "s/^Version: .*/Version: 9.9.9-1/"]).arg(tree.join("DEBIAN/control")));
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Zgzip", "-z1", "--build"]).arg(&tree).arg(&made));
    made
}
