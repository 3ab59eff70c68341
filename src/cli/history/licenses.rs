//! `history licenses`: the tenant's licenses as they were counted, and what changed between two readings.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::desk::Desk;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::page::Page;
use crate::cli::render::{Cell, Table, local, relative};
use crate::cli::when::When;
use crate::history::licenses::{LicenseSnapshot, SkuRow};

/// Prints one reading: the newest, or that which was the newest `at` a moment.
///
/// JSON: a list of `{time, run, sku, part_number, name, status, bought, assigned, free, warning, suspended, locked_out,
/// next_lifecycle, trial}`. `free` counts seats in their grace period too and is negative when more are assigned.
pub(super) async fn list(desk: &Desk, at: Option<&When>) -> Result<(), Failure> {
    let at = at.map(|when| when.at(desk.zone(), desk.now));
    let snapshot = match (&desk.history, at) {
        (None, _) => None,
        (Some(history), None) => history.latest_licenses().await?,
        (Some(history), Some(at)) => history.licenses_at(at).await?,
    };
    let rows = table(snapshot.as_ref(), desk.zone(), desk.now);
    let mut text = String::new();
    if let Some(snapshot) = &snapshot {
        let ago = relative(snapshot.at, desk.now);
        text = format!("Read {} ({ago}) by run {}\n\n", local(snapshot.at, desk.zone()), snapshot.run);
    }
    text.push_str(&rows.to_text(desk.width));
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
        ("free", "Free"),
        ("warning", ""),
        ("suspended", ""),
        ("locked_out", ""),
        ("next_lifecycle", "Until"),
        ("trial", ""),
    ];
    let empty = if snapshot.is_some() { "the tenant has no licenses" } else { "the licenses were not read yet" };
    let mut table = Table::new(&columns, empty);
    for (snapshot, sku) in snapshot.iter().flat_map(|snapshot| snapshot.skus.iter().map(move |sku| (snapshot, sku))) {
        let count = |count: u64| Cell::new(count, count.to_string());
        let until = |until| {
            let shown = format!("{} ({})", local(until, zone), relative(until, now));
            Cell::new(until.to_string(), shown)
        };
        let mut subscriptions = snapshot.subscriptions.iter().filter(|one| one.sku.eq_ignore_ascii_case(&sku.sku));
        let trial = subscriptions.any(|one| one.trial);
        table.push(vec![
            Cell::moment(snapshot.at, zone),
            Cell::text(snapshot.run.as_str()),
            Cell::text(&sku.sku),
            Cell::text(&sku.part_number),
            Cell::text(&sku.name),
            Cell::text(&sku.status),
            count(sku.bought),
            count(sku.assigned),
            Cell::number(sku.free()),
            count(sku.warning),
            count(sku.suspended),
            count(sku.locked_out),
            Cell::optional(next_lifecycle(snapshot, sku), until),
            Cell::new(trial, trial.to_string()),
        ]);
    }
    table
}

/// When the first subscription of a product leaves its present status.
fn next_lifecycle(snapshot: &LicenseSnapshot, sku: &SkuRow) -> Option<Timestamp> {
    let of_sku = snapshot.subscriptions.iter().filter(|one| one.sku.eq_ignore_ascii_case(&sku.sku));
    of_sku.filter_map(|one| one.next_lifecycle).min()
}

/// Prints what differs between the readings of two moments.
///
/// JSON: a list of `{sku, part_number, name, change, field, before, after}`. `change` is `appeared`, `disappeared` or
/// `changed`; `field` names what changed and is null for the other two.
pub(super) async fn differences(desk: &Desk, before: &When, after: &When) -> Result<(), Failure> {
    let before = reading(desk, before).await?;
    let after = reading(desk, after).await?;
    let rows = differing(&before, &after, desk.zone());
    let span = |snapshot: &LicenseSnapshot| format!("{} (run {})", local(snapshot.at, desk.zone()), snapshot.run);
    let text = format!("From {} to {}\n\n{}", span(&before), span(&after), rows.to_text(desk.width));
    Ok(Page { text, json: rows.to_json(), rows }.print(desk.format)?)
}

async fn reading(desk: &Desk, when: &When) -> Result<LicenseSnapshot, Failure> {
    let at = when.at(desk.zone(), desk.now);
    desk.history()?.licenses_at(at).await?.ok_or_else(|| {
        let message = format!("the licenses were not read at or before {}", local(at, desk.zone()));
        let hint = "name a later moment; `graphkeeper history` shows when the job of the kind `licenses` ran";
        Failure::new(exit::FAILED, message, Some(hint.to_owned()))
    })
}

