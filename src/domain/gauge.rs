//! How long the subscription lasts that a keepalive job watches, and whether its date has moved.
//!
//! A reading, not a promise: who decides on a renewal is Microsoft, and how is not public.
//! Source: <https://learn.microsoft.com/office/developer-program/microsoft-365-developer-program-faq>

use std::fmt::{self, Write as _};
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::run::words;

words! {
    /// How the subscription is.
    GaugeState, "state of a gauge", {
        /// Enabled, and for more than 30 days, or without a date.
        Active => "active",
        /// Enabled, and for 30 days or less.
        Expiring => "expiring",
        /// No longer enabled, or gone.
        Expired => "expired",
        /// Could not be read, or there never was such a subscription.
        Unknown => "unknown",
    }
}

words! {
    /// Who read the gauge.
    ReadAs, "identity", {
        App => "app",
        User => "user",
    }
}

/// Microsoft's word for a subscription that is paid for, or given.
pub const ENABLED: &str = "Enabled";

/// With this much time left, or less, a subscription is `expiring`.
const EXPIRING: SignedDuration = SignedDuration::from_hours(24 * 30);

/// A date that was seen to move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The reading that showed it. It moved at some time between the reading before and this one.
    pub noticed: Timestamp,
    pub from: Timestamp,
    pub to: Timestamp,
}

/// What one run found of the subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    pub state: GaugeState,
    /// Whole days until `ends`, while enabled, rounded down: -1 on the first day after the date.
    pub days_left: Option<i64>,
    /// When the subscription leaves its present status unless renewed.
    pub ends: Option<Timestamp>,
    /// When the end of this subscription, while enabled, was last seen to move, and by how much.
    pub moved: Option<Moved>,
    /// Calls that were answered since then; since it is watched, when it never moved.
    pub calls_since: u64,
    /// Why nothing is known.
    pub why: Option<String>,
    pub part_number: String,
    /// The subscription's id; that of the last one seen, when none is there any more.
    pub subscription: Option<String>,
    /// Microsoft's word.
    pub status: Option<String>,
    /// There was one, and it is no longer among the tenant's subscriptions.
    pub gone: bool,
    /// The last end that is known of the time when it was enabled: what a move is measured from.
    pub known_end: Option<Timestamp>,
    /// `None`: nobody could.
    pub read_as: Option<ReadAs>,
    pub read_at: Timestamp,
}

impl Gauge {
    /// The same findings as they look at `now`: a date comes nearer by itself.
    #[must_use]
    pub fn as_of(mut self, now: Timestamp) -> Self {
        let enabled = self.status.as_deref() == Some(ENABLED);
        self.days_left = self.ends.filter(|_| enabled).map(|ends| days_between(now, ends));
        self.state = match self.ends {
            _ if self.why.is_some() => GaugeState::Unknown,
            _ if !enabled => GaugeState::Expired,
            Some(ends) if ends.duration_since(now) <= EXPIRING => GaugeState::Expiring,
            Some(_) | None => GaugeState::Active,
        };
        self
    }

    /// One line for people: `active, 62 days left (until 2027-01-22); moved by +90 days, …`.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = self.standing();
        match &self.moved {
            Some(moved) => {
                let _ = write!(line, "; its date last moved by {}, seen on {}", span(moved), day(moved.noticed));
            }
            None if self.known_end.is_some() => line.push_str("; its date has not moved since it is watched"),
            None => {}
        }
        if self.known_end.is_some() {
            let plural = if self.calls_since == 1 { "" } else { "s" };
            let _ = write!(line, "; {} call{plural} since", self.calls_since);
        }
        line
    }

    /// State and date alone, short enough for a cell: `expiring, 13 days left (until 2026-12-04)`.
    #[must_use]
    pub fn standing(&self) -> String {
        let state = self.state;
        if let Some(why) = &self.why {
            let last = match self.known_end {
                _ if self.gone => "; when last read, the tenant no longer had the subscription".to_owned(),
                Some(end) => format!("; when last read, it was to end on {}", day(end)),
                None => String::new(),
            };
            return format!("{state}: {why}{last}");
        }
        if self.gone {
            return format!("{state}: the tenant no longer has the subscription");
        }
        let until = self.ends.map(|ends| format!(" (until {})", day(ends))).unwrap_or_default();
        match self.days_left {
            Some(-1) => format!("{state}, its date passed less than a day ago and it is still enabled{until}"),
            Some(left @ ..0) => {
                format!("{state}, its date passed {} ago and it is still enabled{until}", days(-left - 1))
            }
            Some(left) => format!("{state}, {} left{until}", days(left)),
            None if state == GaugeState::Expired => {
                format!("{state}: Microsoft's status is {}{until}", self.status.as_deref().unwrap_or("not known"))
            }
            None => format!("{state}, without a date"),
        }
    }
}

/// Whole days from one moment to another, rounded down.
#[must_use]
pub fn days_between(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs().div_euclid(86_400)
}

/// `1 day`, `62 days`.
#[must_use]
pub fn days(count: i64) -> String {
    format!("{count} day{}", if count == 1 { "" } else { "s" })
}

/// `2027-01-22`, in UTC as Microsoft gives it.
#[must_use]
pub fn day(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d").to_string()
}

