//! What the operator decided: which account is a person's, what a manager reference means, what may be written.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::run::words;
use crate::reconcile::expression::Expression;

words! {
    /// The attribute of an account that a correlate rule compares with.
    AccountKey, "attribute of an account", {
        UserPrincipalName => "userPrincipalName",
        Mail => "mail",
        /// Any of the account's addresses, without their `SMTP:` prefix.
        ProxyAddresses => "proxyAddresses",
        EmployeeId => "employeeId",
        OnPremisesImmutableId => "onPremisesImmutableId",
        Id => "id",
    }
}

words! {
    /// What the value of a manager attribute refers to.
    RefersTo, "meaning of a manager attribute", {
        /// Okta's id of the manager, to the letter.
        Id => "id",
        Login => "login",
        /// The manager's login before its `@`.
        ShortLogin => "short_login",
        Email => "email",
        EmployeeNumber => "employee_number",
        DisplayName => "display_name",
        /// From here on straight in Entra: no person in Okta is needed.
        Upn => "upn",
        Mail => "mail",
        ProxyAddress => "proxy_address",
        EmployeeId => "employee_id",
        ObjectId => "object_id",
    }
}

impl RefersTo {
    /// The account attribute that the value is compared with, when it refers straight to an account.
    #[must_use]
    pub const fn account_key(self) -> Option<AccountKey> {
        match self {
            Self::Upn => Some(AccountKey::UserPrincipalName),
            Self::Mail => Some(AccountKey::Mail),
            Self::ProxyAddress => Some(AccountKey::ProxyAddresses),
            Self::EmployeeId => Some(AccountKey::EmployeeId),
            Self::ObjectId => Some(AccountKey::Id),
            Self::Id | Self::Login | Self::ShortLogin | Self::Email | Self::EmployeeNumber | Self::DisplayName => None,
        }
    }

    /// The Okta attribute of the *manager* that the value is compared with, when it refers to a person by one.
    #[must_use]
    pub const fn okta_attribute(self) -> Option<&'static str> {
        match self {
            Self::Login | Self::ShortLogin => Some("login"),
            Self::Email => Some("email"),
            Self::EmployeeNumber => Some("employeeNumber"),
            Self::DisplayName => Some("displayName"),
            Self::Id | Self::Upn | Self::Mail | Self::ProxyAddress | Self::EmployeeId | Self::ObjectId => None,
        }
    }

    /// Whether the value refers to a person in Okta, so that a person who left can be looked up there.
    #[must_use]
    pub const fn is_in_okta(self) -> bool {
        self.account_key().is_none()
    }
}

words! {
    /// What happens to an observed manager when Okta gives none.
    WhenEmpty, "way to treat an empty manager", {
        Keep => "keep",
        Clear => "clear",
    }
}

words! {
    /// What happens when the manager Okta gives is disabled, has left, or is a guest.
    Unfit, "way to treat an unfit manager", {
        /// Leave the person alone and report it.
        Keep => "keep",
        /// Write it all the same.
        Assign => "assign",
    }
}

/// A person's account is the one whose `entra` equals what `okta` yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrelateRule {
    pub okta: Expression,
    pub entra: AccountKey,
}

/// A person's manager is the one to whom the value of `attribute` refers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagerRule {
    pub attribute: String,
    pub is: RefersTo,
}

/// All that was decided about a managers job, as far as thinking goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Tried in this order; the first that finds an account wins.
    pub correlate: Vec<CorrelateRule>,
    /// Tried in this order; the first that finds a manager wins.
    pub manager: Vec<ManagerRule>,
    pub when_empty: WhenEmpty,
    pub manager_disabled: Unfit,
    pub manager_is_guest: Unfit,
    /// Logins, addresses, ids (of either side) of people who are never written. Case does not matter.
    pub exclude: Vec<String>,
}

impl Policy {
    /// The columns that [`People`](crate::domain::directory::People) must have. `login` is always one of them.
    #[must_use]
    pub fn okta_attributes(&self) -> Vec<String> {
        let mut names = vec!["login".to_owned()];
        let rules = self.correlate.iter().flat_map(|rule| rule.okta.attributes());
        let given = self.manager.iter().map(|rule| rule.attribute.as_str());
        let referred = self.manager.iter().filter_map(|rule| rule.is.okta_attribute());
        for name in rules.chain(given).chain(referred) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// The account attributes that the rules compare with, so that only those are asked for.
    #[must_use]
    pub fn account_keys(&self) -> BTreeSet<AccountKey> {
        let own = self.correlate.iter().map(|rule| rule.entra);
        own.chain(self.manager.iter().filter_map(|rule| rule.is.account_key())).collect()
    }
}
