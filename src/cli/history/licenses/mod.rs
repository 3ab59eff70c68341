//! `history licenses`: the tenant's licenses as they were counted, and what changed between two readings.

mod events;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::json;

use crate::cli::args::{LicensesArgs, Reading};
use crate::cli::chart::{self, Glyphs};
use crate::cli::desk::Desk;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::page::Page;
use crate::cli::render;
use crate::cli::when::When;
use crate::history::History;
use crate::history::licenses::{CountsSince, LicenseSnapshot, SkuRow};
use crate::jobs::licenses::differences::{Difference, Field, Value, What, differences};
use crate::jobs::licenses::events::over_used_by;
use crate::tables::table::{Cell, Table};
use crate::tables::words::{local, relative};

/// Answers what was asked for.
pub(super) async fn run(desk: &Desk, asked: &LicensesArgs) -> Result<(), Failure> {
    match (asked.diff.as_deref(), asked.chart) {
        _ if asked.events => events::list(desk, asked).await,
        (Some([before, after]), _) => differing(desk, before, after).await,
        (_, Some(glyphs)) => over_time(desk, asked, glyphs).await,
        _ => list(desk, asked.at.as_ref()).await,
    }
}

/// Prints one reading: the newest, that which was the newest `at` a moment, or that of a run.
///
/// JSON: a list of `{time, run, sku, part_number, name, status, bought, assigned, free, warning, suspended, locked_out,
/// next_lifecycle, trial, applies_to, over_used_by, plans}`. `free` counts seats in their grace period too and is negative
/// when more are assigned; `over_used_by` is 0 where a product is suspended; `trial` is null where Microsoft does not tell;
/// `plans` is a list of `{id, name, status}`.
async fn list(desk: &Desk, at: Option<&Reading>) -> Result<(), Failure> {
    let snapshot = match (&desk.history, at) {
        (None, _) => None,
        (Some(history), None) => history.latest_licenses().await?,
        (Some(history), Some(Reading::At(when))) => history.licenses_at(when.at(desk.zone(), desk.now)).await?,
        (Some(_), Some(reading)) => Some(read(desk, reading).await?),
    };
    let rows = table(snapshot.as_ref(), desk.zone(), desk.now);
    let mut text = String::new();
    if let Some(snapshot) = &snapshot {
        let ago = relative(snapshot.at, desk.now);
        text = format!("Read {} ({ago}) by run {}\n\n", local(snapshot.at, desk.zone()), snapshot.run);
    }
    text.push_str(&render::to_text(&rows, desk.width));
    Ok(Page { text, json: rows.to_json(), rows }.print(desk.format)?)
}

