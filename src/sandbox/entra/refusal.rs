//! Refusals of the token endpoint: `error`, `AADSTS` number, text, and the object that carries them.
//!
//! Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::entra::rows;

/// Why no token is issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    error: String,
    number: u32,
    text: String,
    suberror: Option<&'static str>,
    /// A claims challenge, as the client has to send it back.
    claims: Option<String>,
}

/// The ids under which Entra would find the refused request again.
pub(super) struct Trace<'a> {
    pub(super) id: &'a str,
    pub(super) correlation_id: &'a str,
    /// Where the sign-in service lives, for `error_uri`.
    pub(super) login_url: &'a str,
    pub(super) at: Timestamp,
}

/// What the policy of this tenant wants, once it wants something.
pub(super) fn wanted_claims() -> String {
    json!({"access_token": {"capolids": {"essential": true, "values": ["sandbox"]}}}).to_string()
}

impl Refusal {
    fn new(status: StatusCode, error: &'static str, number: u32, text: impl Into<String>) -> Self {
        Self { status, error: error.to_owned(), number, text: text.into(), suberror: None, claims: None }
    }

    fn bad(error: &'static str, number: u32, text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, number, text)
    }

    fn client(number: u32, text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", number, text)
    }

    fn grant(number: u32, text: impl Into<String>) -> Self {
        Self::bad("invalid_grant", number, text)
    }

    fn suberror(mut self, suberror: &'static str) -> Self {
        self.suberror = Some(suberror);
        self
    }

    /// The documented refusal with this number, under another `error` if one is given.
    pub(super) fn numbered(number: u32, error: Option<&str>) -> Option<Self> {
        let (number, status, usual, text, suberror) = *rows::row(number)?;
        let status = StatusCode::from_u16(status).ok()?;
        let refusal = Self { error: error.unwrap_or(usual).to_owned(), ..Self::new(status, usual, number, text) };
        let refusal = if suberror.is_empty() { refusal } else { refusal.suberror(suberror) };
        Some(if suberror == "basic_action" { refusal.challenging() } else { refusal })
    }

    pub(super) fn error(&self) -> &str {
        &self.error
    }

    /// With its number, as `error_description` begins.
    pub(super) fn text(&self) -> String {
        format!("AADSTS{}: {}", self.number, self.text)
    }

    /// With the claims that a policy wants.
    fn challenging(self) -> Self {
        Self { claims: Some(wanted_claims()), ..self }
    }

    fn row(number: u32) -> Self {
        Self::numbered(number, None).expect("a number of the table")
    }

    pub(super) fn disabled_app(client: &str) -> Self {
        Self::bad("unauthorized_client", 7_000_112, format!("Application '{client}' is disabled."))
    }

    pub(super) fn bad_assertion(text: &str) -> Self {
        Self::client(700_027, text)
    }

    pub(super) fn assertion_out_of_time() -> Self {
        Self::row(700_024)
    }

    /// A token of a platform that the app does not trust. The numbers are not on the vendor's list.
    pub(super) fn no_federation(number: u32, what: &str, value: &str) -> Self {
        let text = format!("No matching federated identity record found for presented assertion {what} '{value}'.");
        Self::client(number, text)
    }

    pub(super) fn too_old_refresh_token() -> Self {
        Self::row(70_043)
    }

    pub(super) fn not_on_common() -> Self {
        Self::row(90_133)
    }

    pub(super) fn authorization_pending() -> Self {
        Self::row(70_016)
    }

    /// Not in the vendor's table; its own client libraries understand it.
    pub(super) fn slow_down() -> Self {
        Self::bad("slow_down", 70_016, "The client polls too often.")
    }

    pub(super) fn declined() -> Self {
        Self::bad("authorization_declined", 70_017, "The end user denied the authorization request.")
    }

    pub(super) fn declined_at_browser() -> Self {
        Self::bad("access_denied", 65_004, "User declined to consent to access the app.")
    }