/// By how much a date moved: `+90 days`, `-3 hours`.
#[must_use]
pub fn span(moved: &Moved) -> String {
    let by: SignedDuration = moved.to.duration_since(moved.from);
    let (count, unit) = match by.abs().as_secs() {
        86_400.. => ((by.as_secs() + 43_200 * by.as_secs().signum()) / 86_400, "day"),
        3_600.. => (by.as_secs() / 3_600, "hour"),
        _ => (by.as_secs() / 60, "minute"),
    };
    format!("{count:+} {unit}{}", if count.abs() == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + days * DAY).unwrap()
    }

    fn gauge(status: Option<&str>, ends: Option<i64>) -> Gauge {
        Gauge {
            state: GaugeState::Unknown,
            days_left: None,
            ends: ends.map(at),
            moved: None,
            calls_since: 4,
            why: None,
            part_number: "DEVELOPERPACK_E5".to_owned(),
            subscription: Some("s-1".to_owned()),
            status: status.map(str::to_owned),
            gone: status.is_none(),
            known_end: ends.map(at),
            read_as: Some(ReadAs::App),
            read_at: at(0),
        }
        .as_of(at(0))
    }

    #[test]
    fn the_state_follows_microsofts_word_and_the_days_that_are_left() {
        use GaugeState::{Active, Expired, Expiring};
        let cases = [
            (Some("Enabled"), Some(31), Active, Some(31)),
            (Some("Enabled"), Some(30), Expiring, Some(30)),
            (Some("Enabled"), Some(0), Expiring, Some(0)),
            (Some("Enabled"), Some(-2), Expiring, Some(-2)),
            (Some("Enabled"), None, Active, None),
            (Some("Warning"), Some(29), Expired, None),
            (Some("Suspended"), Some(60), Expired, None),
            (None, None, Expired, None),
        ];
        for (status, ends, state, days_left) in cases {
            let found = gauge(status, ends);
            assert_eq!((found.state, found.days_left), (state, days_left), "{status:?} {ends:?}");
        }
        let hours = |hours: i64| {
            let ends = Some(at(0) + SignedDuration::from_hours(hours));
            let found = Gauge { ends, ..gauge(Some("Enabled"), None) }.as_of(at(0));
            (found.state, found.days_left, found.standing().contains("less than a day ago"))
        };
        assert_eq!(hours(30 * 24 + 1), (Active, Some(30), false), "nobody is told yet");
        assert_eq!((hours(1), hours(0)), ((Expiring, Some(0), false), (Expiring, Some(0), false)));
        assert_eq!((hours(-1), hours(-25)), ((Expiring, Some(-1), true), (Expiring, Some(-2), false)));
        let unread = Gauge { why: Some("no".to_owned()), ..gauge(Some("Enabled"), Some(62)) };
        assert_eq!(unread.as_of(at(0)).state, GaugeState::Unknown);
    }

    #[test]
    fn a_date_comes_nearer_while_nobody_reads_it() {
        let read = gauge(Some("Enabled"), Some(40));
        let later = read.clone().as_of(at(15));
        assert_eq!((read.state, later.state, later.days_left), (GaugeState::Active, GaugeState::Expiring, Some(25)));
    }

    #[test]
    fn the_line_tells_date_and_moves_and_promises_nothing() {
        let moved = Moved { noticed: at(-10), from: at(-28), to: at(62) };
        let with = |moved| Gauge { moved, ..gauge(Some("Enabled"), Some(62)) };
        let lines = [
            with(None),
            with(Some(moved.clone())),
            with(Some(Moved { from: at(64), ..moved })),
            gauge(Some("Enabled"), Some(1)),
            gauge(Some("Enabled"), Some(-2)),
            gauge(Some("Enabled"), None),
            gauge(Some("Warning"), Some(29)),
            gauge(None, None),
            Gauge { why: Some("no answer".to_owned()), ..gauge(None, Some(62)) }.as_of(at(0)),
            Gauge { why: Some("no answer".to_owned()), gone: false, ..gauge(None, Some(62)) }.as_of(at(0)),
            Gauge { why: Some("no answer".to_owned()), gone: false, ..gauge(None, None) }.as_of(at(0)),
        ]
        .map(|gauge| gauge.line());
        insta::assert_snapshot!(lines.join("\n"), @r"
        active, 62 days left (until 2026-11-22); its date has not moved since it is watched; 4 calls since
        active, 62 days left (until 2026-11-22); its date last moved by +90 days, seen on 2026-09-11; 4 calls since
        active, 62 days left (until 2026-11-22); its date last moved by -2 days, seen on 2026-09-11; 4 calls since
        expiring, 1 day left (until 2026-09-22); its date has not moved since it is watched; 4 calls since
        expiring, its date passed 1 day ago and it is still enabled (until 2026-09-19); its date has not moved since it is watched; 4 calls since
        active, without a date
        expired: Microsoft's status is Warning (until 2026-10-20); its date has not moved since it is watched; 4 calls since
        expired: the tenant no longer has the subscription
        unknown: no answer; when last read, the tenant no longer had the subscription; its date has not moved since it is watched; 4 calls since
        unknown: no answer; when last read, it was to end on 2026-11-22; its date has not moved since it is watched; 4 calls since
        unknown: no answer
        ");
        for line in lines {
            assert!(!["renew", "prolong", "thanks to", "keeps"].iter().any(|word| line.contains(word)), "{line}");
        }
    }
}
