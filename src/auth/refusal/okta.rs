//! Okta's reasons for giving no token. Its answers have no numbers, so its own words are looked for; they may change, and
//! then `error` decides.
//! Source: Okta's machine-readable catalogue of OAuth errors

use crate::auth::error::Class;
use crate::auth::refusal::{Known, by_word};

const KEY: &str =
    "compare `okta.auth.private_key` and `okta.auth.key_id` with the public keys of the app (General, Public Keys)";
const CLIENT: &str = "check `okta.auth.client_id`: Okta does not know this service app";
const CLOCK: &str = "compare this machine's clock with the time of day";
const BUG: &str = "this is a mistake of graphkeeper: please report it with the message above";
const DPOP: &str = "if it persists, look for a proxy that changes requests, and compare this machine's clock";

const REVOKED: &str = "Okta refused a token that it had just given out: see in the System Log who deactivated the app or revokes its tokens";

/// What is known, by words of the description. The first that fits decides.
const KNOWN: [(&str, Class, &str); 38] = [
    ("No client credentials found", Class::Misconfigured, BUG),
    ("Invalid value for 'client_id'", Class::Misconfigured, CLIENT),
    ("issuer claim for client_assertion", Class::Misconfigured, CLIENT),
    ("subject claim for client_assertion", Class::Misconfigured, CLIENT),
    (
        "audience claim for client_assertion",
        Class::Misconfigured,
        "check `okta.org_url`: it has to be the address that Okta itself uses for this organization",
    ),
    ("must contain the 'exp' claim", Class::Misconfigured, BUG),
    ("client_assertion token is expired", Class::Misconfigured, CLOCK),
    ("expiration too far into the future", Class::Misconfigured, CLOCK),
    ("must be issued before the current time", Class::Misconfigured, CLOCK),
    ("client_assertion token has already been used", Class::Retry, "something between here and Okta repeats requests"),
    ("client_assertion signature is invalid", Class::Misconfigured, KEY),
    ("parsing of the client_assertion failed", Class::Misconfigured, BUG),
    ("JWT kid is invalid", Class::Misconfigured, KEY),
    ("signature algorithm is invalid", Class::Misconfigured, KEY),
    (
        "does not have a JWKSet configured",
        Class::Misconfigured,
        "register the public key in the app (General, Client Credentials, Public key / Private key)",
    ),
    (
        "must use the private_key_jwt",
        Class::Misconfigured,
        "set the app's client authentication to Public key / Private key",
    ),
    (
        "'application_type' of 'service'",
        Class::Misconfigured,
        "make an app integration of the type API Services in Okta, and use its client id",
    ),
    ("client_assertion_type is invalid", Class::Misconfigured, BUG),
    ("must specify a 'grant_type'", Class::Misconfigured, BUG),
    ("No scopes were requested", Class::Misconfigured, BUG),
    ("Cannot request 'openid'", Class::Misconfigured, BUG),
    (
        "not allowed any of the requested scopes",
        Class::NeedsHuman,
        "a super administrator has to grant okta.users.read (and okta.groups.read, okta.apps.read for a scope) on the app's \
         tab Okta API Scopes",
    ),
    (
        "not authorized to use the provided grant type",
        Class::Misconfigured,
        "allow the grant type Client Credentials in the app (General Settings)",
    ),
    (
        "outside the client's permitted network zones",
        Class::NeedsHuman,
        "let this machine's address into the network zones of the app, or lift them",
    ),
    ("DPoP proof JWT is issued in the future", Class::Misconfigured, CLOCK),
    ("issued more than five minutes in the past", Class::Misconfigured, CLOCK),
    ("DPoP proof JWT has already been used", Class::Retry, "something between here and Okta repeats requests"),
    ("requires nonce in DPoP proof", Class::Retry, DPOP),
    ("resource request requires a DPoP proof", Class::Misconfigured, DPOP),
    ("must use the DPoP authentication scheme", Class::Misconfigured, DPOP),
    ("access_token is not DPoP bound", Class::Misconfigured, DPOP),
    ("not bound to the provided DPoP proof", Class::Misconfigured, DPOP),
    ("DPoP proof", Class::Misconfigured, DPOP),
    (
        "does not contain the required scopes",
        Class::NeedsHuman,
        "grant the scope on the app's tab Okta API Scopes; a new token then has it",
    ),
    ("The token has expired", Class::Misconfigured, CLOCK),
    ("access token has been revoked", Class::NeedsHuman, REVOKED),
    ("access token is invalid", Class::NeedsHuman, REVOKED),
    (
        "has an invalid issuer",
        Class::Misconfigured,
        "check `okta.org_url`: tokens are good at the address that gave them out, not at another one of the organization",
    ),
];

