//! An organization to test against: the sandbox in this process, a directory with a configuration, and the real program.

pub(crate) mod database;
pub(crate) mod hook;
pub(crate) mod jail;
pub(crate) mod process;
pub(crate) mod smtpd;
pub(crate) mod terminal;

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use graphkeeper::sandbox::faults::{Fault, Gate, Order, When};
use graphkeeper::sandbox::server::{Rates, Service};
use graphkeeper::sandbox::{Options, Sandbox};
use tempfile::TempDir;

use crate::support::database::Database;
use crate::support::process::{Output, Process};

/// The most that anything may take here before the test fails. Long, for machines that are busy with other things.
pub(crate) const BOUND: Duration = Duration::from_mins(1);

/// Okta's listing of people.
pub(crate) const PEOPLE: &str = "/api/v1/users";
/// Graph's listing of accounts.
pub(crate) const ACCOUNTS: &str = "/v1.0/users";
/// Graph's batches.
pub(crate) const BATCH: &str = "/v1.0/$batch";
/// A write of a manager, inside a batch.
pub(crate) const MANAGER: &str = "/v1.0/users/*/manager/$ref";

/// The brakes that hold when the configuration names none.
pub(crate) const USUAL_BRAKES: &str = r#"
[jobs.managers.brake]
set = "20%, at least 5"
change = "10%, at least 3"
clear = "5%, at least 2"
"#;

/// Both tenants, and a program configured for them. Dropping it removes everything.
pub(crate) struct Org {
    sandbox: Sandbox,
    home: TempDir,
    /// Variables for the program, beside those that every process gets here.
    pub(crate) env: Vec<(String, String)>,
}

/// `org.world()`, `org.journal()`, `org.faults()` are the sandbox's.
impl Deref for Org {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Org {
    /// Starts the tenants that are asked for.
    pub(crate) async fn start(options: Options) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let text = sandbox.configuration(home.path()).unwrap();
        fs::write(home.path().join("graphkeeper.toml"), text).unwrap();
        Self { sandbox, home, env: Vec::new() }
    }

    /// A secret file at home, as the configuration refers to it.
    pub(crate) fn secret(&self, name: &str, text: &str) -> String {
        let path = self.home().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        format!("{{ file = \"{}\" }}", path.display())
    }

    /// Nobody in Okta yet.
    pub(crate) async fn empty() -> Self {
        Self::start(Options::empty()).await
    }

    /// So many people on whom both sides agree.
    pub(crate) async fn agreed(people: u32) -> Self {
        Self::start(Options::agreed(people)).await
    }

    /// The usual dirt of real life, without throttling.
    pub(crate) async fn untidy(people: u32) -> Self {
        Self::start(Options { people, rates: Rates::unlimited(), ..Options::default() }).await
    }

    /// `boss`, `chief` and people who report to `boss` on both sides.
    pub(crate) async fn team<'a>(members: impl IntoIterator<Item = &'a str>) -> Self {
        let org = Self::empty().await;
        org.world().hire("boss");
        org.world().hire("chief");
        for name in members {
            org.world().hire(name).managed_by("boss");
            org.world().entra().account(name).managed_by("boss");
        }
        org
    }

    /// The same with members `m0`, `m1`, …, one for each number.
    pub(crate) async fn team_of(members: u32) -> Self {
        let names: Vec<String> = (0..members).map(|number| format!("m{number}")).collect();
        Self::team(names.iter().map(String::as_str)).await
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home().join("state")
    }

    pub(crate) fn database_path(&self) -> PathBuf {
        self.state().join("graphkeeper.db")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.home().join("graphkeeper.toml")
    }

    /// Lays `text` over the configuration, instead of what was laid over it before.
    pub(crate) fn configure(&self, text: &str) {
        let directory = self.home().join("graphkeeper.d");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("test.toml"), text).unwrap();
    }

    /// Names another manager for a person in Okta.
    pub(crate) fn moves(&self, person: &str, manager: &str) {
        self.world().okta().person(person).managed_by(manager);
    }

    /// Starts the program.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Process {
        Process::start(&self.config(), arguments, &self.env)
    }

    /// Starts the program as another user and group.
    pub(crate) fn spawn_as(&self, uid: u32, gid: u32, arguments: &[&str]) -> Process {
        Process::start_as(Some((uid, gid)), &self.config(), arguments, &self.env)
    }

    /// Starts the service, and waits until it serves.
    pub(crate) async fn serve(&self) -> Process {
        let mut service = self.spawn(&["daemon"]);
        service.says("serving").await;
        service
    }

    /// Where the service listens, when the configuration names no other place.
    pub(crate) fn socket(&self) -> PathBuf {
        self.state().join("control.sock")
    }

    /// Runs the program to its end, with output for programs.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        let json: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        self.spawn(&json).finish().await
    }

    /// Runs the program to its end, with output for people.
    pub(crate) async fn shows(&self, arguments: &[&str]) -> Output {
        self.spawn(arguments).finish().await
    }

    /// Runs the managers job.
    pub(crate) async fn reconcile(&self) -> Output {
        self.run(&["run", "managers"]).await
    }

    /// The history, as `sqlite3` would read it.
    pub(crate) async fn database(&self) -> Database {
        Database::open(&self.database_path()).await
    }

    /// Orders a fault for requests to Okta.
    pub(crate) fn okta_fault(&self, path: &str, when: When, fault: Fault) {
        self.faults().order(Order::new(Service::Okta, path, fault).when(when));
    }

    /// Orders a fault for requests to Graph, or for items of its batches.
    pub(crate) fn graph_fault(&self, path: &str, when: When, fault: Fault) {
        self.faults().order(Order::new(Service::Graph, path, fault).when(when));
    }

    /// Parks a matching request to Graph before it is carried out.
    pub(crate) fn hold(&self, path: &str, when: When) -> Gate {
        self.park(path, when, |gate| Fault::Hold { gate })
    }

    /// Parks the answer to a matching request to Graph, which is carried out.
    pub(crate) fn hold_answer(&self, path: &str, when: When) -> Gate {
        self.park(path, when, |gate| Fault::HoldAnswer { gate })
    }

    fn park(&self, path: &str, when: When, fault: impl FnOnce(String) -> Fault) -> Gate {
        let gate = format!("gate {}", fastrand::u64(..));
        self.faults().hold(Order::new(Service::Graph, path, fault(gate)).when(when))
    }

    /// How many manager writes of clients the tenant stored.
    pub(crate) fn writes(&self) -> u64 {
        self.world().entra().writes()
    }

    /// How many of these members' accounts have this manager.
    pub(crate) fn managed_by(&self, manager: &str) -> usize {
        let id = self.world().entra().find(manager);
        let state = self.world().read();
        state.entra.iter().filter(|account| account.manager.is_some() && account.manager == id).count()
    }
}

/// Waits for `event`, but no longer than [`BOUND`].
pub(crate) async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(BOUND, event).await;
    done.unwrap_or_else(|_| panic!("{what}: not within {} seconds", BOUND.as_secs()))
}

/// Waits until a request is parked at `gate`.
pub(crate) async fn reached(gate: &Gate) {
    within("a request arrives at the gate", gate.reached()).await;
}

/// Waits until a question to the database is answered with yes.
pub(crate) async fn until(org: &Org, what: &str, question: &str) {
    let mut database = org.database().await;
    within(what, async {
        while database.number(question).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await; // a database does not call
        }
    })
    .await;
}
