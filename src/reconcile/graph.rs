//! The managers as a graph: everybody has at most one edge, to the manager. Cycles are found without recursion.

use std::collections::{HashMap, HashSet};

use crate::domain::directory::{AccountIx, Accounts};
use crate::domain::identity::AccountId;
use crate::reconcile::known::OwnWrite;
use crate::reconcile::plan::Change;

const NOBODY: u32 = u32::MAX;

/// Who reports to whom, as far as both are accounts of the listing.
#[derive(Clone, Debug)]
pub struct Chains {
    /// The manager's place by the account's.
    managers: Vec<u32>,
}

impl Chains {
    /// The chains as they were read.
    #[must_use]
    pub fn observed(accounts: &Accounts) -> Self {
        Self { managers: accounts.iter().map(|(_, account)| place(accounts, account.manager())).collect() }
    }

    /// The chains as they were read, with our own fresh writes, which a read may not show yet.
    #[must_use]
    pub fn with_own_writes(accounts: &Accounts, own_writes: &HashMap<AccountId, OwnWrite>) -> Self {
        let mut chains = Self::observed(accounts);
        for (account, write) in own_writes.iter().filter(|(_, write)| write.recent) {
            if let Some(account) = accounts.find(*account) {
                chains.managers[account.0 as usize] = place(accounts, write.to);
            }
        }
        chains
    }

    /// The account's manager, if that is an account of the listing.
    #[must_use]
    pub fn manager(&self, account: AccountIx) -> Option<AccountIx> {
        let manager = self.managers[account.0 as usize];
        (manager != NOBODY).then_some(AccountIx(manager))
    }

    /// Whether the account would be its own manager, at some remove, if `manager` became its manager now.
    #[must_use]
    pub fn closes_cycle(&self, account: AccountIx, manager: AccountIx) -> bool {
        // The mark jumps ahead in ever longer strides, so that a cycle which was there before is noticed (Brent).
        let (mut here, mut mark) = (manager, manager);
        let (mut steps, mut stride) = (0_u64, 1_u64);
        while here != account {
            let Some(next) = self.manager(here) else { return false };
            if next == mark {
                return false;
            }
            here = next;
            steps += 1;
            if steps == stride {
                (mark, steps, stride) = (here, 0, stride * 2);
            }
        }
        true
    }

    /// [`Chains::closes_cycle`] while nobody knows of the `pending` accounts whether they have the manager of the chains or
    /// the one beside them: whether any mixture would close a cycle.
    #[must_use]
    pub fn may_close_cycle(
        &self,
        account: AccountIx,
        manager: AccountIx,
        pending: &HashMap<AccountIx, Option<AccountIx>>,
    ) -> bool {
        if pending.is_empty() {
            return self.closes_cycle(account, manager);
        }
        let mut open = vec![manager];
        let mut seen = HashSet::from([manager]);
        while let Some(here) = open.pop() {
            if here == account {
                return true;
            }
            let other = pending.get(&here).copied().flatten();
            open.extend(self.manager(here).into_iter().chain(other).filter(|next| seen.insert(*next)));
        }
        false
    }

    /// Gives the account another manager, or none.
    pub fn set(&mut self, account: AccountIx, manager: Option<AccountIx>) {
        self.managers[account.0 as usize] = manager.map_or(NOBODY, |manager| manager.0);
    }

    /// Parts the changes into those that may be made and the writes that would lie on a cycle of the resulting graph.
    ///
    /// Every write on a cycle is refused and the graph computed again until none is left. A cycle without a write of
    /// ours was there before and is left alone.
    #[must_use]
    pub fn lint(&self, accounts: &Accounts, changes: &[Change]) -> (Vec<Change>, Vec<Change>) {
        let mut result = self.clone();
        let mut written = vec![false; self.managers.len()];
        let mut starts: Vec<u32> = Vec::with_capacity(changes.len());
        for change in changes {
            result.managers[change.account.0 as usize] = place(accounts, change.to);
            written[change.account.0 as usize] = change.to.is_some();
            starts.push(change.account.0);
        }
        let mut refused = vec![false; self.managers.len()];
        let mut walk = Walk::new(self.managers.len());
        while !starts.is_empty() {
            // A new cycle can only pass through an edge that changed in this round.
            let on_cycle = walk.cycles_from(&result, &starts);
            starts.clear();
            for account in on_cycle {
                if !written[account as usize] {
                    continue;
                }
                result.managers[account as usize] = self.managers[account as usize];
                written[account as usize] = false;
                refused[account as usize] = true;
                starts.push(account);
            }
        }
        changes.iter().copied().partition(|change| !refused[change.account.0 as usize])
    }

