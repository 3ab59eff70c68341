//! `accept-source`: makes the counts of a run the measure of later ones, when people really left.

use jiff::Timestamp;
use serde_json::json;

use crate::app;
use crate::cli::args::{self, Global};
use crate::cli::carrier::{Carrier, carrier};
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::page::Page;
use crate::cli::render;
use crate::cli::{caller, exit, work};
use crate::clock::SystemClock;
use crate::control::carry;
use crate::control::wire::{AcceptRequest, Accepted};
use crate::tables::table::{Cell, Table};

/// Accepts the counts of a run and prints them.
///
/// JSON: `{run, job, people, with_reference, in_scope, accounts, accepted_by, accepted_at}`.
pub(super) async fn run(global: &Global, arguments: &args::AcceptSource, now: Timestamp) -> Result<u8, Failure> {
    let settings = work::settings(global)?;
    let request = AcceptRequest { run: arguments.run.clone() };
    let accepted = match carrier(&settings).await? {
        Carrier::Service(client) => client.accept_source(&request).await?,
        Carrier::Here { .. } => {
            // An empty history is not created only to find no run in it.
            Desk::open(global, now).await?.history()?;
            let history = app::open_history_to_write(&settings, &SystemClock).await?;
            let accepted = carry::accept_source(&history, &request, &caller::name(), now).await;
            history.close().await;
            accepted?
        }
    };
    render::say(&format!("from now on {} is measured by what run {} counted", accepted.job, accepted.run));
    page(&accepted).print(global.format())?;
    Ok(exit::SUCCEEDED)
}

fn page(accepted: &Accepted) -> Page {
    let counts = [
        ("people", "people in Okta", Some(accepted.people)),
        ("with_reference", "of them with a manager reference", accepted.with_reference),
        ("in_scope", "of them in scope", accepted.in_scope),
        ("accounts", "accounts in Entra", Some(accepted.accounts)),
    ];
    let mut rows = Table::new(&[("count", ""), ("what", "Counted"), ("value", "Accepted")], "");
    for (key, what, count) in counts.into_iter().filter_map(|(key, what, count)| Some((key, what, count?))) {
        rows.push(vec![Cell::text(key), Cell::text(what), Cell::new(count, count.to_string())]);
    }
    Page { text: render::to_text(&rows, None), json: json!(accepted), rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::RunId;
    use crate::history::testing::at;

    #[test]
    fn what_was_accepted_is_told_in_numbers() {
        let page = page(&Accepted {
            run: RunId::stored("aaaa0001"),
            job: "managers".to_owned(),
            people: 12,
            with_reference: Some(11),
            in_scope: Some(12),
            accounts: 14,
            accepted_by: "ana".to_owned(),
            accepted_at: at(50),
        });
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
