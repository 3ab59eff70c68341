//! Both directories as one run read them: a row a person or account, all text in one buffer.
//!
//! A pass over a million people must fit into 400 bytes each, both sides and the thinking included. A `String` per
//! attribute costs 24 bytes before its first letter; a `Span` costs eight.

use crate::domain::identity::{AccountId, PersonStatus};
use crate::domain::index::{Index, hash_exact, hash_id};

/// A piece of text in a [`Text`]. Meaningless with any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    len: u32,
}

/// Text that only grows, addressed by [`Span`].
#[derive(Clone, Debug, Default)]
struct Text {
    buffer: String,
}

impl Text {
    fn push(&mut self, piece: &str) -> Span {
        let start = u32::try_from(self.buffer.len()).expect("less than 4 GiB of directory text");
        self.buffer.push_str(piece);
        let len = u32::try_from(piece.len()).expect("an attribute is shorter than 4 GiB");
        Span { start, len }
    }

    fn get(&self, span: Span) -> &str {
        let start = span.start as usize;
        &self.buffer[start..start + span.len as usize]
    }
}

/// How many rows there are, as they are counted here.
fn row_count(rows: usize) -> u32 {
    u32::try_from(rows).expect("fewer than 4 billion rows")
}

/// A person as Okta sent it, on the way into [`People`].
#[derive(Clone, Debug)]
pub struct NewPerson<'a> {
    pub id: &'a str,
    pub status: PersonStatus,
    /// One value per column of [`People::columns`], in that order. Blank and absent are the same: `""`.
    pub values: &'a [&'a str],
}

#[derive(Clone, Copy, Debug)]
struct PersonRow {
    id: Span,
    status: PersonStatus,
}

/// The place of a person in [`People`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonIx(pub u32);

/// The place of an account in [`Accounts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountIx(pub u32);

/// The desired side: the people whom Okta listed, with the attributes that the rules name.
#[derive(Clone, Debug, Default)]
pub struct People {
    columns: Vec<String>,
    text: Text,
    rows: Vec<PersonRow>,
    values: Vec<Span>,
    by_id: Index,
}

impl People {
    /// An empty listing with these columns. `login` is always the first, whether named or not.
    #[must_use]
    pub fn new(columns: &[String]) -> Self {
        let mut names = vec!["login".to_owned()];
        for name in columns {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Self { columns: names, ..Self::default() }
    }

    /// The attribute names, `login` first.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The place of an attribute among the columns.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// Adds a person. White space around a value is dropped.
    ///
    /// # Panics
    ///
    /// When `values` are not as many as the columns.
    pub fn push(&mut self, person: &NewPerson<'_>) {
        assert_eq!(person.values.len(), self.columns.len(), "a value per column");
        let id = self.text.push(person.id);
        let first = self.values.len();
        for value in person.values {
            let value = value.trim();
            let same = self.values[first..].iter().copied().find(|span| self.text.get(*span) == value);
            let span = same.unwrap_or_else(|| self.text.push(value));
            self.values.push(span);
        }
        self.rows.push(PersonRow { id, status: person.status });
    }

    /// Fills in a value that came from another listing, such as the name that an app gives the person.
    pub fn set_value(&mut self, ix: PersonIx, column: usize, value: &str) {
        let cell = ix.0 as usize * self.columns.len() + column;
        self.values[cell] = self.text.push(value.trim());
    }

    /// Ends the reading: people listed twice (a listing is no snapshot) are kept once, in the order of their first
    /// appearance. Returns how many rows were dropped. Must be called before [`People::find`].
    pub fn seal(&mut self) -> usize {
        self.by_id = self.index();
        let keep: Vec<bool> =
            (0..row_count(self.rows.len())).map(|row| self.first(self.id_at(row)) == Some(row)).collect();
        let dropped = keep.iter().filter(|kept| !**kept).count();
        if dropped > 0 {
            let width = self.columns.len();
            let mut index = 0;
            self.rows.retain(|_| {
                index += 1;
                keep[index - 1]
            });
            let mut cell = 0;
            self.values.retain(|_| {
                cell += 1;
                keep[(cell - 1) / width]
            });
            self.by_id = self.index();
        }
        dropped
    }

    fn index(&self) -> Index {
        Index::build((0..row_count(self.rows.len())).map(|row| (hash_exact(self.id_at(row)), 0, row)))
    }

    /// The first row with this id.
    fn first(&self, id: &str) -> Option<u32> {
        self.by_id.find(hash_exact(id)).find(|row| self.id_at(*row) == id)
    }

    fn id_at(&self, row: u32) -> &str {
        self.text.get(self.rows[row as usize].id)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The person at a place.
    #[must_use]
    pub fn get(&self, ix: PersonIx) -> PersonRef<'_> {
        PersonRef { people: self, row: ix.0 as usize }
    }

    /// Everybody, in the order of the listing.
    pub fn iter(&self) -> impl Iterator<Item = (PersonIx, PersonRef<'_>)> {
        (0..self.rows.len()).map(|row| {
            let ix = PersonIx(u32::try_from(row).expect("counted in seal"));
            (ix, PersonRef { people: self, row })
        })
    }

    /// The person with this Okta id, once the listing is sealed.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<PersonIx> {
        self.first(id).map(PersonIx)
    }
}

