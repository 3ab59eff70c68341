//! Lists: rows of the same shape, newest first unless it is said.

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;

use crate::control::carry::{self, LIST_RUNS};
use crate::control::refusal::one;
use crate::domain::run::RunId;
use crate::history::changes::{ChangeFilter, ChangeId};
use crate::history::events::EventFilter;
use crate::history::moments::MomentFilter;
use crate::history::outbox::NoticeFilter;
use crate::history::runs::RunFilter;
use crate::tables::changes::Shown;
use crate::tables::{self, plan};
use crate::web::api::query::Query;
use crate::web::api::{Answer, page};
use crate::web::lent::Lent;
use crate::web::problem::Problem;

/// The run whose id begins so.
pub(super) async fn run_named(lent: &Lent, prefix: &str) -> Result<RunId, Problem> {
    Ok(one(lent.history.resolve_run_prefix(prefix).await?, "run", prefix, LIST_RUNS)?)
}

/// Okta's id of the person named so, as far as a decision about them is remembered; else the name itself.
async fn user(lent: &Lent, query: &Query) -> Result<Option<String>, Problem> {
    match query.text("user") {
        Some(name) => Ok(Some(carry::person(&lent.history, &name).await?)),
        None => Ok(None),
    }
}

pub(super) async fn runs(State(lent): State<Lent>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &["job", "outcome", "since", "until", "user", "limit", "cursor"])?;
    let limit = query.limit()?;
    let filter = RunFilter {
        job: query.text("job"),
        outcome: query.parsed("outcome")?,
        since: query.moment("since", &lent)?,
        until: query.moment("until", &lent)?,
        user: user(&lent, &query).await?,
        before: query.text("cursor").map(|id| RunId::stored(&id)),
        limit: Some(limit + 1),
    };
    let rows = lent.history.list_runs(&filter).await?;
    let json = |rows: &[_]| tables::runs::table(rows, &(lent.zone)()).to_json();
    Ok(page(rows, (&query, limit), &uri, |last| last.id.to_string(), json))
}

pub(super) async fn changes(State(lent): State<Lent>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &["job", "since", "until", "user", "limit", "cursor"])?;
    changes_that_fit(&lent, &query, &uri, None).await
}

pub(super) async fn changes_of_run(State(lent): State<Lent>, Path(id): Path<String>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &["user", "limit", "cursor"])?;
    let run = run_named(&lent, &id).await?;
    changes_that_fit(&lent, &query, &uri, Some(run)).await
}

async fn changes_that_fit(lent: &Lent, query: &Query, uri: &Uri, run: Option<RunId>) -> Answer {
    let limit = query.limit()?;
    let filter = ChangeFilter {
        user: user(lent, query).await?,
        job: query.text("job"),
        run,
        since: query.moment("since", lent)?,
        until: query.moment("until", lent)?,
        before: query.parsed("cursor")?.map(ChangeId::stored),
        limit: Some(limit + 1),
    };
    let rows = lent.history.list_changes(&filter).await?;
    let json = |rows: &[_]| tables::changes::table(rows, &(lent.zone)(), Shown::Everywhere).to_json();
    Ok(page(rows, (query, limit), uri, |last| last.id.get().to_string(), json))
}

/// The rows behind the first `offset`, of a list that was read from its beginning; and the page that is made of them.
fn counted<T>(
    mut rows: Vec<T>,
    query: &Query,
    uri: &Uri,
    json: impl FnOnce(&[T]) -> serde_json::Value,
) -> Result<Response, Problem> {
    let (offset, limit) = (query.offset()?, query.limit()?);
    rows.drain(..rows.len().min(offset as usize));
    Ok(page(rows, (query, limit), uri, |_| (offset + limit).to_string(), json))
}

/// How many rows have to be read for such a page.
fn reach(query: &Query) -> Result<u32, Problem> {
    Ok(query.offset()? + query.limit()? + 1)
}

pub(super) async fn calls(State(lent): State<Lent>, Path(id): Path<String>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &["limit", "cursor"])?;
    let (before, limit) = (query.parsed("cursor")?.unwrap_or(0_u32), query.limit()?);
    let run = run_named(&lent, &id).await?;
    let rows = lent.history.some_calls_of_run(&run, before.into(), limit + 1).await?;
    let json = |rows: &[_]| tables::calls::table(rows, &(lent.zone)()).to_json();
    Ok(page(rows, (&query, limit), &uri, |_| before.saturating_add(limit).to_string(), json))
}

const RANGE: [&str; 5] = ["job", "since", "until", "limit", "cursor"];

pub(super) async fn missed(State(lent): State<Lent>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &RANGE)?;
    let (job, since, until) = (query.text("job"), query.moment("since", &lent)?, query.moment("until", &lent)?);
    let filter = MomentFilter { job, since, until, missed_only: true, limit: Some(reach(&query)?) };
    let rows = lent.history.list_moments(&filter).await?;
    counted(rows, &query, &uri, |rows| tables::missed::table(rows, &(lent.zone)()).to_json())
}

pub(super) async fn events(State(lent): State<Lent>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &RANGE)?;
    let (job, since, until) = (query.text("job"), query.moment("since", &lent)?, query.moment("until", &lent)?);
    let rows = lent.history.list_events(&EventFilter { job, since, until, limit: Some(reach(&query)?) }).await?;
    counted(rows, &query, &uri, |rows| tables::events::table(rows, &(lent.zone)()).to_json())
}

pub(super) async fn notices(State(lent): State<Lent>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &RANGE)?;
    let (job, since, until) = (query.text("job"), query.moment("since", &lent)?, query.moment("until", &lent)?);
    let rows = lent.history.list_notices(&NoticeFilter { job, since, until, limit: Some(reach(&query)?) }).await?;
    counted(rows, &query, &uri, |rows| tables::notices::table(rows, &(lent.zone)()).to_json())
}

pub(super) async fn plans(State(lent): State<Lent>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &["job", "open", "limit", "cursor"])?;
    let rows = lent.history.list_plans(query.text("job").as_deref(), query.flag("open")?, reach(&query)?).await?;
    counted(rows, &query, &uri, |rows| rows.iter().map(plan::summary).collect())
}
