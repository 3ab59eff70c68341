//! The way to the services: clocks, encryption, proxies.

use crate::doctor::finding::{Check, Finding, Turn};
use crate::doctor::judge::day;
use crate::doctor::observed::{Facts, Observed};
use crate::http::heard::{Heard, Tls};

/// Seconds by which clocks may differ and agree: their stamp is cut to whole seconds, and an answer travels.
const AGREED: u64 = 3;
/// From so many on it is worth mending.
const APART: u64 = 30;
/// From so many on signed requests are refused: five minutes are allowed, and a clock drifts on.
const REFUSED: u64 = 240;

/// How far the other side's clock is ahead of ours, in seconds.
pub(super) fn ahead(heard: &Heard) -> Option<i64> {
    Some(heard.theirs?.as_second() - heard.ours.as_second())
}

pub(super) fn clocks(seen: &Observed) -> Vec<Finding> {
    seen.heard.iter().filter_map(|heard| Some(clock(heard.service.as_str(), ahead(heard)?))).collect()
}

fn clock(service: &str, ahead: i64) -> Finding {
    let apart = ahead.unsigned_abs();
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    let what = format!("its clock is {apart} seconds {direction} this machine's");
    let remedy = "let the machine's clock be set: `timedatectl status`, then systemd-timesyncd or chrony";
    if apart <= AGREED {
        Finding::ok(Check::Clock, service, "its clock agrees with this machine's")
    } else if apart < APART {
        Finding::note(Check::Clock, service, what)
    } else if apart < REFUSED {
        Finding::warning(Check::Clock, service, what).remedy(remedy)
    } else {
        Finding::problem(Turn::Configuration, Check::Clock, service, what).remedy(remedy)
    }
}

pub(super) fn tls(seen: &Observed) -> Vec<Finding> {
    seen.heard.iter().map(encrypted).collect()
}

fn encrypted(heard: &Heard) -> Finding {
    let (service, host) = (heard.service.as_str(), &heard.host);
    let Some(tls) = &heard.tls else {
        return Finding::note(Check::Tls, service, format!("plain http to {host}, on this machine"));
    };
    if *tls == Tls::default() {
        let what = format!("TLS to {host}; who signed its certificate cannot be seen through a proxy");
        return Finding::ok(Check::Tls, service, what);
    }
    let version = if tls.version.is_empty() { "TLS" } else { tls.version };
    let issuer = if tls.issuer.is_empty() { String::new() } else { format!(", signed by {}", tls.issuer) };
    let ends = tls.ends.map(|ends| format!(", until {}", day(ends))).unwrap_or_default();
    Finding::ok(Check::Tls, service, format!("{version} to {host}{issuer}{ends}"))
}

pub(super) fn proxies(facts: &Facts) -> Vec<Finding> {
    let through = |way: &crate::doctor::observed::Way| {
        let proxy = way.proxy.as_ref()?;
        let what = format!("requests go through {proxy}, named by {}", way.named_by);
        Some(Finding::note(Check::Proxy, way.service, what))
    };
    let found: Vec<Finding> = facts.ways.iter().filter_map(through).collect();
    if found.is_empty() && !facts.ways.is_empty() {
        return vec![Finding::ok(Check::Proxy, "network", "no proxy is used")];
    }
    found
}
