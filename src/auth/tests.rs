//! Identities against a token endpoint that plays its part.

mod conforming;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::block_in_place;

use crate::auth::{
    AuthError, Authorizer, Class, ClientAuth, EntraApp, EntraUser, Keeps, SecretStyle, SendError, Source, Unavailable,
};
use crate::clock::SystemClock;
use crate::http::calls::{CALLS, CallLog, Service};
use crate::http::testing::{Received, Reply, Server, client};
use crate::http::{Answer, Call, Draft};
use crate::secret::Secret;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn app_with(server: &Server, secret: Source, style: SecretStyle) -> Authorizer {
    let app = EntraApp {
        authority_url: server.url.clone(),
        tenant: "contoso.example".into(),
        client_id: "id 1".into(),
        auth: ClientAuth::Secret { secret, style },
        secret_ends: None,
        scope: "https://graph.example/.default".into(),
    };
    Authorizer::entra_app(app, client(), Arc::new(SystemClock))
}

fn app(server: &Server, style: SecretStyle) -> Authorizer {
    app_with(server, Source::known("entra.app.client_secret", secret("s~+/")), style)
}

fn user(server: &Server, first: Option<&str>, client_id: &str, directory: &Path) -> Authorizer {
    let user = EntraUser {
        authority_url: server.url.clone(),
        tenant: "contoso.example".into(),
        client_id: client_id.into(),
        auth: ClientAuth::Public,
        first_refresh_token: first.map(|first| Source::known("entra.user.refresh_token", secret(first))),
        scopes: vec!["User.Read".into(), "offline_access".into()],
        directory: directory.to_owned(),
        encryption_key: None,
    };
    Authorizer::entra_user(user, client(), Arc::new(SystemClock))
}

