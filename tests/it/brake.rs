//! Never surprise: a change too large to be true waits for somebody's word, also when it comes in slices.

use crate::support::process::Output;
use crate::support::{Org, USUAL_BRAKES};

/// Twelve people, three of whom lost their manager in Okta, and one who has another.
async fn twelve_with_three_clears() -> Org {
    let org = Org::team_of(10).await;
    org.configure(USUAL_BRAKES);
    for name in ["m0", "m1", "m2"] {
        org.world().okta().person(name).without_manager();
    }
    org.moves("m3", "chief");
    org
}

fn held_clears(run: &Output) -> Option<u64> {
    run.tally()["held"]["clear"].as_u64()
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_people_with_three_clears_are_held_listed_and_written_once_approved() {
    let org = twelve_with_three_clears().await;
    let run = org.reconcile().await.exits(4);
    assert_eq!((run.outcome().as_str(), held_clears(&run), run.left("held")), ("held", Some(3), 3));
    assert_eq!(["m0", "m1", "m2", "m3"].map(|name| run.fate(name)), ["held", "held", "held", "confirmed"]);
    assert_eq!(org.writes(), 1, "the other kinds go on");
    let plan = run.plan_id();
    assert!(run.hint().contains(&format!("graphkeeper approve {plan}")), "{}", run.hint());
    let listed = org.shows(&["history", "show", &run.run_id()]).await.exits(0);
    assert!(listed.stdout.contains(&plan), "{}", listed.stdout);

    org.run(&["approve", &plan]).await.exits(0);
    assert_eq!((org.writes(), org.managed_by("boss")), (4, 6));
    let after = org.reconcile().await.exits(0);
    assert_eq!((org.writes(), after.counted("planned")), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_changes_keep_their_plan_and_a_superseded_plan_says_which_replaced_it() {
    let org = twelve_with_three_clears().await;
    let first = org.reconcile().await.exits(4).plan_id();
    assert_eq!(org.reconcile().await.exits(4).plan_id(), first);
    org.world().okta().person("m4").without_manager();
    let second = org.reconcile().await.exits(4).plan_id();
    assert_ne!(second, first);
    let writes = org.writes();
    let refused = org.run(&["approve", &first]).await.exits(1);
    assert!(refused.all().contains(&second) && refused.all().contains("m4@"), "{}", refused.all());
    assert_eq!(org.writes(), writes);
    org.run(&["approve", &second]).await.exits(0);
    assert_eq!(org.writes(), writes + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_carries_out_what_still_holds_leaves_the_rest_stale_and_works_once() {
    let org = twelve_with_three_clears().await;
    let plan = org.reconcile().await.exits(4).plan_id();
    org.moves("m0", "boss"); // as it is in Entra: nothing to do any more
    org.world().entra().account("m1").managed_by("chief"); // another old value than the plan saw
    let approved = org.run(&["approve", &plan]).await.exits(3);
    assert_eq!((approved.left("stale"), org.writes()), (2, 2));
    let manager = |name| org.world().entra().manager_of(name);
    assert_eq!([manager("m0"), manager("m1"), manager("m2")].map(Option::unwrap_or_default), ["boss", "chief", ""]);

    let again = org.run(&["approve", &plan]).await.exits(1);
    assert!(again.all().contains("was approved by"), "{}", again.all());
    assert_eq!(org.writes(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_too_old_or_unknown_is_not_approved() {
    let org = twelve_with_three_clears().await;
    let plan = org.reconcile().await.exits(4).plan_id();
    let old = org.run(&["approve", &plan, "--max-age", "0 seconds"]).await.exits(1);
    assert!(old.all().contains("too long"), "{}", old.all());
    let unknown = org.run(&["approve", "pzzzzzzzz"]).await.exits(1);
    assert!(unknown.all().contains("pzzzzzzzz"), "{}", unknown.all());
    assert_eq!(org.writes(), 1);
}

/// The product's example at a tenth of its size, which has the same percentages.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_feed_in_slices_of_three_percent_is_held_at_the_fourth() {
    let org = Org::agreed(1_000).await;
    org.configure(USUAL_BRAKES);
    org.reconcile().await.exits(0);
    let people: Vec<String> = org.world().read().okta.iter().map(|user| user.login().to_owned()).collect();
    // The last hired are leaves of the tree: no cycle comes of naming the first one as their manager.
    for (round, slice) in people.rchunks(30).take(5).enumerate() {
        for person in slice {
            org.moves(person, &people[0]);
        }
        let held = round >= 3;
        let run = org.reconcile().await.exits(if held { 4 } else { 0 });
        let waiting = if held { 30 * (round as u64 - 2) } else { 0 };
        assert_eq!((run.left("held"), org.writes()), (waiting, 30 * (round as u64 + 1).min(3)), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_does_not_count_for_the_brakes_day() {
    let org = Org::team_of(30).await;
    org.configure(USUAL_BRAKES);
    org.reconcile().await.exits(0);
    for name in ["m0", "m1", "m2"] {
        org.world().okta().person(name).without_manager();
    }
    let plan = org.reconcile().await.exits(4).plan_id();
    org.run(&["approve", &plan]).await.exits(0);
    for name in ["m4", "m5"] {
        org.world().okta().person(name).without_manager();
    }
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 5);
}
