//! What the judgement looks at: what is configured, and what each service answered. Plain values alone.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::auth::{AuthError, Class, Granted};
use crate::doctor::finding::Turn;
use crate::doctor::sample::Sample;
use crate::domain::causes::chain;
use crate::domain::run::JobKind;
use crate::graph::{Domain, GraphError, Organization, RawAnswer, Subscription, Synchronization};
use crate::http::Method;
use crate::http::heard::Heard;
use crate::jobs::managers::ScopeRule;
use crate::notices::Undelivered;
use crate::okta::{App, OktaError};
use crate::reconcile::policy::Policy;

/// What is configured.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub okta: Option<OktaFacts>,
    pub app: Option<AppFacts>,
    pub user: Option<UserFacts>,
    pub jobs: Vec<JobFacts>,
    pub ways: Vec<Way>,
    /// Channels that send mail by Graph.
    pub mails: Vec<MailFacts>,
}

/// The identity towards Okta.
#[derive(Clone, Debug)]
pub struct OktaFacts {
    pub by: OktaBy,
    /// The longest time between two scheduled runs that use it; `None` when nothing is scheduled.
    pub used_every: Option<SignedDuration>,
}

/// How the program signs in to Okta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OktaBy {
    ApiToken,
    /// With the scopes that the jobs need.
    Service {
        scopes: Vec<String>,
    },
}

/// The application's identity.
#[derive(Clone, Debug)]
pub struct AppFacts {
    pub client_id: String,
    pub by: AppBy,
}

/// What the application signs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppBy {
    /// With its last day, where the configuration names it.
    Secret {
        ends: Option<Date>,
    },
    Certificate,
    FederatedToken,
}

/// The person's identity.
#[derive(Clone, Debug)]
pub struct UserFacts {
    pub client_id: String,
}

/// A job and what it calls.
#[derive(Clone, Debug)]
pub struct JobFacts {
    pub name: String,
    pub kind: JobKind,
    /// Calls of the application, by method and path.
    pub app_calls: Vec<(Method, String)>,
    /// Paths that are read as the person.
    pub user_calls: Vec<String>,
    /// Of a managers job.
    pub managers: Option<ManagersFacts>,
}

/// What a managers job reads, and how it thinks.
#[derive(Clone, Debug)]
pub struct ManagersFacts {
    pub scope: ScopeRule,
    pub policy: Policy,
}

/// A channel that sends mail by Graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFacts {
    pub channel: String,
    /// As the application, or as the person.
    pub as_app: bool,
}

/// Which way the requests to a service take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// `okta`, `entra`, `graph`.
    pub service: &'static str,
    /// Without credentials; `None` for the straight way.
    pub proxy: Option<String>,
    /// Where the proxy is named.
    pub named_by: String,
}

/// Something that was asked for and not had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub turn: Turn,
    /// The error with its causes on one line.
    pub message: String,
    pub hint: Option<String>,
    /// The service knows the caller and says no.
    pub denied: bool,
}

impl Trouble {
    fn new(error: &dyn std::error::Error, class: Class, hint: Option<&str>, denied: bool) -> Self {
        let turn = match class {
            Class::NeedsHuman => Turn::Human,
            Class::Misconfigured => Turn::Configuration,
            Class::Wait | Class::Retry => Turn::Later,
        };
        Self { turn, message: chain(error), hint: hint.map(str::to_owned), denied }
    }

    /// No answer came in time.
    pub(super) fn late(seconds: u64) -> Self {
        let message = format!("no answer within {seconds} seconds, tries included");
        Self { turn: Turn::Later, message, hint: None, denied: false }
    }
}

impl From<AuthError> for Trouble {
    fn from(error: AuthError) -> Self {
        Self::new(&error, error.class(), error.hint(), false)
    }
}

impl From<Undelivered> for Trouble {
    fn from(undelivered: Undelivered) -> Self {
        Self { turn: Turn::Later, message: undelivered.problem, hint: undelivered.hint, denied: false }
    }
}

impl From<OktaError> for Trouble {
    fn from(error: OktaError) -> Self {
        let denied = matches!(&error, OktaError::Refused(refusal) if refusal.status == 403);
        Self::new(&error, error.class(), error.hint(), denied)
    }
}

impl From<GraphError> for Trouble {
    fn from(error: GraphError) -> Self {
        let denied = matches!(&error, GraphError::Refused(refusal) if refusal.status == 403);
        Self::new(&error, error.class(), error.hint(), denied)
    }
}

/// What was asked for; `None` when it was not asked for.
pub type Seen<T> = Option<Result<T, Trouble>>;

/// What each service answered.
#[derive(Debug, Default)]
pub struct Observed {
    pub now: Timestamp,
    pub heard: Vec<Heard>,
    /// Sign-ins, with what was granted where the token tells it.
    pub okta: Seen<Option<Granted>>,
    pub app: Seen<Option<Granted>>,
    pub user: Seen<Option<Granted>>,
    /// When the refresh token was obtained that was there before this examination.
    pub kept_since: Seen<Option<Timestamp>>,
    pub certificate_ends: Seen<Option<Timestamp>>,
    /// How many are on the first page.
    pub users: Seen<usize>,
    /// Okta's instances of Microsoft 365.
    pub apps: Seen<Vec<App>>,
    /// The first page of each job's scope, by the job's name.
    pub scopes: Vec<(String, Result<usize, Trouble>)>,
    /// How many are on the first page.
    pub accounts: Seen<usize>,
    pub accounts_counted: Seen<u64>,
    /// Of the accounts on the first page, how many are mastered on premises.
    pub mastered: usize,
    pub organization: Seen<Organization>,
    pub domains: Seen<Vec<Domain>>,
    pub synchronization: Seen<Synchronization>,
    pub skus: Seen<usize>,
    pub subscriptions: Seen<Vec<Subscription>>,
    /// Requests as the person, by path.
    pub requests: Vec<(String, Result<RawAnswer, Trouble>)>,
    pub samples: Vec<Result<Sample, (String, Trouble)>>,
    /// What shows of each channel without a notice being sent.
    pub channels: Vec<(String, Result<&'static str, Trouble>)>,
}
