//! Accounts: listed, counted, found.

use crate::graph::client::{GraphClient, Identity};
use crate::graph::error::GraphError;
use crate::graph::paging::Pages;
use crate::graph::paths;
use crate::graph::wire::{Account, RawAccount, admit};
use crate::http::Draft;
use crate::http::StatusCode;

/// What is read of each account, whatever the rules.
const ALWAYS: &str = "id,userPrincipalName,accountEnabled,userType,onPremisesSyncEnabled";

/// What is read of a single account.
const EVERYTHING: &str = "id,userPrincipalName,accountEnabled,userType,onPremisesSyncEnabled,displayName,mail,\
                          proxyAddresses,employeeId,onPremisesImmutableId";

/// The most clauses that Graph takes in one filter.
/// Source: <https://learn.microsoft.com/graph/filter-query-parameter>
pub const MOST_VALUES: usize = 15;

const MANAGER: (&str, &str) = ("$expand", "manager($select=id)");

/// What is read along with each account of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expand {
    Nothing,
    /// The account's manager.
    Manager,
}

impl GraphClient {
    /// All accounts. `properties` are Graph's names of what else is needed: `mail`, `proxyAddresses`,
    /// `employeeId`, `onPremisesImmutableId`.
    ///
    /// `GET /users?$select&$top=999`, and `$expand=manager` where asked for. Needs `User.Read.All`. May lag behind recent writes.
    /// Source: <https://learn.microsoft.com/graph/api/user-list>
    #[must_use]
    pub fn list_accounts(&self, properties: &[&str], expand: Expand) -> Pages<Account> {
        let more = properties.iter().filter(|name| !ALWAYS.split(',').any(|known| known == **name));
        let select = more.fold(ALWAYS.to_owned(), |select, name| format!("{select},{name}"));
        let plain = [("$select", select.as_str()), ("$top", "999")];
        let with_managers = [plain[0], MANAGER, plain[1]];
        let query = if expand == Expand::Manager { &with_managers[..] } else { &plain[..] };
        let first = self.at(&["users"], query);
        self.pages::<RawAccount>(Identity::App, "/users", first)
    }

    /// How many accounts there are.
    ///
    /// `GET /users/$count` from the directory's index, text/plain. Needs `User.Read.All`.
    ///
    /// # Errors
    ///
    /// [`GraphError`]; also when the answer is not a number.
    pub async fn count_accounts(&self) -> Result<u64, GraphError> {
        let mut call = Self::get(self.at(&["users", "$count"], &[]), "/users/$count");
        call.json = false;
        let answer = self.read_index(Identity::App, call).await?;
        let text = String::from_utf8_lossy(&answer.body);
        text.trim_start_matches('\u{feff}').trim().parse().map_err(|_| GraphError::Record {
            path: answer.path.clone(),
            record: "the count".to_owned(),
            fault: "it is not a number".to_owned(),
        })
    }

    /// Accounts whose `property` is `value`, without regard to case. `property` is `userPrincipalName`, `mail`,
    /// `proxyAddresses`, `employeeId`, `onPremisesImmutableId` or `id`.
    ///
    /// `GET /users?$filter`. Needs `User.Read.All`.
    ///
    /// # Errors
    ///
    /// [`GraphError`]; that there is none is an empty list.
    pub async fn find_accounts(&self, property: &str, value: &str) -> Result<Vec<Account>, GraphError> {
        if value.trim().is_empty() {
            return Ok(Vec::new());
        }
        if property == "id" {
            return Ok(self.get_account(value.trim()).await?.into_iter().collect());
        }
        self.find_any(property, &[value]).await
    }

    /// Accounts whose `property` is one of at most [`MOST_VALUES`] values, none of them blank. Otherwise as
    /// [`Self::find_accounts`].
    ///
    /// # Errors
    ///
    /// [`GraphError`]; that there is none is an empty list.
    pub async fn find_any(&self, property: &str, values: &[&str]) -> Result<Vec<Account>, GraphError> {
        let clause = |value: &&str| {
            let text = paths::quoted(value.trim());
            match property {
                "proxyAddresses" => format!("proxyAddresses/any(p:p eq 'smtp:{text}')"),
                other => format!("{other} eq '{text}'"),
            }
        };
        let filter = values.iter().map(clause).collect::<Vec<_>>().join(" or ");
        let first = self.at(&["users"], &[("$filter", &filter), ("$select", EVERYTHING), MANAGER]);
        self.all::<RawAccount>(Identity::App, "/users?$filter", first).await
    }

    /// One account by object id or user principal name.
    ///
    /// `GET /users/{id}`. Needs `User.Read.All`.
    ///
    /// # Errors
    ///
    /// [`GraphError`]; that there is none is `None`.
    pub async fn get_account(&self, key: &str) -> Result<Option<Account>, GraphError> {
        let segments = paths::user(key);
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let url = self.at(&segments, &[("$select", EVERYTHING), MANAGER]);
        let answer = self.send(Identity::App, Self::get(url, "/users/{id}"), Draft::new).await?;
        if answer.status == StatusCode::NOT_FOUND {
            let error = GraphError::refused(&answer);
            let missing = matches!(error.code(), Some("Request_ResourceNotFound" | "ResourceNotFound"));
            return if missing { Ok(None) } else { Err(error) };
        }
        if !answer.status.is_success() {
            return Err(GraphError::refused(&answer));
        }
        admit(answer.json::<RawAccount>()?, 0, &answer.path).map(Some)
    }
}
