//! What `docs/` says of the figures, against the figures.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::web::metrics::eventful;
use crate::web::metrics::exposition::Exposition;

/// Families that have no figure while all is well.
const SELDOM: [&str; 4] = [
    "graphkeeper_channel_delivered_timestamp_seconds",
    "graphkeeper_configuration_refused_since_timestamp_seconds",
    "graphkeeper_job_success_due_timestamp_seconds",
    "graphkeeper_subscription_moved_timestamp_seconds",
];

/// Labels whose values are names that somebody gave, versions or numbers.
const GIVEN: [&str; 5] = ["channel", "job_name", "le", "part_number", "version"];

/// What the document says that a label may be.
fn words(label: &str) -> BTreeSet<String> {
    let document = document("metrics.md");
    let row = document.lines().find_map(|line| line.strip_prefix(&format!("| `{label}` | ")));
    row.unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// All figures of a service that has done everything once.
async fn figures() -> Exposition {
    let (org, page) = eventful().await;
    org.reconcile().await;
    org.moves("m5", "chief");
    org.run(&["plan", "managers"]).await.exits(0);
    for job in ["licenses", "keepalive"] {
        org.run(&["run", job]).await.exits(0);
    }
    let figures = page.figures().await;
    page.stop().await;
    figures
}

/// Names of figures in a text: words that begin as ours do, and `process_start_time_seconds`.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|sign: char| !(sign.is_ascii_alphanumeric() || "_:".contains(sign)));
    let ours = |word: &&str| word.starts_with("graphkeeper_") || *word == "process_start_time_seconds";
    words.filter(ours).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_is_documented_as_it_is_and_the_examples_name_no_other() {
    let figures = figures().await;
    let documented: BTreeMap<String, [String; 3]> = document("metrics.md").lines().filter_map(row).collect();
    let names: BTreeSet<&String> = figures.families.keys().collect();
    assert_eq!(documented.keys().collect::<BTreeSet<_>>(), names);
    for (name, family) in &figures.families {
        let [kind, labels, meaning] = &documented[name];
        assert_eq!((kind, meaning), (&family.kind, &family.help), "{name}");
        let labels: BTreeSet<&str> = labels.split(", ").filter(|label| !label.is_empty()).collect();
        assert!(SELDOM.contains(&name.as_str()) || !family.samples.is_empty(), "{name} is never seen");
        assert!(family.samples.is_empty() || family.labels() == labels, "{name}: {:?}", family.labels());
        for (label, value) in family.samples.iter().flat_map(|sample| &sample.labels) {
            let known = GIVEN.contains(&label.as_str()) || words(label).contains(value);
            assert!(known, "{name}: `{value}` is no word of `{label}`");
        }
    }
    let known = figures.names();
    for file in ["alerts.yml", "alerts.test.yml", "grafana.json"] {
        let told = named(&document(file));
        assert!(told.len() > 5, "{file}: {told:?}");
        let unknown: Vec<_> = told.iter().filter(|name| !known.contains(*name)).collect();
        assert!(unknown.is_empty(), "{file} names what there is not: {unknown:?}");
    }
}

/// A row of a table of four columns: the name, and its type, labels and meaning.
fn row(line: &str) -> Option<(String, [String; 3])> {
    let cells: Vec<&str> = line.strip_prefix("| `")?.trim_end_matches(" |").split(" | ").collect();
    let [name, kind, labels, meaning] = cells[..] else { return None };
    Some((
        name.trim_end_matches('`').to_owned(),
        [kind, labels, meaning].map(|cell| cell.replace('`', "").trim().to_owned()),
    ))
}

#[test]
fn the_dashboard_is_one() {
    let dashboard: Value = serde_json::from_str(&document("grafana.json")).unwrap();
    let variables: Vec<&str> =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(variables, ["datasource", "instance", "job_name"]);
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let (id, title) = (panel["id"].as_u64().unwrap(), panel["title"].as_str().unwrap());
        assert!(ids.insert(id), "{title} has the id of another");
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(x < 24 && taken.insert((x, y)), "{title} lies over another");
            }
        }
        let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(panel["type"] == "row" || !targets.is_empty(), "{title} shows nothing");
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            assert!(!named(query).is_empty() && query.contains("$instance"), "{title}: {query}");
        }
    }
}
