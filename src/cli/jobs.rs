//! `jobs`: every configured job with its next run, its last outcome, and what waits for somebody.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::app::entries::{Remembered, Standing, When, foreseen, remembered};
use crate::cli::args::Global;
use crate::cli::channels::{broken, broken_cell, broken_note};
use crate::cli::daemon::entry;
use crate::cli::desk::Desk;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::history::outcome;
use crate::cli::identities;
use crate::cli::render;
use crate::cli::service::Service;
use crate::config::settings::{JobSettings, Settings, Work};
use crate::daemon::Entry;
use crate::domain::condition::{IdentityName, Known};
use crate::domain::gauge::Gauge;
use crate::domain::run::{JobKind, Mode, PlanId};
use crate::history::History;
use crate::history::jobs::Pause;
use crate::history::outbox::ChannelState;
use crate::history::runs::{Run, RunFilter};
use crate::jobs::lock;
use crate::schedule::{CatchUp, Schedule};
use crate::tables::table::{Cell, Table};
use crate::tables::words::{local, relative};

/// How many open plans of a job are named.
const PLANS: u32 = 10;

/// Prints the jobs, by name.
///
/// JSON: a list of `{job, kind, mode, schedule, timezone, next, paused, service, last_run, last_outcome, last_started,
/// last_ended, last_message, plans, parked, notices, running, gauge}`. `mode` is null but for managers; `schedule` is null for a job that is run by hand
/// only, else the text as configured; `next` is when the service will run it, if it runs then, and null when paused; `paused` is null or `{since, by}`;
/// `service` is `running`, `none` or `unknown`, the same for all; `identities` are as of [`identities::cell`]; `plans` are the
/// ids of those that wait for approval. While the configuration has mistakes, the jobs are those that the service last
/// scheduled: `mode` is null then, and so is the
/// `kind` of a job that never ran; `next` does without its jitter. `parked` counts people left alone; `notices` lists the channels that would tell of
/// the job and do not work: `{channel, since, problem, waiting}`; `running` is null or `{run, since, caller, pid, host, alive}`, where `alive` is false
/// when the process is known to be gone; `gauge` is null but for keepalive jobs, else the subscription that the job watches as
/// it was read last, its `state` and `days_left` counted to now: `{state, days_left, ends, moved, calls_since, why, part_number,
/// subscription, status, gone, known_end, read_as, read_at}`, where `moved` is null or `{noticed, from, to}`.
pub(super) async fn run(global: &Global, now: Timestamp) -> Result<u8, Failure> {
    let desk = Desk::open(global, now).await?;
    let service = Service::find(&desk.outline).await;
    for note in service.notes(desk.zone()) {
        render::say(&note);
    }
    let known = match &desk.history {
        Some(history) => history.identities().await?,
        None => Vec::new(),
    };
    let all = identities::as_of(desk.settings.as_ref(), known, now);
    let mut pauses = match &desk.history {
        Some(history) => history.pauses().await?,
        None => BTreeMap::new(),
    };
    let (jobs, mut nexts): (Vec<Shown>, _) = match (&desk.settings, &desk.history) {
        (Ok(settings), history) => (
            settings.jobs.values().map(Shown::of).collect(),
            next_of_each(history.as_ref(), settings, &service, now).await?,
        ),
        (Err(_), Some(history)) => shown_by_history(history, now).await?,
        (Err(_), None) => (Vec::new(), BTreeMap::new()),
    };
    let channels = match &desk.history {
        Some(history) => history.channels().await?,
        None => Vec::new(),
    };
    for note in channels.iter().filter_map(|channel| broken_note(channel, desk.zone())) {
        render::say(&note);
    }
    let watches = jobs.iter().any(|job| job.kind == Some(JobKind::Keepalive));
    let (mut table, mut needed) = (empty(watches), BTreeSet::new());
    for mut job in jobs {
        let mut state = match &desk.history {
            Some(history) => state(history, &job.name, &desk.outline.state_directory).await?,
            None => State::default(),
        };
        state.next = nexts.remove(&job.name);
        state.paused = pauses.remove(&job.name);
        state.broken = broken(&channels, &job.name, desk.settings.as_ref().ok());
        job.kind = job.kind.or(state.last.as_ref().map(|run| run.kind));
        state.identities = identities::named(&job.identities(), &all);
        needed.extend(state.identities.iter().map(|known| known.name));
        table.push(row(&job, &state, &service, desk.zone(), now));
    }
    for note in
        all.iter().filter(|known| needed.contains(&known.name)).filter_map(|known| identities::trouble(known, now))
    {
        render::say(&note);
    }
    render::print(&table, desk.format)?;
    Ok(exit::SUCCEEDED)
}

