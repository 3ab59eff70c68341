//! The whole history of a kind, row by row, with the columns of the documented views.

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::{Number, Value};
use sqlx::sqlite::SqliteRow;
use sqlx::{Column as _, Decode as _, Row as _, Sqlite, TypeInfo as _, ValueRef as _};

use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::stamp;

/// The last second that SQLite's dates know, in milliseconds: the end of the year 9999.
const END_OF_TIME: i64 = 253_402_300_799_000;

/// What can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// The view `run_summary`.
    Runs,
    /// The view `manager_change`.
    Changes,
    /// The view `user_decision`.
    Decisions,
    /// The view `missed_run`.
    Missed,
    /// Single requests, with the job of their run.
    Calls,
    /// The view `license_over_time`.
    Licenses,
    /// The view `license_event`.
    Events,
    /// The view `keepalive_gauge`.
    Gauges,
    /// What imports found, from the first that found it to the last; those are blank while it stands.
    Imports,
}

impl Rows {
    /// Oldest first, from `?1` to before `?2`.
    const fn query(self) -> &'static str {
        match self {
            Self::Runs => {
                "select view.* from run as ranged join run_summary as view on view.id = ranged.id
                  where ranged.started_at >= ?1 and ranged.started_at < ?2 order by ranged.started_at, ranged.id"
            }
            Self::Changes => {
                "select view.* from change as ranged join manager_change as view on view.id = ranged.id
                  where ranged.intent_at >= ?1 and ranged.intent_at < ?2 order by ranged.intent_at, ranged.id"
            }
            // A decision belongs to every day on which it held.
            Self::Decisions => {
                "select * from user_decision
                  where last_time >= strftime('%Y-%m-%dT%H:%M:%SZ', ?1 / 1000, 'unixepoch')
                    and first_time < strftime('%Y-%m-%dT%H:%M:%SZ', ?2 / 1000, 'unixepoch')
                  order by first_time, job, person"
            }
            Self::Missed => {
                "select * from missed_run
                  where planned >= strftime('%Y-%m-%dT%H:%M:%SZ', ?1 / 1000, 'unixepoch')
                    and planned < strftime('%Y-%m-%dT%H:%M:%SZ', ?2 / 1000, 'unixepoch')
                  order by planned, job"
            }
            Self::Calls => {
                "select run.job, call.run,
                        strftime('%Y-%m-%dT%H:%M:%SZ', call.at / 1000, 'unixepoch') as time,
                        call.service, call.method, call.path, call.status, call.latency_ms, call.attempts, call.verdict,
                        call.error, call.request_id, call.client_request_id, call.body
                   from call join run on run.id = call.run
                  where call.at >= ?1 and call.at < ?2 order by call.at, call.id"
            }
            // Counts belong to every day on which they were so.
            Self::Licenses => {
                "select * from license_over_time
                  where (until is null or until >= strftime('%Y-%m-%dT%H:%M:%SZ', ?1 / 1000, 'unixepoch'))
                    and since < strftime('%Y-%m-%dT%H:%M:%SZ', ?2 / 1000, 'unixepoch')
                  order by since, name, sku"
            }
            Self::Events => {
                "select view.* from event as ranged join license_event as view on view.id = ranged.id
                  where ranged.at >= ?1 and ranged.at < ?2 order by ranged.at, ranged.id"
            }
            Self::Gauges => {
                "select view.* from gauge as ranged join keepalive_gauge as view on view.run = ranged.run
                  where ranged.at >= ?1 and ranged.at < ?2 order by ranged.at, ranged.id"
            }
            // An entry belongs to every day on which it was so.
            Self::Imports => {
                "select entry.job, entry.kind, nullif(entry.person, '') as person, entry.login, entry.status,
                        nullif(entry.account, '') as account, entry.upn, entry.guest, entry.disabled,
                        first.run as first_run,
                        strftime('%Y-%m-%dT%H:%M:%SZ', first.at / 1000, 'unixepoch') as first_time,
                        last.run as last_run,
                        strftime('%Y-%m-%dT%H:%M:%SZ', last.at / 1000, 'unixepoch') as last_time
                   from directory_entry as entry
                   join directory_import as first on first.id = entry.first_import
                   left join directory_import as last on last.id = entry.last_import
                  where first.at < ?2 and (last.at is null or last.at >= ?1) order by first.at, entry.id"
            }
        }
    }
}

impl History {
    /// Hands every row between `since` and `until` to `take`, oldest first, as columns and values, until `take` says no. Rows
    /// are not collected: a million of them need no memory.
    ///
    /// # Errors
    ///
    /// The history cannot be read.
    pub async fn export(
        &self,
        rows: Rows,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        mut take: impl FnMut(Vec<(&str, Value)>) -> bool,
    ) -> Result<(), HistoryError> {
        let (since, until) = (since.map_or(0, stamp), until.map_or(END_OF_TIME, stamp));
        let mut found = sqlx::query(rows.query()).bind(since).bind(until).fetch(&self.reader);
        while let Some(row) = found.try_next().await? {
            if !take(values(&row)?) {
                break;
            }
        }
        Ok(())
    }
}

