//! The overview: every job with its last outcome, its next run and its recent runs; identities; gauges; the newest runs.

use askama::Template;
use axum::response::Response;
use jiff::Timestamp;

use super::charts::spark::{Bar, Spark};
use super::frame::{Asked, Frame, Section, Trouble, page};
use super::grid::Grid;
use super::parts::{Badge, Empty, Eye, Link, Prose, When, query};
use super::words::{self, Tone};
use crate::domain::condition::{Condition, Known};
use crate::domain::gauge::{Gauge, GaugeState};
use crate::domain::run::Mode;
use crate::history::outbox::ChannelState;
use crate::history::runs::{Run, RunFilter};
use crate::schedule::Schedule;
use crate::tables;
use crate::tables::jobs::{Job, Overview as Jobs, State};
use crate::tables::words::{counted, duration};

/// Recent runs of a job that have a bar.
const BARS: usize = 40;
/// Newest runs on the page.
const NEWEST: u32 = 10;
/// A dial is full with so many days left.
const FULL_DIAL: i64 = 90;

#[derive(Debug, Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    summary: String,
    next: Option<Next>,
    cards: Vec<Card>,
    no_jobs: Empty,
    identities: Vec<Identity>,
    no_identities: Empty,
    gauges: Vec<Dial>,
    no_gauges: Empty,
    channels: Vec<Channel>,
    newest: Grid,
    no_runs: Empty,
}

/// The run that comes next of all.
#[derive(Debug)]
struct Next {
    job: String,
    due: When,
}

/// A job.
#[derive(Debug)]
struct Card {
    link: Link,
    badge: Badge,
    message: Option<Prose>,
    due: Due,
    last: Option<Past>,
    running: Option<Past>,
    schedule: String,
    mode: Option<Mode>,
    plans: Vec<Link>,
    parked: Option<Link>,
    spark: Spark,
}

/// When a job comes next.
#[derive(Debug)]
enum Due {
    At { due: When, exact: When },
    Paused { since: When, by: String },
    ByHand,
}

#[derive(Debug)]
struct Past {
    run: Link,
    ago: When,
    took: Option<String>,
}

#[derive(Debug)]
struct Identity {
    name: &'static str,
    who: String,
    badge: Badge,
    detail: Option<Prose>,
    hint: Option<Prose>,
    signed_in: Option<When>,
    ends: Option<(String, When)>,
}

/// A way by which people are told.
#[derive(Debug)]
struct Channel {
    name: String,
    badge: Badge,
    /// Since when nothing arrives, why, and what to do about it.
    failing: Option<(When, Prose, Option<Prose>)>,
    delivered: Option<When>,
    waiting: Option<String>,
}

/// The gauge of a keepalive job.
#[derive(Debug)]
struct Dial {
    product: String,
    job: Link,
    badge: Badge,
    days_left: Option<i64>,
    /// How much of the dial is full, in percent.
    share: i64,
    tone: Tone,
    line: String,
    read: When,
}

pub(super) async fn show(asked: Asked) -> Response {
    match overview(&asked).await {
        Ok(overview) => page(&overview),
        Err(trouble) => asked.refused(trouble),
    }
}

