//! The client against a server that misbehaves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::calls::{CALLS, CallLog, Service};
use super::testing::{Reply, Server, client};
use super::{Answer, Call, Client, ClientSettings, Draft, Executed, HttpError, Repeat, Url};
use crate::clock::SystemClock;

async fn get(server: &Server) -> Result<Answer, HttpError> {
    let call = Call::get(Service::Okta, server.url.join("/x?token=hush").unwrap(), "/x");
    client().send(&call, |_| async { Ok(Draft::new()) }).await
}

async fn post(server: &Server) -> Result<Answer, HttpError> {
    let url = server.url.join("/x").unwrap();
    let call = Call::post(Service::Graph, url, "/x", Repeat::OnlyIfNotExecuted);
    client().send(&call, |attempt| async move { Ok(Draft::new().json(&attempt)) }).await
}

fn good() -> Reply {
    Reply::json(200, r#"{"a":1}"#)
}

#[tokio::test]
async fn throttling_is_waited_out_for_any_method_and_each_attempt_is_built_anew() {
    for status in [429, 503] {
        let server = Server::script([Reply::html(status).with("retry-after", "0.01"), good()]).await;
        assert_eq!(get(&server).await.unwrap().attempts, 2);
        let server = Server::script([Reply::json(status, "{}").with("retry-after", 0), good()]).await;
        assert_eq!(post(&server).await.unwrap().attempts, 2);
        let bodies: Vec<String> = server.received().into_iter().map(|request| request.body).collect();
        assert_eq!(bodies, ["1", "2"]);
    }
}

#[tokio::test]
async fn a_broken_answer_is_asked_for_again() {
    let cut =
        Reply::Raw(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{\"a\":".to_vec());
    for bad in
        [Reply::html(200), Reply::Hangup, cut, Reply::json(200, r#"{"a":"#), Reply::json(502, ""), Reply::json(200, "")]
    {
        let server = Server::script([bad.clone(), good()]).await;
        assert_eq!(get(&server).await.unwrap().attempts, 2, "{bad:?}");
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_sent_twice() {
    for bad in [Reply::html(200), Reply::Hangup, Reply::json(200, r#"{"a":"#)] {
        let server = Server::script([bad.clone(), good()]).await;
        let error = post(&server).await.unwrap_err();
        assert_eq!(error.executed(), Executed::Unknown, "{bad:?}: {error}");
        assert_eq!(server.received().len(), 1);
    }
    let server = Server::script([Reply::json(500, "{}"), good()]).await;
    let answer = post(&server).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.executed()), (500, Executed::Unknown));
}

#[tokio::test]
async fn without_a_connection_nothing_was_carried_out() {
    let url = Url::parse("http://127.0.0.1:9/x").unwrap();
    let call = Call::post(Service::Graph, url, "/x", Repeat::OnlyIfNotExecuted);
    let sent: Result<_, HttpError> = client().send(&call, |_| async { Ok(Draft::new()) }).await;
    let error = sent.unwrap_err();
    assert_eq!(error.executed(), Executed::No);
    assert_eq!(error.to_string(), "no connection to 127.0.0.1:9 for POST /x, tried 6 times");
}

#[tokio::test]
async fn html_in_the_place_of_json_is_named_and_the_query_is_not() {
    let server = Server::script([Reply::html(200)]).await;
    let error = get(&server).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GET /x was answered 200 with text/html (\"Bad gateway\") instead of JSON, tried 6 times"
    );
}

#[tokio::test]
async fn a_wait_beyond_our_patience_is_not_begun() {
    let server = Server::script([Reply::json(429, "{}").with("retry-after", 3600)]).await;
    let answer = get(&server).await.unwrap();
    assert_eq!((answer.attempts, answer.asked_to_wait), (1, Some(Duration::from_hours(1))));
}

#[tokio::test]
async fn only_what_the_answer_asks_for_counts_as_asked() {
    let hurried = ClientSettings { patience: Duration::ZERO, ..ClientSettings::default() };
    let hurried = Client::new(hurried, Arc::new(SystemClock));
    let server = Server::script([Reply::json(429, "{}")]).await;
    let call = Call::get(Service::Okta, server.url.clone(), "/x");
    let sent: Result<_, HttpError> = hurried.send(&call, |_| async { Ok(Draft::new()) }).await;
    let answer = sent.unwrap();
    assert_eq!((answer.attempts, answer.asked_to_wait), (1, None), "our own wait is nobody's word");
}

#[tokio::test]
async fn what_has_its_leave_is_sent_once_and_what_it_is_told_holds_for_all() {
    let minute = Reply::json(429, "{}").with("retry-after", 60);
    for (reply, withdrawn) in [(Reply::json(503, "{}"), false), (Reply::Hangup, false), (minute, true)] {
        let server = Server::script([reply.clone()]).await;
        let gate = super::gate::Gate::graph();
        let leave = gate.leave_to_write("/x", 1).await;
        let call = Call::get(Service::Graph, server.url.clone(), "/x").with_leave(&leave);
        let _: Result<_, HttpError> = client().send(&call, |_| async { Ok(Draft::new()) }).await;
        assert_eq!((server.received().len(), leave.is_withdrawn()), (1, withdrawn), "{reply:?}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed_and_plain_http_stays_here() {
    let server = Server::script([Reply::json(302, "").with("location", "https://elsewhere.example/")]).await;
    assert_eq!(get(&server).await.unwrap().status.as_u16(), 302);
    let call = Call::get(Service::Okta, Url::parse("http://okta.example/x").unwrap(), "/x");
    let sent: Result<_, HttpError> = client().send(&call, |_| async { Ok(Draft::new()) }).await;
    assert!(matches!(sent.unwrap_err(), HttpError::Address { host } if host == "okta.example"));
}

#[tokio::test]
async fn an_endless_body_is_not_read_to_its_end() {
    let server = Server::script([Reply::json(200, format!("[{}1]", "1,".repeat(5000)))]).await;
    let mut call = Call::get(Service::Graph, server.url.clone(), "/");
    call.max_body = 1000;
    let sent: Result<_, HttpError> = client().send(&call, |_| async { Ok(Draft::new()) }).await;
    assert!(matches!(sent.unwrap_err(), HttpError::TooLarge { limit: 1000, .. }));
    call.json = false;
    let sent: Result<_, HttpError> = client().send(&call, |_| async { Ok(Draft::new()) }).await;
    let answer = sent.unwrap();
    assert!(answer.truncated && answer.body.len() == 1000);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_named_by_its_place_alone() {
    type Outer = HashMap<String, Vec<HashMap<String, u8>>>;
    let server = Server::script([Reply::json(200, r#"{"a":[{"b":"secret"}]}"#)]).await;
    let error = get(&server).await.unwrap().json::<Outer>().unwrap_err().to_string();
    assert!(error.starts_with("the answer to GET /x does not fit at `a[0].b`: invalid type"), "{error}");
    assert!(!error.contains("secret"));
}

#[tokio::test]
async fn finished_requests_are_recorded_with_their_attempts_and_ids() {
    let server =
        Server::script([Reply::json(429, "{}").with("retry-after", 0), good().with("x-okta-request-id", "abc")]).await;
    let log = CallLog::new();
    CALLS.scope(log.clone(), get(&server)).await.unwrap();
    let calls = log.take();
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!((call.path.as_str(), call.status, call.attempts), ("/x", Some(200), 2));
    assert_eq!(call.request_id.as_deref(), Some("abc"));
    assert!(log.is_empty());
    let hangup = Server::script([Reply::Hangup]).await;
    let _ = CALLS.scope(log.clone(), get(&hangup)).await;
    let error = log.take()[0].error.clone().unwrap();
    assert!(error.contains("broke during GET /x") && !error.contains("hush"), "{error}");
}

#[tokio::test]
async fn the_pace_of_okta_is_read_from_its_answers() {
    let soon = jiff::Timestamp::from_second(4_000_000_000).unwrap();
    let full = good()
        .with("x-rate-limit-limit", 10)
        .with("x-rate-limit-remaining", 2)
        .with("x-rate-limit-reset", soon.as_second());
    let server = Server::script([full]).await;
    let gate = Arc::new(super::gate::Gate::okta(0.6));
    let call = Call::get(Service::Okta, server.url.clone(), "/x").paced(&gate);
    let client = client();
    let send = || client.send::<HttpError, _>(&call, |_| async { Ok(Draft::new()) });
    send().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(20), send()).await.is_err(), "6 of 10 are ours, 8 are used");
    assert_eq!(server.received().len(), 1);
}
