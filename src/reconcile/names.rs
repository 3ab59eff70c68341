//! People and accounts whom the operator named, findable by any of their names.

use std::collections::HashSet;

use crate::domain::directory::{AccountRef, People, PersonIx};
use crate::domain::identity::AccountId;
use crate::reconcile::fold::{hash_folded, same};

/// Logins, addresses, ids of either side. Case does not matter.
#[derive(Debug)]
pub(crate) struct Names {
    names: Vec<(u32, String)>,
    ids: HashSet<AccountId>,
}

impl Names {
    pub(crate) fn new(written: &[String]) -> Self {
        let names = written.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
        let mut names: Vec<(u32, String)> = names.map(|name| (hash_folded(name), name.to_owned())).collect();
        names.sort_unstable();
        Self { names, ids: written.iter().filter_map(|name| name.trim().parse().ok()).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether a person is named, by id, login or email.
    pub(crate) fn name_person(&self, people: &People, ix: PersonIx) -> bool {
        let person = people.get(ix);
        let email = people.column("email").map_or("", |column| person.value(column));
        [person.id(), person.login(), email].into_iter().any(|name| self.has(name))
    }

    /// Whether an account is named, by id, user principal name or mail.
    pub(crate) fn name_account(&self, account: AccountRef<'_>) -> bool {
        self.ids.contains(&account.id()) || self.has(account.user_principal_name()) || self.has(account.mail())
    }

    fn has(&self, name: &str) -> bool {
        let hash = hash_folded(name);
        let first = self.names.partition_point(|(own, _)| *own < hash);
        self.names[first..].iter().take_while(|(own, _)| *own == hash).any(|(_, own)| same(own, name))
    }
}
