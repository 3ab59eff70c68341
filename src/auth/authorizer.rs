//! One identity and its token.

use std::future::pending;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::{JoinError, spawn_blocking};
use tracing::{Instrument as _, info};
use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::auth::claims::{self, Granted};
use crate::auth::error::AuthError;
use crate::auth::signin::{self, Token};
use crate::auth::store::{Store, Stored};
use crate::clock::Clock;
use crate::http::calls;
use crate::http::header::HeaderValue;
use crate::http::{Answer, Call, Client, Draft, HttpError, StatusCode};
use crate::secret::Secret;

/// A token is renewed this long before it ends, or a tenth of its life before, whichever is less.
const RENEW_EARLY: Duration = Duration::from_mins(5);

/// How the client secret travels to the token endpoint. Both are documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretStyle {
    #[default]
    Form,
    /// `Authorization: Basic`, both parts form-encoded first (RFC 6749, 2.3.1).
    Basic,
}

/// The app-only identity in Entra.
#[derive(Clone, Debug, PartialEq)]
pub struct EntraApp {
    /// The sign-in root, such as `https://login.microsoftonline.com`.
    pub authority_url: Url,
    pub tenant: String,
    pub client_id: String,
    pub client_secret: Secret,
    pub style: SecretStyle,
    /// One resource and `/.default`, such as `https://graph.microsoft.com/.default`.
    pub scope: String,
}

/// The delegated identity in Entra.
#[derive(Clone, Debug, PartialEq)]
pub struct EntraUser {
    pub authority_url: Url,
    pub tenant: String,
    pub client_id: String,
    /// A confidential client's; most have none.
    pub client_secret: Option<Secret>,
    /// Used only while none is stored for this tenant and client.
    pub first_refresh_token: Option<Secret>,
    /// Such as `https://graph.microsoft.com/User.Read` and `offline_access`.
    pub scopes: Vec<String>,
    /// Where the rotated refresh token lives; made when missing.
    pub directory: PathBuf,
}

/// A signed request without a usable answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// One identity: gives the `Authorization` value for its service. Shared by `Arc`, so that one token serves all calls and
/// one task renews it.
pub struct Authorizer {
    identity: Identity,
    /// The lock is held while a token is fetched: whoever comes second finds it here.
    cached: Arc<Mutex<Option<Cached>>>,
}

enum Identity {
    OktaToken(Secret),
    App(EntraApp, Client, Arc<dyn Clock>),
    User(EntraUser, Client, Arc<dyn Clock>),
}

struct Cached {
    authorization: Secret,
    renew_at: Timestamp,
}

impl std::fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Authorizer").field(&self.name()).finish()
    }
}

impl Authorizer {
    fn new(identity: Identity) -> Self {
        Self { identity, cached: Arc::default() }
    }

    /// Okta's API token: `SSWS …`, never renewed here.
    #[must_use]
    pub fn okta_token(token: &Secret) -> Self {
        Self::new(Identity::OktaToken(Secret::new(format!("SSWS {}", token.expose().trim()))))
    }

    /// App-only: client credentials with a secret.
    #[must_use]
    pub fn entra_app(app: EntraApp, http: Client, clock: Arc<dyn Clock>) -> Self {
        Self::new(Identity::App(app, http, clock))
    }

    /// Delegated: a refresh token, rotated into the state directory.
    #[must_use]
    pub fn entra_user(user: EntraUser, http: Client, clock: Arc<dyn Clock>) -> Self {
        Self::new(Identity::User(user, http, clock))
    }

