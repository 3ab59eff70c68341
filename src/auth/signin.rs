//! One POST of a form, one JSON answer: what all grants of Entra's token endpoint share.
//! Source: <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::auth::error::AuthError;
use crate::http::calls::Service;
use crate::http::{Answer, Call, Client, Draft, HttpError, Repeat, redact};
use crate::secret::Secret;

/// What a token lives for when the answer does not say.
const UNSAID_LIFETIME: Duration = Duration::from_mins(5);

/// A sign-in that succeeded.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) access: Secret,
    pub(super) lifetime: Duration,
    /// The refresh token that takes the place of the one used.
    pub(super) refresh: Option<Secret>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<Value>,
    refresh_token: Option<String>,
}

/// The fields of a refusal, each read by itself: one of an odd shape must not hide the others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Refused {
    error: String,
    description: String,
    aadsts: Option<u32>,
    trace_id: Option<String>,
}

impl Refused {
    /// `None` when the answer is no JSON object.
    fn read(body: &Value) -> Option<Self> {
        let fields = body.as_object()?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let description = text("error_description").unwrap_or_default();
        let listed = match fields.get("error_codes") {
            Some(Value::Array(codes)) => codes.iter().find_map(code),
            Some(single) => code(single),
            None => None,
        };
        Some(Self {
            error: text("error").unwrap_or_default().to_owned(),
            description: description.to_owned(),
            aadsts: listed.or_else(|| number(description)),
            trace_id: text("trace_id").map(str::to_owned),
        })
    }
}

/// A number, or a number as text, with or without `AADSTS` before it.
fn code(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.trim().trim_start_matches("AADSTS").parse().ok(),
        other => u32::try_from(other.as_u64()?).ok(),
    }
}

/// The token endpoint of a tenant.
pub(super) fn token_url(authority: &Url, tenant: &str) -> Url {
    let mut url = authority.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend([tenant, "oauth2", "v2.0", "token"]);
    }
    url
}

/// Asks for a token. Asking twice is harmless for each grant that is used: a refresh token survives its use.
pub(super) async fn sign_in(
    http: &Client,
    url: Url,
    identity: &'static str,
    fields: Vec<(&'static str, Secret)>,
    basic: Option<Secret>,
) -> Result<Token, AuthError> {
    let call = Call::post(Service::Entra, url, "/{tenant}/oauth2/v2.0/token", Repeat::Safe);
    let draft = Draft { authorization: basic, ..Draft::new().form(fields) };
    let sent: Result<Answer, HttpError> = http.send(&call, |_| async { Ok(draft.clone()) }).await;
    let answer = sent.map_err(|source| AuthError::Unreachable { identity, source })?;
    if !answer.status.is_success() {
        return Err(refused(identity, &answer));
    }
    let granted: Granted = answer.json().map_err(|source| AuthError::Unreachable { identity, source })?;
    Ok(Token {
        access: Secret::new(granted.access_token),
        lifetime: lifetime(granted.expires_in.as_ref()),
        refresh: granted.refresh_token.filter(|token| !token.is_empty()).map(Secret::new),
    })
}

/// Seconds, as a number or (in older clouds) as text.
fn lifetime(expires_in: Option<&Value>) -> Duration {
    let seconds = expires_in.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
    seconds.map_or(UNSAID_LIFETIME, Duration::from_secs)
}

fn refused(identity: &'static str, answer: &Answer) -> AuthError {
    let status = answer.status.as_u16();
    let Some(refused) = answer.json::<Value>().ok().as_ref().and_then(Refused::read) else {
        let description =
            format!("answered with {}", redact::kind_of_body(answer.header("content-type"), &answer.body));
        let (error, trace_id) = (format!("HTTP {status}"), answer.request_id.clone());
        return AuthError::Refused { identity, error, description, aadsts: None, status, trace_id };
    };
    let first_line = refused.description.lines().next().unwrap_or_default();
    AuthError::Refused {
        identity,
        error: if refused.error.is_empty() { format!("HTTP {status}") } else { refused.error },
        description: redact::people(first_line),
        aadsts: refused.aadsts,
        status,
        trace_id: refused.trace_id.or_else(|| answer.request_id.clone()),
    }
}

/// The number behind `AADSTS` in a description.
fn number(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_number_is_found_in_the_description() {
        assert_eq!(number("AADSTS7000215: Invalid client secret"), Some(7_000_215));
        assert_eq!(number("nothing of the kind"), None);
        assert_eq!(number("AADSTS"), None);
    }

    #[test]
    fn a_refusal_with_an_odd_field_keeps_its_number() {
        let said = "AADSTS700082: expired";
        let odd = [
            json!({"error": "invalid_grant", "error_codes": ["700082"], "error_description": null}),
            json!({"error": "invalid_grant", "error_codes": ["AADSTS700082"]}),
            json!({"error": "invalid_grant", "error_codes": [null, {}, 700_082], "trace_id": 7}),
            json!({"error": "invalid_grant", "error_codes": 700_082}),
            json!({"error": "invalid_grant", "error_codes": null, "error_description": said}),
            json!({"error": "invalid_grant", "error_codes": [-1, 1.5, 99_999_999_999_u64], "error_description": said}),
        ];
        for body in odd {
            let refused = Refused::read(&body).unwrap();
            assert_eq!((refused.error.as_str(), refused.aadsts), ("invalid_grant", Some(700_082)), "{body}");
        }
        let nothing_known = Refused::read(&json!({"error": {"code": 1}, "error_codes": []}));
        assert_eq!(nothing_known, Some(Refused::default()));
        assert_eq!(Refused::read(&json!(["invalid_grant"])), None);
    }

    #[test]
    fn the_token_endpoint_is_below_the_authority_and_its_tenant() {
        for authority in ["https://login.example", "https://login.example/"] {
            let url = token_url(&Url::parse(authority).unwrap(), "contoso.example");
            assert_eq!(url.as_str(), "https://login.example/contoso.example/oauth2/v2.0/token");
        }
    }

    #[test]
    fn a_lifetime_may_be_a_number_or_text_or_unsaid() {
        assert_eq!(lifetime(Some(&Value::from(3599))), Duration::from_secs(3599));
        assert_eq!(lifetime(Some(&Value::from("61"))), Duration::from_secs(61));
        assert_eq!(lifetime(None), UNSAID_LIFETIME);
    }
}
