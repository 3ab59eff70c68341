//! Promises about what is told of the licenses.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use crate::domain::event::{Alarms, EventKind, News};
use crate::domain::run::RunId;
use crate::history::licenses::{LicenseSnapshot, SkuRow, SubscriptionRow};
use crate::history::testing::{self, at, sku};
use crate::jobs::licenses::differences::{Difference, Field, Value, What, differences};
use crate::jobs::licenses::events::{Rules, news};

const DAY: i64 = 86_400;

/// A product's subscription that ends on a day.
fn subscription(name: &str, ends: i64) -> SubscriptionRow {
    testing::subscription(name, ends * DAY)
}

/// What was read on a day.
fn on(day: i64, skus: Vec<SkuRow>, subscriptions: Vec<SubscriptionRow>) -> LicenseSnapshot {
    LicenseSnapshot { run: RunId::stored("r"), at: at(day * DAY), skus, subscriptions }
}

/// E5 as it was on the first day, far from its end.
fn usual() -> LicenseSnapshot {
    on(0, vec![sku("E5")], vec![subscription("E5", 300)])
}

/// What is told of `after`, a line each.
fn told(before: Option<&LicenseSnapshot>, after: &LicenseSnapshot) -> Vec<String> {
    lines(&news(before, after, &Rules::default(), &Alarms::new()))
}

fn lines(news: &News) -> Vec<String> {
    news.events.iter().map(|event| format!("{} {}: {}", event.severity, event.kind, event.title)).collect()
}

/// What somebody does to a tenant.
type Change<'a> = &'a dyn Fn(&mut LicenseSnapshot);

#[test]
fn each_thing_that_is_otherwise_is_told_in_its_own_words() {
    let with = |change: Change<'_>| {
        let mut after = LicenseSnapshot { at: at(DAY), ..usual() };
        change(&mut after);
        after
    };
    let cases: [(Change<'_>, &[&str]); 14] = [
        (&|_| {}, &[]),
        (&|after| after.skus.push(sku("F1")), &["info appeared: F1 is new: 25 bought, 16 assigned"]),
        (&|after| after.skus.clear(), &["warning disappeared: E5 is no longer among the tenant's products"]),
        (&|after| after.skus[0].assigned = 17, &["info counts_changed: E5: assigned from 16 to 17"]),
        (
            &|after| (after.skus[0].bought, after.skus[0].warning) = (0, 25),
            &["info counts_changed: E5: bought from 25 to 0, warning from 0 to 25"],
        ),
        (
            &|after| after.skus[0].plans[0].status = "Disabled".to_owned(),
            &["info plans_changed: E5: the state of 1 service plan changed"],
        ),
        (&|after| after.skus[0].status = "Warning".to_owned(), &["warning status_changed: E5: Enabled became Warning"]),
        (
            &|after| {
                after.skus[0].status = "Suspended".to_owned();
                after.subscriptions[0].status = "Suspended".to_owned();
            },
            &["urgent status_changed: E5: Enabled became Suspended"],
        ),
        (
            &|after| after.subscriptions[0].status = "Deleted".to_owned(),
            &["urgent status_changed: E5: Enabled became Deleted"],
        ),
        (
            &|after| after.skus[0].assigned = 26,
            &[
                "info counts_changed: E5: assigned from 16 to 26",
                "warning over_used: E5 is over-used by 1: 26 assigned, 25 there",
            ],
        ),
        (
            &|after| after.subscriptions[0].next_lifecycle = Some(at(390 * DAY)),
            &["info date_moved: E5 ends on 2027-10-16 instead of 2027-07-18 (+90 days)"],
        ),
        (
            &|after| after.subscriptions[0].next_lifecycle = Some(at(14 * DAY)),
            &[
                "info date_moved: E5 ends on 2026-10-05 instead of 2027-07-18 (-286 days)",
                "warning expiring: E5 ends in 13 days, on 2026-10-05",
            ],
        ),
        (&|after| after.subscriptions[0].next_lifecycle = None, &[]),
        (&|after| after.subscriptions.clear(), &[]),
    ];
    for (place, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(told(Some(&usual()), &with(change)), expected, "case {place}");
    }
}