/// What is told of a job itself.
#[derive(Debug)]
struct Shown {
    name: String,
    kind: Option<JobKind>,
    /// The identities that it needs; `None` while the configuration has mistakes.
    needs: Option<Vec<IdentityName>>,
    mode: Option<Mode>,
    schedule: Option<Schedule>,
    /// By name.
    zone: String,
}

impl Shown {
    fn of(job: &JobSettings) -> Self {
        let (name, zone) = (job.name.clone(), job.zone.name.clone());
        let needs = Some(job.needs().names());
        Self { name, kind: Some(job.kind()), needs, mode: mode(job), schedule: job.schedule.clone(), zone }
    }

    /// The identities that it needs, as far as is known.
    fn identities(&self) -> Vec<IdentityName> {
        let by_kind = || self.kind.map_or(&[][..], IdentityName::needed_by).to_vec();
        self.needs.clone().unwrap_or_else(by_kind)
    }
}

/// The jobs that the service last scheduled, and when each comes next.
async fn shown_by_history(
    history: &History,
    now: Timestamp,
) -> Result<(Vec<Shown>, BTreeMap<String, Timestamp>), Failure> {
    let (mut jobs, mut nexts) = (Vec::new(), BTreeMap::new());
    for Remembered { job, schedule, zone, past } in remembered(history, now).await? {
        let name = zone.iana_name().unwrap_or("UTC").to_owned();
        jobs.push(Shown {
            name: job.clone(),
            kind: None,
            needs: None,
            mode: None,
            schedule: Some(schedule.clone()),
            zone: name,
        });
        let entry = Entry {
            job: job.clone(),
            schedule,
            zone,
            jitter: Duration::ZERO,
            catch_up: CatchUp::Once,
            catch_up_within: None,
            past,
            paused: None,
        };
        nexts.extend(entry.next_due(now).map(|next| (job, next)));
    }
    Ok((jobs, nexts))
}

/// What the history knows of a job.
#[derive(Debug, Default)]
struct State {
    /// When the service will fire it next, its jitter included.
    next: Option<Timestamp>,
    /// The newest ended run that was no plan, approval or undoing.
    last: Option<Run>,
    running: Option<Running>,
    paused: Option<Pause>,
    plans: Vec<PlanId>,
    parked: usize,
    /// Those that it signs in with.
    identities: Vec<Known>,
    /// What the last keepalive run found of the subscription.
    gauge: Option<Gauge>,
    /// Channels that would tell of it and do not work.
    broken: Vec<ChannelState>,
}

/// A run that has not ended, as far as is known.
#[derive(Debug)]
struct Running {
    run: Run,
    /// Its process holds the job; `None` where that cannot be seen.
    alive: Option<bool>,
}

async fn state(history: &History, job: &str, directory: &Path) -> Result<State, Failure> {
    let name = Some(job.to_owned());
    // At most one is open, and it is the newest.
    let filter = RunFilter { job: name, limit: Some(1), ..RunFilter::default() };
    let newest = history.list_runs(&filter).await?.into_iter().next();
    let running = newest.filter(|run| run.outcome.is_none()).map(|run| {
        let alive = lock::is_held(directory, job);
        Running { run, alive }
    });
    Ok(State {
        next: None,
        last: history.last_run_proper(job).await?,
        running,
        paused: None,
        plans: history.list_plans(Some(job), true, PLANS).await?.into_iter().map(|plan| plan.id).collect(),
        parked: history.list_parked(Some(job)).await?.len(),
        identities: Vec::new(),
        gauge: history.last_gauge(job).await?,
        broken: Vec::new(),
    })
}

