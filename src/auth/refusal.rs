//! Entra's reasons for giving no token, by AADSTS number and by `error`.
//!
//! Microsoft asks clients to branch on `error`. The numbers are what an operator can act on, so they are looked up first
//! and `error` decides about those we do not know.
//! Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

use crate::auth::error::Class;

/// What a refusal means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) class: Class,
    /// What to do; empty when nothing is known.
    pub(super) hint: &'static str,
}

const SIGN_IN: &str = "sign in again: give a new refresh token to `entra.user.refresh_token`";
const MFA: &str = "sign in again with multi-factor authentication, and give the new refresh token";
const POLICY: &str =
    "a Conditional Access policy blocks this sign-in: exempt it, or meet the policy, in the Entra admin center";
const CONSENT: &str = "grant consent to the application's permissions (Enterprise applications, Permissions)";
const ADMIN_CONSENT: &str = "an administrator has to grant consent to the application's permissions";
const CLOCK: &str = "compare this machine's clock with the time of day";

/// Finds what is known about a refusal.
pub(super) fn judge(error: &str, aadsts: Option<u32>, status: u16) -> Known {
    if let Some(known) = aadsts.and_then(by_number) {
        return known;
    }
    let class = match error {
        "invalid_grant" | "interaction_required" | "consent_required" | "access_denied" | "login_required" => {
            Class::NeedsHuman
        }
        "temporarily_unavailable" | "server_error" => Class::Retry,
        _ if status == 429 || status >= 500 => Class::Retry,
        _ => Class::Misconfigured,
    };
    Known { class, hint: if class == Class::NeedsHuman { SIGN_IN } else { "" } }
}

