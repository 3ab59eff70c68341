//! `daemon`: the service, in the foreground.

use std::sync::Arc;

use crate::app::App;
use crate::cli::args::Global;
use crate::cli::failure::Failure;
use crate::cli::{caller, exit, work};
use crate::clock::SystemClock;
use crate::config;
use crate::daemon::{self, Ended, Entry, ExitReason, Firing, Hooks};
use crate::domain::moment::Moment;
use crate::domain::run::{Outcome, Trigger};
use crate::jobs::Task;
use crate::jobs::lock::{Holder, JobLock, LockError};
use crate::jobs::progress::Progress;
use crate::jobs::runner::Order;
use tracing::error;

/// Runs the configured jobs on their schedules until the service is stopped.
pub(super) async fn run(global: &Global) -> Result<u8, Failure> {
    let signals = daemon::listen().map_err(anyhow::Error::from)?;
    let settings = work::settings(global)?;
    let app = App::open(settings, &config::environment(), Arc::new(SystemClock)).await?;
    let _alone = alone(&app)?;
    serve(&app, signals).await
}

/// One service per state directory: a second one would fire every moment again.
fn alone(app: &App) -> Result<JobLock, Failure> {
    let holder = Holder { pid: std::process::id(), caller: caller::name(), run: "none".to_owned() };
    // No job has a dot in its name.
    JobLock::take(&app.settings.state_directory, "service.daemon", &holder).map_err(|error| match error {
        LockError::Held { holder, .. } => {
            let who = holder.map_or_else(|| "another process".to_owned(), |holder| format!("process {}", holder.pid));
            let state = app.settings.state_directory.display();
            Failure::new(exit::BUSY, format!("{who} serves the state directory {state} already"), None)
        }
        error @ LockError::Unusable { .. } => anyhow::Error::from(error).into(),
    })
}

/// Serves `app` until `signals` brings a stop.
pub(super) async fn serve(app: &App, signals: tokio::sync::mpsc::Receiver<daemon::Signal>) -> Result<u8, Failure> {
    let entries = entries(app).await?;
    let (runner, ledger) = (app.clone(), app.clone());
    let hooks = Hooks {
        run: move |firing| fire(runner.clone(), firing),
        record_moment: move |moment| record(ledger.clone(), moment),
    };
    let reason = daemon::serve(entries, hooks, Arc::clone(&app.clock), signals).await.map_err(anyhow::Error::from)?;
    app.close().await;
    tracing::info!("the service leaves: {reason}");
    Ok(if reason == ExitReason::Drained { exit::SUCCEEDED } else { exit::FAILED })
}

/// What is to be fired, each from its last moment in the ledger on.
async fn entries(app: &App) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for job in app.settings.jobs.values() {
        let Some(schedule) = job.schedule.clone() else { continue };
        let last = app.history.last_moment(&job.name).await?.map(|moment| moment.planned_at);
        entries.push(Entry { job: job.name.clone(), schedule, zone: job.zone.tz.clone(), jitter: job.jitter, last });
    }
    Ok(entries)
}

/// One fired moment.
async fn fire(app: App, firing: Firing) -> Ended {
    let order = Order { trigger: Trigger::Schedule, caller: "schedule".to_owned(), task: Task::Run };
    match app.run(&firing.job, order, firing.stop, Progress::default()).await {
        Ok(report) => {
            let outcome = report.finish.outcome;
            Ended { run: (outcome != Outcome::Busy).then_some(report.run), outcome }
        }
        Err(problem) => {
            error!(error = &problem as &dyn std::error::Error, "a moment of {} could not be run", firing.job);
            Ended { run: None, outcome: Outcome::Failed }
        }
    }
}

/// One row of the ledger. A row that cannot be written is told, and the service goes on.
async fn record(app: App, moment: Moment) {
    if let Err(problem) = app.history.record_moment(&moment, app.clock.now()).await {
        error!(error = &problem as &dyn std::error::Error, "a moment of {} could not be recorded", moment.job);
    }
}
