//! Who signs in, what was granted, and when the credential ends.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::auth::Granted;
use crate::doctor::finding::{Check, Finding, Turn};
use crate::doctor::judge::{counted, day, days, registration};
use crate::doctor::observed::{AppBy, Facts, Observed, OktaBy, Trouble};
use crate::graph::permissions::{Needed, needed};
use crate::http::Method;

pub(super) const OKTA: &str = "okta";
pub(super) const APP: &str = "entra.app";
pub(super) const USER: &str = "entra.user";

/// Days before its end from which on a credential is worth a word.
const SOON: i64 = 30;

/// An API token ends so long after its last use.
const TOKEN_REST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A refresh token ends so many days after its last use, and is worth a word after so many.
const REFRESH_LIFE: i64 = 90;
const REFRESH_OLD: i64 = 60;

/// Permissions that no job needs, and that make an examination tell more.
const FOR_EXAMINATION: [&str; 2] = ["Domain.Read.All", "Organization.Read.All"];

/// Where Okta's tokens, scopes and roles are given.
pub(super) fn okta_place(by: &OktaBy, page: &str) -> String {
    match by {
        OktaBy::ApiToken => "Okta admin console: Security, API, Tokens, Create token".to_owned(),
        OktaBy::Service { .. } => format!("Okta admin console: Applications, the service app, {page}"),
    }
}

pub(super) fn sign_ins(facts: &Facts, seen: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(okta) = &facts.okta {
        findings.extend(match okta.by {
            OktaBy::ApiToken => api_token(seen),
            OktaBy::Service { .. } => signed(OKTA, "the service app", seen.okta.as_ref()),
        });
        place(&mut findings, OKTA, &okta_place(&okta.by, "General"));
    }
    if let Some(app) = &facts.app {
        findings.extend(signed(APP, "the application", seen.app.as_ref()));
        place(&mut findings, APP, &registration(&app.client_id, "Certificates & secrets"));
    }
    if facts.user.is_some() {
        findings.extend(signed(USER, "the user", seen.user.as_ref()));
        place(&mut findings, USER, "graphkeeper login");
    }
    findings
}

/// Says where a failed sign-in is mended.
fn place(findings: &mut [Finding], about: &str, place: &str) {
    for finding in findings.iter_mut().filter(|finding| finding.about == about && finding.turn.is_some()) {
        finding.grant = Some(place.to_owned());
    }
}

fn signed(about: &str, who: &str, seen: Option<&Result<Option<Granted>, Trouble>>) -> Option<Finding> {
    Some(match seen? {
        Ok(_) => Finding::ok(Check::SignIn, about, format!("{who} signs in")),
        Err(trouble) => failed(Check::SignIn, about, trouble),
    })
}

/// An API token signs nothing in: the first read shows whether it is good.
fn api_token(seen: &Observed) -> Option<Finding> {
    match seen.okta.as_ref()? {
        Err(trouble) => Some(failed(Check::SignIn, OKTA, trouble)),
        Ok(_) => Some(match seen.users.as_ref()? {
            Err(trouble) if !trouble.denied => failed(Check::SignIn, OKTA, trouble),
            _ => Finding::ok(Check::SignIn, OKTA, "Okta takes the API token"),
        }),
    }
}

/// A problem with what the program knows to do about it.
pub(super) fn failed(check: Check, about: &str, trouble: &Trouble) -> Finding {
    let finding = Finding::problem(trouble.turn, check, about, &trouble.message);
    match &trouble.hint {
        Some(hint) => finding.remedy(hint),
        None => finding,
    }
}

pub(super) fn permissions(facts: &Facts, seen: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(OktaBy::Service { scopes }) = facts.okta.as_ref().map(|okta| &okta.by)
        && let Some(Ok(granted)) = &seen.okta
    {
        findings.push(okta_scopes(scopes, granted.as_ref()));
    }
    if let (Some(app), Some(Ok(granted))) = (&facts.app, &seen.app) {
        let jobs = facts.jobs.iter().map(|job| (&job.name, job.app_calls.clone()));
        let calls = calls(jobs.chain(mails(facts, true, "/users/{id}/sendMail")));
        let roles = granted.as_ref().map(|granted| granted.roles.as_slice());
        let page = "API permissions, Add a permission, Microsoft Graph, Application permissions";
        findings.extend(compared(APP, &registration(&app.client_id, page), &calls, roles));
        // Of a call that somebody wrote down nobody here knows what it needs.
        let mut all = facts.jobs.iter().flat_map(|job| &job.app_calls);
        if all.all(|(method, path)| needed(method, path).is_some()) {
            findings.extend(roles.and_then(|roles| surplus(&calls, roles)));
        }
    }
    if let (Some(user), Some(Ok(granted))) = (&facts.user, &seen.user) {
        let read = |path: &String| (Method::GET, path.clone());
        let jobs = facts.jobs.iter().map(|job| (&job.name, job.user_calls.iter().map(read).collect()));
        let calls = calls(jobs.chain(mails(facts, false, "/me/sendMail")));
        let scopes = granted.as_ref().map(|granted| granted.scopes.as_slice());
        let page = "API permissions, Add a permission, Microsoft Graph, Delegated permissions";
        findings.extend(compared(USER, &registration(&user.client_id, page), &calls, scopes));
    }
    findings
}

