//! Rules that changed are looked at before they write.

use tokio::task::JoinSet;

use crate::support::{Org, within};

/// The rules under which every organization here begins.
const BEFORE: &str = "[jobs.managers]\nsource_floor = \"80%\"\nbrake = { change = \"50%\" }\n";

#[tokio::test(flavor = "multi_thread")]
async fn changed_rules_only_plan_until_a_plan_made_under_them_is_approved() {
    let mut runs = JoinSet::new();
    for rule in [
        "correlate = [ { okta = \"login\", entra = \"userPrincipalName\" } ]",
        "manager = [ { attribute = \"managerId\", is = \"login\" } ]",
        "scope = { search = 'status eq \"ACTIVE\"' }",
        "when_empty = \"keep\"",
        "exclude = [\"m9@corp.example\"]",
        "manager_disabled = \"assign\"",
    ] {
        runs.spawn(async move { needs_approval(rule, &format!("{BEFORE}{rule}")).await });
    }
    for (from, to) in [("50%", "60%"), ("80%", "70%")] {
        runs.spawn(async move { needs_approval(to, &BEFORE.replace(from, to)).await });
    }
    within("all cases end", runs.join_all()).await;
}

async fn needs_approval(rule: &str, configuration: &str) {
    let org = Org::team_of(10).await;
    org.configure(BEFORE);
    org.reconcile().await.exits(0);
    org.configure(configuration);
    org.moves("m0", "chief");
    let run = org.reconcile().await;
    assert_eq!(run.code, Some(4), "{rule}: {}{}", run.stdout, run.stderr);
    assert_eq!((run.reason().as_str(), org.writes()), ("rules_changed", 0), "{rule}");
    org.reconcile().await.exits(4);
    org.run(&["approve", &run.plan_id()]).await.exits(0);
    assert_eq!(org.writes(), 1, "{rule}");
    org.moves("m1", "chief");
    let run = org.reconcile().await;
    assert_eq!((run.code, org.writes()), (Some(0), 2), "{rule}: {}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tighter_brake_and_an_empty_plan_need_nobodys_word() {
    let org = Org::team_of(10).await;
    org.configure(BEFORE);
    org.reconcile().await.exits(0);
    org.configure(&BEFORE.replace("50%", "40%").replace("80%", "90%"));
    org.moves("m0", "chief");
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1, "stricter than what was agreed to");

    org.configure(&format!("{BEFORE}exclude = [\"m9@corp.example\"]"));
    org.reconcile().await.exits(0);
    org.moves("m1", "chief");
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 2, "rules under which nothing would change approve themselves");
}
