//! The delegated identity: a person's refresh token, rotated on disk, used by one process at a time.
//! Source: <https://learn.microsoft.com/entra/identity-platform/refresh-tokens>

use std::path::PathBuf;

use jiff::Timestamp;
use tokio::task::spawn_blocking;
use tracing::info;
use url::Url;

use crate::auth::entra::ClientAuth;
use crate::auth::error::AuthError;
use crate::auth::plain;
use crate::auth::seal::Seal;
use crate::auth::signin::{Endpoint, Token};
use crate::auth::source::{Source, fingerprint};
use crate::auth::store::{Store, Stored, is_kept_in};
use crate::clock::Clock;
use crate::http::{Client, Repeat};
use crate::secret::Secret;

/// What messages call it.
pub(super) const NAME: &str = "the user";

/// How many refresh tokens one renewal tries: a dead sign-in must not look like an attack.
const TRIES: usize = 2;

/// The delegated identity in Entra.
#[derive(Clone, Debug)]
pub struct EntraUser {
    pub authority_url: Url,
    pub tenant: String,
    pub client_id: String,
    /// [`ClientAuth::Public`] for most.
    pub auth: ClientAuth,
    /// A reserve: used while none is stored for this tenant and client, and when those that are stored are dead.
    pub first_refresh_token: Option<Source>,
    /// Such as `https://graph.microsoft.com/User.Read` and `offline_access`.
    pub scopes: Vec<String>,
    /// Where the rotated refresh token lives; made when missing.
    pub directory: PathBuf,
    /// Encrypts what is stored.
    pub encryption_key: Option<Source>,
}

/// The refresh tokens that may be tried, in order, and the fingerprint of the configured one.
struct Candidates {
    tokens: Vec<Secret>,
    configured: Option<String>,
}

impl EntraUser {
    pub(super) fn endpoint(&self, last: &'static str) -> Endpoint {
        Endpoint::entra(NAME, &self.authority_url, &self.tenant, last)
    }

    fn store(&self) -> Result<Store, AuthError> {
        let seal = self.encryption_key.as_ref().map(|source| {
            let key = source.read(NAME)?;
            Seal::new(&key).map_err(|error| AuthError::Key { identity: NAME, key: source.key(), source: error })
        });
        Ok(Store::new(self.directory.clone(), seal.transpose()?))
    }

    /// When its stored refresh token was obtained.
    pub(super) fn obtained(&self) -> Option<Timestamp> {
        Store::new(self.directory.clone(), None).obtained_at(&self.tenant, &self.client_id)
    }

    /// That nobody has signed in, where that can be told without asking: nothing is stored and nothing configured.
    pub(super) fn nobody(&self) -> Option<AuthError> {
        let nobody = self.first_refresh_token.is_none() && self.obtained().is_none() && !is_kept_in(&self.directory);
        nobody.then(|| self.no_refresh_token())
    }

    fn no_refresh_token(&self) -> AuthError {
        AuthError::NoRefreshToken { tenant: self.tenant.clone(), client_id: self.client_id.clone() }
    }

    /// Renews the identity, alone among all processes, and has the new refresh token on disk before anybody uses the
    /// access token that came with it.
    pub(super) async fn renew(
        &self,
        claims: Option<&str>,
        http: &Client,
        clock: &dyn Clock,
    ) -> Result<Token, AuthError> {
        let store = self.store()?;
        let reading = store.clone();
        let (held, stored) = blocking(move || {
            let held = reading.lock()?;
            Ok((held, reading.read()?))
        })
        .await?;
        let stored = stored.filter(|stored| stored.tenant == self.tenant && stored.client_id == self.client_id);
        let candidates = self.candidates(stored.as_ref())?;
        let redeemed = self.redeem_any(&candidates.tokens, claims, http, clock).await;
        let entry = match (&redeemed, stored) {
            (Ok((used, Token { refresh: Some(next), .. })), _) => {
                Some(self.entry(next.clone(), Some(used.clone()), candidates.configured, clock.now()))
            }
            // The configured one is dead too: noted, so that it makes room for the one before.
            (Err(error), Some(stored)) if is_dead(error) && stored.configured != candidates.configured => {
                Some(Stored { configured: candidates.configured, ..stored })
            }
            _ => None,
        };
        if let Some(entry) = entry {
            blocking(move || store.write(&entry)).await?;
        }
        drop(held);
        redeemed.map(|(_, token)| token)
    }

    /// Keeps what a sign-in that a person has just completed brought.
    pub(super) async fn keep(&self, refresh_token: Secret, now: Timestamp) -> Result<(), AuthError> {
        let store = self.store()?;
        // A configured token that is gone is no trouble for somebody who has just signed in.
        let configured = self.first().ok().flatten().map(|first| fingerprint(&first));
        let entry = self.entry(refresh_token, None, configured, now);
        blocking(move || {
            let _held = store.lock()?;
            store.write(&entry)
        })
        .await
    }

