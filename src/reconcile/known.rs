//! What history remembers and the plan must heed: links, parked people, and our own writes of late.

use std::collections::{HashMap, HashSet};

use crate::domain::decision::Reason;
use crate::domain::identity::AccountId;
use crate::domain::index::{Index, hash_exact};

/// Which account a person had when last seen, so that a rename on either side breaks nothing.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// All Okta ids, one after the other.
    ids: String,
    /// Where an id ends in `ids`, and its account.
    rows: Vec<(u32, AccountId)>,
    index: Index,
}

impl Links {
    /// The account that was this person's.
    #[must_use]
    pub fn get(&self, person: &str) -> Option<AccountId> {
        let mut rows = self.index.find(hash_exact(person));
        rows.find(|row| self.id_at(*row) == person).map(|row| self.rows[row as usize].1)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn id_at(&self, row: u32) -> &str {
        let row = row as usize;
        let start = row.checked_sub(1).map_or(0, |before| self.rows[before].0);
        &self.ids[start as usize..self.rows[row].0 as usize]
    }
}

impl<S: AsRef<str>> FromIterator<(S, AccountId)> for Links {
    /// A person named twice keeps the first account.
    fn from_iter<I: IntoIterator<Item = (S, AccountId)>>(links: I) -> Self {
        let mut known = Self::default();
        for (person, account) in links {
            known.ids.push_str(person.as_ref());
            let end = u32::try_from(known.ids.len()).expect("less than 4 GiB of Okta ids");
            known.rows.push((end, account));
        }
        let entries = (0..known.rows.len()).map(|row| {
            let row = u32::try_from(row).expect("fewer than 4 billion links");
            (hash_exact(known.id_at(row)), 0, row)
        });
        known.index = Index::build(entries.collect::<Vec<_>>());
        known
    }
}

/// A person left alone until the desired manager is another one, or until released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Park {
    /// [`Reason::Blocked`], [`Reason::Contested`] or [`Reason::Undone`].
    pub reason: Reason,
    /// The manager that was not to be written; `None` stands for a clear.
    pub desired: Option<AccountId>,
}

/// The last write of ours to an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnWrite {
    /// The manager we wrote; `None` stands for a clear.
    pub to: Option<AccountId>,
    /// How often this same manager was confirmed as written since the last release. Twice confirmed and gone again
    /// means that somebody else undid it twice.
    pub confirmed: u32,
    /// Accepted inside the consistency window: what was observed may be older, so it is taken to be `to`.
    pub recent: bool,
    /// The intent is not settled yet: the person is left alone.
    pub open: bool,
}

/// All that is remembered.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub links: Links,
    /// By Okta id.
    pub parked: HashMap<String, Park>,
    pub own_writes: HashMap<AccountId, OwnWrite>,
    /// Accounts that exist although the listing lacks them. Their people are left alone, and nobody else's account is
    /// taken to be theirs.
    pub missing: HashSet<AccountId>,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_link_is_found_by_the_letter() {
        let id = |n| AccountId::new(Uuid::from_u128(n));
        let links: Links = [("00uA", id(1)), ("00ua", id(2)), ("00uB", id(3)), ("00uA", id(9))].into_iter().collect();
        assert_eq!(links.get("00uA"), Some(id(1)));
        assert_eq!(links.get("00ua"), Some(id(2)));
        assert_eq!(links.get("00uB"), Some(id(3)));
        assert_eq!(links.get("00uC"), None);
        assert_eq!(links.get(""), None);
        assert_eq!(Links::default().get("00uA"), None);
    }
}
