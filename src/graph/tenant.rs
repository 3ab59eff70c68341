//! What the tenant says of itself: its domains, and the directory on premises behind it.

use jiff::Timestamp;
use serde::Deserialize;

use crate::graph::client::{GraphClient, Identity};
use crate::graph::error::GraphError;
use crate::graph::licenses::moment;
use crate::graph::wire::Record;

/// A domain of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Such as `contoso.example`.
    pub name: String,
    /// Whether another service signs its people in.
    pub federated: bool,
}

/// The tenant itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Organization {
    pub name: String,
    /// `true` while a directory on premises is synchronized into it, `false` when that has stopped, `None` when it never was.
    pub synchronized: Option<bool>,
    pub last_synchronized: Option<Timestamp>,
    /// Its verified domains.
    pub domains: Vec<Domain>,
}

/// Switches of the synchronization with a directory on premises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synchronization {
    /// `bypassDirSyncOverridesEnabled`: values of Mobile and `OtherMobile` that were written here win over those from there.
    pub bypass_overrides: Option<bool>,
}

impl GraphClient {
    /// The domains, with who signs their people in.
    ///
    /// `GET /domains`. Needs `Domain.Read.All`.
    /// Source: <https://learn.microsoft.com/graph/api/domain-list>
    ///
    /// # Errors
    ///
    /// [`GraphError`].
    pub async fn list_domains(&self, identity: Identity) -> Result<Vec<Domain>, GraphError> {
        self.all::<RawDomain>(identity, "/domains", self.at(&["domains"], &[])).await
    }

    /// The tenant. A token is of one tenant: there is one.
    ///
    /// `GET /organization`. Needs `Organization.Read.All`.
    /// Source: <https://learn.microsoft.com/graph/api/organization-list>
    ///
    /// # Errors
    ///
    /// [`GraphError`]; also when there is none.
    pub async fn get_organization(&self, identity: Identity) -> Result<Organization, GraphError> {
        let first = self.at(&["organization"], &[]);
        let all = self.all::<RawOrganization>(identity, "/organization", first).await?;
        all.into_iter().next().ok_or_else(|| none("/organization"))
    }

    /// The switches of the synchronization. Graph serves them to a person who signed in, and to no application.
    ///
    /// `GET /directory/onPremisesSynchronization`. Needs the delegated permission `OnPremDirectorySynchronization.Read.All`.
    /// Source: <https://learn.microsoft.com/graph/api/onpremisesdirectorysynchronization-get>
    ///
    /// # Errors
    ///
    /// [`GraphError`]; also when there are none.
    pub async fn get_synchronization(&self) -> Result<Synchronization, GraphError> {
        let path = "/directory/onPremisesSynchronization";
        let first = self.at(&["directory", "onPremisesSynchronization"], &[]);
        let all = self.all::<RawSynchronization>(Identity::User, path, first).await?;
        all.into_iter().next().ok_or_else(|| none(path))
    }
}

fn none(path: &str) -> GraphError {
    let (path, record) = (path.to_owned(), "the list".to_owned());
    GraphError::Record { path, record, fault: "it is empty".to_owned() }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDomain {
    id: Option<String>,
    authentication_type: Option<String>,
}

impl Record for RawDomain {
    type Domain = Domain;

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn admit(self) -> Result<Domain, String> {
        let federated = is_federated(&self.authentication_type.ok_or("no `authenticationType`")?);
        Ok(Domain { name: self.id.ok_or("no `id`")?, federated })
    }
}

/// `Federated` or `Managed`.
fn is_federated(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("federated")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOrganization {
    id: Option<String>,
    display_name: Option<String>,
    on_premises_sync_enabled: Option<bool>,
    on_premises_last_sync_date_time: Option<String>,
    verified_domains: Option<Vec<RawVerified>>,
}

#[derive(Deserialize)]
struct RawVerified {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Record for RawOrganization {
    type Domain = Organization;

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn admit(self) -> Result<Organization, String> {
        let domain = |raw: RawVerified| {
            let federated = raw.kind.is_some_and(|kind| is_federated(&kind));
            Some(Domain { name: raw.name?, federated })
        };
        Ok(Organization {
            name: self.display_name.unwrap_or_default(),
            synchronized: self.on_premises_sync_enabled,
            last_synchronized: moment(self.on_premises_last_sync_date_time.as_deref(), "onPremisesLastSyncDateTime")?,
            domains: self.verified_domains.unwrap_or_default().into_iter().filter_map(domain).collect(),
        })
    }
}

#[derive(Deserialize)]
struct RawSynchronization {
    id: Option<String>,
    features: Option<RawFeatures>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFeatures {
    bypass_dir_sync_overrides_enabled: Option<bool>,
}

impl Record for RawSynchronization {
    type Domain = Synchronization;

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn admit(self) -> Result<Synchronization, String> {
        let features = self.features.ok_or("no `features`")?;
        Ok(Synchronization { bypass_overrides: features.bypass_dir_sync_overrides_enabled })
    }
}
