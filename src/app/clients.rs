//! Settings in, clients and jobs out.

use std::sync::Arc;

use url::Url;

use crate::app::AppError;
use crate::app::identities::{self, Identity, Workshop};
use crate::app::network::Way;
use crate::app::secrets::{Reader, Secrets};
use crate::auth::Authorizer;
use crate::clock::Clock;
use crate::config::settings::{
    DirectorySettings, JobSettings, ManagersSettings, RequestSettings, ScopeSettings, Settings, Work as WorkSettings,
};
use crate::domain::request::Asker;
use crate::graph::{self, GraphClient, RawCall};
use crate::history::History;
use crate::http::Client;
use crate::jobs::directory::Directory;
use crate::jobs::keepalive::Keepalive;
use crate::jobs::licenses::Licenses;
use crate::jobs::licenses::events::Rules;
use crate::jobs::managers::{Managers, ScopeRule};
use crate::jobs::request::Request;
use crate::jobs::{Job, Work};
use crate::okta::OktaClient;

/// At most this share of each rate limit that Okta shows: the rest is for people and other programs.
const OKTA_SHARE: f64 = 0.6;

/// The clients that the jobs share: one token, one pace each. Made from other settings, they keep all for which those are
/// the same: a token is not fetched again, and what a vendor asked for is remembered, because somebody edited a schedule.
pub(super) struct Clients {
    way: Way,
    okta: Option<Okta>,
    app: Option<Identity>,
    user: Option<Identity>,
    graph: GraphClient,
    graph_url: Url,
    secrets: Secrets,
    env: Arc<[(String, String)]>,
}

/// What clients for another purpose are made of: the same credentials, connections and pace.
pub(super) struct Parts {
    pub(super) http: Client,
    pub(super) okta: Option<(Arc<Authorizer>, OktaClient)>,
    pub(super) app: Option<Arc<Authorizer>>,
    pub(super) user: Option<Arc<Authorizer>>,
    pub(super) graph: GraphClient,
}

/// One organization.
struct Okta {
    org_url: Url,
    identity: Identity,
    client: OktaClient,
}

impl Clients {
    /// The clients that `settings` ask for, with as much of `before` as is still right. A secret that cannot be read when
    /// the program starts is trouble for the jobs that need it, and for no other.
    ///
    /// # Errors
    ///
    /// When there is a `before`: every secret that cannot be read, unless its place is named as before. Those are in
    /// [`Self::worn`].
    pub(super) fn make(
        before: Option<&Self>,
        settings: &Settings,
        env: &[(String, String)],
        clock: &Arc<dyn Clock>,
        history: Option<&History>,
    ) -> Result<Self, Vec<AppError>> {
        let mut reader = Reader::new(env, before.map(|before| &before.secrets));
        let way = Way::make(before.map(|before| &before.way), &settings.http, &mut reader, clock);
        let same = before.filter(|before| before.way.is_that_of(&way));
        let http = &way.http;
        let workshop = Workshop { settings, http, clock, history };

        let okta = settings.okta.as_ref().map(|okta| {
            let kept = same.and_then(|same| same.okta.as_ref()).map(|okta| &okta.identity);
            let identity = identities::okta(okta, &workshop, &mut reader).or_kept(kept);
            let (org_url, auth) = (okta.org_url.clone(), identity.authorizer());
            let known = before.and_then(|before| before.okta.as_ref()).filter(|known| known.org_url == org_url);
            let client = match known {
                Some(known) => known.client.with(http.clone(), auth),
                None => OktaClient::new(http.clone(), auth, org_url.clone(), OKTA_SHARE),
            };
            Okta { org_url, identity, client }
        });
        let app = identities::app(&workshop, &mut reader);
        let app = app.map(|app| app.or_kept(same.and_then(|same| same.app.as_ref())));
        let user = identities::user(&workshop, &mut reader);
        let user = user.map(|user| user.or_kept(same.and_then(|same| same.user.as_ref())));

        let secrets = reader.end()?;
        let graph_url = settings.entra.graph_url.clone();
        let authorizers = (app.as_ref().map(Identity::authorizer), user.as_ref().map(Identity::authorizer));
        let graph = match before.filter(|before| before.graph_url == graph_url) {
            Some(before) => before.graph.with(http.clone(), authorizers.0, authorizers.1),
            None => GraphClient::new(http.clone(), authorizers.0, authorizers.1, graph_url.clone()),
        };
        Ok(Self { way, okta, app, user, graph, graph_url, secrets, env: env.into() })
    }

    /// Whether all secrets are those of `other`.
    pub(super) fn has_secrets_of(&self, other: &Self) -> bool {
        self.secrets.are_those_of(&other.secrets)
    }

    /// Secrets that cannot be read any more, and that are used on as they were read.
    pub(super) fn worn(&self) -> &[AppError] {
        self.secrets.worn()
    }

