//! A process as the kernel sees it: memory and processor time, from `/proc`.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::PATIENCE;

/// How often a running process is looked at. Its peak is kept by the kernel; only the last moment could be missed.
const LOOK: Duration = Duration::from_millis(1);

/// What a process came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) took: Duration,
    pub(crate) code: Option<i32>,
    /// The most resident memory it ever had, in bytes.
    pub(crate) peak: u64,
    /// What it wrote to standard output.
    pub(crate) stdout: Vec<u8>,
}

/// Runs a process to its end and watches its memory.
pub(crate) fn watch(mut command: Command) -> Ended {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut pipe = child.stdout.take().expect("standard output was asked for");
    let reader = std::thread::spawn(move || {
        let mut stdout = Vec::new();
        pipe.read_to_end(&mut stdout).map(|_| stdout).unwrap_or_default()
    });
    let mut peak = 0;
    let (code, took) = loop {
        peak = memory(&child, "VmHWM:").unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break (status.code(), started.elapsed());
        }
        assert!(started.elapsed() < PATIENCE, "the program does not end");
        sleep(LOOK);
    };
    Ended { took, code, peak, stdout: reader.join().unwrap_or_default() }
}

/// Memory of a process in bytes: resident now (`VmRSS:`) or at most (`VmHWM:`). `None` once it has ended.
pub(crate) fn memory(child: &Child, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Processor time of all threads of a process that are alive, in nanoseconds. Those of `/proc/PID/stat` are too coarse for
/// a process that hardly runs.
pub(crate) fn processor_time(child: &Child) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).expect("the process is alive");
    let of_task = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.flatten().filter_map(|task| of_task(task.path())).sum())
}

/// Asks a process to leave, and waits until it has.
pub(crate) fn stop(mut child: Child) {
    let asked = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
    assert!(asked.is_ok_and(|status| status.success()), "the process can be asked to leave");
    let since = Instant::now();
    while child.try_wait().expect("a child can be waited for").is_none() {
        assert!(since.elapsed() < Duration::from_secs(30), "the process does not leave");
        sleep(LOOK);
    }
}
