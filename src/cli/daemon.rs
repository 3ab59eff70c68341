//! `daemon`: the service, in the foreground.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::app::entries::{Standing, prepared, standings};
use crate::app::live::{Live, Reload};
use crate::app::upkeep::upkeep;
use crate::app::{App, make_state};
use crate::cli::args::Global;
use crate::cli::failure::Failure;
use crate::cli::{caller, carrier, exit, web, work};
use crate::clock::{Clock as _, SystemClock};
use crate::config;
use crate::config::settings::{NamedSecret, Settings};
use crate::config::watch::Watch;
use crate::control::{self, Counter, Socket};
use crate::daemon::{self, Desk, Ended, Entry, ExitReason, Firing, Hooks, Reloaded, StoreSchedules};
use crate::domain::moment::{Disposition, Moment};
use crate::domain::run::{Outcome, Trigger};
use crate::history::{History, volume};
use crate::jobs::Task;
use crate::jobs::error::chain;
use crate::jobs::lock::{self, Holder, JobLock, LockError};
use crate::jobs::progress::Progress;
use crate::jobs::report::{ALREADY_RUN, Report};
use crate::jobs::runner::Order;
use crate::notices::{self, events};
use crate::web::Web;

/// How often the ends of credentials are looked at. They are days away; the hour is for machines that sleep.
const LOOK_EVERY: Duration = Duration::from_hours(1);

/// The secret that is a reserve.
const FIRST_REFRESH_TOKEN: &str = "entra.user.refresh_token";

/// Runs the configured jobs on their schedules until the service is stopped.
pub(super) async fn run(global: &Global) -> Result<u8, Failure> {
    let signals = daemon::listen().map_err(anyhow::Error::from)?;
    let settings = work::settings(global)?;
    if let Some(concern) = volume::concern(&settings.state_directory) {
        warn!("{concern}");
    }
    carrier::own(&settings.state_directory, "daemon")?;
    make_state(&settings)?;
    // Before the history is opened, and perhaps migrated, under a service that lives.
    let _alone = alone(&settings)?;
    let env = config::environment();
    had_from_the_start(&settings, &env)?;
    let app = App::open(settings, &env, Arc::new(SystemClock)).await?;
    serve(app, &global.config, signals, |_| ()).await
}

/// Refuses to serve without a secret that only a restart can bring: a green service whose jobs can never sign in is no good.
/// One in a file may still come, and until then stops the jobs that need it alone; so does a first refresh token, which a
/// stored one makes unneeded, and the page is not what a service is for.
fn had_from_the_start(settings: &Settings, env: &[(String, String)]) -> Result<(), Failure> {
    let needed = |key: &str| key != FIRST_REFRESH_TOKEN && key != web::TOKEN;
    let lasting = |named: &&NamedSecret| named.secret.is_from_the_start() && needed(&named.key);
    for named in settings.secrets.iter().filter(lasting) {
        if let Err(problem) = named.secret.read(env) {
            let message = format!("{} cannot be read: {}", named.key, chain(&problem));
            return Err(Failure::new(exit::USAGE, message, problem.hint()));
        }
    }
    Ok(())
}

/// One service per state directory: a second one would fire every moment again.
fn alone(settings: &Settings) -> Result<JobLock, Failure> {
    let state = &settings.state_directory;
    let (pid, since) = (std::process::id(), Some(SystemClock.now()));
    let holder = Holder { pid, caller: caller::name(), run: "none".to_owned(), since };
    JobLock::take(state, lock::SERVICE, &holder).map_err(|error| match error {
        LockError::Held { holder, .. } => {
            let who = holder.map_or_else(|| "another process".to_owned(), |holder| format!("process {}", holder.pid));
            let message = format!("{who} serves the state directory {} already", state.display());
            Failure::new(exit::BUSY, message, None)
        }
        error @ LockError::Unusable { .. } => {
            let hint = "the state directory must be writable for the user that runs the service";
            Failure::new(exit::FAILED, chain(&error), Some(hint.to_owned()))
        }
    })
}

