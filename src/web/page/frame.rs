//! What stands around every page: its head, where one is, what is wrong with the service; and pages that say why there is
//! nothing to show.

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Response};
use tracing::error;

use super::assets;
use super::parts::{Command, Eye, When};
use crate::domain::run::RunId;
use crate::history::error::HistoryError;
use crate::history::{Found, History};
use crate::tables::words::local;
use crate::web::lent::Lent;

/// The parts of the page that its navigation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Runs,
    People,
    Licenses,
    Imports,
    Calendar,
    Plans,
}

impl Section {
    pub(super) const ALL: [Self; 7] =
        [Self::Overview, Self::Runs, Self::People, Self::Licenses, Self::Imports, Self::Calendar, Self::Plans];

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Runs => "/runs",
            Self::People => "/people",
            Self::Licenses => "/licenses",
            Self::Imports => "/imports",
            Self::Calendar => "/calendar",
            Self::Plans => "/plans",
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Runs => "Runs",
            Self::People => "People",
            Self::Licenses => "Licenses",
            Self::Imports => "Imports",
            Self::Calendar => "Calendar",
            Self::Plans => "Plans",
        }
    }
}

/// Something that somebody should know wherever they look.
#[derive(Clone, Debug)]
pub(super) struct Alarm {
    pub(super) what: String,
    pub(super) command: Option<Command>,
}

/// What every page has beside its own.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) section: Option<Section>,
    pub(super) alarms: Vec<Alarm>,
    pub(super) assets: assets::Names,
    pub(super) version: &'static str,
    pub(super) now: String,
    pub(super) made: When,
}

impl Frame {
    pub(super) fn new(lent: &Lent, eye: &Eye, section: Option<Section>, title: impl Into<String>) -> Self {
        let title = title.into();
        Self {
            title,
            section,
            alarms: alarms(lent, eye),
            assets: assets::names(),
            version: env!("CARGO_PKG_VERSION"),
            now: eye.now.to_string(),
            made: When::exact(eye.now, eye),
        }
    }
}

/// What is wrong with the service itself.
fn alarms(lent: &Lent, eye: &Eye) -> Vec<Alarm> {
    let about = lent.desk.about();
    let mut alarms = Vec::new();
    let mut say = |what: String, command: Option<&str>| {
        alarms.push(Alarm { what, command: command.map(Command::new) });
    };
    if let Some(refused) = about.refused {
        let since = local(refused.since, &eye.zone);
        say(
            format!(
                "The configuration has a mistake since {since}, and the one before it is served: {}",
                refused.reason
            ),
            Some("graphkeeper check"),
        );
    }
    if lent.desk.is_stalled() {
        say("The scheduler hangs: jobs are not fired.".to_owned(), Some("systemctl restart graphkeeper"));
    }
    for concern in about.concerns.into_values() {
        say(concern, None);
    }
    if about.stopping {
        say("The service was asked to stop, and fires nothing any more.".to_owned(), None);
    }
    alarms
}

/// A page is being asked for: what it is made of, and how it tells times.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) lent: Lent,
    pub(super) eye: Eye,
}

impl FromRequestParts<Lent> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, lent: &Lent) -> Result<Self, Self::Rejection> {
        Ok(Self::now(lent))
    }
}

impl Asked {
    pub(super) fn now(lent: &Lent) -> Self {
        let eye = Eye { zone: (lent.zone)(), now: lent.clock.now() };
        Self { lent: lent.clone(), eye }
    }

    pub(super) const fn history(&self) -> &History {
        &self.lent.history
    }

    pub(super) fn frame(&self, section: Section, title: impl Into<String>) -> Frame {
        Frame::new(&self.lent, &self.eye, Some(section), title)
    }

    /// The page that says why there is nothing to show.
    pub(super) fn refused(&self, trouble: Trouble) -> Response {
        let (status, title, what, found) = match trouble {
            Trouble::Missing { what, name } => {
                (StatusCode::NOT_FOUND, format!("No such {what}"), format!("There is no {what} `{name}`."), Vec::new())
            }
            Trouble::Several { what, name, found } => {
                (StatusCode::MULTIPLE_CHOICES, format!("Which {what}?"), format!("Several begin with `{name}`:"), found)
            }
            Trouble::History(source) => {
                error!(error = &source as &dyn std::error::Error, "a page was not made");
                let what = "The history could not be read; the service's log says why.".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, "The history cannot be read".to_owned(), what, Vec::new())
            }
        };
        let frame = Frame::new(&self.lent, &self.eye, None, title);
        (status, page(&ProblemPage { frame, what, found })).into_response()
    }
}

#[derive(Debug, Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    what: String,
    found: Vec<String>,
}

/// Why a page cannot be made.
#[derive(Debug)]
pub(super) enum Trouble {
    Missing {
        what: &'static str,
        name: String,
    },
    /// More than one begins so.
    Several {
        what: &'static str,
        name: String,
        found: Vec<String>,
    },
    History(HistoryError),
}

impl From<HistoryError> for Trouble {
    fn from(error: HistoryError) -> Self {
        Self::History(error)
    }
}

/// What was found by a name or the beginning of an id.
pub(super) fn one<T>(found: Found<T>, what: &'static str, name: &str) -> Result<T, Trouble> {
    let name = name.to_owned();
    match found {
        Found::One(found) => Ok(found),
        Found::Nothing => Err(Trouble::Missing { what, name }),
        Found::Several(found) => Err(Trouble::Several { what, name, found }),
    }
}

/// The run whose id begins so.
pub(super) async fn run_id(history: &History, prefix: &str) -> Result<RunId, Trouble> {
    one(history.resolve_run_prefix(prefix).await?, "run", prefix)
}

/// A template as an answer. Each is made of values that can be written; one that cannot is a fault of the program.
pub(super) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(source) => {
            error!(error = &source as &dyn std::error::Error, "a page was not written");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be written\n").into_response()
        }
    }
}
