//! Refusals of Okta's sign-in: status, `error` and text, as Okta's catalogue has them.

use serde_json::json;

use crate::sandbox::answers::Canned;

/// Why a token is not given, or not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Refusal {
    status: u16,
    error: &'static str,
    text: &'static str,
}

/// Names a refusal, and lists all of them.
macro_rules! refusals {
    ($($name:ident = $status:literal $error:literal $text:literal;)*) => {
        impl Refusal {
            $(pub(in crate::sandbox::okta) const $name: Self = Self { status: $status, error: $error, text: $text };)*
            /// Every refusal that there is.
            const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

refusals! {
    // The token endpoint.
    NO_CREDENTIALS = 401 "invalid_client" "No client credentials found.";
    UNKNOWN_CLIENT = 401 "invalid_client" "Invalid value for 'client_id' parameter.";
    ISSUER = 401 "invalid_client" "The issuer claim for client_assertion is not a valid client_id.";
    SUBJECT = 401 "invalid_client" "The subject claim for client_assertion is not a valid client_id.";
    AUDIENCE = 401 "invalid_client" "The audience claim for client_assertion must be the endpoint invoked for the request.";
    NO_EXPIRY = 401 "invalid_client" "The client_assertion must contain the 'exp' claim as seconds since epoch.";
    ASSERTION_EXPIRED = 401 "invalid_client" "The client_assertion token is expired.";
    EXPIRY_TOO_FAR = 401 "invalid_client" "The client_assertion token has an expiration too far into the future.";
    ASSERTION_FROM_THE_FUTURE = 401 "invalid_client" "The client_assertion token must be issued before the current time.";
    ASSERTION_USED = 401 "invalid_client" "The client_assertion token has already been used.";
    ASSERTION_SIGNATURE = 401 "invalid_client" "The client_assertion signature is invalid.";
    ASSERTION_UNREADABLE = 401 "invalid_client" "The parsing of the client_assertion failed.";
    KEY_ID = 401 "invalid_client" "The client_assertion JWT kid is invalid.";
    ASSERTION_ALGORITHM = 401 "invalid_client" "The client_assertion signature algorithm is invalid.";
    NO_KEYS = 401 "invalid_client" "The client does not have a JWKSet configured, but the client_assertion requires one.";
    SECRET = 401 "invalid_client" "Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.";
    NOT_A_SERVICE = 401 "invalid_client" "Only clients with 'application_type' of 'service' may use the client_credentials 'grant_type' with the Org Authorization Server.";
    ASSERTION_TYPE = 400 "invalid_request" "The client_assertion_type is invalid.";
    NO_GRANT_TYPE = 400 "invalid_request" "The token request must specify a 'grant_type'.";
    NO_SCOPE = 400 "invalid_scope" "No scopes were requested.";
    OPENID = 400 "invalid_scope" "Cannot request 'openid' scopes using client credentials.";
    NO_CONSENT = 400 "consent_required" "You are not allowed any of the requested scopes.";
    OTHER_GRANT = 400 "unauthorized_client" "The client is not authorized to use the provided grant type.";
    OUTSIDE_ZONE = 403 "access_denied" "The request is made from outside the client's permitted network zones.";
    // Proofs, here and at the API.
    USE_NONCE = 400 "use_dpop_nonce" "Authorization server requires nonce in DPoP proof.";
    NO_PROOF = 400 "invalid_dpop_proof" "The DPoP proof JWT header is missing.";
    SEVERAL_PROOFS = 400 "invalid_dpop_proof" "Multiple DPoP proof JWT headers are not allowed.";
    PROOF_TYPE = 400 "invalid_dpop_proof" "'typ' must be 'dpop+jwt' in the DPoP proof JWT.";
    PROOF_ALGORITHM = 400 "invalid_dpop_proof" "The DPoP proof JWT signature algorithm is invalid.";
    PROOF_UNREADABLE = 400 "invalid_dpop_proof" "The DPoP proof JWT cannot be parsed.";
    PROOF_SIGNATURE = 400 "invalid_dpop_proof" "The DPoP proof JWT signature is invalid.";
    PROOF_METHOD = 400 "invalid_dpop_proof" "'htm' claim in the DPoP proof JWT is invalid.";
    PROOF_URL = 400 "invalid_dpop_proof" "'htu' claim in the DPoP proof JWT is invalid.";
    PROOF_TIME = 400 "invalid_dpop_proof" "'iat' claim in the DPoP proof JWT is invalid.";
    PROOF_ID = 400 "invalid_dpop_proof" "'jti' claim in the DPoP proof JWT is invalid.";
    PROOF_FROM_THE_FUTURE = 400 "invalid_dpop_proof" "The DPoP proof JWT is issued in the future.";
    PROOF_TOO_OLD = 400 "invalid_dpop_proof" "The DPoP proof JWT is issued more than five minutes in the past.";
    PROOF_USED = 400 "invalid_dpop_proof" "The DPoP proof JWT has already been used.";
    // The API alone.
    PROOF_HASH = 400 "invalid_dpop_proof" "'ath' claim in the DPoP proof does not match the presented access_token.";
    PROOF_OTHER_KEY = 400 "invalid_dpop_proof" "The access_token is not bound to the provided DPoP proof.";
    NO_RESOURCE_PROOF = 400 "invalid_request" "The resource request requires a DPoP proof.";
    WRONG_SCHEME = 400 "invalid_request" "The resource request must use the DPoP authentication scheme when using a DPoP bound token.";
    NOT_BOUND = 401 "invalid_token" "The presented access_token is not DPoP bound.";
    INSUFFICIENT_SCOPE = 403 "insufficient_scope" "The access token provided does not contain the required scopes.";
    TOKEN_EXPIRED = 401 "invalid_token" "The token has expired.";
    TOKEN_REVOKED = 401 "invalid_token" "The access token has been revoked.";
    TOKEN_INVALID = 401 "invalid_token" "The access token is invalid.";
    TOKEN_ISSUER = 401 "invalid_token" "The access token provided has an invalid issuer.";
}

impl Refusal {
    /// The refusal with this text.
    pub(in crate::sandbox) fn named(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|refusal| refusal.text == text).copied()
    }

    /// Whether the answer has to bring a nonce.
    pub(in crate::sandbox::okta) fn asks_for_nonce(self) -> bool {
        self == Self::USE_NONCE
    }

    /// In OAuth's shape, as the token endpoint answers.
    pub(in crate::sandbox) fn at_token_endpoint(self) -> Canned {
        Canned::json(self.status, &json!({"error": self.error, "error_description": self.text}))
    }

    /// In the header alone, as the API answers. `http://` in it is as observed.
    pub(in crate::sandbox) fn at_resource(self, base: &str, path: &str, scope: &str) -> Canned {
        let dpop = self.error.contains("dpop") || self.text.contains("DPoP");
        let scheme = if dpop { r#"DPoP algs="RS256 RS384 RS512 ES256 ES384 ES512","# } else { "Bearer" };
        let host = base.split_once("://").map_or(base, |(_, host)| host);
        let (error, text) = (self.error, self.text);
        let challenge = format!(
            r#"{scheme} authorization_uri="http://{host}/oauth2/v1/authorize", realm="http://{host}", scope="{scope}", error="{error}", error_description="{text}", resource="{path}""#
        );
        Canned::text(self.status, String::new()).header("www-authenticate", challenge)
    }
}
