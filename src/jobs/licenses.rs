//! Reads what the tenant bought, what is assigned and when it ends, and keeps it as a snapshot.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::graph::{GraphClient, Identity, Sku, Subscription};
use crate::history::licenses::{LicenseSnapshot, SkuRow, SubscriptionRow};
use crate::jobs::error::JobError;
use crate::jobs::report::{Details, Finish, LicensesDetails, ProductLine};
use crate::jobs::runner::Context;

/// The licenses job: app-only, two reads.
#[derive(Debug)]
pub struct Licenses {
    pub graph: GraphClient,
}

/// Reads both lists and records the snapshot.
pub(super) async fn run(job: &Licenses, context: &Context) -> Result<Finish, JobError> {
    job.graph.sign_in(Identity::App, context.by_hand).await?;
    context.progress.say("licenses read", 0, Some(2));
    let skus = job.graph.list_skus(Identity::App).await?;
    context.progress.say("licenses read", 1, Some(2));
    let subscriptions = job.graph.list_subscriptions(Identity::App).await?;
    context.progress.say("licenses read", 2, Some(2));
    let snapshot = LicenseSnapshot {
        run: context.run.clone(),
        at: context.now(),
        skus: skus.iter().map(sku_row).collect(),
        subscriptions: subscriptions.iter().map(subscription_row).collect(),
    };
    context.history.record_license_snapshot(&snapshot).await?;
    let details = LicensesDetails { products: products(&skus, &subscriptions) };
    Ok(Finish::succeeded(message(&details), Details::Licenses(details)))
}

fn message(details: &LicensesDetails) -> String {
    let over = details.products.iter().filter(|product| product.free < 0).count();
    let products = match details.products.len() {
        1 => "1 product".to_owned(),
        n => format!("{n} products"),
    };
    if over == 0 { format!("{products} read") } else { format!("{products} read, {over} over-used") }
}

/// A line per product, with the earliest date at which one of its enabled subscriptions leaves its state.
fn products(skus: &[Sku], subscriptions: &[Subscription]) -> Vec<ProductLine> {
    let mut dates: HashMap<String, Timestamp> = HashMap::new();
    for subscription in subscriptions.iter().filter(|subscription| subscription.status == "Enabled") {
        if let Some(date) = subscription.next_lifecycle {
            let earliest = dates.entry(subscription.sku_id.to_lowercase()).or_insert(date);
            *earliest = date.min(*earliest);
        }
    }
    skus.iter()
        .map(|sku| ProductLine {
            part_number: sku.part_number.clone(),
            status: sku.status.clone(),
            bought: sku.enabled,
            assigned: sku.assigned,
            free: sku.free(),
            next_lifecycle: dates.get(&sku.sku_id.to_lowercase()).copied(),
        })
        .collect()
}

fn sku_row(sku: &Sku) -> SkuRow {
    let plans: Vec<_> = sku
        .plans
        .iter()
        .map(|plan| serde_json::json!({ "id": plan.id, "name": plan.name, "status": plan.status }))
        .collect();
    SkuRow {
        sku: sku.sku_id.clone(),
        part_number: sku.part_number.clone(),
        name: sku.part_number.clone(),
        status: sku.status.clone(),
        bought: seats(sku.enabled),
        assigned: seats(sku.assigned),
        warning: seats(sku.warning),
        suspended: seats(sku.suspended),
        locked_out: seats(sku.locked_out),
        plans: serde_json::Value::Array(plans),
    }
}

/// A count of seats. Graph's type is signed, a count below zero has no meaning.
fn seats(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn subscription_row(subscription: &Subscription) -> SubscriptionRow {
    SubscriptionRow {
        id: subscription.id.clone(),
        sku: subscription.sku_id.clone(),
        part_number: subscription.part_number.clone(),
        status: subscription.status.clone(),
        licenses: seats(subscription.total),
        trial: subscription.is_trial.unwrap_or(false),
        created_at: subscription.created,
        next_lifecycle: subscription.next_lifecycle,
    }
}
