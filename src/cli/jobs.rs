//! `jobs`: every configured job with its next run, its last outcome, and what waits for somebody.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::app::entries::{Remembered, Standing, When, foreseen, remembered};
use crate::cli::args::Global;
use crate::cli::channels::broken;
use crate::cli::daemon::entry;
use crate::cli::desk::Desk;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::identities::as_of;
use crate::cli::render;
use crate::cli::service;
use crate::config::problem::Problems;
use crate::config::settings::{JobSettings, Settings, Work};
use crate::daemon::Entry;
use crate::domain::run::Mode;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::schedule::CatchUp;
use crate::tables::jobs::{Job, Overview, Service, State};
use crate::tables::{channels, identities};

/// Prints the jobs, by name, as [`Overview::table`] describes them.
pub(super) async fn run(global: &Global, now: Timestamp) -> Result<u8, Failure> {
    let desk = Desk::open(global, now).await?;
    let service = service::Service::find(&desk.outline).await;
    for note in service.notes(desk.zone()) {
        render::say(&note);
    }
    let sources = Sources {
        history: desk.history.as_ref(),
        settings: desk.settings.as_ref(),
        state_directory: &desk.outline.state_directory,
        service: service.kind(),
    };
    let overview = sources.overview(now).await?;
    for note in overview.channels.iter().filter_map(|channel| channels::trouble(channel, desk.zone())) {
        render::say(&note);
    }
    for note in overview.needed().filter_map(|known| identities::trouble(known, now)) {
        render::say(&note);
    }
    render::print(&overview.table(desk.zone(), now), desk.format)?;
    Ok(exit::SUCCEEDED)
}

/// What is known of the jobs.
pub(super) struct Sources<'a> {
    /// `None` before anything ran.
    pub(super) history: Option<&'a History>,
    pub(super) settings: Result<&'a Settings, &'a Problems>,
    pub(super) state_directory: &'a Path,
    pub(super) service: Service,
}

impl Sources<'_> {
    /// All of it, by job.
    pub(super) async fn overview(&self, now: Timestamp) -> Result<Overview, HistoryError> {
        let (known, mut pauses, channels) = match self.history {
            Some(history) => (history.identities().await?, history.pauses().await?, history.channels().await?),
            None => (Vec::new(), BTreeMap::new(), Vec::new()),
        };
        let all = as_of(self.settings, known, now);
        let (jobs, mut nexts) = match (self.settings, self.history) {
            (Ok(settings), history) => {
                let nexts = next_of_each(history, settings, self.service, now).await?;
                (settings.jobs.values().map(configured).collect(), nexts)
            }
            (Err(_), Some(history)) => shown_by_history(history, now).await?,
            (Err(_), None) => (Vec::new(), BTreeMap::new()),
        };
        let mut told = Vec::new();
        for mut job in jobs {
            let mut state = match self.history {
                Some(history) => State::read(history, &job.name, self.state_directory).await?,
                None => State::default(),
            };
            state.next = nexts.remove(&job.name);
            state.paused = pauses.remove(&job.name);
            state.broken = broken(&channels, &job.name, self.settings.ok());
            job.kind = job.kind.or(state.last.as_ref().map(|run| run.kind));
            state.identities = identities::named(&job.identities(), &all);
            told.push((job, state));
        }
        Ok(Overview { service: self.service, jobs: told, identities: all, channels })
    }
}

/// A job as it is configured.
fn configured(job: &JobSettings) -> Job {
    let (name, zone) = (job.name.clone(), job.zone.name.clone());
    let needs = Some(job.needs().names());
    Job { name, kind: Some(job.kind()), needs, mode: mode(job), schedule: job.schedule.clone(), zone }
}

