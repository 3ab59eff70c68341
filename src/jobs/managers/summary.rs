//! The end of a managers run in words and counts. The first line names what was left unresolved.

use std::collections::HashSet;
use std::fmt::Write;

use crate::domain::decision::{Kinds, Reason, Tally};
use crate::domain::directory::AccountIx;
use crate::domain::run::{Outcome, PlanId, RunId};
use crate::jobs::error::{JobError, chain};
use crate::jobs::managers::fate::Fate;
use crate::jobs::managers::read::Sides;
use crate::jobs::managers::record::{Outcomes, label};
use crate::jobs::reading::in_words;
use crate::jobs::report::{ChangeLine, Details, Finish, ManagersDetails};
use crate::reconcile::brake::Hold;
use crate::reconcile::completeness::{Doubt, Reading};
use crate::reconcile::plan::Change;

/// Gathers what is worth saying on the way.
#[derive(Debug, Default)]
pub(super) struct Summary {
    notes: Vec<String>,
}

/// All that a run did, to be summed up.
#[derive(Debug)]
pub(super) struct Done<'a> {
    pub sides: &'a Sides,
    /// Of the plan as it was made: counts and reasons.
    pub tally: Tally,
    pub outcomes: &'a Outcomes<'a>,
    pub held: &'a [Change],
    pub holds: &'a [Hold],
    /// The plan that waits, if a brake holds something.
    pub held_plan: Option<PlanId>,
    /// What was asked for and no longer holds.
    pub stale: usize,
    /// Why writing or confirming ended early.
    pub broken: Option<JobError>,
    pub stopped: bool,
}

impl Summary {
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(super) fn notes(&mut self, notes: Vec<String>) {
        self.notes.extend(notes);
    }

    /// `lines` are made only as far as they are listed.
    fn details(
        &mut self,
        tally: Tally,
        plan: Option<PlanId>,
        mut lines: impl Iterator<Item = impl FnOnce() -> ChangeLine>,
    ) -> Details {
        let changes: Vec<ChangeLine> = lines.by_ref().take(ManagersDetails::LISTED).map(|line| line()).collect();
        let more_changes = lines.count() as u64;
        let notes = std::mem::take(&mut self.notes);
        Details::Managers(Box::new(ManagersDetails { tally, plan, changes, more_changes, notes }))
    }

    fn no_changes(&mut self, tally: Tally) -> Details {
        self.details(tally, None, std::iter::empty::<fn() -> ChangeLine>())
    }

    /// A listing was not believed.
    pub(super) fn incomplete(&mut self, run: &RunId, reading: &Reading, doubts: &[Doubt]) -> Finish {
        let (named, hint) = in_words(run, doubts);
        let counts = reading.counts;
        let tally = Tally {
            people: counts.people,
            with_reference: counts.with_reference.unwrap_or(0),
            in_scope: counts.scope.unwrap_or(counts.people),
            accounts: counts.accounts,
            ..Tally::default()
        };
        Finish {
            outcome: Outcome::SourceIncomplete,
            reason: Some("source_incomplete".to_owned()),
            message: format!("nothing was written, the reading is not believed: {named}"),
            hint,
            unresolved: None,
            details: self.no_changes(tally),
            ..Finish::default()
        }
    }

    /// A plan was made and kept; nothing was to be written.
    pub(super) fn planned(
        &mut self,
        sides: &Sides,
        tally: &Tally,
        changes: &[Change],
        held: &[Change],
        id: Option<PlanId>,
        rules_changed: bool,
    ) -> Finish {
        let unresolved = unresolved(tally) + tally.planned.total();
        let what = match &id {
            None => "nothing to change".to_owned(),
            Some(id) => format!("plan {id}: {}", kinds(&tally.planned)),
        };
        let would_be_held: HashSet<AccountIx> = held.iter().map(|change| change.account).collect();
        let state = |change: &Change| if would_be_held.contains(&change.account) { "held" } else { "planned" };
        let lines = changes.iter().map(|change| || line(sides, change, state(change), None));
        let waits = rules_changed && id.is_some();
        Finish {
            outcome: if waits { Outcome::Held } else { Outcome::Planned },
            reason: waits.then(|| "rules_changed".to_owned()),
            message: if waits {
                format!(
                    "the job's rules changed, so nothing is written until a plan is approved; {what}; {}",
                    left(tally)
                )
            } else {
                format!("{what}; {}", left(tally))
            },
            hint: id.as_ref().map(|id| format!("`graphkeeper approve {id}` carries it out")),
            unresolved: Some(unresolved),
            details: self.details(tally.clone(), id, lines),
            ..Finish::default()
        }
    }

