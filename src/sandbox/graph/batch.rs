//! `POST /$batch`, the reading part: which requests are in it, and whether the whole is well formed.
//!
//! Source: <https://learn.microsoft.com/graph/json-batching>

use std::collections::HashMap;

use serde_json::Value;

use crate::sandbox::graph::refusal::Refusal;

/// The most requests in one batch.
const MOST: usize = 20;

/// One request of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) method: String,
    /// With the version in front, like a request of its own.
    pub(super) path: String,
    pub(super) query: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Places in the batch of the requests that have to succeed before.
    pub(super) after: Vec<usize>,
}

/// The requests of a batch in an order in which each comes after those it depends on, or 400 for the whole.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Item>, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| invalid("Invalid batch payload format."))?;
    let requests = body["requests"].as_array().ok_or_else(|| invalid("Invalid batch payload format."))?;
    if requests.is_empty() {
        return Err(invalid("Invalid batch payload format."));
    }
    if requests.len() > MOST {
        return Err(invalid(&format!("Number of batch request steps exceeds the maximum value of {MOST}.")));
    }
    let places = places(requests)?;
    let items: Result<Vec<Item>, Refusal> = requests.iter().map(|request| item(request, &places)).collect();
    sorted(&items?)
}

/// The place of each id. Ids are compared without regard to case.
fn places(requests: &[Value]) -> Result<HashMap<String, usize>, Refusal> {
    let mut places = HashMap::new();
    for (place, request) in requests.iter().enumerate() {
        let id = request["id"].as_str().filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| invalid("Batch request id is missing or is not a string."))?;
        if places.insert(id.to_lowercase(), place).is_some() {
            return Err(invalid(&format!("Batch request id '{id}' is duplicated.")));
        }
    }
    Ok(places)
}

fn item(request: &Value, places: &HashMap<String, usize>) -> Result<Item, Refusal> {
    let id = request["id"].as_str().unwrap_or_default();
    let text = |name: &str| {
        let value = request[name].as_str().filter(|value| !value.is_empty());
        value.ok_or_else(|| invalid(&format!("Batch request id '{id}' has no {name}.")))
    };
    let method = text("method")?.to_ascii_uppercase();
    if !["GET", "PUT", "POST", "PATCH", "DELETE"].contains(&method.as_str()) {
        return Err(invalid(&format!("Batch request id '{id}' has an unsupported method.")));
    }
    let (path, query) = target(id, text("url")?)?;
    let headers = headers(id, &request["headers"])?;
    let body = body(id, &method, &headers, request.get("body"))?;
    let after = dependencies(id, &request["dependsOn"], places)?;
    Ok(Item { id: id.to_owned(), method, path, query, headers, body, after })
}

/// A url relative to the version, with or without a leading slash.
fn target(id: &str, url: &str) -> Result<(String, String), Refusal> {
    if url.contains("://") {
        return Err(invalid(&format!("Batch request id '{id}' has a url that is not relative.")));
    }
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    Ok((format!("/v1.0/{}", path.trim_start_matches('/')), query.to_owned()))
}

fn headers(id: &str, headers: &Value) -> Result<Vec<(String, String)>, Refusal> {
    let Some(headers) = headers.as_object() else { return Ok(Vec::new()) };
    let pair = |(name, value): (&String, &Value)| {
        let value = value.as_str().map(str::to_owned);
        let value = value.ok_or_else(|| invalid(&format!("Batch request id '{id}' has a header that is no text.")))?;
        Ok((name.to_ascii_lowercase(), value))
    };
    headers.iter().map(pair).collect()
}

/// The body as it would travel alone. With a body goes a content type, and a write other than a DELETE has a body.
fn body(id: &str, method: &str, headers: &[(String, String)], body: Option<&Value>) -> Result<Vec<u8>, Refusal> {
    let has_type = headers.iter().any(|(name, _)| name == "content-type");
    let needs_body = !["GET", "DELETE"].contains(&method);
    match body {
        Some(body) if has_type => Ok(body.to_string().into_bytes()),
        None if !needs_body => Ok(Vec::new()),
        _ => Err(invalid(&format!("Write request id : {id} does not contain Content-Type header or body."))),
    }
}

fn dependencies(id: &str, list: &Value, places: &HashMap<String, usize>) -> Result<Vec<usize>, Refusal> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let place = |name: &Value| {
        let found = name.as_str().and_then(|name| places.get(&name.to_lowercase()));
        found.copied().ok_or_else(|| invalid(&format!("Batch request id '{id}' depends on an unknown request.")))
    };
    list.iter().map(place).collect()
}

