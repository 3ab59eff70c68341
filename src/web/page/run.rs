//! One run: how it ended, what it counted, whom it left alone and why, what it wrote, which calls it made.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::changes::Changes;
use super::frame::{Asked, Frame, Section, Trouble, page, run_id};
use super::grid::{Grid, Item};
use super::parts::{Badge, Link, Pager, Prose, When, grouped, path, query};
use super::share::{Counted, Shares};
use super::words::{self, Tone};
use crate::domain::decision::{Kinds, Tally};
use crate::domain::event::Event;
use crate::domain::run::{JobKind, Trigger};
use crate::history::runs::Run;
use crate::jobs::lock;
use crate::reconcile::meaning::{meaning, remedy};
use crate::tables;
use crate::tables::words::duration;

/// Changes, or calls, on a page.
pub(super) const PAGE: u32 = 100;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Place {
    /// Of the pages of changes, from 1.
    pub(super) changes: u64,
    /// Of the pages of calls, likewise.
    pub(super) calls: u64,
}

impl Place {
    /// One that there is: of `count` rows.
    pub(super) fn of(page: u64, count: u64) -> u64 {
        page.clamp(1, count.div_ceil(PAGE.into()).max(1))
    }

    /// How many rows come before a page.
    pub(super) fn skipped(page: u64) -> u64 {
        (page - 1) * u64::from(PAGE)
    }
}

#[derive(Debug, Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    id: String,
    job: String,
    job_link: Link,
    kind: JobKind,
    badge: Badge,
    message: Option<Prose>,
    hint: Option<Prose>,
    began: When,
    ago: When,
    took: String,
    trigger: Trigger,
    /// Somebody who asked for it.
    asker: Option<String>,
    host: String,
    pid: u32,
    fingerprint: String,
    requests: Option<String>,
    plans: Vec<Link>,
    notes: Vec<String>,
    counted: Option<Counts>,
    reasons: Option<Shares>,
    gauge: Option<String>,
    events: Vec<Noticed>,
    changes: Changes,
    pager: Pager,
    calls: Grid,
    calls_pager: Pager,
    /// It goes on: what is shown changes when it ends.
    is_live: bool,
}