    /// An account that a run wrote to exists, but was not listed.
    pub(super) fn undo_unread(&mut self, of: &RunId) -> Finish {
        Finish {
            outcome: Outcome::SourceIncomplete,
            reason: Some("source_incomplete".to_owned()),
            message: format!("nothing was restored of run {of}: the listing of accounts is not complete"),
            hint: Some("run it again in a few minutes".to_owned()),
            details: self.no_changes(Tally::default()),
            ..Finish::default()
        }
    }

    /// What an undo would restore.
    pub(super) fn undo_shown(&mut self, sides: &Sides, tally: &Tally, restore: &[Change], of: &RunId) -> Finish {
        let lines = restore.iter().map(|change| || line(sides, change, "planned", None));
        Finish {
            outcome: Outcome::Planned,
            message: format!("undo of run {of} would restore {} managers: {}", restore.len(), kinds(&tally.planned)),
            hint: (!restore.is_empty()).then(|| format!("`graphkeeper undo {of} --yes` does it")),
            details: self.details(tally.clone(), None, lines),
            ..Finish::default()
        }
    }

    /// What was written, what was not, and why.
    pub(super) fn applied(&mut self, done: &Done<'_>) -> Finish {
        let tally = counted(done);
        let outcome = outcome(done);
        self.notes(done.holds.iter().map(ToString::to_string).collect());
        if done.stale > 0 {
            self.note(format!(
                "{} changes no longer hold, or would close a cycle by now, and were left (stale)",
                done.stale
            ));
        }
        let mut message = written(&tally);
        if !done.held.is_empty() {
            let _ = write!(message, "; held by the brake: {}", kinds(&tally.held));
        }
        let _ = write!(message, "; {}", left(&tally));
        let waiting = waiting(done);
        if waiting > 0 {
            let _ = write!(message, "; planned and not part of this: {waiting}");
        }
        let failures = failures(done);
        if !failures.is_empty() {
            let _ = write!(message, "; not written: {failures}");
        }
        if let Some(error) = &done.broken {
            let _ = write!(message, "; ended early: {}", chain(error));
        }
        let reason = reason(done, outcome);
        let hint = hint(done, outcome);
        let unresolved = unresolved(&tally) + not_done(done) + waiting;
        let lines = lines(done);
        Finish {
            outcome,
            reason,
            message,
            hint,
            unresolved: Some(unresolved),
            details: self.details(tally, done.held_plan.clone(), lines),
            ..Finish::default()
        }
    }
}

/// The plan's counts, and what became of it.
fn counted(done: &Done<'_>) -> Tally {
    let mut tally = done.tally.clone();
    tally.held = Kinds::default();
    done.held.iter().for_each(|change| tally.held.add(change.kind));
    for (change, fate) in done.outcomes.iter() {
        if fate.was_accepted() {
            tally.accepted.add(change.kind);
        }
        if *fate == Fate::Confirmed {
            tally.confirmed.add(change.kind);
        }
        if let Some(reason) = fate.reason() {
            *tally.reasons.entry(reason).or_default() += 1;
        }
    }
    if !done.held.is_empty() {
        tally.reasons.insert(Reason::Held, done.held.len() as u64);
    }
    if done.stale > 0 {
        *tally.reasons.entry(Reason::Stale).or_default() += done.stale as u64;
    }
    tally
}

fn outcome(done: &Done<'_>) -> Outcome {
    let fates = done.outcomes.fates;
    let accepted = fates.iter().any(Fate::was_accepted);
    let open = fates.iter().any(|fate| matches!(fate, Fate::NotReached | Fate::Accepted(_) | Fate::Unknown(_)));
    let clean = fates.iter().all(|fate| *fate == Fate::Confirmed) && done.stale == 0;
    match &done.broken {
        Some(error) if !accepted => error.outcome(),
        _ if done.stopped && open => Outcome::Interrupted,
        None if !done.held.is_empty() => Outcome::Held,
        None if clean => Outcome::Succeeded,
        _ => Outcome::Partial,
    }
}

fn reason(done: &Done<'_>, outcome: Outcome) -> Option<String> {
    match (outcome, &done.broken) {
        (Outcome::Interrupted, _) => Some("stopped".to_owned()),
        (_, Some(error)) => Some(error.reason()),
        (Outcome::Held, _) => Some("held".to_owned()),
        (Outcome::Partial, _) => Some("not_all_written".to_owned()),
        _ => None,
    }
}

