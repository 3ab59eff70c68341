//! What the tenant and the organization do by themselves: synchronization, federation, pushes, subscriptions.

use jiff::Timestamp;

use crate::doctor::finding::{Check, Finding, Turn};
use crate::doctor::judge::identity::okta_place;
use crate::doctor::judge::{counted, day, days, registration};
use crate::doctor::observed::{Facts, Observed, Seen};
use crate::graph::permissions::needed;
use crate::graph::{Domain, Subscription};
use crate::http::Method;
use crate::okta::App;

/// How Okta's Microsoft 365 app signs people in when it federates.
const FEDERATES: &str = "WS_FEDERATION";
/// The feature with which it writes attributes.
const PUSHES: &str = "PUSH_PROFILE_UPDATES";
/// Days before a date from which on it is worth a warning.
const SOON: i64 = 30;

const SYNCHRONIZATION: &str = "/directory/onPremisesSynchronization";
const SWITCH: &str = "bypassDirSyncOverridesEnabled";

pub(super) fn bypass(facts: &Facts, seen: &Observed) -> Option<Finding> {
    facts.app.as_ref()?;
    let not_checked = |why: &str| Finding::note(Check::BypassDirSync, SWITCH, format!("not checked: {why}"));
    Some(match (&seen.synchronization, &facts.user) {
        (Some(Ok(switches)), _) if switches.bypass_overrides == Some(true) => {
            let what = "on: Mobile and OtherMobile written in the cloud win; managers of accounts from on premises stay \
                        read-only all the same";
            Finding::note(Check::BypassDirSync, SWITCH, what)
        }
        (Some(Ok(_)), _) => Finding::ok(Check::BypassDirSync, SWITCH, "off"),
        (Some(Err(trouble)), Some(user)) if trouble.denied => {
            let need = needed(&Method::GET, SYNCHRONIZATION);
            let page = "API permissions, Delegated permissions, OnPremDirectorySynchronization.Read.All";
            let finding =
                not_checked("the user has not the permission to read it").grant(registration(&user.client_id, page));
            need.map_or(finding.clone(), |need| finding.remedy(need.grant))
        }
        (Some(Err(trouble)), _) => not_checked(&trouble.message),
        (None, Some(_)) => not_checked("Graph tells it to a person alone, and nobody is signed in"),
        (None, None) => not_checked("Graph tells it to a person alone, and no `[entra.user]` is configured")
            .remedy("nothing, unless you write phone numbers too: managers do not depend on it"),
    })
}

/// The domains, from whichever answer has them.
fn domains(seen: &Observed) -> Option<&[Domain]> {
    match (&seen.domains, &seen.organization) {
        (Some(Ok(domains)), _) => Some(domains),
        (_, Some(Ok(organization))) => Some(&organization.domains),
        _ => None,
    }
}

pub(super) fn federation(facts: &Facts, seen: &Observed) -> Vec<Finding> {
    let Some(app) = facts.app.as_ref().filter(|_| seen.domains.is_some()) else { return Vec::new() };
    let Some(domains) = domains(seen) else {
        let what = "not checked: the tenant's domains could not be read";
        let page = "API permissions, Application permissions, Domain.Read.All, then Grant admin consent";
        return vec![Finding::note(Check::Federation, "domains", what).grant(registration(&app.client_id, page))];
    };
    let apps = match &seen.apps {
        Some(Ok(apps)) => Some(apps.as_slice()),
        _ => None,
    };
    let federated = domains.iter().filter(|domain| domain.federated).map(|domain| federated(&domain.name, apps));
    let mut findings: Vec<Finding> = federated.collect();
    if findings.is_empty() {
        findings.push(Finding::ok(Check::Federation, "domains", "none is federated: Entra signs people in by itself"));
    }
    findings.extend(apps.into_iter().flatten().filter_map(|app| half_federated(app, domains)));
    findings
}

fn signs_in_to(app: &App, domain: &str) -> bool {
    app.active
        && app.sign_on_mode == FEDERATES
        && app.domain.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(domain))
}

fn federated(domain: &str, apps: Option<&[App]>) -> Finding {
    let Some(apps) = apps else {
        let what = "is federated; whether with this Okta organization is not checked";
        return Finding::note(Check::Federation, domain, what);
    };
    match apps.iter().find(|app| signs_in_to(app, domain)) {
        Some(app) => {
            Finding::ok(Check::Federation, domain, format!("is federated with Okta, by its app {}", app.label))
        }
        None => Finding::note(
            Check::Federation,
            domain,
            "is federated, and no Microsoft 365 app of this Okta organization signs in to it: another service does",
        ),
    }
}

