//! One person: why the manager is as it is, from what the runs left in the history.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::changes::Changes;
use super::frame::{Asked, Frame, Section, Trouble, one, page};
use super::grid::{Grid, Item};
use super::parts::{Badge, Command, Empty, Eye, Link, Prose, When};
use super::words::{self, Tone};
use crate::history::parked::ParkedPerson;
use crate::reconcile::evidence::{CorrelateTried, Evidence, FoundBy, ManagerTried, Named};
use crate::reconcile::meaning::{meaning, remedy};
use crate::tables::person::{self as told, Of, Told};

#[derive(Debug, Template)]
#[template(path = "person.html")]
struct PersonPage {
    frame: Frame,
    /// The id in Okta.
    okta: String,
    login: String,
    upn: Option<String>,
    account: Option<String>,
    jobs: Vec<Job>,
    /// Tells the evidence as it is stored.
    explain: Command,
}

/// What one job decided.
#[derive(Debug)]
struct Job {
    name: Link,
    badge: Badge,
    meaning: Prose,
    remedy: Option<Prose>,
    standing: Standing,
    parked: Option<Parked>,
    /// None: of another version of the program.
    evidence: Option<Seen>,
    writes: Changes,
    no_writes: Empty,
    former: Grid,
}

/// Since when, and until when, a decision holds.
#[derive(Debug)]
struct Standing {
    /// It does; else Okta does not list the person any more.
    holds: bool,
    first: When,
    first_run: Link,
    last: When,
    last_run: Link,
}

#[derive(Debug)]
struct Parked {
    reason: String,
    since: When,
    run: Link,
    cause: Prose,
    remedy: Prose,
    review: Option<When>,
    release: Command,
}

#[derive(Debug)]
struct Seen {
    status: String,
    scope: &'static str,
    account: Option<Named>,
    is_remembered: bool,
    observed: Option<Named>,
    desired: Option<Named>,
    correlate: Grid,
    manager: Grid,
}

pub(super) async fn show(asked: Asked, Path(id): Path<String>) -> Response {
    match person(&asked, &id).await {
        Ok(person) => page(&person),
        Err(trouble) => asked.refused(trouble),
    }
}

async fn person(asked: &Asked, name: &str) -> Result<PersonPage, Trouble> {
    let missing = || Trouble::Missing { what: "person", name: name.to_owned() };
    let told = one(told::read(asked.history(), name).await?, "person", name)?;
    let newest = told.decisions.first().ok_or_else(missing)?;
    Ok(PersonPage {
        frame: asked.frame(Section::People, newest.login.as_str()),
        okta: newest.person.as_str().to_owned(),
        login: newest.login.clone(),
        upn: (!newest.upn.is_empty()).then(|| newest.upn.clone()),
        account: newest.account.map(|account| account.to_string()),
        jobs: jobs(&told, &asked.eye),
        explain: Command::new(format!("graphkeeper explain {} --json", newest.person)),
    })
}

fn jobs(told: &Told, eye: &Eye) -> Vec<Job> {
    (1..).zip(told.jobs()).map(|(place, of)| job(&of, place, eye)).collect()
}

/// `place` makes ids that are unique on the page.
fn job(of: &Of<'_>, place: usize, eye: &Eye) -> Job {
    let decision = of.decision;
    let reason = decision.reason;
    Job {
        name: Link::job(&decision.job),
        badge: Badge::new(words::of_reason(reason), reason.as_str()),
        meaning: Prose::new(meaning(reason)),
        remedy: remedy(reason).map(Prose::new),
        standing: Standing {
            holds: decision.standing,
            first: When::exact(decision.first_at, eye),
            first_run: Link::run(decision.first_run.as_str()),
            last: When::exact(decision.last_at, eye),
            last_run: Link::run(decision.last_run.as_str()),
        },
        parked: of.parked.map(|one| parked(one, eye)),
        evidence: told::evidence(decision).map(|evidence| seen(evidence, place)),
        writes: Changes::of_person(&format!("writes-{place}"), &of.writes, eye),
        no_writes: Empty::new("This job never wrote this person’s manager."),
        former: Grid::of(
            &format!("former-{place}"),
            "Former decisions, newest first",
            &told::former(&of.former, &eye.zone),
            eye,
            &[],
        ),
    }
}

fn parked(parked: &ParkedPerson, eye: &Eye) -> Parked {
    Parked {
        reason: words::plain(parked.reason.as_str()),
        since: When::exact(parked.since, eye),
        run: Link::run(parked.run.as_str()),
        cause: Prose::new(parked.cause.as_str()),
        remedy: Prose::new(parked.remedy.as_str()),
        review: parked.review_at.map(|review| When::exact(review, eye)),
        release: Command::new(format!("graphkeeper release {}", parked.login)),
    }
}

fn seen(evidence: Evidence, place: usize) -> Seen {
    let rules = |of: &str, caption, rows| {
        Grid::new(&format!("{of}-{place}"), caption, &["Rule", "Value", "Found", "Verdict"], rows)
    };
    let accounts = evidence.correlate.iter().map(account_rule).collect();
    let managers = evidence.manager.iter().map(manager_rule).collect();
    Seen {
        scope: match (evidence.in_scope, evidence.excluded) {
            (_, true) => "excluded by the job",
            (true, false) => "in the job's scope",
            (false, false) => "not in the job's scope",
        },
        is_remembered: evidence.account_by == FoundBy::Link,
        correlate: rules("correlate", "Rules for the account, in their order", accounts),
        manager: rules("manager", "Rules for the manager, in their order", managers),
        status: evidence.status,
        account: evidence.account,
        observed: evidence.observed,
        desired: evidence.desired,
    }
}

fn account_rule(tried: &CorrelateTried) -> Vec<Item> {
    let rule = format!("{} = {}", tried.okta, tried.entra);
    rule_row(rule, &tried.value, verdict(&tried.value, false, tried.decided), found(&tried.found, tried.more))
}

fn manager_rule(tried: &ManagerTried) -> Vec<Item> {
    let rule = format!("{} is {}", tried.attribute, tried.is);
    let verdict = verdict(&tried.value, tried.placeholder, tried.decided);
    rule_row(rule, &tried.value, verdict, found(&tried.found, tried.more))
}

fn rule_row(rule: String, value: &str, verdict: Badge, found: String) -> Vec<Item> {
    let value = if value.is_empty() { Item::Text("blank".to_owned()) } else { Item::Code(value.to_owned()) };
    vec![Item::Code(rule), value, Item::Text(found), Item::Badge(verdict)]
}

/// What a rule came to.
fn verdict(value: &str, is_placeholder: bool, is_decisive: bool) -> Badge {
    match (is_decisive, is_placeholder) {
        (_, true) => Badge::new(Tone::Fair, "a placeholder"),
        (true, false) => Badge::new(Tone::Calm, "decided"),
        (false, false) if value.is_empty() => Badge::new(Tone::Quiet, "passed on"),
        (false, false) => Badge::new(Tone::Quiet, "found nobody"),
    }
}

/// Whom a rule found, by name where there is one.
fn found(found: &[Named], more: bool) -> String {
    let names: Vec<&str> =
        found.iter().map(|one| if one.name.is_empty() { one.id.as_str() } else { &one.name }).collect();
    match (names.is_empty(), more) {
        (true, _) => "nobody".to_owned(),
        (false, false) => names.join(", "),
        (false, true) => format!("{} and more", names.join(", ")),
    }
}
