//! Reads what the tenant bought, what is assigned and when it ends, keeps it over time, and tells what is otherwise than
//! before.

pub mod differences;
pub mod events;
mod names;

#[cfg(test)]
mod tests;

pub(in crate::jobs) use names::name_of;

use std::fmt::Write as _;

use crate::graph::{GraphClient, Identity, Sku, Subscription};
use crate::history::licenses::{LicenseSnapshot, PlanState, SkuRow, SubscriptionRow};
use crate::jobs::error::JobError;
use crate::jobs::licenses::events::Rules;
use crate::jobs::report::{Details, Finish, LicensesDetails, ProductLine};
use crate::jobs::runner::Context;

/// The licenses job: app-only, two reads.
#[derive(Debug)]
pub struct Licenses {
    pub graph: GraphClient,
    pub rules: Rules,
}

/// Reads both lists, records what is otherwise, and tells it.
pub(super) async fn run(job: &Licenses, context: &Context) -> Result<Finish, JobError> {
    job.graph.sign_in(Identity::App, context.by_hand).await?;
    context.progress.say("licenses read", 0, Some(2));
    let skus = job.graph.list_skus(Identity::App).await?;
    context.progress.say("licenses read", 1, Some(2));
    let subscriptions = job.graph.list_subscriptions(Identity::App).await?;
    context.progress.say("licenses read", 2, Some(2));
    let mut snapshot = LicenseSnapshot {
        run: context.run.clone(),
        at: context.now(),
        skus: skus.iter().map(sku_row).collect(),
        subscriptions: subscriptions.iter().map(|one| subscription_row(one, &skus)).collect(),
    };
    snapshot.skus.sort_by(|a, b| (&a.name, &a.sku).cmp(&(&b.name, &b.sku)));
    let before = context.history.last_licenses_of(&context.job).await?;
    let alarms = context.history.alarms(&context.job).await?;
    let news = events::news(before.as_ref(), &snapshot, &job.rules, &alarms);
    context.history.record_licenses(&context.job, &snapshot, &news).await?;
    let details = LicensesDetails { products: products(&snapshot) };
    let finish = Finish::succeeded(message(&details, news.events.len()), Details::Licenses(details));
    Ok(Finish { events: news.events, ..finish })
}

/// `1 product`, `2 products`.
pub(in crate::jobs) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn message(details: &LicensesDetails, events: usize) -> String {
    let mut message = format!("{} read", counted(details.products.len(), "product"));
    let over: Vec<_> = details.products.iter().filter(|product| product.over_used_by > 0).collect();
    let _ = match over.as_slice() {
        [] => Ok(()),
        [one] => write!(message, ", {} over-used by {}", one.name, one.over_used_by),
        many => write!(message, ", {} over-used", many.len()),
    };
    if events > 0 {
        let _ = write!(message, "; {} to tell", counted(events, "event"));
    }
    message
}

/// A line per product.
fn products(snapshot: &LicenseSnapshot) -> Vec<ProductLine> {
    let line = |sku: &SkuRow| ProductLine {
        sku: sku.sku.clone(),
        part_number: sku.part_number.clone(),
        name: sku.name.clone(),
        status: sku.status.clone(),
        bought: sku.bought,
        assigned: sku.assigned,
        warning: sku.warning,
        suspended: sku.suspended,
        locked_out: sku.locked_out,
        free: sku.free(),
        over_used_by: events::over_used_by(sku),
        next_lifecycle: snapshot.next_lifecycle(&sku.sku),
        trial: snapshot.trial(&sku.sku),
    };
    snapshot.skus.iter().map(line).collect()
}

fn sku_row(sku: &Sku) -> SkuRow {
    let plan = |plan: &crate::graph::ServicePlan| PlanState {
        name: if plan.name.is_empty() { plan.id.clone() } else { plan.name.clone() },
        status: plan.status.clone(),
        id: plan.id.clone(),
    };
    let mut plans: Vec<PlanState> = sku.plans.iter().map(plan).collect();
    // Graph promises no order, and the same plans are to look the same.
    plans.sort();
    SkuRow {
        sku: sku.sku_id.to_lowercase(),
        part_number: sku.part_number.clone(),
        name: name_of(&sku.part_number, &sku.sku_id).to_owned(),
        status: sku.status.clone(),
        applies_to: sku.applies_to.clone(),
        bought: seats(sku.enabled),
        assigned: seats(sku.assigned),
        warning: seats(sku.warning),
        suspended: seats(sku.suspended),
        locked_out: seats(sku.locked_out),
        plans,
    }
}

/// A count of seats. Graph's type is signed, a count below zero has no meaning.
fn seats(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A subscription, with the name that its product has in the other list if it is there.
fn subscription_row(one: &Subscription, skus: &[Sku]) -> SubscriptionRow {
    let product = skus.iter().find(|sku| sku.sku_id.eq_ignore_ascii_case(&one.sku_id));
    let part_number = product.map_or(&one.part_number, |sku| &sku.part_number);
    SubscriptionRow {
        id: one.id.clone(),
        sku: one.sku_id.to_lowercase(),
        part_number: part_number.clone(),
        name: name_of(part_number, &one.sku_id).to_owned(),
        status: one.status.clone(),
        licenses: seats(one.total),
        trial: one.is_trial,
        created_at: one.created,
        next_lifecycle: one.next_lifecycle,
    }
}
