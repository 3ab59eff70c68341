//! What a person in the group can do, who has no secret and owns nothing of the service's.

use crate::machine::{EVERY_SECOND, Machine};

/// Makes a person who is in the service's group and in no other way special.
fn member(machine: &Machine) {
    machine.sh("useradd --create-home --groups graphkeeper ana").exits(0);
}

/// Nothing in the state directory belongs to anybody but the service.
#[track_caller]
fn untouched(machine: &Machine) {
    let strange = machine.sh("find /var/lib/graphkeeper ! -user graphkeeper -o ! -group graphkeeper").exits(0).stdout;
    assert_eq!(strange, "", "these belong to somebody else");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn a_member_reads_the_history_beside_the_service_and_without_it() {
    let machine = Machine::serving("reader", EVERY_SECOND).await;
    member(&machine);
    machine.until_runs(1);
    for running in [true, false] {
        if !running {
            machine.sh("systemctl stop graphkeeper").exits(0);
        }
        assert!(!machine.asks("ana", "history").as_array().unwrap().is_empty(), "running: {running}");
        assert_eq!(machine.asks("ana", "jobs")[0]["job"], "licenses", "running: {running}");
        machine.graphkeeper("ana", "check").exits(0);
        untouched(&machine);
    }
    machine.sh("useradd --create-home bo").exits(0);
    let stranger = machine.graphkeeper("bo", "history");
    assert!(stranger.code != Some(0) && stranger.stderr.contains("ermission denied"), "{stranger:?}");
}

/// A managers job that writes at once, by hand only; and one for `pause`.
const JOBS: &str = r#"[jobs.managers]
kind = "managers"
mode = "apply"
manager = [{ attribute = "managerEmail", is = "email" }, { attribute = "managerId", is = "login" }]
confirm_after = "0 seconds"
brake = { set = "100%", change = "100%", clear = "100%" }
[jobs.licenses]
kind = "licenses"
schedule = "0 0 1 1 *"
"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn a_member_steers_the_service_with_its_credentials_and_owns_nothing() {
    let machine = Machine::serving("steering", JOBS).await;
    member(&machine);
    let world = machine.tenants.world();
    world.hire("boss");
    world.hire("chief");
    for name in ["kim", "lee"] {
        world.hire(name).managed_by("boss");
        world.entra().account(name).managed_by("boss");
    }
    let manager_of = |name: &str| world.entra().manager_of(name);
    let modes = machine.sh("stat --format='%a %U:%G' /run/graphkeeper/control.sock").exits(0).stdout;
    assert_eq!(modes, "660 graphkeeper:graphkeeper\n");

    world.okta().person("kim").managed_by("chief");
    let said = machine.graphkeeper("ana", "run managers --json").exits(0);
    let process = machine.property("graphkeeper", "MainPID");
    assert!(said.stderr.contains(&format!("the service (process {process})")), "{said:?}");
    assert_eq!(manager_of("kim").as_deref(), Some("chief"));
    let run = said.json()["run"].as_str().unwrap().to_owned();

    machine.graphkeeper("ana", &format!("undo {run} --yes")).exits(0);
    assert_eq!(manager_of("kim").as_deref(), Some("boss"));

    world.okta().person("lee").managed_by("chief");
    let plan = machine.asks("ana", "plan managers")["details"]["managers"]["plan"].as_str().unwrap().to_owned();
    assert_eq!(manager_of("lee").as_deref(), Some("boss"), "a plan writes nothing");
    machine.graphkeeper("ana", &format!("approve {plan}")).exits(0);
    assert_eq!(manager_of("lee").as_deref(), Some("chief"));

    machine.graphkeeper("ana", "pause licenses").exits(0);
    machine.sh("systemctl restart graphkeeper").exits(0);
    let shown = machine.graphkeeper("ana", "jobs").exits(0).stdout;
    assert!(shown.contains("paused") && shown.contains("ana"), "{shown}");
    machine.graphkeeper("ana", "resume licenses").exits(0);
    assert!(!machine.graphkeeper("ana", "jobs").exits(0).stdout.contains("paused"));

    let runs = machine.asks("ana", "history");
    assert!(runs.as_array().unwrap().len() >= 3, "{runs}");
    assert!(runs.as_array().unwrap().iter().all(|run| run["caller"] == "ana"), "{runs}");
    untouched(&machine);

    machine.sh("useradd --create-home bo").exits(0);
    let stranger = machine.graphkeeper("bo", "run managers");
    assert!(stranger.code != Some(0) && world.entra().writes() == 3, "{stranger:?}");
    untouched(&machine);
}
