//! `history`: runs, newest first.

use crate::cli::args;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::history::runs::RunFilter;
use crate::tables::runs::table;

/// Prints the runs that fit.
pub(super) async fn list(desk: &Desk, arguments: &args::History) -> Result<(), Failure> {
    let runs = match &desk.history {
        None => Vec::new(),
        Some(history) => {
            let user = match &arguments.user {
                Some(name) => Some(desk.person(name).await?),
                None => None,
            };
            let range = &arguments.range;
            let at = |when: &crate::tables::when::When| when.at(desk.zone(), desk.now);
            let filter = RunFilter {
                job: range.job.clone(),
                outcome: arguments.outcome,
                since: range.since.as_ref().map(at),
                until: range.until.as_ref().map(at),
                user,
                before: None,
                limit: Some(range.limit),
            };
            history.list_runs(&filter).await?
        }
    };
    Ok(render::print(&table(&runs, desk.zone()), desk.format)?)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

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
