//! Channels of notices that do not work, for whoever looks at the jobs.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::render::{Cell, local};
use crate::config::notices::Way;
use crate::config::settings::Settings;
use crate::domain::notice::On;
use crate::history::outbox::ChannelState;

/// The channels that would tell of a job and do not work; all that do not, where the configuration cannot say whose they are.
pub(super) fn broken(channels: &[ChannelState], job: &str, settings: Option<&Settings>) -> Vec<ChannelState> {
    let is_its = |name: &str| settings.is_none_or(|settings| tells(settings, name, job));
    channels.iter().filter(|channel| channel.failing.is_some() && is_its(&channel.name)).cloned().collect()
}

fn tells(settings: &Settings, name: &str, job: &str) -> bool {
    let Some(channel) = settings.notices.get(name) else { return false };
    if let Way::Ping { jobs, .. } = &channel.way {
        return jobs.iter().any(|watched| watched == job);
    }
    let own = settings.jobs.get(job).and_then(|job| job.notices.on.get(name)).copied();
    own.unwrap_or(channel.on) != On::Never
}

pub(super) fn broken_cell(broken: &[ChannelState]) -> Cell {
    let value = broken.iter().filter_map(|channel| {
        let failing = channel.failing.as_ref()?;
        Some(json!({
            "channel": channel.name,
            "since": failing.since.to_string(),
            "problem": failing.problem,
            "waiting": channel.waiting,
        }))
    });
    let names: Vec<&str> = broken.iter().map(|channel| channel.name.as_str()).collect();
    let shown = if names.is_empty() { String::new() } else { format!("{} broken", names.join(", ")) };
    Cell::new(value.collect::<Value>(), shown)
}

/// A channel that does not work, with the remedy.
pub(super) fn broken_note(channel: &ChannelState, zone: &TimeZone) -> Option<String> {
    let failing = channel.failing.as_ref()?;
    let hint = failing.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    let (name, since) = (&channel.name, local(failing.since, zone));
    let waiting = match channel.waiting {
        0 => String::new(),
        1 => "; 1 notice waits".to_owned(),
        count => format!("; {count} notices wait"),
    };
    Some(format!("the channel {name} does not work since {since}: {}{waiting}{hint}", failing.problem))
}
