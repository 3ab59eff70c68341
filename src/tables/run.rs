//! One run: what it counted, why people were left alone, what it wrote, and what it came to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::decision::{Kinds, Reason, Tally};
use crate::domain::event::Event;
use crate::domain::gauge::Gauge;
use crate::domain::run::{PlanId, RunId};
use crate::history::History;
use crate::history::changes::Change;
use crate::history::error::HistoryError;
use crate::history::runs::Run;
use crate::reconcile::meaning::{meaning, remedy};
use crate::tables::runs::outcome;
use crate::tables::table::{Cell, Table};

/// All that is told of a run.
#[derive(Debug)]
pub struct Told {
    pub run: Run,
    pub changes: Vec<Change>,
    /// How many changes there are beside these.
    pub more_changes: u64,
    /// Plans that it was the first to come to.
    pub plans: Vec<PlanId>,
    /// How many single calls are kept.
    pub calls: u64,
    /// What it found of the subscription that it watches.
    pub gauge: Option<Gauge>,
    /// What it noticed of licenses and subscriptions.
    pub events: Vec<Event>,
}

/// Reads what is told of a run, its changes up to a `limit`; none when there is no such run.
pub async fn read(history: &History, id: &RunId, limit: Option<u32>) -> Result<Option<Told>, HistoryError> {
    let Some(run) = history.run(id).await? else { return Ok(None) };
    let changes = match limit {
        Some(limit) => history.some_changes_of_run(id, 0, limit).await?,
        None => history.changes_of_run(id).await?,
    };
    let all = history.count_changes_of_run(id).await?;
    Ok(Some(Told {
        run,
        more_changes: all.saturating_sub(changes.len() as u64),
        changes,
        plans: history.plans_of_run(id).await?,
        calls: history.count_calls_of_run(id).await?,
        gauge: history.gauge_of_run(id).await?,
        events: history.events_of_run(id).await?,
    }))
}

/// Counts by kind of change, a row for each stage.
#[must_use]
pub fn kinds(tally: &Tally) -> Table {
    let mut table = Table::new(&[("stage", "Stage"), ("set", "Set"), ("change", "Change"), ("clear", "Clear")], "");
    let stages: [(&str, &Kinds); 4] = [
        ("planned", &tally.planned),
        ("held", &tally.held),
        ("accepted", &tally.accepted),
        ("confirmed", &tally.confirmed),
    ];
    for (stage, kinds) in stages {
        let counts = [kinds.set, kinds.change, kinds.clear].map(|count| Cell::new(count, count.to_string()));
        table.push([Cell::text(stage)].into_iter().chain(counts).collect());
    }
    table
}

/// People by reason, the most frequent first.
#[must_use]
pub fn reasons(tally: Option<&Tally>) -> Table {
    let columns = [("reason", "Reason"), ("people", "People"), ("meaning", "Meaning"), ("remedy", "What to do")];
    let mut table = Table::new(&columns, "");
    let empty = BTreeMap::new();
    let mut counted: Vec<(&Reason, &u64)> = tally.map_or(&empty, |tally| &tally.reasons).iter().collect();
    counted.sort_by_key(|(_, people)| std::cmp::Reverse(**people));
    for (reason, people) in counted {
        table.push(vec![
            Cell::text(reason.as_str()),
            Cell::new(*people, people.to_string()),
            Cell::text(meaning(*reason)),
            Cell::optional(remedy(*reason), Cell::text),
        ]);
    }
    table
}

/// A run, with its `reasons` and `changes` as tables.
///
/// JSON: `{run, job, kind, trigger, caller, started, ended, outcome, reason, message, hint, unresolved, pid, host,
/// config_fingerprint, tally, reasons, changes, more_changes, plans, calls, gauge, events}`. `tally` is what the kind of job counted; `reasons` is a
/// list of `{reason, people, meaning, remedy}`; `changes` is as of `history changes`, with so many `more_changes` left out; `plans` are ids; `calls` is how many
/// `history calls` lists; `gauge` is null or as of `jobs`, but as the run found it; `events` is a list of `{kind, severity,
/// key, subject, title, lines}`.
#[must_use]
pub fn object(told: &Told, reasons: &Table, changes: &Table) -> Value {
    let run = &told.run;
    json!({
        "run": run.id,
        "job": run.job,
        "kind": run.kind,
        "trigger": run.trigger,
        "caller": run.caller,
        "started": run.started_at.to_string(),
        "ended": run.ended_at.map(|ended| ended.to_string()),
        "outcome": outcome(run),
        "reason": run.reason,
        "message": run.message,
        "hint": run.hint,
        "unresolved": run.unresolved,
        "pid": run.pid,
        "host": run.host,
        "config_fingerprint": run.config_fingerprint,
        "tally": run.tally,
        "reasons": reasons.to_json(),
        "changes": changes.to_json(),
        "more_changes": told.more_changes,
        "plans": told.plans,
        "calls": told.calls,
        "gauge": told.gauge,
        "events": told.events,
    })
}
