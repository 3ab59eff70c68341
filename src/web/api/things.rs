//! One thing each, or all there are of a few.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::{Span, Timestamp};
use serde_json::Value;

use crate::control::carry::LIST_RUNS;
use crate::control::refusal::one;
use crate::domain::import::Kind;
use crate::history::Found;
use crate::history::directory::Import;
use crate::history::licenses::LicenseSnapshot;
use crate::jobs::licenses::differences;
use crate::tables::changes::{self, Shown};
use crate::tables::imports::{self, News};
use crate::tables::plan::Told as Plan;
use crate::tables::{self, identities as identity, person as people, plan as plans};
use crate::web::api::Answer;
use crate::web::api::lists::run_named;
use crate::web::api::query::{LIMITS, Query, wrong};
use crate::web::lent::Lent;
use crate::web::problem::Problem;

/// How many changes are told with the run or the plan that they are of. Their own list has them all.
const CHANGES: u32 = LIMITS.0;

fn json(value: Value) -> Response {
    Json(value).into_response()
}

fn missing(detail: impl Into<String>, hint: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, detail, Some(hint))
}

pub(super) async fn run(State(lent): State<Lent>, Path(id): Path<String>, uri: Uri) -> Answer {
    Query::read(&uri, &[])?;
    let id = run_named(&lent, &id).await?;
    let told = tables::run::read(&lent.history, &id, Some(CHANGES)).await?.map_or(Found::Nothing, Found::One);
    let told = one(told, "run", id.as_str(), LIST_RUNS)?;
    let rows = changes::table(&told.changes, &(lent.zone)(), Shown::OfRun);
    let reasons = tables::run::reasons(told.run.managers_tally().as_ref());
    Ok(json(tables::run::object(&told, &reasons, &rows)))
}

pub(super) async fn plan(State(lent): State<Lent>, Path(id): Path<String>, uri: Uri) -> Answer {
    Query::read(&uri, &[])?;
    let hint = "`graphkeeper jobs` names the plans that wait";
    let found = one(lent.history.find_plan(&id).await?, "plan", &id, hint)?;
    let told = Plan::read(&lent.history, found, Some(CHANGES)).await?;
    Ok(json(plans::object(&told, &plans::changes(&told.changes))))
}

pub(super) async fn person(State(lent): State<Lent>, Path(name): Path<String>, uri: Uri) -> Answer {
    Query::read(&uri, &[])?;
    let told = one(people::read(&lent.history, &name).await?, "person", &name, people::UNKNOWN)?;
    Ok(json(people::object(&told, &(lent.zone)())))
}

pub(super) async fn jobs(State(lent): State<Lent>, uri: Uri) -> Answer {
    Query::read(&uri, &[])?;
    let now = lent.clock.now();
    let overview = (lent.overview)(lent.history.clone(), now).await?;
    Ok(json(overview.table(&(lent.zone)(), now).to_json()))
}

pub(super) async fn identities(State(lent): State<Lent>, uri: Uri) -> Answer {
    Query::read(&uri, &[])?;
    let overview = (lent.overview)(lent.history.clone(), lent.clock.now()).await?;
    Ok(json(overview.identities.iter().map(identity::object).collect()))
}

pub(super) async fn licenses(State(lent): State<Lent>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &["at"])?;
    let snapshot = match query.text("at") {
        None => lent.history.latest_licenses().await?,
        Some(_) => reading(&lent, &query, "at").await?,
    };
    Ok(json(tables::licenses::table(snapshot.as_ref(), &(lent.zone)(), lent.clock.now()).to_json()))
}

pub(super) async fn differences(State(lent): State<Lent>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &["before", "after"])?;
    let read = async |name: &'static str| {
        if query.text(name).is_none() {
            return Err(wrong(name, "is missing: a moment, such as 2026-11-20"));
        }
        let found = reading(&lent, &query, name).await?;
        found.ok_or_else(|| missing(format!("the licenses were not read by `{name}`"), "name a later moment"))
    };
    let (before, after) = (read("before").await?, read("after").await?);
    let found = differences::differences(&before, &after);
    Ok(json(tables::licenses::differences(&found, &(lent.zone)()).to_json()))
}

/// The reading that was the newest at a moment.
async fn reading(lent: &Lent, query: &Query, name: &str) -> Result<Option<LicenseSnapshot>, Problem> {
    let Some(at) = query.moment(name, lent)? else { return Ok(None) };
    Ok(lent.history.licenses_at(at).await?)
}

pub(super) async fn counts(State(lent): State<Lent>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &["since", "until"])?;
    let now = lent.clock.now();
    let usual =
        || now.to_zoned((lent.zone)()).checked_sub(Span::new().days(90)).map_or(Timestamp::MIN, |it| it.timestamp());
    let since = query.moment("since", &lent)?.unwrap_or_else(usual);
    let until = query.moment("until", &lent)?.unwrap_or(now);
    Ok(json(tables::licenses::counts(&lent.history.license_counts(since, until, None).await?).to_json()))
}

/// The import that is asked for: a run's, else the newest, of a job or of all.
async fn import_named(lent: &Lent, query: &Query) -> Result<Import, Problem> {
    let Some(prefix) = query.text("run") else {
        let found = lent.history.latest_import(query.text("job").as_deref()).await?;
        return found.ok_or_else(|| missing("nothing was imported yet", "a job of the kind `directory` imports"));
    };
    let run = run_named(lent, &prefix).await?;
    let found = lent.history.import_of_run(&run).await?;
    found.ok_or_else(|| missing(format!("run {run} made no complete import"), LIST_RUNS))
}

const IMPORTS: [&str; 4] = ["run", "job", "kind", "limit"];

pub(super) async fn import(State(lent): State<Lent>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &IMPORTS)?;
    let kind: Option<Kind> = query.parsed("kind")?;
    let import = import_named(&lent, &query).await?;
    let kinds = kind.as_ref().map_or(Kind::ALL, std::slice::from_ref);
    let (entries, more) = lent.history.entries_of_import(&import, kinds, query.limit()?).await?;
    Ok(json(imports::object(&import, &imports::entries(&entries), more)))
}

pub(super) async fn news(State(lent): State<Lent>, uri: Uri) -> Answer {
    let query = Query::read(&uri, &IMPORTS)?;
    let kind: Option<Kind> = query.parsed("kind")?;
    let import = import_named(&lent, &query).await?;
    let news = News::read(&lent.history, &import, kind.as_slice(), query.limit()?).await?;
    Ok(json(news.object(&import, &imports::changes(&news.changes))))
}
