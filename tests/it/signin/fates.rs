//! What becomes of sign-ins in the vendors' hands: tenants in the state that leads to a refusal, and not a refusal that was
//! ordered; tokens and codes that are good once; and programs that die in the midst of it.

use std::fs;

use graphkeeper::sandbox::faults::{Fault, Order, When};
use graphkeeper::sandbox::model::entra::Entra;
use graphkeeper::sandbox::model::habits::{Person, RefreshTokens};
use graphkeeper::sandbox::model::okta::Role;
use graphkeeper::sandbox::server::Service;

use super::{ENTRA_TOKEN, OFTEN, TOKEN, by_browser, by_browser_changing, nobody};
use crate::support::{Org, PEOPLE, reached};

#[tokio::test(flavor = "multi_thread")]
async fn every_fate_of_a_refresh_token_needs_a_person_and_the_next_run_goes_on_by_itself() {
    let org = Org::empty().await;
    org.configure(OFTEN);
    org.run(&["run", "keepalive"]).await.exits(0);
    for (fate, number, remedy) in [
        (RefreshTokens::Inactive, 700_082, "90 days"),
        (RefreshTokens::Revoked, 50_173, "graphkeeper login"),
        (RefreshTokens::StepUp, 50_076, "multi-factor"),
        (RefreshTokens::Unconsented, 65_001, "grant consent"),
        (RefreshTokens::UserDisabled, 50_057, "enable the account"),
        (RefreshTokens::TooOld, 70_043, "graphkeeper login"),
    ] {
        org.world().write().entra.habits.refresh_tokens = fate;
        let run = org.run(&["run", "keepalive"]).await.exits(5);
        assert_eq!((run.outcome().as_str(), run.reason()), ("needs_human", format!("AADSTS{number}")));
        assert!(run.hint().contains(remedy), "{fate:?}: {}", run.hint());
        org.world().write().entra.habits.refresh_tokens = RefreshTokens::Honored;
        org.run(&["run", "keepalive"]).await.exits(0);
    }
}

