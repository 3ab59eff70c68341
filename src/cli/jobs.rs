//! `jobs`: every configured job with its next run, its last outcome, and what waits for somebody.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::args::Global;
use crate::cli::desk::Desk;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::history::outcome;
use crate::cli::render::{self, Cell, Table, local, relative};
use crate::config::settings::{JobSettings, Work};
use crate::daemon::Entry;
use crate::domain::moment::Past;
use crate::domain::run::{Mode, PlanId};
use crate::history::History;
use crate::history::runs::{Run, RunFilter};
use crate::schedule::{CatchUp, Schedule};

/// How many open plans of a job are named.
const PLANS: u32 = 10;

/// Prints the jobs, by name.
///
/// JSON: a list of `{job, kind, mode, schedule, timezone, next, last_run, last_outcome, last_started, last_ended,
/// last_message, plans, parked, running}`. `mode` is null but for managers; `schedule` is null for a job that is run by hand
/// only, else the text as configured; `next` is when the daemon will run it; `plans` are the ids of those that wait for approval;
/// `parked` counts people left alone; `running` is null or `{run, since, caller, pid, host, alive}`, where `alive` is false
/// when the process is known to be gone.
pub(super) async fn run(global: &Global, now: Timestamp) -> Result<u8, Failure> {
    let desk = Desk::open(global, now).await?;
    let mut table = empty();
    for job in desk.settings.jobs.values() {
        let state = match &desk.history {
            Some(history) => state(history, job, &desk.settings.state_directory).await?,
            None => State::default(),
        };
        table.push(row(job, &state, desk.zone(), now));
    }
    render::print(&table, desk.format)?;
    Ok(exit::SUCCEEDED)
}

/// What the history knows of a job.
#[derive(Debug, Default)]
struct State {
    /// The last scheduled moment.
    last_moment: Option<Timestamp>,
    /// The newest run that ended.
    last: Option<Run>,
    running: Option<Running>,
    plans: Vec<PlanId>,
    parked: usize,
}

/// A run that has not ended, as far as is known.
#[derive(Debug)]
struct Running {
    run: Run,
    /// Its process holds the job; `None` where that cannot be seen.
    alive: Option<bool>,
}

async fn state(history: &History, job: &JobSettings, directory: &Path) -> Result<State, Failure> {
    let name = Some(job.name.clone());
    // At most one is open, and it is the newest.
    let filter = RunFilter { job: name, limit: Some(2), ..RunFilter::default() };
    let (open, ended): (Vec<Run>, Vec<Run>) =
        history.list_runs(&filter).await?.into_iter().partition(|run| run.outcome.is_none());
    let running = open.into_iter().next().map(|run| {
        let alive = is_locked(&directory.join("locks").join(format!("{}.lock", job.name)));
        Running { run, alive }
    });
    Ok(State {
        last_moment: history.last_moment(&job.name).await?.map(|moment| moment.planned_at),
        last: ended.into_iter().next(),
        running,
        plans: history.list_plans(Some(&job.name), true, PLANS).await?.into_iter().map(|plan| plan.id).collect(),
        parked: history.list_parked(Some(&job.name)).await?.len(),
    })
}

/// Whether somebody on this machine holds the kernel's lock on a file, by the kernel's own list: trying the lock would
/// take it from a run that begins at this very moment. `None` where the list is not to be had.
fn is_locked(file: &Path) -> Option<bool> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let inode = file.metadata().ok()?.ino();
    Some(lists_inode(&locks, inode))
}

/// Whether `/proc/locks` names a lock on this inode. Source: `man 5 proc_locks`; the sixth field is `major:minor:inode`.
fn lists_inode(locks: &str, inode: u64) -> bool {
    let inode_of = |line: &str| line.split_whitespace().nth(5)?.rsplit(':').next()?.parse::<u64>().ok();
    locks.lines().filter_map(inode_of).any(|listed| listed == inode)
}

fn empty() -> Table {
    let columns = [
        ("job", "Job"),
        ("kind", "Kind"),
        ("mode", "Mode"),
        ("schedule", "Schedule"),
        ("timezone", ""),
        ("next", "Next run"),
        ("last_run", ""),
        ("last_outcome", "Last outcome"),
        ("last_started", ""),
        ("last_ended", ""),
        ("last_message", ""),
        ("plans", "To approve"),
        ("parked", "Left alone"),
        ("running", "Now"),
    ];
    Table::new(&columns, "the configuration has no jobs")
}

fn row(job: &JobSettings, state: &State, zone: &TimeZone, now: Timestamp) -> Vec<Cell> {
    let last = state.last.as_ref();
    let plans: Vec<&str> = state.plans.iter().map(PlanId::as_str).collect();
    vec![
        Cell::text(&job.name),
        Cell::text(job.kind().as_str()),
        Cell::optional(mode(job), |mode| Cell::text(mode.as_str())),
        schedule(job),
        Cell::text(&job.zone.name),
        Cell::optional(next(job, state.last_moment, now), |next| {
            Cell::new(next.to_string(), format!("{} ({})", relative(next, now), local(next, zone)))
        }),
        Cell::optional(last, |run| Cell::text(run.id.as_str())),
        last.map_or_else(|| Cell::new(Value::Null, "never ran"), |run| last_outcome(run, now)),
        Cell::optional(last, |run| Cell::moment(run.started_at, zone)),
        Cell::optional(last.and_then(|run| run.ended_at), |ended| Cell::moment(ended, zone)),
        Cell::optional(last.and_then(|run| run.message.clone()), Cell::text),
        Cell::new(json!(plans), plans.join(", ")),
        Cell::new(state.parked, if state.parked == 0 { String::new() } else { state.parked.to_string() }),
        Cell::optional(state.running.as_ref(), |running| running_cell(running, now)),
    ]
}

