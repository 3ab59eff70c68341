//! `explain`: why a person's manager is as it is, from what the runs left in the history.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::args::{self, Global};
use crate::cli::desk::Desk;
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::page::{Page, section};
use crate::control::refusal::Refusal;
use crate::history::Found;
use crate::history::parked::ParkedPerson;
use crate::reconcile::evidence::{CorrelateTried, Evidence, FoundBy, ManagerTried, Named};
use crate::reconcile::meaning::{meaning, remedy};
use crate::tables::changes::{self, Shown};
use crate::tables::person::{Of, Told, UNKNOWN, evidence, former, object, read, rows};
use crate::tables::table::{Cell, Table};
use crate::tables::words::{local, relative};

/// Explains one person, for each job that ever looked at them.
pub(super) async fn run(global: &Global, arguments: &args::Explain, now: Timestamp) -> Result<u8, Failure> {
    let desk = Desk::open(global, now).await?;
    let told = one(read(desk.history()?, &arguments.user).await?, &arguments.user)?;
    page(&told, desk.zone(), now, desk.width).print(desk.format)?;
    Ok(exit::SUCCEEDED)
}

/// The one person that a name leads to.
fn one(found: Found<Told>, name: &str) -> Result<Told, Failure> {
    match found {
        Found::One(told) => Ok(told),
        Found::Several(candidates) => {
            Err(Refusal::Several { what: "person", name: name.to_owned(), candidates }.into())
        }
        Found::Nothing => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> Failure {
    Failure::new(exit::FAILED, format!("no run has decided about `{name}`"), Some(UNKNOWN.to_owned()))
}

fn page(told: &Told, zone: &TimeZone, now: Timestamp, width: Option<u16>) -> Page {
    let newest = &told.decisions[0];
    let mut text = format!("{} ({})\n", newest.login, newest.person);
    for of in told.jobs() {
        job_text(&mut text, &of, zone, now, width);
    }
    Page { text, json: object(told, zone), rows: rows(&told.decisions, zone) }
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
        let told = one(read(history, "PERSON1").await.unwrap(), "PERSON1").unwrap();
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
        let page =
            page(&one(read(&place.history, "00u1").await.unwrap(), "00u1").unwrap(), &TimeZone::UTC, at(0), None);
        assert!(page.text.contains("another version"), "{}", page.text);
        assert_eq!(page.json["jobs"][0]["evidence"]["old"], true);
        let Err(failure) = one(read(&place.history, "nobody").await.unwrap(), "nobody") else { panic!("found") };
        assert_eq!(failure.code, exit::FAILED);
    }
}
