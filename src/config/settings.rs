//! What the program trusts: a configuration whose every value was parsed. Nothing here can be half right.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;
use url::Url;

use crate::auth;
use crate::auth::KeyError;
use crate::config::network::HttpSettings;
use crate::config::notices::{ChannelSettings, JobNotices};
use crate::config::problem::{Origin, Problem};
use crate::config::secrets::{SecretError, SecretRef};
use crate::domain::condition::IdentityName;
use crate::domain::request::{Asker, Method, Version};
use crate::domain::run::{JobKind, Mode};
use crate::history::retention::Retention;
use crate::reconcile::brake::Brake;
use crate::reconcile::percent::Percent;
use crate::reconcile::policy::{CorrelateRule, Policy};
use crate::schedule::{CatchUp, Schedule};
use crate::secret::Secret;

/// A whole configuration that holds together.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Zone of every job that names none, and of times that the commands show.
    pub zone: Zone,
    /// Where the database, locks and rotated tokens live.
    pub state_directory: PathBuf,
    pub control: ControlSettings,
    /// How long what happened is remembered.
    pub retention: Retention,
    pub http: HttpSettings,
    /// None: no page is served.
    pub web: Option<WebSettings>,
    /// Present whenever a job needs it.
    pub okta: Option<OktaSettings>,
    pub entra: EntraSettings,
    /// By name.
    pub jobs: BTreeMap<String, JobSettings>,
    /// Channels on which people are told, by name.
    pub notices: BTreeMap<String, ChannelSettings>,
    /// Every secret that is referred to.
    pub secrets: Vec<NamedSecret>,
    /// What is allowed and yet worth a second look.
    pub warnings: Vec<Problem>,
    /// The files that were read, in the order in which later ones override earlier ones.
    pub files: Vec<PathBuf>,
    /// Twelve hexadecimal digits that change when the effective configuration does. Holds no secret: those are references.
    pub fingerprint: String,
}

/// A secret's place, and the key that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSecret {
    pub key: String,
    pub origin: Origin,
    pub secret: SecretRef,
    pub shape: Shape,
}

/// What a secret has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Anything.
    Text,
    /// A private key with which tokens are signed.
    SigningKey,
    /// A certificate in PEM form.
    Certificate,
    /// Text that is hard to guess.
    HardToGuess,
}

impl Shape {
    fn check(self, secret: &Secret) -> Result<(), KeyError> {
        match self {
            Self::Text => Ok(()),
            Self::SigningKey => auth::check_signing_key(secret),
            Self::Certificate => auth::check_certificate(secret),
            Self::HardToGuess => auth::check_encryption_key(secret),
        }
    }
}

impl NamedSecret {
    /// Why the secret cannot be had here and now, if it cannot. `true` beside it: the service may well have it.
    #[must_use]
    pub fn problem(&self, env: &[(String, String)]) -> Option<(Problem, bool)> {
        let error = match self.secret.read(env) {
            Ok(secret) => return self.shape.check(&secret).err().map(|error| (self.unusable(&error), false)),
            Err(error) => error,
        };
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        let cause = match &error {
            SecretError::Unreadable { source, .. } => format!(": {source}"),
            _ => String::new(),
        };
        let message = format!("{error}{cause}{hint}");
        Some((self.problem_of(message), error.may_be_there_for_the_service()))
    }

    /// A key or certificate that can be read and not be used.
    fn unusable(&self, error: &KeyError) -> Problem {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        self.problem_of(format!("cannot be used: {error}{hint}"))
    }

    fn problem_of(&self, message: String) -> Problem {
        Problem { origin: self.origin.clone(), key: self.key.clone(), message, suggestion: None }
    }
}

impl Settings {
    /// What is wrong with the application's certificate and key taken together, where each by itself is good.
    #[must_use]
    pub fn pair_problem(&self, env: &[(String, String)], now: Timestamp) -> Option<Problem> {
        let AppAuth::Certificate { certificate, private_key, password, .. } = &self.entra.app.as_ref()?.auth else {
            return None;
        };
        let read = |place: &Option<SecretRef>| place.as_ref().map(|place| place.read(env)).transpose().ok();
        let (text, key, password) = (certificate.read(env).ok()?, read(private_key)?, read(password)?);
        let error = auth::entra::check_pair(&text, key.as_ref(), password.as_ref(), now).err()?;
        let alone = private_key.is_none();
        let about_both = alone || matches!(error, KeyError::OtherKey | KeyError::Ended(_) | KeyError::NotRsa);
        let named = self.secrets.iter().find(|named| named.secret == *certificate).filter(|_| about_both)?;
        Some(named.unusable(&error))
    }
}

