//! What an operator types and reads: one file per subcommand, and all printing in [`render`].

mod accept_source;
pub mod args;
mod caller;
mod carrier;
mod channels;
pub mod chart;
mod check;
mod daemon;
#[cfg(feature = "sandbox")]
mod demo;
mod desk;
mod doctor;
pub mod exit;
mod explain;
mod failure;
mod history;
mod identities;
mod imports;
mod jobs;
mod login;
mod notify;
mod packaging;
mod page;
mod pause;
mod release;
pub mod render;
mod report;
#[cfg(feature = "sandbox")]
mod sandbox;
#[cfg(test)]
mod samples;
mod service;
mod web;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::cli::args::{Arguments, Command, LogChoice};
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::telemetry::{self, Destination, LogFormat};

/// Parses the arguments, starts logging, runs the command, and says how it went.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::SUCCEEDED });
        }
    };
    let log = match start_logging(&arguments) {
        Ok(log) => log,
        Err(error) => {
            render::say(&render::error_chain(&error, None));
            return ExitCode::from(exit::USAGE);
        }
    };
    match dispatch(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            tell(&failure.text(), log);
            if let Command::Daemon = arguments.command {
                crate::daemon::not_started(&failure.text());
            }
            ExitCode::from(failure.code)
        }
    }
}

/// A failure on standard error; where that leads into the journal, as errors, a record a line.
fn tell(failure: &str, log: Destination) {
    match log {
        Destination::StandardError => render::say(failure),
        Destination::Journal => failure.lines().for_each(|line| tracing::error!("{line}")),
    }
}

/// A service tells its story; a command at a terminal speaks up when something is wrong.
fn start_logging(arguments: &Arguments) -> Result<Destination, telemetry::TelemetryError> {
    let format = match arguments.global.log {
        LogChoice::Text => LogFormat::Text,
        LogChoice::Json => LogFormat::Json,
    };
    let usual = if serves(&arguments.command) { "info" } else { "warn" };
    let wanted = std::env::var("GRAPHKEEPER_LOG").ok();
    telemetry::start(format, wanted.as_deref(), usual)
}

/// Whether a command goes on until it is stopped, and runs jobs meanwhile.
const fn serves(command: &Command) -> bool {
    match command {
        Command::Daemon => true,
        #[cfg(feature = "sandbox")]
        Command::Demo(demo) => !demo.once,
        _ => false,
    }
}

fn dispatch(arguments: &Arguments) -> Result<u8, Failure> {
    let global = &arguments.global;
    match &arguments.command {
        #[cfg(feature = "sandbox")]
        Command::Demo(args) => wait(demo::run(global, args)),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => wait(sandbox::run(global, args)),
        Command::Daemon => wait(daemon::run(global)),
        Command::Check => Ok(check::run(global, &config::environment(), SystemClock.now())?),
        Command::Doctor => wait(doctor::run(global)),
        Command::Login(args) => wait(login::login(global, args)),
        Command::Logout => wait(login::logout(global)),
        Command::Run(args) => wait(work::run(global, args)),
        Command::Plan(args) => wait(work::plan(global, args)),
        Command::Approve(args) => wait(work::approve(global, args)),
        Command::Undo(args) => wait(work::undo(global, args)),
        Command::History(history) => wait(history::run(global, history, SystemClock.now())),
        Command::Explain(explain) => wait(explain::run(global, explain, SystemClock.now())),
        Command::Jobs => wait(jobs::run(global, SystemClock.now())),
        Command::Release(release) => wait(release::run(global, release, SystemClock.now())),
        Command::AcceptSource(accept) => wait(accept_source::run(global, accept, SystemClock.now())),
        Command::Pause(job) => wait(pause::pause(global, job, SystemClock.now())),
        Command::Resume(job) => wait(pause::resume(global, job)),
        Command::Notify(command) => wait(notify::run(global, command)),
        Command::Completions { shell } => Ok(packaging::completions(*shell).map(|()| exit::SUCCEEDED)?),
        Command::Man { directory: None } => Ok(packaging::man().map(|()| exit::SUCCEEDED)?),
        Command::Man { directory: Some(directory) } => Ok(packaging::man_pages(directory).map(|()| exit::SUCCEEDED)?),
    }
}

/// Runs a command to its end on two workers: the work is waiting, and the machine is somebody else's too.
fn wait(command: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(16).enable_all().build()?;
    let done = runtime.block_on(command);
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}
