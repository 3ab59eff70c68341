//! What must change in Entra so that its managers are Okta's, and the verdict on everybody.

use std::collections::HashSet;

use crate::domain::decision::{ChangeKind, Reason, Tally};
use crate::domain::directory::{AccountIx, Accounts, People, PersonIx};
use crate::domain::identity::AccountId;
use crate::domain::index::Digest;
pub use crate::reconcile::correlate::Relinked;
use crate::reconcile::known::Known;
pub use crate::reconcile::plan_text::Shown;
pub use crate::reconcile::planner::Planner;
use crate::reconcile::policy::{Policy, RefersTo};

/// Who may be written. Anybody may be a manager.
#[derive(Clone, Debug)]
pub enum Scope {
    Everyone,
    /// The people with these Okta ids.
    Only(HashSet<String>),
}

impl Scope {
    #[must_use]
    pub fn contains(&self, person: &str) -> bool {
        match self {
            Self::Everyone => true,
            Self::Only(ids) => ids.contains(person),
        }
    }
}

/// Both sides as they were read, both listings sealed, and what was decided and remembered about them.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub people: &'a People,
    pub accounts: &'a Accounts,
    pub scope: &'a Scope,
    pub policy: &'a Policy,
    pub known: &'a Known,
}

/// A reference that no listed person answers, to be looked up in Okta: the manager may have left.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lookup {
    /// Always a kind that is [in Okta](RefersTo::is_in_okta).
    pub is: RefersTo,
    pub value: String,
}

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub person: PersonIx,
    pub account: AccountIx,
    pub kind: ChangeKind,
    /// The observed manager.
    pub from: Option<AccountId>,
    /// The desired manager.
    pub to: Option<AccountId>,
}

/// What was decided about one person, in 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// All that was seen of the person, but for the reason.
    pub(super) facts: u64,
    account: u32,
    manager: u32,
    pub reason: Reason,
}

impl Verdict {
    const NOBODY: u32 = u32::MAX;

    pub(super) fn new(reason: Reason, account: Option<AccountIx>, manager: Option<AccountIx>) -> Self {
        let place = |ix: Option<AccountIx>| ix.map_or(Self::NOBODY, |ix| ix.0);
        Self { facts: 0, account: place(account), manager: place(manager), reason }
    }

    /// The person's account; with `conflicting_people` the one that is fought over.
    #[must_use]
    pub fn account(&self) -> Option<AccountIx> {
        (self.account != Self::NOBODY).then_some(AccountIx(self.account))
    }

    /// The desired manager, as far as it is known.
    #[must_use]
    pub fn manager(&self) -> Option<AccountIx> {
        (self.manager != Self::NOBODY).then_some(AccountIx(self.manager))
    }
}

/// The ordered writes, and why everybody else is left alone.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// In the order of writing: no prefix closes a cycle.
    pub changes: Vec<Change>,
    /// One per person, in the order of the listing.
    pub verdicts: Vec<Verdict>,
    /// Links that the rules found and that were not remembered yet, of employed people.
    pub links: Vec<(PersonIx, AccountIx)>,
    /// Remembered links whose account is gone.
    pub relinked: Vec<Relinked>,
    /// Counts people, and of what was done only `planned`. The reasons and what is planned add up to the people.
    pub tally: Tally,
}

impl Plan {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { changes, verdicts: _, links: _, relinked: _, tally: _ } = self;
        changes.is_empty()
    }

    #[must_use]
    pub fn verdict(&self, person: PersonIx) -> &Verdict {
        &self.verdicts[person.0 as usize]
    }

    /// Equal as long as nothing about the person's decision changed: values, account, managers of both sides, reason.
    /// Does not depend on the order of the listings.
    #[must_use]
    pub fn digest(&self, person: PersonIx) -> u64 {
        let verdict = self.verdict(person);
        let mut digest = Digest::new();
        digest.word(verdict.facts);
        digest.text(verdict.reason.as_str().as_bytes());
        digest.finish()
    }

    /// [`content_digest`] of the changes.
    #[must_use]
    pub fn content_digest(&self, job: &str, accounts: &Accounts) -> u64 {
        content_digest(job, accounts, &self.changes)
    }
}

/// The same for the same changes of the same job, whatever their order.
#[must_use]
pub fn content_digest(job: &str, accounts: &Accounts, changes: &[Change]) -> u64 {
    let one = |change: &Change| {
        let mut digest = Digest::new();
        for id in [Some(accounts.get(change.account).id()), change.from, change.to] {
            add_id(&mut digest, id);
        }
        digest.finish()
    };
    let mut digest = Digest::new();
    digest.text(job.as_bytes());
    digest.word(changes.len() as u64);
    digest.word(changes.iter().map(one).fold(0, u64::wrapping_add));
    digest.finish()
}

pub(super) fn add_id(digest: &mut Digest, id: Option<AccountId>) {
    let (high, low) = id.map_or((0, 0), |id| id.as_uuid().as_u64_pair());
    digest.word(high);
    digest.word(low);
}
