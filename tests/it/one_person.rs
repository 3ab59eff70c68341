//! `run managers --user`: one person, from one person's reads.

use graphkeeper::sandbox::faults::{Fault, When};
use graphkeeper::sandbox::model::edit::PersonHandle;

use crate::support::{ACCOUNTS, MANAGER, Org, PEOPLE};

type Edit = fn(&PersonHandle);

async fn one(org: &Org, name: &str) -> crate::support::process::Output {
    org.run(&["run", "managers", "--user", name]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_is_written_and_agrees_afterwards() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.moves("ana", "bo");
    org.moves("cy", "chief");
    one(&org, "ana@corp.example").await.exits(0);
    assert_eq!((org.world().entra().manager_of("ana").as_deref(), org.writes()), (Some("bo"), 1), "and nobody else");
    one(&org, "ana@corp.example").await.exits(0);
    assert_eq!(org.writes(), 1);
    let listings = org.journal().count(|row| !row.item && (row.path == ACCOUNTS && !row.query.contains("filter")));
    let listed = org.journal().count(|row| row.path == PEOPLE && !row.query.contains("search"));
    assert_eq!((listings, listed), (0, 0), "neither directory is listed");
    assert_eq!(org.database().await.number("select count(*) from source_reading").await, 0, "no measure for listings");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_left_alone_exits_3_with_the_reason_on_standard_output() {
    let org = Org::team(["ana", "bo"]).await;
    let cases: [(&str, Edit); 3] = [
        ("manager_not_found", |ana| {
            ana.managed_by("nobody");
        }),
        ("self_manager", |ana| {
            ana.managed_by("ana");
        }),
        ("inactive_in_okta", |ana| {
            ana.status("STAGED");
        }),
    ];
    for (reason, change) in cases {
        change(&org.world().okta().person("ana"));
        let left = org.shows(&["run", "managers", "--user", "ana@corp.example"]).await.exits(3);
        assert!(left.stdout.contains(reason), "{reason}: {}", left.stdout);
    }
    org.world().okta().add("newcomer").managed_by("boss");
    assert_eq!(one(&org, "newcomer@corp.example").await.exits(3).reason(), "no_account");
    assert_eq!(org.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_whose_write_is_refused_or_whom_nobody_knows_exits_1() {
    let org = Org::team(["ana", "bo"]).await;
    org.moves("ana", "bo");
    let fault = Fault::Refuse { status: 400, code: "Request_BadRequest".into(), message: "Ordered.".into() };
    org.graph_fault(MANAGER, When::Always, fault);
    let refused = one(&org, "ana@corp.example").await.exits(1);
    assert!(refused.stdout.contains("Request_BadRequest"), "{}", refused.stdout);
    let unknown = one(&org, "nobody@corp.example").await.exits(1);
    assert!(unknown.message().contains("nobody@corp.example"), "{}", unknown.message());
    assert_eq!(org.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_writes_count_for_the_brakes_day() {
    let org = Org::team_of(10).await;
    org.configure(crate::support::USUAL_BRAKES);
    for name in ["m0", "m1", "m2"] {
        org.moves(name, "chief");
        one(&org, &format!("{name}@corp.example")).await.exits(0);
    }
    org.moves("m3", "chief");
    assert_eq!(org.reconcile().await.exits(4).left("held"), 1, "three changes a day, and three were made by hand");
}
