//! What is old is forgotten, details first, and everything can be exported before.

use crate::support::Org;

/// Nothing is fired.
const NEVER: &str = "[jobs.managers]\nschedule = \"0 0 1 1 *\"\n";

/// Makes all that happened as many days older.
async fn age(org: &Org, days: u32) {
    let back = i64::from(days) * 86_400_000;
    let mut database = org.database().await;
    for (table, columns) in [
        ("run", &["started_at", "ended_at"][..]),
        ("call", &["at"]),
        ("change", &["intent_at", "answered_at", "settled_at"]),
        ("license_reading", &["at"]),
        ("source_reading", &["at"]),
    ] {
        let columns: Vec<String> = columns.iter().map(|column| format!("{column} = {column} - {back}")).collect();
        database.execute(&format!("update {table} set {}", columns.join(", "))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_forgets_what_is_old_and_the_command_shows_it_first() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(NEVER);
    org.moves("ana", "bo");
    org.reconcile().await.exits(0);
    org.run(&["run", "licenses"]).await.exits(0);
    age(&org, 400).await;
    org.reconcile().await.exits(0);
    org.run(&["run", "licenses"]).await.exits(0);
    let mut database = org.database().await;
    let runs = "select count(*) from run";
    let calls = "select count(*) from call where at < (select max(at) from call) - 86400000";
    let (all, old_calls) = (database.number("select count(*) from call").await, database.number(calls).await);
    assert!(old_calls >= 2 && all > old_calls, "{old_calls} of {all}");

    let foreseen = org.run(&["history", "prune", "--dry-run"]).await.exits(0);
    let old = foreseen.json().as_array().unwrap().iter().find(|list| list["what"] == "calls").cloned().unwrap();
    assert_eq!((old["rows"].as_i64(), old["class"].as_str()), (Some(old_calls), Some("details")));
    assert!(foreseen.stderr.contains("nothing was forgotten"), "{}", foreseen.stderr);
    assert_eq!(database.number("select count(*) from call").await, all);

    let mut service = org.serve().await;
    service.says(&format!("forgotten as the configuration says: {old_calls} calls")).await;
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!(
        (database.number("select count(*) from call").await, database.number(calls).await),
        (all - old_calls, 0)
    );
    assert_eq!(database.number(runs).await, 4, "summaries are kept longer");

    age(&org, 2000).await;
    org.reconcile().await.exits(0);
    org.run(&["run", "licenses"]).await.exits(0);
    let pruned = org.shows(&["history", "prune"]).await.exits(0);
    assert!(pruned.stdout.contains("runs") && pruned.stderr.contains("rows forgotten"), "{}", pruned.all());
    assert_eq!(database.number(runs).await, 2, "the newest of each job");
    let again = org.shows(&["history", "prune"]).await.exits(0);
    assert!(again.stderr.contains("nothing is older"), "{}", again.stderr);
    org.run(&["history", "licenses"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_can_be_exported_for_programs_and_spreadsheets() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(NEVER);
    org.moves("ana", "bo");
    let run = org.reconcile().await.exits(0).run_id();
    org.database().await.execute("update change set to_label = '=cmd()|x'").await;
    let csv = org.shows(&["history", "export", "changes"]).await.exits(0).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("id,run,job,trigger,time,person,login,"), "{csv}");
    assert!(lines.len() == 2 && lines[1].contains(&run) && lines[1].contains(",'=cmd()|x,"), "{csv}");
    let json = org.run(&["history", "export", "decisions"]).await.exits(0).json();
    let people = json.as_array().unwrap();
    assert!(people.len() >= 2 && people.iter().all(|row| row["evidence"].is_object()), "{json}");
    for what in ["runs", "missed", "calls", "licenses", "events", "gauges"] {
        let rows = org.run(&["history", "export", what, "--since", "1 hour ago"]).await.exits(0);
        assert!(rows.json().is_array(), "{}", rows.stdout);
    }
    let none = org.run(&["history", "export", "runs", "--until", "2 days ago"]).await.exits(0);
    assert_eq!(none.json(), serde_json::json!([]));
    org.run(&["history", "export"]).await.exits(2);
}
