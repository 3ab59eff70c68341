//! A request to Graph and the answer to it, whether it travels alone or inside a `$batch`.

use jiff::Timestamp;
use serde_json::Value;

use crate::sandbox::server::Note;

/// A request. Its path begins with the version and is percent-encoded as it came.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// `request-id` of the answer.
    pub(super) id: String,
    pub(super) at: Timestamp,
}

/// An answer, before it is put on the wire or into a batch.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
    /// For the journal.
    pub(super) note: Note,
}

/// What an answer carries.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Empty,
    Json(Value),
    Text(String),
}

impl Call {
    /// A header's value, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the caller accepts eventual consistency: half of what advanced queries need.
    pub(super) fn is_eventual(&self) -> bool {
        self.header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
    }
}

impl Answer {
    pub(super) fn json(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Json(body), note: Note::default() }
    }

    /// 204.
    pub(super) fn done() -> Self {
        Self { status: 204, headers: Vec::new(), body: Body::Empty, note: Note::default() }
    }

    /// 202: taken, and nothing more.
    pub(super) fn accepted() -> Self {
        Self { status: 202, headers: Vec::new(), body: Body::Empty, note: Note::default() }
    }

    pub(super) fn text(body: String) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Text(body), note: Note::default() }
    }

    pub(super) fn noting(mut self, note: Note) -> Self {
        self.note = note;
        self
    }

    /// Adds headers; those that are there already stay.
    pub(super) fn with_headers(mut self, headers: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.headers.extend(headers);
        self
    }
}
