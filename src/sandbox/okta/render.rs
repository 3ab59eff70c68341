//! Okta's objects as JSON.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::sandbox::model::okta::{App, AppUser, Attribute, Group, User};

/// Which parts of a user the `okta-response` header left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trim {
    credentials: bool,
}

impl Trim {
    /// Reads it from a `Content-Type`: `application/json; okta-response="omitCredentials,…"`. Unknown options count
    /// for nothing; the two other known ones concern members that the sandbox never sends in lists.
    pub(super) fn parse(content_type: Option<&str>) -> Self {
        let options = content_type.and_then(|text| text.split_once("okta-response=")).map_or("", |(_, rest)| rest);
        let options = options.split(';').next().unwrap_or_default().trim().trim_matches('"');
        Self { credentials: options.split(',').any(|option| option.trim() == "omitCredentials") }
    }
}

/// Milliseconds since 1970 as `2026-03-01T00:00:00.000Z`.
pub(super) fn date(millis: i64) -> String {
    let at = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// A user as lists have it.
pub(super) fn user(user: &User, base: &str, trim: Trim) -> Value {
    let mut profile = Map::new();
    profile.insert("mobilePhone".to_owned(), Value::Null);
    profile.insert("secondEmail".to_owned(), Value::Null);
    for (name, value) in user.profile.iter() {
        let value = match value {
            Attribute::Text(text) => Value::String(text.to_string()),
            Attribute::Json(value) => (**value).clone(),
        };
        profile.insert(name.to_owned(), value);
    }
    let created = date(user.created);
    let activated = if user.status == "STAGED" { Value::Null } else { json!(created) };
    let mut object = json!({
        "id": *user.id, "status": *user.status, "created": created, "activated": activated, "statusChanged": activated,
        "lastLogin": null, "lastUpdated": date(user.last_updated), "passwordChanged": activated,
        "type": {"id": "oty1sandboxDefault01"},
        "profile": profile,
        "_links": {"self": {"href": format!("{base}/api/v1/users/{}", user.id)}},
    });
    if !trim.credentials {
        object["credentials"] = json!({
            "password": {},
            "emails": [{"value": user.email(), "status": "VERIFIED", "type": "PRIMARY"}],
            "provider": {"type": "OKTA", "name": "OKTA"},
        });
    }
    object
}

/// A user as it is read alone: with all its links.
pub(super) fn whole_user(person: &User, base: &str, trim: Trim) -> Value {
    let mut object = user(person, base, trim);
    let href = format!("{base}/api/v1/users/{}", person.id);
    let post = |rest: &str| json!({"href": format!("{href}/{rest}"), "method": "POST"});
    object["_links"] = json!({
        "self": {"href": href}, "schema": {"href": format!("{base}/api/v1/meta/schemas/user/default")},
        "type": {"href": format!("{base}/api/v1/meta/types/user/oty1sandboxDefault01")},
        "suspend": post("lifecycle/suspend"), "deactivate": post("lifecycle/deactivate"),
        "resetPassword": post("lifecycle/reset_password"),
    });
    object
}

pub(super) fn group(group: &Group, base: &str) -> Value {
    let href = format!("{base}/api/v1/groups/{}", group.id);
    json!({
        "id": group.id, "created": "2024-01-01T00:00:00.000Z", "lastUpdated": "2024-01-01T00:00:00.000Z",
        "lastMembershipUpdated": "2024-01-01T00:00:00.000Z", "objectClass": ["okta:user_group"], "type": "OKTA_GROUP",
        "profile": {"name": group.name, "description": group.description},
        "_links": {"users": {"href": format!("{href}/users")}, "apps": {"href": format!("{href}/apps")}},
    })
}

pub(super) fn app(app: &App, base: &str) -> Value {
    let href = format!("{base}/api/v1/apps/{}", app.id);
    json!({
        "id": app.id, "name": app.name, "label": app.label,
        "status": if app.inactive { "INACTIVE" } else { "ACTIVE" },
        "created": "2024-01-01T00:00:00.000Z", "lastUpdated": "2024-01-01T00:00:00.000Z",
        "features": app.features, "signOnMode": app.sign_on_mode,
        "settings": {"app": {"domain": app.domain, "msftTenant": "corp"}},
        "_links": {"users": {"href": format!("{href}/users")}, "self": {"href": href}},
    })
}

/// An assignment; `embedded` is the user for `expand=user`.
pub(super) fn app_user(assigned: &AppUser, person: &User, app: &App, base: &str, embedded: bool) -> Value {
    let created = date(person.created);
    let mut object = json!({
        "id": *person.id, "externalId": assigned.external_id, "created": created,
        "lastUpdated": date(person.last_updated), "scope": "GROUP", "status": "PROVISIONED", "statusChanged": created,
        "passwordChanged": null, "syncState": "SYNCHRONIZED", "lastSync": date(person.last_updated),
        "credentials": {"userName": assigned.user_name.as_deref().unwrap_or_else(|| person.login())},
        "profile": {"displayName": person.profile.text("displayName"), "firstName": person.profile.text("firstName"),
                    "lastName": person.profile.text("lastName")},
        "_links": {"app": {"href": format!("{base}/api/v1/apps/{}", app.id)},
                   "user": {"href": format!("{base}/api/v1/users/{}", person.id)}},
    });
    if embedded {
        object["_embedded"] = json!({"user": user(person, base, Trim::default())});
    }
    object
}
