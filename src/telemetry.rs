//! Log lines: plain text on standard error, or JSON by choice. Standard output is for data alone.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

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
/// [`TelemetryError`] when the filter cannot be read or logging runs already.
pub fn start(format: LogFormat, filter: Option<&str>, default: &str) -> Result<(), TelemetryError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(env_filter(filter, default)?)
        .with_span_events(FmtSpan::NONE)
        .with_target(false)
        .with_writer(io::stderr);
    let colored = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match format {
        LogFormat::Text => builder.with_ansi(colored).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).try_init(),
    }
    .map_err(TelemetryError::Started)
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
