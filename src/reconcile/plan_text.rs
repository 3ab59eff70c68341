//! A plan as an operator reads it.

use std::fmt;

use crate::domain::decision::{ChangeKind, Kinds, Reason};
use crate::domain::directory::{Accounts, People};
use crate::domain::identity::AccountId;
use crate::reconcile::meaning::meaning;
use crate::reconcile::plan::{Change, Plan};

/// A plan with names, as [`Plan::show`] makes it.
#[derive(Debug)]
pub struct Shown<'a> {
    plan: &'a Plan,
    people: &'a People,
    accounts: &'a Accounts,
    lines: usize,
}

impl Plan {
    /// The plan in words: what it would write, the first `lines` changes by name, and who is left alone.
    #[must_use]
    pub const fn show<'a>(&'a self, people: &'a People, accounts: &'a Accounts, lines: usize) -> Shown<'a> {
        Shown { plan: self, people, accounts, lines }
    }

    fn fmt_summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        writeln!(f, "{} people, {} in scope, {} accounts", tally.people, tally.in_scope, tally.accounts)?;
        match tally.planned.total() {
            0 => writeln!(f, "nothing to write"),
            _ => writeln!(f, "to write: {}", kinds(&tally.planned)),
        }?;
        if tally.held.total() > 0 {
            writeln!(f, "held of them: {}", kinds(&tally.held))?;
        }
        Ok(())
    }

    fn fmt_reasons(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons: Vec<(Reason, u64)> =
            self.tally.reasons.iter().map(|(reason, people)| (*reason, *people)).collect();
        if reasons.is_empty() {
            return Ok(());
        }
        reasons.sort_by_key(|(reason, people)| (std::cmp::Reverse(*people), *reason));
        writeln!(f, "left alone:")?;
        for (reason, people) in reasons {
            writeln!(f, "{people:>9}  {reason:<22} {}", meaning(reason))?;
        }
        Ok(())
    }
}

/// `3 sets, 1 change`; kinds of which there are none are left out.
fn kinds(kinds: &Kinds) -> String {
    let word = |kind: ChangeKind| match kinds.of(kind) {
        0 => None,
        1 => Some(format!("1 {kind}")),
        count => Some(format!("{count} {kind}s")),
    };
    ChangeKind::ALL.iter().filter_map(|kind| word(*kind)).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Plan {
    /// Without names: they are in the directories.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_summary(f)?;
        self.fmt_reasons(f)
    }
}

impl Shown<'_> {
    fn fmt_change(&self, f: &mut fmt::Formatter<'_>, change: &Change) -> fmt::Result {
        let person = self.people.get(change.person);
        writeln!(f, "  {}: {} → {}", person.login(), self.name(change.from), self.name(change.to))
    }

    /// A manager by user principal name; one that was not listed, such as a contact, by id.
    fn name(&self, manager: Option<AccountId>) -> String {
        let Some(manager) = manager else { return "nobody".to_owned() };
        let listed = self.accounts.find(manager).map(|ix| self.accounts.get(ix).user_principal_name().to_owned());
        listed.filter(|name| !name.is_empty()).unwrap_or_else(|| manager.to_string())
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt_summary(f)?;
        for change in self.plan.changes.iter().take(self.lines) {
            self.fmt_change(f, change)?;
        }
        let more = self.plan.changes.len().saturating_sub(self.lines);
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        self.plan.fmt_reasons(f)
    }
}
