//! `$batch`: up to 20 requests in one, each judged by itself, only the failed ones sent again.
//! Source: <https://learn.microsoft.com/graph/json-batching>

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::info;
use uuid::Uuid;

use crate::graph::client::{GraphClient, Identity, header, header_map};
use crate::graph::error::{GraphError, Refusal};
use crate::http::retry::{Failure, Next};
use crate::http::{Answer, Executed, Method, Repeat};

/// The most requests that Graph takes in one batch.
pub(super) const SIZE: usize = 20;

/// One request of a batch.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) method: Method,
    /// Below `/v1.0`, with a leading slash.
    pub(super) url: String,
    pub(super) body: Option<Value>,
    pub(super) client_request_id: Uuid,
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
        let mut headers = BTreeMap::from([("client-request-id", item.client_request_id.to_string())]);
        if item.body.is_some() {
            headers.insert("Content-Type", "application/json".to_owned());
        }
        Line { id: index.to_string(), method: item.method.as_str(), url: &item.url, headers, body: item.body.as_ref() }
    };
    Batch { requests: pending.iter().map(line).collect() }
}

impl GraphClient {
    /// Carries out at most [`SIZE`] requests and tries again those that a later moment may help. `writes` says whether
    /// they count as writes, which are not sent twice when nobody knows what became of them; `patience` how long this
    /// may wait in all, where that is shorter than usual.
    ///
    /// # Errors
    ///
    /// Only when nothing at all was carried out.
    pub(super) async fn carry_out(
        &self,
        items: &[Item],
        writes: bool,
        patience: Option<Duration>,
    ) -> Result<Vec<Outcome>, GraphError> {
        debug_assert!(items.len() <= SIZE, "a batch holds 20");
        let mut outcomes: Vec<Outcome> = items.iter().map(|_| Outcome::Unmentioned).collect();
        let mut pending: Vec<usize> = (0..items.len()).collect();
        let mut course = Course { patience, ..Course::default() };
        while !pending.is_empty() {
            course.attempt += 1;
            let round = match self.round(items, &pending, writes, patience).await {
                Ok(round) => round,
                Err(error) if course.attempt == 1 => return Err(error),
                // What is pending keeps the refusal of the round before, which is as true as ever.
                Err(_) => break,
            };
            pending.clear();
            let mut longest = Duration::ZERO;
            for (index, outcome) in round.outcomes {
                if let Some(wait) = self.next_try(&outcome, round.batch.as_ref(), &mut course).await {
                    longest = longest.max(wait);
                    pending.push(index);
                }
                outcomes[index] = outcome;
            }
            course.signed_anew |= course.refused_token;
            if !pending.is_empty() {
                info!(items = pending.len(), seconds = longest.as_secs_f64(), "part of a batch is sent again");
                tokio::time::sleep(longest).await;
                course.waited += longest;
            }
        }
        Ok(outcomes)
    }

    /// Sends the pending items once.
    async fn round(
        &self,
        items: &[Item],
        pending: &[usize],
        writes: bool,
        patience: Option<Duration>,
    ) -> Result<Round, GraphError> {
        let cost = if writes { u32::try_from(pending.len()).expect("at most 20") } else { 0 };
        let repeat = if writes { Repeat::OnlyIfNotExecuted } else { Repeat::Safe };
        let unknown = |reason: String| {
            let outcomes = pending.iter().map(|index| (*index, Outcome::Unknown(reason.clone()))).collect();
            Round { outcomes, batch: None }
        };
        let answer = match self.post_batch(&batch(items, pending), cost, repeat, patience).await {
            Ok(answer) => answer,
            Err(GraphError::Http(error)) if writes && error.executed() == Executed::Unknown => {
                return Ok(unknown(chain(&error)));
            }
            Err(error) => return Err(error),
        };
        if !answer.status.is_success() {
            let refused = GraphError::refused(&answer);
            return if writes && answer.executed() == Executed::Unknown {
                Ok(unknown(refused.to_string()))
            } else {
                Err(refused)
            };
        }
        let answers: Answers = match answer.json() {
            Ok(answers) => answers,
            Err(error) if writes => return Ok(unknown(chain(&error))),
            Err(error) => return Err(error.into()),
        };
        let mut by_id: HashMap<String, ItemAnswer> = answers.responses.into_iter().map(|a| (a.id.clone(), a)).collect();
        let outcomes = pending
            .iter()
            .map(|index| (*index, by_id.remove(&index.to_string()).map_or(Outcome::Unmentioned, Outcome::Answered)));
        Ok(Round { outcomes: outcomes.collect(), batch: Some(answer) })
    }

    /// How long to wait before an item is sent again, if it is.
    async fn next_try(&self, outcome: &Outcome, batch: Option<&Answer>, course: &mut Course) -> Option<Duration> {
        let Outcome::Answered(answer) = outcome else { return None };
        if answer.status == 401 && !course.signed_anew {
            // The token ended between the batch and its item. Nothing was carried out.
            let used = batch.and_then(|batch| batch.authorization.as_ref())?;
            let renewable = self.authorizer(Identity::App).ok()?.forget(used).await;
            course.refused_token = true;
            return renewable.then_some(Duration::ZERO);
        }
        let status = match answer.status {
            // Two writes met in the directory: as good as a door shut for a moment.
            409 if answer.is_concurrency_violation() => 503,
            other => other,
        };
        let asked = self.asked_wait(status, &header_map(&answer.headers));
        let failure = Failure::Status(status, asked);
        let mut backoff = self.backoff();
        backoff.patience = course.patience.unwrap_or(backoff.patience).min(backoff.patience);
        match backoff.next(course.attempt, course.waited, failure, Repeat::Safe, fastrand::f64()) {
            Next::Wait(wait) => Some(wait),
            Next::GiveUp(_) => None,
        }
    }
}

impl ItemAnswer {
    fn is_concurrency_violation(&self) -> bool {
        let code = self.body.as_ref().and_then(|body| body.pointer("/error/code")?.as_str());
        code.is_none_or(|code| code == "Directory_ConcurrencyViolation")
    }
}

/// How far a batch has come.
#[derive(Default)]
struct Course {
    patience: Option<Duration>,
    attempt: u32,
    waited: Duration,
    /// An item of this round was refused for its token.
    refused_token: bool,
    /// A round before was.
    signed_anew: bool,
}

struct Round {
    outcomes: Vec<(usize, Outcome)>,
    batch: Option<Answer>,
}

/// An error and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
