//! Identifiers, one type each, so that a swapped argument does not compile.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Okta's id of a user, such as `00u4kq9w2ZrT7bMxe1d7`. Opaque, compared to the letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonId(Box<str>);

impl PersonId {
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Entra's object id of a user or organizational contact. Always a GUID; case does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(Uuid);

impl AccountId {
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.as_hyphenated(), f)
    }
}

impl FromStr for AccountId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text.trim()).map(Self)
    }
}

/// Okta's life cycle of a user. Source: <https://developer.okta.com/docs/api/openapi/okta-management/management/tag/User/>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PersonStatus {
    Staged,
    Provisioned,
    Active,
    Recovery,
    PasswordExpired,
    LockedOut,
    Suspended,
    Deprovisioned,
    /// A word that Okta's documentation does not list. Nothing is written for such a person.
    Unknown,
}

impl PersonStatus {
    /// The status behind Okta's word; anything unlisted is [`PersonStatus::Unknown`].
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "STAGED" => Self::Staged,
            "PROVISIONED" => Self::Provisioned,
            "ACTIVE" => Self::Active,
            "RECOVERY" => Self::Recovery,
            "PASSWORD_EXPIRED" => Self::PasswordExpired,
            "LOCKED_OUT" => Self::LockedOut,
            "SUSPENDED" => Self::Suspended,
            "DEPROVISIONED" => Self::Deprovisioned,
            _ => Self::Unknown,
        }
    }

    /// Okta's word for it; `UNKNOWN` for one that it does not list.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "STAGED",
            Self::Provisioned => "PROVISIONED",
            Self::Active => "ACTIVE",
            Self::Recovery => "RECOVERY",
            Self::PasswordExpired => "PASSWORD_EXPIRED",
            Self::LockedOut => "LOCKED_OUT",
            Self::Suspended => "SUSPENDED",
            Self::Deprovisioned => "DEPROVISIONED",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Whether managers are written for a person in this status.
    #[must_use]
    pub const fn is_employed(self) -> bool {
        matches!(
            self,
            Self::Provisioned
                | Self::Active
                | Self::Recovery
                | Self::PasswordExpired
                | Self::LockedOut
                | Self::Suspended
        )
    }
}
