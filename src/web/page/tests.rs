//! Every page over a history in which every name was written to be run.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Path, Query};
use axum::response::Response;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use super::frame::Asked;
use super::parts::{Eye, grouped};
use super::{calendar, imports, licenses, overview, people, person, plans, run, runs};
use crate::app::App;
use crate::clock::SystemClock;
use crate::domain::decision::Reason;
use crate::domain::event::News;
use crate::domain::moment::{Disposition, Moment};
use crate::domain::run::{Outcome, PlanId, RunId, Trigger};
use crate::history::History;
use crate::history::calls::{CallRow, Verdict};
use crate::history::changes::Intent;
use crate::history::decisions::{Decision, Pass};
use crate::history::error::HistoryError;
use crate::history::licenses::LicenseSnapshot;
use crate::history::parked::ParkedPerson;
use crate::history::plans::{PlanOrigin, PlannedChange, StoredPlan};
use crate::history::runs::{Closing, NewRun};
use crate::history::testing::{Place, a_run, account, at, closing, intent, sku, subscription, take_up};
use crate::tables::jobs::{Job, Overview, Service, State};
use crate::web::lent::{Lent, Looking};

const BAD: &str = r#""><img src=x onerror='alert(1)'>"#;

/// A history with one run of everything, all of it hostile.
async fn hostile() -> Place {
    let place = Place::new().await;
    let history = &place.history;
    take_up(history, &[("managers", "cron 0 2 * * *")], at(0)).await;
    let run = NewRun { caller: BAD.to_owned(), host: BAD.to_owned(), ..a_run("aaaa0001", Trigger::Schedule, 0) };
    history.open_run(&run).await.unwrap();
    history.record_intents(&run.id, "managers", at(1), &[write()]).await.unwrap();
    let pass = Pass { run: &run.id, job: "managers", at: at(2), full: true };
    history.record_decisions(&pass, std::iter::once(decision())).await.unwrap();
    history.record_calls(&run.id, &[call()]).await.unwrap();
    let licenses = LicenseSnapshot {
        run: run.id.clone(),
        at: at(3),
        skus: vec![sku(BAD)],
        subscriptions: vec![subscription(BAD, 864_000)],
    };
    history.record_licenses("licenses", &licenses, &News::default()).await.unwrap();
    store_plan(&place, &run.id).await;
    let moment = Moment {
        job: "managers".to_owned(),
        planned_at: at(0),
        disposition: Disposition::Overlap,
        run: Some(run.id.clone()),
        reason: Some(BAD.to_owned()),
    };
    history.record_moments(&[moment], at(4)).await.unwrap();
    let said = Some(BAD.to_owned());
    let ended = Closing { message: said.clone(), hint: said, ..closing(&run.id, Outcome::Partial, 5) };
    history.close_run(&ended).await.unwrap();
    place
}

fn write() -> Intent {
    let bad = || BAD.to_owned();
    Intent { login: bad(), upn: bad(), from_label: bad(), to_label: bad(), ..intent(1, Some(8), Some(9)) }
}

fn decision() -> Decision<'static, fn() -> String> {
    Decision {
        person: "00u1",
        login: BAD,
        upn: BAD,
        account: Some(account(1)),
        reason: Reason::NoAccount,
        digest: 1,
        evidence,
    }
}

fn call() -> CallRow {
    CallRow {
        at: at(2),
        service: "graph".to_owned(),
        method: "GET".to_owned(),
        path: BAD.to_owned(),
        status: Some(200),
        latency_ms: 12,
        attempts: 1,
        request_id: Some(BAD.to_owned()),
        client_request_id: None,
        verdict: Verdict::Ok,
        error: Some(BAD.to_owned()),
        body: None,
    }
}

fn evidence() -> String {
    let named = serde_json::json!({ "id": BAD, "name": BAD });
    serde_json::json!({
        "status": BAD, "in_scope": true, "account_by": "rule", "observed": named, "desired": named,
        "correlate": [{ "okta": BAD, "entra": "mail", "value": BAD, "found": [named] }],
        "manager": [{ "attribute": BAD, "is": "login", "value": BAD, "found": [named] }],
    })
    .to_string()
}

async fn store_plan(place: &Place, run: &RunId) {
    let change = PlannedChange {
        person: intent(1, None, Some(9)).person,
        login: BAD.to_owned(),
        account: account(1),
        upn: BAD.to_owned(),
        kind: crate::domain::decision::ChangeKind::Set,
        from: None,
        from_label: String::new(),
        to: Some(account(9)),
        to_label: BAD.to_owned(),
        held: true,
    };
    let plan = StoredPlan {
        id: PlanId::stored("paaaa1111"),
        job: "managers".to_owned(),
        run: run.clone(),
        created_at: at(3),
        policy_fingerprint: "0123456789ab".to_owned(),
        origin: PlanOrigin::Held,
        changes: vec![change],
    };
    place.history.store_plan(&plan).await.unwrap();
}

