//! What is to be told, looked up.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tracing::warn;

use crate::daemon::About;
use crate::domain::condition::Known;
use crate::domain::decision::Reason;
use crate::domain::gauge::Gauge;
use crate::domain::run::JobKind;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::figures::{LastTally, WaitingPlans};
use crate::history::licenses::LicenseSnapshot;
use crate::history::outbox::ChannelState;
use crate::history::runs::Run;
use crate::http::meter::Counts as VendorCounts;
use crate::jobs::meter::Counts as RunCounts;
use crate::web::lent::Lent;

/// Everything there is to tell, as of one moment.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) since: Timestamp,
    pub(super) about: About,
    pub(super) stalled: bool,
    pub(super) jobs: Vec<(String, JobKind)>,
    /// Names of the channels on which people are told.
    pub(super) channels: Vec<String>,
    pub(super) vendors: VendorCounts,
    pub(super) runs: RunCounts,
    /// None: the history cannot be read.
    pub(super) past: Option<Past>,
}

/// What the history knows.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) jobs: BTreeMap<String, JobPast>,
    pub(super) identities: Vec<Known>,
    pub(super) licenses: Option<LicenseSnapshot>,
    pub(super) plans: Vec<WaitingPlans>,
    pub(super) parked: Vec<(String, Reason, u64)>,
    pub(super) paused: BTreeSet<String>,
    pub(super) channels: Vec<ChannelState>,
}

/// What it knows of a job.
#[derive(Debug, Default)]
pub(super) struct JobPast {
    /// The newest ended run in which the job did what it is for.
    pub(super) last: Option<Run>,
    pub(super) success: Option<Timestamp>,
    pub(super) success_due: Option<Timestamp>,
    pub(super) tally: Option<LastTally>,
    pub(super) gauge: Option<Gauge>,
}

pub(super) async fn facts(lent: &Lent) -> Facts {
    let (app, now) = ((lent.app)(), lent.clock.now());
    let jobs = app.kinds();
    let past = match past(&lent.history, &jobs, now).await {
        Ok(past) => Some(Past { identities: app.identities_as_of(&past.identities, now), ..past }),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            warn!(error, "the history could not be read for whoever watches");
            None
        }
    };
    Facts {
        since: app.meter().since(),
        about: lent.desk.about(),
        stalled: lent.desk.is_stalled(),
        channels: app.channels(),
        vendors: app.vendor_counts(),
        runs: app.meter().read(),
        jobs,
        past,
    }
}

async fn past(history: &History, jobs: &[(String, JobKind)], now: Timestamp) -> Result<Past, HistoryError> {
    let mut of_jobs = BTreeMap::new();
    for (name, kind) in jobs {
        of_jobs.insert(name.clone(), job_past(history, name, *kind, now).await?);
    }
    Ok(Past {
        jobs: of_jobs,
        identities: history.identities().await?,
        licenses: history.latest_licenses().await?,
        plans: history.waiting_plans().await?,
        parked: history.parked_counts().await?,
        channels: history.channels().await?,
        paused: history.pauses().await?.into_keys().collect(),
    })
}

async fn job_past(history: &History, name: &str, kind: JobKind, now: Timestamp) -> Result<JobPast, HistoryError> {
    let tally = if kind == JobKind::Managers { history.last_tally(name).await? } else { None };
    let gauge = if kind == JobKind::Keepalive { history.last_gauge(name).await? } else { None };
    Ok(JobPast {
        last: history.last_run_proper(name).await?,
        success: history.last_success(name).await?,
        success_due: history.success_due(name, now).await?,
        tally,
        gauge: gauge.map(|gauge| gauge.as_of(now)),
    })
}
