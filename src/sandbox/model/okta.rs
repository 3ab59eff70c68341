//! The Okta org: users, groups, apps, and what each of them is.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use crate::sandbox::jwt::PublicKey;

/// An org as its API shows it.
#[derive(Debug)]
pub struct Okta {
    /// API tokens that are accepted after `SSWS `.
    pub tokens: Vec<String>,
    /// Apps that sign in by themselves, with a key.
    pub services: Vec<ServiceApp>,
    /// How many seconds a service app's token lives.
    pub token_life: i64,
    /// Tokens given out until then, in seconds since 1970, are revoked.
    pub tokens_revoked_at: Option<i64>,
    /// How often the nonce for proofs was renewed out of turn.
    pub nonces_renewed: i64,
    pub groups: Vec<Group>,
    pub apps: Vec<App>,
    users: Vec<Option<User>>,
    by_id: HashMap<Box<str>, Row>,
    by_login: HashMap<Box<str>, Row>,
    live: usize,
}

impl Default for Okta {
    fn default() -> Self {
        Self {
            tokens: Vec::new(),
            services: Vec::new(),
            token_life: 3_600,
            tokens_revoked_at: None,
            nonces_renewed: 0,
            groups: Vec::new(),
            apps: Vec::new(),
            users: Vec::new(),
            by_id: HashMap::new(),
            by_login: HashMap::new(),
            live: 0,
        }
    }
}

/// An app that signs in by itself (`private_key_jwt`). Its three grants are apart: keys, scopes, admin role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceApp {
    /// `0oa…`.
    pub client_id: String,
    /// Registered public keys by their id.
    pub keys: Vec<(String, PublicKey)>,
    /// Granted on the tab "Okta API Scopes".
    pub scopes: Vec<String>,
    pub role: Role,
    /// "Require Demonstrating Proof of Possession (DPoP) header in token requests".
    pub dpop: bool,
    /// `application_type` `service`: another one may not sign in by itself.
    pub service: bool,
    /// Whether requests come from the network zones that the app is limited to.
    pub in_zone: bool,
}

/// What an admin role lets an app see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Read-only Administrator or more.
    Everything,
    /// The people of the group with this id.
    Group(String),
    /// No role: empty lists, and no error.
    Nothing,
}

/// The place of a user in the org: the order of the listing. Stable, and never used again after a deletion.
pub type Row = u32;

/// A user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// 20 characters, `00u…`.
    pub id: Box<str>,
    /// One of the eight documented words, or one of tomorrow.
    pub status: Cow<'static, str>,
    /// Milliseconds since 1970, like the others.
    pub created: i64,
    pub last_updated: i64,
    pub profile: Profile,
}

/// A user's attributes in the order in which they were set. What was never set is not there at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile(Vec<(Cow<'static, str>, Attribute)>);

/// What a profile attribute holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Text(Box<str>),
    /// A number, boolean, array or null.
    Json(Box<Value>),
}

/// A group with its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// 20 characters, `00g…`.
    pub id: String,
    pub name: String,
    pub description: String,
    /// Rows of its members, ascending.
    pub members: Vec<Row>,
}

/// An application with the users assigned to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App {
    /// 20 characters, `0oa…`.
    pub id: String,
    /// `office365` for Microsoft 365.
    pub name: String,
    pub label: String,
    /// Switched off by an administrator.
    pub inactive: bool,
    /// Such as `WS_FEDERATION`, or `AUTO_LOGIN` when Okta only types the password in.
    pub sign_on_mode: String,
    /// Such as `PUSH_PROFILE_UPDATES`.
    pub features: Vec<String>,
    /// Of Microsoft 365: the domain that people sign in to.
    pub domain: String,
    /// Who is assigned, ascending by row.
    pub users: Vec<AppUser>,
}

impl App {
    /// Microsoft 365 with federation and without provisioning, assigned to nobody.
    #[must_use]
    pub fn office365(id: &str, domain: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: "office365".to_owned(),
            label: "Microsoft Office 365".to_owned(),
            sign_on_mode: "WS_FEDERATION".to_owned(),
            domain: domain.to_owned(),
            ..Self::default()
        }
    }
}

