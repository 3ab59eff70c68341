//! `/subscribedSkus` and `/directory/subscriptions`.
//!
//! Sources: <https://learn.microsoft.com/graph/api/subscribedsku-list>,
//! <https://learn.microsoft.com/graph/api/directory-list-subscriptions>

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::graph::call::Answer;
use crate::sandbox::graph::desk::Desk;
use crate::sandbox::graph::refusal::Refusal;
use crate::sandbox::model::entra::{Entra, Sku, Subscription};

impl Desk<'_> {
    /// What was bought, per product.
    pub(super) fn skus(&self, id: Option<&str>) -> Result<Answer, Refusal> {
        self.refuse_options(&["$filter", "$top", "$count", "$expand", "$skip", "$orderby", "$search"])?;
        let world = self.site.world.read();
        let skus = world.entra.skus.iter().map(|sku| sku_body(&world.entra, sku)).collect();
        self.one_or_all("subscribedSkus", skus, id)
    }

    /// What was bought, per purchase, with its dates.
    pub(super) fn subscriptions(&self, id: Option<&str>) -> Result<Answer, Refusal> {
        self.refuse_options(&["$top", "$skip", "$count", "$expand", "$search"])?;
        let world = self.site.world.read();
        let subscriptions = world.entra.subscriptions.iter().map(subscription_body).collect();
        self.one_or_all("directory/subscriptions", subscriptions, id)
    }

    /// A small collection, or the member with this id.
    pub(super) fn one_or_all(&self, set: &str, bodies: Vec<Value>, id: Option<&str>) -> Result<Answer, Refusal> {
        let context = format!("{}/v1.0/$metadata#{set}", self.site.graph_url);
        let Some(id) = id else {
            return Ok(Answer::json(json!({"@odata.context": context, "value": bodies})));
        };
        let found =
            bodies.into_iter().find(|body| body["id"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(id)));
        let mut body = found.ok_or_else(|| Refusal::not_found(id))?;
        body["@odata.context"] = json!(format!("{context}/$entity"));
        Ok(Answer::json(body))
    }

    /// Refuses query options that these small collections do not know.
    pub(super) fn refuse_options(&self, unknown: &[&str]) -> Result<(), Refusal> {
        let names = self.call.query.split('&').filter_map(|pair| pair.split('=').next());
        let names = names.map(|name| name.replace("%24", "$").to_ascii_lowercase());
        match names.into_iter().find(|name| unknown.contains(&name.as_str())) {
            Some(name) => Err(Refusal::bad_request(format!("'{name}' is not supported by the service."))),
            None => Ok(()),
        }
    }
}

fn sku_body(entra: &Entra, sku: &Sku) -> Value {
    let plans: Vec<Value> = sku
        .plans
        .iter()
        .map(|(id, name, status)| {
            json!({
                "servicePlanId": id.to_string(), "servicePlanName": name, "provisioningStatus": status, "appliesTo": "User",
            })
        })
        .collect();
    let subscriptions: Vec<String> = sku.subscription_ids.iter().map(ToString::to_string).collect();
    json!({
        "id": format!("{}_{}", entra.tenant, sku.sku_id),
        "accountId": entra.tenant.to_string(),
        "accountName": entra.domain.split('.').next(),
        "appliesTo": "User",
        "capabilityStatus": sku.capability_status,
        "consumedUnits": sku.consumed,
        "prepaidUnits": {
            "enabled": sku.enabled, "suspended": sku.suspended, "warning": sku.warning, "lockedOut": sku.locked_out,
        },
        "skuId": sku.sku_id.to_string(),
        "skuPartNumber": sku.part_number,
        "subscriptionIds": subscriptions,
        "servicePlans": plans,
    })
}

fn subscription_body(subscription: &Subscription) -> Value {
    json!({
        "id": subscription.id.to_string(),
        "commerceSubscriptionId": subscription.commerce_id.to_string(),
        "createdDateTime": stamp(subscription.created),
        "isTrial": subscription.is_trial,
        "nextLifecycleDateTime": subscription.next_lifecycle.map(stamp),
        "ownerId": null, "ownerTenantId": null, "ownerType": null,
        "serviceStatus": [],
        "skuId": subscription.sku_id.to_string(),
        "skuPartNumber": subscription.part_number,
        "status": subscription.status,
        "totalLicenses": subscription.total_licenses,
    })
}

pub(super) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