    /// When the stored refresh token was obtained. `None` while there is none of this tenant and client.
    pub(super) async fn kept_since(&self) -> Result<Option<Timestamp>, AuthError> {
        let store = self.store()?;
        let stored = blocking(move || store.read()).await?;
        let ours = stored.filter(|stored| stored.tenant == self.tenant && stored.client_id == self.client_id);
        Ok(ours.map(|stored| stored.obtained_at))
    }

    /// Forgets the person. Whether somebody was signed in.
    pub(super) async fn forget(&self) -> Result<bool, AuthError> {
        let store = Store::new(self.directory.clone(), None);
        blocking(move || {
            let _held = store.lock()?;
            store.remove()
        })
        .await
    }

    fn entry(
        &self,
        refresh_token: Secret,
        previous: Option<Secret>,
        configured: Option<String>,
        obtained_at: Timestamp,
    ) -> Stored {
        let (tenant, client_id) = (self.tenant.clone(), self.client_id.clone());
        Stored { tenant, client_id, refresh_token, previous, obtained_at, configured }
    }

    /// The configured token. A file that is gone is no trouble while something is stored.
    fn first(&self) -> Result<Option<Secret>, AuthError> {
        self.first_refresh_token.as_ref().map(|source| source.read(NAME)).transpose()
    }

    /// The stored token first; then the configured one if it is new since it was last looked at, else the one before.
    fn candidates(&self, stored: Option<&Stored>) -> Result<Candidates, AuthError> {
        let first = match (self.first(), stored) {
            (Err(error), Some(_)) => {
                info!(error = &error as &dyn std::error::Error, "the stored sign-in is used; there is no other");
                None
            }
            (first, _) => first?,
        };
        let configured = first.as_ref().map(fingerprint);
        let Some(stored) = stored else { return Ok(Candidates { tokens: first.into_iter().collect(), configured }) };
        let is_news = configured.is_some() && configured != stored.configured;
        let (news, old) = if is_news { (first, None) } else { (None, first) };
        let all = [Some(stored.refresh_token.clone()), news, stored.previous.clone(), old];
        let mut tokens: Vec<Secret> = Vec::new();
        for token in all.into_iter().flatten() {
            if tokens.len() < TRIES && tokens.iter().all(|other| other.expose().trim() != token.expose().trim()) {
                tokens.push(token);
            }
        }
        Ok(Candidates { tokens, configured: configured.or_else(|| stored.configured.clone()) })
    }

    async fn redeem_any(
        &self,
        candidates: &[Secret],
        claims: Option<&str>,
        http: &Client,
        clock: &dyn Clock,
    ) -> Result<(Secret, Token), AuthError> {
        let mut refused = None;
        for candidate in candidates {
            match self.redeem(candidate, claims, http, clock).await {
                Ok(token) => return Ok((candidate.clone(), token)),
                Err(error) if is_dead(&error) => {
                    info!("a refresh token was refused; the next one is tried, if there is one");
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| self.no_refresh_token()))
    }

    async fn redeem(
        &self,
        refresh_token: &Secret,
        claims: Option<&str>,
        http: &Client,
        clock: &dyn Clock,
    ) -> Result<Token, AuthError> {
        let mut fields = vec![
            ("grant_type", plain("refresh_token")),
            ("refresh_token", plain(refresh_token.expose().trim())),
            ("scope", plain(&self.scopes.join(" "))),
        ];
        fields.extend(claims.map(|claims| ("claims", plain(claims))));
        self.grant(fields, Repeat::Safe, http, clock).await
    }

    /// One token request of this client. A code is good once; a refresh token survives its use.
    pub(super) async fn grant(
        &self,
        fields: Vec<(&'static str, Secret)>,
        repeat: Repeat,
        http: &Client,
        clock: &dyn Clock,
    ) -> Result<Token, AuthError> {
        let endpoint = Endpoint { repeat, ..self.endpoint("token") };
        let draft = || {
            let mut fields = fields.clone();
            fields.push(("client_id", plain(&self.client_id)));
            self.auth.sign(&endpoint, &self.client_id, fields, clock.now())
        };
        let answered = endpoint.clone().ask(http, draft).await?;
        answered.token().map_err(|error| self.auth.explain(error))
    }
}

/// Whether the token that was redeemed is at fault, and another may do better.
fn is_dead(error: &AuthError) -> bool {
    matches!(error, AuthError::Refused(refusal) if refusal.error == "invalid_grant")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AuthError> + Send + 'static,
) -> Result<T, AuthError> {
    spawn_blocking(work).await.expect("files are read and written without panicking")
}
