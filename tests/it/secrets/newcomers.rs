//! The commands that make tenants of their own: their credentials open nothing else, and are kept all the same.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::secrets::{TRACED, files, looks, piece};
use crate::support::Org;
use crate::support::process::Process;
use crate::web::Page;

/// Every secret that lies beside a configuration.
fn kept(directory: &Path) -> Vec<(String, String)> {
    let secrets: Vec<_> = files(&directory.join("secrets"))
        .into_iter()
        .map(|file| (file.clone(), piece(&fs::read_to_string(file).unwrap())))
        .collect();
    assert!(secrets.len() > 5, "{secrets:?}");
    secrets
}

/// What the history holds.
fn histories(directory: &Path) -> Vec<(String, String)> {
    let read = |file: String| (file.clone(), String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned());
    let found: Vec<_> =
        files(&directory.join("state")).into_iter().filter(|file| file.contains(".db")).map(read).collect();
    assert!(!found.is_empty(), "the history was looked at");
    found
}

fn traced(org: &mut Org) {
    org.env.extend(TRACED.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_none_of_the_secrets_that_it_makes_for_itself() {
    let mut org = Org::empty().await;
    traced(&mut org);
    let (once, serving) = (org.home().join("once"), org.home().join("serving"));
    let small = ["--people", "12", "--state"];
    let done = org.shows(&[&["demo", "--once"][..], &small, &[once.to_str().unwrap()]].concat()).await.exits(0);
    let mut service = org.spawn(&[&["demo"][..], &small, &[serving.to_str().unwrap()]].concat());
    service.says("serving").await;
    for job in ["managers", "licenses", "keepalive", "import"] {
        Process::start(&serving.join("graphkeeper.toml"), &["run", job], &[]).finish().await;
    }
    let page = Page::at(service).await;
    let mut shown = page.get("/metrics").await.whole();
    for path in ["/", "/api/v1/runs", "/api/v1/jobs", "/api/v1/identities"] {
        shown.push_str(&page.get(path).await.whole());
    }
    page.service.terminate();
    let served = page.service.finish().await.exits(0);
    for (directory, printed) in [(&once, done.all()), (&serving, served.all() + &shown)] {
        assert!(printed.contains("TRACE"), "the log was really on");
        let mut places = histories(directory);
        places.push(("what was printed".to_owned(), printed));
        looks(&places, &kept(directory));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_prints_its_credentials_once_and_logs_none() {
    let mut org = Org::empty().await;
    traced(&mut org);
    let directory = org.home().join("tenants");
    let place = directory.to_str().unwrap();
    let mut tenants =
        org.spawn(&["sandbox", "--json", "--people", "12", "--drift", "none", "--port", "0", "--state", place]);
    let announced: Value = serde_json::from_str(&tenants.first_line().await).unwrap();
    let file = announced["configuration"].as_str().unwrap();
    for job in ["managers", "keepalive"] {
        Process::start(Path::new(file), &["run", job], &[]).finish().await.exits(0);
    }
    tenants.terminate();
    let ended = tenants.finish().await.exits(0);
    let secrets = kept(&directory);
    let printed = secrets.iter().filter(|(_, piece)| ended.stdout.contains(piece)).count();
    assert_eq!((printed, ended.stdout.lines().count()), (3, 1), "those that are there to be used: {}", ended.stdout);
    looks(&[("what was logged".to_owned(), ended.stderr)], &secrets);
}
