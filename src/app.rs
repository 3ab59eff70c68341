//! The composition root: a configuration in, clients, history and jobs out. Alone in knowing every concrete type.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use url::Url;

use crate::auth::store::is_kept_in;
use crate::auth::{Authorizer, EntraApp, EntraUser, SecretStyle};
use crate::clock::Clock;
use crate::config::secrets::{SecretError, SecretRef};
use crate::config::settings::{
    JobSettings, ManagersSettings, OktaAuth, ScopeSettings, SendSecret, Settings, Work as WorkSettings,
};
use crate::graph::GraphClient;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::http::Client;
use crate::http::client::ClientSettings;
use crate::jobs::keepalive::Keepalive;
use crate::jobs::licenses::Licenses;
use crate::jobs::managers::{Managers, ScopeRule};
use crate::jobs::progress::Progress;
use crate::jobs::report::Report;
use crate::jobs::runner::{Order, Runner};
use crate::jobs::{Job, Work};
use crate::okta::OktaClient;
use crate::secret::Secret;

/// Why the program cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the state directory {} cannot be made", path.display())]
    State { path: PathBuf, source: std::io::Error },
    #[error("{key} cannot be read")]
    Secret { key: &'static str, source: SecretError },
    #[error("the history in {} cannot be used", path.display())]
    History { path: PathBuf, source: HistoryError },
    #[error("there is no job `{name}` in the configuration{}", suggestion(near.as_deref()))]
    NoJob { name: String, near: Option<String> },
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
            Self::History { source, .. } => source.hint().map(str::to_owned),
            Self::NoJob { .. } => Some("`graphkeeper jobs` lists them".to_owned()),
            Self::Lacks(_) => Some("`graphkeeper check` says what is missing".to_owned()),
        }
    }

    /// Whether the configuration is at fault, and not the state of the machine.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::Secret { .. } | Self::NoJob { .. } | Self::Lacks(_) => true,
            Self::History { source, .. } => matches!(source, HistoryError::OtherOwner { .. }),
            Self::State { .. } => false,
        }
    }
}

/// Everything, put together.
#[derive(Clone)]
pub struct App {
    pub settings: Arc<Settings>,
    pub history: History,
    pub clock: Arc<dyn Clock>,
    runner: Runner,
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
pub async fn open_history(settings: &Settings) -> Result<History, AppError> {
    let path = database(&settings.state_directory);
    History::open_read_only(&path).await.map_err(|source| AppError::History { path, source })
}

/// Opens the history for small writes, such as `release`: needs the state directory, but no secret.
pub async fn open_history_to_write(settings: &Settings, clock: &dyn Clock) -> Result<History, AppError> {
    let state = &settings.state_directory;
    make_private(state).map_err(|source| AppError::State { path: state.clone(), source })?;
    let path = database(state);
    History::open(&path, clock.now()).await.map_err(|source| AppError::History { path, source })
}

impl App {
    /// Reads the secrets of `settings` (those in variables from `env`), opens the history and makes the jobs. Sends
    /// nothing yet.
    pub async fn open(settings: Settings, env: &[(String, String)], clock: Arc<dyn Clock>) -> Result<Self, AppError> {
        let history = open_history_to_write(&settings, clock.as_ref()).await?;
        bind(&history, &settings).await?;
        let clients = Clients::make(&settings, env, &clock)?;
        let mut jobs = BTreeMap::new();
        for job in settings.jobs.values() {
            jobs.insert(job.name.clone(), Arc::new(clients.job(job)?));
        }
        let state = settings.state_directory.clone();
        let runner = Runner::new(history.clone(), Arc::clone(&clock), state, settings.fingerprint.clone());
        Ok(Self { settings: Arc::new(settings), history, clock, runner, jobs })
    }

    /// The job of this name.
    pub fn job(&self, name: &str) -> Result<&Arc<Job>, AppError> {
        self.jobs.get(name).ok_or_else(|| no_job(&self.settings, name))
    }

    /// Every job, by name.
    pub fn jobs(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.jobs.values()
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

    /// Closes the history.
    pub async fn close(&self) {
        self.history.close().await;
    }
}

/// There is no such job; names the nearest.
#[must_use]
pub fn no_job(settings: &Settings, name: &str) -> AppError {
    let near = settings.jobs.keys().map(|job| (strsim::jaro_winkler(job, name), job));
    let near = near.filter(|(likeness, _)| *likeness > 0.7).max_by(|a, b| a.0.total_cmp(&b.0));
    AppError::NoJob { name: name.to_owned(), near: near.map(|(_, job)| job.clone()) }
}

/// A state directory holds tokens and names: nobody else's business.
fn make_private(state: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o750).create(state)
}

/// A history belongs to one organization and one tenant.
async fn bind(history: &History, settings: &Settings) -> Result<(), AppError> {
    let org = settings.okta.as_ref().map_or("none", |okta| okta.org_url.as_str());
    let bound = history.bind(org.trim_end_matches('/'), &settings.entra.tenant).await;
    bound.map_err(|source| AppError::History { path: database(&settings.state_directory), source })
}

/// At most this share of each rate limit that Okta shows: the rest is for people and other programs.
const OKTA_SHARE: f64 = 0.6;

/// The clients that the jobs share: one token, one pace each.
struct Clients {
    okta: Option<OktaClient>,
    graph: GraphClient,
}

impl Clients {
    fn make(settings: &Settings, env: &[(String, String)], clock: &Arc<dyn Clock>) -> Result<Self, AppError> {
        let http = Client::new(
            ClientSettings { timeout: settings.http.timeout, ..ClientSettings::default() },
            Arc::clone(clock),
        );
        let okta = settings.okta.as_ref().map(|okta| {
            let OktaAuth::ApiToken { token } = &okta.auth;
            let token = read("okta.auth.token", token, env)?;
            let authorizer = Arc::new(Authorizer::okta_token(&token));
            Ok(OktaClient::new(http.clone(), authorizer, okta.org_url.clone(), OKTA_SHARE))
        });
        let app = app_identity(settings, env, &http, clock)?;
        let user = user_identity(settings, env, &http, clock)?;
        let graph = GraphClient::new(http, app, user, settings.entra.graph_url.clone());
        Ok(Self { okta: okta.transpose()?, graph })
    }

