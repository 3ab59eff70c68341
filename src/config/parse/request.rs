//! The request job: one call to Graph, and what keeps it from doing harm.

use serde_json::{Map, Value};

use crate::config::key::KeyPath;
use crate::config::near::nearest;
use crate::config::parse::Parser;
use crate::config::parse::jobs::wrong_request;
use crate::config::raw::{List, RawJob};
use crate::config::settings::RequestSettings;
use crate::domain::request::{Asker, Method, Version};

/// Headers that change how Graph answers and not who asks. `Authorization` and the ids of requests are the program's.
/// Sources: <https://learn.microsoft.com/graph/aad-advanced-queries>, <https://learn.microsoft.com/graph/use-the-api>
const HEADERS: [&str; 6] = ["ConsistencyLevel", "Prefer", "If-Match", "If-None-Match", "Accept-Language", "Accept"];

/// So many pages are followed when nobody says otherwise, and at most.
const PAGES: u32 = 100;
const MOST_PAGES: u32 = 10_000;

impl Parser<'_> {
    pub(super) fn request(&mut self, path: &KeyPath, raw: RawJob) -> Option<RequestSettings> {
        let method = self.listed(&path.key("method"), raw.method.as_deref(), Method::ALL, Method::Get);
        if method.writes() && raw.allow_writes != Some(true) {
            let message = format!("`{method}` writes, or may: say `allow_writes = true` if that is meant");
            self.report.problem(&path.key("method"), message);
        }
        let version = self.listed(&path.key("version"), raw.version.as_deref(), Version::ALL, Version::V1);
        let identity = self.listed(&path.key("identity"), raw.identity.as_deref(), Asker::ALL, Asker::App);
        let key = path.key("path");
        let target = self.required(&key, raw.path, "is missing: the path of the call, such as \"/organization\"");
        if let Some(target) = &target {
            self.target(&key, target, raw.query.is_some(), identity);
        }
        let query = self.pairs(&path.key("query"), raw.query);
        let headers = self.headers(&path.key("headers"), raw.headers);
        let body = self.body(&path.key("body"), raw.body, method);
        let all_pages = raw.all_pages.unwrap_or(false);
        if all_pages && method != Method::Get {
            self.report.problem(&path.key("all_pages"), format!("goes with GET only, and this is a {method}"));
        }
        let max_pages = raw.max_pages.unwrap_or(PAGES);
        if !(1..=MOST_PAGES).contains(&max_pages) {
            self.report.problem(&path.key("max_pages"), format!("must be from 1 to {MOST_PAGES}"));
        } else if raw.max_pages.is_some() && !all_pages {
            self.report.warn(&path.key("max_pages"), "has no effect without `all_pages = true`");
        }
        let expected_status = self.statuses(&path.key("expected_status"), raw.expected_status);
        Some(RequestSettings {
            method,
            version,
            path: target?,
            query,
            headers,
            body,
            identity,
            max_pages,
            all_pages,
            save_bodies: raw.save_bodies.unwrap_or(false),
            expected_status,
        })
    }

    fn target(&mut self, key: &KeyPath, target: &str, has_query: bool, identity: Asker) {
        let first = target.split(['/', '?']).nth(1).unwrap_or_default().to_ascii_lowercase();
        let me = first == "me";
        if let Some(wrong) = wrong_request(target) {
            self.report.problem(key, wrong);
        } else if first.contains('%') {
            self.report.problem(key, "hides what is called behind a `%`: write its first part as it is");
        } else if first == "$batch" {
            let message = "`$batch` hides which calls were made and what became of them: write a job for each call";
            self.report.problem(key, message);
        } else if has_query && target.contains('?') {
            self.report.problem(key, "has a query, and there is a table `query` as well: write all of it in one place");
        } else if me && identity == Asker::App {
            let message =
                "`/me` is whoever signed in, and Graph refuses it to an application: say `identity = \"user\"`";
            self.report.problem(key, message);
        }
    }

    /// A table of plain values as texts.
    fn pairs(&mut self, path: &KeyPath, raw: Option<Map<String, Value>>) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for (name, value) in raw.into_iter().flatten() {
            match value {
                Value::String(text) => pairs.push((name, text)),
                Value::Number(number) => pairs.push((name, number.to_string())),
                Value::Bool(flag) => pairs.push((name, flag.to_string())),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    self.report.problem(&path.key(&name), "must be a text, a number, or true or false");
                }
            }
        }
        pairs
    }

    fn headers(&mut self, path: &KeyPath, raw: Option<Map<String, Value>>) -> Vec<(String, String)> {
        let mut headers = self.pairs(path, raw);
        headers.retain_mut(|(name, value)| {
            let key = path.key(name);
            let Some(known) = HEADERS.iter().find(|known| known.eq_ignore_ascii_case(name)) else {
                let message = if name.eq_ignore_ascii_case("authorization") {
                    "the program signs in by itself: a token has no place in the configuration".to_owned()
                } else {
                    format!("`{name}` is not one of {}", HEADERS.join(", "))
                };
                self.report.unwanted(&key, message, nearest(name, HEADERS));
                return false;
            };
            if value.is_empty() || !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
                self.report.problem(&key, "must be visible ASCII letters");
                return false;
            }
            (*known).clone_into(name);
            true
        });
        headers
    }

    /// A table, or JSON as text.
    fn body(&mut self, path: &KeyPath, raw: Option<Value>, method: Method) -> Option<Value> {
        let body = raw?;
        if !method.takes_a_body() {
            self.report.problem(path, format!("goes with POST, PATCH and PUT only, and this is a {method}"));
            return None;
        }
        match body {
            Value::String(text) => match serde_json::from_str(&text) {
                Ok(body) => Some(body),
                Err(error) => {
                    self.report.problem(path, format!("is not JSON: {error}"));
                    None
                }
            },
            body @ (Value::Object(_) | Value::Array(_)) => Some(body),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.report.problem(path, "must be a table, or JSON as a text");
                None
            }
        }
    }

    fn statuses(&mut self, path: &KeyPath, raw: Option<List<u16>>) -> Vec<u16> {
        let mut statuses = Vec::new();
        for (index, status) in raw.into_iter().flatten().enumerate() {
            match status {
                Some(status @ 200..=599) => statuses.push(status),
                Some(status) => {
                    self.report.problem(&path.index(index), format!("{status} is not the status of an answer"));
                }
                None => {}
            }
        }
        statuses
    }
}
