//! How an identity is: told once, shown everywhere, and mended by whoever signs in, without a restart.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use graphkeeper::clock::{Clock as _, SystemClock};
use graphkeeper::sandbox::faults::{Fault, Gate, Order, When};
use graphkeeper::sandbox::journal::Row;
use graphkeeper::sandbox::model::habits::{Person, RefreshTokens};
use graphkeeper::sandbox::server::Service;
use serde_json::Value;

use crate::control::members::{MEMBER, open_house, owners};
use crate::control::{NEVER, by_the_service};
use crate::signin::{by_browser, nobody};
use crate::support::process::{Output, Process};
use crate::support::{Org, PEOPLE, reached};

/// Keepalive runs as often as a test likes.
const AT_WILL: &str = "[jobs.keepalive]\nmin_interval = \"0 seconds\"\n";

/// An identity of a job, as `jobs` tells it.
async fn identity(org: &Org, job: &str, name: &str) -> Value {
    let jobs = org.run(&["jobs"]).await.exits(0).json();
    let job = jobs.as_array().unwrap().iter().find(|row| row["job"] == job).unwrap().clone();
    let identities = job["identities"].as_array().unwrap();
    identities.iter().find(|one| one["identity"] == name).unwrap_or_else(|| panic!("no {name} in {job}")).clone()
}

