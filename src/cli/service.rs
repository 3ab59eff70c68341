//! Whether a service runs, as the commands that read see it.

use jiff::tz::TimeZone;

use crate::cli::render::local;
use crate::config::Outline;
use crate::control::client::Client;
use crate::control::wire::About;
use crate::jobs::error::chain;
use crate::jobs::lock::{self, SERVICE};

/// What runs the jobs on their schedules.
#[derive(Debug)]
pub(super) enum Service {
    Running(About),
    None,
    /// It cannot be asked, and why.
    Unknown(String),
}

impl Service {
    pub(super) async fn find(outline: &Outline) -> Self {
        match Client::reach(&outline.socket, &outline.state_directory).await {
            Ok(Some(client)) => Self::Running(client.about),
            Ok(None) if lock::is_held(&outline.state_directory, SERVICE) == Some(true) => {
                let socket = outline.socket.display();
                Self::Unknown(format!("a service is running, but does not listen on {socket}"))
            }
            Ok(None) => Self::None,
            Err(error) => Self::Unknown(format!("whether a service is running cannot be told: {}", chain(&error))),
        }
    }

    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Running(_) => "running",
            Self::None => "none",
            Self::Unknown(_) => "unknown",
        }
    }

    /// What is worth knowing of it beside the table.
    pub(super) fn note(&self, zone: &TimeZone) -> Option<String> {
        match self {
            Self::Running(About { refused: Some(refused), .. }) => Some(format!(
                "the service goes on with the configuration that it had before {}; the file as it is now is not used: {}",
                local(refused.since, zone),
                refused.problem
            )),
            Self::Running(About { unwritten: rows @ 1.., .. }) => {
                Some(format!("{rows} scheduled moments wait to be recorded: the service cannot write the history"))
            }
            Self::Running(_) | Self::None => None,
            Self::Unknown(why) => Some(why.clone()),
        }
    }
}
