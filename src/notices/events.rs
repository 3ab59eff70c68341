//! Events of runs, of the ledger, of the configuration and of the history, in words for people.

use std::collections::BTreeMap;

use crate::domain::condition::{Condition, IdentityName, Known, State};
use crate::domain::moment::{Disposition, Moment};
use crate::domain::notice::{Event, Manner, Output, Phase, RUN, Severity};
use crate::domain::run::{Outcome, RunId};

/// How a run ended, as far as anybody is told.
#[derive(Clone, Debug)]
pub struct Ended {
    pub job: String,
    pub run: RunId,
    pub outcome: Outcome,
    /// A code word.
    pub reason: Option<String>,
    /// What the reason leaves open of the cause, the same as long as nothing new is wrong: which plan is held, which request
    /// fails. No counts.
    pub detail: Option<String>,
    pub message: String,
    /// What an operator can do about it.
    pub hint: Option<String>,
    /// Whether it changed anything.
    pub changed: bool,
    /// The share of people who were left unresolved, in percent; `None` when it did not look at everybody.
    pub unresolved: Option<f64>,
    /// What else is worth saying of its end, a sentence each.
    pub facts: Vec<String>,
    pub outputs: Vec<Output>,
    /// What else it found that is worth telling.
    pub found: Vec<Event>,
}

impl Ended {
    /// An end of which no more is known than its run's row says: reason, message and hint.
    pub(super) fn plain(
        job: String,
        run: RunId,
        outcome: Outcome,
        (reason, message, hint): (Option<String>, String, Option<String>),
    ) -> Self {
        Self {
            job,
            run,
            outcome,
            reason,
            detail: None,
            message,
            hint,
            changed: false,
            unresolved: None,
            facts: Vec::new(),
            outputs: Vec::new(),
            found: Vec::new(),
        }
    }

    /// The event that the end is; `None` when there was no run, or one that the job itself turned away.
    pub(super) fn event(&self) -> Option<Event> {
        let reason = self.reason.as_deref();
        if self.outcome == Outcome::Busy || reason == Some("too_soon") {
            return None;
        }
        let (said, severity) = said(self.outcome);
        let cause = [Some(self.outcome.as_str()), reason, self.detail.as_deref()];
        let cause: Vec<&str> = cause.into_iter().flatten().collect();
        let phase = match self.outcome {
            Outcome::Succeeded | Outcome::Planned => Phase::Over,
            // Somebody stopped it, who knows.
            Outcome::Interrupted if reason == Some("stopped") => Phase::News,
            _ => Phase::wrong(cause.join(" ")),
        };
        let severity = if phase == Phase::News { Severity::Info } else { severity };
        let code = reason.filter(|reason| *reason != self.outcome.as_str()).map(|reason| format!(" ({reason})"));
        let hint = self.hint.as_ref().map(|hint| format!("What to do: {hint}"));
        let look = format!("`graphkeeper history show {}` tells all of it.", self.run);
        let title = format!("{} {said}{}", self.job, code.unwrap_or_default());
        let before = std::iter::once(self.message.clone()).chain(self.facts.iter().cloned());
        Some(Event {
            job: Some(self.job.clone()),
            run: Some(self.run.clone()),
            changed: self.changed,
            lines: before.chain(hint).chain([look]).collect(),
            outputs: self.outputs.clone(),
            ..Event::new(RUN, &self.job, phase, severity, title)
        })
    }

    /// That more people are left unresolved than were at best.
    pub(super) fn rise(&self, share: f64, points: f64) -> Event {
        let title = format!("{} leaves more people unresolved: {share:.1} %", self.job);
        Event {
            job: Some(self.job.clone()),
            run: Some(self.run.clone()),
            changed: true,
            lines: vec![
                format!("That is {points:.1} points more than at best since this was last told."),
                format!("`graphkeeper history show {}` counts them by reason.", self.run),
            ],
            ..Event::new("unresolved", &self.job, Phase::News, Severity::Warning, title)
        }
    }
}

