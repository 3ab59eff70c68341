//! `kill -9` at any moment: no lost history, no doubled write, no lost intent.
//!
//! A run is killed at each named step of the write journal, and at random moments while it writes; the next run settles
//! what was left open by reading, and finishes the work.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use graphkeeper::sandbox::faults::{Gate, When};

use crate::support::database::Change;
use crate::support::{ACCOUNTS, BATCH, MANAGER, Org, reached};

/// More than two batches.
const TEAM: u32 = 45;

/// Everybody's manager is now the other one of `boss` and `chief`.
fn everybody_moves(org: &Org, to: &str) {
    for member in 0..TEAM {
        org.moves(&format!("m{member}"), to);
    }
}

async fn team_on_the_move() -> Org {
    let org = Org::team_of(TEAM).await;
    everybody_moves(&org, "chief");
    org
}

/// Kills a run as soon as a request is parked at the gate, which stays shut.
async fn killed_at(org: &Org, gate: &Gate) {
    let run = org.spawn(&["run", "managers", "--json"]);
    reached(gate).await;
    run.kill().await;
    org.faults().clear();
}

/// The next run settles, finishes and leaves nothing open; all that was ever stored was intended, once each.
async fn settles_and_finishes(org: &Org, manager: &str, step: &str) {
    let run = org.reconcile().await;
    assert_eq!(run.code, Some(0), "{step}: {}{}", run.stdout, run.stderr);
    assert_eq!(org.managed_by(manager), TEAM as usize, "{step}: the work is finished");
    let again = org.reconcile().await.exits(0);
    assert_eq!(again.counted("planned"), 0, "{step}: nothing is left");
    books_agree(org, step).await;
}

/// Every stored write has exactly one intent, with its request id; the history says of each intent what the tenant saw.
async fn books_agree(org: &Org, step: &str) {
    let mut database = org.database().await;
    let changes = database.changes().await;
    let mut intents: HashMap<&str, Vec<&Change>> = HashMap::new();
    for change in &changes {
        intents.entry(&change.client_request_id).or_default().push(change);
    }
    let mut stored: HashMap<String, usize> = HashMap::new();
    for row in org.journal().writes().iter().filter(|row| row.write.is_some_and(|write| write.stored)) {
        *stored.entry(row.client_request_id.clone().unwrap()).or_default() += 1;
    }
    for (id, times) in &stored {
        assert_eq!(*times, 1, "{step}: {id} was stored {times} times");
        assert_eq!(intents.get(id.as_str()).map(Vec::len), Some(1), "{step}: {id} was stored without one intent");
    }
    for change in &changes {
        let was_stored = stored.contains_key(&change.client_request_id);
        let told = match change.state.as_str() {
            "confirmed" | "written" => true,
            "not_written" => false,
            other => panic!("{step}: {} of {} is {other} after everything is settled", change.login, change.run),
        };
        assert_eq!(told, was_stored, "{step}: {change:?}");
    }
    let open = database.number("select count(*) from run where outcome is null").await;
    assert_eq!(open, 0, "{step}: a run that nobody does any more is recorded as interrupted");
}

