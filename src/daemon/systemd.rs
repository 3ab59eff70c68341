//! What the service manager is told. Without one (no `NOTIFY_SOCKET`) every word goes nowhere, which is not an error.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sd_notify::NotifyState;
use tokio::time::Instant;
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
pub(super) fn status<'a>(
    next: Option<&Next>,
    running: &[Arc<str>],
    refused: Option<&str>,
    concerns: impl IntoIterator<Item = &'a String>,
) -> String {
    let mut said = Vec::new();
    if let Some(reason) = refused {
        said.push(format!("the configuration is refused and the one before it served ({reason})"));
    }
    said.extend(concerns.into_iter().cloned());
    if !running.is_empty() {
        said.push(format!("running: {}", running.join(", ")));
    }
    said.push(match next {
        Some(Next { job, due, zone }) => {
            format!("next run: {job} at {}", due.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %Z"))
        }
        None => "no run is scheduled".to_owned(),
    });
    said.join("; ")
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
    /// The jobs are scheduled and signals are listened to, at the start and after a reload.
    pub(super) fn ready(&mut self, status: String) {
        send(&[NotifyState::Ready, NotifyState::Status(&status)]);
        self.said = status;
    }

    /// The configuration is being read again because a signal asked for it; [`ServiceManager::ready`] follows. With the time,
    /// which systemd 253 and newer want.
    pub(super) fn reloading() {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => send(&[NotifyState::Reloading, now]),
            Err(_) => send(&[NotifyState::Reloading]),
        }
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

/// The service manager's watchdog, where there is one.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// How often it wants to hear of us: half of its patience, as `sd_watchdog_enabled(3)` advises.
    every: Option<Duration>,
    fed: Option<Instant>,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        Self { every: sd_notify::watchdog_enabled().map(|patience| patience / 2), fed: None }
    }

    /// The trigger has looked and the serve loop has heard of it: both are alive. Sends no more than is wanted.
    pub(super) fn feed(&mut self) {
        if self.is_hungry(Instant::now()) {
            send(&[NotifyState::Watchdog]);
            self.fed = Some(Instant::now());
        }
    }

    /// Looks come twice a second: the next one would be too late.
    fn is_hungry(&self, now: Instant) -> bool {
        const LOOK: Duration = Duration::from_millis(500);
        let due = |every| self.fed.is_none_or(|fed| now.duration_since(fed) + LOOK > every);
        self.every.is_some_and(due)
    }
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
        assert_eq!(status(Some(&next), &[], None, []), "next run: managers at Sun 2026-11-22 02:00:00 EST");
        assert_eq!(
            status(Some(&next), &["keepalive".into(), "licenses".into()], None, []),
            "running: keepalive, licenses; next run: managers at Sun 2026-11-22 02:00:00 EST"
        );
        assert_eq!(status(None, &[], None, []), "no run is scheduled");
        assert_eq!(
            status(
                None,
                &["keepalive".into()],
                Some("gk.toml:2:1: unknown key `jbos`"),
                &["the page is not served: x".to_owned()]
            ),
            "the configuration is refused and the one before it served (gk.toml:2:1: unknown key `jbos`); the page is not served: x; \
             running: keepalive; no run is scheduled"
        );
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

    #[test]
    fn the_watchdog_is_fed_as_often_as_it_wants_and_no_more() {
        let begun = Instant::now();
        let fed = |every: Option<u64>| {
            let mut watchdog = Watchdog { every: every.map(Duration::from_millis), fed: None };
            let looks = (0..=60).map(|look| begun + Duration::from_millis(500) * look);
            let feeds = looks.filter(|now| {
                let hungry = watchdog.is_hungry(*now);
                watchdog.fed = if hungry { Some(*now) } else { watchdog.fed };
                hungry
            });
            feeds.map(|now| now.duration_since(begun).as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(fed(None), Vec::<u128>::new());
        assert_eq!(fed(Some(15_000)), [0, 15_000, 30_000]);
        assert_eq!(fed(Some(7_250)), [0, 7_000, 14_000, 21_000, 28_000]);
        assert_eq!(fed(Some(100)).len(), 61, "as often as it can");
    }
}