/// A time zone and the name by which it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    pub name: String,
    pub tz: TimeZone,
}

/// Where commands reach the running service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// A Unix socket; short enough to be bound.
    pub socket: PathBuf,
}

/// Where the status page is served, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// A loopback address, or one at which a token is asked for or a proxy stands.
    pub listen: SocketAddr,
    /// What everybody has to show.
    pub token: Option<SecretRef>,
    /// Names by which the page may be asked for, beside those of the machine itself; in lower case.
    pub hosts: Vec<String>,
    /// A reverse proxy stands before it, which asks who is there.
    pub behind_proxy: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OktaSettings {
    /// The root of the organization, without a path.
    pub org_url: Url,
    pub auth: OktaAuth,
}

/// How the program signs in to Okta.
#[derive(Clone, Debug, PartialEq)]
pub enum OktaAuth {
    ApiToken {
        token: SecretRef,
    },
    /// A service app with a key of its own.
    PrivateKey {
        client_id: String,
        /// The id under which the public key is registered.
        key_id: String,
        private_key: SecretRef,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct EntraSettings {
    /// A tenant id or one of the tenant's domains.
    pub tenant: String,
    pub cloud: Cloud,
    /// Root of the sign-in host, of the cloud or overridden; without tenant.
    pub authority_url: Url,
    /// Root of Microsoft Graph, of the cloud or overridden; without `/v1.0`.
    pub graph_url: Url,
    /// The app-only identity; present whenever a job needs it.
    pub app: Option<EntraApp>,
    /// The delegated identity; present whenever a job needs it.
    pub user: Option<EntraUser>,
}

/// Microsoft's separate clouds. Sign-in and Graph hosts always change together.
/// Source: <https://learn.microsoft.com/graph/deployments>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    Global,
    UsGov,
    UsDod,
    China,
}

impl Cloud {
    /// The roots of sign-in and of Graph.
    pub const fn hosts(self) -> (&'static str, &'static str) {
        match self {
            Self::Global => ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
            Self::UsGov => ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
            Self::UsDod => ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
            Self::China => ("https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
        }
    }

    /// The word for it in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::UsGov => "us-gov",
            Self::UsDod => "us-dod",
            Self::China => "china",
        }
    }
}

/// An application that signs in as itself.
#[derive(Clone, Debug, PartialEq)]
pub struct EntraApp {
    pub client_id: String,
    pub auth: AppAuth,
}

/// What the application shows of itself.
#[derive(Clone, Debug, PartialEq)]
pub enum AppAuth {
    ClientSecret {
        secret: SecretRef,
        send: SendSecret,
        /// Its last day, as the app registration shows it: Graph tells it only with a permission that nothing else needs.
        ends: Option<Date>,
    },
    Certificate {
        certificate: SecretRef,
        /// Absent when it is where the certificate is.
        private_key: Option<SecretRef>,
        /// Of a PFX.
        password: Option<SecretRef>,
        assertion: Assertion,
    },
    /// A file in which the platform keeps a token of its own fresh.
    FederatedToken { token_file: SecretRef },
}

/// How an assertion names its certificate and is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assertion {
    /// PS256 and `x5t#S256`.
    Ps256,
    /// RS256 and `x5t`.
    Rs256,
}

/// Where a client secret travels in a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendSecret {
    /// As a field of the form.
    Form,
    /// In an `Authorization: Basic` header.
    Basic,
}

/// An application that signs in for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct EntraUser {
    pub client_id: String,
    /// Of an app registration that is no public client.
    pub client_secret: Option<SecretRef>,
    /// The first token only; afterwards the rotated one in the state directory rules.
    pub refresh_token: Option<SecretRef>,
    /// Encrypts the rotated one.
    pub encryption_key: Option<SecretRef>,
    /// Added to those that the jobs need.
    pub scopes: Vec<String>,
}

