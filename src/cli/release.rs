//! `release`: lets the next run try parked people again.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::app;
use crate::cli::args::{self, Global};
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render::{self, Cell, Table};
use crate::cli::{caller, exit};
use crate::clock::SystemClock;
use crate::history::parked::{ParkedPerson, Release};

/// Releases people and prints who they were.
///
/// JSON: a list of `{job, person, login, reason, since, cause, run}`, those who were released.
pub(super) async fn run(global: &Global, arguments: &args::Release, now: Timestamp) -> Result<u8, Failure> {
    let desk = Desk::open(global, now).await?;
    // An empty history is not created only to find nobody in it.
    desk.history()?;
    let whom = whom(&desk, arguments).await?;
    let history = app::open_history_to_write(&desk.settings, &SystemClock).await?;
    let released = history.release(&whom, now, &caller::name()).await;
    history.close().await;
    let released = released?;
    let missed = match &whom {
        Release::Users { names, .. } => unmatched(&arguments.users, names, &released),
        Release::Job { .. } => Vec::new(),
    };
    tell(&released, &missed)?;
    render::print(&table(&released, desk.zone()), desk.format)?;
    Ok(exit::SUCCEEDED)
}

async fn whom(desk: &Desk, arguments: &args::Release) -> Result<Release, Failure> {
    if let Some(job) = arguments.job.as_deref().filter(|job| !desk.settings.jobs.contains_key(*job)) {
        return Err(app::no_job(&desk.settings, job).into());
    }
    match (&arguments.job, arguments.users.is_empty()) {
        (Some(job), true) => Ok(Release::Job { job: job.clone(), reason: arguments.reason }),
        (job, _) => {
            let mut names = Vec::with_capacity(arguments.users.len());
            for user in &arguments.users {
                names.push(desk.person(user).await?);
            }
            Ok(Release::Users { names, job: job.clone() })
        }
    }
}

/// Whom of those named nobody was released for. `resolved` stands beside `named`, in the same order.
fn unmatched(named: &[String], resolved: &[String], released: &[ParkedPerson]) -> Vec<String> {
    let is = |name: &str, one: &ParkedPerson| {
        let account = one.account.map(|account| account.to_string());
        one.person.as_str() == name
            || one.login.eq_ignore_ascii_case(name)
            || account.is_some_and(|account| account.eq_ignore_ascii_case(name))
    };
    let missed = named.iter().zip(resolved).filter(|(_, name)| !released.iter().any(|one| is(name, one)));
    missed.map(|(named, _)| named.clone()).collect()
}

/// Says what came of it; that nobody was released is a failure.
fn tell(released: &[ParkedPerson], missed: &[String]) -> Result<(), Failure> {
    if released.is_empty() {
        let message = match missed {
            [] => "nobody is left alone for that reason".to_owned(),
            names => format!("nobody named {} is left alone by a job", names.join(", ")),
        };
        let hint = "`graphkeeper explain USER` tells why a person's manager is not written; `graphkeeper jobs` counts who waits";
        return Err(Failure::new(exit::FAILED, message, Some(hint.to_owned())));
    }
    for name in missed {
        render::say(&format!("{name} was not left alone by a job"));
    }
    let people = match released.len() {
        1 => "1 person".to_owned(),
        count => format!("{count} people"),
    };
    render::say(&format!("released {people}; the next run tries again"));
    Ok(())
}

fn table(released: &[ParkedPerson], zone: &TimeZone) -> Table {
    let columns = [
        ("job", "Job"),
        ("person", ""),
        ("login", "Person"),
        ("reason", "Was left alone as"),
        ("since", "Since"),
        ("cause", "Cause"),
        ("run", ""),
    ];
    let mut table = Table::new(&columns, "nobody");
    for one in released {
        table.push(vec![
            Cell::text(&one.job),
            Cell::text(one.person.as_str()),
            Cell::text(&one.login),
            Cell::text(one.reason.as_str()),
            Cell::moment(one.since, zone),
            Cell::text(&one.cause),
            Cell::text(one.run.as_str()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::domain::decision::Reason;
    use crate::history::testing::{Place, at};

    #[tokio::test]
    async fn who_was_released_is_told_and_who_was_not_is_named() {
        let place = Place::new().await;
        let parked = [samples::parked(1, Reason::Blocked), samples::parked(2, Reason::Undone)];
        place.history.park(&parked).await.unwrap();
        let names = vec!["PERSON1@example.com".to_owned(), "nobody".to_owned()];
        let whom = Release::Users { names: names.clone(), job: Some("managers".to_owned()) };
        let released = place.history.release(&whom, at(9), "ana").await.unwrap();
        assert_eq!(unmatched(&names, &names, &released), ["nobody"]);
        insta::assert_snapshot!(samples::written(&table(&released, &TimeZone::UTC), OutputFormat::Table), @r"
        Job       Person               Was left alone as  Since                    Cause
        managers  person1@example.com  blocked            2026-09-21 14:13:20 UTC  403 Authorization_RequestDenied
        ");
        let failure = tell(&[], &["nobody".to_owned()]).unwrap_err();
        assert_eq!(failure.code, exit::FAILED);
        assert!(failure.text().starts_with("error: nobody named nobody is left alone"), "{}", failure.text());
    }

    #[tokio::test]
    async fn another_jobs_people_stay_parked() {
        let place = Place::new().await;
        place.history.park(&[samples::parked(1, Reason::Blocked)]).await.unwrap();
        let whom = Release::Users { names: vec!["00u1".to_owned()], job: Some("other".to_owned()) };
        assert!(place.history.release(&whom, at(9), "ana").await.unwrap().is_empty());
    }
}
