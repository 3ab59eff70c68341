//! `history show`: one run, or one plan.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::cli::args::OutputFormat;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::history::plan;
use crate::cli::page::{Page, left_out, section};
use crate::control::carry::LIST_RUNS;
use crate::control::refusal::{Refusal, one};
use crate::domain::event::Event;
use crate::domain::run::RunId;
use crate::history::plans::PlanSummary;
use crate::history::runs::Run;
use crate::history::{Found, History};
use crate::tables;
use crate::tables::changes::{self, Shown};
use crate::tables::imports;
use crate::tables::run::{self, Told};
use crate::tables::runs::outcome;
use crate::tables::words::{duration, local, relative};

/// So many changes are read by a person in one go; programs get all, unless they name a limit.
const READABLE: u32 = 200;

/// Prints the run or the plan whose id begins so. The JSON is described at [`run::object`] and at [`crate::tables::plan::object`].
pub(super) async fn show(desk: &Desk, id: &str, limit: Option<u32>) -> Result<(), Failure> {
    let history = desk.history()?;
    let limit = limit.or_else(|| matches!(desk.format, OutputFormat::Table).then_some(READABLE));
    let page = match (history.resolve_run_prefix(id).await?, history.find_plan(id).await?) {
        (Found::One(run), Found::Nothing) => run_page(desk, history, &run, limit).await?,
        (Found::Nothing, Found::One(plan)) => plan_page(desk, history, plan, limit).await?,
        (Found::Nothing, Found::Nothing) => return Ok(one(Found::Nothing, "run or plan", id, LIST_RUNS)?),
        (runs, plans) => {
            let candidates = candidates(runs, plans);
            return Err(Refusal::Several { what: "run or plan", name: id.to_owned(), candidates }.into());
        }
    };
    Ok(page.print(desk.format)?)
}

/// The ids that a prefix fits, of both kinds.
fn candidates(runs: Found<RunId>, plans: Found<PlanSummary>) -> Vec<String> {
    let runs = match runs {
        Found::One(run) => vec![run.to_string()],
        Found::Several(runs) => runs,
        Found::Nothing => Vec::new(),
    };
    let plans = match plans {
        Found::One(plan) => vec![plan.id.to_string()],
        Found::Several(plans) => plans,
        Found::Nothing => Vec::new(),
    };
    runs.into_iter().chain(plans).collect()
}

async fn plan_page(desk: &Desk, history: &History, found: PlanSummary, limit: Option<u32>) -> Result<Page, Failure> {
    let told = tables::plan::Told::read(history, found, limit).await?;
    Ok(plan::page(&told, desk.zone(), desk.now, desk.width))
}

async fn run_page(desk: &Desk, history: &History, id: &RunId, limit: Option<u32>) -> Result<Page, Failure> {
    let told = run::read(history, id, limit).await?.map_or(Found::Nothing, Found::One);
    let told = one(told, "run", id.as_str(), LIST_RUNS)?;
    Ok(page(&told, desk.zone(), desk.now, desk.width))
}

/// A run as text, JSON and the rows of its changes.
fn page(told: &Told, zone: &TimeZone, now: Timestamp, width: Option<u16>) -> Page {
    let rows = changes::table(&told.changes, zone, Shown::OfRun);
    let tally = told.run.managers_tally();
    let reasons = run::reasons(tally.as_ref());
    let mut text = heading(&told.run, zone, now);
    if let Some(tally) = &tally {
        let _ = writeln!(
            text,
            "\nRead\n  {} people, {} with a manager reference, {} in scope; {} accounts",
            tally.people, tally.with_reference, tally.in_scope, tally.accounts
        );
        section(&mut text, "Changes", &run::kinds(tally), width);
    }
    if let Some(tally) = told.run.import_tally() {
        let _ = writeln!(text, "\nRead\n  {} people, {} accounts", tally.people, tally.accounts);
        section(&mut text, "Found", &imports::counts(&tally), width);
        if !tally.kinds.is_empty() {
            let _ = writeln!(text, "\n`graphkeeper history directory --run {}` lists them", told.run.id);
        }
    }
    section(&mut text, "People by reason", &reasons, width);
    section(&mut text, "Written", &rows, width);
    left_out(&mut text, told.run.id.as_str(), told.more_changes, told.changes.len() as u64 + told.more_changes);
    if let Some(gauge) = &told.gauge {
        let _ = writeln!(text, "\nSubscription of {}\n  {}", gauge.part_number, gauge.line());
    }
    noticed(&mut text, &told.events);
    footing(&mut text, told);
    Page { text, json: run::object(told, &reasons, &rows), rows }
}

