//! `cargo bench --bench figures`: the program's promises in figures, measured on this machine and printed beside what is
//! to be reached. Nothing fails because it took long: whoever reads the table judges.
//!
//! What is measured is the real program, a process of its own. The vendors are the sandbox in this process, and calls are
//! counted by its journal. The figures of planning alone are printed by `cargo bench --bench plan`.
//!
//! | variable | means | usually |
//! |---|---|---|
//! | `GRAPHKEEPER_BENCH_ONLY` | some of `pass`, `daemon`, `history`, `scale`, with commas between | all |
//! | `GRAPHKEEPER_BENCH_PEOPLE` | people of the passes | 10000 |
//! | `GRAPHKEEPER_BENCH_LATENCY_MS` | what every vendor's answer takes | 50 |
//! | `GRAPHKEEPER_BENCH_SETTLE` | seconds between a daemon's pass and the look at its memory | 10 |
//! | `GRAPHKEEPER_BENCH_IDLE` | seconds over which an idle daemon's processor time is taken | 20 |
//! | `GRAPHKEEPER_BENCH_RUNS` | runs in the history; ten changes each | 100000 |

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what the bench is for")]

mod support;

use std::time::Instant;

use support::Bench;
use support::table::Table;

fn main() {
    let only = std::env::var("GRAPHKEEPER_BENCH_ONLY").unwrap_or_default();
    let wanted = |part: &str| only.is_empty() || only.split(',').any(|name| name.trim() == part);
    let began = Instant::now();
    let bench = Bench::start();
    let mut table = Table::default();
    for (part, measure) in [
        ("pass", support::pass::measure as fn(&Bench, &mut Table)),
        ("daemon", support::daemon::measure),
        ("history", support::history::measure),
        ("scale", support::scale::measure),
    ] {
        if wanted(part) {
            eprintln!("measuring: {part} …");
            measure(&bench, &mut table);
        }
    }
    println!("\n{table}");
    println!("measured in {} s", began.elapsed().as_secs());
}