fn differing(before: &LicenseSnapshot, after: &LicenseSnapshot, zone: &TimeZone) -> Table {
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
    let all: BTreeSet<&str> = before.skus.iter().chain(&after.skus).map(|sku| sku.sku.as_str()).collect();
    for id in all {
        let find = |snapshot: &'_ LicenseSnapshot| snapshot.skus.iter().position(|sku| sku.sku == id);
        let old = find(before).map(|place| &before.skus[place]);
        let new = find(after).map(|place| &after.skus[place]);
        let Some(named) = new.or(old) else { continue };
        let mut push = |change: &str, field: Cell, from: Cell, to: Cell| {
            let name = [&named.sku, &named.part_number, &named.name].map(Cell::text);
            table.push(name.into_iter().chain([Cell::text(change), field, from, to]).collect());
        };
        match (old, new) {
            (Some(old), Some(new)) => {
                let was = fields(before, old, zone);
                for ((field, from), (_, to)) in was.into_iter().zip(fields(after, new, zone)) {
                    if from != to {
                        push("changed", Cell::text(field), from, to);
                    }
                }
            }
            (None, _) => push("appeared", Cell::none(), Cell::none(), Cell::none()),
            (_, None) => push("disappeared", Cell::none(), Cell::none(), Cell::none()),
        }
    }
    table
}

/// What is compared of a product.
fn fields(snapshot: &LicenseSnapshot, sku: &SkuRow, zone: &TimeZone) -> Vec<(&'static str, Cell)> {
    let count = |count: u64| Cell::new(count, count.to_string());
    vec![
        ("status", Cell::text(&sku.status)),
        ("bought", count(sku.bought)),
        ("assigned", count(sku.assigned)),
        ("free", Cell::number(sku.free())),
        ("warning", count(sku.warning)),
        ("suspended", count(sku.suspended)),
        ("locked_out", count(sku.locked_out)),
        ("next_lifecycle", Cell::optional(next_lifecycle(snapshot, sku), |until| Cell::moment(until, zone))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::domain::run::RunId;
    use crate::history::licenses::SubscriptionRow;
    use crate::history::testing::at;

    fn sku(name: &str, assigned: u64) -> SkuRow {
        SkuRow {
            sku: format!("id-{name}"),
            part_number: name.to_owned(),
            name: name.to_owned(),
            status: "Enabled".to_owned(),
            bought: 25,
            assigned,
            warning: 0,
            suspended: 0,
            locked_out: 0,
            plans: serde_json::json!([]),
        }
    }

    fn snapshot(run: &str, until: i64, skus: Vec<SkuRow>) -> LicenseSnapshot {
        let subscription = SubscriptionRow {
            id: "s-1".to_owned(),
            sku: "id-E5".to_owned(),
            part_number: "E5".to_owned(),
            status: "Enabled".to_owned(),
            licenses: 25,
            trial: true,
            created_at: None,
            next_lifecycle: Some(at(until)),
        };
        LicenseSnapshot { run: RunId::stored(run), at: at(0), skus, subscriptions: vec![subscription] }
    }

    #[test]
    fn licenses_tell_free_seats_and_how_long_they_last() {
        let read = snapshot("aaaa0001", 864_000, vec![sku("E5", 27)]);
        let table = table(Some(&read), &TimeZone::UTC, at(0));
        insta::assert_snapshot!(samples::written(&table, OutputFormat::Table), @r"
        Product  Status   Bought  Assigned  Free  Until
        E5       Enabled  25      27        -2    2026-10-01 14:13:20 UTC (in 10 days)
        ");
        let json = table.to_json();
        assert_eq!((&json[0]["free"], &json[0]["trial"]), (&(-2).into(), &true.into()));
        assert_eq!(json[0]["next_lifecycle"], at(864_000).to_string());
    }

    #[test]
    fn two_readings_differ_by_product_and_field() {
        let before = snapshot("aaaa0001", 100, vec![sku("E3", 1), sku("E5", 18)]);
        let after = snapshot("bbbb0002", 900, vec![sku("E5", 19), sku("F1", 0)]);
        let table = differing(&before, &after, &TimeZone::UTC);
        insta::assert_snapshot!(samples::written(&table, OutputFormat::Table), @r"
        Product  Change       What            Before                   After
        E3       disappeared
        E5       changed      assigned        18                       19
        E5       changed      free            7                        6
        E5       changed      next_lifecycle  2026-09-21 14:15:00 UTC  2026-09-21 14:28:20 UTC
        F1       appeared
        ");
        assert!(differing(&after, &after, &TimeZone::UTC).is_empty());
    }
}
