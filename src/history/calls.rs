//! Single vendor calls, for jobs whose calls are their result.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::run::{RunId, words};
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, signed, stamp};

words! {
    /// What a call came to.
    Verdict, "verdict", {
        Ok => "ok",
        /// Answered 2xx, but not with what was asked for.
        WrongShape => "wrong_shape",
        Failed => "failed",
        /// A write of which nobody knows whether it was carried out: it was not answered, or the answer was not recorded.
        Unknown => "unknown",
    }
}

/// The row of a write that is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(i64);

/// One call, with all its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRow {
    pub at: Timestamp,
    /// `okta`, `entra` or `graph`.
    pub service: String,
    pub method: String,
    /// Without a query.
    pub path: String,
    pub status: Option<u16>,
    pub latency_ms: u64,
    pub attempts: u32,
    pub request_id: Option<String>,
    pub client_request_id: Option<String>,
    pub verdict: Verdict,
    pub error: Option<String>,
    /// Only when the job saves bodies.
    pub body: Option<String>,
}

struct StoredCall {
    id: i64,
    at: i64,
    service: String,
    method: String,
    path: String,
    status: Option<i64>,
    latency_ms: i64,
    attempts: i64,
    request_id: Option<String>,
    client_request_id: Option<String>,
    verdict: String,
    error: Option<String>,
    body: Option<String>,
}

impl TryFrom<StoredCall> for CallRow {
    type Error = HistoryError;

    fn try_from(row: StoredCall) -> Result<Self, HistoryError> {
        let id = row.id.to_string();
        let at = Row { table: "call", id: &id };
        Ok(Self {
            at: at.time("at", row.at)?,
            service: row.service,
            method: row.method,
            path: row.path,
            status: row.status.map(|status| at.number("status", status)).transpose()?,
            latency_ms: at.number("latency_ms", row.latency_ms)?,
            attempts: at.number("attempts", row.attempts)?,
            request_id: row.request_id,
            client_request_id: row.client_request_id,
            verdict: at.parse("verdict", &row.verdict)?,
            error: row.error,
            body: row.body,
        })
    }
}

