//! Calls `/me` and other read-only endpoints as the person who signed in, and reads how long the subscription lasts that
//! this is done for. Few calls, honestly counted: success is 2xx of the expected shape. The gauge shows the subscription's
//! date and whether it moved; nothing here promises that it is renewed, or why it was.

mod answer;
mod gauge;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::event::{Alarms, News};
use crate::domain::gauge::{Gauge, ReadAs};
use crate::domain::run::Outcome;
use crate::graph::{GraphClient, GraphError, Identity, RawAnswer};
use crate::history::calls::Verdict as CallVerdict;
use crate::jobs::answers::{Reply, kept, unless_stopped};
use crate::jobs::error::JobError;
use crate::jobs::keepalive::answer::judge;
use crate::jobs::keepalive::gauge::Reading;
use crate::jobs::licenses::counted;
use crate::jobs::report::{Details, Finish};
use crate::jobs::runner::Context;

/// The keepalive job.
#[derive(Debug)]
pub struct Keepalive {
    pub graph: GraphClient,
    /// Paths below `/v1.0`, such as `/me`.
    pub requests: Vec<String>,
    /// The least time between two runs.
    pub min_interval: Duration,
    /// Whether answers are kept with the call.
    pub save_bodies: bool,
    /// The part number of the product whose subscription the gauge shows.
    pub subscription: String,
}

/// Makes every request, and then reads the gauge. While the subscription is gone only the latter, to see whether it is back.
pub(super) async fn run(job: &Keepalive, context: &Context) -> Result<Finish, JobError> {
    refuse_when_too_soon(job, context).await?;
    let watch = Watch::begin(job, context).await?;
    if watch.before.as_ref().is_some_and(|gauge| gauge.gone) {
        let Some(reading) = look(job, context).await else { return Err(JobError::Stopped) };
        let gauge = watch.observe(&reading, 0, context.now());
        if gauge.gone {
            return Ok(watch.show(without_calls(&gauge), gauge));
        }
    }
    let (finish, signed_in) = call_all(job, context).await;
    if finish.outcome == Outcome::Interrupted {
        return Ok(finish);
    }
    let reading = if signed_in || job.graph.has(Identity::App) {
        let Some(reading) = look(job, context).await else { return Ok(finish) };
        reading
    } else {
        Reading { read_as: Some(ReadAs::User), found: Err("nobody is signed in who could read it".to_owned()) }
    };
    let answered = match &finish.details {
        Details::Keepalive(replies) => replies.iter().filter(|reply| reply.status.is_some()).count(),
        _ => 0,
    };
    let gauge = watch.observe(&reading, answered as u64, context.now());
    Ok(watch.show(finish, gauge))
}

/// What was known of the subscription before this run.
struct Watch<'a> {
    wanted: &'a str,
    before: Option<Gauge>,
    alarms: Alarms,
}

impl<'a> Watch<'a> {
    async fn begin(job: &'a Keepalive, context: &Context) -> Result<Self, JobError> {
        let before = context.history.last_gauge(&context.job).await?;
        // Of another product nothing is known yet.
        let before = before.filter(|gauge| gauge.part_number.eq_ignore_ascii_case(&job.subscription));
        let alarms = context.history.alarms(&context.job).await?;
        Ok(Self { wanted: &job.subscription, before, alarms })
    }

    fn observe(&self, reading: &Reading, answered: u64, now: Timestamp) -> Gauge {
        gauge::observe(self.wanted, reading, self.before.as_ref(), answered, now)
    }

    /// Adds the gauge and what it tells to the end of the run, with which they are recorded.
    fn show(&self, finish: Finish, gauge: Gauge) -> Finish {
        let News { events, alarms } = gauge::news(self.before.as_ref(), &gauge, &self.alarms);
        let message = format!("{}; {}", finish.message, gauge.line());
        Finish { message, gauge: Some(Box::new(gauge)), events, alarms, ..finish }
    }
}

/// Reads the subscriptions; `None` when the run is stopped meanwhile.
async fn look(job: &Keepalive, context: &Context) -> Option<Reading> {
    tokio::select! {
        biased;
        () = context.stop.cancelled() => None,
        reading = gauge::read(&job.graph) => Some(reading),
    }
}

