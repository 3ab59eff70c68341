//! `release`: lets the next run try parked people again.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::app;
use crate::cli::args::{self, Global};
use crate::cli::carrier::{Carrier, carrier};
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::cli::{caller, exit, work};
use crate::clock::SystemClock;
use crate::config::settings::Settings;
use crate::control::carry;
use crate::control::wire::{ReleaseRequest, Released, ReleasedPerson};
use crate::tables::table::{Cell, Table};

/// Releases people and prints who they were.
///
/// JSON: a list of `{job, person, login, reason, since, cause, run}`, those who were released.
pub(super) async fn run(global: &Global, arguments: &args::Release, now: Timestamp) -> Result<u8, Failure> {
    let settings = work::settings(global)?;
    let args::Release { users, job, reason } = arguments.clone();
    let request = ReleaseRequest { users, job, reason };
    let Released { people, missed } = match carrier(&settings).await? {
        Carrier::Service(client) => client.release(&request).await?,
        Carrier::Here { .. } => here(global, &settings, &request, now).await?,
    };
    tell(&people, &missed)?;
    render::print(&table(&people, &settings.zone.tz), global.format())?;
    Ok(exit::SUCCEEDED)
}

async fn here(
    global: &Global,
    settings: &Settings,
    request: &ReleaseRequest,
    now: Timestamp,
) -> Result<Released, Failure> {
    // An empty history is not created only to find nobody in it.
    Desk::open(global, now).await?.history()?;
    if let Some(job) = &request.job {
        app::known(settings, job)?;
    }
    let history = app::open_history_to_write(settings, &SystemClock).await?;
    let released = carry::release(&history, request, &caller::name(), now).await;
    history.close().await;
    Ok(released?)
}

/// Says what came of it; that nobody was released is a failure.
fn tell(released: &[ReleasedPerson], missed: &[String]) -> Result<(), Failure> {
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

fn table(released: &[ReleasedPerson], zone: &TimeZone) -> Table {
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
            Cell::text(&one.person),
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

    #[test]
    fn who_was_released_is_told_and_nobody_is_a_failure() {
        let released = [ReleasedPerson::from(samples::parked(1, Reason::Blocked))];
        insta::assert_snapshot!(samples::written(&table(&released, &TimeZone::UTC), OutputFormat::Table), @r"
        Job       Person               Was left alone as  Since                    Cause
        managers  person1@example.com  blocked            2026-09-21 14:13:20 UTC  403 Authorization_RequestDenied
        ");
        let failure = tell(&[], &["nobody".to_owned()]).unwrap_err();
        assert_eq!(failure.code, exit::FAILED);
        assert!(failure.text().starts_with("error: nobody named nobody is left alone"), "{}", failure.text());
    }
}
