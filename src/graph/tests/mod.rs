//! The client against servers that play Graph, well and badly.

mod batches;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::{Authorizer, Class, ClientAuth, EntraApp, SecretStyle, Source};
use crate::clock::SystemClock;
use crate::domain::identity::AccountId;
use crate::graph::{GraphClient, GraphError, Identity, Page};
use crate::http::chain::Doubt;
use crate::http::testing::{Received, Reply, Server, client};
use crate::secret::Secret;

/// A server that signs in with tokens `t1`, `t2` … and answers everything else by `reply`.
async fn serve(reply: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Server {
    let tokens = AtomicU32::new(0);
    Server::with(move |request| {
        if request.target.ends_with("/token") {
            let token = tokens.fetch_add(1, Ordering::Relaxed) + 1;
            return Reply::json(200, format!(r#"{{"access_token":"t{token}","expires_in":3599}}"#));
        }
        reply(request)
    })
    .await
}

fn graph(server: &Server) -> GraphClient {
    let app = EntraApp {
        authority_url: server.url.clone(),
        tenant: "t".into(),
        client_id: "c".into(),
        auth: ClientAuth::Secret {
            secret: Source::known("entra.app.client_secret", Secret::new("s".into())),
            style: SecretStyle::Form,
        },
        secret_ends: None,
        scope: "x/.default".into(),
    };
    let auth = Arc::new(Authorizer::entra_app(app, client(), Arc::new(SystemClock)));
    GraphClient::new(client(), Some(auth), None, server.url.clone())
}

fn calls(server: &Server) -> Vec<Received> {
    server.received().into_iter().filter(|request| !request.target.ends_with("/token")).collect()
}

fn id(n: u128) -> AccountId {
    AccountId::new(Uuid::from_u128(0xaaaa_0000 + n))
}

fn user(n: u128) -> Value {
    json!({"id": id(n).to_string(), "userPrincipalName": format!("u{n}@x"), "accountEnabled": true})
}

fn page(request: &Received, users: &[u128], next: Option<&str>) -> Reply {
    let mut body = json!({"value": users.iter().map(|n| user(*n)).collect::<Vec<_>>()});
    if let Some(token) = next {
        let host = request.header("host").unwrap();
        body["@odata.nextLink"] = format!("http://{host}/v1.0/users?$skiptoken={token}").into();
    }
    Reply::json(200, body)
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let error = json!({"error": {"code": code, "message": message, "innerError": {"request-id": "inner"}}});
    Reply::json(status, error).with("request-id", "outer")
}

async fn list(graph: &GraphClient) -> (String, Option<GraphError>) {
    let mut pages = graph.list_accounts(&["mail", "id"], crate::graph::Expand::Manager);
    let mut seen = String::new();
    while let Some(page) = pages.next().await {
        match page {
            Ok(Page::Items(accounts)) => seen.extend(accounts.iter().map(|a| a.user_principal_name[1..2].to_owned())),
            Ok(Page::Restarted) => seen.push('-'),
            Err(error) => return (seen, Some(error)),
        }
    }
    (seen, None)
}

#[tokio::test]
async fn every_page_of_accounts_is_read_with_what_the_rules_need() {
    let server = serve(|request| match request.target.contains("skiptoken") {
        false => page(request, &[1, 2], Some("a")),
        true if request.target.ends_with("=a") => page(request, &[], Some("b")),
        true => page(request, &[3], None),
    })
    .await;
    let (seen, error) = list(&graph(&server)).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seen, "123");
    let calls = calls(&server);
    assert_eq!(
        calls[0].target,
        "/v1.0/users?$select=id,userPrincipalName,accountEnabled,userType,onPremisesSyncEnabled,mail\
         &$expand=manager($select=id)&$top=999"
    );
    let ids: Vec<_> = calls.iter().map(|call| call.header("client-request-id").unwrap()).collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "a fresh id for each call");
    assert_eq!(calls[0].header("authorization"), Some("Bearer t1"));
}

#[tokio::test]
async fn a_next_link_in_a_circle_or_to_a_stranger_is_not_believed() {
    let server = serve(|request| page(request, &[u128::from(request.target.contains("skip"))], Some("a"))).await;
    let (_, error) = list(&graph(&server)).await;
    assert!(matches!(error, Some(GraphError::Listing { source: Doubt::Circle, .. })));
    let server =
        serve(|_| Reply::json(200, json!({"value": [], "@odata.nextLink": "https://evil.example/v1.0/users"}))).await;
    let (_, error) = list(&graph(&server)).await;
    assert!(matches!(error, Some(GraphError::Listing { source: Doubt::Elsewhere(_), .. })));
    assert_eq!(calls(&server).len(), 1);
}

#[tokio::test]
async fn an_expired_page_token_begins_the_listing_again_but_not_for_ever() {
    let deaths = Arc::new(AtomicU32::new(0));
    for (lives, expected, fails) in [(2, "1-1-12", false), (9, "1-1-1", true)] {
        deaths.store(0, Ordering::Relaxed);
        let deaths = Arc::clone(&deaths);
        let server = serve(move |request| match request.target.contains("skiptoken") {
            false => page(request, &[1], Some("a")),
            true if deaths.fetch_add(1, Ordering::Relaxed) < lives => refusal(400, "Directory_ExpiredPageToken", "old"),
            true => page(request, &[2], None),
        })
        .await;
        let (seen, error) = list(&graph(&server)).await;
        assert_eq!((seen.as_str(), error.is_some()), (expected, fails));
    }
}

#[tokio::test]
async fn an_answer_without_a_list_is_no_empty_list() {
    let server = serve(|_| Reply::json(200, "{}")).await;
    let (_, error) = list(&graph(&server)).await;
    let GraphError::Http(error) = error.unwrap() else { panic!() };
    assert!(error.to_string().contains("missing field `value`"), "{error}");
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed_once() {
    let server = serve(|request| match request.header("authorization") {
        Some("Bearer t1") if request.target.contains("skiptoken") => {
            refusal(401, "InvalidAuthenticationToken", "expired")
        }
        _ if request.target.contains("skiptoken") => page(request, &[2], None),
        _ => page(request, &[1], Some("a")),
    })
    .await;
    let (seen, error) = list(&graph(&server)).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seen, "12");
}

#[tokio::test]
async fn the_count_is_read_as_text_from_the_index() {
    let text = |body: &str| Reply::Answer(200, vec![("content-type".into(), "text/plain".into())], body.into());
    let server = serve(move |_| text("\u{feff}1336")).await;
    assert_eq!(graph(&server).count_accounts().await.unwrap(), 1336);
    let call = &calls(&server)[0];
    assert_eq!((call.target.as_str(), call.header("consistencylevel")), ("/v1.0/users/$count", Some("eventual")));
    let server = serve(|_| Reply::html(200)).await;
    let error = graph(&server).count_accounts().await.unwrap_err();
    assert_eq!(error.to_string(), "the count in Microsoft Graph's answer to /v1.0/users/$count: it is not a number");
}

#[tokio::test]
async fn a_refusal_names_code_and_request_id_and_the_permission() {
    let server =
        serve(|_| refusal(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."))
            .await;
    let (_, error) = list(&graph(&server)).await;
    let error = error.unwrap();
    assert_eq!(
        error.to_string(),
        "GET /v1.0/users was refused: 403 Authorization_RequestDenied: \
         Insufficient privileges to complete the operation. (request-id outer)"
    );
    assert!(error.hint().unwrap().contains("User.Read.All"));
    assert_eq!(error.class(), Class::NeedsHuman);
}

#[tokio::test]
async fn accounts_are_found_by_any_key() {
    let server = serve(|request| match request.target.as_str() {
        target if target.starts_with("/v1.0/users/") => {
            if target.contains("nobody") {
                refusal(404, "Request_ResourceNotFound", "Resource 'nobody' does not exist")
            } else {
                Reply::json(200, user(1))
            }
        }
        _ => page(request, &[1, 2], None),
    })
    .await;
    let graph = graph(&server);
    assert_eq!(graph.find_accounts("mail", "o'neil@x").await.unwrap().len(), 2);
    assert_eq!(graph.find_accounts("proxyAddresses", "a@x").await.unwrap().len(), 2);
    assert!(graph.find_accounts("mail", " ").await.unwrap().is_empty());
    assert!(graph.get_account("a_x#EXT#@t").await.unwrap().is_some());
    assert!(graph.get_account("nobody@x").await.unwrap().is_none());
    let targets: Vec<String> = calls(&server).into_iter().map(|call| call.target).collect();
    assert!(targets[0].starts_with("/v1.0/users?$filter=mail%20eq%20%27o%27%27neil@x%27&"), "{targets:?}");
    assert!(targets[1].contains("proxyAddresses/any(p:p%20eq%20%27smtp:a@x%27)"), "{targets:?}");
    assert!(targets[2].starts_with("/v1.0/users/a_x%23EXT%23@t?"), "{targets:?}");
}

#[tokio::test]
async fn licenses_are_read_with_their_dates() {
    let server = serve(|request| match request.target.as_str() {
        "/v1.0/subscribedSkus" => Reply::json(200, json!({"value": [{"skuId": "s", "skuPartNumber": "DEVELOPERPACK_E5",
            "appliesTo": "User", "capabilityStatus": "Enabled", "consumedUnits": 27,
            "prepaidUnits": {"enabled": 25, "suspended": 0, "warning": 1, "lockedOut": 0}, "subscriptionIds": ["a1"],
            "servicePlans": [{"servicePlanId": "p", "servicePlanName": "EXCHANGE", "provisioningStatus": "Success", "appliesTo": "User"}]}]})),
        "/v1.0/directory/subscriptions" => Reply::json(200, json!({"value": [
            {"id": "a1", "skuId": "s", "status": "Enabled", "totalLicenses": 25, "isTrial": true,
             "createdDateTime": "2026-06-20T00:00:00Z", "nextLifecycleDateTime": "2026-12-15T00:00:00Z"},
            {"id": "a2", "skuId": "s", "status": "Deleted", "nextLifecycleDateTime": null}]})),
        other => panic!("{other}"),
    })
    .await;
    let graph = graph(&server);
    let skus = graph.list_skus(Identity::App).await.unwrap();
    assert_eq!((skus[0].enabled, skus[0].warning, skus[0].assigned), (25, 1, 27));
    assert_eq!(skus[0].plans[0].name, "EXCHANGE");
    let subscriptions = graph.list_subscriptions(Identity::App).await.unwrap();
    assert_eq!(subscriptions[0].next_lifecycle, Some("2026-12-15T00:00:00Z".parse().unwrap()));
    assert_eq!((subscriptions[1].next_lifecycle, subscriptions[1].is_trial), (None, None));
    assert!(matches!(graph.list_skus(Identity::User).await, Err(GraphError::NoIdentity("user"))));
}

#[tokio::test]
async fn a_single_read_gives_back_whatever_came() {
    let server = serve(|request| match request.target.as_str() {
        "/v1.0/ME?$select=id" => {
            refusal(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
        }
        _ => Reply::html(200),
    })
    .await;
    let graph = graph(&server);
    let answer = graph.get_raw("/ME?$select=id", Identity::App).await.unwrap();
    assert_eq!((answer.status, answer.request_id.as_deref()), (400, Some("outer")));
    assert!(answer.client_request_id.is_some() && answer.refused.unwrap().hint().unwrap().contains("entra.user"));
    let page = graph.get_raw("/organization", Identity::App).await.unwrap();
    assert_eq!((page.status, page.content_type.as_deref()), (200, Some("text/html")));
}

#[tokio::test]
async fn a_single_read_stays_below_the_version() {
    let server = serve(|_| Reply::json(200, "{}")).await;
    for path in ["me", "//evil.example/x", "/../beta/me", "/%2e%2e/beta", "/x#y", "https://evil.example/", "/\\x", ""] {
        let error = graph(&server).get_raw(path, Identity::App).await.unwrap_err();
        assert!(matches!(error, GraphError::Path { .. }), "{path}");
    }
    assert!(calls(&server).is_empty());
}
