//! Storage under stress: whatever befalls the database or its disk, the run is told by log and exit code, nothing is
//! written to the tenant that cannot be noted first, and all goes on by itself when the cause is gone.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use graphkeeper::clock::{Clock as _, SystemClock};
use graphkeeper::sandbox::faults::When;

use crate::support::database::Database;
use crate::support::jail::Jail;
use crate::support::{ACCOUNTS, BATCH, Org, reached, until, within};

/// The managers job of the service at every second, the others never.
const EVERY_SECOND: &str = "[jobs.managers]\nschedule = \"* * * * * *\"\n[jobs.licenses]\nschedule = \"0 0 1 1 *\"\n\
                            [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\n";

/// How the history says that somebody else holds it.
const LOCKED: &str = "the database is locked by another program";

/// Two people, one of whom has another manager since.
async fn a_move() -> Org {
    let org = Org::team(["ana", "bo"]).await;
    org.reconcile().await.exits(0);
    org.moves("ana", "bo");
    org
}

/// Somebody in a `sqlite3` who began to write and went to lunch. Ends with [`unlock`].
async fn lock(org: &Org) -> Database {
    let mut holder = org.database().await;
    holder.execute("begin immediate").await;
    holder
}

async fn unlock(mut holder: Database) {
    holder.execute("rollback").await;
}

/// Every write that reached the tenant was intended in the history before.
async fn every_write_was_journalled(org: &Org) {
    let noted = org.database().await.texts("select client_request_id from manager_change").await;
    for row in org.journal().writes() {
        let id = row.client_request_id.clone().unwrap_or_default();
        assert!(noted.contains(&id), "{row:?} was not noted before it was sent");
    }
}

