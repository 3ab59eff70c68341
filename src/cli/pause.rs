//! `pause` and `resume`: whether a job's moments are run, or only recorded.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::app;
use crate::cli::args::{Global, JobName};
use crate::cli::carrier::{Carrier, carrier};
use crate::cli::failure::Failure;
use crate::cli::page::Page;
use crate::cli::{caller, exit, work};
use crate::clock::SystemClock;
use crate::config::settings::Settings;
use crate::control::carry;
use crate::control::wire::{JobRequest, Paused};
use crate::history::History;
use crate::tables::table::{Cell, Table};
use crate::tables::words::local;

/// Pauses a job and prints what came of it.
///
/// JSON: `{job, paused, since, by, changed}`; `changed` is false when it was paused already.
pub(super) async fn pause(global: &Global, arguments: &JobName, now: Timestamp) -> Result<u8, Failure> {
    let settings = work::settings(global)?;
    let request = JobRequest { job: arguments.job.clone() };
    let paused = match carrier(&settings).await? {
        Carrier::Service(client) => client.pause(&request).await?,
        Carrier::Here { beside } => {
            let history = open(&settings, &request.job, beside.as_deref()).await?;
            let paused = carry::pause(&history, &request.job, &caller::name(), now).await;
            history.close().await;
            paused?
        }
    };
    tell(global, &paused, &settings.zone.tz)
}

/// Resumes a job and prints what came of it; JSON as for [`pause`].
pub(super) async fn resume(global: &Global, arguments: &JobName) -> Result<u8, Failure> {
    let settings = work::settings(global)?;
    let request = JobRequest { job: arguments.job.clone() };
    let resumed = match carrier(&settings).await? {
        Carrier::Service(client) => client.resume(&request).await?,
        Carrier::Here { beside } => {
            let history = open(&settings, &request.job, beside.as_deref()).await?;
            let resumed = carry::resume(&history, &request.job).await;
            history.close().await;
            resumed?
        }
    };
    tell(global, &resumed, &settings.zone.tz)
}

/// The history, for a job that there is. A service that cannot be asked would not hear of it.
async fn open(settings: &Settings, job: &str, beside: Option<&str>) -> Result<History, Failure> {
    app::known(settings, job)?;
    if let Some(who) = beside {
        let message = format!("{who} would go on as before: it serves the state directory and cannot be asked");
        let hint = "look into the service's log why it does not listen on its control socket";
        return Err(Failure::new(exit::FAILED, message, Some(hint.to_owned())));
    }
    Ok(app::open_history_to_write(settings, &SystemClock).await?)
}

fn tell(global: &Global, paused: &Paused, zone: &TimeZone) -> Result<u8, Failure> {
    page(paused, zone).print(global.format())?;
    Ok(exit::SUCCEEDED)
}

fn page(paused: &Paused, zone: &TimeZone) -> Page {
    let Paused { job, since, by, changed } = paused;
    let text = match (since, by) {
        (Some(since), Some(by)) if !changed => {
            format!("{job} is paused already, since {} by {by}\n", local(*since, zone))
        }
        (Some(_), _) => {
            format!("{job} is paused: its moments are recorded and not run until `graphkeeper resume {job}`\n")
        }
        (None, _) if *changed => format!("{job} goes on with its next moment\n"),
        (None, _) => format!("{job} was not paused\n"),
    };
    let json = json!({
        "job": job,
        "paused": since.is_some(),
        "since": since.map(|since| since.to_string()),
        "by": by,
        "changed": changed,
    });
    let columns = [("job", "Job"), ("paused", "Paused"), ("since", "Since"), ("by", "By"), ("changed", "Changed")];
    let mut rows = Table::new(&columns, "");
    rows.push(vec![
        Cell::text(job),
        Cell::new(since.is_some(), since.is_some().to_string()),
        Cell::optional(*since, |since| Cell::moment(since, zone)),
        Cell::optional(by.as_ref(), Cell::text),
        Cell::new(*changed, changed.to_string()),
    ]);
    Page { text, json, rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::at;

    #[test]
    fn what_came_of_it_is_one_sentence() {
        let paused = |since: Option<i64>, changed| Paused {
            job: "managers".to_owned(),
            since: since.map(at),
            by: since.map(|_| "ana".to_owned()),
            changed,
        };
        let texts = [paused(Some(0), true), paused(Some(0), false), paused(None, true), paused(None, false)]
            .map(|paused| page(&paused, &TimeZone::UTC).text);
        insta::assert_snapshot!(texts.concat(), @r"
        managers is paused: its moments are recorded and not run until `graphkeeper resume managers`
        managers is paused already, since 2026-09-21 14:13:20 UTC by ana
        managers goes on with its next moment
        managers was not paused
        ");
        let json = page(&paused(Some(0), false), &TimeZone::UTC).json;
        assert_eq!((&json["paused"], &json["by"], &json["changed"]), (&json!(true), &json!("ana"), &json!(false)));
    }
}
