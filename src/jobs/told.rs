//! What people are told of a run: its end, and what it found on the way.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::notice::{Event, Output};
use crate::domain::request::Method;
use crate::domain::run::{Outcome, RunId};
use crate::history::calls::Verdict;
use crate::jobs::answers::Reply;
use crate::jobs::report::{Details, Finish};
use crate::notices::licenses::noticed;
use crate::notices::{Ended, events};

/// What a run found that is worth telling beside its end: any job adds to it. Told when the run's end is recorded. Clones are
/// the same list.
#[derive(Clone, Debug, Default)]
pub struct Found(Arc<Mutex<Vec<Event>>>);

impl Found {
    /// Adds an event.
    pub fn add(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// Takes out what was added.
    pub(super) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Finish {
    /// The end as people are told of it.
    pub(super) fn told(&self, job: &str, run: &RunId, found: Vec<Event>) -> Ended {
        let (changed, unresolved, outputs) = match &self.details {
            Details::Managers(managers) => {
                (managers.tally.accepted.total() > 0, self.share(managers.tally.people), Vec::new())
            }
            Details::Keepalive(replies) => (false, None, outputs(replies)),
            Details::Directory(directory) => (!directory.tally.differences.is_empty(), None, Vec::new()),
            Details::Request(request) => {
                let wrote = self.outcome == Outcome::Succeeded && request.method.is_some_and(Method::writes);
                (wrote, None, outputs(&request.calls))
            }
            _ => (false, None, Vec::new()),
        };
        // What the run before left open was looked at first, and says more.
        let own = self.unconfirmed(job, run).filter(|own| !found.iter().any(|event| event.kind == own.kind));
        let found = found.into_iter().chain(own).chain(noticed(&self.events, job, run));
        Ended {
            job: job.to_owned(),
            run: run.clone(),
            outcome: self.outcome,
            reason: self.reason.clone(),
            detail: self.detail(),
            message: self.message.clone(),
            hint: self.hint.clone(),
            changed,
            unresolved,
            facts: self.gauge.iter().map(|gauge| format!("Subscription: {}.", gauge.line())).collect(),
            outputs,
            found: found.collect(),
        }
    }

    /// What the reason leaves open of the cause, without what is another every night.
    fn detail(&self) -> Option<String> {
        let words = |words: BTreeSet<&str>| words.into_iter().collect::<Vec<_>>().join(" ");
        match (self.outcome, &self.details) {
            (Outcome::Held, Details::Managers(managers)) => managers.plan.as_ref().map(ToString::to_string),
            (Outcome::Partial, Details::Managers(managers)) => {
                let states = managers.changes.iter().map(|change| change.state.as_ref());
                Some(words(states.filter(|state| *state != "confirmed").collect()))
            }
            (Outcome::Partial | Outcome::Failed, Details::Keepalive(replies)) => {
                let bad = replies.iter().filter(|reply| reply.verdict != Verdict::Ok);
                Some(words(bad.map(|reply| reply.path.as_str()).collect())).filter(|paths| !paths.is_empty())
            }
            // What is doubted is named there, with counts.
            (Outcome::SourceIncomplete, _) => {
                Some(self.message.chars().filter(|letter| !letter.is_ascii_digit()).collect())
            }
            _ => None,
        }
    }

    /// Whether writes were accepted and do not show, of a run that read back what it wrote.
    fn unconfirmed(&self, job: &str, run: &RunId) -> Option<Event> {
        let Details::Managers(managers) = &self.details else { return None };
        let open = managers.changes.iter().filter(|change| change.state == "unconfirmed");
        let logins: Vec<&str> = open.map(|change| change.login.as_str()).collect();
        // One that broke off may have left some unread.
        let whole = matches!(self.outcome, Outcome::Succeeded | Outcome::Held);
        (whole || !logins.is_empty()).then(|| events::unconfirmed(job, run, &logins))
    }

    /// The share of all people who were left unresolved, in percent; of a run that judged everybody alone.
    fn share(&self, people: u64) -> Option<f64> {
        let whole = matches!(self.outcome, Outcome::Succeeded | Outcome::Planned | Outcome::Partial | Outcome::Held);
        #[expect(clippy::cast_precision_loss, reason = "a percentage of at most some millions")]
        let share = |unresolved: u64| unresolved as f64 * 100.0 / people as f64;
        self.unresolved.filter(|_| whole && people > 0).map(share)
    }
}

/// The answers that are kept with their calls, as they are kept.
fn outputs(replies: &[Reply]) -> Vec<Output> {
    let output = |reply: &Reply| Some(Output { name: reply.path.clone(), text: reply.body.clone()? });
    replies.iter().filter_map(output).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::{Kinds, Tally};
    use crate::domain::import::{Difference, ImportTally};
    use crate::jobs::report::ManagersDetails;
    use crate::jobs::report::details::{DirectoryDetails, RequestDetails};

    #[test]
    fn the_share_is_that_of_a_run_that_judged_everybody() {
        let finish = |outcome, people| {
            let accepted = Kinds { set: 1, ..Kinds::default() };
            let tally = Tally { people, accepted, ..Tally::default() };
            let details = Details::Managers(Box::new(ManagersDetails { tally, ..ManagersDetails::default() }));
            Finish { outcome, unresolved: Some(3), details, ..Finish::default() }
        };
        let told = |outcome, people| finish(outcome, people).told("m", &RunId::stored("r"), Vec::new());
        assert_eq!(told(Outcome::Held, 12).unresolved, Some(25.0));
        assert_eq!(told(Outcome::Failed, 12).unresolved, None);
        assert_eq!(told(Outcome::Succeeded, 0).unresolved, None);
        assert!(told(Outcome::Succeeded, 12).changed);
    }

    #[test]
    fn differences_to_the_last_import_and_writes_are_changes() {
        let changed = |details| {
            let finish = Finish { outcome: Outcome::Succeeded, details, ..Finish::default() };
            finish.told("j", &RunId::stored("r"), Vec::new()).changed
        };
        let import = |differences: &[(Difference, u64)]| {
            let tally = ImportTally { differences: differences.iter().copied().collect(), ..ImportTally::default() };
            Details::Directory(Box::new(DirectoryDetails { tally, ..DirectoryDetails::default() }))
        };
        assert!(changed(import(&[(Difference::NewlyUnmatched, 1)])) && !changed(import(&[])));
        let request =
            |method| Details::Request(Box::new(RequestDetails { method: Some(method), ..RequestDetails::default() }));
        assert!(changed(request(Method::Post)) && !changed(request(Method::Get)));
    }
}
