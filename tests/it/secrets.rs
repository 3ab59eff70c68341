//! Secrets never leave: not in what is printed or logged at any level, not in the history.

use std::fs;

use graphkeeper::sandbox::faults::{Fault, When};

use crate::support::{ACCOUNTS, Org, PEOPLE};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_printed_logged_or_stored_whatever_happens() {
    let mut org = Org::team(["ana", "bo"]).await;
    org.env.push(("GRAPHKEEPER_LOG".to_owned(), "trace".to_owned()));
    org.env.push(("RUST_BACKTRACE".to_owned(), "1".to_owned()));
    org.configure("[jobs.keepalive]\nmin_interval = \"0 seconds\"\nsave_bodies = true");
    org.moves("ana", "bo");
    let mut printed = String::new();
    for command in [
        &["check"][..],
        &["plan", "managers"],
        &["run", "managers"],
        &["run", "licenses"],
        &["run", "keepalive"],
        &["run", "managers", "--user", "ana@corp.example"],
        &["history", "--json"],
        &["explain", "ana@corp.example"],
    ] {
        printed.push_str(&org.shows(command).await.exits(0).all());
    }
    for fault in [Fault::HtmlWith200, Fault::CutJson, Fault::ExpireToken, Fault::Status { status: 501, html: true }] {
        org.okta_fault(PEOPLE, When::Next(1), fault.clone());
        org.graph_fault(ACCOUNTS, When::Next(1), fault.clone());
        org.graph_fault("/v1.0/me", When::Next(1), fault);
        printed.push_str(&org.shows(&["run", "keepalive"]).await.all());
        if printed.len() < 1 << 24 {
            printed.push_str(&org.shows(&["run", "managers"]).await.all());
        }
    }
    assert!(printed.contains("TRACE") || printed.contains("DEBUG"), "the log was really on");

    let mut secrets = vec![org.credentials().okta_token.clone(), org.credentials().client_secret.clone()];
    secrets.push(org.credentials().refresh_token.clone());
    let store = fs::read_to_string(org.state().join("entra-user.json")).unwrap();
    let store: serde_json::Value = serde_json::from_str(&store).unwrap();
    secrets.extend(["refresh_token", "previous"].iter().filter_map(|key| store[key].as_str().map(str::to_owned)));
    assert!(secrets.len() >= 4 && secrets.iter().all(|secret| secret.len() > 20));
    // Access tokens are JSON web tokens: three parts, the first of which begins with the same letters always.
    secrets.extend(["Bearer eyJ".to_owned(), "SSWS 00".to_owned()]);
    let mut places = vec![("what was printed".to_owned(), printed.into_bytes())];
    for file in ["graphkeeper.db", "graphkeeper.db-wal"] {
        places.extend(fs::read(org.state().join(file)).ok().map(|bytes| (file.to_owned(), bytes)));
    }
    for (place, bytes) in places {
        for secret in &secrets {
            let found = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
            let around = found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(200)..at]).into_owned());
            assert!(found.is_none(), "a secret is in {place}, after {around:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_hold_no_address_and_no_query() {
    let mut org = Org::team(["ana", "bo"]).await;
    org.env.push(("GRAPHKEEPER_LOG".to_owned(), "debug,graphkeeper=trace".to_owned()));
    org.moves("ana", "nobody");
    org.moves("bo", "chief");
    let run = org.shows(&["run", "managers"]).await.exits(0);
    let telling: Vec<&str> =
        run.stderr.lines().filter(|line| line.contains("@corp.example") || line.contains("$select")).collect();
    assert_eq!(telling, [""; 0], "people and queries stay out of the log");
}
