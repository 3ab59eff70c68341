//! What the licenses were at a reading, and between readings.

use jiff::Timestamp;

use crate::domain::run::RunId;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::licenses::{CountsSince, LicenseSnapshot, SkuRow, SubscriptionRow};
use crate::history::rows::{Row, stamp};

/// A reading as it is stored.
struct Reading {
    id: i64,
    run: String,
    at: i64,
}

impl History {
    /// The latest snapshot.
    pub async fn latest_licenses(&self) -> Result<Option<LicenseSnapshot>, HistoryError> {
        self.licenses_before(i64::MAX).await
    }

    /// The snapshot that was the latest at a moment.
    pub async fn licenses_at(&self, at: Timestamp) -> Result<Option<LicenseSnapshot>, HistoryError> {
        self.licenses_before(stamp(at)).await
    }

    async fn licenses_before(&self, at: i64) -> Result<Option<LicenseSnapshot>, HistoryError> {
        let reading = sqlx::query_as!(
            Reading,
            "select id, run, at from license_reading where at <= ? order by at desc, id desc limit 1",
            at
        );
        self.snapshot(reading.fetch_optional(&self.reader).await?).await
    }

    /// What a run read; `None` when it read no licenses.
    pub async fn licenses_of_run(&self, run: &RunId) -> Result<Option<LicenseSnapshot>, HistoryError> {
        let run = run.as_str();
        let reading = sqlx::query_as!(Reading, "select id, run, at from license_reading where run = ?", run);
        self.snapshot(reading.fetch_optional(&self.reader).await?).await
    }

    /// What a job read last, whatever others read since.
    pub async fn last_licenses_of(&self, job: &str) -> Result<Option<LicenseSnapshot>, HistoryError> {
        let reading = sqlx::query_as!(
            Reading,
            "select reading.id, reading.run, reading.at from license_reading as reading join run on run.id = reading.run
              where run.job = ? order by reading.id desc limit 1",
            job
        );
        self.snapshot(reading.fetch_optional(&self.reader).await?).await
    }

    async fn snapshot(&self, reading: Option<Reading>) -> Result<Option<LicenseSnapshot>, HistoryError> {
        let Some(reading) = reading else { return Ok(None) };
        Ok(Some(LicenseSnapshot {
            run: RunId::stored(&reading.run),
            at: Row { table: "license_reading", id: &reading.run }.time("at", reading.at)?,
            skus: self.skus_at(reading.id).await?,
            subscriptions: self.subscriptions_at(reading.id).await?,
        }))
    }

    async fn skus_at(&self, reading: i64) -> Result<Vec<SkuRow>, HistoryError> {
        let rows = sqlx::query!(
            r#"select license.sku, product.part_number, product.name, license.status, license.applies_to, license.bought,
                      license.assigned, license.warning, license.suspended, license.locked_out, plans.plans as "plans?"
                 from license_snapshot as license
                 join license_product as product on product.sku = license.sku
                 left join license_plans as plans on plans.sku = license.sku
                      and plans.since <= ?1 and (plans.until is null or plans.until > ?1)
                where license.since <= ?1 and (license.until is null or license.until > ?1)
                order by product.name, license.sku"#,
            reading
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let at = Row { table: "license_snapshot", id: &row.sku };
                let plans = row.plans.as_deref().unwrap_or("[]");
                Ok(SkuRow {
                    bought: at.number("bought", row.bought)?,
                    assigned: at.number("assigned", row.assigned)?,
                    warning: at.number("warning", row.warning)?,
                    suspended: at.number("suspended", row.suspended)?,
                    locked_out: at.number("locked_out", row.locked_out)?,
                    plans: serde_json::from_str(plans).map_err(|error| at.bad("plans", error))?,
                    sku: row.sku,
                    part_number: row.part_number,
                    name: row.name,
                    status: row.status,
                    applies_to: row.applies_to,
                })
            })
            .collect()
    }

    async fn subscriptions_at(&self, reading: i64) -> Result<Vec<SubscriptionRow>, HistoryError> {
        let rows = sqlx::query!(
            "select one.id, one.sku, product.part_number, product.name, one.status, one.licenses, one.trial,
                    one.created_at, one.next_lifecycle
               from subscription_snapshot as one
               join license_product as product on product.sku = one.sku
              where one.since <= ?1 and (one.until is null or one.until > ?1)
              order by one.sku, one.id",
            reading
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let at = Row { table: "subscription_snapshot", id: &row.id };
                Ok(SubscriptionRow {
                    licenses: at.number("licenses", row.licenses)?,
                    trial: row.trial.map(|trial| trial == 1),
                    created_at: at.maybe_time("created_at", row.created_at)?,
                    next_lifecycle: at.maybe_time("next_lifecycle", row.next_lifecycle)?,
                    id: row.id,
                    sku: row.sku,
                    part_number: row.part_number,
                    name: row.name,
                    status: row.status,
                })
            })
            .collect()
    }

    /// How the counts of the products went, by product and in the order of the readings: those that held at any time
    /// between two moments. Of these products (`skuId`), or of all.
    pub async fn license_counts(
        &self,
        since: Timestamp,
        until: Timestamp,
        products: Option<&[&str]>,
    ) -> Result<Vec<CountsSince>, HistoryError> {
        let (since, until) = (stamp(since), stamp(until));
        let products = products.map(|products| serde_json::json!(products).to_string());
        let rows = sqlx::query!(
            r#"select license.sku, product.part_number, product.name, first.at as since, later.at as "until?",
                      license.bought, license.assigned, license.warning
                 from license_snapshot as license
                 join license_product as product on product.sku = license.sku
                 join license_reading as first on first.id = license.since
                 left join license_reading as later on later.id = license.until
                where first.at <= ?1 and (later.at is null or later.at >= ?2)
                  -- the same once more by number, for which no reading has to be looked up
                  and (license.until is null or license.until >= (select min(id) from license_reading where at >= ?2))
                  and (?3 is null or product.sku in (select value from json_each(?3)))
                order by product.name, license.sku, license.since"#,
            until,
            since,
            products
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let at = Row { table: "license_snapshot", id: &row.sku };
                Ok(CountsSince {
                    since: at.time("since", row.since)?,
                    until: at.maybe_time("until", row.until)?,
                    bought: row.bought,
                    assigned: row.assigned,
                    free: row.bought + row.warning - row.assigned,
                    sku: row.sku,
                    part_number: row.part_number,
                    name: row.name,
                })
            })
            .collect()
    }

    /// The products (`skuId`) that were ever read, by name.
    pub async fn license_products(&self) -> Result<Vec<String>, HistoryError> {
        Ok(sqlx::query_scalar!("select sku from license_product order by name, sku").fetch_all(&self.reader).await?)
    }

    /// When the licenses were read first and last.
    pub async fn license_readings(&self) -> Result<Option<(Timestamp, Timestamp)>, HistoryError> {
        let ends = sqlx::query!(r#"select min(at) as "first?: i64", max(at) as "last?: i64" from license_reading"#)
            .fetch_one(&self.reader)
            .await?;
        let at = Row { table: "license_reading", id: "" };
        let ends = (at.maybe_time("at", ends.first)?, at.maybe_time("at", ends.last)?);
        Ok(ends.0.zip(ends.1))
    }
}