fn table(snapshot: Option<&LicenseSnapshot>, zone: &TimeZone, now: Timestamp) -> Table {
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

/// Prints what differs between two readings.
///
/// JSON: a list of `{sku, part_number, name, change, field, before, after}`. `change` is `appeared`, `disappeared` or
/// `changed`; `field` names what changed (a service plan as `plan NAME`) and is null for the other two.
async fn differing(desk: &Desk, before: &Reading, after: &Reading) -> Result<(), Failure> {
    let before = read(desk, before).await?;
    let after = read(desk, after).await?;
    let rows = difference_table(&differences(&before, &after), desk.zone());
    let span = |snapshot: &LicenseSnapshot| format!("{} (run {})", local(snapshot.at, desk.zone()), snapshot.run);
    let text = format!("From {} to {}\n\n{}", span(&before), span(&after), render::to_text(&rows, desk.width));
    Ok(Page { text, json: rows.to_json(), rows }.print(desk.format)?)
}

async fn read(desk: &Desk, reading: &Reading) -> Result<LicenseSnapshot, Failure> {
    let history = desk.history()?;
    match reading {
        Reading::At(when) => read_at(desk, history, when).await,
        Reading::Run(prefix) => {
            let run = desk.run(prefix).await?;
            history.licenses_of_run(&run).await?.ok_or_else(|| {
                let hint =
                    "`graphkeeper history` shows the runs; those of the kind `licenses` that succeeded read them";
                Failure::new(exit::FAILED, format!("run {run} read no licenses"), Some(hint.to_owned()))
            })
        }
    }
}

async fn read_at(desk: &Desk, history: &History, when: &When) -> Result<LicenseSnapshot, Failure> {
    let at = when.at(desk.zone(), desk.now);
    history.licenses_at(at).await?.ok_or_else(|| {
        let message = format!("the licenses were not read at or before {}", local(at, desk.zone()));
        let hint = "name a later moment; `graphkeeper history` shows when the job of the kind `licenses` ran";
        Failure::new(exit::FAILED, message, Some(hint.to_owned()))
    })
}

fn difference_table(found: &[Difference], zone: &TimeZone) -> Table {
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

/// Draws how the counts went, of the last 90 days or since the first reading, whichever is less.
///
/// JSON: a list of `{sku, part_number, name, since, until, bought, assigned, free}`: the counts of a product as long as they
/// were the same. `until` is null while they are.
async fn over_time(desk: &Desk, asked: &LicensesArgs, glyphs: Glyphs) -> Result<(), Failure> {
    let at = |when: &When| when.at(desk.zone(), desk.now);
    let usual = desk.now.to_zoned(desk.zone().clone()).checked_sub(Span::new().days(90));
    let since = asked.since.as_ref().map_or_else(|| usual.map_or(Timestamp::MIN, |moment| moment.timestamp()), at);
    let until = asked.until.as_ref().map_or(desk.now, at);
    let (counts, readings) = match &desk.history {
        None => (Vec::new(), None),
        Some(history) => (history.license_counts(since, until).await?, history.license_readings().await?),
    };
    let rows = counts_table(&counts);
    let text = match readings {
        Some((first, _)) if !counts.is_empty() => {
            chart::draw(&counts, (since.max(first).min(until), until), desk.width, glyphs)
        }
        _ => render::to_text(&rows, desk.width),
    };
    Ok(Page { text, json: rows.to_json(), rows }.print(desk.format)?)
}

fn counts_table(counts: &[CountsSince]) -> Table {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::domain::run::RunId;
    use crate::history::testing::{self, at, subscription};

    fn sku(name: &str, assigned: u64) -> SkuRow {
        SkuRow { assigned, ..testing::sku(name) }
    }

    fn snapshot(run: &str, until: i64, skus: Vec<SkuRow>) -> LicenseSnapshot {
        LicenseSnapshot { run: RunId::stored(run), at: at(0), skus, subscriptions: vec![subscription("E5", until)] }
    }

    #[test]
    fn licenses_tell_free_seats_and_how_long_they_last() {
        let read = snapshot("aaaa0001", 864_000, vec![sku("E5", 27)]);
        let table = table(Some(&read), &TimeZone::UTC, at(0));
        insta::assert_snapshot!(samples::written(&table, OutputFormat::Table), @r"
        Product  Status           Bought  Assigned  Free (estimate)  In grace  Suspended  Locked out  Until
        E5       Enabled (trial)  25      27        over-used by 2   0         0          0           2026-10-01 14:13:20 UTC (in 10 days)
        ");
        let json = table.to_json();
        assert_eq!((&json[0]["free"], &json[0]["trial"]), (&(-2).into(), &true.into()));
        assert_eq!(json[0]["next_lifecycle"], at(864_000).to_string());
    }

    #[test]
    fn two_readings_differ_by_product_and_field() {
        let before = snapshot("aaaa0001", 100, vec![sku("E3", 1), sku("E5", 18)]);
        let mut after = snapshot("bbbb0002", 900, vec![sku("E5", 19), sku("F1", 0)]);
        after.skus[0].plans[0].status = "Disabled".to_owned();
        let table = difference_table(&differences(&before, &after), &TimeZone::UTC);
        insta::assert_snapshot!(samples::written(&table, OutputFormat::Table), @r"
        Product  Change       What            Before                   After
        E3       disappeared
        E5       changed      assigned        18                       19
        E5       changed      free            7                        6
        E5       changed      next_lifecycle  2026-09-21 14:15:00 UTC  2026-09-21 14:28:20 UTC
        E5       changed      plan TEAMS1     Success                  Disabled
        F1       appeared
        ");
        assert!(differences(&after, &after).is_empty());
    }
}