/// The table without rows. Nobody who `watches` no subscription needs a column for it.
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

fn row(job: &Shown, state: &State, service: &Service, zone: &TimeZone, now: Timestamp) -> Vec<Cell> {
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
        broken_cell(&state.broken),
        Cell::optional(state.running.as_ref(), |running| running_cell(running, now)),
        Cell::optional(state.gauge.clone(), |gauge| gauge_cell(&gauge.as_of(now))),
    ]
}

const fn mode(job: &JobSettings) -> Option<Mode> {
    match &job.work {
        Work::Managers(managers) => Some(managers.mode),
        Work::Licenses(_) | Work::Keepalive(_) | Work::Directory(_) | Work::Request(_) => None,
    }
}

fn schedule(job: &Shown) -> Cell {
    match &job.schedule {
        Some(schedule) => Cell::new(schedule.as_str(), Schedule::describe(schedule)),
        None => Cell::new(Value::Null, "by hand only"),
    }
}

fn next_cell(state: &State, service: &Service, zone: &TimeZone, now: Timestamp) -> Cell {
    if let Some(pause) = &state.paused {
        return Cell::new(Value::Null, format!("paused {} by {}", relative(pause.at, now), pause.by));
    }
    let idle = if matches!(service, Service::None) { "; no service is running" } else { "" };
    Cell::optional(state.next, |next| {
        Cell::new(next.to_string(), format!("{} ({}{idle})", relative(next, now), local(next, zone)))
    })
}

