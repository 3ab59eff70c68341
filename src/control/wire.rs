//! What travels through the control socket. Nothing in it is secret but the code that a browser brought back, which is
//! worth nothing without what the service keeps; and nothing that is asked may have an unknown field.

use std::fmt;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::control::refusal::Told;
use crate::domain::decision::Reason;
use crate::domain::run::RunId;
use crate::jobs::progress::Step;
use crate::jobs::report::Report;

/// Counted up whenever a question or an answer changes its meaning. Each request names it, and each answer.
pub const PROTOCOL: u32 = 1;
/// The header that names it.
pub const PROTOCOL_HEADER: &str = "graphkeeper-protocol";
/// The header of a request by root that names who became root, as far as `sudo` told the program that asks. A claim.
pub const CLAIM_HEADER: &str = "graphkeeper-sudo-user";
/// The header of an answer that names the version of the service.
pub const VERSION_HEADER: &str = "graphkeeper-version";
/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The way out when both ends are not of one protocol.
pub const SAME_VERSION: &str = "after an upgrade the service has to be started anew: `systemctl restart graphkeeper`; or call the version that it runs";

/// The address of each request.
pub mod path {
    pub const RUNS: &str = "/v1/runs";
    pub const STOP: &str = "/v1/runs/{run}/stop";
    pub const RELEASE: &str = "/v1/release";
    pub const ACCEPT_SOURCE: &str = "/v1/accept-source";
    pub const PAUSE: &str = "/v1/pause";
    pub const RESUME: &str = "/v1/resume";
    pub const LOGIN: &str = "/v1/login";
    pub const CAME_BACK: &str = "/v1/login/back";
    pub const LOGOUT: &str = "/v1/logout";
    pub const DOCTOR: &str = "/v1/doctor";
    pub const NOTIFY_TEST: &str = "/v1/notify-test";
    pub const ABOUT: &str = "/v1/about";
}

/// What is to be run. Runs and plans are named by the beginning of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case", deny_unknown_fields)]
pub enum RunRequest {
    Run { job: String },
    One { job: String, user: String },
    Plan { job: String },
    Approve { plan: String, max_age: SignedDuration },
    Undo { run: String, apply: bool },
}

/// What the service says of a run, a line each: steps, then one of the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    Progress(Step),
    Report(Box<Report>),
    Failure(Told),
}

/// How a person is to be signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum LoginRequest {
    /// On any device. Braces: without them serde would take unknown fields.
    Code {},
    /// With a browser, which comes back to this port of its own machine: whoever asks listens there.
    Browser { port: u16 },
}

/// What the service says of a sign-in, a line each: what to show, then one of the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginLine {
    /// Where the person goes, and what they type there. Good for so many seconds.
    Code {
        address: String,
        code: String,
        seconds: u64,
    },
    /// What the browser opens. It comes back with `state`, and what it brings is the next request.
    Browser {
        address: String,
        state: String,
    },
    SignedIn(Person),
    Failure(Told),
}

/// A person who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub tenant: String,
    pub client_id: String,
    /// What was granted, as the vendor spells it.
    pub scopes: Vec<String>,
}

/// What a browser brought back to whoever asked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameBack {
    /// Of the sign-in that it belongs to.
    pub state: String,
    pub code: Option<String>,
    /// Instead of a code: why there is none.
    pub error: Option<String>,
    pub description: Option<String>,
}

/// A code is worth a sign-in for some minutes: it is not printed.
impl fmt::Debug for CameBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CameBack").field("error", &self.error).finish_non_exhaustive()
    }
}

/// A person who is not signed in any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedOut {
    /// Whether anybody was.
    pub signed_out: bool,
    /// A first refresh token is configured, and signs in with the next run.
    pub first_token: bool,
}

/// Whom the next run is to try again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    pub users: Vec<String>,
    pub job: Option<String>,
    pub reason: Option<Reason>,
}

/// Who was released.
#[derive(Debug, Serialize, Deserialize)]
pub struct Released {
    pub people: Vec<ReleasedPerson>,
    /// Those named whom no job left alone.
    pub missed: Vec<String>,
}

