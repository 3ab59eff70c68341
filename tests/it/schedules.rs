//! Schedules of the real service by the real clock: every second has its row, whatever happens to the process, and the
//! service manager is told how it is.

use std::process::Command;

use tokio::net::UnixDatagram;

use crate::support::process::Process;
use crate::support::{Org, within};

const LICENSES: &str = "select count(*) from moment where job = 'licenses'";

/// Only licenses, on this schedule.
fn only_licenses(schedule: &str) -> String {
    format!(
        "[jobs.managers]\nschedule = \"0 0 1 1 *\"\n[jobs.keepalive]\nschedule = \"0 0 1 1 *\"\n[jobs.licenses]\n{schedule}\n"
    )
}

/// Waits until the ledger has so many rows of licenses.
async fn rows(org: &Org, least: i64) {
    let counted = async {
        let mut database = org.database().await;
        while database.number(LICENSES).await < least {
            tokio::task::yield_now().await;
        }
    };
    within("the ledger is written", counted).await;
}

async fn serving(org: &Org) -> Process {
    let mut service = org.spawn(&["daemon"]);
    service.says("serving").await;
    service
}

async fn stopped(service: Process) {
    service.terminate();
    service.finish().await.exits(0);
}

/// What is said of the seconds between the first start and the newest row that have none, and of runs begun twice.
async fn check(org: &Org) {
    let mut database = org.database().await;
    let seconds = "with recursive second (at) as (
        select (select since from job where name = 'licenses') / 1000 * 1000 + 1000
         union all select at + 1000 from second where at < (select max(planned_at) from moment where job = 'licenses'))";
    let lost = database
        .texts(&format!(
            "{seconds} select datetime(at / 1000, 'unixepoch') from second
              where not exists (select 1 from moment where job = 'licenses' and planned_at = at)"
        ))
        .await;
    assert!(lost.is_empty(), "lost: {lost:?}");
    let odd = database.number(&format!("{LICENSES} and planned_at % 1000 <> 0")).await;
    let twice = "select count(*) from (select run from moment where run is not null group by run having count(*) > 1)";
    let orphans = "select count(*) from run where trigger = 'schedule' and id not in (select run from moment where run is not null)";
    assert_eq!((odd, database.number(twice).await, database.number(orphans).await), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_second_has_its_row_however_often_the_service_is_killed() {
    let org = Org::team(["ana"]).await;
    org.configure(&only_licenses("schedule = \"* * * * * *\""));
    let mut least = 0;
    for _ in 0..4 {
        let service = serving(&org).await;
        least += 2;
        rows(&org, least).await;
        service.kill().await;
    }
    let service = serving(&org).await;
    rows(&org, least + 2).await;
    stopped(service).await;
    check(&org).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_is_changed_while_the_service_is_down_leaves_nothing_untold() {
    let org = Org::team(["ana"]).await;
    org.configure(&only_licenses("schedule = \"* * * * * *\""));
    let service = serving(&org).await;
    rows(&org, 2).await;
    service.kill().await;
    // As if it had been down for five minutes.
    let mut database = org.database().await;
    database.execute("update moment set planned_at = planned_at - 300000").await;
    database.execute("update job set since = since - 300000").await;
    org.configure(&only_licenses("schedule = \"0 0 1 1 *\""));
    stopped(serving(&org).await).await;
    let down = database.number(&format!("{LICENSES} and disposition = 'down'")).await;
    assert!((290..400).contains(&down), "{down}");
    let reasons = database.texts("select distinct reason from moment where disposition = 'down'").await;
    assert_eq!(reasons, ["the schedule was changed while the service was down"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_taken_out_while_the_service_is_down_leaves_nothing_untold() {
    let org = Org::team(["ana"]).await;
    org.configure(&only_licenses("schedule = \"0 0 1 1 *\""));
    stopped(serving(&org).await).await;
    // As if there had been another job until five minutes ago.
    let mut database = org.database().await;
    database
        .execute("insert into job (name, schedule, zone, since) select 'gone', 'cron * * * * * *', 'UTC', min(since) - 300000 from job")
        .await;
    stopped(serving(&org).await).await;
    let down = database.number("select count(*) from moment where job = 'gone' and disposition = 'down'").await;
    assert!((300..400).contains(&down), "{down}");
    let reasons = database.texts("select distinct reason from moment where job = 'gone'").await;
    assert_eq!(reasons, ["the job was taken out of the configuration while the service was down"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_while_down_is_told_apart_by_its_age() {
    let org = Org::team(["ana"]).await;
    org.configure(&only_licenses("schedule = \"* * * * * *\"\ncatch_up_within = \"1 minute\""));
    let service = serving(&org).await;
    rows(&org, 2).await;
    service.kill().await;
    let mut database = org.database().await;
    database.execute("update moment set planned_at = planned_at - 300000").await;
    database.execute("update job set since = since - 300000").await;
    let service = serving(&org).await;
    rows(&org, 300).await;
    stopped(service).await;
    let mut count = async |word: &str| database.number(&format!("{LICENSES} and disposition = '{word}'")).await;
    let (old, covered, caught_up) = (count("too_old").await, count("collapsed").await, count("caught_up").await);
    assert!(
        (200..320).contains(&old) && (40..70).contains(&covered) && caught_up >= 1,
        "{old}, {covered}, {caught_up}"
    );
    check(&org).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_of_readiness_reloads_refusals_and_the_watchdog_s_food() {
    let mut org = Org::team(["ana"]).await;
    org.configure(&only_licenses("schedule = \"0 0 1 1 *\""));
    let manager = UnixDatagram::bind(org.home().join("notify")).unwrap();
    org.env.push(("NOTIFY_SOCKET".to_owned(), org.home().join("notify").display().to_string()));
    org.env.push(("WATCHDOG_USEC".to_owned(), "2000000".to_owned()));
    let service = org.spawn(&["daemon"]);
    let ready = hears(&manager, "READY=1").await;
    assert!(ready.contains("STATUS=next run: "), "{ready}");
    for _ in 0..3 {
        hears(&manager, "WATCHDOG=1").await;
    }
    let hang_up = || Command::new("kill").args(["-HUP", &service.pid().to_string()]).status().unwrap();
    assert!(hang_up().success());
    let reloading = hears(&manager, "RELOADING=1").await;
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    hears(&manager, "READY=1").await;
    org.configure("[jobs.licenses]\nscedule = \"0 0 1 1 *\"");
    hears(&manager, "STATUS=the configuration is refused and the one before it served (").await;
    org.configure(&only_licenses("schedule = \"0 0 2 1 *\""));
    hears(&manager, "STATUS=next run: ").await;
    service.terminate();
    let stopping = hears(&manager, "STOPPING=1").await;
    assert!(stopping.contains("STATUS=stopping"), "{stopping}");
    service.finish().await.exits(0);
}

/// Waits for a datagram with these words.
async fn hears(manager: &UnixDatagram, words: &str) -> String {
    let heard = async {
        let mut datagram = [0; 4096];
        loop {
            let length = manager.recv(&mut datagram).await.unwrap();
            let said = String::from_utf8_lossy(&datagram[..length]).into_owned();
            if said.contains(words) {
                return said;
            }
        }
    };
    within(&format!("the service says `{words}`"), heard).await
}
