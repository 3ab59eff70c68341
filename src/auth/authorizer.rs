//! One identity and its token.

mod renewal;

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::{Arc, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::task::JoinError;
use tracing::Instrument as _;

use crate::auth::authorizer::renewal::{api_token, renew};
use crate::auth::claims::{self, Granted};
use crate::auth::condition::{Event, refresh_token_ends};
use crate::auth::dpop::{DPOP, Prover};
use crate::auth::entra::{self, EntraApp};
use crate::auth::error::{AuthError, Class, Refusal};
use crate::auth::keeper::Keeper;
use crate::auth::okta::{self, OktaService};
use crate::auth::source::Source;
use crate::auth::user::{self, EntraUser};
use crate::auth::{challenge, header_value};
use crate::clock::Clock;
use crate::domain::condition::Ending;
use crate::http::calls;
use crate::http::{Answer, Call, Client, Draft, HttpError, StatusCode};
use crate::secret::Secret;

/// How often it is kept that an API token is good.
const HEARD_FOR: SignedDuration = SignedDuration::from_hours(1);

/// A signed request without a usable answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// One identity: gives the `Authorization` value for its service. Shared by `Arc`, so that one token serves all calls and
/// one task renews it. Clones are the same one.
#[derive(Clone)]
pub struct Authorizer {
    inner: Arc<Inner>,
}

struct Inner {
    identity: Identity,
    http: Client,
    clock: Arc<dyn Clock>,
    prover: Prover,
    /// Where its state is kept.
    keeper: Option<Keeper>,
    /// When an answer last showed that an API token is good, and that was kept.
    heard_good: std::sync::Mutex<Option<Timestamp>>,
    /// What a service wanted of the next token.
    wanted: std::sync::Mutex<Option<String>>,
    /// The lock is held while a token is fetched: whoever comes second finds it here.
    cached: Arc<Mutex<Cached>>,
}

#[derive(Clone)]
enum Identity {
    OktaToken(Source),
    OktaService(OktaService),
    App(EntraApp),
    User(Box<EntraUser>),
}

#[derive(Default)]
enum Cached {
    #[default]
    Nothing,
    Token {
        signed: Signed,
        scope: Option<String>,
        renew_at: Timestamp,
    },
    Refused {
        refusal: Box<Refusal>,
        until: Timestamp,
    },
}

/// What a request is signed with.
#[derive(Clone)]
struct Signed {
    authorization: Secret,
    /// The token alone, when each request has to prove that we hold its key.
    bound: Option<Secret>,
}

impl std::fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Authorizer").field(&self.name()).finish()
    }
}

impl Authorizer {
    fn new(identity: Identity, http: Client, clock: Arc<dyn Clock>) -> Self {
        let (heard_good, wanted, cached) = (std::sync::Mutex::default(), std::sync::Mutex::default(), Arc::default());
        let prover = Prover::new();
        Self { inner: Arc::new(Inner { identity, http, clock, prover, keeper: None, heard_good, wanted, cached }) }
    }

    /// The same, with a place where its state is kept.
    ///
    /// # Panics
    ///
    /// When it is shared already.
    #[must_use]
    pub fn kept_by(mut self, keeper: Keeper) -> Self {
        Arc::get_mut(&mut self.inner).expect("nobody shares what was just made").keeper = Some(keeper);
        self
    }

    /// Okta's API token: `SSWS …`.
    #[must_use]
    pub fn okta_token(token: Source, http: Client, clock: Arc<dyn Clock>) -> Self {
        Self::new(Identity::OktaToken(token), http, clock)
    }

    /// Okta's service app: a private key.
    #[must_use]
    pub fn okta_service(service: OktaService, http: Client, clock: Arc<dyn Clock>) -> Self {
        Self::new(Identity::OktaService(service), http, clock)
    }

    /// App-only: client credentials.
    #[must_use]
    pub fn entra_app(app: EntraApp, http: Client, clock: Arc<dyn Clock>) -> Self {
        Self::new(Identity::App(app), http, clock)
    }

    /// Delegated: a refresh token, rotated into the state directory.
    #[must_use]
    pub fn entra_user(user: EntraUser, http: Client, clock: Arc<dyn Clock>) -> Self {
        Self::new(Identity::User(Box::new(user)), http, clock)
    }

    /// The same identity with nothing in its cache: what it is asked for is asked anew, and disturbs nobody. A service app of
    /// Okta also asks for the scopes `wishes`, and does without those that it does not get.
    #[must_use]
    pub fn apart(&self, wishes: &[&str]) -> Self {
        let mut identity = self.inner.identity.clone();
        if let Identity::OktaService(service) = &mut identity {
            let known = |wish: &&&str| !service.scopes.iter().any(|scope| scope == **wish);
            service.wishes = wishes.iter().filter(known).map(|wish| (*wish).to_owned()).collect();
        }
        Self::new(identity, self.inner.http.clone(), Arc::clone(&self.inner.clock))
    }

