//! A person signs in on another device: we show a code and an address, and ask until they are done.
//! Source: RFC 8628; <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::auth::authorizer::Authorizer;
use crate::auth::condition::Event;
use crate::auth::error::{AuthError, Class};
use crate::auth::plain;
use crate::auth::signin::{Token, seconds};
use crate::auth::user::EntraUser;
use crate::clock::Clock;
use crate::http::{Client, Draft, Repeat};
use crate::secret::Secret;

/// What lies between two questions when the service does not say (RFC 8628, 3.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// The least that we leave between two questions, whatever the service says.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long a code is good when the service does not say, and the longest that we wait for anybody.
const UNSAID_LIFE: Duration = Duration::from_mins(15);
const LONGEST_LIFE: Duration = Duration::from_hours(1);

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
    device_code: Secret,
    user_code: String,
    verification_uri: Option<String>,
    /// Older servers spell it so, some beside the other.
    verification_url: Option<String>,
    expires_in: Option<Value>,
    interval: Option<Value>,
}

impl Begun {
    fn prompt(&self) -> Prompt {
        let address = self.verification_uri.as_ref().or(self.verification_url.as_ref());
        let life = seconds(self.expires_in.as_ref()).map_or(UNSAID_LIFE, Duration::from_secs);
        Prompt {
            code: printable(&self.user_code),
            address: address.map(|address| printable(address)).unwrap_or_default(),
            expires_in: life.min(LONGEST_LIFE),
        }
    }

    fn interval(&self) -> Duration {
        seconds(self.interval.as_ref()).map_or(INTERVAL, Duration::from_secs).max(SHORTEST)
    }
}

/// A text that is shown at a terminal, without what would steer it.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

/// A sign-in that a person completed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedIn {
    /// What was granted, as the service spells it.
    pub scopes: Vec<String>,
}

impl Authorizer {
    /// Lets a person sign in on any device, and keeps what that brings. `by` began it; `show` is called once, with the code.
    ///
    /// # Errors
    ///
    /// [`AuthError`]: the person declined or did not come, or the sign-in was refused.
    ///
    /// # Panics
    ///
    /// When this is not the delegated identity: nobody else signs in so.
    pub async fn sign_in_by_code(&self, by: &str, show: impl FnOnce(&Prompt) + Send) -> Result<SignedIn, AuthError> {
        let (user, http, clock) = self.user().expect("only people sign in by a code");
        let token = user.by_code(self.wanted().await.as_deref(), http, &**clock, show).await;
        self.keep_of(token, by).await
    }

    /// Forgets the person: what is stored is removed. `by` asked for it. Whether somebody was signed in.
    ///
    /// # Errors
    ///
    /// [`AuthError`] when the file cannot be removed.
    ///
    /// # Panics
    ///
    /// When this is not the delegated identity.
    pub async fn sign_out(&self, by: &str) -> Result<bool, AuthError> {
        let (user, ..) = self.user().expect("only people sign out");
        let was_there = user.forget().await?;
        self.reset().await;
        self.note(&Event::Logout { by, left: user.nobody().as_ref() }).await;
        Ok(was_there)
    }

    /// Keeps what a sign-in by somebody brought: a token, or what a policy wants of the next try.
    pub(super) async fn keep_of(&self, token: Result<Token, AuthError>, by: &str) -> Result<SignedIn, AuthError> {
        if let Some(claims) = token.as_ref().err().and_then(AuthError::claims) {
            self.note(&Event::Challenged { claims }).await;
        }
        self.keep(token?, by).await
    }

