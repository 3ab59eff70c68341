//! Entra's reasons for giving no token, by AADSTS number and by `error`.
//!
//! Microsoft asks clients to branch on `error`. The numbers are what an operator can act on, so they are looked up first
//! and `error` decides about those we do not know.
//! Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

use crate::auth::error::Class;
use crate::auth::refusal::{Known, by_word};

const SIGN_IN: &str = "sign in again: `graphkeeper login`, or give a new refresh token to `entra.user.refresh_token`";
const MFA: &str = "sign in again with multi-factor authentication: `graphkeeper login`";
const POLICY: &str =
    "a Conditional Access policy blocks this sign-in: exempt it, or meet the policy, in the Entra admin center";
const CONSENT: &str = "grant consent to the application's permissions (Enterprise applications, Permissions)";
const ADMIN_CONSENT: &str = "an administrator has to grant consent to the application's permissions";
const CLOCK: &str = "compare this machine's clock with the time of day";

/// Finds what is known about a refusal.
pub(in crate::auth) fn judge(error: &str, aadsts: Option<u32>, status: u16) -> Known {
    if let Some(known) = aadsts.and_then(by_number) {
        return known;
    }
    let class = by_word(error, status);
    Known { class, hint: if class == Class::NeedsHuman { SIGN_IN } else { "" } }
}

fn by_number(aadsts: u32) -> Option<Known> {
    use Class::{Misconfigured, NeedsHuman, Retry, Wait};
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
        700_211..=700_213 => (
            Misconfigured,
            "the app registration trusts another issuer, subject or audience: compare its federated credential with the \
             token in `token_file`",
        ),
        50_011 => {
            (Misconfigured, "add `http://localhost` to the redirect URIs of the app registration (mobile and desktop)")
        }
        700_082 => (NeedsHuman, "the refresh token was not used for 90 days: sign in again with `graphkeeper login`"),
        50_173 | 50_132 | 50_133 | 70_000 | 70_008 | 70_043 => (NeedsHuman, SIGN_IN),
        50_076 | 50_074 | 50_078 | 50_079 | 50_072 | 50_158 | 700_020 => (NeedsHuman, MFA),
        53_000..=53_003 | 530_032..=530_035 => (NeedsHuman, POLICY),
        65_001 | 650_056 | 650_057 => (NeedsHuman, CONSENT),
        90_094 | 90_095 => (NeedsHuman, ADMIN_CONSENT),
        50_057 => (NeedsHuman, "the user is disabled: enable the account, or sign in as another"),
        50_034 => (NeedsHuman, "the user is not known in this tenant: sign in as another"),
        50_055 => (NeedsHuman, "the user's password has expired: change it and sign in again"),
        54_005 | 501_481 | 70_016..=70_019 | 65_004 => {
            (NeedsHuman, "the sign-in was not completed: begin again with `graphkeeper login`")
        }
        50_196 => (Wait, "Entra saw the same request too often: leave it alone for some minutes"),
        90_055 => (Wait, "the tenant sends too many sign-in requests: see which other programs do"),
        90_033 | 50_033 | 50_087 | 90_006 | 90_012 | 90_024 | 90_090 => (Retry, ""),
        _ => return None,
    };
    Some(Known { class, hint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Misconfigured, NeedsHuman, Retry, Wait};

    /// One entry for each row of the vendor's table of refusals, in its order: word, numbers, status, judgement.
    const ROWS: [(&str, &[u32], u16, Class); 24] = [
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
        ("access_denied", &[53_003, 53_000, 53_001, 53_002, 530_032, 530_033, 530_034, 530_035], 400, NeedsHuman),
        ("consent_required", &[65_001, 650_056, 650_057], 400, NeedsHuman),
        ("invalid_grant", &[90_094, 90_095], 400, NeedsHuman),
        ("invalid_grant", &[50_057, 50_034, 50_055], 400, NeedsHuman),
        ("invalid_grant", &[70_008, 54_005], 400, NeedsHuman),
        ("invalid_request", &[90_133, 9_001_023], 400, Misconfigured),
        ("invalid_grant", &[50_196], 400, Wait),
        ("temporarily_unavailable", &[90_033, 50_033, 50_087, 90_006, 90_012, 90_024, 90_090], 400, Retry),
    ];

    #[test]
    fn every_documented_refusal_is_judged_and_says_what_to_do() {
        for (error, numbers, status, class) in ROWS {
            for number in numbers {
                let known = judge(error, Some(*number), status);
                assert_eq!(known.class, class, "AADSTS{number}");
                assert!(by_number(*number).is_some(), "AADSTS{number} is known by its number");
                assert_eq!(known.hint.is_empty(), class == Retry, "AADSTS{number} says what to do");
            }
        }
        // Of the last row, the one that is about the tenant's rate.
        assert_eq!(judge("temporarily_unavailable", Some(90_055), 429).class, Wait);
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
            ("", 429, Wait),
            ("", 502, Retry),
            ("", 404, Misconfigured),
        ];
        for (error, status, class) in table {
            assert_eq!(judge(error, Some(1), status).class, class, "{error} {status}");
        }
    }
}