/// What becomes of an application: what is done to the tenant, the reason that is told, the exit code, the remedy.
type Fate = (fn(&mut Entra), &'static str, i32, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn every_fate_of_an_application_is_told_apart_and_the_next_run_goes_on_by_itself() {
    let org = Org::empty().await;
    let cases: [Fate; 4] = [
        (|entra| entra.habits.secrets_expired = true, "AADSTS7000222", 1, "make a new one"),
        (|entra| entra.apps[0].disabled = true, "AADSTS7000112", 1, "enable the application"),
        (
            |entra| entra.apps[0].secret = Some("another".to_owned()),
            "AADSTS7000215",
            1,
            "the secret's value, not its id",
        ),
        (|entra| entra.apps[0].roles.clear(), "Authorization_RequestDenied", 5, "LicenseAssignment.Read.All"),
    ];
    let (app, habits) = (org.world().read().entra.apps[0].clone(), org.world().read().entra.habits);
    for (fate, reason, code, remedy) in cases {
        fate(&mut org.world().write().entra);
        let run = org.run(&["run", "licenses"]).await.exits(code);
        assert_eq!(run.reason(), reason);
        assert!(run.hint().contains(remedy), "{reason}: {}", run.hint());
        {
            let entra = &mut org.world().write().entra;
            (entra.apps[0], entra.habits) = (app.clone(), habits);
        }
        org.run(&["run", "licenses"]).await.exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_and_a_proof_serve_one_request_each() {
    let org = Org::team(["ana"]).await;
    org.with_okta_service();
    org.world().write().okta.token_life = 1;
    org.reconcile().await.exits(0);
    org.reconcile().await.exits(0);
    let asked = org.asked(Service::Okta, TOKEN);
    let calls = org.journal().rows(|row| row.service == Service::Okta).len();
    assert!(asked >= 4, "each of two processes is told its nonce and asks again: {asked}");
    assert_eq!(org.crossed().of("client_assertion").len(), asked);
    assert_eq!(org.crossed().of("dpop").len(), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_is_too_old_and_a_token_that_is_revoked_are_renewed_within_the_run() {
    let org = Org::team(["ana"]).await;
    org.moves("ana", "chief");
    org.with_okta_service();
    let gate = org.faults().hold(Order::new(Service::Okta, PEOPLE, Fault::Hold { gate: "people".to_owned() }).once());
    let run = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    assert_eq!(org.asked(Service::Okta, TOKEN), 2);
    org.world().write().okta.nonces_renewed = 3;
    let past_every_issue = i64::MAX;
    org.world().write().okta.tokens_revoked_at = Some(past_every_issue);
    let token = org.faults().hold(Order::new(Service::Okta, TOKEN, Fault::Hold { gate: "token".to_owned() }).once());
    gate.open();
    // Refused with 401, the program asks for another token: it is good again from here on.
    reached(&token).await;
    org.world().write().okta.tokens_revoked_at = None;
    token.open();
    run.finish().await.exits(0);
    assert_eq!((org.writes(), org.managed_by("chief")), (1, 1));
    assert_eq!(org.asked(Service::Okta, TOKEN), 4, "with the old nonce, and with the new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_was_not_granted_is_told_before_the_api_refuses_and_when_it_does() {
    let org = Org::team(["ana", "bo"]).await;
    org.with_okta_service();
    org.world().write().okta.services[0].scopes.retain(|scope| scope != "okta.groups.read");
    let group = org.world().okta().add_group("staff", ["ana", "bo"]);
    org.configure(&format!("[jobs.managers]\nscope = {{ group = \"{group}\" }}"));
    let run = org.reconcile().await.exits(5);
    assert!(
        run.stderr.contains("Okta did not grant every scope") && run.stderr.contains("okta.groups.read"),
        "{}",
        run.stderr
    );
    assert_eq!(run.reason(), "insufficient_scope");
    assert!(run.hint().contains("Okta API Scopes"), "{}", run.hint());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_was_narrowed_to_a_group_does_not_look_like_people_who_left() {
    let names: Vec<String> = (0..20).map(|number| format!("m{number}")).collect();
    let org = Org::team(names.iter().map(String::as_str)).await;
    org.with_okta_service();
    org.reconcile().await.exits(0);
    let group = org.world().okta().add_group("staff", ["m0", "m1"]);
    org.world().write().okta.services[0].role = Role::Group(group);
    org.moves("m0", "chief");
    let run = org.reconcile().await.exits(4);
    assert_eq!((run.outcome().as_str(), org.writes()), ("source_incomplete", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_never_used_twice_once_another_one_came() {
    let org = Org::empty().await;
    org.configure(OFTEN);
    org.world().write().entra.habits.refresh_once = true;
    for _ in 0..4 {
        org.run(&["run", "keepalive"]).await.exits(0);
    }
    assert_eq!(org.crossed().of("refresh_token").len(), 5, "the first, and one for each run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_killed_at_any_step_of_a_renewal_loses_no_sign_in() {
    let org = Org::empty().await;
    org.configure(OFTEN);
    let named = |gate: &str| gate.to_owned();
    for round in 0..3 {
        for (service, path, fault) in [
            // Asked and not yet heard; carried out and not yet answered; answered, stored and not yet used; used.
            (Service::Login, ENTRA_TOKEN, Fault::Hold { gate: named("asked") }),
            (Service::Login, ENTRA_TOKEN, Fault::HoldAnswer { gate: named("carried out") }),
            (Service::Graph, "/v1.0/me", Fault::Hold { gate: named("stored") }),
            (Service::Graph, "/v1.0/me", Fault::HoldAnswer { gate: named("used") }),
        ] {
            let step = format!("{} in round {round}", fault.name());
            let gate = org.faults().hold(Order::new(service, path, fault).when(When::Always));
            let run = org.spawn(&["run", "keepalive"]);
            reached(&gate).await;
            run.kill().await;
            org.faults().clear();
            let run = org.run(&["run", "keepalive"]).await;
            assert_eq!(run.code, Some(0), "{step}: {}", run.all());
            assert!(fs::metadata(org.state().join("entra-user.json")).is_ok(), "{step}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_from_the_browser_is_worthless_where_the_question_was_another_one() {
    let org = nobody().await;
    let other = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let swap_challenge = |address: String| {
        let (before, rest) = address.split_once("code_challenge=").unwrap();
        format!("{before}code_challenge={other}{}", &rest[other.len()..])
    };
    let login = by_browser_changing(&org, swap_challenge).await.exits(5);
    assert!(login.stderr.contains("AADSTS501481") && login.stderr.contains("begin again with"), "{}", login.stderr);
    let swap_redirect = |address: String| {
        let (before, rest) = address.split_once("localhost%3A").unwrap();
        format!("{before}localhost%3A1{}", rest.trim_start_matches(|letter: char| letter.is_ascii_digit()))
    };
    let login = by_browser_changing(&org, swap_redirect).await.exits(2);
    assert!(login.stderr.contains("AADSTS50011") && login.stderr.contains("redirect URIs"), "{}", login.stderr);
    assert!(!org.state().join("entra-user.json").exists());
    by_browser(&org).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_brings_no_refresh_token_is_not_taken_for_one() {
    let org = nobody().await;
    let without = |address: String| address.replace("offline_access", "openid");
    let login = by_browser_changing(&org, without).await.exits(5);
    assert!(login.stderr.contains("`offline_access` was not granted"), "{}", login.stderr);
    org.world().write().entra.habits.person = Person::Declines;
    by_browser(&org).await.exits(5);
    assert!(!org.state().join("entra-user.json").exists());
}