/// Whether writes that Entra accepted did not show when they were read back: `logins` of the people whose they are. None of
/// them: that is over.
#[must_use]
pub fn unconfirmed(job: &str, run: &RunId, logins: &[&str]) -> Event {
    let event = |phase, severity, title: String, lines| Event {
        job: Some(job.to_owned()),
        run: Some(run.clone()),
        lines,
        ..Event::new("unconfirmed", job, phase, severity, title)
    };
    if logins.is_empty() {
        let title = format!("{job}: all that was accepted shows");
        return event(Phase::Over, Severity::Info, title, Vec::new());
    }
    let title = match logins.len() {
        1 => format!("{job}: Entra accepted a write that does not show"),
        count => format!("{job}: Entra accepted {count} writes that do not show"),
    };
    let more = if logins.len() > NAMED { ", …" } else { "" };
    let lines = vec![
        format!("The managers of {}{more}", logins[..logins.len().min(NAMED)].join(", ")),
        "What to do: the next run looks again and writes what is still needed. When it does not show then either, somebody          else writes these accounts, or Entra took back what it accepted: the request ids are in          `graphkeeper history changes`."
            .to_owned(),
    ];
    event(Phase::wrong("unconfirmed"), Severity::Error, title, lines)
}

/// So many people are named in a notice.
const NAMED: usize = 5;

fn said(outcome: Outcome) -> (&'static str, Severity) {
    match outcome {
        Outcome::Succeeded => ("succeeded", Severity::Info),
        Outcome::Planned => ("planned", Severity::Info),
        Outcome::Partial => ("left something undone", Severity::Warning),
        Outcome::Held => ("waits for an approval", Severity::Warning),
        Outcome::SourceIncomplete => ("did not believe what it read, and wrote nothing", Severity::Error),
        Outcome::Failed => ("failed", Severity::Error),
        Outcome::TimedOut => ("ran out of time", Severity::Error),
        Outcome::Interrupted => ("was cut off", Severity::Warning),
        Outcome::NeedsHuman => ("needs somebody to sign in or to consent", Severity::Error),
        Outcome::Busy => ("was busy", Severity::Info),
    }
}

/// How an identity is; `None` when nothing is known of it. While it ends, each nearer warning is another cause.
#[must_use]
pub(super) fn identity(known: &Known) -> Option<Event> {
    let State { condition, reason, detail, hint, notice } = &known.state;
    let whose = match known.name {
        IdentityName::Okta => "the sign-in to Okta",
        IdentityName::App => "the sign-in to Entra as the application",
        IdentityName::User => "the sign-in to Entra as a person",
    };
    let word = reason.as_deref().map(|reason| format!("{condition} {reason}")).unwrap_or(condition.to_string());
    let (phase, severity, said) = match condition {
        Condition::Unknown => return None,
        Condition::Ok => (Phase::Over, Severity::Info, "works".to_owned()),
        Condition::Expiring => {
            let days = notice.unwrap_or_default();
            let said = if days == 0 { "ends soon".to_owned() } else { format!("ends within {days} days") };
            let severity = if days <= 7 { Severity::Error } else { Severity::Warning };
            (Phase::wrong(format!("expiring {days}")), severity, said)
        }
        Condition::Misconfigured => (Phase::wrong(word), Severity::Error, "is misconfigured".to_owned()),
        Condition::NeedsHuman => (Phase::wrong(word), Severity::Error, "needs somebody".to_owned()),
    };
    let detail = Some(detail.clone()).filter(|detail| !detail.is_empty());
    let hint = hint.as_ref().map(|hint| format!("What to do: {hint}"));
    Some(Event {
        lines: detail.into_iter().chain(hint).collect(),
        ..Event::new(IDENTITY, known.name.as_str(), phase, severity, format!("{whose} {said}"))
    })
}