/// Puts every request behind those it depends on, and otherwise keeps the order.
fn sorted(items: &[Item]) -> Result<Vec<Item>, Refusal> {
    let mut order: Vec<usize> = Vec::with_capacity(items.len());
    while order.len() < items.len() {
        let ready =
            |place: &usize| !order.contains(place) && items[*place].after.iter().all(|before| order.contains(before));
        let next = (0..items.len()).find(ready);
        order.push(next.ok_or_else(|| invalid("The dependencies of the batch requests form a cycle."))?);
    }
    let renumbered = |place: usize| order.iter().position(|&old| old == place).unwrap_or(place);
    let rearranged = order.iter().map(|&place| {
        let item = items[place].clone();
        Item { after: item.after.iter().map(|&before| renumbered(before)).collect(), ..item }
    });
    Ok(rearranged.collect())
}

fn invalid(message: &str) -> Refusal {
    Refusal::front(message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(requests: &Value) -> Result<Vec<Item>, String> {
        parse(json!({"requests": requests}).to_string().as_bytes()).map_err(|refusal| refusal.message)
    }

    fn get(id: &str, url: &str) -> Value {
        json!({"id": id, "method": "GET", "url": url})
    }

    #[test]
    fn urls_are_relative_with_or_without_a_slash() {
        for (url, path, query) in [
            ("/users?$select=id", "/v1.0/users", "$select=id"),
            ("users?$filter=accountEnabled ne true", "/v1.0/users", "$filter=accountEnabled ne true"),
            ("/v1.0/users", "/v1.0/v1.0/users", ""),
        ] {
            let items = read(&json!([get("1", url)])).unwrap();
            assert_eq!((items[0].path.as_str(), items[0].query.as_str()), (path, query));
        }
    }

    #[test]
    fn a_malformed_batch_is_refused_whole() {
        let twenty_one: Vec<Value> = (0..21).map(|id| get(&id.to_string(), "/users")).collect();
        let put = |extra: Value| {
            let mut put = json!({"id": "1", "method": "PUT", "url": "/users/x/manager/$ref"});
            for (name, value) in extra.as_object().unwrap() {
                put[name] = value.clone();
            }
            json!([put])
        };
        for (requests, message) in [
            (json!(twenty_one), "Number of batch request steps exceeds the maximum value of 20."),
            (json!([]), "Invalid batch payload format."),
            (json!({}), "Invalid batch payload format."),
            (json!([get("a", "/users"), get("A", "/users")]), "Batch request id 'A' is duplicated."),
            (json!([{"method": "GET", "url": "/users"}]), "id is missing"),
            (json!([{"id": 1, "method": "GET", "url": "/users"}]), "id is missing or is not a string"),
            (json!([{"id": "1", "url": "/users"}]), "has no method"),
            (json!([{"id": "1", "method": "GET"}]), "has no url"),
            (json!([get("1", "https://graph.microsoft.com/v1.0/users")]), "not relative"),
            (put(json!({})), "Write request id : 1 does not contain Content-Type header or body."),
            (put(json!({"body": {}})), "Write request id : 1 does not contain Content-Type header or body."),
            (put(json!({"body": {}, "headers": {"Content-Type": 1}})), "a header that is no text"),
            (json!([{"id": "1", "method": "GET", "url": "/me", "dependsOn": ["2"]}]), "depends on an unknown request"),
            (json!([{"id": "1", "method": "GET", "url": "/me", "dependsOn": ["1"]}]), "form a cycle"),
        ] {
            let answer = read(&requests).unwrap_err();
            assert!(answer.contains(message), "{answer}");
        }
        assert!(parse(b"{").is_err());
        assert!(parse(b"").is_err());
    }

    #[test]
    fn a_write_comes_with_its_body_and_headers() {
        let items = read(&json!([{
            "id": "1", "method": "put", "url": "/users/x/manager/$ref", "body": {"@odata.id": "y"},
            "headers": {"Content-Type": "application/json", "Client-Request-Id": "z"},
        }]));
        let item = items.unwrap().remove(0);
        assert_eq!(item.method, "PUT");
        assert_eq!(item.body, br#"{"@odata.id":"y"}"#);
        assert!(item.headers.contains(&("client-request-id".into(), "z".into())));
    }

    #[test]
    fn requests_come_after_those_they_depend_on() {
        let mut first = get("3", "/c");
        first["dependsOn"] = json!(["2"]);
        let items = read(&json!([first, get("1", "/a"), get("2", "/b")])).unwrap();
        let order: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(order, ["1", "2", "3"]);
        assert_eq!(items[2].after, [1]);
    }
}
