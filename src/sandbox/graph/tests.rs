//! Graph and the sign-in service as a client sees them, over the wire.

use std::sync::LazyLock;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::sandbox::faults::{Fault, Order, RetryAfter};
use crate::sandbox::server::{Rates, Service};
use crate::sandbox::{Options, Sandbox};

fn client() -> &'static Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| Client::builder().pool_max_idle_per_host(0).build().unwrap());
    &CLIENT
}

/// A sandbox with ana and bo, and the tokens of the application and of the person.
struct Lab {
    sandbox: Sandbox,
    app: String,
    person: String,
}

impl Lab {
    async fn start() -> Self {
        let sandbox = Sandbox::start(Options::empty()).await.unwrap();
        sandbox.world().entra().accounts(["ana", "bo"]);
        Self::of(sandbox).await
    }

    async fn of(sandbox: Sandbox) -> Self {
        let credentials = sandbox.credentials().clone();
        let scope = format!("{}/.default", sandbox.graph_url());
        let app = [
            ("grant_type", "client_credentials"),
            ("client_id", &credentials.client_id),
            ("client_secret", &credentials.client_secret),
            ("scope", &scope),
        ];
        let app = sign_in(&sandbox, &app).await["access_token"].as_str().unwrap().to_owned();
        let person = [
            ("grant_type", "refresh_token"),
            ("client_id", &credentials.user_client_id),
            ("refresh_token", &credentials.refresh_token),
        ];
        let person = sign_in(&sandbox, &person).await["access_token"].as_str().unwrap().to_owned();
        Self { sandbox, app, person }
    }

    fn id(&self, name: &str) -> String {
        self.sandbox.world().entra().account(name).id().to_string()
    }

    fn ask(&self, method: Method, target: &str) -> RequestBuilder {
        let url = if target.starts_with("http") {
            target.to_owned()
        } else {
            format!("{}{target}", self.sandbox.graph_url())
        };
        client().request(method, url).bearer_auth(&self.app)
    }

    async fn get(&self, target: &str) -> (u16, Value) {
        read(self.ask(Method::GET, target).send().await.unwrap()).await
    }

    async fn get_as_person(&self, target: &str) -> (u16, Value) {
        let url = format!("{}{target}", self.sandbox.graph_url());
        read(client().get(url).bearer_auth(&self.person).send().await.unwrap()).await
    }

    async fn put(&self, account: &str, reference: &str) -> (u16, Value) {
        let target = format!("/v1.0/users/{account}/manager/$ref");
        read(self.ask(Method::PUT, &target).json(&json!({"@odata.id": reference})).send().await.unwrap()).await
    }

    fn reference(&self, name: &str) -> String {
        format!("https://graph.microsoft.com/v1.0/users/{}", self.id(name))
    }

    async fn delete(&self, account: &str) -> (u16, Value) {
        let target = format!("/v1.0/users/{account}/manager/$ref");
        read(self.ask(Method::DELETE, &target).send().await.unwrap()).await
    }

    async fn batch(&self, requests: Value) -> (u16, Value) {
        let request = self.ask(Method::POST, "/v1.0/$batch").json(&json!({"requests": requests}));
        read(request.send().await.unwrap()).await
    }

    fn manager(&self, name: &str) -> Option<String> {
        self.sandbox.world().entra().manager_of(name)
    }
}

async fn sign_in(sandbox: &Sandbox, form: &[(&str, &str)]) -> Value {
    let url = format!("{}/{}/oauth2/v2.0/token", sandbox.login_url(), sandbox.credentials().tenant);
    client().post(url).form(form).send().await.unwrap().json().await.unwrap()
}

/// Status and body; null for an empty one.
async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(if text.is_empty() { Value::Null } else { Value::String(text) }))
}

