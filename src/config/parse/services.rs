//! The two services and the identities towards them.

use std::collections::BTreeMap;

use url::Url;

use crate::config::key::KeyPath;
use crate::config::parse::Parser;
use crate::config::raw::{RawEntra, RawEntraApp, RawEntraUser, RawOkta, RawOktaAuth};
use crate::config::settings::{
    Cloud, EntraApp, EntraSettings, EntraUser, JobSettings, OktaAuth, OktaSettings, SendSecret,
};
use crate::domain::run::JobKind;

const CLOUDS: [(&str, Cloud); 4] =
    [("global", Cloud::Global), ("us-gov", Cloud::UsGov), ("us-dod", Cloud::UsDod), ("china", Cloud::China)];

/// Words that Microsoft takes in place of a tenant, and that name none.
const NO_TENANT: [&str; 3] = ["common", "organizations", "consumers"];

impl Parser<'_> {
    pub(super) fn okta(&mut self, raw: RawOkta) -> Option<OktaSettings> {
        let path = KeyPath::of("okta.org_url");
        let org_url =
            self.required(&path, raw.org_url, "is missing: the organization, such as https://example.okta.com");
        let org_url = org_url.and_then(|written| self.org_url(&path, &written));
        let auth = self.okta_auth(raw.auth);
        Some(OktaSettings { org_url: org_url?, auth: auth? })
    }

    /// The admin console has a host of its own, which answers calls with a sign-in page.
    fn org_url(&mut self, path: &KeyPath, written: &str) -> Option<Url> {
        let url = self.root_url(path, written)?;
        let host = url.host_str().unwrap_or_default();
        let Some((org, domain)) = host.split_once("-admin.okta") else { return Some(url) };
        let suggestion = format!("https://{org}.okta{domain}");
        self.report.suggest(path, "is the address of the admin console, not of the organization", Some(suggestion));
        None
    }

    fn okta_auth(&mut self, raw: Option<RawOktaAuth>) -> Option<OktaAuth> {
        let path = KeyPath::of("okta.auth");
        let Some(raw) = raw else {
            self.report.missing(
                &path,
                "is missing: how to sign in, such as method = \"api-token\" and token = { file = \"…\" }",
            );
            return None;
        };
        self.word(&path.key("method"), raw.method.as_deref(), &[("api-token", ())], ());
        if raw.method.is_none() {
            self.report.missing(&path.key("method"), "is missing: api-token");
        }
        let token = self.secret(
            &path.key("token"),
            raw.token,
            Some("is missing: where the API token is, such as { file = \"…\" }"),
        );
        Some(OktaAuth::ApiToken { token: token? })
    }

    pub(super) fn entra(&mut self, raw: Option<RawEntra>) -> Option<EntraSettings> {
        let path = KeyPath::of("entra");
        let Some(raw) = raw else {
            self.report.missing(&path, "is missing: the tenant, and how to sign in to it");
            return None;
        };
        let tenant = self.tenant(&path.key("tenant"), raw.tenant);
        let cloud = self.word(&path.key("cloud"), raw.cloud.as_deref(), &CLOUDS, Cloud::Global);
        let (authority, graph) = cloud.hosts();
        let authority_url =
            self.root_url(&path.key("authority_url"), raw.authority_url.as_deref().unwrap_or(authority));
        let graph_url = self.root_url(&path.key("graph_url"), raw.graph_url.as_deref().unwrap_or(graph));
        let app = raw.app.map(|app| self.entra_app(app));
        let user = raw.user.map(|user| self.entra_user(user));
        Some(EntraSettings {
            tenant: tenant?,
            cloud,
            authority_url: authority_url?,
            graph_url: graph_url?,
            app: app.flatten(),
            user: user.flatten(),
        })
    }

    fn tenant(&mut self, path: &KeyPath, written: Option<String>) -> Option<String> {
        let missing = "is missing: the tenant's id or domain, such as contoso.onmicrosoft.com";
        let tenant = self.required(path, written, missing)?;
        if NO_TENANT.contains(&tenant.as_str()) {
            self.report.problem(path, format!("`{tenant}` names no tenant: write its id or a domain of it"));
            return None;
        }
        let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '.' | '_');
        if !tenant.chars().all(plain) {
            self.report.problem(path, format!("`{tenant}` is neither a tenant id nor a domain"));
            return None;
        }
        Some(tenant)
    }

    fn entra_app(&mut self, raw: RawEntraApp) -> Option<EntraApp> {
        let path = KeyPath::of("entra.app");
        let client_id = self.client_id(&path, raw.client_id);
        self.word(&path.key("method"), raw.method.as_deref(), &[("client-secret", ())], ());
        let known = [("form", SendSecret::Form), ("basic", SendSecret::Basic)];
        let send = self.word(&path.key("send"), raw.send.as_deref(), &known, SendSecret::Form);
        let missing = "is missing: where the secret is, such as { file = \"…\" }";
        let client_secret = self.secret(&path.key("client_secret"), raw.client_secret, Some(missing));
        Some(EntraApp { client_id: client_id?, client_secret: client_secret?, send })
    }

    fn entra_user(&mut self, raw: RawEntraUser) -> Option<EntraUser> {
        let path = KeyPath::of("entra.user");
        let client_id = self.client_id(&path, raw.client_id);
        let refresh_token = self.secret(&path.key("refresh_token"), raw.refresh_token, None);
        let scopes = self.texts(&path.key("scopes"), raw.scopes);
        Some(EntraUser { client_id: client_id?, refresh_token, scopes })
    }

    fn client_id(&mut self, table: &KeyPath, written: Option<String>) -> Option<String> {
        self.required(&table.key("client_id"), written, "is missing: the application's (client) id")
    }

    /// Each job needs some identity: a configuration without it could not run the job once.
    pub(super) fn identities(&mut self, jobs: &BTreeMap<String, JobSettings>, okta: bool, identities: Identities) {
        let mut need = |kinds: &[JobKind], there: bool, table: &str, what: &str| {
            if let Some(job) = jobs.values().find(|job| kinds.contains(&job.kind())).filter(|_| !there) {
                self.report.missing(&KeyPath::of(table), format!("is missing: the job `{}` needs {what}", job.name));
            }
        };
        need(&[JobKind::Managers], okta, "okta", "the organization whose managers it reads");
        need(
            &[JobKind::Managers, JobKind::Licenses],
            identities.app,
            "entra.app",
            "an application that signs in as itself",
        );
        need(&[JobKind::Keepalive], identities.user, "entra.user", "an application that signs in for a person");
    }
}

/// Which identities are configured, be it rightly or with mistakes that are reported already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Identities {
    pub(super) app: bool,
    pub(super) user: bool,
}

impl Identities {
    /// Without an `[entra]` there is one thing to say, and it is not about identities.
    pub(super) fn of(raw: Option<&RawEntra>) -> Self {
        raw.map_or(Self { app: true, user: true }, |raw| Self { app: raw.app.is_some(), user: raw.user.is_some() })
    }
}
