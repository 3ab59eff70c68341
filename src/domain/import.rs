//! What comparing the two directories came to: who is whose, who is nobody's, and what is new in that.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::identity::AccountId;
use crate::domain::run::words;

words! {
    /// What a person, an account or the two together are in an import. In the order in which they want to be looked at.
    Kind, "kind of entry", {
        /// A rule finds several accounts for the person: an entry each.
        Ambiguous => "ambiguous",
        /// Several people have a claim to the account: an entry each, but for one whose claim is better.
        Shared => "shared",
        /// Somebody in Okta without an account in Entra.
        UnmatchedInOkta => "unmatched_in_okta",
        /// An account in Entra without anybody in Okta.
        UnmatchedInEntra => "unmatched_in_entra",
        /// On the job's `ignore` list, matched or not.
        Ignored => "ignored",
        /// The account is the person's alone.
        Matched => "matched",
    }
}

impl Kind {
    /// For people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ambiguous => "a rule finds several accounts for the person",
            Self::Shared => "another person has a claim to the account that is as good or better",
            Self::UnmatchedInOkta => "somebody in Okta without an account in Entra",
            Self::UnmatchedInEntra => "an account in Entra without anybody in Okta",
            Self::Ignored => "named by the job's `ignore`",
            Self::Matched => "the account is the person's alone",
        }
    }
}

words! {
    /// What became of an entry since the import before.
    Difference, "difference between imports", {
        NewlyMatched => "newly_matched",
        NewlyUnmatched => "newly_unmatched",
        /// `ambiguous` or `shared` now.
        NewlyInConflict => "newly_in_conflict",
        NewlyIgnored => "newly_ignored",
        /// The account is another person's now.
        Moved => "moved",
        /// The person has another account now.
        Relinked => "relinked",
        /// The same two, one of them under another name.
        Renamed => "renamed",
        /// The same two; disabled or enabled, a guest or none, or another status in Okta.
        Changed => "changed",
        /// Listed no more on either side.
        Gone => "gone",
    }
}

/// A person, an account, or a person with an account. At least one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub kind: Kind,
    /// Okta's id.
    pub person: Option<String>,
    /// Blank without a person.
    pub login: String,
    /// Okta's word for the person's status; blank without a person.
    pub status: String,
    /// Entra's object id.
    pub account: Option<String>,
    /// Blank without an account.
    pub upn: String,
    pub guest: bool,
    pub disabled: bool,
}

impl Entry {
    /// Its person alone, its account alone, or both.
    #[must_use]
    pub fn only(&self, person: bool, account: bool) -> Self {
        let mut entry = self.clone();
        if !person {
            (entry.person, entry.login, entry.status) = (None, String::new(), String::new());
        }
        if !account {
            (entry.account, entry.upn, entry.guest, entry.disabled) = (None, String::new(), false, false);
        }
        entry
    }
}

/// An entry that ended, and whether its person and its account are still listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub entry: Entry,
    pub person_stays: bool,
    pub account_stays: bool,
}

/// One thing that is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub difference: Difference,
    /// As it is now; when it is gone, as it was.
    pub entry: Entry,
    /// As it was, where that is worth telling.
    pub before: Option<Entry>,
}

/// How many entries there are of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub entries: u64,
    /// Of them, those with a guest's account.
    pub guests: u64,
    /// Of them, those with an account that is disabled and no guest's.
    pub disabled: u64,
}

impl Count {
    pub const fn add(&mut self, guest: bool, disabled: bool) {
        self.entries += 1;
        if guest {
            self.guests += 1;
        } else if disabled {
            self.disabled += 1;
        }
    }

    /// Those that are neither guests nor disabled.
    #[must_use]
    pub const fn others(&self) -> u64 {
        self.entries - self.guests - self.disabled
    }
}

/// What an import counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportTally {
    /// People whom Okta listed.
    pub people: u64,
    /// Accounts that Graph listed.
    pub accounts: u64,
    pub kinds: BTreeMap<Kind, Count>,
    /// Matches whose account exists, by its id, and was not listed this time. They are kept as they were.
    pub unlisted: u64,
    /// Since the import before; empty for the first.
    pub differences: BTreeMap<Difference, u64>,
}

impl ImportTally {
    #[must_use]
    pub fn of(&self, kind: Kind) -> Count {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }
}

/// An account that is kept although the listing lacks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unlisted<P> {
    pub person: P,
    pub account: AccountId,
}
