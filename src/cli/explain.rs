//! `explain`: why a person's manager is as it is, from what the runs left in the history.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::args::{self, Global};
use crate::cli::desk::Desk;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::history::changes::{self, Shown};
use crate::cli::page::{Page, section};
use crate::control::refusal::Refusal;
use crate::history::changes::{Change, ChangeFilter};
use crate::history::decisions::PastDecision;
use crate::history::parked::ParkedPerson;
use crate::history::{Found, History};
use crate::reconcile::evidence::{CorrelateTried, Evidence, FoundBy, ManagerTried, Named};
use crate::reconcile::meaning::{meaning, remedy};
use crate::tables::table::{Cell, Table};
use crate::tables::words::{local, relative};

/// How many writes are told, the newest.
const WRITES: u32 = 10;
/// How many former decisions are told of a job, the newest.
const FORMER: usize = 10;

/// Explains one person, for each job that ever looked at them.
///
/// JSON: `{person, login, upn, account, jobs}`, where each of `jobs` is `{job, standing, reason, meaning, remedy, since,
/// first_run, last_run, last_seen, evidence, parked, writes, former}`. `evidence` is what was read and which rules were
/// tried, as stored; `parked` is null or `{reason, cause, remedy, since, review}`; `writes` are as of `history changes`;
/// `former` is a list of `{reason, from, to, first_run, last_run}`.
pub(super) async fn run(global: &Global, arguments: &args::Explain, now: Timestamp) -> Result<u8, Failure> {
    let desk = Desk::open(global, now).await?;
    let told = read(desk.history()?, &arguments.user).await?;
    page(&told, desk.zone(), now, desk.width).print(desk.format)?;
    Ok(exit::SUCCEEDED)
}

/// All that is told of a person.
struct Told {
    /// Newest first, of all jobs; at least one.
    decisions: Vec<PastDecision>,
    parked: Vec<ParkedPerson>,
    writes: Vec<Change>,
}

async fn read(history: &History, name: &str) -> Result<Told, Failure> {
    let decisions = match history.decisions_of_user(name).await? {
        Found::One(decisions) => decisions,
        Found::Several(candidates) => {
            return Err(Refusal::Several { what: "person", name: name.to_owned(), candidates }.into());
        }
        Found::Nothing => return Err(unknown(name)),
    };
    let Some(person) = decisions.first().map(|one| one.person.clone()) else { return Err(unknown(name)) };
    let mut parked = history.list_parked(None).await?;
    parked.retain(|one| one.person == person);
    let filter =
        ChangeFilter { user: Some(person.as_str().to_owned()), limit: Some(WRITES), ..ChangeFilter::default() };
    let writes = history.list_changes(&filter).await?;
    Ok(Told { decisions, parked, writes })
}

fn unknown(name: &str) -> Failure {
    let hint = "name the person by Okta login or id, or by the account's user principal name, whole or its beginning; \
                people are known once a managers job has run";
    Failure::new(exit::FAILED, format!("no run has decided about `{name}`"), Some(hint.to_owned()))
}

impl Told {
    /// The jobs that looked at the person, those that decided last first.
    fn jobs(&self) -> Vec<Of<'_>> {
        let mut names: Vec<&str> = Vec::new();
        for decision in &self.decisions {
            if !names.contains(&decision.job.as_str()) {
                names.push(&decision.job);
            }
        }
        names.into_iter().filter_map(|job| self.of(job)).collect()
    }

    fn of(&self, job: &str) -> Option<Of<'_>> {
        let mut decisions = self.decisions.iter().filter(|one| one.job == job);
        Some(Of {
            decision: decisions.next()?,
            former: decisions.take(FORMER).collect(),
            parked: self.parked.iter().find(|one| one.job == job),
            writes: self.writes.iter().filter(|one| one.job == job).cloned().collect(),
        })
    }
}

/// What is told of a person and one job.
struct Of<'a> {
    decision: &'a PastDecision,
    former: Vec<&'a PastDecision>,
    parked: Option<&'a ParkedPerson>,
    writes: Vec<Change>,
}

