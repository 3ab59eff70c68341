//! People by reason, and the way to one of them.

use askama::Template;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::frame::{Asked, Frame, Section, Trouble, page};
use super::grid::{Grid, Item};
use super::parts::{Badge, Command, Empty, Link, Prose, When, grouped, path, query};
use super::share::{Counted, Shares};
use super::words;
use crate::domain::decision::Reason;
use crate::history::Found;
use crate::reconcile::meaning::{meaning, remedy};

/// People on the page who stand under one reason.
const LISTED: u32 = 200;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// A person, by the beginning of a name.
    user: String,
    /// People of a job, by reason.
    job: String,
    reason: String,
}

#[derive(Debug, Template)]
#[template(path = "people.html")]
struct People {
    frame: Frame,
    user: String,
    found: Option<Sought>,
    listed: Option<Listed>,
    parked: Option<Parked>,
    jobs: Vec<Job>,
    empty: Empty,
}

/// What a name led to, when not to one person.
#[derive(Debug)]
struct Sought {
    title: String,
    people: Vec<Link>,
    nobody: Empty,
}

/// The people of one job and reason.
#[derive(Debug)]
struct Listed {
    badge: Badge,
    job: Link,
    meaning: Prose,
    remedy: Option<Prose>,
    grid: Grid,
    nobody: Empty,
    more: Option<String>,
}

/// The people of one job who are left alone until somebody says otherwise, or their review.
#[derive(Debug)]
struct Parked {
    job: Link,
    grid: Grid,
    release: Command,
    more: Option<String>,
}

#[derive(Debug)]
struct Job {
    /// Of its title; unique on the page.
    id: String,
    name: String,
    reasons: Shares,
}

pub(super) async fn show(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    match people(&asked, &wanted).await {
        Ok(Answer::Page(people)) => page(&*people),
        Ok(Answer::Person(path)) => Redirect::to(&path).into_response(),
        Err(trouble) => asked.refused(trouble),
    }
}

enum Answer {
    Page(Box<People>),
    /// The name is one person's.
    Person(String),
}

async fn people(asked: &Asked, wanted: &Wanted) -> Result<Answer, Trouble> {
    let name = wanted.user.trim();
    let found = match name {
        "" => None,
        name => match asked.history().decisions_of_user(name).await? {
            Found::One(decisions) => match decisions.first() {
                Some(decision) => return Ok(Answer::Person(path("people", decision.person.as_str()))),
                None => Some(sought(name, &[])),
            },
            Found::Several(people) => Some(sought(name, &people)),
            Found::Nothing => Some(sought(name, &[])),
        },
    };
    let mut jobs = Vec::new();
    for job in asked.history().last_run_per_job().await?.into_keys() {
        let tally = asked.history().tally_by_reason(&job).await?;
        if tally.is_empty() {
            continue;
        }
        let counted = tally.iter().map(|(reason, people)| Counted {
            name: reason.as_str(),
            href: query("/people", &[("job", &job), ("reason", reason.as_str())]),
            count: people.people,
            meaning: meaning(*reason),
            remedy: remedy(*reason),
        });
        let id = format!("job-{}", jobs.len() + 1);
        let reasons = Shares::of(&format!("{id}-bar"), &format!("People of {job} by reason"), counted.collect());
        jobs.push(Job { id, name: job, reasons });
    }
    Ok(Answer::Page(Box::new(People {
        frame: asked.frame(Section::People, "People"),
        user: wanted.user.clone(),
        found,
        listed: listed(asked, wanted).await?,
        parked: parked(asked, wanted).await?,
        jobs,
        empty: Empty::new("Nobody is known yet.")
            .advice("People are known once a managers job has run. It is run at once by")
            .command("graphkeeper run managers"),
    })))
}

/// Several begin so, or nobody does. `people` are logins.
fn sought(name: &str, people: &[String]) -> Sought {
    let title = if people.is_empty() { "Nobody" } else { "Several people begin so" };
    Sought {
        title: title.to_owned(),
        people: people.iter().map(|person| Link::new(query("/people", &[("user", person)]), person)).collect(),
        nobody: Empty::new(format!("No run has decided about `{name}`.")).advice(
            "Name the person by Okta login or id, or by the account’s user principal name, whole or its beginning.",
        ),
    }
}

async fn listed(asked: &Asked, wanted: &Wanted) -> Result<Option<Listed>, Trouble> {
    let Ok(reason) = wanted.reason.parse::<Reason>() else { return Ok(None) };
    let mut people = asked.history().people_with_reason(&wanted.job, reason, LISTED + 1).await?;
    let more = people.len() > LISTED as usize;
    people.truncate(LISTED as usize);
    let rows = people.iter().map(|one| {
        let upn = if one.upn.is_empty() { Item::Nothing } else { Item::Text(one.upn.clone()) };
        let since = Item::When(When::exact(one.first_at, &asked.eye));
        let person = Item::Link(Link::person(one.person.as_str(), &one.login));
        vec![person, upn, since, Item::Link(Link::run(one.first_run.as_str()))]
    });
    let titles = ["Person", "Account", "Since", "Since run"];
    Ok(Some(Listed {
        badge: Badge::new(words::of_reason(reason), reason.as_str()),
        job: Link::job(&wanted.job),
        meaning: Prose::new(meaning(reason)),
        remedy: remedy(reason).map(Prose::new),
        grid: Grid::new("listed", "People, those who have stood so longest first", &titles, rows.collect()),
        nobody: Empty::new("Nobody stands under this reason now."),
        more: more.then(|| format!("The {} who have stood so longest.", grouped(LISTED.into()))),
    }))
}

/// Of the job that is named, where no reason is.
async fn parked(asked: &Asked, wanted: &Wanted) -> Result<Option<Parked>, Trouble> {
    if wanted.job.is_empty() || !wanted.reason.is_empty() {
        return Ok(None);
    }
    let people = asked.history().list_parked(Some(&wanted.job)).await?;
    let when = |at| Item::When(When::exact(at, &asked.eye));
    let rows = people.iter().take(LISTED as usize).map(|one| {
        vec![
            Item::Link(Link::person(one.person.as_str(), &one.login)),
            Item::Badge(Badge::new(words::of_reason(one.reason), one.reason.as_str())),
            Item::Long(Prose::new(one.cause.as_str())),
            Item::Long(Prose::new(one.remedy.as_str())),
            when(one.since),
            one.review_at.map_or(Item::Nothing, when),
        ]
    });
    let titles = ["Person", "Reason", "Why", "What to do", "Since", "Tried again from"];
    let grid =
        Grid::new("parked", "People who are left alone, those who have been longest first", &titles, rows.collect());
    let beyond = people.len().saturating_sub(LISTED as usize) as u64;
    Ok((!people.is_empty()).then(|| Parked {
        job: Link::job(&wanted.job),
        grid,
        release: Command::new(format!("graphkeeper release --job {} --reason blocked", wanted.job)),
        more: (beyond > 0).then(|| format!("and {} more", grouped(beyond))),
    }))
}
