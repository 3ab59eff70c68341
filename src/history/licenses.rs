//! Snapshots of the tenant's licenses and of the subscriptions behind them.

use jiff::Timestamp;

use crate::domain::run::RunId;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, signed, stamp};

/// One product of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkuRow {
    /// The product's GUID.
    pub sku: String,
    pub part_number: String,
    /// What people call it.
    pub name: String,
    /// The vendor's word: `Enabled`, `Warning`, `Suspended`, `LockedOut`, `Deleted`.
    pub status: String,
    pub bought: u64,
    pub assigned: u64,
    /// Past its end, still usable.
    pub warning: u64,
    pub suspended: u64,
    pub locked_out: u64,
    /// The states of its service plans, JSON.
    pub plans: serde_json::Value,
}

impl SkuRow {
    /// Seats that nobody has; negative when more are assigned than there are.
    #[must_use]
    pub fn free(&self) -> i64 {
        signed(self.bought) + signed(self.warning) - signed(self.assigned)
    }
}

/// One subscription of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRow {
    pub id: String,
    /// The product's GUID.
    pub sku: String,
    pub part_number: String,
    pub status: String,
    pub licenses: u64,
    pub trial: bool,
    pub created_at: Option<Timestamp>,
    /// When it leaves its present status unless renewed.
    pub next_lifecycle: Option<Timestamp>,
}

/// The licenses as one run read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseSnapshot {
    pub run: RunId,
    pub at: Timestamp,
    pub skus: Vec<SkuRow>,
    pub subscriptions: Vec<SubscriptionRow>,
}

impl History {
    /// Records a snapshot.
    pub async fn record_license_snapshot(&self, snapshot: &LicenseSnapshot) -> Result<(), HistoryError> {
        let (run, at) = (snapshot.run.as_str(), stamp(snapshot.at));
        let mut tx = self.begin().await?;
        sqlx::query!("insert into license_reading (run, at) values (?, ?)", run, at).execute(&mut *tx).await?;
        for sku in &snapshot.skus {
            let (bought, assigned, warning) = (signed(sku.bought), signed(sku.assigned), signed(sku.warning));
            let (suspended, locked_out) = (signed(sku.suspended), signed(sku.locked_out));
            let plans = sku.plans.to_string();
            sqlx::query!(
                "insert into license_snapshot (run, sku, part_number, name, status, bought, assigned, warning, suspended,
                                               locked_out, plans)
                 values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                run,
                sku.sku,
                sku.part_number,
                sku.name,
                sku.status,
                bought,
                assigned,
                warning,
                suspended,
                locked_out,
                plans
            )
            .execute(&mut *tx)
            .await?;
        }
        for subscription in &snapshot.subscriptions {
            let licenses = signed(subscription.licenses);
            let (created_at, next_lifecycle) =
                (subscription.created_at.map(stamp), subscription.next_lifecycle.map(stamp));
            sqlx::query!(
                "insert into subscription_snapshot (run, id, sku, part_number, status, licenses, trial, created_at,
                                                    next_lifecycle)
                 values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                run,
                subscription.id,
                subscription.sku,
                subscription.part_number,
                subscription.status,
                licenses,
                subscription.trial,
                created_at,
                next_lifecycle
            )
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// The latest snapshot.
    pub async fn latest_licenses(&self) -> Result<Option<LicenseSnapshot>, HistoryError> {
        self.licenses_before(i64::MAX).await
    }

    /// The snapshot that was the latest at a moment.
    pub async fn licenses_at(&self, at: Timestamp) -> Result<Option<LicenseSnapshot>, HistoryError> {
        self.licenses_before(stamp(at)).await
    }

    async fn licenses_before(&self, at: i64) -> Result<Option<LicenseSnapshot>, HistoryError> {
        let reading =
            sqlx::query!("select run, at from license_reading where at <= ? order by at desc, rowid desc limit 1", at)
                .fetch_optional(&self.reader)
                .await?;
        let Some(reading) = reading else { return Ok(None) };
        Ok(Some(LicenseSnapshot {
            run: RunId::stored(&reading.run),
            at: Row { table: "license_reading", id: &reading.run }.time("at", reading.at)?,
            skus: self.skus_of(&reading.run).await?,
            subscriptions: self.subscriptions_of(&reading.run).await?,
        }))
    }

    async fn skus_of(&self, run: &str) -> Result<Vec<SkuRow>, HistoryError> {
        let rows = sqlx::query!(
            "select sku, part_number, name, status, bought, assigned, warning, suspended, locked_out, plans
               from license_snapshot where run = ? order by name, sku",
            run
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let at = Row { table: "license_snapshot", id: &row.sku };
                Ok(SkuRow {
                    bought: at.number("bought", row.bought)?,
                    assigned: at.number("assigned", row.assigned)?,
                    warning: at.number("warning", row.warning)?,
                    suspended: at.number("suspended", row.suspended)?,
                    locked_out: at.number("locked_out", row.locked_out)?,
                    plans: serde_json::from_str(&row.plans).map_err(|error| at.bad("plans", error))?,
                    sku: row.sku,
                    part_number: row.part_number,
                    name: row.name,
                    status: row.status,
                })
            })
            .collect()
    }

    async fn subscriptions_of(&self, run: &str) -> Result<Vec<SubscriptionRow>, HistoryError> {
        let rows = sqlx::query!(
            "select id, sku, part_number, status, licenses, trial, created_at, next_lifecycle
               from subscription_snapshot where run = ? order by sku, id",
            run
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let at = Row { table: "subscription_snapshot", id: &row.id };
                Ok(SubscriptionRow {
                    licenses: at.number("licenses", row.licenses)?,
                    trial: row.trial == 1,
                    created_at: at.maybe_time("created_at", row.created_at)?,
                    next_lifecycle: at.maybe_time("next_lifecycle", row.next_lifecycle)?,
                    id: row.id,
                    sku: row.sku,
                    part_number: row.part_number,
                    status: row.status,
                })
            })
            .collect()
    }
}
