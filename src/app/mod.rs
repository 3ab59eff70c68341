//! The composition root: a configuration in, clients, history and jobs out. Alone in knowing every concrete type.

mod clients;
mod differences;
pub mod entries;
pub mod examination;
pub mod identities;
pub mod live;
mod network;
mod notices;
pub mod outlook;
mod secrets;
pub mod upkeep;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::app::clients::Clients;
use crate::auth::{Authorizer, KeyError};
use crate::clock::Clock;
use crate::config::secrets::SecretError;
use crate::config::settings::{JobSettings, Settings};
use crate::domain::run::JobKind;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::meta::Owner;
use crate::jobs::progress::Progress;
use crate::jobs::report::Report;
use crate::jobs::runner::{self, Order, Runner};
use crate::jobs::{Job, Task};
use crate::notices::Notices;

/// Why the program cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the state directory {} cannot be made", path.display())]
    State { path: PathBuf, source: std::io::Error },
    #[error("{key} cannot be read")]
    Secret { key: &'static str, source: SecretError },
    #[error("{key} cannot be used")]
    Unusable { key: &'static str, source: KeyError },
    #[error("the history in {} cannot be used", path.display())]
    History { path: PathBuf, source: HistoryError },
    #[error("there is no job `{name}` in the configuration{}", suggestion(near.as_deref()))]
    NoJob { name: String, near: Option<String> },
    #[error("`{name}` is a {kind} job: only managers and request jobs plan, and only managers jobs know people")]
    Unfit { name: String, kind: JobKind },
    #[error("the configuration has no `{0}`")]
    Lacks(&'static str),
}

fn suggestion(near: Option<&str>) -> String {
    near.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

impl AppError {
    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::State { .. } => Some("run as the service's user, or set `[state] directory`".to_owned()),
            Self::Secret { source, .. } => source.hint(),
            Self::Unusable { source, .. } => source.hint().map(str::to_owned),
            Self::History { source, .. } => source.hint().map(str::to_owned),
            Self::NoJob { .. } => Some("`graphkeeper jobs` lists them".to_owned()),
            Self::Unfit { name, .. } => Some(format!("`graphkeeper run {name}` runs it")),
            Self::Lacks(_) => Some("`graphkeeper check` says what is missing".to_owned()),
        }
    }

    /// The key of the secret that this is about.
    const fn key(&self) -> Option<&'static str> {
        match self {
            Self::Secret { key, .. } | Self::Unusable { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Whether the configuration is at fault, or the file that it names as history, and not the state of the machine: trying
    /// again does not help.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Secret { .. } | Self::Unusable { .. } | Self::NoJob { .. } | Self::Unfit { .. } | Self::Lacks(_) => {
                true
            }
            Self::History { source, .. } => source.is_lasting(),
            Self::State { .. } => false,
        }
    }
}

/// What the history is given to close when a service leaves. Runs have had nine seconds by then, of ten.
const LEAVING: std::time::Duration = std::time::Duration::from_millis(400);

/// Everything, put together.
#[derive(Clone)]
pub struct App {
    pub settings: Arc<Settings>,
    pub history: History,
    pub clock: Arc<dyn Clock>,
    runner: Runner,
    clients: Arc<Clients>,
    notices: Notices,
    jobs: BTreeMap<String, Arc<Job>>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Where the history lies in a state directory.
#[must_use]
pub fn database(state: &Path) -> PathBuf {
    state.join("graphkeeper.db")
}

/// Opens the history for reading alone: needs no secret, and works beside the service.
pub async fn open_history(state: &Path) -> Result<History, AppError> {
    let path = database(state);
    History::open_read_only(&path).await.map_err(|source| AppError::History { path, source })
}

/// Opens the history for small writes, such as `release`: needs the state directory, but no secret.
pub async fn open_history_to_write(settings: &Settings, clock: &dyn Clock) -> Result<History, AppError> {
    make_state(settings)?;
    let path = database(&settings.state_directory);
    History::open(&path, clock.now()).await.map_err(|source| AppError::History { path, source })
}

impl App {
    /// Reads the secrets of `settings` (those in variables from `env`), opens the history and makes the jobs. Sends
    /// nothing yet. A secret that cannot be read is trouble for the jobs that need it alone, when they run.
    pub async fn open(settings: Settings, env: &[(String, String)], clock: Arc<dyn Clock>) -> Result<Self, AppError> {
        let history = open_history_to_write(&settings, clock.as_ref()).await?;
        let clients = Clients::make(None, &settings, env, &clock, Some(&history))
            .map_err(|mut problems| problems.swap_remove(0))?;
        let app = Self::put_together(settings, clients, history, clock, None)?;
        // For good, so not before all else is good.
        app.bind().await?;
        Ok(app)
    }

    /// The same program under other settings, with the same history, which is not bound to their organization and tenant yet.
    /// Does not send anything.
    ///
    /// # Errors
    ///
    /// What keeps it from being put together.
    async fn renewed(&self, settings: Settings, clients: Clients) -> Result<Self, AppError> {
        let (history, clock) = (self.history.clone(), Arc::clone(&self.clock));
        let mut app = Self::put_together(settings, clients, history, clock, Some(&self.notices))?;
        app.runner = app.runner.counting_with(&self.runner);
        app.history.may_belong_to(app.owner()).await.map_err(|source| app.unusable(source))?;
        Ok(app)
    }

    /// A history belongs to one organization and one tenant, for good.
    async fn bind(&self) -> Result<(), AppError> {
        self.history.bind(self.owner()).await.map_err(|source| self.unusable(source))
    }

