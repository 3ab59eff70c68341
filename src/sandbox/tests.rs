//! The sandbox as a client sees it.

use std::collections::HashSet;
use std::sync::LazyLock;

use reqwest::{Client, StatusCode};
use serde_json::Value;

use super::faults::{Fault, Order, RetryAfter, When};
use super::server::Rates;
use super::*;

/// One for all tests, since making one reads the system's certificates; without a pool, which would outlive the
/// runtime of its test.
fn client() -> &'static Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| {
        Client::builder().redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0).build().unwrap()
    });
    &CLIENT
}

async fn get(sandbox: &Sandbox, target: &str) -> reqwest::Response {
    let url = if target.starts_with("http") { target.to_owned() } else { format!("{}{target}", sandbox.okta_url()) };
    let token = format!("SSWS {}", sandbox.credentials().okta_token);
    client().get(url).header("authorization", token).send().await.unwrap()
}

/// The target of the `next` link.
fn next(response: &reqwest::Response) -> Option<String> {
    let links = response.headers().get_all("link");
    let texts: Vec<&str> = links.iter().map(|line| line.to_str().unwrap()).collect();
    let line = texts.iter().find(|line| line.ends_with("rel=\"next\""))?;
    Some(line[1..line.find('>').unwrap()].to_owned())
}

/// Pages through a listing: the ids on each page.
async fn walk(sandbox: &Sandbox, target: &str) -> Vec<Vec<String>> {
    let mut target = target.to_owned();
    let mut pages = Vec::new();
    loop {
        let response = get(sandbox, &target).await;
        assert_eq!(response.status(), StatusCode::OK);
        let following = next(&response);
        let page: Vec<Value> = response.json().await.unwrap();
        pages.push(page.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect());
        assert!(pages.len() < 1_000, "a listing ends");
        match following {
            Some(following) => target = following,
            None => return pages,
        }
    }
}