fn hint(done: &Done<'_>, outcome: Outcome) -> Option<String> {
    if let Some(error) = &done.broken {
        return error.hint();
    }
    match outcome {
        Outcome::Held => {
            done.held_plan.as_ref().map(|plan| format!("look at the changes, then `graphkeeper approve {plan}`"))
        }
        Outcome::Partial => Some("`graphkeeper history show RUN` lists each change with its cause".to_owned()),
        _ => None,
    }
}

/// Changes of the fresh plan that this run was not asked to make: an approval covers what was seen.
fn waiting(done: &Done<'_>) -> u64 {
    let taken = (done.outcomes.changes.len() + done.held.len()) as u64;
    done.tally.planned.total().saturating_sub(taken)
}

/// Changes that came to nothing without a reason of their own in the tally.
fn not_done(done: &Done<'_>) -> u64 {
    let undone = |fate: &&Fate| **fate != Fate::Confirmed && fate.reason().is_none();
    done.outcomes.fates.iter().filter(undone).count() as u64
}

/// What came of the changes that were not confirmed: `2 refused, 1 stale`.
fn failures(done: &Done<'_>) -> String {
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    for fate in done.outcomes.fates.iter().filter(|fate| **fate != Fate::Confirmed) {
        match counts.iter_mut().find(|(word, _)| *word == fate.word()) {
            Some((_, count)) => *count += 1,
            None => counts.push((fate.word(), 1)),
        }
    }
    counts.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

fn lines<'a>(done: &'a Done<'_>) -> impl Iterator<Item = impl FnOnce() -> ChangeLine + 'a> {
    let held = done.held.iter().map(|change| (change, None));
    let all = done.outcomes.iter().map(|(change, fate)| (change, Some(fate))).chain(held);
    all.map(move |(change, fate)| {
        move || line(done.sides, change, fate.map_or("held", Fate::word), fate.and_then(note))
    })
}

/// The vendor's code and message for a refusal.
fn note(fate: &Fate) -> Option<String> {
    let Fate::Refused { status, code, message, request_id } = fate else { return None };
    let id = request_id.as_deref().unwrap_or("none");
    Some(format!("{status} {code}: {message} (request-id {id})"))
}

fn line(sides: &Sides, change: &Change, state: &'static str, note: Option<String>) -> ChangeLine {
    ChangeLine {
        login: sides.people.get(change.person).login().to_owned(),
        account: sides.accounts.get(change.account).user_principal_name().to_owned(),
        kind: change.kind,
        from: label(&sides.accounts, change.from),
        to: label(&sides.accounts, change.to),
        state: state.into(),
        note,
    }
}

fn written(tally: &Tally) -> String {
    if tally.accepted.total() == 0 {
        return "nothing written".to_owned();
    }
    if tally.accepted == tally.confirmed {
        return format!("written and confirmed: {}", kinds(&tally.confirmed));
    }
    format!("accepted: {}; of these confirmed: {}", kinds(&tally.accepted), kinds(&tally.confirmed))
}

fn kinds(kinds: &Kinds) -> String {
    format!("{} set, {} changed, {} cleared", kinds.set, kinds.change, kinds.clear)
}

/// How many people's managers are not known to be right.
fn unresolved(tally: &Tally) -> u64 {
    tally.reasons.iter().filter(|(reason, _)| !reason.is_resolved()).map(|(_, people)| people).sum()
}

/// `left unresolved: 12 (8 manager_not_found, 4 no_account)`.
fn left(tally: &Tally) -> String {
    let mut reasons: Vec<(&Reason, &u64)> = tally.reasons.iter().filter(|(reason, _)| !reason.is_resolved()).collect();
    if reasons.is_empty() {
        return "nobody left unresolved".to_owned();
    }
    reasons.sort_by_key(|(reason, people)| (std::cmp::Reverse(**people), reason.as_str()));
    let named: Vec<String> = reasons.iter().map(|(reason, people)| format!("{people} {reason}")).collect();
    format!("left unresolved: {} ({})", unresolved(tally), named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::ChangeKind;

    #[test]
    fn no_more_changes_are_made_into_lines_than_are_listed() {
        let line = |number: usize| {
            assert!(number < ManagersDetails::LISTED, "nobody reads line {number}");
            let login = number.to_string();
            ChangeLine {
                login,
                account: String::new(),
                kind: ChangeKind::Set,
                from: None,
                to: None,
                state: "planned".into(),
                note: None,
            }
        };
        let lines = (0..ManagersDetails::LISTED + 3).map(|number| move || line(number));
        let Details::Managers(details) = Summary::default().details(Tally::default(), None, lines) else { panic!() };
        assert_eq!((details.changes.len(), details.more_changes), (ManagersDetails::LISTED, 3));
        assert_eq!(details.changes[9].login, "9");
    }
}