fn page(told: &Told, zone: &TimeZone, now: Timestamp, width: Option<u16>) -> Page {
    let newest = &told.decisions[0];
    let mut text = format!("{} ({})\n", newest.login, newest.person);
    let mut objects = Vec::new();
    for of in told.jobs() {
        job_text(&mut text, &of, zone, now, width);
        objects.push(job_object(&of, zone));
    }
    let json = json!({
        "person": newest.person.as_str(),
        "login": newest.login,
        "upn": (!newest.upn.is_empty()).then_some(&newest.upn),
        "account": newest.account.map(|account| account.to_string()),
        "jobs": objects,
    });
    Page { text, json, rows: rows(&told.decisions, zone) }
}

/// Every decision as a row, for a spreadsheet.
fn rows(decisions: &[PastDecision], zone: &TimeZone) -> Table {
    let columns = ["job", "person", "login", "reason", "standing", "from", "to", "first_run", "last_run", "meaning"];
    let mut table = Table::new(&columns.map(|key| (key, key)), "");
    for one in decisions {
        table.push(vec![
            Cell::text(&one.job),
            Cell::text(one.person.as_str()),
            Cell::text(&one.login),
            Cell::text(one.reason.as_str()),
            Cell::new(one.standing, one.standing.to_string()),
            Cell::moment(one.first_at, zone),
            Cell::moment(one.last_at, zone),
            Cell::text(one.first_run.as_str()),
            Cell::text(one.last_run.as_str()),
            Cell::text(meaning(one.reason)),
        ]);
    }
    table
}

fn job_text(text: &mut String, of: &Of<'_>, zone: &TimeZone, now: Timestamp, width: Option<u16>) {
    let decision = of.decision;
    let _ = writeln!(text, "\n{}: {}\n  {}", decision.job, decision.reason, meaning(decision.reason));
    if let Some(remedy) = remedy(decision.reason) {
        let _ = writeln!(text, "  to do: {remedy}");
    }
    let (first, last) = (local(decision.first_at, zone), local(decision.last_at, zone));
    let age = relative(decision.first_at, now);
    if decision.standing {
        let (first_run, last_run) = (&decision.first_run, &decision.last_run);
        let _ = writeln!(text, "  since {first} ({age}, run {first_run}); last seen {last} (run {last_run})");
    } else {
        let _ = writeln!(text, "  from {first} to {last}; Okta does not list the person any more");
    }
    if let Some(parked) = of.parked {
        parked_text(text, parked, zone);
    }
    match evidence(decision) {
        Some(evidence) => evidence_text(text, &evidence, width),
        None => {
            let _ = writeln!(text, "  the evidence is of another version of graphkeeper: --json shows it as stored");
        }
    }
    section(text, "Recent writes", &changes::table(&of.writes, zone, Shown::OfPerson), width);
    section(text, "Before", &former(&of.former, zone), width);
}

/// The evidence, unless it is of another version of the program.
fn evidence(decision: &PastDecision) -> Option<Evidence> {
    let person = Named { id: decision.person.as_str().to_owned(), name: decision.login.clone() };
    let account = decision.account.map(|id| Named { id: id.to_string(), name: decision.upn.clone() });
    Evidence::restored(&decision.evidence, &person, account.as_ref(), decision.reason).ok()
}

fn parked_text(text: &mut String, parked: &ParkedPerson, zone: &TimeZone) {
    let since = local(parked.since, zone);
    let _ = writeln!(
        text,
        "\nLeft alone as {} since {since} (run {})\n  cause: {}",
        parked.reason, parked.run, parked.cause
    );
    let _ = writeln!(text, "  to do: {}", parked.remedy);
    let _ = match parked.review_at {
        Some(review) => writeln!(text, "  tried again from {} on", local(review, zone)),
        None => writeln!(text, "  until Okta gives another manager, or `graphkeeper release {}`", parked.login),
    };
}

fn evidence_text(text: &mut String, evidence: &Evidence, width: Option<u16>) {
    let scope = match (evidence.in_scope, evidence.excluded) {
        (_, true) => "excluded by the job",
        (true, false) => "in scope",
        (false, false) => "out of scope",
    };
    let _ = writeln!(text, "\nOkta: {}, {scope}", evidence.status);
    let by = match evidence.account_by {
        FoundBy::Link => " (remembered from an earlier run)",
        FoundBy::Rule | FoundBy::Nothing => "",
    };
    let _ = writeln!(text, "Account in Entra: {}{by}", named(evidence.account.as_ref()));
    let _ = writeln!(text, "Manager in Entra: {}", named(evidence.observed.as_ref()));
    let _ = writeln!(text, "Manager by Okta:  {}", named(evidence.desired.as_ref()));
    section(text, "How the account was sought", &correlate(&evidence.correlate), width);
    section(text, "How the manager was sought", &managers(&evidence.manager), width);
}

