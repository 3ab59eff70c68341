//! What has happened: runs, decisions, writes, calls, licenses, and what later runs must remember.
//!
//! The only room that speaks SQL. One SQLite file in WAL mode: one writer that syncs every commit, a few readers that
//! never wait for it. One function per question; each file holds the questions to one group of tables. It knows no vendor,
//! no configuration, and no clock: times are handed in.
//!
//! Queries are checked while compiling, against `.sqlx/`. After changing one or a migration, write those files anew:
//!
//! ```text
//! cat migrations/*.sql | sqlite3 /tmp/scratch.db
//! rm -f .sqlx/* && touch src/history/mod.rs
//! SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$PWD/.sqlx DATABASE_URL=sqlite:/tmp/scratch.db cargo check --tests
//! ```

pub mod calls;
pub mod changes;
pub mod decisions;
pub mod directory;
pub mod ends;
pub mod error;
pub mod events;
pub mod export;
pub mod figures;
pub mod gauge;
pub mod identities;
pub mod jobs;
pub mod licenses;
pub mod links;
pub mod meta;
pub mod moments;
pub mod notices;
mod open;
pub mod outbox;
pub mod parked;
pub mod plans;
pub mod retention;
mod rows;
pub mod runs;
pub mod source;
mod standing;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod views;
pub mod volume;

use std::path::{Path, PathBuf};

use sqlx::SqlitePool;

use crate::history::ends::Owed;
use crate::history::error::HistoryError;
use crate::history::open::FileId;

/// The open history. Clones share its connections.
#[derive(Clone, Debug)]
pub struct History {
    path: PathBuf,
    /// One connection; absent when opened to read only.
    writer: Option<SqlitePool>,
    reader: SqlitePool,
    /// The file that was opened, by device and inode; absent when opened to read only.
    file: Option<FileId>,
    owed: Owed,
}

/// What a name or the beginning of an id led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    One(T),
    Nothing,
    /// More than one begins so; the first ten.
    Several(Vec<String>),
}

/// A write transaction. Takes the write lock at once: one that reads first and writes later fails at the slightest rivalry.
type Write<'a> = sqlx::Transaction<'a, sqlx::Sqlite>;

impl History {
    /// The file behind it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The connection that writes, after a look whether the file is still there: SQLite would go on writing into one that was
    /// deleted, and everything would be gone with the process.
    fn writer(&self) -> Result<&SqlitePool, HistoryError> {
        let writer = self.writer.as_ref().ok_or(HistoryError::ReadOnly { source: None })?;
        match FileId::of(&self.path) {
            Ok(found) if self.file.is_some_and(|opened| opened != found) => {
                Err(HistoryError::Replaced { path: self.path.clone() })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(HistoryError::Replaced { path: self.path.clone() })
            }
            // What else is wrong with it SQLite says better.
            Ok(_) | Err(_) => Ok(writer),
        }
    }

    /// Tries whether rows could be written now, and writes none.
    ///
    /// # Errors
    ///
    /// The database is locked, or to be read alone.
    pub async fn can_write(&self) -> Result<(), HistoryError> {
        Ok(self.begin().await?.rollback().await?)
    }

    async fn begin(&self) -> Result<Write<'static>, HistoryError> {
        Ok(self.writer()?.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// How many rows go to SQLite in one `json_each` insert. Bounds the memory of a statement; larger gains no speed.
const CHUNK: usize = 2_000;

/// Above everything that begins with `prefix`, for a range that an index can walk.
fn after_prefix(prefix: &str) -> String {
    format!("{prefix}\u{10FFFF}")
}