impl History {
    /// Records calls of a run.
    pub async fn record_calls(&self, run: &RunId, calls: &[CallRow]) -> Result<(), HistoryError> {
        let run = run.as_str();
        let mut tx = self.begin().await?;
        for call in calls {
            let (at, status, verdict) = (stamp(call.at), call.status.map(i64::from), call.verdict.as_str());
            let (latency_ms, attempts) = (signed(call.latency_ms), i64::from(call.attempts));
            sqlx::query!(
                "insert into call (run, at, service, method, path, status, latency_ms, attempts, request_id,
                                   client_request_id, verdict, error, body)
                 values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                run,
                at,
                call.service,
                call.method,
                call.path,
                status,
                latency_ms,
                attempts,
                call.request_id,
                call.client_request_id,
                verdict,
                call.error,
                call.body
            )
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Records a write before it is sent: `unknown`, until [`Self::answer_call`] says what became of it.
    pub async fn intend_call(&self, run: &RunId, call: &CallRow) -> Result<CallId, HistoryError> {
        let (run, at, verdict) = (run.as_str(), stamp(call.at), Verdict::Unknown.as_str());
        let done = sqlx::query!(
            "insert into call (run, at, service, method, path, latency_ms, attempts, client_request_id, verdict, error)
             values (?, ?, ?, ?, ?, 0, 1, ?, ?, 'sent, and no answer was recorded')",
            run,
            at,
            call.service,
            call.method,
            call.path,
            call.client_request_id,
            verdict
        )
        .execute(self.writer()?)
        .await?;
        Ok(CallId(done.last_insert_rowid()))
    }

    /// Says what became of a write.
    pub async fn answer_call(&self, id: CallId, call: &CallRow) -> Result<(), HistoryError> {
        let (status, verdict) = (call.status.map(i64::from), call.verdict.as_str());
        let (latency_ms, attempts) = (signed(call.latency_ms), i64::from(call.attempts));
        sqlx::query!(
            "update call set status = ?, latency_ms = ?, attempts = ?, request_id = ?, verdict = ?, error = ?, body = ?
              where id = ?",
            status,
            latency_ms,
            attempts,
            call.request_id,
            verdict,
            call.error,
            call.body,
            id.0
        )
        .execute(self.writer()?)
        .await?;
        Ok(())
    }

    /// When a job last called Graph; `None` when it never did. Signing in is no such call.
    pub async fn last_call(&self, job: &str) -> Result<Option<Timestamp>, HistoryError> {
        let at = sqlx::query_scalar!(
            r#"select call.at as "at!" from run join call on call.run = run.id
                where run.job = ? and call.service = 'graph'
                order by run.started_at desc, call.at desc limit 1"#,
            job
        )
        .fetch_optional(&self.reader)
        .await?;
        at.map(|at| Row { table: "call", id: job }.time("at", at)).transpose()
    }

    /// The calls of a run, in order.
    pub async fn calls_of_run(&self, run: &RunId) -> Result<Vec<CallRow>, HistoryError> {
        self.calls_of_run_from(run, 0, -1).await
    }

    /// The same without the first `skip`, and at most so many.
    pub async fn some_calls_of_run(&self, run: &RunId, skip: u64, most: u32) -> Result<Vec<CallRow>, HistoryError> {
        self.calls_of_run_from(run, skip, i64::from(most)).await
    }

    /// How many calls of a run were kept.
    pub async fn count_calls_of_run(&self, run: &RunId) -> Result<u64, HistoryError> {
        let id = run.as_str();
        let count = sqlx::query_scalar!(r#"select count(*) as "count!: i64" from call where run = ?"#, id)
            .fetch_one(&self.reader)
            .await?;
        Row { table: "call", id }.number("count", count)
    }

    /// A negative `most` is no limit.
    async fn calls_of_run_from(&self, run: &RunId, skip: u64, most: i64) -> Result<Vec<CallRow>, HistoryError> {
        let (run, skip) = (run.as_str(), signed(skip));
        let rows = sqlx::query_as!(
            StoredCall,
            "select id, at, service, method, path, status, latency_ms, attempts, request_id, client_request_id, verdict,
                    error, body
               from call where run = ? order by id limit ? offset ?",
            run,
            most,
            skip
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(CallRow::try_from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::Trigger;
    use crate::history::testing::{Place, at, past_run};

    #[tokio::test]
    async fn calls_come_back_whole_and_in_order() {
        let place = Place::new().await;
        let run = past_run(&place.history, "aaaa0001", Trigger::Schedule, 0).await;
        let ok = CallRow {
            at: at(0),
            service: "graph".to_owned(),
            method: "GET".to_owned(),
            path: "/v1.0/me".to_owned(),
            status: Some(200),
            latency_ms: 12,
            attempts: 1,
            request_id: Some("r-1".to_owned()),
            client_request_id: Some("c-1".to_owned()),
            verdict: Verdict::Ok,
            error: None,
            body: Some("{}".to_owned()),
        };
        let lost = CallRow {
            status: None,
            attempts: 5,
            request_id: None,
            verdict: Verdict::Failed,
            error: Some("no answer".to_owned()),
            body: None,
            ..ok.clone()
        };
        let odd = CallRow { verdict: Verdict::WrongShape, ..ok.clone() };
        let calls = [ok, lost, odd];
        place.history.record_calls(&run, &calls).await.unwrap();
        assert_eq!(place.history.calls_of_run(&run).await.unwrap(), calls);
        assert_eq!(place.history.some_calls_of_run(&run, 1, 1).await.unwrap(), calls[1..2]);
        assert_eq!(place.history.count_calls_of_run(&run).await.unwrap(), calls.len() as u64);
        assert!(place.history.record_calls(&RunId::stored("none"), &calls).await.is_err(), "a call has a run");
    }

    #[tokio::test]
    async fn a_write_is_in_doubt_from_before_it_is_sent_until_it_is_answered() {
        let place = Place::new().await;
        let run = past_run(&place.history, "aaaa0001", Trigger::Schedule, 0).await;
        let answered = CallRow {
            at: at(0),
            service: "graph".to_owned(),
            method: "PATCH".to_owned(),
            path: "/v1.0/organization/1".to_owned(),
            status: Some(204),
            latency_ms: 12,
            attempts: 2,
            request_id: Some("r-1".to_owned()),
            client_request_id: Some("c-1".to_owned()),
            verdict: Verdict::Ok,
            error: None,
            body: None,
        };
        let id = place.history.intend_call(&run, &answered).await.unwrap();
        let place = place.killed().await;
        let open = place.history.calls_of_run(&run).await.unwrap().remove(0);
        assert_eq!(
            (open.verdict, open.status, open.client_request_id.as_deref()),
            (Verdict::Unknown, None, Some("c-1"))
        );
        assert!(open.error.unwrap().contains("no answer"));
        place.history.answer_call(id, &answered).await.unwrap();
        assert_eq!(place.history.calls_of_run(&run).await.unwrap(), [answered]);
    }
}
