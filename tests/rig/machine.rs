//! A machine to test on: booted, with the package installed, shut down when dropped.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use graphkeeper::sandbox::{Options, Sandbox};
use serde_json::Value;
use tempfile::TempDir;

/// The most that anything may take here before the test fails. Long, for machines that are busy with other things.
const BOUND: Duration = Duration::from_mins(1);

/// A licenses job at every second, and nothing else.
pub(crate) const EVERY_SECOND: &str = "[jobs.licenses]\nkind = \"licenses\"\nschedule = \"* * * * * *\"\n";

/// A licenses job that does not come while a test lasts.
pub(crate) const YEARLY: &str = "[jobs.licenses]\nkind = \"licenses\"\nschedule = \"0 0 1 1 *\"\n";

/// The configuration that the service reads.
pub(crate) const CONFIG: &str = "/etc/graphkeeper/graphkeeper.toml";

/// The package under test.
pub(crate) fn package() -> PathBuf {
    let path = std::env::var_os("GRAPHKEEPER_DEB").expect("GRAPHKEEPER_DEB names the package: .ci/run package systemd");
    PathBuf::from(path)
}

/// A booted machine and the tenants that its service is to work on.
pub(crate) struct Machine {
    name: String,
    pub(crate) tenants: Sandbox,
    scratch: TempDir,
}

/// What a command on the machine came to.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Checks the exit code; everything that was said is in the message when it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{self:#?}"))
    }
}

impl Machine {
    /// Boots a fresh machine and installs the package; nothing is configured.
    pub(crate) async fn boot(name: &str) -> Self {
        let tenants = Sandbox::start(Options::agreed(12)).await.unwrap();
        let family = std::env::var("RIG_NAME").unwrap_or_else(|_| "graphkeeper".to_owned());
        let machine = Self { name: format!("{family}-{name}"), tenants, scratch: tempfile::tempdir().unwrap() };
        machine.rig(&["down"]); // left over from a test that was killed
        machine.rig(&["up"]).exits(0);
        machine.push(&package(), "/root/graphkeeper.deb", &[]);
        machine.sh("dpkg --install /root/graphkeeper.deb").exits(0);
        machine
    }

    /// Boots a machine whose service is configured with these jobs and with encrypted credentials, and has started.
    pub(crate) async fn serving(name: &str, jobs: &str) -> Self {
        let machine = Self::boot(name).await;
        machine.configure(CONFIG, &machine.configuration("graphkeeper", jobs));
        machine.encrypt_credentials("graphkeeper");
        machine.sh("systemctl start graphkeeper").exits(0);
        machine
    }

    /// A configuration for the tenants, with credentials by name. `state` is the directory's name below `/var/lib`.
    pub(crate) fn configuration(&self, state: &str, jobs: &str) -> String {
        configuration(&self.tenants, state, jobs)
    }

    /// Writes a configuration as an administrator does: whole, at once, readable by the group.
    pub(crate) fn configure(&self, path: &str, text: &str) {
        self.write(path, text, &["--mode", "0640", "--owner", "root:graphkeeper"]);
    }

    /// Writes a file; `options` are those of `rig push`.
    pub(crate) fn write(&self, path: &str, text: &str, options: &[&str]) {
        let file = self.scratch.path().join("pushed");
        fs::write(&file, text).unwrap();
        self.push(&file, path, options);
    }

    /// Settings for a unit beside those of the package.
    pub(crate) fn drop_in(&self, unit: &str, name: &str, text: &str) {
        self.sh(&format!("mkdir -p /etc/systemd/system/{unit}.service.d")).exits(0);
        self.write(&format!("/etc/systemd/system/{unit}.service.d/{name}.conf"), text, &[]);
        self.sh("systemctl daemon-reload").exits(0);
    }

    /// Both secrets as encrypted credentials of a unit. No plain copy stays on the machine.
    pub(crate) fn encrypt_credentials(&self, unit: &str) {
        self.encrypt_credentials_of(unit, &self.tenants);
    }

    /// The same with the secrets of other tenants.
    pub(crate) fn encrypt_credentials_of(&self, unit: &str, tenants: &Sandbox) {
        let credentials = tenants.credentials();
        let mut settings = "[Service]\n".to_owned();
        for (name, secret) in [("okta-token", &credentials.okta_token), ("entra-secret", &credentials.client_secret)] {
            let file = format!("/etc/graphkeeper/{unit}-{name}.cred");
            let encrypt = format!("systemd-creds encrypt --with-key=host --name={name} - {file}");
            self.sh(&format!("printf %s '{secret}' | {encrypt}")).exits(0);
            writeln!(settings, "LoadCredentialEncrypted={name}:{file}").unwrap();
        }
        self.drop_in(unit, "credentials", &settings);
    }