    /// Whether Okta's, the application's and the user's identities, in this order, are those of `other` or made anew.
    #[cfg(test)]
    pub(super) fn shares_identities_with(&self, other: &Self, kept: [bool; 3]) -> bool {
        let same = |one: Option<&Identity>, other: Option<&Identity>| {
            one.zip(other).is_some_and(|(one, other)| Arc::ptr_eq(&one.authorizer(), &other.authorizer()))
        };
        let okta = |clients: &'_ Self| clients.okta.as_ref().map(|okta| okta.identity.clone());
        let shared = [
            same(okta(self).as_ref(), okta(other).as_ref()),
            same(self.app.as_ref(), other.app.as_ref()),
            same(self.user.as_ref(), other.user.as_ref()),
        ];
        shared == kept
    }

    /// The person's identity.
    pub(super) fn user(&self) -> Option<Arc<Authorizer>> {
        self.user.as_ref().map(Identity::authorizer)
    }

    /// Every identity there is.
    pub(super) fn identities(&self) -> impl Iterator<Item = Arc<Authorizer>> {
        let okta = self.okta.as_ref().map(|okta| &okta.identity);
        [okta, self.app.as_ref(), self.user.as_ref()].into_iter().flatten().map(Identity::authorizer)
    }

    pub(super) fn parts(&self) -> Parts {
        Parts {
            http: self.way.http.clone(),
            okta: self.okta.as_ref().map(|okta| (okta.identity.authorizer(), okta.client.clone())),
            app: self.app.as_ref().map(Identity::authorizer),
            user: self.user.as_ref().map(Identity::authorizer),
            graph: self.graph.clone(),
        }
    }

    /// The way to the services.
    pub(super) const fn way(&self) -> &Way {
        &self.way
    }

    pub(super) fn graph(&self) -> GraphClient {
        self.graph.clone()
    }

    /// What secrets in variables are read from.
    pub(super) const fn env(&self) -> &Arc<[(String, String)]> {
        &self.env
    }

    pub(super) fn job(&self, settings: &JobSettings) -> Result<Job, AppError> {
        let graph = self.graph.clone();
        let work = match &settings.work {
            WorkSettings::Managers(managers) => {
                let okta = self.okta.as_ref().ok_or(AppError::Lacks("okta"))?.client.clone();
                Work::Managers(Box::new(managers_job(managers, okta, graph)))
            }
            WorkSettings::Licenses(licenses) => {
                let few_free_by_product = licenses.few_free_by_product.clone();
                Work::Licenses(Licenses { graph, rules: Rules { few_free: licenses.few_free, few_free_by_product } })
            }
            WorkSettings::Keepalive(keepalive) => Work::Keepalive(Keepalive {
                graph,
                requests: keepalive.requests.clone(),
                min_interval: keepalive.min_interval,
                save_bodies: keepalive.save_bodies,
                subscription: keepalive.subscription.clone(),
            }),
            WorkSettings::Directory(directory) => {
                let okta = self.okta.as_ref().ok_or(AppError::Lacks("okta"))?.client.clone();
                Work::Directory(directory_job(directory, okta, graph))
            }
            WorkSettings::Request(request) => Work::Request(Box::new(request_job(request, graph))),
        };
        Ok(Job { name: settings.name.clone(), timeout: settings.timeout, work })
    }
}

/// The person's identity without anything else.
pub(super) fn person(
    settings: &Settings,
    env: &[(String, String)],
    clock: &Arc<dyn Clock>,
    history: &History,
) -> Option<Arc<Authorizer>> {
    let mut reader = Reader::new(env, None);
    let way = Way::make(None, &settings.http, &mut reader, clock);
    let workshop = Workshop { settings, http: &way.http, clock, history: Some(history) };
    identities::user(&workshop, &mut reader).map(|user| user.authorizer())
}

fn managers_job(settings: &ManagersSettings, okta: OktaClient, graph: GraphClient) -> Managers {
    Managers {
        okta,
        graph,
        mode: settings.mode,
        policy: settings.policy.clone(),
        brake: settings.brake,
        scope: scope_rule(&settings.scope),
        source_floor: settings.source_floor,
        canaries: settings.canaries.clone(),
        confirm_after: settings.confirm_after,
        check_after: settings.check_after,
    }
}

pub(super) fn scope_rule(settings: &ScopeSettings) -> ScopeRule {
    match settings {
        ScopeSettings::Everyone => ScopeRule::Everyone,
        ScopeSettings::Search(expression) => ScopeRule::Search(expression.clone()),
        ScopeSettings::Group(id) => ScopeRule::Group(id.clone()),
        ScopeSettings::App(id) => ScopeRule::App(id.clone()),
    }
}

fn directory_job(settings: &DirectorySettings, okta: OktaClient, graph: GraphClient) -> Directory {
    Directory {
        okta,
        graph,
        correlate: settings.correlate.clone(),
        ignore: settings.ignore.clone(),
        source_floor: settings.source_floor,
        canaries: settings.canaries.clone(),
    }
}

fn request_job(settings: &RequestSettings, graph: GraphClient) -> Request {
    Request {
        graph,
        call: RawCall {
            method: settings.method,
            version: settings.version,
            path: settings.path.clone(),
            query: settings.query.clone(),
            headers: settings.headers.clone(),
            body: settings.body.clone(),
            identity: match settings.identity {
                Asker::App => graph::Identity::App,
                Asker::User => graph::Identity::User,
            },
        },
        pages: settings.all_pages.then_some(settings.max_pages),
        save_bodies: settings.save_bodies,
        expected_status: settings.expected_status.clone(),
    }
}