    fn owner(&self) -> Owner<'_> {
        let org_url = self.settings.okta.as_ref().map(|okta| okta.org_url.as_str());
        Owner { org_url, tenant: &self.settings.entra.tenant }
    }

    fn unusable(&self, source: HistoryError) -> AppError {
        AppError::History { path: database(&self.settings.state_directory), source }
    }

    fn put_together(
        settings: Settings,
        clients: Clients,
        history: History,
        clock: Arc<dyn Clock>,
        before: Option<&Notices>,
    ) -> Result<Self, AppError> {
        let mut jobs = BTreeMap::new();
        for job in settings.jobs.values() {
            jobs.insert(job.name.clone(), Arc::new(clients.job(job)?));
        }
        let state = settings.state_directory.clone();
        let host = runner::host();
        let both = (history.clone(), Arc::clone(&clock));
        let notices = notices::notices(&settings, &clients, both, &host, before);
        let fingerprint = settings.fingerprint.clone();
        let runner = Runner::new(notices.clone(), (history.clone(), Arc::clone(&clock)), state, fingerprint, host);
        Ok(Self { settings: Arc::new(settings), history, clock, runner, clients: Arc::new(clients), notices, jobs })
    }

    /// Tries the secrets that a job needs, for whoever wants to know before it runs.
    ///
    /// # Errors
    ///
    /// [`AppError::Secret`] for the first that cannot be read.
    pub fn try_secrets(&self, job: &str, env: &[(String, String)]) -> Result<(), AppError> {
        let job = self.settings.jobs.get(job).ok_or_else(|| no_job(&self.settings, job))?;
        secrets::try_for(job.needs(), &self.settings, env)
    }

    /// The job of this name.
    pub fn job(&self, name: &str) -> Result<&Arc<Job>, AppError> {
        self.jobs.get(name).ok_or_else(|| no_job(&self.settings, name))
    }

    /// Every job, by name.
    pub fn jobs(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.jobs.values()
    }

    /// Who tells people.
    #[must_use]
    pub const fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Runs a job as `order` says.
    pub async fn run(
        &self,
        name: &str,
        order: Order,
        stop: CancellationToken,
        progress: Progress,
    ) -> Result<Report, AppError> {
        let job = self.job(name)?;
        Ok(self.runner.run(job, order, stop, progress).await)
    }

    /// The identity of the person who signs in.
    ///
    /// # Errors
    ///
    /// [`AppError::Lacks`] when none is configured.
    pub fn person(&self) -> Result<Arc<Authorizer>, AppError> {
        self.clients.user().ok_or(AppError::Lacks("entra.user"))
    }

    /// Looks how much time the credentials of every identity have left, and keeps and tells what changed. Asks nobody.
    pub async fn look_at_identities(&self) {
        for identity in self.clients.identities() {
            identity.look().await;
        }
    }

    /// Closes the history.
    pub async fn close(&self) {
        self.history.close().await;
    }

    /// Closes the rows of runs that dead processes left open, also of jobs that are not configured any more.
    ///
    /// # Errors
    ///
    /// The history cannot be read or written.
    pub async fn close_lost(&self, caller: &str) -> Result<(), HistoryError> {
        self.runner.close_lost(caller).await
    }

    /// Closes the history as a service does that is asked to leave: runs that still go on are recorded as cut off, and nothing
    /// is waited for longer than a second in all.
    pub async fn leave(&self) {
        self.runner.leave().await;
        if !self.history.close_within(LEAVING).await {
            tracing::warn!("the history was not closed in time; the next program that opens it goes on from its log");
        }
    }
}

/// Refuses what a job cannot do, before it becomes a run that failed.
pub fn fits(settings: &Settings, job: &str, task: &Task) -> Result<(), AppError> {
    let found = known(settings, job)?;
    match (task, found.kind()) {
        (Task::Run, _) | (_, JobKind::Managers) | (Task::Plan, JobKind::Request) => return Ok(()),
        _ => {}
    }
    Err(AppError::Unfit { name: job.to_owned(), kind: found.kind() })
}

/// The job of this name in the configuration.
pub fn known<'a>(settings: &'a Settings, job: &str) -> Result<&'a JobSettings, AppError> {
    settings.jobs.get(job).ok_or_else(|| no_job(settings, job))
}

/// The identity of the person who signs in, alone: needs no other secret. Its state is kept in the history.
///
/// # Errors
///
/// [`AppError`] when none is configured, or the history cannot be opened.
pub async fn sign_in_identity(
    settings: &Settings,
    env: &[(String, String)],
    clock: &Arc<dyn Clock>,
) -> Result<(Arc<Authorizer>, History), AppError> {
    let history = open_history_to_write(settings, clock.as_ref()).await?;
    let person = clients::person(settings, env, clock, &history).ok_or(AppError::Lacks("entra.user"))?;
    Ok((person, history))
}

/// There is no such job; names the nearest.
#[must_use]
fn no_job(settings: &Settings, name: &str) -> AppError {
    let near = settings.jobs.keys().map(|job| (strsim::jaro_winkler(job, name), job));
    let near = near.filter(|(likeness, _)| *likeness > 0.7).max_by(|a, b| a.0.total_cmp(&b.0));
    AppError::NoJob { name: name.to_owned(), near: near.map(|(_, job)| job.clone()) }
}

/// Makes the state directory where it is missing. It holds tokens and names: nobody else's business.
pub fn make_state(settings: &Settings) -> Result<(), AppError> {
    use std::os::unix::fs::DirBuilderExt;
    let state = &settings.state_directory;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o750).create(state);
    made.map_err(|source| AppError::State { path: state.clone(), source })
}