/// What is needed, with the jobs that need it.
type Calls = Vec<(Needed, Vec<String>)>;

/// Who calls, a job or a channel, and what.
type Caller<'a> = (&'a String, Vec<(Method, String)>);

fn calls<'a>(callers: impl Iterator<Item = Caller<'a>>) -> Calls {
    let mut calls: BTreeMap<&'static str, (Needed, Vec<String>)> = BTreeMap::new();
    for (name, made) in callers {
        for need in made.iter().filter_map(|(method, path)| needed(method, path)) {
            let (_, names) = calls.entry(need.least).or_insert((need, Vec::new()));
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    calls.into_values().collect()
}

/// The channels that send mail as the application, or as the person.
fn mails<'a>(facts: &'a Facts, as_app: bool, path: &str) -> impl Iterator<Item = Caller<'a>> {
    let own = facts.mails.iter().filter(move |mail| mail.as_app == as_app);
    own.map(move |mail| (&mail.channel, vec![(Method::POST, path.to_owned())]))
}

fn compared(about: &str, place: &str, calls: &Calls, granted: Option<&[String]>) -> Vec<Finding> {
    if calls.is_empty() {
        return Vec::new();
    }
    let Some(granted) = granted else {
        let what = "not compared: the token does not tell what it grants; the reads below show it";
        return vec![Finding::note(Check::Permissions, about, what)];
    };
    let lacking: Vec<_> = calls.iter().filter(|(need, _)| !need.is_met_by(granted)).collect();
    if lacking.is_empty() {
        let names: Vec<&str> = calls.iter().map(|(need, _)| need.least).collect();
        return vec![Finding::ok(Check::Permissions, about, format!("has what the jobs need: {}", names.join(", ")))];
    }
    let none = if granted.is_empty() { "; the token grants nothing at all: nobody has consented yet" } else { "" };
    let finding = |(need, jobs): &&(Needed, Vec<String>)| {
        let what = format!("lacks {}, which {} needs{none}", need.least, jobs.join(" and "));
        let place = format!("{place}, {}, then Grant admin consent", need.least);
        Finding::problem(Turn::Human, Check::Permissions, about, what).remedy(need.grant).grant(place)
    };
    lacking.iter().map(finding).collect()
}

/// Permissions that nothing here needs.
fn surplus(calls: &Calls, granted: &[String]) -> Option<Finding> {
    let needed = |name: &String| {
        let mut known = calls.iter().map(|(need, _)| need.least).chain(FOR_EXAMINATION);
        known.any(|least| least.eq_ignore_ascii_case(name))
    };
    let more: Vec<&str> = granted.iter().filter(|name| !needed(name)).map(String::as_str).collect();
    let what = format!("is granted more than the jobs need: {}", more.join(", "));
    let remedy = "take back what nothing else uses";
    (!more.is_empty()).then(|| Finding::note(Check::Permissions, APP, what).remedy(remedy))
}

/// Okta grants what it may, and says nothing of the rest.
fn okta_scopes(asked: &[String], granted: Option<&Granted>) -> Finding {
    let Some(granted) = granted else {
        let what = "not compared: Okta did not tell which scopes it granted";
        return Finding::note(Check::Permissions, OKTA, what);
    };
    let missing: Vec<&str> = asked.iter().filter(|scope| !granted.scopes.contains(scope)).map(String::as_str).collect();
    if missing.is_empty() {
        return Finding::ok(Check::Permissions, OKTA, format!("has what the jobs need: {}", asked.join(", ")));
    }
    let missing = missing.join(", ");
    let by = OktaBy::Service { scopes: Vec::new() };
    Finding::problem(Turn::Human, Check::Permissions, OKTA, format!("Okta did not grant {missing}"))
        .remedy("a super administrator grants it on the app's tab Okta API Scopes")
        .grant(okta_place(&by, &format!("Okta API Scopes, Grant {missing}")))
}