    /// Puts the changes into the order of writing: managers before their reports in the resulting graph.
    ///
    /// Whatever was written so far, the chain above a fresh edge is then final, so no prefix of the order closes a
    /// cycle. Does not depend on the order of the listings.
    pub fn order(&self, accounts: &Accounts, changes: &mut [Change]) {
        let mut result = self.clone();
        for change in changes.iter() {
            result.managers[change.account.0 as usize] = place(accounts, change.to);
        }
        let mut depths = Depths { by_account: vec![Depths::UNKNOWN; self.managers.len()] };
        changes.sort_by_cached_key(|change| (depths.of(&result, change.account.0), accounts.get(change.account).id()));
    }
}

/// [`Chains::lint`] over the chains as they were read.
#[must_use]
pub fn lint(accounts: &Accounts, changes: &[Change]) -> (Vec<Change>, Vec<Change>) {
    Chains::observed(accounts).lint(accounts, changes)
}

/// [`Chains::order`] over the chains as they were read.
pub fn order(accounts: &Accounts, changes: &mut [Change]) {
    Chains::observed(accounts).order(accounts, changes);
}

/// The place of a manager among the accounts; [`NOBODY`] also for a contact or an account that was not listed.
fn place(accounts: &Accounts, manager: Option<AccountId>) -> u32 {
    manager.and_then(|manager| accounts.find(manager)).map_or(NOBODY, |manager| manager.0)
}

/// Walks up from some accounts and remembers where it has been.
struct Walk {
    /// The number of the walk that passed an account last.
    passed: Vec<u32>,
    walks: u32,
}

impl Walk {
    fn new(accounts: usize) -> Self {
        Self { passed: vec![0; accounts], walks: 0 }
    }

    /// The accounts on the cycles that are reached from `starts`.
    fn cycles_from(&mut self, chains: &Chains, starts: &[u32]) -> Vec<u32> {
        let round = self.walks;
        let mut on_cycle = Vec::new();
        for start in starts {
            self.walks += 1;
            let mut here = *start;
            while here != NOBODY && self.passed[here as usize] <= round {
                self.passed[here as usize] = self.walks;
                here = chains.managers[here as usize];
            }
            if here != NOBODY && self.passed[here as usize] == self.walks {
                collect_cycle(chains, here, &mut on_cycle);
            }
        }
        on_cycle
    }
}

fn collect_cycle(chains: &Chains, first: u32, into: &mut Vec<u32>) {
    let mut here = first;
    loop {
        into.push(here);
        here = chains.managers[here as usize];
        if here == first {
            return;
        }
    }
}

/// How many managers stand above an account, up to the top or to a cycle.
struct Depths {
    by_account: Vec<u32>,
}

impl Depths {
    const UNKNOWN: u32 = u32::MAX;
    const PENDING: u32 = u32::MAX - 1;

