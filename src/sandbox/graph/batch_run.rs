//! `POST /$batch`, the doing part: each request is carried out, journalled and charged by itself, and the answers come
//! back in an order of the server's own.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::sandbox::answers::{self, Canned};
use crate::sandbox::faults::Fault;
use crate::sandbox::graph::Graph;
use crate::sandbox::graph::batch::{self, Item};
use crate::sandbox::graph::bearer;
use crate::sandbox::graph::call::{Answer, Body, Call};
use crate::sandbox::graph::desk;
use crate::sandbox::graph::refusal::Refusal;
use crate::sandbox::journal::Row;
use crate::sandbox::server::{Note, Service, fresh_id, now};

/// Carries a batch out. 200 whenever it could be read, whatever became of its requests.
pub(super) async fn run(graph: &Graph, call: &Call, authorization: Option<&str>) -> Answer {
    let items = match readable(graph, call, authorization) {
        Ok(items) => items,
        Err(refusal) => {
            let lowercase = graph.site.world.read().entra.habits.lowercase_inner_error;
            return refusal.answer(call, lowercase).with_headers([("content-type", "application/json".into())]);
        }
    };
    let mut statuses: Vec<u16> = Vec::with_capacity(items.len());
    let mut responses: Vec<Value> = Vec::with_capacity(items.len());
    for item in &items {
        let failed = item.after.iter().any(|&before| statuses[before] >= 400);
        let answer = carry_out(graph, item, authorization, failed).await;
        statuses.push(answer.status);
        responses.push(response(item, answer));
    }
    graph.shuffle(&mut responses);
    Answer::json(json!({"responses": responses})).with_headers([("content-type", "application/json".into())])
}

/// The batch's requests, when the caller is known and the batch well formed.
fn readable(graph: &Graph, call: &Call, authorization: Option<&str>) -> Result<Vec<Item>, Refusal> {
    bearer::check(&graph.site, authorization, call.at)?;
    let is_json = call.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    if !is_json {
        return Err(Refusal::front("Batch requests need the Content-Type application/json."));
    }
    batch::parse(&call.body)
}

/// One request of the batch, with the faults that were ordered for it.
async fn carry_out(graph: &Graph, item: &Item, authorization: Option<&str>, dependency_failed: bool) -> Answer {
    let site = &graph.site;
    let call = Call {
        method: item.method.clone(),
        path: item.path.clone(),
        query: item.query.clone(),
        headers: item.headers.clone(),
        body: item.body.clone(),
        id: fresh_id().to_string(),
        at: now(),
    };
    let fault = site.faults.draw(Service::Graph, &call.method, &call.path, &call.query);
    match &fault {
        Some(Fault::Hold { gate }) => site.faults.gate(gate).pass().await,
        Some(Fault::Slow { millis }) => tokio::time::sleep(Duration::from_millis(*millis)).await,
        Some(Fault::ExpireToken) => site.faults.kill_credential(authorization.unwrap_or_default()),
        _ => {}
    }
    let answer = match canned(graph, &call, fault.as_ref(), authorization) {
        Some(canned) => from_canned(canned),
        None if dependency_failed => {
            Refusal::new(424, "FailedDependency", "A request that this one depends on failed.").answer(&call, false)
        }
        None => desk::answer(site, &graph.throttle, &call, authorization),
    };
    site.journal.push(Row {
        at: call.at,
        service: Service::Graph,
        method: call.method.clone(),
        path: call.path.clone(),
        query: call.query.clone(),
        status: answer.status,
        client_request_id: call.header("client-request-id").map(str::to_owned),
        request_id: call.id.clone(),
        item: true,
        write: answer.note.write,
        fault: fault.as_ref().map(Fault::name),
    });
    if let Some(Fault::HoldAnswer { gate }) = &fault {
        site.faults.gate(gate).pass().await;
    }
    answer
}

/// The answer that spares the request, if there is one.
fn canned(graph: &Graph, call: &Call, fault: Option<&Fault>, authorization: Option<&str>) -> Option<Canned> {
    if graph.site.faults.is_dead(authorization.unwrap_or_default()) {
        return Some(answers::dead_token(Service::Graph, &call.id));
    }
    answers::to_fault(Service::Graph, fault?, &call.id)
}

fn from_canned(canned: Canned) -> Answer {
    let body = serde_json::from_str(&canned.body).map_or(Body::Text(canned.body), Body::Json);
    let mut headers = canned.headers;
    headers.push(("content-type", canned.content_type.to_owned()));
    Answer { status: canned.status, headers, body, note: Note::default() }
}

/// An answer as a batch carries it: the id, the status, headers as an object, and a body unless there is none.
fn response(item: &Item, answer: Answer) -> Value {
    let mut headers: Map<String, Value> =
        answer.headers.into_iter().map(|(name, value)| (spelled(name), Value::from(value))).collect();
    headers.insert("Cache-Control".into(), json!("no-cache"));
    if let Some((_, id)) = item.headers.iter().find(|(name, _)| name == "client-request-id") {
        headers.insert("client-request-id".into(), json!(id));
    }
    let mut response = json!({"id": item.id, "status": answer.status, "headers": headers});
    match answer.body {
        Body::Empty => {}
        Body::Json(body) => response["body"] = body,
        Body::Text(text) => response["body"] = json!(text),
    }
    response
}

/// A header's name as Graph writes it inside a batch.
fn spelled(name: &str) -> String {
    match name {
        "content-type" => "Content-Type".into(),
        "retry-after" => "Retry-After".into(),
        "odata-version" => "OData-Version".into(),
        other => other.into(),
    }
}
