//! Batches: reads that are tried again, writes that are sent once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::identity::AccountId;
use crate::graph::tests::{calls, graph, id, refusal, serve};
use crate::graph::{GraphClient, GraphError, ManagerState, ManagerTarget, ManagerWrite, WriteAnswer, WriteResult};
use crate::http::testing::{Received, Reply, Server};

/// Answers a batch item by item, last item first.
fn batch(request: &Received, answer: impl Fn(&Value) -> Value) -> Reply {
    let body = request.json();
    let responses: Vec<Value> = body["requests"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|item| {
            let mut line = answer(item);
            line["id"] = item["id"].clone();
            line
        })
        .filter(|line| line["status"] != 0)
        .collect();
    Reply::json(200, json!({ "responses": responses }))
}

fn account_of(item: &Value) -> String {
    item["url"].as_str().unwrap().split('/').nth(2).unwrap().split('?').next().unwrap().to_owned()
}

/// Writes as a run does: leave first, then once.
async fn send(graph: &GraphClient, writes: &[ManagerWrite]) -> Result<Vec<WriteAnswer>, GraphError> {
    let leave = graph.leave_to_write(writes.len()).await?;
    graph.write_managers(leave, writes).await
}

fn write(n: u128, to: ManagerTarget) -> ManagerWrite {
    ManagerWrite { account: id(n), to, client_request_id: Uuid::from_u128(n) }
}

#[tokio::test]
async fn managers_are_read_in_batches_of_twenty_and_judged_by_id() {
    let server = serve(|request| {
        batch(request, |item| {
            let account = account_of(item);
            match u128::from(account.as_bytes()[35] - b'0') % 4 {
                0 => json!({"status": 200, "body": {"id": account, "manager": {"id": id(7).to_string()}}}),
                1 => json!({"status": 200, "body": {"id": account}}),
                2 => json!({"status": 404, "body": {"error": {"code": "Request_ResourceNotFound", "message": "gone"}}}),
                _ => json!({"status": 0}),
            }
        })
    })
    .await;
    let accounts: Vec<AccountId> = (0..45).map(|n| id(n * 16 + n % 4)).collect();
    let states = graph(&server).read_managers(&accounts).await.unwrap();
    assert_eq!(calls(&server).len(), 3);
    for (n, (account, state)) in states.iter().enumerate() {
        assert_eq!(*account, accounts[n]);
        match n % 4 {
            0 => assert_eq!(state.as_ref().unwrap(), &ManagerState::Is(id(7))),
            1 => assert_eq!(state.as_ref().unwrap(), &ManagerState::Nobody),
            2 => assert_eq!(state.as_ref().unwrap(), &ManagerState::Gone),
            _ => assert!(matches!(state, Err(GraphError::Unanswered { .. }))),
        }
    }
}

#[tokio::test]
async fn writes_are_put_and_delete_with_the_ids_of_their_intents() {
    let server = serve(|request| batch(request, |_| json!({"status": 204, "headers": {"Request-Id": "r"}}))).await;
    let writes =
        [write(1, ManagerTarget::User(id(9))), write(2, ManagerTarget::Nobody), write(3, ManagerTarget::Object(id(8)))];
    let answers = send(&graph(&server), &writes).await.unwrap();
    assert!(answers.iter().all(|a| a.result == WriteResult::Accepted { request_id: Some("r".into()) }));
    let call = calls(&server).remove(0);
    let root = server.url.as_str().trim_end_matches('/');
    let account = |n: u128| format!("/users/{}/manager/$ref", id(n));
    assert_eq!(call.target, "/v1.0/$batch");
    assert_eq!(
        call.json()["requests"],
        json!([
            {"id": "0", "method": "PUT", "url": account(1), "body": {"@odata.id": format!("{root}/v1.0/users/{}", id(9))},
             "headers": {"Content-Type": "application/json", "client-request-id": Uuid::from_u128(1).to_string()}},
            {"id": "1", "method": "DELETE", "url": account(2),
             "headers": {"client-request-id": Uuid::from_u128(2).to_string()}},
            {"id": "2", "method": "PUT", "url": account(3),
             "body": {"@odata.id": format!("{root}/v1.0/directoryObjects/{}", id(8))},
             "headers": {"Content-Type": "application/json", "client-request-id": Uuid::from_u128(3).to_string()}}
        ])
    );
}