    /// When the refresh token was obtained with which the next token would be asked for, as far as this program knows.
    ///
    /// # Errors
    ///
    /// [`AuthError`] when the stored one cannot be read.
    pub async fn kept_since(&self) -> Result<Option<Timestamp>, AuthError> {
        match &self.inner.identity {
            Identity::User(user) => user.kept_since().await,
            Identity::OktaToken(_) | Identity::OktaService(_) | Identity::App(_) => Ok(None),
        }
    }

    /// The last moment of the certificate with which this identity signs in, if it does so with one.
    ///
    /// # Errors
    ///
    /// [`AuthError`] when it cannot be read.
    pub fn certificate_ends(&self) -> Result<Option<Timestamp>, AuthError> {
        match &self.inner.identity {
            Identity::App(app) => app.auth.certificate_ends(),
            Identity::OktaToken(_) | Identity::OktaService(_) | Identity::User(_) => Ok(None),
        }
    }

    /// What this identity is called in messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.inner.identity.name()
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
        self.signed().await.map(|signed| signed.authorization)
    }

    async fn signed(&self) -> Result<Signed, AuthError> {
        let cached = Arc::clone(&self.inner.cached).lock_owned().await;
        let now = self.inner.clock.now();
        match &*cached {
            Cached::Token { signed, renew_at, .. } if *renew_at > now => return Ok(signed.clone()),
            Cached::Refused { refusal, until } if *until > now => return Err(AuthError::Refused(refusal.clone())),
            _ => {}
        }
        let renewal = renew(Arc::clone(&self.inner), cached);
        match tokio::spawn(calls::inherited(renewal).in_current_span()).await.map_err(JoinError::try_into_panic) {
            Ok(renewed) => renewed,
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime ends, and with it whoever waits here.
            Err(Err(_)) => pending().await,
        }
    }

    /// Signs in ahead of work, so that a dead credential costs no call to the service itself. An API token shows with the
    /// first call what it is worth. `anew` asks again where the service said no a moment ago: somebody may have mended it.
    ///
    /// # Errors
    ///
    /// As [`Authorizer::authorization`].
    pub async fn sign_in(&self, anew: bool) -> Result<(), AuthError> {
        if anew {
            let mut cached = self.inner.cached.lock().await;
            if matches!(&*cached, Cached::Refused { refusal, .. } if refusal.class != Class::Wait) {
                *cached = Cached::Nothing;
            }
        }
        self.signed().await.map(drop)
    }

    /// Looks how much time its credentials have left, and keeps that. Asks nobody.
    pub async fn look(&self) {
        let nobody = match &self.inner.identity {
            Identity::User(user) => user.nobody(),
            _ => None,
        };
        match nobody {
            Some(error) => self.inner.note(&Event::Failed { error: &error, wanted: None }).await,
            None => self.inner.note(&Event::Looked).await,
        }
    }

    /// Waits until no renewal is under way. Whoever stops in the midst of one and wants to end the process waits here
    /// first, for a bounded time: the other side may be slow.
    pub async fn settled(&self) {
        drop(self.inner.cached.lock().await);
    }

    /// Drops whatever is known: somebody signed in, or out.
    pub async fn reset(&self) {
        *self.inner.cached.lock().await = Cached::Nothing;
    }

    /// Drops the token that a service refused, unless another took its place meanwhile. Says whether a fresh one can be
    /// had at all.
    pub async fn forget(&self, used: &Secret) -> bool {
        let mut cached = self.inner.cached.lock().await;
        if matches!(&*cached, Cached::Token { signed, .. } if signed.authorization.expose() == used.expose()) {
            *cached = Cached::Nothing;
        }
        match &self.inner.identity {
            // Nobody renews it: another one is there only when somebody replaced it.
            Identity::OktaToken(token) => api_token(token).is_ok_and(|now| now.authorization.expose() != used.expose()),
            Identity::OktaService(_) | Identity::App(_) | Identity::User(_) => true,
        }
    }

    /// What the current token says it may do; for display, never to decide. `None` where a token does not tell.
    ///
    /// # Errors
    ///
    /// As [`Authorizer::authorization`].
    pub async fn granted(&self) -> Result<Option<Granted>, AuthError> {
        let signed = self.signed().await?;
        if let Identity::OktaService(_) = self.inner.identity {
            let cached = self.inner.cached.lock().await;
            let Cached::Token { scope: Some(scope), .. } = &*cached else { return Ok(None) };
            let scopes = scope.split_whitespace().map(str::to_owned).collect();
            return Ok(Some(Granted { scopes, ..Granted::default() }));
        }
        Ok(signed.authorization.expose().strip_prefix("Bearer ").and_then(claims::granted))
    }

    /// Sends a signed request. On 401, which carries nothing out, the token is dropped and a fresh one tried once; so it
    /// is when a proof has to carry a nonce or another time of day.
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
        let mut answer = self.send_once(http, call, &draft).await?;
        if self.is_worth_another(&answer).await {
            answer = self.send_once(http, call, &draft).await?;
            self.inner.prover.hear_nonce(&answer);
        }
        self.inner.heard(&answer).await;
        Ok(answer)
    }

    async fn is_worth_another(&self, answer: &Answer) -> bool {
        let Some(used) = &answer.authorization else { return false };
        let said = challenge::read(answer);
        let heard_nonce = self.inner.prover.hear_nonce(answer);
        if said.error == "use_dpop_nonce" {
            return heard_nonce;
        }
        if said.error == "invalid_dpop_proof" {
            return self.inner.prover.hear_time(answer, self.inner.clock.now());
        }
        if answer.status != StatusCode::UNAUTHORIZED && !self.has_no_session(answer) {
            return false;
        }
        if let Some(claims) = said.claims.and_then(|claims| STANDARD.decode(claims).ok()) {
            *self.inner.wanted.lock().unwrap_or_else(PoisonError::into_inner) = String::from_utf8(claims).ok();
        }
        self.forget(used).await
    }

    /// Okta says 403 and `E0000005` also of a token that it does not recognize any longer.
    fn has_no_session(&self, answer: &Answer) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Said {
            error_code: String,
        }
        matches!(self.inner.identity, Identity::OktaService(_))
            && answer.status == StatusCode::FORBIDDEN
            && answer.json::<Said>().is_ok_and(|said| said.error_code == "E0000005")
    }

    async fn send_once(
        &self,
        http: &Client,
        call: &Call<'_>,
        draft: &(impl Fn(u32) -> Draft + Send + Sync),
    ) -> Result<Answer, SendError> {
        http.send(call, |attempt| async move {
            let Signed { authorization, bound } = self.signed().await?;
            let draft = Draft { authorization: Some(authorization), ..draft(attempt) };
            let Some(token) = bound else { return Ok(draft) };
            let now = self.inner.clock.now();
            let proof = self.inner.prover.proof(call.method.as_str(), &call.url, Some(token.expose()), now);
            let proof =
                proof.map_err(|source| AuthError::Key { identity: self.name(), key: "the DPoP key", source })?;
            Ok(draft.header(DPOP, header_value(&proof)))
        })
        .await
    }

    /// What a policy wants of the next sign-in: of this process's calls, or as it was kept.
    pub(super) async fn wanted(&self) -> Option<String> {
        let wanted = self.inner.wanted();
        match &self.inner.keeper {
            Some(keeper) if wanted.is_none() => keeper.claims().await,
            _ => wanted,
        }
    }

    /// Keeps that somebody signed a person in or out.
    pub(super) async fn note(&self, event: &Event<'_>) {
        self.inner.note(event).await;
    }

    /// The delegated identity, where this is one.
    pub(super) fn user(&self) -> Option<(&EntraUser, &Client, &Arc<dyn Clock>)> {
        match &self.inner.identity {
            Identity::User(user) => Some((user, &self.inner.http, &self.inner.clock)),
            _ => None,
        }
    }
}

