//! Figures for whoever watches the service from outside, and asks often: each is a look at an index, however long the
//! history is.

use jiff::Timestamp;

use crate::domain::decision::{ChangeKind, Reason, Tally};
use crate::domain::run::{Outcome, RunId};
use crate::history::History;
use crate::history::changes::ChangeState;
use crate::history::error::HistoryError;
use crate::history::plans::PlanOrigin;
use crate::history::rows::{Row, stamp};

/// Plans of a job that wait for approval, of one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingPlans {
    pub job: String,
    pub origin: PlanOrigin,
    pub count: u64,
    /// When the first of them was made.
    pub oldest: Timestamp,
}

/// What the newest run counted that looked at everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTally {
    pub tally: Tally,
    /// How many people's managers are known to be wrong, or not known to be right.
    pub unresolved: Option<u64>,
}

impl History {
    /// When the newest run ended in which a job did what it is for, and did it well.
    pub async fn last_success(&self, job: &str) -> Result<Option<Timestamp>, HistoryError> {
        let mut newest = None;
        for outcome in [Outcome::Succeeded, Outcome::Planned] {
            let outcome = outcome.as_str();
            // By name: SQLite cannot know that those that ended well may be few.
            let ended = sqlx::query_scalar!(
                r#"select ended_at as "ended_at!" from run indexed by run_by_job_and_outcome
                    where job = ? and outcome = ? and trigger in ('schedule', 'startup', 'manual') and for_one = 0
                    order by started_at desc limit 1"#,
                job,
                outcome
            )
            .fetch_optional(&self.reader)
            .await?;
            newest = newest.max(ended);
        }
        Row { table: "run", id: job }.maybe_time("ended_at", newest)
    }

    /// The scheduled moment before the last one, those left out at which the job was paused: a job that works has done
    /// its work since then. None while there are no two.
    pub async fn success_due(&self, job: &str, now: Timestamp) -> Result<Option<Timestamp>, HistoryError> {
        let now = stamp(now);
        let moment = sqlx::query_scalar!(
            "select planned_at from (select planned_at, disposition from moment
                                      where job = ? and planned_at <= ? order by planned_at desc limit 1000)
              where disposition <> 'paused' order by planned_at desc limit 1 offset 1",
            job,
            now
        )
        .fetch_optional(&self.reader)
        .await?;
        Row { table: "moment", id: job }.maybe_time("planned_at", moment)
    }

    /// What the newest of the last 200 runs of a managers job counted that looked at everybody.
    pub async fn last_tally(&self, job: &str) -> Result<Option<LastTally>, HistoryError> {
        let row = sqlx::query!(
            r#"select id, tally as "tally!", unresolved
                 from (select id, tally, unresolved, trigger, started_at from run
                        where job = ? and outcome is not null order by started_at desc limit 200)
                where trigger in ('schedule', 'startup', 'manual', 'plan') and json_extract(tally, '$.accounts') > 0
                      and json_extract(tally, '$.reasons') <> '{}'
                order by started_at desc limit 1"#,
            job
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| {
            let at = Row { table: "run", id: &row.id };
            Ok(LastTally {
                tally: serde_json::from_str(&row.tally).map_err(|error| at.bad("tally", error))?,
                unresolved: row.unresolved.map(|count| at.number("unresolved", count)).transpose()?,
            })
        })
        .transpose()
    }

    /// The plans that wait for approval, by job and origin.
    pub async fn waiting_plans(&self) -> Result<Vec<WaitingPlans>, HistoryError> {
        let rows = sqlx::query!(
            r#"select job as "job!", origin as "origin!", count(*) as "count!: i64", min(created_at) as "oldest!: i64"
                 from plan where superseded_by is null and approved_run is null group by job, origin"#
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let at = Row { table: "plan", id: &row.job };
                let (count, oldest) = (at.number("count", row.count)?, at.time("created_at", row.oldest)?);
                Ok(WaitingPlans { origin: at.parse("origin", &row.origin)?, job: row.job, count, oldest })
            })
            .collect()
    }

    /// How many people are left alone until somebody releases them, by job and reason.
    pub async fn parked_counts(&self) -> Result<Vec<(String, Reason, u64)>, HistoryError> {
        let rows = sqlx::query!(
            r#"select job as "job!", reason as "reason!", count(*) as "count!: i64"
                 from parked where ended_as is null group by job, reason"#
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let at = Row { table: "parked", id: &row.job };
                let (reason, count) = (at.parse("reason", &row.reason)?, at.number("count", row.count)?);
                Ok((row.job, reason, count))
            })
            .collect()
    }

    /// How many people are parked under a job.
    pub async fn count_parked(&self, job: &str) -> Result<u64, HistoryError> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!: i64" from parked where job = ? and ended_as is null"#,
            job
        )
        .fetch_one(&self.reader)
        .await?;
        Row { table: "parked", id: job }.number("count", count)
    }

    /// How many writes a run made, by kind and by what is known of them.
    pub async fn change_counts(&self, run: &RunId) -> Result<Vec<(ChangeKind, ChangeState, u64)>, HistoryError> {
        let run = run.as_str();
        let rows = sqlx::query!(
            r#"select kind, coalesce(settled, answer, 'intended') as "state!: String", count(*) as "count!: i64"
                 from change where run = ? group by 1, 2"#,
            run
        )
        .fetch_all(&self.reader)
        .await?;
        let at = Row { table: "change", id: run };
        rows.into_iter()
            .map(|row| {
                Ok((at.parse("kind", &row.kind)?, at.parse("settled", &row.state)?, at.number("count", row.count)?))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
