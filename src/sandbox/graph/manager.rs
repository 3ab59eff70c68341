//! `/users/{id}/manager` and `…/manager/$ref`.
//!
//! Source: <https://learn.microsoft.com/graph/api/user-post-manager>

use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sandbox::faults::Fault;
use crate::sandbox::graph::call::Answer;
use crate::sandbox::graph::desk::Desk;
use crate::sandbox::graph::query::Query;
use crate::sandbox::graph::refusal::Refusal;
use crate::sandbox::graph::route::Key;
use crate::sandbox::journal::ManagerWrite;
use crate::sandbox::model::entra::{Account, Entra};
use crate::sandbox::server::{Note, Service};

/// The Graph hosts of all clouds: a reference may name any of them.
const GRAPH_ROOTS: [&str; 4] = [
    "https://graph.microsoft.com",
    "https://graph.microsoft.us",
    "https://dod-graph.microsoft.us",
    "https://microsoftgraph.chinacloudapi.cn",
];

/// An object that a reference names: the collection it was looked for in, in lower case, and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    collection: String,
    id: Uuid,
}

impl Desk<'_> {
    /// The manager of a user, or 404 that names `manager` when there is none.
    pub(super) fn get_manager(&self, key: &Key) -> Result<Answer, Refusal> {
        let query = Query::parse(&self.call.query)?;
        let world = self.site.world.read();
        let account = self.find(&world.entra, key)?;
        let manager = world.entra.observed_manager(account.id, self.call.at);
        let shown = manager.and_then(|id| self.show_manager(&world.entra, id, query.select.as_deref()));
        let mut body = Value::Object(shown.ok_or_else(|| Refusal::not_found("manager"))?);
        body["@odata.context"] = json!(format!("{}/v1.0/$metadata#directoryObjects/$entity", self.site.graph_url));
        Ok(Answer::json(body))
    }

    /// Makes the object that the body refers to the manager, whoever it was before.
    pub(super) fn put_manager(&self, key: &Key) -> Result<Answer, Refusal> {
        let target = self.target()?;
        let mut world = self.site.world.write();
        let account = self.find(&world.entra, key)?;
        let wanted = ManagerWrite { account: account.id, from: account.manager, to: Some(target.id), stored: false };
        let note = Note { write: Some(wanted) };
        check_mastery(account).map_err(|refusal| refusal.noting(note))?;
        check_target(&world.entra, &target).map_err(|refusal| refusal.noting(note))?;
        if world.entra.habits.refuses_cycles && closes_cycle(&world.entra, account.id, target.id) {
            let refusal = Refusal::bad_request("The reference would make the object a manager of itself.");
            return Err(refusal.noting(note));
        }
        self.store(&mut world.entra, wanted)
    }

    /// Takes the manager away.
    pub(super) fn delete_manager(&self, key: &Key) -> Result<Answer, Refusal> {
        let mut world = self.site.world.write();
        let account = self.find(&world.entra, key)?;
        let wanted = ManagerWrite { account: account.id, from: account.manager, to: None, stored: false };
        let note = Note { write: Some(wanted) };
        check_mastery(account).map_err(|refusal| refusal.noting(note))?;
        if account.manager.is_none() {
            return if world.entra.habits.missing_manager_is_not_found {
                Err(Refusal::not_found("manager").noting(note))
            } else {
                Ok(Answer::done().noting(note))
            };
        }
        self.store(&mut world.entra, wanted)
    }

    /// Carries a write out, unless a fault was ordered for it.
    fn store(&self, entra: &mut Entra, wanted: ManagerWrite) -> Result<Answer, Refusal> {
        let note = Note { write: Some(wanted) };
        let effect = self.site.faults.draw_effect(Service::Graph, &self.call.method, &self.call.path);
        let stale_for = match effect {
            Some(Fault::Refuse { status, code, message }) => {
                return Err(Refusal::new(status, &code, message).noting(note));
            }
            Some(Fault::SilentWrite) => return Ok(Answer::done().noting(note)),
            Some(Fault::StaleReads { millis }) => std::time::Duration::from_millis(millis),
            _ => entra.habits.read_lag,
        };
        let stale_for = SignedDuration::try_from(stale_for).ok().filter(SignedDuration::is_positive);
        entra.write_manager(wanted.account, wanted.to, self.call.at, stale_for);
        Ok(Answer::done().noting(Note { write: Some(ManagerWrite { stored: true, ..wanted }) }))
    }

    /// What the body refers to.
    fn target(&self) -> Result<Target, Refusal> {
        if self.call.body.iter().all(u8::is_ascii_whitespace) {
            return Err(end_of_input());
        }
        let is_json = self
            .call
            .header("content-type")
            .is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("application/json"));
        let body = serde_json::from_slice::<Value>(&self.call.body).ok().filter(|_| is_json);
        let body = body.ok_or_else(|| {
            Refusal::front(
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid \
                 JSON format.",
            )
        })?;
        if !body.is_object() {
            return Err(end_of_input());
        }
        let reference = body["@odata.id"].as_str().ok_or_else(|| {
            Refusal::bad_request("The request body must contain the reference '@odata.id' of an object.")
        })?;
        parse_reference(reference, &self.site.graph_url)
    }
}

