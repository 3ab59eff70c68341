//! Managers that were written, or are to be: who, from whom to whom, and what came of it.

use askama::Template;
use askama::filters::HtmlSafe;

use super::parts::{Badge, Eye, Link, When};
use super::words::{self, Tone};
use crate::domain::decision::ChangeKind;
use crate::history::changes::Change;
use crate::history::plans::PlannedChange;
use crate::tables::words::manager;

/// Changes as a table.
#[derive(Debug, Template)]
#[template(path = "changes.html")]
pub(super) struct Changes {
    id: String,
    caption: String,
    rows: Vec<Row>,
    /// With the run and its time: changes of more than one.
    is_timed: bool,
    /// Of a person whom the page is about.
    is_named: bool,
    /// They were sent: there is an answer.
    is_sent: bool,
}

impl HtmlSafe for Changes {}

#[derive(Debug)]
struct Row {
    person: Link,
    kind: ChangeKind,
    old: String,
    new: String,
    state: Badge,
    /// The vendor's refusal, in its own words.
    answer: Option<String>,
    at: Option<(Link, When)>,
    request: String,
}

impl Changes {
    /// Those of one run.
    pub(super) fn of_run(changes: &[Change], eye: &Eye) -> Self {
        Self {
            id: "changes".to_owned(),
            caption: "Managers written, in their order".to_owned(),
            rows: changes.iter().map(|change| row(change, eye)).collect(),
            is_timed: false,
            is_named: true,
            is_sent: true,
        }
    }

    /// Those of one person.
    pub(super) fn of_person(id: &str, changes: &[Change], eye: &Eye) -> Self {
        let caption = "Managers written for this person, newest first".to_owned();
        Self { id: id.to_owned(), caption, is_timed: true, is_named: false, ..Self::of_run(changes, eye) }
    }

    /// Those of a plan.
    pub(super) fn planned(changes: &[PlannedChange]) -> Self {
        Self {
            id: "changes".to_owned(),
            caption: "Changes of the plan, in their order".to_owned(),
            rows: changes.iter().map(planned).collect(),
            is_timed: false,
            is_named: true,
            is_sent: false,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn row(change: &Change, eye: &Eye) -> Row {
    let state = change.state.as_str();
    let words = [change.code.as_deref(), change.message.as_deref()];
    let answer: Vec<&str> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    Row {
        person: Link::person(change.person.as_str(), &change.login),
        kind: change.kind,
        old: manager(&change.from_label, change.from),
        new: manager(&change.to_label, change.to),
        state: Badge::new(words::of_word("state", state).unwrap_or(Tone::Quiet), state),
        answer: (!answer.is_empty()).then(|| answer.join(": ")),
        at: Some((Link::run(change.run.as_str()), When::exact(change.intent_at, eye))),
        // Graph's, else ours: its logs find a request by either.
        request: change.request_id.clone().unwrap_or_else(|| change.client_request_id.clone()),
    }
}

fn planned(change: &PlannedChange) -> Row {
    let state = if change.held { Badge::new(Tone::Fair, "held") } else { Badge::new(Tone::Calm, "planned") };
    Row {
        person: Link::person(change.person.as_str(), &change.login),
        kind: change.kind,
        old: manager(&change.from_label, change.from),
        new: manager(&change.to_label, change.to),
        state,
        answer: None,
        at: None,
        request: String::new(),
    }
}
