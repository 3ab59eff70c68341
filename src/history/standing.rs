//! Rows that stand until they change: what a pass over everybody finds as it was costs no row.
//!
//! A pass over a million people compares digests, 25 bytes each, and writes the few that differ.

use std::hash::{DefaultHasher, Hasher as _};

use serde_json::Value;

use crate::history::Write;
use crate::history::error::HistoryError;

/// How much a pass wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// New rows.
    pub written: u64,
    /// Rows of what is no longer listed, closed.
    pub gone: u64,
}

/// What stands, compact: a hash of the key, the digest, the row.
#[derive(Debug, Default)]
pub(super) struct Standing {
    rows: Vec<(u64, u64, i64)>,
    seen: Vec<bool>,
}

/// The place of a key in [`Standing`]. 64 bits: among a million keys two share one once in 30 million passes.
pub(super) fn key(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in parts {
        hasher.write(part.as_bytes());
        hasher.write_u8(0xff); // is in no UTF-8: `ab`, `c` is not `a`, `bc`
    }
    hasher.finish()
}

impl Standing {
    /// Room for as many rows as were counted.
    pub(super) fn with_room(rows: i64) -> Self {
        Self { rows: Vec::with_capacity(usize::try_from(rows).unwrap_or(0)), seen: Vec::new() }
    }

    pub(super) fn push(&mut self, key: u64, digest: i64, row: i64) {
        #[expect(clippy::cast_sign_loss, reason = "a digest is 64 bits, however they are read")]
        self.rows.push((key, digest as u64, row));
    }

    /// Ends the reading; before it nothing is found.
    pub(super) fn seal(&mut self) {
        self.rows.sort_unstable_by_key(|(key, _, _)| *key);
        self.seen = vec![false; self.rows.len()];
    }

    /// Marks a key as looked at: the digest that stands, and its row.
    pub(super) fn look_up(&mut self, key: u64) -> Option<(u64, i64)> {
        let found = self.rows.binary_search_by_key(&key, |(key, _, _)| *key).ok()?;
        self.seen[found] = true;
        Some((self.rows[found].1, self.rows[found].2))
    }

    /// The rows whose keys were not looked at.
    fn unseen(&self) -> impl Iterator<Item = i64> {
        self.rows.iter().zip(&self.seen).filter(|(_, seen)| !**seen).map(|((_, _, row), _)| *row)
    }
}

/// One thing that a pass found.
pub(super) struct Seen<V> {
    pub(super) key: u64,
    /// Equal digests mean that nothing changed.
    pub(super) digest: u64,
    /// Makes the row of it, with the digest as the database keeps it. Called only when it is written.
    pub(super) row: V,
}

/// A table of such rows, as one pass writes to it. Rows come as JSON lists.
pub(super) trait Table: Sync {
    /// Closes the rows with these ids.
    fn close(&self, tx: &mut Write<'_>, ids: String) -> impl Future<Output = Result<(), HistoryError>> + Send;

    /// Adds rows.
    fn add(&self, tx: &mut Write<'_>, rows: String) -> impl Future<Output = Result<(), HistoryError>> + Send;
}

/// How many new rows one statement adds. Evidence makes a row about 2 KB, and a statement's rows stand in memory several
/// times over: as values, as text, and in SQLite's own form of JSON.
const ROWS: usize = 200;

/// Closes the rows of what changed and adds new ones; with `full`, also closes the rows of what was not found. What is
/// found twice counts once, the first time.
pub(super) async fn replace<V>(
    table: &impl Table,
    tx: &mut Write<'_>,
    mut standing: Standing,
    full: bool,
    found: impl Iterator<Item = Seen<V>> + Send,
) -> Result<Recorded, HistoryError>
where
    V: FnOnce(i64) -> Value + Send,
{
    let mut recorded = Recorded::default();
    let mut batch = Batch::default();
    for one in found {
        match standing.look_up(one.key) {
            Some((digest, _)) if digest == one.digest => continue,
            Some((_, row)) => batch.closed.push(row),
            None => {}
        }
        #[expect(clippy::cast_possible_wrap, reason = "a digest is 64 bits, however they are read")]
        batch.rows.push((one.row)(one.digest as i64));
        recorded.written += 1;
        if batch.rows.len() >= ROWS {
            batch.write(table, tx).await?;
        }
    }
    if full {
        batch.write(table, tx).await?;
        batch.closed = standing.unseen().collect();
        recorded.gone = batch.closed.len() as u64;
    }
    batch.write(table, tx).await?;
    Ok(recorded)
}

/// Rows gathered for one statement each.
#[derive(Default)]
struct Batch {
    closed: Vec<i64>,
    rows: Vec<Value>,
}

impl Batch {
    /// Closes old rows first, since of one key one row stands at most; then adds the new ones.
    async fn write(&mut self, table: &impl Table, tx: &mut Write<'_>) -> Result<(), HistoryError> {
        if !self.closed.is_empty() {
            table.close(tx, Value::from(std::mem::take(&mut self.closed)).to_string()).await?;
        }
        if !self.rows.is_empty() {
            table.add(tx, Value::from(std::mem::take(&mut self.rows)).to_string()).await?;
        }
        Ok(())
    }
}