/// `name (id)`, or that there is none.
fn named(one: Option<&Named>) -> String {
    match one {
        None => "none".to_owned(),
        Some(one) if one.name.is_empty() => one.id.clone(),
        Some(one) => format!("{} ({})", one.name, one.id),
    }
}

fn correlate(tried: &[CorrelateTried]) -> Table {
    let mut table = Table::new(&[("rule", "Rule"), ("value", "Value"), ("found", "Found")], "");
    for one in tried {
        let rule = format!("{} = {}", one.okta, one.entra);
        table.push(vec![
            Cell::text(rule),
            Cell::text(value(&one.value)),
            Cell::text(found(&one.value, &one.found, one.more, one.decided)),
        ]);
    }
    table
}

fn managers(tried: &[ManagerTried]) -> Table {
    let mut table = Table::new(&[("rule", "Rule"), ("value", "Value"), ("found", "Found")], "");
    for one in tried {
        let found = if one.placeholder {
            "a placeholder: says that there is none".to_owned()
        } else {
            found(&one.value, &one.found, one.more, one.decided)
        };
        let rule = format!("{} is {}", one.attribute, one.is);
        table.push(vec![Cell::text(rule), Cell::text(value(&one.value)), Cell::text(found)]);
    }
    table
}

fn value(value: &str) -> &str {
    if value.is_empty() { "(blank)" } else { value }
}

/// What a rule came to.
fn found(value: &str, found: &[Named], more: bool, decided: bool) -> String {
    if value.is_empty() {
        return "passed on".to_owned();
    }
    if found.is_empty() {
        return if decided { "nobody; this rule decided" } else { "nobody" }.to_owned();
    }
    let names: Vec<&str> =
        found.iter().map(|one| if one.name.is_empty() { &one.id } else { &one.name }.as_str()).collect();
    let more = if more { " and more" } else { "" };
    let decided = if decided { "; this rule decided" } else { "" };
    format!("{}{more}{decided}", names.join(", "))
}

fn former(decisions: &[&PastDecision], zone: &TimeZone) -> Table {
    let columns =
        [("reason", "Reason"), ("from", "From"), ("to", "To"), ("first_run", "First run"), ("last_run", "Last run")];
    let mut table = Table::new(&columns, "");
    for one in decisions {
        table.push(vec![
            Cell::text(one.reason.as_str()),
            Cell::moment(one.first_at, zone),
            Cell::moment(one.last_at, zone),
            Cell::text(one.first_run.as_str()),
            Cell::text(one.last_run.as_str()),
        ]);
    }
    table
}

