//! The history as anybody with `sqlite3` reads it: through the views, and by counting rows.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

/// A connection of its own.
pub(crate) struct Database {
    connection: SqliteConnection,
}

/// A write of a manager as the history tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) run: String,
    pub(crate) login: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) client_request_id: String,
}

impl Database {
    pub(crate) async fn open(path: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(false);
        Self { connection: SqliteConnection::connect_with(&options).await.unwrap() }
    }

    /// Does something to the database that nobody should.
    pub(crate) async fn execute(&mut self, sql: &str) {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut self.connection).await.unwrap();
    }

    pub(crate) async fn number(&mut self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await.unwrap()
    }

    /// The first column, as texts; nulls are empty.
    pub(crate) async fn texts(&mut self, sql: &str) -> Vec<String> {
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await.unwrap();
        rows.iter().map(|row| row.get::<Option<String>, _>(0).unwrap_or_default()).collect()
    }

    /// Lets so many days pass for all that is on record: every moment lies as much further back, whichever table it is in. The
    /// service must not run meanwhile.
    pub(crate) async fn days_pass(&mut self, days: i64) {
        // Milliseconds: whatever is larger is a moment of our days, and no count. Each goes by way of a time far from all
        // others, since rows of one table may not share a moment even for an instant.
        const MOMENT: i64 = 1_000_000_000_000;
        const AWAY: i64 = 1_000_000_000_000_000;
        let back = days * 86_400_000;
        let columns = self
            .texts(
                "select tables.name || ' ' || columns.name
                   from sqlite_schema as tables join pragma_table_info(tables.name) as columns
                  where tables.type = 'table' and lower(columns.type) = 'integer' order by 1",
            )
            .await;
        let columns: Vec<(&str, &str)> = columns.iter().filter_map(|column| column.split_once(' ')).collect();
        for table in columns.chunk_by(|one, other| one.0 == other.0) {
            for (least, by) in [(MOMENT, AWAY - back), (AWAY, -AWAY)] {
                let later = |(_, column): &(&str, &str)| {
                    format!("{column} = iif({column} > {least}, {column} + {by}, {column})")
                };
                let set: Vec<String> = table.iter().map(later).collect();
                self.execute(&format!("update {} set {}", table[0].0, set.join(", "))).await;
            }
        }
    }

    /// Outcomes of a job's runs, oldest first.
    pub(crate) async fn outcomes(&mut self, job: &str) -> Vec<String> {
        self.texts(&format!("select outcome from run where job = '{job}' order by rowid")).await
    }

    /// Every write that was ever intended, oldest first.
    pub(crate) async fn changes(&mut self) -> Vec<Change> {
        let sql = "select run, login, kind, state, client_request_id from manager_change order by id";
        let rows = sqlx::query(sql).fetch_all(&mut self.connection).await.unwrap();
        let change = |row: &sqlx::sqlite::SqliteRow| Change {
            run: row.get(0),
            login: row.get(1),
            kind: row.get(2),
            state: row.get(3),
            client_request_id: row.get(4),
        };
        rows.iter().map(change).collect()
    }

    /// How many rows all tables have together.
    pub(crate) async fn rows(&mut self) -> i64 {
        let tables =
            self.texts("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'").await;
        let mut rows = 0;
        for table in tables {
            rows += self.number(&format!("select count(*) from \"{table}\"")).await;
        }
        rows
    }
}
