//! `$batch`: up to 20 requests in one, each judged by itself. Of reads the failed ones are sent again; writes are sent
//! once, since whoever writes again has to look again first.
//! Source: <https://learn.microsoft.com/graph/json-batching>

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::info;
use uuid::Uuid;

use crate::domain::causes::chain;
use crate::graph::client::{GraphClient, WriteLeave, header, header_map};
use crate::graph::error::{GraphError, Refusal};
use crate::http::meter::Cause;
use crate::http::retry::{Failure, Next};
use crate::http::{Answer, Executed, Method, Repeat};
use crate::secret::Secret;

/// The most requests that Graph takes in one batch.
pub(super) const SIZE: usize = 20;

/// One request of a batch.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) method: Method,
    /// Below `/v1.0`, with a leading slash.
    pub(super) url: String,
    pub(super) body: Option<Value>,
    /// Of a write that is known by it; a read has a fresh one each time it is sent.
    pub(super) client_request_id: Option<Uuid>,
}

impl Item {
    /// The path without the query, for messages.
    pub(super) fn path(&self) -> String {
        self.url.split('?').next().unwrap_or_default().to_owned()
    }
}

/// What became of one request of a batch.
#[derive(Debug)]
pub(super) enum Outcome {
    Answered(ItemAnswer),
    /// No answer, and it may have been carried out.
    Unknown(String),
    /// The batch was answered, but this item was not mentioned.
    Unmentioned,
}

/// The answer to one request of a batch.
#[derive(Debug, Deserialize)]
pub(super) struct ItemAnswer {
    id: String,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: HashMap<String, Value>,
    pub(super) body: Option<Value>,
}

impl ItemAnswer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The vendor's id of this request: in its headers, or in its error object.
    pub(super) fn request_id(&self) -> Option<String> {
        header(&self.headers, "request-id").map(std::borrow::Cow::into_owned)
    }

    /// The refusal that an answer with another status than 2xx is.
    pub(super) fn refusal(&self, item: &Item) -> Refusal {
        let mut refusal = Refusal::from_json(item.method.clone(), item.path(), self.status, self.body.clone());
        refusal.request_id = self.request_id().or(refusal.request_id);
        refusal
    }
}

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: String,
    method: &'a str,
    url: &'a str,
    headers: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a Value>,
}

#[derive(Deserialize)]
struct Answers {
    responses: Vec<ItemAnswer>,
}

fn batch<'a>(items: &'a [Item], pending: &[usize]) -> Batch<'a> {
    let line = |index: &usize| {
        let item = &items[*index];
        let id = item.client_request_id.unwrap_or_else(Uuid::new_v4);
        let mut headers = BTreeMap::from([("client-request-id", id.to_string())]);
        if item.body.is_some() {
            headers.insert("Content-Type", "application/json".to_owned());
        }
        Line { id: index.to_string(), method: item.method.as_str(), url: &item.url, headers, body: item.body.as_ref() }
    };
    Batch { requests: pending.iter().map(line).collect() }
}

impl GraphClient {
    /// Makes at most [`SIZE`] reads, and tries those again that a later moment may help.
    ///
    /// # Errors
    ///
    /// Only when the first batch got no answer.
    pub(super) async fn read_batch(&self, items: &[Item]) -> Result<Vec<Outcome>, GraphError> {
        debug_assert!(items.len() <= SIZE, "a batch holds 20");
        let mut outcomes: Vec<Outcome> = items.iter().map(|_| Outcome::Unmentioned).collect();
        let mut pending: Vec<usize> = (0..items.len()).collect();
        let mut course = Course::default();
        while !pending.is_empty() {
            course.attempt += 1;
            let (answer, round) = match self.read_round(items, &pending).await {
                Ok(round) => round,
                Err(error) if course.attempt == 1 => return Err(error),
                // What is pending keeps the refusal of the round before, which is as true as ever.
                Err(_) => break,
            };
            pending.clear();
            let mut longest = Duration::ZERO;
            for (index, outcome) in round {
                if let Some(wait) = self.next_try(&outcome, &answer, &mut course).await {
                    longest = longest.max(wait);
                    pending.push(index);
                }
                outcomes[index] = outcome;
            }
            course.signed_anew |= course.refused_token;
            if !pending.is_empty() {
                info!(items = pending.len(), seconds = longest.as_secs_f64(), "part of a batch is sent again");
                tokio::time::sleep(longest).await;
                self.waited(if course.throttled { Cause::Throttled } else { Cause::Failed }, longest);
                course.waited += longest;
            }
        }
        Ok(outcomes)
    }

