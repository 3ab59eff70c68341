//! Refusals of sign-in services and what they mean for us: one table for each vendor.

pub(super) mod entra;
pub(super) mod okta;

use crate::auth::error::Class;

/// What a refusal means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) class: Class,
    /// What to do; empty when nothing is known.
    pub(super) hint: &'static str,
}

/// What OAuth's word says, whoever says it, about refusals that no table knows.
/// Source: RFC 6749, sections 4.1.2.1 and 5.2; RFC 6750, section 3.1; `OpenID` Connect Core, section 3.1.2.6
fn by_word(error: &str, status: u16) -> Class {
    match error {
        // Whatever word comes with it.
        _ if status == 429 => Class::Wait,
        "invalid_grant"
        | "interaction_required"
        | "consent_required"
        | "access_denied"
        | "login_required"
        | "invalid_token"
        | "insufficient_scope" => Class::NeedsHuman,
        "temporarily_unavailable" | "server_error" => Class::Retry,
        _ if status >= 500 => Class::Retry,
        _ => Class::Misconfigured,
    }
}
