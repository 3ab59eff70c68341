//! `check`: every mistake in the configuration, and when each job runs next.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::identities::secret_ends;
use crate::auth::condition::warning;
use crate::auth::entra::certificate_ends;
use crate::cli::args::{Global, OutputFormat};
use crate::cli::exit;
use crate::cli::render;
use crate::config;
use crate::config::problem::{Origin, Problem};
use crate::config::secrets::SecretRef;
use crate::config::settings::{AppAuth, JobSettings, Settings, Work};
use crate::domain::condition::State;
use crate::history::volume;
use crate::schedule::{Anchor, CatchUp, Schedule};
use crate::tables::table::{Cell, Table};
use crate::tables::words::local;

/// How many runs are foretold.
const RUNS: usize = 5;

/// What there is to say about a configuration.
struct Findings {
    settings: Option<Settings>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// Checks the configuration that `global` names.
///
/// # Errors
///
/// Those of standard output.
pub(super) fn run(global: &Global, env: &[(String, String)], now: Timestamp) -> io::Result<u8> {
    let findings = Findings::of(&global.config, env, now);
    match global.format() {
        OutputFormat::Table => render::print_with(|out| io::Write::write_all(out, findings.text(now).as_bytes()))?,
        OutputFormat::Json => render::print_with(|out| render::write_json(out, &findings.json(now)))?,
        OutputFormat::Csv => render::print(&findings.table(), OutputFormat::Csv)?,
    }
    Ok(findings.exit_code())
}

impl Findings {
    /// Reads the file, and tries every secret as this user.
    fn of(path: &Path, env: &[(String, String)], now: Timestamp) -> Self {
        match config::load(path, env) {
            Ok(settings) => {
                let concern = volume::concern(&settings.state_directory);
                let mut findings = Self::of_settings(settings, env, now);
                findings.warnings.extend(concern.map(|message| Problem {
                    origin: Origin::File { path: path.to_owned(), position: None },
                    key: "state.directory".to_owned(),
                    message,
                    suggestion: None,
                }));
                findings
            }
            Err(found) => Self { settings: None, problems: found.problems, warnings: found.warnings },
        }
    }

    fn of_settings(settings: Settings, env: &[(String, String)], now: Timestamp) -> Self {
        let mut problems = Vec::new();
        let mut warnings = settings.warnings.clone();
        problems.extend(settings.pair_problem(env, now));
        warnings.extend(ending(&settings, env, now));
        for (problem, harmless) in settings.secrets.iter().filter_map(|secret| secret.problem(env)) {
            if harmless { warnings.push(problem) } else { problems.push(problem) }
        }
        Self { settings: Some(settings), problems, warnings }
    }

    const fn exit_code(&self) -> u8 {
        if self.problems.is_empty() { exit::SUCCEEDED } else { exit::USAGE }
    }

    /// What an operator reads.
    fn text(&self, now: Timestamp) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            let _ = writeln!(text, "{problem}");
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        if !text.is_empty() {
            text.push('\n');
        }
        let counts = [(self.problems.len(), "problem"), (self.warnings.len(), "warning")];
        let counts: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| counted(*n, what)).collect();
        match &self.settings {
            Some(settings) => {
                let verdict = if self.problems.is_empty() { "The configuration is good" } else { "Not ready" };
                let counts = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
                let jobs = counted(settings.jobs.len(), "job");
                let directory = settings.state_directory.display();
                let _ = writeln!(
                    text,
                    "{verdict}{counts}: {jobs}, state in {directory}, fingerprint {}",
                    settings.fingerprint
                );
                let _ = writeln!(text, "Network: {}", settings.http.describe());
                for job in settings.jobs.values() {
                    job_text(&mut text, job, now);
                }
            }
            None => {
                let _ = writeln!(text, "{}", counts.join(", "));
            }
        }
        text
    }

    /// What programs read.
    fn json(&self, now: Timestamp) -> Value {
        let list = |found: &[Problem]| found.iter().map(problem_json).collect::<Vec<_>>();
        let jobs = self.settings.iter().flat_map(|settings| settings.jobs.values()).map(|job| job_json(job, now));
        json!({
            "ok": self.problems.is_empty(),
            "fingerprint": self.settings.as_ref().map(|settings| settings.fingerprint.as_str()),
            "network": self.settings.as_ref().map(|settings| settings.http.describe()),
            "problems": list(&self.problems),
            "warnings": list(&self.warnings),
            "jobs": jobs.collect::<Vec<_>>(),
        })
    }

    fn table(&self) -> Table {
        let columns = ["severity", "source", "line", "column", "key", "message", "suggestion"].map(|key| (key, key));
        let mut table = Table::new(&columns, "no problems");
        let problems = self.problems.iter().map(|problem| ("problem", problem));
        for (severity, found) in problems.chain(self.warnings.iter().map(|warning| ("warning", warning))) {
            let (source, position) = place(&found.origin);
            table.push(vec![
                Cell::text(severity),
                Cell::text(source),
                Cell::optional(position, |(line, _)| Cell::new(line, line.to_string())),
                Cell::optional(position, |(_, column)| Cell::new(column, column.to_string())),
                Cell::text(&found.key),
                Cell::text(&found.message),
                Cell::optional(found.suggestion.clone(), Cell::text),
            ]);
        }
        table
    }
}