/// An app that would sign in to a domain which Entra does not leave to it.
fn half_federated(app: &App, domains: &[Domain]) -> Option<Finding> {
    let domain = domains.iter().find(|domain| !domain.federated && signs_in_to(app, &domain.name))?;
    let what = format!("Okta's app {} signs in to it, and Entra manages it: the federation is not on", app.label);
    Some(Finding::note(Check::Federation, &domain.name, what))
}

pub(super) fn okta_push(facts: &Facts, seen: &Observed) -> Vec<Finding> {
    let Some(okta) = &facts.okta else { return Vec::new() };
    let note = |why: &str| vec![Finding::note(Check::OktaPush, "okta", format!("not checked: {why}"))];
    match (&seen.apps, &seen.users) {
        (None, _) => Vec::new(),
        (Some(Err(trouble)), _) if trouble.denied => {
            let place = okta_place(&okta.by, "Okta API Scopes, Grant okta.apps.read");
            let what = "not checked: Okta does not let its apps be read";
            vec![Finding::note(Check::OktaPush, "okta", what).remedy("grant okta.apps.read").grant(place)]
        }
        (Some(Err(trouble)), _) => note(&trouble.message),
        (Some(Ok(apps)), Some(Ok(0))) if apps.is_empty() => note("Okta shows this credential neither people nor apps"),
        (Some(Ok(apps)), _) if apps.is_empty() => {
            vec![Finding::ok(Check::OktaPush, "okta", "has no Microsoft 365 app: it writes nothing there")]
        }
        (Some(Ok(apps)), _) => apps.iter().filter(|app| app.active).map(pushed).collect(),
    }
}

fn pushed(app: &App) -> Finding {
    let label = &app.label;
    if !app.features.iter().any(|feature| feature == PUSHES) {
        return Finding::ok(Check::OktaPush, "okta", format!("its app {label} does not push profile updates"));
    }
    let what = format!("its app {label} pushes profile updates to Microsoft 365; managers may be among them");
    let remedy = "look whether `manager` is mapped there: take the mapping out, or leave managers to Okta and this job in \
                  `mode = \"plan\"`";
    let place = format!("Okta admin console: Applications, {label}, Provisioning, To App, Attribute Mappings, manager");
    Finding::warning(Check::OktaPush, "okta", what).remedy(remedy).grant(place)
}

pub(super) fn subscriptions(seen: &Observed) -> Vec<Finding> {
    let all: &Seen<Vec<Subscription>> = &seen.subscriptions;
    let Some(Ok(all)) = all else { return Vec::new() };
    let mut findings: Vec<Finding> = all.iter().filter_map(|one| subscription(one, seen.now)).collect();
    let enabled = all.iter().filter(|one| one.status == "Enabled");
    let first = enabled.filter_map(|one| Some((one.next_lifecycle?, one))).min_by_key(|(at, _)| *at);
    findings.extend(first.filter(|(at, _)| days(seen.now, *at) > SOON).map(|(at, one)| {
        let what =
            format!("the first date is {}, of {}, in {}", day(at), one.part_number, counted(days(seen.now, at), "day"));
        Finding::ok(Check::Subscription, "subscriptions", what)
    }));
    findings
}

/// What there is to say of one subscription, if anything.
fn subscription(one: &Subscription, now: Timestamp) -> Option<Finding> {
    let name = &one.part_number;
    let remedy = "Microsoft 365 admin center: Billing, Your products; a developer subscription: its dashboard. Nothing here \
                  promises that it is renewed";
    let until = one.next_lifecycle.map(|at| format!(" until {}", day(at))).unwrap_or_default();
    match (one.status.as_str(), one.next_lifecycle) {
        ("Enabled", Some(at)) if days(now, at) <= SOON => {
            let what =
                format!("leaves its state on {}, in {}, if nobody renews it", day(at), counted(days(now, at), "day"));
            Some(Finding::warning(Check::Subscription, name, what).remedy(remedy))
        }
        ("Enabled", Some(_)) => None,
        ("Enabled", None) => Some(Finding::note(Check::Subscription, name, "Graph tells no date of it")),
        ("Warning", _) => {
            let what = format!("has ended and is in its grace period{until}");
            Some(Finding::warning(Check::Subscription, name, what).remedy(remedy))
        }
        (status, _) => {
            let what = format!("is {status}{until}");
            Some(Finding::problem(Turn::Later, Check::Subscription, name, what).remedy(remedy))
        }
    }
}