/// Waits until a run that begins after now has succeeded.
async fn a_later_run_succeeds(org: &Org) {
    let now = SystemClock.now().as_millisecond();
    let question = format!("select count(*) from run where started_at > {now} and outcome = 'succeeded'");
    until(org, "a later run succeeds", &question).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_locked_at_the_start_is_worth_another_try() {
    let org = a_move().await;
    let holder = lock(&org).await;
    let (service, run) = (org.spawn(&["daemon"]), org.spawn(&["run", "managers", "--json"]));
    for ended in [service.finish().await.exits(1), run.finish().await.exits(1)] {
        let told = ended.all(); // the service has words for it alone, the run a report
        assert!(told.contains(LOCKED) && told.contains("end the program that holds it"), "{told}");
    }
    assert_eq!(org.writes(), 0);
    unlock(holder).await;
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_outlasts_a_database_that_is_locked_when_runs_open() {
    let org = a_move().await;
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    org.configure(EVERY_SECOND);
    let mut service = org.spawn(&["daemon"]);
    reached(&gate).await;
    let holder = lock(&org).await;
    gate.open();
    service.says("outcome=failed").await;
    service.says(LOCKED).await;
    assert_eq!(org.writes(), 0, "what cannot be noted is not done");
    unlock(holder).await;
    a_later_run_succeeds(&org).await;
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!(org.writes(), 1);
    every_write_was_journalled(&org).await;
    let open = org.database().await.number("select count(*) from run where outcome is null").await;
    assert_eq!(open, 0, "the run whose end could not be recorded is closed too");
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_between_the_plan_and_the_intents_nothing_is_written_and_the_end_is_recorded_later() {
    let org = a_move().await;
    let gate = org.hold(BATCH, When::Nth(1));
    let run = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    let holder = lock(&org).await;
    gate.open();
    let run = run.finish().await.exits(1);
    assert!(run.message().contains(LOCKED) && run.message().contains("could not be recorded"), "{}", run.message());
    assert_eq!(org.journal().writes().len(), 0, "what cannot be noted is not done");
    unlock(holder).await;
    org.reconcile().await.exits(0);
    let mut database = org.database().await;
    assert_eq!(database.outcomes("managers").await, ["succeeded", "failed", "succeeded"]);
    let told = format!("select message from run where id = '{}'", run.run_id());
    assert!(database.texts(&told).await[0].contains(LOCKED), "the row says how it ended, not that it was cut off");
    assert_eq!(org.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_between_a_write_and_its_answer_the_next_run_settles_it() {
    let org = a_move().await;
    let gate = org.hold_answer(BATCH, When::Nth(2));
    let run = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    let holder = lock(&org).await;
    gate.open();
    let run = run.finish().await.exits(1);
    assert!(run.message().contains(LOCKED), "{}", run.message());
    unlock(holder).await;
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1, "nothing twice");
    let changes = org.database().await.changes().await;
    assert_eq!(changes.iter().map(|change| change.state.as_str()).collect::<Vec<_>>(), ["written"]);
    every_write_was_journalled(&org).await;
}

/// Keeps the ends of runs from being recorded, until the trigger is dropped.
const NO_ENDS: &str =
    "create trigger no_ends before update of outcome on run begin select raise(abort, 'not now'); end";

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_could_not_be_recorded_is_recorded_by_the_jobs_next_run_as_it_was() {
    let org = Org::team(["ana", "bo"]).await;
    org.run(&["run", "licenses"]).await.exits(0);
    let mut database = org.database().await;
    database.execute(NO_ENDS).await;
    let run = org.run(&["run", "licenses"]).await.exits(1);
    assert!(run.message().contains("could not be recorded"), "{}", run.message());
    database.execute("drop trigger no_ends").await;
    org.run(&["run", "licenses"]).await.exits(0);
    assert_eq!(database.outcomes("licenses").await, ["succeeded", "succeeded", "succeeded"]);
    let told = format!("select json_extract(tally, '$.products') from run where id = '{}'", run.run_id());
    assert!(database.number(&told).await > 0, "with what it counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_database_is_locked_a_run_that_ended_is_no_interrupted_one() {
    let org = a_move().await;
    let gate = org.hold_answer("/v1.0/me", When::Nth(1));
    let run = org.spawn(&["run", "keepalive"]);
    reached(&gate).await;
    let before = org.database().await.number("select count(*) from run").await;
    let holder = lock(&org).await;
    gate.open();
    let kept = org.state().join("locks/keepalive.lock");
    within("the end is kept in the lock file", async {
        while !fs::read_to_string(&kept).unwrap().contains("succeeded") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    run.kill().await;
    unlock(holder).await;
    org.run(&["run", "keepalive"]).await.exits(0);
    let mut database = org.database().await;
    assert_eq!(database.number("select count(*) from run where outcome = 'interrupted'").await, 0);
    assert_eq!(database.number("select count(*) from run").await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_records_an_end_by_itself_when_the_database_takes_it_again() {
    let org = Org::team(["ana", "bo"]).await;
    org.run(&["run", "licenses"]).await.exits(0);
    let mut database = org.database().await;
    database.execute(NO_ENDS).await;
    // One moment alone, so that no next run records the end of the first.
    let soon = SystemClock.now() + Duration::from_secs(3);
    let moment = soon.to_zoned(jiff::tz::TimeZone::UTC).strftime("%S %M %H %d %m *").to_string();
    org.configure(&format!(
        "timezone = \"UTC\"\n[jobs.licenses]\nschedule = \"{moment}\"\n[jobs.managers]\nschedule = \"0 0 1 1 *\"\n\
         [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\n"
    ));
    let mut service = org.spawn(&["daemon"]);
    service.says("could not be recorded").await;
    database.execute("drop trigger no_ends").await;
    service.says("is recorded now").await;
    assert_eq!(database.outcomes("licenses").await, ["succeeded", "succeeded"]);
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_service_cuts_off_is_recorded_before_it_is_gone() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(EVERY_SECOND);
    org.moves("ana", "bo");
    let gate = org.hold_answer(BATCH, When::Nth(2));
    let service = org.spawn(&["daemon"]);
    reached(&gate).await;
    service.terminate();
    let asked = Instant::now();
    service.finish().await;
    assert!(asked.elapsed() < Duration::from_secs(11), "gone after {:?}", asked.elapsed());
    let cut_off = "select count(*) from run where outcome = 'interrupted' and reason = 'cut_off'";
    assert_eq!(org.database().await.number(cut_off).await, 1);
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_gone_in_time_also_when_the_database_is_locked() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(EVERY_SECOND);
    let gate = org.hold_answer(ACCOUNTS, When::Nth(1));
    let service = org.spawn(&["daemon"]);
    reached(&gate).await;
    let holder = lock(&org).await;
    service.terminate();
    let asked = Instant::now();
    service.finish().await;
    assert!(asked.elapsed() < Duration::from_secs(11), "gone after {:?}", asked.elapsed());
    gate.open();
    unlock(holder).await;
    org.reconcile().await.exits(0);
    let open = org.database().await.number("select count(*) from run where outcome is null").await;
    assert_eq!(open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restart_cannot_mend_is_not_to_be_restarted() {
    let damages = [
        ("insert into _sqlx_migrations values (99, 'x', '2030-01-01', 1, x'00', 0)", "is of version 99"),
        ("update _sqlx_migrations set checksum = x'00' where version = 1", "migration 1 of the database is not"),
        ("update meta set value = 'https://other.okta.com' where key = 'org_url'", "belongs to the Okta org"),
    ];
    for (damage, told) in damages {
        let org = a_move().await;
        org.database().await.execute(damage).await;
        let service = org.spawn(&["daemon"]).finish().await.exits(2);
        assert!(service.stderr.contains(told) && service.stderr.contains("hint: "), "{}", service.stderr);
        org.reconcile().await.exits(2);
        assert_eq!(org.journal().writes().len(), 0, "{damage}");
    }
    let org = a_move().await;
    fs::write(org.database_path(), "a letter to the tax office, saved in the wrong place. ".repeat(100)).unwrap();
    let service = org.spawn(&["daemon"]).finish().await.exits(2);
    assert!(service.stderr.contains("not a SQLite database"), "{}", service.stderr);
}

/// A file beside the database.
fn beside(org: &Org, suffix: &str) -> PathBuf {
    org.state().join(format!("graphkeeper.db{suffix}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_cut_short_by_a_power_cut_is_taken_as_far_as_it_goes() {
    let org = a_move().await;
    let gate = org.hold_answer(BATCH, When::Nth(2));
    let run = org.spawn(&["run", "managers"]);
    reached(&gate).await;
    run.kill().await;
    gate.open();
    org.faults().clear();
    let log = fs::read(beside(&org, "-wal")).unwrap();
    assert!(log.len() > 4096, "the run wrote");
    // The intents were synced before the batch was sent; what follows may be cut or scrambled.
    fs::write(beside(&org, "-wal"), [&log[..], &[0xa5; 5_000]].concat()).unwrap();
    fs::write(beside(&org, "-shm"), [0xa5; 100]).unwrap();
    org.reconcile().await.exits(0);
    assert_eq!((org.writes(), org.managed_by("bo")), (1, 1));
    every_write_was_journalled(&org).await;
    let mut database = org.database().await;
    assert_eq!(database.texts("pragma integrity_check").await, ["ok"]);
    assert_eq!(database.outcomes("managers").await, ["succeeded", "interrupted", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_moved_away_under_the_service_is_missed_and_not_written() {
    let org = a_move().await;
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    org.configure(EVERY_SECOND);
    let mut service = org.spawn(&["daemon"]);
    reached(&gate).await;
    let aside = org.state().join("aside.db");
    fs::rename(org.database_path(), &aside).unwrap();
    gate.open();
    service.says("was deleted or replaced while this program had it open").await;
    service.says("put the file back").await;
    assert!(!org.database_path().exists(), "no other is begun");
    fs::copy(&aside, org.database_path()).unwrap();
    assert_eq!(org.journal().writes().len(), 0, "what cannot be noted is not done");
    fs::rename(&aside, org.database_path()).unwrap();
    a_later_run_succeeds(&org).await;
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!(org.writes(), 1);
    every_write_was_journalled(&org).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a mount namespace of its own (unshare -Urm), which containers may forbid; .ci/run runs it"]
async fn the_service_outlasts_a_full_disk() {
    let org = Org::team(["ana", "bo"]).await;
    let jail = Jail::with_tmpfs(&org, "size=2m").await;
    org.configure(EVERY_SECOND);
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let mut service = jail.spawn(&org, &["daemon"]);
    service.says("lies on a file system of kind tmpfs").await;
    reached(&gate).await;
    org.moves("ana", "bo");
    jail.fill(&org);
    gate.open();
    service.says("the disk of the history is full").await;
    service.says("free space").await;
    assert_eq!(org.journal().writes().len(), 0, "what cannot be noted is not done");
    let gate = org.hold_answer(BATCH, When::Nth(3)); // a check, a write, and what was written is read back
    jail.make_room(&org);
    reached(&gate).await;
    gate.open();
    service.says("outcome=succeeded").await;
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!((org.writes(), org.managed_by("bo")), (1, 1));
    let history = jail.spawn(&org, &["history", "--json"]).finish().await.exits(0);
    let runs = history.json();
    let outcomes: Vec<&str> = runs.as_array().unwrap().iter().filter_map(|run| run["outcome"].as_str()).collect();
    assert!(outcomes.contains(&"succeeded") && !outcomes.contains(&"running"), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a mount namespace of its own (unshare -Urm), which containers may forbid; .ci/run runs it"]
async fn a_command_stops_at_a_full_disk_before_it_writes_to_the_tenant() {
    let org = Org::team(["ana", "bo"]).await;
    let jail = Jail::with_tmpfs(&org, "size=2m").await;
    let run = async |jail: &Jail| jail.spawn(&org, &["run", "managers", "--json"]).finish().await;
    run(&jail).await.exits(0);
    org.moves("ana", "bo");
    let gate = org.hold(BATCH, When::Nth(1));
    let stopped = jail.spawn(&org, &["run", "managers", "--json"]);
    reached(&gate).await;
    jail.fill(&org);
    gate.open();
    let stopped = stopped.finish().await.exits(1);
    assert!(stopped.all().contains("full") && stopped.all().contains("free space"), "{}", stopped.all());
    assert_eq!(org.writes(), 0, "what cannot be noted is not done");
    assert!(run(&jail).await.exits(1).all().contains("full"));
    jail.make_room(&org);
    run(&jail).await.exits(0);
    assert_eq!(org.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a mount namespace of its own (unshare -Urm), which containers may forbid; .ci/run runs it"]
async fn a_state_directory_that_is_read_only_is_named() {
    let org = a_move().await;
    let jail = Jail::read_only(&org).await;
    for command in [&["daemon"][..], &["run", "managers"]] {
        let ended = jail.spawn(&org, command).finish().await.exits(1);
        assert!(ended.stderr.contains("Read-only file system") && ended.stderr.contains("hint: "), "{}", ended.stderr);
    }
    assert_eq!(org.journal().writes().len(), 0);
    let history = jail.spawn(&org, &["history", "--json"]).finish().await.exits(0);
    assert_eq!(history.json().as_array().unwrap().len(), 1, "what is there can be read");
    org.reconcile().await.exits(0);
    assert_eq!(org.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a mount namespace of its own (unshare -Urm), which containers may forbid; .ci/run runs it"]
async fn a_state_directory_in_memory_is_warned_of_by_check() {
    let org = Org::team(["ana", "bo"]).await;
    let jail = Jail::with_tmpfs(&org, "size=2m").await;
    let check = jail.spawn(&org, &["check"]).finish().await.exits(0);
    assert!(check.stdout.contains("warning: ") && check.stdout.contains("kind tmpfs"), "{}", check.stdout);
}
