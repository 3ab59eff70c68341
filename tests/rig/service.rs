//! The unit: readiness, stop, restart, watchdog, reboot, walls.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::machine::{EVERY_SECOND, Machine, YEARLY};

/// The highest `systemd-analyze security` that we accept, in tenths.
const EXPOSURE: u32 = 15;

#[test]
fn the_template_is_the_unit_under_another_name() {
    let settings = |text: &str| -> Vec<String> {
        let plain = text.replace(" --config /etc/graphkeeper/%i.toml", "").replace("-%i", "").replace(" of %i", "");
        plain.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
    };
    let unit = include_str!("../../systemd/graphkeeper.service");
    let template = include_str!("../../systemd/graphkeeper@.service");
    assert_eq!(settings(unit), settings(template));
    assert_eq!(template.matches("%i").count(), 4, "description, configuration, state and runtime directory");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn systemd_has_no_complaint_about_the_units_and_they_expose_little() {
    let machine = Machine::boot("verify").await;
    for unit in ["graphkeeper.service", "graphkeeper@north.service"] {
        let verify = machine.sh(&format!("systemd-analyze verify --man=no {unit}")).exits(0);
        assert_eq!((verify.stdout.as_str(), verify.stderr.as_str()), ("", ""), "{unit}");
        let security = machine.sh(&format!("systemd-analyze security --no-pager {unit}")).exits(0).stdout;
        let verdict = security.lines().last().unwrap().trim().to_owned();
        let (_, score) = verdict.split_once(": ").unwrap();
        let (whole, tenths) = score.split_whitespace().next().unwrap().split_once('.').unwrap();
        let score = whole.parse::<u32>().unwrap() * 10 + tenths.parse::<u32>().unwrap();
        assert!(score <= EXPOSURE, "{security}");
        eprintln!("{verdict}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn it_is_ready_when_it_serves_says_what_comes_next_and_leaves_in_time() {
    let machine = Machine::serving("life", YEARLY).await;
    assert_eq!(machine.property("graphkeeper", "ActiveState"), "active");
    assert_eq!(machine.property("graphkeeper", "WatchdogUSec"), "1min");
    let said = machine.property("graphkeeper", "StatusText");
    assert!(said.starts_with("next run: licenses at ") && said.ends_with("-01-01 00:00:00 UTC"), "{said}");
    let modes = machine.sh("stat --format='%a %U:%G' /run/graphkeeper /var/lib/graphkeeper").exits(0).stdout;
    assert_eq!(modes, "750 graphkeeper:graphkeeper\n".repeat(2));

    let asked = Instant::now();
    machine.sh("systemctl stop graphkeeper").exits(0);
    assert!(asked.elapsed() < Duration::from_secs(10), "gone after {:?}", asked.elapsed());
    assert_eq!(machine.property("graphkeeper", "Result"), "success");
    machine.sh("test ! -e /run/graphkeeper").exits(0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn killed_it_comes_back_and_its_history_is_whole() {
    let machine = Machine::serving("killed", EVERY_SECOND).await;
    let mut seen = machine.until_runs(2);
    for restarts in 1..=2 {
        machine.sh("systemctl kill --kill-whom=main --signal=KILL graphkeeper").exits(0);
        machine.until_property("graphkeeper", "NRestarts", &restarts.to_string());
        machine.until_property("graphkeeper", "ActiveState", "active");
        let runs = machine.until_runs(seen.len() + 2);
        assert!(seen.iter().all(|run| runs.contains(run)), "{seen:?} are not all in {runs:?}");
        seen = runs;
    }
    machine.sh("systemctl stop graphkeeper").exits(0);
    whole(&machine).await;
}

/// Checks the history file itself.
async fn whole(machine: &Machine) {
    use sqlx::Connection as _;
    let file = machine.pull("/var/lib/graphkeeper/graphkeeper.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = sqlx::sqlite::SqliteConnection::connect_with(&options).await.unwrap();
    let verdict: String = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection).await.unwrap();
    assert_eq!(verdict, "ok");
    let open: i64 =
        sqlx::query_scalar("select count(*) from run where outcome is null").fetch_one(&mut connection).await.unwrap();
    assert_eq!(open, 0, "every run has its end");
}

/// The watchdog's patience as shipped is a minute; the tests have less.
const IMPATIENT: &str = "[Service]\nWatchdogSec=2s\nRestartSec=1s\n";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn a_process_that_stands_still_is_ended_by_the_watchdog_and_started_again() {
    let machine = Machine::boot("stopped").await;
    machine.drop_in("graphkeeper", "impatient", IMPATIENT);
    serve(&machine, EVERY_SECOND);
    let seen = machine.until_runs(1);
    machine.sh("systemctl kill --kill-whom=main --signal=STOP graphkeeper").exits(0);
    came_back(&machine, &seen);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn a_scheduler_that_hangs_beside_a_living_main_thread_is_ended_too() {
    let machine = Machine::boot("hung").await;
    machine.drop_in("graphkeeper", "impatient", IMPATIENT);
    serve(&machine, EVERY_SECOND);
    let seen = machine.until_runs(1);
    let mut freezer = freeze_workers(&machine);
    machine.until("the watchdog's word", || told(&machine).contains("Watchdog timeout").then_some(()));
    freezer.kill().unwrap(); // a thread that is traced is not gone before its tracer has heard of its end
    freezer.wait().unwrap();
    came_back(&machine, &seen);
}

fn serve(machine: &Machine, jobs: &str) {
    machine.configure(crate::machine::CONFIG, &machine.configuration("graphkeeper", jobs));
    machine.encrypt_credentials("graphkeeper");
    machine.sh("systemctl start graphkeeper").exits(0);
}

/// What the journal has of the service.
fn told(machine: &Machine) -> String {
    machine.sh("journalctl --quiet --no-pager -u graphkeeper").exits(0).stdout
}

/// The watchdog did it, and the jobs go on.
fn came_back(machine: &Machine, seen: &[String]) {
    machine.until_property("graphkeeper", "NRestarts", "1");
    machine.until_property("graphkeeper", "ActiveState", "active");
    assert!(told(machine).contains("Watchdog timeout"), "{}", told(machine));
    machine.until_runs(seen.len() + 1);
}

/// Stops every thread of the service but its main one, from outside, for as long as the returned process lives.
fn freeze_workers(machine: &Machine) -> std::process::Child {
    const FREEZE: &str = r#"
import ctypes, os, signal, sys
init, inner = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
space = os.readlink(f"/proc/{init}/ns/pid")
def is_service(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            ids = next(line.split()[1:] for line in status if line.startswith("NSpid:"))
        return ids[-1] == inner and os.readlink(f"/proc/{pid}/ns/pid") == space
    except OSError:
        return False
(service,) = [pid for pid in os.listdir("/proc") if pid.isdigit() and is_service(pid)]
SEIZE, INTERRUPT = 0x4206, 0x4207
for thread in os.listdir(f"/proc/{service}/task"):
    if thread != service:
        for request in (SEIZE, INTERRUPT):
            if libc.ptrace(request, int(thread), None, None) != 0:
                sys.exit(os.strerror(ctypes.get_errno()))
print("frozen", flush=True)
signal.pause()
"#;
    let status = machine.rig(&["status"]).exits(0).stdout;
    let init = status.split_whitespace().find_map(|word| word.strip_prefix("pid1=")).unwrap();
    let inner = machine.property("graphkeeper", "MainPID");
    let mut command = Command::new("sh");
    command.args(["-c", "if [ $(id -u) = 0 ]; then exec python3 - $0 $1; else exec sudo -n python3 - $0 $1; fi"]);
    let mut python = command.args([init, &inner]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(FREEZE.as_bytes()).unwrap();
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(python.stdout.take().unwrap()), &mut said).unwrap();
    assert_eq!(said, "frozen\n");
    python
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a systemd of its own; .ci/run runs it"]
async fn enabled_it_serves_again_after_a_reboot() {
    let machine = Machine::serving("reboot", EVERY_SECOND).await;
    machine.sh("systemctl enable graphkeeper").exits(0);
    let seen = machine.until_runs(1);
    machine.reboot();
    machine.until_property("graphkeeper", "ActiveState", "active");
    let runs = machine.until_runs(seen.len() + 1);
    assert!(seen.iter().all(|run| runs.contains(run)), "{seen:?} are not all in {runs:?}");
}
