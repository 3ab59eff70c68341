//! The two commands of a newcomer, and tenants that any other process can use.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Org;
use crate::support::process::{Output, Process};

fn state(org: &Org) -> PathBuf {
    org.home().join("demo")
}

/// Runs the demo on its own tenants, kept in `state` below the organization's directory.
async fn demo(org: &Org, arguments: &[&str]) -> Output {
    let state = state(org);
    let mut all = vec!["demo", "--once", "--state", state.to_str().unwrap()];
    all.extend(arguments);
    org.run(&all).await
}

/// What the first of the demo's runs, the managers job, counted.
#[track_caller]
fn tally(demo: &Output) -> serde_json::Value {
    demo.json()["runs"][0]["details"]["managers"]["tally"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_writes_every_kind_reports_what_the_tenants_saw_and_finds_nothing_the_second_time() {
    let org = Org::empty().await;
    let first = demo(&org, &[]).await.exits(0);
    for kind in ["set", "change", "clear"] {
        assert!(tally(&first)["confirmed"][kind].as_u64() > Some(0), "no {kind}: {}", tally(&first));
    }
    assert_eq!(first.json()["journal"]["equals_report"], true);
    assert_eq!(first.json()["journal"]["writes"], tally(&first)["accepted"]);
    let kinds: Vec<_> = first.json()["runs"].as_array().unwrap().iter().map(|run| run["kind"].clone()).collect();
    assert_eq!(kinds, ["managers", "licenses", "keepalive", "directory"]);
    let found = first.json()["runs"][3]["details"]["directory"]["tally"]["kinds"].clone();
    for kind in ["ambiguous", "shared", "unmatched_in_okta", "unmatched_in_entra", "ignored", "matched"] {
        assert!(found[kind]["entries"].as_u64() > Some(0), "no {kind}: {found}");
    }
    let second = demo(&org, &[]).await.exits(0);
    assert_eq!(second.json()["journal"]["writes"], serde_json::json!({"set": 0, "change": 0, "clear": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_of_ones_own_is_adopted_undone_and_stays_undone() {
    let org = Org::empty().await;
    let file = org.home().join("org.csv");
    let people = "login,email,display_name,manager\n\
                  ana@x.example,ana@x.example,Ana,\n\
                  bo@x.example,bo@x.example,\"Bo, Jr.\",ana@x.example\n\
                  cy@x.example,cy@x.example,Cy,ana@x.example\n\
                  dee@x.example,dee@x.example,Dee,gone@x.example\n";
    fs::write(&file, people).unwrap();
    let with_file = ["--org", file.to_str().unwrap()];
    let first = demo(&org, &with_file).await.exits(0);
    assert_eq!(tally(&first)["confirmed"]["set"], 2);
    assert_eq!(tally(&first)["reasons"]["manager_not_found"], 1);
    let place = state(&org);
    let place = ["--state", place.to_str().unwrap(), "--org", with_file[1]];
    let text = org.shows(&[&["demo", "--once"][..], &place].concat()).await.exits(0);
    assert!(text.stdout.contains("brakes are lifted"), "{}", text.stdout);
    assert!(text.stdout.contains("0 set, 0 changed, 0 cleared"), "{}", text.stdout);

    let run = first.json()["runs"][0]["run"].as_str().unwrap().to_owned();
    let mut tenants =
        org.spawn(&["sandbox", "--json", "--state", state(&org).to_str().unwrap(), "--org", with_file[1]]);
    let announced: serde_json::Value = serde_json::from_str(&tenants.first_line().await).unwrap();
    let configuration = Path::new(announced["configuration"].as_str().unwrap());
    let command = async |arguments: &[&str]| Process::start(configuration, arguments, &[]).finish().await.exits(0);
    assert_eq!(command(&["undo", &run, "--yes", "--json"]).await.tally()["confirmed"]["clear"], 2);
    let after = command(&["run", "managers", "--json"]).await;
    assert_eq!((after.left("undone"), after.counted("planned")), (2, 0));
    tenants.terminate();
    tenants.finish().await.exits(0);
}
