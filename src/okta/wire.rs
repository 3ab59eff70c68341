//! JSON as Okta sends it.

use std::borrow::Cow;

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
        unimplemented!()
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
