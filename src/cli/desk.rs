//! What every command that reads or tends the history starts from: the configuration, and the history opened read-only.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::app::{self, AppError};
use crate::cli::args::{Global, OutputFormat};
use crate::cli::failure::Failure;
use crate::cli::{exit, render};
use crate::config;
use crate::config::Outline;
use crate::config::problem::Problems;
use crate::config::settings::Settings;
use crate::control::carry::{self, LIST_RUNS};
use crate::control::refusal::one;
use crate::domain::run::RunId;
use crate::history::History;
use crate::history::error::HistoryError;

/// How a reading command sees the world.
#[derive(Debug)]
pub(super) struct Desk {
    /// Where to look, and how times are told.
    pub outline: Outline,
    /// What is wrong with the configuration while it has mistakes.
    pub settings: Result<Settings, Problems>,
    /// `None` before anything ran.
    pub history: Option<History>,
    pub now: Timestamp,
    pub format: OutputFormat,
    /// Of the terminal, if there is one.
    pub width: Option<u16>,
}

impl Desk {
    /// Reads the configuration and opens the history for reading. Needs no secret, and of a configuration with mistakes only
    /// where the history is: who asks what happened should not have to mend a file first.
    pub(super) async fn open(global: &Global, now: Timestamp) -> Result<Self, Failure> {
        let env = config::environment();
        let (outline, settings) = match config::load(&global.config, &env) {
            Ok(settings) => (Outline::of(&settings), Ok(settings)),
            Err(found) => {
                let note = broken(&found);
                let outline = config::outline(&global.config, &env, found.clone())?;
                render::say(&format!("{note}; reading in {} all the same", outline.state_directory.display()));
                (outline, Err(found))
            }
        };
        let history = match app::open_history(&outline.state_directory).await {
            Ok(history) => Some(history),
            Err(error) if is_absent(&error) => {
                render::say(&format!("there is no history in {} yet", outline.state_directory.display()));
                None
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { outline, settings, history, now, format: global.format(), width: render::terminal_width() })
    }

    /// The zone in which people are told times.
    pub(super) const fn zone(&self) -> &TimeZone {
        &self.outline.zone.tz
    }

    /// The whole configuration, for a command that needs more of it than where to read.
    pub(super) fn settings(&self) -> Result<&Settings, Failure> {
        self.settings.as_ref().map_err(|found| found.clone().into())
    }

    /// The history, for a command that asks for something in it by name.
    pub(super) fn history(&self) -> Result<&History, Failure> {
        self.history.as_ref().ok_or_else(nothing_ran)
    }

    /// The run whose id begins so.
    pub(super) async fn run(&self, prefix: &str) -> Result<RunId, Failure> {
        Ok(one(self.history()?.resolve_run_prefix(prefix).await?, "run", prefix, LIST_RUNS)?)
    }

    /// Okta's id of the person named so, as far as a decision about them is remembered; else the name itself.
    pub(super) async fn person(&self, name: &str) -> Result<String, Failure> {
        let Some(history) = &self.history else { return Ok(name.to_owned()) };
        Ok(carry::person(history, name).await?)
    }
}

/// That a configuration has mistakes, the first of them, and where the others are told.
fn broken(found: &Problems) -> String {
    let count = found.problems.len();
    let first = found.problems.first().map(|first| format!("{first}")).unwrap_or_default();
    let (mistakes, is) =
        if count == 1 { ("a mistake".to_owned(), "it is") } else { (format!("{count} mistakes"), "the first is") };
    format!("the configuration has {mistakes} (`graphkeeper check`), {is} {first}")
}

/// There is no history yet.
fn nothing_ran() -> Failure {
    let hint = "start the daemon, or run a job once: `graphkeeper run JOB`; `graphkeeper jobs` lists the jobs";
    Failure::new(exit::FAILED, "the history is empty: nothing ran yet".to_owned(), Some(hint.to_owned()))
}

fn is_absent(error: &AppError) -> bool {
    let AppError::History { source: HistoryError::Open { source, .. }, .. } = error else { return false };
    matches!(**source, HistoryError::Absent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_desk(configuration: &std::path::Path) -> Global {
        Global {
            config: configuration.to_owned(),
            output: OutputFormat::Table,
            json: false,
            log: crate::cli::args::LogChoice::Text,
        }
    }

    #[tokio::test]
    async fn before_the_first_run_there_is_nothing_to_name_and_that_is_no_broken_history() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("graphkeeper.toml");
        let state = directory.path().join("state");
        std::fs::write(&file, format!("state = {{ directory = {state:?} }}\n[entra]\ntenant = \"contoso.example\"\n"))
            .unwrap();
        let desk = Desk::open(&at_desk(&file), crate::history::testing::at(0)).await.unwrap();
        assert!(desk.history.is_none());
        assert_eq!(desk.history().unwrap_err().code, exit::FAILED);
        assert_eq!(desk.person("ana").await.unwrap(), "ana");
        // A file that is half edited.
        std::fs::write(&file, format!("state = {{ directory = {state:?} }}\n[entra\ntenant = \"contoso.example\"\n"))
            .unwrap();
        let desk = Desk::open(&at_desk(&file), desk.now).await.unwrap();
        assert_eq!((desk.settings().unwrap_err().code, &desk.outline.state_directory), (exit::USAGE, &state));
        let missing = Desk::open(&at_desk(&directory.path().join("none.toml")), desk.now).await.unwrap_err();
        assert_eq!(missing.code, exit::USAGE);
    }
}
