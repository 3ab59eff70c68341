//! Channels of notices, as far as they do not work.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::history::outbox::ChannelState;
use crate::tables::table::Cell;
use crate::tables::words::local;

/// Channels that do not work, as `jobs` shows them.
///
/// JSON: a list of `{channel, since, problem, waiting}`.
#[must_use]
pub fn cell(broken: &[ChannelState]) -> Cell {
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
#[must_use]
pub fn trouble(channel: &ChannelState, zone: &TimeZone) -> Option<String> {
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
