//! What runs of some kinds bring home.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::import::{Changed, Entry, ImportTally};
use crate::domain::request::{Asker, Method};
use crate::domain::run::RunId;
use crate::jobs::answers::Reply;

/// What a directory run found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct DirectoryDetails {
    pub tally: ImportTally,
    /// The run of the import before, which the differences are to.
    pub previous: Option<RunId>,
    /// The first entries of each kind that wants to be looked at, at most [`DirectoryDetails::LISTED`] of each.
    pub entries: Vec<Entry>,
    /// The first differences of each kind, as many of each.
    pub changes: Vec<Changed>,
    /// What is worth knowing beside the counts, a sentence each.
    pub notes: Vec<String>,
}

impl DirectoryDetails {
    /// So many are listed of each kind; all are in the history.
    pub const LISTED: usize = 10;
}

/// What a request run sent, or would send.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RequestDetails {
    pub method: Option<Method>,
    /// With version and query.
    pub address: String,
    /// `app` or `user`.
    pub identity: Option<Asker>,
    /// As they would be sent; when only planned.
    pub headers: Vec<(String, String)>,
    /// The same, without what a secret's name stands before.
    pub body: Option<Value>,
    /// One a page.
    pub calls: Vec<Reply>,
    /// How many records the pages had, where they are lists.
    pub items: u64,
    /// The id of a write that has its row already.
    #[serde(skip)]
    pub recorded: Option<String>,
}
