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
    let over = run.json()["details"]["licenses"]["products"][0].clone();
    assert_eq!((&over["free"], &over["over_used_by"]), (&(-5).into(), &5.into()));
    assert!(run.message().contains("over-used by 5"), "{}", run.message());
    assert_eq!(run.json()["events"][0]["kind"], "over_used");
    let again = org.run(&["run", "licenses"]).await.exits(0);
    assert_eq!(again.json()["events"], serde_json::json!([]), "told once");
    let shown = org.shows(&["history", "licenses"]).await.exits(0);
    assert!(
        shown.stdout.contains("over-used by 5") && shown.stdout.contains("Microsoft 365 E5 Developer"),
        "{}",
        shown.all()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_between_two_readings_is_told_by_run_and_as_events() {
    let org = Org::empty().await;
    org.configure("[jobs.licenses]\nfew_free = 5\nfew_free_by_product = { DEVELOPERPACK_E5 = 10 }");
    let first = org.run(&["run", "licenses"]).await.exits(0);
    let rows = org.database().await.rows().await;
    let unchanged = org.run(&["run", "licenses"]).await.exits(0);
    let calls = org.database().await.number("select max(n) from (select count(*) as n from call group by run)").await;
    assert_eq!(
        org.database().await.rows().await,
        rows + 2 + calls,
        "the run, its reading and its calls, and nothing else"
    );
    org.world().write().entra.skus[0].consumed = 17;
    let second = org.run(&["run", "licenses"]).await.exits(0);
    let kinds = |run: &crate::support::process::Output| {
        let events = run.json()["events"].as_array().unwrap().clone();
        events.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (kinds(&first), kinds(&unchanged), kinds(&second)),
        (vec!["few_free".to_owned()], vec![], vec!["counts_changed".to_owned()])
    );
    let differs = org.run(&["history", "licenses", "--diff", &first.run_id(), &second.run_id()]).await.exits(0).json();
    let fields: Vec<_> = differs.as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["assigned", "free"]);
    let at_first = org.run(&["history", "licenses", "--at", &first.run_id()]).await.exits(0).json();
    assert_eq!((&at_first[0]["assigned"], &at_first[0]["plans"][0]["status"]), (&16.into(), &"Success".into()));
    let events = org.run(&["history", "licenses", "--events"]).await.exits(0).json();
    let told: Vec<_> = events.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(told, ["counts_changed", "few_free"]);
    let shown = org.shows(&["history", "show", &second.run_id()]).await.exits(0);
    assert!(shown.stdout.contains("Noticed") && shown.stdout.contains("assigned from 16 to 17"), "{}", shown.stdout);
    org.shows(&["history", "licenses", "--diff", "zzzz", "now"]).await.exits(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gauge_that_nobody_may_read_is_unknown_and_says_why_and_the_run_is_no_worse() {
    let org = Org::empty().await;
    org.world().write().entra.apps[0].roles.retain(|role| role != "Organization.Read.All");
    let run = org.run(&["run", "keepalive"]).await.exits(0);
    let gauge = run.json()["gauge"].clone();
    assert_eq!(gauge["state"], "unknown");
    assert!(gauge["why"].as_str().unwrap().contains("Organization.Read.All"), "{gauge}");
    org.configure("[jobs.keepalive]\nmin_interval = \"0 seconds\"\nsubscription = \"SPE_E3\"");
    org.world().write().entra.apps[0].roles.push("Organization.Read.All".to_owned());
    let other = org.run(&["run", "keepalive"]).await;
    assert_eq!(other.json()["gauge"]["state"], "unknown");
    assert!(other.message().contains("no subscription of SPE_E3"), "{}", other.message());
    assert_eq!(other.json()["details"]["keepalive"].as_array().unwrap().len(), 2, "and the calls are made");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_application_the_person_reads_the_gauge() {
    let org = Org::empty().await;
    let text = fs::read_to_string(org.config()).unwrap();
    let part = |from: &str, to: &str| {
        let start = text.find(from).unwrap();
        text[start..start + text[start..].find(to).unwrap()].to_owned()
    };
    let alone = [
        part("timezone", "[okta]"),
        part("[entra]\n", "[entra.app]"),
        part("[entra.user]", "[jobs."),
        part("[jobs.keepalive]", "[jobs.import]"),
    ];
    fs::write(org.config(), alone.concat()).unwrap();
    let gauge = org.run(&["run", "keepalive"]).await.exits(0).json()["gauge"].clone();
    assert_eq!((&gauge["read_as"], &gauge["state"]), (&"user".into(), &"active".into()), "{gauge}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_needs_a_person_does_not_hide_how_long_the_subscription_lasts() {
    let org = Org::empty().await;
    org.world().write().entra.habits.refresh_tokens = RefreshTokens::Revoked;
    let run = org.run(&["run", "keepalive"]).await.exits(5);
    assert_eq!((run.outcome().as_str(), &run.json()["gauge"]["state"]), ("needs_human", &"active".into()));
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
    // The last one is the gauge's, which the application reads.
    assert_eq!(rows, ["/v1.0/me 200 ok", "/v1.0/subscribedSkus 200 ok", "/v1.0/directory/subscriptions 200 ok"]);
    let traced = "select count(*) from call where service = 'graph' and request_id is not null and client_request_id is not null";
    assert_eq!(org.database().await.number(traced).await, 3);
    assert_eq!(
        org.database().await.number("select count(*) from call where body is not null").await,
        0,
        "off by default"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn any_endpoint_in_any_spelling_is_called_and_judged_and_its_answer_kept_without_a_name() {
    let org = Org::team(["ana"]).await;
    org.configure(
        "[jobs.keepalive]\nrequests = [\"/ME\", \"/SubscribedSKUs\", \"/me/manager\", \"/me/\"]\nsave_bodies = true",
    );
    let run = org.run(&["run", "keepalive"]).await.exits(3);
    let verdicts = org.database().await.texts("select path || ' ' || status || ' ' || verdict from call where service = 'graph' and path not like '%subscriptions' order by id").await;
    assert_eq!(
        verdicts,
        ["/v1.0/ME 200 ok", "/v1.0/SubscribedSKUs 200 ok", "/v1.0/me/manager 403 failed"],
        "{}",
        run.all()
    );
    assert!(run.message().contains("/me/manager (403"), "{}", run.message());
    let bodies = org.database().await.texts("select body from call where body is not null order by id").await;
    assert!(bodies[1].contains("DEVELOPERPACK_E5"), "{bodies:?}");
    for body in &bodies {
        assert!(body.len() <= 16 * 1024 && !body.contains("@contoso"), "{body}");
    }
    assert!(bodies[0].contains("\"userPrincipalName\":\"(redacted)\""), "{}", bodies[0]);
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
