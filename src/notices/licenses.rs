//! What runs notice of licenses and subscriptions, in the terms of those who tell people. Pure.
//!
//! Two jobs may see the same: an end that comes near has the same name for both, so that it is told once. What a keepalive job
//! finds of the one subscription that it watches goes by the job, as the subscription that comes back may be another one.

use std::collections::BTreeSet;

use crate::domain::event::{self, EventKind};
use crate::domain::notice::{Event, Manner, Phase, Severity, trouble};
use crate::domain::run::RunId;

const KIND: &str = "license";

/// The events of one run, in their order.
#[must_use]
pub fn noticed(all: &[event::Event], job: &str, run: &RunId) -> Vec<Event> {
    let ending: BTreeSet<&str> =
        all.iter().filter(|event| event.kind == EventKind::Expiring).map(|event| event.subject.as_str()).collect();
    let told = |event: &event::Event| {
        let (key, phase, closes) = meaning(event, job, ending.contains(event.subject.as_str()));
        Event {
            job: Some(job.to_owned()),
            run: Some(run.clone()),
            changed: true,
            lines: event.lines.clone(),
            closes: closes.into_iter().map(|key| trouble(KIND, &key)).collect(),
            ..Event::new(KIND, key, phase, severity(event.severity), event.title.clone())
        }
    };
    // That a product is no longer over-used says already that seats are free.
    let said = |event: &event::Event| {
        let relieved =
            |other: &event::Event| other.kind == EventKind::NoLongerOverUsed && other.subject == event.subject;
        event.kind == EventKind::EnoughFree && all.iter().any(relieved)
    };
    all.iter().filter(|event| !said(event)).map(told).collect()
}

/// The key of an event's trouble, what it means for that, and the keys of those that mean nothing after it. `ends_soon`: its
/// subject comes near an end all the same.
fn meaning(event: &event::Event, job: &str, ends_soon: bool) -> (String, Phase, Vec<String>) {
    let subject = &event.subject;
    let (over_used, few_free) = (format!("over_used/{subject}"), format!("few_free/{subject}"));
    let (status, end, watched) = (format!("status/{subject}"), format!("end/{subject}"), format!("watched/{job}"));
    let stage = |manner| Phase::Trouble { cause: event.key.clone(), manner };
    match event.kind {
        EventKind::OverUsed => (over_used, Phase::wrong("over_used"), vec![few_free]),
        EventKind::NoLongerOverUsed => (over_used, Phase::Over, Vec::new()),
        EventKind::FewFree => (few_free, Phase::wrong("few_free"), Vec::new()),
        EventKind::EnoughFree => (few_free, Phase::Over, Vec::new()),
        EventKind::StatusChanged if event.severity == event::Severity::Info => (status, Phase::Over, Vec::new()),
        // Seats of what is no longer in force mean nothing.
        EventKind::StatusChanged => (status, stage(Manner::Staged), vec![over_used, few_free]),
        EventKind::Disappeared => (event.key.clone(), Phase::News, vec![over_used, few_free, status]),
        EventKind::Expiring => (end, stage(Manner::Fading), Vec::new()),
        EventKind::DateMoved if ends_soon => (event.key.clone(), Phase::News, Vec::new()),
        EventKind::DateMoved => (end, Phase::Over, Vec::new()),
        EventKind::Expired | EventKind::Gone => (watched, stage(Manner::Staged), vec![end]),
        EventKind::Back => (watched, Phase::Over, Vec::new()),
        EventKind::Appeared | EventKind::CountsChanged | EventKind::PlansChanged => {
            (event.key.clone(), Phase::News, Vec::new())
        }
    }
}

const fn severity(of: event::Severity) -> Severity {
    match of {
        event::Severity::Info => Severity::Info,
        event::Severity::Warning => Severity::Warning,
        event::Severity::Urgent => Severity::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, severity: event::Severity) -> event::Event {
        let (subject, title) = ("s-1".to_owned(), kind.to_string());
        event::Event { kind, severity, key: format!("{kind}/s-1/7"), subject, title, lines: vec!["why".to_owned()] }
    }

    fn told(all: &[event::Event], job: &str) -> Vec<Event> {
        noticed(all, job, &RunId::stored("aaaa0001"))
    }

    #[test]
    fn whatever_begins_and_has_an_end_is_ended_under_the_same_name() {
        use EventKind::{
            Back, DateMoved, EnoughFree, Expired, Expiring, FewFree, Gone, NoLongerOverUsed, OverUsed, StatusChanged,
        };
        let ends = [
            (OverUsed, NoLongerOverUsed),
            (FewFree, EnoughFree),
            (StatusChanged, StatusChanged),
            (Expiring, DateMoved),
            (Expired, Back),
            (Gone, Back),
        ];
        for (begins, ends) in ends {
            let begun = told(&[event(begins, event::Severity::Urgent)], "k").remove(0);
            let ended = told(&[event(ends, event::Severity::Info)], "k").remove(0);
            assert!(matches!(begun.phase, Phase::Trouble { .. }), "{begins}: {:?}", begun.phase);
            assert_eq!((begun.trouble(), &ended.phase), (ended.trouble(), &Phase::Over), "{begins}");
            assert_eq!((begun.severity, begun.lines), (Severity::Error, vec!["why".to_owned()]));
        }
    }

    #[test]
    fn an_end_is_the_same_whichever_job_sees_it_and_what_is_watched_is_the_jobs_own() {
        let name = |kind, job| told(&[event(kind, event::Severity::Warning)], job)[0].trouble();
        assert_eq!(name(EventKind::Expiring, "keepalive"), name(EventKind::Expiring, "licenses"));
        assert_ne!(name(EventKind::Gone, "keepalive"), name(EventKind::Gone, "other"));
    }

    #[test]
    fn a_date_that_moved_and_is_near_all_the_same_is_no_recovery() {
        let moved = event(EventKind::DateMoved, event::Severity::Info);
        let near = event(EventKind::Expiring, event::Severity::Warning);
        let phases: Vec<Phase> = told(&[moved, near], "k").into_iter().map(|event| event.phase).collect();
        assert!(matches!(phases[..], [Phase::News, Phase::Trouble { manner: Manner::Fading, .. }]), "{phases:?}");
    }

    #[test]
    fn seats_that_are_free_again_are_told_once() {
        let all = [EventKind::NoLongerOverUsed, EventKind::EnoughFree].map(|kind| event(kind, event::Severity::Info));
        assert_eq!(told(&all, "k").len(), 1);
        assert_eq!(told(&all[1..], "k").len(), 1);
    }

    #[test]
    fn what_is_gone_takes_its_troubles_along() {
        let gone = told(&[event(EventKind::Disappeared, event::Severity::Warning)], "k").remove(0);
        let over = told(&[event(EventKind::OverUsed, event::Severity::Warning)], "k").remove(0);
        assert!(gone.closes.contains(&over.trouble()), "{:?}", gone.closes);
    }
}