pub(super) fn credentials(facts: &Facts, seen: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(okta) = &facts.okta {
        findings.push(match okta.by {
            OktaBy::ApiToken => token_rest(okta.used_every),
            OktaBy::Service { .. } => {
                Finding::ok(Check::Credential, OKTA, "the private key is good until it is removed from the app")
            }
        });
    }
    if let Some(app) = &facts.app {
        let place = registration(&app.client_id, "Certificates & secrets");
        findings.extend(app_credential(app.by, seen).map(|finding| finding.grant(place)));
    }
    if facts.user.is_some() {
        findings.extend(refresh_token(seen));
    }
    findings
}

fn token_rest(used_every: Option<SignedDuration>) -> Finding {
    let rule = "the API token ends 30 days after its last use, and this was one";
    match used_every {
        Some(every) if every < TOKEN_REST => {
            Finding::ok(Check::Credential, OKTA, format!("{rule}; scheduled jobs use it often enough"))
        }
        Some(_) => Finding::warning(Check::Credential, OKTA, format!("{rule}; the schedule uses it more rarely"))
            .remedy("let a managers job run at least once a week, if only with `mode = \"plan\"`"),
        None => Finding::warning(Check::Credential, OKTA, format!("{rule}; no scheduled job uses it"))
            .remedy("give a managers job a `schedule`, or sign in to Okta by a service app's key, which does not end"),
    }
}

fn app_credential(by: AppBy, seen: &Observed) -> Option<Finding> {
    match by {
        AppBy::FederatedToken => {
            Some(Finding::ok(Check::Credential, APP, "the platform keeps the token in `token_file` fresh"))
        }
        AppBy::Secret { ends: None } => Some(
            Finding::note(Check::Credential, APP, "when the client secret ends is not known here")
                .remedy("write its last day as `client_secret_ends = \"YYYY-MM-DD\"` into `[entra.app]`"),
        ),
        AppBy::Secret { ends: Some(date) } => {
            let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
            let ended = Finding::warning(
                Check::Credential,
                APP,
                format!("`client_secret_ends` is {date}, which has passed: the secret or the date is an old one"),
            );
            Some(ending("the client secret", midnight, seen.now, ended))
        }
        AppBy::Certificate => match seen.certificate_ends.as_ref()? {
            Ok(ends) => {
                let ends = (*ends)?;
                let what = format!("the certificate ended on {}", day(ends));
                let ended = Finding::problem(Turn::Configuration, Check::Credential, APP, what);
                Some(ending("the certificate", ends, seen.now, ended))
            }
            // The sign-in says it too.
            Err(_) => None,
        },
    }
}

fn ending(what: &str, ends: Timestamp, now: Timestamp, ended: Finding) -> Finding {
    let left = days(now, ends);
    let replace = "make a new one and put it in its place before that day";
    let what = format!("{what} ends on {}, in {}", day(ends), counted(left, "day"));
    match left {
        ..0 => ended.remedy("make a new one, and put it in its place"),
        0..=SOON => Finding::warning(Check::Credential, APP, what).remedy(replace),
        _ => Finding::ok(Check::Credential, APP, what),
    }
}

fn refresh_token(seen: &Observed) -> Option<Finding> {
    let since = match seen.kept_since.as_ref()? {
        Ok(since) => *since,
        Err(trouble) => return Some(failed(Check::Credential, USER, trouble)),
    };
    let signed_in = matches!(seen.user, Some(Ok(_)));
    let rule = format!("a refresh token ends {REFRESH_LIFE} days after its last use");
    let Some(since) = since else {
        return signed_in.then(|| {
            let what = format!("the first refresh token was used now, and a new one is stored; {rule}");
            Finding::ok(Check::Credential, USER, what)
        });
    };
    let age = days(since, seen.now);
    let renewed = if signed_in { ", and this examination renewed it" } else { "" };
    let what = format!("the refresh token was last renewed {} ago{renewed}; {rule}", counted(age, "day"));
    Some(if age > REFRESH_OLD {
        Finding::warning(Check::Credential, USER, what).remedy("let a keepalive job run at least once a month")
    } else {
        Finding::ok(Check::Credential, USER, what)
    })
}
