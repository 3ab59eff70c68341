//! What happens, while it happens, as server-sent events: a run begins or ends, the service changes. A page that hears of
//! one asks for itself again and takes over what is new, so that there is one way in which things are shown.
//!
//! | event | data |
//! |---|---|
//! | `run` | `{job, run, outcome}`: a run began (`outcome` and `run` are null) or ended |
//! | `change` | `{}`: something else is as it was not before: a pause, a configuration, when a job comes next |
//!
//! Streams are bounded in number, and end when the service leaves or whoever listens is gone.
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::debug;

use crate::daemon::About;
use crate::history::runs::RunFilter;
use crate::inbound::Streams;
use crate::web::lent::Lent;
use crate::web::problem::Problem;

/// How many may listen at once. A page that nobody looks at does not.
const MOST: usize = 32;
/// How often something is said, so that a connection without anybody behind it is noticed.
const BREATH: Duration = Duration::from_secs(15);

/// Places for those who listen.
#[derive(Clone, Debug)]
struct Places(Arc<Semaphore>);

pub(super) fn router() -> Router<Lent> {
    Router::new().route("/events", get(listen)).layer(Extension(Places(Arc::new(Semaphore::new(MOST)))))
}

async fn listen(State(lent): State<Lent>, Extension(places): Extension<Places>) -> Response {
    let Ok(place) = places.0.try_acquire_owned() else {
        let detail = format!("{MOST} listen already, and there are places for no more");
        let hint = "close a window, or load the page again to see what is new";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail, Some(hint));
        return ([(RETRY_AFTER, "10")], problem).into_response();
    };
    let alive = KeepAlive::new().interval(BREATH);
    let mut response = Sse::new(told(lent, place)).keep_alive(alive).into_response();
    response.extensions_mut().insert(Streams);
    response
}

/// One who listens.
struct Listener {
    lent: Lent,
    about: watch::Receiver<About>,
    before: About,
    /// Found and not told yet.
    waiting: Vec<Event>,
    _place: OwnedSemaphorePermit,
}

/// What is told, from now on until the service leaves.
fn told(lent: Lent, place: OwnedSemaphorePermit) -> impl Stream<Item = Result<Event, std::convert::Infallible>> {
    let mut about = lent.desk.watch();
    let before = about.borrow_and_update().clone();
    // The first line comes at once: whoever listens knows by it that nothing is missed from now on.
    let waiting = vec![Event::default().comment("here")];
    let listener = Listener { lent, about, before, waiting, _place: place };
    stream::unfold(listener, |mut listener| async move { listener.next().await.map(|event| (Ok(event), listener)) })
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        while self.waiting.is_empty() {
            let stop = self.lent.stop.clone();
            stop.run_until_cancelled(self.about.changed()).await?.ok()?;
            let now = self.about.borrow_and_update().clone();
            let before = std::mem::replace(&mut self.before, now);
            self.waiting = self.news(&before).await;
        }
        Some(self.waiting.remove(0))
    }

    /// What is new since `before`.
    async fn news(&self, before: &About) -> Vec<Event> {
        let (begun, ended) = differences(&before.running, &self.before.running);
        let mut news: Vec<Event> =
            begun.into_iter().map(|job| event("run", &json!({ "job": job, "run": null, "outcome": null }))).collect();
        for job in ended {
            news.push(event("run", &self.ended(job).await));
        }
        if news.is_empty() {
            news.push(event("change", &json!({})));
        }
        news
    }

    /// How a job's run ended that was going on.
    async fn ended(&self, job: String) -> Value {
        let filter = RunFilter { job: Some(job.clone()), limit: Some(1), ..RunFilter::default() };
        let run = match self.lent.history.list_runs(&filter).await {
            Ok(runs) => runs.into_iter().next(),
            Err(error) => {
                debug!(error = &error as &dyn std::error::Error, "how a run ended could not be read");
                None
            }
        };
        let outcome = run.as_ref().map(|run| run.outcome);
        json!({ "job": job, "run": run.map(|run| run.id), "outcome": outcome })
    }
}

fn event(name: &'static str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}

/// The jobs of which a run began, and those of which one ended.
fn differences(before: &[String], now: &[String]) -> (Vec<String>, Vec<String>) {
    let (before, now): (BTreeSet<&String>, BTreeSet<&String>) = (before.iter().collect(), now.iter().collect());
    let only =
        |one: &BTreeSet<&String>, other: &BTreeSet<&String>| one.difference(other).map(|job| (*job).clone()).collect();
    (only(&now, &before), only(&before, &now))
}
