//! Makes one call to Graph, whatever it is, or follows a listing page by page.
//!
//! A write is on record before it is sent, is sent again only where it was certainly not carried out, and is told as
//! `unknown` when nobody can say what became of it.

use std::fmt::Write as _;

use serde_json::Value;
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

use crate::domain::request::Asker;
use crate::domain::run::Outcome;
use crate::graph::{GraphClient, GraphError, Identity, RawAnswer, RawCall};
use crate::history::calls::{CallRow, Verdict};
use crate::http::calls::Service;
use crate::http::chain::Chain;
use crate::http::{Executed, redact};
use crate::jobs::answers::{CALL_IN_HAND, Reply, kept, refusal, unless_stopped, without_secrets, wrong};
use crate::jobs::error::{JobError, chain};
use crate::jobs::report::details::RequestDetails;
use crate::jobs::report::{Details, Finish};
use crate::jobs::runner::Context;

/// A request job.
#[derive(Debug)]
pub struct Request {
    pub graph: GraphClient,
    pub call: RawCall,
    /// The most pages of a listing to follow; `None`: the first answer is all.
    pub pages: Option<u32>,
    /// Whether answers are kept with the calls.
    pub save_bodies: bool,
    /// Statuses that count as success; empty: any 2xx.
    pub expected_status: Vec<u16>,
}

/// Shows what would be sent.
pub(super) fn plan(job: &Request) -> Result<Finish, JobError> {
    let url = job.graph.raw_address(&job.call)?;
    let mut details = details(job, &url);
    details.headers.clone_from(&job.call.headers);
    details.body = job.call.body.clone().map(without_secrets);
    let message = format!("nothing was sent; a run would send {} as {}", told(job, &url), whom(job.call.identity));
    Ok(Finish { outcome: Outcome::Planned, message, details: Details::Request(Box::new(details)), ..Finish::default() })
}

/// Makes the call, once there is a token: what cannot be sent is no intent.
pub(super) async fn run(job: &Request, context: &Context) -> Result<Finish, JobError> {
    let url = job.graph.raw_address(&job.call)?;
    let signing_in = job.graph.sign_in(job.call.identity, context.by_hand);
    match unless_stopped(&context.stop, &job.graph, job.call.identity, signing_in).await {
        Some(signed_in) => signed_in?,
        None => return Err(JobError::Stopped),
    }
    if job.call.method.writes() { write(job, &url, context).await } else { read(job, &url, context).await }
}

fn details(job: &Request, url: &Url) -> RequestDetails {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    RequestDetails {
        method: Some(job.call.method),
        address: format!("{}{query}", url.path()),
        identity: Some(match job.call.identity {
            Identity::App => Asker::App,
            Identity::User => Asker::User,
        }),
        ..RequestDetails::default()
    }
}

/// Method and path, for a line that reads alone.
fn told(job: &Request, url: &Url) -> String {
    format!("{} {}", job.call.method, redact::path(url))
}

const fn whom(identity: Identity) -> &'static str {
    match identity {
        Identity::App => "the application",
        Identity::User => "the person who signed in",
    }
}

/// Reads one answer, or page after page. The first that fails ends it.
async fn read(job: &Request, url: &Url, context: &Context) -> Result<Finish, JobError> {
    let mut details = details(job, url);
    let mut pages = Chain::new(url.clone());
    let most = job.pages.unwrap_or(1) as usize;
    while let Some(next) = pages.next().cloned() {
        if details.calls.len() == most {
            return Ok(cut_off(job, url, details));
        }
        context.progress.say("pages answered", details.calls.len() as u64, None);
        let asked = job.graph.send_raw(&job.call, &next, Uuid::new_v4());
        let Some(asked) = unless_stopped(&context.stop, &job.graph, job.call.identity, asked).await else {
            return Ok(stopped(job, url, details));
        };
        let answer = match asked {
            Ok(answer) => answer,
            Err(error) => return Ok(unanswered(job, url, details, error)),
        };
        let (verdict, problem) = judge(job, &answer);
        let reply = Reply::answered(next.path(), &answer, verdict, problem);
        details.calls.push(reply.keeping(if job.save_bodies { kept(&answer.body) } else { None }));
        if verdict != Verdict::Ok {
            return Ok(failed(job, url, details, &answer));
        }
        let page = Page::of(&answer);
        details.items += page.ids.len() as u64;
        if job.pages.is_none() {
            break;
        }
        if let Err(source) = pages.advance(page.next.as_deref(), &page.ids) {
            let error = GraphError::Listing { path: redact::path(url), source };
            return Ok(Finish::from_error(&JobError::Graph(error), Details::Request(Box::new(details))));
        }
    }
    Ok(succeeded(job, url, details))
}

