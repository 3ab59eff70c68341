//! `history licenses`: the tenant's licenses as they were counted, and what changed between two readings.

mod events;

use jiff::{Span, Timestamp};

use crate::cli::args::{LicensesArgs, Reading};
use crate::cli::chart::{self, Glyphs};
use crate::cli::desk::Desk;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::page::Page;
use crate::cli::render;
use crate::history::History;
use crate::history::licenses::LicenseSnapshot;
use crate::jobs::licenses::differences::differences;
use crate::tables::licenses;
use crate::tables::when::When;
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
async fn list(desk: &Desk, at: Option<&Reading>) -> Result<(), Failure> {
    let snapshot = match (&desk.history, at) {
        (None, _) => None,
        (Some(history), None) => history.latest_licenses().await?,
        (Some(history), Some(Reading::At(when))) => history.licenses_at(when.at(desk.zone(), desk.now)).await?,
        (Some(_), Some(reading)) => Some(read(desk, reading).await?),
    };
    let rows = licenses::table(snapshot.as_ref(), desk.zone(), desk.now);
    let mut text = String::new();
    if let Some(snapshot) = &snapshot {
        let ago = relative(snapshot.at, desk.now);
        text = format!("Read {} ({ago}) by run {}\n\n", local(snapshot.at, desk.zone()), snapshot.run);
    }
    text.push_str(&render::to_text(&rows, desk.width));
    Ok(Page { text, json: rows.to_json(), rows }.print(desk.format)?)
}

/// Prints what differs between two readings.
async fn differing(desk: &Desk, before: &Reading, after: &Reading) -> Result<(), Failure> {
    let before = read(desk, before).await?;
    let after = read(desk, after).await?;
    let rows = licenses::differences(&differences(&before, &after), desk.zone());
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

/// Draws how the counts went, of the last 90 days or since the first reading, whichever is less.
async fn over_time(desk: &Desk, asked: &LicensesArgs, glyphs: Glyphs) -> Result<(), Failure> {
    let at = |when: &When| when.at(desk.zone(), desk.now);
    let usual = desk.now.to_zoned(desk.zone().clone()).checked_sub(Span::new().days(90));
    let since = asked.since.as_ref().map_or_else(|| usual.map_or(Timestamp::MIN, |moment| moment.timestamp()), at);
    let until = asked.until.as_ref().map_or(desk.now, at);
    let (counts, readings) = match &desk.history {
        None => (Vec::new(), None),
        Some(history) => (history.license_counts(since, until, None).await?, history.license_readings().await?),
    };
    let rows = licenses::counts(&counts);
    let text = match readings {
        Some((first, _)) if !counts.is_empty() => {
            chart::draw(&counts, (since.max(first).min(until), until), desk.width, glyphs)
        }
        _ => render::to_text(&rows, desk.width),
    };
    Ok(Page { text, json: rows.to_json(), rows }.print(desk.format)?)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::domain::run::RunId;
    use crate::history::licenses::SkuRow;
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
        let table = licenses::table(Some(&read), &TimeZone::UTC, at(0));
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
        let table = licenses::differences(&differences(&before, &after), &TimeZone::UTC);
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