/// What Graph says about a body that is no JSON object.
fn end_of_input() -> Refusal {
    Refusal::bad_request(
        "An unexpected 'EndOfInput' node was found when reading from the JSON reader. A 'StartObject' node was \
         expected.",
    )
}

/// Reads `https://graph.microsoft.com/v1.0/users/{id}`, and the same with `directoryObjects` or `contacts`.
/// Only object ids are accepted: nothing documents a principal name here.
fn parse_reference(reference: &str, graph_url: &str) -> Result<Target, Refusal> {
    let invalid = || Refusal::bad_request(format!("Invalid URL in the reference '@odata.id': '{reference}'."));
    let mut roots = GRAPH_ROOTS.iter().copied().chain([graph_url]);
    let path = roots.find_map(|root| strip_root(reference, root)).ok_or_else(invalid)?;
    let segments: Vec<&str> = path.split('/').collect();
    let [version, collection, key] = segments.as_slice() else { return Err(invalid()) };
    let collection = collection.to_ascii_lowercase();
    if !["v1.0", "beta"].contains(version) || !["users", "directoryobjects", "contacts"].contains(&collection.as_str())
    {
        return Err(invalid());
    }
    let id = Uuid::try_parse(key).map_err(|_| Refusal::bad_request(format!("Invalid object identifier '{key}'.")))?;
    Ok(Target { collection, id })
}

fn strip_root<'a>(reference: &'a str, root: &str) -> Option<&'a str> {
    let head = reference.get(..root.len())?;
    if head.eq_ignore_ascii_case(root) { reference[root.len()..].strip_prefix('/') } else { None }
}

/// Refuses writes to objects whose source of authority is elsewhere.
fn check_mastery(account: &Account) -> Result<(), Refusal> {
    if account.on_premises_sync_enabled == Some(true) {
        return Err(Refusal::bad_request(
            "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects \
             currently undergoing migration.",
        ));
    }
    if account.externally_mastered {
        return Err(Refusal::bad_request(
            "Unable to update the specified properties for objects that have originated within an external service.",
        ));
    }
    Ok(())
}

fn check_target(entra: &Entra, target: &Target) -> Result<(), Refusal> {
    let exists = match target.collection.as_str() {
        "users" => entra.get(target.id).is_some(),
        "contacts" => entra.contacts.contains_key(&target.id),
        _ => entra.can_be_manager(target.id),
    };
    if exists { Ok(()) } else { Err(Refusal::not_found(&target.id.to_string())) }
}

/// Whether the chain above `manager` leads to `account`.
fn closes_cycle(entra: &Entra, account: Uuid, manager: Uuid) -> bool {
    let mut seen = std::collections::HashSet::new();
    let mut above = Some(manager);
    while let Some(id) = above {
        if id == account {
            return true;
        }
        if !seen.insert(id) {
            return false;
        }
        above = entra.get(id).and_then(|account| account.manager);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "aaaaaaaa-0000-4000-8000-000000000002";
    const HERE: &str = "http://127.0.0.1:9";

    #[test]
    fn references_name_an_object_of_graph_by_its_id() {
        for (root, collection, kept) in [
            ("https://graph.microsoft.com/v1.0", "users", "users"),
            ("https://graph.microsoft.com/beta", "directoryObjects", "directoryobjects"),
            ("https://GRAPH.microsoft.us/v1.0", "contacts", "contacts"),
            ("http://127.0.0.1:9/v1.0", "users", "users"),
        ] {
            let target = parse_reference(&format!("{root}/{collection}/{ID}"), HERE).unwrap();
            assert_eq!(target, Target { collection: kept.into(), id: ID.parse().unwrap() });
        }
    }

    #[test]
    fn other_references_are_refused() {
        for reference in [
            format!("https://graph.example/v1.0/users/{ID}"),
            format!("https://graph.microsoft.com.evil.example/v1.0/users/{ID}"),
            format!("http://graph.microsoft.com/v1.0/users/{ID}"),
            format!("https://graph.microsoft.com/v1.0/groups/{ID}"),
            format!("https://graph.microsoft.com/users/{ID}"),
            format!("https://graph.microsoft.com/v1.0/users/{ID}/manager"),
            format!("users/{ID}"),
            "https://graph.microsoft.com/v1.0/users/mia@contoso.example".into(),
            String::new(),
        ] {
            assert_eq!(parse_reference(&reference, HERE).unwrap_err().status, 400, "{reference}");
        }
    }

    #[test]
    fn cycles_are_seen_also_beside_other_cycles() {
        let mut entra = Entra::default();
        let id = Uuid::from_u128;
        for (number, manager) in [(1, None), (2, Some(1)), (3, Some(2)), (8, Some(9)), (9, Some(8))] {
            let name = format!("{number}@x").into_boxed_str();
            let manager = manager.map(id);
            entra.add(Account { id: id(number), user_principal_name: name, manager, ..Account::default() });
        }
        assert!(closes_cycle(&entra, id(1), id(3)));
        assert!(closes_cycle(&entra, id(1), id(1)));
        assert!(!closes_cycle(&entra, id(3), id(1)));
        assert!(!closes_cycle(&entra, id(1), id(8)));
    }
}