/// The jobs that the service last scheduled, and when each comes next.
async fn shown_by_history(
    history: &History,
    now: Timestamp,
) -> Result<(Vec<Job>, BTreeMap<String, Timestamp>), HistoryError> {
    let (mut jobs, mut nexts) = (Vec::new(), BTreeMap::new());
    for Remembered { job, schedule, zone, past } in remembered(history, now).await? {
        let name = zone.iana_name().unwrap_or("UTC").to_owned();
        let schedule_of = Some(schedule.clone());
        jobs.push(Job { name: job.clone(), kind: None, needs: None, mode: None, schedule: schedule_of, zone: name });
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

const fn mode(job: &JobSettings) -> Option<Mode> {
    match &job.work {
        Work::Managers(managers) => Some(managers.mode),
        Work::Licenses(_) | Work::Keepalive(_) | Work::Directory(_) | Work::Request(_) => None,
    }
}

/// When the service will fire each job next, by what it would find if it took them up now.
async fn next_of_each(
    history: Option<&History>,
    settings: &Settings,
    service: Service,
    now: Timestamp,
) -> Result<BTreeMap<String, Timestamp>, HistoryError> {
    let jobs = settings.jobs.values();
    let standings = match history {
        Some(history) => {
            let when = if service == Service::None { When::Start } else { When::Reload };
            foreseen(history, jobs, when, now).await?
        }
        None => jobs.filter_map(|job| Standing::fresh(job, now)).collect(),
    };
    let next = |entry: Entry| entry.next_due(now).map(|next| (entry.job, next));
    Ok(standings.into_iter().map(entry).filter_map(next).collect())
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::{Value, json};

    use super::*;
    use crate::app::entries::standings;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::config;
    use crate::control::wire::{About, Refused};
    use crate::domain::condition::{Condition, IdentityName, Known, State as Health};
    use crate::domain::decision::Reason;
    use crate::domain::moment::{Disposition, Moment};
    use crate::domain::run::Trigger;
    use crate::history::jobs::Pause;
    use crate::history::testing::{Place, a_run, at};
    use crate::tables::jobs::Running;

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
        let (directory, service) = (Path::new("/nowhere"), Service::None);
        let sources = Sources { history: Some(history), settings: Ok(&settings), state_directory: directory, service };
        let overview = sources.overview(at(660)).await.unwrap();
        let needed: Vec<_> = overview.needed().map(|known| known.name).collect();
        assert_eq!(needed, [IdentityName::Okta, IdentityName::App]);
        let table = overview.table(&settings.zone.tz, at(660));
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
        let nexts = next_of_each(Some(&place.history), &settings, Service::None, at(60)).await.unwrap();
        assert_eq!(nexts, BTreeMap::from([("managers".to_owned(), at(7200))]));
        let stored = place.history.scheduled("managers").await.unwrap().unwrap();
        settings.jobs.get_mut("managers").unwrap().schedule = Some("every 2 hours".parse().unwrap());
        next_of_each(Some(&place.history), &settings, Service::None, at(9000)).await.unwrap();
        assert_eq!(place.history.scheduled("managers").await.unwrap(), Some(stored), "nothing is stored");
    }

    #[tokio::test]
    async fn without_a_configuration_the_jobs_that_were_last_scheduled_are_told() {
        let place = Place::new().await;
        let settings = settings();
        standings(&place.history, settings.jobs.values(), at(0)).await.unwrap();
        let (jobs, nexts) = shown_by_history(&place.history, at(60)).await.unwrap();
        assert_eq!(jobs.len(), 1, "one is run by hand only");
        let known = next_of_each(Some(&place.history), &settings, Service::None, at(60)).await.unwrap();
        assert_eq!(nexts, known);
        let (shown, whole) = (&jobs[0], configured(&settings.jobs["managers"]));
        assert_eq!((&shown.name, &shown.schedule, &shown.zone), (&whole.name, &whole.schedule, &whole.zone));
        assert_eq!((shown.kind, shown.mode), (None, None), "nobody knows");
    }

    #[test]
    fn a_paused_job_has_no_next_run_and_a_refused_file_is_told() {
        let settings = settings();
        let paused = Some(Pause { at: at(0), by: "ana".to_owned() });
        let refused = Refused { since: at(0), problem: "graphkeeper.toml:3:1: jobs: x".to_owned() };
        let service = service::Service::Running(About {
            pid: 7,
            state_directory: "/var/lib/graphkeeper".into(),
            unwritten: 0,
            refused: Some(refused),
            concerns: vec!["the page is not served: x".to_owned()],
        });
        let state = State { paused, ..State::default() };
        let jobs = vec![(configured(&settings.jobs["managers"]), state)];
        let table = Overview { service: service.kind(), jobs, identities: Vec::new(), channels: Vec::new() }
            .table(&TimeZone::UTC, at(120));
        let (text, json) = (render::to_text(&table, None), table.to_json());
        assert!(text.contains("paused 2 minutes ago by ana"), "{text}");
        assert_eq!((&json[0]["next"], &json[0]["service"]), (&Value::Null, &json!("running")));
        assert_eq!(json[0]["paused"], json!({ "since": at(0).to_string(), "by": "ana" }));
        let notes = service.notes(&TimeZone::UTC);
        assert_eq!(notes[1], "the page is not served: x");
        insta::assert_snapshot!(notes[0], @"the service goes on with the configuration that it had before 2026-09-21 14:13:20 UTC; the file as it is now is not used: graphkeeper.toml:3:1: jobs: x");
        assert_eq!(service::Service::None.notes(&TimeZone::UTC), [""; 0]);
    }

    #[test]
    fn a_run_that_was_cut_off_is_not_said_to_go_on() {
        let settings = settings();
        let runs = [(Some(true), "begun"), (None, "begun"), (Some(false), "cut off")];
        for (alive, said) in runs {
            let run = samples::open(&a_run("bbbb0002", Trigger::Manual, 0));
            let state = State { running: Some(Running { run, alive }), ..State::default() };
            let jobs = vec![(configured(&settings.jobs["managers"]), state)];
            let table = Overview { service: Service::None, jobs, identities: Vec::new(), channels: Vec::new() }
                .table(&TimeZone::UTC, at(60));
            assert!(render::to_text(&table, None).contains(said), "{alive:?}");
        }
    }
}
