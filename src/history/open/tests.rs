//! Promises about opening: files that are missing, foreign, damaged, locked or older, and what becomes of a full disk.

use std::borrow::Cow;
use std::error::Error as _;

use super::*;
use crate::domain::run::{Outcome, RunId, Trigger};
use crate::history::moments::MomentFilter;
use crate::history::runs::RunFilter;
use crate::history::testing::{Place, SOON, a_run, at, closing, past_run, rows};

/// The last cause of an error.
fn root(error: &HistoryError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn cause(error: HistoryError) -> HistoryError {
    match error {
        HistoryError::Open { source, .. } => *source,
        other => other,
    }
}

#[tokio::test]
async fn a_new_file_is_a_durable_wal_database_that_its_group_may_read() {
    let place = Place::new().await;
    assert_eq!(place.path().metadata().unwrap().permissions().mode() & 0o777, 0o640);
    let writer = place.history.writer().unwrap();
    let mode: String = sqlx::query_scalar("pragma journal_mode").fetch_one(writer).await.unwrap();
    let synchronous: i64 = sqlx::query_scalar("pragma synchronous").fetch_one(writer).await.unwrap();
    let vacuum: i64 = sqlx::query_scalar("pragma auto_vacuum").fetch_one(writer).await.unwrap();
    let keys: i64 = sqlx::query_scalar("pragma foreign_keys").fetch_one(writer).await.unwrap();
    assert_eq!((mode.as_str(), synchronous, vacuum, keys), ("wal", 2, 2, 1));
}

#[tokio::test]
async fn a_file_that_was_deleted_or_replaced_is_not_written_any_more() {
    let place = Place::new().await;
    past_run(&place.history, "aaaa0001", Trigger::Manual, 0).await;
    let aside = place.directory.path().join("aside.db");
    let refused = async || {
        let new = a_run("bbbb0002", Trigger::Manual, 0);
        let errors = [
            place.history.open_run(&new).await.unwrap_err(),
            place.history.interrupt_open_runs("managers", at(0)).await.unwrap_err(),
        ];
        errors.iter().all(|error| matches!(error, HistoryError::Replaced { .. }) && error.hint().is_some())
    };
    std::fs::rename(place.path(), &aside).unwrap();
    assert!(refused().await, "deleted");
    std::fs::copy(&aside, place.path()).unwrap();
    assert!(refused().await, "replaced");
    std::fs::rename(&aside, place.path()).unwrap();
    past_run(&place.history, "bbbb0002", Trigger::Manual, 0).await;
    assert_eq!(rows(&place.history, "run").await, 2, "put back, it goes on");
}

#[tokio::test]
async fn what_a_kill_left_half_written_is_passed_over() {
    let place = Place::new().await;
    past_run(&place.history, "aaaa0001", Trigger::Manual, 0).await;
    for garbage in [Vec::new(), b"garbage in place of a page".to_vec(), vec![0xa5; 70_000]] {
        let copy = tempfile::tempdir().unwrap();
        let path = copy.path().join("graphkeeper.db");
        std::fs::copy(place.path(), &path).unwrap();
        let mut log = std::fs::read(beside(&place.path(), "-wal")).unwrap();
        log.truncate(log.len() - 100); // amid the last page
        log.extend_from_slice(&garbage);
        std::fs::write(beside(&path, "-wal"), log).unwrap();
        std::fs::write(beside(&path, "-shm"), garbage).unwrap();
        let history = History::open(&path, at(0)).await.unwrap();
        assert_eq!(rows(&history, "run").await, 1, "all commits but the last, which closed the run, stand");
        history.interrupt_open_runs("managers", at(9)).await.unwrap();
        past_run(&history, "bbbb0002", Trigger::Manual, 10).await;
        let sound: String = sqlx::query_scalar("pragma integrity_check").fetch_one(&history.reader).await.unwrap();
        assert_eq!(sound, "ok");
    }
}

#[tokio::test]
async fn a_log_that_is_no_log_is_begun_anew() {
    let place = Place::new().await;
    past_run(&place.history, "aaaa0001", Trigger::Manual, 0).await;
    place.history.close().await;
    std::fs::write(beside(&place.path(), "-wal"), vec![0xa5; 70_000]).unwrap();
    let history = History::open(&place.path(), at(0)).await.unwrap();
    past_run(&history, "bbbb0002", Trigger::Manual, 10).await;
    assert_eq!(rows(&history, "run").await, 2);
}

#[test]
fn what_a_restart_cannot_mend_is_told_from_what_passes() {
    let database = || sqlx::Error::PoolTimedOut;
    let lasting = [
        HistoryError::NotADatabase { source: database() },
        HistoryError::Damaged { source: database() },
        HistoryError::Newer { found: 9, known: 1, program: String::new() },
        HistoryError::AlteredMigration { version: 1 },
        HistoryError::OtherOwner { what: "tenant", stored: String::new(), configured: String::new() },
    ];
    for error in lasting {
        assert!(error.opening(Path::new("x")).is_lasting());
    }
    let passing = [
        HistoryError::Locked { source: None },
        HistoryError::Full { source: database() },
        HistoryError::ReadOnly { source: None },
        HistoryError::Unreadable { source: database() },
    ];
    for error in passing {
        assert!(!error.opening(Path::new("x")).is_lasting());
    }
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let error = History::open(Path::new("/nonexistent/gk/graphkeeper.db"), at(0)).await.unwrap_err();
    assert_eq!(error.to_string(), "the directory of the history, /nonexistent/gk, is missing or cannot be entered");
    assert!(error.hint().unwrap().contains("state.directory"));
}

#[tokio::test]
async fn garbage_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("graphkeeper.db");
    let garbage = "not a database at all, but long enough to have a header. ".repeat(100);
    std::fs::write(&path, &garbage).unwrap();
    let error = History::open(&path, at(0)).await.unwrap_err();
    assert!(error.to_string().contains("graphkeeper.db"), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "the file is not a SQLite database");
    assert!(error.hint().is_some());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), garbage);
    let read_only = cause(History::open_read_only(&path).await.unwrap_err());
    assert!(matches!(read_only, HistoryError::NotADatabase { .. }), "{read_only:?}");
}

