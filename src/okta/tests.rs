//! The client against servers that play Okta, well and badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt;

use crate::auth::{Authorizer, Class, Source};
use crate::clock::SystemClock;
use crate::domain::identity::PersonStatus;
use crate::http::chain::Doubt;
use crate::http::testing::{Received, Reply, Server, client};
use crate::okta::{OktaClient, OktaError, Page, Pages};
use crate::secret::Secret;

fn okta(server: &Server) -> OktaClient {
    let auth = Authorizer::okta_token(
        Source::known("okta.auth.token", Secret::new("00t".into())),
        client(),
        Arc::new(SystemClock),
    );
    OktaClient::new(client(), Arc::new(auth), server.url.clone(), 1.0)
}

fn people(ids: &[&str]) -> Reply {
    let list: Vec<String> =
        ids.iter().map(|id| format!(r#"{{"id":"{id}","status":"ACTIVE","profile":{{"login":"{id}@x"}}}}"#)).collect();
    Reply::json(200, format!("[{}]", list.join(",")))
}

fn next(request: &Received, after: &str) -> String {
    let host = request.header("host").unwrap();
    format!("<http://{host}/api/v1/users?after={after}&limit=200>; rel=\"next\"")
}

fn refusal(status: u16, code: &str, cause: &str) -> Reply {
    let body = format!(
        r#"{{"errorCode":"{code}","errorSummary":"No, ana@x.example.","errorId":"oae1","errorCauses":[{{"errorSummary":"{cause}"}}]}}"#
    );
    Reply::json(status, body).with("x-okta-request-id", "req1")
}

/// The ids of a listing, `-` where it began again; and how it ended.
async fn read(mut pages: Pages<crate::okta::User>) -> (Vec<String>, Option<OktaError>) {
    let mut ids = Vec::new();
    while let Some(page) = pages.next().await {
        match page {
            Ok(Page::Items(users)) => ids.extend(users.into_iter().map(|user| user.id)),
            Ok(Page::Restarted) => ids.push("-".into()),
            Err(error) => return (ids, Some(error)),
        }
    }
    (ids, None)
}

#[tokio::test]
async fn every_page_is_read_short_and_empty_ones_too() {
    let server = Server::with(|request| {
        let own = "<http://x/api/v1/users>; rel=\"self\"";
        match request.target.as_str() {
            "/api/v1/users?limit=200" => people(&["a", "b"]).with("link", own).with("link", next(request, "1")),
            "/api/v1/users?after=1&limit=200" => people(&["c"]).with("link", format!("{own}, {}", next(request, "2"))),
            "/api/v1/users?after=2&limit=200" => people(&[]),
            other => panic!("{other}"),
        }
    })
    .await;
    let (ids, error) = read(okta(&server).list_users()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(ids, ["a", "b", "c"]);
    for request in server.received() {
        assert_eq!(request.header("authorization"), Some("SSWS 00t"));
        assert!(request.header("content-type").unwrap().contains("okta-response=\"omitCredentials,"));
    }
}

#[tokio::test]
async fn a_next_link_that_leads_elsewhere_is_not_followed() {
    let link = "<https://evil.example/api/v1/users?after=1>; rel=\"next\"";
    let server = Server::script([people(&["a"]).with("link", link)]).await;
    let (_, error) = read(okta(&server).list_users()).await;
    assert!(matches!(error, Some(OktaError::Listing { source: Doubt::Elsewhere(host), .. }) if host == "evil.example"));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_listing_that_goes_in_a_circle_is_not_believed() {
    let server = Server::with(|request| people(&[&request.target]).with("link", next(request, "1"))).await;
    let (_, error) = read(okta(&server).list_users()).await;
    assert!(matches!(error, Some(OktaError::Listing { source: Doubt::Circle, .. })));
    let count = AtomicU32::new(0);
    let server = Server::with(move |request| {
        let after = count.fetch_add(1, Ordering::Relaxed).to_string();
        people(&["a", "b"]).with("link", next(request, &after))
    })
    .await;
    let (_, error) = read(okta(&server).list_users()).await;
    assert!(matches!(error, Some(OktaError::Listing { source: Doubt::PageTwice, .. })));
}

#[tokio::test]
async fn a_dead_cursor_begins_the_listing_again_and_says_so() {
    let died = AtomicU32::new(0);
    let server = Server::with(move |request| match request.target.contains("after") {
        false => people(&["a"]).with("link", next(request, "1")),
        true if died.fetch_add(1, Ordering::Relaxed) < 2 => refusal(400, "E0000031", "Invalid cursor."),
        true => people(&["b"]),
    })
    .await;
    let (ids, error) = read(okta(&server).list_users()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(ids, ["a", "-", "a", "-", "a", "b"]);
}

#[tokio::test]
async fn a_cursor_that_always_dies_ends_the_listing() {
    let server = Server::with(|request| {
        if request.target.contains("after") {
            refusal(400, "E0000029", "")
        } else {
            people(&["a"]).with("link", next(request, "1"))
        }
    })
    .await;
    let (ids, error) = read(okta(&server).list_users()).await;
    assert_eq!((ids.join(""), error.is_some()), ("a-a-a".to_owned(), true));
}

#[tokio::test]
async fn a_wrong_search_is_not_taken_for_a_dead_cursor() {
    let server = Server::script([refusal(400, "E0000031", "unknown attribute")]).await;
    let (ids, error) = read(okta(&server).search_users("profile.x eq \"1\"")).await;
    assert!(ids.is_empty());
    assert!(error.unwrap().hint().unwrap().contains("`search`"));
    assert_eq!(server.received()[0].target, "/api/v1/users?limit=200&search=profile.x+eq+%221%22");
}

#[tokio::test]
async fn a_refusal_names_code_cause_and_ids_and_nobody() {
    let server = Server::script([refusal(403, "E0000006", "why")]).await;
    let (_, error) = read(okta(&server).list_users()).await;
    let error = error.unwrap();
    assert_eq!(
        error.to_string(),
        "GET /api/v1/users was refused: 403 E0000006 No, {name}: why (request id req1, error id oae1)"
    );
    assert_eq!(error.class(), Class::NeedsHuman);
    assert!(error.hint().unwrap().contains("Read-only Administrator"));
    assert_eq!(server.received().len(), 1, "asking again would not help");
}

#[tokio::test]
async fn a_dead_token_needs_a_human_and_is_tried_once() {
    let server = Server::script([refusal(401, "E0000011", "")]).await;
    let (_, error) = read(okta(&server).list_users()).await;
    assert_eq!(error.unwrap().class(), Class::NeedsHuman);
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_refusal_without_a_body_is_read_from_its_header() {
    let challenge = r#"Bearer realm="http://x", scope="okta.users.read", error="insufficient_scope", error_description="Not enough.""#;
    let server = Server::script([Reply::json(403, "").with("www-authenticate", challenge)]).await;
    let (_, error) = read(okta(&server).list_users()).await;
    assert!(error.unwrap().to_string().contains("403 insufficient_scope Not enough. (request id none)"));
}

#[tokio::test]
async fn a_record_that_misses_a_field_is_named() {
    let body = r#"[{"id":"00u1","status":"ACTIVE","profile":{}},{"id":"00u2","profile":{}}]"#;
    let server = Server::script([Reply::json(200, body)]).await;
    let (_, error) = read(okta(&server).list_users()).await;
    assert_eq!(error.unwrap().to_string(), "`00u2` in Okta's answer to /api/v1/users has no `status`");
    let server = Server::script([Reply::json(200, r#"[{"status":"ACTIVE","profile":{}}]"#)]).await;
    let (_, error) = read(okta(&server).list_users()).await;
    assert_eq!(error.unwrap().to_string(), "record 1 in Okta's answer to /api/v1/users has no `id`");
}

#[tokio::test]
async fn half_a_page_is_never_a_page() {
    let server = Server::script([Reply::json(200, r#"[{"id":"00u1","status":"ACTIVE","profile":{}},{"id":"#)]).await;
    let (ids, error) = read(okta(&server).list_users()).await;
    assert!(ids.is_empty());
    assert!(matches!(error, Some(OktaError::Http(_))));
}

#[tokio::test]
async fn one_person_is_found_by_key_or_not_at_all() {
    let server = Server::with(|request| match request.target.as_str() {
        "/api/v1/users/a%20b@x" => {
            Reply::json(200, r#"{"id":"00u1","status":"DEPROVISIONED","profile":{"login":"a b@x"}}"#)
        }
        "/api/v1/users?limit=200&search=profile.login+eq+%22a%2Fb%22" => people(&["00u2"]),
        "/api/v1/users/nobody" => refusal(404, "E0000007", ""),
        _ => refusal(404, "E0000008", ""),
    })
    .await;
    let okta = okta(&server);
    assert_eq!(okta.find_user("a b@x").await.unwrap().unwrap().status, PersonStatus::Deprovisioned);
    assert_eq!(okta.find_user("a/b").await.unwrap().unwrap().id, "00u2");
    assert!(okta.find_user("nobody").await.unwrap().is_none());
    assert!(okta.find_user("").await.unwrap().is_none());
    let error = okta.find_user("path").await.unwrap_err();
    assert!(error.hint().unwrap().contains("org_url"));
}

#[tokio::test]
async fn the_names_in_an_app_are_read() {
    let body = r#"[{"id":"00u1","externalId":null,"status":"PROVISIONED","credentials":{"userName":"a@c.example"}},{"id":"00u2","status":"ACTIVE"}]"#;
    let server = Server::script([Reply::json(200, body)]).await;
    let mut pages = okta(&server).list_app_users("0oa1");
    let Some(Ok(Page::Items(users))) = pages.next().await else { panic!() };
    assert_eq!(users[0].user_name.as_deref(), Some("a@c.example"));
    assert_eq!(users[1].user_name, None);
    assert_eq!(server.received()[0].target, "/api/v1/apps/0oa1/users?limit=500");
}

#[tokio::test]
async fn a_page_that_is_too_much_for_okta_is_asked_for_in_smaller_parts() {
    let server = Server::with(|request| match request.target.as_str() {
        "/api/v1/users?limit=50" => people(&["a"]),
        _ => refusal(500, "E0000009", ""),
    })
    .await;
    let (ids, error) = read(okta(&server).list_users()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(ids, ["a"]);
    let server = Server::script([refusal(500, "E0000009", "")]).await;
    let (_, error) = read(okta(&server).list_users()).await;
    assert_eq!(error.unwrap().class(), Class::Retry);
}