/// Items that a moment may help and one that it may not, in the first rounds.
fn shaky_item(item: &Value, round: u32, good: Value) -> Value {
    match (item["id"].as_str().unwrap(), round) {
        ("0", 0) => {
            json!({"status": 429, "headers": {"retry-after": "0.02"}, "body": {"error": {"code": "TooManyRequests"}}})
        }
        ("1", 0) => json!({"status": 503, "headers": {"Retry-After": 0}}),
        ("2", 0) => json!({"status": 409, "body": {"error": {"code": "Directory_ConcurrencyViolation"}}}),
        ("3", 0..2) => json!({"status": 500}),
        ("4", _) => json!({"status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "no"}}}),
        _ => good,
    }
}

fn sizes(server: &Server) -> Vec<usize> {
    calls(server).iter().map(|call| call.json()["requests"].as_array().unwrap().len()).collect()
}

#[tokio::test]
async fn of_a_batch_of_reads_only_the_failed_ones_are_sent_again_under_new_ids() {
    let rounds = AtomicU32::new(0);
    let server = serve(move |request| {
        let round = rounds.fetch_add(1, Ordering::Relaxed);
        batch(request, |item| shaky_item(item, round, json!({"status": 200, "body": {"id": account_of(item)}})))
    })
    .await;
    let accounts: Vec<AccountId> = (0..6).map(id).collect();
    let states = graph(&server).read_managers(&accounts).await.unwrap();
    assert_eq!(sizes(&server), [6, 4, 1]);
    for (n, (_, state)) in states.iter().enumerate() {
        assert_eq!(matches!(state, Ok(ManagerState::Nobody)), n != 4, "{n}: {state:?}");
    }
    let bodies: Vec<Value> = calls(&server).iter().map(Received::json).collect();
    let ids: Vec<&Value> = bodies.iter().flat_map(|body| body["requests"].as_array().unwrap()).collect();
    let ids: HashSet<String> = ids.iter().map(|item| item["headers"]["client-request-id"].to_string()).collect();
    assert_eq!(ids.len(), 11);
}

#[tokio::test]
async fn a_batch_of_writes_is_sent_once_whatever_its_items_are_answered() {
    let server = serve(|request| batch(request, |item| shaky_item(item, 0, json!({"status": 204})))).await;
    let writes: Vec<ManagerWrite> = (0..6).map(|n| write(n, ManagerTarget::User(id(99)))).collect();
    let answers = send(&graph(&server), &writes).await.unwrap();
    assert_eq!(sizes(&server), [6]);
    let results: Vec<&WriteResult> = answers.iter().map(|answer| &answer.result).collect();
    for (place, status, after) in [(0, 429, Some(20)), (1, 503, Some(0)), (2, 409, None), (4, 403, None)] {
        let WriteResult::Refused { status: said, .. } = results[place] else { panic!("{:?}", results[place]) };
        assert_eq!((*said, results[place].after()), (status, after.map(Duration::from_millis)), "{place}");
    }
    assert!(matches!(results[3], WriteResult::Unknown { .. }), "{:?}", results[3]);
    assert!(matches!(results[5], WriteResult::Accepted { .. }), "{:?}", results[5]);
    assert!(results[4].hint().unwrap().contains("User.ReadWrite.All"));
}

#[tokio::test]
async fn a_door_shut_to_a_batch_of_writes_is_no_reason_to_send_it_again() {
    for status in [429, 503] {
        for reply in [Reply::json(status, "{}"), Reply::json(status, "{}").with("retry-after", 0)] {
            let server = serve(move |_| reply.clone()).await;
            let error = send(&graph(&server), &[write(1, ManagerTarget::Nobody)]).await.unwrap_err();
            assert!(matches!(&error, GraphError::Refused(refusal) if refusal.status == status), "{error}");
            assert_eq!(calls(&server).len(), 1);
        }
    }
}

#[tokio::test]
async fn what_an_item_is_told_to_wait_all_callers_wait() {
    let asked = Duration::from_millis(300);
    for writes_first in [true, false] {
        let seen: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let seen_there = Arc::clone(&seen);
        let server = serve(move |request| {
            let mut seen = seen_there.lock().unwrap();
            seen.push(Instant::now());
            let first = seen.len() == 1;
            batch(request, |item| match (first, item["method"].as_str().unwrap()) {
                (true, _) => json!({"status": 429, "headers": {"Retry-After": "0.3"}, "body": {"error": {"code": "TooManyRequests"}}}),
                (_, "GET") => json!({"status": 200, "body": {"id": account_of(item)}}),
                _ => json!({"status": 204}),
            })
        })
        .await;
        let graph = graph(&server);
        let one_write = [write(1, ManagerTarget::Nobody)];
        if writes_first {
            send(&graph, &one_write).await.unwrap();
            graph.read_managers(&[id(2)]).await.unwrap();
        } else {
            // The reader waits and reads again; whoever has leave to write by then hears of it.
            let leave = graph.leave_to_write(1).await.unwrap();
            let other = graph.clone();
            let reading = tokio::spawn(async move { other.read_managers(&[id(2)]).await });
            while !leave.is_withdrawn() {
                tokio::task::yield_now().await;
            }
            drop(leave);
            send(&graph, &one_write).await.unwrap();
            reading.await.unwrap().unwrap();
        }
        let seen = seen.lock().unwrap();
        assert!(seen[1].duration_since(seen[0]) >= asked, "writes first: {writes_first}: {seen:?}");
    }
}

#[tokio::test]
async fn what_stays_without_an_answer_is_unknown_and_what_is_refused_is_refused() {
    let server = serve(|request| {
        batch(request, |item| match item["id"].as_str().unwrap() {
            "0" => json!({"status": 0}),
            "1" => json!({"status": 500, "body": {"error": {"code": "UnknownError", "message": "", "innererror": {"request-id": "r5"}}}}),
            "2" => json!({"status": 400, "body": {"error": {"code": "Request_BadRequest", "message":
                "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration."}}}),
            "3" => json!({"status": 429, "headers": {"Retry-After": "3600"}, "body": {"error": {"code": "TooManyRequests", "message": "later"}}}),
            _ => json!({"status": 201}),
        })
    })
    .await;
    let writes: Vec<ManagerWrite> = (0..5).map(|n| write(n, ManagerTarget::User(id(99)))).collect();
    let answers = send(&graph(&server), &writes).await.unwrap();
    assert!(matches!(&answers[0].result, WriteResult::Unknown { reason, .. } if reason.contains("not mention")));
    assert!(matches!(&answers[1].result, WriteResult::Unknown { request_id: Some(id), .. } if id == "r5"));
    assert!(answers[2].result.is_mastered_elsewhere());
    assert!(matches!(&answers[3].result, WriteResult::Refused { status: 429, .. }), "an hour is not waited for");
    assert!(matches!(answers[4].result, WriteResult::Accepted { .. }));
}

#[tokio::test]
async fn emptying_an_empty_place_is_success_and_a_missing_account_is_not() {
    let server = serve(|request| {
        batch(request, |item| {
            let name = if item["id"] == "0" { "manager".to_owned() } else { account_of(item).to_uppercase() };
            let message = format!(
                "Resource '{name}' does not exist or one of its queried reference-property objects are not present."
            );
            json!({"status": 404, "body": {"error": {"code": "Request_ResourceNotFound", "message": message}}})
        })
    })
    .await;
    let writes =
        [write(1, ManagerTarget::Nobody), write(2, ManagerTarget::Nobody), write(3, ManagerTarget::User(id(4)))];
    let answers = send(&graph(&server), &writes).await.unwrap();
    assert!(matches!(answers[0].result, WriteResult::Accepted { .. }));
    assert!(matches!(answers[1].result, WriteResult::Refused { status: 404, .. }));
    assert!(matches!(answers[2].result, WriteResult::Refused { status: 404, .. }));
}

#[tokio::test]
async fn a_batch_of_writes_whose_answer_is_lost_is_sent_once() {
    for bad in
        [Reply::Hangup, Reply::html(200), Reply::json(200, "{}"), Reply::json(200, r#"{"resp"#), Reply::json(502, "")]
    {
        let reply = bad.clone();
        let server = serve(move |_| reply.clone()).await;
        let answers = send(&graph(&server), &[write(1, ManagerTarget::Nobody)]).await.unwrap();
        assert!(matches!(answers[0].result, WriteResult::Unknown { .. }), "{bad:?}: {answers:?}");
        assert_eq!(calls(&server).len(), 1, "{bad:?}");
    }
}

#[tokio::test]
async fn a_batch_that_was_turned_away_changed_nothing_and_says_so() {
    let server = serve(|_| refusal(400, "BadRequest", "malformed")).await;
    assert!(send(&graph(&server), &[write(1, ManagerTarget::Nobody)]).await.is_err());
    let server = serve(|_| Reply::json(429, "{}").with("retry-after", 3600)).await;
    let error = send(&graph(&server), &[write(1, ManagerTarget::Nobody)]).await.unwrap_err();
    assert!(error.to_string().contains("come back in 3600 seconds"), "{error}");
}

/// Refuses `t1` as a whole, and `t2` for one item.
async fn serve_with_ending_tokens(good: fn(&Value) -> Value) -> Server {
    serve(move |request| match request.header("authorization") {
        Some("Bearer t1") => refusal(401, "InvalidAuthenticationToken", "expired"),
        Some("Bearer t2") => batch(request, |item| {
            if item["id"] == "1" {
                json!({"status": 401, "body": {"error": {"code": "InvalidAuthenticationToken"}}})
            } else {
                good(item)
            }
        }),
        _ => batch(request, good),
    })
    .await
}

#[tokio::test]
async fn reads_whose_token_has_ended_are_sent_again_with_a_fresh_one() {
    let server = serve_with_ending_tokens(|item| json!({"status": 200, "body": {"id": account_of(item)}})).await;
    let states = graph(&server).read_managers(&[id(1), id(2)]).await.unwrap();
    assert!(states.iter().all(|(_, state)| matches!(state, Ok(ManagerState::Nobody))), "{states:?}");
    assert_eq!(sizes(&server), [2, 2, 1]);
}

#[tokio::test]
async fn writes_whose_token_has_ended_are_sent_once_and_the_next_leave_has_a_fresh_one() {
    let server = serve_with_ending_tokens(|_| json!({"status": 204})).await;
    let (graph, writes) = (graph(&server), [write(1, ManagerTarget::Nobody), write(2, ManagerTarget::Nobody)]);
    let error = send(&graph, &writes).await.unwrap_err();
    assert!(matches!(&error, GraphError::Refused(refusal) if refusal.status == 401), "{error}");
    let answers = send(&graph, &writes).await.unwrap();
    assert!(matches!(answers[0].result, WriteResult::Accepted { .. }), "{answers:?}");
    assert!(matches!(answers[1].result, WriteResult::Refused { status: 401, .. }), "{answers:?}");
    let answers = send(&graph, &writes[1..]).await.unwrap();
    assert!(matches!(answers[0].result, WriteResult::Accepted { .. }), "{answers:?}");
    assert_eq!(sizes(&server), [2, 2, 1]);
}
