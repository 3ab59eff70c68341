//! Single values: words, times, zones, URLs, paths.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use jiff::{SignedDuration, Span, SpanRelativeTo, tz};
use url::{Host, Url};

use crate::config::key::KeyPath;
use crate::config::near::{nearest, nearest_above};
use crate::config::parse::Parser;
use crate::config::raw::List;
use crate::config::settings::Zone;

/// So many seconds.
pub(super) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// How alike a zone must be to be offered: among 600 names something always is a little alike.
const ZONE_ALIKE: f64 = 0.6;

impl Parser<'_> {
    /// A text that must be there and not be blank. `missing` says what it is for.
    pub(super) fn required(&mut self, path: &KeyPath, written: Option<String>, missing: &str) -> Option<String> {
        match written {
            None => {
                self.report.missing(path, missing);
                None
            }
            Some(text) if text.trim().is_empty() => {
                self.report.problem(path, "is empty");
                None
            }
            Some(text) => Some(text.trim().to_owned()),
        }
    }

    /// One of a closed list of words; the default when nothing is written.
    pub(super) fn word<T: Copy>(
        &mut self,
        path: &KeyPath,
        written: Option<&str>,
        known: &[(&str, T)],
        default: T,
    ) -> T {
        let Some(written) = written else { return default };
        if let Some((_, value)) = known.iter().find(|(word, _)| *word == written) {
            return *value;
        }
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let message = format!("`{written}` is not one of {}", words.join(", "));
        self.report.suggest(path, message, nearest(written, words));
        default
    }

    /// A value that reads itself and explains its own mistakes.
    pub(super) fn parsed<T: FromStr>(&mut self, path: &KeyPath, written: Option<&str>) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        match written?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.report.problem(path, error.to_string());
                None
            }
        }
    }

    /// A length of time, with its unit; a day is 24 hours here.
    pub(super) fn time(&mut self, path: &KeyPath, written: Option<&str>, default: Duration) -> Duration {
        let Some(written) = written else { return default };
        if let Some(time) = time(written) {
            return time;
        }
        let unit = written.trim().parse::<f64>().is_ok();
        let message = if unit {
            format!("`{written}` has no unit: write \"{written} seconds\" or \"{written} minutes\"")
        } else {
            format!("`{written}` is not a length of time, such as \"30 seconds\", \"15 minutes\" or \"1h 30m\"")
        };
        self.report.problem(path, message);
        default
    }

    /// As [`Self::time`], for limits: nothing can be done in no time.
    pub(super) fn time_limit(&mut self, path: &KeyPath, written: Option<&str>, default: Duration) -> Duration {
        let time = self.time(path, written, default);
        if time.is_zero() {
            self.report.problem(path, "must be more than nothing");
        }
        time
    }

    /// A zone of the IANA database, in any case.
    pub(super) fn zone(&mut self, path: &KeyPath, written: Option<&str>, default: Zone) -> Zone {
        let Some(written) = written else { return default };
        if let Ok(tz) = tz::db().get(written.trim()) {
            return Zone { name: tz.iana_name().unwrap_or(written).to_owned(), tz };
        }
        let names: Vec<String> = tz::db().available().map(|name| name.as_str().to_owned()).collect();
        let suggestion = nearest_above(ZONE_ALIKE, written, names.iter().map(String::as_str));
        self.report.suggest(path, format!("`{written}` is not a time zone, such as Europe/Oslo"), suggestion);
        default
    }

    /// The items of a list of texts. Blank ones are reported.
    pub(super) fn texts(&mut self, path: &KeyPath, written: Option<List<String>>) -> Vec<String> {
        let mut texts = Vec::new();
        for (index, text) in written.into_iter().flatten().enumerate() {
            match text {
                Some(text) if text.trim().is_empty() => self.report.problem(&path.index(index), "is empty"),
                Some(text) => texts.push(text.trim().to_owned()),
                None => {}
            }
        }
        texts
    }

    /// A path; relative ones start at the configuration file.
    pub(super) fn path(&mut self, path: &KeyPath, written: &str) -> Option<PathBuf> {
        if written.trim().is_empty() {
            self.report.problem(path, "is empty");
            return None;
        }
        if written.starts_with('~') || written.starts_with('$') {
            self.report.problem(path, "is taken literally: `~` and `$` are not replaced; write the whole path");
            return None;
        }
        Some(self.base.join(written))
    }

    /// The root of a service: `https`, or loopback; no path, query or user.
    pub(super) fn root_url(&mut self, path: &KeyPath, written: &str) -> Option<Url> {
        let written = written.trim();
        let url = match Url::parse(written) {
            Ok(url) if url.has_host() => url,
            _ => {
                let with_scheme = format!("https://{written}");
                let suggestion = Url::parse(&with_scheme).ok().filter(|url| url.has_host() && !written.contains("//"));
                let suggestion = suggestion.map(|_| with_scheme);
                self.report.suggest(path, "is not a URL, such as https://example.okta.com", suggestion);
                return None;
            }
        };
        let wrong = match url.scheme() {
            "https" => None,
            "http" if is_loopback(&url) => None,
            "http" => Some("must begin with https: plain http is accepted for loopback only"),
            _ => Some("must begin with https"),
        };
        let wrong = wrong
            .or((!url.username().is_empty() || url.password().is_some()).then_some("must not name a user or password"))
            .or((url.query().is_some() || url.fragment().is_some()).then_some("must not have a query or fragment"))
            .or((url.path() != "/").then_some("must be the root alone, without a path"));
        match wrong {
            Some(wrong) => {
                let root = url.host_str().filter(|_| url.scheme() == "https" && url.path() != "/");
                let suggestion = root.map(|host| match url.port() {
                    Some(port) => format!("https://{host}:{port}"),
                    None => format!("https://{host}"),
                });
                self.report.suggest(path, wrong, suggestion);
                None
            }
            None => Some(url),
        }
    }
}

/// Reads a length of time; `None` when it is not one, or is negative.
fn time(text: &str) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let signed: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(signed).ok()
}

/// A length of time as a person says it: `1 day 12 hours`. [`time`] reads it back.
#[must_use]
pub fn spoken(length: Duration) -> String {
    const DAY: u64 = 24 * 60 * 60;
    let printer = SpanPrinter::new().designator(Designator::Verbose).spacing(Spacing::BetweenUnitsAndDesignators);
    let clock = printer.unsigned_duration_to_string(&Duration::new(length.as_secs() % DAY, length.subsec_nanos()));
    match (length.as_secs() / DAY, clock) {
        (0, clock) => clock,
        (days, clock) => {
            let days = format!("{days} day{}", if days == 1 { "" } else { "s" });
            if length.as_secs().is_multiple_of(DAY) { days } else { format!("{days} {clock}") }
        }
    }
}

/// Whether a service is on this very machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_said_as_it_is_written() {
        for text in
            ["0 seconds", "90 seconds", "20 minutes", "1 day", "2 days", "1 day 12 hours", "7 days 1 hour 2 minutes"]
        {
            assert_eq!(time(&spoken(time(text).unwrap())), time(text), "{text}");
        }
        for (written, said) in [
            ("36 hours", "1 day 12 hours"),
            ("48h", "2 days"),
            ("20m", "20 minutes"),
            ("1500ms", "1 second 500 milliseconds"),
        ] {
            assert_eq!(spoken(time(written).unwrap()), said);
        }
    }
}
