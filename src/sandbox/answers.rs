//! How each service says that something went wrong, for faults that spare the handler the request.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::sandbox::faults::{Fault, RetryAfter};
use crate::sandbox::server::{Service, now};

/// A proxy's page.
const HTML: &str = "<!DOCTYPE html>\n<html><head><title>Service Unavailable</title></head>\n<body><h1>Our services \
                    aren't available right now</h1><p>We're working to restore all services as soon as possible.</p>\
                    </body></html>\n";

/// An answer that was fixed beforehand, for the plumbing and for items of a `$batch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canned {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub content_type: &'static str,
    pub body: String,
}

impl Canned {
    /// JSON without further headers.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: Vec::new(), content_type: "application/json", body: body.to_string() }
    }

    /// Anything else.
    pub(crate) const fn text(status: u16, body: String) -> Self {
        Self { status, headers: Vec::new(), content_type: "text/html", body }
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A header that is not always there.
    #[must_use]
    pub(crate) fn header_if(self, name: &'static str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// The answer on its way out.
    #[must_use]
    pub fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut builder = Response::builder().status(status).header("content-type", self.content_type);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        builder.body(Body::from(self.body)).expect("headers are plain text")
    }
}

/// The answer that a fault prescribes instead of the handler's. `None` for faults of another kind.
#[must_use]
pub fn to_fault(service: Service, fault: &Fault, request_id: &str) -> Option<Canned> {
    match fault {
        Fault::Throttle { retry_after } => Some(throttled(service, *retry_after, request_id)),
        Fault::Status { status, html: true } => Some(Canned::text(*status, HTML.to_owned())),
        Fault::Status { status, html: false } => Some(failed(service, *status, request_id)),
        Fault::HtmlWith200 => Some(Canned::text(200, HTML.to_owned())),
        Fault::ExpirePageToken => Some(bad_page_token(service, request_id)),
        _ => None,
    }
}

/// 429 in the service's form.
#[must_use]
pub fn throttled(service: Service, retry_after: RetryAfter, request_id: &str) -> Canned {
    let canned = match service {
        Service::Okta => okta_error(429, "E0000047", "API call exceeded rate limit due to too many requests."),
        Service::Login => {
            oauth_error(429, "temporarily_unavailable", "AADSTS90055: The tenant request is throttled.", 90055)
        }
        Service::Graph => Canned::json(
            429,
            &json!({"error": {"code": "TooManyRequests", "message": "Please retry again later.", "innerError": {
                "code": "429", "date": graph_date(), "message": "Please retry after",
                "request-id": request_id, "status": "429"}}}),
        ),
    };
    if service == Service::Okta {
        return okta_meter(canned, retry_after);
    }
    match retry_after.header() {
        Some(value) => canned.header("retry-after", value),
        None => canned,
    }
}

/// Okta says when to come back in its own header and never by `Retry-After`.
fn okta_meter(canned: Canned, retry_after: RetryAfter) -> Canned {
    let seconds = match retry_after {
        RetryAfter::Seconds(seconds) | RetryAfter::Date(seconds) => i64::from(seconds),
        RetryAfter::Decimal(_) | RetryAfter::Absent => 0,
    };
    let reset = now().as_second() + seconds;
    canned
        .header("x-rate-limit-limit", "300")
        .header("x-rate-limit-remaining", "0")
        .header("x-rate-limit-reset", reset.to_string())
}

/// A failure of the service itself, or another status that was ordered.
fn failed(service: Service, status: u16, request_id: &str) -> Canned {
    match (service, status) {
        (Service::Okta, 503) => okta_error(503, "E0000010", "Service is in read only mode"),
        (Service::Okta, 403) => {
            okta_error(403, "E0000006", "You do not have permission to perform the requested action")
        }
        (Service::Okta, 404) => okta_error(404, "E0000007", "Not found: Resource not found"),
        (Service::Okta, _) => okta_error(status, "E0000009", "Internal Server Error"),
        (Service::Login, _) => oauth_error(
            status,
            "temporarily_unavailable",
            "AADSTS90033: A transient error has occurred. Please try again.",
            90033,
        ),
        (Service::Graph, _) => {
            let (code, message) = graph_failure(status);
            graph_error(status, code, message, request_id)
        }
    }
}

const fn graph_failure(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."),
        403 => ("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
        404 => (
            "Request_ResourceNotFound",
            "Resource does not exist or one of its queried reference-property objects are not present.",
        ),
        409 => ("Directory_ConcurrencyViolation", "The request was rejected because of a concurrency violation."),
        503 => ("serviceNotAvailable", "The service is temporarily unavailable. Please retry later."),
        504 => ("UnknownError", ""),
        _ => ("InternalServerError", "The server encountered an internal error. Please retry the request."),
    }
}

/// 401 for a credential that is no longer good.
#[must_use]
pub fn dead_token(service: Service, request_id: &str) -> Canned {
    match service {
        Service::Okta => okta_error(401, "E0000011", "Invalid token provided"),
        Service::Login => oauth_error(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.", 7_000_215),
        Service::Graph => {
            graph_error(401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.", request_id)
                .header("www-authenticate", "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"")
        }
    }
}

/// 400 for a page token that is not accepted (any more).
#[must_use]
pub fn bad_page_token(service: Service, request_id: &str) -> Canned {
    match service {
        Service::Okta => okta_error_with(400, "E0000031", "Invalid search criteria.", &["Invalid cursor."]),
        _ => graph_error(
            400,
            "Directory_ExpiredPageToken",
            "The specified page token value has expired and can no longer be included in your request.",
            request_id,
        ),
    }
}

/// Okta's error object.
#[must_use]
pub fn okta_error(status: u16, code: &str, summary: &str) -> Canned {
    okta_error_with(status, code, summary, &[])
}

/// Okta's error object with causes.
#[must_use]
pub fn okta_error_with(status: u16, code: &str, summary: &str, causes: &[&str]) -> Canned {
    let causes: Vec<Value> = causes.iter().map(|cause| json!({"errorSummary": cause})).collect();
    let id = format!("oae{}", error_id());
    Canned::json(
        status,
        &json!({"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": id, "errorCauses": causes}),
    )
}

/// 20 letters and digits behind `oae`, as Okta's error ids have them.
fn error_id() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(20).collect()
}

/// Graph's error object.
#[must_use]
pub fn graph_error(status: u16, code: &str, message: &str, request_id: &str) -> Canned {
    Canned::json(
        status,
        &json!({"error": {"code": code, "message": message, "innerError": {
            "date": graph_date(), "request-id": request_id, "client-request-id": request_id}}}),
    )
}

fn oauth_error(status: u16, error: &str, description: &str, number: u32) -> Canned {
    let trace = crate::sandbox::server::fresh_id();
    Canned::json(
        status,
        &json!({"error": error, "error_description": format!("{description} Trace ID: {trace}"), "error_codes": [number],
                "timestamp": now().strftime("%Y-%m-%d %H:%M:%SZ").to_string(), "trace_id": trace.to_string(),
                "correlation_id": crate::sandbox::server::fresh_id().to_string()}),
    )
}

/// Graph's dates inside errors have no zone.
fn graph_date() -> String {
    now().strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

impl RetryAfter {
    /// The header's value, if it is to be sent at all.
    #[must_use]
    pub fn header(self) -> Option<String> {
        match self {
            Self::Seconds(seconds) => Some(seconds.to_string()),
            Self::Decimal(seconds) => Some(seconds.to_string()),
            Self::Date(seconds) => {
                let at = now().saturating_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or_else(|_| now());
                Some(at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
            }
            Self::Absent => None,
        }
    }
}
