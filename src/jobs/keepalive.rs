//! Calls `/me` and other read-only endpoints as the person who signed in. Few calls, honestly counted: success is 2xx of
//! the expected shape, and nothing here promises that a subscription is renewed.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;
use tokio::time::timeout;

use crate::domain::run::Outcome;
use crate::graph::{GraphClient, GraphError, Identity, RawAnswer};
use crate::history::calls::Verdict as CallVerdict;
use crate::jobs::answers::{CALL_IN_HAND, Reply, kept, refusal, wrong};
use crate::jobs::error::JobError;
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
}

/// Makes every request, whatever became of the one before. A sign-in that needs a person ends the run at once.
pub(super) async fn run(job: &Keepalive, context: &Context) -> Result<Finish, JobError> {
    refuse_when_too_soon(job, context).await?;
    let mut replies = Vec::with_capacity(job.requests.len());
    for (done, path) in job.requests.iter().enumerate() {
        context.progress.say("requests answered", done as u64, Some(job.requests.len() as u64));
        if context.stop.is_cancelled() {
            return Ok(interrupted(replies));
        }
        let asked = tokio::select! {
            biased;
            () = context.stop.cancelled() => {
                // What Entra gave for the old refresh token is stored before the process may end.
                let _ = timeout(CALL_IN_HAND, job.graph.signed_in(Identity::User)).await;
                return Ok(interrupted(replies));
            }
            asked = ask(job, path, done == 0 && context.by_hand) => asked,
        };
        match asked {
            Ok(answer) => replies.push(reply(path, &answer, job.save_bodies)),
            Err(error @ (GraphError::Auth(_) | GraphError::NoIdentity(_))) => {
                return Ok(Finish::from_error(&JobError::Graph(error), Details::Keepalive(replies)));
            }
            Err(error) => replies.push(Reply::unanswered(path, &error)),
        }
    }
    Ok(finish(replies))
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
        format!("{} requests answered as expected", replies.len())
    } else {
        format!("{} of {} requests failed: {}", bad.len(), replies.len(), named.join(", "))
    };
    let hint = (!bad.is_empty()).then(|| {
        "`graphkeeper history calls RUN` shows each answer; the person who signed in needs the permission that the \
         endpoint asks for"
            .to_owned()
    });
    let reason = (!bad.is_empty()).then(|| "request_failed".to_owned());
    Finish { outcome, reason, message, hint, unresolved: None, details: Details::Keepalive(replies) }
}

fn reply(path: &str, answer: &RawAnswer, keep: bool) -> Reply {
    let (verdict, problem) = judge(path, answer);
    Reply::answered(path, answer, verdict, problem).keeping(if keep { kept(&answer.body) } else { None })
}

/// Success is 2xx of the expected shape: a list has `value`, a thing has `id`. A proxy's page with status 200 is neither.
fn judge(path: &str, answer: &RawAnswer) -> (CallVerdict, Option<String>) {
    if !(200..300).contains(&answer.status) {
        return (CallVerdict::Failed, Some(refusal(answer)));
    }
    if path.to_lowercase().split('?').next().is_some_and(|path| path.ends_with("/$count")) {
        let number = std::str::from_utf8(&answer.body).is_ok_and(|text| text.trim().parse::<u64>().is_ok());
        return if number { (CallVerdict::Ok, None) } else { wrong("no number") };
    }
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(Value::Object(object)) if object.get("value").is_some() || object.get("id").is_some() => {
            (CallVerdict::Ok, None)
        }
        Ok(_) => wrong("JSON without `value` or `id`"),
        Err(_) => wrong("no JSON"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> RawAnswer {
        RawAnswer {
            status,
            latency: Duration::ZERO,
            attempts: 1,
            request_id: Some("r-1".to_owned()),
            client_request_id: None,
            content_type: None,
            body: body.as_bytes().to_vec(),
            truncated: false,
            refusal: None,
            hint: None,
        }
    }

    #[test]
    fn a_tick_is_green_only_for_the_expected_shape() {
        let cases = [
            ("/me", 200, r#"{"id":"1"}"#, CallVerdict::Ok),
            ("/me", 200, "<html>sign in to the network</html>", CallVerdict::WrongShape),
            ("/me", 200, "{}", CallVerdict::WrongShape),
            ("/me", 200, "[]", CallVerdict::WrongShape),
            ("/subscribedSkus", 200, r#"{"value":[]}"#, CallVerdict::Ok),
            ("/users/$count", 200, "12", CallVerdict::Ok),
            ("/users/$count", 200, "many", CallVerdict::WrongShape),
            ("/me", 403, r#"{"error":{"code":"Authorization_RequestDenied"}}"#, CallVerdict::Failed),
        ];
        for (path, status, body, verdict) in cases {
            assert_eq!(judge(path, &answer(status, body)).0, verdict, "{path} {status} {body}");
        }
        let (_, problem) = judge("/me", &answer(403, r#"{"error":{"code":"Authorization_RequestDenied"}}"#));
        assert_eq!(problem.unwrap(), "403 Authorization_RequestDenied, request-id r-1");
    }
}
