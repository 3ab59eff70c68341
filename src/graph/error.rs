//! Why Graph gave no answer that could be used.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::auth::{AuthError, Class, SendError};
use crate::graph::permissions::needed;
use crate::http::chain::{Chain, Doubt};
use crate::http::{Answer, HttpError, Method, redact};

/// A call to Graph without a usable answer.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    #[error("{0}")]
    Refused(Box<Refusal>),
    #[error("no usable answer from Microsoft Graph")]
    Http(#[source] HttpError),
    #[error("no access to Microsoft Graph")]
    Auth(#[source] AuthError),
    /// A page repeats itself, leads elsewhere, or dies again and again.
    #[error("Microsoft Graph's listing {path} cannot be believed")]
    Listing {
        path: String,
        #[source]
        source: Doubt,
    },
    /// A record without a field that each must have, or with one that is not what it should be.
    #[error("{record} in Microsoft Graph's answer to {path}: {fault}")]
    Record { path: String, record: String, fault: String },
    /// An item of a batch was not answered.
    #[error("the answer to a batch says nothing of {method} {path}")]
    Unanswered { method: Method, path: String },
    #[error("no {0} identity is configured for Microsoft Graph")]
    NoIdentity(&'static str),
    #[error("`{path}` is not a path below Microsoft Graph's `/v1.0`")]
    Path { path: String },
}

/// Graph said no.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{method} {path} was refused: {status} {code}: {message}{} (request-id {})", patience(*asked_to_wait), request_id.as_deref().unwrap_or("none"))]
pub struct Refusal {
    pub method: Method,
    pub path: String,
    pub status: u16,
    /// The outer code, such as `Request_BadRequest`. May be empty.
    pub code: String,
    /// The deepest code within, where it says more.
    pub inner_code: Option<String>,
    pub message: String,
    pub request_id: Option<String>,
    /// The wait that was asked for and was too long.
    pub asked_to_wait: Option<Duration>,
}

fn patience(wait: Option<Duration>) -> String {
    wait.map(|wait| format!(", come back in {} seconds", wait.as_secs())).unwrap_or_default()
}

/// Graph's error object, wherever it stands.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    error: Body,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    code: String,
    message: String,
    #[serde(alias = "innererror", rename = "innerError")]
    inner: Option<Value>,
}

impl From<SendError> for GraphError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Http(error) => Self::Http(error),
            SendError::Auth(error) => Self::Auth(error),
        }
    }
}

impl From<HttpError> for GraphError {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

impl GraphError {
    /// The refusal that an answer with another status than 2xx is. The body may be anything, even nothing.
    pub(super) fn refused(answer: &Answer) -> Self {
        Self::Refused(Box::new(Refusal::of(answer)))
    }

    pub(super) fn doubt(chain: &Chain, source: Doubt) -> Self {
        Self::Listing { path: chain.path().to_owned(), source }
    }

    /// Whether a listing has to begin again because its page token is no longer good.
    pub(super) fn is_dead_token(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is("Directory_ExpiredPageToken"))
    }

    /// The code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }

    /// Who has to act.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Auth(error) => error.class(),
            Self::Http(HttpError::Setup { .. } | HttpError::Address { .. })
            | Self::NoIdentity(_)
            | Self::Path { .. } => Class::Misconfigured,
            Self::Http(_) | Self::Listing { .. } | Self::Record { .. } | Self::Unanswered { .. } => Class::Retry,
            Self::Refused(refusal) => refusal.class(),
        }
    }

    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Auth(error) => error.hint(),
            Self::Http(error) => error.hint(),
            Self::Refused(refusal) => refusal.hint(),
            Self::NoIdentity("app") => Some("configure `[entra.app]`"),
            Self::NoIdentity(_) => Some("configure `[entra.user]`"),
            Self::Path { .. } => Some("write it like `/me` or `/users?$top=5`"),
            Self::Listing { .. } | Self::Record { .. } | Self::Unanswered { .. } => None,
        }
    }
}

impl Refusal {
    /// What an answer with another status than 2xx says. The body may be anything, even nothing.
    pub(super) fn of(answer: &Answer) -> Self {
        let envelope: Envelope = answer.json().unwrap_or_default();
        let status = answer.status.as_u16();
        let mut refusal = Self::new(answer.method.clone(), answer.path.clone(), status, envelope.error);
        refusal.request_id = answer.request_id.clone().or(refusal.request_id);
        refusal.asked_to_wait = answer.asked_to_wait;
        if refusal.code.is_empty() && refusal.message.is_empty() {
            let kind = answer.header("content-type");
            refusal.message = format!("answered with {}", redact::kind_of_body(kind, &answer.body));
        }
        refusal
    }

