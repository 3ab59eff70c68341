//! What is wrong with input, secrets or the disk is named with its place, cause and remedy; nothing is lost over it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use graphkeeper::sandbox::faults::{Fault, When};

use crate::support::database::Database;
use crate::support::{Org, PEOPLE};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_on_one_account_are_both_left_alone_and_the_others_are_written() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.moves("ana", "chief");
    org.moves("bo", "chief");
    org.world().okta().add("ana@elsewhere.example").set("email", "ana@corp.example").managed_by("boss");
    let run = org.reconcile().await.exits(0);
    assert_eq!((run.left("conflicting_people"), org.writes()), (2, 1), "{}", run.tally());
    assert!(run.message().contains("2 conflicting_people"), "{}", run.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_did_not_exist_yesterday_is_left_alone_and_counted() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "bo");
    org.world().okta().person("ana").status("HIBERNATING");
    let run = org.reconcile().await.exits(0);
    assert_eq!((run.left("unknown_status"), org.writes()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_an_id_is_named_and_nothing_is_written() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "bo");
    {
        let mut state = org.world().write();
        state.okta.add(graphkeeper::sandbox::model::okta::User { status: "ACTIVE".into(), ..Default::default() });
    }
    let run = org.reconcile().await.exits(1);
    assert!(run.message().contains("id"), "{}", run.message());
    assert_eq!((run.reason().as_str(), org.writes()), ("record_invalid", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_everybody_can_read_is_refused() {
    let org = Org::team(["ana", "bo"]).await;
    let secret = org.home().join("secrets/entra-secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let run = org.reconcile().await.exits(2);
    assert!(run.stderr.contains("entra.app.client_secret") && run.stderr.contains("chmod"), "{}", run.stderr);
    assert_eq!(org.journal().summary().requests, 0, "nothing was asked");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    org.reconcile().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_names_every_mistake_with_its_place() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure("timezone = \"Europe/Olso\"\n[jobs.managers]\nmodus = \"apply\"\n");
    for command in [&["check"][..], &["run", "managers"]] {
        let told = org.shows(command).await.exits(2).all();
        for part in ["test.toml:1:", "Europe/Oslo", "test.toml:3:", "jobs.managers.modus", "`mode`"] {
            assert!(told.contains(part), "{part} is not in\n{told}");
        }
    }
    org.configure("");
    let told = org.shows(&["run", "manager"]).await.exits(2).stderr;
    assert!(told.contains("did you mean `managers`?"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_is_told_with_microsofts_number_and_a_remedy() {
    let org = Org::team(["ana", "bo"]).await;
    fs::write(org.home().join("secrets/entra-secret"), "wrong-secret-of-a-test").unwrap();
    let run = org.reconcile().await;
    assert!(matches!(run.code, Some(1 | 5)), "{}", run.stdout);
    assert!(run.message().contains("AADSTS7000215") && !run.hint().is_empty(), "{}\n{}", run.message(), run.hint());
    assert_eq!(run.reason(), "AADSTS7000215");
    assert!(!run.all().contains("wrong-secret-of-a-test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_secret_past_its_date_is_told_as_such() {
    let org = Org::team(["ana", "bo"]).await;
    org.world().write().entra.habits.secrets_expired = true;
    let run = org.reconcile().await;
    assert!(matches!(run.code, Some(1 | 5)), "{}", run.stdout);
    assert_eq!(run.reason(), "AADSTS7000222");
    assert!(!run.hint().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_okta_token_is_told_with_oktas_code_and_a_remedy() {
    let org = Org::team(["ana", "bo"]).await;
    fs::write(org.home().join("secrets/okta-token"), "wrong-token-of-a-test").unwrap();
    let run = org.reconcile().await;
    assert!(matches!(run.code, Some(1 | 5)), "{}", run.stdout);
    assert!(run.message().contains("E0000011") && !run.hint().is_empty(), "{}\n{}", run.message(), run.hint());
    assert!(!run.all().contains("wrong-token-of-a-test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_none_is_refused_and_left_as_it_is() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "bo");
    fs::create_dir_all(org.state()).unwrap();
    let rubbish = "not a database, but somebody's notes\n".repeat(100);
    fs::write(org.database_path(), &rubbish).unwrap();
    let run = org.reconcile().await.exits(2);
    assert!(run.stderr.contains("graphkeeper.db") && run.stderr.contains("hint:"), "{}", run.stderr);
    assert_eq!((org.writes(), fs::read_to_string(org.database_path()).unwrap()), (0, rubbish));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_cannot_be_opened_is_named_and_nothing_is_asked_of_anybody() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "bo");
    fs::create_dir_all(org.database_path()).unwrap();
    let run = org.reconcile().await.exits(1);
    assert!(run.stderr.contains("graphkeeper.db") && run.stderr.contains("hint:"), "{}", run.stderr);
    assert_eq!((org.writes(), org.journal().summary().requests), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_program_is_refused_with_what_is_needed() {
    let org = Org::team(["ana", "bo"]).await;
    org.reconcile().await.exits(0);
    org.moves("ana", "bo");
    let mut database = org.database().await;
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (9999, 'of tomorrow', 1, x'00', 0)";
    database.execute(newer).await;
    database.execute("update meta set value = '9.9.9' where key = 'program'").await;
    drop(database);
    for command in [&["run", "managers"][..], &["history"]] {
        let told = org.shows(command).await.exits(2).stderr;
        assert!(told.contains("9.9.9"), "{command:?}: {told}");
    }
    assert_eq!(org.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_somebody_keeps_locked_is_named_and_nothing_is_written() {
    let org = Org::team(["ana", "bo"]).await;
    org.reconcile().await.exits(0);
    org.moves("ana", "bo");
    let mut rival: Database = org.database().await;
    rival.execute("begin immediate").await;
    let run = org.reconcile().await.exits(1);
    assert!(run.all().contains("locked"), "{}", run.all());
    assert_eq!(org.writes(), 0);
    rival.execute("rollback").await;
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_belongs_to_one_org_and_one_tenant() {
    let (ours, theirs) = (Org::team(["ana", "bo"]).await, Org::team(["ana", "bo"]).await);
    ours.reconcile().await.exits(0);
    theirs.moves("ana", "bo");
    theirs.configure(&format!("[state]\ndirectory = \"{}\"", ours.state().display()));
    let refused = theirs.reconcile().await.exits(2);
    assert!(refused.stderr.contains(ours.okta_url()), "whose it is: {}", refused.stderr);
    assert_eq!(theirs.writes(), 0);
    ours.configure("[entra]\ntenant = \"99999999-9999-4999-8999-999999999999\"");
    ours.reconcile().await.exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_json_is_named_with_its_request_id() {
    let org = Org::team(["ana", "bo"]).await;
    org.okta_fault(PEOPLE, When::Always, Fault::HtmlWith200);
    let run = org.reconcile().await.exits(1);
    let last = org.journal().rows(|row| row.path == PEOPLE).pop().unwrap();
    assert!(run.message().contains(&last.request_id), "{}", run.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_edited_file_keeps_nobody_from_reading_the_past() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure("[jobs.managers]\nschedule = \"0 0 1 1 *\"\n");
    let service = org.serve().await;
    let run = org.reconcile().await.exits(0).run_id();
    let whole = org.run(&["jobs"]).await.exits(0).json();
    org.configure("[jobs.managers]\nschedule = \"0 0 1 1");
    for command in
        [&["history"][..], &["history", "show", &run], &["history", "missed"], &["explain", "ana@corp.example"]]
    {
        let read = org.run(command).await.exits(0);
        assert!(read.stderr.contains("the configuration has a mistake (`graphkeeper check`)"), "{}", read.stderr);
        assert!(read.stderr.contains("test.toml:2:"), "{}", read.stderr);
        assert!(!read.stdout.is_empty(), "{command:?}");
    }
    let jobs = org.run(&["jobs"]).await.exits(0).json();
    let of = |jobs: &serde_json::Value, key: &str| {
        let managers = jobs.as_array().unwrap().iter().find(|job| job["job"] == "managers").unwrap();
        managers[key].clone()
    };
    for key in ["kind", "schedule", "timezone", "next", "service", "last_run", "last_outcome"] {
        assert_eq!(of(&jobs, key), of(&whole, key), "{key} as the service goes by it");
    }
    assert_eq!(of(&jobs, "mode"), serde_json::Value::Null, "the history does not know it");
    for command in [&["run", "managers"][..], &["pause", "managers"], &["check"]] {
        org.run(command).await.exits(2);
    }
    service.terminate();
    service.finish().await.exits(0);
}
