//! What becomes of a change: judged by what Graph answered.

use crate::domain::decision::Reason;
use crate::domain::identity::AccountId;
use crate::graph::{Refusal, WriteResult};
use crate::history::changes::{Answer, ChangeId};

/// What became of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The run ended before it.
    NotReached,
    /// The account is gone.
    Vanished,
    /// Somebody else changed the manager since the plan was made.
    Stale,
    /// Another write was refused, and without it this one would close a cycle.
    ClosesCycle,
    Refused {
        status: u16,
        code: String,
        message: String,
        request_id: Option<String>,
    },
    /// No answer; to be settled by reading.
    Unknown(ChangeId),
    /// Accepted; to be confirmed by reading.
    Accepted(ChangeId),
    Confirmed,
    /// Accepted, and the old manager is still there.
    Unconfirmed,
    /// No answer, and the old manager is still there.
    NotWritten,
    /// Written, or perhaps written, and a third value is there.
    Overtaken,
}

impl Fate {
    /// Whether Graph said yes, whatever was read afterwards.
    pub(super) const fn was_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_) | Self::Confirmed | Self::Unconfirmed | Self::Overtaken)
    }

    /// Whether a refusal is about this person, and not about the moment.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            Self::Refused { status: 409, code, .. } => code.as_str() != "Directory_ConcurrencyViolation",
            Self::Refused { status, .. } => !matches!(*status, 401 | 408 | 429 | 500..),
            _ => false,
        }
    }

    /// Why the person was left as they were, where that is a reason of its own.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Vanished => Some(Reason::Vanished),
            Self::Stale | Self::Overtaken => Some(Reason::Stale),
            Self::ClosesCycle => Some(Reason::ClosesCycle),
            Self::Refused { .. } if self.is_lasting() => Some(Reason::Blocked),
            Self::Refused { .. }
            | Self::NotReached
            | Self::Unknown(_)
            | Self::Accepted(_)
            | Self::Confirmed
            | Self::Unconfirmed
            | Self::NotWritten => None,
        }
    }

    /// The word for people.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::NotReached => "not_reached",
            Self::Vanished => "vanished",
            Self::Stale => "stale",
            Self::ClosesCycle => "closes_cycle",
            Self::Refused { .. } => "refused",
            Self::Unknown(_) => "unknown",
            Self::Accepted(_) => "accepted",
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "unconfirmed",
            Self::NotWritten => "not_written",
            Self::Overtaken => "overtaken",
        }
    }
}

impl Fate {
    /// What Graph's answer to a write makes of it.
    pub(super) fn of(result: &WriteResult, account: AccountId, row: ChangeId) -> Self {
        match result {
            WriteResult::Accepted { .. } => Self::Accepted(row),
            WriteResult::Unknown { .. } => Self::Unknown(row),
            WriteResult::Refused { status: 404, message, .. } if names(message, account) => Self::Vanished,
            WriteResult::Refused { status, code, message, request_id, .. } => Self::Refused {
                status: *status,
                code: code.clone(),
                message: message.clone(),
                request_id: request_id.clone(),
            },
        }
    }

    /// What it makes of a change that the account's old value could not be read just before. A refusal of the moment
    /// leaves it to the next run.
    pub(super) fn unread(refusal: Refusal) -> Self {
        let Refusal { status, code, message, request_id, .. } = refusal;
        let fate = Self::Refused { status, code, message, request_id };
        if fate.is_lasting() { fate } else { Self::NotReached }
    }

    /// Whether Graph said no, and may say yes a moment later.
    pub(super) fn may_be_tried_again(&self) -> bool {
        matches!(self, Self::Refused { .. }) && !self.is_lasting()
    }
}

/// An answer as the journal keeps it.
pub(super) fn answer(result: &WriteResult) -> Answer {
    match result {
        WriteResult::Accepted { request_id } => Answer::Accepted { request_id: request_id.clone() },
        WriteResult::Refused { status, code, message, request_id, .. } => Answer::Refused {
            status: *status,
            code: code.clone(),
            message: message.clone(),
            request_id: request_id.clone(),
        },
        WriteResult::Unknown { reason, .. } => Answer::Unknown { message: reason.clone() },
    }
}

/// Whether a 404 is about the account itself and not about the manager that it was to get.
fn names(message: &str, account: AccountId) -> bool {
    message.to_lowercase().contains(&account.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> Fate {
        Fate::Refused { status, code: code.to_owned(), message: String::new(), request_id: None }
    }

    #[test]
    fn a_refusal_of_the_moment_is_nobodys_fault() {
        let cases = [
            (refused(400, "Request_BadRequest"), true),
            (refused(403, "Authorization_RequestDenied"), true),
            (refused(404, "Request_ResourceNotFound"), true),
            (refused(409, "Request_MultipleObjectsWithSameKeyValue"), true),
            (refused(409, "Directory_ConcurrencyViolation"), false),
            (refused(401, "InvalidAuthenticationToken"), false),
            (refused(429, "TooManyRequests"), false),
            (refused(503, "serviceNotAvailable"), false),
        ];
        for (fate, lasting) in cases {
            assert_eq!(fate.is_lasting(), lasting, "{fate:?}");
            assert_eq!(fate.reason() == Some(Reason::Blocked), lasting, "{fate:?}");
        }
    }

    #[test]
    fn a_missing_manager_is_told_from_a_missing_account() {
        let account: AccountId = "AAAAAAAA-0000-4000-8000-000000000001".parse().unwrap();
        assert!(names("Resource 'aaaaaaaa-0000-4000-8000-000000000001' does not exist", account));
        assert!(!names("Resource 'manager' does not exist", account));
        assert!(!names("Resource 'aaaaaaaa-0000-4000-8000-000000000002' does not exist", account));
    }
}
