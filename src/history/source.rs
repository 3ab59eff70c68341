//! How much each run saw, so that a listing that shrank is noticed.

use jiff::Timestamp;

use crate::domain::run::RunId;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, signed, stamp};

/// What a run counted on both sides.
#[derive(Clone, Debug)]
pub struct SourceReading {
    pub run: RunId,
    pub job: String,
    pub at: Timestamp,
    pub people: u64,
    /// Of them, those whose manager reference is not blank.
    pub with_reference: u64,
    /// The size of the scope, where the job has one.
    pub scope: Option<u64>,
    pub accounts: u64,
    /// The listing was believed.
    pub complete: bool,
}

/// The highest of each count that was complete or accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceBaseline {
    pub people: u64,
    pub with_reference: u64,
    pub scope: Option<u64>,
    pub accounts: u64,
}

impl History {
    /// Records what a run counted.
    pub async fn record_reading(&self, reading: &SourceReading) -> Result<(), HistoryError> {
        let (run, at) = (reading.run.as_str(), stamp(reading.at));
        let (people, with_reference) = (signed(reading.people), signed(reading.with_reference));
        let (scope, accounts) = (reading.scope.map(signed), signed(reading.accounts));
        sqlx::query!(
            "insert into source_reading (run, job, at, people, with_reference, scope, accounts, complete)
             values (?, ?, ?, ?, ?, ?, ?, ?)",
            run,
            reading.job,
            at,
            people,
            with_reference,
            scope,
            accounts,
            reading.complete
        )
        .execute(self.writer()?)
        .await?;
        Ok(())
    }

    /// What a listing is measured by: the highest counts at or after `since` that were complete or accepted, none older
    /// than the reading accepted last. `None` when there are none.
    pub async fn baseline(&self, job: &str, since: Timestamp) -> Result<Option<SourceBaseline>, HistoryError> {
        let since = stamp(since);
        let row = sqlx::query!(
            r#"select max(people) as "people?: i64", max(with_reference) as "with_reference?: i64", max(scope) as "scope?: i64",
                      max(accounts) as "accounts?: i64"
                 from source_reading
                where job = ?1 and (complete = 1 or accepted_at is not null)
                  and at >= max(?2, coalesce((select at from source_reading where job = ?1 and accepted_at is not null
                                               order by accepted_at desc, at desc limit 1), ?2))"#,
            job,
            since
        )
        .fetch_one(&self.reader)
        .await?;
        let at = Row { table: "source_reading", id: job };
        let (Some(people), Some(with_reference), Some(accounts)) = (row.people, row.with_reference, row.accounts)
        else {
            return Ok(None);
        };
        Ok(Some(SourceBaseline {
            people: at.number("people", people)?,
            with_reference: at.number("with_reference", with_reference)?,
            scope: row.scope.map(|scope| at.number("scope", scope)).transpose()?,
            accounts: at.number("accounts", accounts)?,
        }))
    }

    /// Makes the counts of a run the new measure, however small.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Missing`] when the run counted nothing.
    pub async fn accept_reading(&self, run: &RunId, caller: &str, now: Timestamp) -> Result<(), HistoryError> {
        let (id, now) = (run.as_str(), stamp(now));
        let done =
            sqlx::query!("update source_reading set accepted_at = ?, accepted_by = ? where run = ?", now, caller, id)
                .execute(self.writer()?)
                .await?;
        if done.rows_affected() == 0 {
            return Err(HistoryError::Missing { what: "source reading of run", id: id.to_owned() });
        }
        Ok(())
    }
}
