//! Opens the file: creates it, backs it up, migrates it, or says why not.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::Connection as _;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tracing::info;

use crate::history::History;
use crate::history::ends::Owed;
use crate::history::error::HistoryError;

/// Every migration there is, oldest first.
static MIGRATIONS: Migrator = sqlx::migrate!();

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Each is a thread.
const READERS: u32 = 3;
/// The owner writes, the group reads: `sqlite3` and the CLI of its members.
const MODE: u32 = 0o640;
/// How many rows of an index are sampled when the planner's statistics are renewed on close.
const ANALYSIS_LIMIT: u32 = 400;

impl History {
    /// Opens the history for reading and writing; creates and migrates it as needed. `now` is noted beside a migration.
    ///
    /// # Errors
    ///
    /// [`HistoryError::NoDirectory`] and [`HistoryError::NotCreated`] before there is a file; otherwise
    /// [`HistoryError::Open`] with the cause as its source. A database of a newer program is refused and left as it was.
    pub async fn open(path: &Path, now: Timestamp) -> Result<Self, HistoryError> {
        Self::open_with(path, now, PATIENCE).await
    }

    pub(super) async fn open_with(path: &Path, now: Timestamp, patience: Duration) -> Result<Self, HistoryError> {
        // Two programs that start at once must not both create or migrate.
        let lock = lock_opening(path, patience).await?;
        create(path)?;
        let opened = open_files(path, now, patience).await.map_err(|error| error.opening(path));
        drop(lock);
        opened
    }

    /// Opens the history for reading, by somebody who may not write it. Works beside the daemon and without it.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Open`] with the cause as its source; [`HistoryError::Absent`] before the first run.
    pub async fn open_read_only(path: &Path) -> Result<Self, HistoryError> {
        match open_reader(path).await {
            Ok(reader) => Ok(Self { path: path.to_owned(), writer: None, reader, file: None, owed: Owed::default() }),
            Err(error) => Err(error.opening(path)),
        }
    }

    /// Writes everything back into the one file and closes it. Gives up after five seconds, as [`History::close_within`] does.
    pub async fn close(&self) {
        self.close_within(PATIENCE).await;
    }

    /// The same, with a patience of the caller's. What is not written back in time stays in the file `-wal`, where the next
    /// program finds it: nothing is lost. False then; another program that holds the database is a usual cause.
    pub async fn close_within(&self, patience: Duration) -> bool {
        let closing = async {
            self.reader.close().await;
            if let Some(writer) = &self.writer {
                writer.close().await;
            }
        };
        tokio::time::timeout(patience, closing).await.is_ok()
    }
}

/// Which file a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let found = path.metadata()?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }
}

/// The file beside the database that ends with `suffix`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes the lock that keeps two programs from opening for the first time at once. Never the database itself: closing
/// such a file would drop SQLite's own locks on it.
async fn lock_opening(path: &Path, patience: Duration) -> Result<File, HistoryError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::read_dir(directory).map_err(|source| HistoryError::NoDirectory { path: directory.to_owned(), source })?;
    let name = beside(path, ".opening");
    let not_created = |source| HistoryError::NotCreated { path: name.clone(), source };
    let file = OpenOptions::new().create(true).append(true).mode(MODE).open(&name).map_err(not_created)?;
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(not_created(source)),
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() >= deadline => {
                return Err(HistoryError::Locked { source: None }.opening(path));
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Makes an empty file with the right permissions, unless there is one.
fn create(path: &Path) -> Result<(), HistoryError> {
    let not_created = |source| HistoryError::NotCreated { path: path.to_owned(), source };
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        // Past the umask, which may have taken the group's right to read.
        Ok(file) => file.set_permissions(std::fs::Permissions::from_mode(MODE)).map_err(not_created),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(not_created(error)),
    }
}

fn options(path: &Path, patience: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(patience).foreign_keys(true).pragma("trusted_schema", "0")
}

/// One connection, made anew when it believes to be in a transaction that is over.
///
/// On a full disk SQLite rolls back by itself. The library's own rollback then fails, it counts the transaction as open for
/// ever, and begins no other on that connection.
fn writer_pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(1).after_release(|connection, _| {
        Box::pin(async move {
            connection.ping().await?; // a rollback that was begun before is over then
            Ok(!connection.is_in_transaction())
        })
    })
}

fn reader_pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new().min_connections(0).max_connections(READERS)
}

async fn open_files(path: &Path, now: Timestamp, patience: Duration) -> Result<History, HistoryError> {
    let writing = options(path, patience).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    // A connection of its own, without the upkeep on close: a database that is refused stays as it was, to the byte.
    let mut founding = writing.clone();
    if path.metadata().is_ok_and(|file| file.len() == 0) {
        // Has to stand before the first table, and writes even when nothing changes.
        founding = founding.auto_vacuum(SqliteAutoVacuum::Incremental);
    }
    let first = SqlitePoolOptions::new().max_connections(1).connect_with(founding).await?;
    let migrated = migrate(&first, path, now).await;
    first.close().await;
    migrated?;
    let writing = writing.optimize_on_close(true, Some(ANALYSIS_LIMIT));
    let writer = writer_pool().connect_with(writing).await?;
    let reader = reader_pool().connect_lazy_with(options(path, patience).read_only(true));
    let file = FileId::of(path).map_err(|source| HistoryError::Unreadable { source: sqlx::Error::Io(source) })?;
    Ok(History { path: path.to_owned(), writer: Some(writer), reader, file: Some(file), owed: Owed::default() })
}

