//! Every job with its next run, its last outcome, and what waits for somebody.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::domain::condition::{IdentityName, Known};
use crate::domain::gauge::Gauge;
use crate::domain::run::{JobKind, Mode, PlanId};
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::jobs::Pause;
use crate::history::outbox::ChannelState;
use crate::history::runs::{Run, RunFilter};
use crate::jobs::lock;
use crate::schedule::Schedule;
use crate::tables::runs::outcome;
use crate::tables::table::{Cell, Table};
use crate::tables::words::{local, relative};
use crate::tables::{channels, identities};

/// How many open plans of a job are named.
const PLANS: u32 = 10;

/// What runs the jobs on their schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Running,
    None,
    /// It cannot be asked.
    Unknown,
}

impl Service {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

/// All jobs, identities and channels.
#[derive(Debug)]
pub struct Overview {
    pub service: Service,
    /// By name.
    pub jobs: Vec<(Job, State)>,
    pub identities: Vec<Known>,
    /// Of notices.
    pub channels: Vec<ChannelState>,
}

impl Overview {
    /// The jobs as rows, by name.
    ///
    /// JSON: a list of `{job, kind, mode, schedule, timezone, next, paused, service, last_run, last_outcome, last_started,
    /// last_ended, last_message, plans, parked, notices, running, gauge}`. `mode` is null but for managers; `schedule` is null for a job that is run by hand
    /// only, else the text as configured; `next` is when the service will run it, if it runs then, and null when paused; `paused` is null or `{since, by}`;
    /// `service` is `running`, `none` or `unknown`, the same for all; `identities` are as of [`identities::object`]; `plans` are the
    /// ids of those that wait for approval. While the configuration has mistakes, the jobs are those that the service last
    /// scheduled: `mode` is null then, and so is the
    /// `kind` of a job that never ran; `next` does without its jitter. `parked` counts people left alone; `notices` lists the channels that would tell of
    /// the job and do not work: `{channel, since, problem, waiting}`; `running` is null or `{run, since, caller, pid, host, alive}`, where `alive` is false
    /// when the process is known to be gone; `gauge` is null but for keepalive jobs, else the subscription that the job watches as
    /// it was read last, its `state` and `days_left` counted to now: `{state, days_left, ends, moved, calls_since, why, part_number,
    /// subscription, status, gone, known_end, read_as, read_at}`, where `moved` is null or `{noticed, from, to}`.
    #[must_use]
    pub fn table(&self, zone: &TimeZone, now: Timestamp) -> Table {
        let watches = self.jobs.iter().any(|(job, _)| job.kind == Some(JobKind::Keepalive));
        let mut table = empty(watches);
        for (job, state) in &self.jobs {
            table.push(row(job, state, self.service, zone, now));
        }
        table
    }

