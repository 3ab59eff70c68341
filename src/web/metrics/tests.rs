use std::collections::BTreeSet;

use crate::daemon::About;
use crate::domain::condition::{Condition, Credential, IdentityName};
use crate::domain::decision::{ChangeKind, Reason};
use crate::domain::gauge::GaugeState;
use crate::domain::moment::Disposition;
use crate::domain::run::{JobKind, Outcome};
use crate::history::changes::ChangeState;
use crate::history::plans::PlanOrigin;
use crate::http::calls::Service;
use crate::http::meter::{Answered, Cause, Endpoint};
use crate::web::metrics::families;
use crate::web::metrics::gather::Facts;

/// What people read.
const DOCUMENT: &str = include_str!("../../../docs/metrics.md");

/// The words that a label may have, by the document.
fn documented(label: &str) -> BTreeSet<&'static str> {
    let row = DOCUMENT.lines().find_map(|line| line.strip_prefix(&format!("| `{label}` | ")));
    let row = row.unwrap_or_else(|| panic!("{label} has no row of words"));
    let is_word = |word: &&str| word.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_');
    row.split('`').skip(1).step_by(2).filter(is_word).collect()
}

/// All words of these lists.
macro_rules! words {
    ($($list:ty),+) => { [$(<$list>::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>()),+].concat() };
}

#[test]
fn the_document_lists_every_word_that_a_label_may_have_and_no_other() {
    for (label, words) in [
        ("outcome", words!(Outcome)),
        ("kind", words!(JobKind, ChangeKind)),
        ("result", words!(ChangeState)),
        ("reason", words!(Reason)),
        ("origin", words!(PlanOrigin)),
        ("status", words!(Answered)),
        ("endpoint", words!(Endpoint)),
        ("cause", words!(Cause)),
        ("identity", words!(IdentityName)),
        ("state", words!(Condition, GaugeState)),
        ("credential", words!(Credential)),
    ] {
        assert_eq!(documented(label), words.into_iter().collect(), "{label}");
    }
    let missable = Disposition::ALL.iter().filter(|disposition| !disposition.is_run()).map(|word| word.as_str());
    assert_eq!(documented("disposition"), missable.collect());
    let vendors = Service::ALL.iter().filter(|service| **service != Service::Notice).map(|word| word.as_str());
    assert_eq!(documented("service"), vendors.collect());
}

#[test]
fn without_the_history_what_comes_from_it_is_missing_and_not_zero() {
    let facts = Facts {
        since: "2026-11-21T06:00:00Z".parse().unwrap(),
        about: About::default(),
        stalled: true,
        jobs: vec![("managers".to_owned(), JobKind::Managers), ("keepalive".to_owned(), JobKind::Keepalive)],
        channels: vec!["office".to_owned()],
        vendors: crate::http::meter::Counts::default(),
        runs: crate::jobs::meter::Counts::default(),
        past: None,
    };
    let told = families::exposition(facts).unwrap();
    for line in [
        "graphkeeper_history_readable 0\n",
        "graphkeeper_scheduler_stalled 1\n",
        "process_start_time_seconds 1795240800.0\n",
        "graphkeeper_runs_total{job_name=\"managers\",outcome=\"timed_out\"} 0\n",
        "graphkeeper_job_info{job_name=\"keepalive\",kind=\"keepalive\"} 1\n",
    ] {
        assert!(told.contains(line), "{line} is missing in {told}");
    }
    for name in ["plans_waiting", "people", "job_paused", "notices_waiting", "identity_state", "licenses_free"] {
        assert!(told.contains(&format!("# TYPE graphkeeper_{name} gauge\n")), "{name}: {told}");
        assert!(!told.contains(&format!("\ngraphkeeper_{name}{{")), "{name}: {told}");
    }
}
