//! `doctor`: how things stand with each service, each finding with what to do about it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::examination::patient_of;
use crate::cli::args::Global;
use crate::cli::carrier::{Carrier, carrier};
use crate::cli::failure::Failure;
use crate::cli::page::Page;
use crate::cli::{exit, login, work};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::config::settings::Settings;
use crate::daemon::listen;
use crate::doctor::finding::{Finding, Severity, Verdict};
use crate::doctor::{Report, examine};
use crate::jobs::progress::Progress;
use crate::tables::table::{Cell, Table};
use crate::tables::words::counted;

/// How long a command that is told to leave waits until a new refresh token is on disk.
const LEAVING: Duration = Duration::from_secs(5);

/// Examines, and prints what was found.
///
/// JSON: `{version, at, verdict, exit_code, counts, findings, services, rules, calls}`; README documents it.
pub(super) async fn run(global: &Global) -> Result<u8, Failure> {
    let settings = work::settings(global)?;
    let report = match carrier(&settings).await? {
        Carrier::Service(client) => client.examine().await?,
        Carrier::Here { .. } => here(&settings).await?,
    };
    page(&report).print(global.format())?;
    Ok(code(report.verdict))
}

/// The examination in this process.
async fn here(settings: &Settings) -> Result<Report, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let patient = patient_of(settings, &config::environment(), &clock)?;
    let mut signals = listen().map_err(anyhow::Error::from)?;
    let progress = Progress::default();
    let bar = tokio::spawn(work::show(progress.watch()));
    let report = tokio::select! {
        report = examine::examine(&patient, &progress) => report,
        () = login::stopped(&mut signals) => {
            // What Entra gave for the old refresh token is stored before the process ends.
            let _ = tokio::time::timeout(LEAVING, patient.settled()).await;
            return Err(Failure::new(exit::FAILED, "stopped; nothing was changed".to_owned(), None));
        }
    };
    drop(progress);
    // The bar ends by itself when nothing more is told.
    let _ = tokio::time::timeout(Duration::from_secs(1), bar).await;
    Ok(report)
}

const fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Healthy => exit::SUCCEEDED,
        Verdict::NeedsHuman => exit::NEEDS_HUMAN,
        Verdict::Misconfigured => exit::USAGE,
        Verdict::Failed => exit::FAILED,
    }
}

fn page(report: &Report) -> Page {
    Page { text: text(report), json: json(report), rows: rows(&report.findings) }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let Finding { severity, check, about, what, why, remedy, grant, turn: _ } = finding;
        let _ = writeln!(text, "{severity:<8} {about}: {}: {what}", check.as_str().replace('_', " "));
        if *severity == Severity::Ok {
            continue;
        }
        let told = [("why", Some(why)), ("remedy", remedy.as_ref()), ("where", grant.as_ref())];
        for (word, said) in told {
            if let Some(said) = said {
                let _ = writeln!(text, "         {word}: {said}");
            }
        }
    }
    let _ = writeln!(text, "\n{}", summary(report));
    text
}

fn count(report: &Report, severity: Severity) -> u64 {
    report.findings.iter().filter(|finding| finding.severity == severity).count() as u64
}

fn summary(report: &Report) -> String {
    let of = |severity| count(report, severity);
    let calls: usize = report.calls.iter().map(|call| call.calls).sum();
    let each: Vec<String> = report.calls.iter().map(|call| format!("{} {}", call.service, call.calls)).collect();
    format!(
        "{}, {}, {}, {} ok; {} ({}); nothing was changed",
        counted(of(Severity::Problem), "problem"),
        counted(of(Severity::Warning), "warning"),
        counted(of(Severity::Note), "note"),
        of(Severity::Ok),
        counted(calls as u64, "request"),
        each.join(", "),
    )
}

fn json(report: &Report) -> Value {
    let counts: serde_json::Map<String, Value> =
        Severity::ALL.iter().map(|severity| (severity.to_string(), json!(count(report, *severity)))).collect();
    json!({
        "version": report.version,
        "at": report.at.to_string(),
        "verdict": report.verdict,
        "exit_code": code(report.verdict),
        "counts": counts,
        "findings": report.findings,
        "services": report.services,
        "rules": report.rules,
        "calls": report.calls,
    })
}

fn rows(findings: &[Finding]) -> Table {
    let columns = ["severity", "check", "about", "what", "why", "remedy", "grant", "turn"].map(|key| (key, key));
    let mut rows = Table::new(&columns, "");
    for finding in findings {
        rows.push(vec![
            Cell::text(finding.severity.as_str()),
            Cell::text(finding.check.as_str()),
            Cell::text(&finding.about),
            Cell::text(&finding.what),
            Cell::text(&finding.why),
            Cell::optional(finding.remedy.as_ref(), Cell::text),
            Cell::optional(finding.grant.as_ref(), Cell::text),
            Cell::optional(finding.turn, |turn| Cell::text(turn.as_str())),
        ]);
    }
    rows
}
