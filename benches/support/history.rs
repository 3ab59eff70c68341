//! `history` over years of runs.

use std::time::Duration;

use graphkeeper::clock::{Clock as _, SystemClock};
use graphkeeper::history::History;

use super::database;
use super::process::watch;
use super::table::Table;
use super::{Bench, configure, median, program, setting};

/// How often each question is asked.
const TIMES: usize = 5;

const LIMIT_MS: f64 = 50.0;

pub(crate) fn measure(bench: &Bench, table: &mut Table) {
    let runs: u32 = setting("RUNS", 100_000);
    let directory = bench.directory("history");
    let sandbox = bench.sandbox(0, Duration::ZERO);
    let configuration = configure(&sandbox, &directory, |text| text);
    bench.runtime.block_on(sandbox.stop());
    std::fs::create_dir(directory.join("state")).expect("a directory of our own can be made");
    let path = directory.join("state/graphkeeper.db");
    bench.runtime.block_on(async {
        let history = History::open(&path, SystemClock.now()).await.expect("a fresh history opens");
        history.close().await;
    });
    database::fill(bench, &path, runs);
    let changes = u64::from(runs) * 10;
    for question in [
        "history",
        "history --job managers --outcome failed",
        "history --user p0000042@example.com",
        "history changes",
        "history changes --user p0000042@example.com",
        "history show r0000042",
        "history missed",
        "history missed --job managers",
    ] {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let mut command = program(&configuration);
            command.args(question.split(' '));
            let ended = watch(command);
            assert_eq!(ended.code, Some(0), "`graphkeeper {question}` answers");
            assert!(!ended.stdout.is_empty(), "`graphkeeper {question}` has something to say");
            times.push(ended.took);
        }
        let what = format!("`{question}` over {runs} runs, {changes} changes and moments");
        table.at_most(what, median(times).as_secs_f64() * 1000.0, LIMIT_MS, ("ms", 0));
    }
}
