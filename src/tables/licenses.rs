//! Licenses: as they were counted, what differs between two readings, and how the counts went.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::history::licenses::{CountsSince, LicenseSnapshot, SkuRow};
use crate::jobs::licenses::differences::{Difference, Field, Value, What};
use crate::jobs::licenses::events::over_used_by;
use crate::tables::table::{Cell, Table};
use crate::tables::words::{local, relative};

/// One reading, a product a row.
///
/// JSON: a list of `{time, run, sku, part_number, name, status, bought, assigned, free, warning, suspended, locked_out,
/// next_lifecycle, trial, applies_to, over_used_by, plans}`. `free` counts seats in their grace period too and is negative
/// when more are assigned; `over_used_by` is 0 where a product is suspended; `trial` is null where Microsoft does not tell;
/// `plans` is a list of `{id, name, status}`.
#[must_use]
pub fn table(snapshot: Option<&LicenseSnapshot>, zone: &TimeZone, now: Timestamp) -> Table {
    let columns = [
        ("time", ""),
        ("run", ""),
        ("sku", ""),
        ("part_number", ""),
        ("name", "Product"),
        ("status", "Status"),
        ("bought", "Bought"),
        ("assigned", "Assigned"),
        ("free", "Free (estimate)"),
        ("warning", "In grace"),
        ("suspended", "Suspended"),
        ("locked_out", "Locked out"),
        ("next_lifecycle", "Until"),
        ("trial", ""),
        ("applies_to", ""),
        ("over_used_by", ""),
        ("plans", ""),
    ];
    let empty = if snapshot.is_some() { "the tenant has no licenses" } else { "the licenses were not read yet" };
    let mut table = Table::new(&columns, empty);
    for (snapshot, sku) in snapshot.iter().flat_map(|snapshot| snapshot.skus.iter().map(move |sku| (snapshot, sku))) {
        table.push(row(snapshot, sku, zone, now));
    }
    table
}

fn row(snapshot: &LicenseSnapshot, sku: &SkuRow, zone: &TimeZone, now: Timestamp) -> Vec<Cell> {
    let count = |count: u64| Cell::new(count, count.to_string());
    let until = |until| {
        let shown = format!("{} ({})", local(until, zone), relative(until, now));
        Cell::new(until.to_string(), shown)
    };
    let trial = snapshot.trial(&sku.sku);
    let kind = if trial == Some(true) { " (trial)" } else { "" };
    let over = over_used_by(sku);
    vec![
        Cell::moment(snapshot.at, zone),
        Cell::text(snapshot.run.as_str()),
        Cell::text(&sku.sku),
        Cell::text(&sku.part_number),
        Cell::text(&sku.name),
        Cell::new(sku.status.clone(), format!("{}{kind}", sku.status)),
        count(sku.bought),
        count(sku.assigned),
        Cell::new(sku.free(), if over > 0 { format!("over-used by {over}") } else { sku.free().to_string() }),
        count(sku.warning),
        count(sku.suspended),
        count(sku.locked_out),
        Cell::optional(snapshot.next_lifecycle(&sku.sku), until),
        Cell::optional(trial, |trial| Cell::new(trial, trial.to_string())),
        Cell::text(&sku.applies_to),
        count(over),
        Cell::new(json!(sku.plans), String::new()),
    ]
}

/// What differs between two readings, a difference a row.
///
/// JSON: a list of `{sku, part_number, name, change, field, before, after}`. `change` is `appeared`, `disappeared` or
/// `changed`; `field` names what changed (a service plan as `plan NAME`) and is null for the other two.
#[must_use]
pub fn differences(found: &[Difference], zone: &TimeZone) -> Table {
    let columns = [
        ("sku", ""),
        ("part_number", ""),
        ("name", "Product"),
        ("change", "Change"),
        ("field", "What"),
        ("before", "Before"),
        ("after", "After"),
    ];
    let mut table = Table::new(&columns, "nothing changed");
    let value = |value: &Option<Value>| {
        Cell::optional(value.as_ref(), |value| match value {
            Value::Count(count) => Cell::number(*count),
            Value::Word(word) => Cell::text(word),
            Value::Date(date) => Cell::moment(*date, zone),
            Value::Truth(truth) => Cell::new(*truth, truth.to_string()),
        })
    };
    for Difference { sku, part_number, name, what } in found {
        let (change, field, from, to) = match what {
            What::Appeared => ("appeared", Cell::none(), Cell::none(), Cell::none()),
            What::Disappeared => ("disappeared", Cell::none(), Cell::none(), Cell::none()),
            What::Changed { field: Field::Plan, plan: Some(plan), from, to } => {
                ("changed", Cell::text(format!("plan {plan}")), value(from), value(to))
            }
            What::Changed { field, from, to, .. } => ("changed", Cell::text(field.as_str()), value(from), value(to)),
        };
        let named = [sku, part_number, name].map(Cell::text);
        table.push(named.into_iter().chain([Cell::text(change), field, from, to]).collect());
    }
    table
}

/// How the counts went, a row for as long as a product's counts were the same.
///
/// JSON: a list of `{sku, part_number, name, since, until, bought, assigned, free}`: the counts of a product as long as they
/// were the same. `until` is null while they are.
#[must_use]
pub fn counts(counts: &[CountsSince]) -> Table {
    let columns = [
        ("sku", ""),
        ("part_number", ""),
        ("name", "Product"),
        ("since", ""),
        ("until", ""),
        ("bought", "Bought"),
        ("assigned", "Assigned"),
        ("free", "Free"),
    ];
    let mut table = Table::new(&columns, "no licenses were read in that time");
    for one in counts {
        table.push(vec![
            Cell::text(&one.sku),
            Cell::text(&one.part_number),
            Cell::text(&one.name),
            Cell::text(one.since.to_string()),
            Cell::optional(one.until, |until| Cell::text(until.to_string())),
            Cell::number(one.bought),
            Cell::number(one.assigned),
            Cell::number(one.free),
        ]);
    }
    table
}