    /// Runs a shell script on the machine as root, to its end or its first failing command.
    pub(crate) fn sh(&self, script: &str) -> Output {
        self.rig(&["exec", "sh", "-ec", script])
    }

    /// What a command of graphkeeper, run by `user`, prints as JSON.
    #[track_caller]
    pub(crate) fn asks(&self, user: &str, command: &str) -> Value {
        self.graphkeeper(user, &format!("{command} --json")).exits(0).json()
    }

    /// Runs graphkeeper as `user`.
    pub(crate) fn graphkeeper(&self, user: &str, command: &str) -> Output {
        self.sh(&format!("exec runuser -u {user} -- graphkeeper {command}"))
    }

    /// A property of a unit, as `systemctl show` gives it.
    pub(crate) fn property(&self, unit: &str, property: &str) -> String {
        self.sh(&format!("systemctl show --value --property={property} {unit}")).exits(0).stdout.trim().to_owned()
    }

    /// `systemctl status`, whole.
    pub(crate) fn status(&self, unit: &str) -> String {
        self.sh(&format!("systemctl status --no-pager --full --lines=50 {unit} || true")).stdout
    }

    /// The ids of the runs in the history, newest first.
    pub(crate) fn runs(&self) -> Vec<String> {
        let runs = self.asks("graphkeeper", "history --limit 10000");
        runs.as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until `come` has an answer. Each look takes a command on the machine, which is pause enough.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, mut come: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            match come() {
                Some(found) => return found,
                None => assert!(began.elapsed() < BOUND, "{what}: not in time\n{}", self.status("'graphkeeper*'")),
            }
        }
    }

    /// Waits until at least so many runs are in the history.
    #[track_caller]
    pub(crate) fn until_runs(&self, count: usize) -> Vec<String> {
        self.until(&format!("{count} runs"), || Some(self.runs()).filter(|runs| runs.len() >= count))
    }

    /// Waits until a unit's property is as wanted.
    #[track_caller]
    pub(crate) fn until_property(&self, unit: &str, property: &str, wanted: &str) {
        let what = format!("{property} of {unit} is {wanted}");
        self.until(&what, || (self.property(unit, property) == wanted).then_some(()));
    }

    /// The records of the journal that match, each with its fields.
    pub(crate) fn journal(&self, matches: &str) -> Vec<Value> {
        let lines = self.sh(&format!("journalctl --quiet --no-pager --output=json --all {matches}")).exits(0).stdout;
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn reboot(&self) {
        self.rig(&["reboot"]).exits(0);
    }

    pub(crate) fn push(&self, source: &Path, path: &str, options: &[&str]) {
        let source = source.to_str().unwrap();
        self.rig(&[&["push"], options, &[source, path]].concat()).exits(0);
    }

    /// Fetches a file of the machine.
    pub(crate) fn pull(&self, path: &str) -> PathBuf {
        let to = self.scratch.path().join(Path::new(path).file_name().unwrap());
        self.rig(&["pull", path, to.to_str().unwrap()]).exits(0);
        to
    }

    pub(crate) fn rig(&self, arguments: &[&str]) -> Output {
        rig(&self.name, arguments)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {}\n{}", self.name, self.status("'graphkeeper*'"));
        }
        rig(&self.name, &["down"]);
    }
}

/// A configuration for tenants of the sandbox, as [`Machine::configuration`].
pub(crate) fn configuration(tenants: &Sandbox, state: &str, jobs: &str) -> String {
    let (okta, login, graph) = (tenants.okta_url(), tenants.login_url(), tenants.graph_url());
    let credentials = tenants.credentials();
    let (tenant, client) = (&credentials.tenant, &credentials.client_id);
    format!(
        r#"timezone = "UTC"
[state]
directory = "/var/lib/{state}"
[okta]
org_url = "{okta}"
[okta.auth]
method = "api-token"
token = {{ credential = "okta-token" }}
[entra]
tenant = "{tenant}"
authority_url = "{login}"
graph_url = "{graph}"
[entra.app]
client_id = "{client}"
method = "client-secret"
client_secret = {{ credential = "entra-secret" }}
{jobs}"#
    )
}

/// Runs the rig on one machine.
fn rig(name: &str, arguments: &[&str]) -> Output {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/systemd-rig/rig");
    let mut command = Command::new(&program);
    command.arg("--name").arg(name).args(arguments);
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
