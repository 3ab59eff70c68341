//! Licenses: what was bought, what is assigned, when it ends.

use jiff::Timestamp;

use crate::graph::client::GraphClient;
use crate::graph::error::GraphError;

/// One product of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sku {
    pub sku_id: String,
    pub part_number: String,
    /// `User` or `Company`.
    pub applies_to: String,
    /// `Enabled`, `Warning`, `Suspended`, `LockedOut` or `Deleted`.
    pub status: String,
    pub assigned: i64,
    pub enabled: i64,
    pub warning: i64,
    pub suspended: i64,
    pub locked_out: i64,
    pub subscription_ids: Vec<String>,
    pub plans: Vec<ServicePlan>,
}

impl Sku {
    /// Seats left, below zero when over-used. Seats in their grace period count: they still work.
    #[must_use]
    pub const fn free(&self) -> i64 {
        self.enabled + self.warning - self.assigned
    }
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
    pub status: String,
    pub total: i64,
    pub is_trial: Option<bool>,
    pub created: Option<Timestamp>,
    /// When the subscription leaves its current status if nobody renews it.
    pub next_lifecycle: Option<Timestamp>,
}

impl GraphClient {
    pub async fn list_skus(&self, identity: crate::graph::Identity) -> Result<Vec<Sku>, GraphError> {
        unimplemented!()
    }
    pub async fn list_subscriptions(&self, identity: crate::graph::Identity) -> Result<Vec<Subscription>, GraphError> {
        unimplemented!()
    }
}
