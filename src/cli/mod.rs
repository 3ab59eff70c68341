//! What an operator types and reads: one file per subcommand, and all printing in [`render`].

mod accept_source;
pub mod args;
mod caller;
mod check;
mod desk;
pub mod exit;
mod explain;
mod failure;
mod history;
mod jobs;
mod packaging;
mod page;
mod release;
pub mod render;
#[cfg(test)]
mod samples;
pub mod when;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::args::{Arguments, Command, LogChoice};
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::telemetry::{self, LogFormat};

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
    if let Err(error) = start_logging(&arguments) {
        render::say(&render::error_chain(&error, None));
        return ExitCode::from(exit::USAGE);
    }
    match dispatch(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            render::say(&failure.text());
            ExitCode::from(failure.code)
        }
    }
}

/// A service tells its story; a command at a terminal speaks up when something is wrong.
fn start_logging(arguments: &Arguments) -> Result<(), telemetry::TelemetryError> {
    let format = match arguments.global.log {
        LogChoice::Text => LogFormat::Text,
        LogChoice::Json => LogFormat::Json,
    };
    let usual = if matches!(arguments.command, Command::Daemon) { "info" } else { "warn" };
    let wanted = std::env::var("GRAPHKEEPER_LOG").ok();
    telemetry::start(format, wanted.as_deref(), usual)
}

fn dispatch(arguments: &Arguments) -> Result<u8, Failure> {
    match &arguments.command {
        Command::Check => Ok(check::run(&arguments.global, &config::environment(), SystemClock.now())?),
        Command::History(history) => history::run(&arguments.global, history, SystemClock.now()),
        Command::Explain(explain) => explain::run(&arguments.global, explain, SystemClock.now()),
        Command::Jobs => jobs::run(&arguments.global, SystemClock.now()),
        Command::Release(release) => release::run(&arguments.global, release, SystemClock.now()),
        Command::AcceptSource(accept) => accept_source::run(&arguments.global, accept, SystemClock.now()),
        Command::Completions { shell } => Ok(packaging::completions(*shell).map(|()| exit::SUCCEEDED)?),
        Command::Man => Ok(packaging::man().map(|()| exit::SUCCEEDED)?),
        _ => Err(Failure::new(exit::FAILED, "this command is not built in".to_owned(), None)),
    }
}
