//! Every refusal of the token endpoint that is documented, by its number, so that a test can order it.
//!
//! The pairing of number, `error` and status is documented for some and observed or assumed for others; an order may name
//! another `error`. Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

/// Number, status, `error`, text, and `suberror` where there is one.
pub(super) type Row = (u32, u16, &'static str, &'static str, &'static str);

/// The row of a number.
pub(super) fn row(number: u32) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.0 == number)
}

const CLIENT: &str = "invalid_client";
const UNAUTHORIZED: &str = "unauthorized_client";
const REQUEST: &str = "invalid_request";
const GRANT: &str = "invalid_grant";
const RESOURCE: &str = "invalid_resource";
const INTERACTION: &str = "interaction_required";
const TRANSIENT: &str = "temporarily_unavailable";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (7_000_215, 401, CLIENT, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.", ""),
    (70_002, 401, CLIENT, "Error validating credentials. The client secret is not valid.", ""),
    (7_000_222, 401, CLIENT, "The provided client secret keys for app are expired. Visit the Azure portal to create new keys for your app.", ""),
    (700_027, 401, CLIENT, "Client assertion failed signature validation.", ""),
    (700_024, 401, CLIENT, "Client assertion is not within its valid time range.", ""),
    (500_133, 401, CLIENT, "Assertion is not within its valid time range.", ""),
    (7_000_218, 401, CLIENT, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.", ""),
    (700_025, 401, CLIENT, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.", ""),
    (700_016, 400, UNAUTHORIZED, "Application was not found in the directory.", ""),
    (7_000_112, 400, UNAUTHORIZED, "Application is disabled.", ""),
    (70_001, 400, UNAUTHORIZED, "The application is disabled.", ""),
    (90_002, 400, REQUEST, "Tenant not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.", ""),
    (900_023, 400, REQUEST, "Specified tenant identifier is neither a valid DNS name, nor a valid external domain.", ""),
    (90_038, 400, REQUEST, "Tenant request redirected to the national cloud.", ""),
    (70_011, 400, "invalid_scope", "The provided value for the input parameter 'scope' is not valid.", ""),
    (700_022, 400, "invalid_scope", "The provided value for the input parameter 'scope' isn't valid because it contains more than one resource.", ""),
    (500_011, 400, RESOURCE, "The resource principal was not found in the tenant.", ""),
    (650_052, 400, RESOURCE, "The app needs access to a service that your organization has not subscribed to or enabled.", ""),
    (700_082, 400, GRANT, "The refresh token has expired due to inactivity. The token was issued on 2026-01-02T03:04:05.0000000Z and was inactive for 90.00:00:00.", "token_expired"),
    (50_173, 400, GRANT, "The provided grant has expired due to it being revoked, a fresh auth token is needed.", "bad_token"),
    (50_132, 400, GRANT, "The session is not valid due to password expiration or recent password change.", "bad_token"),
    (50_133, 400, GRANT, "Session is invalid due to expiration or recent password change.", "bad_token"),
    (70_000, 400, GRANT, "Provided grant is invalid or malformed.", "bad_token"),
    (70_008, 400, GRANT, "The provided authorization code or refresh token has expired due to inactivity.", "token_expired"),
    (70_043, 400, GRANT, "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.", "token_expired"),
    (50_076, 400, INTERACTION, "Due to a configuration change made by your administrator, you must use multi-factor authentication.", "basic_action"),
    (50_074, 400, INTERACTION, "Strong Authentication is required.", "basic_action"),
    (50_078, 400, INTERACTION, "Presented multi-factor authentication has expired due to policies configured by your administrator.", "basic_action"),
    (50_079, 400, INTERACTION, "You must enroll in multi-factor authentication.", "basic_action"),
    (50_072, 400, INTERACTION, "You must enroll in multi-factor authentication.", "basic_action"),
    (50_158, 400, INTERACTION, "External security challenge not satisfied.", "basic_action"),
    (700_020, 400, INTERACTION, "The interaction requirement was not met.", "basic_action"),
    (53_003, 400, "access_denied", "Access has been blocked by Conditional Access policies.", "message_only"),
    (53_000, 400, INTERACTION, "Your device is required to be compliant to access this resource.", "message_only"),
    (53_001, 400, INTERACTION, "Device is not in required device state: domain_joined.", "message_only"),
    (53_002, 400, INTERACTION, "The application is not an approved app for Conditional Access.", "message_only"),
    (530_032, 400, "access_denied", "Blocked by Conditional Access on security policy.", "message_only"),
    (530_033, 400, "access_denied", "Blocked by Conditional Access on security policy.", "message_only"),
    (530_034, 400, "access_denied", "A delegated administrator was blocked from accessing the tenant.", "message_only"),
    (530_035, 400, "access_denied", "Access has been blocked by security defaults.", "message_only"),
    (65_001, 400, GRANT, "The user or administrator has not consented to use the application.", "consent_required"),
    (650_056, 400, GRANT, "Misconfigured application: the client has not listed any permissions, or an administrator has not consented.", "consent_required"),
    (650_057, 400, GRANT, "Invalid resource. The client has requested access to a resource which is not listed in its requested permissions.", "consent_required"),
    (90_094, 400, GRANT, "Administrator consent is required.", "consent_required"),
    (90_095, 400, GRANT, "Administrator consent is required; a request was made.", "consent_required"),
    (50_057, 400, GRANT, "The user account is disabled.", ""),
    (50_034, 400, GRANT, "The user account does not exist in the directory.", ""),
    (50_055, 400, GRANT, "The password is expired.", "user_password_expired"),
    (54_005, 400, GRANT, "OAuth2 Authorization code was already redeemed.", ""),
    (501_481, 400, GRANT, "The Code_Verifier does not match the code_challenge supplied in the authorization request.", ""),
    (90_133, 400, REQUEST, "Device Code flow is not supported under /common or /consumers endpoint.", ""),
    (9_001_023, 400, REQUEST, "The grant type is not supported over the /common or /consumers endpoints.", ""),
    (50_196, 400, GRANT, "The server terminated an operation because it encountered a client request loop.", ""),
    (90_033, 503, TRANSIENT, "A transient error has occurred. Please try again.", ""),
    (50_033, 400, TRANSIENT, "A transient error occurred. Please try again.", ""),
    (50_087, 400, TRANSIENT, "A transient error has occurred during strong authentication. Please try again.", ""),
    (90_006, 500, "server_error", "External server has returned a retryable error.", ""),
    (90_012, 400, TRANSIENT, "The request has timed out.", ""),
    (90_024, 400, TRANSIENT, "The request budget has been exceeded. Transient error.", ""),
    (90_090, 400, TRANSIENT, "Auth is not available due to a transient error.", ""),
    (90_055, 429, TRANSIENT, "The tenant request is throttled due to incoming request rate.", ""),
    (70_016, 400, "authorization_pending", "OAuth 2.0 device flow error. Authorization is pending. Continue polling.", ""),
    (70_018, 400, "bad_verification_code", "Invalid verification code due to User typing in wrong user code for device code flow.", ""),
    (70_019, 400, "expired_token", "Verification code expired.", ""),
];