    fn job(&self, settings: &JobSettings) -> Result<Job, AppError> {
        let graph = self.graph.clone();
        let work = match &settings.work {
            WorkSettings::Managers(managers) => {
                let okta = self.okta.clone().ok_or(AppError::Lacks("okta"))?;
                Work::Managers(Box::new(managers_job(managers, okta, graph)))
            }
            WorkSettings::Licenses => Work::Licenses(Licenses { graph }),
            WorkSettings::Keepalive(keepalive) => Work::Keepalive(Keepalive {
                graph,
                requests: keepalive.requests.clone(),
                min_interval: keepalive.min_interval,
                save_bodies: keepalive.save_bodies,
            }),
        };
        Ok(Job { name: settings.name.clone(), timeout: settings.timeout, work })
    }
}

fn managers_job(settings: &ManagersSettings, okta: OktaClient, graph: GraphClient) -> Managers {
    Managers {
        okta,
        graph,
        mode: settings.mode,
        policy: settings.policy.clone(),
        brake: settings.brake,
        scope: match &settings.scope {
            ScopeSettings::Everyone => ScopeRule::Everyone,
            ScopeSettings::Search(expression) => ScopeRule::Search(expression.clone()),
            ScopeSettings::Group(id) => ScopeRule::Group(id.clone()),
            ScopeSettings::App(id) => ScopeRule::App(id.clone()),
        },
        source_floor: settings.source_floor,
        canaries: settings.canaries.clone(),
        confirm_after: settings.confirm_after,
        check_after: settings.check_after,
    }
}

fn app_identity(
    settings: &Settings,
    env: &[(String, String)],
    http: &Client,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<Authorizer>>, AppError> {
    let entra = &settings.entra;
    let Some(app) = &entra.app else { return Ok(None) };
    let identity = EntraApp {
        authority_url: entra.authority_url.clone(),
        tenant: entra.tenant.clone(),
        client_id: app.client_id.clone(),
        client_secret: read("entra.app.client_secret", &app.client_secret, env)?,
        style: match app.send {
            SendSecret::Form => SecretStyle::Form,
            SendSecret::Basic => SecretStyle::Basic,
        },
        scope: graph_scope(&entra.graph_url, ".default"),
    };
    Ok(Some(Arc::new(Authorizer::entra_app(identity, http.clone(), Arc::clone(clock)))))
}

fn user_identity(
    settings: &Settings,
    env: &[(String, String)],
    http: &Client,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<Authorizer>>, AppError> {
    let entra = &settings.entra;
    let Some(user) = &entra.user else { return Ok(None) };
    let first = first_token(settings, user.refresh_token.as_ref(), env)?;
    let identity = EntraUser {
        authority_url: entra.authority_url.clone(),
        tenant: entra.tenant.clone(),
        client_id: user.client_id.clone(),
        client_secret: None,
        first_refresh_token: first,
        scopes: user_scopes(settings),
        directory: settings.state_directory.clone(),
    };
    Ok(Some(Arc::new(Authorizer::entra_user(identity, http.clone(), Arc::clone(clock)))))
}

/// The configured refresh token. Once a rotated one is stored it is a reserve, and may be gone.
fn first_token(
    settings: &Settings,
    token: Option<&SecretRef>,
    env: &[(String, String)],
) -> Result<Option<Secret>, AppError> {
    let Some(token) = token else { return Ok(None) };
    match read("entra.user.refresh_token", token, env) {
        Err(error) if is_kept_in(&settings.state_directory) => {
            tracing::info!(error = &error as &dyn std::error::Error, "the stored sign-in is used; there is no other");
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// What a person who signed in is asked to allow: the usual keepalive needs `User.Read`, and licenses their own.
fn user_scopes(settings: &Settings) -> Vec<String> {
    let graph = &settings.entra.graph_url;
    let mut scopes = vec![graph_scope(graph, "User.Read"), "offline_access".to_owned()];
    let asks_for_licenses = settings.jobs.values().any(|job| match &job.work {
        WorkSettings::Keepalive(keepalive) => {
            keepalive.requests.iter().any(|path| path.to_lowercase().starts_with("/subscribedskus"))
        }
        WorkSettings::Managers(_) | WorkSettings::Licenses => false,
    });
    if asks_for_licenses {
        scopes.push(graph_scope(graph, "LicenseAssignment.Read.All"));
    }
    let extra = settings.entra.user.iter().flat_map(|user| &user.scopes);
    scopes.extend(extra.map(|scope| if is_complete(scope) { scope.clone() } else { graph_scope(graph, scope) }));
    scopes
}

/// Whether a scope is asked for as it stands: with its resource, or one of sign-in's own.
fn is_complete(scope: &str) -> bool {
    scope.contains("://") || matches!(scope, "openid" | "profile" | "email" | "offline_access")
}

fn graph_scope(graph_url: &Url, permission: &str) -> String {
    format!("{}/{permission}", graph_url.as_str().trim_end_matches('/'))
}

fn read(key: &'static str, secret: &SecretRef, env: &[(String, String)]) -> Result<Secret, AppError> {
    secret.read(env).map_err(|source| AppError::Secret { key, source })
}