async fn overview(asked: &Asked) -> Result<Overview, Trouble> {
    let (history, eye) = (asked.history(), &asked.eye);
    let read = (asked.lent.overview)(history.clone(), eye.now).await?;
    let newest = history.list_runs(&RunFilter { limit: Some(NEWEST), ..RunFilter::default() }).await?;
    let (mut cards, mut gauges) = (Vec::new(), Vec::new());
    for (place, (job, state)) in read.jobs.iter().enumerate() {
        let recent = RunFilter { job: Some(job.name.clone()), limit: u32::try_from(BARS).ok(), ..RunFilter::default() };
        let recent = history.list_runs(&recent).await?;
        gauges.extend(state.gauge.clone().map(|gauge| dial(&gauge.as_of(eye.now), job, eye)));
        cards.push(card(place, (job, state), &recent, eye));
    }
    let about = asked.lent.desk.about();
    Ok(Overview {
        frame: asked.frame(Section::Overview, "Overview"),
        summary: summary(&read),
        next: about.next.map(|next| Next { due: When::due(next.due, eye), job: next.job }),
        cards,
        no_jobs: Empty::new("The configuration has no jobs.")
            .advice("Write one into the file, such as [jobs.managers], and look at it with")
            .command("graphkeeper check"),
        identities: read.identities.iter().map(|known| identity(known, eye)).collect(),
        no_identities: Empty::new("Nothing signed in yet.")
            .advice("Whether it can is told by")
            .command("graphkeeper doctor"),
        gauges,
        channels: read.channels.iter().map(|one| channel(one, eye)).collect(),
        no_gauges: Empty::new("No subscription is watched yet.")
            .advice("A job of the kind `keepalive` watches it. It is run at once by")
            .command("graphkeeper run keepalive"),
        newest: Grid::of("newest", "The newest runs", &tables::runs::table(&newest, &eye.zone), eye, &[]),
        no_runs: Empty::new("Nothing ran yet.").advice("A job is run at once by").command("graphkeeper run JOB"),
    })
}

/// How things are, in a sentence. Nothing waits for anybody only where nothing on the page does.
fn summary(read: &Jobs) -> String {
    let states = || read.jobs.iter().map(|(_, state)| state);
    let tones = || states().filter_map(|state| state.last.as_ref()?.outcome).map(words::tone);
    let of = |wanted: Tone| tones().filter(|tone| *tone == wanted).count();
    let needed = read.identities.iter().filter(|known| words::of_condition(known.state.condition) == Tone::Bad);
    let dead = |state: &State| state.running.as_ref().is_some_and(|running| running.alive == Some(false));
    let silent = read.channels.iter().filter(|channel| channel.failing.is_some());
    let parts = [
        (of(Tone::Bad), "did not do its work", "did not do their work"),
        (states().filter(|state| dead(state)).count(), "cut off", "cut off"),
        (of(Tone::Fair), "to be looked at", "to be looked at"),
        (states().map(|state| state.plans.len()).sum(), "plan to be approved", "plans to be approved"),
        (needed.count(), "sign-in that does not work", "sign-ins that do not work"),
        (states().filter(|state| state.paused.is_some()).count(), "paused", "paused"),
        (silent.count(), "channel that tells nobody", "channels that tell nobody"),
    ];
    let told = |(count, one, several): &(usize, &str, &str)| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {several}")),
    };
    let parts: Vec<String> = parts.iter().filter_map(told).collect();
    let verdict = if parts.is_empty() { "nothing waits for anybody".to_owned() } else { parts.join(", ") };
    let jobs = counted(read.jobs.len() as u64, "job");
    let running = states().filter(|state| state.running.is_some() && !dead(state)).count();
    let running = if running > 0 { format!("; {running} running now") } else { String::new() };
    format!("{jobs}: {verdict}{running}.")
}

fn channel(state: &ChannelState, eye: &Eye) -> Channel {
    let (tone, word) = match (&state.failing, state.delivered_at) {
        (Some(_), _) => (Tone::Bad, "failing"),
        (None, Some(_)) => (Tone::Good, "works"),
        (None, None) => (Tone::Quiet, "not used yet"),
    };
    let failing = state.failing.as_ref().map(|failing| {
        let hint = failing.hint.clone().map(Prose::new);
        (When::ago(failing.since, eye), Prose::new(failing.problem.as_str()), hint)
    });
    let waiting = (state.waiting > 0).then(|| format!("{} to be told", counted(state.waiting, "notice")));
    let delivered = state.delivered_at.map(|at| When::ago(at, eye));
    Channel { name: state.name.clone(), badge: Badge::new(tone, word), failing, delivered, waiting }
}