/// What ends soon of the credentials, as far as the configuration and this user's files tell.
fn ending(settings: &Settings, env: &[(String, String)], now: Timestamp) -> Option<Problem> {
    let app = settings.entra.app.as_ref()?;
    let (ends, key) = match &app.auth {
        AppAuth::ClientSecret { .. } => (secret_ends(settings)?, "entra.app.client_secret_ends"),
        AppAuth::Certificate { certificate, private_key, password, .. } => {
            let read = |place: &SecretRef| place.read(env).ok();
            let (key, password) = (private_key.as_ref().and_then(read), password.as_ref().and_then(read));
            let ends = certificate_ends(&read(certificate)?, key.as_ref(), password.as_ref()).ok()?;
            // One that is over is a problem, and told as such.
            (Some(ends).filter(|ends| ends.at > now)?, "entra.app.certificate")
        }
        AppAuth::FederatedToken { .. } => return None,
    };
    let State { detail, hint, .. } = warning(ends, now)?;
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    // Told at the secret itself: an end of its own has no place among the settings.
    let named = settings.secrets.iter().find(|named| key.starts_with(&named.key))?;
    let (origin, key) = (named.origin.clone(), key.to_owned());
    Some(Problem { origin, key, message: format!("{detail}{hint}"), suggestion: None })
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn job_text(text: &mut String, job: &JobSettings, now: Timestamp) {
    let mode = match &job.work {
        Work::Managers(managers) => format!(", mode {}", managers.mode),
        Work::Request(request) => format!(", {} /{}{}", request.method, request.version, request.path),
        Work::Licenses(_) | Work::Keepalive(_) | Work::Directory(_) => String::new(),
    };
    let when = job.schedule.as_ref().map_or_else(|| "runs by hand only".to_owned(), Schedule::describe);
    let _ = writeln!(text, "\n{} ({}{mode}): {when}", job.name, job.kind());
    if job.schedule.is_none() {
        return;
    }
    let counted =
        matches!(job.schedule, Some(Schedule::Every(_))).then_some(", counted from now for want of a last run");
    let jitter = (!job.jitter.is_zero()).then(|| format!(", each up to {} later", config::spoken(job.jitter)));
    let _ = writeln!(text, "  next in {}{}{}", job.zone.name, jitter.unwrap_or_default(), counted.unwrap_or_default());
    for run in next_runs(job, now) {
        let _ = writeln!(text, "    {}", local(run, &job.zone.tz));
    }
    let _ = writeln!(text, "  {}", catch_up(job));
}

/// What becomes of moments that were missed, as a sentence.
fn catch_up(job: &JobSettings) -> String {
    let within = job.catch_up_within.map(config::spoken);
    match (job.catch_up, within) {
        (CatchUp::Skip, _) => "missed: not caught up".to_owned(),
        (CatchUp::Once, None) => "missed: the newest is caught up, within a day and before the one after it".to_owned(),
        (CatchUp::Once, Some(within)) => format!("missed: the newest is caught up, within {within}"),
        (CatchUp::All, None) => {
            "missed: the newest ten are caught up, each within a day and before the one after it".to_owned()
        }
        (CatchUp::All, Some(within)) => format!("missed: the newest ten are caught up, each within {within}"),
    }
}

/// The next moments of a job. A period counts from its last run, which `check` does not know: it counts from now.
fn next_runs(job: &JobSettings, now: Timestamp) -> Vec<Timestamp> {
    let Some(schedule) = &job.schedule else { return Vec::new() };
    schedule.moments(&job.zone.tz, Anchor::default(), now).take(RUNS).collect()
}

fn place(origin: &Origin) -> (String, Option<(usize, usize)>) {
    match origin {
        Origin::File { path, position } => (path.display().to_string(), *position),
        Origin::Environment { variable } => (variable.clone(), None),
    }
}

fn problem_json(problem: &Problem) -> Value {
    let (source, position) = place(&problem.origin);
    let kind = match problem.origin {
        Origin::File { .. } => "file",
        Origin::Environment { .. } => "variable",
    };
    json!({
        kind: source,
        "line": position.map(|(line, _)| line),
        "column": position.map(|(_, column)| column),
        "key": problem.key,
        "message": problem.message,
        "suggestion": problem.suggestion,
    })
}

fn job_json(job: &JobSettings, now: Timestamp) -> Value {
    json!({
        "name": job.name,
        "kind": job.kind(),
        "schedule": job.schedule.as_ref().map(Schedule::as_str),
        "timezone": job.zone.name,
        "catch_up": job.catch_up,
        "catch_up_within": job.catch_up_within.map(config::spoken),
        "next": next_runs(job, now).iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
timezone = "Europe/Oslo"
state = { directory = "/var/lib/graphkeeper" }
[okta]
org_url = "https://example.okta.com"
auth = { method = "api-token", token = { credential = "okta-token" } }
[entra]
tenant = "contoso.onmicrosoft.com"
app = { client_id = "a", client_secret = { env = "ENTRA_SECRET" } }
user = { client_id = "b" }
[jobs.managers]
kind = "managers"
manager = [{ attribute = "managerId", is = "login" }]
[jobs.keepalive]
kind = "keepalive"
schedule = "0 2 * * SUN,WED"
timezone = "America/New_York"
jitter = "20 minutes"
[jobs.licenses]
kind = "licenses"
every = "2 days"
"#;

    fn check(text: &str) -> Findings {
        let env = [("ENTRA_SECRET".to_owned(), "x".to_owned())];
        match config::load_text(Path::new("gk.toml"), text, &env) {
            Ok(settings) => Findings::of_settings(settings, &env, now()),
            Err(found) => Findings { settings: None, problems: found.problems, warnings: found.warnings },
        }
    }

    fn now() -> Timestamp {
        "2026-03-06T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_good_file_shows_the_next_five_runs_of_each_job() {
        let findings = check(GOOD);
        assert_eq!(findings.exit_code(), exit::SUCCEEDED);
        let fingerprint = findings.settings.as_ref().unwrap().fingerprint.clone();
        insta::assert_snapshot!(findings.text(now()).replace(&fingerprint, "FINGERPRINT"), @r#"
        warning: gk.toml:6:32: okta.auth.token: credential `okta-token` cannot be found: $CREDENTIALS_DIRECTORY is not set; start the service with LoadCredential=okta-token:/path/to/file, or use { file = "…" }

        The configuration is good (1 warning): 3 jobs, state in /var/lib/graphkeeper, fingerprint FINGERPRINT
        Network: TLS 1.2 or later; authorities of the system; no proxy

        keepalive (keepalive): At 02:00, on Sunday and Wednesday
          next in America/New_York, each up to 20 minutes later
            2026-03-08 03:00:00 EDT
            2026-03-11 02:00:00 EDT
            2026-03-15 02:00:00 EDT
            2026-03-18 02:00:00 EDT
            2026-03-22 02:00:00 EDT
          missed: the newest is caught up, within a day and before the one after it

        licenses (licenses): every 2 days
          next in Europe/Oslo, counted from now for want of a last run
            2026-03-06 13:00:00 CET
            2026-03-08 13:00:00 CET
            2026-03-10 13:00:00 CET
            2026-03-12 13:00:00 CET
            2026-03-14 13:00:00 CET
          missed: the newest is caught up, within a day and before the one after it

        managers (managers, mode plan): runs by hand only
        "#);
    }

    #[test]
    fn a_client_secret_that_ends_soon_is_a_warning() {
        let ends = |date: &str| {
            let text = GOOD.replace("client_secret =", &format!("client_secret_ends = \"{date}\", client_secret ="));
            let findings = check(&text);
            assert_eq!(findings.exit_code(), exit::SUCCEEDED);
            findings.warnings.into_iter().find(|warning| warning.key == "entra.app.client_secret_ends")
        };
        let soon = ends("2026-03-18").unwrap().to_string();
        assert!(
            soon.starts_with("gk.toml:9:") && soon.contains("ends on 2026-03-18, in 12 days; make a new one"),
            "{soon}"
        );
        assert!(ends("2026-03-05").unwrap().to_string().contains("ended on 2026-03-05"));
        assert!(ends("2026-03-06").unwrap().to_string().contains("ends today"), "the last day counts");
        assert!(ends("2026-04-06").is_none(), "31 days away");
    }

    #[test]
    fn a_bad_file_shows_every_mistake_at_once() {
        let text = GOOD
            .replace("Europe/Oslo", "Europe/Olso")
            .replace("\"api-token\"", "\"private-kee\"")
            .replace("tenant", "tennant")
            .replace("\"0 2 * * SUN,WED\"", "\"0 25 * * SUN\"")
            .replace("\"20 minutes\"", "20")
            .replace("is = \"login\"", "is = \"logon\"")
            .replace("kind = \"licenses\"", "kind = \"watch\"");
        let findings = check(&text);
        assert_eq!(findings.exit_code(), exit::USAGE);
        insta::assert_snapshot!(findings.text(now()), @r#"
        gk.toml:2:12: timezone: `Europe/Olso` is not a time zone, such as Europe/Oslo (did you mean `Europe/Oslo`?)
        gk.toml:6:19: okta.auth.method: `private-kee` is not one of api-token, private-key (did you mean `private-key`?)
        gk.toml:8:1: entra.tennant: unknown key `tennant` (did you mean `tenant`?)
        gk.toml:13:44: jobs.managers.manager[0].is: `logon` is not one of id, login, short_login, email, employee_number, display_name, upn, mail, proxy_address, employee_id, object_id (did you mean `login`?)
        gk.toml:16:12: jobs.keepalive.schedule: hour "25" is not 0 to 23, a list, a range or a step such as */6
        gk.toml:18:10: jobs.keepalive.jitter: integer `20` stands where a text in quotes is wanted
        gk.toml:20:8: jobs.licenses.kind: `watch` jobs are not available yet in this version

        7 problems
        "#);
    }

    #[test]
    fn programs_get_the_same_with_file_line_and_key_apart() {
        let bad = check(&GOOD.replace("Europe/Oslo", "Europe/Olso")).json(now());
        assert_eq!((&bad["ok"], &bad["problems"][0]["line"]), (&json!(false), &json!(2)));
        assert_eq!(bad["problems"][0]["file"], "gk.toml");
        assert_eq!(bad["problems"][0]["key"], "timezone");
        assert_eq!(bad["problems"][0]["suggestion"], "Europe/Oslo");
        let good = check(GOOD).json(now());
        assert_eq!(good["ok"], true);
        assert_eq!(good["jobs"][0]["next"][0], "2026-03-08T07:00:00Z", "02:00 does not exist that day");
        let mut csv = Vec::new();
        let table = check(&GOOD.replace("Europe/Oslo", "Europe/Olso")).table();
        render::write(&table, &mut csv, OutputFormat::Csv, None).unwrap();
        assert!(String::from_utf8(csv).unwrap().contains("\nproblem,gk.toml,2,12,timezone,"));
    }
}