async fn code(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["errorCode"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn everybody_is_listed_once_and_the_last_page_has_no_next() {
    let sandbox = Sandbox::start(Options::agreed(450)).await.unwrap();
    let pages = walk(&sandbox, "/api/v1/users").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [200, 200, 50]);
    let everybody: HashSet<&String> = pages.iter().flatten().collect();
    assert_eq!(everybody.len(), 450);
    assert_eq!(sandbox.journal().pages(Service::Okta, "/api/v1/users"), 3);
    sandbox.stop().await;
}

#[tokio::test]
async fn page_sizes_are_clamped_and_a_full_last_page_ends_the_listing() {
    let sandbox = Sandbox::start(Options::agreed(400)).await.unwrap();
    assert_eq!(walk(&sandbox, "/api/v1/users?limit=1000").await.len(), 2);
    let group = sandbox.world().read().okta.groups[0].id.clone();
    assert_eq!(walk(&sandbox, &format!("/api/v1/groups/{group}/users?limit=150")).await.len(), 3);
    let app = sandbox.world().read().okta.apps[0].id.clone();
    assert_eq!(walk(&sandbox, &format!("/api/v1/apps/{app}/users")).await.len(), 8);
    assert_eq!(walk(&sandbox, &format!("/api/v1/apps/{app}/users?limit=500")).await.len(), 1);
}

#[tokio::test]
async fn the_links_are_two_lines_with_the_address_as_okta_writes_it() {
    let sandbox = Sandbox::start(Options::agreed(12)).await.unwrap();
    let response = get(&sandbox, "/api/v1/users?search=status%20eq%20%22ACTIVE%22&limit=5&sortOrder=desc").await;
    let links: Vec<&str> = response.headers().get_all("link").iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!(links.len(), 2);
    let base = sandbox.okta_url();
    assert_eq!(links[0], format!("<{base}/api/v1/users?limit=5&search=status+eq+%22ACTIVE%22>; rel=\"self\""));
    assert!(links[1].starts_with(&format!("<{base}/api/v1/users?after=")), "{}", links[1]);
    assert!(response.headers().contains_key("x-okta-request-id"));
    assert!(response.headers().contains_key("date"));
}

#[tokio::test]
async fn the_bare_listing_hides_the_deprovisioned_and_a_search_finds_them() {
    let sandbox = Sandbox::start(Options::agreed(12)).await.unwrap();
    let id = walk(&sandbox, "/api/v1/users").await[0][3].clone();
    sandbox.world().okta().person(&id).status("DEPROVISIONED");
    assert_eq!(walk(&sandbox, "/api/v1/users").await[0].len(), 11);
    for parameter in ["search", "filter"] {
        let target = format!("/api/v1/users?{parameter}=status%20eq%20%22DEPROVISIONED%22");
        assert_eq!(walk(&sandbox, &target).await, [[id.as_str()]]);
    }
}

#[tokio::test]
async fn errors_are_the_documented_ones() {
    let sandbox = Sandbox::start(Options::agreed(12)).await.unwrap();
    let url = format!("{}/api/v1/users", sandbox.okta_url());
    assert_eq!(code(client().get(&url).send().await.unwrap()).await, (403, "E0000005".into()));
    let unknown = client().get(&url).header("authorization", "SSWS wrong").send().await.unwrap();
    assert_eq!(code(unknown).await, (401, "E0000011".into()));
    for (target, expected) in [
        ("/api/v1/users/nobody", (404, "E0000007")),
        ("/api/v1/nothing", (404, "E0000008")),
        ("/api/v1/users?search=status%20ne%20%22A%22", (400, "E0000031")),
        ("/api/v1/users?search=id%20pr&filter=id%20pr", (400, "E0000033")),
        ("/api/v1/users?after=forged", (400, "E0000029")),
        ("/api/v1/groups/00gnone/users", (404, "E0000007")),
    ] {
        let (status, found) = code(get(&sandbox, target).await).await;
        assert_eq!((status, found.as_str()), expected, "{target}");
    }
}

#[tokio::test]
async fn a_spent_bucket_answers_429_without_retry_after() {
    let rates = Rates { okta_per_minute: 2, ..Rates::unlimited() };
    let sandbox = Sandbox::start(Options { rates, ..Options::agreed(12) }).await.unwrap();
    let first = get(&sandbox, "/api/v1/users").await;
    assert_eq!(first.headers()["x-rate-limit-limit"], "2");
    assert_eq!(first.headers()["x-rate-limit-remaining"], "1");
    get(&sandbox, "/api/v1/users").await;
    let refused = get(&sandbox, "/api/v1/users").await;
    assert_eq!(refused.headers()["x-rate-limit-remaining"], "0");
    assert!(!refused.headers().contains_key("retry-after"));
    assert_eq!(code(refused).await, (429, "E0000047".into()));
}

#[tokio::test]
async fn ordered_faults_strike_and_are_journalled() {
    let sandbox = Sandbox::start(Options::agreed(12)).await.unwrap();
    let users = |fault| Order::new(Service::Okta, "/api/v1/users", fault).once();
    sandbox.faults().order(users(Fault::Throttle { retry_after: RetryAfter::Absent }));
    assert_eq!(code(get(&sandbox, "/api/v1/users").await).await.0, 429);
    sandbox.faults().order(users(Fault::EmptyList));
    assert_eq!(walk(&sandbox, "/api/v1/users?limit=5").await, vec![Vec::<String>::new()]);
    sandbox.faults().order(users(Fault::LoopNextLink));
    let looping = get(&sandbox, "/api/v1/users?limit=5").await;
    assert_eq!(next(&looping), Some(format!("{}/api/v1/users?limit=5", sandbox.okta_url())));
    sandbox.faults().order(users(Fault::ForeignNextLink));
    assert!(next(&get(&sandbox, "/api/v1/users").await).unwrap().starts_with(tamper::FOREIGN));
    sandbox.faults().order(users(Fault::CutJson));
    assert!(get(&sandbox, "/api/v1/users").await.json::<Value>().await.is_err());
    sandbox.faults().order(users(Fault::Reset));
    assert!(get(&sandbox, "/api/v1/users").await.bytes().await.is_err());
    sandbox.faults().order(users(Fault::ResetBefore));
    let token = format!("SSWS {}", sandbox.credentials().okta_token);
    let url = format!("{}/api/v1/users", sandbox.okta_url());
    assert!(client().get(&url).header("authorization", &token).send().await.is_err());
    assert_eq!(sandbox.journal().count(|row| row.fault.is_some()), 7);
    sandbox.faults().order(users(Fault::ExpireToken).when(When::Nth(1)));
    for _ in 0..2 {
        assert_eq!(code(get(&sandbox, "/api/v1/users").await).await, (401, "E0000011".into()));
    }
}

#[tokio::test]
async fn a_parked_request_is_carried_out_when_its_gate_opens() {
    let sandbox = Sandbox::start(Options::agreed(12)).await.unwrap();
    let order = Order::new(Service::Okta, "/api/v1/users", Fault::Hold { gate: "g".into() });
    let gate = sandbox.faults().hold(order.once());
    let url = format!("{}/api/v1/users", sandbox.okta_url());
    let token = format!("SSWS {}", sandbox.credentials().okta_token);
    let parked = tokio::spawn(client().get(url).header("authorization", token).send());
    tokio::time::timeout(Duration::from_secs(5), gate.reached()).await.unwrap();
    assert_eq!(sandbox.journal().requests(Service::Okta), 0);
    gate.open();
    assert_eq!(parked.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(sandbox.journal().requests(Service::Okta), 1);
}

#[tokio::test]
async fn a_second_start_on_the_same_state_is_the_same_world() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options {
        people: 100,
        state: Some(directory.path().to_owned()),
        rates: Rates::unlimited(),
        ..Options::default()
    };
    let sandbox = Sandbox::start(options()).await.unwrap();
    let (account, boss) = {
        let state = sandbox.world().read();
        let mut ids = state.entra.iter().map(|account| account.id);
        (ids.next().unwrap(), ids.nth(1).unwrap())
    };
    {
        let mut state = sandbox.world().write();
        state.entra.write_manager(account, Some(boss), server::now(), None);
        assert_eq!(state.entra.fire(model::entra::Moment::AccountsListed), 2);
    }
    let (url, accounts) = (sandbox.okta_url().to_owned(), sandbox.world().entra().count());
    sandbox.stop().await;

    let again = Sandbox::start(options()).await.unwrap();
    assert_eq!(again.okta_url(), url);
    assert_eq!(again.world().entra().writes(), 1);
    assert_eq!(again.world().entra().count(), accounts);
    assert_eq!(again.world().read().entra.get(account).unwrap().manager, Some(boss));
    assert_eq!(again.world().write().entra.fire(model::entra::Moment::AccountsListed), 0);
    again.stop().await;

    let other = Sandbox::start(Options { people: 101, ..options() }).await.unwrap_err();
    assert!(other.to_string().contains("100 people"), "{other}");
}

#[tokio::test]
async fn another_process_orders_faults_and_reads_the_journal() {
    let sandbox = Sandbox::start(Options::agreed(12)).await.unwrap();
    let control = |rest: &str| format!("{}/_sandbox/{rest}", sandbox.okta_url());
    let order = serde_json::json!({"service": "okta", "path": "/api/v1/users", "when": {"next": 1},
                                   "fault": "status", "status": 503});
    let taken = client().post(control("faults")).json(&order).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::NO_CONTENT);
    assert_eq!(code(get(&sandbox, "/api/v1/users").await).await, (503, "E0000010".into()));
    let summary: Value = client().get(control("journal")).send().await.unwrap().json().await.unwrap();
    assert_eq!(summary["requests"], 1);
    let rows: Value = client().get(control("journal/rows")).send().await.unwrap().json().await.unwrap();
    assert_eq!(rows[0]["fault"], "status");
    let world: Value = client().get(control("world")).send().await.unwrap().json().await.unwrap();
    assert_eq!(world["people"], 12);
}

