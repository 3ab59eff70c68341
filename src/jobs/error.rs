//! What can end a job's work early, and whose turn it is then.

use std::time::Duration;

use crate::auth::Class;
use crate::domain::run::Outcome;
use crate::graph::GraphError;
use crate::history::error::HistoryError;
use crate::okta::OktaError;

pub use crate::domain::causes::chain;

/// Why the work could not go on.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("Okta could not be read")]
    Okta(#[from] OktaError),
    #[error("Microsoft Graph could not be used")]
    Graph(#[from] GraphError),
    #[error("the history could not be used")]
    History(#[from] HistoryError),
    /// Graph refused the whole first batch of writes: the application lacks the permission to write.
    #[error("Microsoft Graph refuses every write: Authorization_RequestDenied (request-id {request_id})")]
    WritesDenied { request_id: String },
    /// Graph asked for a longer wait than a run has, or turned writes away again and again.
    #[error("Microsoft Graph turns writes away{}", come_back(*asked))]
    Throttled { asked: Option<Duration> },
    /// What became of these writes is found out by reading; more of them would only be more in doubt.
    #[error("Microsoft Graph left {batches} batches of writes in a row without an answer")]
    Unanswered { batches: u32 },
    /// The run was stopped before it wrote anything.
    #[error("stopped")]
    Stopped,
    /// The command cannot be carried out as asked: no such plan, run or person.
    #[error("{message}")]
    Refused { reason: &'static str, message: String, hint: Option<String> },
}

fn come_back(asked: Option<Duration>) -> String {
    asked.map(|asked| format!(" and asks to come back in {} seconds", asked.as_secs())).unwrap_or_default()
}

impl JobError {
    /// How a run that ended with this error is recorded.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let class = match self {
            Self::Okta(error) => error.class(),
            Self::Graph(error) => error.class(),
            Self::History(_)
            | Self::WritesDenied { .. }
            | Self::Throttled { .. }
            | Self::Unanswered { .. }
            | Self::Refused { .. } => Class::Retry,
            Self::Stopped => return Outcome::Interrupted,
        };
        if class == Class::NeedsHuman { Outcome::NeedsHuman } else { Outcome::Failed }
    }

    /// The code word under which the failure is found in history: the vendor's own where there is one.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Okta(OktaError::Refused(refusal)) => refusal.code.clone(),
            Self::Graph(GraphError::Refused(refusal)) => refusal.code.clone(),
            Self::Okta(OktaError::Auth(error)) | Self::Graph(GraphError::Auth(error)) => error.reason(),
            Self::Okta(OktaError::Listing { .. }) | Self::Graph(GraphError::Listing { .. }) => {
                "listing_broken".to_owned()
            }
            Self::Okta(OktaError::Record { .. }) | Self::Graph(GraphError::Record { .. }) => {
                "record_invalid".to_owned()
            }
            Self::Okta(_) => "okta_unreachable".to_owned(),
            Self::Graph(_) => "graph_unreachable".to_owned(),
            Self::History(_) => "history_unusable".to_owned(),
            Self::WritesDenied { .. } => "Authorization_RequestDenied".to_owned(),
            Self::Throttled { .. } => "throttled".to_owned(),
            Self::Unanswered { .. } => "writes_unanswered".to_owned(),
            Self::Stopped => "stopped".to_owned(),
            Self::Refused { reason, .. } => (*reason).to_owned(),
        }
    }

    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Okta(error) => error.hint().map(str::to_owned),
            Self::Graph(error) => error.hint().map(str::to_owned),
            Self::History(error) => error.hint().map(str::to_owned),
            Self::WritesDenied { .. } => Some(
                "grant the application the permission User.ReadWrite.All (application) and give admin consent; it takes \
                 effect with the next access token"
                    .to_owned(),
            ),
            Self::Throttled { .. } => Some("the next run goes on; other programs may be using up the tenant's limit".to_owned()),
            Self::Unanswered { .. } => {
                Some("the next run finds out what was written and goes on; look at Microsoft 365's service health".to_owned())
            }
            Self::Stopped => None,
            Self::Refused { hint, .. } => hint.clone(),
        }
    }
}
