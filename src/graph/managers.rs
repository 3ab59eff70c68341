//! Managers: read and written in batches.

use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::identity::AccountId;
use crate::graph::batch::{self, Item, ItemAnswer, Outcome};
use crate::graph::client::{GraphClient, WriteLeave, header_map};
use crate::graph::error::{GraphError, Refusal};
use crate::graph::wire::RawManager;
use crate::http::Method;

/// The manager of an account, read just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagerState {
    /// The account has no manager.
    Nobody,
    Is(AccountId),
    /// There is no such account.
    Gone,
}

impl ManagerState {
    /// The manager, if there is one.
    #[must_use]
    pub const fn manager(self) -> Option<AccountId> {
        match self {
            Self::Is(id) => Some(id),
            Self::Nobody | Self::Gone => None,
        }
    }
}

/// One write to be made.
#[derive(Clone, Debug)]
pub struct ManagerWrite {
    pub account: AccountId,
    pub to: ManagerTarget,
    /// Sent with the item, to be found again in Microsoft's logs.
    pub client_request_id: Uuid,
}

/// What a write makes of a manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagerTarget {
    Nobody,
    User(AccountId),
    /// Any directory object, such as an organizational contact that is being put back.
    Object(AccountId),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteAnswer {
    pub account: AccountId,
    pub result: WriteResult,
}

/// How Graph answered a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteResult {
    Accepted {
        request_id: Option<String>,
    },
    Refused {
        status: u16,
        code: String,
        message: String,
        request_id: Option<String>,
        /// The wait that was asked for.
        after: Option<Duration>,
    },
    /// No answer: it may have been written or not. Find out by reading.
    Unknown {
        reason: String,
        request_id: Option<String>,
    },
}

impl WriteResult {
    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let Self::Refused { status, code, message, request_id, after } = self else { return None };
        Some(Refusal {
            method: Method::PUT,
            path: "/users/{id}/manager/$ref".to_owned(),
            status: *status,
            code: code.clone(),
            inner_code: None,
            message: message.clone(),
            request_id: request_id.clone(),
            asked_to_wait: *after,
        })
    }

    /// The wait that a refusal asks for.
    #[must_use]
    pub const fn after(&self) -> Option<Duration> {
        match self {
            Self::Refused { after, .. } => *after,
            Self::Accepted { .. } | Self::Unknown { .. } => None,
        }
    }

    /// What an operator can do about a refusal, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        self.refusal()?.hint()
    }

    /// Whether Graph will not change this account because another directory masters it.
    #[must_use]
    pub fn is_mastered_elsewhere(&self) -> bool {
        self.hint().is_some_and(|hint| hint.contains("masters the account"))
    }
}

#[derive(Deserialize)]
struct WithManager {
    manager: Option<RawManager>,
}

impl GraphClient {
    /// The managers of these accounts, in their order, 20 a batch.
    ///
    /// `GET /users/{id}?$select=id&$expand=manager($select=id)`, which unlike `/manager` tells an account without a
    /// manager from no account. Needs `User.Read.All`.
    /// Source: <https://learn.microsoft.com/graph/api/user-list-manager>
    ///
    /// # Errors
    ///
    /// When a whole batch got no answer; what the batches before it said is then lost.
    pub async fn read_managers(
        &self,
        accounts: &[AccountId],
    ) -> Result<Vec<(AccountId, Result<ManagerState, GraphError>)>, GraphError> {
        let mut states = Vec::with_capacity(accounts.len());
        for part in accounts.chunks(batch::SIZE) {
            let items: Vec<Item> = part.iter().map(|account| read_item(*account)).collect();
            let outcomes = self.read_batch(&items).await?;
            let read = part.iter().zip(items.iter().zip(outcomes));
            states.extend(read.map(|(account, (item, outcome))| (*account, state(item, outcome))));
        }
        Ok(states)
    }