#[derive(Debug)]
struct Counts {
    numbers: Vec<(&'static str, String)>,
    kinds: Grid,
}

/// What a run noticed.
#[derive(Debug)]
struct Noticed {
    badge: Badge,
    title: String,
    lines: Vec<String>,
}

pub(super) async fn show(asked: Asked, Path(id): Path<String>, Query(place): Query<Place>) -> Response {
    match run(&asked, &id, place).await {
        Ok(run) => page(&run),
        Err(trouble) => asked.refused(trouble),
    }
}

async fn run(asked: &Asked, id: &str, place: Place) -> Result<RunPage, Trouble> {
    let (history, eye) = (asked.history(), &asked.eye);
    let id = run_id(history, id).await?;
    let missing = || Trouble::Missing { what: "run", name: id.to_string() };
    let run = history.run(&id).await?.ok_or_else(missing)?;
    let count = history.count_changes_of_run(&id).await?;
    let page = Place::of(place.changes, count);
    let changes = history.some_changes_of_run(&id, Place::skipped(page), PAGE).await?;
    let all_calls = history.count_calls_of_run(&id).await?;
    let calls_page = Place::of(place.calls, all_calls);
    let calls = history.some_calls_of_run(&id, Place::skipped(calls_page), PAGE).await?;
    let tally = run.managers_tally();
    let link = |changes: u64, calls: u64| {
        let [changes, calls] = [changes, calls].map(|page| if page > 1 { page.to_string() } else { String::new() });
        query(&path("runs", id.as_str()), &[("changes", &changes), ("calls", &calls)])
    };
    let is_dead = run.outcome.is_none() && lock::is_held(&asked.lent.state_directory, &run.job) == Some(false);
    Ok(RunPage {
        frame: asked.frame(Section::Runs, format!("Run {id} of {}", run.job)),
        badge: if is_dead { Badge::new(Tone::Bad, "cut off") } else { Badge::outcome(run.outcome) },
        hint: run.hint.as_ref().map(|hint| Prose::new(hint.replace("RUN", id.as_str()))),
        began: When::exact(run.started_at, eye),
        ago: When::ago(run.started_at, eye),
        took: if is_dead { "cut off; the next run settles it".to_owned() } else { took(&run) },
        requests: requests(&run),
        plans: history.plans_of_run(&id).await?.iter().map(|plan| Link::plan(plan.as_str())).collect(),
        notes: notes(&run),
        reasons: tally.as_ref().filter(|tally| !tally.reasons.is_empty()).map(|tally| reasons(&run.job, tally)),
        counted: tally.as_ref().map(counts),
        gauge: history.gauge_of_run(&id).await?.map(|gauge| gauge.line()),
        events: history.events_of_run(&id).await?.into_iter().map(noticed).collect(),
        changes: Changes::of_run(&changes, eye),
        pager: pager("More changes", page, count, |page| link(page, calls_page)),
        calls: Grid::of("calls", "Calls, in their order", &tables::calls::table(&calls, &eye.zone), eye, &[]),
        calls_pager: pager("More calls", calls_page, all_calls, |calls| link(page, calls)),
        is_live: run.outcome.is_none(),
        id: id.to_string(),
        job_link: Link::job(&run.job),
        job: run.job,
        kind: run.kind,
        message: run.message.map(Prose::new),
        trigger: run.trigger,
        asker: Some(run.caller).filter(|caller| *caller != run.trigger.as_str()),
        host: run.host,
        pid: run.pid,
        fingerprint: run.config_fingerprint,
    })
}

fn took(run: &Run) -> String {
    let took: Option<Duration> = run.ended_at.map(|ended| ended.duration_since(run.started_at).unsigned_abs());
    took.map_or_else(|| "still going on".to_owned(), duration)
}

/// How many requests it sent, by service.
fn requests(run: &Run) -> Option<String> {
    let calls = run.tally.as_ref()?.get("calls")?.as_object()?;
    let each: Vec<String> = calls.iter().map(|(service, count)| format!("{service} {count}")).collect();
    (!each.is_empty()).then(|| each.join(", "))
}

/// What it had to say beside its counts: brakes that hold something, for one.
pub(super) fn notes(run: &Run) -> Vec<String> {
    let notes = run.tally.as_ref().and_then(|tally| tally.get("notes")).and_then(Value::as_array);
    notes.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn counts(tally: &Tally) -> Counts {
    let numbers = [
        ("people in Okta", tally.people),
        ("with a manager reference", tally.with_reference),
        ("in scope", tally.in_scope),
        ("accounts in Entra", tally.accounts),
    ];
    let stages: [(&str, &Kinds); 4] = [
        ("planned", &tally.planned),
        ("held by a brake", &tally.held),
        ("accepted by Graph", &tally.accepted),
        ("confirmed by reading", &tally.confirmed),
    ];
    let number = |count: u64| Item::Number(grouped(count));
    let row = |(stage, kinds): (&str, &Kinds)| {
        vec![Item::Text(stage.to_owned()), number(kinds.set), number(kinds.change), number(kinds.clear)]
    };
    let rows = stages.into_iter().map(row).collect();
    Counts {
        numbers: numbers.map(|(what, count)| (what, grouped(count))).to_vec(),
        kinds: Grid::new("kinds", "Changes by kind and stage", &["Changes", "Set", "Change", "Clear"], rows),
    }
}

fn reasons(job: &str, tally: &Tally) -> Shares {
    let counted = tally.reasons.iter().map(|(reason, people)| Counted {
        name: reason.as_str(),
        href: query("/people", &[("job", job), ("reason", reason.as_str())]),
        count: *people,
        meaning: meaning(*reason),
        remedy: remedy(*reason),
    });
    Shares::of("reasons", "People by reason", counted.collect())
}

fn noticed(event: Event) -> Noticed {
    let severity = event.severity.as_str();
    let tone = words::of_word("severity", severity).unwrap_or(words::Tone::Quiet);
    Noticed { badge: Badge::new(tone, severity), title: event.title, lines: event.lines }
}

/// To the pages before and after one of `count` rows.
pub(super) fn pager(label: &'static str, page: u64, count: u64, link: impl Fn(u64) -> String) -> Pager {
    let (first, last) = ((page - 1) * u64::from(PAGE) + 1, (page * u64::from(PAGE)).min(count));
    Pager {
        label,
        newer: (page > 1).then(|| link(page - 1)),
        older: (last < count).then(|| link(page + 1)),
        back: "Before",
        on: "Next",
        said: format!("{} to {} of {}", grouped(first), grouped(last), grouped(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_changes_lead_to_their_neighbors_and_to_no_others() {
        let of = |page| pager("More changes", page, 10_000, |page| page.to_string());
        let (first, last) = (of(1), of(100));
        assert_eq!((first.newer, first.older.as_deref(), first.said.as_str()), (None, Some("2"), "1 to 100 of 10,000"));
        assert_eq!(
            (last.newer.as_deref(), last.older, last.said.as_str()),
            (Some("99"), None, "9,901 to 10,000 of 10,000")
        );
        let only = pager("More changes", 1, 100, |page| page.to_string());
        assert_eq!((only.newer, only.older), (None, None));
        let asked = [0, 1, 100, 101, u64::MAX].map(|page| Place::of(page, 10_000));
        assert_eq!((asked, Place::of(7, 0)), ([1, 1, 100, 100, 100], 1), "a page that there is");
    }
}
