//! People who sign in: the device flow, and the authorization code with PKCE.
//! Source: <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>,
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow>

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::sandbox::entra::grant::{Ask, Office, STEPPED_UP};
use crate::sandbox::entra::refusal::{Refusal, wanted_claims};
use crate::sandbox::entra::scope;
use crate::sandbox::entra::token::Refresh;
use crate::sandbox::model::entra::AppRegistration;
use crate::sandbox::model::habits::Person;

/// How long a code from the browser lives.
const CODE_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// What this service has to remember: codes that are out, and what was used up. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    devices: Vec<Device>,
    used: HashSet<String>,
    revoked: HashSet<String>,
}

/// A device flow that was begun.
#[derive(Clone, Debug)]
struct Device {
    /// What the device polls with.
    secret: String,
    user_code: String,
    client: String,
    scope: String,
    /// What a policy wants, as the client passed it on.
    claims: Option<String>,
    expires: Timestamp,
    /// Seconds that have to lie between two polls; grows when they do not.
    interval: i64,
    polled: Option<Timestamp>,
    polls: u32,
    /// What the person said at the device page.
    agreed: Option<bool>,
}

impl Memory {
    fn open(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses a code up; `false` when it was used before.
    pub(super) fn use_up(&self, code: &str) -> bool {
        self.open().used.insert(code.to_owned())
    }

    pub(super) fn revoke(&self, family: &str) {
        self.open().revoked.insert(family.to_owned());
    }

    pub(super) fn is_revoked(&self, family: &str) -> bool {
        self.open().revoked.contains(family)
    }

    /// Notes what the person said at the device page. `false`: no such code is waiting.
    pub(super) fn answer(&self, user_code: &str, agreed: bool) -> bool {
        let mut open = self.open();
        let device = open.devices.iter_mut().find(|device| device.user_code.eq_ignore_ascii_case(user_code.trim()));
        device.map(|device| device.agreed = Some(agreed)).is_some()
    }
}

impl Office<'_> {
    /// `POST /{tenant}/oauth2/v2.0/devicecode`.
    pub(super) fn begin_device(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        if ask.tenant.eq_ignore_ascii_case("common") {
            return Err(Refusal::not_on_common());
        }
        self.check_tenant(ask.tenant, true)?;
        let app = self.app(ask.field("client_id").ok_or_else(|| Refusal::missing("client_id"))?)?;
        if !app.is_public() {
            return Err(Refusal::no_secret());
        }
        let scope = ask.field("scope").ok_or_else(|| Refusal::missing("scope"))?.to_owned();
        let habits = &self.entra.habits;
        let device_code = self.keys.seal("device code", &json!(ask.serial));
        let user_code: String = ask.serial.chars().filter(char::is_ascii_alphanumeric).take(9).collect();
        let user_code = user_code.to_uppercase();
        let expires = ask.now.saturating_add(habits.device_life).unwrap_or(Timestamp::MAX);
        let page = format!("{}/devicelogin", self.login_url);
        let answer = json!({
            "device_code": device_code, "user_code": user_code, "verification_uri": page,
            "expires_in": habits.device_life.as_secs(), "interval": habits.device_interval,
            "message": format!("To sign in, use a web browser to open the page {page} and enter the code {user_code} \
                                to authenticate."),
        });
        let client = app.client_id.to_string();
        let interval = i64::try_from(habits.device_interval).unwrap_or(i64::MAX);
        let device = Device {
            secret: device_code,
            user_code,
            client,
            scope,
            claims: ask.field("claims").map(str::to_owned),
            expires,
            interval,
            polled: None,
            polls: 0,
            agreed: None,
        };
        self.memory.open().devices.push(device);
        Ok(answer)
    }

    /// A poll of a device.
    pub(super) fn device_code(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        self.check_tenant(ask.tenant, true)?;
        let app = self.authenticate(ask)?;
        let code = ask.field("device_code").ok_or_else(|| Refusal::missing("device_code"))?;
        let (scope, claims) = self.poll(app, code, ask.now)?;
        self.memory.open().devices.retain(|device| device.secret != code);
        self.signed_in(app, Some(&scope), claims.as_deref(), ask)
    }

    /// The scope that the person agreed to and the claims that were asked of them, once that happened.
    fn poll(&self, app: &AppRegistration, code: &str, now: Timestamp) -> Result<(String, Option<String>), Refusal> {
        let mut open = self.memory.open();
        let client = app.client_id.to_string();
        let device = open.devices.iter_mut().find(|device| device.secret == code && device.client == client);
        let device = device.ok_or_else(Refusal::unknown_device_code)?;
        if now >= device.expires {
            return Err(Refusal::expired_device_code());
        }
        let too_soon = device.polled.is_some_and(|last| now.duration_since(last).as_secs() < device.interval);
        device.polled = Some(now);
        if too_soon {
            device.interval += 5;
            return Err(Refusal::slow_down());
        }
        device.polls += 1;
        let agreed = match self.entra.habits.person {
            Person::Comes => device.agreed,
            Person::AgreesAfter(polls) => (device.polls > polls).then_some(true),
            Person::Declines => Some(false),
        };
        match agreed {
            None => Err(Refusal::authorization_pending()),
            Some(false) => Err(Refusal::declined()),
            Some(true) => Ok((device.scope.clone(), device.claims.clone())),
        }
    }

