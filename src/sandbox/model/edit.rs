//! Handles by which tests edit the world and ask it questions: `world.okta().person("ana").managed_by("bo")`.
//!
//! A key is an id, a full login (or principal name), or what stands before its `@`. A key that names nobody is a
//! mistake in the test and panics.

use uuid::Uuid;

use crate::sandbox::model::World;
use crate::sandbox::model::entra::Account;
use crate::sandbox::model::okta::{Attribute, Group, User};
use crate::sandbox::people::DOMAIN;
use crate::sandbox::server::{fresh_id, now};

/// The Okta side of a world.
#[derive(Clone, Debug)]
pub struct OktaSide(World);

/// The Entra side of a world.
#[derive(Clone, Debug)]
pub struct EntraSide(World);

/// A person in Okta.
#[derive(Clone, Debug)]
pub struct PersonHandle {
    world: World,
    id: Box<str>,
}

/// An account in Entra.
#[derive(Clone, Debug)]
pub struct AccountHandle {
    world: World,
    id: Uuid,
}

impl World {
    #[must_use]
    pub fn okta(&self) -> OktaSide {
        OktaSide(self.clone())
    }

    #[must_use]
    pub fn entra(&self) -> EntraSide {
        EntraSide(self.clone())
    }

    /// A new person in Okta with an account in Entra, neither with a manager.
    pub fn hire(&self, name: &str) -> PersonHandle {
        self.entra().add(name);
        self.okta().add(name)
    }
}

/// `ana` is `ana@corp.example`; a whole name is itself.
fn full(name: &str) -> String {
    if name.contains('@') { name.to_owned() } else { format!("{name}@{DOMAIN}") }
}

/// What stands before the `@`.
fn short(name: &str) -> &str {
    name.split_once('@').map_or(name, |(local, _)| local)
}

/// 17 characters behind a prefix.
fn okta_id(prefix: &str) -> String {
    let rest = std::iter::repeat_with(fastrand::alphanumeric).take(20 - prefix.len());
    prefix.chars().chain(rest).collect()
}

impl OktaSide {
    /// A new active person with this login, and the same email.
    pub fn add(&self, name: &str) -> PersonHandle {
        let login = full(name);
        let at = now().as_millisecond();
        let id = okta_id("00u");
        let mut user =
            User { id: id.as_str().into(), status: "ACTIVE".into(), created: at, last_updated: at, ..User::default() };
        user.profile.set("login", login.as_str());
        user.profile.set("email", login.as_str());
        user.profile.set("firstName", short(name));
        user.profile.set("lastName", "Example");
        user.profile.set("displayName", format!("{} Example", short(name)));
        self.0.write().okta.add(user);
        PersonHandle { world: self.0.clone(), id: id.into() }
    }

    /// The person whom a key names.
    ///
    /// # Panics
    ///
    /// When nobody has it.
    #[must_use]
    pub fn person(&self, key: &str) -> PersonHandle {
        let state = self.0.read();
        let row = state.okta.find(key).unwrap_or_else(|| panic!("nobody in the sandbox's Okta is {key}"));
        let id = state.okta.at(row).expect("found just now").id.clone();
        drop(state);
        PersonHandle { world: self.0.clone(), id }
    }

    /// How many people there are, the deprovisioned too.
    #[must_use]
    pub fn people(&self) -> usize {
        self.0.read().okta.len()
    }

    /// A new group with these members; answers its id.
    #[must_use]
    pub fn add_group<'a>(&self, name: &str, members: impl IntoIterator<Item = &'a str>) -> String {
        let mut state = self.0.write();
        let row = |key: &str| state.okta.find(key).unwrap_or_else(|| panic!("nobody in the sandbox's Okta is {key}"));
        let mut members: Vec<u32> = members.into_iter().map(row).collect();
        members.sort_unstable();
        let id = okta_id("00g");
        state.okta.groups.push(Group { id: id.clone(), name: name.to_owned(), description: String::new(), members });
        id
    }
}

impl PersonHandle {
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    #[must_use]
    pub fn login(&self) -> String {
        let state = self.world.read();
        let row = state.okta.by_id(&self.id).expect("a handle's person is there until removed");
        state.okta.at(row).expect("indexed").login().to_owned()
    }

    /// Changes anything.
    pub fn edit(&self, change: impl FnOnce(&mut User)) -> &Self {
        let at = now().as_millisecond();
        let mut state = self.world.write();
        let row = state.okta.by_id(&self.id).expect("a handle's person is there until removed");
        state.okta.edit(row, at, change);
        drop(state);
        self
    }

    /// Names a manager, in `managerId` (login) and `managerEmail`. A key that names nobody is written as it is.
    pub fn managed_by(&self, key: &str) -> &Self {
        let state = self.world.read();
        let boss = state.okta.find(key).and_then(|row| state.okta.at(row));
        let (login, email) =
            boss.map_or_else(|| (full(key), full(key)), |boss| (boss.login().into(), boss.email().into()));
        drop(state);
        self.edit(|user| {
            user.profile.set("managerId", login);
            user.profile.set("managerEmail", email);
        })
    }

    /// Names no manager any more.
    pub fn without_manager(&self) -> &Self {
        self.edit(|user| {
            for attribute in ["manager", "managerId", "managerEmail"] {
                user.profile.unset(attribute);
            }
        })
    }

