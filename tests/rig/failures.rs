//! A service that cannot start says why where administrators look, and does not try for ever.

use crate::machine::{CONFIG, Machine, YEARLY};

/// It failed with exit code 2, and systemd does not try again.
fn gave_up(machine: &Machine) {
    machine.sh("systemctl start graphkeeper").exits(1);
    assert_eq!(machine.property("graphkeeper", "ExecMainStatus"), "2");
    assert_eq!(
        machine.property("graphkeeper", "SubState"),
        "failed",
        "it would be `auto-restart` if it were tried again"
    );
    assert_eq!(machine.property("graphkeeper", "NRestarts"), "0");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn a_service_as_delivered_names_the_credential_that_is_missing() {
    let machine = Machine::boot("unconfigured").await;
    gave_up(&machine);
    let status = machine.status("graphkeeper");
    assert!(status.contains("Status: \"not started: "), "{status}");
    assert!(status.contains("credential `") && status.contains("LoadCredential="), "{status}");
    assert_eq!(machine.tenants.journal().count(|_| true), 0, "nobody was asked for anything");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn a_wrong_configuration_is_named_by_file_line_and_key_and_mended_it_starts() {
    let machine = Machine::boot("wrong").await;
    machine.encrypt_credentials("graphkeeper");
    let right = machine.configuration("graphkeeper", YEARLY);
    machine.configure(
        CONFIG,
        &right.replace("schedule =", "scedule =").replace("timezone = \"UTC\"", "timezone = \"Mars\""),
    );
    gave_up(&machine);
    let status = machine.status("graphkeeper");
    let line = right.lines().position(|line| line.starts_with("schedule")).unwrap() + 1;
    let misspelt = format!("{CONFIG}:{line}:1: jobs.licenses.scedule: ");
    assert!(status.contains("Status: \"not started: the configuration has 2 problems; "), "{status}");
    assert!(status.matches(&misspelt).count() == 2, "in the status and in the log: {misspelt}\n{status}");
    assert!(status.contains("(did you mean `schedule`?)") && status.contains(&format!("{CONFIG}:1:")), "{status}");
    let errors = machine.journal("-u graphkeeper PRIORITY=3 SYSLOG_IDENTIFIER=graphkeeper");
    assert!(errors.iter().any(|record| record["MESSAGE"].as_str().unwrap().contains(&misspelt)), "{errors:?}");

    machine.configure(CONFIG, &right);
    machine.sh("systemctl start graphkeeper").exits(0);
    assert!(machine.property("graphkeeper", "StatusText").starts_with("next run: "));
}