/// One job, wherever anything ran.
async fn jobs(history: History) -> Result<Overview, HistoryError> {
    let job =
        || Job { name: "managers".into(), kind: None, needs: None, mode: None, schedule: None, zone: "UTC".into() };
    let mut jobs = Vec::new();
    if history.last_run_proper("managers").await?.is_some() {
        jobs.push((job(), State::read(&history, "managers", std::path::Path::new("/nowhere")).await?));
    }
    Ok(Overview { service: Service::Running, jobs, identities: Vec::new(), channels: Vec::new() })
}

fn asked(place: &Place) -> Asked {
    let (desk, _end) = crate::daemon::desk();
    let lent = Lent {
        history: place.history.clone(),
        desk,
        clock: Arc::new(SystemClock),
        zone: Arc::new(|| TimeZone::UTC),
        overview: Arc::new(|history, _| -> Looking { Box::pin(jobs(history)) }),
        app: Arc::new(|| -> Arc<App> { panic!("no page asks the program itself") }),
        state_directory: place.directory.path().to_owned(),
        stop: CancellationToken::new(),
    };
    Asked { lent, eye: Eye { zone: TimeZone::UTC, now: at(600) } }
}

async fn html(response: Response) -> String {
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let html = String::from_utf8(body.to_vec()).unwrap();
    assert!(status.is_success(), "{status}: {html}");
    html
}

fn none<T: Default>() -> Query<T> {
    Query(T::default())
}

#[tokio::test]
async fn no_page_takes_a_name_for_markup_or_styles_anything_inline() {
    let place = hostile().await;
    let asked = || asked(&place);
    let id = |id: &str| Path(id.to_owned());
    let mut pages = vec![
        ("overview", overview::show(asked()).await),
        ("runs", runs::show(asked(), none()).await),
        ("run", run::show(asked(), id("aaaa"), none()).await),
        ("people", people::show(asked(), none()).await),
        ("person", person::show(asked(), id("00u1")).await),
        ("licenses", licenses::show(asked(), none()).await),
        ("imports", imports::show(asked(), none()).await),
        ("calendar", calendar::show(asked(), none()).await),
        ("plans", plans::list(asked()).await),
        ("plan", plans::show(asked(), id("paaaa1111"), none()).await),
    ];
    let listed = r#"{"job":"managers","reason":"no_account"}"#;
    pages.push(("reason", people::show(asked(), Query(serde_json::from_str(listed).unwrap())).await));
    let mut told = Vec::new();
    for (name, response) in pages {
        let html = html(response).await;
        assert!(!html.contains("<img"), "{name}: {html}");
        for word in [" style=", " onclick=", "<style", "javascript:"] {
            assert!(!html.contains(word), "{name} has `{word}`");
        }
        let headings = html.matches("<h1>").count();
        assert_eq!((headings, html.matches("<main").count()), (1, 1), "{name}");
        if html.contains("&#60;img src=x onerror=&#39;alert(1)&#39;&#62;") {
            told.push(name);
        }
    }
    // They name nobody.
    let silent = ["people", "imports", "plans"];
    assert_eq!(told.len(), 11 - silent.len(), "the name is told, as text: {told:?}");
}

#[tokio::test]
async fn what_is_not_there_is_said_on_a_page_that_says_so_by_its_status() {
    let place = Place::new().await;
    let asked = || asked(&place);
    let missing = run::show(asked(), Path(BAD.to_owned()), none()).await;
    assert_eq!(missing.status(), axum::http::StatusCode::NOT_FOUND);
    let body = to_bytes(missing.into_body(), 1 << 20).await.unwrap();
    assert!(!String::from_utf8(body.to_vec()).unwrap().contains("<img"));
    let empty = [
        (overview::show(asked()).await, "graphkeeper check"),
        (runs::show(asked(), none()).await, "graphkeeper run JOB"),
        (people::show(asked(), none()).await, "graphkeeper run managers"),
        (licenses::show(asked(), none()).await, "graphkeeper run licenses"),
        (imports::show(asked(), none()).await, "graphkeeper run import"),
        (plans::list(asked()).await, "graphkeeper plan managers"),
        (calendar::show(asked(), none()).await, "graphkeeper jobs"),
    ];
    for (response, command) in empty {
        let html = html(response).await;
        assert!(html.contains(command), "an empty page says what to do: `{command}`\n{html}");
    }
}

