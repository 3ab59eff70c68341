//! The tenant's licenses and the subscriptions behind them, over time.
//!
//! What does not change is stored once: a row holds from one reading to another. A reading that finds everything as it was
//! adds nothing but itself, and still every moment of the past can be told exactly.

mod read;
mod record;

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::domain::gauge::ENABLED;
use crate::domain::run::RunId;
use crate::history::rows::signed;

/// One product of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkuRow {
    /// The product's GUID, in lower case.
    pub sku: String,
    pub part_number: String,
    /// What people call it.
    pub name: String,
    /// The vendor's word: `Enabled`, `Warning`, `Suspended`, `LockedOut`, `Deleted`.
    pub status: String,
    /// `User` or `Company`: only the former is assigned. Blank: not known.
    pub applies_to: String,
    pub bought: u64,
    pub assigned: u64,
    /// Past its end, still usable.
    pub warning: u64,
    pub suspended: u64,
    pub locked_out: u64,
    /// Its service plans, by name.
    pub plans: Vec<PlanState>,
}

/// A service within a product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct PlanState {
    pub name: String,
    /// The vendor's word: `Success`, `Disabled`, `PendingInput` …
    pub status: String,
    pub id: String,
}

impl SkuRow {
    /// Seats that nobody has; negative when more are assigned than there are. An estimate: seats in their grace period are
    /// counted, which is our convention and not Microsoft's.
    #[must_use]
    pub fn free(&self) -> i64 {
        signed(self.bought) + signed(self.warning) - signed(self.assigned)
    }
}

/// One subscription of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRow {
    pub id: String,
    /// The product's GUID, in lower case.
    pub sku: String,
    pub part_number: String,
    /// What people call the product.
    pub name: String,
    pub status: String,
    pub licenses: u64,
    /// `None`: not told.
    pub trial: Option<bool>,
    pub created_at: Option<Timestamp>,
    /// When it leaves its present status unless renewed.
    pub next_lifecycle: Option<Timestamp>,
}

/// The licenses as one run read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseSnapshot {
    pub run: RunId,
    pub at: Timestamp,
    /// By name.
    pub skus: Vec<SkuRow>,
    pub subscriptions: Vec<SubscriptionRow>,
}

impl LicenseSnapshot {
    /// The subscriptions of a product.
    pub fn subscriptions_of<'a>(&'a self, sku: &'a str) -> impl Iterator<Item = &'a SubscriptionRow> {
        self.subscriptions.iter().filter(move |one| one.sku == sku)
    }

    /// When the first enabled subscription of a product ends or, where none is enabled, when the first one is taken a step
    /// further.
    #[must_use]
    pub fn next_lifecycle(&self, sku: &str) -> Option<Timestamp> {
        let enabled = self.subscriptions_of(sku).filter(|one| one.status == ENABLED);
        let dates = |one: &SubscriptionRow| one.next_lifecycle;
        enabled.filter_map(dates).min().or_else(|| self.subscriptions_of(sku).filter_map(dates).min())
    }

    /// Whether a subscription of a product is a trial; `None` where none tells.
    #[must_use]
    pub fn trial(&self, sku: &str) -> Option<bool> {
        self.subscriptions_of(sku).filter_map(|one| one.trial).max()
    }
}

/// A product's counts from one reading on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountsSince {
    pub sku: String,
    pub part_number: String,
    pub name: String,
    pub since: Timestamp,
    /// The first reading that found others, or the product gone; `None`: they are those of the newest reading.
    pub until: Option<Timestamp>,
    pub bought: i64,
    pub assigned: i64,
    /// As [`SkuRow::free`].
    pub free: i64,
}