fn job_object(of: &Of<'_>, zone: &TimeZone) -> Value {
    let decision = of.decision;
    json!({
        "job": decision.job,
        "standing": decision.standing,
        "reason": decision.reason,
        "meaning": meaning(decision.reason),
        "remedy": remedy(decision.reason),
        "since": decision.first_at.to_string(),
        "first_run": decision.first_run,
        "last_run": decision.last_run,
        "last_seen": decision.last_at.to_string(),
        "evidence": evidence(decision).map_or_else(
            || serde_json::from_str(&decision.evidence).unwrap_or_default(),
            |evidence| json!(evidence),
        ),
        "parked": of.parked.map(|parked| json!({
            "reason": parked.reason,
            "cause": parked.cause,
            "remedy": parked.remedy,
            "since": parked.since.to_string(),
            "review": parked.review_at.map(|review| review.to_string()),
        })),
        "writes": changes::table(&of.writes, zone, Shown::OfPerson).to_json(),
        "former": former(&of.former, zone).to_json(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;
    use crate::domain::decision::Reason;
    use crate::history::testing::{Place, at};
    use crate::reconcile::policy::{AccountKey, RefersTo};

    fn tried() -> Evidence {
        let name = |id: &str, name: &str| Named { id: id.to_owned(), name: name.to_owned() };
        let tried = |attribute: &str, value: &str, found: Vec<Named>, decided| ManagerTried {
            attribute: attribute.to_owned(),
            is: RefersTo::Login,
            value: value.to_owned(),
            placeholder: value == "n/a",
            found,
            more: false,
            decided,
        };
        Evidence {
            person: name("00u1", "person1@example.com"),
            status: "active".to_owned(),
            in_scope: true,
            excluded: false,
            account: Some(name("a-1", "person1@contoso.example")),
            account_by: FoundBy::Rule,
            correlate: vec![CorrelateTried {
                okta: "login".to_owned(),
                entra: AccountKey::UserPrincipalName,
                value: "person1@example.com".to_owned(),
                found: vec![name("a-1", "person1@contoso.example")],
                more: false,
                decided: true,
            }],
            manager: vec![
                tried("managerId", "", Vec::new(), false),
                tried("manager", "n/a", Vec::new(), false),
                tried("boss", "person9@example.com", vec![name("00u9", "person9@example.com")], true),
            ],
            observed: None,
            desired: Some(name("a-9", "person9@contoso.example")),
            reason: Reason::Blocked,
        }
    }

    #[tokio::test]
    async fn a_person_is_explained_from_values_to_remedy() {
        let place = Place::new().await;
        let history = &place.history;
        let run = samples::managers_run(history, "aaaa0001", 0).await;
        samples::decide(history, &run, 0, Reason::NoAccount, "{}").await;
        let evidence = serde_json::to_string(&tried()).unwrap();
        samples::decide(history, &run, 60, Reason::Blocked, &evidence).await;
        history.park(&[samples::parked(1, Reason::Blocked)]).await.unwrap();
        let told = read(history, "PERSON1").await.unwrap();
        let page = page(&told, &TimeZone::UTC, at(3600), None);
        insta::assert_snapshot!(page.text, @r"
        person1@example.com (00u1)

        managers: blocked
          Entra refused this write before, while it accepted others
          to do: mend the cause named with the refusal, then run `graphkeeper release` for this person
          since 2026-09-21 14:14:20 UTC (59 minutes ago, run aaaa0001); last seen 2026-09-21 14:14:20 UTC (run aaaa0001)

        Left alone as blocked since 2026-09-21 14:13:20 UTC (run aaaa0001)
          cause: 403 Authorization_RequestDenied
          to do: grant the permission
          tried again from 2026-10-01 14:13:20 UTC on

        Okta: active, in scope
        Account in Entra: person1@contoso.example (a-1)
        Manager in Entra: none
        Manager by Okta:  person9@contoso.example (a-9)

        How the account was sought
          Rule                       Value                Found
          login = userPrincipalName  person1@example.com  person1@contoso.example; this rule decided

        How the manager was sought
          Rule                Value                Found
          managerId is login  (blank)              passed on
          manager is login    n/a                  a placeholder: says that there is none
          boss is login       person9@example.com  person9@example.com; this rule decided

        Recent writes
          Run       Time                     Kind  Old manager  New manager              State      Answer
          aaaa0001  2026-09-21 14:13:21 UTC  set   (none)       person9@contoso.example  confirmed

        Before
          Reason      From                     To                       First run  Last run
          no_account  2026-09-21 14:13:20 UTC  2026-09-21 14:13:20 UTC  aaaa0001   aaaa0001
        ");
        let job = &page.json["jobs"][0];
        assert_eq!((&job["reason"], &job["evidence"]["status"]), (&"blocked".into(), &"active".into()));
        assert_eq!(
            (&job["former"][0]["reason"], &job["parked"]["since"]),
            (&"no_account".into(), &at(0).to_string().into())
        );
        assert_eq!(job["writes"][0]["new_manager_name"], "person9@contoso.example");
    }

    #[tokio::test]
    async fn somebody_unknown_and_evidence_of_another_version_are_no_riddle() {
        let place = Place::new().await;
        let run = samples::managers_run(&place.history, "aaaa0001", 0).await;
        samples::decide(&place.history, &run, 0, Reason::NoAccount, r#"{"old":true}"#).await;
        let page = page(&read(&place.history, "00u1").await.unwrap(), &TimeZone::UTC, at(0), None);
        assert!(page.text.contains("another version"), "{}", page.text);
        assert_eq!(page.json["jobs"][0]["evidence"]["old"], true);
        let Err(failure) = read(&place.history, "nobody").await else { panic!("found") };
        assert_eq!(failure.code, exit::FAILED);
    }
}
