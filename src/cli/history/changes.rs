//! `history changes`: managers that were written, newest first.

use crate::cli::args::Range;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::history::changes::ChangeFilter;
use crate::tables::changes::{Shown, table};
use crate::tables::when::When;

/// Prints the changes that fit.
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
                before: None,
                limit: Some(range.limit),
            };
            history.list_changes(&filter).await?
        }
    };
    Ok(render::print(&table(&changes, desk.zone(), Shown::Everywhere), desk.format)?)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

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
