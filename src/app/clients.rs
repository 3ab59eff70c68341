//! Settings in, clients and jobs out.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use crate::app::AppError;
use crate::auth::store::is_kept_in;
use crate::auth::{Authorizer, EntraApp, EntraUser, SecretStyle};
use crate::clock::Clock;
use crate::config::secrets::SecretRef;
use crate::config::settings::{
    HttpSettings, JobSettings, ManagersSettings, OktaAuth, ScopeSettings, SendSecret, Settings, Work as WorkSettings,
};
use crate::graph::GraphClient;
use crate::http::Client;
use crate::http::client::ClientSettings;
use crate::jobs::keepalive::Keepalive;
use crate::jobs::licenses::Licenses;
use crate::jobs::managers::{Managers, ScopeRule};
use crate::jobs::{Job, Work};
use crate::okta::OktaClient;
use crate::secret::Secret;

/// At most this share of each rate limit that Okta shows: the rest is for people and other programs.
const OKTA_SHARE: f64 = 0.6;

/// The clients that the jobs share: one token, one pace each. Made from other settings, they keep all for which those are
/// the same: a token is not fetched again, and what a vendor asked for is remembered, because somebody edited a schedule.
pub(super) struct Clients {
    http: Client,
    http_settings: HttpSettings,
    okta: Option<Okta>,
    app: Option<Identity<EntraApp>>,
    user: Option<Identity<EntraUser>>,
    graph: GraphClient,
    graph_url: Url,
    secrets: Secrets,
}

