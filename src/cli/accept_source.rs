//! `accept-source`: makes the counts of a run the measure of later ones, when people really left.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app;
use crate::cli::args::{self, Global};
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::history::tally;
use crate::cli::page::Page;
use crate::cli::render::{self, Cell, Table};
use crate::cli::{caller, exit};
use crate::clock::SystemClock;
use crate::history::error::HistoryError;
use crate::history::runs::Run;

/// Accepts the counts of a run and prints them.
///
/// JSON: `{run, job, people, with_reference, in_scope, accounts, accepted_by, accepted_at}`.
pub(super) async fn run(global: &Global, arguments: &args::AcceptSource, now: Timestamp) -> Result<u8, Failure> {
    let desk = Desk::open(global, now).await?;
    let id = desk.run(&arguments.run).await?;
    let run = desk.history()?.run(&id).await?;
    let run = run.ok_or_else(|| Failure::new(exit::FAILED, format!("there is no run {id} in the history"), None))?;
    let by = caller::name();
    let history = app::open_history_to_write(&desk.settings, &SystemClock).await?;
    let accepted = history.accept_reading(&id, &by, now).await;
    history.close().await;
    accepted.map_err(|error| counted_nothing(&run, error))?;
    render::say(&format!("from now on {} is measured by what run {id} counted", run.job));
    page(&run, &by, now).print(desk.format)?;
    Ok(exit::SUCCEEDED)
}

/// A run that read nothing cannot be a measure.
fn counted_nothing(run: &Run, error: HistoryError) -> Failure {
    if !matches!(error, HistoryError::Missing { .. }) {
        return error.into();
    }
    let message = format!("run {} of {} counted no people: there is nothing to accept", run.id, run.job);
    let hint =
        "name a run that ended `source_incomplete`: `graphkeeper history --outcome source_incomplete` lists them";
    Failure::new(exit::FAILED, message, Some(hint.to_owned()))
}

fn page(run: &Run, by: &str, now: Timestamp) -> Page {
    let tally = tally(run).unwrap_or_default();
    let counts = [
        ("people", "people in Okta", tally.people),
        ("with_reference", "of them with a manager reference", tally.with_reference),
        ("in_scope", "of them in scope", tally.in_scope),
        ("accounts", "accounts in Entra", tally.accounts),
    ];
    let mut json = json!({ "run": run.id, "job": run.job, "accepted_by": by, "accepted_at": now.to_string() });
    let mut rows = Table::new(&[("count", ""), ("what", "Counted"), ("value", "Accepted")], "");
    for (key, what, count) in counts {
        json[key] = Value::from(count);
        rows.push(vec![Cell::text(key), Cell::text(what), Cell::new(count, count.to_string())]);
    }
    Page { text: rows.to_text(None), json, rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;
    use crate::history::testing::{Place, at};

    #[tokio::test]
    async fn what_was_accepted_is_told_in_numbers() {
        let place = Place::new().await;
        let id = samples::managers_run(&place.history, "aaaa0001", 0).await;
        let run = place.history.run(&id).await.unwrap().unwrap();
        let error = place.history.accept_reading(&id, "ana", at(50)).await.unwrap_err();
        assert!(counted_nothing(&run, error).text().contains("counted no people"));
        let page = page(&run, "ana", at(50));
        insta::assert_snapshot!(page.text, @r"
        Counted                           Accepted
        people in Okta                    12
        of them with a manager reference  11
        of them in scope                  12
        accounts in Entra                 14
        ");
        assert_eq!((&page.json["people"], &page.json["accepted_by"]), (&12.into(), &"ana".into()));
    }
}