fn by_number(aadsts: u32) -> Option<Known> {
    use Class::{Misconfigured, NeedsHuman, Retry};
    let (class, hint) = match aadsts {
        7_000_215 | 70_002 => (Misconfigured, "put the secret's value, not its id, where `client_secret` points"),
        7_000_222 => (
            Misconfigured,
            "the client secret has expired: make a new one in the app registration and put it where `client_secret` points",
        ),
        700_027 => {
            (Misconfigured, "upload the certificate to the app registration, or configure the one that is there")
        }
        700_024 | 500_133 => (Misconfigured, CLOCK),
        7_000_218 => (Misconfigured, "configure a client secret, or allow public client flows in the app registration"),
        700_025 => (Misconfigured, "this is a public client: remove its client secret from the configuration"),
        700_016 => (
            Misconfigured,
            "check `client_id` and `tenant`: the application is not in this tenant, or nobody consented to it",
        ),
        7_000_112 | 70_001 => {
            (Misconfigured, "enable the application in the Entra admin center (Enterprise applications)")
        }
        90_002 | 900_023 => (Misconfigured, "check `entra.tenant`: no such tenant"),
        90_038 => (Misconfigured, "check `entra.cloud`: the tenant is in another national cloud"),
        70_011 | 700_022 => (Misconfigured, "check the scopes: unknown, or of several resources"),
        500_011 | 650_052 => {
            (Misconfigured, "check `entra.graph_url` and `entra.cloud`: the tenant does not have this resource")
        }
        90_133 | 9_001_023 => (Misconfigured, "name the tenant in `entra.tenant` rather than `common`"),
        700_082 => (NeedsHuman, "the refresh token was not used for 90 days: sign in again and give a new one"),
        50_173 | 50_132 | 50_133 | 70_000 | 70_008 | 70_043 => (NeedsHuman, SIGN_IN),
        50_076 | 50_074 | 50_078 | 50_079 | 50_072 | 50_158 | 700_020 => (NeedsHuman, MFA),
        53_000..=53_003 | 530_032..=530_035 => (NeedsHuman, POLICY),
        65_001 | 650_056 | 650_057 => (NeedsHuman, CONSENT),
        90_094 | 90_095 => (NeedsHuman, ADMIN_CONSENT),
        50_057 => (NeedsHuman, "the user is disabled: enable the account, or sign in as another"),
        50_034 => (NeedsHuman, "the user is not known in this tenant: sign in as another"),
        50_055 => (NeedsHuman, "the user's password has expired: change it and sign in again"),
        54_005 => (NeedsHuman, "the code was used before: sign in again"),
        50_196 => (Retry, "Entra saw the same request too often: leave it alone for some minutes"),
        90_033 | 50_033 | 50_087 | 90_006 | 90_012 | 90_024 | 90_090 | 90_055 => (Retry, ""),
        _ => return None,
    };
    Some(Known { class, hint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Misconfigured, NeedsHuman, Retry};

    #[test]
    fn every_documented_refusal_is_judged() {
        let table: [(&str, &[u32], u16, Class); 26] = [
            ("invalid_client", &[7_000_215, 70_002], 401, Misconfigured),
            ("invalid_client", &[7_000_222], 401, Misconfigured),
            ("invalid_client", &[700_027], 401, Misconfigured),
            ("invalid_client", &[700_024, 500_133], 401, Misconfigured),
            ("invalid_client", &[7_000_218], 401, Misconfigured),
            ("invalid_client", &[700_025], 401, Misconfigured),
            ("unauthorized_client", &[700_016], 400, Misconfigured),
            ("unauthorized_client", &[7_000_112, 70_001], 400, Misconfigured),
            ("invalid_request", &[90_002, 900_023], 400, Misconfigured),
            ("", &[90_038], 400, Misconfigured),
            ("invalid_scope", &[70_011, 700_022], 400, Misconfigured),
            ("invalid_resource", &[500_011, 650_052], 400, Misconfigured),
            ("invalid_grant", &[700_082], 400, NeedsHuman),
            ("invalid_grant", &[50_173, 50_132, 50_133, 70_000, 70_008], 400, NeedsHuman),
            ("invalid_grant", &[70_043], 400, NeedsHuman),
            ("interaction_required", &[50_076, 50_074, 50_078, 50_079, 50_072, 50_158, 700_020], 400, NeedsHuman),
            ("access_denied", &[53_003, 53_000, 53_001, 53_002, 530_032, 530_035], 400, NeedsHuman),
            ("consent_required", &[65_001, 650_056, 650_057], 400, NeedsHuman),
            ("invalid_grant", &[90_094, 90_095], 400, NeedsHuman),
            ("invalid_grant", &[50_057], 400, NeedsHuman),
            ("invalid_grant", &[50_034], 400, NeedsHuman),
            ("invalid_grant", &[50_055], 400, NeedsHuman),
            ("invalid_grant", &[54_005], 400, NeedsHuman),
            ("invalid_request", &[90_133, 9_001_023], 400, Misconfigured),
            ("invalid_grant", &[50_196], 400, Retry),
            ("invalid_grant", &[90_033, 50_033, 50_087, 90_006, 90_012, 90_024, 90_090, 90_055], 400, Retry),
        ];
        for (error, numbers, status, class) in table {
            for number in numbers {
                let known = judge(error, Some(*number), status);
                assert_eq!(known.class, class, "AADSTS{number}");
                assert!(by_number(*number).is_some());
                let silent = class == Retry && *number != 50_196;
                assert_eq!(known.hint.is_empty(), silent, "AADSTS{number} says what to do");
            }
        }
    }

    #[test]
    fn an_unknown_number_is_judged_by_the_error_word() {
        let table = [
            ("invalid_grant", 400, NeedsHuman),
            ("interaction_required", 400, NeedsHuman),
            ("consent_required", 400, NeedsHuman),
            ("access_denied", 400, NeedsHuman),
            ("invalid_client", 401, Misconfigured),
            ("unauthorized_client", 400, Misconfigured),
            ("invalid_request", 400, Misconfigured),
            ("invalid_scope", 400, Misconfigured),
            ("invalid_resource", 400, Misconfigured),
            ("temporarily_unavailable", 400, Retry),
            ("server_error", 400, Retry),
            ("", 429, Retry),
            ("", 502, Retry),
            ("", 404, Misconfigured),
        ];
        for (error, status, class) in table {
            assert_eq!(judge(error, Some(1), status).class, class, "{error} {status}");
        }
    }
}
