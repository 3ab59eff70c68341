//! How a run ended, for history, for the log and for whoever waits at a terminal.

pub mod details;

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::decision::{ChangeKind, Tally};
use crate::domain::event::{Alarms, Event, News};
use crate::domain::gauge::Gauge;
use crate::domain::run::{JobKind, Outcome, PlanId, RunId, Trigger};
use crate::history::calls::{CallRow, Verdict as CallVerdict};
use crate::history::error::HistoryError;
use crate::history::gauge::Watched;
use crate::http::calls::Call;
use crate::jobs::answers::Reply;
use crate::jobs::error::{JobError, chain};
use crate::jobs::report::details::{DirectoryDetails, RequestDetails};

/// The reason of a run that was not begun, as its scheduled moment has had one.
pub const ALREADY_RUN: &str = "already_run";

/// A whole run, as it is printed; read back, it prints the same.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub run: RunId,
    pub job: String,
    pub kind: JobKind,
    pub trigger: Trigger,
    pub started: Timestamp,
    #[serde(serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub took: Duration,
    /// Whether it has a row in the history. For whoever ordered it here; not part of what is printed.
    #[serde(skip)]
    pub begun: bool,
    #[serde(flatten)]
    pub finish: Finish,
}

fn as_seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

fn from_seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// The end of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Finish {
    pub outcome: Outcome,
    /// A code word: a vendor's code, or one of ours such as `listing_broken`.
    pub reason: Option<String>,
    /// One line that reads alone.
    pub message: String,
    /// What an operator can do about it, where we know.
    pub hint: Option<String>,
    /// How many people's managers are known to be wrong, or not known to be right. For managers jobs.
    pub unresolved: Option<u64>,
    pub details: Details,
    /// The subscription that a keepalive job watches.
    pub gauge: Option<Box<Gauge>>,
    /// What the run noticed of licenses and subscriptions. Also in the history: [`crate::history::events`].
    #[serde(default)]
    pub events: Vec<Event>,
    /// The alarms that stand after a reading of the gauge, for the history alone.
    #[serde(skip)]
    pub alarms: Alarms,
}

impl Default for Finish {
    fn default() -> Self {
        Self {
            outcome: Outcome::Failed,
            reason: None,
            message: String::new(),
            hint: None,
            unresolved: None,
            details: Details::None,
            gauge: None,
            events: Vec::new(),
            alarms: Alarms::new(),
        }
    }
}

/// What the kind of job adds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Details {
    #[default]
    None,
    Managers(Box<ManagersDetails>),
    Licenses(LicensesDetails),
    Keepalive(Vec<Reply>),
    Directory(Box<DirectoryDetails>),
    Request(Box<RequestDetails>),
}

/// What a managers run saw and did.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ManagersDetails {
    pub tally: Tally,
    /// The plan that was stored, when something waits for approval.
    pub plan: Option<PlanId>,
    /// The changes of the plan and what became of them, at most [`ManagersDetails::LISTED`].
    pub changes: Vec<ChangeLine>,
    /// How many changes there are beside these. All are in the history.
    pub more_changes: u64,
    /// What is worth knowing beside the counts, a sentence each.
    pub notes: Vec<String>,
}

impl ManagersDetails {
    /// So many changes are listed: the first adoption of a large company has more than anybody reads, and each takes
    /// some hundred bytes for as long as the report lives.
    pub const LISTED: usize = 10_000;
}

/// One change, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLine {
    pub login: String,
    pub account: String,
    pub kind: ChangeKind,
    /// The manager's user principal name, or object id when the listing does not have it.
    pub from: Option<String>,
    pub to: Option<String>,
    /// `planned`, `held`, `confirmed`, `unconfirmed`, `refused`, `unknown`, `stale`, `vanished`, `not_reached` …
    pub state: Cow<'static, str>,
    /// The vendor's code and message for a refusal, or why it was not tried.
    pub note: Option<String>,
}

/// What a licenses run saw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LicensesDetails {
    pub products: Vec<ProductLine>,
}

/// One product, for people.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ProductLine {
    /// The product's GUID.
    pub sku: String,
    pub part_number: String,
    /// What people call it.
    pub name: String,
    pub status: String,
    pub bought: u64,
    pub assigned: u64,
    /// Past their end, still usable.
    pub warning: u64,
    pub suspended: u64,
    pub locked_out: u64,
    /// An estimate, see [`crate::history::licenses::SkuRow::free`]. Below zero when more is assigned than there is.
    pub free: i64,
    /// By how many seats; 0 also where the product is suspended and its seats mean nothing.
    pub over_used_by: u64,
    pub next_lifecycle: Option<Timestamp>,
    pub trial: Option<bool>,
}

impl Finish {
    /// A run that ended well.
    #[must_use]
    pub fn succeeded(message: String, details: Details) -> Self {
        Self { outcome: Outcome::Succeeded, message, details, ..Self::default() }
    }

