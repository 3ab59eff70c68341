//! JSON as Graph sends it.

use serde::Deserialize;

use crate::domain::directory::{Accounts, NewAccount};
use crate::domain::identity::AccountId;
use crate::graph::error::GraphError;

/// An account, with what was selected of it. What was not, or has no value, is empty.
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
    /// Also `true` where we may not read it.
    pub enabled: bool,
    pub guest: bool,
    /// `onPremisesSyncEnabled` is `true`; `false` (was once) and null (never was) are not.
    pub mastered_on_premises: bool,
    /// A user, or an organizational contact.
    pub manager: Option<AccountId>,
}

impl Account {
    /// Adds the account to a listing.
    pub fn push_into(&self, accounts: &mut Accounts) {
        let proxies: Vec<&str> = self.proxy_addresses.iter().map(String::as_str).collect();
        accounts.push(&NewAccount {
            id: self.id,
            user_principal_name: &self.user_principal_name,
            mail: &self.mail,
            proxy_addresses: &proxies,
            employee_id: &self.employee_id,
            on_premises_immutable_id: &self.on_premises_immutable_id,
            enabled: self.enabled,
            guest: self.guest,
            mastered_on_premises: self.mastered_on_premises,
            manager: self.manager,
        });
    }
}

/// A page of a listing. Without `value` it is none.
#[derive(Deserialize)]
pub(super) struct RawPage<T> {
    #[serde(rename = "@odata.nextLink")]
    pub(super) next_link: Option<String>,
    pub(super) value: Vec<T>,
}

/// Something that Graph lists, as it came; becomes `T` at the door.
pub(super) trait Record: for<'de> Deserialize<'de> + Send {
    type Domain: Send + 'static;

    /// The record's id, if it has one.
    fn id(&self) -> Option<&str>;

    /// The record as the program knows it, or what is wrong with it.
    fn admit(self) -> Result<Self::Domain, String>;
}

/// Admits one record of an answer; a fault names the record.
pub(super) fn admit<R: Record>(record: R, place: usize, path: &str) -> Result<R::Domain, GraphError> {
    let id = record.id().filter(|id| !id.is_empty());
    let name = id.map_or_else(|| format!("record {}", place + 1), |id| format!("`{id}`"));
    record.admit().map_err(|fault| GraphError::Record { path: path.to_owned(), record: name, fault })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawAccount {
    id: Option<String>,
    user_principal_name: Option<String>,
    display_name: Option<String>,
    mail: Option<String>,
    proxy_addresses: Option<Vec<String>>,
    employee_id: Option<String>,
    on_premises_immutable_id: Option<String>,
    account_enabled: Option<bool>,
    user_type: Option<String>,
    on_premises_sync_enabled: Option<bool>,
    manager: Option<RawManager>,
}

/// A manager, of whatever type, or a hidden one. Absent and null alike when there is none.
#[derive(Deserialize)]
pub(super) struct RawManager {
    id: Option<String>,
}

impl RawManager {
    pub(super) fn admit(self) -> Result<AccountId, String> {
        let id = self.id.ok_or("its manager has no `id`")?;
        id.parse().map_err(|_| format!("its manager's `id` is no GUID (`{id}`)"))
    }
}

impl Record for RawAccount {
    type Domain = Account;

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn admit(self) -> Result<Account, String> {
        let id = self.id.filter(|id| !id.is_empty()).ok_or("no `id`")?;
        Ok(Account {
            id: id.parse().map_err(|_| "its `id` is no GUID".to_owned())?,
            user_principal_name: self.user_principal_name.ok_or("no `userPrincipalName`")?,
            display_name: self.display_name.unwrap_or_default(),
            mail: self.mail.unwrap_or_default(),
            proxy_addresses: self.proxy_addresses.unwrap_or_default().iter().filter_map(|a| mail_address(a)).collect(),
            employee_id: self.employee_id.unwrap_or_default(),
            on_premises_immutable_id: self.on_premises_immutable_id.unwrap_or_default(),
            enabled: self.account_enabled.unwrap_or(true),
            guest: self.user_type.is_some_and(|kind| kind.eq_ignore_ascii_case("guest")),
            mastered_on_premises: self.on_premises_sync_enabled.unwrap_or(false),
            manager: self.manager.map(RawManager::admit).transpose()?,
        })
    }
}

fn mail_address(proxy: &str) -> Option<String> {
    let (kind, address) = proxy.split_once(':')?;
    kind.eq_ignore_ascii_case("smtp").then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";

    fn account(json: &str) -> Result<Account, String> {
        serde_json::from_str::<RawAccount>(json).unwrap().admit()
    }

    #[test]
    fn an_account_is_read_with_its_manager() {
        let json = format!(
            r##"{{"id":"{}","userPrincipalName":"m@x","mail":null,"accountEnabled":false,"userType":"Guest",
            "onPremisesSyncEnabled":true,"proxyAddresses":["SMTP:m@x","smtp:n@x","X500:/o=x","plain"],
            "manager":{{"@odata.type":"#microsoft.graph.orgContact","id":"{B}"}}}}"##,
            A.to_uppercase()
        );
        let account = account(&json).unwrap();
        assert_eq!(account.id, A.parse().unwrap());
        assert_eq!(account.manager, Some(B.parse().unwrap()));
        assert_eq!(account.proxy_addresses, ["m@x", "n@x"]);
        assert!(!account.enabled && account.guest && account.mastered_on_premises);
        let mut accounts = Accounts::new();
        account.push_into(&mut accounts);
        accounts.seal();
        assert_eq!(accounts.get(accounts.find(account.id).unwrap()).user_principal_name(), "m@x");
    }

    #[test]
    fn absent_and_null_managers_and_flags_are_none() {
        for rest in
            ["", r#","manager":null,"onPremisesSyncEnabled":null,"userType":null"#, r#","onPremisesSyncEnabled":false"#]
        {
            let account = account(&format!(r#"{{"id":"{A}","userPrincipalName":"m@x"{rest}}}"#)).unwrap();
            assert_eq!(account.manager, None);
            assert!(account.enabled && !account.guest && !account.mastered_on_premises);
        }
    }

    #[test]
    fn what_every_account_must_have_is_missed() {
        assert_eq!(account(r#"{"userPrincipalName":"m@x"}"#).unwrap_err(), "no `id`");
        assert_eq!(account(r#"{"id":"7","userPrincipalName":"m@x"}"#).unwrap_err(), "its `id` is no GUID");
        assert_eq!(account(&format!(r#"{{"id":"{A}"}}"#)).unwrap_err(), "no `userPrincipalName`");
        let hidden = format!(r#"{{"id":"{A}","userPrincipalName":"m@x","manager":{{}}}}"#);
        assert_eq!(account(&hidden).unwrap_err(), "its manager has no `id`");
    }

    #[test]
    fn a_page_without_its_list_is_no_page() {
        assert!(serde_json::from_str::<RawPage<RawAccount>>("{}").is_err());
    }
}