/// A reader beside the daemon; or, when nobody writes and we may not make the files that WAL mode shares, of a file that
/// cannot change under us.
async fn open_reader(path: &Path) -> Result<SqlitePool, HistoryError> {
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(HistoryError::Absent),
        Err(error) => return Err(HistoryError::Unreadable { source: sqlx::Error::Io(error) }),
    }
    let reading = options(path, PATIENCE).read_only(true);
    match checked(reading.clone()).await {
        // A log beside the file belongs to a writer, alive or dead: the file alone would then be out of date.
        Err(HistoryError::ReadOnly { .. } | HistoryError::Unreadable { .. })
            if !beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0) =>
        {
            checked(reading.immutable(true)).await
        }
        other => other,
    }
}

/// A pool of readers whose database is ours and of our version.
async fn checked(options: SqliteConnectOptions) -> Result<SqlitePool, HistoryError> {
    let pool = reader_pool().connect_with(options).await?;
    let version = version(&pool).await;
    let refused = match version {
        Ok(found) if found > known() => Err(newer(&pool, found).await),
        Ok(0) => Err(HistoryError::Absent),
        Ok(found) if found < known() => Err(HistoryError::Older { found, known: known() }),
        Ok(_) => return Ok(pool),
        Err(error) => Err(error),
    };
    pool.close().await;
    refused
}

/// The newest migration of this program.
fn known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The newest migration of a database, 0 when it has none.
async fn version(pool: &SqlitePool) -> Result<i64, HistoryError> {
    let tables: i64 = sqlx::query_scalar("select count(*) from sqlite_schema where name = '_sqlx_migrations'")
        .fetch_one(pool)
        .await?;
    if tables == 0 {
        return Ok(0);
    }
    let newest: Option<i64> = sqlx::query_scalar("select max(version) from _sqlx_migrations").fetch_one(pool).await?;
    Ok(newest.unwrap_or(0))
}

/// The refusal of a newer database, naming the program that wrote it.
async fn newer(pool: &SqlitePool, found: i64) -> HistoryError {
    let program: Result<Option<String>, _> =
        sqlx::query_scalar("select value from meta where key = 'program'").fetch_optional(pool).await;
    let program = program.ok().flatten().unwrap_or_else(|| "of an unknown version".to_owned());
    HistoryError::Newer { found, known: known(), program }
}

/// Brings the database to our version, after a copy of what it holds.
async fn migrate(writer: &SqlitePool, path: &Path, now: Timestamp) -> Result<(), HistoryError> {
    let found = version(writer).await?;
    if found > known() {
        return Err(newer(writer, found).await);
    }
    if found == known() {
        return unaltered(writer).await; // reads alone: another program may be writing
    }
    if found > 0 {
        back_up(writer, path, found).await?;
    }
    MIGRATIONS.run(writer).await.map_err(migration_error)?;
    note_program(writer, now).await?;
    info!(from = found, to = known(), "the history is of version {}", known());
    Ok(())
}

/// Whether the migrations of a database of our version are ours.
async fn unaltered(writer: &SqlitePool) -> Result<(), HistoryError> {
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("select version, checksum from _sqlx_migrations").fetch_all(writer).await?;
    for (version, checksum) in applied {
        if !MIGRATIONS.iter().any(|ours| ours.version == version && ours.checksum == checksum) {
            return Err(HistoryError::AlteredMigration { version });
        }
    }
    Ok(())
}

fn migration_error(error: MigrateError) -> HistoryError {
    match error {
        MigrateError::VersionMismatch(version) | MigrateError::VersionMissing(version) => {
            HistoryError::AlteredMigration { version }
        }
        MigrateError::ExecuteMigration(source, version) => {
            HistoryError::Migration { version, source: Box::new(source.into()) }
        }
        MigrateError::Execute(source) => source.into(),
        other => HistoryError::Query { source: sqlx::Error::Migrate(Box::new(other)) },
    }
}

/// Copies the database to `NAME.backup-VERSION`. The copy appears whole or not at all.
async fn back_up(writer: &SqlitePool, path: &Path, version: i64) -> Result<(), HistoryError> {
    let backup = beside(path, &format!(".backup-{version}"));
    let part = beside(path, &format!(".backup-{version}.part"));
    let failed =
        |source: Box<dyn std::error::Error + Send + Sync>| HistoryError::Backup { path: backup.clone(), source };
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error.into())),
        _ => {}
    }
    let target = part.to_str().ok_or_else(|| failed("the path is not UTF-8".into()))?;
    sqlx::query("vacuum into ?").bind(target).execute(writer).await.map_err(|error| failed(error.into()))?;
    finish_backup(&part, &backup).map_err(|error| failed(error.into()))?;
    info!(file = %backup.display(), "the history was backed up");
    Ok(())
}

fn finish_backup(part: &Path, backup: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(part, std::fs::Permissions::from_mode(MODE))?;
    File::open(part)?.sync_all()?;
    std::fs::rename(part, backup)
}

/// Notes which program brought the database to its version, for the message of an older one.
async fn note_program(writer: &SqlitePool, now: Timestamp) -> Result<(), HistoryError> {
    for (key, value) in [("program", env!("CARGO_PKG_VERSION").to_owned()), ("migrated_at", now.to_string())] {
        sqlx::query(
            "insert into meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(writer)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