/// One person of a [`People`].
#[derive(Clone, Copy, Debug)]
pub struct PersonRef<'a> {
    people: &'a People,
    row: usize,
}

impl<'a> PersonRef<'a> {
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.people.text.get(self.people.rows[self.row].id)
    }

    #[must_use]
    pub fn status(&self) -> PersonStatus {
        self.people.rows[self.row].status
    }

    #[must_use]
    pub fn login(&self) -> &'a str {
        self.value(0)
    }

    /// The value in a column, `""` when blank or absent.
    #[must_use]
    pub fn value(&self, column: usize) -> &'a str {
        let width = self.people.columns.len();
        self.people.text.get(self.people.values[self.row * width + column])
    }
}

/// An account as Graph sent it, on the way into [`Accounts`].
#[derive(Clone, Debug)]
pub struct NewAccount<'a> {
    pub id: AccountId,
    pub user_principal_name: &'a str,
    pub mail: &'a str,
    /// Addresses without their `SMTP:` or `smtp:` prefix.
    pub proxy_addresses: &'a [&'a str],
    pub employee_id: &'a str,
    pub on_premises_immutable_id: &'a str,
    pub enabled: bool,
    pub guest: bool,
    /// `onPremisesSyncEnabled` is `true`: Graph refuses to change the manager.
    pub mastered_on_premises: bool,
    pub manager: Option<AccountId>,
}

#[derive(Clone, Copy, Debug)]
struct AccountRow {
    id: AccountId,
    manager: Option<AccountId>,
    user_principal_name: Span,
    mail: Span,
    employee_id: Span,
    on_premises_immutable_id: Span,
    proxies: (u32, u32),
    enabled: bool,
    guest: bool,
    mastered_on_premises: bool,
}

/// The observed side: the accounts that Graph listed, with their managers.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    text: Text,
    rows: Vec<AccountRow>,
    proxies: Vec<Span>,
    by_id: Index,
}

impl Accounts {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an account.
    pub fn push(&mut self, account: &NewAccount<'_>) {
        let upn = self.text.push(account.user_principal_name.trim());
        let mail = self.same_or_push(account.mail, &[upn]);
        let from = u32::try_from(self.proxies.len()).expect("fewer than 4 billion addresses");
        for address in account.proxy_addresses {
            let span = self.same_or_push(address, &[upn, mail]);
            self.proxies.push(span);
        }
        let to = u32::try_from(self.proxies.len()).expect("fewer than 4 billion addresses");
        let employee_id = self.text.push(account.employee_id.trim());
        let on_premises_immutable_id = self.text.push(account.on_premises_immutable_id.trim());
        self.rows.push(AccountRow {
            id: account.id,
            manager: account.manager,
            user_principal_name: upn,
            mail,
            employee_id,
            on_premises_immutable_id,
            proxies: (from, to),
            enabled: account.enabled,
            guest: account.guest,
            mastered_on_premises: account.mastered_on_premises,
        });
    }

    /// Notes a manager that was written and read back since the listing.
    pub fn set_manager(&mut self, ix: AccountIx, manager: Option<AccountId>) {
        self.rows[ix.0 as usize].manager = manager;
    }

    fn same_or_push(&mut self, value: &str, before: &[Span]) -> Span {
        let value = value.trim();
        let same = before.iter().copied().find(|span| self.text.get(*span) == value);
        same.unwrap_or_else(|| self.text.push(value))
    }

    /// Ends the reading: accounts listed twice are kept once. Returns how many rows were dropped. Must be called before
    /// [`Accounts::find`].
    pub fn seal(&mut self) -> usize {
        self.by_id = self.index();
        let keep: Vec<bool> =
            (0_u32..).zip(&self.rows).map(|(row, account)| self.first(account.id) == Some(row)).collect();
        let dropped = keep.iter().filter(|kept| !**kept).count();
        if dropped > 0 {
            let mut index = 0;
            self.rows.retain(|_| {
                index += 1;
                keep[index - 1]
            });
            self.by_id = self.index();
        }
        dropped
    }

    fn index(&self) -> Index {
        Index::build((0_u32..).zip(&self.rows).map(|(row, account)| (hash_id(account.id.as_uuid()), 0, row)))
    }

