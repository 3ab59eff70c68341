//! The two services and the identities towards them.

use std::collections::BTreeMap;

use jiff::civil::Date;
use url::Url;

use crate::config::key::KeyPath;
use crate::config::parse::Parser;
use crate::config::raw::{RawEntra, RawEntraApp, RawEntraUser, RawOkta, RawOktaAuth};
use crate::config::secrets::SecretRef;
use crate::config::settings::{
    AppAuth, Assertion, Cloud, EntraApp, EntraSettings, EntraUser, JobSettings, Needs, OktaAuth, OktaSettings,
    SendSecret, Shape,
};

const CLOUDS: [(&str, Cloud); 4] =
    [("global", Cloud::Global), ("us-gov", Cloud::UsGov), ("us-dod", Cloud::UsDod), ("china", Cloud::China)];

/// The ways to sign in to Okta; whether it is by a key.
const OKTA_METHODS: [(&str, bool); 2] = [("api-token", false), ("private-key", true)];

/// The ways in which the application signs in to Entra.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AppMethod {
    ClientSecret,
    Certificate,
    FederatedToken,
}

impl AppMethod {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecret => "client-secret",
            Self::Certificate => "certificate",
            Self::FederatedToken => "federated-token",
        }
    }
}

const APP_METHODS: [(&str, AppMethod); 3] = [
    (AppMethod::ClientSecret.as_str(), AppMethod::ClientSecret),
    (AppMethod::Certificate.as_str(), AppMethod::Certificate),
    (AppMethod::FederatedToken.as_str(), AppMethod::FederatedToken),
];

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
        if raw.method.is_none() {
            self.report.missing(&path.key("method"), "is missing: api-token or private-key");
        }
        if self.word(&path.key("method"), raw.method.as_deref(), &OKTA_METHODS, false) {
            return self.okta_key(&path, raw);
        }
        let others = [
            ("client_id", raw.client_id.is_some(), "private-key"),
            ("key_id", raw.key_id.is_some(), "private-key"),
            ("private_key", raw.private_key.is_some(), "private-key"),
        ];
        self.belongs_to(&path, &others);
        let missing = "is missing: where the API token is, such as { file = \"…\" }";
        let token = self.secret(&path.key("token"), raw.token, Shape::Text, Some(missing));
        Some(OktaAuth::ApiToken { token: token? })
    }

    fn okta_key(&mut self, path: &KeyPath, raw: RawOktaAuth) -> Option<OktaAuth> {
        self.belongs_to(path, &[("token", raw.token.is_some(), "api-token")]);
        let missing = "is missing: the client id of the service app (0oa…)";
        let client_id = self.required(&path.key("client_id"), raw.client_id, missing);
        let missing = "is missing: the id of the app's public key (KID) in Okta";
        let key_id = self.required(&path.key("key_id"), raw.key_id, missing);
        let missing = "is missing: where the private key is, such as { file = \"…\" }";
        let private_key = self.secret(&path.key("private_key"), raw.private_key, Shape::SigningKey, Some(missing));
        Some(OktaAuth::PrivateKey { client_id: client_id?, key_id: key_id?, private_key: private_key? })
    }

    /// Refuses keys of another way to sign in than the one that is chosen.
    fn belongs_to(&mut self, table: &KeyPath, keys: &[(&'static str, bool, &str)]) {
        for (key, written, method) in keys {
            if *written {
                self.report.unwanted(&table.key(key), format!("belongs to method = \"{method}\""), None);
            }
        }
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
        let method = self.word(&path.key("method"), raw.method.as_deref(), &APP_METHODS, AppMethod::ClientSecret);
        let keys = [
            ("client_secret", raw.client_secret.is_some(), AppMethod::ClientSecret),
            ("send", raw.send.is_some(), AppMethod::ClientSecret),
            ("client_secret_ends", raw.client_secret_ends.is_some(), AppMethod::ClientSecret),
            ("certificate", raw.certificate.is_some(), AppMethod::Certificate),
            ("private_key", raw.private_key.is_some(), AppMethod::Certificate),
            ("password", raw.password.is_some(), AppMethod::Certificate),
            ("assertion", raw.assertion.is_some(), AppMethod::Certificate),
            ("token_file", raw.token_file.is_some(), AppMethod::FederatedToken),
        ];
        let others = keys.into_iter().filter(|(_, _, of)| *of != method);
        let others: Vec<_> = others.map(|(key, written, of)| (key, written, of.as_str())).collect();
        self.belongs_to(&path, &others);
        let client_id = self.client_id(&path, raw.client_id.clone());
        let auth = match method {
            AppMethod::ClientSecret => self.client_secret(&path, raw),
            AppMethod::Certificate => self.certificate(&path, raw),
            AppMethod::FederatedToken => self.federated_token(&path, raw),
        };
        Some(EntraApp { client_id: client_id?, auth: auth? })
    }

    fn client_secret(&mut self, path: &KeyPath, raw: RawEntraApp) -> Option<AppAuth> {
        let known = [("form", SendSecret::Form), ("basic", SendSecret::Basic)];
        let send = self.word(&path.key("send"), raw.send.as_deref(), &known, SendSecret::Form);
        let ends = raw.client_secret_ends.and_then(|written| {
            let date = written.trim().parse::<Date>().ok();
            if date.is_none() {
                let message = format!("`{written}` is not a date such as 2027-01-31");
                self.report.problem(&path.key("client_secret_ends"), message);
            }
            date
        });
        let missing = "is missing: where the secret is, such as { file = \"…\" }";
        let secret = self.secret(&path.key("client_secret"), raw.client_secret, Shape::Text, Some(missing));
        Some(AppAuth::ClientSecret { secret: secret?, send, ends })
    }

    fn certificate(&mut self, path: &KeyPath, raw: RawEntraApp) -> Option<AppAuth> {
        let known = [("ps256", Assertion::Ps256), ("rs256", Assertion::Rs256)];
        let assertion = self.word(&path.key("assertion"), raw.assertion.as_deref(), &known, Assertion::Ps256);
        let missing = "is missing: where the certificate is (PEM, or a PFX), such as { file = \"…\" }";
        let certificate = path.key("certificate");
        // A PFX has the key in it, and so may a PEM file.
        let Some(private_key) = raw.private_key else {
            let place = self.place(&certificate, raw.certificate, Some(missing));
            let password = self.secret(&path.key("password"), raw.password, Shape::Text, None);
            let certificate = self.named(&certificate, SecretRef::MaybePfx(Box::new(place?)), Shape::Text);
            return Some(AppAuth::Certificate { certificate, private_key: None, password, assertion });
        };
        if raw.password.is_some() {
            self.report.unwanted(&path.key("password"), "belongs to a PFX, which has its `private_key` in it", None);
        }
        let certificate = self.secret(&certificate, raw.certificate, Shape::Certificate, Some(missing));
        let private_key = self.secret(&path.key("private_key"), Some(private_key), Shape::SigningKey, None);
        Some(AppAuth::Certificate {
            certificate: certificate?,
            private_key: Some(private_key?),
            password: None,
            assertion,
        })
    }

    fn federated_token(&mut self, path: &KeyPath, raw: RawEntraApp) -> Option<AppAuth> {
        let path = path.key("token_file");
        let missing = "is missing: the file in which the platform keeps its token, such as $AZURE_FEDERATED_TOKEN_FILE";
        let written = self.required(&path, raw.token_file, missing)?;
        let file = SecretRef::TokenFile(self.path(&path, &written)?);
        Some(AppAuth::FederatedToken { token_file: self.named(&path, file, Shape::Text) })
    }

    fn entra_user(&mut self, raw: RawEntraUser) -> Option<EntraUser> {
        let path = KeyPath::of("entra.user");
        let client_id = self.client_id(&path, raw.client_id);
        let client_secret = self.secret(&path.key("client_secret"), raw.client_secret, Shape::Text, None);
        let refresh_token = self.secret(&path.key("refresh_token"), raw.refresh_token, Shape::Text, None);
        let encryption_key = self.secret(&path.key("encryption_key"), raw.encryption_key, Shape::HardToGuess, None);
        let scopes = self.texts(&path.key("scopes"), raw.scopes);
        Some(EntraUser { client_id: client_id?, client_secret, refresh_token, encryption_key, scopes })
    }

    fn client_id(&mut self, table: &KeyPath, written: Option<String>) -> Option<String> {
        self.required(&table.key("client_id"), written, "is missing: the application's (client) id")
    }

    /// Each job needs some identity: a configuration without it could not run the job once.
    pub(super) fn identities(&mut self, jobs: &BTreeMap<String, JobSettings>, okta: bool, identities: Identities) {
        let mut need = |needs: fn(Needs) -> bool, there: bool, table: &str, what: &str| {
            if let Some(job) = jobs.values().find(|job| needs(job.needs())).filter(|_| !there) {
                self.report.missing(&KeyPath::of(table), format!("is missing: the job `{}` needs {what}", job.name));
            }
        };
        need(|needs| needs.okta, okta, "okta", "the organization whose people it reads");
        need(|needs| needs.app, identities.app, "entra.app", "an application that signs in as itself");
        // `/me` is somebody: Graph answers 400 to an application that asks for itself.
        let person = if identities.app {
            "somebody who signed in (`graphkeeper login`): the application of `entra.app` speaks for itself alone, and Graph \
             refuses /me to it"
        } else {
            "an application that signs in for a person"
        };
        need(|needs| needs.user, identities.user, "entra.user", person);
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
