//! Organizations of unusual shape and rules of unusual kind.

use std::collections::HashSet;

use graphkeeper::sandbox::faults::When;
use graphkeeper::sandbox::model::okta::{App, AppUser};

use crate::support::{BATCH, Org, reached};

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_turned_around_is_written_in_an_order_that_never_closes_a_cycle() {
    let org = Org::empty().await;
    org.world().write().entra.habits.refuses_cycles = true;
    let names: Vec<String> = (0..50).map(|number| format!("c{number}")).collect();
    hire(&org, &names);
    for pair in names.windows(2) {
        org.world().entra().account(&pair[1]).managed_by(&pair[0]);
        org.moves(&pair[0], &pair[1]);
    }
    let run = org.reconcile().await.exits(0);
    assert_eq!((run.counted("confirmed"), run.left("closes_cycle")), (50, 0), "{}", run.tally());
    for pair in names.windows(2) {
        assert_eq!(org.world().entra().manager_of(&pair[0]).as_ref(), Some(&pair[1]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_reorganization_is_written_without_a_cycle_on_the_way() {
    for round in 0..4 {
        let org = Org::empty().await;
        org.world().write().entra.habits.refuses_cycles = true;
        let mut names: Vec<String> = (0..120).map(|number| format!("c{number}")).collect();
        hire(&org, &names);
        // Two random trees over the same people: each reports to somebody before them in a shuffled order.
        let mut random = fastrand::Rng::with_seed(round);
        for (person, boss) in tree(&mut names, &mut random) {
            org.world().entra().account(&person).managed_by(&boss);
        }
        for (person, boss) in tree(&mut names, &mut random) {
            org.moves(&person, &boss);
        }
        org.reconcile().await.exits(0);
        assert_eq!(org.reconcile().await.exits(0).counted("planned"), 0, "round {round}");
    }
}

fn hire(org: &Org, names: &[String]) {
    for name in names {
        org.world().hire(name);
    }
}

fn tree(names: &mut [String], random: &mut fastrand::Rng) -> Vec<(String, String)> {
    random.shuffle(names);
    let boss = |at: usize, random: &mut fastrand::Rng| names[random.usize(at.saturating_sub(6)..at)].clone();
    (1..names.len()).map(|at| (names[at].clone(), boss(at, random))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_large_or_small_and_accents_composed_or_not_are_the_same_name() {
    let org = Org::team(["ana"]).await;
    org.world().okta().add("ZO\u{cb}@Corp.Example").set("managerEmail", "BOSS@CORP.example");
    org.world().entra().add("zoe\u{308}@corp.example");
    org.moves("ana", "CHIEF@corp.EXAMPLE");
    org.world().okta().person("ana").set("managerEmail", " CHIEF@corp.EXAMPLE ");
    org.reconcile().await.exits(0);
    let manager = |name| org.world().entra().manager_of(name);
    assert_eq!(manager("zoe\u{308}@corp.example").as_deref(), Some("boss"));
    assert_eq!(manager("ana").as_deref(), Some("chief"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_as_the_scope_says_who_is_written_and_under_which_name() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.world().entra().account("ana").rename("anna.elsewhere@x.example").edit(|account| account.mail = None);
    let id = "0oa1abcdefghijklmnop".to_owned();
    {
        let mut state = org.world().write();
        let user = |key: &str, name: Option<&str>| AppUser {
            user: state.okta.find(key).unwrap(),
            user_name: name.map(Into::into),
            ..AppUser::default()
        };
        let mut users = vec![user("ana", Some("anna.elsewhere@x.example")), user("bo", None)];
        users.sort_by_key(|user| user.user);
        state.okta.apps.push(App { users, ..App::office365(&id, "corp.example") });
    }
    let rule = "correlate = [ { okta = \"app_username\", entra = \"userPrincipalName\" }, { okta = \"login\", entra = \"userPrincipalName\" } ]";
    let import = "[jobs.import]\ncorrelate = [ { okta = \"login\", entra = \"userPrincipalName\" } ]";
    org.configure(&format!("[jobs.managers]\nscope = {{ app = \"{id}\" }}\n{rule}\n{import}"));
    for name in ["ana", "bo", "cy"] {
        org.moves(name, "chief");
    }
    let run = org.reconcile().await.exits(0);
    let manager = |name| org.world().entra().manager_of(name);
    assert_eq!(manager("anna.elsewhere@x.example").as_deref(), Some("chief"));
    assert_eq!((manager("bo").as_deref(), manager("cy").as_deref()), (Some("chief"), Some("boss")));
    assert_eq!(run.left("out_of_scope"), 3, "a scope limits who is written, never who may be a manager");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_departed_manager_is_disabled_and_not_unknown() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.moves("ana", "bo");
    org.moves("cy", "ghost");
    org.world().okta().person("bo").status("DEPROVISIONED");
    let run = org.reconcile().await.exits(0);
    assert_eq!(
        (run.left("manager_disabled"), run.left("manager_not_found"), org.writes()),
        (1, 1, 0),
        "{}",
        run.tally()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_already_gone_is_as_good_as_cleared() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.world().okta().person("ana").without_manager();
    let gate = org.hold(BATCH, When::Nth(2));
    let run = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    org.world().entra().account("ana").without_manager();
    gate.open();
    assert_eq!(run.finish().await.exits(0).fate("ana"), "confirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_cleared_unless_the_operator_said_so() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.configure("[jobs.managers]\nwhen_empty = \"keep\"");
    org.world().okta().person("ana").without_manager();
    org.world().okta().person("bo").set("managerId", "N/A").set("managerEmail", "tbd");
    org.moves("cy", "chief");
    let run = org.reconcile().await.exits(0);
    assert_eq!((org.writes(), run.left("manager_placeholder")), (1, 1), "{}", run.tally());
    assert_eq!(org.managed_by("boss"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_cycles_in_entra_are_never_touched_and_trouble_nobody_else() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.world().entra().accounts(["x", "y"]);
    org.world().entra().account("x").managed_by("y");
    org.world().entra().account("y").managed_by("x");
    org.moves("ana", "chief");
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1);
    assert_eq!(org.world().entra().manager_of("x").as_deref(), Some("y"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_secret_may_travel_in_the_header_too() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure("[entra.app]\nsend = \"basic\"");
    org.moves("ana", "bo");
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_that_start_at_once_on_a_fresh_directory_both_work() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "bo");
    let both = [org.spawn(&["run", "managers", "--json"]), org.spawn(&["run", "licenses", "--json"])];
    for process in both {
        process.finish().await.exits(0);
    }
    let runs: HashSet<String> = org.database().await.texts("select outcome from run").await.into_iter().collect();
    assert_eq!(runs, HashSet::from(["succeeded".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_was_deleted_and_hired_again_keeps_the_account() {
    let org = Org::team(["ana", "bo", "cy", "dee", "eve"]).await;
    org.reconcile().await.exits(0);
    org.world().okta().person("ana").remove();
    org.reconcile().await.exits(0);
    org.world().okta().add("ana").managed_by("chief");
    let run = org.reconcile().await.exits(0);
    assert_eq!((org.managed_by("chief"), run.left("conflicting_people")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_who_swap_their_names_keep_their_accounts() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.reconcile().await.exits(0);
    let (ana, bo) = (org.world().okta().person("ana"), org.world().okta().person("bo"));
    ana.rename("swap");
    bo.rename("ana");
    ana.rename("bo");
    ana.managed_by("chief");
    org.reconcile().await.exits(0);
    let manager = |name| org.world().entra().manager_of(name);
    assert_eq!((manager("ana").as_deref(), manager("bo").as_deref()), (Some("chief"), Some("boss")), "by their ids");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_may_be_a_number_and_lead_straight_into_entra() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(
        "[jobs.managers]\nmanager = [ { attribute = \"bossNumber\", is = \"employee_number\" }, \
         { attribute = \"bossUpn\", is = \"upn\" } ]",
    );
    org.world().okta().person("chief").set("employeeNumber", "4711");
    org.world().okta().person("ana").set("bossNumber", serde_json::json!(4711));
    org.world().okta().person("bo").set("bossUpn", "CHIEF@corp.example");
    org.reconcile().await.exits(0);
    assert_eq!((org.writes(), org.managed_by("chief")), (2, 2));
}
