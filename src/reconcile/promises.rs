//! What holds for every organization, however odd: trees, dirt, links and parked people at random.

use proptest::prelude::*;

use crate::domain::decision::{Kinds, Reason};
use crate::domain::identity::PersonStatus;
use crate::reconcile::brake::Brake;
use crate::reconcile::evidence::Evidence;
use crate::reconcile::graph::Chains;
use crate::reconcile::known::{OwnWrite, Park};
use crate::reconcile::plan::Scope;
use crate::reconcile::policy::{Unfit, WhenEmpty};
use crate::reconcile::samples::{Org, id};

/// One person and account at random. Small numbers point at others, modulo the size.
#[derive(Clone, Debug)]
struct Seed {
    status: u8,
    desired: Option<u8>,
    observed: Option<u8>,
    /// What is odd about them; most are not.
    dirt: u8,
    known: u8,
}

fn seed() -> impl Strategy<Value = Seed> {
    let near = || proptest::option::weighted(0.85, any::<u8>());
    (any::<u8>(), near(), near(), any::<u8>(), any::<u8>()).prop_map(|(status, desired, observed, dirt, known)| Seed {
        status,
        desired,
        observed,
        dirt,
        known,
    })
}

fn name(number: usize) -> String {
    format!("p{number}")
}

fn org(seeds: &[Seed], clear: bool, assign: bool) -> Org {
    let mut org = Org::agreeing();
    org.people.clear();
    org.accounts.clear();
    let other = |number: u8| usize::from(number) % seeds.len();
    let mut scope = std::collections::HashSet::new();
    let mut links = Vec::new();
    for (number, seed) in seeds.iter().enumerate() {
        let own = name(number);
        let manager = seed.desired.map_or(String::new(), |number| name(other(number)));
        let person = org.add_person(&own, &manager);
        person.status = match seed.status {
            0..20 => PersonStatus::Staged,
            20..30 => PersonStatus::Unknown,
            30..40 => PersonStatus::Deprovisioned,
            _ => PersonStatus::Active,
        };
        match seed.dirt {
            0..8 => person.manager = "N/A".into(),
            8..16 => person.manager = "nobody@example.com".into(),
            16..24 => person.login = format!("{}@example.com", name(other(seed.known))),
            24..32 => person.manager_upn = format!("{}@EXAMPLE.com", name(other(seed.known))),
            _ => {}
        }
        if !(32..40).contains(&seed.dirt) {
            let account = org.add_account(&own);
            account.manager = seed.observed.map(|number| id(&name(other(number))));
            match seed.dirt {
                40..48 => account.enabled = false,
                48..56 => account.guest = true,
                56..64 => account.on_premises = true,
                64..72 => account.upn = format!("{}@example.com", name(other(seed.known))),
                _ => {}
            }
        }
        remember(&mut org, &own, seed, seed.desired.map(|number| name(other(number))), &mut links);
        if seed.dirt < 240 {
            scope.insert(format!("00u-{own}"));
        }
    }
    org.known.links = links.into_iter().collect();
    org.scope = Scope::Only(scope);
    org.policy.when_empty = if clear { WhenEmpty::Clear } else { WhenEmpty::Keep };
    org.policy.manager_disabled = if assign { Unfit::Assign } else { Unfit::Keep };
    org
}

type LinkOf = (String, crate::domain::identity::AccountId);

fn remember(org: &mut Org, own: &str, seed: &Seed, desired: Option<String>, links: &mut Vec<LinkOf>) {
    let desired = desired.map(|name| id(&name));
    let write = OwnWrite { to: desired, ..OwnWrite::default() };
    match seed.known {
        0..12 => drop(org.known.parked.insert(format!("00u-{own}"), Park { reason: Reason::Undone, desired })),
        12..24 => drop(org.known.own_writes.insert(id(own), OwnWrite { confirmed: 2, ..write })),
        24..36 => drop(org.known.own_writes.insert(id(own), OwnWrite { open: true, ..write })),
        36..100 => links.push((format!("00u-{own}"), id(own))),
        100..110 => links.push((format!("00u-{own}"), id("gone"))),
        _ => {}
    }
}

fn orgs() -> impl Strategy<Value = Org> {
    (proptest::collection::vec(seed(), 1..24), any::<bool>(), any::<bool>())
        .prop_map(|(seeds, clear, assign)| org(&seeds, clear, assign))
}

/// How many accounts lie on a cycle.
fn on_cycles(org: &Org) -> Vec<String> {
    let sides = org.sides();
    let chains = Chains::observed(&sides.accounts);
    let on_cycle = |(ix, _): &(_, _)| {
        let mut here = chains.manager(*ix);
        for _ in 0..sides.accounts.len() {
            if here == Some(*ix) {
                return true;
            }
            here = here.and_then(|here| chains.manager(here));
        }
        false
    };
    let mut names: Vec<String> = sides.accounts.iter().filter(on_cycle).map(|(_, a)| a.id().to_string()).collect();
    names.sort();
    names
}

