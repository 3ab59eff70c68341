//! The commands that make a run: `run`, `plan`, `approve`, `undo`. All go through the same runner as a schedule.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::{self, App, open_history};
use crate::cli::args::{Approve, Global, JobName, Run, Undo};
use crate::cli::carrier::{Carrier, carrier};
use crate::cli::failure::Failure;
use crate::cli::{caller, exit, render, report};
use crate::clock::SystemClock;
use crate::config;
use crate::config::settings::Settings;
use crate::control::carry::Work;
use crate::control::client::{Client, Said};
use crate::control::wire::RunRequest;
use crate::daemon::{Signal, listen};
use crate::domain::run::RunId;
use crate::jobs::progress::{Progress, Step};
use crate::jobs::report::Report;
use crate::jobs::runner::Order;

/// Runs a job now.
pub(super) async fn run(global: &Global, args: &Run) -> Result<u8, Failure> {
    let job = args.job.clone();
    let request = match args.user.clone() {
        Some(user) => RunRequest::One { job, user },
        None => RunRequest::Run { job },
    };
    execute(global, &request, args.strict).await
}

/// Shows what a job would change, and keeps it to be approved.
pub(super) async fn plan(global: &Global, args: &JobName) -> Result<u8, Failure> {
    execute(global, &RunRequest::Plan { job: args.job.clone() }, false).await
}

/// Carries out a stored plan.
pub(super) async fn approve(global: &Global, args: &Approve) -> Result<u8, Failure> {
    let max_age = SignedDuration::try_from(args.max_age).unwrap_or(SignedDuration::MAX);
    execute(global, &RunRequest::Approve { plan: args.plan.clone(), max_age }, false).await
}

/// Puts back what a run replaced.
pub(super) async fn undo(global: &Global, args: &Undo) -> Result<u8, Failure> {
    execute(global, &RunRequest::Undo { run: args.run.clone(), apply: args.yes }, false).await
}

/// The configuration that `global` names.
pub(super) fn settings(global: &Global) -> Result<Settings, Failure> {
    Ok(config::load(&global.config, &config::environment())?)
}

async fn execute(global: &Global, request: &RunRequest, strict: bool) -> Result<u8, Failure> {
    let settings = settings(global)?;
    let done = match carrier(&settings).await? {
        Carrier::Service(client) => asked(&client, request).await?,
        Carrier::Here { .. } => here(settings, request).await?,
    };
    report::print(&done, global.format())?;
    Ok(code(&done, strict))
}

/// The run in this process.
async fn here(settings: Settings, request: &RunRequest) -> Result<Report, Failure> {
    let work = Work::of(request, async || Ok(open_history(&settings.state_directory).await?)).await?;
    app::fits(&settings, &work.job, &work.task)?;
    let env = config::environment();
    let app = App::open(settings, &env, Arc::new(SystemClock)).await?;
    app.try_secrets(&work.job, &env)?;
    let job = work.job.clone();
    let done = watched(&app, &job, work.order(&caller::name())).await;
    if done.is_ok() {
        post(&app).await;
    }
    app.close().await;
    done
}

/// How long a command stays for notices. What is not delivered then is left in the queue for the service or the next
/// command.
const POSTING: Duration = Duration::from_secs(10);

/// Delivers what waits, where no service does.
pub(super) async fn post(app: &App) {
    let notices = app.notices();
    let posting = async {
        notices.told(POSTING).await;
        notices.attend().await
    };
    match tokio::time::timeout(POSTING, posting).await {
        Ok(Ok(delivered)) if delivered.failed > 0 => {
            super::render::say("a notice did not arrive, and waits in the queue: `graphkeeper history notices`");
        }
        Ok(_) => {}
        Err(_) => super::render::say("notices wait in the queue: `graphkeeper history notices`"),
    }
}

/// What the process exits with. A strict run is not content with people left unresolved.
fn code(report: &Report, strict: bool) -> u8 {
    let code = report.finish.outcome.exit_code();
    let unresolved = report.finish.unresolved.unwrap_or(0);
    if strict && code == exit::SUCCEEDED && unresolved > 0 { exit::PARTIAL } else { code }
}