fn heading(run: &Run, zone: &TimeZone, now: Timestamp) -> String {
    let mut text = format!("Run {} of {}: {}\n", run.id, run.job, outcome(run));
    if let Some(message) = &run.message {
        let _ = writeln!(text, "  {message}");
    }
    if let Some(hint) = &run.hint {
        let _ = writeln!(text, "  hint: {}", hint.replace("RUN", run.id.as_str()));
    }
    let began = format!("{} ({})", local(run.started_at, zone), relative(run.started_at, now));
    let took = run.ended_at.map(|ended| ended.duration_since(run.started_at).unsigned_abs());
    let took = took.map_or_else(|| "still going on".to_owned(), |took: Duration| format!("took {}", duration(took)));
    let _ = writeln!(text, "\n  began  {began}, {took}");
    let _ = writeln!(text, "  why    {}, by {}", run.trigger, run.caller);
    let _ = writeln!(text, "  where  {}, process {}, configuration {}", run.host, run.pid, run.config_fingerprint);
    text
}

/// Adds what a run noticed, a line each with what there is to say beside it.
pub(in crate::cli) fn noticed(text: &mut String, events: &[Event]) {
    for (place, event) in events.iter().enumerate() {
        let heading = if place == 0 { "\nNoticed\n" } else { "" };
        let _ = writeln!(text, "{heading}  {}: {}", event.severity, event.title);
        for line in &event.lines {
            let _ = writeln!(text, "    {line}");
        }
    }
}

fn footing(text: &mut String, told: &Told) {
    for plan in &told.plans {
        let _ = writeln!(text, "\nPlan {plan}: `graphkeeper history show {plan}`");
    }
    let noted = told.run.tally.as_ref().and_then(|tally| tally.get("notes")).and_then(Value::as_array);
    for (place, note) in noted.into_iter().flatten().filter_map(Value::as_str).enumerate() {
        let _ = writeln!(text, "{}note: {note}", if place == 0 { "\n" } else { "" });
    }
    let counted = told.run.tally.as_ref().and_then(|tally| tally.get("calls")).and_then(Value::as_object);
    let counted = counted.map(|calls| calls.iter().map(|(service, count)| format!("{service} {count}")));
    let counted = counted.map(|calls| calls.collect::<Vec<_>>().join(", ")).filter(|calls| !calls.is_empty());
    if let Some(counted) = counted {
        let _ = writeln!(text, "\nRequests: {counted}");
    }
    if told.calls > 0 {
        let _ = writeln!(text, "`graphkeeper history calls {}` lists {} of them", told.run.id, told.calls);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::run::PlanId;
    use crate::history::testing::{Place, at};

    #[tokio::test]
    async fn a_run_is_shown_from_its_reading_to_its_writes() {
        let place = Place::new().await;
        let history = &place.history;
        let id = crate::cli::samples::managers_run(history, "aaaa0001", 0).await;
        let changes = history.changes_of_run(&id).await.unwrap();
        let run = history.run(&id).await.unwrap().unwrap();
        let told = Told {
            run,
            changes,
            more_changes: 0,
            plans: vec![PlanId::stored("paaaa1111")],
            calls: 0,
            gauge: None,
            events: Vec::new(),
        };
        let page = page(&told, &TimeZone::UTC, at(3600), None);
        insta::assert_snapshot!(page.text, @r"
        Run aaaa0001 of managers: partial
          2 of 3 changes written; 2 people unresolved
          hint: grant the permission

          began  2026-09-21 14:13:20 UTC (60 minutes ago), took 42 s
          why    schedule, by daemon
          where  host, process 7, configuration 0123456789ab

        Read
          12 people, 11 with a manager reference, 12 in scope; 14 accounts

        Changes
          Stage      Set  Change  Clear
          planned    1    1       1
          held       0    0       0
          accepted   1    1       0
          confirmed  1    0       0

        People by reason
          Reason      People  Meaning                                        What to do
          agreed      7       the manager in Entra is the one Okta gives
          planned     3       the manager in Entra is to be written
          no_account  2       no account in Entra corresponds to the person  create the account, or add a `correlate` rule that finds it

        Written
          Person               Kind    Old manager              New manager              State      Answer
          person1@example.com  set     (none)                   person9@contoso.example  confirmed
          person2@example.com  change  person8@contoso.example  person9@contoso.example  accepted
          person3@example.com  clear   person8@contoso.example  (none)                   refused    Authorization_RequestDenied: Insufficient privileges (request-id r-3)

        Plan paaaa1111: `graphkeeper history show paaaa1111`

        Requests: graph 9, okta 2
        ");
        assert_eq!(page.json["reasons"][0]["reason"], "agreed");
        assert_eq!(page.json["changes"].as_array().unwrap().len(), 3);
        assert_eq!(page.json["plans"], json!(["paaaa1111"]));
        assert_eq!(page.json["tally"]["calls"]["graph"], 9);
    }
}
