//! `doctor`, with the real program against tenants that have what it looks for: each finding is provoked once, and the
//! tenants' own journal says that nothing was written.

use graphkeeper::sandbox::Options;
use graphkeeper::sandbox::faults::{Fault, Order, When};
use graphkeeper::sandbox::model::entra::{Domain, OnPremises};
use graphkeeper::sandbox::model::okta::{App, Role};
use graphkeeper::sandbox::server::{Service, now};
use jiff::SignedDuration;
use serde_json::Value;

use crate::support::process::Output;
use crate::support::{ACCOUNTS, Org, PEOPLE};

/// What one examination said.
struct Examined {
    output: Output,
    report: Value,
}

impl Org {
    /// Examines, and sees to it that the tenants were only asked.
    async fn examine(&self, code: i32) -> Examined {
        let before = self.journal().requests(Service::Okta) + self.journal().requests(Service::Graph);
        let output = self.run(&["doctor"]).await.exits(code);
        let wrote = |method: &str, path: &str| method != "GET" && !path.ends_with("/token");
        let written = self.journal().rows(|row| row.write.is_some() || wrote(&row.method, &row.path));
        assert!(written.is_empty(), "{written:?}");
        let after = self.journal().requests(Service::Okta) + self.journal().requests(Service::Graph);
        let report = output.json();
        assert_eq!(calls(&report, &["okta", "graph"]), after - before, "every request is counted");
        assert_eq!(report["exit_code"], code);
        Examined { output, report }
    }
}

fn calls(report: &Value, services: &[&str]) -> u64 {
    let all = report["calls"].as_array().unwrap().iter();
    all.filter(|call| services.contains(&call["service"].as_str().unwrap()))
        .map(|call| call["calls"].as_u64().unwrap())
        .sum()
}