impl Inner {
    /// Keeps what an event made of the identity.
    async fn note(&self, event: &Event<'_>) {
        let Some(keeper) = &self.keeper else { return };
        let ends = self.identity.ends();
        keeper.note(event, &ends, self.clock.now()).await;
    }

    /// An API token is never signed in with: it is judged by the answers that it gets.
    async fn heard(&self, answer: &Answer) {
        let Identity::OktaToken(_) = self.identity else { return };
        let now = self.clock.now();
        if answer.status == StatusCode::UNAUTHORIZED {
            *self.heard_good.lock().unwrap_or_else(PoisonError::into_inner) = None;
            let error = AuthError::Refused(Box::new(okta::token_refused(answer)));
            return self.note(&Event::Failed { error: &error, wanted: None }).await;
        }
        {
            let mut heard = self.heard_good.lock().unwrap_or_else(PoisonError::into_inner);
            let is_news = heard.is_none_or(|last| now.duration_since(last).abs() >= HEARD_FOR);
            if !answer.status.is_success() || !is_news {
                return;
            }
            *heard = Some(now);
        }
        self.note(&Event::Good).await;
    }

    fn wanted(&self) -> Option<String> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Identity {
    /// What ends of it, and when.
    fn ends(&self) -> Vec<Ending> {
        match self {
            Self::App(app) => app.ends(),
            Self::User(user) => user.obtained().map(refresh_token_ends).into_iter().collect(),
            Self::OktaToken(_) | Self::OktaService(_) => Vec::new(),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::OktaToken(_) => okta::TOKEN_NAME,
            Self::OktaService(_) => okta::NAME,
            Self::App(_) => entra::NAME,
            Self::User(_) => user::NAME,
        }
    }
}
