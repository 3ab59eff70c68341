//! Secrets handed over by systemd.

use crate::machine::{CONFIG, EVERY_SECOND, Machine};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn with_encrypted_credentials_alone_it_works_and_no_secret_lies_anywhere() {
    let machine = Machine::serving("encrypted", EVERY_SECOND).await;
    machine.until_runs(1);
    let runs = machine.asks("graphkeeper", "history --outcome succeeded");
    assert!(!runs.as_array().unwrap().is_empty(), "{runs}");
    let credentials = machine.tenants.credentials();
    let process = machine.property("graphkeeper", "MainPID");
    for secret in [&credentials.okta_token, &credentials.client_secret] {
        let places = format!("/etc /var/lib /var/log /proc/{process}/environ /proc/{process}/cmdline");
        let found = machine.sh(&format!("grep --recursive --files-with-matches --text -F '{secret}' {places} || true"));
        assert_eq!(found.stdout, "", "a secret lies open");
        let logged = machine.sh(&format!("journalctl --quiet --no-pager --all --output=export | grep -cF '{secret}'"));
        assert_eq!(logged.stdout.trim(), "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn plain_credentials_that_root_alone_may_read_work_too() {
    let machine = Machine::boot("plain").await;
    machine.configure(CONFIG, &machine.configuration("graphkeeper", EVERY_SECOND));
    let credentials = machine.tenants.credentials();
    machine.write("/etc/graphkeeper/okta-token", &credentials.okta_token, &["--mode", "0400"]);
    machine.write("/etc/graphkeeper/entra-secret", &credentials.client_secret, &["--mode", "0400"]);
    let plain = "[Service]\nLoadCredential=okta-token:/etc/graphkeeper/okta-token\n\
                 LoadCredential=entra-secret:/etc/graphkeeper/entra-secret\n";
    machine.drop_in("graphkeeper", "credentials", plain);
    machine.sh("systemctl start graphkeeper").exits(0);
    machine.until("a run that succeeded", || {
        let runs = machine.asks("graphkeeper", "history --outcome succeeded");
        (!runs.as_array().unwrap().is_empty()).then_some(())
    });
}
