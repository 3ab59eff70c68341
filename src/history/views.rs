//! The views are an interface that people's own queries stand on: their columns and words are pinned down here.

use sqlx::Row as _;

use crate::domain::condition::{Condition, Credential, Ending, IdentityName, Known, State};
use crate::domain::decision::{Kinds, Reason, Tally};
use crate::domain::event::{Event, EventKind, News, Severity};
use crate::domain::gauge::{Gauge, GaugeState, Moved, ReadAs};
use crate::domain::import::{Entry, Kind};
use crate::domain::moment::{Disposition, Moment};
use crate::domain::run::{Outcome, RunId, Trigger};
use crate::history::History;
use crate::history::changes::Confirmation;
use crate::history::decisions::{Decision, Pass};
use crate::history::directory::NewImport;
use crate::history::gauge::Watched;
use crate::history::licenses::{LicenseSnapshot, SkuRow};
use crate::history::moments::MomentFilter;
use crate::history::runs::Closing;
use crate::history::testing::{Place, a_run, account, at, closing, intent, past_run, sku, write};

/// The columns of a view.
async fn columns(history: &History, view: &str) -> String {
    let sql = sqlx::AssertSqlSafe(format!("select * from {view}"));
    let row = sqlx::query(sql).fetch_one(&history.reader).await.unwrap();
    row.columns().iter().map(sqlx::Column::name).collect::<Vec<_>>().join(" ")
}

/// What a query answers, a line a row, values divided by bars.
async fn told(history: &History, sql: &'static str) -> Vec<String> {
    let rows = sqlx::query(sql).fetch_all(&history.reader).await.unwrap();
    let text = |row: &sqlx::sqlite::SqliteRow| {
        let cells = (0..row.len()).map(|place| row.try_get_unchecked::<Option<String>, _>(place).unwrap());
        cells.map(|cell| cell.unwrap_or_else(|| "-".to_owned())).collect::<Vec<_>>().join("|")
    };
    rows.iter().map(text).collect()
}

#[tokio::test]
async fn a_run_is_summed_up_in_words_and_readable_times() {
    let place = Place::new().await;
    let history = &place.history;
    let run = a_run("aaaa0001", Trigger::Schedule, 0);
    history.open_run(&run).await.unwrap();
    let running = told(history, "select id, outcome, ended, planned from run_summary").await;
    assert_eq!(running, ["aaaa0001|running|-|-"]);
    let tally = Tally { people: 12, planned: Kinds { set: 1, change: 2, clear: 3 }, ..Tally::default() };
    let tally = Some(serde_json::to_value(tally).unwrap());
    history.close_run(&Closing { tally, ..closing(&run.id, Outcome::Partial, 90) }).await.unwrap();
    let ended = "select started, ended, seconds, outcome, people, planned, held, accepted from run_summary";
    assert_eq!(told(history, ended).await, ["2026-09-21T14:13:20Z|2026-09-21T14:14:50Z|90.0|partial|12|6|0|0"]);
    assert_eq!(
        columns(history, "run_summary").await,
        "id job kind trigger caller started ended seconds outcome reason message hint unresolved people planned held accepted \
         confirmed tally config_fingerprint"
    );
}

#[tokio::test]
async fn a_change_tells_old_and_new_manager_and_its_state() {
    let place = Place::new().await;
    let history = &place.history;
    let run = past_run(history, "aaaa0001", Trigger::Schedule, 0).await;
    write(history, &run, intent(1, Some(8), Some(9)), 0, Some(Confirmation::Confirmed)).await;
    history.record_intents(&run, "managers", at(1), &[intent(2, None, Some(9))]).await.unwrap();
    let changes = "select login, kind, old_manager_name, new_manager_name, state, time from manager_change order by id";
    let expected = [
        "person1@example.com|change|person8@contoso.example|person9@contoso.example|confirmed|2026-09-21T14:13:20Z",
        "person2@example.com|set||person9@contoso.example|intended|2026-09-21T14:13:21Z",
    ];
    assert_eq!(told(history, changes).await, expected);
    assert_eq!(
        columns(history, "manager_change").await,
        "id run job trigger time person login account upn kind old_manager old_manager_name new_manager new_manager_name state \
         status code message request_id client_request_id"
    );
}