    /// The permissions that Graph itself says are missing. The directory's own refusals name none; those of reports, devices
    /// and audit logs do.
    #[must_use]
    pub fn named_permissions(&self) -> Vec<&str> {
        // What the token does have is listed behind these words.
        let ends = ["Scopes on the request", "Roles on the request"];
        let end = ends.iter().filter_map(|end| self.message.find(end)).min().unwrap_or(self.message.len());
        let words = self.message[..end].split(|letter: char| !letter.is_ascii_alphanumeric() && !"-.".contains(letter));
        let mut named: Vec<&str> =
            words.map(|word| word.trim_matches('.')).filter(|word| is_permission(word)).collect();
        named.dedup();
        named
    }

    /// A refusal from an error object as it stood in an answer or in an item of a batch.
    pub(super) fn from_json(method: Method, path: String, status: u16, body: Option<Value>) -> Self {
        let envelope: Envelope = body.and_then(|body| serde_json::from_value(body).ok()).unwrap_or_default();
        Self::new(method, path, status, envelope.error)
    }

    fn new(method: Method, path: String, status: u16, body: Body) -> Self {
        let (inner_code, request_id) = body.inner.as_ref().map(innermost).unwrap_or_default();
        Self {
            method,
            path,
            status,
            inner_code: inner_code.filter(|code| *code != body.code),
            code: body.code,
            message: redact::people(&body.message),
            request_id,
            asked_to_wait: None,
        }
    }

    /// Whether either code is this one.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code.eq_ignore_ascii_case(code) || self.inner_code.as_deref().is_some_and(|c| c.eq_ignore_ascii_case(code))
    }

    /// Whether Graph will not change the object because another directory masters it.
    #[must_use]
    pub fn is_mastered_elsewhere(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        self.status == 400
            && (message.contains("on-premises mastered") || message.contains("originated within an external service"))
    }

    /// Who has to act.
    #[must_use]
    pub fn class(&self) -> Class {
        if self.is("Authorization_IdentityNotFound") {
            return Class::NeedsHuman;
        }
        match self.status {
            401 | 403 => Class::NeedsHuman,
            409 | 429 | 500.. => Class::Retry,
            _ => Class::Misconfigured,
        }
    }

    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        if self.is("Authorization_IdentityNotFound") {
            return Some(
                "grant admin consent to the application in this tenant; after consent it can take some minutes",
            );
        }
        if self.is_about_mail()
            && let Some(hint) = self.mail_hint()
        {
            return Some(hint);
        }
        if self.is("Authorization_RequestDenied") || self.is("ErrorAccessDenied") {
            return needed(&self.method, &self.path).map(|needed| needed.grant);
        }
        if self.is("Authentication_RequestFromNonPremiumTenantOrB2CTenant") {
            return Some("the tenant has no license for this feature");
        }
        if self.is_mastered_elsewhere() {
            return Some(
                "change it in the directory that masters the account, or move its source of authority to the cloud",
            );
        }
        if self.message.contains("delegated authentication flow") {
            return Some("`/me` needs the signed-in user: configure `[entra.user]`");
        }
        match self.status {
            401 => Some(
                "check that `entra.graph_url`, `entra.cloud` and the tenant belong together: the token was refused",
            ),
            429 => Some("another program uses up the tenant's budget, or this one runs too often"),
            _ => None,
        }
    }
}

impl Refusal {
    fn is_about_mail(&self) -> bool {
        self.path.to_ascii_lowercase().ends_with("/sendmail")
    }

    /// What to do about a mail that was not taken.
    /// Source: <https://learn.microsoft.com/graph/api/user-sendmail>, and what others met
    fn mail_hint(&self) -> Option<&'static str> {
        let message = self.message.to_ascii_lowercase();
        let says = |text: &str| message.contains(text);
        if self.is("MailboxNotEnabledForRESTAPI") || says("inactive, soft-deleted") {
            return Some(
                "the sender needs a mailbox in Exchange Online: give it a license (a new mailbox takes minutes to hours), or \
                 name a sender who has one",
            );
        }
        if says("access to odata is disabled") {
            return Some(
                "an application access policy of Exchange shuts this mailbox to the application: add the sender to the \
                 policy's scope (a change takes up to two hours)",
            );
        }
        if self.is("ErrorSendAsDenied") {
            return Some("send from the mailbox of the identity itself, or give it the right to send as the other");
        }
        if self.is("ErrorInvalidRecipients") {
            return Some("correct the addresses in the channel's `to`");
        }
        if self.status == 404 {
            return Some("there is no such mailbox: correct the channel's `from`");
        }
        (self.status == 403).then_some(
            "grant Mail.Send (application; delegated when the signed-in person sends) and give admin consent; if it is \
             granted, an application access policy of Exchange shuts this mailbox",
        )
    }
}

/// Whether a word has the form of a permission, such as `User.Read.All`.
fn is_permission(word: &str) -> bool {
    const DOES: [&str; 6] = ["Read", "ReadBasic", "ReadWrite", "Send", "Manage", "Create"];
    let parts: Vec<&str> = word.split('.').collect();
    let capital = |part: &&str| part.starts_with(|letter: char| letter.is_ascii_uppercase());
    parts.len() >= 2 && parts.iter().all(capital) && parts[1..].iter().any(|part| DOES.contains(part))
}

