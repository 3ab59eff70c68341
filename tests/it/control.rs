//! Who carries a command out: the service, when it answers on its socket, for whoever may use that.

mod listening;
pub(crate) mod members;

use graphkeeper::sandbox::faults::When;
use serde_json::Value;

use crate::support::process::{Output, Process};
use crate::support::{ACCOUNTS, BATCH, Org, reached, within};

/// Schedules that do not come while a test lasts.
pub(crate) const NEVER: &str = "[jobs.managers]\nschedule = \"0 0 1 1 *\"\n[jobs.licenses]\nschedule = \"0 0 1 1 *\"\n\
                     [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\n";
/// Only the licenses, at every second.
const LICENSES: &str = "[jobs.managers]\nschedule = \"0 0 1 1 *\"\n[jobs.licenses]\nschedule = \"* * * * * *\"\n\
                        [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\n";
/// What the licenses job reads.
const SKUS: &str = "/v1.0/subscribedSkus";

async fn quiet(members: &[&str]) -> Org {
    let org = Org::team(members.iter().copied()).await;
    org.configure(NEVER);
    org
}

pub(crate) fn by_the_service(output: &Output, service: &Process) {
    let said = format!("the service (process {}) carries it out", service.pid());
    assert!(output.stderr.contains(&said), "`{}` says: {}", output.command, output.stderr);
}

