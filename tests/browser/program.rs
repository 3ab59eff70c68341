//! The real program: `graphkeeper demo` with a directory of its own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;
use tokio::sync::oneshot;

/// Another run of the job goes on.
const BUSY: i32 = 6;

/// A running demo. It is killed with this.
pub(crate) struct Demo {
    child: Child,
    home: TempDir,
    /// The page's address, without a slash at its end.
    pub(crate) page: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphkeeper"));
    command.env_clear().env("TZ", "UTC").env("HOME", home).env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command
}

impl Demo {
    /// Starts it with these arguments and waits until it says where its page is.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments).await
    }

    /// The same in a directory that something was put into.
    pub(crate) async fn start_in(home: TempDir, arguments: &[&str]) -> Self {
        let state = home.path().join("demo");
        let (mut command, log) = (program(home.path()), home.path().join("log"));
        command.arg("demo").arg("--state").arg(&state).args(arguments).stdout(Stdio::piped());
        command.stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || {
            let mut tell = Some(tell);
            for line in said.lines().map_while(Result::ok) {
                let Some(page) = line.strip_prefix("Page: ") else { continue };
                if let Some(tell) = tell.take() {
                    let _ = tell.send(page.trim_end_matches('/').to_owned());
                }
            }
        });
        let told = tokio::time::timeout(super::BOUND, told).await.expect("the demo starts in time");
        let page = told.unwrap_or_else(|_| panic!("no page: {}", fs::read_to_string(&log).unwrap_or_default()));
        Self { child, home, page }
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.home.path().join("demo/graphkeeper.toml")
    }

    /// A command beside the running demo.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let mut command = program(self.home.path());
        command.arg("--config").arg(self.configuration()).args(arguments).output().unwrap()
    }

    /// Has the service run a job to its end, whatever came of it: one that a schedule began goes first.
    pub(crate) async fn run(&self, job: &str) {
        super::until(job, || async { (self.command(&["run", job]).status.code() != Some(BUSY)).then_some(()) }).await;
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        super::until("the demo ends", || {
            let ended = self.child.try_wait().unwrap();
            async move { ended.map(drop) }
        })
        .await;
    }
}
