//! Settings in, clients and jobs out.

use std::sync::Arc;

use url::Url;

use crate::app::AppError;
use crate::auth::store::is_kept_in;
use crate::auth::{Authorizer, EntraApp, EntraUser, SecretStyle};
use crate::clock::Clock;
use crate::config::secrets::SecretRef;
use crate::config::settings::{
    JobSettings, ManagersSettings, OktaAuth, ScopeSettings, SendSecret, Settings, Work as WorkSettings,
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

/// The clients that the jobs share: one token, one pace each.
pub(super) struct Clients {
    okta: Option<OktaClient>,
    graph: GraphClient,
}

impl Clients {
    pub(super) fn make(
        settings: &Settings,
        env: &[(String, String)],
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, AppError> {
        let http = Client::new(
            ClientSettings { timeout: settings.http.timeout, ..ClientSettings::default() },
            Arc::clone(clock),
        );
        let okta = settings.okta.as_ref().map(|okta| {
            let OktaAuth::ApiToken { token } = &okta.auth;
            let token = read("okta.auth.token", token, env)?;
            let authorizer = Arc::new(Authorizer::okta_token(&token));
            Ok(OktaClient::new(http.clone(), authorizer, okta.org_url.clone(), OKTA_SHARE))
        });
        let app = app_identity(settings, env, &http, clock)?;
        let user = user_identity(settings, env, &http, clock)?;
        let graph = GraphClient::new(http, app, user, settings.entra.graph_url.clone());
        Ok(Self { okta: okta.transpose()?, graph })
    }

    pub(super) fn job(&self, settings: &JobSettings) -> Result<Job, AppError> {
        let graph = self.graph.clone();
        let work = match &settings.work {
            WorkSettings::Managers(managers) => {
                let okta = self.okta.clone().ok_or(AppError::Lacks("okta"))?;
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

fn app_identity(
    settings: &Settings,
    env: &[(String, String)],
    http: &Client,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<Authorizer>>, AppError> {
    let entra = &settings.entra;
    let Some(app) = &entra.app else { return Ok(None) };
    let identity = EntraApp {
        authority_url: entra.authority_url.clone(),
        tenant: entra.tenant.clone(),
        client_id: app.client_id.clone(),
        client_secret: read("entra.app.client_secret", &app.client_secret, env)?,
        style: match app.send {
            SendSecret::Form => SecretStyle::Form,
            SendSecret::Basic => SecretStyle::Basic,
        },
        scope: graph_scope(&entra.graph_url, ".default"),
    };
    Ok(Some(Arc::new(Authorizer::entra_app(identity, http.clone(), Arc::clone(clock)))))
}

fn user_identity(
    settings: &Settings,
    env: &[(String, String)],
    http: &Client,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<Authorizer>>, AppError> {
    let entra = &settings.entra;
    let Some(user) = &entra.user else { return Ok(None) };
    let first = first_token(settings, user.refresh_token.as_ref(), env)?;
    let identity = EntraUser {
        authority_url: entra.authority_url.clone(),
        tenant: entra.tenant.clone(),
        client_id: user.client_id.clone(),
        client_secret: None,
        first_refresh_token: first,
        scopes: user_scopes(settings),
        directory: settings.state_directory.clone(),
    };
    Ok(Some(Arc::new(Authorizer::entra_user(identity, http.clone(), Arc::clone(clock)))))
}

/// The configured refresh token. Once a rotated one is stored it is a reserve, and may be gone.
fn first_token(
    settings: &Settings,
    token: Option<&SecretRef>,
    env: &[(String, String)],
) -> Result<Option<Secret>, AppError> {
    let Some(token) = token else { return Ok(None) };
    match read("entra.user.refresh_token", token, env) {
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

fn read(key: &'static str, secret: &SecretRef, env: &[(String, String)]) -> Result<Secret, AppError> {
    secret.read(env).map_err(|source| AppError::Secret { key, source })
}