#[tokio::test]
async fn what_happens_elsewhere_happens_once_and_leaves_both_sides_agreed() {
    let options = Options { people: 60, rates: Rates::unlimited(), ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let entra = sandbox.world().entra();
    let (accounts, stan) = (entra.count(), sandbox.world().okta().person("stan.stale"));
    let manager = || {
        let state = sandbox.world().read();
        let row = state.okta.by_id(stan.id()).unwrap();
        state.okta.at(row).unwrap().profile.text("managerId").unwrap_or_default().to_owned()
    };
    let (planned, boss) = (manager(), entra.account("stan.stale").id());
    sandbox.world().write().entra.fire(model::entra::Moment::AccountsListed);
    assert_eq!(entra.count(), accounts - 1, "somebody vanished");
    let given = entra.manager_id_of("stan.stale").unwrap();
    get(&sandbox, "/api/v1/users").await;
    assert_eq!(manager(), planned, "Okta does not know it within the run");
    sandbox.world().write().entra.write_manager(boss, Some(given), server::now(), None);
    get(&sandbox, "/api/v1/users").await;
    assert_eq!(entra.find(&manager()), Some(given), "by the next run it does");
}

#[tokio::test]
async fn a_configuration_names_what_the_world_needs() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(Options { people: 60, ..Options::default() }).await.unwrap();
    let text = sandbox.configuration(directory.path()).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let managers = &table["jobs"]["managers"];
    let group = managers["scope"]["group"].as_str().unwrap();
    let members = walk(&sandbox, &format!("/api/v1/groups/{group}/users")).await;
    assert_eq!(members.iter().flatten().count(), 59, "one contractor is outside");
    for key in ["canaries", "exclude"] {
        let login = managers[key][0].as_str().unwrap();
        assert_eq!(sandbox.world().okta().person(login).login(), login, "{key}");
    }
    assert_eq!(table["okta"]["org_url"].as_str(), Some(sandbox.okta_url()));
}