#[tokio::test]
async fn a_decision_tells_its_first_and_last_run() {
    let place = Place::new().await;
    let history = &place.history;
    for (id, when, reason) in
        [("run1", 0, Reason::NoAccount), ("run2", 10, Reason::NoAccount), ("run3", 20, Reason::Agreed)]
    {
        let run = past_run(history, id, Trigger::Schedule, when).await;
        let decision = Decision {
            person: "00u1",
            login: "a@example.com",
            upn: "",
            account: None,
            reason,
            digest: reason as u64,
            evidence: || "{}".to_owned(),
        };
        let pass = Pass { run: &run, job: "managers", at: at(when), full: true };
        history.record_decisions(&pass, std::iter::once(decision)).await.unwrap();
    }
    let decisions = "select reason, standing, first_run, last_run, last_time from user_decision order by first_time";
    let expected = ["no_account|0|run1|run2|2026-09-21T14:13:30Z", "agreed|1|run3|run3|2026-09-21T14:13:40Z"];
    assert_eq!(told(history, decisions).await, expected);
    assert_eq!(
        columns(history, "user_decision").await,
        "job person login upn account reason standing first_run first_time last_run last_time evidence"
    );
}

/// One seat is in its grace period.
fn developer_pack(assigned: u64) -> SkuRow {
    SkuRow { assigned, warning: 1, ..sku("E5 Developer") }
}

#[tokio::test]
async fn the_latest_licenses_tell_free_seats() {
    let place = Place::new().await;
    let history = &place.history;
    for (id, when, assigned) in [("aaaa0001", 0, 20), ("aaaa0002", 60, 27), ("aaaa0003", 120, 27)] {
        let run = past_run(history, id, Trigger::Schedule, when).await;
        let snapshot =
            LicenseSnapshot { run, at: at(when), skus: vec![developer_pack(assigned)], subscriptions: Vec::new() };
        history.record_licenses("licenses", &snapshot, &News::default()).await.unwrap();
    }
    let latest = told(history, "select time, name, bought, assigned, free, next_lifecycle from license_latest").await;
    assert_eq!(latest, ["2026-09-21T14:15:20Z|E5 Developer|25|27|-1|-"]);
    assert_eq!(
        columns(history, "license_latest").await,
        "time sku part_number name status bought assigned free warning suspended locked_out next_lifecycle trial applies_to"
    );
    let over_time = told(history, "select since, until, assigned, free from license_over_time order by since").await;
    assert_eq!(over_time, ["2026-09-21T14:13:20Z|2026-09-21T14:14:20Z|20|6", "2026-09-21T14:14:20Z|-|27|-1"]);
    assert_eq!(
        columns(history, "license_over_time").await,
        "sku part_number name since until status bought assigned free warning suspended locked_out"
    );
}

#[tokio::test]
async fn events_and_gauges_are_told_in_words_and_readable_times() {
    let place = Place::new().await;
    let run = past_run(&place.history, "aaaa0001", Trigger::Schedule, 0).await;
    let event = Event {
        kind: EventKind::DateMoved,
        severity: Severity::Info,
        key: "date_moved/s-1/x".to_owned(),
        subject: "s-1".to_owned(),
        title: "E5 ends later".to_owned(),
        lines: vec!["a line".to_owned()],
    };
    let gauge = Gauge {
        state: GaugeState::Active,
        days_left: None,
        ends: Some(at(90 * 86_400)),
        moved: Some(Moved { noticed: at(0), from: at(0), to: at(90 * 86_400) }),
        calls_since: 2,
        why: None,
        part_number: "DEVELOPERPACK_E5".to_owned(),
        subscription: Some("s-1".to_owned()),
        status: Some("Enabled".to_owned()),
        gone: false,
        known_end: Some(at(90 * 86_400)),
        read_as: Some(ReadAs::App),
        read_at: at(0),
    };
    let news = News { events: vec![event], ..News::default() };
    let watched = Watched { job: "keepalive".to_owned(), gauge: gauge.as_of(at(0)), news };
    place.history.record_gauge(&run, &watched).await.unwrap();
    let gauges = "select time, state, days_left, ends, moved, moved_days, calls_since from keepalive_gauge";
    let expected = "2026-09-21T14:13:20Z|active|90|2026-12-20T14:13:20Z|2026-09-21T14:13:20Z|90.0|2";
    assert_eq!(told(&place.history, gauges).await, [expected]);
    assert_eq!(
        columns(&place.history, "keepalive_gauge").await,
        "run job time part_number state days_left why subscription status ends gone moved moved_days calls_since read_as"
    );
    let events = told(&place.history, "select job, time, kind, severity, title, lines from license_event").await;
    assert_eq!(events, ["keepalive|2026-09-21T14:13:20Z|date_moved|info|E5 ends later|[\"a line\"]"]);
    assert_eq!(columns(&place.history, "license_event").await, "id run job time kind severity key subject title lines");
}

