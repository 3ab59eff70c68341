//! Records a reading: only what it found to be otherwise.

use std::collections::BTreeMap;

use crate::domain::event::News;
use crate::history::error::HistoryError;
use crate::history::licenses::{LicenseSnapshot, SkuRow, SubscriptionRow};
use crate::history::rows::{signed, stamp};
use crate::history::{History, Write, events};

impl History {
    /// Records what a run of `job` read, and what it noticed by that, both or neither.
    pub async fn record_licenses(
        &self,
        job: &str,
        snapshot: &LicenseSnapshot,
        news: &News,
    ) -> Result<(), HistoryError> {
        let (run, at) = (snapshot.run.as_str(), stamp(snapshot.at));
        let mut tx = self.begin().await?;
        let reading = sqlx::query!("insert into license_reading (run, at) values (?, ?)", run, at)
            .execute(&mut *tx)
            .await?
            .last_insert_rowid();
        for one in &snapshot.subscriptions {
            name_product(&mut tx, &one.sku, &one.part_number, &one.name).await?;
        }
        for sku in &snapshot.skus {
            name_product(&mut tx, &sku.sku, &sku.part_number, &sku.name).await?;
        }
        record_skus(&mut tx, reading, &snapshot.skus).await?;
        record_plans(&mut tx, reading, &snapshot.skus).await?;
        record_subscriptions(&mut tx, reading, &snapshot.subscriptions).await?;
        events::record(&mut tx, (job, &snapshot.run, snapshot.at), news).await?;
        Ok(tx.commit().await?)
    }
}

async fn name_product(tx: &mut Write<'_>, sku: &str, part_number: &str, name: &str) -> Result<(), HistoryError> {
    sqlx::query!(
        "insert into license_product (sku, part_number, name) values (?, ?, ?)
         on conflict (sku) do update set part_number = excluded.part_number, name = excluded.name
          where part_number <> excluded.part_number or name <> excluded.name",
        sku,
        part_number,
        name
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn record_skus(tx: &mut Write<'_>, reading: i64, skus: &[SkuRow]) -> Result<(), HistoryError> {
    let standing = sqlx::query!(
        "select sku, status, applies_to, bought, assigned, warning, suspended, locked_out from license_snapshot
          where until is null"
    );
    let standing = standing.fetch_all(&mut **tx).await?.into_iter().map(|row| {
        let counts = [row.bought, row.assigned, row.warning, row.suspended, row.locked_out];
        (row.sku, (row.status, row.applies_to, counts))
    });
    let mut standing: BTreeMap<_, _> = standing.collect();
    for sku in skus {
        let counts = [sku.bought, sku.assigned, sku.warning, sku.suspended, sku.locked_out].map(signed);
        let now = (sku.status.clone(), sku.applies_to.clone(), counts);
        let before = standing.remove(&sku.sku);
        if before.as_ref() == Some(&now) {
            continue;
        }
        if before.is_some() {
            end_sku(tx, reading, &sku.sku).await?;
        }
        let [bought, assigned, warning, suspended, locked_out] = counts;
        sqlx::query!(
            "insert into license_snapshot (sku, since, status, applies_to, bought, assigned, warning, suspended, locked_out)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            sku.sku,
            reading,
            sku.status,
            sku.applies_to,
            bought,
            assigned,
            warning,
            suspended,
            locked_out
        )
        .execute(&mut **tx)
        .await?;
    }
    for gone in standing.keys() {
        end_sku(tx, reading, gone).await?;
    }
    Ok(())
}

async fn end_sku(tx: &mut Write<'_>, reading: i64, sku: &str) -> Result<(), HistoryError> {
    let end = sqlx::query!("update license_snapshot set until = ? where sku = ? and until is null", reading, sku);
    end.execute(&mut **tx).await?;
    Ok(())
}

async fn record_plans(tx: &mut Write<'_>, reading: i64, skus: &[SkuRow]) -> Result<(), HistoryError> {
    let standing = sqlx::query!("select sku, plans from license_plans where until is null");
    let standing = standing.fetch_all(&mut **tx).await?;
    let mut standing: BTreeMap<_, _> = standing.into_iter().map(|row| (row.sku, row.plans)).collect();
    for sku in skus {
        let plans = serde_json::json!(sku.plans).to_string();
        let before = standing.remove(&sku.sku);
        if before.as_ref() == Some(&plans) {
            continue;
        }
        if before.is_some() {
            end_plans(tx, reading, &sku.sku).await?;
        }
        sqlx::query!("insert into license_plans (sku, since, plans) values (?, ?, ?)", sku.sku, reading, plans)
            .execute(&mut **tx)
            .await?;
    }
    for gone in standing.keys() {
        end_plans(tx, reading, gone).await?;
    }
    Ok(())
}

async fn end_plans(tx: &mut Write<'_>, reading: i64, sku: &str) -> Result<(), HistoryError> {
    let end = sqlx::query!("update license_plans set until = ? where sku = ? and until is null", reading, sku);
    end.execute(&mut **tx).await?;
    Ok(())
}

async fn record_subscriptions(
    tx: &mut Write<'_>,
    reading: i64,
    subscriptions: &[SubscriptionRow],
) -> Result<(), HistoryError> {
    let standing = sqlx::query!(
        "select id, sku, status, licenses, trial, created_at, next_lifecycle from subscription_snapshot
          where until is null"
    );
    let standing = standing
        .fetch_all(&mut **tx)
        .await?
        .into_iter()
        .map(|row| (row.id, (row.sku, row.status, row.licenses, row.trial, row.created_at, row.next_lifecycle)));
    let mut standing: BTreeMap<_, _> = standing.collect();
    for one in subscriptions {
        let licenses = signed(one.licenses);
        let (created_at, next_lifecycle) = (one.created_at.map(stamp), one.next_lifecycle.map(stamp));
        let trial = one.trial.map(i64::from);
        let now = (one.sku.clone(), one.status.clone(), licenses, trial, created_at, next_lifecycle);
        let before = standing.remove(&one.id);
        if before.as_ref() == Some(&now) {
            continue;
        }
        if before.is_some() {
            end_subscription(tx, reading, &one.id).await?;
        }
        sqlx::query!(
            "insert into subscription_snapshot (id, since, sku, status, licenses, trial, created_at, next_lifecycle)
             values (?, ?, ?, ?, ?, ?, ?, ?)",
            one.id,
            reading,
            one.sku,
            one.status,
            licenses,
            trial,
            created_at,
            next_lifecycle
        )
        .execute(&mut **tx)
        .await?;
    }
    for gone in standing.keys() {
        end_subscription(tx, reading, gone).await?;
    }
    Ok(())
}

async fn end_subscription(tx: &mut Write<'_>, reading: i64, id: &str) -> Result<(), HistoryError> {
    let end = sqlx::query!("update subscription_snapshot set until = ? where id = ? and until is null", reading, id);
    end.execute(&mut **tx).await?;
    Ok(())
}
