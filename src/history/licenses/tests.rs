//! Promises about licenses over time.

use proptest::prelude::*;

use super::*;
use crate::domain::event::News;
use crate::domain::run::Trigger;
use crate::history::History;
use crate::history::retention::Cutoffs;
use crate::history::testing::{self, Place, at, past_run, rows, subscription};

fn sku(name: &str, assigned: u64) -> SkuRow {
    SkuRow { assigned, ..testing::sku(name) }
}

async fn record(
    history: &History,
    when: i64,
    skus: Vec<SkuRow>,
    subscriptions: Vec<SubscriptionRow>,
) -> LicenseSnapshot {
    let run = past_run(history, &format!("run{when}"), Trigger::Schedule, when).await;
    let snapshot = LicenseSnapshot { run, at: at(when), skus, subscriptions };
    history.record_licenses("managers", &snapshot, &News::default()).await.unwrap();
    snapshot
}

#[tokio::test]
async fn snapshots_are_found_by_time_by_run_and_by_job() {
    let place = Place::new().await;
    let history = &place.history;
    assert_eq!(history.latest_licenses().await.unwrap(), None);
    assert_eq!(history.license_readings().await.unwrap(), None);
    let first = record(history, 10, vec![sku("E5", 18)], vec![subscription("E5", 1_000)]).await;
    let second = record(history, 20, vec![sku("E5", 30)], vec![subscription("E5", 1_000)]).await;
    assert_eq!(history.licenses_at(at(9)).await.unwrap(), None);
    assert_eq!(history.licenses_at(at(19)).await.unwrap().as_ref(), Some(&first));
    assert_eq!(history.latest_licenses().await.unwrap().as_ref(), Some(&second));
    assert_eq!(history.licenses_of_run(&first.run).await.unwrap(), Some(first));
    assert_eq!(history.last_licenses_of("managers").await.unwrap().as_ref(), Some(&second));
    assert_eq!(history.last_licenses_of("licenses").await.unwrap(), None, "the job of these runs has another name");
    assert_eq!(history.license_readings().await.unwrap(), Some((at(10), at(20))));
    assert_eq!((second.skus[0].free(), second.trial("id-E5"), second.trial("id-E3")), (-5, Some(true), None));
}

#[tokio::test]
async fn a_tenant_without_licenses_is_not_one_never_read() {
    let place = Place::new().await;
    record(&place.history, 10, vec![sku("E5", 18)], Vec::new()).await;
    let empty = record(&place.history, 20, Vec::new(), Vec::new()).await;
    assert_eq!(place.history.latest_licenses().await.unwrap(), Some(empty));
}

#[tokio::test]
async fn a_reading_that_finds_everything_as_it_was_adds_one_row() {
    let place = Place::new().await;
    let history = &place.history;
    let skus = || vec![sku("E3", 1), sku("E5", 18)];
    let tables = ["license_product", "license_snapshot", "license_plans", "subscription_snapshot", "event", "alarm"];
    let counted = async || {
        let mut counts = Vec::new();
        for table in tables {
            counts.push(rows(history, table).await);
        }
        counts
    };
    record(history, 0, skus(), vec![subscription("E5", 900)]).await;
    let before = counted().await;
    for day in 1..=100 {
        record(history, day, skus(), vec![subscription("E5", 900)]).await;
    }
    assert_eq!(counted().await, before);
    assert_eq!(rows(history, "license_reading").await, 101);
    // One seat more is one row more: the plans and the other product are not written again.
    record(history, 101, vec![sku("E3", 1), sku("E5", 19)], vec![subscription("E5", 900)]).await;
    assert_eq!(counted().await, [before[0], before[1] + 1, before[2], before[3], 0, 0]);
}

#[test]
fn the_next_date_is_that_of_an_enabled_subscription_if_there_is_one() {
    let late = SubscriptionRow { status: "Suspended".to_owned(), ..subscription("E5", 100) };
    let enabled = SubscriptionRow { id: "sub-2".to_owned(), ..subscription("E5", 900) };
    let with = |subscriptions| LicenseSnapshot { run: RunId::stored("r"), at: at(0), skus: Vec::new(), subscriptions };
    assert_eq!(with(vec![late.clone(), enabled]).next_lifecycle("id-E5"), Some(at(900)));
    assert_eq!(with(vec![late]).next_lifecycle("id-E5"), Some(at(100)));
    assert_eq!(with(Vec::new()).next_lifecycle("id-E5"), None);
}

/// Of each product the seats assigned and a state, where it is there.
type Found = Vec<Option<(u64, u8)>>;

/// What one reading may find: each of three products absent or with one of a few counts, states and dates.
fn readings() -> impl Strategy<Value = Vec<Found>> {
    let product = proptest::option::weighted(0.8, (0_u64..3, 0_u8..2));
    proptest::collection::vec(proptest::collection::vec(product, 3), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn every_reading_of_the_past_is_told_as_it_was_made(readings in readings()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let place = Place::new().await;
            let mut made = Vec::new();
            for (when, products) in (0..).zip(&readings) {
                let (mut skus, mut subscriptions) = (Vec::new(), Vec::new());
                for (name, found) in ["A", "B", "C"].into_iter().zip(products) {
                    let Some((assigned, state)) = found else { continue };
                    let mut one = sku(name, *assigned);
                    one.plans[0].status = if *state == 0 { "Success" } else { "Disabled" }.to_owned();
                    skus.push(one);
                    subscriptions.push(subscription(name, i64::from(*state)));
                }
                made.push(record(&place.history, when, skus, subscriptions).await);
            }
            for snapshot in made {
                let told = place.history.licenses_at(snapshot.at).await.unwrap();
                assert_eq!(told.as_ref(), Some(&snapshot));
            }
        });
    }
}

#[tokio::test]
async fn what_is_forgotten_is_what_holds_no_more_and_the_present_stays_whole() {
    let place = Place::new().await;
    let history = &place.history;
    record(history, 0, vec![sku("E3", 1), sku("E5", 1)], vec![subscription("E5", 900)]).await;
    record(history, 10, vec![sku("E3", 1), sku("E5", 2)], vec![subscription("E5", 900)]).await;
    let last = record(history, 20, vec![sku("E3", 1), sku("E5", 2)], vec![subscription("E5", 900)]).await;
    let old = Cutoffs { details: None, summaries: Some(at(1_000)) };
    history.forget(&old, || true).await.unwrap();
    assert_eq!(history.latest_licenses().await.unwrap(), Some(last));
    let left = (rows(history, "license_snapshot").await, rows(history, "license_reading").await);
    assert_eq!(left, (2, 3), "E5 as it was first is forgotten; the first reading says since when E3 is as it is");
    assert_eq!(rows(history, "run").await, 1, "and outlives its run");
}