fn token(access: &str, expires_in: u32) -> Reply {
    Reply::json(200, format!(r#"{{"token_type":"Bearer","expires_in":{expires_in},"access_token":"{access}"}}"#))
}

fn field(request: &Received, name: &str) -> Option<String> {
    let fields = url::form_urlencoded::parse(request.body.as_bytes());
    fields.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Rotates: `r0` → `r1` → `r2` …; refuses those in `dead`.
async fn rotating(dead: &'static [&'static str]) -> Server {
    Server::with(move |request| {
        let used = field(request, "refresh_token").unwrap();
        if dead.contains(&used.as_str()) {
            return Reply::json(400, r#"{"error":"invalid_grant","error_description":"AADSTS700082: The refresh token of ana@x.example has expired.\r\nTrace ID: t","error_codes":[700082],"trace_id":"t"}"#);
        }
        let next: u32 = used[1..].parse::<u32>().unwrap() + 1;
        Reply::json(200, format!(r#"{{"expires_in":3599,"access_token":"a{next}","refresh_token":"r{next}"}}"#))
    })
    .await
}

#[tokio::test]
async fn a_token_is_fetched_once_and_kept() {
    let server = Server::script([token("one", 3599)]).await;
    let app = app(&server, SecretStyle::Form);
    let (a, b) = tokio::join!(app.authorization(), app.authorization());
    assert_eq!((a.unwrap().expose(), b.unwrap().expose()), ("Bearer one", "Bearer one"));
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].target, "/contoso.example/oauth2/v2.0/token");
    assert_eq!(field(&received[0], "client_secret").as_deref(), Some("s~+/"));
    assert_eq!(field(&received[0], "scope").as_deref(), Some("https://graph.example/.default"));
}

#[tokio::test]
async fn a_secret_in_the_basic_header_is_form_encoded_first() {
    let server = Server::script([token("one", 3599)]).await;
    app(&server, SecretStyle::Basic).authorization().await.unwrap();
    let request = &server.received()[0];
    // base64 of `id+1:s%7E%2B%2F`
    assert_eq!(request.header("authorization"), Some("Basic aWQrMTpzJTdFJTJCJTJG"));
    assert_eq!(field(request, "client_secret"), None);
}

#[tokio::test]
async fn a_token_that_has_ended_is_renewed() {
    let server = Server::script([token("one", 0), token("two", 3599)]).await;
    let app = app(&server, SecretStyle::Form);
    assert_eq!(app.authorization().await.unwrap().expose(), "Bearer one");
    assert_eq!(app.authorization().await.unwrap().expose(), "Bearer two");
}

#[tokio::test]
async fn a_refusal_names_number_trace_and_remedy_and_nobody() {
    let body = r#"{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys of ana@x.example are expired.\r\nTrace ID: tr","error_codes":[7000222],"trace_id":"tr"}"#;
    let server = Server::script([Reply::json(401, body)]).await;
    let error = app(&server, SecretStyle::Form).authorization().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Entra refused to sign in the application: invalid_client: \
         AADSTS7000222: The provided client secret keys of {name} are expired. (trace id tr)"
    );
    assert_eq!(error.class(), Class::Misconfigured);
    assert!(error.hint().unwrap().contains("make a new one"));
}

#[tokio::test]
async fn a_page_in_the_place_of_a_token_is_no_reason_to_wake_anybody() {
    let server = Server::script([Reply::html(502)]).await;
    let error = app(&server, SecretStyle::Form).authorization().await.unwrap_err();
    assert_eq!(error.class(), Class::Retry, "{error}");
    let server = Server::script([Reply::html(200)]).await;
    let error = app(&server, SecretStyle::Form).authorization().await.unwrap_err();
    assert_eq!(error.class(), Class::Retry, "{error}");
}

#[tokio::test]
async fn a_refused_token_is_dropped_once() {
    let server = Server::with(|request| match (request.method.as_str(), request.header("authorization")) {
        ("POST", _) => token("fresh", 3599),
        (_, Some("Bearer fresh")) => Reply::json(401, "{}"),
        other => panic!("{other:?}"),
    })
    .await;
    let sent: Result<Answer, SendError> = async {
        let app = app(&server, SecretStyle::Form);
        let call = Call::get(Service::Graph, server.url.join("/me").unwrap(), "/me");
        app.send(&client(), &call, |_| Draft::new()).await
    }
    .await;
    assert_eq!(sent.unwrap().status.as_u16(), 401);
    let methods: Vec<String> = server.received().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST", "GET", "POST", "GET"]);
}

fn okta_token(text: &str) -> Authorizer {
    Authorizer::okta_token(Source::known("okta.auth.token", secret(text)), client(), Arc::new(SystemClock))
}

#[tokio::test]
async fn oktas_token_is_sent_as_it_is_and_a_broken_one_is_not_sent() {
    assert_eq!(okta_token("00abc\n").authorization().await.unwrap().expose(), "SSWS 00abc");
    let error = okta_token("00\nabc").authorization().await.unwrap_err();
    assert_eq!(error.class(), Class::Misconfigured);
    assert!(!error.to_string().contains("abc"));
}

/// A secret in a place where somebody puts another one.
#[derive(Clone, Default)]
struct Place(Arc<Mutex<Option<String>>>);

impl Place {
    fn put(&self, text: Option<&str>) {
        *self.0.lock().unwrap() = text.map(str::to_owned);
    }

    fn source(&self) -> Source {
        let place = self.clone();
        Source::new("entra.app.client_secret", Keeps::UpToDate, move || {
            let found = place.0.lock().unwrap().clone().map(Secret::new);
            found.ok_or_else(|| Unavailable { reason: "no such file".into(), hint: Some("put it there".into()) })
        })
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_an_error_of_its_identity_and_mends_itself() {
    let server = Server::script([token("one", 3599)]).await;
    let place = Place::default();
    let app = app_with(&server, place.source(), SecretStyle::Form);
    let error = app.authorization().await.unwrap_err();
    assert!(matches!(error, AuthError::Secret { key: "entra.app.client_secret", .. }), "{error}");
    assert_eq!((error.class(), error.hint()), (Class::Misconfigured, Some("put it there")));
    assert_eq!(server.received().len(), 0);
    place.put(Some("new"));
    app.authorization().await.unwrap();
    assert_eq!(field(&server.received()[0], "client_secret").as_deref(), Some("new"));
}

#[tokio::test]
async fn a_secret_that_was_replaced_takes_effect_with_the_next_token() {
    let server = Server::script([token("one", 0), token("two", 0), token("three", 0)]).await;
    let place = Place::default();
    place.put(Some("old"));
    let app = app_with(&server, place.source(), SecretStyle::Form);
    app.authorization().await.unwrap();
    place.put(Some("new"));
    app.authorization().await.unwrap();
    place.put(None);
    app.authorization().await.unwrap();
    let sent: Vec<_> = server.received().iter().map(|request| field(request, "client_secret").unwrap()).collect();
    assert_eq!(sent, ["old", "new", "new"], "a file that is away for a moment is what it was");
}

#[tokio::test]
async fn a_secret_that_is_replaced_while_it_is_refused_is_tried_at_once() {
    let place = Place::default();
    place.put(Some("old"));
    let replaced = place.clone();
    let server = Server::with(move |request| {
        if field(request, "client_secret").as_deref() == Some("new") {
            return token("one", 3599);
        }
        replaced.put(Some("new"));
        Reply::json(401, r#"{"error":"invalid_client","error_codes":[7000215]}"#)
    })
    .await;
    let app = app_with(&server, place.source(), SecretStyle::Form);
    assert_eq!(app.authorization().await.unwrap().expose(), "Bearer one");
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_dead_secret_is_asked_about_once_by_all_who_need_it() {
    let body = r#"{"error":"invalid_client","error_codes":[7000222],"error_description":"AADSTS7000222: expired"}"#;
    let server = Server::with(move |_| Reply::json(401, body)).await;
    let app = app(&server, SecretStyle::Form);
    let (a, b) = tokio::join!(app.authorization(), app.authorization());
    let (a, b, c) = (a.unwrap_err(), b.unwrap_err(), app.authorization().await.unwrap_err());
    assert_eq!((a.to_string(), b.to_string()), (b.to_string(), c.to_string()));
    assert_eq!(server.received().len(), 1);
    assert!(a.hint().unwrap().contains("systemctl restart"), "it was handed over at the start: {:?}", a.hint());
    app.reset().await;
    app.authorization().await.unwrap_err();
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn what_a_service_wants_of_the_next_token_is_passed_on() {
    let server = Server::with(|request| match (request.method.as_str(), request.header("authorization")) {
        ("POST", _) if field(request, "claims").as_deref() == Some(r#"{"a":1}"#) => token("strong", 3599),
        ("POST", _) => token("weak", 3599),
        (_, Some("Bearer strong")) => Reply::json(200, "{}"),
        _ => Reply::json(401, "{}")
            .with("www-authenticate", r#"Bearer realm="", error="insufficient_claims", claims="eyJhIjoxfQ==""#),
    })
    .await;
    let app = app(&server, SecretStyle::Form);
    let call = Call::get(Service::Graph, server.url.join("/me").unwrap(), "/me");
    let answer: Answer = app.send(&client(), &call, |_| Draft::new()).await.unwrap();
    assert_eq!((answer.status.as_u16(), server.received().len()), (200, 4));
}

#[tokio::test]
async fn the_rotated_refresh_token_is_stored_and_used_by_the_next_process() {
    let directory = tempfile::tempdir().unwrap();
    let server = rotating(&[]).await;
    for expected in ["Bearer a1", "Bearer a2"] {
        let user = user(&server, Some("r0"), "c", directory.path());
        assert_eq!(user.authorization().await.unwrap().expose(), expected);
    }
    let file = std::fs::read_to_string(directory.path().join("entra-user.json")).unwrap();
    assert!(file.contains(r#""refresh_token": "r2""#) && file.contains(r#""previous": "r1""#), "{file}");
}

#[tokio::test]
async fn another_clients_stored_token_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let server = rotating(&[]).await;
    user(&server, Some("r5"), "one", directory.path()).authorization().await.unwrap();
    user(&server, Some("r0"), "two", directory.path()).authorization().await.unwrap();
    assert_eq!(field(&server.received()[1], "refresh_token").as_deref(), Some("r0"));
}

#[tokio::test]
async fn a_rotated_token_that_does_not_work_gives_way_to_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let server = rotating(&["r1"]).await;
    user(&server, Some("r0"), "c", directory.path()).authorization().await.unwrap();
    let again = user(&server, Some("r0"), "c", directory.path()).authorization().await.unwrap();
    assert_eq!(again.expose(), "Bearer a1");
    let used: Vec<_> = server.received().iter().map(|r| field(r, "refresh_token").unwrap()).collect();
    assert_eq!(used, ["r0", "r1", "r0"]);
}

#[tokio::test]
async fn a_dead_sign_in_and_none_at_all_need_a_human() {
    let directory = tempfile::tempdir().unwrap();
    let server = rotating(&["r0"]).await;
    let dead = user(&server, Some("r0"), "c", directory.path()).authorization().await.unwrap_err();
    assert_eq!(dead.class(), Class::NeedsHuman);
    assert!(!dead.to_string().contains('@') && dead.to_string().contains("AADSTS700082"), "{dead}");
    let none = user(&server, None, "c", directory.path()).authorization().await.unwrap_err();
    assert_eq!(none.class(), Class::NeedsHuman);
    assert!(none.hint().is_some());
}

/// Rotates like [`rotating`], but answers only once told to; says when a request is there.
async fn rotating_when_told() -> (Server, Arc<Semaphore>, Arc<Semaphore>) {
    let (arrived, told) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (arriving, telling) = (Arc::clone(&arrived), Arc::clone(&told));
    let server = Server::with(move |_| {
        arriving.add_permits(1);
        let given = block_in_place(|| Handle::current().block_on(telling.acquire())).map(SemaphorePermit::forget);
        given.unwrap();
        Reply::json(200, r#"{"expires_in":3599,"access_token":"a1","refresh_token":"r1"}"#)
    })
    .await;
    (server, arrived, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_whose_asker_is_stopped_before_the_answer_is_stored_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let (server, arrived, told) = rotating_when_told().await;
    let user = Arc::new(user(&server, Some("r0"), "c", directory.path()));
    let log = CallLog::new();
    let asker = tokio::spawn(CALLS.scope(log.clone(), {
        let user = Arc::clone(&user);
        async move { user.authorization().await.map(drop) }
    }));
    // Entra has seen the old token; its answer has not arrived.
    arrived.acquire().await.unwrap().forget();
    asker.abort();
    assert!(asker.await.unwrap_err().is_cancelled());
    let stored = directory.path().join("entra-user.json");
    assert!(!stored.exists());
    told.add_permits(1);
    tokio::time::timeout(Duration::from_secs(10), user.settled()).await.unwrap();
    assert!(std::fs::read_to_string(&stored).unwrap().contains(r#""refresh_token": "r1""#));
    assert_eq!(log.len(), 1, "the call is recorded with the run that made it");
    assert_eq!(user.authorization().await.unwrap().expose(), "Bearer a1");
    assert_eq!(server.received().len(), 1, "and the token it brought is the one that is used");
}

#[tokio::test]
async fn two_refresh_tokens_are_tried_and_no_third_one() {
    let directory = tempfile::tempdir().unwrap();
    let server = rotating(&["r1", "r2", "r7", "r8"]).await;
    user(&server, Some("r0"), "c", directory.path()).authorization().await.unwrap();
    let write = |token: &str, previous: &str| {
        let path = directory.path().join("entra-user.json");
        let mut stored: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        stored["refresh_token"] = token.into();
        stored["previous"] = previous.into();
        std::fs::write(path, stored.to_string()).unwrap();
    };
    let tried = async |first: &str| {
        let before = server.received().len();
        let _ = user(&server, Some(first), "c", directory.path()).authorization().await;
        server.received()[before..].iter().map(|request| field(request, "refresh_token").unwrap()).collect::<Vec<_>>()
    };
    write("r2", "r1");
    assert_eq!(tried("r0").await, ["r2", "r1"], "the configured one was used before");
    assert_eq!(tried("r7").await, ["r2", "r7"], "another one was put there");
    assert_eq!(tried("r7").await, ["r2", "r1"], "and was found dead");
    write("r2", "r5");
    assert_eq!(tried("r8").await, ["r2", "r8"]);
    assert_eq!(tried("r8").await, ["r2", "r5"]);
    assert_eq!(tried("r8").await, ["r6"], "the one before lives on");
}

#[tokio::test]
async fn a_rotated_token_is_encrypted_where_a_key_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let server = rotating(&[]).await;
    let sealed = |key: Option<&str>| {
        let user = EntraUser {
            authority_url: server.url.clone(),
            tenant: "t".into(),
            client_id: "c".into(),
            auth: ClientAuth::Public,
            first_refresh_token: Some(Source::known("entra.user.refresh_token", secret("r0"))),
            scopes: vec![],
            directory: directory.path().to_owned(),
            encryption_key: key.map(|key| Source::known("entra.user.encryption_key", secret(&key.repeat(32)))),
        };
        Authorizer::entra_user(user, client(), Arc::new(SystemClock))
    };
    sealed(Some("k")).authorization().await.unwrap();
    let text = std::fs::read_to_string(directory.path().join("entra-user.json")).unwrap();
    assert!(!text.contains("r0") && !text.contains("r1"), "{text}");
    sealed(Some("k")).authorization().await.unwrap();
    let error = sealed(None).authorization().await.unwrap_err();
    assert!(matches!(error, AuthError::Sealed { .. }) && error.hint().unwrap().contains("encryption_key"), "{error}");
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn forms_of_keys_that_are_usual_are_read_and_others_are_told_apart() {
    use crate::auth::jwt::{Head, KeyError, Scheme, SigningKey, part};
    let read = |text: &str| SigningKey::read(&secret(text));
    for (text, algorithm) in [
        (include_str!("testing/rsa-pkcs8.pem"), "RS256"),
        (include_str!("testing/rsa-pkcs1.pem"), "RS256"),
        (include_str!("testing/rsa.jwk.json"), "RS256"),
        (include_str!("testing/ec-pkcs8.pem"), "ES256"),
        (include_str!("testing/ec-sec1.pem"), "ES256"),
        (include_str!("testing/ec.jwk.json"), "ES256"),
        (include_str!("testing/ec384-pkcs8.pem"), "ES384"),
    ] {
        let token = read(text).unwrap().sign(&Head::default(), Scheme::Usual, &serde_json::json!({"a": 1})).unwrap();
        assert_eq!((&part(&token, 0)["alg"], &part(&token, 1)["a"]), (&algorithm.into(), &1.into()));
    }
    let public = r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#;
    for (text, expected) in [
        (include_str!("testing/encrypted.pem"), KeyError::Encrypted),
        (include_str!("testing/short.pem"), KeyError::Damaged),
        (include_str!("testing/certificate.pem"), KeyError::NotPrivate("a certificate")),
        (public, KeyError::NotPrivate("a public key")),
        (r#"{"kty":"oct","k":"AA","d":"AA"}"#, KeyError::Damaged),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", KeyError::Damaged),
        ("hunter2", KeyError::NoKey),
        ("{}", KeyError::NoKey),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(error, expected, "{}", &text[..text.len().min(40)]);
        assert!(error.hint().is_some());
    }
}