/// Its state and reason.
async fn state(org: &Org, job: &str, name: &str) -> (String, String) {
    let one = identity(org, job, name).await;
    let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

fn is(condition: &str, reason: &str) -> (String, String) {
    (condition.to_owned(), reason.to_owned())
}

/// Token requests to Entra so far.
fn tokens(org: &Org) -> usize {
    org.asked(Service::Login, "/token")
}

/// Those that were turned away: not those of the application, which is well and reads the gauge.
fn refused_tokens(org: &Org) -> usize {
    let refused = |row: &Row| row.service == Service::Login && row.path.ends_with("/token") && row.status == 400;
    org.journal().rows(refused).len()
}

fn graph_calls(org: &Org) -> usize {
    org.journal().rows(|row| row.service == Service::Graph).len()
}

/// All but the gauge's, which the application reads.
fn calls_as_the_person(org: &Org) -> usize {
    let own = |row: &Row| row.service == Service::Graph && !row.path.ends_with("/directory/subscriptions");
    org.journal().rows(own).len()
}

/// Parks the next token request, before it is carried out or with its answer.
fn hold_token(org: &Org, fault: impl FnOnce(String) -> Fault) -> Gate {
    let order = Order::new(Service::Login, "/*/oauth2/v2.0/token", fault(format!("gate {}", fastrand::u64(..))));
    org.faults().hold(order.once())
}

async fn ends(service: Process) -> Output {
    service.terminate();
    service.finish().await.exits(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_sign_in_is_told_once_makes_no_call_and_recovers_by_itself() {
    let org = Org::empty().await;
    org.configure(&format!("{NEVER}min_interval = \"0 seconds\"\n"));
    let mut service = org.serve().await;
    org.run(&["run", "keepalive"]).await.exits(0);
    assert_eq!(state(&org, "keepalive", "user").await, is("ok", ""));
    let calls = calls_as_the_person(&org);
    org.world().write().entra.habits.refresh_tokens = RefreshTokens::Revoked;
    // The access token is good for an hour: a new service has none.
    ends(service).await;
    service = org.serve().await;
    for _ in 0..3 {
        let before = refused_tokens(&org);
        let run = org.run(&["run", "keepalive"]).await.exits(5);
        by_the_service(&run, &service);
        assert_eq!((run.outcome(), run.reason()), ("needs_human".to_owned(), "AADSTS50173".to_owned()));
        assert!((1..=2).contains(&(refused_tokens(&org) - before)), "each run tries, and not often");
    }
    assert_eq!(calls_as_the_person(&org), calls, "nothing is asked of the service itself");
    assert_eq!(service.said("the identity `user` is needs_human"), 1, "{}", service.all_said());
    assert_eq!(state(&org, "keepalive", "user").await, is("needs_human", "AADSTS50173"));
    let shown = org.shows(&["jobs"]).await.exits(0);
    assert!(shown.stdout.contains("user needs_human"), "{}", shown.stdout);
    assert!(shown.stderr.contains("hint: sign in again: `graphkeeper login`"), "{}", shown.stderr);
    // Somebody lifts the block.
    org.world().write().entra.habits.refresh_tokens = RefreshTokens::Honored;
    org.run(&["run", "keepalive"]).await.exits(0);
    service.says("the identity `user` is ok; it was needs_human").await;
    assert_eq!(state(&org, "keepalive", "user").await, is("ok", ""));
    let changes = "select state || ' ' || coalesce(reason, '-') from identity_change order by id";
    assert_eq!(org.database().await.texts(changes).await, ["needs_human AADSTS50173", "ok -"]);
    let view = "select state || ' ' || ends_first || ' ' || (ends > signed_in) from identity_state where name = 'user'";
    assert_eq!(org.database().await.texts(view).await, ["ok refresh_token 1"]);
    ends(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_application_stops_a_managers_run_before_either_side_is_read() {
    let org = Org::team(["ana"]).await;
    org.world().write().entra.habits.secrets_expired = true;
    for _ in 0..2 {
        let run = org.reconcile().await.exits(1);
        assert_eq!(run.reason(), "AADSTS7000222");
    }
    assert_eq!((org.asked(Service::Okta, PEOPLE), graph_calls(&org), tokens(&org)), (0, 0, 2));
    assert_eq!(state(&org, "managers", "app").await, is("misconfigured", "AADSTS7000222"));
    assert_eq!(state(&org, "managers", "okta").await, is("unknown", ""), "it was not asked");
    org.world().write().entra.habits.secrets_expired = false;
    org.reconcile().await.exits(0);
    assert_eq!(state(&org, "managers", "app").await, is("ok", ""));
    assert_eq!(state(&org, "managers", "okta").await, is("ok", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_okta_token_is_judged_by_what_it_is_answered() {
    let org = Org::team(["ana"]).await;
    let token = org.home().join("secrets/okta-token");
    let right = fs::read_to_string(&token).unwrap();
    fs::write(&token, "00wrong").unwrap();
    org.reconcile().await.exits(5);
    let dead = identity(&org, "managers", "okta").await;
    assert_eq!((&dead["state"], &dead["reason"]), (&"needs_human".into(), &"E0000011".into()), "{dead}");
    assert!(dead["hint"].as_str().unwrap().contains("make a new API token"), "{dead}");
    fs::write(&token, right).unwrap();
    org.reconcile().await.exits(0);
    assert_eq!(state(&org, "managers", "okta").await, is("ok", ""));
    let changes = "select name || ' ' || state from identity_change order by id";
    assert_eq!(org.database().await.texts(changes).await, ["okta needs_human", "okta ok"]);
}

/// A day so many days from now, as the configuration has it.
fn day(from_now: i64) -> String {
    let then = SystemClock.now() + jiff::SignedDuration::from_hours(24 * from_now);
    then.strftime("%Y-%m-%d").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_soon_is_told_by_check_and_by_a_service_that_runs_nothing() {
    let org = Org::empty().await;
    let ends_on = |date: &str| org.configure(&format!("{NEVER}[entra.app]\nclient_secret_ends = \"{date}\"\n"));
    ends_on(&day(5));
    let check = org.shows(&["check"]).await.exits(0);
    assert!(
        check.stdout.contains("warning:") && check.stdout.contains("the client secret ends on"),
        "{}",
        check.stdout
    );
    let mut service = org.serve().await;
    service.says("the identity `app` is expiring: the client secret ends on").await;
    let app = identity(&org, "licenses", "app").await;
    assert_eq!((&app["state"], &app["ends_first"]), (&"expiring".into(), &"client_secret".into()), "{app}");
    assert!(app["ends"].as_str().unwrap().starts_with(&day(5)), "{app}");
    org.run(&["run", "licenses"]).await.exits(0);
    assert_eq!(service.said("the identity `app` is"), 1, "a sign-in is no news");
    ends_on(&day(1));
    service.says_times("the identity `app` is expiring", 2).await;
    ends_on(&day(400));
    service.says("the identity `app` is ok; it was expiring").await;
    let notices = "select cast(coalesce(notice, 0) as text) from identity_change order by id";
    assert_eq!(org.database().await.texts(notices).await, ["7", "1", "0"]);
    ends(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_tells_its_end_and_a_refresh_token_is_good_for_ninety_days() {
    let org = Org::empty().await;
    let secrets = org.home().join("secrets");
    let (certificate, key) = (secrets.join("entra-certificate.pem"), secrets.join("entra-key.pem"));
    org.with_app(&format!(
        "method = \"certificate\"\ncertificate = {{ file = \"{}\" }}\nprivate_key = {{ file = \"{}\" }}",
        certificate.display(),
        key.display()
    ));
    org.run(&["run", "licenses"]).await.exits(0);
    org.run(&["run", "keepalive"]).await.exits(0);
    assert_eq!(identity(&org, "licenses", "app").await["ends_first"], "certificate");
    let user = identity(&org, "keepalive", "user").await;
    assert_eq!(user["ends_first"], "refresh_token");
    assert!(user["ends"].as_str().unwrap().starts_with(&day(90)), "{user}");
    // Nobody used it for 80 days.
    let path = org.state().join("entra-user.json");
    let mut stored: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    stored["obtained_at"] = format!("{}T12:00:00Z", day(-80)).into();
    fs::write(&path, stored.to_string()).unwrap();
    org.configure(NEVER);
    let mut service = org.serve().await;
    service.says("the identity `user` is expiring: the refresh token, if it is not used, ends on").await;
    ends(service).await;
    org.configure(AT_WILL);
    org.run(&["run", "keepalive"]).await.exits(0);
    assert_eq!(state(&org, "keepalive", "user").await, is("ok", ""), "using it renews it");
}

/// A person at the other end who agrees at once.
fn agrees(org: &Org) {
    let mut world = org.world().write();
    (world.entra.habits.person, world.entra.habits.device_interval) = (Person::AgreesAfter(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_signs_a_person_in_for_whoever_asks_and_counts_it_at_once() {
    let org = nobody().await;
    org.configure(&format!("{NEVER}min_interval = \"0 seconds\"\n"));
    agrees(&org);
    let mut service = org.serve().await;
    service.says("the identity `user` is needs_human: nobody has signed in yet").await;
    org.run(&["run", "keepalive"]).await.exits(5);
    let login = org.run(&["login"]).await.exits(0);
    by_the_service(&login, &service);
    assert_eq!(login.json()["signed_in"], true);
    assert!(login.stderr.contains("enter the code"), "{}", login.stderr);
    service.says("signed a person in").await;
    org.run(&["run", "keepalive"]).await.exits(0);
    let stored = org.state().join("entra-user.json");
    assert_eq!(fs::metadata(&stored).unwrap().permissions().mode() & 0o777, 0o600);
    let logout = org.run(&["logout"]).await.exits(0);
    by_the_service(&logout, &service);
    assert_eq!(logout.json()["signed_out"], true);
    assert!(!stored.exists());
    let run = org.run(&["run", "keepalive"]).await.exits(5);
    assert_eq!(run.reason(), "not_signed_in");
    assert_eq!(org.run(&["logout"]).await.exits(0).json()["signed_out"], false);
    let by = "select state || ' ' || count(distinct caller) from identity_change where caller is not null group by id";
    assert_eq!(org.database().await.texts(by).await, ["ok 1", "needs_human 1", "needs_human 1"]);
    ends(service).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(may_become_others), ignore = "only root can become a member of the group")]
async fn a_member_of_the_group_signs_a_person_in_and_is_on_record_and_owns_no_file() {
    let org = nobody().await;
    org.configure(&open_house(&org));
    agrees(&org);
    let mut service = org.spawn_as(0, MEMBER.1, &["daemon"]);
    service.says("serving").await;
    let login = org.spawn_as(MEMBER.0, MEMBER.1, &["login", "--json"]).finish().await.exits(0);
    by_the_service(&login, &service);
    service.says("uid 54321 signed a person in").await;
    assert!(owners(&org.state()).iter().all(|owner| *owner == 0), "{:?}", owners(&org.state()));
    let by = "select caller from identity_change where caller is not null";
    assert_eq!(org.database().await.texts(by).await, ["uid 54321"]);
    assert_eq!(identity(&org, "keepalive", "user").await["login_by"], "uid 54321");
    org.spawn_as(MEMBER.0, MEMBER.1, &["run", "keepalive"]).finish().await.exits(0);
    ends(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_comes_back_to_whoever_asked_and_the_service_redeems_what_it_brings() {
    let org = nobody().await;
    org.configure(NEVER);
    let mut service = org.serve().await;
    let login = by_browser(&org).await.exits(0);
    by_the_service(&login, &service);
    org.run(&["run", "keepalive"]).await.exits(0);
    org.world().write().entra.habits.person = Person::Declines;
    let declined = by_browser(&org).await.exits(5);
    assert!(declined.stderr.contains("AADSTS65004"), "{}", declined.stderr);
    service.says("nobody was signed in").await;
    assert_eq!(state(&org, "keepalive", "user").await, is("ok", ""), "the one who was signed in stays so");
    ends(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_has_given_the_sign_in_up() {
    let org = nobody().await;
    org.configure(NEVER);
    org.world().write().entra.habits.device_interval = 1;
    let mut service = org.serve().await;
    for (times, arguments) in [(1, &["login"][..]), (2, &["login", "--browser"])] {
        let mut login = org.spawn(arguments);
        login.says("To sign in, open").await;
        login.kill().await;
        service.says_times("went away, and nobody was signed in", times).await;
    }
    let mut login = org.spawn(&["login"]);
    login.says("To sign in, open").await;
    ends(service).await;
    let lost = login.finish().await.exits(1);
    assert!(lost.stderr.contains("the service went away"), "{}", lost.stderr);
    assert!(!org.state().join("entra-user.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_wants_is_passed_on_to_the_next_sign_in() {
    for served in [false, true] {
        for browser in [false, true] {
            let org = Org::empty().await;
            org.configure(&format!("{NEVER}min_interval = \"0 seconds\"\n"));
            agrees(&org);
            org.world().write().entra.habits.refresh_tokens = RefreshTokens::StepUp;
            org.run(&["run", "keepalive"]).await.exits(5);
            let service = if served { Some(org.serve().await) } else { None };
            let login = if browser { by_browser(&org).await } else { org.run(&["login"]).await };
            login.exits(0);
            org.run(&["run", "keepalive"]).await.exits(0);
            if let Some(service) = service {
                ends(service).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_asked_for_more_brings_it_the_next_time() {
    let org = nobody().await;
    agrees(&org);
    org.world().write().entra.habits.refresh_tokens = RefreshTokens::StepUp;
    let login = org.run(&["login"]).await.exits(5);
    assert!(login.stderr.contains("AADSTS50076"), "{}", login.stderr);
    org.run(&["login"]).await.exits(0);
    org.run(&["run", "keepalive"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_replaced_while_it_is_refused_is_tried_in_the_same_run() {
    let org = Org::empty().await;
    let path = org.home().join("secrets/entra-secret");
    let right = fs::read_to_string(&path).unwrap();
    fs::write(&path, "not-the-secret").unwrap();
    let gate = hold_token(&org, |gate| Fault::HoldAnswer { gate });
    let run = org.spawn(&["run", "licenses", "--json"]);
    reached(&gate).await;
    fs::write(&path, right).unwrap();
    gate.open();
    run.finish().await.exits(0);
    assert_eq!(tokens(&org), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_of_the_service_says_that_it_takes_a_restart() {
    let mut org = Org::empty().await;
    let directory = org.home().join("credentials");
    fs::create_dir(&directory).unwrap();
    org.keep_secret("../credentials/entra", "not-the-secret");
    org.env.push(("CREDENTIALS_DIRECTORY".to_owned(), directory.display().to_string()));
    org.with_app("client_secret = { credential = \"entra\" }");
    let run = org.run(&["run", "licenses"]).await.exits(1);
    assert!(run.hint().contains("systemctl restart"), "{}", run.hint());
    let app = identity(&org, "licenses", "app").await;
    assert!(app["hint"].as_str().unwrap().contains("systemctl restart"), "{app}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_a_rotation_no_session_is_lost() {
    let org = Org::empty().await;
    org.configure(AT_WILL);
    org.run(&["run", "keepalive"]).await.exits(0);
    // Before Entra hears of it, and when the new token is on disk, even a token that is good once is not lost.
    org.world().write().entra.habits.refresh_once = true;
    let gate = hold_token(&org, |gate| Fault::Hold { gate });
    let run = org.spawn(&["run", "keepalive"]);
    reached(&gate).await;
    run.kill().await;
    org.run(&["run", "keepalive"]).await.exits(0);
    let gate = org.hold("/v1.0/me", When::Nth(1));
    let run = org.spawn(&["run", "keepalive"]);
    reached(&gate).await;
    run.kill().await;
    org.faults().clear();
    org.run(&["run", "keepalive"]).await.exits(0);
    // While the answer is on its way, the old one is all there is: Entra honors it.
    org.world().write().entra.habits.refresh_once = false;
    let gate = hold_token(&org, |gate| Fault::HoldAnswer { gate });
    let run = org.spawn(&["run", "keepalive"]);
    reached(&gate).await;
    run.kill().await;
    org.run(&["run", "keepalive"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time_renews_an_identity() {
    let mut org = Org::empty().await;
    org.env.push(("GRAPHKEEPER_LOG".to_owned(), "info".to_owned()));
    org.configure(&format!("{AT_WILL}[jobs.second]\nkind = \"keepalive\"\nrequests = [\"/me\"]\n"));
    org.run(&["run", "keepalive"]).await.exits(0);
    // Two that used one token would end the session.
    org.world().write().entra.habits.refresh_once = true;
    let gate = hold_token(&org, |gate| Fault::Hold { gate });
    let first = org.spawn(&["run", "keepalive", "--json"]);
    reached(&gate).await;
    let mut second = org.spawn(&["run", "second", "--json"]);
    second.says("of second begins").await;
    gate.open();
    first.finish().await.exits(0);
    second.finish().await.exits(0);
    // Each of the three signs the person in once, and the application for its gauge.
    assert_eq!(tokens(&org), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_alone_is_not_asked_who_it_is() {
    let org = Org::empty().await;
    let text = fs::read_to_string(org.config()).unwrap();
    let (before, after) = text.split_once("[entra.user]").unwrap();
    let (_, after) = after.split_once("\n[").unwrap();
    fs::write(org.config(), format!("{before}[{after}")).unwrap();
    let check = org.shows(&["check"]).await.exits(2);
    assert!(check.stdout.contains("entra.user: is missing"), "{}", check.stdout);
    assert!(check.stdout.contains("speaks for itself alone, and Graph refuses /me to it"), "{}", check.stdout);
}