    /// Makes at most 20 writes in one batch, once; answers come in the order of `writes`.
    ///
    /// `PUT /users/{id}/manager/$ref` replaces whoever held the place, `DELETE` empties it; 204 when done, which means
    /// accepted and not yet readable everywhere. Nothing is waited for and nothing sent again: whoever tries again looks
    /// at the old value first, and names the try anew. Needs `User.ReadWrite.All`.
    /// Source: <https://learn.microsoft.com/graph/api/user-post-manager>
    ///
    /// # Errors
    ///
    /// Only when nothing was carried out. After a 401 the next leave comes with another token.
    pub async fn write_managers(
        &self,
        leave: WriteLeave<'_>,
        writes: &[ManagerWrite],
    ) -> Result<Vec<WriteAnswer>, GraphError> {
        let items: Vec<Item> = writes.iter().map(|write| self.write_item(write)).collect();
        let outcomes = self.write_batch(leave, &items).await?;
        let answers = writes.iter().zip(items.iter().zip(outcomes));
        let judge = |(write, (item, outcome)): (&ManagerWrite, (&Item, Outcome))| WriteAnswer {
            account: write.account,
            result: self.result(write, item, outcome),
        };
        Ok(answers.map(judge).collect())
    }

    fn result(&self, write: &ManagerWrite, item: &Item, outcome: Outcome) -> WriteResult {
        let answer = match outcome {
            Outcome::Answered(answer) => answer,
            Outcome::Unknown(reason) => return WriteResult::Unknown { reason, request_id: None },
            Outcome::Unmentioned => {
                let reason = "the answer to the batch does not mention it".to_owned();
                return WriteResult::Unknown { reason, request_id: None };
            }
        };
        if answer.is_success() {
            return WriteResult::Accepted { request_id: answer.request_id() };
        }
        let refusal = answer.refusal(item);
        if is_already_empty(write, &answer, &refusal) {
            return WriteResult::Accepted { request_id: refusal.request_id };
        }
        if answer.status >= 500 && answer.status != 503 {
            return WriteResult::Unknown { reason: refusal.to_string(), request_id: refusal.request_id };
        }
        let code =
            refusal.inner_code.clone().filter(|_| refusal.code.is_empty()).unwrap_or_else(|| refusal.code.clone());
        let after = self.asked_wait(answer.status, &header_map(&answer.headers));
        let Refusal { status, message, request_id, .. } = refusal;
        WriteResult::Refused { status, code, message, request_id, after }
    }

    fn write_item(&self, write: &ManagerWrite) -> Item {
        let to = match write.to {
            ManagerTarget::Nobody => None,
            ManagerTarget::User(id) => Some(format!("{}/v1.0/users/{id}", self.root())),
            ManagerTarget::Object(id) => Some(format!("{}/v1.0/directoryObjects/{id}", self.root())),
        };
        Item {
            method: if to.is_some() { Method::PUT } else { Method::DELETE },
            url: format!("/users/{}/manager/$ref", write.account),
            body: to.map(|to| json!({ "@odata.id": to })),
            client_request_id: Some(write.client_request_id),
        }
    }
}

fn read_item(account: AccountId) -> Item {
    Item {
        method: Method::GET,
        url: format!("/users/{account}?$select=id&$expand=manager($select=id)"),
        body: None,
        client_request_id: None,
    }
}

fn state(item: &Item, outcome: Outcome) -> Result<ManagerState, GraphError> {
    let answer = match outcome {
        Outcome::Answered(answer) => answer,
        Outcome::Unknown(_) | Outcome::Unmentioned => {
            return Err(GraphError::Unanswered { method: item.method.clone(), path: item.path() });
        }
    };
    if !answer.is_success() {
        let refusal = answer.refusal(item);
        let gone = refusal.status == 404 && refusal.is("Request_ResourceNotFound");
        return if gone { Ok(ManagerState::Gone) } else { Err(GraphError::Refused(Box::new(refusal))) };
    }
    let record = |fault: String| GraphError::Record { path: "/$batch".to_owned(), record: item.path(), fault };
    let body = answer.body.ok_or_else(|| record("no body".to_owned()))?;
    let account: WithManager =
        serde_json::from_value(body).map_err(|_| record("it is not an account with a manager".to_owned()))?;
    match account.manager {
        None => Ok(ManagerState::Nobody),
        Some(manager) => manager.admit().map(ManagerState::Is).map_err(record),
    }
}

/// Emptying an empty place may be answered 404, as an account that is gone is; only the latter is named by its id.
fn is_already_empty(write: &ManagerWrite, answer: &ItemAnswer, refusal: &Refusal) -> bool {
    write.to == ManagerTarget::Nobody
        && answer.status == 404
        && refusal.is("Request_ResourceNotFound")
        && !refusal.message.to_ascii_lowercase().contains(&write.account.to_string())
}