/// What a page says of itself. An answer that is no list is a page without records and without a next one.
struct Page {
    next: Option<String>,
    ids: Vec<Option<String>>,
}

impl Page {
    fn of(answer: &RawAnswer) -> Self {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let records = body.get("value").and_then(Value::as_array);
        Self {
            next: text(&body, "@odata.nextLink"),
            ids: records.into_iter().flatten().map(|record| text(record, "id")).collect(),
        }
    }
}

/// Sends a write: on record before, judged and on record after.
async fn write(job: &Request, url: &Url, context: &Context) -> Result<Finish, JobError> {
    let mut details = details(job, url);
    if context.stop.is_cancelled() {
        return Ok(stopped(job, url, details));
    }
    let id = Uuid::new_v4();
    let mut row = intent(job, url, id, context);
    let intent = context.history.intend_call(&context.run, &row).await?;
    details.recorded = row.client_request_id.clone();
    let answered = answered(job, url, id, context).await;
    let reply = match &answered {
        Some(Ok(answer)) => {
            let (verdict, problem) = judge_write(job, answer);
            row.attempts = answer.attempts;
            let body = if job.save_bodies { kept(&answer.body) } else { None };
            Reply::answered(url.path(), answer, verdict, problem).keeping(body)
        }
        Some(Err(error)) => {
            let verdict = if is_in_doubt(error) { Verdict::Unknown } else { Verdict::Failed };
            Reply { verdict, ..Reply::unanswered(url.path(), error) }
        }
        None => {
            let problem = Some("stopped before an answer came".to_owned());
            Reply { verdict: Verdict::Unknown, problem, ..Reply::nothing(url.path()) }
        }
    };
    (row.status, row.latency_ms, row.verdict) = (reply.status, reply.latency_ms, reply.verdict);
    (row.request_id, row.error, row.body) = (reply.request_id.clone(), reply.problem.clone(), reply.body.clone());
    let doubt = reply.verdict == Verdict::Unknown;
    details.calls.push(reply);
    if let Err(error) = context.history.answer_call(intent, &row).await {
        return Ok(unrecorded(job, url, details, &JobError::History(error)));
    }
    Ok(match answered {
        _ if doubt => in_doubt(job, url, details, answered.is_none()),
        Some(Ok(answer)) if row.verdict != Verdict::Ok => failed(job, url, details, &answer),
        Some(Err(error)) => unanswered(job, url, details, error),
        _ => succeeded(job, url, details),
    })
}

fn intent(job: &Request, url: &Url, id: Uuid, context: &Context) -> CallRow {
    CallRow {
        at: context.now(),
        service: Service::Graph.as_str().to_owned(),
        method: job.call.method.as_str().to_owned(),
        path: redact::path(url),
        status: None,
        latency_ms: 0,
        attempts: 1,
        request_id: None,
        client_request_id: Some(id.to_string()),
        verdict: Verdict::Unknown,
        error: None,
        body: None,
    }
}

/// The answer to a write. One that is stopped gets some time to end; `None` when it does not.
async fn answered(job: &Request, url: &Url, id: Uuid, context: &Context) -> Option<Result<RawAnswer, GraphError>> {
    let sending = job.graph.send_raw(&job.call, url, id);
    tokio::pin!(sending);
    tokio::select! {
        answered = &mut sending => return Some(answered),
        () = context.stop.cancelled() => {}
    }
    timeout(CALL_IN_HAND, sending).await.ok()
}

/// Whether a write may have been carried out although no answer came.
const fn is_in_doubt(error: &GraphError) -> bool {
    matches!(error, GraphError::Http(error) if matches!(error.executed(), Executed::Unknown))
}

/// What an answer to a write comes to: one that says neither yes nor no leaves it open.
fn judge_write(job: &Request, answer: &RawAnswer) -> (Verdict, Option<String>) {
    match judge(job, answer) {
        (Verdict::Failed, problem) if answer.executed == Executed::Unknown => (Verdict::Unknown, problem),
        judged => judged,
    }
}

/// Success is an expected status with a body of Graph's kind: JSON, a number for a count, bytes for a value, or nothing.
/// A proxy's page with status 200 is none of them.
fn judge(job: &Request, answer: &RawAnswer) -> (Verdict, Option<String>) {
    let expected = match job.expected_status.as_slice() {
        [] => (200..300).contains(&answer.status),
        some => some.contains(&answer.status),
    };
    if !expected {
        let problem = if answer.refused.is_some() {
            refusal(answer)
        } else {
            format!("{}, which is not the expected status", answer.status)
        };
        return (Verdict::Failed, Some(problem));
    }
    let kind = answer.content_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    if answer.body.is_empty() || answer.refused.is_some() {
        (Verdict::Ok, None)
    } else if answer.truncated {
        wrong("more than is read")
    } else if kind.contains("html") {
        wrong(&redact::kind_of_body(answer.content_type.as_deref(), &answer.body))
    } else if kind.contains("json") && serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body).is_err() {
        wrong("broken JSON")
    } else {
        (Verdict::Ok, None)
    }
}