fn values(row: &SqliteRow) -> Result<Vec<(&str, Value)>, HistoryError> {
    row.columns().iter().map(|column| Ok((column.name(), value(row, column.ordinal())?))).collect()
}

/// A value as SQLite has it. Times are texts by then, and bytes there are none.
fn value(row: &SqliteRow, place: usize) -> Result<Value, HistoryError> {
    let raw = row.try_get_raw(place)?;
    let bad = |source| HistoryError::from(sqlx::Error::ColumnDecode { index: place.to_string(), source });
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => <i64 as sqlx::Decode<Sqlite>>::decode(raw).map_err(bad)?.into(),
        "REAL" => {
            let number = f64::decode(raw).map_err(bad)?;
            Number::from_f64(number).map_or(Value::Null, Value::Number)
        }
        _ => <String as sqlx::Decode<Sqlite>>::decode(raw).map_err(bad)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::event::News;
    use crate::domain::run::Trigger;
    use crate::history::changes::Confirmation;
    use crate::history::licenses::{LicenseSnapshot, SkuRow};
    use crate::history::testing::{Place, at, intent, past_run, sku, write};

    async fn exported(history: &History, rows: Rows, since: Option<i64>, until: Option<i64>) -> Vec<Value> {
        let mut found = Vec::new();
        let take = |row: Vec<(&str, Value)>| {
            found.push(row.into_iter().map(|(column, value)| (column.to_owned(), value)).collect());
            true
        };
        history.export(rows, since.map(at), until.map(at), take).await.unwrap();
        found
    }

    #[tokio::test]
    async fn rows_of_a_time_come_oldest_first_with_the_columns_of_the_views() {
        let place = Place::new().await;
        let history = &place.history;
        for second in 0..4 {
            let run = past_run(history, &format!("aaaa000{second}"), Trigger::Schedule, second * 10).await;
            let name = u128::try_from(second).unwrap() + 1;
            write(history, &run, intent(name, None, Some(9)), second * 10 + 1, Some(Confirmation::Confirmed)).await;
        }
        let runs = exported(history, Rows::Runs, Some(10), Some(30)).await;
        let ids: Vec<&Value> = runs.iter().map(|run| &run["id"]).collect();
        assert_eq!(ids, ["aaaa0001", "aaaa0002"]);
        assert_eq!((&runs[0]["seconds"], &runs[0]["tally"]), (&json!(1.0), &Value::Null));
        let changes = exported(history, Rows::Changes, Some(11), None).await;
        assert_eq!((changes.len(), &changes[0]["login"]), (3, &json!("person2@example.com")));
        for rows in [Rows::Decisions, Rows::Missed, Rows::Calls, Rows::Licenses, Rows::Events, Rows::Gauges] {
            assert_eq!(exported(history, rows, None, None).await, [] as [Value; 0], "{rows:?}");
        }
    }

    #[tokio::test]
    async fn counts_of_licenses_are_exported_for_every_day_on_which_they_held() {
        let place = Place::new().await;
        let history = &place.history;
        for (when, assigned) in [(0, 1), (10, 1), (20, 2), (30, 2)] {
            let run = past_run(history, &format!("aaaa00{when:02}"), Trigger::Schedule, when).await;
            let skus = vec![SkuRow { assigned, ..sku("E5") }];
            let read = LicenseSnapshot { run, at: at(when), skus, subscriptions: Vec::new() };
            history.record_licenses("licenses", &read, &News::default()).await.unwrap();
        }
        for (since, until, told) in [
            (None, None, vec![1, 2]),
            (Some(10), Some(20), vec![1]),
            (Some(21), None, vec![2]),
            (Some(90), None, vec![2]),
        ] {
            let rows = exported(history, Rows::Licenses, since, until).await;
            let assigned: Vec<&Value> = rows.iter().map(|row| &row["assigned"]).collect();
            assert_eq!(assigned, told, "{since:?} {until:?}");
        }
    }

    #[tokio::test]
    async fn who_has_enough_says_so() {
        let place = Place::new().await;
        for second in 0..4 {
            past_run(&place.history, &format!("aaaa000{second}"), Trigger::Schedule, second).await;
        }
        let mut taken = 0;
        let take = |_: Vec<(&str, Value)>| {
            taken += 1;
            taken < 2
        };
        place.history.export(Rows::Runs, None, None, take).await.unwrap();
        assert_eq!(taken, 2);
    }
}
