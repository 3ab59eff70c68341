//! `history` and the pages over a year of runs.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use graphkeeper::clock::{Clock as _, SystemClock};
use graphkeeper::history::History;

use super::manager::Manager;
use super::process::{stop, watch};
use super::table::Table;
use super::{Bench, configure, database, median, program, setting};

/// How often each question is asked.
const TIMES: usize = 5;

const LIMIT_MS: f64 = 50.0;

/// Every reading command; `export` and `prune` read everything there is.
const QUESTIONS: &[&str] = &[
    "history",
    "history --job managers --outcome failed",
    "history --user p0000042@example.com",
    "history show rbig",
    "history show r0000042",
    "history show pbig",
    "history changes",
    "history changes --user p0000042@example.com",
    "history calls r0000002",
    "history directory",
    "history directory --diff",
    "history licenses",
    "history licenses --at 2_days_ago",
    "history missed",
    "history missed --job managers",
    "history notices",
    "explain p0000042@example.com",
    "jobs",
];

/// Every page, in each way that reads something else.
const PAGES: &[&str] = &[
    "/",
    "/runs",
    "/runs?job=managers&outcome=failed",
    "/runs/rbig",
    "/runs/rbig?changes=100",
    "/runs/r0000042",
    "/people",
    "/people/p0000042@example.com",
    "/licenses",
    "/licenses?days=365",
    "/licenses?days=365&products=4",
    "/imports",
    "/calendar",
    "/plans",
    "/plans/pbig",
    "/plans/pbig?changes=100",
    "/metrics",
    "/readyz",
    "/api/v1/runs",
    "/api/v1/runs?job=managers&outcome=failed",
    "/api/v1/runs/rbig",
    "/api/v1/runs/rbig/changes",
    "/api/v1/runs/rbig/calls",
    "/api/v1/changes",
    "/api/v1/missed",
    "/api/v1/licenses",
    "/api/v1/licenses/counts",
    "/api/v1/licenses/events",
    "/api/v1/jobs",
    "/api/v1/plans",
    "/api/v1/plans/pbig",
    "/api/v1/people/p0000042@example.com",
    "/api/v1/imports",
    "/api/v1/imports/diff",
    "/api/v1/notices",
];

pub(crate) fn measure(bench: &Bench, table: &mut Table) {
    let runs: u32 = setting("RUNS", 100_000);
    let directory = bench.directory("history");
    let sandbox = bench.sandbox(0, Duration::ZERO);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free");
    let configuration = configure(&sandbox, &directory, |text| quiet(&text, &format!("[web]\nlisten = \"{free}\"\n")));
    bench.runtime.block_on(sandbox.stop());
    std::fs::create_dir(directory.join("state")).expect("a directory of our own can be made");
    let path = directory.join("state/graphkeeper.db");
    bench.runtime.block_on(async {
        let history = History::open(&path, SystemClock.now()).await.expect("a fresh history opens");
        history.close().await;
    });
    database::fill(bench, &path, runs);
    table.note(format!("a history of {runs} runs, {} changes and as many moments", u64::from(runs) * 10), "");
    for question in QUESTIONS {
        let times = (0..TIMES).map(|_| answered(&configuration, question)).collect();
        table.at_most(format!("`{question}`"), milliseconds(median(times)), LIMIT_MS, ("ms", 0));
    }
    let manager = Manager::listen(&directory.join("notify"));
    let mut command = program(&configuration);
    let child =
        command.env("NOTIFY_SOCKET", directory.join("notify")).arg("daemon").spawn().expect("the program starts");
    manager.wait(|message| message.contains("READY=1"));
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client can be made");
    for page in PAGES {
        let times =
            (0..TIMES).map(|_| bench.runtime.block_on(shown(&client, &format!("http://{free}{page}")))).collect();
        table.at_most(*page, milliseconds(median(times)), LIMIT_MS, ("ms", 0));
    }
    stop(child);
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// No job ever runs by itself.
fn quiet(configuration: &str, more: &str) -> String {
    let kept = configuration.lines().filter(|line| !line.starts_with("schedule = ")).map(|line| format!("{line}\n"));
    kept.collect::<String>() + more
}

/// How long a command takes from its start to its end.
fn answered(configuration: &Path, question: &str) -> Duration {
    let mut command = program(configuration);
    command.args(question.split(' ').map(|word| word.replace('_', " ")));
    let ended = watch(command);
    assert_eq!(ended.code, Some(0), "`graphkeeper {question}` answers");
    assert!(!ended.stdout.is_empty(), "`graphkeeper {question}` has something to say");
    ended.took
}

/// How long a page takes from the request to its last byte, on a connection of its own.
async fn shown(client: &reqwest::Client, url: &str) -> Duration {
    let started = Instant::now();
    let answer = client.get(url).send().await.expect("the page is answered");
    let status = answer.status();
    let body = answer.bytes().await.expect("the page is whole");
    let took = started.elapsed();
    assert!(status.is_success() && !body.is_empty(), "{url}: {status} {}", String::from_utf8_lossy(&body));
    took
}