fn no_new_cycle(before: &[String], after: &[String]) -> bool {
    after.iter().all(|account| before.contains(account))
}

fn shuffled<T: Clone>(items: &[T], key: u64) -> Vec<T> {
    let mut keyed: Vec<(u64, T)> = items
        .iter()
        .cloned()
        .zip(0_u64..)
        .map(|(item, n)| ((n + 1).wrapping_mul(key | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23), item))
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, item)| item).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_second_plan_is_empty(mut org in orgs()) {
        let first = org.plan();
        org.apply(&first);
        let plan = org.plan();
        prop_assert!(plan.is_empty());
    }

    #[test]
    fn no_prefix_of_a_plan_adds_a_cycle(mut org in orgs()) {
        let before = on_cycles(&org);
        let plan = org.plan();
        for change in &plan.changes {
            let one = crate::reconcile::plan::Plan { changes: vec![*change], ..Default::default() };
            org.apply(&one);
            prop_assert!(no_new_cycle(&before, &on_cycles(&org)));
        }
    }

    #[test]
    fn a_braked_plan_adds_no_cycle_and_its_tally_adds_up(mut org in orgs(), set in 0u64..3, change in 0u64..3, clear in 0u64..3) {
        let before = on_cycles(&org);
        let most = |count: u64| format!("at most {count}").parse().unwrap();
        let limits = Brake { set: most(set), change: most(change), clear: most(clear) };
        let plan = org.with(|planner, mut plan, _| {
            planner.brake(&mut plan, &limits, &Kinds::default());
            plan
        });
        org.apply(&plan);
        prop_assert!(no_new_cycle(&before, &on_cycles(&org)));
        let tally = &plan.tally;
        prop_assert_eq!(tally.reasons.values().sum::<u64>() + tally.planned.total(), tally.people);
    }

    #[test]
    fn stored_evidence_is_the_whole_evidence(org in orgs()) {
        let all: Vec<Evidence> = org.with(|planner, plan, sides| {
            sides.people.iter().map(|(ix, _)| planner.evidence(&plan, ix)).collect()
        });
        for evidence in all {
            let Evidence { person, account, reason, .. } = evidence.clone();
            let back = Evidence::restored(&evidence.stored(), &person, account.as_ref(), reason).unwrap();
            prop_assert_eq!(back, evidence);
        }
    }

    #[test]
    fn the_order_of_the_listings_does_not_matter(org in orgs(), key in any::<u64>()) {
        let mut other = org.clone();
        other.people = shuffled(&org.people, key);
        other.accounts = shuffled(&org.accounts, key.rotate_left(17));
        prop_assert_eq!(org.changes(), other.changes());
        let digests = |org: &Org| org.with(|_, plan, sides| {
            let mut each: Vec<(String, u64)> = sides.people.iter().map(|(ix, p)| (p.id().to_owned(), plan.digest(ix))).collect();
            each.sort();
            (plan.content_digest("managers", &sides.accounts), each)
        });
        prop_assert_eq!(digests(&org), digests(&other));
    }

    #[test]
    fn the_case_of_keys_never_matters(org in orgs()) {
        let mut other = org.clone();
        for person in &mut other.people {
            person.login = person.login.to_uppercase();
            person.manager = person.manager.to_uppercase();
            person.email = person.email.to_uppercase();
        }
        prop_assert_eq!(org.changes(), other.changes());
        let reasons = |org: &Org| org.plan().verdicts.iter().map(|verdict| verdict.reason).collect::<Vec<_>>();
        prop_assert_eq!(reasons(&org), reasons(&other));
    }

    #[test]
    fn nobody_who_must_be_left_alone_is_written(org in orgs()) {
        org.with(|_, plan, sides| {
            for change in &plan.changes {
                let person = sides.people.get(change.person);
                let account = sides.accounts.get(change.account);
                let park = org.known.parked.get(person.id());
                let own = org.known.own_writes.get(&account.id());
                prop_assert!(person.status().is_employed());
                prop_assert!(org.scope.contains(person.id()));
                prop_assert!(!account.is_mastered_on_premises());
                prop_assert!(park.is_none_or(|park| park.desired != change.to));
                prop_assert!(own.is_none_or(|own| !own.open && (own.confirmed < 2 || own.to != change.to)));
                prop_assert_eq!(account.manager(), change.from);
                prop_assert_ne!(change.from, change.to);
                prop_assert_ne!(Some(account.id()), change.to);
                prop_assert_eq!(plan.verdict(change.person).reason, Reason::Planned);
            }
            let tally = &plan.tally;
            prop_assert_eq!(tally.reasons.values().sum::<u64>() + tally.planned.total(), tally.people);
            prop_assert!(plan.changes.iter().all(|c| plan.changes.iter().filter(|d| d.account == c.account).count() == 1));
            Ok(())
        })?;
    }
}
