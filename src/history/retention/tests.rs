use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::domain::condition::{Condition, IdentityName, Known, State};
use crate::domain::import::{Entry, Kind};
use crate::domain::moment::{Disposition, Moment};
use crate::domain::run::Trigger;
use crate::history::calls::{CallRow, Verdict};
use crate::history::changes::Confirmation;
use crate::history::directory::NewImport;
use crate::history::testing::{Place, a_run, at, intent, past_run, query_plan, rows, write};

/// Everything before this moment is old.
fn before(seconds: i64) -> Cutoffs {
    Cutoffs { details: Some(at(seconds)), summaries: Some(at(seconds)) }
}

fn counts(found: &[Forgotten]) -> Vec<(&'static str, u64)> {
    found.iter().filter(|list| list.rows > 0).map(|list| (list.what, list.rows)).collect()
}

fn a_call() -> CallRow {
    CallRow {
        at: at(0),
        service: "graph".to_owned(),
        method: "GET".to_owned(),
        path: "/v1.0/me".to_owned(),
        status: Some(200),
        latency_ms: 12,
        attempts: 1,
        request_id: None,
        client_request_id: None,
        verdict: Verdict::Ok,
        error: None,
        body: None,
    }
}

fn moment(planned: i64, disposition: Disposition) -> Moment {
    Moment { job: "managers".to_owned(), planned_at: at(planned), disposition, run: None, reason: None }
}

#[tokio::test]
async fn details_go_before_summaries_and_the_newest_of_a_job_stays() {
    let place = Place::new().await;
    let history = &place.history;
    let first = past_run(history, "aaaa0001", Trigger::Schedule, 0).await;
    write(history, &first, intent(1, None, Some(9)), 1, Some(Confirmation::Confirmed)).await;
    history.record_calls(&first, &[a_call()]).await.unwrap();
    let last = past_run(history, "aaaa0002", Trigger::Schedule, 100).await;
    let moments = [(0, Disposition::Ran), (50, Disposition::Down), (100, Disposition::Ran)];
    let moments: Vec<Moment> = moments.into_iter().map(|(planned, how)| moment(planned, how)).collect();
    history.record_moments(&moments, at(100)).await.unwrap();

    let details = Cutoffs { details: Some(at(1000)), summaries: None };
    let foreseen = history.forgettable(&details).await.unwrap();
    assert_eq!(counts(&foreseen), [("calls", 1), ("moments that ran", 1)]);
    assert_eq!(rows(history, "call").await, 1, "nothing is forgotten by looking");
    assert_eq!(counts(&history.forget(&details, || true).await.unwrap()), counts(&foreseen));
    assert_eq!((rows(history, "run").await, rows(history, "change").await, rows(history, "moment").await), (2, 1, 2));

    let found = history.forget(&before(1000), || true).await.unwrap();
    assert_eq!(counts(&found), [("missed moments", 1), ("writes", 1), ("runs", 1)]);
    let left: Vec<String> = sqlx::query_scalar("select id from run").fetch_all(&history.reader).await.unwrap();
    assert_eq!(left, [last.as_str()]);
    assert_eq!(counts(&history.forget(&before(1000), || true).await.unwrap()), [], "what is gone is gone");
}

#[tokio::test]
async fn changes_of_identities_go_but_the_newest() {
    let place = Place::new().await;
    for (when, condition) in [(0, Condition::NeedsHuman), (10, Condition::Ok), (20, Condition::NeedsHuman)] {
        let next = |known| Known { state: State::plain(condition), ..known };
        let who = (IdentityName::User, "contoso.example 3");
        place.history.note_identity(who, at(when), None, next).await.unwrap();
    }
    let found = place.history.forget(&before(1000), || true).await.unwrap();
    assert_eq!(counts(&found), [("changes of identities", 2)]);
    let left = place.history.identity_changes(0, 10).await.unwrap();
    assert_eq!(left.iter().map(|change| (change.id, change.at)).collect::<Vec<_>>(), [(3, at(20))]);
    assert_eq!(place.history.identities().await.unwrap().len(), 1, "how it is now stays");
}

#[tokio::test]
async fn what_an_import_found_and_holds_no_more_goes_and_what_stands_keeps_its_import() {
    let place = Place::new().await;
    let history = &place.history;
    let entry = |number: u8, login: &str| Entry {
        kind: Kind::UnmatchedInOkta,
        person: Some(format!("00u{number}")),
        login: login.to_owned(),
        status: "ACTIVE".to_owned(),
        account: None,
        upn: String::new(),
        guest: false,
        disabled: false,
    };
    for (place, login) in ["ana", "anna", "anne"].into_iter().enumerate() {
        let when = i64::try_from(place).unwrap() * 10;
        let run = past_run(history, &format!("aaaa000{place}"), Trigger::Schedule, when).await;
        let new = NewImport { run: &run, job: "import", at: at(when), kept: &[] };
        history.record_import(&new, [entry(1, "bo"), entry(2, login)].into_iter()).await.unwrap();
    }
    let found = history.forget(&before(1000), || true).await.unwrap();
    // The first import found Bo, who still stands, and the last is the newest.
    assert_eq!(counts(&found), [("entries of imports that hold no more", 2), ("imports", 1), ("runs", 1)]);
    assert_eq!((rows(history, "directory_entry").await, rows(history, "directory_import").await), (2, 2));
}

