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

    /// The newest reading that was complete or accepted, however old; `None` when there is none.
    pub async fn last_believed_reading(&self, job: &str) -> Result<Option<SourceBaseline>, HistoryError> {
        let row = sqlx::query!(
            "select people, with_reference, scope, accounts from source_reading
              where job = ? and (complete = 1 or accepted_at is not null)
              order by at desc limit 1",
            job
        )
        .fetch_optional(&self.reader)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let at = Row { table: "source_reading", id: job };
        Ok(Some(SourceBaseline {
            people: at.number("people", row.people)?,
            with_reference: at.number("with_reference", row.with_reference)?,
            scope: row.scope.map(|scope| at.number("scope", scope)).transpose()?,
            accounts: at.number("accounts", row.accounts)?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::Trigger;
    use crate::history::testing::{Place, at, past_run};

    /// Records a reading of so many people, half of them with a reference, under its own run.
    async fn read(history: &History, when: i64, people: u64, complete: bool) -> RunId {
        let run = past_run(history, &format!("run{when}"), Trigger::Schedule, when).await;
        let reading = SourceReading {
            run: run.clone(),
            job: "managers".to_owned(),
            at: at(when),
            people,
            with_reference: people / 2,
            scope: None,
            accounts: people,
            complete,
        };
        history.record_reading(&reading).await.unwrap();
        run
    }

    async fn people(history: &History, since: i64) -> Option<u64> {
        history.baseline("managers", at(since)).await.unwrap().map(|baseline| baseline.people)
    }

    #[tokio::test]
    async fn the_baseline_is_the_highest_that_was_believed_lately() {
        let place = Place::new().await;
        let history = &place.history;
        assert_eq!(people(history, 0).await, None);
        read(history, 10, 1_000, true).await;
        read(history, 20, 900, true).await;
        read(history, 30, 5_000, false).await;
        assert_eq!(people(history, 0).await, Some(1_000));
        assert_eq!(people(history, 15).await, Some(900));
        assert_eq!(people(history, 25).await, None);
        assert_eq!(history.baseline("other", at(0)).await.unwrap(), None);
        let baseline = history.baseline("managers", at(0)).await.unwrap().unwrap();
        assert_eq!((baseline.with_reference, baseline.scope, baseline.accounts), (500, None, 1_000));
    }

    #[tokio::test]
    async fn an_accepted_shrink_is_the_new_measure() {
        let place = Place::new().await;
        let history = &place.history;
        read(history, 10, 1_000, true).await;
        let shrunk = read(history, 20, 300, false).await;
        history.accept_reading(&shrunk, "ana", at(25)).await.unwrap();
        assert_eq!(people(history, 0).await, Some(300));
        read(history, 30, 310, true).await;
        assert_eq!(people(history, 0).await, Some(310));
        assert_eq!(people(history, 40).await, None);
        let error = history.accept_reading(&RunId::stored("none"), "ana", at(25)).await.unwrap_err();
        assert_eq!(error.to_string(), "there is no source reading of run none in the history");
    }
}