fn finish(
    outcome: Outcome,
    reason: Option<&str>,
    message: String,
    hint: Option<String>,
    details: RequestDetails,
) -> Finish {
    let reason = reason.map(str::to_owned);
    Finish { outcome, reason, message, hint, details: Details::Request(Box::new(details)), ..Finish::default() }
}

fn succeeded(job: &Request, url: &Url, details: RequestDetails) -> Finish {
    let status = details.calls.last().and_then(|reply| reply.status).unwrap_or_default();
    let mut message = format!("{} answered {status}", told(job, url));
    if job.pages.is_some() {
        let _ = write!(message, ", {} pages with {} records", details.calls.len(), details.items);
    }
    finish(Outcome::Succeeded, None, message, None, details)
}

fn stopped(job: &Request, url: &Url, details: RequestDetails) -> Finish {
    let message = format!("{} stopped after {} answers", told(job, url), details.calls.len());
    finish(Outcome::Interrupted, Some("stopped"), message, None, details)
}

/// The listing is longer than it may be followed.
fn cut_off(job: &Request, url: &Url, details: RequestDetails) -> Finish {
    let (pages, items) = (details.calls.len(), details.items);
    let message = format!("{} goes on after {pages} pages with {items} records", told(job, url));
    let hint = "raise the job's `max_pages`, or ask for less by `query`".to_owned();
    finish(Outcome::Partial, Some("max_pages"), message, Some(hint), details)
}

/// An answer that is no success.
fn failed(job: &Request, url: &Url, details: RequestDetails, answer: &RawAnswer) -> Finish {
    let last = details.calls.last();
    let problem = last.and_then(|reply| reply.problem.clone()).unwrap_or_default();
    let page = if details.calls.len() > 1 { format!(", page {}", details.calls.len()) } else { String::new() };
    let (reason, message, hint) = if let Some(refused) = &answer.refused {
        let code = Some(refused.code.clone()).filter(|code| !code.is_empty());
        let code = code.unwrap_or_else(|| format!("status_{}", answer.status));
        (code, format!("{refused}{page}"), remedy(job, answer))
    } else {
        let is_odd = last.is_some_and(|reply| reply.verdict == Verdict::WrongShape);
        let reason = if is_odd { "wrong_shape" } else { "unexpected_status" };
        (reason.to_owned(), format!("{} {problem}{page}", told(job, url)), None)
    };
    finish(Outcome::Failed, Some(&reason), message, hint, details)
}

/// What an operator can do about a refusal: the permission that Graph names, else what we know.
fn remedy(job: &Request, answer: &RawAnswer) -> Option<String> {
    let refused = answer.refused.as_ref()?;
    let to = match job.call.identity {
        Identity::App => "application",
        Identity::User => "delegated; name it in `entra.user.scopes` and sign in anew",
    };
    let named = refused.named_permissions();
    if matches!(answer.status, 401 | 403) && !named.is_empty() {
        return Some(format!("grant one of {} ({to}) and give admin consent", named.join(", ")));
    }
    if let Some(hint) = refused.hint() {
        return Some(hint.to_owned());
    }
    match answer.status {
        403 => Some(format!(
            "Microsoft's reference of this call names the permission that it needs: grant it ({to}) and give admin consent"
        )),
        400 | 404 => {
            Some("correct the job's `path`, `version`, `query` or `body`: Graph cannot do this call".to_owned())
        }
        _ => None,
    }
}

/// No usable answer came.
fn unanswered(job: &Request, url: &Url, mut details: RequestDetails, error: GraphError) -> Finish {
    if !job.call.method.writes() && !matches!(error, GraphError::Auth(_) | GraphError::NoIdentity(_)) {
        details.calls.push(Reply::unanswered(url.path(), &error));
    }
    Finish::from_error(&JobError::Graph(error), Details::Request(Box::new(details)))
}