/// The subscription is gone: calls would show activity in a sandbox that is no more.
fn without_calls(gauge: &Gauge) -> Finish {
    let hint = "set up the developer sandbox anew, or name another product with `subscription`; the calls go on by \
                themselves once the tenant has a subscription of it. `graphkeeper pause JOB` ends these lines";
    Finish {
        outcome: Outcome::Failed,
        reason: Some("subscription_gone".to_owned()),
        message: format!("no calls are made: the tenant no longer has a subscription of {}", gauge.part_number),
        hint: Some(hint.to_owned()),
        details: Details::Keepalive(Vec::new()),
        ..Finish::default()
    }
}

/// Makes every request, whatever became of the one before. A sign-in that needs a person ends it at once: `false` then.
async fn call_all(job: &Keepalive, context: &Context) -> (Finish, bool) {
    let mut replies = Vec::with_capacity(job.requests.len());
    for (done, path) in job.requests.iter().enumerate() {
        context.progress.say("requests answered", done as u64, Some(job.requests.len() as u64));
        if context.stop.is_cancelled() {
            return (interrupted(replies), true);
        }
        let asked = ask(job, path, done == 0 && context.by_hand);
        let Some(asked) = unless_stopped(&context.stop, &job.graph, Identity::User, asked).await else {
            return (interrupted(replies), true);
        };
        match asked {
            Ok(answer) => replies.push(reply(path, &answer, job.save_bodies)),
            Err(error @ (GraphError::Auth(_) | GraphError::NoIdentity(_))) => {
                return (Finish::from_error(&JobError::Graph(error), Details::Keepalive(replies)), false);
            }
            Err(error) => replies.push(Reply::unanswered(path, &error)),
        }
    }
    (finish(replies), true)
}

/// One request. `anew` signs in again where that was refused a moment ago.
async fn ask(job: &Keepalive, path: &str, anew: bool) -> Result<RawAnswer, GraphError> {
    job.graph.sign_in(Identity::User, anew).await?;
    job.graph.get_raw(path, Identity::User).await
}

/// Calls that come faster than anybody works look like what they are.
async fn refuse_when_too_soon(job: &Keepalive, context: &Context) -> Result<(), JobError> {
    let Some(last) = context.history.last_call(&context.job).await? else { return Ok(()) };
    let passed = context.now().duration_since(last);
    let interval = SignedDuration::try_from(job.min_interval).unwrap_or(SignedDuration::MAX);
    if passed.is_negative() || passed >= interval {
        return Ok(());
    }
    let (passed, interval) = (passed.as_secs(), interval.as_secs());
    Err(JobError::Refused {
        reason: "too_soon",
        message: format!("the last calls were {passed} seconds ago, and at least {interval} seconds must lie between"),
        hint: Some("`min_interval` of the job sets the least time between two runs".to_owned()),
    })
}

fn interrupted(replies: Vec<Reply>) -> Finish {
    Finish {
        outcome: Outcome::Interrupted,
        reason: Some("stopped".to_owned()),
        message: format!("stopped after {} requests", replies.len()),
        details: Details::Keepalive(replies),
        ..Finish::default()
    }
}

fn finish(replies: Vec<Reply>) -> Finish {
    let bad: Vec<&Reply> = replies.iter().filter(|reply| reply.verdict != CallVerdict::Ok).collect();
    let named: Vec<String> =
        bad.iter().map(|reply| format!("{} ({})", reply.path, reply.problem.as_deref().unwrap_or("failed"))).collect();
    let outcome = match bad.len() {
        0 => Outcome::Succeeded,
        n if n == replies.len() => Outcome::Failed,
        _ => Outcome::Partial,
    };
    let message = if bad.is_empty() {
        format!("{} answered as expected", counted(replies.len(), "request"))
    } else {
        format!("{} of {} requests failed: {}", bad.len(), replies.len(), named.join(", "))
    };
    let hint = (!bad.is_empty()).then(|| {
        "`graphkeeper history calls RUN` shows each answer; the person who signed in needs the permission that the \
         endpoint asks for"
            .to_owned()
    });
    let reason = (!bad.is_empty()).then(|| "request_failed".to_owned());
    Finish { outcome, reason, message, hint, details: Details::Keepalive(replies), ..Finish::default() }
}

fn reply(path: &str, answer: &RawAnswer, keep: bool) -> Reply {
    let (verdict, problem) = judge(path, answer);
    Reply::answered(path, answer, verdict, problem).keeping(if keep { kept(&answer.body) } else { None })
}
