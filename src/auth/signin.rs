//! One POST of a form, one JSON answer: what all grants of all token endpoints share.
//! Source: RFC 6749; <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::auth::authorizer::SendError;
use crate::auth::challenge;
use crate::auth::error::{AuthError, Refusal};
use crate::auth::refusal::{self, Known};
use crate::http::calls::Service;
use crate::http::{Answer, Call, Client, Draft, Repeat, redact};
use crate::secret::{Secret, Wiped};

/// Bytes beyond which no token endpoint answers; what is longer comes from something else.
const LONGEST_ANSWER: usize = 1 << 20;

/// What a token lives for when the answer does not say.
const UNSAID_LIFETIME: Duration = Duration::from_mins(5);

/// A sign-in that succeeded.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) access: Secret,
    /// `DPoP` when the token is bound to a key, else `Bearer`.
    pub(super) bound: bool,
    pub(super) lifetime: Duration,
    /// The refresh token that takes the place of the one used.
    pub(super) refresh: Option<Secret>,
    /// What was granted, where the answer says it.
    pub(super) scope: Option<String>,
}

/// A sign-in that succeeded, as RFC 6749 (5.1) has it. What else an answer holds is nothing to us.
#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    token_type: Option<String>,
    expires_in: Option<Value>,
    refresh_token: Option<Secret>,
    scope: Option<String>,
}

/// Who is asked, on behalf of whom.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) identity: &'static str,
    pub(super) service: Service,
    pub(super) url: Url,
    /// For records: the path without the tenant.
    pub(super) name: &'static str,
    /// Whether asking twice does no more than asking once.
    pub(super) repeat: Repeat,
}

/// A final answer of a token endpoint. Its body is wiped when it is dropped.
pub(super) struct Answered {
    pub(super) answer: Answer,
    endpoint: Endpoint,
}

impl Drop for Answered {
    fn drop(&mut self) {
        drop(Wiped::new(std::mem::take(&mut self.answer.body)));
    }
}

/// The fields of a refusal, each read by itself: one of an odd shape must not hide the others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Refused {
    error: String,
    description: String,
    aadsts: Option<u32>,
    trace_id: Option<String>,
    claims: Option<String>,
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
            claims: text("claims").map(str::to_owned),
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

impl Endpoint {
    /// An endpoint of a tenant in Entra, such as `token`.
    pub(super) fn entra(identity: &'static str, authority: &Url, tenant: &str, last: &'static str) -> Self {
        let mut url = authority.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend([tenant, "oauth2", "v2.0", last]);
        }
        let name = match last {
            "devicecode" => "/{tenant}/oauth2/v2.0/devicecode",
            "authorize" => "/{tenant}/oauth2/v2.0/authorize",
            _ => "/{tenant}/oauth2/v2.0/token",
        };
        Self { identity, service: Service::Entra, url, name, repeat: Repeat::Safe }
    }

    /// The token endpoint of an Okta organization.
    pub(super) fn okta(identity: &'static str, org: &Url) -> Self {
        let mut url = org.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["oauth2", "v1", "token"]);
        }
        Self { identity, service: Service::Okta, url, name: "/oauth2/v1/token", repeat: Repeat::Safe }
    }

    /// Sends until there is a final answer. `draft` builds each try anew, since assertions and proofs are good once.
    pub(super) async fn ask(
        self,
        http: &Client,
        draft: impl Fn() -> Result<Draft, AuthError> + Send + Sync,
    ) -> Result<Answered, AuthError> {
        let call = Call::post(self.service, self.url.clone(), self.name, self.repeat);
        let call = Call { max_body: LONGEST_ANSWER, ..call };
        let sent: Result<Answer, SendError> =
            http.send(&call, |_| std::future::ready(draft().map_err(SendError::Auth))).await;
        match sent {
            Ok(answer) => Ok(Answered { answer, endpoint: self }),
            Err(SendError::Auth(error)) => Err(error),
            Err(SendError::Http(source)) => Err(AuthError::Unreachable { identity: self.identity, source }),
        }
    }
}