/// One person who was left alone until now.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReleasedPerson {
    pub job: String,
    pub person: String,
    pub login: String,
    pub reason: Reason,
    pub since: Timestamp,
    pub cause: String,
    pub run: RunId,
}

/// The run whose counts are the new normal, by the beginning of its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptRequest {
    pub run: String,
}

/// What was accepted.
#[derive(Debug, Serialize, Deserialize)]
pub struct Accepted {
    pub run: RunId,
    pub job: String,
    pub people: u64,
    /// `None` of a job that does not look at managers; so is the next.
    pub with_reference: Option<u64>,
    pub in_scope: Option<u64>,
    pub accounts: u64,
    pub accepted_by: String,
    pub accepted_at: Timestamp,
}

/// The job to pause or to resume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    pub job: String,
}

/// What pausing or resuming came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub job: String,
    /// Since when, if it is paused now.
    pub since: Option<Timestamp>,
    /// By whom, if it is paused now.
    pub by: Option<String>,
    /// False when it was so already.
    pub changed: bool,
}

/// Asks the service to examine itself and those it talks to. The answer is a [`crate::doctor::Report`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoctorRequest {}

/// The channel on which a test is to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    pub channel: String,
}

/// A test notice that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    pub channel: String,
    /// What is worth knowing of its arrival.
    pub note: Option<String>,
}

/// The service as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub pid: u32,
    pub state_directory: PathBuf,
    /// Rows of the ledger that wait to be written.
    pub unwritten: usize,
    /// What is wrong with the file as it is now, where the configuration before it is served.
    pub refused: Option<Refused>,
    /// What parts of the service cannot do their work, and why.
    pub concerns: Vec<String>,
}

/// A configuration that the service does not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub since: Timestamp,
    /// The first thing that is wrong with it.
    pub problem: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_and_an_unknown_field_is_refused() {
        let job = || "managers".to_owned();
        let max_age = SignedDuration::from_hours(24);
        for (request, text) in [
            (RunRequest::Run { job: job() }, r#"{"task":"run","job":"managers"}"#),
            (RunRequest::One { job: job(), user: "ana".to_owned() }, r#"{"task":"one","job":"managers","user":"ana"}"#),
            (RunRequest::Plan { job: job() }, r#"{"task":"plan","job":"managers"}"#),
            (
                RunRequest::Approve { plan: "p3".to_owned(), max_age },
                r#"{"task":"approve","plan":"p3","max_age":"PT24H"}"#,
            ),
            (RunRequest::Undo { run: "7f".to_owned(), apply: true }, r#"{"task":"undo","run":"7f","apply":true}"#),
        ] {
            assert_eq!(serde_json::to_string(&request).unwrap(), text);
            assert_eq!(serde_json::from_str::<RunRequest>(text).unwrap(), request);
            let more = text.replacen('}', r#","dry_run":true}"#, 1);
            assert!(serde_json::from_str::<RunRequest>(&more).is_err(), "{more}");
        }
        assert_eq!(serde_json::to_string(&LoginRequest::Browser { port: 7 }).unwrap(), r#"{"by":"browser","port":7}"#);
        assert!(serde_json::from_str::<LoginRequest>(r#"{"by":"code","port":7}"#).is_err());
        let back = r#"{"state":"s","code":"hush","error":null,"description":null}"#;
        assert!(!format!("{:?}", serde_json::from_str::<CameBack>(back).unwrap()).contains("hush"));
        assert!(serde_json::from_str::<RunRequest>(r#"{"task":"erase","job":"managers"}"#).is_err());
        assert!(serde_json::from_str::<JobRequest>(r#"{"job":"managers","why":"x"}"#).is_err());
        assert!(serde_json::from_str::<DoctorRequest>(r#"{"fix":true}"#).is_err());
        assert!(serde_json::from_str::<AcceptRequest>(r#"{"run":"7f","job":"x"}"#).is_err());
        assert!(serde_json::from_str::<ReleaseRequest>(r#"{"users":[],"job":null,"reason":null,"all":true}"#).is_err());
    }
}