#[test]
fn the_first_reading_tells_what_stands_and_not_that_everything_is_new() {
    let mut first = on(0, vec![sku("E5")], vec![subscription("E5", 6)]);
    first.skus[0].assigned = 26;
    let expected = [
        "warning over_used: E5 is over-used by 1: 26 assigned, 25 there",
        "urgent expiring: E5 ends in 6 days, on 2026-09-27",
    ];
    assert_eq!(told(None, &first), expected);
}

#[test]
fn an_end_is_told_once_within_30_14_7_and_1_days() {
    let mut alarms = Alarms::new();
    let mut told = Vec::new();
    let mut before = None;
    for day in 0..=101 {
        let read = on(day, vec![sku("E5")], vec![subscription("E5", 100)]);
        let found = news(before.as_ref(), &read, &Rules::default(), &alarms);
        told.extend(lines(&found).iter().map(|line| format!("{day} {line}")));
        (before, alarms) = (Some(read), found.alarms);
    }
    let expected = [
        "70 warning expiring: E5 ends in 30 days, on 2026-12-30",
        "86 warning expiring: E5 ends in 14 days, on 2026-12-30",
        "93 urgent expiring: E5 ends in 7 days, on 2026-12-30",
        "99 urgent expiring: E5 ends in 1 day, on 2026-12-30",
    ];
    assert_eq!(told, expected);
}

#[test]
fn after_a_long_silence_only_the_nearest_end_is_told_and_a_clock_set_back_tells_nothing_again() {
    let read = |day| on(day, vec![sku("E5")], vec![subscription("E5", 100)]);
    let late = news(Some(&read(0)), &read(95), &Rules::default(), &Alarms::new());
    assert_eq!(lines(&late), ["urgent expiring: E5 ends in 5 days, on 2026-12-30"]);
    let back = news(Some(&read(95)), &read(88), &Rules::default(), &late.alarms);
    assert_eq!(lines(&back), [""; 0]);
}