/// The keys of a value, and of everything in it, without what they hold.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(all) => all.first().map_or(Value::Array(Vec::new()), |one| Value::Array(vec![shape(one)])),
        _ => Value::Null,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_is_done_by_the_service_and_prints_what_it_would_print_at_home() {
    let (served, alone) = (quiet(&["ana", "bo"]).await, quiet(&["ana", "bo"]).await);
    let service = served.serve().await;
    for org in [&served, &alone] {
        org.moves("ana", "bo");
    }
    let mut runs = Vec::new();
    for command in [&["plan", "managers"][..], &["run", "managers", "--user", "ana@corp.example"], &["run", "licenses"]]
    {
        let (there, here) = (served.run(command).await.exits(0), alone.run(command).await.exits(0));
        by_the_service(&there, &service);
        assert!(!here.stderr.contains("the service"), "{}", here.stderr);
        assert_eq!(shape(&there.json()), shape(&here.json()), "{command:?}");
        runs.push([there.run_id(), here.run_id()]);
    }
    let mut plans = Vec::new();
    for org in [&served, &alone] {
        org.moves("bo", "chief");
        plans.push(org.run(&["plan", "managers"]).await.exits(0).plan_id()[..4].to_owned());
    }
    for [there, here] in [
        [vec!["approve", &plans[0]], vec!["approve", &plans[1]]],
        [vec!["accept-source", &runs[0][0]], vec!["accept-source", &runs[0][1]]],
    ] {
        let (there, here) = (served.run(&there).await.exits(0), alone.run(&here).await.exits(0));
        by_the_service(&there, &service);
        assert_eq!(shape(&there.json()), shape(&here.json()), "{}", there.command);
    }
    for command in [
        ["release", "nobody"],
        ["accept-source", "zzzz"],
        ["approve", "zzzz"],
        ["run", "manager"],
        ["plan", "licenses"],
        ["pause", "managers"],
        ["pause", "managers"],
        ["resume", "managers"],
        ["resume", "manager"],
    ] {
        let (there, here) = (served.run(&command).await, alone.run(&command).await);
        by_the_service(&there, &service);
        assert_eq!(there.code, here.code, "{command:?}");
        if there.code == Some(0) {
            assert_eq!(shape(&there.json()), shape(&here.json()), "{command:?}");
        } else {
            let told = there.stderr.split_once("carries it out\n").unwrap().1;
            assert_eq!((told, there.stdout), (here.stderr.as_str(), here.stdout), "{command:?}");
        }
    }
    let undo = served.run(&["undo", &runs[1][0][..6], "--yes"]).await.exits(0);
    assert_eq!(undo.json()["trigger"], "undo");
    assert_eq!(served.world().entra().manager_of("ana").as_deref(), Some("boss"));
    let released = served.run(&["release", "ana@corp.example"]).await.exits(0);
    assert_eq!(released.json()[0]["reason"], "undone");
    let mut database = served.database().await;
    let strangers = format!("select count(*) from run where pid <> {} or caller <> 'root'", service.pid());
    assert_eq!(database.number("select count(*) from run").await, 6);
    if cfg!(may_become_others) {
        assert_eq!(database.number(&strangers).await, 0);
    }
    service.terminate();
    service.finish().await.exits(0);
    assert!(!served.socket().exists(), "the socket goes with the service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_passed_on_to_the_run_and_the_service_goes_on() {
    let org = Org::team_of(45).await;
    org.configure(NEVER);
    for name in 0..45 {
        org.moves(&format!("m{name}"), "chief");
    }
    let service = org.serve().await;
    let gate = org.hold_answer(BATCH, When::Nth(2));
    let mut run = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    run.terminate();
    run.says("the run is asked to stop after the call in hand").await;
    let mut service = service;
    service.says("stops run").await;
    gate.open();
    let run = run.finish().await.exits(1);
    assert_eq!((run.outcome().as_str(), org.writes()), ("interrupted", 20), "{}", run.stdout);
    let again = org.reconcile().await.exits(0);
    by_the_service(&again, &service);
    assert_eq!((org.managed_by("chief"), org.writes()), (45, 45));
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_twice_or_is_lost_leaves_the_run_to_the_service() {
    let org = quiet(&["ana", "bo"]).await;
    let mut service = org.serve().await;
    org.moves("ana", "bo");
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let lost = org.spawn(&["run", "managers"]);
    reached(&gate).await;
    lost.kill().await;
    gate.open();
    service.says("outcome=succeeded").await;
    assert_eq!(org.world().entra().manager_of("ana").as_deref(), Some("bo"));
    org.faults().clear();
    org.moves("ana", "chief");
    let gate = org.hold_answer(BATCH, When::Nth(2));
    let mut left = org.spawn(&["run", "managers"]);
    reached(&gate).await;
    left.terminate();
    left.says("once more leaves it to the service").await;
    left.terminate();
    let left = left.finish().await.exits(1);
    assert!(left.stderr.contains("goes on in the service"), "{}", left.stderr);
    gate.open();
    service.says("outcome=interrupted").await;
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!(org.database().await.outcomes("managers").await, ["succeeded", "interrupted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_leaves_tells_the_runs_it_was_asked_for_as_interrupted() {
    let org = quiet(&["ana", "bo"]).await;
    org.moves("ana", "bo");
    let mut service = org.serve().await;
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let run = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    service.terminate();
    service.says("stopping").await;
    let run = run.finish().await.exits(1);
    assert_eq!(run.outcome(), "interrupted", "{}", run.all());
    gate.open();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_want_a_job_one_is_told_who_has_it_and_a_moment_that_comes_then_is_an_overlap() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(LICENSES);
    let gate = org.hold(SKUS, When::Nth(1));
    let mut service = org.serve().await;
    reached(&gate).await;
    let by_schedule = org.run(&["run", "licenses"]).await.exits(6);
    assert!(by_schedule.message().contains("begun by schedule at 2"), "{}", by_schedule.message());
    assert!(by_schedule.message().contains(&format!("process {}", service.pid())), "{}", by_schedule.message());
    gate.open();
    service.terminate();
    service.finish().await;
    org.configure(NEVER);
    service = org.serve().await;
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let first = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    let second = org.reconcile().await.exits(6);
    assert_eq!(second.outcome(), "busy");
    gate.open();
    let first = first.finish().await.exits(0);
    assert!(second.message().contains(&format!("run {}", first.run_id())), "{}", second.message());
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_finds_a_run_asked_for_names_it() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(&NEVER.replacen("0 0 1 1 *", "* * * * * *", 1));
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let at_home = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    let mut service = org.serve().await;
    service.says("is being run by process").await;
    service.terminate();
    service.finish().await.exits(0);
    gate.open();
    let run = at_home.finish().await.exits(0).run_id();
    let named =
        format!("select count(*) from moment where disposition = 'overlap' and reason like '%run {run}, begun by%'");
    assert!(org.database().await.number(&named).await > 0);
}

/// Asks until the answer is what is waited for; each question takes its time.
async fn until(org: &Org, command: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
    let asked = async {
        loop {
            let answer = org.run(command).await.exits(0).json();
            if holds(&answer) {
                return answer;
            }
        }
    };
    within(&format!("{command:?} tells what is waited for"), asked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_is_not_run_until_it_is_resumed_also_by_the_next_service() {
    let org = Org::team(["ana"]).await;
    org.configure(LICENSES);
    let mut service = org.serve().await;
    service.says("outcome=succeeded").await;
    org.run(&["pause", "licenses"]).await.exits(0);
    let missed = ["history", "missed", "--job", "licenses"];
    let is_paused = |row: &Value| row["disposition"] == "paused";
    let rows = until(&org, &missed, |rows| rows.as_array().unwrap().iter().any(is_paused)).await;
    assert!(rows.to_string().contains("paused by "), "{rows}");
    org.run(&["run", "licenses"]).await.exits(0);
    service.terminate();
    service.finish().await.exits(0);
    let runs = "select count(*) from run where trigger = 'schedule'";
    let before = org.database().await.number(runs).await;
    let service = org.serve().await;
    let paused = "select count(*) from moment where disposition = 'paused'";
    let counted = org.database().await.number(paused).await;
    let more = |rows: &Value| {
        let paused = rows.as_array().unwrap().iter().filter(|row| is_paused(row)).count();
        i64::try_from(paused).unwrap() > counted + 1
    };
    until(&org, &[&missed[..], &["--limit", "1000"]].concat(), more).await;
    assert_eq!(org.database().await.number(runs).await, before, "nothing ran");
    let jobs = org.run(&["jobs"]).await.exits(0).json();
    let job = jobs.as_array().unwrap().iter().find(|job| job["job"] == "licenses").unwrap().clone();
    assert!(job["paused"]["by"].is_string() && job["next"].is_null(), "{job}");
    let resumed = org.run(&["resume", "licenses"]).await.exits(0);
    assert_eq!(resumed.json()["changed"], true);
    let gate = org.hold(SKUS, When::Nth(1));
    reached(&gate).await;
    gate.open();
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_tells_whether_a_service_is_running() {
    let org = quiet(&["ana"]).await;
    org.reconcile().await.exits(0);
    org.run(&["plan", "managers"]).await.exits(0);
    let alone = org.shows(&["jobs"]).await.exits(0);
    assert!(alone.stdout.contains("no service is running"), "{}", alone.stdout);
    assert!(alone.stdout.contains("succeeded"), "a plan does not hide the last outcome: {}", alone.stdout);
    let service = org.serve().await;
    let served = org.shows(&["jobs"]).await.exits(0);
    assert!(!served.all().contains("no service is running"), "{}", served.all());
    service.terminate();
    service.finish().await.exits(0);
}
