//! What a pass may cost: vendor calls as the sandbox counts them, and rows in the history.

use graphkeeper::sandbox::Options;
use graphkeeper::sandbox::server::{Rates, Service};

use crate::support::{ACCOUNTS, BATCH, Org, PEOPLE};

const PEOPLE_THERE_ARE: u32 = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_makes_no_more_calls_than_promised_and_an_unchanged_one_adds_few_rows() {
    let options = Options { people: PEOPLE_THERE_ARE, rates: Rates::unlimited(), ..Options::default() };
    let org = Org::start(options).await;
    let first = org.reconcile().await.exits(3);
    let requests = |org: &Org| -> u64 {
        [Service::Okta, Service::Graph, Service::Login].iter().map(|service| org.journal().requests(*service)).sum()
    };
    let pages = |service, path: &str| org.journal().pages(service, path) as u64;
    let unresolved = org.journal().count(|row| row.path == PEOPLE && row.query.contains("search")) as u64;
    let people = pages(Service::Okta, PEOPLE) - unresolved;
    let accounts = pages(Service::Graph, ACCOUNTS);
    let scope = org.journal().count(|row| row.path.starts_with("/api/v1/groups/")) as u64;
    assert_eq!((people, accounts, scope), (10, 3, 10), "full pages: 200 people, 999 accounts");
    // References that nobody answers are looked up twenty at a time; a run of 2,000 has a handful of them.
    assert!(unresolved <= 1, "{unresolved} searches");
    let changes = first.counted("planned");
    let promised = people + accounts + scope + unresolved + 3 * changes.div_ceil(20) + 8 + 1;
    assert!(requests(&org) <= promised, "{} calls for a promise of {promised}", requests(&org));
    assert_eq!(
        org.journal().count(|row| !row.item && row.path.starts_with("/v1.0/users/") && !row.path.ends_with("$count")),
        0,
        "nothing is read for each person"
    );
    assert!(org.journal().count(|row| !row.item && row.path == BATCH) as u64 >= 3 * changes.div_ceil(20));

    org.reconcile().await.exits(0); // the tenants' own news are taken in
    org.journal().clear();
    let before = org.database().await.rows().await;
    let unchanged = org.reconcile().await.exits(0);
    let added = org.database().await.rows().await - before;
    assert!((1..20).contains(&added), "{added} rows for nothing new");
    assert_eq!(unchanged.counted("planned"), 0);
    assert!(requests(&org) <= people + accounts + scope + unresolved + 8 + 1, "{}", requests(&org));
}