#[test]
fn too_few_seats_are_told_once_until_there_are_enough_by_the_rule_of_the_product() {
    let by_product = BTreeMap::from([("spe_e3".to_owned(), 3)]);
    let rules = Rules { few_free: Some(10), few_free_by_product: by_product };
    let mut alarms = Alarms::new();
    let mut found = Vec::new();
    for (step, (e5, e3)) in (0..).zip([(15, 15), (16, 16), (17, 23), (26, 23), (26, 26), (24, 20), (10, 20)]) {
        let mut skus = vec![sku("E5"), sku("SPE_E3")];
        (skus[0].assigned, skus[1].assigned) = (e5, e3);
        let read = on(step, skus, Vec::new());
        let news = news(None, &read, &rules, &alarms);
        found.extend(lines(&news).iter().map(|line| format!("{step} {line}")));
        alarms = news.alarms;
    }
    insta::assert_snapshot!(found.join("\n"), @r"
    1 warning few_free: E5 has 9 free, fewer than 10
    2 warning few_free: SPE_E3 has 2 free, fewer than 3
    3 warning over_used: E5 is over-used by 1: 26 assigned, 25 there
    4 warning over_used: SPE_E3 is over-used by 1: 26 assigned, 25 there
    5 info no_longer_over_used: E5 is no longer over-used: 1 free
    5 info no_longer_over_used: SPE_E3 is no longer over-used: 5 free
    5 info enough_free: SPE_E3 has 5 free again
    6 info enough_free: E5 has 15 free again
    ");
}

#[test]
fn seats_of_what_is_suspended_or_not_assigned_to_people_say_nothing() {
    let rules = Rules { few_free: Some(10), ..Rules::default() };
    let quiet = |change: &dyn Fn(&mut SkuRow)| {
        let mut one = sku("E5");
        change(&mut one);
        lines(&news(None, &on(0, vec![one], Vec::new()), &rules, &Alarms::new()))
    };
    assert_eq!(quiet(&|one| (one.bought, one.suspended, one.status) = (0, 25, "Suspended".to_owned())), [""; 0]);
    assert_eq!(quiet(&|one| (one.bought, one.applies_to) = (1, "Company".to_owned())), [""; 0]);
    assert_eq!(quiet(&|one| one.bought = 20), ["warning few_free: E5 has 4 free, fewer than 10"]);
    let grace = quiet(&|one| (one.bought, one.warning, one.status) = (0, 20, "Warning".to_owned()));
    assert_eq!(grace, ["warning few_free: E5 has 4 free, fewer than 10"], "in its grace period it still works");
}

/// A tenant of up to three products with any counts, states and dates.
fn tenant() -> impl Strategy<Value = LicenseSnapshot> {
    let product = (0_u64..40, 0_u64..40, 0_u64..5, 0_usize..3, proptest::option::of(-5_i64..60), proptest::bool::ANY);
    proptest::collection::vec(proptest::option::of(product), 3).prop_map(|products| {
        let mut read = on(0, Vec::new(), Vec::new());
        for (name, found) in ["A", "B", "C"].into_iter().zip(products) {
            let Some((bought, assigned, warning, status, ends, plan)) = found else { continue };
            let status = ["Enabled", "Warning", "Suspended"][status].to_owned();
            let mut one = SkuRow { bought, assigned, warning, status: status.clone(), ..sku(name) };
            one.plans[0].status = if plan { "Success" } else { "Disabled" }.to_owned();
            read.skus.push(one);
            let next_lifecycle = ends.map(|ends| at(ends * DAY));
            read.subscriptions.push(SubscriptionRow { status, next_lifecycle, ..subscription(name, 0) });
        }
        read
    })
}

/// A difference seen from the other side.
fn mirrored(difference: Difference) -> Difference {
    let what = match difference.what {
        What::Appeared => What::Disappeared,
        What::Disappeared => What::Appeared,
        What::Changed { field, plan, from, to } => What::Changed { field, plan, from: to, to: from },
    };
    Difference { what, ..difference }
}

proptest! {
    #[test]
    fn nothing_differs_from_itself_and_nothing_is_told_twice(read in tenant(), few in 0_u32..30) {
        prop_assert_eq!(differences(&read, &read), vec![]);
        let rules = Rules { few_free: Some(few), ..Rules::default() };
        let first = news(None, &read, &rules, &Alarms::new());
        let again = news(Some(&read), &read, &rules, &first.alarms);
        prop_assert_eq!(again, News { events: Vec::new(), alarms: first.alarms });
    }

    #[test]
    fn differences_are_the_same_from_both_sides(one in tenant(), other in tenant()) {
        let back: Vec<_> = differences(&other, &one).into_iter().map(mirrored).collect();
        prop_assert_eq!(differences(&one, &other), back);
    }

    #[test]
    fn counts_before_and_their_differences_are_the_counts_after(one in tenant(), other in tenant()) {
        let found = differences(&one, &other);
        for before in &one.skus {
            let Some(after) = other.skus.iter().find(|after| after.sku == before.sku) else { continue };
            let to = found.iter().find_map(|difference| match &difference.what {
                What::Changed { field: Field::Assigned, to: Some(Value::Count(to)), .. } if difference.sku == before.sku => Some(*to),
                _ => None,
            });
            prop_assert_eq!(to.unwrap_or(before.assigned.cast_signed()), after.assigned.cast_signed());
        }
    }

    #[test]
    fn whatever_comes_over_use_and_its_end_take_turns(reads in proptest::collection::vec(tenant(), 1..12)) {
        let mut alarms = Alarms::new();
        let mut before: Option<LicenseSnapshot> = None;
        let mut over: BTreeMap<String, bool> = BTreeMap::new();
        let mut days: BTreeMap<(String, Option<Timestamp>), u32> = BTreeMap::new();
        for read in reads {
            let news = news(before.as_ref(), &read, &Rules::default(), &alarms);
            for event in &news.events {
                let stood = over.get(&event.subject).copied().unwrap_or(false);
                match event.kind {
                    EventKind::OverUsed => prop_assert!(!over.insert(event.subject.clone(), true).unwrap_or(false)),
                    EventKind::NoLongerOverUsed => {
                        prop_assert!(stood);
                        over.insert(event.subject.clone(), false);
                    }
                    _ => {}
                }
            }
            // A product that is gone or suspended ends it without a word.
            over.retain(|subject, _| news.alarms.keys().any(|alarm| alarm.kind == EventKind::OverUsed && alarm.subject == *subject));
            for (alarm, told) in news.alarms.iter().filter(|(alarm, _)| alarm.kind == EventKind::Expiring) {
                let earlier = days.insert((alarm.subject.clone(), alarm.date), *told);
                prop_assert!(earlier.is_none_or(|earlier| *told <= earlier), "never a longer time after a shorter one");
            }
            (before, alarms) = (Some(read), news.alarms);
        }
    }
}