/// A write of which nobody knows whether it was carried out.
fn in_doubt(job: &Request, url: &Url, details: RequestDetails, was_stopped: bool) -> Finish {
    let problem = details.calls.last().and_then(|reply| reply.problem.clone()).unwrap_or_default();
    let message = format!("{} may or may not have been carried out: {problem}", told(job, url));
    let hint = "look at it in the tenant; it is not sent again before the job's next moment".to_owned();
    let outcome = if was_stopped { Outcome::Interrupted } else { Outcome::Failed };
    finish(outcome, Some("write_in_doubt"), message, Some(hint), details)
}

/// A write was answered, and the row says that nobody knows.
fn unrecorded(job: &Request, url: &Url, details: RequestDetails, error: &JobError) -> Finish {
    let answer = details.calls.last().map_or_else(String::new, |reply| {
        let status = reply.status.map_or_else(|| "nothing".to_owned(), |status| status.to_string());
        format!("was answered {status} ({})", reply.verdict)
    });
    let message = format!("{} {answer}, which could not be recorded: {}", told(job, url), chain(error));
    finish(Outcome::Failed, Some("history_unusable"), message, error.hint(), details)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::request::Method;

    fn answer(status: u16, kind: &str, body: &str) -> RawAnswer {
        RawAnswer {
            status,
            latency: Duration::ZERO,
            attempts: 1,
            request_id: Some("r-1".to_owned()),
            client_request_id: None,
            content_type: Some(kind.to_owned()),
            body: body.as_bytes().to_vec(),
            truncated: false,
            refused: None,
            executed: if matches!(status, 500 | 502 | 504) { Executed::Unknown } else { Executed::Yes },
        }
    }

    fn job(method: Method, expected_status: &[u16]) -> Request {
        let settings = crate::http::ClientSettings::default();
        let http = crate::http::Client::new(settings, std::sync::Arc::new(crate::clock::SystemClock));
        let graph = GraphClient::new(http, None, None, "https://graph.example/".parse().unwrap());
        let call = RawCall {
            method,
            version: crate::domain::request::Version::Beta,
            path: "/users/ana@x.example".to_owned(),
            query: vec![("$select".to_owned(), "id,a&b".to_owned())],
            headers: Vec::new(),
            body: Some(serde_json::json!({ "jobTitle": "Chief", "passwordProfile": { "password": "geheim" } })),
            identity: Identity::App,
        };
        Request { graph, call, pages: None, save_bodies: false, expected_status: expected_status.to_vec() }
    }

    #[test]
    fn a_tick_is_green_for_the_expected_status_and_a_body_of_graphs_kind() {
        let json = "application/json; charset=utf-8";
        let cases: [(&[u16], u16, &str, &str, Verdict); 11] = [
            (&[], 200, json, r#"{"value":[]}"#, Verdict::Ok),
            (&[], 204, "", "", Verdict::Ok),
            (&[], 200, "text/plain", "12", Verdict::Ok),
            (&[], 200, "image/jpeg", "\u{1}", Verdict::Ok),
            (&[], 200, "text/html", "<title>Sign in to guest wifi</title>", Verdict::WrongShape),
            (&[], 200, json, r#"{"value":["#, Verdict::WrongShape),
            (&[], 302, "", "", Verdict::Failed),
            (&[302], 302, "", "", Verdict::Ok),
            (&[204], 200, json, "{}", Verdict::Failed),
            (&[], 404, json, "{}", Verdict::Failed),
            (&[404], 404, json, "{}", Verdict::Ok),
        ];
        for (expected, status, kind, body, verdict) in cases {
            let judged = judge(&job(Method::Get, expected), &answer(status, kind, body));
            assert_eq!(judged.0, verdict, "{expected:?} {status} {kind} {body}");
        }
    }

    #[test]
    fn an_answer_that_says_neither_yes_nor_no_leaves_a_write_in_doubt() {
        for (status, verdict) in
            [(204, Verdict::Ok), (400, Verdict::Failed), (503, Verdict::Failed), (504, Verdict::Unknown)]
        {
            let mut given = answer(status, "", "");
            if status >= 400 {
                given.executed = if status == 504 { Executed::Unknown } else { Executed::No };
            }
            assert_eq!(judge_write(&job(Method::Patch, &[]), &given).0, verdict, "{status}");
        }
    }

    #[test]
    fn a_plan_shows_the_call_and_no_secret() {
        let planned = plan(&job(Method::Patch, &[])).unwrap();
        assert_eq!(planned.outcome, Outcome::Planned);
        assert_eq!(planned.message, "nothing was sent; a run would send PATCH /beta/users/{name} as the application");
        let Details::Request(details) = planned.details else { panic!("no details") };
        assert_eq!(details.address, "/beta/users/ana@x.example?$select=id,a%26b");
        let body = details.body.unwrap().to_string();
        assert!(body.contains("Chief") && !body.contains("geheim"), "{body}");
    }
}
