//! What can go wrong with the history, and what an operator does about it.

use std::error::Error;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::domain::run::RunId;

/// A run that is open already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRun {
    pub job: String,
    pub run: RunId,
    pub since: Timestamp,
    pub pid: u32,
    pub caller: String,
}

/// The history could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("the directory of the history, {}, is missing or cannot be entered", path.display())]
    NoDirectory {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot create {}", path.display())]
    NotCreated {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot open the history {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: Box<HistoryError>,
    },
    #[error("there is no history yet")]
    Absent,
    #[error("the database file cannot be read")]
    Unreadable {
        #[source]
        source: sqlx::Error,
    },
    #[error("the file is not a SQLite database")]
    NotADatabase {
        #[source]
        source: sqlx::Error,
    },
    #[error("the database is damaged")]
    Damaged {
        #[source]
        source: sqlx::Error,
    },
    #[error("the database is locked by another program")]
    Locked {
        #[source]
        source: Option<sqlx::Error>,
    },
    #[error("the disk of the history is full")]
    Full {
        #[source]
        source: sqlx::Error,
    },
    #[error("the history cannot be written, only read")]
    ReadOnly {
        #[source]
        source: Option<sqlx::Error>,
    },
    /// `found` and `known` are migrations; `program` is the version that wrote the database.
    #[error(
        "the database is of version {found}, written by graphkeeper {program}; this program knows versions up to {known}"
    )]
    Newer { found: i64, known: i64, program: String },
    #[error("the database is of version {found}; it needs to be brought to version {known}")]
    Older { found: i64, known: i64 },
    #[error("migration {version} of the database is not the one of this program")]
    AlteredMigration { version: i64 },
    #[error("cannot bring the database to version {version}")]
    Migration {
        version: i64,
        #[source]
        source: Box<HistoryError>,
    },
    #[error("cannot back up the database to {}", path.display())]
    Backup {
        path: PathBuf,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Writing on would be writing into a file that nobody can open any more.
    #[error("{} was deleted or replaced while this program had it open", path.display())]
    Replaced { path: PathBuf },
    #[error("the history belongs to the {what} {stored}, not to {configured}")]
    OtherOwner { what: &'static str, stored: String, configured: String },
    #[error("job {} is busy: run {} of {} (process {}) is open since {}", .0.job, .0.run, .0.caller, .0.pid, .0.since)]
    Busy(Box<OpenRun>),
    /// A clock that was set back brought it once more.
    #[error("the moment {moment} of {job} was run already, by run {run}")]
    AlreadyRun { job: String, moment: Timestamp, run: RunId },
    /// Draw another id and try again.
    #[error("a run {0} exists already")]
    RunIdTaken(RunId),
    #[error("there is no {what} {id} in the history")]
    Missing { what: &'static str, id: String },
    #[error("{table}.{column} of {id} is not understood")]
    BadRow {
        table: &'static str,
        column: &'static str,
        id: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the history failed")]
    Query {
        #[source]
        source: sqlx::Error,
    },
}

impl HistoryError {
    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Open { source, .. } | Self::Migration { source, .. } => return source.hint(),
            Self::NoDirectory { .. } => "create the directory, owned by the service's user, or set `state.directory`",
            Self::NotCreated { .. } => "let the service's user write to the state directory",
            Self::Absent => "start the daemon or run a job once; it creates the history",
            Self::Unreadable { .. } => {
                "read it as the service's user or as a member of its group, and check the file's permissions"
            }
            Self::NotADatabase { .. } => {
                "move the file away: a new history is begun; remembered links and parked people are then learned anew"
            }
            Self::Damaged { .. } => {
                "stop the daemon, then restore a backup (graphkeeper.db.backup-*), or rescue what is left with `sqlite3 graphkeeper.db .recover`"
            }
            Self::Locked { .. } => "end the program that holds it, such as a `sqlite3` in a transaction, and try again",
            Self::Full { .. } => "free space on the disk of the state directory; the next run writes again",
            Self::ReadOnly { .. } => "run this as the service's user, or let the running daemon do it",
            Self::Newer { .. } => {
                "use that version of graphkeeper or a later one, or restore the backup made before it"
            }
            Self::Older { .. } => "start the daemon of this version once; it backs the database up and migrates it",
            Self::AlteredMigration { .. } => "use the released program that wrote this database",
            Self::Backup { .. } => {
                "free space on the disk of the state directory, or let the service's user write there"
            }
            Self::Replaced { .. } => {
                "put the file back, or stop the service, put another in its place without the old `-wal` and `-shm` beside it, and start the service"
            }
            Self::OtherOwner { .. } => "give each Okta org and each tenant a `state.directory` of its own",
            Self::Busy(_) => "wait until that run has ended",
            Self::AlreadyRun { .. } => "see that the clock is right: `timedatectl`",
            Self::RunIdTaken(_) | Self::Missing { .. } | Self::BadRow { .. } | Self::Query { .. } => return None,
        })
    }

    /// Whether trying again cannot help, however often: somebody has to put another file or another program there.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Open { source, .. } | Self::Migration { source, .. } => source.is_lasting(),
            Self::NotADatabase { .. }
            | Self::Damaged { .. }
            | Self::Newer { .. }
            | Self::AlteredMigration { .. }
            | Self::OtherOwner { .. } => true,
            _ => false,
        }
    }

    /// The same failure, with the file it befell.
    pub(super) fn opening(self, path: &std::path::Path) -> Self {
        Self::Open { path: path.to_owned(), source: Box::new(self) }
    }
}

/// SQLite's result codes that have a remedy. Source: <https://www.sqlite.org/rescode.html>
mod code {
    pub(super) const PERM: i64 = 3;
    pub(super) const BUSY: i64 = 5;
    pub(super) const LOCKED: i64 = 6;
    pub(super) const READONLY: i64 = 8;
    pub(super) const CORRUPT: i64 = 11;
    pub(super) const FULL: i64 = 13;
    pub(super) const CANTOPEN: i64 = 14;
    pub(super) const AUTH: i64 = 23;
    pub(super) const NOTADB: i64 = 26;
    /// The file that WAL mode shares cannot be made longer: `SQLITE_IOERR_SHMSIZE`.
    pub(super) const NO_ROOM_TO_SHARE: i64 = 4_874;
}

/// SQLite's extended result code, where the error has one.
fn extended_code(error: &sqlx::Error) -> Option<i64> {
    error.as_database_error()?.code()?.parse().ok()
}

impl From<sqlx::Error> for HistoryError {
    fn from(source: sqlx::Error) -> Self {
        if matches!(source, sqlx::Error::PoolTimedOut) {
            return Self::Locked { source: Some(source) };
        }
        let extended = extended_code(&source);
        if extended == Some(code::NO_ROOM_TO_SHARE) {
            return Self::Full { source };
        }
        match extended.map(|code| code & 0xff) {
            Some(code::BUSY | code::LOCKED) => Self::Locked { source: Some(source) },
            Some(code::READONLY) => Self::ReadOnly { source: Some(source) },
            Some(code::CORRUPT) => Self::Damaged { source },
            Some(code::FULL) => Self::Full { source },
            Some(code::CANTOPEN | code::PERM | code::AUTH) => Self::Unreadable { source },
            Some(code::NOTADB) => Self::NotADatabase { source },
            _ => Self::Query { source },
        }
    }
}