impl Clients {
    /// The clients that `settings` ask for, with as much of `before` as is still right.
    ///
    /// # Errors
    ///
    /// Every secret that cannot be read, unless it was read before from the same place: those are in [`Self::worn`].
    pub(super) fn make(
        before: Option<&Self>,
        settings: &Settings,
        env: &[(String, String)],
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Vec<AppError>> {
        let same = before.filter(|before| before.http_settings == settings.http);
        let http = same.map_or_else(|| http_client(&settings.http, clock), |same| same.http.clone());
        let mut reader = Reader { env, before: before.map(|before| &before.secrets), read: Secrets::default() };

        let okta = settings.okta.as_ref().map(|okta| {
            let OktaAuth::ApiToken { token } = &okta.auth;
            let token = reader.read("okta.auth.token", token)?;
            let kept = same.and_then(|same| same.okta.as_ref()).map(|okta| &okta.identity);
            let identity = Identity::keep_or_make(kept, token, |token| Authorizer::okta_token(&token));
            let (org_url, auth) = (okta.org_url.clone(), identity.authorizer());
            let known = before.and_then(|before| before.okta.as_ref()).filter(|known| known.org_url == org_url);
            let client = match known {
                Some(known) => known.client.with(http.clone(), auth),
                None => OktaClient::new(http.clone(), auth, org_url.clone(), OKTA_SHARE),
            };
            Ok(Okta { org_url, identity, client })
        });
        let app = app_identity(settings, &mut reader).map(|app| {
            let kept = same.and_then(|same| same.app.as_ref());
            Ok(Identity::keep_or_make(kept, app?, |app| Authorizer::entra_app(app, http.clone(), Arc::clone(clock))))
        });
        let user = user_identity(settings, &mut reader).map(|user| {
            let kept = same.and_then(|same| same.user.as_ref());
            Ok(Identity::keep_or_make(kept, user?, |user| {
                Authorizer::entra_user(user, http.clone(), Arc::clone(clock))
            }))
        });

        let mut problems = Vec::new();
        let (okta, app, user) = (noted(okta, &mut problems), noted(app, &mut problems), noted(user, &mut problems));
        if !problems.is_empty() {
            return Err(problems);
        }
        let graph_url = settings.entra.graph_url.clone();
        let authorizers = (app.as_ref().map(Identity::authorizer), user.as_ref().map(Identity::authorizer));
        let graph = match before.filter(|before| before.graph_url == graph_url) {
            Some(before) => before.graph.with(http.clone(), authorizers.0, authorizers.1),
            None => GraphClient::new(http.clone(), authorizers.0, authorizers.1, graph_url.clone()),
        };
        let http_settings = settings.http.clone();
        Ok(Self { http, http_settings, okta, app, user, graph, graph_url, secrets: reader.read })
    }

    /// Whether all secrets are those of `other`.
    pub(super) fn has_secrets_of(&self, other: &Self) -> bool {
        self.secrets.held == other.secrets.held
    }

    /// Secrets that cannot be read any more, and that are used on as they were read.
    pub(super) fn worn(&self) -> &[AppError] {
        &self.secrets.worn
    }

    /// Whether Okta's, the application's and the user's identities, in this order, are those of `other` or made anew.
    #[cfg(test)]
    pub(super) fn shares_identities_with(&self, other: &Self, kept: [bool; 3]) -> bool {
        fn same<I>(one: Option<&Identity<I>>, other: Option<&Identity<I>>) -> bool {
            one.zip(other).is_some_and(|(one, other)| Arc::ptr_eq(&one.authorizer, &other.authorizer))
        }
        let okta = |clients: &Self| clients.okta.as_ref().map(|okta| okta.identity.clone());
        let shared = [
            same(okta(self).as_ref(), okta(other).as_ref()),
            same(self.app.as_ref(), other.app.as_ref()),
            same(self.user.as_ref(), other.user.as_ref()),
        ];
        shared == kept
    }

    pub(super) fn job(&self, settings: &JobSettings) -> Result<Job, AppError> {
        let graph = self.graph.clone();
        let work = match &settings.work {
            WorkSettings::Managers(managers) => {
                let okta = self.okta.as_ref().ok_or(AppError::Lacks("okta"))?.client.clone();
                Work::Managers(Box::new(managers_job(managers, okta, graph)))
            }
            WorkSettings::Licenses => Work::Licenses(Licenses { graph }),
            WorkSettings::Keepalive(keepalive) => Work::Keepalive(Keepalive {
                graph,
                requests: keepalive.requests.clone(),
                min_interval: keepalive.min_interval,
                save_bodies: keepalive.save_bodies,
            }),
        };
        Ok(Job { name: settings.name.clone(), timeout: settings.timeout, work })
    }
}

fn managers_job(settings: &ManagersSettings, okta: OktaClient, graph: GraphClient) -> Managers {
    Managers {
        okta,
        graph,
        mode: settings.mode,
        policy: settings.policy.clone(),
        brake: settings.brake,
        scope: match &settings.scope {
            ScopeSettings::Everyone => ScopeRule::Everyone,
            ScopeSettings::Search(expression) => ScopeRule::Search(expression.clone()),
            ScopeSettings::Group(id) => ScopeRule::Group(id.clone()),
            ScopeSettings::App(id) => ScopeRule::App(id.clone()),
        },
        source_floor: settings.source_floor,
        canaries: settings.canaries.clone(),
        confirm_after: settings.confirm_after,
        check_after: settings.check_after,
    }
}

fn http_client(settings: &HttpSettings, clock: &Arc<dyn Clock>) -> Client {
    Client::new(ClientSettings { timeout: settings.timeout, ..ClientSettings::default() }, Arc::clone(clock))
}

/// What could be made; why not is added to `problems`.
fn noted<T>(made: Option<Result<T, AppError>>, problems: &mut Vec<AppError>) -> Option<T> {
    made?.map_err(|problem| problems.push(problem)).ok()
}

/// One organization.
struct Okta {
    org_url: Url,
    identity: Identity<Secret>,
    client: OktaClient,
}

/// Who signs in, and the token of that one.
#[derive(Clone)]
struct Identity<I> {
    who: I,
    authorizer: Arc<Authorizer>,
}

impl<I: Clone + PartialEq> Identity<I> {
    fn keep_or_make(kept: Option<&Self>, who: I, make: impl FnOnce(I) -> Authorizer) -> Self {
        match kept.filter(|kept| kept.who == who) {
            Some(kept) => kept.clone(),
            None => Self { who: who.clone(), authorizer: Arc::new(make(who)) },
        }
    }

