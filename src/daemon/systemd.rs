//! What the service manager is told. Without one (no `NOTIFY_SOCKET`) every word goes nowhere, which is not an error.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sd_notify::NotifyState;
use tracing::warn;

/// The moment that comes next, of all jobs.
#[derive(Clone, Debug)]
pub(super) struct Next {
    pub(super) job: Arc<str>,
    /// When it is fired, jitter included.
    pub(super) due: Timestamp,
    pub(super) zone: TimeZone,
}

/// The line of `systemctl status`. Times are absolute: nobody renews it while nothing happens.
pub(super) fn status(next: Option<&Next>, running: &[Arc<str>]) -> String {
    let next = match next {
        Some(Next { job, due, zone }) => {
            format!("next run: {job} at {}", due.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %Z"))
        }
        None => "no run is scheduled".to_owned(),
    };
    if running.is_empty() { next } else { format!("running: {}; {next}", running.join(", ")) }
}

/// The same line once the service was asked to stop.
pub(super) fn stopping(running: &[Arc<str>]) -> String {
    if running.is_empty() { "stopping".to_owned() } else { format!("stopping; waiting for {}", running.join(", ")) }
}

/// The service manager, as the serve loop speaks to it.
#[derive(Debug, Default)]
pub(super) struct ServiceManager {
    /// The last status, so that only news is sent.
    said: String,
}

impl ServiceManager {
    /// The jobs are scheduled and signals are listened to.
    pub(super) fn ready(&mut self, status: String) {
        send(&[NotifyState::Ready, NotifyState::Status(&status)]);
        self.said = status;
    }

    pub(super) fn status(&mut self, status: String) {
        if status != self.said {
            send(&[NotifyState::Status(&status)]);
            self.said = status;
        }
    }

    pub(super) fn stopping(&mut self, status: String) {
        send(&[NotifyState::Stopping, NotifyState::Status(&status)]);
        self.said = status;
    }
}

/// The serve loop is alive.
pub(super) fn beat() {
    send(&[NotifyState::Watchdog]);
}

/// How often the watchdog wants to hear of us: half of its patience, as `sd_watchdog_enabled(3)` advises.
pub(super) fn beat_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 2).filter(|every| !every.is_zero())
}

/// The service leaves before it served: its last status, which `systemctl status` goes on to show. `why` may have several
/// lines, as the report of a configuration has.
pub fn not_started(why: &str) {
    send(&[NotifyState::Status(&last_words(why))]);
}

/// The longest status of a service that did not start: some lines of a terminal.
const LAST_WORDS: usize = 500;

/// On one line, for a newline would end the status; the beginning of it when it is long.
fn last_words(why: &str) -> String {
    let why = why.strip_prefix("error: ").unwrap_or(why);
    let lines: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = format!("not started: {}", lines.join("; "));
    match line.char_indices().nth(LAST_WORDS) {
        Some((end, _)) => format!("{}… (more in the journal)", &line[..end]),
        None => line,
    }
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(error = &error as &dyn Error, "the service manager was not told how the service is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_names_the_next_run_in_its_own_zone_and_what_is_running() {
        let next = Next {
            job: "managers".into(),
            due: "2026-11-22T07:00:00Z".parse().unwrap(),
            zone: TimeZone::get("America/New_York").unwrap(),
        };
        assert_eq!(status(Some(&next), &[]), "next run: managers at Sun 2026-11-22 02:00:00 EST");
        assert_eq!(
            status(Some(&next), &["keepalive".into(), "licenses".into()]),
            "running: keepalive, licenses; next run: managers at Sun 2026-11-22 02:00:00 EST"
        );
        assert_eq!(status(None, &[]), "no run is scheduled");
        assert_eq!(stopping(&["keepalive".into(), "licenses".into()]), "stopping; waiting for keepalive, licenses");
        assert_eq!(stopping(&[]), "stopping");
    }

    #[test]
    fn the_last_words_are_one_line_and_not_too_long() {
        assert_eq!(
            last_words("error: 2 problems\n  a:1:2: key: ä\n\n  b"),
            "not started: 2 problems; a:1:2: key: ä; b"
        );
        let long = last_words(&"ä".repeat(2000));
        assert!(long.ends_with("ä… (more in the journal)") && long.chars().count() < 550, "{long}");
    }
}