fn card(place: usize, (job, state): (&Job, &State), recent: &[Run], eye: &Eye) -> Card {
    let bars: Vec<Bar> = recent.iter().rev().map(|run| (run.outcome, run_took(run, eye.now))).collect();
    let due = match (&state.paused, state.next) {
        (Some(pause), _) => Due::Paused { since: When::ago(pause.at, eye), by: pause.by.clone() },
        (None, Some(next)) => Due::At { due: When::due(next, eye), exact: When::exact(next, eye) },
        (None, None) => Due::ByHand,
    };
    let badge = match (&state.running, &state.last) {
        (Some(running), _) if running.alive == Some(false) => Badge::new(Tone::Bad, "cut off"),
        (Some(_), _) => Badge::outcome(None),
        (None, Some(last)) => Badge::outcome(last.outcome),
        (None, None) => Badge::new(Tone::Quiet, "never ran"),
    };
    Card {
        link: Link::job(&job.name),
        badge,
        message: state.last.as_ref().and_then(|run| run.message.clone()).map(Prose::new),
        due,
        last: state.last.as_ref().map(|run| past(run, eye)),
        running: state.running.as_ref().map(|running| past(&running.run, eye)),
        schedule: job.schedule.as_ref().map_or_else(|| "by hand only".to_owned(), Schedule::describe),
        mode: job.mode,
        plans: state.plans.iter().map(|plan| Link::plan(plan.as_str())).collect(),
        parked: (state.parked > 0).then(|| {
            let people = if state.parked == 1 { "1 person".to_owned() } else { format!("{} people", state.parked) };
            Link::new(query("/people", &[("job", &job.name)]), &people)
        }),
        spark: Spark::of(&format!("spark-{place}"), &job.name, &bars, BARS),
    }
}

/// How long a run took, or takes.
fn run_took(run: &Run, now: Timestamp) -> std::time::Duration {
    run.ended_at.unwrap_or(now).duration_since(run.started_at).unsigned_abs()
}

fn past(run: &Run, eye: &Eye) -> Past {
    Past {
        run: Link::run(run.id.as_str()),
        ago: When::ago(run.ended_at.unwrap_or(run.started_at), eye),
        took: run.ended_at.map(|_| duration(run_took(run, eye.now))),
    }
}

fn identity(known: &Known, eye: &Eye) -> Identity {
    use crate::domain::condition::IdentityName;
    let Known { name, who, state, signed_in_at, ends, .. } = known;
    let some = |text: &str| (!text.is_empty()).then(|| Prose::new(text));
    Identity {
        name: match name {
            IdentityName::Okta => "Okta",
            IdentityName::App => "Entra, as the application",
            IdentityName::User => "Entra, as a person",
        },
        who: who.clone(),
        badge: Badge::new(words::of_condition(state.condition), state.condition.as_str()),
        detail: some(&state.detail).filter(|_| state.condition != Condition::Ok),
        hint: state.hint.clone().map(Prose::new),
        signed_in: signed_in_at.map(|at| When::ago(at, eye)),
        ends: ends.map(|ends| (words::plain(ends.what.as_str()), When::due(ends.at, eye))),
    }
}

