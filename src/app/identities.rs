//! Settings in, identities out.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use url::Url;

use crate::app::secrets::Reader;
use crate::auth::condition::judged;
use crate::auth::store::is_kept_in;
use crate::auth::{AssertionStyle, Authorizer, ClientAuth, EntraApp, EntraUser, Keeper, OktaService, SecretStyle};
use crate::clock::Clock;
use crate::config::notices::{ChannelSettings, Sender, Way};
use crate::config::secrets::SecretRef;
use crate::config::settings::{
    AppAuth, Assertion, EntraSettings, OktaAuth, OktaSettings, ScopeSettings, SendSecret, Settings, Work,
};
use crate::domain::condition::{Credential, Ending, IdentityName, Known};
use crate::history::History;
use crate::http::Client;
use crate::secret::Secret;

/// Who signs in, and the token of that one.
#[derive(Clone)]
pub(super) struct Identity {
    is: Is,
    authorizer: Arc<Authorizer>,
}

/// All that makes an identity another one.
#[derive(Clone, PartialEq)]
struct Is {
    settings: Who,
    secrets: Vec<Option<Secret>>,
}

#[derive(Clone, PartialEq)]
enum Who {
    Okta(OktaSettings, Vec<String>),
    App(EntraSettings),
    User(EntraSettings, Vec<String>, std::path::PathBuf),
}

impl Identity {
    fn new(settings: Who, secrets: Vec<Option<Secret>>, authorizer: Authorizer) -> Self {
        Self { is: Is { settings, secrets }, authorizer: Arc::new(authorizer) }
    }

    /// The one that is there already, when it is the same.
    pub(super) fn or_kept(self, kept: Option<&Self>) -> Self {
        kept.filter(|kept| kept.is == self.is).cloned().unwrap_or(self)
    }

    pub(super) fn authorizer(&self) -> Arc<Authorizer> {
        Arc::clone(&self.authorizer)
    }
}

/// What every identity is made with.
pub(super) struct Workshop<'a> {
    pub(super) settings: &'a Settings,
    pub(super) http: &'a Client,
    pub(super) clock: &'a Arc<dyn Clock>,
    /// Where their states are kept, where they are.
    pub(super) history: Option<&'a History>,
}

impl Workshop<'_> {
    fn tools(&self) -> (Client, Arc<dyn Clock>) {
        (self.http.clone(), Arc::clone(self.clock))
    }

    /// The identity, its state kept where there is a history.
    fn kept(&self, name: IdentityName, settings: Who, secrets: Vec<Option<Secret>>, made: Authorizer) -> Identity {
        let who = who(self.settings, name).unwrap_or_default();
        let made = match self.history {
            Some(history) => made.kept_by(Keeper::new(history.clone(), name, who)),
            None => made,
        };
        Identity::new(settings, secrets, made)
    }
}

/// Tells an identity from another one of its name: organization or tenant, and client. `None` when none is configured.
#[must_use]
pub fn who(settings: &Settings, name: IdentityName) -> Option<String> {
    let entra = &settings.entra;
    match name {
        IdentityName::Okta => settings.okta.as_ref().map(|okta| {
            let client = match &okta.auth {
                OktaAuth::ApiToken { .. } => "API token",
                OktaAuth::PrivateKey { client_id, .. } => client_id,
            };
            format!("{} {client}", okta.org_url.host_str().unwrap_or_default())
        }),
        IdentityName::App => entra.app.as_ref().map(|app| format!("{} {}", entra.tenant, app.client_id)),
        IdentityName::User => entra.user.as_ref().map(|user| format!("{} {}", entra.tenant, user.client_id)),
    }
}

/// Tenant and client of the person's identity; empty when none is configured.
#[must_use]
pub fn person(settings: &Settings) -> (String, String) {
    let client = settings.entra.user.as_ref().map_or_else(String::new, |user| user.client_id.clone());
    (settings.entra.tenant.clone(), client)
}

/// Whether a first refresh token is configured, which signs in when nothing else is there.
#[must_use]
pub fn has_first_token(settings: &Settings) -> bool {
    settings.entra.user.as_ref().is_some_and(|user| user.refresh_token.is_some())
}