    /// What this identity is called in messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.identity {
            Identity::OktaToken(_) => "the Okta API token",
            Identity::App(..) => "the application",
            Identity::User(..) => "the user",
        }
    }

    /// The `Authorization` value: from the cache while it is good, else fresh.
    ///
    /// A refresh token that Entra has replaced must not be lost: a renewal that has begun ends with the new one on disk,
    /// also when whoever asked for it is dropped. [`Authorizer::settled`] waits for that.
    ///
    /// # Errors
    ///
    /// [`AuthError`] when there is no token; its class says whose turn it is.
    pub async fn authorization(&self) -> Result<Secret, AuthError> {
        let (name, clock) = match &self.identity {
            Identity::OktaToken(authorization) => return sendable(authorization.clone(), self.name(), "token"),
            Identity::App(_, _, clock) | Identity::User(_, _, clock) => (self.name(), Arc::clone(clock)),
        };
        let cached = Arc::clone(&self.cached).lock_owned().await;
        let now = clock.now();
        if let Some(good) = cached.as_ref().filter(|cached| cached.renew_at > now) {
            return Ok(good.authorization.clone());
        }
        match &self.identity {
            Identity::App(app, http, _) => keep(cached, &client_credentials(app, http).await?, name, now),
            Identity::User(user, http, _) => {
                let (user, http) = (user.clone(), http.clone());
                let renewal = async move { keep(cached, &refresh(&user, &http, &*clock).await?, name, now) };
                let renewal = tokio::spawn(calls::inherited(renewal).in_current_span());
                match renewal.await.map_err(JoinError::try_into_panic) {
                    Ok(renewed) => renewed,
                    Err(Ok(panic)) => resume_unwind(panic),
                    // The runtime ends, and with it whoever waits here.
                    Err(Err(_)) => pending().await,
                }
            }
            Identity::OktaToken(_) => unreachable!("answered above"),
        }
    }

    /// Waits until no renewal is under way. Whoever stops in the midst of one and wants to end the process waits here
    /// first, for a bounded time: the other side may be slow.
    pub async fn settled(&self) {
        drop(self.cached.lock().await);
    }

    /// Drops the token that a service refused, unless another took its place meanwhile. Says whether a fresh one can be
    /// had at all.
    pub async fn forget(&self, used: &Secret) -> bool {
        if matches!(self.identity, Identity::OktaToken(_)) {
            return false;
        }
        let mut cached = self.cached.lock().await;
        if cached.as_ref().is_some_and(|cached| cached.authorization.expose() == used.expose()) {
            *cached = None;
        }
        true
    }

    /// What the current token says it may do; for display, never to decide. `None` where a token does not tell.
    ///
    /// # Errors
    ///
    /// As [`Authorizer::authorization`].
    pub async fn granted(&self) -> Result<Option<Granted>, AuthError> {
        let authorization = self.authorization().await?;
        Ok(authorization.expose().strip_prefix("Bearer ").and_then(claims::granted))
    }

    /// Sends a signed request. On 401, which carries nothing out, the token is dropped and a fresh one tried once.
    ///
    /// # Errors
    ///
    /// [`SendError`] when there is no token or no usable answer. A refusal is an [`Answer`].
    pub async fn send(
        &self,
        http: &Client,
        call: &Call<'_>,
        draft: impl Fn(u32) -> Draft + Send + Sync,
    ) -> Result<Answer, SendError> {
        let answer = self.send_once(http, call, &draft).await?;
        match &answer.authorization {
            Some(used) if answer.status == StatusCode::UNAUTHORIZED && self.forget(used).await => {
                self.send_once(http, call, &draft).await
            }
            _ => Ok(answer),
        }
    }

    async fn send_once(
        &self,
        http: &Client,
        call: &Call<'_>,
        draft: &(impl Fn(u32) -> Draft + Send + Sync),
    ) -> Result<Answer, SendError> {
        http.send(call, |attempt| async move {
            let authorization = self.authorization().await?;
            Ok(Draft { authorization: Some(authorization), ..draft(attempt) })
        })
        .await
    }
}

/// Puts a token where the next caller finds it.
fn keep(
    mut cached: OwnedMutexGuard<Option<Cached>>,
    token: &Token,
    name: &'static str,
    now: Timestamp,
) -> Result<Secret, AuthError> {
    let authorization = Secret::new(format!("Bearer {}", token.access.expose()));
    let authorization = sendable(authorization, name, "access token")?;
    let lifetime = token.lifetime.saturating_sub(RENEW_EARLY.min(token.lifetime / 10));
    let renew_at = now.checked_add(lifetime).unwrap_or(Timestamp::MAX);
    *cached = Some(Cached { authorization: authorization.clone(), renew_at });
    Ok(authorization)
}

