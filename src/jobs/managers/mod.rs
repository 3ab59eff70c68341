//! Keeps every manager in Entra equal to what Okta says.
//!
//! read → complete? → correlate → resolve → lint → plan → brake → apply → confirm → record. The thinking is in
//! `reconcile`; here are the short loops around it. `pass` is the way of every run over both directories, `one` of a
//! single person, `undo` of taking a run back.

mod apply;
mod confirm;
mod fate;
mod known;
pub mod lookup;
mod one;
mod pass;
mod patience;
mod read;
mod record;
mod rules;
mod summary;
mod undo;

use std::time::Duration;

use crate::domain::run::{Mode, Outcome};
use crate::graph::GraphClient;
use crate::jobs::Task;
use crate::jobs::error::JobError;
use crate::jobs::reading::sign_in;
use crate::jobs::report::{Details, Finish};
use crate::jobs::runner::{Context, unless_stopped};
use crate::okta::OktaClient;
use crate::reconcile::brake::Brake;
use crate::reconcile::percent::Percent;
use crate::reconcile::policy::Policy;

/// A managers job.
#[derive(Debug)]
pub struct Managers {
    pub okta: OktaClient,
    pub graph: GraphClient,
    pub mode: Mode,
    pub policy: Policy,
    pub brake: Brake,
    pub scope: ScopeRule,
    /// The share of the best recent reading below which a listing is not believed.
    pub source_floor: Percent,
    /// Logins or addresses of people without whom the listing is not believed.
    pub canaries: Vec<String>,
    /// How long Entra may need until a write can be read back.
    pub confirm_after: Duration,
    /// How old observed values may be before they are read again ahead of a write.
    pub check_after: Duration,
}

/// Whose managers may be written. Never who may be a manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeRule {
    Everyone,
    /// An Okta search expression.
    Search(String),
    /// An Okta group id.
    Group(String),
    /// An Okta app id.
    App(String),
}

/// Does what is asked, unless the run is stopped while it only reads.
pub(super) async fn run(job: &Managers, task: Task, context: &Context) -> Result<Finish, JobError> {
    let okta = (!matches!(task, Task::Undo { .. })).then_some(&job.okta);
    unless_stopped(&context.stop, Box::pin(sign_in(okta, &job.graph, context.by_hand))).await?;
    match task {
        Task::Run => pass::pass(job, pass::Purpose::Scheduled, context).await,
        Task::Plan => pass::pass(job, pass::Purpose::Plan, context).await,
        Task::Approve { plan, max_age } => pass::pass(job, pass::Purpose::Approve { plan, max_age }, context).await,
        Task::Undo { of, apply } => undo::undo(job, &of, apply, context).await,
        Task::One(name) => one::one(job, &name, context).await,
    }
}

/// A run that was stopped before it wrote anything.
fn stopped() -> Finish {
    Finish {
        outcome: Outcome::Interrupted,
        reason: Some("stopped".to_owned()),
        message: "stopped before anything was written".to_owned(),
        details: Details::None,
        ..Finish::default()
    }
}