const fn mode(job: &JobSettings) -> Option<Mode> {
    match &job.work {
        Work::Managers(managers) => Some(managers.mode),
        Work::Licenses | Work::Keepalive(_) => None,
    }
}

fn schedule(job: &JobSettings) -> Cell {
    match &job.schedule {
        Some(schedule) => Cell::new(schedule.as_str(), Schedule::describe(schedule)),
        None => Cell::new(Value::Null, "by hand only"),
    }
}

/// When the daemon will fire the job next, its jitter included.
fn next(job: &JobSettings, last: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let schedule = job.schedule.clone()?;
    let (name, zone) = (job.name.clone(), job.zone.tz.clone());
    let past = Past { last, ..Past::none(now) };
    let (catch_up, catch_up_within, paused) = (CatchUp::Once, None, None);
    Entry { job: name, schedule, zone, jitter: job.jitter, catch_up, catch_up_within, past, paused }.next_due(now)
}

fn last_outcome(run: &Run, now: Timestamp) -> Cell {
    let word = outcome(run);
    Cell::new(word, format!("{word}, {}", relative(run.ended_at.unwrap_or(run.started_at), now)))
}

fn running_cell(running: &Running, now: Timestamp) -> Cell {
    let run = &running.run;
    let value = json!({
        "run": run.id,
        "since": run.started_at.to_string(),
        "caller": run.caller,
        "pid": run.pid,
        "host": run.host,
        "alive": running.alive,
    });
    let (id, began) = (&run.id, relative(run.started_at, now));
    let shown = match running.alive {
        Some(false) => format!("run {id} was cut off"),
        Some(true) | None => format!("run {id}, begun {began} by {} (process {})", run.caller, run.pid),
    };
    Cell::new(value, shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::config;
    use crate::config::settings::Settings;
    use crate::domain::decision::Reason;
    use crate::domain::run::Trigger;
    use crate::history::testing::{Place, a_run, at};

    const CONFIGURATION: &str = r#"
timezone = "Europe/Oslo"
state = { directory = "/var/lib/graphkeeper" }
[okta]
org_url = "https://example.okta.com"
auth = { method = "api-token", token = { env = "OKTA" } }
[entra]
tenant = "contoso.onmicrosoft.com"
app = { client_id = "a", client_secret = { env = "ENTRA" } }
[jobs.managers]
kind = "managers"
schedule = "0 2 * * *"
manager = [{ attribute = "managerId", is = "login" }]
[jobs.licenses]
kind = "licenses"
"#;

    fn settings() -> Settings {
        config::load_text(Path::new("graphkeeper.toml"), CONFIGURATION, &[]).unwrap()
    }

    #[tokio::test]
    async fn a_job_tells_its_next_run_its_last_and_what_waits() {
        let place = Place::new().await;
        let history = &place.history;
        let run = samples::managers_run(history, "aaaa0001", 0).await;
        history.store_plan(&samples::plan("paaaa1111", &run, 0, 1)).await.unwrap();
        history.park(&[samples::parked(1, Reason::Blocked)]).await.unwrap();
        history.open_run(&a_run("bbbb0002", Trigger::Manual, 600)).await.unwrap();
        let settings = settings();
        let mut table = empty();
        for job in settings.jobs.values() {
            let state = state(history, job, Path::new("/nowhere")).await.unwrap();
            table.push(row(job, &state, &settings.zone.tz, at(660)));
        }
        insta::assert_snapshot!(samples::written(&table, OutputFormat::Table), @r"
        Job       Kind      Mode  Schedule      Next run                               Last outcome             To approve  Left alone  Now
        licenses  licenses        by hand only                                         never ran
        managers  managers  plan  At 02:00      in 9 hours (2026-09-22 02:00:00 CEST)  partial, 10 minutes ago  paaaa1111   1           run bbbb0002, begun 60 seconds ago by daemon (process 7)
        ");
        let json = table.to_json();
        assert_eq!((&json[0]["next"], &json[0]["last_outcome"]), (&Value::Null, &Value::Null));
        assert_eq!((&json[1]["plans"], &json[1]["parked"]), (&json!(["paaaa1111"]), &json!(1)));
        assert_eq!((&json[1]["running"]["run"], &json[1]["last_run"]), (&json!("bbbb0002"), &json!("aaaa0001")));
        assert_eq!(json[1]["schedule"], "0 2 * * *");
    }

    #[test]
    fn a_lock_is_found_in_the_kernels_list() {
        let locks =
            "1: POSIX  ADVISORY  READ 5433 08:01:7864448 128 128\n2: FLOCK  ADVISORY  WRITE 2001 08:01:7864554 0 EOF\n";
        assert!(lists_inode(locks, 7_864_554));
        assert!(!lists_inode(locks, 786_455));
        assert!(!lists_inode("", 1));
    }

    #[test]
    fn a_run_that_was_cut_off_is_not_said_to_go_on() {
        let runs = [(Some(true), "begun"), (None, "begun"), (Some(false), "cut off")];
        for (alive, said) in runs {
            let new = a_run("bbbb0002", Trigger::Manual, 0);
            let run = samples::open(&new);
            let cell = running_cell(&Running { run, alive }, at(60));
            let mut table = Table::new(&[("now", "Now")], "");
            table.push(vec![cell]);
            assert!(table.to_text(None).contains(said), "{alive:?}");
        }
    }
}