#[tokio::test]
async fn missed_moments_leave_out_those_that_ran() {
    let place = Place::new().await;
    let run = |id: &str| Some(RunId::stored(id));
    for (when, job, disposition, run) in [
        (0, "managers", Disposition::Ran, run("aaaa0001")),
        (60, "managers", Disposition::TooOld, None),
        (120, "managers", Disposition::Collapsed, None),
        (180, "managers", Disposition::Collapsed, None),
        (190, "other", Disposition::Ran, run("dddd0004")),
        (240, "managers", Disposition::CaughtUp, run("bbbb0002")),
        (300, "managers", Disposition::Ran, run("cccc0003")),
        (360, "managers", Disposition::Collapsed, None),
    ] {
        let reason = Some("asleep".to_owned());
        let moment = Moment { job: job.to_owned(), planned_at: at(when), disposition, run, reason };
        place.history.record_moments(&[moment], at(400)).await.unwrap();
    }
    let missed = "select planned, disposition, coalesce(covered_by, '-') from missed_run order by planned";
    let expected = [
        "14:14:20Z|too_old|-",
        "14:15:20Z|collapsed|bbbb0002",
        "14:16:20Z|collapsed|bbbb0002",
        "14:19:20Z|collapsed|-",
    ];
    assert_eq!(told(&place.history, missed).await, expected.map(|row| format!("2026-09-21T{row}")));
    let filter = MomentFilter { missed_only: true, ..MomentFilter::default() };
    let listed = place.history.list_moments(&filter).await.unwrap();
    let covering: Vec<_> = listed.iter().map(|moment| moment.run.as_ref().map_or("-", RunId::as_str)).collect();
    assert_eq!(covering, ["-", "bbbb0002", "bbbb0002", "-"], "the list tells the same");
    assert_eq!(columns(&place.history, "missed_run").await, "job planned disposition reason covered_by recorded");
}

#[tokio::test]
async fn an_identity_tells_how_it_is_and_what_ends_when() {
    let place = Place::new().await;
    let history = &place.history;
    let expiring = |known: Known| Known {
        state: State { notice: Some(7), ..State::plain(Condition::Expiring) },
        signed_in_at: Some(at(-60)),
        ends: Some(Ending { what: Credential::Certificate, at: at(86_400) }),
        ..known
    };
    history.note_identity((IdentityName::App, "contoso.example a"), at(0), None, expiring).await.unwrap();
    let row = told(history, "select name, who, state, since, signed_in, ends_first, ends from identity_state").await;
    let times = "2026-09-21T14:13:20Z|2026-09-21T14:12:20Z|certificate|2026-09-22T14:13:20Z";
    assert_eq!(row, [format!("app|contoso.example a|expiring|{times}")]);
    let columns = columns(history, "identity_state").await;
    assert_eq!(columns, "name who state since reason detail hint signed_in ends_first ends");
}

#[tokio::test]
async fn the_latest_import_tells_who_is_whose() {
    let place = Place::new().await;
    let history = &place.history;
    let entry = |number: u128, matched: bool| Entry {
        kind: if matched { Kind::Matched } else { Kind::UnmatchedInEntra },
        person: matched.then(|| format!("00u{number}")),
        login: if matched { format!("person{number}@example.com") } else { String::new() },
        status: if matched { "ACTIVE".to_owned() } else { String::new() },
        account: Some(account(number).to_string()),
        upn: format!("p{number}@contoso.example"),
        guest: !matched,
        disabled: false,
    };
    for (id, when, matched) in [("aaaa0001", 0, false), ("aaaa0002", 10, true)] {
        let run = past_run(history, id, Trigger::Schedule, when).await;
        let new = NewImport { run: &run, job: "import", at: at(when), kept: &[] };
        history.record_import(&new, [entry(1, matched), entry(2, false)].into_iter()).await.unwrap();
    }
    let sql = "select kind, login, upn, person, guest, first_run, first_time from directory_latest order by upn";
    let expected = [
        "matched|person1@example.com|p1@contoso.example|00u1|0|aaaa0002|2026-09-21T14:13:30Z",
        "unmatched_in_entra||p2@contoso.example|-|1|aaaa0001|2026-09-21T14:13:20Z",
    ];
    assert_eq!(told(history, sql).await, expected);
    assert_eq!(
        columns(history, "directory_latest").await,
        "job kind person login status account upn guest disabled first_run first_time"
    );
}
