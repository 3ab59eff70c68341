//! What the journal is told.

use graphkeeper::sandbox::faults::{Fault, Order, When};
use graphkeeper::sandbox::server::Service;
use serde_json::Value;

use crate::machine::{EVERY_SECOND, Machine, YEARLY};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn a_run_is_found_by_its_id_with_job_outcome_and_priority() {
    let machine = Machine::serving("fields", EVERY_SECOND).await;
    let run = machine.until_runs(2).pop().unwrap();
    let records = machine.journal(&format!("GRAPHKEEPER_RUN_ID={run}"));
    assert!(records.len() >= 2, "{records:?}");
    for record in &records {
        assert_eq!(record["GRAPHKEEPER_JOB"], "licenses", "{record}");
        assert_eq!(record["_SYSTEMD_UNIT"], "graphkeeper.service", "{record}");
        assert_eq!(record["SYSLOG_IDENTIFIER"], "graphkeeper", "{record}");
        assert_eq!(record["PRIORITY"], "6", "{record}");
    }
    let outcomes: Vec<&Value> = records.iter().filter_map(|record| record.get("GRAPHKEEPER_OUTCOME")).collect();
    assert_eq!(outcomes, ["succeeded"]);
    let read = machine.sh(&format!("journalctl --quiet --no-pager --output=cat GRAPHKEEPER_RUN_ID={run}")).exits(0);
    assert!(read.stdout.contains(&format!("run{{run.id={run} job=licenses}}: ")), "{}", read.stdout);
    assert!(machine.journal("_TRANSPORT=stdout -u graphkeeper").is_empty(), "every line is a record of its own");

    let refused = Fault::Status { status: 501, html: false };
    let always = Order::new(Service::Graph, "/v1.0/subscribedSkus", refused).when(When::Always);
    machine.tenants.faults().order(always);
    let errors = machine.until("a run that failed", || {
        Some(machine.journal("GRAPHKEEPER_OUTCOME=failed")).filter(|records| !records.is_empty())
    });
    assert_eq!(errors[0]["PRIORITY"], "3", "{}", errors[0]);
    assert!(
        errors[0]["GRAPHKEEPER_RUN_ID"].is_string() && errors[0]["GRAPHKEEPER_REASON"].is_string(),
        "{}",
        errors[0]
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn a_request_is_found_by_the_vendors_id_for_it() {
    let machine = Machine::boot("requests").await;
    machine.drop_in("graphkeeper", "debug", "[Service]\nEnvironment=GRAPHKEEPER_LOG=debug\n");
    machine.configure(crate::machine::CONFIG, &machine.configuration("graphkeeper", EVERY_SECOND));
    machine.encrypt_credentials("graphkeeper");
    machine.sh("systemctl start graphkeeper").exits(0);
    let run = machine.until_runs(2).pop().unwrap();
    let calls = machine.asks("graphkeeper", &format!("history calls {run}"));
    let request = calls.as_array().unwrap().iter().find_map(|call| call["request_id"].as_str());
    let request = request.unwrap_or_else(|| panic!("no request id in {calls}"));
    let records = machine.journal(&format!("GRAPHKEEPER_REQUEST_ID={request}"));
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!((&records[0]["GRAPHKEEPER_RUN_ID"], &records[0]["PRIORITY"]), (&run.into(), &"7".into()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn lines_of_json_are_there_for_who_asks_for_them() {
    let machine = Machine::boot("json").await;
    machine.drop_in("graphkeeper", "json", "[Service]\nEnvironment=GRAPHKEEPER_LOG_FORMAT=json\n");
    machine.configure(crate::machine::CONFIG, &machine.configuration("graphkeeper", YEARLY));
    machine.encrypt_credentials("graphkeeper");
    machine.sh("systemctl start graphkeeper").exits(0);
    let lines = machine.journal("-u graphkeeper _TRANSPORT=stdout");
    assert!(!lines.is_empty());
    for line in lines {
        let told: Value = serde_json::from_str(line["MESSAGE"].as_str().unwrap()).unwrap();
        assert!(told["level"].is_string() && told["message"].is_string(), "{told}");
    }
}