#[tokio::test]
async fn a_directory_in_place_of_the_file_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let error = cause(History::open(&directory.path().join("."), at(0)).await.unwrap_err());
    assert!(matches!(error, HistoryError::Unreadable { .. } | HistoryError::NotCreated { .. }), "{error:?}");
    std::fs::create_dir(directory.path().join("graphkeeper.db")).unwrap();
    let error = cause(History::open(&directory.path().join("graphkeeper.db"), at(0)).await.unwrap_err());
    assert!(matches!(error, HistoryError::Unreadable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_newer_database_is_refused_with_the_program_it_needs_and_left_alone() {
    let place = Place::new().await;
    let writer = place.history.writer().unwrap();
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (99, 'x', 1, x'00', 0)",
    )
    .execute(writer)
    .await
    .unwrap();
    sqlx::query("update meta set value = '9.8.7' where key = 'program'").execute(writer).await.unwrap();
    place.history.close().await;
    let before = std::fs::read(place.path()).unwrap();
    let newest = known();
    let told = format!(
        "the database is of version 99, written by graphkeeper 9.8.7; this program knows versions up to {newest}"
    );
    for error in [
        History::open(&place.path(), at(0)).await.unwrap_err(),
        History::open_read_only(&place.path()).await.unwrap_err(),
    ] {
        assert_eq!(root(&error), told);
        assert!(error.hint().is_some());
    }
    assert!(std::fs::read(place.path()).unwrap() == before, "the file was touched");
}

#[tokio::test]
async fn an_edited_migration_is_refused() {
    let place = Place::new().await;
    sqlx::query("update _sqlx_migrations set checksum = x'00' where version = 1")
        .execute(place.history.writer().unwrap())
        .await
        .unwrap();
    let error = cause(History::open(&place.path(), at(0)).await.unwrap_err());
    assert!(matches!(error, HistoryError::AlteredMigration { version: 1 }), "{error:?}");
}

#[tokio::test]
async fn a_locked_database_says_so() {
    let place = Place::new().await;
    place.history.close().await;
    let mut holder = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options(&place.path(), SOON))
        .await
        .unwrap()
        .begin_with("BEGIN IMMEDIATE")
        .await
        .unwrap();
    let history = History::open_with(&place.path(), at(0), SOON).await.unwrap();
    let error = history.open_run(&a_run("aaaa1111", Trigger::Manual, 0)).await.unwrap_err();
    assert!(matches!(error, HistoryError::Locked { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("sqlite3"));
    sqlx::query("insert into meta (key, value) values ('held', '1')").execute(&mut *holder).await.unwrap();
    holder.commit().await.unwrap();
    history.open_run(&a_run("aaaa1111", Trigger::Manual, 0)).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_sqlite_itself_took_back_ends_no_other() {
    let place = Place::new().await;
    for round in 0..3 {
        let mut write = place.history.begin().await.unwrap();
        // What SQLite does by itself when the disk is full.
        sqlx::query("rollback").execute(&mut *write).await.unwrap();
        if round == 1 {
            assert!(write.commit().await.is_err(), "nothing was stored, and that is said");
        }
    }
    past_run(&place.history, "aaaa1111", Trigger::Manual, 0).await;
}

#[tokio::test]
async fn a_program_that_is_opening_it_is_waited_for_no_longer_than_patience() {
    let place = Place::new().await;
    let _other = lock_opening(&place.path(), SOON).await.unwrap();
    let error = cause(History::open_with(&place.path(), at(0), SOON).await.unwrap_err());
    assert!(matches!(error, HistoryError::Locked { .. }), "{error:?}");
}

#[tokio::test]
async fn two_that_open_a_new_file_at_once_both_succeed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("graphkeeper.db");
    let (one, two) = tokio::join!(History::open(&path, at(0)), History::open(&path, at(0)));
    past_run(&one.unwrap(), "aaaa1111", Trigger::Manual, 0).await;
    assert_eq!(rows(&two.unwrap(), "run").await, 1);
}

#[tokio::test]
async fn a_full_disk_says_so_and_what_was_written_stays() {
    let place = Place::new().await;
    let run = a_run("aaaa1111", Trigger::Manual, 0);
    place.history.open_run(&run).await.unwrap();
    sqlx::query("pragma max_page_count = 1").execute(place.history.writer().unwrap()).await.unwrap();
    let message = Some("x".repeat(100_000));
    let end = crate::history::runs::Closing { message, ..closing(&run.id, Outcome::Failed, 1) };
    let error = place.history.close_run(&end).await.unwrap_err();
    assert!(matches!(error, HistoryError::Full { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the disk of the history is full");
    assert!(place.history.run(&run.id).await.unwrap().unwrap().outcome.is_none());
}

#[tokio::test]
async fn a_reader_reads_while_the_writer_writes_and_may_not_write() {
    let place = Place::new().await;
    past_run(&place.history, "aaaa1111", Trigger::Manual, 0).await;
    let mut writing = place.history.begin().await.unwrap();
    sqlx::query("delete from run").execute(&mut *writing).await.unwrap();
    let reader = History::open_read_only(&place.path()).await.unwrap();
    assert_eq!(reader.list_runs(&RunFilter::default()).await.unwrap().len(), 1);
    let error = reader.open_run(&a_run("bbbb2222", Trigger::Manual, 0)).await.unwrap_err();
    assert!(matches!(error, HistoryError::ReadOnly { .. }), "{error:?}");
    let forced = sqlx::query("delete from run").execute(&reader.reader).await.unwrap_err();
    assert!(matches!(HistoryError::from(forced), HistoryError::ReadOnly { .. }));
    writing.rollback().await.unwrap();
}

#[tokio::test]
async fn a_reader_finds_nothing_before_the_first_run_and_makes_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("graphkeeper.db");
    let error = cause(History::open_read_only(&path).await.unwrap_err());
    assert!(matches!(error, HistoryError::Absent), "{error:?}");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stopped_daemons_file_is_readable_where_nothing_may_be_written() {
    let place = Place::new().await;
    past_run(&place.history, "aaaa1111", Trigger::Manual, 0).await;
    place.history.close().await;
    assert!(!beside(&place.path(), "-wal").exists(), "closing writes everything back");
    let still = checked(options(&place.path(), SOON).read_only(true).immutable(true)).await.unwrap();
    let runs: i64 = sqlx::query_scalar("select count(*) from run").fetch_one(&still).await.unwrap();
    assert_eq!(runs, 1);
}

/// The last version that has the tables of the first: the next one makes those of licenses anew.
const FIRST_TABLES: i64 = 4;

/// Makes a database as the program of an earlier migration left it, with a row in every table of the first.
async fn older(path: &Path, version: i64) {
    create(path).unwrap();
    let writing = options(path, SOON).journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(writing).await.unwrap();
    migrate_to(&pool, version.min(FIRST_TABLES)).await;
    sqlx::raw_sql(include_str!("../samples/version-1.sql")).execute(&pool).await.unwrap();
    migrate_to(&pool, version).await;
    pool.close().await;
}

async fn migrate_to(pool: &SqlitePool, version: i64) {
    let first = MIGRATIONS.iter().filter(|migration| migration.version <= version).cloned().collect();
    let migrator = Migrator { migrations: Cow::Owned(first), ..Migrator::DEFAULT };
    migrator.run(pool).await.unwrap();
}

/// How many rows each table of the first version has.
async fn census(pool: &SqlitePool) -> Vec<(String, i64)> {
    let migration = MIGRATIONS.iter().next().unwrap().sql.as_str();
    let tables = migration.lines().filter_map(|line| line.strip_prefix("create table ")?.split(' ').next());
    let mut census = Vec::new();
    for table in tables {
        let counting = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        census.push((table.to_owned(), sqlx::query_scalar(counting).fetch_one(pool).await.unwrap()));
    }
    census
}

#[tokio::test]
async fn every_migration_keeps_the_rows_and_leaves_a_backup_of_what_was() {
    for version in MIGRATIONS.iter().map(|migration| migration.version).filter(|version| *version < known()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("graphkeeper.db");
        older(&path, version).await;
        let refused = cause(History::open_read_only(&path).await.unwrap_err());
        assert!(matches!(refused, HistoryError::Older { found, .. } if found == version), "{refused:?}");
        let history = History::open(&path, at(0)).await.unwrap();
        let backup = beside(&path, &format!(".backup-{version}"));
        assert_eq!(backup.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        let copy = SqlitePool::connect_with(options(&backup, SOON)).await.unwrap();
        assert_eq!(super::version(&copy).await.unwrap(), version);
        let before = census(&copy).await;
        assert!(before.iter().all(|(_, rows)| *rows > 0), "a table has no sample: {before:?}");
        let after = census(&history.reader).await;
        // The program that migrated is noted.
        assert!(after[0].1 > before[0].1 && after[1..] == before[1..], "{before:?} became {after:?}");
        let views =
            ["run_summary", "manager_change", "user_decision", "license_latest", "license_over_time", "missed_run"];
        for view in views {
            assert!(rows(&history, view).await > 0, "{view}");
        }
    }
}

#[tokio::test]
async fn a_moment_of_an_earlier_version_is_given_the_run_that_began_at_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("graphkeeper.db");
    older(&path, 2).await;
    let history = History::open(&path, at(0)).await.unwrap();
    let moments = history.list_moments(&MomentFilter::default()).await.unwrap();
    let told: Vec<_> = moments.iter().map(|moment| moment.run.as_ref().map(RunId::as_str)).collect();
    assert_eq!(told, [Some("cccc0003"), None, None, Some("aaaa0001")], "newest first");
    let unbegun = history.past("managers", at(100)).await.unwrap().unbegun;
    assert_eq!(unbegun, [at(30)], "only the one at which no run began");
}

#[tokio::test]
async fn a_backup_that_fails_stops_the_migration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("graphkeeper.db");
    older(&path, 1).await;
    std::fs::create_dir(beside(&path, ".backup-1.part")).unwrap();
    let error = cause(History::open(&path, at(0)).await.unwrap_err());
    assert!(matches!(error, HistoryError::Backup { .. }), "{error:?}");
    let pool = SqlitePool::connect_with(options(&path, SOON)).await.unwrap();
    assert_eq!(super::version(&pool).await.unwrap(), 1);
}
