//! `history show PLAN`: what a stored plan would write, and whether it still waits.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::page::{Page, left_out, section};
use crate::history::plans::{Differs, PlanSummary};
use crate::tables::plan::{Told, changes, object};
use crate::tables::words::{counted, local, relative};

/// A stored plan as text, JSON and rows.
pub(super) fn page(told: &Told, zone: &TimeZone, now: Timestamp, width: Option<u16>) -> Page {
    let rows = changes(&told.changes);
    let mut text = heading(&told.summary, told.differs, zone, now);
    section(&mut text, "Changes", &rows, width);
    left_out(&mut text, told.summary.id.as_str(), told.more_changes, told.summary.changes);
    Page { text, json: object(told, &rows), rows }
}

fn heading(plan: &PlanSummary, differs: Option<Differs>, zone: &TimeZone, now: Timestamp) -> String {
    let mut text = format!("Plan {} of {}: {}", plan.id, plan.job, counted(plan.changes, "change"));
    if plan.held > 0 {
        let _ = write!(text, ", {} held by a brake", plan.held);
    }
    let _ = writeln!(
        text,
        "\n  made      {} by run {}, last seen {}",
        local(plan.created_at, zone),
        plan.run,
        relative(plan.seen_at, now)
    );
    let _ = match (&plan.approval, &plan.superseded_by) {
        (Some(approval), _) => writeln!(
            text,
            "  approved  {} by {}, carried out by run {}",
            local(approval.at, zone),
            approval.by,
            approval.run
        ),
        (None, Some(other)) => writeln!(text, "  replaced  by plan {other}{}", difference(differs)),
        (None, None) => writeln!(text, "  open      `graphkeeper approve {}` carries it out", plan.id),
    };
    text
}

fn difference(differs: Option<Differs>) -> String {
    let told = |Differs { only_here, only_there }| {
        format!("; {} only here, {only_there} only there", counted(only_here, "change"))
    };
    differs.map(told).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;
    use crate::domain::run::{RunId, Trigger};
    use crate::history::Found;
    use crate::history::testing::{Place, at, past_run};

    #[tokio::test]
    async fn a_plan_says_whether_it_waits_and_what_replaced_it() {
        let place = Place::new().await;
        let history = &place.history;
        let run = past_run(history, "aaaa0001", Trigger::Plan, 0).await;
        let load = async |id: &str| match history.find_plan(id).await.unwrap() {
            Found::One(plan) => Told::read(history, plan, None).await.unwrap(),
            other => panic!("{id}: {other:?}"),
        };
        history.store_plan(&samples::plan("paaaa1111", &run, 0, 1)).await.unwrap();
        let open = page(&load("pa").await, &TimeZone::UTC, at(120), None);
        insta::assert_snapshot!(open.text, @r"
        Plan paaaa1111 of managers: 2 changes, 1 held by a brake
          made      2026-09-21 14:13:20 UTC by run aaaa0001, last seen 2 minutes ago
          open      `graphkeeper approve paaaa1111` carries it out

        Changes
          Person               Kind   Old manager              New manager              Held
          person1@example.com  set    (none)                   person9@contoso.example
          person5@example.com  clear  person8@contoso.example  (none)                   held
        ");
        assert_eq!((&open.json["state"], &open.json["held"]), (&"open".into(), &1.into()));
        history.store_plan(&samples::plan("pbbbb2222", &run, 60, 2)).await.unwrap();
        let (old, new) = (load("pa").await, load("pb").await);
        let replaced = page(&old, &TimeZone::UTC, at(120), None);
        assert!(
            replaced.text.contains("replaced  by plan pbbbb2222; 1 change only here, 1 only there"),
            "{}",
            replaced.text
        );
        assert_eq!(replaced.json["differs"], serde_json::json!({ "only_here": 1, "only_there": 1 }));
        history.mark_approved(&new.summary.id, &RunId::stored("aaaa0001"), "ana", at(90)).await.unwrap();
        let approved = page(&load("pb").await, &TimeZone::UTC, at(120), None);
        assert_eq!((&approved.json["state"], &approved.json["approved"]["by"]), (&"approved".into(), &"ana".into()));
    }
}
