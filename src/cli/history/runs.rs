//! `history`: runs, newest first.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::args;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::domain::decision::{Kinds, Tally};
use crate::domain::run::Outcome;
use crate::history::runs::{Run, RunFilter};
use crate::tables::table::{Cell, Table};
use crate::tables::words::duration;

/// Prints the runs that fit.
///
/// JSON: a list of `{run, job, kind, trigger, caller, started, ended, seconds, outcome, reason, planned, held, accepted,
/// confirmed, unresolved, message, hint}`. `outcome` is `running` while a run lasts, and `ended` and `seconds` are null
/// then; counts are null for jobs that do not count them.
pub(super) async fn list(desk: &Desk, arguments: &args::History) -> Result<(), Failure> {
    let runs = match &desk.history {
        None => Vec::new(),
        Some(history) => {
            let user = match &arguments.user {
                Some(name) => Some(desk.person(name).await?),
                None => None,
            };
            let range = &arguments.range;
            let at = |when: &crate::cli::when::When| when.at(desk.zone(), desk.now);
            let filter = RunFilter {
                job: range.job.clone(),
                outcome: arguments.outcome,
                since: range.since.as_ref().map(at),
                until: range.until.as_ref().map(at),
                user,
                limit: Some(range.limit),
            };
            history.list_runs(&filter).await?
        }
    };
    Ok(render::print(&table(&runs, desk.zone()), desk.format)?)
}

/// The runs as rows.
fn table(runs: &[Run], zone: &TimeZone) -> Table {
    let columns = [
        ("run", "Run"),
        ("job", "Job"),
        ("kind", ""),
        ("trigger", "Why"),
        ("caller", ""),
        ("started", "Began"),
        ("ended", ""),
        ("seconds", "Took"),
        ("outcome", "Outcome"),
        ("reason", ""),
        ("planned", ""),
        ("held", ""),
        ("accepted", "Written"),
        ("confirmed", ""),
        ("unresolved", "Unresolved"),
        ("message", "Message"),
        ("hint", ""),
    ];
    let mut table = Table::new(&columns, "no runs");
    for run in runs {
        table.push(row(run, zone));
    }
    table
}

fn row(run: &Run, zone: &TimeZone) -> Vec<Cell> {
    let tally = run.managers_tally();
    let count = |kinds: fn(&Tally) -> &Kinds| Cell::optional(tally.as_ref(), |tally| number(kinds(tally).total()));
    let text = |text: &Option<String>| Cell::optional(text.clone(), Cell::text);
    vec![
        Cell::text(run.id.as_str()),
        Cell::text(&run.job),
        Cell::text(run.kind.as_str()),
        Cell::text(run.trigger.as_str()),
        Cell::text(&run.caller),
        Cell::moment(run.started_at, zone),
        Cell::optional(run.ended_at, |ended| Cell::moment(ended, zone)),
        Cell::optional(run.ended_at, |ended| seconds(run.started_at, ended)),
        Cell::text(outcome(run)),
        text(&run.reason),
        count(|tally| &tally.planned),
        count(|tally| &tally.held),
        count(|tally| &tally.accepted),
        count(|tally| &tally.confirmed),
        Cell::optional(run.unresolved, number),
        text(&run.message),
        text(&run.hint),
    ]
}

/// The word for how a run ended, or that it has not.
pub(in crate::cli) fn outcome(run: &Run) -> &'static str {
    run.outcome.map_or("running", Outcome::as_str)
}

/// Counts stay far below what JSON holds.
fn number(count: u64) -> Cell {
    Cell::new(count, count.to_string())
}

fn seconds(from: Timestamp, to: Timestamp) -> Cell {
    let took = to.duration_since(from).unsigned_abs();
    Cell::new(took.as_secs_f64(), duration(took))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::domain::run::Trigger;
    use crate::history::testing::{Place, a_run, at};

    #[tokio::test]
    async fn runs_are_listed_with_what_was_written_and_what_still_lasts() {
        let place = Place::new().await;
        samples::managers_run(&place.history, "aaaa0001", 0).await;
        place.history.open_run(&a_run("bbbb0002", Trigger::Manual, 600)).await.unwrap();
        let runs = place.history.list_runs(&RunFilter::default()).await.unwrap();
        let oslo = TimeZone::get("Europe/Oslo").unwrap();
        insta::assert_snapshot!(samples::written(&table(&runs, &oslo), OutputFormat::Table), @r"
        Run       Job       Why       Began                     Took  Outcome  Written  Unresolved  Message
        bbbb0002  managers  manual    2026-09-21 16:23:20 CEST        running
        aaaa0001  managers  schedule  2026-09-21 16:13:20 CEST  42 s  partial  2        2           2 of 3 changes written; 2 people unresolved
        ");
        let json = table(&runs, &oslo).to_json();
        assert_eq!(json[0]["outcome"], "running");
        assert_eq!((&json[0]["ended"], &json[0]["accepted"]), (&serde_json::Value::Null, &serde_json::Value::Null));
        assert_eq!(json[1]["started"], at(0).to_string());
        assert_eq!(
            (&json[1]["planned"], &json[1]["accepted"], &json[1]["seconds"]),
            (&3.into(), &2.into(), &42.0.into())
        );
    }

    #[test]
    fn before_anything_ran_the_list_is_empty() {
        assert_eq!(samples::written(&table(&[], &TimeZone::UTC), OutputFormat::Table), "no runs\n");
        assert_eq!(samples::written(&table(&[], &TimeZone::UTC), OutputFormat::Json), "[]\n");
    }
}
