//! What is found: one sentence each, with what it means, what to do, and where.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::run::words;
use crate::http::calls::Service;
use crate::reconcile::policy::RefersTo;

words! {
    /// How much a finding matters, the worst first.
    Severity, "severity", {
        /// A job cannot do its work.
        Problem => "problem",
        /// It will not be able to, or does less than it could.
        Warning => "warning",
        /// Worth knowing; also what could not be looked at.
        Note => "note",
        Ok => "ok",
    }
}

words! {
    /// What was looked at.
    Check, "check", {
        SignIn => "sign_in",
        Permissions => "permissions",
        Read => "read",
        EmptyList => "empty_list",
        Credential => "credential",
        Clock => "clock",
        Tls => "tls",
        Proxy => "proxy",
        Resolver => "resolver",
        Correlation => "correlation",
        OnPremises => "on_premises",
        BypassDirSync => "bypass_dir_sync",
        Federation => "federation",
        OktaPush => "okta_push",
        Subscription => "subscription",
        Channel => "channel",
    }
}

impl Check {
    /// Why it matters.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::SignIn => "without a token no job that uses this identity can run",
            Self::Permissions => "a token without the permission is refused with 403, and the run ends `needs_human`",
            Self::Read => "a job that cannot read whole listings plans nothing",
            Self::EmptyList => {
                "Okta answers 200 and an empty list to a credential without an admin role: taken at its word, everybody left"
            }
            Self::Credential => "a credential that ends quietly stops every run that uses it",
            Self::Clock => {
                "signed assertions and proofs carry the time of day: with clocks more than five minutes apart they are refused"
            }
            Self::Tls => "whoever signs the certificate can read along, as a proxy that inspects TLS does",
            Self::Proxy => "a proxy can answer in the vendor's place, and it sees whom the program talks to",
            Self::Resolver => "a reference that leads nowhere leaves its person's manager as it is",
            Self::Correlation => "a person without exactly one account is left alone, and cannot be anybody's manager",
            Self::OnPremises => "Graph refuses to write the manager of an account that a directory on premises masters",
            Self::BypassDirSync => {
                "it lets Mobile and OtherMobile that were written in the cloud win over those from on premises; it does not \
                 make `manager` writable"
            }
            Self::Federation => {
                "people of a federated domain sign in at another service, the one who runs `graphkeeper login` too; accounts \
                 of such a domain carry an onPremisesImmutableId that it made"
            }
            Self::OktaPush => {
                "two programs that write managers undo each other; with User Sync or Universal Sync Okta locks accounts, and \
                 Graph refuses to write them"
            }
            Self::Channel => "whoever is not told of a failure takes silence for success",
            Self::Subscription => "when a subscription leaves its state, mailboxes and data go with it",
        }
    }
}

words! {
    /// Who can mend a problem.
    Turn, "turn", {
        /// Somebody signs in, consents, or gives an admin role.
        Human => "sign_in_or_consent",
        /// Somebody corrects the configuration, a secret, or the app registration.
        Configuration => "configuration",
        /// Nobody, or the vendor: it may be gone the next time.
        Later => "later",
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub severity: Severity,
    pub check: Check,
    /// What it is about: an identity, a service, a job, a path.
    pub about: String,
    pub what: String,
    pub why: String,
    /// What to do; `None` where there is nothing to do.
    pub remedy: Option<String>,
    /// The exact permission, the lines for the file, or the way through an admin console.
    pub grant: Option<String>,
    /// Of a problem.
    pub turn: Option<Turn>,
}

impl Finding {
    fn new(severity: Severity, check: Check, about: &str, what: impl Into<String>) -> Self {
        let (about, what, why) = (about.to_owned(), what.into(), check.why().to_owned());
        Self { severity, check, about, what, why, remedy: None, grant: None, turn: None }
    }

    pub(super) fn ok(check: Check, about: &str, what: impl Into<String>) -> Self {
        Self::new(Severity::Ok, check, about, what)
    }

    pub(super) fn note(check: Check, about: &str, what: impl Into<String>) -> Self {
        Self::new(Severity::Note, check, about, what)
    }

    pub(super) fn warning(check: Check, about: &str, what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, check, about, what)
    }

    pub(super) fn problem(turn: Turn, check: Check, about: &str, what: impl Into<String>) -> Self {
        Self { turn: Some(turn), ..Self::new(Severity::Problem, check, about, what) }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    pub(super) fn grant(self, grant: impl Into<String>) -> Self {
        Self { grant: Some(grant.into()), ..self }
    }
}

words! {
    /// What all findings together come to.
    Verdict, "verdict", {
        /// No problem; notes and warnings there may be.
        Healthy => "healthy",
        NeedsHuman => "needs_human",
        Misconfigured => "misconfigured",
        Failed => "failed",
    }
}

impl Verdict {
    /// Somebody who has to sign in comes first, since nothing else can be told before; then what the file says wrong.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let has = |turn| findings.iter().any(|finding| finding.turn == Some(turn));
        if has(Turn::Human) {
            Self::NeedsHuman
        } else if has(Turn::Configuration) {
            Self::Misconfigured
        } else if has(Turn::Later) {
            Self::Failed
        } else {
            Self::Healthy
        }
    }
}

/// A service as the first answer of each of its hosts showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSeen {
    pub service: Service,
    pub host: String,
    /// How far its clock is ahead of ours, in seconds; `None` where it did not say.
    pub clock_ahead_seconds: Option<i64>,
    /// Such as `TLS 1.3`; `None` for plain http.
    pub tls: Option<String>,
    pub issuer: Option<String>,
    pub certificate_ends: Option<Timestamp>,
}

/// How far one manager rule leads over the sample of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleShare {
    pub job: String,
    pub attribute: String,
    pub is: RefersTo,
    /// Whether the configuration names it; others are tried for comparison.
    pub configured: bool,
    /// People of the sample with any manager reference.
    pub people: usize,
    pub resolved: usize,
    /// Rounded down.
    pub percent: usize,
}

/// How many requests went out, those for tokens and those tried again included once each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    pub service: Service,
    pub calls: usize,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub version: String,
    pub at: Timestamp,
    pub verdict: Verdict,
    /// The worst first.
    pub findings: Vec<Finding>,
    pub services: Vec<ServiceSeen>,
    pub rules: Vec<RuleShare>,
    pub calls: Vec<CallCount>,
}

/// A share in whole percent, rounded down, so that 100 means all.
#[must_use]
pub(super) fn percent(part: usize, whole: usize) -> usize {
    (part * 100).checked_div(whole).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_whose_turn_it_is_and_warnings_are_nobodys() {
        let problem = |turn| Finding::problem(turn, Check::Read, "x", "y");
        let warning = Finding::warning(Check::Read, "x", "y");
        for (findings, verdict) in [
            (vec![], Verdict::Healthy),
            (vec![warning.clone()], Verdict::Healthy),
            (vec![problem(Turn::Later), warning], Verdict::Failed),
            (vec![problem(Turn::Later), problem(Turn::Configuration)], Verdict::Misconfigured),
            (vec![problem(Turn::Configuration), problem(Turn::Human)], Verdict::NeedsHuman),
        ] {
            assert_eq!(Verdict::of(&findings), verdict, "{findings:?}");
        }
    }

    #[test]
    fn a_share_of_all_is_all_alone() {
        assert_eq!([percent(199, 200), percent(200, 200), percent(0, 0)], [99, 100, 0]);
    }
}
