//! The scheduled import: both directories compared, a report that is kept economically, and nothing written.

use graphkeeper::sandbox::faults::{Fault, When};
use graphkeeper::sandbox::server::Service;
use serde_json::Value;

use crate::support::process::Output;
use crate::support::{ACCOUNTS, Org, PEOPLE};

/// Rules by which an address finds accounts, too.
const BY_ADDRESS: &str = r#"
[jobs.import]
correlate = [ { okta = "login", entra = "userPrincipalName" }, { okta = "email", entra = "proxyAddresses" } ]
"#;

async fn import(org: &Org) -> Output {
    org.run(&["run", "import"]).await
}

/// How many entries of a kind a run counted, the kinds without entries left out.
#[track_caller]
fn counted(run: &Output) -> Vec<(String, u64)> {
    let kinds = run.json()["details"]["directory"]["tally"]["kinds"].clone();
    let count = |(kind, count): (&String, &Value)| (kind.clone(), count["entries"].as_u64().unwrap());
    kinds.as_object().unwrap().iter().map(count).collect()
}

fn counts(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}

/// What `history directory` with these options lists, as `first column person account`.
async fn listed(org: &Org, list: &str, options: &[&str]) -> Vec<String> {
    let shown = org.run(&[&["history", "directory"], options].concat()).await.exits(0).json();
    let short = |value: &Value| value.as_str().map_or("-", |name| name.split('@').next().unwrap()).to_owned();
    let first = if list == "changes" { "difference" } else { "kind" };
    let line = |row: &Value| format!("{} {} {}", short(&row[first]), short(&row["login"]), short(&row["upn"]));
    shown[list].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_sorted_and_nothing_is_written() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(BY_ADDRESS);
    org.world().okta().add("newcomer");
    org.world().entra().add("room");
    org.world().entra().add("pia").guest();
    org.world().entra().add("asleep").disabled();
    // Two people with one address, and one address of two accounts.
    for name in ["fred", "desi"] {
        org.world().okta().add(name).set("email", "desk@corp.example");
    }
    org.world().entra().add("desk");
    org.world().okta().add("twice");
    for name in ["twice1", "twice2"] {
        org.world()
            .entra()
            .add(name)
            .edit(|account| account.proxy_addresses = ["smtp:Twice@corp.example".into()].into());
    }
    let run = import(&org).await.exits(0);
    assert_eq!(run.outcome(), "succeeded");
    let expected = [
        ("ambiguous", 2),
        ("ignored", 1),
        ("matched", 4),
        ("shared", 2),
        ("unmatched_in_entra", 3),
        ("unmatched_in_okta", 1),
    ];
    let mut found = counted(&run);
    found.sort();
    assert_eq!(found, counts(&expected), "{}", run.stdout);
    let entra = run.json()["details"]["directory"]["tally"]["kinds"]["unmatched_in_entra"].clone();
    assert_eq!((entra["guests"].as_u64(), entra["disabled"].as_u64()), (Some(1), Some(1)), "told apart");
    assert!(run.message().contains("1 in Entra (and 1 guests, 1 disabled)"), "{}", run.message());
    assert_eq!(
        listed(&org, "entries", &[]).await,
        [
            "ambiguous twice twice1",
            "ambiguous twice twice2",
            "shared desi desk",
            "shared fred desk",
            "unmatched_in_okta newcomer -",
            "unmatched_in_entra - room",
            "unmatched_in_entra - asleep",
            "unmatched_in_entra - pia",
            "ignored - admin",
            "matched ana ana",
            "matched bo bo",
            "matched boss boss",
            "matched chief chief",
        ]
    );
    assert_eq!(listed(&org, "entries", &["--kind", "ambiguous", "--limit", "1"]).await.len(), 1);
    let writing = |row: &graphkeeper::sandbox::journal::Row| row.method != "GET" && row.service != Service::Login;
    assert_eq!(org.journal().count(writing), 0, "only read");
    assert_eq!(org.journal().pages(Service::Okta, PEOPLE), 1);
    assert_eq!(org.journal().pages(Service::Graph, ACCOUNTS), 1);
    let csv = org.shows(&["history", "directory", "--output", "csv", "--kind", "unmatched_in_okta"]).await.exits(0);
    assert_eq!(csv.stdout.lines().count(), 2, "{}", csv.stdout);
    let text = org.shows(&["run", "import"]).await.exits(0).stdout;
    assert!(text.contains("history directory --run") && text.contains("newcomer@corp.example"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_since_the_last_import_is_told() {
    let org = Org::team(["ana", "bo", "cy", "dee", "eve"]).await;
    let first = import(&org).await.exits(0);
    assert!(
        first.message().ends_with("; the first import: there is nothing to compare it with"),
        "{}",
        first.message()
    );
    assert!(import(&org).await.exits(0).message().ends_with("; nothing is new"));

    org.world().okta().person("ana").rename("anna");
    org.world().entra().account("bo").rename("robert");
    org.world().entra().account("cy").remove();
    org.world().okta().person("dee").remove();
    org.world().entra().account("eve").disabled();
    org.world().hire("fay");
    let run = import(&org).await.exits(0);
    let expected = [
        "newly_matched fay fay",
        "newly_unmatched cy -",
        "newly_unmatched - dee",
        "renamed anna ana",
        "renamed bo robert",
        "changed eve eve",
        "gone - cy",
        "gone dee -",
    ];
    let mut told = listed(&org, "changes", &["--diff", "--run", &run.run_id()]).await;
    told.sort();
    let mut sorted = expected.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(told, sorted, "{}", run.stdout);
    assert!(run.message().contains("2 renamed, 1 changed, 2 gone"), "{}", run.message());

    // The account is given to somebody else: what was Anna's by memory is gone with her.
    org.world().okta().person("anna").remove();
    org.world().okta().add("zoe").set("login", "ana@corp.example");
    let run = import(&org).await.exits(0);
    assert_eq!(listed(&org, "changes", &["--diff"]).await, ["moved ana ana", "gone anna -"], "{}", run.stdout);
    let rows = org.run(&["history", "export", "imports"]).await.exits(0).json();
    let rows = rows.as_array().unwrap();
    let ended = rows.iter().find(|row| row["kind"] == "matched" && row["login"] == "cy@corp.example").unwrap();
    assert!(ended["last_run"].is_string() && ended["first_run"] == first.run_id().as_str(), "{ended}");
    assert!(rows.iter().any(|row| row["last_run"].is_null() && row["upn"] == "robert@corp.example"), "{rows:?}");
    // Each import can be asked for later on.
    let then = listed(&org, "entries", &["--run", &first.run_id(), "--kind", "matched"]).await;
    assert_eq!(then.len(), 7, "{then:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_read_side_is_no_import() {
    let org = Org::agreed(1_100).await;
    let good = import(&org).await.exits(0);
    for (path, fault, when, code, named) in [
        (ACCOUNTS, Fault::EmptyList, When::Nth(2), 4, "Entra counts"),
        (ACCOUNTS, Fault::EmptyList, When::Always, 4, "no accounts in Entra"),
        (PEOPLE, Fault::EmptyList, When::Always, 4, "no people in Okta"),
        (PEOPLE, Fault::EmptyList, When::Nth(3), 4, "far fewer than"),
        (PEOPLE, Fault::LoopNextLink, When::Always, 1, "circle"),
        (ACCOUNTS, Fault::Status { status: 501, html: false }, When::Nth(2), 1, "501"),
    ] {
        match path {
            PEOPLE => org.okta_fault(path, when, fault.clone()),
            _ => org.graph_fault(path, when, fault.clone()),
        }
        let bad = import(&org).await.exits(code);
        assert!(bad.message().contains(named), "{fault:?}: {}", bad.message());
        if code == 4 {
            assert_eq!(bad.outcome(), "source_incomplete");
        }
        org.shows(&["history", "directory", "--run", &bad.run_id()]).await.exits(1);
        org.faults().clear();
    }
    assert_eq!(org.database().await.number("select count(*) from directory_import").await, 1);
    let latest = org.run(&["history", "directory", "--limit", "1"]).await.exits(0).json();
    assert_eq!(latest["run"], good.run_id().as_str(), "the last complete one stands");
    assert!(import(&org).await.exits(0).message().ends_with("; nothing is new"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_finds_nothing_new_adds_few_rows() {
    let org = Org::agreed(2_000).await;
    import(&org).await.exits(0);
    let before = org.database().await.rows().await;
    import(&org).await.exits(0);
    let added = org.database().await.rows().await - before;
    assert!(added < 6, "{added} rows");
    assert_eq!(
        org.database().await.number("select count(*) from directory_latest where kind = 'matched'").await,
        2_000
    );
    // Pages of 200 people and of 999 accounts, the count, and the sign-in: nothing is asked per person.
    assert_eq!(org.journal().pages(Service::Okta, PEOPLE), 2 * 10);
    assert_eq!(org.journal().pages(Service::Graph, ACCOUNTS), 2 * 3);
    assert_eq!(org.journal().requests(Service::Graph), 2 * 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_left_are_a_shrink_that_somebody_may_accept() {
    let org = Org::team_of(20).await;
    import(&org).await.exits(0);
    for gone in 0..6 {
        org.world().okta().person(&format!("m{gone}")).status("DEPROVISIONED");
    }
    let doubted = import(&org).await.exits(4);
    assert!(doubted.hint().contains("accept-source"), "{}", doubted.hint());
    assert_eq!(org.database().await.number("select count(*) from directory_import").await, 1, "no diff either");
    org.shows(&["accept-source", &doubted.run_id()]).await.exits(0);
    let run = import(&org).await.exits(0);
    assert_eq!(counted(&run).iter().find(|(kind, _)| kind == "unmatched_in_entra").unwrap().1, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_checked_scheduled_and_run_by_the_service() {
    let org = Org::team(["ana"]).await;
    org.configure("[jobs.import]\nevery = \"2 days\"\nignore = [\"ADMIN@corp.onmicrosoft.com\"]");
    let check = org.shows(&["check"]).await.exits(0);
    assert!(check.stdout.contains("import (directory): every 2 days"), "{}", check.stdout);
    org.configure("[jobs.import]\nevery = \"2 days\"\ncatch_up = \"all\"");
    let refused = org.shows(&["check"]).await.exits(2);
    assert!(refused.all().contains("directory jobs are not caught up run by run"), "{}", refused.all());
    org.configure("[jobs.second]\nkind = \"managers\"\nmanager = [{ attribute = \"managerId\", is = \"login\" }]");
    let refused = org.shows(&["check"]).await.exits(2);
    assert!(refused.all().contains("jobs.import.correlate: is missing, and there are several"), "{}", refused.all());
    let planned = org.run(&["plan", "import"]).await;
    assert_eq!(planned.code, Some(2), "{}", planned.all());
}
