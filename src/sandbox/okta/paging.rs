//! Pages: limits, cursors, and the two `link` lines.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::response::Response;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Answer;
use crate::sandbox::answers::{okta_error, okta_error_with};
use crate::sandbox::server::Site;

/// The query of a request, decoded. Of a name that comes twice the last value counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(text: Option<&str>) -> Self {
        Self(form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// A parameter that is there and not blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The page size: the default when absent, clamped to the most there is.
    pub(super) fn limit(&self, default: usize, most: usize) -> Answer<usize> {
        let Some(text) = self.get("limit") else { return Ok(default) };
        match text.parse::<usize>() {
            Ok(limit) if limit > 0 => Ok(limit.min(most)),
            _ => Err(okta_error_with(400, "E0000001", "Api validation failed: limit", &["limit: invalid page size"])),
        }
    }
}

/// A listing: the path and those parameters that have an effect, without `after` and `limit`.
#[derive(Clone, Debug)]
pub(super) struct Listing<'a> {
    pub(super) path: String,
    pub(super) effective: Vec<(&'static str, &'a str)>,
    pub(super) limit: usize,
}

impl Listing<'_> {
    /// The place from which this page goes on; 0 for the first page.
    pub(super) fn start(&self, site: &Site, after: Option<&str>) -> Answer<u32> {
        let Some(after) = after else { return Ok(0) };
        let place = site.keys.open(&self.purpose(), after).and_then(|value| value.as_u64());
        place.and_then(|place| u32::try_from(place).ok()).ok_or_else(|| {
            if self.effective.is_empty() {
                okta_error(400, "E0000029", "Invalid paging request.")
            } else {
                okta_error_with(400, "E0000031", "Invalid search criteria.", &["Invalid cursor."])
            }
        })
    }

    /// The page on its way out; `next` is where the following one goes on.
    pub(super) fn page(&self, site: &Site, items: &[Value], after: Option<&str>, next: Option<u32>) -> Response {
        let mut response = Response::new(Body::from(serde_json::to_vec(items).expect("JSON made by hand")));
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let mut link = |cursor: Option<&str>, rel: &str| {
            let line = format!("<{}>; rel=\"{rel}\"", self.url(&site.okta_url, cursor));
            headers.append("link", HeaderValue::from_str(&line).expect("percent-encoded"));
        };
        link(after, "self");
        if let Some(place) = next {
            let cursor = site.keys.seal(&self.purpose(), &json!(place));
            link(Some(&cursor), "next");
        }
        response
    }

    /// The address as Okta rewrites it: `after`, the explicit `limit`, then what has an effect; spaces as `+`.
    fn url(&self, base: &str, cursor: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(cursor) = cursor {
            query.append_pair("after", cursor);
        }
        query.append_pair("limit", &self.limit.to_string());
        query.extend_pairs(&self.effective);
        format!("{base}{}?{}", self.path, query.finish())
    }

    /// A cursor is good for the listing it was given out for, with any page size.
    fn purpose(&self) -> String {
        format!("okta cursor {} {:?}", self.path, self.effective)
    }
}

/// Takes a page out of rows: as many as fit, and where the next page begins, if there is one.
pub(super) fn take<T>(rows: impl Iterator<Item = (u32, T)>, limit: usize) -> (Vec<T>, Option<u32>) {
    let mut page = Vec::with_capacity(limit.min(512));
    for (row, item) in rows {
        if page.len() == limit {
            return (page, Some(row));
        }
        page.push(item);
    }
    (page, None)
}
