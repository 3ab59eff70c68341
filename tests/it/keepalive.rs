//! Licenses and the honest keepalive: what is called, what is kept, and what is no success.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use graphkeeper::sandbox::faults::{Fault, Order, When};
use graphkeeper::sandbox::model::habits::RefreshTokens;
use graphkeeper::sandbox::server::Service;

use crate::support::{Org, reached};

#[tokio::test(flavor = "multi_thread")]
async fn licenses_are_kept_as_snapshots_with_their_calls() {
    let org = Org::empty().await;
    let run = org.run(&["run", "licenses"]).await.exits(0);
    assert_eq!(run.json()["details"]["licenses"]["products"][0]["part_number"], "DEVELOPERPACK_E5", "{}", run.stdout);
    let mut database = org.database().await;
    assert_eq!(database.texts("select part_number from license_latest").await, ["DEVELOPERPACK_E5"]);
    assert_eq!(database.number("select bought * 100 + assigned from license_snapshot").await, 2_516);
    assert_eq!(database.number("select count(*) from subscription_snapshot where next_lifecycle is not null").await, 1);
    let calls = database.texts("select method || ' ' || path from call where service = 'graph' order by id").await;
    assert_eq!(calls.len(), 2, "{calls:?}");
    org.shows(&["history", "licenses"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_uses_more_than_it_bought_is_shown_so() {
    let org = Org::empty().await;
    org.world().write().entra.skus[0].consumed = 30;
    let run = org.run(&["run", "licenses"]).await.exits(0);
    assert_eq!(run.json()["details"]["licenses"]["products"][0]["free"], -5);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_of_the_keepalive_is_a_recorded_call() {
    let org = Org::empty().await;
    org.run(&["run", "keepalive"]).await.exits(0);
    let rows = org
        .database()
        .await
        .texts("select path || ' ' || status || ' ' || verdict from call where service = 'graph' order by id")
        .await;
    assert_eq!(rows, ["/v1.0/me 200 ok", "/v1.0/subscribedSkus 200 ok"]);
    let traced = "select count(*) from call where service = 'graph' and request_id is not null and client_request_id is not null";
    assert_eq!(org.database().await.number(traced).await, 2);
    assert_eq!(
        org.database().await.number("select count(*) from call where body is not null").await,
        0,
        "off by default"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_wrong_shape_is_no_success_and_one_bad_endpoint_is_named() {
    for fault in [Fault::HtmlWith200, Fault::Status { status: 403, html: false }, Fault::CutJson] {
        let org = Org::empty().await;
        org.graph_fault("/v1.0/me", When::Always, fault.clone());
        let run = org.run(&["run", "keepalive"]).await.exits(3);
        assert_eq!(run.outcome(), "partial", "{fault:?}");
        assert!(run.message().contains("/me ("), "{fault:?}: {}", run.message());
        let verdicts = org.database().await.texts("select verdict from call where path = '/v1.0/me' order by id").await;
        assert!(!verdicts.is_empty() && !verdicts.contains(&"ok".to_owned()), "{fault:?}: {verdicts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_come_too_soon_are_not_made() {
    let org = Org::empty().await;
    org.configure("[jobs.keepalive]\nmin_interval = \"1 hour\"");
    org.run(&["run", "keepalive"]).await.exits(0);
    let calls = org.journal().requests(Service::Graph);
    let soon = org.run(&["run", "keepalive"]).await.exits(1);
    assert_eq!(soon.reason(), "too_soon");
    assert_eq!(org.journal().requests(Service::Graph), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rotated_refresh_token_is_on_disk_for_its_owner_alone_and_is_the_next_one_used() {
    let org = Org::empty().await;
    org.configure("[jobs.keepalive]\nmin_interval = \"0 seconds\"");
    org.run(&["run", "keepalive"]).await.exits(0);
    let path = org.state().join("entra-user.json");
    let stored = || -> serde_json::Value { serde_json::from_slice(&fs::read(&path).unwrap()).unwrap() };
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let first = stored()["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(first, org.credentials().refresh_token, "Entra gave another one");
    // What the configuration names is the first token only.
    fs::write(org.home().join("secrets/refresh-token"), "no longer valid").unwrap();
    org.run(&["run", "keepalive"]).await.exits(0);
    assert_ne!(stored()["refresh_token"], first.as_str());
    fs::remove_file(org.home().join("secrets/refresh-token")).unwrap();
    org.run(&["run", "keepalive"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_in_the_configuration_revives_a_sign_in_whose_stored_tokens_are_dead() {
    let org = Org::empty().await;
    org.configure("[jobs.keepalive]\nmin_interval = \"0 seconds\"");
    org.run(&["run", "keepalive"]).await.exits(0);
    let path = org.state().join("entra-user.json");
    let mut stored: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    stored["refresh_token"] = "dead".into();
    stored["previous"] = "dead before".into();
    fs::write(&path, stored.to_string()).unwrap();
    let configured = org.home().join("secrets/refresh-token");
    let working = fs::read_to_string(&configured).unwrap();
    fs::write(&configured, "dead as well").unwrap();
    org.run(&["run", "keepalive"]).await.exits(5);
    fs::write(&configured, working).unwrap();
    org.run(&["run", "keepalive"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_needs_a_person_exits_5_with_the_number_and_the_remedy() {
    for (habit, number) in [
        (RefreshTokens::Inactive, "AADSTS700082"),
        (RefreshTokens::Revoked, "AADSTS50173"),
        (RefreshTokens::StepUp, "AADSTS50076"),
        (RefreshTokens::Unconsented, "AADSTS65001"),
    ] {
        let org = Org::empty().await;
        org.world().write().entra.habits.refresh_tokens = habit;
        let run = org.run(&["run", "keepalive"]).await.exits(5);
        assert_eq!((run.outcome().as_str(), run.reason().as_str()), ("needs_human", number));
        assert!(run.message().contains(number) && !run.hint().is_empty(), "{}\n{}", run.message(), run.hint());
        org.world().write().entra.habits.refresh_tokens = RefreshTokens::Honored;
        org.run(&["run", "keepalive"]).await.exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_of_one_identity_sign_in_one_after_the_other() {
    let org = Org::empty().await;
    org.configure("[jobs.second]\nkind = \"keepalive\"\nrequests = [\"/me\"]");
    let both = [org.spawn(&["run", "keepalive", "--json"]), org.spawn(&["run", "second", "--json"])];
    for process in both {
        process.finish().await.exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_token_is_renewed_the_next_run_signs_in_all_the_same() {
    let org = Org::empty().await;
    let order = Order::new(Service::Login, "**", Fault::HoldAnswer { gate: "token".to_owned() });
    let gate = org.faults().hold(order.once());
    let run = org.spawn(&["run", "keepalive"]);
    reached(&gate).await;
    run.kill().await;
    org.run(&["run", "keepalive"]).await.exits(0);
    assert_eq!(org.database().await.outcomes("keepalive").await, ["interrupted", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_while_the_token_is_renewed_the_new_one_is_stored_all_the_same() {
    let org = Org::empty().await;
    org.configure("[jobs.keepalive]\nmin_interval = \"0 seconds\"");
    org.run(&["run", "keepalive"]).await.exits(0);
    let stored = || fs::read_to_string(org.state().join("entra-user.json")).unwrap();
    let before = stored();
    // Entra has given another token already; its answer is still on the way.
    let order = Order::new(Service::Login, "**", Fault::HoldAnswer { gate: "token".to_owned() });
    let gate = org.faults().hold(order.once());
    let mut run = org.spawn(&["run", "keepalive", "--json"]);
    reached(&gate).await;
    run.terminate();
    run.says("stopping").await;
    gate.open();
    let run = run.finish().await.exits(1);
    assert_eq!(run.outcome(), "interrupted");
    assert_ne!(stored(), before, "what Entra gave is kept");
}
