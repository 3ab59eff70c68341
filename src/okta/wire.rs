//! JSON as Okta sends it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::identity::PersonStatus;

/// A person, with the profile as it came.
#[derive(Clone, Debug)]
pub struct User {
    pub id: String,
    pub status: PersonStatus,
    pub profile: Map<String, Value>,
}

impl User {
    /// A profile attribute as text: numbers and booleans as written, an array of one as its value, several joined by
    /// `", "`. `None` when absent, null or an object.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        as_text(self.profile.get(name)?)
    }
}

fn as_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Array(items) => match items.as_slice() {
            [] => None,
            [one] => as_text(one),
            several => Some(Cow::Owned(several.iter().filter_map(as_text).collect::<Vec<_>>().join(", "))),
        },
        Value::Null | Value::Object(_) => None,
    }
}

/// A person's assignment to an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppUser {
    /// The person's Okta id.
    pub id: String,
    /// The key in the other system, where provisioning filled it. Not always an object id.
    pub external_id: Option<String>,
    /// The name that Okta gave the account there.
    pub user_name: Option<String>,
    pub status: String,
}

/// An app of the organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App {
    pub id: String,
    /// What administrators call it.
    pub label: String,
    /// `ACTIVE`, or not in use.
    pub active: bool,
    /// Such as `WS_FEDERATION` or `AUTO_LOGIN`.
    pub sign_on_mode: String,
    /// Such as `PUSH_PROFILE_UPDATES`.
    pub features: Vec<String>,
    /// Of Microsoft 365: the domain that it signs in to.
    pub domain: Option<String>,
}

/// Something that Okta lists, as it came; becomes `T` at the door.
pub(super) trait Record: for<'de> Deserialize<'de> + Send {
    type Domain: Send + 'static;

    /// The record's id, if it has one.
    fn id(&self) -> Option<&str>;

    /// The record as the program knows it, or the field that is missing.
    fn admit(self) -> Result<Self::Domain, &'static str>;
}

#[derive(Deserialize)]
pub(super) struct RawUser {
    id: Option<String>,
    status: Option<String>,
    profile: Option<Map<String, Value>>,
}

impl Record for RawUser {
    type Domain = User;

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn admit(self) -> Result<User, &'static str> {
        let id = self.id.filter(|id| !id.is_empty()).ok_or("id")?;
        let status = PersonStatus::parse(&self.status.ok_or("status")?);
        Ok(User { id, status, profile: self.profile.ok_or("profile")? })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawAppUser {
    id: Option<String>,
    external_id: Option<String>,
    status: Option<String>,
    credentials: Option<Credentials>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    user_name: Option<String>,
}

impl Record for RawAppUser {
    type Domain = AppUser;

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn admit(self) -> Result<AppUser, &'static str> {
        Ok(AppUser {
            id: self.id.filter(|id| !id.is_empty()).ok_or("id")?,
            external_id: self.external_id,
            user_name: self.credentials.and_then(|credentials| credentials.user_name),
            status: self.status.ok_or("status")?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawApp {
    id: Option<String>,
    label: Option<String>,
    status: Option<String>,
    sign_on_mode: Option<String>,
    features: Option<Vec<String>>,
    settings: Option<RawSettings>,
}

#[derive(Deserialize)]
struct RawSettings {
    app: Option<Map<String, Value>>,
}

impl Record for RawApp {
    type Domain = App;

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn admit(self) -> Result<App, &'static str> {
        let own = self.settings.and_then(|settings| settings.app).unwrap_or_default();
        Ok(App {
            id: self.id.filter(|id| !id.is_empty()).ok_or("id")?,
            label: self.label.unwrap_or_default(),
            active: self.status.ok_or("status")? == "ACTIVE",
            sign_on_mode: self.sign_on_mode.unwrap_or_default(),
            features: self.features.unwrap_or_default(),
            domain: own.get("domain").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

/// Okta's error object. Every field may be missing: some errors come from in front of the API.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorBody {
    #[serde(rename = "errorCode")]
    pub(super) code: String,
    #[serde(rename = "errorSummary")]
    pub(super) summary: String,
    #[serde(rename = "errorId")]
    pub(super) id: String,
    #[serde(rename = "errorCauses")]
    pub(super) causes: Vec<Cause>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Cause {
    #[serde(rename = "errorSummary")]
    pub(super) summary: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_every_type_are_text() {
        let user: RawUser = serde_json::from_str(
            r#"{"id":"00u1","status":"ACTIVE","profile":{"s":"a","e":"","n":7,"f":1.5,"b":true,"z":null,"o":{},
                "one":["x"],"two":["x",2,null],"none":[]}}"#,
        )
        .unwrap();
        let user = user.admit().unwrap();
        let cases = [
            ("s", Some("a")),
            ("e", Some("")),
            ("n", Some("7")),
            ("f", Some("1.5")),
            ("b", Some("true")),
            ("z", None),
            ("o", None),
            ("one", Some("x")),
            ("two", Some("x, 2")),
            ("none", None),
            ("absent", None),
        ];
        for (name, text) in cases {
            assert_eq!(user.attribute(name).as_deref(), text, "{name}");
        }
    }

    #[test]
    fn a_person_without_id_status_or_profile_is_not_admitted() {
        let cases = [
            (r#"{"status":"ACTIVE","profile":{}}"#, "id"),
            (r#"{"id":"","status":"ACTIVE","profile":{}}"#, "id"),
            (r#"{"id":"00u1","profile":{}}"#, "status"),
            (r#"{"id":"00u1","status":"ACTIVE"}"#, "profile"),
        ];
        for (json, missing) in cases {
            let raw: RawUser = serde_json::from_str(json).unwrap();
            assert_eq!(raw.admit().unwrap_err(), missing);
        }
    }

    #[test]
    fn a_status_that_nobody_documented_is_admitted_as_unknown() {
        let raw: RawUser = serde_json::from_str(r#"{"id":"1","status":"ACTIVATING","profile":{}}"#).unwrap();
        assert_eq!(raw.admit().unwrap().status, PersonStatus::Unknown);
    }
}
