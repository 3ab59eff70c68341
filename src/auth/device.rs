//! A person signs in on another device: we show a code and an address, and ask until they are done.
//! Source: RFC 8628; <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::auth::authorizer::Authorizer;
use crate::auth::error::AuthError;
use crate::auth::plain;
use crate::auth::signin::Token;
use crate::auth::user::EntraUser;
use crate::clock::Clock;
use crate::http::{Client, Draft, Repeat};

/// What lies between two questions when the service does not say (RFC 8628, 3.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// What is added when we ask too often (RFC 8628, 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// What the person has to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    pub code: String,
    /// Where the code is typed in.
    pub address: String,
    /// How long the code is good.
    pub expires_in: Duration,
}

#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    /// Older servers spell it with `url`.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    expires_in: u64,
    interval: Option<u64>,
}

/// A sign-in that a person completed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedIn {
    /// What was granted, as the service spells it.
    pub scopes: Vec<String>,
}

impl Authorizer {
    /// Lets a person sign in on any device, and keeps what that brings. `show` is called once, with the code.
    ///
    /// # Errors
    ///
    /// [`AuthError`]: the person declined or did not come, or the sign-in was refused.
    ///
    /// # Panics
    ///
    /// When this is not the delegated identity: nobody else signs in so.
    pub async fn sign_in_by_code(&self, show: impl FnOnce(&Prompt) + Send) -> Result<SignedIn, AuthError> {
        let (user, http, clock) = self.user().expect("only people sign in by a code");
        let token = user.by_code(http, &**clock, show).await?;
        self.keep(token).await
    }

    /// Forgets the person: what is stored is removed. Whether somebody was signed in.
    ///
    /// # Errors
    ///
    /// [`AuthError`] when the file cannot be removed.
    ///
    /// # Panics
    ///
    /// When this is not the delegated identity.
    pub async fn sign_out(&self) -> Result<bool, AuthError> {
        let (user, ..) = self.user().expect("only people sign out");
        let was_there = user.forget().await?;
        self.reset().await;
        Ok(was_there)
    }

    /// Stores the refresh token of a sign-in that was just completed.
    pub(super) async fn keep(&self, token: Token) -> Result<SignedIn, AuthError> {
        let (user, _, clock) = self.user().expect("only people sign in");
        let Some(refresh) = token.refresh else {
            let message = "the sign-in brought no refresh token: `offline_access` was not granted";
            return Err(AuthError::NotCompleted(message.to_owned()));
        };
        user.keep(refresh, clock.now()).await?;
        self.reset().await;
        let scopes = token.scope.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        Ok(SignedIn { scopes })
    }
}

impl EntraUser {
    async fn by_code(
        &self,
        http: &Client,
        clock: &dyn Clock,
        show: impl FnOnce(&Prompt) + Send,
    ) -> Result<Token, AuthError> {
        let endpoint = self.endpoint("devicecode");
        let fields = || vec![("client_id", plain(&self.client_id)), ("scope", plain(&self.scopes.join(" ")))];
        let asked = endpoint.clone().ask(http, || Ok(Draft::new().form(fields()))).await?;
        if let Some(refusal) = asked.refusal() {
            return Err(AuthError::Refused(Box::new(refusal)));
        }
        let begun: Begun = asked.json()?;
        let ends = Instant::now() + Duration::from_secs(begun.expires_in);
        show(&Prompt {
            code: begun.user_code.clone(),
            address: begun.verification_uri.clone(),
            expires_in: Duration::from_secs(begun.expires_in),
        });
        let mut interval = begun.interval.map_or(INTERVAL, Duration::from_secs);
        while Instant::now() < ends {
            sleep(interval).await;
            let fields = vec![
                ("grant_type", plain("urn:ietf:params:oauth:grant-type:device_code")),
                ("device_code", plain(&begun.device_code)),
            ];
            match self.grant(fields, Repeat::OnlyIfNotExecuted, http, clock).await {
                Ok(token) => return Ok(token),
                Err(error) => match verdict(&error) {
                    Verdict::AskAgain => {}
                    Verdict::AskSlower => interval += SLOWER,
                    Verdict::Ended(why) => return Err(AuthError::NotCompleted(why.to_owned())),
                    Verdict::Failed => return Err(error),
                },
            }
        }
        Err(AuthError::NotCompleted(EXPIRED.to_owned()))
    }
}

const EXPIRED: &str = "nobody signed in while the code was good";

/// What an answer to a poll means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    AskAgain,
    AskSlower,
    Ended(&'static str),
    Failed,
}

fn verdict(error: &AuthError) -> Verdict {
    match error {
        // The network was away for a moment; the person may be typing all the same.
        AuthError::Unreachable { .. } => Verdict::AskAgain,
        AuthError::Refused(refusal) => match refusal.error.as_str() {
            "authorization_pending" => Verdict::AskAgain,
            "slow_down" => Verdict::AskSlower,
            "authorization_declined" | "access_denied" => Verdict::Ended("the sign-in was declined at the browser"),
            "expired_token" | "code_expired" => Verdict::Ended(EXPIRED),
            _ => Verdict::Failed,
        },
        _ => Verdict::Failed,
    }
}