/// The identity that a trouble is of, by its name.
pub(super) fn identity_of(trouble: &str) -> Option<&str> {
    trouble.strip_prefix(IDENTITY)?.strip_prefix(':')
}

/// The kind of event that an identity's state is.
const IDENTITY: &str = "identity";

/// The configuration cannot be used; `problem` is the first thing that is wrong with it.
#[must_use]
pub fn configuration_refused(problem: &str) -> Event {
    let lines = vec![
        problem.to_owned(),
        "The service goes on with the one before it. What to do: `graphkeeper check` names every mistake.".to_owned(),
    ];
    let phase = Phase::wrong("refused");
    configuration(phase, Severity::Error, "the saved configuration is not used", lines)
}

/// The configuration can be used, perhaps again.
#[must_use]
pub fn configuration_good() -> Event {
    configuration(Phase::Over, Severity::Info, "the configuration is good again", Vec::new())
}

fn configuration(phase: Phase, severity: Severity, title: &str, lines: Vec<String>) -> Event {
    Event { lines, ..Event::new("configuration", "file", phase, severity, title) }
}

/// The history cannot be written; `what` is lost or waits for it.
#[must_use]
pub fn history_unwritten(job: Option<&str>, what: &str, problem: &str, hint: Option<&str>) -> Event {
    let hint = hint.map(|hint| format!("What to do: {hint}"));
    let lines = [Some(what.to_owned()), Some(problem.to_owned()), hint];
    let lines = lines.into_iter().flatten().collect();
    let phase = Phase::wrong("unwritten");
    history(phase, job, Severity::Error, "the history cannot be written", lines)
}

/// The history is written again.
#[must_use]
pub fn history_written() -> Event {
    history(Phase::Over, None, Severity::Info, "the history is written again", Vec::new())
}

fn history(phase: Phase, job: Option<&str>, severity: Severity, title: &str, lines: Vec<String>) -> Event {
    Event { job: job.map(str::to_owned), lines, ..Event::new("history", "database", phase, severity, title) }
}

/// Scheduled moments at which a job did not run although nobody wanted that: an event a job.
#[must_use]
pub fn moments_missed(moments: &[Moment]) -> Vec<Event> {
    let mut by_job: BTreeMap<&str, Vec<&Moment>> = BTreeMap::new();
    for moment in moments.iter().filter(|moment| is_lost(moment.disposition)) {
        by_job.entry(&moment.job).or_default().push(moment);
    }
    by_job.into_iter().map(|(job, moments)| missed(job, &moments)).collect()
}

/// Whether nothing makes up for the moment. One that a later run covers is none of these, nor one of a paused job.
const fn is_lost(disposition: Disposition) -> bool {
    matches!(
        disposition,
        Disposition::TooOld
            | Disposition::Skipped
            | Disposition::Overlap
            | Disposition::Down
            | Disposition::Asleep
            | Disposition::QueueFull
    )
}