/// An assignment of a user to an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppUser {
    pub user: Row,
    /// `credentials.userName`: the name of the account there. `None` means the user's login.
    pub user_name: Option<Box<str>>,
    pub external_id: Option<Box<str>>,
}

impl Profile {
    /// The value of a textual attribute.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Attribute::Text(text) => Some(text),
            Attribute::Json(value) => value.as_str(),
        }
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Sets an attribute, whatever it was.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Attribute>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes an attribute away, as if it had never been set.
    pub fn unset(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attribute)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text.into_boxed_str())
    }
}

impl From<Value> for Attribute {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::from(text),
            other => Self::Json(Box::new(other)),
        }
    }
}

impl User {
    /// The login, `""` while there is none.
    #[must_use]
    pub fn login(&self) -> &str {
        self.profile.text("login").unwrap_or_default()
    }

    #[must_use]
    pub fn email(&self) -> &str {
        self.profile.text("email").unwrap_or_default()
    }

    /// Deactivated: the bare listing hides such a user.
    #[must_use]
    pub fn is_deprovisioned(&self) -> bool {
        self.status == "DEPROVISIONED"
    }
}

impl Okta {
    /// Adds a user.
    pub fn add(&mut self, user: User) -> Row {
        let row = Row::try_from(self.users.len()).expect("fewer than 4 billion users");
        self.by_id.insert(user.id.clone(), row);
        self.by_login.insert(fold(user.login()), row);
        self.users.push(Some(user));
        self.live += 1;
        row
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.live
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.live == 0
    }

    #[must_use]
    pub fn at(&self, row: Row) -> Option<&User> {
        self.users.get(row as usize)?.as_ref()
    }

    /// The users from a row on, in listing order.
    pub fn from_row(&self, row: Row) -> impl Iterator<Item = (Row, &User)> {
        (row..)
            .zip(self.users.get(row as usize..).unwrap_or_default())
            .filter_map(|(row, slot)| Some((row, slot.as_ref()?)))
    }

    /// Every user, the deprovisioned too.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.users.iter().flatten()
    }

    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<Row> {
        self.by_id.get(id).copied()
    }

    #[must_use]
    pub fn by_login(&self, login: &str) -> Option<Row> {
        self.by_login.get(&fold(login)).copied()
    }

    /// The user that a path segment names: an id, a login, or a login without its domain when only one has it.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<Row> {
        if let Some(row) = self.by_id(key).or_else(|| self.by_login(key)) {
            return Some(row);
        }
        let short = fold(key);
        let mut hits = self
            .from_row(0)
            .filter(|(_, user)| user.login().split_once('@').is_some_and(|(local, _)| *fold(local) == *short));
        let first = hits.next()?;
        hits.next().is_none().then_some(first.0)
    }

    /// Changes anything of a user but the id, and moves `lastUpdated` to `now` (milliseconds since 1970).
    pub fn edit(&mut self, row: Row, now: i64, change: impl FnOnce(&mut User)) -> bool {
        let Some(user) = self.users.get_mut(row as usize).and_then(Option::as_mut) else { return false };
        let (id, before) = (user.id.clone(), fold(user.login()));
        change(user);
        user.id = id;
        user.last_updated = now;
        let after = fold(user.login());
        if before != after {
            self.by_login.remove(&before);
            self.by_login.insert(after, row);
        }
        true
    }

    /// Deletes a user for good: deprovisioned and then deleted.
    pub fn remove(&mut self, row: Row) -> Option<User> {
        let user = self.users.get_mut(row as usize)?.take()?;
        self.by_id.remove(&user.id);
        self.by_login.remove(&fold(user.login()));
        self.live -= 1;
        for group in &mut self.groups {
            group.members.retain(|member| *member != row);
        }
        for app in &mut self.apps {
            app.users.retain(|assigned| assigned.user != row);
        }
        Some(user)
    }
}

/// How Okta compares logins: without regard to case.
fn fold(name: &str) -> Box<str> {
    name.to_lowercase().into_boxed_str()
}