    /// The same end, with the run's id where a hint says `RUN`.
    #[must_use]
    pub fn naming(mut self, run: &RunId) -> Self {
        self.hint = self.hint.map(|hint| hint.replace("RUN", run.as_str()));
        self
    }

    /// Another process has the job.
    #[must_use]
    pub fn busy(error: &dyn Error) -> Self {
        Self {
            outcome: Outcome::Busy,
            reason: Some("busy".to_owned()),
            message: chain(error),
            hint: Some("wait for it to end: `graphkeeper jobs` shows it".to_owned()),
            ..Self::default()
        }
    }

    /// The scheduled moment had its run, by the clock as it was before.
    #[must_use]
    pub fn already_run(error: &dyn Error, hint: Option<&str>) -> Self {
        Self { reason: Some(ALREADY_RUN.to_owned()), hint: hint.map(str::to_owned), ..Self::busy(error) }
    }

    /// Nothing useful was done.
    #[must_use]
    pub fn failed(reason: &str, error: &dyn Error, hint: Option<&str>) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            message: chain(error),
            hint: hint.map(str::to_owned),
            ..Self::default()
        }
    }

    /// The history cannot be written, so nothing else may be.
    #[must_use]
    pub fn from_history(error: &HistoryError) -> Self {
        Self::failed("history_unusable", error, error.hint())
    }

    /// The work broke off.
    #[must_use]
    pub fn from_error(error: &JobError, details: Details) -> Self {
        Self {
            outcome: error.outcome(),
            reason: Some(error.reason()),
            message: chain(error),
            hint: error.hint(),
            details,
            ..Self::default()
        }
    }

    /// The run's time was up.
    #[must_use]
    pub fn timed_out(limit: Duration, counted: Option<Self>) -> Self {
        let counted = counted.unwrap_or_default();
        Self {
            outcome: Outcome::TimedOut,
            reason: Some("timed_out".to_owned()),
            message: format!("the run was ended after its time limit of {} seconds", limit.as_secs()),
            hint: Some("the next run goes on; raise the job's `timeout` if this is its usual length".to_owned()),
            ..counted
        }
    }

    /// The run ended so, but its row could not be closed.
    #[must_use]
    pub fn unrecorded(self, error: &HistoryError) -> Self {
        Self {
            outcome: Outcome::Failed,
            reason: Some("history_unusable".to_owned()),
            message: format!("{}; and the end of the run could not be recorded: {}", self.message, chain(error)),
            hint: error.hint().map(str::to_owned),
            ..self
        }
    }

    /// What the run counted, for its row: the kind's own counts, and the calls by service.
    #[must_use]
    pub fn tally(&self, calls: &[Call]) -> Value {
        let mut tally = match &self.details {
            Details::Managers(managers) => {
                let mut tally = serde_json::to_value(&managers.tally).unwrap_or_default();
                tally["notes"] = json!(managers.notes);
                tally
            }
            Details::Licenses(licenses) => {
                json!({ "products": licenses.products.len(), "events": self.events.len() })
            }
            Details::Keepalive(replies) => json!({ "requests": replies.len(), "events": self.events.len() }),
            Details::Directory(directory) => {
                let mut tally = serde_json::to_value(&directory.tally).unwrap_or_default();
                tally["notes"] = json!(directory.notes);
                tally
            }
            Details::Request(request) => json!({ "pages": request.calls.len(), "items": request.items }),
            Details::None => json!({}),
        };
        if let Some(counts) = tally.as_object_mut() {
            counts.insert("calls".to_owned(), Value::Object(by_service(calls)));
        }
        tally
    }

    /// What a run of `job` found of the subscription that it watches, for the history.
    #[must_use]
    pub fn watched(&self, job: &str) -> Option<Box<Watched>> {
        let gauge = self.gauge.as_deref()?.clone();
        let news = News { events: self.events.clone(), alarms: self.alarms.clone() };
        Some(Box::new(Watched { job: job.to_owned(), gauge, news }))
    }

    /// The run's calls as rows: what failed, what answered in another shape than promised.
    #[must_use]
    pub fn call_rows(&self, calls: &[Call]) -> Vec<CallRow> {
        let recorded = match &self.details {
            Details::Request(request) => request.recorded.as_ref(),
            _ => None,
        };
        let is_new = |call: &&Call| recorded.is_none() || call.client_request_id.as_ref() != recorded;
        calls.iter().filter(is_new).map(|call| self.call_row(call)).collect()
    }

    fn call_row(&self, call: &Call) -> CallRow {
        let replies = match &self.details {
            Details::Keepalive(replies) => replies.as_slice(),
            Details::Request(request) => request.calls.as_slice(),
            _ => &[],
        };
        let is_this =
            |reply: &&Reply| reply.client_request_id.is_some() && reply.client_request_id == call.client_request_id;
        let reply = replies.iter().find(is_this);
        let good = call.error.is_none() && call.status.is_some_and(|status| (200..300).contains(&status));
        CallRow {
            at: call.at,
            service: call.service.as_str().to_owned(),
            method: call.method.clone(),
            path: call.path.clone(),
            status: call.status,
            latency_ms: u64::try_from(call.duration.as_millis()).unwrap_or(u64::MAX),
            attempts: call.attempts,
            request_id: call.request_id.clone(),
            client_request_id: call.client_request_id.clone(),
            verdict: match reply {
                Some(reply) => reply.verdict,
                None if good => CallVerdict::Ok,
                None => CallVerdict::Failed,
            },
            error: reply.and_then(|reply| reply.problem.clone()).or_else(|| call.error.clone()),
            body: reply.and_then(|reply| reply.body.clone()),
        }
    }
}