    fn authorizer(&self) -> Arc<Authorizer> {
        Arc::clone(&self.authorizer)
    }
}

/// Secrets as they were read.
#[derive(Default)]
struct Secrets {
    /// By the key that names them, with their places.
    held: BTreeMap<&'static str, (SecretRef, Secret)>,
    worn: Vec<AppError>,
}

/// Reads secrets, and remembers them.
struct Reader<'a> {
    env: &'a [(String, String)],
    before: Option<&'a Secrets>,
    read: Secrets,
}

impl Reader<'_> {
    /// The secret at `place`. One that was read from there before, and cannot be any more, is good as it was: nothing that
    /// somebody changed speaks against it.
    fn read(&mut self, key: &'static str, place: &SecretRef) -> Result<Secret, AppError> {
        let secret = place.read(self.env).map_err(|source| AppError::Secret { key, source });
        let secret = match (secret, self.before.and_then(|before| before.held.get(key))) {
            (Err(problem), Some((known, secret))) if known == place => {
                self.read.worn.push(problem);
                secret.clone()
            }
            (secret, _) => secret?,
        };
        self.read.held.insert(key, (place.clone(), secret.clone()));
        Ok(secret)
    }
}

fn app_identity(settings: &Settings, reader: &mut Reader<'_>) -> Option<Result<EntraApp, AppError>> {
    let entra = &settings.entra;
    let app = entra.app.as_ref()?;
    let secret = reader.read("entra.app.client_secret", &app.client_secret);
    Some(secret.map(|client_secret| EntraApp {
        authority_url: entra.authority_url.clone(),
        tenant: entra.tenant.clone(),
        client_id: app.client_id.clone(),
        client_secret,
        style: match app.send {
            SendSecret::Form => SecretStyle::Form,
            SendSecret::Basic => SecretStyle::Basic,
        },
        scope: graph_scope(&entra.graph_url, ".default"),
    }))
}

fn user_identity(settings: &Settings, reader: &mut Reader<'_>) -> Option<Result<EntraUser, AppError>> {
    let entra = &settings.entra;
    let user = entra.user.as_ref()?;
    let first = user.refresh_token.as_ref().map(|token| first_token(settings, token, reader)).transpose();
    Some(first.map(|first| EntraUser {
        authority_url: entra.authority_url.clone(),
        tenant: entra.tenant.clone(),
        client_id: user.client_id.clone(),
        client_secret: None,
        first_refresh_token: first.flatten(),
        scopes: user_scopes(settings),
        directory: settings.state_directory.clone(),
    }))
}

/// The configured refresh token. Once a rotated one is stored it is a reserve, and may be gone.
fn first_token(settings: &Settings, token: &SecretRef, reader: &mut Reader<'_>) -> Result<Option<Secret>, AppError> {
    match reader.read("entra.user.refresh_token", token) {
        Err(error) if is_kept_in(&settings.state_directory) => {
            tracing::info!(error = &error as &dyn std::error::Error, "the stored sign-in is used; there is no other");
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// What a person who signed in is asked to allow: the usual keepalive needs `User.Read`, and licenses their own.
fn user_scopes(settings: &Settings) -> Vec<String> {
    let graph = &settings.entra.graph_url;
    let mut scopes = vec![graph_scope(graph, "User.Read"), "offline_access".to_owned()];
    let asks_for_licenses = settings.jobs.values().any(|job| match &job.work {
        WorkSettings::Keepalive(keepalive) => {
            keepalive.requests.iter().any(|path| path.to_lowercase().starts_with("/subscribedskus"))
        }
        WorkSettings::Managers(_) | WorkSettings::Licenses => false,
    });
    if asks_for_licenses {
        scopes.push(graph_scope(graph, "LicenseAssignment.Read.All"));
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
