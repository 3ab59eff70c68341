//! One identity and its token.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use crate::auth::claims::Granted;
use crate::auth::error::AuthError;
use crate::clock::Clock;
use crate::http::{Answer, Call, Client, Draft, HttpError};
use crate::secret::Secret;

/// How the client secret travels to the token endpoint. Both are documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretStyle {
    #[default]
    Form,
    /// `Authorization: Basic`, both parts form-encoded first (RFC 6749, 2.3.1).
    Basic,
}

/// The app-only identity in Entra.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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

/// One identity: gives the `Authorization` value for its service. Shared by `Arc`.
#[derive(Debug)]
pub struct Authorizer {
    _p: (),
}

impl Authorizer {
    /// Okta's API token: `SSWS …`, never renewed here.
    #[must_use]
    pub fn okta_token(token: Secret) -> Self {
        unimplemented!()
    }
    /// App-only: client credentials with a secret.
    #[must_use]
    pub fn entra_app(app: EntraApp, http: Client, clock: Arc<dyn Clock>) -> Self {
        unimplemented!()
    }
    /// Delegated: a refresh token, rotated into the state directory.
    #[must_use]
    pub fn entra_user(user: EntraUser, http: Client, clock: Arc<dyn Clock>) -> Self {
        unimplemented!()
    }
    /// The `Authorization` value, from the cache or fresh.
    pub async fn authorization(&self) -> Result<Secret, AuthError> {
        unimplemented!()
    }
    /// Drops the token that a service refused, unless it was replaced meanwhile.
    pub async fn forget(&self, used: &Secret) {
        unimplemented!()
    }
    /// What the current token says it may do. `None` for Okta's API token.
    pub async fn granted(&self) -> Result<Option<Granted>, AuthError> {
        unimplemented!()
    }
    /// Sends a signed request; on 401 drops the token and tries once more.
    pub async fn send(
        &self,
        http: &Client,
        call: &Call<'_>,
        draft: impl Fn(u32) -> Draft + Send + Sync,
    ) -> Result<Answer, SendError> {
        unimplemented!()
    }
}
