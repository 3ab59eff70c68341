//! Every reason in one plain sentence, and what can be done about it.

use crate::domain::decision::Reason;

/// What a reason means, for a person who asks why.
#[must_use]
pub const fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::Agreed => "the manager in Entra is the one Okta gives",
        Reason::Planned => "the manager in Entra is to be written",
        Reason::OutOfScope => "the person is not in the scope of the job",
        Reason::Excluded => "the person is on the job's `exclude` list",
        Reason::InactiveInOkta => "the person is not active in Okta: staged or deactivated",
        Reason::UnknownStatus => "Okta gives the person a status that this version does not know",
        Reason::NoAccount => "no account in Entra corresponds to the person",
        Reason::AmbiguousAccount => "a correlate rule finds several accounts in Entra",
        Reason::ConflictingPeople => "another person in Okta corresponds to the same account",
        Reason::ManagerNotGiven => "Okta gives no manager",
        Reason::ManagerPlaceholder => "Okta gives a placeholder such as N/A instead of a manager",
        Reason::ManagerNotFound => "the manager reference leads to nobody",
        Reason::ManagerAmbiguous => "the manager reference leads to several people or accounts",
        Reason::ManagerHasNoAccount => "the manager is known in Okta but has no account in Entra yet",
        Reason::SelfManager => "the person would be their own manager",
        Reason::ClosesCycle => "the write would make people each other's managers in a circle",
        Reason::ManagerDisabled => "the manager has left, or the manager's account is disabled",
        Reason::ManagerIsGuest => "the manager's account is a guest",
        Reason::MasteredOnPremises => "the account is mastered on premises: Entra refuses to change its manager",
        Reason::Blocked => "Entra refused this write before, while it accepted others",
        Reason::Contested => "somebody else undid this same write twice",
        Reason::Undone => "an operator restored the former manager",
        Reason::Held => "a brake holds the change until somebody approves it",
        Reason::Vanished => "the person, the account or the manager was gone when the write came to it",
        Reason::Stale => "the manager changed since it was planned, or a write of ours is not settled yet",
    }
}

/// What an operator can do about a reason; `None` where nothing is amiss.
#[must_use]
pub const fn remedy(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Agreed | Reason::Planned | Reason::OutOfScope | Reason::Excluded | Reason::InactiveInOkta => {
            return None;
        }
        Reason::UnknownStatus => "look at the person's status in Okta; a newer version may know it",
        Reason::NoAccount => "create the account, or add a `correlate` rule that finds it",
        Reason::AmbiguousAccount => {
            "make the attribute unique in Entra, or put a stricter `correlate` rule before this one"
        }
        Reason::ConflictingPeople => "give each person an account of their own, or deactivate the duplicate in Okta",
        Reason::ManagerNotGiven | Reason::ManagerPlaceholder => {
            "enter the manager in Okta, or set `when_empty = \"clear\"` if an empty one is meant"
        }
        Reason::ManagerNotFound => "correct the reference in Okta, or check what `is` says it refers to",
        Reason::ManagerAmbiguous => {
            "use a reference that is unique, such as a login, or mend the duplicate it leads to"
        }
        Reason::ManagerHasNoAccount => "none needed if the account is on its way: each run tries again",
        Reason::SelfManager => "correct the manager in Okta; the head of the organization has none",
        Reason::ClosesCycle => "correct one of the managers of the circle in Okta",
        Reason::ManagerDisabled => "enter the successor in Okta, or set `manager_disabled = \"assign\"`",
        Reason::ManagerIsGuest => "enter a member as the manager, or set `manager_is_guest = \"assign\"`",
        Reason::MasteredOnPremises => "change the manager in the local directory that masters the account",
        Reason::Blocked => "mend the cause named with the refusal, then run `graphkeeper release` for this person",
        Reason::Contested => "find the other writer, then run `graphkeeper release` for this person",
        Reason::Undone => "change the manager in Okta, or run `graphkeeper release` for this person",
        Reason::Held => "look at the plan, then run `graphkeeper approve` with its id",
        Reason::Vanished | Reason::Stale => "none needed: the next run reads both sides afresh",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_sentence_of_its_own() {
        let mut all: Vec<&str> = Reason::ALL.iter().map(|reason| meaning(*reason)).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), Reason::ALL.len());
        assert!(all.iter().all(|sentence| !sentence.ends_with('.')));
    }

    #[test]
    fn whoever_is_left_alone_for_a_fault_is_told_the_remedy() {
        for reason in Reason::ALL {
            assert!(reason.is_resolved() || remedy(*reason).is_some(), "{reason}");
        }
    }
}
