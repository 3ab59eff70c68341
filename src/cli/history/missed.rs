//! `history missed`: scheduled moments at which a job did not run, and why.

use crate::cli::args::Range;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::history::moments::MomentFilter;
use crate::tables::missed::table;
use crate::tables::when::When;

/// Prints the missed moments, newest first.
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

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::domain::moment::{Disposition, Moment};
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
