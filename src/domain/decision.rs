//! What can be decided about a person, and what a run counted.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::run::words;

words! {
    /// The three writes there are.
    ChangeKind, "kind of change", {
        /// The account had no manager.
        Set => "set",
        /// The account had another manager.
        Change => "change",
        /// The account loses its manager.
        Clear => "clear",
    }
}

words! {
    /// Why a person was left alone, or that something was planned. The meaning of each is in the README.
    Reason, "reason", {
        Agreed => "agreed",
        /// A change is planned; not a reason to be left alone.
        Planned => "planned",
        OutOfScope => "out_of_scope",
        Excluded => "excluded",
        InactiveInOkta => "inactive_in_okta",
        UnknownStatus => "unknown_status",
        NoAccount => "no_account",
        AmbiguousAccount => "ambiguous_account",
        ConflictingPeople => "conflicting_people",
        ManagerNotGiven => "manager_not_given",
        ManagerPlaceholder => "manager_placeholder",
        ManagerNotFound => "manager_not_found",
        ManagerAmbiguous => "manager_ambiguous",
        ManagerHasNoAccount => "manager_has_no_account",
        SelfManager => "self_manager",
        ClosesCycle => "closes_cycle",
        ManagerDisabled => "manager_disabled",
        ManagerIsGuest => "manager_is_guest",
        MasteredOnPremises => "mastered_on_premises",
        Blocked => "blocked",
        Contested => "contested",
        Undone => "undone",
        Held => "held",
        Vanished => "vanished",
        Stale => "stale",
    }
}

impl Reason {
    /// Whether the person's manager in Entra is known to be as it should be, is to be made so, or is none of our business.
    #[must_use]
    pub const fn is_resolved(self) -> bool {
        matches!(
            self,
            Self::Agreed
                | Self::Planned
                | Self::OutOfScope
                | Self::Excluded
                | Self::InactiveInOkta
                | Self::ManagerNotGiven
        )
    }
}

/// A count per kind of change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kinds {
    pub set: u64,
    pub change: u64,
    pub clear: u64,
}

impl Kinds {
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.set + self.change + self.clear
    }

    #[must_use]
    pub const fn of(&self, kind: ChangeKind) -> u64 {
        match kind {
            ChangeKind::Set => self.set,
            ChangeKind::Change => self.change,
            ChangeKind::Clear => self.clear,
        }
    }

    /// Counts one more of a kind.
    pub const fn add(&mut self, kind: ChangeKind) {
        match kind {
            ChangeKind::Set => self.set += 1,
            ChangeKind::Change => self.change += 1,
            ChangeKind::Clear => self.clear += 1,
        }
    }
}

/// What a managers run counted: what was read, decided and done, never what was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// People whom Okta listed.
    pub people: u64,
    /// Of them, those whose manager reference is not blank.
    pub with_reference: u64,
    /// Of them, those whom the job may write.
    pub in_scope: u64,
    /// Accounts that Graph listed.
    pub accounts: u64,
    /// What the plan holds.
    pub planned: Kinds,
    /// What a brake holds of it.
    pub held: Kinds,
    /// What Graph accepted.
    pub accepted: Kinds,
    /// What was read back as written.
    pub confirmed: Kinds,
    /// How many people were left alone, by reason.
    pub reasons: BTreeMap<Reason, u64>,
}
