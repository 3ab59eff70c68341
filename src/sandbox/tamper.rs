//! Faults that spoil an answer after the request was carried out and journalled.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_LENGTH, DATE, HeaderValue, LINK};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::sandbox::faults::Fault;
use crate::sandbox::server::{Asked, Service, Site, now};

/// The host to which [`Fault::ForeignNextLink`] leads. Nobody must ever ask it for anything.
pub(crate) const FOREIGN: &str = "https://attacker.example";

/// Time for the first half to leave before the connection breaks; broken at once, nothing of it would.
const FLUSH: Duration = Duration::from_millis(20);

/// The answer as the fault leaves it.
pub(crate) async fn spoil(response: Response, fault: &Fault, asked: &Asked, site: &Site) -> Response {
    match fault {
        Fault::CutJson => cut(response).await,
        Fault::Reset => reset(response).await,
        Fault::LoopNextLink => point_next(response, asked, base(site, asked)).await,
        Fault::ForeignNextLink => point_next(response, asked, FOREIGN).await,
        Fault::EmptyList => empty(response, asked).await,
        Fault::OtherClock { seconds } => dated(response, *seconds),
        _ => response,
    }
}

fn base<'a>(site: &'a Site, asked: &Asked) -> &'a str {
    match asked.service {
        Service::Okta => &site.okta_url,
        Service::Login => &site.login_url,
        Service::Graph => &site.graph_url,
    }
}

async fn bytes_of(body: Body) -> Bytes {
    to_bytes(body, usize::MAX).await.unwrap_or_default()
}

/// Half of the body, framed as if it were all.
async fn cut(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let bytes = bytes_of(body).await;
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from(bytes.slice(..bytes.len() / 2)))
}

/// Half of the body, and then the connection is gone although the header promised more.
async fn reset(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let bytes = bytes_of(body).await;
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len().max(1)));
    let half = bytes.slice(..bytes.len() / 2);
    let broken = async {
        tokio::time::sleep(FLUSH).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    Response::from_parts(head, Body::from_stream(stream::once(async { Ok(half) }).chain(stream::once(broken))))
}

/// The next link replaced by (or, on a last page, joined by) one to this very request at `host`.
async fn point_next(response: Response, asked: &Asked, host: &str) -> Response {
    let next = format!("{host}{}", asked.target());
    let (mut head, body) = response.into_parts();
    if asked.service == Service::Okta {
        drop_next(&mut head.headers);
        if let Ok(value) = HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")) {
            head.headers.append(LINK, value);
        }
        return Response::from_parts(head, body);
    }
    head.headers.remove(CONTENT_LENGTH);
    let mut page: Value = serde_json::from_slice(&bytes_of(body).await).unwrap_or_default();
    page["@odata.nextLink"] = json!(next);
    Response::from_parts(head, Body::from(page.to_string()))
}

/// The same answer with nothing in its list and nothing after it.
async fn empty(response: Response, asked: &Asked) -> Response {
    let (mut head, body) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    if asked.service == Service::Okta {
        drop_next(&mut head.headers);
        return Response::from_parts(head, Body::from("[]"));
    }
    let mut page: Value = serde_json::from_slice(&bytes_of(body).await).unwrap_or_default();
    if let Some(fields) = page.as_object_mut() {
        fields.remove("@odata.nextLink");
        fields.insert("value".to_owned(), json!([]));
    }
    Response::from_parts(head, Body::from(page.to_string()))
}

/// The same answer from a machine whose clock goes wrong.
fn dated(mut response: Response, seconds: i64) -> Response {
    let theirs = now().saturating_add(SignedDuration::from_secs(seconds)).unwrap_or_default();
    if let Ok(date) = HeaderValue::from_str(&theirs.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

fn drop_next(headers: &mut axum::http::HeaderMap) {
    let kept: Vec<HeaderValue> =
        headers.get_all(LINK).iter().filter(|value| !value.as_bytes().ends_with(b"rel=\"next\"")).cloned().collect();
    headers.remove(LINK);
    for value in kept {
        headers.append(LINK, value);
    }
}