fn dial(gauge: &Gauge, job: &Job, eye: &Eye) -> Dial {
    let tone = match gauge.state {
        GaugeState::Active => Tone::Good,
        GaugeState::Expiring => Tone::Fair,
        GaugeState::Expired => Tone::Bad,
        GaugeState::Unknown => Tone::Quiet,
    };
    Dial {
        product: gauge.part_number.clone(),
        job: Link::job(&job.name),
        badge: Badge::new(tone, gauge.state.as_str()),
        days_left: gauge.days_left,
        share: gauge.days_left.unwrap_or(0).clamp(0, FULL_DIAL) * 100 / FULL_DIAL,
        tone,
        line: gauge.line(),
        read: When::ago(gauge.read_at, eye),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::{JobKind, Outcome, PlanId, RunId, Trigger};
    use crate::history::outbox::Failing;
    use crate::tables::jobs::{Running, Service};
    use crate::web::page::parts::tests::eye;

    fn run(outcome: Option<Outcome>) -> Run {
        let now = eye().now;
        Run {
            id: RunId::stored("aaaa0001"),
            job: "managers".to_owned(),
            kind: JobKind::Managers,
            trigger: Trigger::Schedule,
            caller: "daemon".to_owned(),
            config_fingerprint: "0123456789ab".to_owned(),
            started_at: now,
            pid: 7,
            host: "host".to_owned(),
            ended_at: outcome.map(|_| now),
            outcome,
            reason: None,
            message: None,
            hint: None,
            tally: None,
            unresolved: None,
        }
    }

    fn job(state: State) -> (Job, State) {
        let job =
            Job { name: "managers".into(), kind: None, needs: None, mode: None, schedule: None, zone: "UTC".into() };
        (job, state)
    }

    fn ended(outcome: Outcome) -> State {
        State { last: Some(run(Some(outcome))), ..State::default() }
    }

    fn going(alive: Option<bool>) -> State {
        State { running: Some(Running { run: run(None), alive }), ..ended(Outcome::Failed) }
    }

    #[test]
    fn the_summary_says_what_needs_somebody() {
        let said = |states: Vec<State>| {
            let jobs = states.into_iter().map(job).collect();
            summary(&Jobs { service: Service::Running, jobs, identities: Vec::new(), channels: Vec::new() })
        };
        assert_eq!(said(vec![ended(Outcome::Succeeded), State::default()]), "2 jobs: nothing waits for anybody.");
        assert_eq!(said(vec![ended(Outcome::Failed)]), "1 job: 1 did not do its work.");
        let mixed = vec![ended(Outcome::Held), ended(Outcome::NeedsHuman), going(Some(true))];
        assert_eq!(said(mixed), "3 jobs: 2 did not do their work, 1 to be looked at; 1 running now.");
        let planned = State { plans: vec![PlanId::stored("paaaa1111")], ..ended(Outcome::Succeeded) };
        let pause = crate::history::jobs::Pause { at: eye().now, by: "ana".to_owned() };
        let paused = State { paused: Some(pause), ..ended(Outcome::Succeeded) };
        assert_eq!(said(vec![planned, paused]), "2 jobs: 1 plan to be approved, 1 paused.", "green, and yet not done");
    }

    #[test]
    fn a_channel_that_tells_nobody_says_since_when_why_and_what_to_do() {
        let at = eye().now;
        let works = ChannelState { name: "ops".to_owned(), failing: None, delivered_at: Some(at), waiting: 0 };
        let failing = Failing { since: at, problem: "404 <b>".to_owned(), hint: Some("mend `url`".to_owned()) };
        let broken = ChannelState { failing: Some(failing), waiting: 3, ..works.clone() };
        let shown = channel(&broken, &eye());
        let (since, problem, hint) = shown.failing.unwrap();
        assert_eq!((shown.badge.tone, shown.waiting.as_deref()), (Tone::Bad, Some("3 notices to be told")));
        assert_eq!(problem.to_string(), "404 &#60;b&#62;");
        assert!(since.to_string().contains("now") && hint.unwrap().to_string().contains("<code>url</code>"));
        let good = channel(&works, &eye());
        assert_eq!((good.badge.tone, good.waiting, good.failing.is_none()), (Tone::Good, None, true));
        let unused = channel(&ChannelState { delivered_at: None, ..works.clone() }, &eye());
        assert_eq!(unused.badge.tone, Tone::Quiet, "nobody knows yet whether it works");
        let jobs = vec![job(ended(Outcome::Succeeded))];
        let read = Jobs { service: Service::Running, jobs, identities: Vec::new(), channels: vec![works, broken] };
        assert_eq!(summary(&read), "1 job: 1 channel that tells nobody.");
    }

    #[test]
    fn a_job_that_runs_says_so_and_a_paused_one_has_no_next_run() {
        let eye = eye();
        let card = |state: State| {
            let (job, state) = job(state);
            card(0, (&job, &state), &[], &eye)
        };
        assert!(card(going(Some(true))).badge.to_string().contains("running"));
        assert!(card(going(Some(false))).badge.to_string().contains("cut off"), "its process is gone");
        let pause = crate::history::jobs::Pause { at: eye.now, by: "ana".to_owned() };
        let paused = State { paused: Some(pause), next: Some(eye.now), ..State::default() };
        assert!(matches!(card(paused).due, Due::Paused { .. }));
        assert!(matches!(card(State::default()).due, Due::ByHand));
    }
}