    fn of(&mut self, chains: &Chains, account: u32) -> u32 {
        let mut path = Vec::new();
        let mut here = account;
        while here != NOBODY && self.by_account[here as usize] == Self::UNKNOWN {
            self.by_account[here as usize] = Self::PENDING;
            path.push(here);
            here = chains.managers[here as usize];
        }
        let mut depth = match here {
            NOBODY => 0,
            _ if self.by_account[here as usize] != Self::PENDING => self.by_account[here as usize] + 1,
            _ => {
                // A cycle that was there before: no write lies on it, so all of it counts as a top.
                while let Some(account) = path.pop() {
                    self.by_account[account as usize] = 0;
                    if account == here {
                        break;
                    }
                }
                1
            }
        };
        while let Some(account) = path.pop() {
            self.by_account[account as usize] = depth;
            depth += 1;
        }
        self.by_account[account as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::ChangeKind;
    use crate::domain::directory::PersonIx;
    use crate::reconcile::samples::{Org, id};

    /// Accounts with managers, as pairs of names.
    fn accounts(pairs: &[(&str, &str)]) -> Accounts {
        let mut org = Org::agreeing();
        org.accounts.clear();
        for (name, manager) in pairs {
            org.add_account(name).manager = (!manager.is_empty()).then(|| id(manager));
        }
        org.sides().accounts
    }

    fn change(accounts: &Accounts, name: &str, manager: &str) -> Change {
        let account = accounts.find(id(name)).unwrap();
        let to = (!manager.is_empty()).then(|| id(manager));
        Change { person: PersonIx(0), account, kind: ChangeKind::Set, from: accounts.get(account).manager(), to }
    }

    fn names(accounts: &Accounts, changes: &[Change]) -> Vec<String> {
        changes
            .iter()
            .map(|change| accounts.get(change.account).user_principal_name().replace("@example.com", ""))
            .collect()
    }

    #[test]
    fn every_write_on_a_cycle_is_refused_and_others_are_not() {
        let accounts = accounts(&[("a", ""), ("b", ""), ("c", ""), ("d", "a")]);
        let changes = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "b")].map(|(n, m)| change(&accounts, n, m));
        let (kept, refused) = lint(&accounts, &changes);
        assert_eq!(
            (names(&accounts, &kept), names(&accounts, &refused)),
            (vec!["d".into()], vec!["a".into(), "b".into(), "c".into()])
        );
    }

    #[test]
    fn a_refused_write_brings_its_old_edge_back_and_that_is_looked_at_too() {
        // a → b and b → a would be a cycle; without them b → c is back, and c → b would close another.
        let accounts = accounts(&[("a", ""), ("b", "c"), ("c", "")]);
        let changes = [("a", "b"), ("b", "a"), ("c", "b")].map(|(n, m)| change(&accounts, n, m));
        let (kept, refused) = lint(&accounts, &changes);
        assert_eq!((kept.len(), refused.len()), (0, 3));
    }

    #[test]
    fn a_cycle_that_was_there_is_left_alone() {
        let accounts = accounts(&[("a", "b"), ("b", "a"), ("c", "")]);
        let changes = [change(&accounts, "c", "a")];
        assert_eq!(lint(&accounts, &changes).0, changes);
        let chains = Chains::observed(&accounts);
        let at = |name| accounts.find(id(name)).unwrap();
        assert!(!chains.closes_cycle(at("c"), at("a")), "and the question comes to an end");
        assert!(chains.closes_cycle(at("a"), at("b")));
        assert!(chains.closes_cycle(at("c"), at("c")));
    }

    #[test]
    fn managers_are_written_before_their_reports() {
        let accounts = accounts(&[("a", ""), ("b", "a"), ("c", "b"), ("d", "c")]);
        // The chain a ← b ← c ← d is turned round.
        let mut changes = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "")].map(|(n, m)| change(&accounts, n, m));
        order(&accounts, &mut changes);
        assert_eq!(names(&accounts, &changes), ["d", "c", "b", "a"]);
        let mut chains = Chains::observed(&accounts);
        for change in changes {
            let manager = change.to.and_then(|to| accounts.find(to));
            assert!(manager.is_none_or(|manager| !chains.closes_cycle(change.account, manager)));
            chains.set(change.account, manager);
        }
    }

    #[test]
    fn a_very_long_chain_needs_no_stack() {
        let name = |n: u32| format!("{n}");
        let mut org = Org::agreeing();
        org.accounts.clear();
        for n in 0..100_000_u32 {
            org.add_account(&name(n)).manager = (n > 1).then(|| id(&name(n - 1)));
        }
        let accounts = org.sides().accounts;
        let mut changes = [change(&accounts, "0", "99999"), change(&accounts, "1", "0")];
        order(&accounts, &mut changes[..1]);
        assert_eq!(lint(&accounts, &changes).1.len(), 2);
    }
}
