//! Token endpoints that do all that RFC 6749, 6750, 8628 and 9449 allow, each in its own way; and what is none.

use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::auth::jwt::part;
use crate::auth::{Granted, OktaService};
use crate::domain::causes::chain;

const JSON: &str = "application/json";

fn reply(status: u16, kind: &str, body: &str) -> Reply {
    Reply::Answer(status, vec![("content-type".into(), kind.into())], body.into())
}

/// What becomes of an application's sign-in that is answered so.
async fn answered(reply: Reply) -> (Result<Secret, AuthError>, usize) {
    let server = Server::script([reply]).await;
    let authorization = app(&server, SecretStyle::Form).authorization().await;
    (authorization, server.received().len())
}

#[tokio::test]
async fn every_success_that_the_rfc_allows_is_a_token() {
    let long = format!(r#"{{"access_token":"t","token_type":"Bearer","padding":"{}"}}"#, "x".repeat(500_000));
    for (kind, body) in [
        (JSON, r#"{"access_token":"t","token_type":"Bearer","expires_in":3599}"#),
        (JSON, r#"{"access_token":"t","token_type":"bearer"}"#),
        (JSON, r#"{"access_token":"t","token_type":"BEARER","expires_in":"3599"}"#),
        (JSON, r#"{"access_token":"t","expires_in":3599.5,"scope":""}"#),
        (JSON, r#"{"access_token":"t","expires_in":null,"refresh_token":null,"scope":null,"token_type":null}"#),
        (JSON, r#"{"access_token":"t","expires_in":-1,"ext_expires_in":{"a":[1]},"foo":[null,true],"":0}"#),
        (JSON, "\r\n{\"access_token\": \"\\u0074\"}\r\n"),
        (JSON, &long),
        ("application/json;charset=UTF-8", r#"{"access_token":"t"}"#),
        ("Application/JSON; charset=\"utf-8\"", r#"{"access_token":"t"}"#),
        ("application/token+json", r#"{"access_token":"t"}"#),
    ] {
        let (token, asked) = answered(reply(200, kind, body)).await;
        let shown = &body[..body.len().min(80)];
        assert_eq!(token.unwrap_or_else(|error| panic!("{shown}: {error}")).expose(), "Bearer t", "{shown}");
        assert_eq!(asked, 1, "{shown}");
    }
}

#[tokio::test]
async fn what_is_no_token_is_not_used_and_not_shown() {
    let huge = format!(r#"{{"access_token":"hush","x":"{}"}}"#, "x".repeat(2 << 20));
    for (kind, body, class, said) in [
        (JSON, r#"{"access_token":"hush","token_type":"mac"}"#, Class::Misconfigured, "`token_type`"),
        (JSON, r#"{"access_token":""}"#, Class::Misconfigured, "empty access token"),
        (JSON, r#"{"token":"hush"}"#, Class::Retry, "access_token"),
        (JSON, r#"{"access_token":["hush"]}"#, Class::Retry, "access_token"),
        (JSON, r#"["hush"]"#, Class::Retry, ""),
        (JSON, r#"{"access_token":"hush"#, Class::Retry, ""),
        (JSON, "", Class::Retry, "nothing"),
        ("text/html", "<title>Guest wifi</title>hush", Class::Retry, "Guest wifi"),
        ("text/plain", r#"{"access_token":"hush"}"#, Class::Retry, "text/plain"),
        (JSON, &huge, Class::Retry, ""),
    ] {
        let error = answered(reply(200, kind, body)).await.0.unwrap_err();
        let chain = chain(&error);
        let shown = &body[..body.len().min(60)];
        assert_eq!(error.class(), class, "{shown}: {chain}");
        assert!(chain.contains(said) && !chain.contains("hush"), "{shown}: {chain}");
    }
}

#[tokio::test]
async fn every_form_of_a_refusal_is_read() {
    let header = r#"Bearer realm="x", error="invalid_client", error_description="AADSTS7000222: expired""#;
    let plain = r#"{"error":"invalid_client","error_description":"AADSTS7000222: expired"}"#;
    let bare = r#"{"error":"invalid_client"}"#;
    for (answer, error, aadsts, class) in [
        (reply(400, JSON, plain), "invalid_client", Some(7_000_222), Class::Misconfigured),
        (
            reply(401, JSON, plain).with("www-authenticate", "Basic realm=x"),
            "invalid_client",
            Some(7_000_222),
            Class::Misconfigured,
        ),
        (reply(401, "application/json;charset=utf-8", bare), "invalid_client", None, Class::Misconfigured),
        // Without the right type, or with nothing but the header.
        (reply(400, "text/plain", bare), "invalid_client", None, Class::Misconfigured),
        (
            reply(401, JSON, "").with("www-authenticate", header),
            "invalid_client",
            Some(7_000_222),
            Class::Misconfigured,
        ),
        (
            reply(401, JSON, "{}").with("www-authenticate", header),
            "invalid_client",
            Some(7_000_222),
            Class::Misconfigured,
        ),
        (reply(401, JSON, ""), "HTTP 401", None, Class::Misconfigured),
        (
            reply(400, JSON, r#"{"error":"invalid_grant","error_uri":"https://x","x":1}"#),
            "invalid_grant",
            None,
            Class::NeedsHuman,
        ),
        (reply(400, JSON, r#"{"error":"words_of_tomorrow"}"#), "words_of_tomorrow", None, Class::Misconfigured),
        (reply(403, "text/html", "<title>Blocked by proxy</title>"), "HTTP 403", None, Class::Misconfigured),
        (
            reply(302, "text/html", "").with("location", "https://elsewhere.example/"),
            "HTTP 302",
            None,
            Class::Misconfigured,
        ),
        (reply(501, "text/html", "<p>"), "HTTP 501", None, Class::Retry),
    ] {
        let shown = format!("{answer:?}");
        let (refused, asked) = answered(answer).await;
        let Err(AuthError::Refused(refusal)) = refused else { panic!("{shown}: {refused:?}") };
        assert_eq!((refusal.error.as_str(), refusal.aadsts, refusal.class), (error, aadsts, class), "{shown}");
        assert_eq!(asked, 1, "{shown}");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_busy_says_when_to_come_back_and_is_heeded() {
    let busy =
        |status, after: &str| reply(status, JSON, r#"{"error":"temporarily_unavailable"}"#).with("retry-after", after);
    for (status, after) in [(429, "0"), (503, "0"), (503, "Thu, 01 Jan 2026 00:00:00 GMT")] {
        let server = Server::script([busy(status, after), token("t", 60)]).await;
        app(&server, SecretStyle::Form).authorization().await.unwrap();
        assert_eq!(server.received().len(), 2, "{status} {after}");
    }
    let began = Instant::now();
    let server = Server::script([busy(429, "1"), token("t", 60)]).await;
    app(&server, SecretStyle::Form).authorization().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    // Longer than our patience: given up at once, and nobody is woken.
    let (refused, asked) = answered(busy(429, "3600")).await;
    assert_eq!((refused.unwrap_err().class(), asked), (Class::Wait, 1));
}

#[tokio::test]
async fn a_refresh_token_that_is_not_rotated_goes_on_being_used() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::script([token("t", 60)]).await;
    for _ in 0..2 {
        user(&server, Some("r0"), "c", directory.path()).authorization().await.unwrap();
    }
    let used: Vec<_> = server.received().iter().map(|request| field(request, "refresh_token").unwrap()).collect();
    assert_eq!(used, ["r0", "r0"]);
}

#[tokio::test]
async fn a_person_signs_in_at_a_server_that_stumbles_and_says_little() {
    let directory = tempfile::tempdir().unwrap();
    let begun = json!({"device_code": "d", "user_code": "U", "verification_uri": "https://x/d", "expires_in": "600", "interval": 0});
    let server = Server::script([
        Reply::json(200, begun),
        reply(401, JSON, r#"{"error":"authorization_pending"}"#),
        Reply::html(500),
        Reply::json(200, r#"{"access_token":"a","refresh_token":"r"}"#),
    ])
    .await;
    let mut shown = None;
    let signed_in =
        user(&server, None, "c", directory.path()).sign_in_by_code("ana", |prompt| shown = Some(prompt.clone())).await;
    assert_eq!(signed_in.unwrap().scopes, ["User.Read", "offline_access"], "what was asked for");
    assert_eq!(shown.unwrap().code, "U");
    assert_eq!(server.received().len(), 4);
    assert_eq!(field(&server.received()[3], "device_code").as_deref(), Some("d"));
}

fn service(server: &Server) -> Authorizer {
    let key = Source::known("okta.auth.private_key", secret(include_str!("../testing/ec-pkcs8.pem")));
    let service = OktaService {
        org_url: server.url.clone(),
        client_id: "0oa1".into(),
        key_id: "k".into(),
        private_key: key,
        scopes: vec!["okta.users.read".into()],
        wishes: Vec::new(),
    };
    Authorizer::okta_service(service, client(), Arc::new(SystemClock))
}

async fn list(server: &Server, service: &Authorizer) -> Answer {
    let call = Call::get(Service::Okta, server.url.join("/api/v1/users").unwrap(), "/api/v1/users");
    let sent: Result<Answer, SendError> = service.send(&client(), &call, |_| Draft::new()).await;
    sent.unwrap()
}

/// The claims of a request's proof.
fn proof(request: &Received) -> Value {
    part(request.header("dpop").unwrap(), 1)
}

#[tokio::test]
async fn a_nonce_is_taken_up_wherever_it_comes_from_and_each_try_is_another_one() {
    let wants_nonce = r#"DPoP error="use_dpop_nonce", error_description="Nonce please.""#;
    let server = Server::script([
        // At the token endpoint by the header alone, and with 401.
        reply(401, JSON, "").with("www-authenticate", wants_nonce).with("dpop-nonce", "n1"),
        Reply::json(200, r#"{"access_token":"t","token_type":"dpop","expires_in":60}"#).with("dpop-nonce", "n2"),
        reply(401, JSON, "").with("www-authenticate", wants_nonce).with("dpop-nonce", "n3"),
        Reply::json(200, "[]").with("dpop-nonce", "n4"),
        Reply::json(200, "[]"),
    ])
    .await;
    let service = service(&server);
    assert_eq!(list(&server, &service).await.status.as_u16(), 200);
    assert_eq!(list(&server, &service).await.status.as_u16(), 200);
    let received = server.received();
    let nonces: Vec<Value> = received.iter().map(|request| proof(request)["nonce"].clone()).collect();
    assert_eq!(nonces, [Value::Null, json!("n1"), json!("n2"), json!("n3"), json!("n4")]);
    let mut ids: Vec<String> = received.iter().map(|request| proof(request)["jti"].to_string()).collect();
    ids.extend(
        received.iter().filter_map(|request| Some(part(&field(request, "client_assertion")?, 1)["jti"].to_string())),
    );
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7, "five proofs and two assertions");
    assert!(received[2].header("authorization").unwrap().starts_with("DPoP "));
    assert!(proof(&received[1])["ath"].is_null() && proof(&received[2])["ath"].is_string());
}

#[tokio::test]
async fn a_server_that_never_has_enough_of_nonces_is_left_alone() {
    let refusal =
        r#"{"error":"use_dpop_nonce","error_description":"Authorization server requires nonce in DPoP proof."}"#;
    let count = Arc::new(Mutex::new(0));
    let server = Server::with(move |_| {
        *count.lock().unwrap() += 1;
        reply(400, JSON, refusal).with("dpop-nonce", format!("n{}", count.lock().unwrap()))
    })
    .await;
    let error = service(&server).authorization().await.unwrap_err();
    assert_eq!((error.class(), server.received().len()), (Class::Retry, 3));
    // Without a nonce to take up there is no second question.
    let silent = Server::script([reply(400, JSON, refusal)]).await;
    service(&silent).authorization().await.unwrap_err();
    assert_eq!(silent.received().len(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_bound_is_sent_without_proof_and_what_it_may_do_is_known() {
    let scoped = r#"{"access_token":"t","token_type":"Bearer","scope":"okta.users.read"}"#;
    let server = Server::script([Reply::json(200, scoped), Reply::json(200, "[]")]).await;
    let service = service(&server);
    list(&server, &service).await;
    let request = &server.received()[1];
    assert_eq!((request.header("authorization"), request.header("dpop")), (Some("Bearer t"), None));
    let granted = Granted { scopes: vec!["okta.users.read".to_owned()], ..Granted::default() };
    assert_eq!(service.granted().await.unwrap(), Some(granted));
}

#[tokio::test]
async fn a_token_that_okta_recognizes_no_longer_is_renewed_once() {
    let no_session = r#"{"errorCode":"E0000005","errorSummary":"Invalid session","errorCauses":[]}"#;
    let missing_role = r#"{"errorCode":"E0000006","errorSummary":"You do not have permission"}"#;
    for (body, asked) in [(no_session, 4), (missing_role, 2)] {
        let server = Server::with(move |request| match request.method.as_str() {
            "POST" => Reply::json(200, r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#),
            _ => Reply::json(403, body),
        })
        .await;
        assert_eq!(list(&server, &service(&server)).await.status.as_u16(), 403);
        assert_eq!(server.received().len(), asked, "{body}");
    }
}
