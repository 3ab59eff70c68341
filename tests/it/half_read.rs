//! Never write from a half-read world: whatever a listing lacks, nothing is written, and the lack is named.

use graphkeeper::sandbox::faults::{Fault, Order, When};
use graphkeeper::sandbox::server::Service;
use tokio::task::JoinSet;

use crate::support::{ACCOUNTS, Org, PEOPLE, within};

/// A way in which a listing can go wrong, and what the operator is to read.
struct Case {
    name: &'static str,
    service: Service,
    path: &'static str,
    when: When,
    fault: Fault,
    code: i32,
    named: &'static [&'static str],
}

/// More people than fit on a page of either side.
const PEOPLE_ON_SEVERAL_PAGES: u32 = 1_100;

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_breaks_off_writes_nothing_and_the_next_good_run_does_its_work() {
    let okta =
        |name, when, fault, named| Case { name, service: Service::Okta, path: PEOPLE, when, fault, code: 1, named };
    let graph =
        |name, when, fault, named| Case { name, service: Service::Graph, path: ACCOUNTS, when, fault, code: 1, named };
    all(vec![
        okta("a page is refused", When::Nth(2), Fault::Status { status: 501, html: false }, &["Okta", PEOPLE, "501"]),
        okta("HTML with 200", When::Always, Fault::HtmlWith200, &["Okta", PEOPLE]),
        okta("cut JSON", When::Always, Fault::CutJson, &["Okta", PEOPLE]),
        okta("a next link that loops", When::Always, Fault::LoopNextLink, &["Okta", "circle"]),
        okta("a next link to another host", When::Nth(2), Fault::ForeignNextLink, &["Okta", "attacker.example"]),
        graph("a page is refused", When::Nth(2), Fault::Status { status: 501, html: false }, &["Graph", "501"]),
        // Somebody has to grant what is missing.
        Case {
            code: 5,
            ..okta("no permission", When::Nth(2), Fault::Status { status: 403, html: false }, &["E0000006"])
        },
        Case {
            code: 5,
            ..graph(
                "no permission",
                When::Nth(2),
                Fault::Status { status: 403, html: false },
                &["Authorization_RequestDenied"],
            )
        },
        graph("HTML with 200", When::Always, Fault::HtmlWith200, &["Graph"]),
        graph("a next link that loops", When::Always, Fault::LoopNextLink, &["Graph", "circle"]),
        graph("a next link to another host", When::Nth(1), Fault::ForeignNextLink, &["Graph", "attacker.example"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_fails_for_good_writes_nothing() {
    let broken = || Fault::Status { status: 503, html: true };
    // Turned away at the door, a client tries for minutes: the time limit ends it.
    let case =
        |service, path, named| Case { name: "503", service, path, when: When::Always, fault: broken(), code: 1, named };
    let mut runs = JoinSet::new();
    for case in [case(Service::Okta, PEOPLE, &["time limit"]), case(Service::Graph, ACCOUNTS, &["time limit"])] {
        runs.spawn(async move {
            let org = Org::team(["ana", "bo"]).await;
            org.configure("[jobs.managers]\ntimeout = \"2 seconds\"");
            try_on(&org, case).await;
        });
    }
    within("both cases end", runs.join_all()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_empty_or_cut_short_is_not_believed() {
    let case =
        |name, service, path, when, named| Case { name, service, path, when, fault: Fault::EmptyList, code: 4, named };
    all(vec![
        case("nobody in Okta", Service::Okta, PEOPLE, When::Always, &["no people in Okta"]),
        case("nobody in Entra", Service::Graph, ACCOUNTS, When::Always, &["no accounts in Entra"]),
        case(
            "the second page ends it",
            Service::Graph,
            ACCOUNTS,
            When::Nth(2),
            &["the listing has 999 accounts", "Entra counts"],
        ),
    ])
    .await;
}

/// Tries every case on an organization of its own.
async fn all(cases: Vec<Case>) {
    let mut runs = JoinSet::new();
    for case in cases {
        runs.spawn(async move { try_on(&Org::agreed(PEOPLE_ON_SEVERAL_PAGES).await, case).await });
    }
    within("all cases end", runs.join_all()).await;
}

/// One change is due. It is not written while the fault lasts, and is once it is gone.
async fn try_on(org: &Org, case: Case) {
    let name = format!("{} ({:?})", case.name, case.service);
    org.world().hire("yan");
    org.world().hire("zoe").managed_by("yan");
    org.faults().order(Order::new(case.service, case.path, case.fault).when(case.when));
    let bad = org.reconcile().await;
    assert_eq!(bad.code, Some(case.code), "{name}: {}{}", bad.stdout, bad.stderr);
    for word in case.named {
        assert!(bad.message().contains(word), "{name}: {word} is not named: {}", bad.message());
    }
    assert_eq!((org.writes(), org.journal().writes().len()), (0, 0), "{name}: written from a half-read world");
    org.faults().clear();
    org.reconcile().await.exits(0);
    assert_eq!(org.world().entra().manager_of("zoe").as_deref(), Some("yan"), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_below_the_floor_is_not_believed_until_somebody_accepts_it() {
    let org = Org::team_of(20).await;
    org.reconcile().await.exits(0);
    org.moves("m19", "chief");
    for gone in 0..6 {
        org.world().okta().person(&format!("m{gone}")).status("DEPROVISIONED");
    }
    let doubted = org.reconcile().await.exits(4);
    assert_eq!((doubted.outcome().as_str(), org.writes()), ("source_incomplete", 0));
    assert!(doubted.message().contains("16 people in Okta, far fewer than the 22"), "{}", doubted.message());
    assert!(doubted.hint().contains("accept-source"), "{}", doubted.hint());
    org.reconcile().await.exits(4);
    org.shows(&["accept-source", &doubted.run_id()]).await.exits(0);
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1);
    let who = org.database().await.texts("select accepted_by from source_reading where accepted_by is not null").await;
    assert!(matches!(who.as_slice(), [who] if !who.is_empty()), "{who:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_lost_its_references_clears_nobody() {
    let org = Org::team_of(20).await;
    org.reconcile().await.exits(0);
    for name in 0..19 {
        org.world().okta().person(&format!("m{name}")).without_manager();
    }
    let doubted = org.reconcile().await.exits(4);
    assert!(doubted.message().contains("with a manager reference"), "{}", doubted.message());
    assert_eq!(org.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_without_its_canary_is_not_believed() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure("[jobs.managers]\ncanaries = [\"boss@corp.example\", \"ceo@corp.example\"]");
    org.moves("ana", "bo");
    let doubted = org.reconcile().await.exits(4);
    assert!(doubted.message().contains("ceo@corp.example"), "{}", doubted.message());
    assert!(!doubted.message().contains("boss@corp.example"), "{}", doubted.message());
    assert_eq!(org.writes(), 0);
    org.world().hire("ceo");
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_comes_back_empty_is_not_believed() {
    let org = Org::team(["ana", "bo"]).await;
    let group = org.world().okta().add_group("staff", ["ana", "bo"]);
    org.configure(&format!("[jobs.managers]\nscope = {{ group = \"{group}\" }}"));
    org.moves("ana", "bo");
    org.okta_fault("/api/v1/groups/*/users", When::Next(1), Fault::EmptyList);
    let doubted = org.reconcile().await.exits(4);
    assert!(doubted.message().contains("no people in the scope"), "{}", doubted.message());
    assert_eq!(org.writes(), 0);
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1);
}