impl Answered {
    /// The token in the answer, or why there is none.
    pub(super) fn token(&self) -> Result<Token, AuthError> {
        if let Some(refusal) = self.refusal() {
            return Err(AuthError::Refused(Box::new(refusal)));
        }
        let granted: Granted = self.json()?;
        if granted.access_token.expose().is_empty() {
            return Err(self.unusable("has an empty access token"));
        }
        // A token of a kind that one does not understand must not be used (RFC 6749, 7.1).
        let bound = match granted.token_type.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("bearer") => false,
            Some("dpop") => true,
            Some(_) => return Err(self.unusable("has a `token_type` other than `Bearer` and `DPoP`")),
        };
        Ok(Token {
            access: granted.access_token,
            bound,
            lifetime: seconds(granted.expires_in.as_ref()).map_or(UNSAID_LIFETIME, Duration::from_secs),
            refresh: granted.refresh_token.filter(|token| !token.expose().is_empty()),
            scope: granted.scope,
        })
    }

    fn unusable(&self, why: &'static str) -> AuthError {
        AuthError::Unusable { identity: self.endpoint.identity, host: redact::host(&self.endpoint.url), why }
    }

    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, AuthError> {
        let identity = self.endpoint.identity;
        self.answer.json().map_err(|source| AuthError::Unreachable { identity, source })
    }

    /// What the other side said no to, if it did.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let (answer, status) = (&self.answer, self.answer.status.as_u16());
        if answer.status.is_success() {
            return None;
        }
        let refused = answer.json::<Value>().ok().as_ref().and_then(Refused::read);
        let refused = refused.filter(|refused| !refused.error.is_empty()).unwrap_or_else(|| by_header(answer));
        let description = redact::people(refused.description.lines().next().unwrap_or_default());
        let (by, Known { class, hint }) = match self.endpoint.service {
            Service::Okta => ("Okta", refusal::okta::judge(&refused.error, &description, status)),
            Service::Entra | Service::Graph | Service::Notice => {
                ("Entra", refusal::entra::judge(&refused.error, refused.aadsts, status))
            }
        };
        Some(Refusal {
            by,
            identity: self.endpoint.identity,
            error: if refused.error.is_empty() { format!("HTTP {status}") } else { refused.error },
            description,
            aadsts: refused.aadsts,
            status,
            trace_id: refused.trace_id.or_else(|| answer.request_id.clone()),
            claims: refused.claims,
            class,
            hint: hint.to_owned(),
        })
    }
}

/// A refusal without a word in its body: what the header says, else what kind of answer it is.
fn by_header(answer: &Answer) -> Refused {
    let said = challenge::read(answer);
    let description = if said.description.is_empty() {
        format!("answered with {}", redact::kind_of_body(answer.header("content-type"), &answer.body))
    } else {
        said.description
    };
    Refused { error: said.error, aadsts: number(&description), description, ..Refused::default() }
}

/// A refusal that a browser brought back in its address.
pub(super) fn said_by_browser(identity: &'static str, error: &str, description: &str) -> Refusal {
    let description = redact::people(description.lines().next().unwrap_or_default());
    let aadsts = number(&description);
    let Known { class, hint } = refusal::entra::judge(error, aadsts, 400);
    Refusal {
        by: "Entra",
        identity,
        error: error.to_owned(),
        description,
        aadsts,
        status: 400,
        trace_id: None,
        claims: None,
        class,
        hint: hint.to_owned(),
    }
}

/// Seconds as a number, whole or not, or (from older clouds) as text. What is no length is as if it were not said.
pub(super) fn seconds(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => {
            number.as_u64().or_else(|| Some(Duration::try_from_secs_f64(number.as_f64()?).ok()?.as_secs()))
        }
        _ => None,
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
    fn the_endpoints_are_below_the_authority_and_its_tenant() {
        for authority in ["https://login.example", "https://login.example/"] {
            let url = Endpoint::entra("x", &Url::parse(authority).unwrap(), "contoso.example", "token").url;
            assert_eq!(url.as_str(), "https://login.example/contoso.example/oauth2/v2.0/token");
        }
        let url = Endpoint::okta("x", &Url::parse("https://x.okta.example/").unwrap()).url;
        assert_eq!(url.as_str(), "https://x.okta.example/oauth2/v1/token");
    }

    #[test]
    fn seconds_may_be_a_number_or_text_or_unsaid() {
        for (value, expected) in [
            (json!(3599), Some(3599)),
            (json!(3599.9), Some(3599)),
            (json!("61"), Some(61)),
            (json!(" 61 "), Some(61)),
            (json!(0), Some(0)),
            (json!(u64::MAX), Some(u64::MAX)),
            (json!(-1), None),
            (json!(1e300), None),
            (json!("soon"), None),
            (json!(null), None),
            (json!({}), None),
        ] {
            assert_eq!(seconds(Some(&value)), expected, "{value}");
        }
        assert_eq!(seconds(None), None);
    }
}
