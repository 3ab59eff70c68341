//! What the measurements share: a runtime for the sandbox, a place on disk, the program as a process.

pub(crate) mod chain;
pub(crate) mod daemon;
pub(crate) mod database;
pub(crate) mod history;
pub(crate) mod manager;
pub(crate) mod pass;
pub(crate) mod process;
pub(crate) mod scale;
pub(crate) mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use graphkeeper::sandbox::server::Rates;
use graphkeeper::sandbox::{Options, Sandbox};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Nothing here may hang: what takes longer than this is broken.
pub(crate) const PATIENCE: Duration = Duration::from_mins(20);

/// The ground under all measurements.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    place: TempDir,
}

impl Bench {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        let place = tempfile::Builder::new().prefix("graphkeeper-bench-").tempdir().expect("a temporary directory");
        Self { runtime, place }
    }

    /// A fresh directory.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.place.path().join(name);
        std::fs::create_dir(&path).expect("a directory of our own can be made");
        path
    }

    /// A sandbox in this process that throttles nobody, with the usual drift between its two sides.
    pub(crate) fn sandbox(&self, people: u32, latency: Duration) -> Sandbox {
        let options = Options { people, latency, rates: Rates::unlimited(), ..Options::default() };
        self.runtime.block_on(Sandbox::start(options)).expect("the sandbox starts")
    }
}

/// The configuration for `sandbox` with its state below `directory`, written there. `edit` may change the text.
pub(crate) fn configure(sandbox: &Sandbox, directory: &Path, edit: impl Fn(String) -> String) -> PathBuf {
    let text = sandbox.configuration(directory).expect("the secrets are written");
    let file = directory.join("graphkeeper.toml");
    std::fs::write(&file, edit(text)).expect("the configuration is written");
    file
}

/// The program as it is shipped, without variables that would change what it does, and silent.
pub(crate) fn program(configuration: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphkeeper"));
    command.env_clear().arg("--config").arg(configuration);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A number from the environment.
pub(crate) fn setting<T: FromStr>(name: &str, usual: T) -> T {
    let given = std::env::var(format!("GRAPHKEEPER_BENCH_{name}")).ok();
    given.and_then(|text| text.trim().parse().ok()).unwrap_or(usual)
}

/// The one in the middle of an odd number.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