/// Serves `app`, which was made from the configuration at `file`, until `signals` brings a stop. Says to `announce` where the
/// page is, once it is there.
pub(super) async fn serve(
    app: App,
    file: &Path,
    signals: tokio::sync::mpsc::Receiver<daemon::Signal>,
    announce: impl FnOnce(SocketAddr) + Send + 'static,
) -> Result<u8, Failure> {
    app.close_lost(&caller::name()).await?;
    for warning in &app.settings.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!("the services are reached by {}", app.settings.http.describe());
    let standings = standings(&app.history, app.settings.jobs.values(), app.clock.now()).await?;
    let entries = standings.into_iter().map(entry).collect();
    let (history, clock) = (app.history.clone(), Arc::clone(&app.clock));
    let told_by = Arc::clone(&clock);
    let live = Arc::new(Live::new(app, file.to_owned(), config::environment()));
    let (desk, end) = daemon::desk();
    let asked = desk.clone();
    let watch = Watch::start(file.to_owned(), move || asked.reload()).map_err(anyhow::Error::from)?;
    let page = Arc::new(web::open(&live, desk.clone()).await?);
    page.wish(web::wish(&live.current(), &config::environment()).await);
    let announcing = tokio::spawn(web::announced(page.standing(), announce));
    let control = listen(&live, desk);
    let looking = tokio::spawn(look(Arc::clone(&live)));
    let (housed, leave) = (Arc::clone(&live), CancellationToken::new());
    let upkeep = tokio::spawn(upkeep(move || housed.current(), leave.clone()));
    // The file in force is good, whatever was told of an edit before.
    live.current().notices().tell(events::configuration_good()).await;
    let post = CancellationToken::new();
    let posting = {
        let live = Arc::clone(&live);
        tokio::spawn(notices::serve(move || live.current().notices().clone(), post.clone()))
    };
    let (runner, ledger, leaving, watch) = (Arc::clone(&live), Arc::clone(&live), Arc::clone(&live), Arc::new(watch));
    let shown = Arc::clone(&page);
    let hooks = Hooks {
        run: move |firing| fire(runner.current(), firing),
        record: move |moments| record(ledger.current(), history.clone(), told_by.now(), moments),
        reload: move || reload(Arc::clone(&live), Arc::clone(&watch), Arc::clone(&shown)),
    };
    let reason = daemon::serve(entries, hooks, clock, signals, end).await.map_err(anyhow::Error::from)?;
    // What cannot be delivered just now is in the queue, for the next start.
    post.cancel();
    let _ = posting.await;
    if let Some((leave, control)) = control {
        leave.cancel();
        // Bounded by itself.
        let _ = control.await;
    }
    announcing.abort();
    page.leave().await;
    looking.abort();
    leave.cancel();
    // Bounded by one small transaction, which the history's own end waits for.
    drop(upkeep);
    leaving.current().leave().await;
    tracing::info!("the service leaves: {reason}");
    Ok(if reason == ExitReason::Drained { exit::SUCCEEDED } else { exit::FAILED })
}

/// Looks at once, and then every hour, how much time the credentials have left: days go by also where nothing runs.
async fn look(live: Arc<Live>) {
    let mut hours = tokio::time::interval(LOOK_EVERY);
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        hours.tick().await;
        live.current().look_at_identities().await;
    }
}

/// Listens on the control socket. Schedules matter more: a service that cannot listen says so and serves.
fn listen(live: &Arc<Live>, desk: Desk) -> Option<(CancellationToken, JoinHandle<()>)> {
    let app = live.current();
    let socket = Socket::open(&app.settings.control.socket, &app.settings.state_directory)
        .inspect_err(|problem| {
            let (problem, hint) = (chain(problem), problem.hint());
            error!("commands cannot be taken; jobs run on their schedules: {problem}; {hint}");
        })
        .ok()?;
    let live = Arc::clone(live);
    let leave = CancellationToken::new();
    let served = control::serve(socket, Counter::new(move || live.current(), desk), leave.clone());
    Some((leave, tokio::spawn(served)))
}

