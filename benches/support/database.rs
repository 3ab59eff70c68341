//! A look into a history, and a hand to fill one: no public function of the program writes a million changes.

use std::path::Path;

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

/// Adds so many past runs with ten changes and ten scheduled moments each. Indexes are made anew afterwards, which takes a third of the time.
pub(crate) fn fill(bench: &Bench, path: &Path, runs: u32) {
    bench.runtime.block_on(async {
        let mut connection = connect(path).await;
        let indexes: Vec<(String, String)> = sqlx::query_as(
            "select name, sql from sqlite_schema where type = 'index' and tbl_name in ('run', 'change', 'moment') and sql is not null",
        )
        .fetch_all(&mut connection)
        .await
        .expect("there are indexes");
        for (name, _) in &indexes {
            execute(&mut connection, format!("drop index {name}")).await;
        }
        for statement in [add_runs(runs), add_changes(runs), add_moments(runs)] {
            execute(&mut connection, statement).await;
        }
        for (_, sql) in indexes {
            execute(&mut connection, sql).await;
        }
        // As the program itself does when it closes.
        execute(&mut connection, "pragma analysis_limit = 400".to_owned()).await;
        execute(&mut connection, "analyze".to_owned()).await;
        connection.close().await.expect("the database closes");
    });
}

/// A run a second, of three jobs in turn; one in a thousand failed.
fn add_runs(runs: u32) -> String {
    format!(
        "with recursive n (i) as (select 0 union all select i + 1 from n where i < {runs} - 1)
         insert into run (id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host, ended_at, outcome)
         select printf('r%07d', i), kind, kind, 'schedule', 'schedule', '0123456789ab', 1700000000000 + i * 1000, 1, 'host',
                1700000000500 + i * 1000, case when i % 1000 = 0 then 'failed' else 'succeeded' end
           from (select i, case i % 3 when 0 then 'managers' when 1 then 'licenses' else 'keepalive' end as kind from n)"
    )
}

/// Ten writes a run, each confirmed, of 100,000 people in turn.
fn add_changes(runs: u32) -> String {
    format!(
        "with recursive n (i) as (select 0 union all select i + 1 from n where i < {runs} * 10 - 1)
         insert into change (run, job, person, login, account, upn, kind, from_label, to_account, to_label, client_request_id,
                             intent_at, answer, answered_at, settled, settled_at)
         select printf('r%07d', i / 10), 'managers', printf('00u%017d', i % 100000), printf('p%07d@example.com', i % 100000),
                printf('00000000-0000-4000-8000-%012d', i % 100000), printf('p%07d@contoso.example', i % 100000), 'set', '',
                printf('00000000-0000-4000-8000-%012d', i % 777), printf('p%07d@contoso.example', i % 777),
                printf('11111111-0000-4000-8000-%012d', i), 1700000000000 + i * 100, 'accepted', 1700000000100 + i * 100,
                'confirmed', 1700000000200 + i * 100
           from n"
    )
}

/// Ten moments a run; at one in a thousand the service was down.
fn add_moments(runs: u32) -> String {
    format!(
        "with recursive n (i) as (select 0 union all select i + 1 from n where i < {runs} * 10 - 1)
         insert into moment (job, planned_at, disposition, run, recorded_at)
         select job, at, case when missed then 'down' else 'ran' end, case when missed then null else run end, at + 500
           from (select case i % 3 when 0 then 'managers' when 1 then 'licenses' else 'keepalive' end as job,
                        1700000000000 + i * 100 as at, i % 1000 = 7 as missed, printf('r%07d', i / 10) as run from n)"
    )
}
