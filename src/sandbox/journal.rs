//! What was asked of the sandbox: a row a request, and a row for every item inside a `$batch`.
//!
//! Tests and measurements count here and not in the client, which could count what it meant to do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::sandbox::server::Service;

/// Rows kept for [`Journal::count`] and [`Journal::rows`]; older ones stay in the summary and in
/// [`Journal::writes`] only. A pass over a million people fits.
const KEPT: usize = 1_000_000;

/// The journal. Cheap to clone; every clone is the same one.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    rows: VecDeque<Row>,
    writes: Vec<Row>,
    totals: BTreeMap<(Service, bool, String, String, u16), u64>,
    total: u64,
}

/// A request, or an item of a `$batch`.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub at: Timestamp,
    pub service: Service,
    pub method: String,
    /// Percent-encoding as it came, without the query. Graph's begin with `/v1.0`, also inside a `$batch`.
    pub path: String,
    pub query: String,
    pub status: u16,
    pub client_request_id: Option<String>,
    /// The id that the answer carried (`request-id`, `x-okta-request-id`).
    pub request_id: String,
    /// Whether this was an item inside a `$batch`.
    pub item: bool,
    /// What a write of a manager did.
    pub write: Option<ManagerWrite>,
    /// The fault that was ordered for this request, by name.
    pub fault: Option<&'static str>,
}

/// A write of a manager as it arrived, and whether it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ManagerWrite {
    #[serde(serialize_with = "as_text")]
    pub account: Uuid,
    /// The manager before.
    #[serde(serialize_with = "as_text_if_any")]
    pub from: Option<Uuid>,
    #[serde(serialize_with = "as_text_if_any")]
    pub to: Option<Uuid>,
    pub stored: bool,
}

/// A line of the summary: requests of one kind with one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub service: Service,
    pub item: bool,
    pub method: String,
    /// The path with ids taken out: `/v1.0/users/{id}/manager/$ref`.
    pub endpoint: String,
    pub status: u16,
    pub count: u64,
}

/// The journal in figures. Exact however long the run was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Requests over the wire, items of batches not counted.
    pub requests: u64,
    /// Items inside batches.
    pub items: u64,
    /// Answers 429, items included.
    pub throttled: u64,
    /// Manager writes that were stored.
    pub writes: u64,
    pub lines: Vec<Line>,
}

impl Journal {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a row. The server plumbing does that for requests, `$batch` for its items.
    pub fn push(&self, row: Row) {
        let mut book = self.book();
        let key = (row.service, row.item, row.method.clone(), endpoint(&row.path), row.status);
        *book.totals.entry(key).or_default() += 1;
        book.total += 1;
        if row.write.is_some() {
            book.writes.push(row.clone());
        }
        if book.rows.len() == KEPT {
            book.rows.pop_front();
        }
        book.rows.push_back(row);
    }

    /// How many rows satisfy `wanted`.
    #[must_use]
    pub fn count(&self, wanted: impl Fn(&Row) -> bool) -> usize {
        self.book().rows.iter().filter(|row| wanted(row)).count()
    }

    /// The rows that satisfy `wanted`, oldest first.
    #[must_use]
    pub fn rows(&self, wanted: impl Fn(&Row) -> bool) -> Vec<Row> {
        self.book().rows.iter().filter(|row| wanted(row)).cloned().collect()
    }

    /// Every write of a manager that arrived, stored or not, oldest first.
    #[must_use]
    pub fn writes(&self) -> Vec<Row> {
        self.book().writes.clone()
    }

    /// How many pages of a listing were served: requests for exactly this path that were answered 200.
    #[must_use]
    pub fn pages(&self, service: Service, path: &str) -> usize {
        self.count(|row| !row.item && row.service == service && row.path == path && row.status == 200)
    }

    /// Requests over the wire of one service, items of batches not counted.
    #[must_use]
    pub fn requests(&self, service: Service) -> u64 {
        let book = self.book();
        book.totals.iter().filter(|(key, _)| key.0 == service && !key.1).map(|(_, count)| count).sum()
    }

    /// All of it in figures.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let book = self.book();
        let mut summary = Summary::default();
        for ((service, item, method, endpoint, status), count) in &book.totals {
            let counter = if *item { &mut summary.items } else { &mut summary.requests };
            *counter += count;
            if *status == 429 {
                summary.throttled += count;
            }
            summary.lines.push(Line {
                service: *service,
                item: *item,
                method: method.clone(),
                endpoint: endpoint.clone(),
                status: *status,
                count: *count,
            });
        }
        let stored = book.writes.iter().filter(|row| row.write.is_some_and(|write| write.stored)).count();
        summary.writes = stored as u64;
        summary
    }

    /// Forgets everything, so that a test can count from here.
    pub fn clear(&self) {
        *self.book() = Book::default();
    }
}

fn as_text<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

#[expect(clippy::ref_option, reason = "serde hands references")]
fn as_text_if_any<S: Serializer>(id: &Option<Uuid>, serializer: S) -> Result<S::Ok, S::Error> {
    id.map(|id| id.to_string()).serialize(serializer)
}

/// A path with its ids taken out.
fn endpoint(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').map(|segment| if is_id(segment) { "{id}" } else { segment }).collect();
    segments.join("/")
}

/// Whether a path segment names one object: a GUID, an Okta id, a login or a principal name.
fn is_id(segment: &str) -> bool {
    let okta = segment.len() == 20 && ["00u", "00g", "0oa"].iter().any(|prefix| segment.starts_with(prefix));
    okta || segment.contains('@') || segment.contains("%40") || Uuid::try_parse(segment).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, status: u16) -> Row {
        Row {
            at: Timestamp::UNIX_EPOCH,
            service: Service::Okta,
            method: "GET".into(),
            path: path.into(),
            query: String::new(),
            status,
            client_request_id: None,
            request_id: "r".into(),
            item: false,
            write: None,
            fault: None,
        }
    }

    #[test]
    fn ids_are_taken_out_of_paths() {
        assert_eq!(endpoint("/api/v1/users/00u4kq9w2ZrT7bMxe1d7"), "/api/v1/users/{id}");
        assert_eq!(
            endpoint("/v1.0/users/6b1d2c0e-9a0f-4c1b-8e57-2f0d7c5a1e44/manager/$ref"),
            "/v1.0/users/{id}/manager/$ref"
        );
        assert_eq!(endpoint("/api/v1/users/ana%40corp.example"), "/api/v1/users/{id}");
        assert_eq!(endpoint("/v1.0/users/$count"), "/v1.0/users/$count");
    }

    #[test]
    fn the_summary_counts_by_endpoint_and_status() {
        let journal = Journal::default();
        journal.push(row("/api/v1/users", 200));
        journal.push(row("/api/v1/users", 200));
        journal.push(row("/api/v1/users", 429));
        let summary = journal.summary();
        assert_eq!((summary.requests, summary.items, summary.throttled), (3, 0, 1));
        assert_eq!(summary.lines.len(), 2);
        assert_eq!(journal.pages(Service::Okta, "/api/v1/users"), 2);
    }
}
