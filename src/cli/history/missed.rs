//! `history missed`: scheduled moments at which a job did not run, and why.

use jiff::tz::TimeZone;

use crate::cli::args::Range;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::cli::when::When;
use crate::domain::moment::{Disposition, Moment};
use crate::history::moments::MomentFilter;
use crate::tables::table::{Cell, Table};

/// Prints the missed moments, newest first.
///
/// JSON: a list with the names of the view `missed_run`: `{job, planned, disposition, reason, covered_by}`.
pub(super) async fn list(desk: &Desk, range: &Range) -> Result<(), Failure> {
    let at = |when: &When| when.at(desk.zone(), desk.now);
    let filter = MomentFilter {
        job: range.job.clone(),
        since: range.since.as_ref().map(at),
        until: range.until.as_ref().map(at),
        missed_only: true,
        limit: Some(range.limit),
    };
    let moments = match &desk.history {
        None => Vec::new(),
        Some(history) => history.list_moments(&filter).await?,
    };
    Ok(render::print(&table(&moments, desk.zone()), desk.format)?)
}

fn table(moments: &[Moment], zone: &TimeZone) -> Table {
    let columns = [
        ("job", "Job"),
        ("planned", "Planned for"),
        ("disposition", "What became of it"),
        ("reason", "Why"),
        ("covered_by", "Covered by"),
    ];
    let mut table = Table::new(&columns, "no scheduled run was missed");
    for moment in moments {
        let why = moment.reason.clone().unwrap_or_else(|| meaning(moment.disposition).to_owned());
        table.push(vec![
            Cell::text(&moment.job),
            Cell::moment(moment.planned_at, zone),
            Cell::text(moment.disposition.as_str()),
            Cell::new(moment.reason.clone(), why),
            Cell::optional(moment.run.as_ref(), |run| Cell::text(run.as_str())),
        ]);
    }
    table
}

/// What a disposition means, where nothing more is known.
const fn meaning(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Ran => "it ran",
        Disposition::Late => "it ran late",
        Disposition::CaughtUp => "it ran afterwards",
        Disposition::Collapsed => "a later run covers it",
        Disposition::TooOld => "too long ago to be caught up",
        Disposition::Skipped => "the job is not caught up",
        Disposition::Overlap => "the run before was still going on",
        Disposition::TooSoon => "too close to the run before",
        Disposition::Paused => "the job was paused",
        Disposition::Down => "the service was not running",
        Disposition::Asleep => "the machine was asleep",
        Disposition::QueueFull => "the service was overrun with moments",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::domain::run::RunId;
    use crate::history::testing::{Place, at};

    #[tokio::test]
    async fn a_missed_moment_says_why_and_which_run_covers_it() {
        let place = Place::new().await;
        let rows = [
            (Disposition::Ran, None, None),
            (Disposition::Collapsed, Some("cccc0003"), None),
            (Disposition::Overlap, None, Some("run bbbb0002 lasted")),
        ];
        for (second, (disposition, run, reason)) in (0..).zip(rows) {
            let moment = Moment {
                job: "managers".to_owned(),
                planned_at: at(second),
                disposition,
                run: run.map(RunId::stored),
                reason: reason.map(str::to_owned),
            };
            place.history.record_moments(&[moment], at(9)).await.unwrap();
        }
        let filter = MomentFilter { missed_only: true, ..MomentFilter::default() };
        let table = table(&place.history.list_moments(&filter).await.unwrap(), &TimeZone::UTC);
        insta::assert_snapshot!(samples::written(&table, OutputFormat::Table), @r"
        Job       Planned for              What became of it  Why                    Covered by
        managers  2026-09-21 14:13:22 UTC  overlap            run bbbb0002 lasted
        managers  2026-09-21 14:13:21 UTC  collapsed          a later run covers it  cccc0003
        ");
        assert_eq!(table.to_json()[1]["reason"], serde_json::Value::Null);
    }
}
