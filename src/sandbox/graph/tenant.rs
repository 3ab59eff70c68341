//! `/organization`, `/domains` and `/directory/onPremisesSynchronization`.
//!
//! Sources: <https://learn.microsoft.com/graph/api/organization-list>, <https://learn.microsoft.com/graph/api/domain-list>,
//! <https://learn.microsoft.com/graph/api/onpremisesdirectorysynchronization-get>

use serde_json::{Value, json};

use crate::sandbox::graph::call::Answer;
use crate::sandbox::graph::desk::Desk;
use crate::sandbox::graph::licenses::stamp;
use crate::sandbox::graph::refusal::Refusal;
use crate::sandbox::model::entra::{Domain, Entra};

/// What the initial domain and the others are used for.
const SERVICES: &str = "Email, OfficeCommunicationsOnline";

impl Desk<'_> {
    /// The tenant.
    pub(super) fn organization(&self, id: Option<&str>) -> Result<Answer, Refusal> {
        let world = self.site.world.read();
        self.one_or_all("organization", vec![organization_body(&world.entra)], id)
    }

    /// The domains, each by its name.
    pub(super) fn domains(&self, id: Option<&str>) -> Result<Answer, Refusal> {
        self.refuse_options(&["$filter", "$skip", "$count", "$expand", "$search", "$orderby"])?;
        let world = self.site.world.read();
        let bodies = domains(&world.entra).iter().map(domain_body).collect();
        self.one_or_all("domains", bodies, id)
    }

    /// The switches of the synchronization: one object, whose id is the tenant's.
    pub(super) fn synchronization(&self, id: Option<&str>) -> Result<Answer, Refusal> {
        let world = self.site.world.read();
        self.one_or_all("directory/onPremisesSynchronization", vec![synchronization_body(&world.entra)], id)
    }
}

/// All domains, the initial one last: it cannot be federated.
fn domains(entra: &Entra) -> Vec<(Domain, bool)> {
    let default = !entra.domains.iter().any(|domain| domain.default);
    let initial = Domain { name: entra.domain.clone(), federated: false, default };
    entra.domains.iter().map(|domain| (domain.clone(), false)).chain([(initial, true)]).collect()
}

fn kind(domain: &Domain) -> &'static str {
    if domain.federated { "Federated" } else { "Managed" }
}

fn organization_body(entra: &Entra) -> Value {
    let verified: Vec<Value> = domains(entra)
        .iter()
        .map(|(domain, initial)| {
            json!({
                "name": domain.name, "type": kind(domain), "capabilities": SERVICES, "isDefault": domain.default,
                "isInitial": initial,
            })
        })
        .collect();
    json!({
        "id": entra.tenant.to_string(),
        "displayName": entra.domain.split('.').next(),
        "tenantType": "AAD",
        "onPremisesSyncEnabled": entra.on_premises.enabled,
        "onPremisesLastSyncDateTime": entra.on_premises.last_sync.map(stamp),
        "verifiedDomains": verified,
    })
}

fn domain_body((domain, initial): &(Domain, bool)) -> Value {
    json!({
        "id": domain.name, "authenticationType": kind(domain), "availabilityStatus": null, "isAdminManaged": true,
        "isDefault": domain.default, "isInitial": initial, "isRoot": true, "isVerified": true,
        "supportedServices": SERVICES.split(", ").collect::<Vec<_>>(), "state": null,
    })
}

fn synchronization_body(entra: &Entra) -> Value {
    json!({
        "id": entra.tenant.to_string(),
        "configuration": {
            "accidentalDeletionPrevention": {
                "synchronizationPreventionType": "enabledForCount", "alertThreshold": 500,
            },
        },
        "features": {
            "bypassDirSyncOverridesEnabled": entra.on_premises.bypass_overrides,
            "blockSoftMatchEnabled": false, "passwordSyncEnabled": entra.on_premises.enabled == Some(true),
            "softMatchOnUpnEnabled": true, "synchronizeUpnForManagedUsersEnabled": true,
        },
    })
}
