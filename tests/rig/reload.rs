//! Edits while the service runs.

use crate::machine::{CONFIG, EVERY_SECOND, Machine, YEARLY};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn an_edit_takes_effect_by_itself_and_a_reload_is_told_to_systemd() {
    let machine = Machine::serving("reload", YEARLY).await;
    let process = machine.property("graphkeeper", "MainPID");
    machine.configure(CONFIG, &machine.configuration("graphkeeper", EVERY_SECOND));
    machine.until_runs(1);

    machine.sh("systemctl log-level debug && systemctl reload graphkeeper").exits(0);
    let notified = |what: &str| {
        let told = machine.journal("_PID=1 -u graphkeeper");
        let said = |message: &str| message.contains("Got notification message") && message.contains(what);
        told.iter().any(|record| record["MESSAGE"].as_str().is_some_and(said)).then_some(())
    };
    machine.until("RELOADING=1", || notified("RELOADING=1"));
    machine.until("READY=1", || notified("READY=1"));
    machine.until_property("graphkeeper", "ActiveState", "active");
    assert_eq!(machine.property("graphkeeper", "MainPID"), process, "nothing was restarted");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn a_wrong_edit_keeps_the_last_good_configuration_and_says_so() {
    let machine = Machine::serving("refused", EVERY_SECOND).await;
    let right = machine.configuration("graphkeeper", EVERY_SECOND);
    let refused = |status: String| status.contains("refused") && status.contains(CONFIG);
    machine.configure(CONFIG, &right.replace("kind = \"licenses\"", "kind = \"licences\""));
    machine.sh("systemctl reload graphkeeper").exits(0);
    machine.until("a status that says so", || refused(machine.property("graphkeeper", "StatusText")).then_some(()));
    let status = machine.status("graphkeeper");
    let line = right.lines().position(|line| line.starts_with("kind")).unwrap() + 1;
    let place = format!("{CONFIG}:{line}:8: jobs.licenses.kind");
    assert!(status.matches(&place).count() >= 2, "in the status and in the log: {place}\n{status}");
    let ended = || machine.journal("GRAPHKEEPER_OUTCOME=succeeded").len();
    let before = ended();
    machine.until("the jobs go on", || (ended() >= before + 2).then_some(()));

    machine.configure(CONFIG, &right);
    machine.until("a status without it", || (!refused(machine.property("graphkeeper", "StatusText"))).then_some(()));
}