fn sendable(authorization: Secret, identity: &'static str, what: &'static str) -> Result<Secret, AuthError> {
    match HeaderValue::from_str(authorization.expose()) {
        Ok(_) => Ok(authorization),
        Err(_) => Err(AuthError::Unsendable { identity, what }),
    }
}

fn plain(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

async fn client_credentials(app: &EntraApp, http: &Client) -> Result<Token, AuthError> {
    let mut fields = vec![
        ("grant_type", plain("client_credentials")),
        ("client_id", plain(&app.client_id)),
        ("scope", plain(&app.scope)),
    ];
    let basic = match app.style {
        SecretStyle::Form => {
            fields.push(("client_secret", app.client_secret.clone()));
            None
        }
        SecretStyle::Basic => Some(basic(&app.client_id, &app.client_secret)),
    };
    let url = signin::token_url(&app.authority_url, &app.tenant);
    signin::sign_in(http, url, "the application", fields, basic).await
}

fn basic(client_id: &str, secret: &Secret) -> Secret {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose()));
    Secret::new(format!("Basic {}", STANDARD.encode(pair)))
}

/// Renews the delegated identity, alone among all processes, and has the new refresh token on disk before anybody uses
/// the access token that came with it.
async fn refresh(user: &EntraUser, http: &Client, clock: &dyn Clock) -> Result<Token, AuthError> {
    let store = Store::new(user.directory.clone());
    let reading = store.clone();
    let (held, stored) = blocking(move || {
        let held = reading.lock()?;
        Ok((held, reading.read()?))
    })
    .await?;
    let stored = stored.filter(|stored| stored.tenant == user.tenant && stored.client_id == user.client_id);
    let (redeemed, token) = redeem_any(user, http, stored).await?;
    if let Some(next) = &token.refresh {
        let entry = Stored {
            tenant: user.tenant.clone(),
            client_id: user.client_id.clone(),
            refresh_token: next.clone(),
            previous: Some(redeemed),
            obtained_at: clock.now(),
        };
        blocking(move || store.write(&entry)).await?;
    }
    drop(held);
    Ok(token)
}

/// Redeems the stored refresh token, or the one before it, or the configured one: the first time because nothing is stored
/// yet, and later because an operator put a new one there when the stored ones had died.
async fn redeem_any(user: &EntraUser, http: &Client, stored: Option<Stored>) -> Result<(Secret, Token), AuthError> {
    let first = user.first_refresh_token.as_ref().map(|first| plain(first.expose().trim()));
    let (kept, previous) = stored.map_or((None, None), |stored| (Some(stored.refresh_token), stored.previous));
    let mut tried: Vec<Secret> = Vec::new();
    let mut refused = None;
    for candidate in [kept, previous, first].into_iter().flatten() {
        if tried.iter().any(|before| before.expose() == candidate.expose()) {
            continue;
        }
        match redeem(user, http, &candidate).await {
            Ok(token) => return Ok((candidate, token)),
            Err(error) if is_dead(&error) => {
                info!("a refresh token was refused; the next one is tried, if there is one");
                refused.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
        tried.push(candidate);
    }
    let (tenant, client_id) = (user.tenant.clone(), user.client_id.clone());
    Err(refused.unwrap_or(AuthError::NoRefreshToken { tenant, client_id }))
}

fn is_dead(error: &AuthError) -> bool {
    matches!(error, AuthError::Refused { error, .. } if error == "invalid_grant")
}

async fn redeem(user: &EntraUser, http: &Client, refresh_token: &Secret) -> Result<Token, AuthError> {
    let mut fields = vec![
        ("grant_type", plain("refresh_token")),
        ("client_id", plain(&user.client_id)),
        ("refresh_token", refresh_token.clone()),
        ("scope", plain(&user.scopes.join(" "))),
    ];
    if let Some(secret) = &user.client_secret {
        fields.push(("client_secret", secret.clone()));
    }
    let url = signin::token_url(&user.authority_url, &user.tenant);
    signin::sign_in(http, url, "the user", fields, None).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AuthError> + Send + 'static,
) -> Result<T, AuthError> {
    spawn_blocking(work).await.expect("files are read and written without panicking")
}
