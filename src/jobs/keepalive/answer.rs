//! What an answer is worth.

use serde_json::Value;

use crate::graph::RawAnswer;
use crate::history::calls::Verdict;
use crate::jobs::answers;

/// What an endpoint answers with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// An object with a list in `value`.
    List,
    /// An object that is one thing: with an `id`, or with the `@odata.context` that Graph gives everything.
    Thing,
    /// Either of these.
    Either,
    /// A number as text.
    Number,
    /// Bytes, such as a picture.
    Bytes,
}

/// Collections that people call by themselves; a segment behind them names one thing.
const LISTS: [&str; 9] = [
    "/subscribedskus",
    "/directory/subscriptions",
    "/organization",
    "/users",
    "/groups",
    "/applications",
    "/serviceprincipals",
    "/domains",
    "/me/messages",
];

/// What the endpoint at `path` answers with, as far as we know it. Names are compared without regard to case.
fn shape_of(path: &str) -> Shape {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/').to_lowercase();
    match path.as_str() {
        "/me" => Shape::Thing,
        path if path.ends_with("/$count") => Shape::Number,
        path if path.ends_with("/$value") => Shape::Bytes,
        path if LISTS.contains(&path) => Shape::List,
        _ => Shape::Either,
    }
}

/// Success is 2xx of the expected shape. A proxy's page with status 200 is none, nor is a list where a thing was asked for.
pub(super) fn judge(path: &str, answer: &RawAnswer) -> (Verdict, Option<String>) {
    if !(200..300).contains(&answer.status) {
        return (Verdict::Failed, Some(answers::refusal(answer)));
    }
    match wrong(path, answer) {
        None => (Verdict::Ok, None),
        Some(what) => answers::wrong(what),
    }
}

/// What an answer is instead of what it should be.
fn wrong(path: &str, answer: &RawAnswer) -> Option<&'static str> {
    let shape = shape_of(path);
    let is_page = answer.content_type.as_deref().is_some_and(|kind| kind.to_lowercase().contains("html"));
    match shape {
        Shape::Number => {
            let number = std::str::from_utf8(&answer.body).is_ok_and(|text| text.trim().parse::<u64>().is_ok());
            return (!number).then_some("no number");
        }
        Shape::Bytes => return (is_page || answer.body.is_empty()).then_some("a web page, or nothing"),
        Shape::List | Shape::Thing | Shape::Either => {}
    }
    if answer.truncated {
        return Some("more than 1 MiB, which is not read whole: ask for less with `$top` or `$select`");
    }
    let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(&answer.body) else {
        return Some("no JSON object");
    };
    let is_list = object.get("value").is_some_and(Value::is_array);
    let is_thing = !object.contains_key("value")
        && (object.get("id").is_some_and(Value::is_string)
            || object.get("@odata.context").is_some_and(Value::is_string));
    match shape {
        Shape::List if !is_list => Some("JSON without a list in `value`"),
        Shape::Thing if !is_thing => Some("JSON without an `id`"),
        Shape::Either if !is_list && !is_thing => Some("JSON without `value` or `id`"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::Executed;

    fn answer(status: u16, body: &str) -> RawAnswer {
        RawAnswer {
            status,
            latency: Duration::ZERO,
            attempts: 1,
            request_id: Some("r-1".to_owned()),
            client_request_id: None,
            content_type: None,
            body: body.as_bytes().to_vec(),
            truncated: false,
            refused: None,
            executed: Executed::Yes,
        }
    }

    #[test]
    fn a_tick_is_green_only_for_the_expected_shape() {
        let context = r#"{"@odata.context":"$metadata#users/$entity","displayName":"Ana"}"#;
        let cases = [
            ("/me", 200, r#"{"id":"1"}"#, Verdict::Ok),
            ("/ME/", 200, r#"{"id":"1"}"#, Verdict::Ok),
            ("/me?$select=displayName", 200, context, Verdict::Ok),
            ("/me", 200, r#"{"value":[]}"#, Verdict::WrongShape),
            ("/me", 200, r#"{"value":"x","id":"1"}"#, Verdict::WrongShape),
            ("/me", 200, r#"{"id":null}"#, Verdict::WrongShape),
            ("/me", 200, "<html>sign in to the network</html>", Verdict::WrongShape),
            ("/me", 200, "{}", Verdict::WrongShape),
            ("/me", 200, "[]", Verdict::WrongShape),
            ("/me", 204, "", Verdict::WrongShape),
            ("/subscribedSkus", 200, r#"{"value":[]}"#, Verdict::Ok),
            ("/SubscribedSKUs", 200, r#"{"id":"1"}"#, Verdict::WrongShape),
            ("/subscribedSkus", 200, r#"{"value":{}}"#, Verdict::WrongShape),
            ("/subscribedSkus/1", 200, r#"{"id":"1"}"#, Verdict::Ok),
            ("/me/drive", 200, r#"{"id":"1"}"#, Verdict::Ok),
            ("/me/memberOf", 200, r#"{"value":[]}"#, Verdict::Ok),
            ("/me/drive", 200, r#"{"error":{"code":"x"}}"#, Verdict::WrongShape),
            ("/users/$count", 200, "12", Verdict::Ok),
            ("/users/$count", 200, "many", Verdict::WrongShape),
            ("/me/photo/$value", 200, "\u{1}\u{2}", Verdict::Ok),
            ("/me/photo/$value", 200, "", Verdict::WrongShape),
            ("/me", 403, r#"{"error":{"code":"Authorization_RequestDenied"}}"#, Verdict::Failed),
        ];
        for (path, status, body, verdict) in cases {
            assert_eq!(judge(path, &answer(status, body)).0, verdict, "{path} {status} {body}");
        }
        let page = RawAnswer { content_type: Some("text/html".to_owned()), ..answer(200, "<html>") };
        assert_eq!(judge("/me/photo/$value", &page).0, Verdict::WrongShape);
        let long = RawAnswer { truncated: true, ..answer(200, r#"{"value":[]}"#) };
        assert_eq!(judge("/users", &long).0, Verdict::WrongShape, "what was not read whole is not known to be right");
        let (_, problem) = judge("/me", &answer(403, r#"{"error":{"code":"Authorization_RequestDenied"}}"#));
        assert_eq!(problem.unwrap(), "403 Authorization_RequestDenied, request-id r-1");
    }
}