fn missed(job: &str, moments: &[&Moment]) -> Event {
    let mut words: Vec<&str> = moments.iter().map(|moment| moment.disposition.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    let cause = words.join(" ");
    let reasons = moments.last().and_then(|moment| moment.reason.clone());
    let count = moments.len();
    let title = match count {
        1 => format!("{job} was not run at a scheduled moment ({cause})"),
        count => format!("{job} was not run at {count} scheduled moments ({cause})"),
    };
    let look = format!("`graphkeeper history missed --job {job}` lists them.");
    let phase = Phase::Trouble { cause, manner: Manner::Passing };
    Event {
        job: Some(job.to_owned()),
        lines: reasons.into_iter().chain([look]).collect(),
        ..Event::new("moments", job, phase, Severity::Warning, title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::at;

    fn ended(outcome: Outcome, reason: Option<&str>) -> Ended {
        let said = (reason.map(str::to_owned), "no changes".to_owned(), Some("look".to_owned()));
        Ended::plain("managers".to_owned(), RunId::stored("7f3k0000"), outcome, said)
    }

    #[test]
    fn every_outcome_is_trouble_or_its_end_and_what_the_job_turned_away_is_nothing() {
        for outcome in Outcome::ALL {
            let event = ended(*outcome, None).event();
            match outcome {
                Outcome::Busy => assert_eq!(event, None),
                Outcome::Succeeded | Outcome::Planned => assert_eq!(event.unwrap().phase, Phase::Over),
                _ => assert_eq!(event.unwrap().phase, Phase::wrong(outcome.as_str())),
            }
        }
        assert_eq!(ended(Outcome::Failed, Some("too_soon")).event(), None);
        assert_eq!(ended(Outcome::Interrupted, Some("stopped")).event().unwrap().phase, Phase::News);
        let denied = ended(Outcome::Failed, Some("Authorization_RequestDenied")).event().unwrap();
        assert_eq!(denied.title, "managers failed (Authorization_RequestDenied)");
        assert_eq!(denied.phase, Phase::wrong("failed Authorization_RequestDenied"));
        assert_eq!(denied.lines[1], "What to do: look");
    }

    #[test]
    fn another_plan_that_is_held_is_another_cause_and_the_same_one_is_not() {
        let held = |plan: &str| {
            let detail = Some(plan.to_owned());
            Ended { detail, ..ended(Outcome::Held, Some("held")) }.event().unwrap().phase
        };
        assert_eq!(held("p1"), held("p1"));
        assert_ne!(held("p1"), held("p2"));
    }

    #[test]
    fn an_identity_is_told_anew_the_nearer_its_end_comes_and_when_it_works_again() {
        let event = |state: State| identity(&Known { state, ..Known::nothing(IdentityName::App, "x".to_owned()) });
        assert_eq!(event(State::plain(Condition::Unknown)), None);
        assert_eq!(event(State::plain(Condition::Ok)).unwrap().phase, Phase::Over);
        let ends = |days| event(State { notice: Some(days), ..State::plain(Condition::Expiring) }).unwrap();
        assert_eq!(ends(14).title, "the sign-in to Entra as the application ends within 14 days");
        assert_ne!(ends(14).phase, ends(7).phase);
        let reason = Some("AADSTS700082".to_owned());
        let dead =
            event(State { reason, hint: Some("sign in".to_owned()), ..State::plain(Condition::NeedsHuman) }).unwrap();
        assert_eq!(dead.phase, Phase::wrong("needs_human AADSTS700082"));
        assert_eq!((dead.trouble().as_str(), dead.lines), ("identity:app", vec!["What to do: sign in".to_owned()]));
    }

    #[test]
    fn writes_that_do_not_show_are_told_until_all_do() {
        let run = RunId::stored("7f3k0000");
        let event = unconfirmed("managers", &run, &["ana", "bo", "cy", "di", "ed", "flo"]);
        assert_eq!(event.title, "managers: Entra accepted 6 writes that do not show");
        assert_eq!(event.lines[0], "The managers of ana, bo, cy, di, ed, …");
        let over = unconfirmed("managers", &run, &[]);
        assert_eq!((over.trouble(), over.phase), (event.trouble(), Phase::Over));
    }

    #[test]
    fn lost_moments_are_told_by_job_and_those_that_something_makes_up_for_are_not() {
        let moments: Vec<Moment> = (0..)
            .zip(Disposition::ALL)
            .map(|(second, disposition)| Moment {
                job: if second % 2 == 0 { "a" } else { "b" }.to_owned(),
                planned_at: at(second),
                disposition: *disposition,
                run: None,
                reason: None,
            })
            .collect();
        let titles: Vec<String> = moments_missed(&moments).into_iter().map(|event| event.title).collect();
        assert_eq!(
            titles,
            [
                "a was not run at 3 scheduled moments (asleep overlap too_old)",
                "b was not run at 3 scheduled moments (down queue_full skipped)"
            ]
        );
    }
}