/// Finds what is known about a refusal.
pub(in crate::auth) fn judge(error: &str, description: &str, status: u16) -> Known {
    if let Some((_, class, hint)) = KNOWN.iter().find(|(words, ..)| description.contains(words)) {
        return Known { class: *class, hint };
    }
    let class = by_word(error, status);
    let hint = match class {
        Class::NeedsHuman => "look at the app in Okta's admin console: its scopes, its admin role, its status",
        Class::Wait => "other programs use up the rate limit too: see Okta's rate limit dashboard",
        Class::Misconfigured | Class::Retry => "",
    };
    Known { class, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Misconfigured, NeedsHuman, Retry, Wait};

    /// One entry for each sentence of Okta's tables, in their order: status, word, sentence, judgement.
    const ROWS: [(u16, &str, &str, Class); 48] = [
        (401, "invalid_client", "No client credentials found.", Misconfigured),
        (401, "invalid_client", "Invalid value for 'client_id' parameter.", Misconfigured),
        (401, "invalid_client", "The issuer claim for client_assertion is not a valid client_id.", Misconfigured),
        (401, "invalid_client", "The subject claim for client_assertion is not a valid client_id.", Misconfigured),
        (
            401,
            "invalid_client",
            "The audience claim for client_assertion must be the endpoint invoked for the request.",
            Misconfigured,
        ),
        (
            401,
            "invalid_client",
            "The client_assertion must contain the 'exp' claim as seconds since epoch.",
            Misconfigured,
        ),
        (401, "invalid_client", "The client_assertion token is expired.", Misconfigured),
        (401, "invalid_client", "The client_assertion token has an expiration too far into the future.", Misconfigured),
        (401, "invalid_client", "The client_assertion token must be issued before the current time.", Misconfigured),
        (401, "invalid_client", "The client_assertion token has already been used.", Retry),
        (401, "invalid_client", "The client_assertion signature is invalid.", Misconfigured),
        (401, "invalid_client", "The parsing of the client_assertion failed.", Misconfigured),
        (401, "invalid_client", "The client_assertion JWT kid is invalid.", Misconfigured),
        (401, "invalid_client", "The client_assertion signature algorithm is invalid.", Misconfigured),
        (
            401,
            "invalid_client",
            "The client does not have a JWKSet configured, but the client_assertion requires one.",
            Misconfigured,
        ),
        (
            401,
            "invalid_client",
            "Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.",
            Misconfigured,
        ),
        (
            401,
            "invalid_client",
            "Only clients with 'application_type' of 'service' may use the client_credentials 'grant_type' with the Org Authorization Server.",
            Misconfigured,
        ),
        (400, "invalid_request", "The client_assertion_type is invalid.", Misconfigured),
        (400, "invalid_request", "The token request must specify a 'grant_type'. …", Misconfigured),
        (400, "invalid_scope", "No scopes were requested.", Misconfigured),
        (400, "invalid_scope", "Cannot request 'openid' scopes using client credentials.", Misconfigured),
        (400, "consent_required", "You are not allowed any of the requested scopes.", NeedsHuman),
        (400, "unauthorized_client", "The client is not authorized to use the provided grant type. …", Misconfigured),
        (403, "access_denied", "The request is made from outside the client's permitted network zones.", NeedsHuman),
        (400, "use_dpop_nonce", "Authorization server requires nonce in DPoP proof.", Retry),
        (400, "invalid_dpop_proof", "The DPoP proof JWT header is missing.", Misconfigured),
        (400, "invalid_dpop_proof", "Multiple DPoP proof JWT headers are not allowed.", Misconfigured),
        (400, "invalid_dpop_proof", "'typ' must be 'dpop+jwt' in the DPoP proof JWT.", Misconfigured),
        (400, "invalid_dpop_proof", "The DPoP proof JWT signature algorithm is invalid.", Misconfigured),
        (400, "invalid_dpop_proof", "The DPoP proof JWT cannot be parsed.", Misconfigured),
        (400, "invalid_dpop_proof", "The DPoP proof JWT signature is invalid.", Misconfigured),
        (400, "invalid_dpop_proof", "'htm' claim in the DPoP proof JWT is invalid.", Misconfigured),
        (400, "invalid_dpop_proof", "'htu' claim in the DPoP proof JWT is invalid.", Misconfigured),
        (400, "invalid_dpop_proof", "'iat' claim in the DPoP proof JWT is invalid.", Misconfigured),
        (400, "invalid_dpop_proof", "'jti' claim in the DPoP proof JWT is invalid.", Misconfigured),
        (400, "invalid_dpop_proof", "The DPoP proof JWT is issued in the future.", Misconfigured),
        (400, "invalid_dpop_proof", "The DPoP proof JWT is issued more than five minutes in the past.", Misconfigured),
        (400, "invalid_dpop_proof", "The DPoP proof JWT has already been used.", Retry),
        (
            400,
            "invalid_dpop_proof",
            "'ath' claim in the DPoP proof does not match the presented access_token.",
            Misconfigured,
        ),
        (400, "invalid_dpop_proof", "The access_token is not bound to the provided DPoP proof.", Misconfigured),
        (400, "invalid_request", "The resource request requires a DPoP proof.", Misconfigured),
        (
            400,
            "invalid_request",
            "The resource request must use the DPoP authentication scheme when using a DPoP bound token.",
            Misconfigured,
        ),
        (401, "invalid_token", "The presented access_token is not DPoP bound.", Misconfigured),
        (403, "insufficient_scope", "The access token provided does not contain the required scopes.", NeedsHuman),
        (401, "invalid_token", "The token has expired.", Misconfigured),
        (401, "invalid_token", "The access token has been revoked.", NeedsHuman),
        (401, "invalid_token", "The access token is invalid.", NeedsHuman),
        (401, "invalid_token", "The access token provided has an invalid issuer.", Misconfigured),
    ];

    #[test]
    fn every_documented_refusal_is_judged_and_says_what_to_do() {
        for (status, error, description, class) in ROWS {
            let known = judge(error, description, status);
            assert_eq!(known.class, class, "{description}");
            assert!(!known.hint.is_empty(), "{description} says what to do");
        }
    }

    #[test]
    fn new_words_are_judged_by_the_error() {
        for (status, error, class) in [
            (401, "invalid_client", Misconfigured),
            (400, "consent_required", NeedsHuman),
            (403, "access_denied", NeedsHuman),
            (429, "", Wait),
            (500, "", Retry),
        ] {
            assert_eq!(judge(error, "Words of tomorrow.", status).class, class, "{error} {status}");
        }
    }
}