    pub(super) fn unknown_device_code() -> Self {
        Self::row(70_018)
    }

    pub(super) fn expired_device_code() -> Self {
        Self::row(70_019)
    }

    pub(super) fn foreign_redirect(uri: &str) -> Self {
        let text = format!(
            "The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the \
             application."
        );
        Self::bad("invalid_client", 50_011, text)
    }

    pub(super) fn bad_challenge() -> Self {
        Self::bad("invalid_request", 501_491, "Invalid size of Code_Challenge parameter.")
    }

    pub(super) fn unknown_code() -> Self {
        Self::row(70_000)
    }

    pub(super) fn expired_code() -> Self {
        Self::row(70_008)
    }

    pub(super) fn used_code() -> Self {
        Self::row(54_005)
    }

    pub(super) fn wrong_verifier() -> Self {
        Self::row(501_481)
    }

    pub(super) fn unknown_tenant(tenant: &str) -> Self {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the \
             correct cloud. Check with your subscription administrator, this may happen if there are no active \
             subscriptions for the tenant."
        );
        Self::bad("invalid_request", 90002, text)
    }

    pub(super) fn malformed_tenant(tenant: &str) -> Self {
        let text =
            format!("Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.");
        Self::bad("invalid_request", 900_023, text)
    }

    /// `common` and its like where a concrete tenant is needed.
    pub(super) fn no_tenant() -> Self {
        let text = "No tenant-identifying information found in either the request or implied by any provided \
                    credentials.";
        Self::bad("invalid_request", 50059, text)
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::bad(
            "invalid_request",
            900_144,
            format!("The request body must contain the following parameter: '{parameter}'."),
        )
    }

    pub(super) fn unsupported_grant(grant: &str) -> Self {
        Self::bad("unsupported_grant_type", 70003, format!("The app requested an unsupported grant type '{grant}'."))
    }

    pub(super) fn unknown_app(client: &str, tenant: &str) -> Self {
        let text = format!(
            "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the \
             application has not been installed by the administrator of the tenant or consented to by any user in the \
             tenant. You may have sent your authentication request to the wrong tenant."
        );
        Self::bad("unauthorized_client", 700_016, text)
    }

    pub(super) fn wrong_secret(client: &str) -> Self {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
             not the client secret ID, for a secret added to app '{client}'."
        );
        Self::client(7_000_215, text)
    }

    pub(super) fn expired_secret(client: &str) -> Self {
        let text = format!(
            "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys \
             for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added \
             security: https://aka.ms/certCreds."
        );
        Self::client(7_000_222, text)
    }

    pub(super) fn no_secret() -> Self {
        let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        Self::client(7_000_218, text)
    }

    pub(super) fn secret_of_public_client() -> Self {
        let text = "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.";
        Self::client(700_025, text)
    }

    pub(super) fn invalid_scope(scope: &str) -> Self {
        let text = format!(
            "The provided request must include a 'scope' input parameter. The provided value for the input parameter \
             'scope' is not valid. The scope {scope} is not valid."
        );
        Self::bad("invalid_scope", 70011, text)
    }

    pub(super) fn several_resources(scope: &str) -> Self {
        let text = format!(
            "The provided value for the input parameter 'scope' isn't valid because it contains more than one \
             resource. Scope {scope} is not valid."
        );
        Self::bad("invalid_scope", 700_022, text)
    }

    pub(super) fn unknown_resource(resource: &str, tenant: &str) -> Self {
        let text = format!(
            "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if \
             the application has not been installed by the administrator of the tenant or consented to by any user \
             in the tenant. You might have sent your authentication request to the wrong tenant."
        );
        Self::bad("invalid_resource", 500_011, text)
    }

    pub(super) fn unknown_refresh_token() -> Self {
        Self::grant(70000, "Provided grant is invalid or malformed.").suberror("bad_token")
    }

    pub(super) fn foreign_refresh_token() -> Self {
        let text = "The provided value for the input parameter 'refresh_token' was issued to another client.";
        Self::grant(70000, text).suberror("client_mismatch")
    }

    pub(super) fn inactive_refresh_token() -> Self {
        let text = "The refresh token has expired due to inactivity. The token was issued on \
                    2026-01-02T03:04:05.0000000Z and was inactive for 90.00:00:00.";
        Self::grant(700_082, text).suberror("token_expired")
    }

    pub(super) fn revoked_refresh_token() -> Self {
        let text = "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user \
                    might have changed or reset their password.";
        Self::grant(50173, text).suberror("bad_token")
    }

    pub(super) fn step_up() -> Self {
        let text = "Due to a configuration change made by your administrator, or because you moved to a new location, \
                    you must use multi-factor authentication to access '00000003-0000-0000-c000-000000000000'.";
        Self::grant(50076, text).suberror("basic_action").challenging()
    }

    pub(super) fn no_consent(client: &str, name: &str) -> Self {
        let text = format!(
            "The user or administrator has not consented to use the application with ID '{client}' named '{name}'. \
             Send an interactive authorization request for this user and resource."
        );
        Self::grant(65001, text).suberror("consent_required")
    }

    pub(super) fn user_disabled() -> Self {
        Self::grant(50057, "The user account is disabled.")
    }

    /// The body as Entra sends it.
    pub(super) fn body(&self, trace: &Trace<'_>) -> Value {
        let Trace { id, correlation_id, login_url, at } = trace;
        let stamp = at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let description = format!(
            "AADSTS{}: {}\r\nTrace ID: {id}\r\nCorrelation ID: {correlation_id}\r\nTimestamp: {stamp}",
            self.number, self.text
        );
        let mut body = json!({
            "error": self.error, "error_description": description, "error_codes": [self.number], "timestamp": stamp,
            "trace_id": id, "correlation_id": correlation_id,
            "error_uri": format!("{login_url}/error?code={}", self.number),
        });
        if let Some(suberror) = self.suberror {
            body["suberror"] = json!(suberror);
        }
        if let Some(claims) = &self.claims {
            body["claims"] = json!(claims);
        }
        body
    }

    /// The body of the discovery document's 400, which names the error otherwise than the token endpoint does.
    pub(super) fn discovery_body(&self, trace: &Trace<'_>) -> Value {
        let mut body = self.body(trace);
        body["error"] = json!("invalid_tenant");
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_documented_members_and_types() {
        let at = "2026-09-21T08:15:30.25Z".parse().unwrap();
        let trace = Trace { id: "t", correlation_id: "c", login_url: "http://127.0.0.1:1", at };
        let body = Refusal::wrong_secret("app").body(&trace);
        assert_eq!(body["error"], "invalid_client");
        assert_eq!(body["error_codes"], json!([7_000_215]));
        assert_eq!(body["timestamp"], "2026-09-21 08:15:30Z");
        assert_eq!(body["error_uri"], "http://127.0.0.1:1/error?code=7000215");
        let description = body["error_description"].as_str().unwrap();
        assert!(description.starts_with("AADSTS7000215: Invalid client secret provided."), "{description}");
        assert!(
            description.ends_with("Trace ID: t\r\nCorrelation ID: c\r\nTimestamp: 2026-09-21 08:15:30Z"),
            "{description}"
        );
        assert!(body.get("claims").is_none());
    }

    #[test]
    fn a_step_up_carries_a_claims_challenge_as_text() {
        let trace = Trace { id: "t", correlation_id: "c", login_url: "", at: Timestamp::UNIX_EPOCH };
        let body = Refusal::step_up().body(&trace);
        assert_eq!(body["suberror"], "basic_action");
        let claims: Value = serde_json::from_str(body["claims"].as_str().unwrap()).unwrap();
        assert!(claims["access_token"].is_object());
    }
}
