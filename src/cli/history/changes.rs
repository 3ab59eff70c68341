//! `history changes`: managers that were written, newest first.

use jiff::tz::TimeZone;

use crate::cli::args::Range;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::cli::when::When;
use crate::history::changes::{Change, ChangeFilter};
use crate::tables::table::{Cell, Table};
use crate::tables::words::manager;

/// Prints the changes that fit.
///
/// JSON: a list with the names of the view `manager_change`: `{id, run, job, time, person, login, account, upn, kind,
/// old_manager, old_manager_name, new_manager, new_manager_name, state, status, code, message, request_id,
/// client_request_id}`.
pub(super) async fn list(desk: &Desk, range: &Range, user: Option<&str>) -> Result<(), Failure> {
    let changes = match &desk.history {
        None => Vec::new(),
        Some(history) => {
            let user = match user {
                Some(name) => Some(desk.person(name).await?),
                None => None,
            };
            let at = |when: &When| when.at(desk.zone(), desk.now);
            let filter = ChangeFilter {
                user,
                job: range.job.clone(),
                run: None,
                since: range.since.as_ref().map(at),
                until: range.until.as_ref().map(at),
                limit: Some(range.limit),
            };
            history.list_changes(&filter).await?
        }
    };
    Ok(render::print(&table(&changes, desk.zone(), Shown::Everywhere), desk.format)?)
}

/// Where changes are listed, which spares people what they know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Shown {
    Everywhere,
    /// Of one run.
    OfRun,
    /// Of one person.
    OfPerson,
}

/// The changes as rows.
pub(in crate::cli) fn table(changes: &[Change], zone: &TimeZone, shown: Shown) -> Table {
    let unless = |known: Shown, title: &'static str| if shown == known { "" } else { title };
    let columns = [
        ("id", ""),
        ("run", unless(Shown::OfRun, "Run")),
        ("job", ""),
        ("time", unless(Shown::OfRun, "Time")),
        ("person", ""),
        ("login", unless(Shown::OfPerson, "Person")),
        ("account", ""),
        ("upn", ""),
        ("kind", "Kind"),
        ("old_manager", ""),
        ("old_manager_name", "Old manager"),
        ("new_manager", ""),
        ("new_manager_name", "New manager"),
        ("state", "State"),
        ("status", ""),
        ("code", "Answer"),
        ("message", ""),
        ("request_id", ""),
        ("client_request_id", ""),
    ];
    let mut table = Table::new(&columns, "no changes");
    for change in changes {
        table.push(row(change, zone));
    }
    table
}

fn row(change: &Change, zone: &TimeZone) -> Vec<Cell> {
    let text = |text: &Option<String>| Cell::optional(text.clone(), Cell::text);
    let id = |id: Option<_>| Cell::optional(id, |id: crate::domain::identity::AccountId| Cell::text(id.to_string()));
    vec![
        Cell::number(change.id.get()),
        Cell::text(change.run.as_str()),
        Cell::text(&change.job),
        Cell::moment(change.intent_at, zone),
        Cell::text(change.person.as_str()),
        Cell::text(&change.login),
        Cell::text(change.account.to_string()),
        Cell::text(&change.upn),
        Cell::text(change.kind.as_str()),
        id(change.from),
        Cell::new(change.from_label.clone(), manager(&change.from_label, change.from)),
        id(change.to),
        Cell::new(change.to_label.clone(), manager(&change.to_label, change.to)),
        Cell::text(change.state.as_str()),
        Cell::optional(change.status, Cell::number),
        Cell::optional(change.code.clone(), |code| Cell::new(code, answer(change))),
        text(&change.message),
        text(&change.request_id),
        Cell::text(&change.client_request_id),
    ]
}

/// The vendor's refusal in its own words.
fn answer(change: &Change) -> String {
    let words = [change.code.as_deref(), change.message.as_deref()];
    let told: Vec<&str> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    let request = change.request_id.as_ref().map(|id| format!(" (request-id {id})")).unwrap_or_default();
    format!("{}{request}", told.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::history::testing::Place;

    #[tokio::test]
    async fn a_change_is_told_with_both_managers_and_the_vendors_answer() {
        let place = Place::new().await;
        samples::managers_run(&place.history, "aaaa0001", 0).await;
        let changes = place.history.list_changes(&ChangeFilter::default()).await.unwrap();
        let oslo = TimeZone::get("Europe/Oslo").unwrap();
        let table = table(&changes, &oslo, Shown::Everywhere);
        insta::assert_snapshot!(samples::written(&table, OutputFormat::Table), @r"
        Run       Time                      Person               Kind    Old manager              New manager              State      Answer
        aaaa0001  2026-09-21 16:13:23 CEST  person3@example.com  clear   person8@contoso.example  (none)                   refused    Authorization_RequestDenied: Insufficient privileges (request-id r-3)
        aaaa0001  2026-09-21 16:13:22 CEST  person2@example.com  change  person8@contoso.example  person9@contoso.example  accepted
        aaaa0001  2026-09-21 16:13:21 CEST  person1@example.com  set     (none)                   person9@contoso.example  confirmed
        ");
        let json = table.to_json();
        assert_eq!(json[0]["code"], "Authorization_RequestDenied");
        assert_eq!(json[0]["status"], 403);
        assert_eq!(json[0]["new_manager"], serde_json::Value::Null);
        let keys: Vec<_> = json[0].as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 19);
    }
}
