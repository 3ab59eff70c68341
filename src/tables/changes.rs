//! Written managers, one a row.

use jiff::tz::TimeZone;

use crate::domain::identity::AccountId;
use crate::history::changes::Change;
use crate::tables::table::{Cell, Table};
use crate::tables::words::manager;

/// Where changes are listed, which spares people what they know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Everywhere,
    /// Of one run.
    OfRun,
    /// Of one person.
    OfPerson,
}

/// The changes as rows.
///
/// JSON: a list with the names of the view `manager_change`: `{id, run, job, time, person, login, account, upn, kind,
/// old_manager, old_manager_name, new_manager, new_manager_name, state, status, code, message, request_id,
/// client_request_id}`.
#[must_use]
pub fn table(changes: &[Change], zone: &TimeZone, shown: Shown) -> Table {
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
    let id = |id: Option<_>| Cell::optional(id, |id: AccountId| Cell::text(id.to_string()));
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
