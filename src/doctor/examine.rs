//! The short loop that asks: a sign-in of each identity, one page of each listing, a sample of people for each managers job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::auth::{AuthError, Authorizer, Granted};
use crate::clock::Clock;
use crate::doctor::finding::{CallCount, Report, RuleShare, Verdict, percent};
use crate::doctor::judge;
use crate::doctor::look::{self, InScope, Known, first_page};
use crate::doctor::observed::{Facts, JobFacts, ManagersFacts, Observed, Seen, Trouble};
use crate::doctor::sample::{Sample, Tried};
use crate::graph::{Account, Expand, GraphClient, GraphError, Identity, Page};
use crate::http::calls::{CALLS, CallLog, Service};
use crate::jobs::progress::Progress;
use crate::notices::Transport;
use crate::okta::{App, OktaClient, User};

/// How long one question may take, its tries and waits included.
const PATIENCE: Duration = Duration::from_secs(90);

/// The scopes that Okta is asked for beside those of the jobs: without them a finding is missing, and nothing else.
pub const OKTA_WISHES: [&str; 1] = ["okta.apps.read"];

/// How Okta's catalogue calls Microsoft 365.
const MICROSOFT_365: &str = "office365";

/// How many different paths are asked for as the person.
const REQUESTS: usize = 5;

/// Who is examined: the identities with empty caches, and clients that use them.
pub struct Patient {
    pub facts: Facts,
    pub okta: Option<(Arc<Authorizer>, OktaClient)>,
    pub app: Option<Arc<Authorizer>>,
    pub user: Option<Arc<Authorizer>>,
    pub graph: GraphClient,
    /// Those on whom people are told, by name.
    pub channels: BTreeMap<String, Transport>,
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Patient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patient").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Patient {
    /// Waits until no sign-in of the person is under way, its new refresh token stored.
    pub async fn settled(&self) {
        if let Some(user) = &self.user {
            user.settled().await;
        }
    }
}

/// Asks everything and judges the answers.
pub async fn examine(patient: &Patient, progress: &Progress) -> Report {
    let calls = CallLog::new();
    let mut seen = CALLS.scope(calls.clone(), observe(patient, progress)).await;
    seen.now = patient.clock.now();
    seen.heard = calls.heard();
    let findings = judge::findings(&patient.facts, &seen);
    Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: seen.now,
        verdict: Verdict::of(&findings),
        findings,
        services: seen.heard.iter().map(judge::service).collect(),
        rules: seen.samples.iter().flatten().flat_map(shares).collect(),
        calls: counts(&calls),
    }
}

fn shares(sample: &Sample) -> Vec<RuleShare> {
    let share = |tried: &Tried| RuleShare {
        job: sample.job.clone(),
        attribute: tried.rule.attribute.clone(),
        is: tried.rule.is,
        configured: tried.configured,
        people: sample.with_reference,
        resolved: tried.resolved,
        percent: percent(tried.resolved, sample.with_reference),
    };
    sample.tried.iter().map(share).collect()
}

fn counts(calls: &CallLog) -> Vec<CallCount> {
    let made = calls.take();
    let count = |service: &Service| made.iter().filter(|call| call.service == *service).count();
    Service::ALL.iter().map(|service| CallCount { service: *service, calls: count(service) }).collect()
}

/// Waits for an answer, but not for ever.
async fn ask<T, E: Into<Trouble>>(question: impl Future<Output = Result<T, E>>) -> Result<T, Trouble> {
    match timeout(PATIENCE, question).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Trouble::late(PATIENCE.as_secs())),
    }
}

async fn observe(patient: &Patient, progress: &Progress) -> Observed {
    let mut seen = Observed::default();
    if let Some(user) = &patient.user {
        seen.kept_since = Some(user.kept_since().await.map_err(Trouble::from));
    }
    seen.certificate_ends = patient.app.as_ref().map(|app| app.certificate_ends().map_err(Trouble::from));
    progress.say("signing in", 0, None);
    let okta = patient.okta.as_ref().map(|(authorizer, _)| authorizer);
    (seen.okta, seen.app, seen.user) =
        tokio::join!(sign_in(okta), sign_in(patient.app.as_ref()), sign_in(patient.user.as_ref()));
    progress.say("reading a page of each side", 0, None);
    let (ours, theirs) = (OktaSide::read(patient, &seen), GraphSide::read(patient, &seen));
    let (ours, theirs) = tokio::join!(ours, theirs);
    progress.say("sampling people", 0, None);
    seen.samples = samples(patient, &ours, &theirs).await;
    ours.tell(&mut seen);
    theirs.tell(&mut seen);
    progress.say("looking at the channels", 0, None);
    let ready = patient.channels.iter().map(async |(name, channel)| (name.clone(), ask(channel.ready()).await));
    seen.channels = futures_util::future::join_all(ready).await;
    seen
}

async fn sign_in(identity: Option<&Arc<Authorizer>>) -> Seen<Option<Granted>> {
    Some(ask::<_, AuthError>(identity?.granted()).await)
}

/// Whether an identity got in.
const fn is_in(signed: Option<&Result<Option<Granted>, Trouble>>) -> bool {
    matches!(signed, Some(Ok(_)))
}

/// What Okta showed.
#[derive(Default)]
struct OktaSide {
    users: Seen<Vec<User>>,
    apps: Seen<Vec<App>>,
    scopes: Vec<(String, Result<InScope, Trouble>)>,
}