    /// Sends the pending reads once.
    async fn read_round(
        &self,
        items: &[Item],
        pending: &[usize],
    ) -> Result<(Answer, Vec<(usize, Outcome)>), GraphError> {
        let answer = self.post_reads(&batch(items, pending)).await?;
        if !answer.status.is_success() {
            return Err(GraphError::refused(&answer));
        }
        let outcomes = self.sorted(answer.json()?, pending);
        Ok((answer, outcomes))
    }

    /// Makes at most [`SIZE`] writes, once. A token that was refused is dropped.
    ///
    /// # Errors
    ///
    /// Only when nothing at all was carried out.
    pub(super) async fn write_batch(&self, leave: WriteLeave<'_>, items: &[Item]) -> Result<Vec<Outcome>, GraphError> {
        debug_assert!(items.len() <= SIZE, "a batch holds 20");
        let all: Vec<usize> = (0..items.len()).collect();
        let unknown = |reason: String| items.iter().map(|_| Outcome::Unknown(reason.clone())).collect();
        let answer = match self.post_writes(&leave, &batch(items, &all)).await {
            Ok(answer) => answer,
            Err(error) if error.executed() == Executed::Unknown => return Ok(unknown(chain(&error))),
            Err(error) => return Err(error.into()),
        };
        drop(leave);
        if !answer.status.is_success() {
            let refused = GraphError::refused(&answer);
            if answer.executed() == Executed::Unknown {
                return Ok(unknown(refused.to_string()));
            }
            self.drop_refused_token(&answer, answer.status.as_u16()).await;
            return Err(refused);
        }
        let answers = match answer.json() {
            Ok(answers) => answers,
            Err(error) => return Ok(unknown(chain(&error))),
        };
        let outcomes: Vec<Outcome> = self.sorted(answers, &all).into_iter().map(|(_, outcome)| outcome).collect();
        for outcome in &outcomes {
            if let Outcome::Answered(item) = outcome {
                self.drop_refused_token(&answer, item.status).await;
            }
        }
        Ok(outcomes)
    }

    async fn drop_refused_token(&self, answer: &Answer, status: u16) {
        if let (401, Some(used)) = (status, &answer.authorization) {
            self.forget(used).await;
        }
    }

    /// Brings answers into the order of what was asked; heeds what they say about the pace.
    fn sorted(&self, answers: Answers, pending: &[usize]) -> Vec<(usize, Outcome)> {
        let mut by_id: HashMap<String, ItemAnswer> = answers.responses.into_iter().map(|a| (a.id.clone(), a)).collect();
        for answer in by_id.values() {
            self.count_item(answer.status);
            self.heed(answer.status, self.asked_wait(answer.status, &header_map(&answer.headers)));
        }
        let mut outcome =
            |index: &usize| by_id.remove(&index.to_string()).map_or(Outcome::Unmentioned, Outcome::Answered);
        pending.iter().copied().map(|index| (index, outcome(&index))).collect()
    }

    /// How long to wait before a read is sent again, if it is.
    async fn next_try(&self, outcome: &Outcome, batch: &Answer, course: &mut Course) -> Option<Duration> {
        let Outcome::Answered(answer) = outcome else { return None };
        if answer.status == 401 && !course.signed_anew {
            // The token ended between the batch and its item.
            let used: &Secret = batch.authorization.as_ref()?;
            course.refused_token = true;
            return self.forget(used).await.then_some(Duration::ZERO);
        }
        let status = match answer.status {
            // Two calls met in the directory: as good as a door shut for a moment.
            409 if answer.is_concurrency_violation() => 503,
            other => other,
        };
        course.throttled |= status == 429;
        let failure = Failure::Status(status, self.asked_wait(status, &header_map(&answer.headers)));
        match self.backoff().next(course.attempt, course.waited, failure, Repeat::Safe, fastrand::f64()) {
            Next::Wait(wait) => Some(wait),
            Next::GiveUp => None,
        }
    }
}

impl ItemAnswer {
    fn is_concurrency_violation(&self) -> bool {
        let code = self.body.as_ref().and_then(|body| body.pointer("/error/code")?.as_str());
        code.is_none_or(|code| code == "Directory_ConcurrencyViolation")
    }
}

/// How far a batch of reads has come.
#[derive(Default)]
struct Course {
    attempt: u32,
    waited: Duration,
    /// An item of this round was refused for its token.
    refused_token: bool,
    /// A round before was.
    signed_anew: bool,
    /// Graph had too many requests.
    throttled: bool,
}