/// The deepest code and the deepest request id of an inner error, in either spelling. Numbers as codes say nothing.
fn innermost(inner: &Value) -> (Option<String>, Option<String>) {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let (mut code, mut request_id) = (None, None);
    let mut level = Some(inner);
    while let Some(value) = level {
        code = text(value, "code").filter(|code| !code.is_empty() && code.parse::<u16>().is_err()).or(code);
        request_id = text(value, "request-id").or(request_id);
        level = value.get("innerError").or_else(|| value.get("innererror"));
    }
    (code, request_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(method: Method, path: &str, status: u16, json: &str) -> Refusal {
        Refusal::from_json(method, path.into(), status, Some(serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn both_spellings_of_the_inner_error_are_read_to_the_bottom() {
        for inner in ["innerError", "innererror"] {
            let json = format!(
                r#"{{"error":{{"code":"A","message":"m","{inner}":{{"code":"B","request-id":"r1","{inner}":{{"code":"C","status":"4"}}}}}}}}"#
            );
            let refusal = refusal(Method::GET, "/x", 400, &json);
            assert_eq!(refusal.inner_code.as_deref(), Some("C"));
            assert_eq!(refusal.request_id.as_deref(), Some("r1"));
            assert!(refusal.is("A") && refusal.is("C"));
        }
        let throttled = r#"{"error":{"code":"TooManyRequests","message":"","innerError":{"code":"429"}}}"#;
        assert_eq!(refusal(Method::GET, "/x", 429, throttled).inner_code, None);
    }

    #[test]
    fn a_missing_permission_is_named_by_the_call_that_needs_it() {
        let denied = r#"{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}"#;
        let cases = [
            (Method::GET, "/v1.0/users", "User.Read.All"),
            (Method::PUT, "/users/1/manager/$ref", "User.ReadWrite.All"),
            (Method::DELETE, "/users/1/manager/$ref", "User.ReadWrite.All"),
            (Method::GET, "/v1.0/subscribedSkus", "LicenseAssignment.Read.All"),
            (Method::GET, "/v1.0/directory/subscriptions", "Organization.Read.All"),
            (Method::GET, "/v1.0/me", "User.Read "),
        ];
        for (method, path, permission) in cases {
            let refusal = refusal(method, path, 403, denied);
            assert!(refusal.hint().unwrap().contains(permission), "{path}: {:?}", refusal.hint());
            assert_eq!(refusal.class(), Class::NeedsHuman);
        }
    }

    #[test]
    fn known_refusals_have_a_remedy_and_an_owner() {
        let cases = [
            (401, "Authorization_IdentityNotFound", "", Class::NeedsHuman, "consent"),
            (403, "Authorization_IdentityNotFound", "", Class::NeedsHuman, "consent"),
            (401, "InvalidAuthenticationToken", "Invalid audience.", Class::NeedsHuman, "graph_url"),
            (
                400,
                "Request_BadRequest",
                "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.",
                Class::Misconfigured,
                "masters the account",
            ),
            (
                400,
                "BadRequest",
                "/me request is only valid with delegated authentication flow.",
                Class::Misconfigured,
                "entra.user",
            ),
            (429, "TooManyRequests", "", Class::Retry, "budget"),
        ];
        for (status, code, message, class, hint) in cases {
            let json = format!(r#"{{"error":{{"code":"{code}","message":"{message}"}}}}"#);
            let refusal = refusal(Method::GET, "/x", status, &json);
            assert_eq!(refusal.class(), class, "{code}");
            assert!(refusal.hint().unwrap().contains(hint), "{code}: {:?}", refusal.hint());
        }
    }

    #[test]
    fn permissions_that_graph_names_are_read_from_its_words() {
        let cases: [(&str, &[&str]); 4] = [
            ("Insufficient privileges to complete the operation.", &[]),
            (
                "The principal does not have required Microsoft Graph permission(s): AuditLog.Read.All to call this API.",
                &["AuditLog.Read.All"],
            ),
            (
                "Missing scope permissions on the request. API requires one of 'Calendars.Read, Calendars.ReadWrite'. Scopes on the request 'User.Read'.",
                &["Calendars.Read", "Calendars.ReadWrite"],
            ),
            ("Resource 'ana.read@x' does not exist. See Graph.Explorer.", &[]),
        ];
        for (message, named) in cases {
            let json = serde_json::json!({ "error": { "code": "Forbidden", "message": message } });
            let refusal = Refusal::from_json(Method::GET, "/x".into(), 403, Some(json));
            assert_eq!(refusal.named_permissions(), named, "{message}");
        }
    }

    #[test]
    fn a_body_that_is_no_error_object_is_no_reason_to_fail() {
        for json in ["[]", "7", r#"{"error":"text"}"#, "{}"] {
            assert_eq!(refusal(Method::GET, "/x", 502, json).class(), Class::Retry);
        }
    }
}