impl OktaSide {
    async fn read(patient: &Patient, seen: &Observed) -> Self {
        let Some((_, okta)) = patient.okta.as_ref().filter(|_| is_in(seen.okta.as_ref())) else {
            return Self::default();
        };
        let users = Some(ask(first_page(okta.list_users())).await);
        // An API token shows here, and not before, whether it is good: a dead one is not asked again.
        if users.as_ref().is_some_and(|users| users.as_ref().is_err_and(|trouble| !trouble.denied)) {
            return Self { users, ..Self::default() };
        }
        let apps = Some(ask(first_page(okta.list_apps(MICROSOFT_365))).await);
        let mut scopes = Vec::new();
        for (job, managers) in patient.facts.jobs.iter().filter_map(managers) {
            scopes.push((job.to_owned(), ask(InScope::read(okta, &managers.scope)).await));
        }
        Self { users, apps, scopes }
    }

    fn tell(self, seen: &mut Observed) {
        seen.users = self.users.map(|users| users.map(|users| users.len()));
        seen.apps = self.apps;
        let counted = |(job, scope): (String, Result<InScope, Trouble>)| {
            let counted = scope.map(|scope| scope.len()).transpose()?;
            Some((job, counted))
        };
        seen.scopes = self.scopes.into_iter().filter_map(counted).collect();
    }
}

fn managers(job: &JobFacts) -> Option<(&str, &ManagersFacts)> {
    Some((&job.name, job.managers.as_ref()?))
}

/// What Graph showed.
#[derive(Default)]
struct GraphSide {
    accounts: Seen<Vec<Account>>,
    rest: Observed,
}

impl GraphSide {
    async fn read(patient: &Patient, seen: &Observed) -> Self {
        let mut side = Self::default();
        if is_in(seen.app.as_ref()) {
            side.read_as_app(patient).await;
        }
        if is_in(seen.user.as_ref()) {
            side.read_as_user(patient).await;
        }
        side
    }

    async fn read_as_app(&mut self, patient: &Patient) {
        let (graph, jobs) = (&patient.graph, &patient.facts.jobs);
        let calls = |path: &str| jobs.iter().flat_map(|job| &job.app_calls).any(|(_, called)| called == path);
        if calls("/users") {
            let properties = ["mail", "proxyAddresses", "employeeId", "onPremisesImmutableId"];
            self.accounts = Some(ask(first_accounts(graph, &properties)).await);
            self.rest.accounts_counted = Some(ask(graph.count_accounts()).await);
        }
        if calls("/subscribedSkus") {
            self.rest.skus = Some(ask(graph.list_skus(Identity::App)).await.map(|skus| skus.len()));
        }
        if calls("/directory/subscriptions") {
            self.rest.subscriptions = Some(ask(graph.list_subscriptions(Identity::App)).await);
        }
        self.rest.organization = Some(ask(graph.get_organization(Identity::App)).await);
        self.rest.domains = Some(ask(graph.list_domains(Identity::App)).await);
    }

    async fn read_as_user(&mut self, patient: &Patient) {
        let graph = &patient.graph;
        let mut paths: Vec<&String> = patient.facts.jobs.iter().flat_map(|job| &job.user_calls).collect();
        paths.sort();
        paths.dedup();
        for path in paths.into_iter().take(REQUESTS) {
            self.rest.requests.push((path.clone(), ask(graph.get_raw(path, Identity::User)).await));
        }
        self.rest.synchronization = Some(ask(graph.get_synchronization()).await);
    }

    fn tell(self, seen: &mut Observed) {
        let mastered = |accounts: &Vec<Account>| accounts.iter().filter(|account| account.mastered_on_premises).count();
        seen.mastered = self.accounts.as_ref().and_then(|accounts| accounts.as_ref().ok()).map_or(0, mastered);
        seen.accounts = self.accounts.map(|accounts| accounts.map(|accounts| accounts.len()));
        let Observed {
            accounts_counted, organization, domains, synchronization, skus, subscriptions, requests, ..
        } = self.rest;
        (seen.accounts_counted, seen.organization, seen.domains) = (accounts_counted, organization, domains);
        (seen.synchronization, seen.skus, seen.subscriptions) = (synchronization, skus, subscriptions);
        seen.requests = requests;
    }
}

async fn first_accounts(graph: &GraphClient, properties: &[&str]) -> Result<Vec<Account>, GraphError> {
    match graph.list_accounts(properties, Expand::Manager).next().await.transpose()? {
        Some(Page::Items(accounts)) => Ok(accounts),
        Some(Page::Restarted) | None => Ok(Vec::new()),
    }
}

/// Samples each managers job of which both sides could be read.
async fn samples(patient: &Patient, ours: &OktaSide, theirs: &GraphSide) -> Vec<Result<Sample, (String, Trouble)>> {
    let (Some((_, okta)), Some(Ok(users)), Some(Ok(accounts))) = (&patient.okta, &ours.users, &theirs.accounts) else {
        return Vec::new();
    };
    let counted = theirs.rest.accounts_counted.as_ref().and_then(|counted| counted.as_ref().ok());
    let more_accounts = counted.is_none_or(|counted| *counted > accounts.len() as u64);
    let known = Known { users, accounts, more_accounts };
    let mut samples = Vec::new();
    for (job, facts) in patient.facts.jobs.iter().filter_map(managers) {
        let scope = ours.scopes.iter().find(|(name, _)| name == job).map(|(_, scope)| scope);
        let Some(Ok(scope)) = scope else { continue };
        let thought = ask(look::sample((job, facts), scope, &known, (okta, &patient.graph))).await;
        samples.push(thought.map_err(|trouble| (job.to_owned(), trouble)));
    }
    samples
}