fn error(answer: &(u16, Value)) -> (u16, &str, &str) {
    let error = &answer.1["error"];
    (answer.0, error["code"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_client_pages_through_every_user_once() {
    let lab = Lab::of(Sandbox::start(Options::agreed(50)).await.unwrap()).await;
    let mut target =
        "/v1.0/users?$select=id,userPrincipalName,onPremisesSyncEnabled&$expand=manager($select=id)&$top=7".to_owned();
    let mut seen = std::collections::HashSet::new();
    let mut managed = 0;
    loop {
        let (status, page) = lab.get(&target).await;
        assert_eq!(status, 200, "{page}");
        for user in page["value"].as_array().unwrap() {
            assert!(seen.insert(user["id"].as_str().unwrap().to_owned()), "no account twice");
            assert!(
                user.get("displayName").is_none() && user.as_object().unwrap().contains_key("onPremisesSyncEnabled")
            );
            managed += usize::from(user["manager"]["id"].is_string());
        }
        match page["@odata.nextLink"].as_str() {
            Some(next) => next.clone_into(&mut target),
            None => break,
        }
    }
    assert_eq!(seen.len(), lab.sandbox.world().entra().count());
    assert_eq!(managed, lab.sandbox.world().entra().managed());
    let count = lab.ask(Method::GET, "/v1.0/users/$count").header("ConsistencyLevel", "eventual").send().await.unwrap();
    assert!(count.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(count.text().await.unwrap(), seen.len().to_string());
}

#[tokio::test]
async fn wrong_queries_are_refused_in_graphs_words() {
    let lab = Lab::start().await;
    for (target, expected) in [
        ("/v1.0/users/$count", (400, "Request_BadRequest", "$count is not currently supported.")),
        ("/v1.0/users?$select=skills", (501, "NotImplemented", "This operation target is not yet supported.")),
        ("/v1.0/people", (400, "BadRequest", "Resource not found for the segment 'people'.")),
        ("/v1.0/users/$ref/x", (400, "BadRequest", "Resource not found for the segment 'x'.")),
    ] {
        let answer = lab.get(target).await;
        assert_eq!(error(&answer), expected, "{target}");
        assert!(answer.1["error"]["innerError"]["request-id"].is_string());
    }
    for (target, code) in [
        ("/v1.0/users?$top=1000", "Request_UnsupportedQuery"),
        ("/v1.0/users?$skiptoken=rubbish", "Directory_ExpiredPageToken"),
        ("/v1.0/users?$filter=mail%20ne%20'x'&$count=true", "Request_UnsupportedQuery"),
        ("/v1.0/users?$expand=manager($levels=max)", "Request_UnsupportedQuery"),
        ("/v1.0/users?$search=%22displayName:ana%22", "Request_UnsupportedQuery"),
    ] {
        let answer = lab.get(target).await;
        assert_eq!((answer.0, error(&answer).1), (400, code), "{target}");
    }
    let (_, page) = lab.get("/v1.0/users?$count=true").await;
    assert!(page.get("@odata.count").is_none(), "silently missing without the header");
    assert_eq!(read(lab.ask(Method::POST, "/v1.0/users").send().await.unwrap()).await.0, 405);
}

#[tokio::test]
async fn accounts_are_found_by_filter() {
    let lab = Lab::start().await;
    for (filter, expected) in [
        ("startswith(userPrincipalName,'an')", 1),
        ("accountEnabled eq true", 3),
        (&format!("id eq '{}'", lab.id("bo")), 1),
        (&format!("id in ('{}','{}')", lab.id("bo"), lab.id("ana")), 2),
        ("userPrincipalName eq 'nobody@corp.example'", 0),
    ] {
        let request = lab.ask(Method::GET, "/v1.0/users").query(&[("$filter", filter), ("$select", "id")]);
        let (status, page) = read(request.send().await.unwrap()).await;
        assert_eq!((status, page["value"].as_array().unwrap().len()), (200, expected), "{filter}");
    }
    let address = format!(
        "proxyAddresses/any(p:p eq 'smtp:{}')",
        lab.sandbox.world().read().entra.find(&lab.id("ana")).unwrap().user_principal_name
    );
    let request = lab.ask(Method::GET, "/v1.0/users").query(&[("$filter", address)]);
    let (_, page) = read(request.send().await.unwrap()).await;
    assert_eq!(page["value"][0]["id"], lab.id("ana"));
}

#[tokio::test]
async fn a_manager_is_set_read_replaced_and_cleared() {
    let lab = Lab::start().await;
    let ana = lab.id("ana");
    let missing = "Resource 'manager' does not exist or one of its queried reference-property objects are not present.";
    let answer = lab.get(&format!("/v1.0/users/{ana}/manager")).await;
    assert_eq!(error(&answer), (404, "Request_ResourceNotFound", missing));
    assert_eq!(lab.put(&ana, &lab.reference("bo")).await, (204, Value::Null));
    let (status, manager) = lab.get(&format!("/v1.0/users/{ana}/manager?$select=id")).await;
    assert_eq!(
        (status, &manager["id"], &manager["@odata.type"]),
        (200, &json!(lab.id("bo")), &json!("#microsoft.graph.user"))
    );
    let (_, user) = lab.get(&format!("/v1.0/users/{ana}?$select=id&$expand=manager($select=id)")).await;
    assert_eq!(user["manager"]["id"], lab.id("bo"));
    let own = format!("{}/v1.0/directoryObjects/{ana}", lab.sandbox.graph_url());
    assert_eq!(lab.put(&ana, &own).await.0, 204, "cycles are accepted");
    assert_eq!(lab.manager("ana").as_deref(), Some("ana"));
    assert_eq!(lab.delete(&ana).await, (204, Value::Null));
    assert_eq!(error(&lab.delete(&ana).await).0, 404);
    assert_eq!(lab.sandbox.world().entra().writes(), 3);
    let writes = lab.sandbox.journal().writes();
    let stored: Vec<bool> = writes.iter().map(|row| row.write.unwrap().stored).collect();
    assert_eq!(stored, [true, true, true, false]);
    assert_eq!(writes[1].write.unwrap().from, Some(lab.id("bo").parse().unwrap()));
}

#[tokio::test]
async fn writes_that_graph_refuses_change_nothing() {
    let lab = Lab::start().await;
    let entra = lab.sandbox.world().entra();
    entra.add("synced").mastered_on_premises();
    entra.add("foreign").externally_mastered();
    let bo = lab.reference("bo");
    let ghost = "99999999-0000-4000-8000-000000000009";
    let mastered = lab.put(&lab.id("synced"), &bo).await;
    assert_eq!((mastered.0, error(&mastered).2.contains("on-premises mastered Directory Sync objects")), (400, true));
    let foreign = lab.put(&lab.id("foreign"), &bo).await;
    assert_eq!((foreign.0, error(&foreign).2.contains("within an external service")), (400, true));
    let unknown = lab.put(ghost, &bo).await;
    assert_eq!((unknown.0, error(&unknown).2.contains(ghost)), (404, true));
    let target = lab.put(&lab.id("ana"), &format!("https://graph.microsoft.com/v1.0/users/{ghost}")).await;
    assert_eq!((target.0, error(&target).2.contains(ghost)), (404, true));
    let path = format!("/v1.0/users/{}/manager/$ref", lab.id("ana"));
    let empty = read(lab.ask(Method::PUT, &path).send().await.unwrap()).await;
    assert_eq!((empty.0, error(&empty).2.contains("'EndOfInput'")), (400, true));
    lab.sandbox.world().write().entra.habits.refuses_cycles = true;
    assert_eq!(lab.put(&lab.id("ana"), &lab.reference("ana")).await.0, 400);
    let order = Order::new(Service::Graph, "/v1.0/users/*/manager/$ref", Fault::SilentWrite).once();
    lab.sandbox.faults().order(order);
    assert_eq!(lab.put(&lab.id("ana"), &bo).await.0, 204, "answered as done and not stored");
    assert_eq!((entra.writes(), lab.manager("ana")), (0, None));
}

#[tokio::test]
async fn a_stale_read_shows_the_old_manager() {
    let lab = Lab::start().await;
    let fault = Fault::StaleReads { millis: 3_600_000 };
    lab.sandbox.faults().order(Order::new(Service::Graph, "/v1.0/users/*/manager/$ref", fault).once());
    let ana = lab.id("ana");
    assert_eq!(lab.put(&ana, &lab.reference("bo")).await.0, 204);
    assert_eq!(lab.manager("ana").as_deref(), Some("bo"));
    assert_eq!(lab.get(&format!("/v1.0/users/{ana}/manager")).await.0, 404);
}

#[tokio::test]
async fn tokens_and_permissions_are_checked() {
    let mut lab = Lab::start().await;
    let url = format!("{}/v1.0/users", lab.sandbox.graph_url());
    let bare = read(client().get(&url).send().await.unwrap()).await;
    assert_eq!((bare.0, error(&bare).1), (401, "InvalidAuthenticationToken"));
    let rubbish = client().get(&url).bearer_auth("a.b.c").send().await.unwrap();
    assert!(rubbish.headers().contains_key("www-authenticate"));
    assert_eq!(rubbish.status(), 401);
    let denied = lab.get_as_person("/v1.0/users").await;
    assert_eq!(
        error(&denied),
        (403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    );
    lab.sandbox.world().write().entra.apps[0].roles.retain(|role| !role.starts_with("User."));
    assert_eq!(lab.get("/v1.0/users").await.0, 200, "a permission taken away shows in new tokens only");
    lab.sandbox.world().write().entra.habits.token_life = std::time::Duration::ZERO;
    lab = Lab::of(lab.sandbox).await;
    let expired = lab.get("/v1.0/users").await;
    assert_eq!(
        error(&expired),
        (401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.")
    );
    lab.sandbox.world().write().entra.habits.token_life = std::time::Duration::from_mins(1);
    lab = Lab::of(lab.sandbox).await;
    assert_eq!(lab.get("/v1.0/users").await.0, 403);
    assert_eq!(lab.get("/v1.0/subscribedSkus").await.0, 200);
}

#[tokio::test]
async fn me_is_for_persons() {
    let lab = Lab::start().await;
    let (status, me) = lab.get_as_person("/v1.0/me").await;
    assert_eq!((status, me["displayName"].as_str()), (200, Some("Sandbox Administrator")));
    let refused = lab.get("/v1.0/me").await;
    let message = "/me request is only valid with delegated authentication flow.";
    assert_eq!(error(&refused), (400, "BadRequest", message));
    assert_eq!(lab.get_as_person("/v1.0/me/manager").await.0, 403, "User.Read does not cover the manager");
}

#[tokio::test]
async fn licenses_and_their_dates_are_shown() {
    let lab = Lab::start().await;
    let (status, skus) = lab.get("/v1.0/subscribedSkus").await;
    assert_eq!((status, skus["value"][0]["skuPartNumber"].as_str()), (200, Some("DEVELOPERPACK_E5")));
    assert!(skus["value"][0]["prepaidUnits"]["enabled"].is_i64());
    let (status, subscriptions) = lab.get_as_person("/v1.0/directory/subscriptions").await;
    assert_eq!(status, 200);
    assert_eq!(skus["value"][0]["subscriptionIds"][0], subscriptions["value"][0]["id"]);
    assert_eq!(lab.get("/v1.0/subscribedSkus?$top=1").await.0, 400);
    assert_eq!(lab.get("/v1.0/organization").await.0, 200);
}

#[tokio::test]
async fn domains_need_their_permission_and_the_synchronization_a_person_too() {
    let lab = Lab::start().await;
    assert_eq!(lab.get("/v1.0/domains").await.0, 403);
    assert_eq!(lab.get_as_person("/v1.0/directory/onPremisesSynchronization").await.0, 403);
    let sandbox = Sandbox::start(Options::empty()).await.unwrap();
    {
        let mut state = sandbox.world().write();
        state.entra.on_premises.bypass_overrides = true;
        for app in &mut state.entra.apps {
            for granted in [&mut app.roles, &mut app.scopes] {
                granted.extend(["Domain.Read.All", "OnPremDirectorySynchronization.Read.All"].map(str::to_owned));
            }
        }
    }
    let lab = Lab::of(sandbox).await;
    let (status, domains) = lab.get("/v1.0/domains").await;
    assert_eq!((status, domains["value"][0]["authenticationType"].as_str()), (200, Some("Federated")));
    assert_eq!(lab.get("/v1.0/domains/CORP.example").await.1["isDefault"], true);
    assert_eq!(lab.get("/v1.0/directory/onPremisesSynchronization").await.0, 403, "an application, whatever it has");
    let (status, body) = lab.get_as_person("/v1.0/directory/onPremisesSynchronization").await;
    assert_eq!((status, &body["value"][0]["features"]["bypassDirSyncOverridesEnabled"]), (200, &json!(true)));
}

fn put_item(id: &str, account: &str, reference: &str) -> Value {
    json!({
        "id": id, "method": "PUT", "url": format!("/users/{account}/manager/$ref"), "body": {"@odata.id": reference},
        "headers": {"Content-Type": "application/json", "client-request-id": format!("crid-{id}")},
    })
}

#[tokio::test]
async fn the_items_of_a_batch_stand_each_for_itself() {
    let lab = Lab::start().await;
    let (ana, bo) = (lab.id("ana"), lab.id("bo"));
    let fault = Fault::Throttle { retry_after: RetryAfter::Seconds(7) };
    lab.sandbox.faults().order(Order::new(Service::Graph, "/v1.0/organization", fault).once());
    let follower = json!({"id": "5", "method": "GET", "url": "users", "dependsOn": ["2"]});
    let (status, body) = lab
        .batch(json!([
            put_item("1", &ana, &lab.reference("bo")),
            put_item("2", "nobody@corp.example", &lab.reference("bo")),
            {"id": "3", "method": "GET", "url": format!("users/{bo}/manager?$select=id")},
            {"id": "4", "method": "GET", "url": "/organization"},
            follower,
        ]))
        .await;
    assert_eq!(status, 200);
    let responses = body["responses"].as_array().unwrap();
    let of = |id: &str| responses.iter().find(|response| response["id"] == id).unwrap();
    assert_eq!(of("1")["status"], 204);
    assert!(of("1").get("body").is_none());
    assert_eq!(of("1")["headers"]["client-request-id"], "crid-1");
    assert_eq!(of("2")["status"], 404);
    assert_eq!(of("2")["body"]["error"]["innerError"]["client-request-id"], "crid-2");
    assert_eq!(of("3")["status"], 404);
    assert_eq!((&of("4")["status"], &of("4")["headers"]["Retry-After"]), (&json!(429), &json!("7")));
    assert_eq!(of("5")["status"], 424);
    let items = lab.sandbox.journal().rows(|row| row.item);
    assert_eq!(items.len(), 5);
    assert_eq!(items[0].client_request_id.as_deref(), Some("crid-1"));
    assert_eq!(items[0].path, format!("/v1.0/users/{ana}/manager/$ref"));
    assert_eq!(items[0].write.unwrap().to, Some(bo.parse().unwrap()));
}

#[tokio::test]
async fn a_batch_of_twenty_one_is_refused_whole_and_twenty_come_mixed() {
    let lab = Lab::start().await;
    let items = |count: usize| -> Value {
        (0..count).map(|id| json!({"id": id.to_string(), "method": "GET", "url": "/users?$top=1"})).collect()
    };
    assert_eq!(error(&lab.batch(items(21)).await).0, 400);
    let (status, body) = lab.batch(items(20)).await;
    let order: Vec<&str> =
        body["responses"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    let sent: Vec<String> = (0..20).map(|id: u32| id.to_string()).collect();
    assert_eq!((status, order.len()), (200, 20));
    assert_ne!(order, sent);
    assert_eq!(lab.sandbox.journal().rows(|row| row.item).len(), 20);
}

#[tokio::test]
async fn too_many_writes_are_throttled_with_a_time_to_wait() {
    let rates = Rates { graph_writes_per_second: 1, ..Rates::unlimited() };
    let sandbox = Sandbox::start(Options { rates, ..Options::empty() }).await.unwrap();
    sandbox.world().entra().accounts(["ana", "bo"]);
    let lab = Lab::of(sandbox).await;
    let reference = lab.reference("bo");
    let items: Value = (0..20).map(|id: u32| put_item(&id.to_string(), &lab.id("ana"), &reference)).collect();
    let mut throttled = Vec::new();
    for _ in 0..8 {
        let (_, body) = lab.batch(items.clone()).await;
        let answers = body["responses"].as_array().unwrap().clone();
        throttled.extend(answers.into_iter().filter(|answer| answer["status"] == 429));
    }
    let wait: u64 = throttled[0]["headers"]["Retry-After"].as_str().unwrap().parse().unwrap();
    assert!(wait >= 1);
    assert_eq!(throttled[0]["body"]["error"]["code"], "TooManyRequests");
    assert_eq!(throttled[0]["headers"]["x-ms-throttle-information"], "WriteLimitExceeded");
}

#[tokio::test]
async fn a_contact_can_be_a_manager_and_shows_little_without_permission() {
    let lab = Lab::start().await;
    let id = uuid::Uuid::from_u128(0xc0_47ac);
    let contact =
        crate::sandbox::model::entra::Contact { id, display_name: "Eve".into(), mail: "eve@x.example".into() };
    lab.sandbox.world().write().entra.contacts.insert(id, contact);
    let ana = lab.id("ana");
    assert_eq!(lab.put(&ana, &format!("https://graph.microsoft.com/v1.0/users/{id}")).await.0, 404);
    assert_eq!(lab.put(&ana, &format!("https://graph.microsoft.com/v1.0/contacts/{id}")).await.0, 204);
    let (_, manager) = lab.get(&format!("/v1.0/users/{ana}/manager")).await;
    assert_eq!((&manager["@odata.type"], manager.get("mail")), (&json!("#microsoft.graph.orgContact"), None));
}