    /// Where the browser goes from `authorize`. An error is a page: the address to go back to cannot be trusted.
    pub(super) fn authorize(&self, ask: &Ask<'_>) -> Result<String, Refusal> {
        self.check_tenant(ask.tenant, true)?;
        let app = self.app(ask.field("client_id").ok_or_else(|| Refusal::missing("client_id"))?)?;
        let redirect = ask.field("redirect_uri").ok_or_else(|| Refusal::missing("redirect_uri"))?;
        if !app.redirect_uris.iter().any(|known| leads_back(known, redirect)) {
            return Err(Refusal::foreign_redirect(redirect));
        }
        let mut back = url::form_urlencoded::Serializer::new(String::new());
        match self.code_for(app, redirect, ask) {
            Ok(code) => back.append_pair("code", &code),
            Err(refusal) => {
                back.append_pair("error", refusal.error());
                back.append_pair("error_description", &refusal.text())
            }
        };
        if let Some(state) = ask.field("state") {
            back.append_pair("state", state);
        }
        let mark = if redirect.contains('?') { '&' } else { '?' };
        Ok(format!("{redirect}{mark}{}", back.finish()))
    }

    fn code_for(&self, app: &AppRegistration, redirect: &str, ask: &Ask<'_>) -> Result<String, Refusal> {
        if ask.field("response_type") != Some("code") {
            return Err(Refusal::missing("response_type"));
        }
        if self.entra.habits.person == Person::Declines {
            return Err(Refusal::declined_at_browser());
        }
        let scope = ask.field("scope").ok_or_else(|| Refusal::missing("scope"))?;
        let challenge = ask.field("code_challenge");
        let method = ask.field("code_challenge_method").unwrap_or("plain");
        if challenge.is_some_and(|text| !(43..=128).contains(&text.len())) || !["S256", "plain"].contains(&method) {
            return Err(Refusal::bad_challenge());
        }
        let expires = ask.now.saturating_add(CODE_LIFE).unwrap_or(Timestamp::MAX).as_second();
        Ok(self.keys.seal(
            "authorization code",
            &json!({"client": app.client_id.to_string(), "redirect": redirect, "scope": scope, "challenge": challenge,
                    "method": method, "expires": expires, "serial": ask.serial, "claims": ask.field("claims")}),
        ))
    }

    /// Redeems a code from the browser.
    pub(super) fn authorization_code(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        self.check_tenant(ask.tenant, true)?;
        let app = self.authenticate(ask)?;
        let code = ask.field("code").ok_or_else(|| Refusal::missing("code"))?;
        let of = self.keys.open("authorization code", code).ok_or_else(Refusal::unknown_code)?;
        if of["client"] != app.client_id.to_string() {
            return Err(Refusal::unknown_code());
        }
        if of["expires"].as_i64().is_none_or(|expires| expires <= ask.now.as_second()) {
            return Err(Refusal::expired_code());
        }
        if of["redirect"].as_str() != ask.field("redirect_uri") {
            return Err(Refusal::foreign_redirect(ask.field("redirect_uri").unwrap_or_default()));
        }
        if let Some(challenge) = of["challenge"].as_str() {
            let verifier = ask.field("code_verifier").ok_or_else(Refusal::wrong_verifier)?;
            let fits = (43..=128).contains(&verifier.len())
                && match of["method"].as_str() {
                    Some("S256") => URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) == challenge,
                    _ => verifier == challenge,
                };
            if !fits {
                return Err(Refusal::wrong_verifier());
            }
        }
        if !self.memory.use_up(code) {
            return Err(Refusal::used_code());
        }
        self.signed_in(app, of["scope"].as_str(), of["claims"].as_str(), ask)
    }

    /// The tokens of a sign-in that has just happened. A refresh token comes only when it was asked for. Whoever passed on
    /// what the policy wants was asked for it.
    fn signed_in(
        &self,
        app: &AppRegistration,
        scope: Option<&str>,
        claims: Option<&str>,
        ask: &Ask<'_>,
    ) -> Result<Value, Refusal> {
        let stepped_up = if claims == Some(wanted_claims().as_str()) { STEPPED_UP } else { "" };
        let family = format!("{} {}{stepped_up}", ask.serial, ask.now);
        let refresh = Refresh { client: app.client_id, user: self.entra.me, family };
        self.check_refresh(app, &refresh)?;
        let asked = scope.unwrap_or_default();
        let mut answer = self.tokens(app, &refresh, scope, ask)?;
        if !scope::wants_offline(asked)
            && let Some(object) = answer.as_object_mut()
        {
            object.remove("refresh_token");
        }
        Ok(answer)
    }
}

/// Whether an address is the registered one; for `http://localhost` the port is free.
fn leads_back(known: &str, redirect: &str) -> bool {
    if known == redirect {
        return true;
    }
    let Some(rest) = redirect.strip_prefix("http://localhost").filter(|_| known == "http://localhost") else {
        return false;
    };
    let port = rest.strip_prefix(':').map(|rest| rest.trim_end_matches('/'));
    rest == "/" || port.is_some_and(|port| port.parse::<u16>().is_ok())
}
