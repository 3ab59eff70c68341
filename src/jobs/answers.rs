//! Answers of single calls: how they are told, how they are kept.
//!
//! For jobs whose calls are their result. What a good answer looks like is each job's own affair.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::graph::{GraphClient, GraphError, Identity, RawAnswer};
use crate::history::calls::Verdict as CallVerdict;
use crate::jobs::error::chain;

/// What one request was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    pub path: String,
    pub status: Option<u16>,
    pub latency_ms: u64,
    pub request_id: Option<String>,
    #[serde(skip)]
    pub client_request_id: Option<String>,
    pub verdict: CallVerdict,
    /// What was wrong with it.
    pub problem: Option<String>,
    #[serde(skip)]
    pub body: Option<String>,
}

impl Reply {
    /// An answer that was judged. Its body is not kept.
    pub(super) fn answered(path: &str, answer: &RawAnswer, verdict: CallVerdict, problem: Option<String>) -> Self {
        Self {
            path: path.to_owned(),
            status: Some(answer.status),
            latency_ms: u64::try_from(answer.latency.as_millis()).unwrap_or(u64::MAX),
            request_id: answer.request_id.clone(),
            client_request_id: answer.client_request_id.clone(),
            verdict,
            problem,
            body: None,
        }
    }

    /// No usable answer came.
    pub(super) fn unanswered(path: &str, error: &GraphError) -> Self {
        Self { problem: Some(chain(error)), ..Self::nothing(path) }
    }

    /// Nothing came.
    pub(super) fn nothing(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            status: None,
            latency_ms: 0,
            request_id: None,
            client_request_id: None,
            verdict: CallVerdict::Failed,
            problem: None,
            body: None,
        }
    }

    /// The same with a body, as [`kept`] makes it.
    pub(super) fn keeping(self, body: Option<String>) -> Self {
        Self { body, ..self }
    }
}

/// Bytes of an answer that are kept, where answers are kept.
const KEPT_BODY: usize = 16 * 1024;

/// How long a run that is stopped waits for a sign-in that is under way.
pub(super) const CALL_IN_HAND: Duration = Duration::from_secs(5);

/// Waits for an answer, or for the stop; `None` then, once what a sign-in under way gave is stored.
pub(super) async fn unless_stopped<T>(
    stop: &CancellationToken,
    graph: &GraphClient,
    identity: Identity,
    asked: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => {
            // What Entra gave for the old refresh token is stored before the process may end.
            let _ = timeout(CALL_IN_HAND, graph.signed_in(identity)).await;
            None
        }
        asked = asked => Some(asked),
    }
}

/// Answered 2xx, and not with what was asked for.
pub(super) fn wrong(what: &str) -> (CallVerdict, Option<String>) {
    (CallVerdict::WrongShape, Some(format!("answered with {what}")))
}

/// An answer as it is kept: JSON alone, without what names or reaches a person. Of a list that is too long, as much from
/// its beginning as there is room for.
pub(super) fn kept(body: &[u8]) -> Option<String> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    redact(&mut value, &is_private, &is_address);
    let mut left_out = 0;
    loop {
        let text = value.to_string();
        if text.len() <= KEPT_BODY {
            return Some(text);
        }
        let fits = value.get("value").and_then(Value::as_array).map(|items| items.len() * KEPT_BODY / text.len());
        let Some(items) = value.get_mut("value").and_then(Value::as_array_mut).filter(|items| !items.is_empty()) else {
            return Some(json!({ "graphkeeper.left_out": format!("{} bytes", text.len()) }).to_string());
        };
        let keep = fits.unwrap_or(0).min(items.len() - 1);
        left_out += items.len() - keep;
        items.truncate(keep);
        value["graphkeeper.left_out"] = json!(left_out);
    }
}

/// What is to be sent as it may be shown: without what a secret's name stands before.
pub(super) fn without_secrets(mut body: Value) -> Value {
    redact(&mut body, &|key| SECRET.iter().any(|word| key.contains(word)), &|_| false);
    body
}

/// Words in a key whose value is a secret; those whose value is about a person; and keys that are about none although they
/// look so.
const SECRET: [&str; 3] = ["token", "secret", "password"];
const PERSONAL: [&str; 11] =
    ["name", "mail", "phone", "address", "location", "employee", "title", "birth", "about", "immutableid", "url"];
const HARMLESS: [&str; 2] = ["serviceplanname", "accountname"];

/// Whether the value of a key, in lower case, is kept.
fn is_private(key: &str) -> bool {
    PERSONAL.iter().chain(&SECRET).any(|word| key.contains(word)) && !HARMLESS.contains(&key)
}

fn is_address(text: &str) -> bool {
    text.contains('@') && !text.starts_with("http")
}

/// Takes out the values of keys, in lower case, and the texts that are told to be private.
fn redact(value: &mut Value, is_private: &dyn Fn(&str) -> bool, is_address: &dyn Fn(&str) -> bool) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let personal = is_private(&key.to_lowercase());
                match value {
                    Value::Null | Value::Object(_) => redact(value, is_private, is_address),
                    _ if personal => *value = Value::from("(redacted)"),
                    _ => redact(value, is_private, is_address),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, is_private, is_address)),
        Value::String(text) if is_address(text) => "(redacted)".clone_into(text),
        _ => {}
    }
}

/// Status and vendor's code of a refusal.
pub(super) fn refusal(answer: &RawAnswer) -> String {
    let code = serde_json::from_slice::<Value>(&answer.body)
        .ok()
        .and_then(|body| body.pointer("/error/code").and_then(Value::as_str).map(str::to_owned));
    let id = answer.request_id.as_deref().map(|id| format!(", request-id {id}")).unwrap_or_default();
    match code {
        Some(code) => format!("{} {code}{id}", answer.status),
        None => format!("{}{id}", answer.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_answer_names_nobody() {
        let body = r#"{"id":"7","displayName":"Ana","mail":"ana@x.example","businessPhones":["+1"],"employeeId":"E77",
                       "aboutMe":"write to ana@x.example","skuPartNumber":"E5","manager":{"userPrincipalName":"bo@x"}}"#;
        let kept = kept(body.as_bytes()).unwrap();
        for private in ["Ana", "ana@", "+1", "bo@", "E77"] {
            assert!(!kept.contains(private), "{private} in {kept}");
        }
        assert!(kept.contains("\"skuPartNumber\":\"E5\"") && kept.contains("\"id\":\"7\""), "{kept}");
        assert_eq!(super::kept(b"<html>"), None);
    }

    #[test]
    fn of_a_long_answer_as_much_is_kept_as_there_is_room_for() {
        let list = json!({ "value": vec![json!({ "id": "0".repeat(1_000) }); 100] }).to_string();
        let kept_list = kept(list.as_bytes()).unwrap();
        let read: Value = serde_json::from_str(&kept_list).unwrap();
        let items = read["value"].as_array().unwrap().len();
        assert!(kept_list.len() <= KEPT_BODY && items > 10, "{items}");
        assert_eq!(read["graphkeeper.left_out"], 100 - items);
        let thing = json!({ "id": "0".repeat(20_000) }).to_string();
        assert!(kept(thing.as_bytes()).unwrap().contains("left_out"));
    }
}
