//! A stored plan: what it would write, and whether it still waits.

use serde_json::{Value, json};

use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::plans::{Differs, PlanSummary, PlannedChange};
use crate::tables::table::{Cell, Table};
use crate::tables::words::manager;

/// All that is told of a plan.
#[derive(Debug)]
pub struct Told {
    pub summary: PlanSummary,
    pub changes: Vec<PlannedChange>,
    /// How many changes there are beside these.
    pub more_changes: u64,
    /// Against the plan that superseded it.
    pub differs: Option<Differs>,
}

impl Told {
    /// Reads what is told of a plan, its changes up to a `limit`.
    pub async fn read(history: &History, summary: PlanSummary, limit: Option<u32>) -> Result<Self, HistoryError> {
        let differs = match &summary.superseded_by {
            Some(other) => Some(history.count_differences(&summary.id, other).await?),
            None => None,
        };
        let changes = history.some_changes_of_plan(&summary.id, 0, limit.unwrap_or(u32::MAX)).await?;
        let more_changes = summary.changes.saturating_sub(changes.len() as u64);
        Ok(Self { summary, changes, more_changes, differs })
    }
}

/// Whether it waits, in a word.
fn state(plan: &PlanSummary) -> &'static str {
    match (&plan.approval, &plan.superseded_by) {
        (Some(_), _) => "approved",
        (None, Some(_)) => "superseded",
        (None, None) => "open",
    }
}

/// A stored plan, `rows` being its changes.
///
/// JSON: `{plan, job, run, state, origin, created, seen, policy_fingerprint, superseded_by, differs, approved, count, held,
/// changes, more_changes}`. `state` is `open`, `superseded` or `approved`; `approved` is `{run, by, at}`; `differs` is `{only_here,
/// only_there}` in counts against the plan that superseded this one; each of `changes` is `{person, login, account, upn, kind,
/// old_manager, old_manager_name, new_manager, new_manager_name, held}`.
#[must_use]
pub fn object(told: &Told, rows: &Table) -> Value {
    let mut object = summary(&told.summary);
    object["differs"] = json!(told.differs);
    object["changes"] = rows.to_json();
    object["more_changes"] = told.more_changes.into();
    object
}

/// A stored plan in a list.
///
/// JSON: what [`object`] makes, without `differs`, `changes` and `more_changes`.
#[must_use]
pub fn summary(summary: &PlanSummary) -> Value {
    let approved = summary.approval.as_ref();
    json!({
        "plan": summary.id,
        "job": summary.job,
        "run": summary.run,
        "state": state(summary),
        "origin": summary.origin,
        "created": summary.created_at.to_string(),
        "seen": summary.seen_at.to_string(),
        "policy_fingerprint": summary.policy_fingerprint,
        "superseded_by": summary.superseded_by,
        "approved": approved.map(|one| json!({ "run": one.run, "by": one.by, "at": one.at.to_string() })),
        "count": summary.changes,
        "held": summary.held,
    })
}

/// What a plan would write, a change a row.
#[must_use]
pub fn changes(planned: &[PlannedChange]) -> Table {
    let columns = [
        ("person", ""),
        ("login", "Person"),
        ("account", ""),
        ("upn", ""),
        ("kind", "Kind"),
        ("old_manager", ""),
        ("old_manager_name", "Old manager"),
        ("new_manager", ""),
        ("new_manager_name", "New manager"),
        ("held", "Held"),
    ];
    let mut table = Table::new(&columns, "no changes");
    for change in planned {
        table.push(vec![
            Cell::text(change.person.as_str()),
            Cell::text(&change.login),
            Cell::text(change.account.to_string()),
            Cell::text(&change.upn),
            Cell::text(change.kind.as_str()),
            Cell::optional(change.from, |id| Cell::text(id.to_string())),
            Cell::new(change.from_label.clone(), manager(&change.from_label, change.from)),
            Cell::optional(change.to, |id| Cell::text(id.to_string())),
            Cell::new(change.to_label.clone(), manager(&change.to_label, change.to)),
            Cell::new(change.held, if change.held { "held" } else { "" }),
        ]);
    }
    table
}
