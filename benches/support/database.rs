//! A look into a history, and a hand to fill one: no public function of the program writes a million changes.

use std::path::Path;

use graphkeeper::clock::{Clock as _, SystemClock};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::Bench;

async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).journal_mode(SqliteJournalMode::Wal);
    options.synchronous(SqliteSynchronous::Off).connect().await.expect("the database opens")
}

async fn execute(connection: &mut SqliteConnection, sql: String) {
    sqlx::query(AssertSqlSafe(sql)).execute(connection).await.expect("the statement is sound");
}

/// How many rows there are, all tables together.
pub(crate) fn rows(bench: &Bench, path: &Path) -> i64 {
    bench.runtime.block_on(async {
        let mut connection = connect(path).await;
        let tables: Vec<String> =
            sqlx::query_scalar("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'")
                .fetch_all(&mut connection)
                .await
                .expect("there are tables");
        let mut sum = 0;
        for table in tables {
            let count = format!("select count(*) from {table}");
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut connection).await.expect("a count");
            sum += rows;
        }
        connection.close().await.expect("the database closes");
        sum
    })
}

/// Fills a fresh history as `history.sql` says, with so many runs, the last of them just now. Indexes are made anew
/// afterwards, which takes a third of the time.
pub(crate) fn fill(bench: &Bench, path: &Path, runs: u32) {
    bench.runtime.block_on(async {
        let mut connection = connect(path).await;
        let indexes: Vec<(String, String)> = sqlx::query_as(
            "select name, sql from sqlite_schema
              where type = 'index' and tbl_name in ('run', 'change', 'moment', 'call', 'decision') and sql is not null",
        )
        .fetch_all(&mut connection)
        .await
        .expect("there are indexes");
        for (name, _) in &indexes {
            execute(&mut connection, format!("drop index {name}")).await;
        }
        let first = SystemClock.now().as_millisecond() - i64::from(runs) * 300_000;
        let size = format!("create temp table size as select {runs} as runs, {first} as first, 100000 as people");
        execute(&mut connection, size).await;
        sqlx::raw_sql(include_str!("history.sql")).execute(&mut connection).await.expect("the statements are sound");
        for (_, sql) in indexes {
            execute(&mut connection, sql).await;
        }
        // As the program itself does when it closes.
        execute(&mut connection, "pragma analysis_limit = 400".to_owned()).await;
        execute(&mut connection, "analyze".to_owned()).await;
        connection.close().await.expect("the database closes");
    });
}
