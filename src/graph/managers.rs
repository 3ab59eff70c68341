//! Managers: read and written in batches.

use uuid::Uuid;

use crate::domain::identity::AccountId;
use crate::graph::client::GraphClient;
use crate::graph::error::GraphError;

/// The manager of an account, read just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagerState {
    /// The account has no manager.
    Nobody,
    Is(AccountId),
    /// There is no such account.
    Gone,
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
    },
    /// No answer: it may have been written or not. Find out by reading.
    Unknown {
        reason: String,
        request_id: Option<String>,
    },
}

impl GraphClient {
    /// The managers of these accounts, 20 a batch. `Err` when a whole batch got no answer.
    pub async fn read_managers(
        &self,
        accounts: &[AccountId],
    ) -> Result<Vec<(AccountId, Result<ManagerState, GraphError>)>, GraphError> {
        unimplemented!()
    }
    /// At most 20 writes in one batch, answers in the order of `writes`. `Err` only when nothing was carried out.
    pub async fn write_managers(&self, writes: &[ManagerWrite]) -> Result<Vec<WriteAnswer>, GraphError> {
        unimplemented!()
    }
}
