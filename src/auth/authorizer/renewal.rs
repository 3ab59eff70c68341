//! How a token is fetched, when it is fetched again, and how long a refusal stands.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::OwnedMutexGuard;

use crate::auth::authorizer::{Cached, Identity, Inner, Signed};
use crate::auth::condition::Event;
use crate::auth::error::{AuthError, Class};
use crate::auth::okta;
use crate::auth::signin::Token;
use crate::auth::source::Source;
use crate::http::header::HeaderValue;
use crate::secret::Secret;

/// A token is renewed this long before it ends, or a tenth of its life before, whichever is less.
const RENEW_EARLY: Duration = Duration::from_mins(5);

/// How long a refusal stands before the same is asked again: the calls of one run share one answer.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// The same for a service that wants to be left alone.
const LEFT_ALONE_FOR: Duration = Duration::from_mins(5);

/// Fetches a token and puts it, or the refusal, where the next caller finds it; keeps what that says of the identity.
pub(super) async fn renew(inner: Arc<Inner>, mut cached: OwnedMutexGuard<Cached>) -> Result<Signed, AuthError> {
    let renewed = renew_once(&inner, &mut cached).await;
    drop(cached);
    match (&renewed, &inner.identity) {
        (Err(error), _) => inner.note(&Event::Failed { error, wanted: inner.wanted().as_deref() }).await,
        (Ok(_), Identity::OktaToken(_)) => {}
        (Ok(_), _) => inner.note(&Event::Good).await,
    }
    renewed
}

async fn renew_once(inner: &Inner, cached: &mut Cached) -> Result<Signed, AuthError> {
    let now = inner.clock.now();
    let fetched = match &inner.identity {
        Identity::OktaToken(token) => {
            let signed = api_token(token)?;
            *cached = Cached::Token { signed: signed.clone(), scope: None, renew_at: Timestamp::MAX };
            return Ok(signed);
        }
        _ => fetch(inner).await,
    };
    let token = match fetched {
        Ok(token) => token,
        Err(AuthError::Refused(refusal)) => {
            let rest = if refusal.class == Class::Wait { LEFT_ALONE_FOR } else { REFUSED_FOR };
            if refusal.class != Class::Retry {
                let until = now.checked_add(rest).unwrap_or(Timestamp::MAX);
                *cached = Cached::Refused { refusal: refusal.clone(), until };
            }
            return Err(AuthError::Refused(refusal));
        }
        Err(error) => return Err(error),
    };
    let scheme = if token.bound { "DPoP" } else { "Bearer" };
    let authorization = Secret::of(&[scheme, " ", token.access.expose()]);
    let authorization = sendable(authorization, inner.identity.name(), "access token")?;
    let signed = Signed { authorization, bound: token.bound.then_some(token.access) };
    let lifetime = token.lifetime.saturating_sub(RENEW_EARLY.min(token.lifetime / 10));
    let renew_at = now.checked_add(lifetime).unwrap_or(Timestamp::MAX);
    *cached = Cached::Token { signed: signed.clone(), scope: token.scope, renew_at };
    Ok(signed)
}

/// Asks for a token; once more when the secret was replaced while it was being refused.
async fn fetch(inner: &Inner) -> Result<Token, AuthError> {
    let before = inner.identity.fingerprint();
    let fetched = fetch_once(inner).await;
    match fetched {
        Err(AuthError::Refused(refusal))
            if refusal.error == "invalid_client" && inner.identity.fingerprint() != before =>
        {
            fetch_once(inner).await
        }
        fetched => fetched,
    }
}

async fn fetch_once(inner: &Inner) -> Result<Token, AuthError> {
    let wanted = inner.wanted();
    let (http, clock) = (&inner.http, &*inner.clock);
    match &inner.identity {
        Identity::OktaService(service) => service.sign_in(&inner.prover, http, clock).await,
        Identity::App(app) => app.sign_in(wanted.as_deref(), http, clock).await,
        Identity::User(user) => user.renew(wanted.as_deref(), http, clock).await,
        Identity::OktaToken(_) => unreachable!("an API token is not asked for"),
    }
}

impl Identity {
    /// Of the secret with which a token is asked for.
    fn fingerprint(&self) -> Option<String> {
        match self {
            Self::OktaToken(token) => token.fingerprint(),
            Self::OktaService(service) => service.private_key.fingerprint(),
            Self::App(app) => app.auth.fingerprint(),
            Self::User(user) => user.auth.fingerprint(),
        }
    }
}

pub(super) fn api_token(token: &Source) -> Result<Signed, AuthError> {
    let identity = okta::TOKEN_NAME;
    let token = token.read(identity)?;
    let authorization = Secret::of(&["SSWS ", token.expose().trim()]);
    Ok(Signed { authorization: sendable(authorization, identity, "token")?, bound: None })
}

fn sendable(authorization: Secret, identity: &'static str, what: &'static str) -> Result<Secret, AuthError> {
    match HeaderValue::from_str(authorization.expose()) {
        Ok(_) => Ok(authorization),
        Err(_) => Err(AuthError::Unsendable { identity, what }),
    }
}