    /// The first row with this id.
    fn first(&self, id: AccountId) -> Option<u32> {
        self.by_id.find(hash_id(id.as_uuid())).find(|row| self.rows[*row as usize].id == id)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The account at a place.
    #[must_use]
    pub fn get(&self, ix: AccountIx) -> AccountRef<'_> {
        AccountRef { accounts: self, row: ix.0 as usize }
    }

    /// All accounts, in the order of the listing.
    pub fn iter(&self) -> impl Iterator<Item = (AccountIx, AccountRef<'_>)> {
        (0..self.rows.len()).map(|row| {
            let ix = AccountIx(u32::try_from(row).expect("counted in seal"));
            (ix, AccountRef { accounts: self, row })
        })
    }

    /// The account with this object id, once the listing is sealed.
    #[must_use]
    pub fn find(&self, id: AccountId) -> Option<AccountIx> {
        self.first(id).map(AccountIx)
    }
}

/// One account of an [`Accounts`].
#[derive(Clone, Copy, Debug)]
pub struct AccountRef<'a> {
    accounts: &'a Accounts,
    row: usize,
}

impl<'a> AccountRef<'a> {
    fn row(&self) -> &'a AccountRow {
        &self.accounts.rows[self.row]
    }

    #[must_use]
    pub fn id(&self) -> AccountId {
        self.row().id
    }

    /// The observed manager: a user or an organizational contact.
    #[must_use]
    pub fn manager(&self) -> Option<AccountId> {
        self.row().manager
    }

    #[must_use]
    pub fn user_principal_name(&self) -> &'a str {
        self.accounts.text.get(self.row().user_principal_name)
    }

    #[must_use]
    pub fn mail(&self) -> &'a str {
        self.accounts.text.get(self.row().mail)
    }

    #[must_use]
    pub fn employee_id(&self) -> &'a str {
        self.accounts.text.get(self.row().employee_id)
    }

    #[must_use]
    pub fn on_premises_immutable_id(&self) -> &'a str {
        self.accounts.text.get(self.row().on_premises_immutable_id)
    }

    /// Mail addresses without their prefix.
    pub fn proxy_addresses(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let accounts = self.accounts;
        let (from, to) = self.row().proxies;
        accounts.proxies[from as usize..to as usize].iter().map(|span| accounts.text.get(*span))
    }

    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.row().enabled
    }

    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.row().guest
    }

    #[must_use]
    pub fn is_mastered_on_premises(&self) -> bool {
        self.row().mastered_on_premises
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn person<'a>(id: &'a str, values: &'a [&'a str]) -> NewPerson<'a> {
        NewPerson { id, status: PersonStatus::Active, values }
    }

    #[test]
    fn people_listed_twice_are_kept_once_with_their_own_values() {
        let mut people = People::new(&["email".to_owned(), "login".to_owned()]);
        assert_eq!(people.columns(), ["login", "email"]);
        people.push(&person("2", &["bo", " bo@x "]));
        people.push(&person("1", &["ana", "ana"]));
        people.push(&person("2", &["bo", "other"]));
        people.push(&person("3", &["cy", ""]));
        assert_eq!(people.seal(), 1);
        let logins: Vec<_> = people.iter().map(|(_, p)| (p.id(), p.login(), p.value(1))).collect();
        assert_eq!(logins, [("2", "bo", "bo@x"), ("1", "ana", "ana"), ("3", "cy", "")]);
        assert_eq!(people.find("3"), Some(PersonIx(2)));
        assert_eq!(people.find("4"), None);
    }

    #[test]
    fn accounts_keep_their_addresses_apart() {
        let mut accounts = Accounts::new();
        for (n, addresses) in [(2, vec!["a@x", "b@x"]), (1, vec![]), (2, vec!["z"]), (3, vec!["c@x"])] {
            accounts.push(&NewAccount {
                id: AccountId::new(Uuid::from_u128(n)),
                user_principal_name: "a@x",
                mail: "",
                proxy_addresses: &addresses,
                employee_id: "",
                on_premises_immutable_id: "",
                enabled: true,
                guest: false,
                mastered_on_premises: false,
                manager: None,
            });
        }
        assert_eq!(accounts.seal(), 1);
        let third = accounts.find(AccountId::new(Uuid::from_u128(3))).unwrap();
        assert_eq!(accounts.get(third).proxy_addresses().collect::<Vec<_>>(), ["c@x"]);
        let second = accounts.find(AccountId::new(Uuid::from_u128(2))).unwrap();
        assert_eq!(accounts.get(second).proxy_addresses().collect::<Vec<_>>(), ["a@x", "b@x"]);
    }
}