/// How many requests went to each service, attempts counted one by one.
fn by_service(calls: &[Call]) -> Map<String, Value> {
    let mut counts = Map::new();
    for call in calls {
        let entry = counts.entry(call.service.as_str()).or_insert_with(|| json!(0));
        *entry = json!(entry.as_u64().unwrap_or(0) + u64::from(call.attempts));
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::Reason;
    use crate::domain::import::{Changed, Count, Difference, Entry, Kind};
    use crate::domain::request::Method;

    fn report(took: Duration, details: Details) -> Report {
        Report {
            run: RunId::stored("7f3k0000"),
            job: "managers".to_owned(),
            kind: JobKind::Managers,
            trigger: Trigger::Manual,
            started: "2026-11-21T06:00:00.123456789Z".parse().unwrap(),
            took,
            begun: false,
            finish: Finish {
                reason: Some("busy".to_owned()),
                hint: Some("wait".to_owned()),
                unresolved: Some(3),
                ..Finish::succeeded("one line".to_owned(), details)
            },
        }
    }

    #[test]
    fn a_report_that_was_sent_and_read_prints_the_same() {
        let change = ChangeLine {
            login: "ana".to_owned(),
            account: "ana@corp.example".to_owned(),
            kind: ChangeKind::Change,
            from: None,
            to: Some("bo".to_owned()),
            state: Cow::Borrowed("confirmed"),
            note: None,
        };
        let mut managers =
            ManagersDetails { changes: vec![change], notes: vec!["a note".to_owned()], ..Default::default() };
        managers.tally.reasons.insert(Reason::Agreed, 12);
        managers.plan = Some(PlanId::stored("p1"));
        let product = ProductLine {
            part_number: "E5".to_owned(),
            status: "Enabled".to_owned(),
            bought: 25,
            assigned: 30,
            free: -5,
            over_used_by: 5,
            next_lifecycle: Some(Timestamp::UNIX_EPOCH),
            ..ProductLine::default()
        };
        let reply = Reply {
            path: "/me".to_owned(),
            status: Some(200),
            latency_ms: 12,
            request_id: Some("id".to_owned()),
            client_request_id: Some("never printed".to_owned()),
            verdict: CallVerdict::Ok,
            problem: None,
            body: Some("never printed".to_owned()),
        };
        let entry = Entry {
            kind: Kind::UnmatchedInOkta,
            person: Some("00u1".to_owned()),
            login: "ana".to_owned(),
            status: "ACTIVE".to_owned(),
            account: None,
            upn: String::new(),
            guest: false,
            disabled: false,
        };
        let changed = Changed { difference: Difference::Renamed, entry: entry.clone(), before: Some(entry.clone()) };
        let mut directory = DirectoryDetails { entries: vec![entry], changes: vec![changed], ..Default::default() };
        directory.tally.kinds.insert(Kind::Matched, Count { entries: 3, guests: 1, disabled: 1 });
        directory.tally.differences.insert(Difference::Gone, 1);
        let request = RequestDetails {
            method: Some(Method::Patch),
            address: "/v1.0/users/1".to_owned(),
            body: Some(json!({ "a": 1 })),
            recorded: Some("never printed".to_owned()),
            ..Default::default()
        };
        for details in [
            Details::None,
            Details::Directory(Box::new(directory)),
            Details::Request(Box::new(request)),
            Details::Managers(Box::new(managers)),
            Details::Licenses(LicensesDetails { products: vec![product] }),
            Details::Keepalive(vec![reply]),
        ] {
            let sent = serde_json::to_string(&report(Duration::from_nanos(86_400_123_456_789), details)).unwrap();
            assert!(!sent.contains("never printed"), "{sent}");
            let read: Report = serde_json::from_str(&sent).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), sent);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_length_of_a_run_up_to_eleven_days_changes_on_the_way(seconds in 0_u64..1_000_000, nanos in 0_u32..1_000_000_000) {
            let sent = serde_json::to_string(&report(Duration::new(seconds, nanos), Details::None)).unwrap();
            let read: Report = serde_json::from_str(&sent).unwrap();
            proptest::prop_assert_eq!(serde_json::to_string(&read).unwrap(), sent);
        }
    }
}
