//! One person: why their manager is as it is, for each job that ever looked at them.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::history::changes::{Change, ChangeFilter};
use crate::history::decisions::PastDecision;
use crate::history::error::HistoryError;
use crate::history::parked::ParkedPerson;
use crate::history::{Found, History};
use crate::reconcile::evidence::{Evidence, Named};
use crate::reconcile::meaning::{meaning, remedy};
use crate::tables::changes::{self, Shown};
use crate::tables::table::{Cell, Table};

/// How many writes are told, the newest.
const WRITES: u32 = 10;
/// How many former decisions are told of a job, the newest.
const FORMER: usize = 10;

/// All that is told of a person.
#[derive(Debug)]
pub struct Told {
    /// Newest first, of all jobs; at least one.
    pub decisions: Vec<PastDecision>,
    pub parked: Vec<ParkedPerson>,
    pub writes: Vec<Change>,
}

/// What to do about a name that leads to nobody.
pub const UNKNOWN: &str = "name the person by Okta login or id, or by the account's user principal name, whole or its \
                           beginning; people are known once a managers job has run";

/// Reads what is told of the person whom a name leads to.
pub async fn read(history: &History, name: &str) -> Result<Found<Told>, HistoryError> {
    let decisions = match history.decisions_of_user(name).await? {
        Found::One(decisions) => decisions,
        Found::Several(candidates) => return Ok(Found::Several(candidates)),
        Found::Nothing => return Ok(Found::Nothing),
    };
    let Some(person) = decisions.first().map(|one| one.person.clone()) else { return Ok(Found::Nothing) };
    let mut parked = history.list_parked(None).await?;
    parked.retain(|one| one.person == person);
    let filter =
        ChangeFilter { user: Some(person.as_str().to_owned()), limit: Some(WRITES), ..ChangeFilter::default() };
    let writes = history.list_changes(&filter).await?;
    Ok(Found::One(Told { decisions, parked, writes }))
}

impl Told {
    /// The jobs that looked at the person, those that decided last first.
    #[must_use]
    pub fn jobs(&self) -> Vec<Of<'_>> {
        let mut names: Vec<&str> = Vec::new();
        for decision in &self.decisions {
            if !names.contains(&decision.job.as_str()) {
                names.push(&decision.job);
            }
        }
        names.into_iter().filter_map(|job| self.of(job)).collect()
    }

    fn of(&self, job: &str) -> Option<Of<'_>> {
        let mut decisions = self.decisions.iter().filter(|one| one.job == job);
        Some(Of {
            decision: decisions.next()?,
            former: decisions.take(FORMER).collect(),
            parked: self.parked.iter().find(|one| one.job == job),
            writes: self.writes.iter().filter(|one| one.job == job).cloned().collect(),
        })
    }
}

/// What is told of a person and one job.
#[derive(Debug)]
pub struct Of<'a> {
    pub decision: &'a PastDecision,
    pub former: Vec<&'a PastDecision>,
    pub parked: Option<&'a ParkedPerson>,
    pub writes: Vec<Change>,
}

/// A person.
///
/// JSON: `{person, login, upn, account, jobs}`, where each of `jobs` is `{job, standing, reason, meaning, remedy, since,
/// first_run, last_run, last_seen, evidence, parked, writes, former}`. `evidence` is what was read and which rules were
/// tried, as stored; `parked` is null or `{reason, cause, remedy, since, review}`; `writes` are as of `history changes`;
/// `former` is a list of `{reason, from, to, first_run, last_run}`.
#[must_use]
pub fn object(told: &Told, zone: &TimeZone) -> Value {
    let newest = &told.decisions[0];
    json!({
        "person": newest.person.as_str(),
        "login": newest.login,
        "upn": (!newest.upn.is_empty()).then_some(&newest.upn),
        "account": newest.account.map(|account| account.to_string()),
        "jobs": told.jobs().iter().map(|of| job_object(of, zone)).collect::<Vec<_>>(),
    })
}

/// Every decision as a row, for a spreadsheet.
#[must_use]
pub fn rows(decisions: &[PastDecision], zone: &TimeZone) -> Table {
    let columns = ["job", "person", "login", "reason", "standing", "from", "to", "first_run", "last_run", "meaning"];
    let mut table = Table::new(&columns.map(|key| (key, key)), "");
    for one in decisions {
        table.push(vec![
            Cell::text(&one.job),
            Cell::text(one.person.as_str()),
            Cell::text(&one.login),
            Cell::text(one.reason.as_str()),
            Cell::new(one.standing, one.standing.to_string()),
            Cell::moment(one.first_at, zone),
            Cell::moment(one.last_at, zone),
            Cell::text(one.first_run.as_str()),
            Cell::text(one.last_run.as_str()),
            Cell::text(meaning(one.reason)),
        ]);
    }
    table
}

/// The evidence, unless it is of another version of the program.
#[must_use]
pub fn evidence(decision: &PastDecision) -> Option<Evidence> {
    let person = Named { id: decision.person.as_str().to_owned(), name: decision.login.clone() };
    let account = decision.account.map(|id| Named { id: id.to_string(), name: decision.upn.clone() });
    Evidence::restored(&decision.evidence, &person, account.as_ref(), decision.reason).ok()
}

/// Former decisions, one a row.
#[must_use]
pub fn former(decisions: &[&PastDecision], zone: &TimeZone) -> Table {
    let columns =
        [("reason", "Reason"), ("from", "From"), ("to", "To"), ("first_run", "First run"), ("last_run", "Last run")];
    let mut table = Table::new(&columns, "");
    for one in decisions {
        table.push(vec![
            Cell::text(one.reason.as_str()),
            Cell::moment(one.first_at, zone),
            Cell::moment(one.last_at, zone),
            Cell::text(one.first_run.as_str()),
            Cell::text(one.last_run.as_str()),
        ]);
    }
    table
}

fn job_object(of: &Of<'_>, zone: &TimeZone) -> Value {
    let decision = of.decision;
    json!({
        "job": decision.job,
        "standing": decision.standing,
        "reason": decision.reason,
        "meaning": meaning(decision.reason),
        "remedy": remedy(decision.reason),
        "since": decision.first_at.to_string(),
        "first_run": decision.first_run,
        "last_run": decision.last_run,
        "last_seen": decision.last_at.to_string(),
        "evidence": evidence(decision).map_or_else(
            || serde_json::from_str(&decision.evidence).unwrap_or_default(),
            |evidence| json!(evidence),
        ),
        "parked": of.parked.map(|parked| json!({
            "reason": parked.reason,
            "cause": parked.cause,
            "remedy": parked.remedy,
            "since": parked.since.to_string(),
            "review": parked.review_at.map(|review| review.to_string()),
        })),
        "writes": changes::table(&of.writes, zone, Shown::OfPerson).to_json(),
        "former": former(&of.former, zone).to_json(),
    })
}
