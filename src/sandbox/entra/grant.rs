//! What the token endpoint decides: a form and a header in, tokens or a refusal out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::entra::assertion::Assertion;
use crate::sandbox::entra::form;
use crate::sandbox::entra::person::Memory;
use crate::sandbox::entra::refusal::Refusal;
use crate::sandbox::entra::scope::{self, Wish};
use crate::sandbox::entra::token::{Bearer, Claims, GRAPH, Refresh, expiry};
use crate::sandbox::keys::Keys;
use crate::sandbox::model::entra::{AppRegistration, Entra};
use crate::sandbox::model::habits::RefreshTokens;

/// How the family of a sign-in ends that passed on what a policy wants.
pub(super) const STEPPED_UP: &str = " stepped up";

/// A token request as it arrived.
pub(super) struct Ask<'a> {
    /// The path's first segment.
    pub(super) tenant: &'a str,
    /// The address that was called.
    pub(super) endpoint: &'a str,
    /// The value of the `Authorization` header.
    pub(super) authorization: Option<&'a str>,
    /// Name and value of each field of the body.
    pub(super) form: Vec<(String, String)>,
    pub(super) now: Timestamp,
    /// What makes a new refresh token unlike every other one.
    pub(super) serial: &'a str,
}

/// What the endpoint knows.
pub(super) struct Office<'a> {
    pub(super) entra: &'a Entra,
    pub(super) keys: &'a Keys,
    /// The sandbox's own Graph root, accepted in scopes beside the vendor's.
    pub(super) graph_url: &'a str,
    pub(super) login_url: &'a str,
    pub(super) memory: &'a Memory,
}

/// A client id with the secret that came with it.
struct Presented {
    client: String,
    secret: Option<String>,
}

impl Ask<'_> {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let value = self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())?;
        (!value.is_empty()).then_some(value)
    }

    /// The client's credentials from the form or from a Basic header, whose parts are form-encoded before base64.
    fn presented(&self) -> Result<Presented, Refusal> {
        let form = self.field("client_id");
        let secret = self.field("client_secret").map(str::to_owned);
        let Some(encoded) = self.authorization.and_then(|value| value.strip_prefix("Basic ")) else {
            let spoken_for = || self.field("client_assertion").and_then(Assertion::subject);
            let client = form.map(str::to_owned).or_else(spoken_for).ok_or_else(|| Refusal::missing("client_id"))?;
            return Ok(Presented { client, secret });
        };
        let pair = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = pair.ok_or_else(Refusal::no_secret)?;
        let (client, basic) = pair.split_once(':').ok_or_else(Refusal::no_secret)?;
        let (client, basic) = (form::decode(client), form::decode(basic));
        if form.is_some_and(|form| !form.eq_ignore_ascii_case(&client)) {
            return Err(Refusal::no_secret());
        }
        Ok(Presented { client, secret: secret.or(Some(basic)) })
    }
}