    pub fn set(&self, attribute: &str, value: impl Into<Attribute>) -> &Self {
        self.edit(|user| user.profile.set(attribute.to_owned(), value))
    }

    pub fn unset(&self, attribute: &str) -> &Self {
        self.edit(|user| user.profile.unset(attribute))
    }

    pub fn status(&self, status: &str) -> &Self {
        self.edit(|user| user.status = status.to_owned().into())
    }

    /// Gives the person another login and email.
    pub fn rename(&self, name: &str) -> &Self {
        let login = full(name);
        self.edit(|user| {
            user.profile.set("login", login.as_str());
            user.profile.set("email", login.as_str());
        })
    }

    /// Deletes the person for good.
    pub fn remove(self) {
        let mut state = self.world.write();
        if let Some(row) = state.okta.by_id(&self.id) {
            state.okta.remove(row);
        }
    }
}

impl EntraSide {
    /// The world that it is a side of.
    pub(super) const fn world(&self) -> &World {
        &self.0
    }

    /// A new account: cloud-only, enabled, without a manager.
    pub fn add(&self, name: &str) -> AccountHandle {
        let principal = full(name);
        let id = fresh_id();
        self.0.write().entra.add(Account {
            id,
            user_principal_name: principal.as_str().into(),
            display_name: format!("{} Example", short(name)).into(),
            mail: Some(principal.as_str().into()),
            proxy_addresses: [format!("SMTP:{principal}").into()].into(),
            enabled: true,
            created: now().as_millisecond(),
            ..Account::default()
        });
        AccountHandle { world: self.0.clone(), id }
    }

    /// New accounts.
    pub fn accounts<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            self.add(name);
        }
    }

    /// The account that a key names.
    ///
    /// # Panics
    ///
    /// When none has it.
    #[must_use]
    pub fn account(&self, key: &str) -> AccountHandle {
        let id = self.find(key).unwrap_or_else(|| panic!("no account in the sandbox's Entra is {key}"));
        AccountHandle { world: self.0.clone(), id }
    }

    /// The id of the account that a key names.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<Uuid> {
        let state = self.0.read();
        state.entra.find(key).or_else(|| state.entra.find(&full(key))).map(|account| account.id)
    }

    /// What stands before the `@` in the principal name of the stored manager, or its id when it is no account.
    #[must_use]
    pub fn manager_of(&self, key: &str) -> Option<String> {
        let manager = self.manager_id_of(key)?;
        let state = self.0.read();
        let named = state.entra.get(manager).map(|account| short(&account.user_principal_name).to_owned());
        Some(named.unwrap_or_else(|| manager.to_string()))
    }

    /// The id of the stored manager.
    #[must_use]
    pub fn manager_id_of(&self, key: &str) -> Option<Uuid> {
        let id = self.account(key).id;
        self.0.read().entra.get(id)?.manager
    }

    /// How many manager writes of clients were stored.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.0.read().entra.writes()
    }

    /// How many accounts there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.read().entra.len()
    }

    /// How many accounts have a manager.
    #[must_use]
    pub fn managed(&self) -> usize {
        self.0.read().entra.iter().filter(|account| account.manager.is_some()).count()
    }
}

impl AccountHandle {
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Changes anything but the id and the manager.
    pub fn edit(&self, change: impl FnOnce(&mut Account)) -> &Self {
        self.world.write().entra.edit(self.id, change);
        self
    }

    /// Sets the manager as another administrator would: not counted as a client's write.
    pub fn managed_by(&self, key: &str) -> &Self {
        let manager = self.world.entra().account(key).id;
        self.world.write().entra.put_manager(self.id, Some(manager));
        self
    }

    /// Removes the manager as another administrator would.
    pub fn without_manager(&self) -> &Self {
        self.world.write().entra.put_manager(self.id, None);
        self
    }

    pub fn disabled(&self) -> &Self {
        self.edit(|account| account.enabled = false)
    }

    pub fn guest(&self) -> &Self {
        self.edit(|account| account.guest = true)
    }

    /// Synchronized from an on-premises directory: Graph refuses writes of the manager.
    pub fn mastered_on_premises(&self) -> &Self {
        self.edit(|account| account.on_premises_sync_enabled = Some(true))
    }

    /// Mastered by yet another source, which shows only in the refusal of a write.
    pub fn externally_mastered(&self) -> &Self {
        self.edit(|account| account.externally_mastered = true)
    }

    /// Gives the account another principal name.
    pub fn rename(&self, name: &str) -> &Self {
        let principal = full(name);
        self.edit(|account| account.user_principal_name = principal.into())
    }

    pub fn remove(self) {
        self.world.write().entra.remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::model::State;

    #[test]
    fn a_world_can_be_edited_and_asked() {
        let world = World::new(State::default());
        world.hire("bo");
        world.hire("ana").managed_by("bo");
        assert_eq!(world.entra().manager_of("ana"), None);
        world.entra().account("ana").managed_by("bo");
        assert_eq!(world.entra().manager_of("ana").as_deref(), Some("bo"));
        assert_eq!(world.entra().writes(), 0, "another administrator's writes are not a client's");
        world.entra().account("bo").remove();
        assert_eq!(world.entra().manager_of("ana"), None, "a deleted manager manages nobody");
        world.okta().person("ana").rename("anna");
        assert_eq!(world.okta().person("anna@corp.example").login(), "anna@corp.example");
    }
}
