//! The commands that make a run: `run`, `plan`, `approve`, `undo`. All go through the same runner as a schedule.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::{App, no_job, open_history};
use crate::cli::args::{Approve, Global, PlanArgs, Run, Undo};
use crate::cli::desk::one;
use crate::cli::failure::Failure;
use crate::cli::{caller, exit, report};
use crate::clock::SystemClock;
use crate::config;
use crate::config::settings::Settings;
use crate::daemon::{Signal, listen};
use crate::domain::run::{JobKind, Trigger};
use crate::jobs::Task;
use crate::jobs::progress::{Progress, Step};
use crate::jobs::report::Report;
use crate::jobs::runner::Order;

/// Runs a job now.
pub(super) async fn run(global: &Global, args: &Run) -> Result<u8, Failure> {
    let task = args.user.clone().map_or(Task::Run, Task::One);
    execute(global, settings(global)?, &args.job, task, Trigger::Manual, args.strict).await
}

/// Shows what a job would change, and keeps it to be approved.
pub(super) async fn plan(global: &Global, args: &PlanArgs) -> Result<u8, Failure> {
    execute(global, settings(global)?, &args.job, Task::Plan, Trigger::Plan, false).await
}

/// Carries out a stored plan.
pub(super) async fn approve(global: &Global, args: &Approve) -> Result<u8, Failure> {
    let settings = settings(global)?;
    let history = open_history(&settings).await?;
    let found = history.load_plan(&args.plan).await;
    history.close().await;
    let plan = one(found?, "plan", &args.plan, "`graphkeeper plan JOB` makes one")?.summary;
    let max_age = SignedDuration::try_from(args.max_age).unwrap_or(SignedDuration::MAX);
    let task = Task::Approve { plan: plan.id, max_age };
    execute(global, settings, &plan.job, task, Trigger::Approve, false).await
}

/// Puts back what a run replaced.
pub(super) async fn undo(global: &Global, args: &Undo) -> Result<u8, Failure> {
    let settings = settings(global)?;
    let history = open_history(&settings).await?;
    let found = history.resolve_run_prefix(&args.run).await;
    let of = match found {
        Ok(found) => one(found, "run", &args.run, "`graphkeeper history` lists them")?,
        Err(error) => return Err(error.into()),
    };
    let run = history.run(&of).await?;
    history.close().await;
    let job = run.map(|run| run.job).unwrap_or_default();
    execute(global, settings, &job, Task::Undo { of, apply: args.yes }, Trigger::Undo, false).await
}

/// The configuration that `global` names.
pub(super) fn settings(global: &Global) -> Result<Settings, Failure> {
    Ok(config::load(&global.config, &config::environment())?)
}

async fn execute(
    global: &Global,
    settings: Settings,
    job: &str,
    task: Task,
    trigger: Trigger,
    strict: bool,
) -> Result<u8, Failure> {
    fits(&settings, job, &task)?;
    let app = App::open(settings, &config::environment(), Arc::new(SystemClock)).await?;
    let order = Order { trigger, caller: caller::name(), task, moment: None };
    let done = watched(&app, job, order).await;
    app.close().await;
    let done = done?;
    report::print(&done, global.format())?;
    Ok(code(&done, strict))
}

/// Refuses what the job cannot do before it becomes a run that failed.
fn fits(settings: &Settings, job: &str, task: &Task) -> Result<(), Failure> {
    let Some(found) = settings.jobs.get(job) else { return Err(no_job(settings, job).into()) };
    if *task == Task::Run || found.kind() == JobKind::Managers {
        return Ok(());
    }
    let message = format!("`{job}` is a {} job: only managers jobs plan, and know people", found.kind());
    Err(Failure::new(exit::USAGE, message, Some(format!("`graphkeeper run {job}` runs it"))))
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
            Some(Signal::Stop) = signals.recv() => {
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

/// Draws the progress on a terminal's standard error until the run is over.
async fn show(mut steps: watch::Receiver<Step>) {
    if !std::io::stderr().is_terminal() {
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
