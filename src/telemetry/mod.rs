//! Log lines: into systemd's journal where standard error leads there, otherwise plain text on standard error; JSON by
//! choice. Standard output is for data alone.

mod journal;

use std::io::{self, IsTerminal};
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use journal::Journal;

/// What is logged when `GRAPHKEEPER_LOG` does not say: the trigger library greets at `info`, the network ones chatter.
const QUIET: [&str; 3] = ["tokio_cron_scheduler=warn", "hyper_util=warn", "sqlx=warn"];

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("`{other}` is not `text` or `json`")),
        }
    }
}

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    StandardError,
    /// Records with fields. What is written to standard error arrives there too, but without a priority of its own.
    Journal,
}

/// Logging cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("GRAPHKEEPER_LOG is not a level (error, warn, info, debug, trace) nor a filter such as graphkeeper=debug")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("logging was started before")]
    Started(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Starts logging for the whole process. `filter` is what `GRAPHKEEPER_LOG` says; `default` the level without it.
///
/// # Errors
///
/// [`TelemetryError`] when the filter cannot be read or logging runs already. A journal that cannot be reached is none.
pub fn start(format: LogFormat, filter: Option<&str>, default: &str) -> Result<Destination, TelemetryError> {
    let filter = env_filter(filter, default)?;
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let started = |error| TelemetryError::Started(Box::new(error));
    if format == LogFormat::Text
        && let Some(journal) = Journal::behind_standard_error(stream.as_deref())
    {
        tracing_subscriber::registry().with(filter).with(journal).try_init().map_err(started)?;
        return Ok(Destination::Journal);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_target(false)
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal() && may_color()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).try_init(),
    }
    .map_err(TelemetryError::Started)?;
    Ok(Destination::StandardError)
}

/// Whether a terminal may be colored: <https://no-color.org>. It is never needed to understand anything.
fn may_color() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_some_and(|kind| kind != "dumb")
}

/// The operator's words come last and win.
fn env_filter(filter: Option<&str>, default: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let wanted = filter.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(default);
    let mut directives = QUIET.to_vec();
    directives.push(wanted);
    EnvFilter::builder().parse(directives.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trigger_library_is_quiet_and_the_operator_has_the_last_word() {
        let shown = |filter| env_filter(filter, "info").map(|filter| filter.to_string());
        assert!(shown(None).unwrap().contains("tokio_cron_scheduler=warn"));
        assert!(shown(Some("tokio_cron_scheduler=debug")).unwrap().contains("tokio_cron_scheduler=debug"));
        assert!(shown(Some("graphkeeper=loud")).is_err());
    }
}