    /// Stores the refresh token of a sign-in that was just completed, drops the token of whoever was signed in before, and
    /// keeps who did it. Whole once it was begun, also when whoever waits for it goes away.
    async fn keep(&self, token: Token, by: &str) -> Result<SignedIn, AuthError> {
        let Some(refresh) = token.refresh else {
            let message = "the sign-in brought no refresh token: `offline_access` was not granted";
            return Err(AuthError::NotCompleted(message.to_owned()));
        };
        let (this, by) = (self.clone(), by.to_owned());
        let keeping = tokio::spawn(async move {
            let (user, _, clock) = this.user().expect("only people sign in");
            user.keep(refresh, clock.now()).await?;
            this.reset().await;
            this.note(&Event::Login { by: &by }).await;
            Ok::<_, AuthError>(())
        });
        keeping.await.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))?;
        let (user, ..) = self.user().expect("only people sign in");
        // An answer that does not say grants what was asked for (RFC 6749, 5.1).
        let scope = token.scope.unwrap_or_else(|| user.scopes.join(" "));
        Ok(SignedIn { scopes: scope.split_whitespace().map(str::to_owned).collect() })
    }
}

impl EntraUser {
    /// `claims` is what a policy wants of this sign-in. As MSAL does, it goes with both kinds of request.
    async fn by_code(
        &self,
        claims: Option<&str>,
        http: &Client,
        clock: &dyn Clock,
        show: impl FnOnce(&Prompt) + Send,
    ) -> Result<Token, AuthError> {
        let endpoint = self.endpoint("devicecode");
        let claims = || claims.map(|claims| ("claims", plain(claims)));
        let fields = || {
            let fields = [("client_id", plain(&self.client_id)), ("scope", plain(&self.scopes.join(" ")))];
            fields.into_iter().chain(claims()).collect()
        };
        let asked = endpoint.clone().ask(http, || Ok(Draft::new().form(fields()))).await?;
        if let Some(refusal) = asked.refusal() {
            return Err(AuthError::Refused(Box::new(refusal)));
        }
        let begun: Begun = asked.json()?;
        let prompt = begun.prompt();
        let ends = Instant::now() + prompt.expires_in;
        show(&prompt);
        let mut interval = begun.interval();
        while Instant::now() < ends {
            sleep(interval.min(ends - Instant::now())).await;
            let fields = [
                ("grant_type", plain("urn:ietf:params:oauth:grant-type:device_code")),
                ("device_code", begun.device_code.clone()),
            ];
            let fields = fields.into_iter().chain(claims()).collect();
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
            // Trouble of the service's own passes, and the person may be typing all the same.
            _ if refusal.class == Class::Retry => Verdict::AskAgain,
            _ if refusal.class == Class::Wait => Verdict::AskSlower,
            _ => Verdict::Failed,
        },
        _ => Verdict::Failed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn begun(change: &Value) -> Begun {
        let mut body = json!({"device_code": "d", "user_code": "U", "verification_uri": "https://x/d"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn a_beginning_is_read_in_every_form_that_servers_send() {
        let minutes = Duration::from_mins;
        for (change, address, life, interval) in [
            (json!({"expires_in": 900, "interval": 7}), "https://x/d", minutes(15), 7),
            (json!({"expires_in": "600", "interval": "7"}), "https://x/d", minutes(10), 7),
            (json!({"expires_in": 600}), "https://x/d", minutes(10), 5),
            (json!({"expires_in": 600, "interval": null}), "https://x/d", minutes(10), 5),
            (json!({"expires_in": 600, "interval": 0}), "https://x/d", minutes(10), 1),
            (json!({"verification_uri_complete": "https://x/d?c=U", "message": "m"}), "https://x/d", minutes(15), 5),
            (json!({"expires_in": u64::MAX}), "https://x/d", minutes(60), 5),
            (json!({"verification_url": "https://x/u"}), "https://x/d", minutes(15), 5),
            (json!({"verification_uri": null, "verification_url": "https://x/u"}), "https://x/u", minutes(15), 5),
        ] {
            let begun = begun(&change);
            let prompt = begun.prompt();
            assert_eq!((prompt.address.as_str(), prompt.expires_in), (address, life), "{change}");
            assert_eq!(begun.interval(), Duration::from_secs(interval), "{change}");
        }
    }

    #[test]
    fn what_a_server_says_does_not_steer_the_terminal() {
        let prompt = begun(&json!({"user_code": "AB\u{1b}[2JCD\n", "verification_uri": "https://x/\u{7}d"})).prompt();
        assert_eq!((prompt.code.as_str(), prompt.address.as_str()), ("AB[2JCD", "https://x/d"));
    }
}