/// Runs a job while a person may watch, and stops it in an orderly way when asked.
pub(super) async fn watched(app: &App, job: &str, order: Order) -> Result<Report, Failure> {
    let stop = CancellationToken::new();
    let mut signals = listen().map_err(anyhow::Error::from)?;
    let progress = Progress::default();
    let bar = tokio::spawn(show(progress.watch()));
    let run = app.run(job, order, stop.clone(), progress);
    tokio::pin!(run);
    let done = loop {
        tokio::select! {
            done = &mut run => break done,
            Some(signal) = signals.recv() => {
                if signal != Signal::Stop {
                    continue; // the terminal went away: the run goes on
                }
                if stop.is_cancelled() {
                    return Err(Failure::new(exit::FAILED, "aborted; open writes are settled by the next run".to_owned(), None));
                }
                super::render::say("stopping after the call in hand; once more aborts");
                stop.cancel();
            }
        }
    };
    // The bar ends by itself when the run has dropped its side.
    let _ = tokio::time::timeout(Duration::from_secs(1), bar).await;
    Ok(done?)
}

/// Runs a job in the service while a person may watch. A stop is passed on; the run does not depend on this process.
async fn asked(client: &Client, request: &RunRequest) -> Result<Report, Failure> {
    let mut signals = listen().map_err(anyhow::Error::from)?;
    let mut running = client.run(request).await?;
    let (tell, steps) = watch::channel(Step::default());
    let bar = tokio::spawn(show(steps));
    let mut stop = Stop::NotAsked;
    let mut passing = None;
    let done = loop {
        tokio::select! {
            said = running.next() => match said? {
                Said::Step(now) => drop(tell.send_replace(now)),
                Said::Ended(report) => break *report,
            },
            Some(signal) = signals.recv() => match (signal, stop) {
                (Signal::Reload, _) => {} // the terminal went away
                (Signal::Stop, Stop::NotAsked) => {
                    super::render::say("the run is asked to stop after the call in hand; once more leaves it to the service");
                    stop = Stop::Wanted;
                }
                (Signal::Stop, _) => {
                    // What was said to be asked is asked, however fast the second word followed.
                    if let Some(passing) = passing.take() {
                        let _ = tokio::time::timeout(PASSING, passing).await;
                    }
                    return Err(left(running.run.as_ref()));
                }
            },
        }
        // A run that has no job yet has no name either.
        if let (Stop::Wanted, Some(run)) = (stop, running.run.clone()) {
            stop = Stop::Passed;
            let client = client.clone();
            passing = Some(tokio::spawn(async move {
                if let Err(error) = client.stop(&run).await {
                    super::render::say(&super::render::error_chain(&error, error.hint().as_deref()));
                }
            }));
        }
    };
    drop(tell);
    // The bar ends by itself when nothing more is told.
    let _ = tokio::time::timeout(Duration::from_secs(1), bar).await;
    Ok(done)
}

/// How long a command that is told to leave waits until the service has taken the wish to stop.
const PASSING: Duration = Duration::from_secs(5);

/// How far the wish to stop a run has come.
#[derive(Clone, Copy)]
enum Stop {
    NotAsked,
    Wanted,
    Passed,
}

/// This command ends before the run.
fn left(run: Option<&RunId>) -> Failure {
    let (name, hint) = match run {
        Some(run) => (format!("run {run}"), format!("`graphkeeper history show {run}` tells how it ends")),
        None => ("the run".to_owned(), "`graphkeeper jobs` tells how it ends".to_owned()),
    };
    Failure::new(exit::FAILED, format!("{name} goes on in the service"), Some(hint))
}

/// Draws the progress on a terminal's standard error until the run is over.
pub(super) async fn show(mut steps: watch::Receiver<Step>) {
    if !render::may_redraw() {
        return;
    }
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    let counted = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {human_pos}/{human_len} {eta}");
    let open = ProgressStyle::with_template("{spinner} {msg} {human_pos}");
    while steps.changed().await.is_ok() {
        let step = steps.borrow_and_update().clone();
        let style = if step.of.is_some() { &counted } else { &open };
        if let Ok(style) = style {
            bar.set_style(style.clone());
        }
        bar.set_message(step.what);
        bar.set_length(step.of.unwrap_or(0));
        bar.set_position(step.done);
    }
    bar.finish_and_clear();
}