impl Office<'_> {
    /// The token endpoint's answer.
    pub(super) fn answer(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        let grant = ask.field("grant_type").ok_or_else(|| Refusal::missing("grant_type"))?;
        match grant {
            "client_credentials" => self.client_credentials(ask),
            "refresh_token" => self.refresh_token(ask),
            "urn:ietf:params:oauth:grant-type:device_code" => self.device_code(ask),
            "authorization_code" => self.authorization_code(ask),
            other => Err(Refusal::unsupported_grant(other)),
        }
    }

    /// Whether a tenant in a path is this one. `shared` says whether `common` and `organizations` will do.
    pub(super) fn check_tenant(&self, tenant: &str, shared: bool) -> Result<(), Refusal> {
        let ours = tenant.eq_ignore_ascii_case(&self.entra.domain) || tenant == self.entra.tenant.to_string();
        if ours || tenant.eq_ignore_ascii_case(&self.entra.tenant.to_string()) {
            return Ok(());
        }
        match tenant.to_ascii_lowercase().as_str() {
            "common" | "organizations" if shared => Ok(()),
            "common" | "organizations" | "consumers" => Err(Refusal::no_tenant()),
            name if name.contains('.') || uuid::Uuid::try_parse(name).is_ok() => Err(Refusal::unknown_tenant(tenant)),
            _ => Err(Refusal::malformed_tenant(tenant)),
        }
    }

    pub(super) fn app(&self, client: &str) -> Result<&AppRegistration, Refusal> {
        let found = self.entra.apps.iter().find(|app| app.client_id.to_string().eq_ignore_ascii_case(client));
        found.ok_or_else(|| Refusal::unknown_app(client, &self.entra.domain))
    }

    /// The registration whose credentials came with the request, in order.
    pub(super) fn authenticate(&self, ask: &Ask<'_>) -> Result<&AppRegistration, Refusal> {
        let Presented { client, secret } = ask.presented()?;
        let app = self.app(&client)?;
        if app.disabled {
            return Err(Refusal::disabled_app(&client));
        }
        if let Some(text) = ask.field("client_assertion") {
            if app.is_public() {
                return Err(Refusal::secret_of_public_client());
            }
            let kind = ask.field("client_assertion_type");
            Assertion { kind, text, endpoint: ask.endpoint, now: ask.now }.check(app)?;
            return Ok(app);
        }
        if app.is_public() {
            return if secret.is_some() { Err(Refusal::secret_of_public_client()) } else { Ok(app) };
        }
        match (&app.secret, secret) {
            (_, None) => Err(Refusal::no_secret()),
            (None, Some(_)) => Err(Refusal::wrong_secret(&client)),
            (Some(known), Some(given)) if *known != given => Err(Refusal::wrong_secret(&client)),
            (Some(_), Some(_)) if self.entra.habits.secrets_expired => Err(Refusal::expired_secret(&client)),
            (Some(_), Some(_)) => Ok(app),
        }
    }

    fn client_credentials(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        self.check_tenant(ask.tenant, false)?;
        let app = self.authenticate(ask)?;
        if app.is_public() {
            return Err(Refusal::no_secret());
        }
        let asked = ask.field("scope").ok_or_else(|| Refusal::missing("scope"))?;
        self.graph_default(asked)?;
        let bearer = Bearer::App { principal: app.object_id, roles: app.roles.clone() };
        let life = self.entra.habits.token_life.as_secs();
        Ok(json!({
            "token_type": "Bearer", "expires_in": life, "ext_expires_in": life,
            "access_token": self.access_token(app, bearer, ask),
        }))
    }

    /// Accepts exactly `{Graph root}/.default`.
    fn graph_default(&self, asked: &str) -> Result<(), Refusal> {
        match scope::application(asked, self.graph_url) {
            Wish::GraphDefault => Ok(()),
            Wish::SeveralResources => Err(Refusal::several_resources(asked)),
            Wish::OtherResource(resource) => Err(Refusal::unknown_resource(&resource, &self.entra.domain)),
            Wish::NotDefault => Err(Refusal::invalid_scope(asked)),
        }
    }

    fn refresh_token(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        self.check_tenant(ask.tenant, true)?;
        let app = self.authenticate(ask)?;
        let token = ask.field("refresh_token").ok_or_else(|| Refusal::missing("refresh_token"))?;
        let refresh = Refresh::open(self.keys, token).ok_or_else(Refusal::unknown_refresh_token)?;
        if refresh.client != app.client_id {
            return Err(Refusal::foreign_refresh_token());
        }
        self.check_refresh(app, &refresh)?;
        if self.entra.habits.refresh_once && !self.memory.use_up(token) {
            self.memory.revoke(&refresh.family);
        }
        if self.memory.is_revoked(&refresh.family) {
            return Err(Refusal::revoked_refresh_token());
        }
        self.tokens(app, &refresh, ask.field("scope"), ask)
    }

    /// The tokens of a person who is signed in.
    pub(super) fn tokens(
        &self,
        app: &AppRegistration,
        refresh: &Refresh,
        scope: Option<&str>,
        ask: &Ask<'_>,
    ) -> Result<Value, Refusal> {
        let no_consent = || Refusal::no_consent(&app.client_id.to_string(), &app.name);
        let granted = scope::delegated(scope, &app.scopes, self.graph_url).ok_or_else(no_consent)?;
        let life = self.entra.habits.token_life.as_secs();
        let bearer = Bearer::Person { user: refresh.user, scopes: granted.clone() };
        let mut answer = json!({
            "token_type": "Bearer", "scope": scope::spelled(&granted), "expires_in": life, "ext_expires_in": life,
            "access_token": self.access_token(app, bearer, ask), "refresh_token": refresh.mint(self.keys, ask.serial),
        });
        if granted.iter().any(|scope| scope == "openid") {
            answer["id_token"] = json!(self.id_token(app, refresh, ask.now));
        }
        Ok(answer)
    }

    /// What has become of the refresh tokens of this tenant, and of the person behind this one.
    pub(super) fn check_refresh(&self, app: &AppRegistration, refresh: &Refresh) -> Result<(), Refusal> {
        match self.entra.habits.refresh_tokens {
            RefreshTokens::Honored => {}
            RefreshTokens::Inactive => return Err(Refusal::inactive_refresh_token()),
            RefreshTokens::Revoked => return Err(Refusal::revoked_refresh_token()),
            RefreshTokens::StepUp if refresh.family.ends_with(STEPPED_UP) => {}
            RefreshTokens::StepUp => return Err(Refusal::step_up()),
            RefreshTokens::Unconsented => return Err(Refusal::no_consent(&app.client_id.to_string(), &app.name)),
            RefreshTokens::UserDisabled => return Err(Refusal::user_disabled()),
            RefreshTokens::TooOld => return Err(Refusal::too_old_refresh_token()),
        }
        match self.entra.get(refresh.user) {
            Some(account) if account.enabled => Ok(()),
            Some(_) => Err(Refusal::user_disabled()),
            None => Err(Refusal::revoked_refresh_token()),
        }
    }

    fn access_token(&self, app: &AppRegistration, bearer: Bearer, ask: &Ask<'_>) -> String {
        let expires = expiry(ask.now, self.entra.habits.token_life);
        let (tenant, client, audience) = (self.entra.tenant, app.client_id, GRAPH.to_owned());
        let answered = ask.field("claims").map(str::to_owned);
        Claims { tenant, client, bearer, audience, expires, answered }.mint(self.keys, ask.now)
    }

    /// A token about the person for the client itself; Graph does not accept it.
    fn id_token(&self, app: &AppRegistration, refresh: &Refresh, now: Timestamp) -> String {
        let bearer = Bearer::Person { user: refresh.user, scopes: Vec::new() };
        let audience = app.client_id.to_string();
        let expires = expiry(now, self.entra.habits.token_life);
        Claims { tenant: self.entra.tenant, client: app.client_id, bearer, audience, expires, answered: None }
            .mint(self.keys, now)
    }
}
