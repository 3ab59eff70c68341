//! Plans that wait for somebody, with what holds them and the command that approves them; and one plan with its changes.

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;

use super::changes::Changes;
use super::frame::{Asked, Frame, Section, Trouble, one, page};
use super::grid::{Grid, Item};
use super::parts::{Badge, Command, Empty, Eye, Link, Pager, When, grouped, path, query};
use super::run::{PAGE, Place, notes, pager};
use super::words::Tone;
use crate::history::plans::{PlanOrigin, PlanSummary};

/// Plans that are listed.
const PLANS: u32 = 100;

/// How a plan stands.
fn badge(plan: &PlanSummary) -> Badge {
    match (&plan.approval, &plan.superseded_by, plan.origin) {
        (Some(_), ..) => Badge::new(Tone::Good, "approved"),
        (None, Some(_), _) => Badge::new(Tone::Quiet, "replaced"),
        (None, None, PlanOrigin::Held) => Badge::new(Tone::Fair, "held by a brake"),
        (None, None, PlanOrigin::Planned) if plan.held > 0 => Badge::new(Tone::Fair, "waits, partly held"),
        (None, None, PlanOrigin::Planned) => Badge::new(Tone::Calm, "waits"),
    }
}

/// Nobody approved or replaced it.
const fn is_open(plan: &PlanSummary) -> bool {
    plan.approval.is_none() && plan.superseded_by.is_none()
}

/// What it would do.
fn said(plan: &PlanSummary) -> String {
    let held = match plan.held {
        0 => "no brake holds any".to_owned(),
        held => format!("a brake holds {}", grouped(held)),
    };
    let changes = if plan.changes == 1 { "change" } else { "changes" };
    format!("{} {changes}; {held}.", grouped(plan.changes))
}

fn approve(plan: &PlanSummary) -> Command {
    Command::new(format!("graphkeeper approve {}", plan.id))
}

#[derive(Debug, Template)]
#[template(path = "plans.html")]
struct Plans {
    frame: Frame,
    open: Vec<Open>,
    no_open: Empty,
    others: Grid,
}

#[derive(Debug)]
struct Open {
    link: Link,
    job: String,
    badge: Badge,
    said: String,
    holds: Vec<String>,
    seen: When,
    approve: Command,
}

pub(super) async fn list(asked: Asked) -> Response {
    match plans(&asked).await {
        Ok(plans) => page(&plans),
        Err(trouble) => asked.refused(trouble),
    }
}

async fn plans(asked: &Asked) -> Result<Plans, Trouble> {
    let (open, others): (Vec<_>, Vec<_>) =
        asked.history().list_plans(None, false, PLANS).await?.into_iter().partition(is_open);
    let mut waiting = Vec::new();
    for plan in &open {
        waiting.push(Open {
            link: Link::plan(plan.id.as_str()),
            job: plan.job.clone(),
            badge: badge(plan),
            said: said(plan),
            holds: holds(asked, plan).await?,
            seen: When::ago(plan.seen_at, &asked.eye),
            approve: approve(plan),
        });
    }
    Ok(Plans {
        frame: asked.frame(Section::Plans, "Plans"),
        open: waiting,
        no_open: Empty::new("No plan waits for anybody.")
            .advice("A job with mode = \"plan\" makes them, a brake holds them, and one is made at once by")
            .command("graphkeeper plan managers"),
        others: former(&others, &asked.eye),
    })
}

/// What the run that made the plan says of it: which brake holds how much, for one.
async fn holds(asked: &Asked, plan: &PlanSummary) -> Result<Vec<String>, Trouble> {
    Ok(asked.history().run(&plan.run).await?.map(|run| notes(&run)).unwrap_or_default())
}

fn former(plans: &[PlanSummary], eye: &Eye) -> Grid {
    let row = |plan: &PlanSummary| {
        let by = match (&plan.approval, &plan.superseded_by) {
            (Some(approval), _) => Item::Text(format!("by {}", approval.by)),
            (None, Some(other)) => Item::Link(Link::plan(other.as_str())),
            (None, None) => Item::Nothing,
        };
        vec![
            Item::Link(Link::plan(plan.id.as_str())),
            Item::Link(Link::job(&plan.job)),
            Item::Badge(badge(plan)),
            by,
            Item::Number(grouped(plan.changes)),
            Item::When(When::exact(plan.created_at, eye)),
        ]
    };
    let titles = ["Plan", "Job", "State", "By", "Changes", "Made"];
    Grid::new("former", "Plans that were approved or replaced, newest first", &titles, plans.iter().map(row).collect())
}

#[derive(Debug, Template)]
#[template(path = "plan.html")]
struct Plan {
    frame: Frame,
    id: String,
    job: Link,
    badge: Badge,
    said: String,
    holds: Vec<String>,
    /// As long as it waits.
    approve: Option<Command>,
    replaced: Option<Link>,
    approved: Option<Approved>,
    made: When,
    seen: When,
    run: Link,
    changes: Changes,
    no_changes: Empty,
    pager: Pager,
}

#[derive(Debug)]
struct Approved {
    by: String,
    at: When,
    run: Link,
}

pub(super) async fn show(asked: Asked, Path(id): Path<String>, Query(place): Query<Place>) -> Response {
    match plan(&asked, &id, place).await {
        Ok(plan) => page(&plan),
        Err(trouble) => asked.refused(trouble),
    }
}

async fn plan(asked: &Asked, id: &str, place: Place) -> Result<Plan, Trouble> {
    let (history, eye) = (asked.history(), &asked.eye);
    let plan = one(history.find_plan(id).await?, "plan", id)?;
    let page = Place::of(place.changes, plan.changes);
    let changes = history.some_changes_of_plan(&plan.id, Place::skipped(page), PAGE).await?;
    let link = |page: u64| query(&path("plans", plan.id.as_str()), &[("changes", &page.to_string())]);
    Ok(Plan {
        frame: asked.frame(Section::Plans, format!("Plan {} of {}", plan.id, plan.job)),
        id: plan.id.to_string(),
        job: Link::job(&plan.job),
        badge: badge(&plan),
        said: said(&plan),
        holds: holds(asked, &plan).await?,
        approve: is_open(&plan).then(|| approve(&plan)),
        replaced: plan.superseded_by.as_ref().map(|other| Link::plan(other.as_str())),
        approved: plan.approval.as_ref().map(|approval| Approved {
            by: approval.by.clone(),
            at: When::exact(approval.at, eye),
            run: Link::run(approval.run.as_str()),
        }),
        made: When::exact(plan.created_at, eye),
        seen: When::ago(plan.seen_at, eye),
        run: Link::run(plan.run.as_str()),
        no_changes: Empty::new("Its changes are no longer kept: it was replaced, and newer ones were too."),
        changes: Changes::planned(&changes),
        pager: pager("More changes", page, plan.changes, link),
    })
}
