//! Reads both directories page by page, into what comparing them needs, and judges whether the reading may be believed.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use jiff::SignedDuration;

use crate::domain::directory::{Accounts, NewPerson, People};
use crate::domain::run::RunId;
use crate::graph::{self, Expand, GraphClient, Identity};
use crate::history::source::SourceReading;
use crate::jobs::error::JobError;
use crate::jobs::progress::Progress;
use crate::jobs::runner::Context;
use crate::okta::{self, OktaClient, User};
use crate::reconcile::completeness::{Baseline, Doubt, Reading, judge};
use crate::reconcile::percent::Percent;
use crate::reconcile::policy::AccountKey;

/// Readings older than this are no measure any more.
const BASELINE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Signs in to both sides, or to Graph alone, before either is read: with one credential dead, nothing is asked of the other
/// side. `anew` tries again what was refused a moment ago.
pub(super) async fn sign_in(okta: Option<&OktaClient>, graph: &GraphClient, anew: bool) -> Result<(), JobError> {
    let okta = async {
        match okta {
            Some(okta) => okta.sign_in(anew).await,
            None => Ok(()),
        }
    };
    let (okta, graph) = tokio::join!(okta, graph.sign_in(Identity::App, anew));
    okta?;
    Ok(graph?)
}

/// How much was read so far, of both sides together.
pub(super) struct Meter<'a> {
    progress: &'a Progress,
    read: AtomicU64,
}

impl<'a> Meter<'a> {
    pub(super) const fn new(progress: &'a Progress) -> Self {
        Self { progress, read: AtomicU64::new(0) }
    }

    fn add(&self, items: usize) {
        let before = self.read.fetch_add(items as u64, Ordering::Relaxed);
        self.progress.say("people and accounts read", before + items as u64, None);
    }
}

/// Everybody whom Okta lists, with the attributes that `columns` name. A page that does not arrive is an error.
pub(super) async fn people(okta: &OktaClient, columns: &[String], meter: &Meter<'_>) -> Result<People, JobError> {
    let mut people = People::new(columns);
    let mut pages = okta.list_users();
    while let Some(page) = pages.next().await {
        match page? {
            okta::Page::Items(users) => {
                for user in &users {
                    push_person(&mut people, user);
                }
                meter.add(users.len());
            }
            okta::Page::Restarted => people = People::new(columns),
        }
    }
    people.seal();
    Ok(people)
}

/// Adds what the columns ask for of one user.
pub fn push_person(people: &mut People, user: &User) {
    let values: Vec<_> = people.columns().iter().map(|name| user.attribute(name).unwrap_or_default()).collect();
    let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
    people.push(&NewPerson { id: &user.id, status: user.status, values: &values });
}

/// Every account, with these properties of each. A page that does not arrive is an error.
pub(super) async fn accounts(
    graph: &GraphClient,
    properties: &[&str],
    expand: Expand,
    meter: &Meter<'_>,
) -> Result<Accounts, JobError> {
    let mut accounts = Accounts::new();
    let mut pages = graph.list_accounts(properties, expand);
    while let Some(page) = pages.next().await {
        match page? {
            graph::Page::Items(items) => {
                for account in &items {
                    account.push_into(&mut accounts);
                }
                meter.add(items.len());
            }
            graph::Page::Restarted => accounts = Accounts::new(),
        }
    }
    accounts.seal();
    Ok(accounts)
}

/// What Graph is asked for beside id and user principal name: the attributes to compare with, and `mail` where accounts
/// are also named by it.
pub(super) fn properties(keys: impl IntoIterator<Item = AccountKey>, mail: bool) -> Vec<&'static str> {
    let asked = keys.into_iter().filter(|key| !matches!(key, AccountKey::Id | AccountKey::UserPrincipalName));
    let mut names: Vec<&'static str> = asked.map(AccountKey::as_str).collect();
    if mail && !names.contains(&"mail") {
        names.push("mail");
    }
    names
}

/// Whether a reading is believed, and what it was measured by.
pub(super) struct Belief {
    /// `None` when no earlier reading was believed.
    pub baseline: Option<Baseline>,
    pub verdict: Result<(), Vec<Doubt>>,
}

/// Judges the reading and keeps its counts, believed or not.
pub(super) async fn believed(context: &Context, reading: &Reading, floor: Percent) -> Result<Belief, JobError> {
    let now = context.now();
    let baseline = match context.history.baseline(&context.job, now - BASELINE).await? {
        // A job that runs rarely is measured by its last reading, however old.
        None => context.history.last_believed_reading(&context.job).await?,
        recent => recent,
    };
    let baseline =
        baseline.map(|base| Baseline { people: base.people, with_reference: base.with_reference, scope: base.scope });
    let verdict = judge(reading, baseline.as_ref(), floor);
    let counts = reading.counts;
    context
        .history
        .record_reading(&SourceReading {
            run: context.run.clone(),
            job: context.job.clone(),
            at: now,
            people: counts.people,
            with_reference: counts.with_reference.unwrap_or(0),
            scope: counts.scope,
            accounts: counts.accounts,
            complete: verdict.is_ok(),
        })
        .await?;
    Ok(Belief { baseline, verdict })
}

/// Doubts as one line, and the first remedy among them.
pub(super) fn in_words(run: &RunId, doubts: &[Doubt]) -> (String, Option<String>) {
    let named: Vec<String> = doubts.iter().map(ToString::to_string).collect();
    let hint = doubts
        .first()
        .map(|doubt| doubt.hint().replace("accept-source` with this run", &format!("accept-source {run}`")));
    (named.join("; "), hint)
}
