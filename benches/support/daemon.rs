//! The service at rest: how soon it is ready, and what it costs while nothing happens.

use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use graphkeeper::clock::{Clock as _, SystemClock};
use jiff::tz::TimeZone;

use super::manager::Manager;
use super::process::{memory, processor_time, stop};
use super::table::Table;
use super::{Bench, configure, median, program, setting};

/// A pass over so many people comes before the look at the memory.
const PEOPLE: u32 = 10_000;

/// How often the service is started for the median.
const STARTS: usize = 5;

/// How long from the start to the moment that is scheduled: time enough to see the service before its first run.
const UNTIL_RUN: i64 = 8;

pub(crate) fn measure(bench: &Bench, table: &mut Table) {
    let sandbox = bench.sandbox(PEOPLE, Duration::ZERO);
    let directory = bench.directory("daemon");
    let socket = directory.join("notify");
    let manager = Manager::listen(&socket);
    let soon = SystemClock.now() + jiff::SignedDuration::from_secs(UNTIL_RUN);
    let moment = soon.to_zoned(TimeZone::UTC).strftime("%S %M %H %d %m *").to_string();
    let configuration = configure(&sandbox, &directory, |text| schedule(&text, &moment));
    let start = || {
        let started = Instant::now();
        let mut command = program(&configuration);
        let child = command.env("NOTIFY_SOCKET", &socket).arg("daemon").spawn().expect("the program starts");
        manager.wait(|message| message.contains("READY=1"));
        (child, started.elapsed())
    };

    let (child, fresh) = start();
    at_rest(table, &manager, &child);
    stop(child);
    let mut again = Vec::new();
    for _ in 0..STARTS {
        let (child, took) = start();
        again.push(took);
        stop(child);
    }
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    table.at_most("start to ready, history still to be made", ms(fresh), 200.0, ("ms", 0));
    table.at_most(format!("start to ready, median of {STARTS}"), ms(median(again)), 200.0, ("ms", 0));
    bench.runtime.block_on(sandbox.stop());
}

/// The managers job once, at `moment`; the other jobs never.
fn schedule(configuration: &str, moment: &str) -> String {
    let mut first = true;
    let line = |line: &str| match line.starts_with("schedule = ") {
        true if std::mem::take(&mut first) => format!("schedule = \"{moment}\"\n"),
        true => String::new(),
        false => format!("{line}\n"),
    };
    configuration.lines().map(line).collect()
}

fn at_rest(table: &mut Table, manager: &Manager, child: &Child) {
    let resident = || {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let bytes = memory(child, "VmRSS:").expect("the service is alive") as f64;
        bytes / 1e6
    };
    sleep(Duration::from_secs(2));
    table.at_most("idle daemon before its first run: resident", resident(), 25.0, ("MB", 1));
    manager.wait(|message| message.contains("STATUS=running"));
    manager.wait(|message| message.contains("STATUS=next run"));
    let settle = setting("SETTLE", 10);
    sleep(Duration::from_secs(settle));
    let what = format!("idle daemon {settle} s after a pass over {PEOPLE} people: resident");
    table.at_most(what, resident(), 45.0, ("MB", 1));
    let idle = Duration::from_secs(setting("IDLE", 20));
    let (before, since) = (processor_time(child), Instant::now());
    sleep(idle);
    let share = processor_time(child).saturating_sub(before).as_secs_f64() / since.elapsed().as_secs_f64();
    let what = format!("idle daemon over {} s: share of a core", idle.as_secs());
    table.at_most(what, share * 100.0, 0.1, ("%", 3));
}
