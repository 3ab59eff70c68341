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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::Trigger;
    use crate::history::testing::{Place, at, past_run};

    async fn snapshot(history: &History, when: i64, assigned: u64) -> LicenseSnapshot {
        let run = past_run(history, &format!("run{when}"), Trigger::Schedule, when).await;
        let sku = SkuRow {
            sku: "c42b9cae-ea4f-4ab7-9717-81576235ccac".to_owned(),
            part_number: "DEVELOPERPACK_E5".to_owned(),
            name: "Microsoft 365 E5 Developer".to_owned(),
            status: "Enabled".to_owned(),
            bought: 25,
            assigned,
            warning: 0,
            suspended: 0,
            locked_out: 0,
            plans: serde_json::json!([{ "name": "EXCHANGE_S_ENTERPRISE", "status": "Success" }]),
        };
        let subscription = SubscriptionRow {
            id: "s-1".to_owned(),
            sku: sku.sku.clone(),
            part_number: sku.part_number.clone(),
            status: "Enabled".to_owned(),
            licenses: 25,
            trial: true,
            created_at: None,
            next_lifecycle: Some(at(1_000)),
        };
        let snapshot = LicenseSnapshot { run, at: at(when), skus: vec![sku], subscriptions: vec![subscription] };
        history.record_license_snapshot(&snapshot).await.unwrap();
        snapshot
    }

    #[tokio::test]
    async fn snapshots_are_found_by_their_time() {
        let place = Place::new().await;
        let history = &place.history;
        assert_eq!(history.latest_licenses().await.unwrap(), None);
        let first = snapshot(history, 10, 18).await;
        let second = snapshot(history, 20, 30).await;
        assert_eq!(history.licenses_at(at(9)).await.unwrap(), None);
        assert_eq!(history.licenses_at(at(19)).await.unwrap(), Some(first));
        assert_eq!(history.latest_licenses().await.unwrap().as_ref(), Some(&second));
        assert_eq!(second.skus[0].free(), -5);
    }

    #[tokio::test]
    async fn a_tenant_without_licenses_is_not_one_never_read() {
        let place = Place::new().await;
        snapshot(&place.history, 10, 18).await;
        let run = past_run(&place.history, "empty", Trigger::Schedule, 20).await;
        let empty = LicenseSnapshot { run, at: at(20), skus: Vec::new(), subscriptions: Vec::new() };
        place.history.record_license_snapshot(&empty).await.unwrap();
        assert_eq!(place.history.latest_licenses().await.unwrap(), Some(empty));
    }
}
