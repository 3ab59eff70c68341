//! Every write can be undone and stays undone; and nobody fights another writer for ever.

use crate::support::Org;

#[tokio::test(flavor = "multi_thread")]
async fn an_undone_run_stays_undone_until_okta_says_something_new_or_somebody_releases() {
    let org = Org::team(["ana", "bo", "cy", "dee"]).await;
    org.moves("ana", "chief");
    org.world().entra().account("bo").without_manager();
    let run = org.reconcile().await.exits(0).run_id();
    assert_eq!(org.writes(), 2);

    let shown = org.run(&["undo", &run]).await.exits(0);
    assert_eq!((shown.counted("planned"), org.writes()), (2, 2), "shown, not done");
    let undone = org.run(&["undo", &run, "--yes"]).await.exits(0);
    assert_eq!((undone.counted("confirmed"), org.writes()), (2, 4));
    let manager = |name| org.world().entra().manager_of(name);
    assert_eq!((manager("ana").as_deref(), manager("bo")), (Some("boss"), None));

    let after = org.reconcile().await.exits(0);
    assert_eq!((after.left("undone"), org.writes()), (2, 4), "what an operator took back is not written again");

    org.moves("ana", "dee");
    org.reconcile().await.exits(0);
    assert_eq!((manager("ana").as_deref(), org.writes()), (Some("dee"), 5), "a new value is a new wish");

    org.shows(&["release", "--job", "managers", "--reason", "undone"]).await.exits(0);
    org.reconcile().await.exits(0);
    assert_eq!((manager("bo").as_deref(), org.writes()), (Some("boss"), 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_leaves_alone_what_somebody_else_has_changed_since() {
    let org = Org::team(["ana", "bo", "cy", "dee"]).await;
    org.moves("ana", "chief");
    org.moves("bo", "chief");
    let run = org.reconcile().await.exits(0).run_id();
    org.world().entra().account("bo").managed_by("dee");
    let undone = org.run(&["undo", &run, "--yes"]).await.exits(0);
    assert!(undone.notes().contains("1 people are left as they are"), "{}", undone.notes());
    let manager = |name| org.world().entra().manager_of(name);
    assert_eq!((manager("ana").as_deref(), manager("bo").as_deref()), (Some("boss"), Some("dee")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_wrote_nothing_has_nothing_to_undo_and_an_unknown_run_is_named() {
    let org = Org::team(["ana", "bo"]).await;
    let run = org.reconcile().await.exits(0).run_id();
    org.run(&["undo", &run, "--yes"]).await.exits(1);
    let unknown = org.run(&["undo", "zzzzzzzz"]).await.exits(1);
    assert!(unknown.all().contains("zzzzzzzz"), "{}", unknown.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_another_writer_took_back_twice_is_contested_and_left_alone() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.moves("ana", "chief");
    for written in 1..=2 {
        org.reconcile().await.exits(0);
        assert_eq!(org.writes(), written);
        org.world().entra().account("ana").managed_by("boss");
    }
    let run = org.reconcile().await.exits(0);
    assert_eq!((run.left("contested"), org.writes()), (1, 2));
    assert_eq!(org.reconcile().await.exits(0).left("contested"), 1);
    org.moves("ana", "bo");
    org.reconcile().await.exits(0);
    assert_eq!(
        (org.world().entra().manager_of("ana").as_deref(), org.writes()),
        (Some("bo"), 3),
        "another value is no fight"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_undo_never_makes_a_value_contested() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.moves("ana", "chief");
    for _ in 0..2 {
        let run = org.reconcile().await.exits(0).run_id();
        org.run(&["undo", &run, "--yes"]).await.exits(0);
        org.shows(&["release", "ana@corp.example"]).await.exits(0);
    }
    let run = org.reconcile().await.exits(0);
    assert_eq!((run.left("contested"), org.world().entra().manager_of("ana").as_deref()), (0, Some("chief")));
}
