//! The service's page: what the configuration wishes, and what the service lends to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::live::Live;
use crate::app::{self, App};
use crate::cli::failure::Failure;
use crate::cli::jobs::Sources;
use crate::config::settings::{NamedSecret, Settings};
use crate::daemon::Desk;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::tables::jobs::{Overview, Service};
use crate::web::{self, Gate, Lent, Looking, Setup, Standing, Token, Web, Wish};

/// What the configuration calls the token.
pub(super) const TOKEN: &str = "web.token";

/// How long a token's file may take to be read.
const LONGEST: Duration = Duration::from_secs(10);

/// The page of the service that `live` is. It serves nothing before it is told what, by [`wish`].
pub(super) async fn open(live: &Arc<Live>, desk: Desk) -> Result<Web, Failure> {
    let app = live.current();
    let history = app::open_history(&app.settings.state_directory).await?;
    let (housed, configured) = (Arc::clone(live), Arc::clone(live));
    let zone = Arc::new(move || housed.current().settings.zone.tz.clone());
    let (clock, state_directory) = (Arc::clone(&app.clock), app.settings.state_directory.clone());
    let jobs = Arc::clone(live);
    let overview = Arc::new(move |history, now| -> Looking { Box::pin(overview(jobs.current(), history, now)) });
    let app_now = Arc::new(move || configured.current());
    let stop = CancellationToken::new();
    Ok(web::open(Lent { history, desk, clock, zone, overview, app: app_now, state_directory, stop }))
}

/// The jobs of a service, which is running if this is asked.
async fn overview(app: Arc<App>, history: History, now: Timestamp) -> Result<Overview, HistoryError> {
    let settings = &app.settings;
    let (history, state_directory) = (Some(&history), settings.state_directory.as_path());
    let sources = Sources { history, settings: Ok(settings), state_directory, service: Service::Running };
    sources.overview(now).await
}

/// Says where the page is, once it is there.
pub(super) async fn announced(mut standing: watch::Receiver<Standing>, announce: impl FnOnce(SocketAddr)) {
    let at = standing.wait_for(|standing| matches!(standing, Standing::At(_))).await.map(|at| at.clone());
    if let Ok(Standing::At(address)) = at {
        announce(address);
    }
}

/// What is to be served by the configuration of `app`, its token as it is now.
pub(super) async fn wish(app: &App, env: &[(String, String)]) -> Wish {
    let (settings, env) = (Arc::clone(&app.settings), env.to_vec());
    // Away from the threads on which the service runs: a disk may hang.
    let read = tokio::task::spawn_blocking(move || wished(&settings, &env));
    match tokio::time::timeout(LONGEST, read).await {
        Ok(Ok(wish)) => wish,
        Ok(Err(_)) | Err(_) => Wish::Unable(format!("{TOKEN} cannot be read: its disk does not answer")),
    }
}

fn wished(settings: &Settings, env: &[(String, String)]) -> Wish {
    let Some(web) = &settings.web else { return Wish::Nothing };
    let is_token = |named: &&NamedSecret| named.key == TOKEN;
    let named = settings.secrets.iter().find(is_token).filter(|_| web.token.is_some());
    if let Some((problem, _)) = named.and_then(|named| named.problem(env)) {
        return Wish::Unable(problem.to_string());
    }
    let token = match &web.token {
        None => None,
        Some(place) => match place.read(env) {
            Ok(secret) => Some(Token::new(&secret)),
            Err(problem) => return Wish::Unable(format!("{TOKEN}: {problem}")),
        },
    };
    Wish::At(Setup { gate: Gate { listen: web.listen, hosts: web.hosts.clone(), token } })
}
