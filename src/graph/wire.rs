//! JSON as Graph sends it.

use crate::domain::directory::Accounts;
use crate::domain::identity::AccountId;

/// An account, with what was selected of it. What was not is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub user_principal_name: String,
    pub display_name: String,
    pub mail: String,
    /// Mail addresses without `SMTP:` or `smtp:`; other kinds of address are left out.
    pub proxy_addresses: Vec<String>,
    pub employee_id: String,
    pub on_premises_immutable_id: String,
    pub enabled: bool,
    pub guest: bool,
    pub mastered_on_premises: bool,
    pub manager: Option<AccountId>,
}

impl Account {
    /// Adds the account to a listing.
    pub fn push_into(&self, accounts: &mut Accounts) {
        unimplemented!()
    }
}