/// When the service will fire each job next, by what it would find if it took them up now.
async fn next_of_each(
    history: Option<&History>,
    settings: &Settings,
    service: &Service,
    now: Timestamp,
) -> Result<BTreeMap<String, Timestamp>, Failure> {
    let jobs = settings.jobs.values();
    let standings = match history {
        Some(history) => {
            let when = if matches!(service, Service::None) { When::Start } else { When::Reload };
            foreseen(history, jobs, when, now).await?
        }
        None => jobs.filter_map(|job| Standing::fresh(job, now)).collect(),
    };
    let next = |entry: Entry| entry.next_due(now).map(|next| (entry.job, next));
    Ok(standings.into_iter().map(entry).filter_map(next).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::entries::standings;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::config;
    use crate::control::wire::{About, Refused};
    use crate::domain::condition::{Condition, State as Health};
    use crate::domain::decision::Reason;
    use crate::domain::moment::{Disposition, Moment};
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
        let app = (IdentityName::App, "contoso.onmicrosoft.com a");
        let well = |known| Known { state: Health::plain(Condition::Ok), signed_in_at: Some(at(0)), ..known };
        history.note_identity(app, at(0), None, well).await.unwrap();
        let settings = settings();
        let mut nexts = next_of_each(Some(history), &settings, &Service::None, at(660)).await.unwrap();
        let mut table = empty(false);
        for job in settings.jobs.values() {
            let mut state = state(history, &job.name, Path::new("/nowhere")).await.unwrap();
            state.next = nexts.remove(&job.name);
            let all = identities::as_of(Ok(&settings), history.identities().await.unwrap(), at(660));
            state.identities = identities::named(&Shown::of(job).identities(), &all);
            table.push(row(&Shown::of(job), &state, &Service::None, &settings.zone.tz, at(660)));
        }
        insta::assert_snapshot!(samples::written(&table, OutputFormat::Table), @r"
        Job       Kind      Mode  Schedule      Next run                                                      Last outcome             Sign-in       To approve  Left alone  Notices  Now
        licenses  licenses        by hand only                                                                never ran                ok
        managers  managers  plan  At 02:00      in 9 hours (2026-09-22 02:00:00 CEST; no service is running)  partial, 10 minutes ago  okta unknown  paaaa1111   1                    run bbbb0002, begun 60 seconds ago by daemon (process 7)
        ");
        let json = table.to_json();
        assert_eq!((&json[0]["next"], &json[0]["last_outcome"]), (&Value::Null, &Value::Null));
        assert_eq!((&json[1]["plans"], &json[1]["parked"]), (&json!(["paaaa1111"]), &json!(1)));
        assert_eq!((&json[1]["running"]["run"], &json[1]["last_run"]), (&json!("bbbb0002"), &json!("aaaa0001")));
        assert_eq!(json[1]["schedule"], "0 2 * * *");
    }

    #[tokio::test]
    async fn a_moment_that_has_a_row_is_not_foretold_again() {
        let place = Place::new().await;
        let mut settings = settings();
        let job = settings.jobs.get_mut("managers").unwrap();
        job.schedule = Some("every 1 hour".parse().unwrap());
        standings(&place.history, [&*job], at(0)).await.unwrap();
        let row = |second| Moment {
            job: "managers".to_owned(),
            planned_at: at(second),
            disposition: Disposition::Overlap,
            run: None,
            reason: None,
        };
        // The clock was set back: the next one lies ahead, and has come already.
        place.history.record_moments(&[row(0), row(3600)], at(0)).await.unwrap();
        let nexts = next_of_each(Some(&place.history), &settings, &Service::None, at(60)).await.unwrap();
        assert_eq!(nexts, BTreeMap::from([("managers".to_owned(), at(7200))]));
        let stored = place.history.scheduled("managers").await.unwrap().unwrap();
        settings.jobs.get_mut("managers").unwrap().schedule = Some("every 2 hours".parse().unwrap());
        next_of_each(Some(&place.history), &settings, &Service::None, at(9000)).await.unwrap();
        assert_eq!(place.history.scheduled("managers").await.unwrap(), Some(stored), "nothing is stored");
    }

    #[tokio::test]
    async fn without_a_configuration_the_jobs_that_were_last_scheduled_are_told() {
        let place = Place::new().await;
        let settings = settings();
        standings(&place.history, settings.jobs.values(), at(0)).await.unwrap();
        let (jobs, nexts) = shown_by_history(&place.history, at(60)).await.unwrap();
        assert_eq!(jobs.len(), 1, "one is run by hand only");
        let known = next_of_each(Some(&place.history), &settings, &Service::None, at(60)).await.unwrap();
        assert_eq!(nexts, known);
        let (shown, whole) = (&jobs[0], Shown::of(&settings.jobs["managers"]));
        assert_eq!((&shown.name, &shown.schedule, &shown.zone), (&whole.name, &whole.schedule, &whole.zone));
        assert_eq!((shown.kind, shown.mode), (None, None), "nobody knows");
    }

    #[test]
    fn a_paused_job_has_no_next_run_and_a_refused_file_is_told() {
        let settings = settings();
        let paused = Some(Pause { at: at(0), by: "ana".to_owned() });
        let refused = Refused { since: at(0), problem: "graphkeeper.toml:3:1: jobs: x".to_owned() };
        let service = Service::Running(About {
            pid: 7,
            state_directory: "/var/lib/graphkeeper".into(),
            unwritten: 0,
            refused: Some(refused),
            concerns: vec!["the page is not served: x".to_owned()],
        });
        let state = State { paused, ..State::default() };
        let mut table = empty(false);
        table.push(row(&Shown::of(&settings.jobs["managers"]), &state, &service, &TimeZone::UTC, at(120)));
        let (text, json) = (render::to_text(&table, None), table.to_json());
        assert!(text.contains("paused 2 minutes ago by ana"), "{text}");
        assert_eq!((&json[0]["next"], &json[0]["service"]), (&Value::Null, &json!("running")));
        assert_eq!(json[0]["paused"], json!({ "since": at(0).to_string(), "by": "ana" }));
        let notes = service.notes(&TimeZone::UTC);
        assert_eq!(notes[1], "the page is not served: x");
        insta::assert_snapshot!(notes[0], @"the service goes on with the configuration that it had before 2026-09-21 14:13:20 UTC; the file as it is now is not used: graphkeeper.toml:3:1: jobs: x");
        assert_eq!(Service::None.notes(&TimeZone::UTC), [""; 0]);
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
            assert!(render::to_text(&table, None).contains(said), "{alive:?}");
        }
    }
}