/// How many writes were stored, and how many intents stand open, right after the kill.
async fn left_behind(org: &Org) -> (u64, i64) {
    let open = "select count(*) from manager_change where state = 'intended'";
    (org.writes(), org.database().await.number(open).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_reading_nothing_was_intended() {
    let org = team_on_the_move().await;
    killed_at(&org, &org.hold(ACCOUNTS, When::Nth(1))).await;
    assert_eq!(left_behind(&org).await, (0, 0));
    settles_and_finishes(&org, "chief", "while reading").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_old_values_are_read_again_nothing_was_intended() {
    let org = team_on_the_move().await;
    killed_at(&org, &org.hold(BATCH, When::Nth(1))).await;
    assert_eq!(left_behind(&org).await, (0, 0));
    settles_and_finishes(&org, "chief", "before the check").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_intents_and_before_the_batch_is_carried_out() {
    let org = team_on_the_move().await;
    killed_at(&org, &org.hold(BATCH, When::Nth(2))).await;
    assert_eq!(left_behind(&org).await, (0, 20));
    settles_and_finishes(&org, "chief", "before the batch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_batch_is_carried_out() {
    let org = team_on_the_move().await;
    killed_at(&org, &org.hold(MANAGER, When::Nth(8))).await;
    assert_eq!(left_behind(&org).await, (7, 20));
    settles_and_finishes(&org, "chief", "amid the batch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_batch_was_carried_out_and_before_its_answer() {
    let org = team_on_the_move().await;
    killed_at(&org, &org.hold_answer(BATCH, When::Nth(2))).await;
    assert_eq!(left_behind(&org).await, (20, 20));
    settles_and_finishes(&org, "chief", "before the answer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_two_batches() {
    let org = team_on_the_move().await;
    killed_at(&org, &org.hold(BATCH, When::Nth(3))).await;
    assert_eq!(left_behind(&org).await, (20, 0));
    settles_and_finishes(&org, "chief", "between batches").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_while_writes_are_read_back() {
    // Three batches are checked and written; the seventh is the first to be read back.
    for nth in [7, 9] {
        let org = team_on_the_move().await;
        killed_at(&org, &org.hold(BATCH, When::Nth(nth))).await;
        assert_eq!(left_behind(&org).await, (u64::from(TEAM), 0));
        settles_and_finishes(&org, "chief", "while reading back").await;
        assert_eq!(org.writes(), u64::from(TEAM), "each was written once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_an_earlier_kill_is_settled() {
    let org = team_on_the_move().await;
    killed_at(&org, &org.hold_answer(BATCH, When::Nth(2))).await;
    killed_at(&org, &org.hold(BATCH, When::Nth(1))).await;
    assert_eq!(left_behind(&org).await, (20, 20));
    settles_and_finishes(&org, "chief", "while settling").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_undoing_what_was_taken_back_is_not_written_again() {
    let org = team_on_the_move().await;
    let first = org.reconcile().await.exits(0).run_id();
    let gate = org.hold(MANAGER, When::Nth(8));
    let undo = org.spawn(&["undo", &first, "--yes"]);
    reached(&gate).await;
    undo.kill().await;
    org.faults().clear();
    let writes = org.writes();
    let run = org.reconcile().await;
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.stdout);
    assert_eq!((org.writes(), org.managed_by("boss")), (writes, 7), "the seven that were taken back stay so");
    org.run(&["undo", &first, "--yes"]).await.exits(0);
    assert_eq!(org.managed_by("boss"), TEAM as usize, "the rest can still be taken back");
    assert_eq!(org.reconcile().await.exits(0).counted("planned"), 0);
    books_agree(&org, "while undoing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_approving_the_rest_is_held_again() {
    let org = team_on_the_move().await;
    org.configure(crate::support::USUAL_BRAKES);
    let plan = org.reconcile().await.exits(4).plan_id();
    let gate = org.hold(MANAGER, When::Nth(8));
    let approve = org.spawn(&["approve", &plan]);
    reached(&gate).await;
    approve.kill().await;
    org.faults().clear();
    let rest = org.reconcile().await.exits(4);
    assert_eq!((org.writes(), rest.left("held")), (7, u64::from(TEAM) - 7));
    org.run(&["approve", &rest.plan_id()]).await.exits(0);
    settles_and_finishes(&org, "chief", "while approving").await;
}

/// Kills at random moments of writing: a dozen here, and as many as `GRAPHKEEPER_KILLS` says.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_is_lost_and_nothing_done_twice() {
    let kills: u32 = std::env::var("GRAPHKEEPER_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    // The write budget makes each run wait; organizations side by side do not wait for each other.
    let parts = (0..SIDE_BY_SIDE).map(|part| killed(kills / SIDE_BY_SIDE + u32::from(part < kills % SIDE_BY_SIDE)));
    futures_util::future::join_all(parts).await;
}

/// How many organizations are killed at the same time.
const SIDE_BY_SIDE: u32 = 4;

/// One organization, killed so many times.
async fn killed(kills: u32) {
    let org = Org::team_of(TEAM).await;
    org.configure("[jobs.managers]\nbrake = { change = \"100%, at least 1000000\" }");
    org.reconcile().await.exits(0);
    everybody_moves(&org, "chief");
    let began = Instant::now();
    org.reconcile().await.exits(0);
    let mut whole = began.elapsed();
    let (mut hit, mut strikes) = (0, 0);
    while hit < kills {
        let manager = if strikes % 2 == 0 { "boss" } else { "chief" };
        everybody_moves(&org, manager);
        let (step, was_hit) = strike(&org, strikes, whole).await;
        settles_and_finishes(&org, manager, &step).await;
        strikes += 1;
        if was_hit {
            hit += 1;
        } else {
            // A machine that is less busy than it was is faster, too.
            whole = whole.mul_f64(0.8);
        }
        assert!(strikes < 40 + 4 * kills, "{hit} of {strikes} runs were hit while they ran");
    }
}

/// One kill at random: every third at any time of the run, the others between its first write and its end. Says at which
/// step, and whether it came before the run's end.
async fn strike(org: &Org, kill: u32, whole: Duration) -> (String, bool) {
    let from_start = kill.is_multiple_of(3);
    let gate = org.hold(MANAGER, When::Nth(if from_start { u32::MAX } else { fastrand::u32(1..=TEAM) }));
    let run = org.spawn(&["run", "managers", "--json"]);
    let longest = if from_start {
        whole
    } else {
        reached(&gate).await;
        gate.open();
        whole / 3
    };
    let moment = longest.mul_f64(fastrand::f64());
    tokio::time::sleep(moment).await; // the moment of the kill is what is drawn, not something waited for
    let ended = run.kill().await;
    org.faults().clear();
    let after = if from_start { "the start" } else { "a write" };
    (format!("kill {kill}, {moment:?} after {after}, {:?}", ended.code), ended.code.is_none())
}