/// Ten thousand writes and 250 calls.
async fn large() -> (Place, RunId) {
    let place = Place::new().await;
    let run = a_run("aaaa0001", Trigger::Schedule, 0);
    place.history.open_run(&run).await.unwrap();
    let writes: Vec<Intent> = (1..=10_000).map(|number| intent(number, None, Some(20_000))).collect();
    place.history.record_intents(&run.id, "managers", at(1), &writes).await.unwrap();
    let calls: Vec<CallRow> = (1..=250).map(|number| CallRow { path: format!("/call/{number}."), ..call() }).collect();
    place.history.record_calls(&run.id, &calls).await.unwrap();
    place.history.close_run(&closing(&run.id, Outcome::Succeeded, 5)).await.unwrap();
    (place, run.id)
}

#[tokio::test]
async fn ten_thousand_changes_are_a_hundred_pages_and_each_change_is_on_one() {
    let (place, id) = large().await;
    let shown = async |changes: u64, calls: u64| {
        let place_on = run::Place { changes, calls };
        html(run::show(asked(&place), Path(id.to_string()), Query(place_on)).await).await
    };
    let people = |html: &str| -> Vec<u64> {
        let parts = html.split(">person").skip(1).filter_map(|part| part.split_once("@example.com</a>"));
        parts.filter_map(|(number, _)| number.parse().ok()).collect()
    };
    for (page, first, last) in [(0, 1, 100), (1, 1, 100), (2, 101, 200), (100, 9_901, 10_000), (101, 9_901, 10_000)] {
        let html = shown(page, 1).await;
        assert_eq!(people(&html), (first..=last).collect::<Vec<_>>(), "page {page}");
        assert!(html.len() < 300_000, "page {page} has {} bytes", html.len());
        assert!(html.contains(&format!("{} to {} of 10,000", grouped(first), grouped(last))), "page {page}");
    }
    let third = shown(2, 3).await;
    for part in [
        r#"href="/runs/aaaa0001?calls=3""#,
        r#"href="/runs/aaaa0001?changes=3&#38;calls=3""#,
        r#"href="/runs/aaaa0001?changes=2&#38;calls=2""#,
        "201 to 250 of 250",
        "/call/201.",
        "/call/250.",
    ] {
        assert!(third.contains(part), "{part} is not in\n{third}");
    }
    assert!(!third.contains("/call/200.") && !third.contains("calls=4"), "the last of three pages of calls");
}

#[tokio::test]
async fn a_job_that_was_never_run_has_its_missed_moments_and_one_of_seconds_has_all_its_days() {
    let place = Place::new().await;
    take_up(&place.history, &[("nightly", "cron 0 2 * * *"), ("often", "cron * * * * *")], at(0)).await;
    let moment = |job: &str, planned: i64, disposition| Moment {
        job: job.to_owned(),
        planned_at: at(planned),
        disposition,
        run: None,
        reason: None,
    };
    let often = (-3_000..0).map(|minute| moment("often", minute * 60, Disposition::Ran));
    let moments: Vec<Moment> = often.chain([moment("nightly", -60, Disposition::Down)]).collect();
    place.history.record_moments(&moments, at(0)).await.unwrap();
    let html = html(calendar::show(asked(&place), none()).await).await;
    assert!(
        html.contains(r#"<h2 id="job-1"><a href="/runs?job=nightly">"#),
        "it never ran, and a moment was missed: {html}"
    );
    assert!(html.contains("down: the service was not running"));
    // The beginning of time in tests is 14:13 o'clock: 3,000 minutes before lie on three days.
    assert_eq!(html.matches("of the day; there were more before").count(), 3, "{html}");
    assert_eq!(html.matches("class=\"cell good\"").count(), 3 * 96 + 1, "and one in the legend");
}

#[tokio::test]
async fn who_is_left_alone_is_listed_with_the_command_that_releases() {
    let place = hostile().await;
    let parked = ParkedPerson {
        job: "managers".to_owned(),
        person: intent(1, None, None).person,
        login: BAD.to_owned(),
        account: Some(account(1)),
        reason: Reason::Contested,
        desired: Some(account(9)),
        cause: BAD.to_owned(),
        remedy: "mend it".to_owned(),
        since: at(3),
        review_at: None,
        run: RunId::stored("aaaa0001"),
    };
    place.history.park(&[parked]).await.unwrap();
    let listed = async |query: &str| {
        let wanted = Query(serde_json::from_str(query).unwrap());
        html(people::show(asked(&place), wanted).await).await
    };
    let html = listed(r#"{"job":"managers"}"#).await;
    for part in ["Left alone by", "contested", "mend it", "graphkeeper release --job managers"] {
        assert!(html.contains(part), "{part} is not in\n{html}");
    }
    assert!(!html.contains("<img"));
    assert!(!listed("{}").await.contains("Left alone by"));
}