/// One job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSettings {
    pub name: String,
    /// `None`: runs by hand only.
    pub schedule: Option<Schedule>,
    pub zone: Zone,
    /// The most by which a run may be put off, so that many installations do not knock at once.
    pub jitter: Duration,
    /// What becomes of moments that were missed.
    pub catch_up: CatchUp,
    /// How long ago a moment may have been missed and still be caught up; `None`: the shorter of a day and the time to the
    /// moment after it.
    pub catch_up_within: Option<Duration>,
    /// After this a run is ended as `timed_out`.
    pub timeout: Duration,
    pub notices: JobNotices,
    pub work: Work,
}

impl JobSettings {
    pub const fn kind(&self) -> JobKind {
        match self.work {
            Work::Managers(_) => JobKind::Managers,
            Work::Licenses(_) => JobKind::Licenses,
            Work::Keepalive(_) => JobKind::Keepalive,
            Work::Directory(_) => JobKind::Directory,
            Work::Request(_) => JobKind::Request,
        }
    }

    /// Whom the job signs in as.
    pub const fn needs(&self) -> Needs {
        let (app, user) = match &self.work {
            Work::Managers(_) | Work::Licenses(_) | Work::Directory(_) => (true, false),
            Work::Keepalive(_) => (false, true),
            Work::Request(request) => (matches!(request.identity, Asker::App), matches!(request.identity, Asker::User)),
        };
        Needs { okta: matches!(self.work, Work::Managers(_) | Work::Directory(_)), app, user }
    }
}

/// The identities that a job cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    pub okta: bool,
    /// The application that signs in as itself.
    pub app: bool,
    /// The person who signed in.
    pub user: bool,
}

impl Needs {
    /// By name.
    pub fn names(self) -> Vec<IdentityName> {
        let all = [(IdentityName::Okta, self.okta), (IdentityName::App, self.app), (IdentityName::User, self.user)];
        all.into_iter().filter_map(|(name, needed)| needed.then_some(name)).collect()
    }
}

/// What a job does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    Managers(Box<ManagersSettings>),
    Licenses(LicensesSettings),
    Keepalive(KeepaliveSettings),
    Directory(DirectorySettings),
    Request(Box<RequestSettings>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct ManagersSettings {
    pub mode: Mode,
    pub policy: Policy,
    pub brake: Brake,
    pub scope: ScopeSettings,
    /// The share of the best recent reading below which a listing is not believed.
    pub source_floor: Percent,
    /// People without whom the listing is not believed: Okta logins or ids.
    pub canaries: Vec<String>,
    /// How long to wait before writes are read back.
    pub confirm_after: Duration,
    /// How old a plan may be before old values are read again ahead of a write.
    pub check_after: Duration,
}

/// Whose managers the job may write. Never who may be a manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeSettings {
    Everyone,
    /// An Okta search expression.
    Search(String),
    /// An Okta group id.
    Group(String),
    /// An Okta app id.
    App(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LicensesSettings {
    /// With fewer free seats than this a product has too few; `None`: nobody is told.
    pub few_free: Option<u32>,
    /// The same for single products, by part number in lower case.
    pub few_free_by_product: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepaliveSettings {
    /// Paths below `/v1.0`, each called once a run.
    pub requests: Vec<String>,
    /// The least time between two runs.
    pub min_interval: Duration,
    /// Whether answers are stored beside the calls.
    pub save_bodies: bool,
    /// The part number of the product whose subscription is watched.
    pub subscription: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorySettings {
    /// Which account is a person's.
    pub correlate: Vec<CorrelateRule>,
    /// Logins, addresses, ids of either side that are reported apart.
    pub ignore: Vec<String>,
    /// The share of the best recent reading below which a listing is not believed.
    pub source_floor: Percent,
    /// People without whom the listing is not believed: Okta logins or ids.
    pub canaries: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RequestSettings {
    /// One that writes only when the operator allowed it.
    pub method: Method,
    pub version: Version,
    /// Below the version.
    pub path: String,
    pub query: Vec<(String, String)>,
    /// From a list of harmless ones; names and values as they travel.
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
    pub identity: Asker,
    /// The most pages that are followed; 1 without `all_pages`.
    pub max_pages: u32,
    pub all_pages: bool,
    /// Whether answers are stored beside the calls.
    pub save_bodies: bool,
    /// Statuses that count as success; empty: any 2xx.
    pub expected_status: Vec<u16>,
}
