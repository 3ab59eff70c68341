//! Graph's refusals: status, `error.code`, `error.message`, and the object around them.
//!
//! Source: <https://learn.microsoft.com/graph/errors>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::sandbox::graph::call::{Answer, Body, Call};
use crate::sandbox::server::Note;

/// Why a request is not carried out.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) headers: Vec<(&'static str, String)>,
    /// Boxed, since most refusals are about something else than a write.
    note: Option<Box<Note>>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), headers: Vec::new(), note: None }
    }

    /// 400 of the directory itself.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "Request_BadRequest", message)
    }

    /// 400 of Graph's front, before the directory sees the request.
    pub(super) fn front(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 400 for a query option's value.
    pub(super) fn unsupported_query(message: impl Into<String>) -> Self {
        Self::new(400, "Request_UnsupportedQuery", message)
    }

    /// An operator that only advanced queries know.
    pub(super) fn needs_advanced(operator: &str) -> Self {
        Self::unsupported_query(format!(
            "Operator '{operator}' is not supported because the required parameters might be missing. Try adding \
             $count=true query parameter and ConsistencyLevel:eventual header. Refer to \
             https://aka.ms/graph-docs/advanced-queries for more information"
        ))
    }

    pub(super) fn unknown_segment(segment: &str) -> Self {
        Self::front(format!("Resource not found for the segment '{segment}'."))
    }

    /// 404 for an object, or for the member `manager` of one.
    pub(super) fn not_found(name: &str) -> Self {
        let message = format!(
            "Resource '{name}' does not exist or one of its queried reference-property objects are not present."
        );
        Self::new(404, "Request_ResourceNotFound", message)
    }

    pub(super) fn wrong_method() -> Self {
        Self::new(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
    }

    pub(super) fn not_implemented() -> Self {
        Self::new(501, "NotImplemented", "This operation target is not yet supported.")
    }

    pub(super) fn denied() -> Self {
        Self::new(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    }

    /// 403 of Exchange, which has words of its own.
    pub(super) fn mail_denied() -> Self {
        Self::new(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        let challenge = "Bearer realm=\"\", \
                         authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
                         client_id=\"00000003-0000-0000-c000-000000000000\"";
        let headers = vec![("www-authenticate", challenge.to_owned())];
        Self { headers, ..Self::new(401, "InvalidAuthenticationToken", message) }
    }

    /// 401 for a token without claims that a policy has come to want. In the header as base64, in a token request as is.
    pub(super) fn challenged(claims: &str) -> Self {
        let challenge = format!(
            "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
             error=\"insufficient_claims\", claims=\"{}\"",
            STANDARD.encode(claims)
        );
        let message = "Continuous access evaluation resulted in challenge with result: InteractionRequired.";
        let headers = vec![("www-authenticate", challenge)];
        Self { headers, ..Self::new(401, "InvalidAuthenticationToken", message) }
    }

    pub(super) fn expired_page() -> Self {
        Self::new(
            400,
            "Directory_ExpiredPageToken",
            "The specified page token value has expired and can no longer be included in your request.",
        )
    }

    /// 429 of the identity service, to be waited out for so many seconds.
    pub(super) fn throttled(retry_after: u64, scope: String, information: &str) -> Self {
        let headers = vec![
            ("retry-after", retry_after.to_string()),
            ("x-ms-throttle-scope", scope),
            ("x-ms-throttle-information", information.to_owned()),
        ];
        Self { headers, ..Self::new(429, "TooManyRequests", "Please retry again later.") }
    }

    pub(super) fn noting(mut self, note: Note) -> Self {
        self.note = Some(Box::new(note));
        self
    }

    /// The answer that carries this refusal.
    pub(super) fn answer(self, call: &Call, lowercase: bool) -> Answer {
        let body = Body::Json(self.body(call, lowercase));
        let note = self.note.map(|note| *note).unwrap_or_default();
        Answer { status: self.status, headers: self.headers, body, note }
    }

    fn body(&self, call: &Call, lowercase: bool) -> Value {
        // Graph's date has no zone; it is UTC.
        let date = call.at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let mut inner = json!({
            "date": date, "request-id": call.id,
            "client-request-id": call.header("client-request-id").unwrap_or(&call.id),
        });
        if self.status == 429 {
            inner["code"] = json!("429");
            inner["status"] = json!("429");
            inner["message"] = json!("Please retry after");
        }
        let spelling = if lowercase { "innererror" } else { "innerError" };
        json!({"error": {"code": self.code, "message": self.message, spelling: inner}})
    }
}
