//! Whether a service runs, as the commands that read see it.

use jiff::tz::TimeZone;

use crate::config::Outline;
use crate::control::client::Client;
use crate::control::wire::About;
use crate::jobs::error::chain;
use crate::jobs::lock::{self, SERVICE};
use crate::tables::jobs;
use crate::tables::words::local;

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

    pub(super) const fn kind(&self) -> jobs::Service {
        match self {
            Self::Running(_) => jobs::Service::Running,
            Self::None => jobs::Service::None,
            Self::Unknown(_) => jobs::Service::Unknown,
        }
    }

    /// What is worth knowing of it beside the table, a note each.
    pub(super) fn notes(&self, zone: &TimeZone) -> Vec<String> {
        let about = match self {
            Self::Running(about) => about,
            Self::None => return Vec::new(),
            Self::Unknown(why) => return vec![why.clone()],
        };
        let mut notes = Vec::new();
        if let Some(refused) = &about.refused {
            notes.push(format!(
                "the service goes on with the configuration that it had before {}; the file as it is now is not used: {}",
                local(refused.since, zone),
                refused.problem
            ));
        }
        if about.unwritten > 0 {
            let rows = about.unwritten;
            notes.push(format!("{rows} scheduled moments wait to be recorded: the service cannot write the history"));
        }
        notes.extend(about.concerns.iter().cloned());
        notes
    }
}
