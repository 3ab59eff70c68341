//! Whether a page of each listing can be read.

use crate::doctor::finding::{Check, Finding, Turn};
use crate::doctor::judge::identity::{failed, okta_place};
use crate::doctor::observed::{Facts, Observed, OktaBy, Trouble};
use crate::graph::{RawAnswer, Refusal};

const USERS: &str = "okta /api/v1/users";
const ACCOUNTS: &str = "graph /users";

pub(super) fn okta(facts: &Facts, seen: &Observed) -> Vec<Finding> {
    let (Some(okta), Some(users)) = (&facts.okta, &seen.users) else { return Vec::new() };
    let mut findings = Vec::new();
    match users {
        Ok(0) => return vec![nobody(&okta.by)],
        Ok(count) => findings.push(Finding::ok(Check::Read, USERS, format!("{count} people on the first page"))),
        // Of a token that is dead the sign-in tells.
        Err(trouble) if okta.by == OktaBy::ApiToken && !trouble.denied => {}
        Err(trouble) => findings.push(refused(USERS, trouble, &okta_place(&okta.by, "Admin Roles"))),
    }
    for (job, scope) in &seen.scopes {
        let about = format!("scope of {job}");
        findings.push(match scope {
            Ok(0) => Finding::problem(Turn::Configuration, Check::Read, &about, "lists nobody")
                .remedy("check `scope` in the file; a run with an empty scope plans nothing"),
            Ok(count) => Finding::ok(Check::Read, &about, format!("{count} people on the first page")),
            Err(trouble) => refused(&about, trouble, &okta_place(&okta.by, "Okta API Scopes")),
        });
    }
    findings
}

/// The empty list that is no error.
fn nobody(by: &OktaBy) -> Finding {
    let (who, place) = match by {
        OktaBy::ApiToken => (
            "the administrator to whom the API token belongs",
            "Okta admin console: Security, Administrators, the token's owner, Edit, Read-only Administrator".to_owned(),
        ),
        OktaBy::Service { .. } => {
            ("the service app", okta_place(by, "Admin Roles, Edit assignments, Read-only Administrator"))
        }
    };
    let what = "Okta answers 200 and lists nobody: that is how it treats a credential without an admin role";
    Finding::problem(Turn::Human, Check::EmptyList, USERS, what)
        .remedy(format!("give {who} the role Read-only Administrator, without a restriction to groups"))
        .grant(place)
}

fn refused(about: &str, trouble: &Trouble, place: &str) -> Finding {
    let finding = failed(Check::Read, about, trouble);
    if trouble.denied { finding.grant(place) } else { finding }
}

pub(super) fn graph(seen: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &seen.accounts {
        Some(Ok(0)) => findings.push(
            Finding::problem(Turn::Configuration, Check::Read, ACCOUNTS, "lists no account")
                .remedy("check `entra.tenant`: an application sees the users of its own tenant alone"),
        ),
        Some(Ok(listed)) => {
            let all = match &seen.accounts_counted {
                Some(Ok(counted)) => format!(" of {counted}"),
                _ => String::new(),
            };
            findings.push(Finding::ok(Check::Read, ACCOUNTS, format!("{listed}{all} accounts on the first page")));
        }
        Some(Err(trouble)) => findings.push(failed(Check::Read, ACCOUNTS, trouble)),
        None => {}
    }
    if let (Some(Ok(_)), Some(Err(trouble))) = (&seen.accounts, &seen.accounts_counted) {
        findings.push(failed(Check::Read, "graph /users/$count", trouble));
    }
    let others = [
        ("graph /subscribedSkus", seen.skus.as_ref().map(|skus| skus.as_ref().map(|count| *count))),
        ("graph /directory/subscriptions", seen.subscriptions.as_ref().map(|all| all.as_ref().map(Vec::len))),
    ];
    for (about, read) in others {
        findings.extend(read.map(|read| match read {
            Ok(count) => Finding::ok(Check::Read, about, format!("{count} listed")),
            Err(trouble) => failed(Check::Read, about, trouble),
        }));
    }
    findings
}

/// What the person may read.
pub(super) fn requests(seen: &Observed) -> Vec<Finding> {
    let read = |(path, answer): &(String, Result<RawAnswer, Trouble>)| {
        let about = format!("graph {path} as the user");
        match answer {
            Ok(answer) => answered(&about, answer),
            Err(trouble) => failed(Check::Read, &about, trouble),
        }
    };
    seen.requests.iter().map(read).collect()
}

fn answered(about: &str, answer: &RawAnswer) -> Finding {
    let turn = match answer.status {
        200..300 => return Finding::ok(Check::Read, about, format!("answered {}", answer.status)),
        401 | 403 => Turn::Human,
        429 | 500.. => Turn::Later,
        _ => Turn::Configuration,
    };
    let what = answer.refused.as_ref().map_or_else(|| format!("answered {}", answer.status), ToString::to_string);
    let finding = Finding::problem(turn, Check::Read, about, what);
    match answer.refused.as_ref().and_then(Refusal::hint) {
        Some(hint) => finding.remedy(hint),
        None => finding,
    }
}