/// Reads the configuration again.
async fn reload(live: Arc<Live>, watch: Arc<Watch>, page: Arc<Web>) -> Reloaded {
    let reload = live.reload(prepare).await;
    if !matches!(reload, Reload::Refused(_)) {
        // Its token may be another one where nothing else is.
        page.wish(web::wish(&live.current(), &config::environment()).await);
    }
    if let Reload::Now(_) = reload {
        live.current().look_at_identities().await;
    }
    watch.also(live.secret_files());
    let notices = live.current().notices().clone();
    match &reload {
        Reload::Unchanged | Reload::Now(_) => notices.tell(events::configuration_good()).await,
        Reload::Refused(problem) => notices.tell(events::configuration_refused(problem)).await,
    }
    notices.wake();
    match reload {
        Reload::Unchanged => Reloaded::Unchanged,
        Reload::Now((entries, store)) => Reloaded::Now(entries, store),
        Reload::Refused(problem) => {
            // It may be mended without an edit: a database that was locked, a disk that was full.
            watch.look_again();
            Reloaded::Refused(problem)
        }
    }
}

/// What is to be fired, each job from its place in the ledger on, and how that is stored.
async fn prepare(app: Arc<App>) -> Result<(Vec<Entry>, StoreSchedules), String> {
    let prepared = prepared(&app.history, app.settings.jobs.values(), app.clock.now()).await;
    let (standings, taken) = prepared.map_err(|problem| Failure::from(problem).text())?;
    let (history, taken) = (app.history.clone(), Arc::new(taken));
    let store = StoreSchedules::new(move |since| {
        let (app, history, taken) = (Arc::clone(&app), history.clone(), Arc::clone(&taken));
        async move {
            history.take_up(&taken, since).await.map_err(|problem| chain(&problem))?;
            for bygone in &taken.bygone {
                app.meter().recorded(&bygone.job, bygone.disposition, bygone.moments.len());
            }
            Ok(())
        }
    });
    Ok((standings.into_iter().map(entry).collect(), store))
}

pub(super) fn entry(Standing { settings, schedule, past, paused }: Standing) -> Entry {
    Entry {
        job: settings.name,
        schedule,
        zone: settings.zone.tz,
        jitter: settings.jitter,
        catch_up: settings.catch_up,
        catch_up_within: settings.catch_up_within,
        past,
        paused,
    }
}

/// One fired moment.
async fn fire(app: Arc<App>, firing: Firing) -> Ended {
    let order = Order {
        trigger: Trigger::Schedule,
        caller: "schedule".to_owned(),
        task: Task::Run,
        moment: Some((firing.planned_at, firing.disposition)),
    };
    match app.run(&firing.job, order, firing.stop, Progress::default()).await {
        Ok(report) => {
            let outcome = report.finish.outcome;
            let instead = instead(&report).map(|disposition| (disposition, report.finish.message));
            Ended { run: report.begun.then_some(report.run), outcome, instead }
        }
        Err(problem) => {
            // Taken out of the configuration a moment ago, most likely.
            error!(error = &problem as &dyn std::error::Error, "a moment of {} could not be run", firing.job);
            Ended { run: None, outcome: Outcome::Failed, instead: Some((Disposition::Skipped, chain(&problem))) }
        }
    }
}

/// What a moment is recorded as whose run did not do its work.
fn instead(report: &Report) -> Option<Disposition> {
    match report.finish.reason.as_deref() {
        Some("too_soon") => Some(Disposition::TooSoon),
        // Its row says what became of it.
        Some(ALREADY_RUN) => None,
        _ if report.begun => None,
        _ if report.finish.outcome == Outcome::Busy => Some(Disposition::Overlap),
        _ => Some(Disposition::Skipped),
    }
}

/// Rows of the ledger, all or none.
async fn record(app: Arc<App>, history: History, at: Timestamp, moments: Vec<Moment>) -> Result<(), String> {
    let notices = app.notices();
    match history.record_moments(&moments, at).await {
        Ok(()) => {
            notices.written();
            notices.moments(&moments).await;
            for moment in &moments {
                app.meter().recorded(&moment.job, moment.disposition, 1);
            }
            Ok(())
        }
        Err(problem) => {
            notices.unwritten(None, "Scheduled moments could not be recorded; they are tried again.", &problem);
            Err(chain(&problem))
        }
    }
}
