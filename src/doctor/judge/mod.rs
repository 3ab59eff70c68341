//! Findings from observations: the same answers, the same findings, in the same order. No clock, no network.

mod channels;
mod identity;
mod network;
mod people;
mod reading;
mod tenant;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::doctor::finding::{Finding, ServiceSeen};
use crate::doctor::observed::{Facts, Observed};
use crate::http::heard::Heard;

/// Everything that is to be said, the worst first.
pub(super) fn findings(facts: &Facts, seen: &Observed) -> Vec<Finding> {
    let mut all = Vec::new();
    all.extend(identity::sign_ins(facts, seen));
    all.extend(identity::permissions(facts, seen));
    all.extend(identity::credentials(facts, seen));
    all.extend(network::clocks(seen));
    all.extend(network::tls(seen));
    all.extend(network::proxies(facts));
    all.extend(reading::okta(facts, seen));
    all.extend(reading::graph(seen));
    all.extend(reading::requests(seen));
    all.extend(people::resolvers(facts, seen));
    all.extend(people::correlations(seen));
    all.extend(people::on_premises(seen));
    all.extend(tenant::bypass(facts, seen));
    all.extend(tenant::federation(facts, seen));
    all.extend(tenant::okta_push(facts, seen));
    all.extend(tenant::subscriptions(seen));
    all.extend(channels::channels(seen));
    all.sort_by_key(|finding| finding.severity);
    all
}

/// A service for the report.
pub(super) fn service(heard: &Heard) -> ServiceSeen {
    let tls = heard.tls.as_ref();
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ServiceSeen {
        service: heard.service,
        host: heard.host.clone(),
        clock_ahead_seconds: network::ahead(heard),
        tls: tls.map(|tls| if tls.version.is_empty() { "TLS".to_owned() } else { tls.version.to_owned() }),
        issuer: tls.and_then(|tls| filled(&tls.issuer)),
        certificate_ends: tls.and_then(|tls| tls.ends),
    }
}

/// Whole days from `now` to a moment; below zero when it has passed.
fn days(now: Timestamp, moment: Timestamp) -> i64 {
    moment.duration_since(now).as_secs().div_euclid(86_400)
}

/// The day of a moment, in UTC.
fn day(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d").to_string()
}

/// `1 day`, `2 days`.
fn counted(count: i64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The way to an app registration's page in the Entra admin center.
fn registration(client_id: &str, page: &str) -> String {
    format!("Entra admin center: App registrations, {client_id}, {page}")
}
