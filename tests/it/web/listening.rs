//! Where the page is, whom it answers, and what becomes of it when the configuration changes.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::Org;
use crate::web::{PAGE, Page, TOKEN};

/// Waits until the page answers so.
async fn becomes(page: &Page, path: &str, headers: &[(&str, &str)], status: u16) {
    let waiting = async {
        while page.asked("GET", path, headers).await.status != status {
            tokio::task::yield_now().await;
        }
    };
    crate::support::within(&format!("{path} answers {status}"), waiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_page_listens_nowhere_and_one_with_it_is_alive_and_ready() {
    let org = Org::empty().await;
    let plain = org.serve().await;
    assert_eq!(plain.said("the page"), 0);
    plain.terminate();
    plain.finish().await.exits(0);
    org.configure(PAGE);
    let page = Page::of(&org).await;
    let alive = page.get("/healthz").await;
    assert_eq!((alive.status, alive.body.as_str()), (200, "ok\n"));
    let ready = page.get("/readyz").await;
    assert_eq!((ready.status, ready.json()), (200, serde_json::json!({ "ready": true, "reasons": [] })));
    let missing = page.get("/nowhere").await;
    assert_eq!((missing.status, missing.header("content-type")), (404, "application/problem+json"));
    assert_eq!(missing.json()["detail"], "there is nothing at /nowhere");
    let head = page.asked("HEAD", "/healthz", &[("host", "localhost")]).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_names_and_everything_but_reading_are_turned_away_and_every_answer_is_guarded() {
    let org = Org::empty().await;
    org.configure(&format!("{PAGE}hosts = [\"gk.example.com\"]\n"));
    let page = Page::of(&org).await;
    for (method, path, host, status) in [
        ("GET", "/healthz", "localhost", 200),
        ("GET", "/healthz", "gk.example.com", 200),
        ("GET", "/healthz", "evil.example", 421),
        ("GET", "/healthz", "192.0.2.7", 421),
        ("GET", "http://evil.example/healthz", "localhost", 421),
        ("POST", "/healthz", "localhost", 405),
        ("DELETE", "/nowhere", "localhost", 405),
        ("OPTIONS", "/healthz", "localhost", 405),
        ("GET", "/nowhere", "localhost", 404),
    ] {
        let answer = page.asked(method, path, &[("host", host), ("content-length", "0")]).await;
        assert_eq!(answer.status, status, "{method} {path} at {host}: {}", answer.body);
        assert!(answer.header("content-security-policy").starts_with("default-src 'none';"), "{}", answer.head);
        assert_eq!((answer.header("cache-control"), answer.header("x-content-type-options")), ("no-store", "nosniff"));
        assert_eq!(answer.header("allow"), if status == 405 { "GET, HEAD" } else { "" });
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    let nameless = page.says(b"GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(nameless.status, 421);
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_and_another_one_takes_effect_without_a_restart() {
    let org = Org::empty().await;
    let file = org.home().join("page-token");
    let token = |text: &str| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    };
    token("too short");
    org.configure(&format!("{PAGE}token = {{ file = {file:?} }}\n"));
    let checked = org.shows(&["check"]).await.exits(2);
    assert!(checked.all().contains("web.token: cannot be used: it has 9 characters"), "{}", checked.all());
    let mut service = org.serve().await;
    service.says("the page is not served: ").await;
    token(TOKEN);
    let page = Page::at(service).await;
    let bearer = |token: &str| format!("Bearer {token}");
    let by = async |given: &str| {
        page.asked("GET", "/nowhere", &[("host", "localhost"), ("authorization", given)]).await.status
    };
    let denied = page.get("/nowhere").await;
    assert_eq!(
        (denied.status, denied.header("www-authenticate")),
        (401, "Basic realm=\"graphkeeper\", charset=\"UTF-8\"")
    );
    assert_eq!(by(&bearer(TOKEN)).await, 404);
    assert_eq!(by("Basic YW5hOjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm").await, 404, "as the password of ana");
    assert_eq!(by(&bearer("0123456789abcdef0123456789abcdeF")).await, 401);
    assert_eq!(page.get("/healthz").await.status, 200);
    let new = TOKEN.replace('0', "f");
    token(&new);
    let given = bearer(&new);
    becomes(&page, "/nowhere", &[("host", "localhost"), ("authorization", &given)], 404).await;
    assert_eq!(by(&bearer(TOKEN)).await, 401, "the old one is over");
    assert!(!page.service.all_said().contains(TOKEN));
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_costs_the_page_and_nothing_else_and_is_told_everywhere() {
    let org = Org::team(["ana"]).await;
    org.moves("ana", "chief");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    org.configure(&format!("[web]\nlisten = \"{address}\"\n"));
    let mut service = org.serve().await;
    service.says(&format!("the page is not served at {address}: ")).await;
    org.reconcile().await.exits(0);
    assert_eq!(org.managed_by("chief"), 1, "jobs run");
    let jobs = org.shows(&["jobs"]).await.exits(0);
    assert!(
        jobs.stderr.contains("the page is not served at") && jobs.stderr.contains("name another"),
        "{}",
        jobs.stderr
    );
    drop(taken);
    let page = Page::at(service).await;
    assert_eq!(page.address, address, "it is tried again");
    let jobs = org.shows(&["jobs"]).await.exits(0);
    assert!(!jobs.stderr.contains("the page"), "{}", jobs.stderr);
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_takes_effect_when_it_is_saved_and_one_that_is_not_safe_is_refused() {
    let org = Org::empty().await;
    org.configure(PAGE);
    let page = Page::of(&org).await;
    org.configure("[web]\nlisten = \"[::1]:0\"\n");
    let (mut service, before) = (page.service, page.address);
    service.says_times("the page is at http://", 2).await;
    let page = Page::at(service).await;
    assert!(page.address.is_ipv6() && page.get("/healthz").await.status == 200);
    assert!(std::net::TcpStream::connect(before).is_err(), "nobody listens there any more");
    org.configure("[web]\nlisten = \"0.0.0.0:0\"\n");
    let mut service = page.service;
    service.says("web.listen: 0.0.0.0 is no loopback address").await;
    let page = Page { service, address: page.address };
    assert_eq!(page.get("/healthz").await.status, 200);
    let ready = page.get("/readyz").await;
    becomes(&page, "/readyz", &[("host", "localhost")], 200).await;
    assert_eq!(ready.json()["ready"], true, "the configuration before is served");
    org.configure("");
    let Page { mut service, address } = page;
    service.says("the page is not served any more").await;
    assert!(std::net::TcpStream::connect(address).is_err());
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_prints_where_its_page_is() {
    let org = Org::empty().await;
    let mut demo = org.spawn(&["demo", "--people", "12", "--state", org.home().join("demo").to_str().unwrap()]);
    demo.says("the page is at http://127.0.0.1:").await;
    let page = Page::at(demo).await;
    assert_eq!(page.get("/healthz").await.status, 200);
    let address = page.address;
    page.service.terminate();
    let printed = page.service.finish().await.exits(0).stdout;
    assert!(printed.contains(&format!("Page: http://{address}/\n")), "{printed}");
}
