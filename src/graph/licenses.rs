//! Licenses: what was bought, what is assigned, when it ends.

use jiff::Timestamp;
use serde::Deserialize;

use crate::graph::client::{GraphClient, Identity};
use crate::graph::error::GraphError;
use crate::graph::wire::Record;

/// One product of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sku {
    pub sku_id: String,
    pub part_number: String,
    /// `User` or `Company`; only the former can be assigned.
    pub applies_to: String,
    /// `Enabled`, `Warning` (ended, in its grace period), `Suspended`, `LockedOut` or `Deleted`.
    pub status: String,
    pub assigned: i64,
    pub enabled: i64,
    pub warning: i64,
    pub suspended: i64,
    pub locked_out: i64,
    pub subscription_ids: Vec<String>,
    pub plans: Vec<ServicePlan>,
}

/// A service within a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePlan {
    pub id: String,
    pub name: String,
    pub status: String,
    pub applies_to: String,
}

/// One purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub id: String,
    pub commerce_subscription_id: Option<String>,
    pub sku_id: String,
    pub part_number: String,
    /// As [`Sku::status`].
    pub status: String,
    pub total: i64,
    pub is_trial: Option<bool>,
    pub created: Option<Timestamp>,
    /// When the subscription leaves its current status if nobody renews it.
    pub next_lifecycle: Option<Timestamp>,
}

impl GraphClient {
    /// The tenant's products.
    ///
    /// `GET /subscribedSkus`; knows no dates. Needs `LicenseAssignment.Read.All`.
    /// Source: <https://learn.microsoft.com/graph/api/subscribedsku-list>
    ///
    /// # Errors
    ///
    /// [`GraphError`].
    pub async fn list_skus(&self, identity: Identity) -> Result<Vec<Sku>, GraphError> {
        self.all::<RawSku>(identity, "/subscribedSkus", self.at(&["subscribedSkus"], &[])).await
    }

    /// The tenant's purchases, with the dates.
    ///
    /// `GET /directory/subscriptions`. Needs `Organization.Read.All`.
    /// Source: <https://learn.microsoft.com/graph/api/directory-list-subscriptions>
    ///
    /// # Errors
    ///
    /// [`GraphError`].
    pub async fn list_subscriptions(&self, identity: Identity) -> Result<Vec<Subscription>, GraphError> {
        let first = self.at(&["directory", "subscriptions"], &[]);
        self.all::<RawSubscription>(identity, "/directory/subscriptions", first).await
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSku {
    sku_id: Option<String>,
    sku_part_number: Option<String>,
    applies_to: Option<String>,
    capability_status: Option<String>,
    consumed_units: Option<i64>,
    prepaid_units: Option<RawUnits>,
    subscription_ids: Option<Vec<String>>,
    service_plans: Option<Vec<RawPlan>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawUnits {
    enabled: Option<i64>,
    warning: Option<i64>,
    suspended: Option<i64>,
    locked_out: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPlan {
    service_plan_id: Option<String>,
    service_plan_name: Option<String>,
    provisioning_status: Option<String>,
    applies_to: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSubscription {
    id: Option<String>,
    commerce_subscription_id: Option<String>,
    sku_id: Option<String>,
    sku_part_number: Option<String>,
    status: Option<String>,
    total_licenses: Option<i64>,
    is_trial: Option<bool>,
    created_date_time: Option<String>,
    next_lifecycle_date_time: Option<String>,
}

impl Record for RawSku {
    type Domain = Sku;

    fn id(&self) -> Option<&str> {
        self.sku_id.as_deref()
    }

    fn admit(self) -> Result<Sku, String> {
        let units = self.prepaid_units.ok_or("no `prepaidUnits`")?;
        let plan = |plan: RawPlan| ServicePlan {
            id: plan.service_plan_id.unwrap_or_default(),
            name: plan.service_plan_name.unwrap_or_default(),
            status: plan.provisioning_status.unwrap_or_default(),
            applies_to: plan.applies_to.unwrap_or_default(),
        };
        Ok(Sku {
            sku_id: self.sku_id.ok_or("no `skuId`")?,
            part_number: self.sku_part_number.unwrap_or_default(),
            applies_to: self.applies_to.unwrap_or_default(),
            status: self.capability_status.unwrap_or_default(),
            assigned: self.consumed_units.ok_or("no `consumedUnits`")?,
            enabled: units.enabled.unwrap_or_default(),
            warning: units.warning.unwrap_or_default(),
            suspended: units.suspended.unwrap_or_default(),
            locked_out: units.locked_out.unwrap_or_default(),
            subscription_ids: self.subscription_ids.unwrap_or_default(),
            plans: self.service_plans.unwrap_or_default().into_iter().map(plan).collect(),
        })
    }
}

impl Record for RawSubscription {
    type Domain = Subscription;

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn admit(self) -> Result<Subscription, String> {
        Ok(Subscription {
            id: self.id.ok_or("no `id`")?,
            commerce_subscription_id: self.commerce_subscription_id,
            sku_id: self.sku_id.ok_or("no `skuId`")?,
            part_number: self.sku_part_number.unwrap_or_default(),
            status: self.status.unwrap_or_default(),
            total: self.total_licenses.unwrap_or_default(),
            is_trial: self.is_trial,
            created: moment(self.created_date_time.as_deref(), "createdDateTime")?,
            next_lifecycle: moment(self.next_lifecycle_date_time.as_deref(), "nextLifecycleDateTime")?,
        })
    }
}

/// A moment that may be absent or empty.
pub(super) fn moment(text: Option<&str>, field: &str) -> Result<Option<Timestamp>, String> {
    let parse = |text: &str| text.parse().map_err(|_| format!("its `{field}` is no moment (`{text}`)"));
    text.filter(|text| !text.is_empty()).map(parse).transpose()
}
