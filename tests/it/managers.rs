//! The main job on tenants that behave: what Okta says is written once, confirmed, recorded and explained.

use std::collections::BTreeMap;

use graphkeeper::sandbox::journal::ManagerWrite;

use crate::support::Org;
use crate::support::database::Database;
use crate::support::process::Output;

/// Every reason for leaving somebody alone that a single run over a fresh organization can come to.
const REASONS: [&str; 21] = [
    "agreed",
    "out_of_scope",
    "excluded",
    "inactive_in_okta",
    "unknown_status",
    "no_account",
    "ambiguous_account",
    "conflicting_people",
    "manager_not_given",
    "manager_placeholder",
    "manager_not_found",
    "manager_ambiguous",
    "manager_has_no_account",
    "self_manager",
    "closes_cycle",
    "manager_disabled",
    "manager_is_guest",
    "mastered_on_premises",
    "blocked",
    "vanished",
    "stale",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_changed_in_okta_is_changed_in_entra_once() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "bo");
    org.reconcile().await.exits(0);
    assert_eq!(org.world().entra().manager_of("ana").as_deref(), Some("bo"));
    let second = org.reconcile().await.exits(0);
    assert_eq!((org.writes(), second.counted("planned")), (1, 0), "a second run finds nothing to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_set_what_differs_changed_and_what_is_too_much_cleared() {
    let org = Org::team(["ana", "bo", "cy", "dee"]).await;
    org.world().entra().account("ana").without_manager();
    org.moves("bo", "chief");
    org.world().okta().person("cy").without_manager();
    let run = org.reconcile().await.exits(0);
    let manager = |name| org.world().entra().manager_of(name);
    assert_eq!(manager("ana").as_deref(), Some("boss"));
    assert_eq!(manager("bo").as_deref(), Some("chief"));
    assert_eq!(manager("cy"), None);
    assert_eq!(run.tally()["confirmed"], serde_json::json!({"set": 1, "change": 1, "clear": 1}));
    let written = org.database().await.changes().await;
    let kinds: BTreeMap<_, _> =
        written.iter().map(|c| (c.login.as_str(), (c.kind.as_str(), c.state.as_str()))).collect();
    assert_eq!(kinds["ana@corp.example"], ("set", "confirmed"));
    assert_eq!(kinds["bo@corp.example"], ("change", "confirmed"));
    assert_eq!(kinds["cy@corp.example"], ("clear", "confirmed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_shows_every_reason_it_can_and_reports_what_the_tenants_saw() {
    let org = Org::untidy(200).await;
    let first = org.reconcile().await.exits(3);
    let missing: Vec<_> = REASONS.into_iter().filter(|reason| first.left(reason) == 0).collect();
    assert_eq!(missing, [""; 0], "{}", first.tally());
    for kind in ["set", "change", "clear"] {
        assert!(first.tally()["confirmed"][kind].as_u64() > Some(0), "no {kind} in {}", first.tally());
    }
    everybody_is_counted_once(&first);
    report_is_the_journal(&org, &first, &mut org.database().await).await;

    let before = org.writes();
    let second = org.reconcile().await.exits(0);
    assert_eq!((org.writes(), second.counted("planned")), (before, 0), "{}", second.stdout);
    assert_eq!(second.left("blocked"), first.left("blocked"), "who was refused stays left alone");
}

/// Nobody is missing from the tally and nobody is in it twice: planned and written, or left alone for one reason.
#[track_caller]
fn everybody_is_counted_once(run: &Output) {
    let tally = run.tally();
    let reasons = tally["reasons"].as_object().unwrap();
    let left: u64 = reasons.iter().filter(|(reason, _)| *reason != "planned").filter_map(|(_, n)| n.as_u64()).sum();
    assert_eq!(left + run.counted("confirmed"), tally["people"].as_u64().unwrap(), "{tally}");
}

/// What the report, the history and the sandbox's journal say of a first run is the same.
async fn report_is_the_journal(org: &Org, run: &Output, database: &mut Database) {
    let sent = org.journal().writes();
    let stored: Vec<ManagerWrite> = sent.iter().filter_map(|row| row.write).filter(|write| write.stored).collect();
    let of = |kind: &str| {
        let is = |write: &&ManagerWrite| match (write.from, write.to) {
            (None, Some(_)) => kind == "set",
            (Some(_), Some(_)) => kind == "change",
            (_, None) => kind == "clear",
        };
        stored.iter().filter(is).count() as u64
    };
    for kind in ["set", "change", "clear"] {
        assert_eq!(run.tally()["accepted"][kind].as_u64(), Some(of(kind)), "{kind}");
    }
    assert_eq!(org.writes(), stored.len() as u64);

    let mut intents: Vec<String> =
        database.changes().await.into_iter().map(|change| change.client_request_id).collect();
    let mut requests: Vec<String> = sent.into_iter().map(|row| row.client_request_id.unwrap()).collect();
    intents.sort();
    requests.sort();
    assert_eq!(intents, requests, "each write that arrived has exactly one intent, and the other way round");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_what_a_run_would_write_and_writes_nothing() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "bo");
    let plan = org.run(&["plan", "managers"]).await.exits(0);
    assert_eq!((plan.counted("planned"), plan.fate("ana").as_str(), org.writes()), (1, "planned", 0));
    assert_eq!(
        org.run(&["plan", "managers"]).await.exits(0).plan_id(),
        plan.plan_id(),
        "the same changes keep their id"
    );
    org.run(&["approve", &plan.plan_id()]).await.exits(0);
    assert_eq!(org.world().entra().manager_of("ana").as_deref(), Some("bo"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_only_plans_until_the_operator_says_apply() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure("[jobs.managers]\nmode = \"plan\"");
    org.moves("ana", "bo");
    let run = org.reconcile().await.exits(0);
    assert_eq!((run.outcome().as_str(), org.writes()), ("planned", 0));
    org.run(&["approve", &run.plan_id()]).await.exits(0);
    assert_eq!(org.writes(), 1, "or approves the plan");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_breaks_no_link_and_a_recreated_account_is_linked_anew_and_reported() {
    let org = Org::team(["ana", "bo"]).await;
    org.reconcile().await.exits(0);
    org.world().okta().person("ana").rename("anna@elsewhere.example");
    org.world().entra().account("ana").rename("ana.old").edit(|account| account.mail = None);
    org.moves("anna@elsewhere.example", "bo");
    org.reconcile().await.exits(0);
    assert_eq!(org.world().entra().manager_of("ana.old").as_deref(), Some("bo"));

    org.world().entra().account("bo").remove();
    org.world().entra().add("bo");
    let run = org.reconcile().await.exits(0);
    assert!(run.notes().contains("bo@corp.example: the account"), "{}", run.stdout);
    assert_eq!(org.world().entra().manager_of("ana.old").as_deref(), Some("bo"), "by the new account");
    assert_eq!(org.world().entra().manager_of("bo").as_deref(), Some("boss"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_what_a_run_left_unresolved_in_its_first_line() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "nobody");
    let run = org.shows(&["run", "managers"]).await.exits(0);
    let first = run.stdout.lines().next().unwrap_or_default();
    assert!(first.contains("manager_not_found"), "{}", run.stdout);
    org.shows(&["run", "managers", "--strict"]).await.exits(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_left_alone_can_be_explained_offline() {
    let org = Org::untidy(100).await;
    org.reconcile().await.exits(3);
    let mut database = org.database().await;
    let asked = org.journal().summary().requests;
    for reason in REASONS {
        let sql = format!("select login from user_decision where standing = 1 and reason = '{reason}' limit 1");
        let login = database.texts(&sql).await.pop().unwrap_or_else(|| panic!("no decision {reason}"));
        let told = org.shows(&["explain", &login]).await.exits(0);
        assert!(told.stdout.contains(reason), "{login}: {reason} is not in\n{}", told.stdout);
    }
    assert_eq!(org.journal().summary().requests, asked, "nobody was asked");
}