#[tokio::test]
async fn a_write_in_doubt_keeps_its_run_and_so_does_a_run_that_lasts() {
    let place = Place::new().await;
    let history = &place.history;
    let doubtful = past_run(history, "aaaa0001", Trigger::Schedule, 0).await;
    history.record_intents(&doubtful, "managers", at(1), &[intent(1, None, Some(9))]).await.unwrap();
    history.open_run(&a_run("aaaa0002", Trigger::Schedule, 10)).await.unwrap();
    assert_eq!(counts(&history.forget(&before(1000), || true).await.unwrap()), []);
    assert_eq!((rows(history, "run").await, rows(history, "change").await), (2, 1));
}

#[tokio::test]
async fn what_was_asked_to_stop_stops_and_what_is_younger_stays() {
    let place = Place::new().await;
    let history = &place.history;
    for second in 0..5 {
        past_run(history, &format!("aaaa000{second}"), Trigger::Schedule, second * 10).await;
    }
    assert_eq!(counts(&history.forget(&before(1000), || false).await.unwrap()), []);
    assert_eq!(counts(&history.forget(&before(20), || true).await.unwrap()), [("runs", 2)]);
    let nothing = Cutoffs { details: None, summaries: None };
    assert_eq!(history.forget(&nothing, || true).await.unwrap(), []);
}

#[tokio::test]
async fn many_rows_go_in_many_transactions_and_the_file_shrinks() {
    let place = Place::new().await;
    let history = &place.history;
    let run = past_run(history, "aaaa0001", Trigger::Schedule, 0).await;
    let long = CallRow { body: Some("x".repeat(2000)), ..a_call() };
    history.record_calls(&run, &vec![long; 1201]).await.unwrap();
    let pages = "pragma page_count";
    let full: i64 = sqlx::query_scalar(pages).fetch_one(history.writer().unwrap()).await.unwrap();
    let looks = std::cell::Cell::new(0);
    let look = || {
        looks.set(looks.get() + 1);
        true
    };
    let found = history.forget(&before(1000), look).await.unwrap();
    assert_eq!(counts(&found)[0], ("calls", 1201));
    assert!(looks.get() >= 4, "500 rows at a time, and others may write in between: {}", looks.get());
    let left: i64 = sqlx::query_scalar(pages).fetch_one(history.writer().unwrap()).await.unwrap();
    assert!(left * 4 < full, "{left} of {full} pages");
}

#[tokio::test]
async fn large_tables_are_not_read_from_end_to_end() {
    let place = Place::new().await;
    for rule in RULES.iter().filter(|rule| !["plan", "parked", "source_reading"].contains(&rule.table)) {
        let steps = query_plan(&place.history, rule.doomed).await;
        assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{}: {steps:?}", rule.what);
    }
}

#[test]
fn an_age_counts_calendar_days_and_forever_never_ends() {
    let now: Zoned = "2026-03-31T12:00[Europe/Oslo]".parse().unwrap();
    for (text, before) in [
        ("90 days", Some("2025-12-31T11:00:00Z")),
        ("1 month", Some("2026-02-28T11:00:00Z")),
        ("5 years", Some("2021-03-31T10:00:00Z")),
        ("2 weeks", Some("2026-03-17T11:00:00Z")),
        ("Forever", None),
    ] {
        let age: Age = text.parse().unwrap();
        assert_eq!(age.before(&now), before.map(|before| before.parse::<Timestamp>().unwrap()), "{text}");
    }
    for text in ["", "90", "12 hours", "1 day 2 hours", "-3 days", "0 days", "always", "one year"] {
        assert!(text.parse::<Age>().is_err(), "{text}");
    }
    assert_eq!(
        ("6 months".parse::<Age>().unwrap().to_string(), Age::years(1).to_string().as_str()),
        ("6 months".to_owned(), "1 year")
    );
}

proptest! {
    #[test]
    fn whatever_lasts_longer_forgets_earlier(one in 1..4000_i32, other in 1..4000_i32) {
        let (one, other) = (Age(Some(Span::new().days(one))), Age(Some(Span::new().days(other))));
        let now: Zoned = "2026-11-21T03:00[UTC]".parse().unwrap();
        prop_assert_eq!(one.lasts(other), one.before(&now) <= other.before(&now));
        prop_assert!(Age(None).lasts(one) && !one.lasts(Age(None)));
    }
}
