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
