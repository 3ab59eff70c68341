//! A mount namespace of its own, in which the state directory lies on another file system or cannot be written. Needs no
//! root where the kernel lets users have namespaces.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::process::Process;
use crate::support::{Org, within};

/// A process that does nothing but keep the namespace. It ends when dropped.
pub(crate) struct Jail {
    keeper: Child,
}

impl Jail {
    /// The state directory on a file system in memory, mounted with these options.
    pub(crate) async fn with_tmpfs(org: &Org, options: &str) -> Self {
        Self::mount(org, &format!("mount -t tmpfs -o {options} none \"$1\"")).await
    }

    /// The state directory as it is, but not to be written.
    pub(crate) async fn read_only(org: &Org) -> Self {
        Self::mount(org, "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"").await
    }

    async fn mount(org: &Org, how: &str) -> Self {
        fs::create_dir_all(org.state()).unwrap();
        let script = format!("{how} && echo ready && exec sleep infinity");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]).arg(org.state());
        let mut keeper = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let said = keeper.stdout.take().unwrap();
        let jail = Self { keeper };
        let line = tokio::task::spawn_blocking(move || BufReader::new(said).lines().next());
        let line = within("the namespace is ready", line).await.unwrap();
        assert_eq!(line.and_then(Result::ok).as_deref(), Some("ready"), "no mount namespace can be had here");
        jail
    }

    /// Starts the program inside.
    pub(crate) fn spawn(&self, org: &Org, arguments: &[&str]) -> Process {
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &self.keeper.id().to_string(), "--user", "--mount", "--preserve-credentials"]);
        Process::start_through(inside, &org.config(), arguments)
    }

    /// The state directory as it is inside.
    fn state(&self, org: &Org) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(org.state().strip_prefix("/").unwrap())
    }

    /// Leaves no room at all.
    pub(crate) fn fill(&self, org: &Org) {
        let (mut size, mut count) = (1 << 20, 0);
        while size > 0 {
            let written = fs::write(self.state(org).join(format!("filler-{count}")), vec![0_u8; size]);
            size = if written.is_ok() { size } else { size / 2 };
            count += 1;
        }
    }

    /// Takes away what filled it.
    pub(crate) fn make_room(&self, org: &Org) {
        for entry in fs::read_dir(self.state(org)).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("filler") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
