//! Every way to sign in, with the real program against tenants that check as strictly as the vendors do.

mod entra;
mod fates;
mod okta;
mod pages;
mod terminal;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use graphkeeper::sandbox::faults::{Fault, Order, When};
use graphkeeper::sandbox::model::habits::Person;
use graphkeeper::sandbox::model::okta::Role;
use graphkeeper::sandbox::server::Service;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::process::Output;
use crate::support::{Org, within};

const TOKEN: &str = "/oauth2/v1/token";

impl Org {
    /// Puts other lines in the place of those of the configuration that begin so.
    pub(crate) fn reword(&self, lines: &[(&str, &str)]) {
        let mut text = fs::read_to_string(self.config()).unwrap();
        for (start, new) in lines {
            let old = text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no line {start}"));
            text = text.replacen(&old.to_owned(), new, 1);
        }
        fs::write(self.config(), text).unwrap();
    }

    /// A secret in a file beside the others.
    pub(crate) fn keep_secret(&self, name: &str, content: &str) -> String {
        let path = self.home().join("secrets").join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    /// Signs in to Okta with a key in the place of the token.
    pub(crate) fn with_okta_key(&self, key_id: &str, key: &str) {
        let (path, client) = (self.keep_secret("okta-key", key), &self.credentials().okta_client_id);
        let auth = format!("client_id = \"{client}\"\nkey_id = \"{key_id}\"\nprivate_key = {{ file = \"{path}\" }}");
        self.reword(&[("method = \"api-token\"", "method = \"private-key\""), ("token = ", &auth)]);
    }

    pub(crate) fn with_okta_service(&self) {
        let credentials = self.credentials().clone();
        self.with_okta_key(&credentials.okta_key_id, &credentials.okta_private_key);
    }

    /// Signs the application in otherwise.
    pub(crate) fn with_app(&self, auth: &str) {
        self.reword(&[("method = \"client-secret\"", ""), ("client_secret = ", auth)]);
    }

    /// How often a path of a service was asked for.
    pub(crate) fn asked(&self, service: Service, path: &str) -> usize {
        self.journal().rows(|row| row.service == service && row.path.ends_with(path)).len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_app_reads_okta_with_either_kind_of_key_bound_or_not() {
    for (elliptic, dpop) in [(false, true), (true, true), (true, false)] {
        let org = Org::team(["ana"]).await;
        org.moves("ana", "chief");
        org.world().write().okta.services[0].dpop = dpop;
        let credentials = org.credentials().clone();
        if elliptic {
            org.with_okta_key(&credentials.okta_ec_key_id, &credentials.okta_ec_private_key);
        } else {
            org.with_okta_key(&credentials.okta_key_id, &credentials.okta_private_key);
        }
        org.reconcile().await.exits(0);
        assert_eq!((org.writes(), org.managed_by("chief")), (1, 1));
        // Bound tokens need the nonce first.
        assert_eq!(org.asked(Service::Okta, TOKEN), if dpop { 2 } else { 1 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_as_jwk_signs_in_as_well() {
    let org = Org::team(["ana"]).await;
    let jwk = include_str!("../../src/auth/testing/rsa.jwk.json");
    let public = graphkeeper::sandbox::jwt::PublicKey::from_jwk(&public_half(jwk)).unwrap();
    org.world().write().okta.services[0].keys.push(("mine".to_owned(), public));
    org.with_okta_key("mine", jwk);
    org.reconcile().await.exits(0);
}

fn public_half(jwk: &str) -> serde_json::Value {
    let jwk: serde_json::Value = serde_json::from_str(jwk).unwrap();
    serde_json::json!({"kty": jwk["kty"], "n": jwk["n"], "e": jwk["e"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_an_admin_role_sees_nobody_and_nothing_is_planned() {
    let org = Org::team(["ana"]).await;
    org.moves("ana", "chief");
    org.with_okta_service();
    org.world().write().okta.services[0].role = Role::Nothing;
    let run = org.reconcile().await.exits(4);
    assert_eq!((run.outcome().as_str(), org.writes()), ("source_incomplete", 0));
    assert!(run.hint().contains("admin role"), "{}", run.hint());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_signs_in_by_every_method() {
    let org = Org::empty().await;
    let (certificate, key) = (org.credentials().certificate.clone(), org.credentials().private_key.clone());
    let both = org.keep_secret("both.pem", &format!("{key}{certificate}"));
    let certificate = org.keep_secret("certificate.pem", &certificate);
    let key = org.keep_secret("key.pem", &key);
    let token = org.keep_secret("platform-token", &org.workload_token(600));
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let secret = org.home().join("secrets/entra-secret").display().to_string();
    let original = fs::read_to_string(org.config()).unwrap();
    for auth in [
        format!("client_secret = {{ file = \"{secret}\" }}\nsend = \"basic\""),
        format!(
            "method = \"certificate\"\ncertificate = {{ file = \"{certificate}\" }}\nprivate_key = {{ file = \"{key}\" }}"
        ),
        format!(
            "method = \"certificate\"\nassertion = \"rs256\"\ncertificate = {{ file = \"{both}\" }}\nprivate_key = {{ file = \"{both}\" }}"
        ),
        format!("method = \"federated-token\"\ntoken_file = \"{token}\""),
    ] {
        fs::write(org.config(), &original).unwrap();
        org.with_app(&auth);
        org.shows(&["check"]).await.exits(0);
        let run = org.run(&["run", "licenses"]).await;
        assert_eq!(run.code, Some(0), "{auth}\n{}", run.all());
    }
    assert_eq!(org.asked(Service::Login, "/token"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_stops_only_the_jobs_that_need_it() {
    let org = Org::empty().await;
    fs::remove_file(org.home().join("secrets/okta-token")).unwrap();
    org.run(&["run", "licenses"]).await.exits(0);
    let run = org.shows(&["run", "managers"]).await.exits(2);
    assert!(run.stderr.contains("okta.auth.token cannot be read"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_key_is_found_by_check() {
    let org = Org::empty().await;
    org.with_okta_key("k", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let check = org.shows(&["check"]).await.exits(2);
    assert!(check.stdout.contains("okta.auth.private_key: cannot be used: it is encrypted"), "{}", check.stdout);
}

/// Nobody is signed in, and no token is configured.
pub(crate) async fn nobody() -> Org {
    let org = Org::empty().await;
    org.reword(&[("refresh_token = ", "")]);
    org
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_by_a_code_and_out_again() {
    let org = nobody().await;
    org.run(&["run", "keepalive"]).await.exits(5);
    org.world().write().entra.habits.person = Person::AgreesAfter(1);
    org.world().write().entra.habits.device_interval = 1;
    let login = org.run(&["login"]).await.exits(0);
    assert_eq!(login.json()["signed_in"], true);
    assert!(login.stderr.contains("/devicelogin") && login.stderr.contains("enter the code"), "{}", login.stderr);
    let stored = org.state().join("entra-user.json");
    assert_eq!(fs::metadata(&stored).unwrap().permissions().mode() & 0o777, 0o600);
    org.run(&["run", "keepalive"]).await.exits(0);
    let logout = org.run(&["logout"]).await.exits(0);
    assert_eq!(logout.json()["signed_out"], true);
    assert!(!stored.exists());
    let run = org.run(&["run", "keepalive"]).await.exits(5);
    assert!(run.hint().contains("graphkeeper login"), "{}", run.hint());
}

/// The person types the code at the device page, and agrees.
async fn approve(org: &Org, code: &str) {
    let port = org.login_url().rsplit(':').next().unwrap().to_owned();
    let body = format!("user_code={code}&answer=yes");
    let request = format!(
        "POST /devicelogin HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = within("the page answers", knock(&port, &request)).await;
    assert!(answer.contains("You may close this window"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_types_the_code_at_the_page_is_signed_in() {
    let org = nobody().await;
    org.world().write().entra.habits.device_interval = 1;
    let mut login = org.spawn(&["login", "--json"]);
    login.says("enter the code").await;
    login.says("The code is good").await;
    let said = login.all_said();
    let code = said.lines().rfind(|line| line.starts_with("    ")).unwrap().trim();
    approve(&org, code).await;
    login.finish().await.exits(0);
    org.run(&["run", "keepalive"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_declined_or_outlived_keeps_nothing() {
    let org = nobody().await;
    org.world().write().entra.habits.device_interval = 1;
    org.world().write().entra.habits.person = Person::Declines;
    let login = org.shows(&["login"]).await.exits(5);
    assert!(login.stderr.contains("declined"), "{}", login.stderr);
    org.world().write().entra.habits.person = Person::Comes;
    org.world().write().entra.habits.device_life = std::time::Duration::from_secs(2);
    let login = org.shows(&["login"]).await.exits(5);
    assert!(login.stderr.contains("nobody signed in while the code was good"), "{}", login.stderr);
    assert!(!org.state().join("entra-user.json").exists());
}

/// Sends a request to a port of this machine and reads the answer to its end.
async fn knock(port: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Asks as a browser would; follows nothing.
async fn get(address: &str) -> String {
    let rest = address.strip_prefix("http://").unwrap();
    let (host, target) = rest.split_once('/').unwrap();
    let port = host.rsplit(':').next().unwrap();
    let request = format!("GET /{target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    within("the server answers", knock(port, &request)).await
}

/// What a browser does that `login --browser` sends on its way. Answers how the program ended.
pub(crate) async fn by_browser(org: &Org) -> Output {
    by_browser_changing(org, |address| address).await
}

/// The same with a browser that opens another address than it was told.
async fn by_browser_changing(org: &Org, change: impl FnOnce(String) -> String) -> Output {
    let mut login = org.spawn(&["login", "--browser", "--json"]);
    login.says("/authorize?").await;
    let said = login.all_said();
    let address = said.lines().find(|line| line.contains("/authorize?")).unwrap().trim().to_owned();
    let port = address.split("localhost%3A").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let redirected = get(&change(address)).await;
    let back = redirected.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().trim().to_owned();
    // A browser asks for `/` where no path is named; and it is the program that listens, whatever was redirected to.
    let back = format!("http://localhost:{port}/?{}", back.split_once('?').unwrap().1);
    let stranger = get(&back.replace("state=", "state=x")).await;
    assert!(stranger.starts_with("HTTP/1.1 404"), "only the answer to its own question counts: {stranger}");
    let page = get(&back).await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    login.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_by_the_browser_or_declines_there() {
    let org = nobody().await;
    by_browser(&org).await.exits(0);
    org.run(&["run", "keepalive"]).await.exits(0);
    org.run(&["logout"]).await.exits(0);
    org.world().write().entra.habits.person = Person::Declines;
    let declined = by_browser(&org).await.exits(5);
    assert!(declined.stderr.contains("AADSTS65004"), "{}", declined.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_refresh_token_is_encrypted_where_a_key_is_given() {
    let org = Org::empty().await;
    let key = org.keep_secret("seal", &"k".repeat(32));
    org.configure(&format!(
        "[entra.user]\nencryption_key = {{ file = \"{key}\" }}\n[jobs.keepalive]\nmin_interval = \"0 seconds\""
    ));
    org.run(&["run", "keepalive"]).await.exits(0);
    let text = fs::read_to_string(org.state().join("entra-user.json")).unwrap();
    assert!(text.contains("\"version\": 2") && !text.contains("\"1."), "{text}");
    org.run(&["run", "keepalive"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claims_challenge_is_answered_with_the_next_token() {
    let org = Org::empty().await;
    org.world().write().entra.habits.claims_wanted = Some(r#"{"access_token":{"nbf":{"essential":true}}}"#);
    org.run(&["run", "licenses"]).await.exits(0);
    assert_eq!(org.asked(Service::Login, "/token"), 2);
}

/// Has every sign-in refused so.
fn refuse(org: &Org, service: Service, path: &str, fault: Fault) {
    org.faults().clear();
    org.faults().order(Order::new(service, path, fault).when(When::Always));
}

/// Entra's token endpoint, and the one that begins a device's sign-in.
const ENTRA_TOKEN: &str = "/*/oauth2/v2.0/token";
const ENTRA_DEVICE: &str = "/*/oauth2/v2.0/devicecode";

/// A keepalive job that a test may run as often as it likes.
pub(crate) const OFTEN: &str = "[jobs.keepalive]\nmin_interval = \"0 seconds\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_credential_costs_two_token_calls_a_run_at_most() {
    let org = Org::team(["ana"]).await;
    refuse(&org, Service::Login, ENTRA_TOKEN, Fault::refuse_sign_in("7000222"));
    org.reconcile().await.exits(1);
    assert!(org.asked(Service::Login, "/token") <= 2, "{}", org.asked(Service::Login, "/token"));
    let before = org.asked(Service::Login, "/token");
    refuse(&org, Service::Login, ENTRA_TOKEN, Fault::refuse_sign_in("700082"));
    org.run(&["run", "keepalive"]).await.exits(5);
    // The person's, and the application's that reads the gauge: both are refused here.
    assert!(org.asked(Service::Login, "/token") - before <= 4);
}

/// What a vendor's server answers a request that is sent as it is: status, header lines in lower case, body.
async fn served(base: &str, method: &str, path: &str) -> (u16, String, String) {
    let host = base.strip_prefix("http://").unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let answer = within("the server answers", knock(host.rsplit(':').next().unwrap(), &request)).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}
