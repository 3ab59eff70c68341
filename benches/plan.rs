//! `cargo bench --bench plan`: how much processor time it takes to correlate and to plan, and what it costs in memory.
//! The thinking is one thread's, so on an idle machine processor time is wall time.
//!
//! Sizes other than the usual: `cargo bench --bench plan -- 50000`.

#![expect(clippy::print_stdout, reason = "the table is what the bench is for")]

use std::time::Duration;

use graphkeeper::domain::directory::{Accounts, NewAccount, NewPerson, People};
use graphkeeper::domain::identity::{AccountId, PersonStatus};
use graphkeeper::reconcile::known::{Known, Links};
use graphkeeper::reconcile::plan::{Input, Planner, Scope};
use graphkeeper::reconcile::policy::{AccountKey, CorrelateRule, ManagerRule, Policy, RefersTo, Unfit, WhenEmpty};
use uuid::Uuid;

/// The figure to reach for a million people.
const TARGET: Duration = Duration::from_secs(2);

/// What a pass over one organization took.
struct Figures {
    people: u32,
    directories: i64,
    correlate: Duration,
    plan: Duration,
    changes: usize,
    thinking: i64,
}

fn main() {
    let given: Vec<u32> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if given.is_empty() { vec![10_000, 100_000, 1_000_000] } else { given };
    println!("   people   changes  correlate       plan      total  per person  directories     thinking");
    let all: Vec<Figures> = sizes.into_iter().map(measure).collect();
    for figures in &all {
        let total = figures.correlate + figures.plan;
        let (people, changes) = (figures.people, figures.changes);
        println!(
            "{people:>9} {changes:>9} {:>7} ms {:>7} ms {:>7} ms {:>8} ns {:>7} B/p. {:>7} B/p.",
            figures.correlate.as_millis(),
            figures.plan.as_millis(),
            total.as_millis(),
            total.as_nanos() / u128::from(people.max(1)),
            figures.directories / i64::from(people.max(1)),
            figures.thinking / i64::from(people.max(1)),
        );
    }
    if let Some(last) = all.last().filter(|last| last.people == 1_000_000) {
        let total = last.correlate + last.plan;
        let met = if total <= TARGET { "met" } else { "MISSED" };
        println!("target: 1,000,000 people in {} ms, linear: {met}", TARGET.as_millis());
    }
    if let [.., before, last] = all.as_slice() {
        let each = |figures: &Figures| (figures.correlate + figures.plan).as_secs_f64() / f64::from(figures.people);
        println!("a person costs {:.2} times as much as at a tenth of the size", each(last) / each(before));
    }
    println!(
        "peak resident memory of the whole bench: {} MB (target 60 MB + 400 bytes a person)",
        memory("VmHWM:") / 1_000_000
    );
}

/// Resident memory of this process in bytes, now (`VmRSS:`) or at most (`VmHWM:`); 0 where the kernel does not tell.
fn memory(field: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<i64>().ok()).unwrap_or(0) * 1024
}

/// Time that this thread has spent on a processor: what others do on the machine does not count.
fn cpu() -> Duration {
    let status =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel with scheduler statistics");
    let nanos = status.split_whitespace().next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.expect("nanoseconds come first"))
}

fn policy() -> Policy {
    let expression = |text: &str| text.parse().expect("the expression is sound");
    Policy {
        correlate: vec![
            CorrelateRule { okta: expression("login"), entra: AccountKey::UserPrincipalName },
            CorrelateRule {
                okta: expression(r#"${login|before "@"}@contoso.example"#),
                entra: AccountKey::UserPrincipalName,
            },
        ],
        manager: vec![
            ManagerRule { attribute: "managerEmail".into(), is: RefersTo::Email },
            ManagerRule { attribute: "managerId".into(), is: RefersTo::Login },
        ],
        when_empty: WhenEmpty::Clear,
        manager_disabled: Unfit::Keep,
        manager_is_guest: Unfit::Keep,
        exclude: vec!["break-glass@contoso.example".into()],
    }
}

/// Numbers in an order that has nothing to do with the listing's, as object ids have.
fn account_id(number: u32) -> AccountId {
    let scattered = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    AccountId::new(Uuid::from_u64_pair(scattered, u64::from(number)))
}

/// Eight report to each; one in a hundred has a new manager, one in a hundred none yet, one in a thousand none any more.
fn organization(size: u32, policy: &Policy) -> (People, Accounts, Known) {
    let mut people = People::new(&policy.okta_attributes());
    let mut accounts = Accounts::new();
    for number in 0..size {
        let manager = number.checked_sub(1).map(|number| number / 8);
        let login = format!("person{number}@example.com");
        let wanted = if number % 1_000 == 7 { None } else { manager };
        let reference = wanted.map_or(String::new(), |manager| format!("Person{manager}@example.com"));
        let value = |column: &String| match column.as_str() {
            "login" | "email" => login.as_str(),
            "managerEmail" => reference.as_str(),
            _ => "",
        };
        let values: Vec<&str> = people.columns().iter().map(value).collect();
        people.push(&NewPerson { id: &format!("00u{number:017}"), status: PersonStatus::Active, values: &values });
        let domain = if number % 2 == 0 { "example.com" } else { "contoso.example" };
        let observed = match number % 100 {
            3 => None,
            5 => Some(account_id(number / 64)),
            _ => manager.map(account_id),
        };
        accounts.push(&NewAccount {
            id: account_id(number),
            user_principal_name: &format!("Person{number}@{domain}"),
            mail: "",
            proxy_addresses: &[],
            employee_id: "",
            on_premises_immutable_id: "",
            enabled: true,
            guest: false,
            mastered_on_premises: false,
            manager: observed,
        });
    }
    people.seal();
    accounts.seal();
    let remembered = (0..size).filter(|number| number % 4 != 0);
    let links: Links = remembered.map(|number| (format!("00u{number:017}"), account_id(number))).collect();
    (people, accounts, Known { links, ..Known::default() })
}

fn measure(size: u32) -> Figures {
    let policy = policy();
    let before = memory("VmRSS:");
    let (people, accounts, known) = organization(size, &policy);
    let read = memory("VmRSS:");
    let input = Input { people: &people, accounts: &accounts, scope: &Scope::Everyone, policy: &policy, known: &known };
    let nobody = People::new(&policy.okta_attributes());
    let start = cpu();
    let mut planner = Planner::new(input);
    let correlate = cpu().saturating_sub(start);
    let unresolved = planner.unresolved();
    let plan = planner.plan(&nobody);
    let rest = cpu().saturating_sub(start + correlate);
    assert!(unresolved.is_empty(), "everybody's manager is listed");
    Figures {
        people: size,
        directories: read - before,
        correlate,
        plan: rest,
        changes: plan.changes.len(),
        thinking: memory("VmHWM:") - read,
    }
}
