//! What a token says about itself. For display only: a token's reader is the service, and only it can trust it.

use jiff::Timestamp;

/// What Entra granted, as the token tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// Application permissions (`roles`), sorted.
    pub roles: Vec<String>,
    /// Delegated scopes (`scp`), sorted.
    pub scopes: Vec<String>,
    pub tenant: Option<String>,
    pub expires: Option<Timestamp>,
}