    /// Identities that some job signs in with.
    pub fn needed(&self) -> impl Iterator<Item = &Known> {
        let names: BTreeSet<_> =
            self.jobs.iter().flat_map(|(_, state)| &state.identities).map(|known| known.name).collect();
        self.identities.iter().filter(move |known| names.contains(&known.name))
    }
}

/// What is told of a job itself.
#[derive(Debug)]
pub struct Job {
    pub name: String,
    pub kind: Option<JobKind>,
    /// The identities that it needs; `None` while the configuration has mistakes.
    pub needs: Option<Vec<IdentityName>>,
    pub mode: Option<Mode>,
    pub schedule: Option<Schedule>,
    /// By name.
    pub zone: String,
}

impl Job {
    /// The identities that it needs, as far as is known.
    #[must_use]
    pub fn identities(&self) -> Vec<IdentityName> {
        let by_kind = || self.kind.map_or(&[][..], IdentityName::needed_by).to_vec();
        self.needs.clone().unwrap_or_else(by_kind)
    }
}

/// What the history knows of a job.
#[derive(Debug, Default)]
pub struct State {
    /// When the service will fire it next, its jitter included.
    pub next: Option<Timestamp>,
    /// The newest ended run that was no plan, approval or undoing.
    pub last: Option<Run>,
    pub running: Option<Running>,
    pub paused: Option<Pause>,
    pub plans: Vec<PlanId>,
    pub parked: u64,
    /// Those that it signs in with.
    pub identities: Vec<Known>,
    /// What the last keepalive run found of the subscription.
    pub gauge: Option<Gauge>,
    /// Channels that would tell of it and do not work.
    pub broken: Vec<ChannelState>,
}

/// A run that has not ended, as far as is known.
#[derive(Debug)]
pub struct Running {
    pub run: Run,
    /// Its process holds the job; `None` where that cannot be seen.
    pub alive: Option<bool>,
}

impl State {
    /// What the history knows of a job; `directory` is where locks tell which runs live. What the configuration says beside
    /// it is left for the caller: `next`, `paused` and `identities`.
    pub async fn read(history: &History, job: &str, directory: &Path) -> Result<Self, HistoryError> {
        let name = Some(job.to_owned());
        // At most one is open, and it is the newest.
        let filter = RunFilter { job: name, limit: Some(1), ..RunFilter::default() };
        let newest = history.list_runs(&filter).await?.into_iter().next();
        let running = newest.filter(|run| run.outcome.is_none()).map(|run| {
            let alive = lock::is_held(directory, job);
            Running { run, alive }
        });
        Ok(Self {
            next: None,
            last: history.last_run_proper(job).await?,
            running,
            paused: None,
            plans: history.list_plans(Some(job), true, PLANS).await?.into_iter().map(|plan| plan.id).collect(),
            parked: history.count_parked(job).await?,
            identities: Vec::new(),
            gauge: history.last_gauge(job).await?,
            broken: Vec::new(),
        })
    }
}

/// The table without rows. Nobody who `watches` no subscription needs a column for it.
#[must_use]
fn empty(watches: bool) -> Table {
    let columns = [
        ("job", "Job"),
        ("kind", "Kind"),
        ("mode", "Mode"),
        ("schedule", "Schedule"),
        ("timezone", ""),
        ("next", "Next run"),
        ("paused", ""),
        ("service", ""),
        ("last_run", ""),
        ("last_outcome", "Last outcome"),
        ("last_started", ""),
        ("last_ended", ""),
        ("last_message", ""),
        ("identities", "Sign-in"),
        ("plans", "To approve"),
        ("parked", "Left alone"),
        ("notices", "Notices"),
        ("running", "Now"),
        ("gauge", if watches { "Subscription" } else { "" }),
    ];
    Table::new(&columns, "the configuration has no jobs")
}

#[must_use]
fn row(job: &Job, state: &State, service: Service, zone: &TimeZone, now: Timestamp) -> Vec<Cell> {
    let last = state.last.as_ref();
    let plans: Vec<&str> = state.plans.iter().map(PlanId::as_str).collect();
    vec![
        Cell::text(&job.name),
        Cell::optional(job.kind, |kind| Cell::text(kind.as_str())),
        Cell::optional(job.mode, |mode| Cell::text(mode.as_str())),
        schedule(job),
        Cell::text(&job.zone),
        next_cell(state, service, zone, now),
        Cell::optional(state.paused.as_ref(), |pause| {
            Cell::new(json!({ "since": pause.at.to_string(), "by": pause.by }), String::new())
        }),
        Cell::text(service.as_str()),
        Cell::optional(last, |run| Cell::text(run.id.as_str())),
        last.map_or_else(|| Cell::new(Value::Null, "never ran"), |run| last_outcome(run, now)),
        Cell::optional(last, |run| Cell::moment(run.started_at, zone)),
        Cell::optional(last.and_then(|run| run.ended_at), |ended| Cell::moment(ended, zone)),
        Cell::optional(last.and_then(|run| run.message.clone()), Cell::text),
        identities::cell(&state.identities),
        Cell::new(json!(plans), plans.join(", ")),
        Cell::new(state.parked, if state.parked == 0 { String::new() } else { state.parked.to_string() }),
        channels::cell(&state.broken),
        Cell::optional(state.running.as_ref(), |running| running_cell(running, now)),
        Cell::optional(state.gauge.clone(), |gauge| gauge_cell(&gauge.as_of(now))),
    ]
}

fn schedule(job: &Job) -> Cell {
    match &job.schedule {
        Some(schedule) => Cell::new(schedule.as_str(), Schedule::describe(schedule)),
        None => Cell::new(Value::Null, "by hand only"),
    }
}

fn next_cell(state: &State, service: Service, zone: &TimeZone, now: Timestamp) -> Cell {
    if let Some(pause) = &state.paused {
        return Cell::new(Value::Null, format!("paused {} by {}", relative(pause.at, now), pause.by));
    }
    let idle = if service == Service::None { "; no service is running" } else { "" };
    Cell::optional(state.next, |next| {
        Cell::new(next.to_string(), format!("{} ({}{idle})", relative(next, now), local(next, zone)))
    })
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

fn gauge_cell(gauge: &Gauge) -> Cell {
    Cell::new(json!(gauge), gauge.standing())
}