/// How each configured identity is, as of now: what is known of it, and what has come closer since.
#[must_use]
pub fn standing(settings: &Settings, known: &[Known], now: Timestamp) -> Vec<Known> {
    let one = |name: &IdentityName| {
        let who = who(settings, *name)?;
        let kept = known.iter().find(|known| known.name == *name && known.who == who).cloned();
        let mut kept = kept.unwrap_or_else(|| Known::nothing(*name, who));
        if *name == IdentityName::App {
            // The file may have been edited since somebody signed in.
            kept.ends = secret_ends(settings).or(kept.ends.filter(|ends| ends.what != Credential::ClientSecret));
        }
        Some(judged(kept, now))
    };
    IdentityName::ALL.iter().filter_map(one).collect()
}

/// The end of the client secret's last day, where that is configured.
#[must_use]
pub fn secret_ends(settings: &Settings) -> Option<Ending> {
    let AppAuth::ClientSecret { ends: Some(date), .. } = settings.entra.app.as_ref()?.auth else { return None };
    let at = date.at(23, 59, 59, 0).to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Ending { what: Credential::ClientSecret, at })
}

/// The identity towards Okta.
pub(super) fn okta(okta: &OktaSettings, workshop: &Workshop<'_>, reader: &mut Reader<'_>) -> Identity {
    let ((http, clock), settings) = (workshop.tools(), workshop.settings);
    let kept = |who, secret, made| workshop.kept(IdentityName::Okta, who, vec![secret], made);
    match &okta.auth {
        OktaAuth::ApiToken { token } => {
            let (source, secret) = reader.source("okta.auth.token", token);
            let who = Who::Okta(okta.clone(), Vec::new());
            kept(who, secret, Authorizer::okta_token(source, http, clock))
        }
        OktaAuth::PrivateKey { client_id, key_id, private_key } => {
            let (source, secret) = reader.source("okta.auth.private_key", private_key);
            let scopes = okta_scopes(settings);
            let who = Who::Okta(okta.clone(), scopes.clone());
            let (org_url, client_id, key_id) = (okta.org_url.clone(), client_id.clone(), key_id.clone());
            let service = OktaService { org_url, client_id, key_id, private_key: source, scopes, wishes: Vec::new() };
            kept(who, secret, Authorizer::okta_service(service, http, clock))
        }
    }
}