impl Examined {
    /// The findings of a check.
    fn of(&self, check: &str) -> Vec<&Value> {
        self.report["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == check).collect()
    }

    /// The one finding of a check about something, as severity and sentence.
    #[track_caller]
    fn one(&self, check: &str, about: &str) -> (&str, &Value) {
        let found: Vec<&Value> = self.of(check).into_iter().filter(|finding| finding["about"] == about).collect();
        assert_eq!(found.len(), 1, "{check} about {about} in\n{:#}", self.report["findings"]);
        (found[0]["severity"].as_str().unwrap(), found[0])
    }

    /// Checks the severity of a finding, and that its sentence, remedy and place hold these words.
    #[track_caller]
    fn says(&self, (check, about): (&str, &str), severity: &str, words: &[&str]) {
        let (found, finding) = self.one(check, about);
        let text = ["what", "remedy", "grant"].map(|key| finding[key].as_str().unwrap_or_default()).join("\n");
        assert!(found == severity && words.iter().all(|words| text.contains(words)), "{words:?} in {finding:#}");
    }

    /// What is worse than a note, as check and subject.
    fn amiss(&self) -> Vec<(&str, &str)> {
        let all = self.report["findings"].as_array().unwrap().iter();
        let bad = all.filter(|finding| finding["severity"] == "problem" || finding["severity"] == "warning");
        bad.map(|finding| (finding["check"].as_str().unwrap(), finding["about"].as_str().unwrap())).collect()
    }
}

/// The keys of an object and the kinds of their values, those of the first element of a list too.
fn shape(value: &Value, name: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| shape(value, &format!("{name}.{key}"), out)),
        Value::Array(items) => match items.first() {
            Some(first) => shape(first, &format!("{name}[]"), out),
            None => out.push(format!("{name}: empty list")),
        },
        Value::String(_) => out.push(format!("{name}: text")),
        Value::Number(_) => out.push(format!("{name}: number")),
        Value::Bool(_) => out.push(format!("{name}: flag")),
        Value::Null => out.push(format!("{name}: null")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn healthy_tenants_have_no_problem_and_nothing_is_changed() {
    let org = Org::agreed(40).await;
    let examined = org.examine(0).await;
    assert_eq!((&examined.report["verdict"], examined.amiss()), (&"healthy".into(), vec![]));
    examined.says(("sign_in", "okta"), "ok", &["takes the API token"]);
    examined.says(("sign_in", "entra.app"), "ok", &["signs in"]);
    examined.says(("sign_in", "entra.user"), "ok", &["signs in"]);
    examined.says(("permissions", "entra.app"), "ok", &["User.ReadWrite.All", "LicenseAssignment.Read.All"]);
    examined.says(("permissions", "entra.user"), "ok", &["User.Read"]);
    examined.says(("read", "okta /api/v1/users"), "ok", &["40 people"]);
    examined.says(("read", "graph /users"), "ok", &["41 of 41 accounts"]);
    examined.says(("read", "graph /me as the user"), "ok", &["200"]);
    examined.says(("resolver", "managers"), "ok", &["managerEmail as email: 100 %; managerId as login: 100 %"]);
    examined.says(("correlation", "managers"), "ok", &["100 % of 40 people"]);
    examined.says(("on_premises", "accounts"), "ok", &["none of 41"]);
    examined.says(("federation", "corp.example"), "ok", &["federated with Okta, by its app Microsoft Office 365"]);
    examined.says(("okta_push", "okta"), "ok", &["does not push"]);
    examined.says(("clock", "okta"), "ok", &["agrees"]);
    examined.says(("tls", "graph"), "note", &["plain http to 127.0.0.1:"]);
    examined.says(("subscription", "subscriptions"), "ok", &["DEVELOPERPACK_E5", "in 6"]);
    examined.says(("credential", "entra.app"), "note", &["client_secret_ends", "Certificates & secrets"]);
    examined.says(
        ("bypass_dir_sync", "bypassDirSyncOverridesEnabled"),
        "note",
        &["not checked", "OnPremDirectorySynchronization.Read.All", "entra.user.scopes"],
    );
    // A page of people and the apps; accounts, their number, two of licenses, the tenant, domains; and as the user.
    assert_eq!(org.journal().pages(Service::Okta, PEOPLE), 1);
    assert_eq!(org.journal().pages(Service::Graph, ACCOUNTS), 1);
    assert_eq!(calls(&examined.report, &["okta", "entra", "graph"]), 2 + 2 + 6 + 3);
    assert!(!org.database_path().exists(), "nothing is kept of an examination");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_has_a_shape_that_programs_rely_on() {
    let org = Org::agreed(20).await;
    let examined = org.examine(0).await;
    let mut lines = Vec::new();
    let mut report = examined.report.clone();
    // The first finding is any; one that has everything stands for all.
    let finding = examined.one("credential", "entra.app").1.clone();
    report["findings"] = serde_json::json!([finding]);
    shape(&report, "", &mut lines);
    insta::assert_snapshot!(lines.join("\n"), @r"
    .at: text
    .calls[].calls: number
    .calls[].service: text
    .counts.note: number
    .counts.ok: number
    .counts.problem: number
    .counts.warning: number
    .exit_code: number
    .findings[].about: text
    .findings[].check: text
    .findings[].grant: text
    .findings[].remedy: text
    .findings[].severity: text
    .findings[].turn: null
    .findings[].what: text
    .findings[].why: text
    .rules[].attribute: text
    .rules[].configured: flag
    .rules[].is: text
    .rules[].job: text
    .rules[].people: number
    .rules[].percent: number
    .rules[].resolved: number
    .services[].certificate_ends: null
    .services[].clock_ahead_seconds: number
    .services[].host: text
    .services[].issuer: null
    .services[].service: text
    .services[].tls: null
    .verdict: text
    .version: text
    ");
    let csv = org.shows(&["doctor", "--output", "csv"]).await.exits(0).stdout;
    assert!(csv.starts_with("severity,check,about,what,why,remedy,grant,turn\n"), "{csv}");
    let text = org.shows(&["doctor"]).await.exits(0).stdout;
    assert!(text.contains("nothing was changed") && text.contains("ok       okta: sign in: "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_examines_itself_when_one_answers() {
    let org = Org::agreed(20).await;
    org.configure("[jobs.managers]\nschedule = \"0 0 1 1 *\"\n[jobs.licenses]\nschedule = \"0 0 1 1 *\"\n[jobs.keepalive]\nschedule = \"0 0 1 1 *\"");
    let service = org.serve().await;
    let examined = org.examine(0).await;
    assert!(examined.output.stderr.contains("carries it out"), "{}", examined.output.stderr);
    assert_eq!(service.said("asks for an examination"), 1);
    examined.says(("credential", "okta"), "warning", &["uses it more rarely"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_token_a_dead_secret_and_nobody_signed_in_are_told_apart() {
    let org = Org::agreed(20).await;
    org.world().write().okta.tokens.clear();
    let examined = org.examine(5).await;
    examined.says(("sign_in", "okta"), "problem", &["E0000011", "Security, API, Tokens"]);
    examined.says(("resolver", "managers"), "note", &["not checked"]);
    assert_eq!(org.journal().requests(Service::Okta), 1, "a dead token is not asked again");

    let org = Org::agreed(20).await;
    org.world().write().entra.habits.secrets_expired = true;
    let examined = org.examine(2).await;
    examined.says(("sign_in", "entra.app"), "problem", &["AADSTS7000222", "has expired", "Certificates & secrets"]);
    assert_eq!(examined.one("sign_in", "entra.app").1["turn"], "configuration");
    assert_eq!(org.journal().requests(Service::Login), 2, "the application and the user, once each");

    let org = Org::agreed(20).await;
    org.reword(&[("refresh_token = ", "")]);
    let examined = org.examine(5).await;
    examined.says(("sign_in", "entra.user"), "problem", &["nobody has signed in", "graphkeeper login"]);
    examined.says(("bypass_dir_sync", "bypassDirSyncOverridesEnabled"), "note", &["nobody is signed in"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_that_are_missing_or_too_many_are_named_with_the_way_to_them() {
    let org = Org::agreed(20).await;
    org.world().write().entra.apps[0].roles = vec!["Directory.Read.All".to_owned(), "Mail.Send".to_owned()];
    let examined = org.examine(5).await;
    let lacking: Vec<_> = examined.of("permissions").into_iter().filter(|it| it["severity"] == "problem").collect();
    assert_eq!(lacking.len(), 1, "Directory.Read.All reads everything: {lacking:?}");
    let text = lacking[0].to_string();
    for words in ["lacks User.ReadWrite.All, which managers needs", "Application permissions", "Grant admin consent"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let surplus = examined.of("permissions").into_iter().find(|it| it["severity"] == "note").unwrap();
    assert!(surplus["what"].as_str().unwrap().contains("Directory.Read.All, Mail.Send"), "{surplus}");

    let org = Org::agreed(20).await;
    org.world().write().entra.apps[0].roles.clear();
    let examined = org.examine(5).await;
    assert!(examined.report["findings"].to_string().contains("nobody has consented yet"));
    examined.says(("read", "graph /users"), "problem", &["Authorization_RequestDenied", "User.Read.All"]);
    examined.says(("federation", "domains"), "note", &["not checked", "Domain.Read.All"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_okta_app_without_scopes_or_without_a_role_is_named_as_such() {
    let org = Org::agreed(20).await;
    org.with_okta_service();
    let examined = org.examine(0).await;
    examined.says(("permissions", "okta"), "ok", &["okta.users.read"]);
    examined.says(("okta_push", "okta"), "ok", &["does not push"]);

    org.world().write().okta.services[0].scopes = vec!["okta.users.read".to_owned()];
    let group = org.world().okta().add_group("staff", []);
    org.configure(&format!("[jobs.managers]\nscope = {{ group = \"{group}\" }}"));
    let examined = org.examine(5).await;
    examined.says(("permissions", "okta"), "problem", &["did not grant okta.groups.read", "Okta API Scopes"]);
    examined.says(("read", "scope of managers"), "problem", &["insufficient_scope"]);
    examined.says(("okta_push", "okta"), "note", &["not checked", "okta.apps.read"]);

    org.configure("");
    org.world().write().okta.services[0].scopes.push("okta.apps.read".to_owned());
    org.world().write().okta.services[0].role = Role::Nothing;
    let examined = org.examine(5).await;
    examined.says(
        ("empty_list", "okta /api/v1/users"),
        "problem",
        &["200 and lists nobody", "without an admin role", "Admin Roles, Edit assignments"],
    );
    examined.says(("okta_push", "okta"), "note", &["neither people nor apps"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_lists_nobody_is_a_mistake_in_the_file() {
    let org = Org::agreed(20).await;
    let group = org.world().okta().add_group("nobody", []);
    org.configure(&format!("[jobs.managers]\nscope = {{ group = \"{group}\" }}"));
    org.examine(2).await.says(("read", "scope of managers"), "problem", &["lists nobody", "`scope`"]);
}

/// People whose mail is another than their login, who name `boss` by mail in one attribute and by login in another.
async fn two_names() -> Org {
    let org = Org::empty().await;
    let world = org.world();
    world.hire("boss").set("email", "boss@mail.example");
    for (number, name) in ["ana", "bo", "cy", "di", "ed", "flo"].into_iter().enumerate() {
        let person = world.hire(name);
        person.set("email", format!("{name}@mail.example").as_str()).set("superiorMail", "boss@mail.example");
        person.set("managerId", if number < 3 { "boss@corp.example" } else { "" });
    }
    org
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_lead_nowhere_are_told_with_those_that_would() {
    let org = two_names().await;
    org.configure("[jobs.managers]\nmanager = [ { attribute = \"managerId\", is = \"login\" } ]\ncanaries = []");
    let examined = org.examine(0).await;
    examined.says(
        ("resolver", "managers"),
        "warning",
        &[
            "managerId as login: 50 %; together 50 % of 6 people",
            "superiorMail as email: 100 %",
            "lead 100 % to somebody",
            "manager = [ { attribute = \"superiorMail\", is = \"email\" } ]",
        ],
    );
    let rules = examined.report["rules"].as_array().unwrap();
    let share = |attribute: &str| rules.iter().find(|rule| rule["attribute"] == attribute).unwrap();
    assert_eq!((&share("managerId")["percent"], &share("managerId")["configured"]), (&50.into(), &true.into()));
    assert_eq!((&share("superiorMail")["resolved"], &share("superiorMail")["configured"]), (&6.into(), &false.into()));
    // What was proposed is taken as it stands.
    let proposed = examined.one("resolver", "managers").1["grant"].as_str().unwrap().to_owned();
    org.configure(&format!("[jobs.managers]\n{proposed}\ncanaries = []"));
    org.examine(0).await.says(("resolver", "managers"), "ok", &["superiorMail as email: 100 %; together 100 %"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_that_nobody_has_is_a_mistake_in_the_file() {
    let org = two_names().await;
    org.configure("[jobs.managers]\nmanager = [ { attribute = \"superiorMial\", is = \"login\" } ]\ncanaries = []");
    let examined = org.examine(2).await;
    examined.says(("resolver", "managers"), "problem", &["superiorMial as login: 0 %", "superiorMail as email: 100 %"]);
    let org = Org::empty().await;
    (0..6).for_each(|number| drop(org.world().hire(&format!("m{number}"))));
    org.configure("[jobs.managers]\nmanager = [ { attribute = \"bossMail\", is = \"email\" } ]\ncanaries = []");
    let examined = org.examine(2).await;
    examined.says(("resolver", "managers"), "problem", &["none of 6 people", "has an attribute `bossMail`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_beyond_the_first_page_are_looked_up_and_so_are_accounts() {
    let org = Org::start(Options::agreed(1500)).await;
    let examined = org.examine(0).await;
    examined.says(("read", "okta /api/v1/users"), "ok", &["200 people"]);
    examined.says(("read", "graph /users"), "ok", &["999 of 1501"]);
    examined.says(("resolver", "managers"), "ok", &["together 100 %"]);
    examined.says(("correlation", "managers"), "ok", &["100 % of 200 people"]);
    let requests = calls(&examined.report, &["okta", "entra", "graph"]);
    assert!(requests < 13 + 10 + 30, "{requests} requests");
    assert_eq!(org.journal().pages(Service::Graph, "/v1.0/users/$count"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_without_accounts_are_a_matter_of_the_correlate_rules() {
    let org = Org::agreed(20).await;
    org.configure("[jobs.managers]\ncorrelate = [ { okta = \"department\", entra = \"employeeId\" } ]");
    org.examine(2).await.says(
        ("correlation", "managers"),
        "problem",
        &["0 % of 20 people", "20 people none", "correlate"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_from_on_premises_and_the_switch_for_their_phones_are_shown() {
    let org = Org::agreed(20).await;
    let permission = "OnPremDirectorySynchronization.Read.All";
    let names: Vec<String> =
        org.world().read().entra.iter().take(5).map(|it| it.user_principal_name.to_string()).collect();
    for name in &names {
        org.world().entra().account(name).mastered_on_premises();
    }
    {
        let mut state = org.world().write();
        let last_sync = "2026-01-01T00:00:00Z".parse().ok();
        state.entra.on_premises = OnPremises { enabled: Some(true), last_sync, bypass_overrides: true };
        state.entra.apps[1].scopes.push(permission.to_owned());
    }
    org.configure(&format!("[entra.user]\nscopes = [\"{permission}\"]"));
    let examined = org.examine(0).await;
    examined.says(("on_premises", "accounts"), "note", &["5 of 21 (23 %)", "isCloudManaged"]);
    examined.says(("on_premises", "synchronization"), "note", &["last synchronized", "Entra Connect"]);
    let (_, bypass) = examined.one("bypass_dir_sync", "bypassDirSyncOverridesEnabled");
    assert!(bypass["what"].as_str().unwrap().starts_with("on: Mobile and OtherMobile"), "{bypass}");
    assert!(bypass["why"].as_str().unwrap().contains("does not make `manager` writable"), "{bypass}");
    org.world().write().entra.on_premises.bypass_overrides = false;
    org.examine(0).await.says(("bypass_dir_sync", "bypassDirSyncOverridesEnabled"), "ok", &["off"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn federation_and_what_okta_itself_pushes_are_told() {
    let org = Org::agreed(20).await;
    {
        let mut state = org.world().write();
        let domain = |name: &str, federated| Domain { name: name.to_owned(), federated, default: false };
        state.entra.domains.extend([domain("other.example", true), domain("third.example", false)]);
        state.okta.apps[0].features = vec!["PUSH_NEW_USERS".to_owned(), "PUSH_PROFILE_UPDATES".to_owned()];
        state
            .okta
            .apps
            .push(App { label: "Office of third".to_owned(), ..App::office365("0oaThird", "third.example") });
    }
    let examined = org.examine(0).await;
    examined.says(("federation", "other.example"), "note", &["another service does"]);
    examined.says(("federation", "third.example"), "note", &["Office of third", "the federation is not on"]);
    let pushes: Vec<_> =
        examined.of("okta_push").iter().map(|it| it["severity"].as_str().unwrap().to_owned()).collect();
    assert_eq!(pushes, ["warning", "ok"]);
    let text = examined.of("okta_push")[0].to_string();
    assert!(text.contains("Provisioning, To App, Attribute Mappings, manager"), "{text}");
    // The domains' own list, where it may be read, says the same.
    org.world().write().entra.apps[0].roles.push("Domain.Read.All".to_owned());
    org.examine(0).await.says(("federation", "corp.example"), "ok", &["federated with Okta"]);
    assert_eq!(org.journal().pages(Service::Graph, "/v1.0/domains"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_comes_near_and_one_that_has_passed_are_told() {
    let org = Org::agreed(20).await;
    let soon = now() + SignedDuration::from_hours(24 * 5 + 1);
    org.world().write().entra.subscriptions[0].next_lifecycle = Some(soon);
    org.examine(0).await.says(("subscription", "DEVELOPERPACK_E5"), "warning", &["in 5 days", "promises"]);
    org.world().write().entra.subscriptions[0].status = "Suspended".to_owned();
    org.examine(1).await.says(("subscription", "DEVELOPERPACK_E5"), "problem", &["is Suspended"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_and_a_service_that_is_away_are_told() {
    let org = Org::agreed(20).await;
    let ahead = |seconds| Order::new(Service::Okta, PEOPLE, Fault::OtherClock { seconds });
    org.faults().order(ahead(400).when(When::Nth(1)));
    let examined = org.examine(2).await;
    examined.says(("clock", "okta"), "problem", &["seconds ahead of", "timedatectl"]);
    examined.says(("clock", "graph"), "ok", &["agrees"]);
    let okta = examined.report["services"].as_array().unwrap().iter().find(|it| it["service"] == "okta").unwrap();
    assert!((398..=401).contains(&okta["clock_ahead_seconds"].as_i64().unwrap()), "{okta}");

    // Nobody listens there.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    org.configure(&format!("[okta]\norg_url = \"http://{gone}\""));
    let output = org.run(&["doctor"]).await.exits(1);
    assert!(output.stdout.contains("no connection to"), "{}", output.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_read_is_a_mistake_in_the_file_and_the_rest_is_examined() {
    let org = Org::agreed(20).await;
    std::fs::remove_file(org.home().join("secrets/okta-token")).unwrap();
    let examined = org.examine(2).await;
    examined.says(("sign_in", "okta"), "problem", &["okta.auth.token", "cannot be read"]);
    examined.says(("sign_in", "entra.app"), "ok", &["signs in"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_and_a_secret_tell_when_they_end() {
    let org = Org::agreed(20).await;
    org.configure("[entra.app]\nclient_secret_ends = \"2020-01-31\"");
    org.examine(0).await.says(("credential", "entra.app"), "warning", &["2020-01-31, which has passed"]);
    org.configure("[entra.app]\nclient_secret_ends = \"2099-01-31\"");
    org.examine(0).await.says(("credential", "entra.app"), "ok", &["ends on 2099-01-31"]);
    org.configure("");
    let certificate = org.keep_secret("c.pem", &org.credentials().certificate.clone());
    let key = org.keep_secret("k.pem", &org.credentials().private_key.clone());
    org.with_app(&format!(
        "method = \"certificate\"\ncertificate = {{ file = \"{certificate}\" }}\nprivate_key = {{ file = \"{key}\" }}"
    ));
    org.examine(0).await.says(("credential", "entra.app"), "ok", &["the certificate ends on 20"]);
}
