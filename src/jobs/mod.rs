//! What the program does: managers, licenses, keepalive, imports, requests; and the one way to run any of them.
//!
//! Brings Okta, Graph and the history together around the pure thinking of `reconcile`. Knows nothing of files, flags and
//! schedules.

pub mod answers;
pub mod directory;
pub mod error;
pub mod keepalive;
pub mod licenses;
mod links;
pub mod lock;
pub mod meter;
pub mod managers;
pub mod progress;
pub mod reading;
pub mod request;
pub mod report;
pub mod runner;
pub mod told;

use std::time::Duration;

use crate::domain::run::{JobKind, PlanId, RunId};
use crate::jobs::error::JobError;
use crate::jobs::report::{Details, Finish};
use crate::jobs::runner::{Context, unless_stopped};

/// A job as configured: its name, its time limit, its work.
#[derive(Debug)]
pub struct Job {
    pub name: String,
    pub timeout: Duration,
    pub work: Work,
}

/// The kinds of work. The set is closed.
#[derive(Debug)]
pub enum Work {
    Managers(Box<managers::Managers>),
    Licenses(licenses::Licenses),
    Keepalive(keepalive::Keepalive),
    Directory(directory::Directory),
    Request(Box<request::Request>),
}

/// What a run is to do with its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// What the job is for.
    Run,
    /// Reads and shows, never writes.
    Plan,
    /// Carries out what of a stored plan still holds, unless it was last seen longer ago than `max_age`.
    Approve { plan: PlanId, max_age: jiff::SignedDuration },
    /// Puts back what a run wrote. Without `apply`, only shows it.
    Undo { of: RunId, apply: bool },
    /// One person, named by login, address or id.
    One(String),
}

impl Job {
    #[must_use]
    pub const fn kind(&self) -> JobKind {
        match self.work {
            Work::Managers(_) => JobKind::Managers,
            Work::Licenses(_) => JobKind::Licenses,
            Work::Keepalive(_) => JobKind::Keepalive,
            Work::Directory(_) => JobKind::Directory,
            Work::Request(_) => JobKind::Request,
        }
    }

    /// Whether each call is kept as a row. A run over both directories makes hundreds and keeps their counts instead.
    #[must_use]
    pub const fn keeps_calls(&self) -> bool {
        !matches!(self.work, Work::Managers(_) | Work::Directory(_))
    }

    /// Does the work. Every error becomes the end of a run.
    pub(crate) async fn work(&self, task: Task, context: Context) -> Finish {
        let done = match (&self.work, task) {
            (Work::Managers(job), task) => managers::run(job, task, &context).await,
            (Work::Licenses(job), Task::Run) => {
                unless_stopped(&context.stop, Box::pin(licenses::run(job, &context))).await
            }
            (Work::Keepalive(job), Task::Run) => keepalive::run(job, &context).await,
            (Work::Directory(job), Task::Run) => directory::run(job, &context).await,
            (Work::Request(job), Task::Run) => request::run(job, &context).await,
            (Work::Request(job), Task::Plan) => request::plan(job),
            (_, task) => Err(unfit(self, &task)),
        };
        done.unwrap_or_else(|error| Finish::from_error(&error, Details::None))
    }
}

fn unfit(job: &Job, task: &Task) -> JobError {
    let (job, kind) = (&job.name, job.kind());
    let what = match task {
        Task::Run => "run",
        Task::Plan => "plan",
        Task::Approve { .. } => "approve",
        Task::Undo { .. } => "undo",
        Task::One(_) => "run --user",
    };
    JobError::Refused {
        reason: "unfit",
        message: format!("`{what}` is nothing that the job `{job}` of the kind {kind} can do"),
        hint: Some("`graphkeeper jobs` lists the jobs and their kinds".to_owned()),
    }
}
