//! Settings in, the patient of an examination out.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::app::clients::Clients;
use crate::app::{App, AppError, make_state};
use crate::auth::Authorizer;
use crate::clock::Clock;
use crate::config::notices::{Sender, Way as Channel};
use crate::config::settings::{AppAuth, JobSettings, ManagersSettings, OktaAuth, Settings, Work};
use crate::doctor::Patient;
use crate::doctor::examine::OKTA_WISHES;
use crate::doctor::observed::{
    AppBy, AppFacts, Facts, JobFacts, MailFacts, ManagersFacts, OktaBy, OktaFacts, UserFacts, Way,
};
use crate::domain::request::{self, Asker};
use crate::domain::run::Mode;
use crate::graph::raw;
use crate::http::{Client, Method, Proxy};
use crate::schedule::Anchor;

/// How many moments of a schedule are looked at for the longest time between two.
const MOMENTS: usize = 50;

impl App {
    /// This program as something to be examined: with its credentials and its pace towards the vendors, and tokens of its own.
    #[must_use]
    pub fn patient(&self) -> Patient {
        patient(&self.settings, &self.clients, &self.clock)
    }
}

/// The same without a history: nothing is kept of an examination.
///
/// # Errors
///
/// [`AppError::State`] when the refresh token could not be kept.
pub fn patient_of(settings: &Settings, env: &[(String, String)], clock: &Arc<dyn Clock>) -> Result<Patient, AppError> {
    if settings.entra.user.is_some() {
        make_state(settings)?;
    }
    let clients = Clients::make(None, settings, env, clock, None).map_err(|mut problems| problems.swap_remove(0))?;
    Ok(patient(settings, &clients, clock))
}

fn patient(settings: &Settings, clients: &Clients, clock: &Arc<dyn Clock>) -> Patient {
    let apart = |authorizer: Arc<Authorizer>| Arc::new(authorizer.apart(&OKTA_WISHES));
    let parts = clients.parts();
    let okta = parts.okta.map(|(authorizer, client)| {
        let authorizer = apart(authorizer);
        let client = client.with(parts.http.clone(), Arc::clone(&authorizer));
        (authorizer, client)
    });
    let (app, user) = (parts.app.map(apart), parts.user.map(apart));
    let facts = Facts { ways: ways(settings, &parts.http), ..facts(settings, clock.now()) };
    let graph = parts.graph.with(parts.http, app.clone(), user.clone());
    let channels = super::notices::channels(settings, &graph, clients);
    Patient { facts, okta, app, user, graph, channels, clock: Arc::clone(clock) }
}

fn facts(settings: &Settings, now: Timestamp) -> Facts {
    let okta = settings.okta.as_ref().map(|okta| OktaFacts {
        by: match &okta.auth {
            OktaAuth::ApiToken { .. } => OktaBy::ApiToken,
            OktaAuth::PrivateKey { .. } => OktaBy::Service { scopes: super::identities::okta_scopes(settings) },
        },
        used_every: settings.jobs.values().filter(|job| reads_okta(job)).filter_map(|job| longest(job, now)).min(),
    });
    let app = settings.entra.app.as_ref().map(|app| AppFacts {
        client_id: app.client_id.clone(),
        by: match app.auth {
            AppAuth::ClientSecret { ends, .. } => AppBy::Secret { ends },
            AppAuth::Certificate { .. } => AppBy::Certificate,
            AppAuth::FederatedToken { .. } => AppBy::FederatedToken,
        },
    });
    let user = settings.entra.user.as_ref().map(|user| UserFacts { client_id: user.client_id.clone() });
    let mails = settings.notices.iter().filter_map(|(name, channel)| match &channel.way {
        Channel::Graph(mail) => {
            Some(MailFacts { channel: name.clone(), as_app: matches!(mail.sender, Sender::App { .. }) })
        }
        _ => None,
    });
    let (jobs, mails) = (settings.jobs.values().map(job).collect(), mails.collect());
    Facts { okta, app, user, jobs, ways: Vec::new(), mails }
}

/// The way to each service.
fn ways(settings: &Settings, http: &Client) -> Vec<Way> {
    let named_by = settings.http.proxy.as_ref().map(|proxy| proxy.from.as_str()).unwrap_or_default();
    let way = |(service, url): (&'static str, &Url)| {
        let proxy = http.proxy_for(url).map(Proxy::name);
        Way { service, proxy, named_by: named_by.to_owned() }
    };
    let okta = settings.okta.as_ref().map(|okta| ("okta", &okta.org_url));
    let others = [("entra", &settings.entra.authority_url), ("graph", &settings.entra.graph_url)];
    okta.into_iter().chain(others).map(way).collect()
}

const fn reads_okta(job: &JobSettings) -> bool {
    job.needs().okta
}

/// The longest time between two of the next moments of a job; `None` when it has no two.
fn longest(job: &JobSettings, now: Timestamp) -> Option<SignedDuration> {
    let schedule = job.schedule.as_ref()?;
    let moments: Vec<Timestamp> = schedule.moments(&job.zone.tz, Anchor::default(), now).take(MOMENTS).collect();
    moments.windows(2).map(|pair| pair[1].duration_since(pair[0])).max()
}

fn job(settings: &JobSettings) -> JobFacts {
    let get = |path: &str| (Method::GET, path.to_owned());
    let (mut app_calls, mut user_calls, mut managers) = (Vec::new(), Vec::new(), None);
    match &settings.work {
        Work::Managers(work) => {
            app_calls.push(get("/users"));
            if work.mode == Mode::Apply {
                app_calls.push((Method::PUT, "/users/{id}/manager/$ref".to_owned()));
            }
            managers = Some(managers_facts(work));
        }
        Work::Licenses(_) => app_calls.extend(["/subscribedSkus", "/directory/subscriptions"].map(get)),
        Work::Keepalive(work) => user_calls.clone_from(&work.requests),
        Work::Directory(_) => app_calls.push(get("/users")),
        Work::Request(work) => match work.identity {
            Asker::App => app_calls.push((raw::method(work.method), work.path.clone())),
            // The doctor makes these calls: none that writes, and none of another version.
            Asker::User if work.method == request::Method::Get && work.version == request::Version::V1 => {
                user_calls.push(work.path.clone());
            }
            Asker::User => {}
        },
    }
    JobFacts { name: settings.name.clone(), kind: settings.kind(), app_calls, user_calls, managers }
}

fn managers_facts(settings: &ManagersSettings) -> ManagersFacts {
    ManagersFacts { scope: super::clients::scope_rule(&settings.scope), policy: settings.policy.clone() }
}
