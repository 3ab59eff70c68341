//! How an identity is with which the program signs in.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::run::{JobKind, words};

words! {
    /// What the program signs in as.
    IdentityName, "identity", {
        /// Towards Okta.
        Okta => "okta",
        /// The application in Entra.
        App => "app",
        /// The person who signed in to Entra.
        User => "user",
    }
}

words! {
    /// An identity's state in one word.
    Condition, "state of an identity", {
        /// It never signed in.
        Unknown => "unknown",
        Ok => "ok",
        /// Works, and will end within 30 days.
        Expiring => "expiring",
        /// The configuration or the app registration is wrong.
        Misconfigured => "misconfigured",
        /// Somebody has to sign in, consent, or lift a policy.
        NeedsHuman => "needs_human",
    }
}

words! {
    /// What can end.
    Credential, "credential", {
        ClientSecret => "client_secret",
        Certificate => "certificate",
        /// Unless it is used before.
        RefreshToken => "refresh_token",
    }
}

impl IdentityName {
    /// The identities without which no job of a kind can do its work. Whom a request asks as is its own affair.
    #[must_use]
    pub const fn needed_by(kind: JobKind) -> &'static [Self] {
        match kind {
            JobKind::Managers | JobKind::Directory => &[Self::Okta, Self::App],
            JobKind::Licenses => &[Self::App],
            JobKind::Keepalive => &[Self::User],
            JobKind::Request => &[],
        }
    }
}

/// How an identity is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub condition: Condition,
    /// A code word, such as `AADSTS700082`; `None` when all is well.
    pub reason: Option<String>,
    /// What there is to say beside the word; empty when all is well.
    pub detail: String,
    /// What an operator can do about it, where we know.
    pub hint: Option<String>,
    /// The notice that is due, in days before the end: changes when people are to be told again.
    pub notice: Option<u16>,
}

impl State {
    /// A state that needs no words.
    #[must_use]
    pub const fn plain(condition: Condition) -> Self {
        Self { condition, reason: None, detail: String::new(), hint: None, notice: None }
    }

    /// Whether a sign-in failed, and will fail again until somebody does something.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self.condition, Condition::NeedsHuman | Condition::Misconfigured)
    }
}

/// What ends, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    pub what: Credential,
    pub at: Timestamp,
}

/// What is known of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub name: IdentityName,
    /// Organization or tenant, and client. Of another one nothing here holds.
    pub who: String,
    pub state: State,
    /// Since when it is in this state for this reason; `None` when nothing was ever recorded.
    pub since: Option<Timestamp>,
    /// Its last sign-in that succeeded.
    pub signed_in_at: Option<Timestamp>,
    /// What ends first.
    pub ends: Option<Ending>,
    /// What a policy wants of the next sign-in, as the vendor wrote it.
    pub claims: Option<String>,
    /// When somebody last signed a person in, and who did.
    pub login: Option<(Timestamp, String)>,
}

impl Known {
    /// An identity of which nothing is known yet.
    #[must_use]
    pub const fn nothing(name: IdentityName, who: String) -> Self {
        let state = State::plain(Condition::Unknown);
        Self { name, who, state, since: None, signed_in_at: None, ends: None, claims: None, login: None }
    }
}