/// What the jobs read: people, and whatever their scopes are made of.
pub(super) fn okta_scopes(settings: &Settings) -> Vec<String> {
    let mut scopes = vec!["okta.users.read".to_owned()];
    for job in settings.jobs.values() {
        let Work::Managers(managers) = &job.work else { continue };
        let scope = match managers.scope {
            ScopeSettings::Everyone | ScopeSettings::Search(_) => continue,
            ScopeSettings::Group(_) => "okta.groups.read",
            ScopeSettings::App(_) => "okta.apps.read",
        };
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

/// The application's identity.
pub(super) fn app(workshop: &Workshop<'_>, reader: &mut Reader<'_>) -> Option<Identity> {
    let ((http, clock), settings) = (workshop.tools(), workshop.settings);
    let entra = &settings.entra;
    let app = entra.app.as_ref()?;
    let (auth, secrets) = match &app.auth {
        AppAuth::ClientSecret { secret, send, .. } => {
            let (source, secret) = reader.source("entra.app.client_secret", secret);
            let style = match send {
                SendSecret::Form => SecretStyle::Form,
                SendSecret::Basic => SecretStyle::Basic,
            };
            (ClientAuth::Secret { secret: source, style }, vec![secret])
        }
        AppAuth::Certificate { certificate, private_key, password, assertion } => {
            let (certificate, text) = reader.source("entra.app.certificate", certificate);
            let mut secrets = vec![text];
            let mut other = |key, place: &Option<SecretRef>| {
                let (source, secret) = reader.source(key, place.as_ref()?);
                secrets.push(secret);
                Some(source)
            };
            let private_key = other("entra.app.private_key", private_key);
            let password = other("entra.app.password", password);
            let style = match assertion {
                Assertion::Ps256 => AssertionStyle::Ps256,
                Assertion::Rs256 => AssertionStyle::Rs256,
            };
            (ClientAuth::Certificate { certificate, private_key, password, style }, secrets)
        }
        // Not held against the identity: the platform replaces it all the time.
        AppAuth::FederatedToken { token_file } => {
            let (token, _) = reader.passing("entra.app.token_file", token_file);
            (ClientAuth::Federated { token }, Vec::new())
        }
    };
    let identity = EntraApp {
        authority_url: entra.authority_url.clone(),
        tenant: entra.tenant.clone(),
        client_id: app.client_id.clone(),
        auth,
        secret_ends: secret_ends(settings).map(|ends| ends.at),
        scope: graph_scope(&entra.graph_url, ".default"),
    };
    let who = Who::App(EntraSettings { user: None, ..entra.clone() });
    Some(workshop.kept(IdentityName::App, who, secrets, Authorizer::entra_app(identity, http, clock)))
}

/// The identity of the person who signed in.
pub(super) fn user(workshop: &Workshop<'_>, reader: &mut Reader<'_>) -> Option<Identity> {
    let ((http, clock), settings) = (workshop.tools(), workshop.settings);
    let entra = &settings.entra;
    let user = entra.user.as_ref()?;
    let mut secrets = Vec::new();
    let auth = user.client_secret.as_ref().map_or(ClientAuth::Public, |place| {
        let (secret, now) = reader.source("entra.user.client_secret", place);
        secrets.push(now);
        ClientAuth::Secret { secret, style: SecretStyle::Form }
    });
    let encryption_key = user.encryption_key.as_ref().map(|place| {
        let (key, now) = reader.source("entra.user.encryption_key", place);
        secrets.push(now);
        key
    });
    let first_refresh_token = user.refresh_token.as_ref().map(|place| {
        // Once a rotated one is stored it is a reserve, and may be gone.
        let is_reserve = is_kept_in(&settings.state_directory);
        let key = "entra.user.refresh_token";
        let (token, now) = if is_reserve { reader.reserve(key, place) } else { reader.source(key, place) };
        secrets.push(now);
        token
    });
    let scopes = user_scopes(settings);
    let identity = EntraUser {
        authority_url: entra.authority_url.clone(),
        tenant: entra.tenant.clone(),
        client_id: user.client_id.clone(),
        auth,
        first_refresh_token,
        scopes: scopes.clone(),
        directory: settings.state_directory.clone(),
        encryption_key,
    };
    let who = Who::User(EntraSettings { app: None, ..entra.clone() }, scopes, settings.state_directory.clone());
    Some(workshop.kept(IdentityName::User, who, secrets, Authorizer::entra_user(identity, http, clock)))
}

/// What a person who signed in is asked to allow: the usual keepalive needs `User.Read`, and licenses their own. Where no
/// application can, the person reads for the gauge when the subscription ends.
fn user_scopes(settings: &Settings) -> Vec<String> {
    let graph = &settings.entra.graph_url;
    let mut scopes = vec![graph_scope(graph, "User.Read"), "offline_access".to_owned()];
    let keepalives = settings.jobs.values().filter_map(|job| match &job.work {
        Work::Keepalive(keepalive) => Some(keepalive),
        // What another call needs only its page of the reference says: `entra.user.scopes` names it.
        Work::Managers(_) | Work::Licenses(_) | Work::Directory(_) | Work::Request(_) => None,
    });
    let requests: Vec<String> =
        keepalives.flat_map(|keepalive| &keepalive.requests).map(|path| path.to_lowercase()).collect();
    let asks_for = |start: &str| requests.iter().any(|path| path.starts_with(start));
    if asks_for("/subscribedskus") {
        scopes.push(graph_scope(graph, "LicenseAssignment.Read.All"));
    }
    let reads_the_gauge = settings.entra.app.is_none() && !requests.is_empty();
    if reads_the_gauge || asks_for("/directory/subscriptions") || asks_for("/organization") {
        scopes.push(graph_scope(graph, "Organization.Read.All"));
    }
    let sends_mail = |channel: &ChannelSettings| match &channel.way {
        Way::Graph(mail) => mail.sender == Sender::User,
        _ => false,
    };
    if settings.notices.values().any(sends_mail) {
        scopes.push(graph_scope(graph, "Mail.Send"));
    }
    let extra = settings.entra.user.iter().flat_map(|user| &user.scopes);
    scopes.extend(extra.map(|scope| if is_complete(scope) { scope.clone() } else { graph_scope(graph, scope) }));
    scopes
}

/// Whether a scope is asked for as it stands: with its resource, or one of sign-in's own.
fn is_complete(scope: &str) -> bool {
    scope.contains("://") || matches!(scope, "openid" | "profile" | "email" | "offline_access")
}

fn graph_scope(graph_url: &Url, permission: &str) -> String {
    format!("{}/{permission}", graph_url.as_str().trim_end_matches('/'))
}
