//! A run that somebody asked for, told while it goes on. Whether anybody still listens does not matter to the run.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::app::{App, AppError};
use crate::control::carry::Work;
use crate::control::refusal::{Refusal, Told};
use crate::control::routes::Counter;
use crate::control::wire::Line;
use crate::daemon::Leaving;
use crate::domain::run::RunId;
use crate::inbound::Streams;
use crate::inbound::patience::Patience;
use crate::jobs::progress::{Progress, Step};
use crate::jobs::report::Report;

/// How many lines wait for whoever reads them. Steps that find no room are passed over: a later one says more.
pub(super) const QUEUE: usize = 16;
/// How long a reader may leave the last line.
const LAST_LINE: Duration = Duration::from_secs(30);

/// Begins the run, in a task of its own, and answers with what it says.
pub(super) fn begin(counter: &Counter, app: Arc<App>, work: Work, caller: &str, patience: Patience) -> Response {
    let (say, lines) = mpsc::channel(QUEUE);
    let (counter, caller) = (counter.clone(), caller.to_owned());
    tokio::spawn(async move {
        let last = carry_out(&counter, app, work, &caller, &say).await;
        // Nobody may be listening any more.
        end_with(say, &last, &patience).await;
    });
    answer(lines)
}

/// Says the last line, for as long as somebody may take it.
pub(super) async fn end_with(say: mpsc::Sender<Bytes>, last: &impl Serialize, patience: &Patience) {
    let _ = tokio::time::timeout(LAST_LINE, say.send(line(last))).await;
    drop(say);
    patience.answered();
}

/// An answer that goes on after its head: a line each.
pub(super) fn answer(lines: mpsc::Receiver<Bytes>) -> Response {
    let lines = stream::unfold(lines, |mut lines| async {
        let line: Bytes = lines.recv().await?;
        Some((Ok::<_, Infallible>(line), lines))
    });
    let mut response = ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response();
    response.extensions_mut().insert(Streams);
    response
}

/// One of the service's runs, from its beginning to its report.
async fn carry_out(counter: &Counter, app: Arc<App>, work: Work, caller: &str, say: &mpsc::Sender<Bytes>) -> Line {
    let progress = Progress::default();
    let steps = progress.watch();
    let (ended, report) = oneshot::channel();
    let (begun, stop) = oneshot::channel();
    let job = work.job.clone();
    let order = work.order(caller);
    let running = counter.desk.run(job.clone(), move |leaving| async move {
        let stop = leaving.child_token();
        // Whoever waits for these waits as long as the run lasts.
        let _ = begun.send(stop.clone());
        let _ = ended.send(app.run(&job, order, stop, progress).await);
    });
    let told = tell(counter, steps, stop, say);
    // The steps end with the run, or never begin when the service leaves.
    let (carried, ()) = tokio::join!(running, told);
    end(carried, report.await.ok())
}

/// Says the run's steps, and lets it be stopped by its name, until it is over.
async fn tell(
    counter: &Counter,
    mut steps: watch::Receiver<Step>,
    stop: oneshot::Receiver<CancellationToken>,
    say: &mpsc::Sender<Bytes>,
) {
    let Ok(stop) = stop.await else { return };
    let mut named: Option<Named<'_>> = None;
    while steps.changed().await.is_ok() {
        let now = steps.borrow_and_update().clone();
        if let (None, Some(run)) = (&named, &now.run) {
            counter.stops.add(run, stop.clone());
            named = Some(Named { counter, run: run.clone() });
        }
        let _ = say.try_send(line(&Line::Progress(now)));
    }
}

/// A run that can be stopped by its name, until this is dropped.
struct Named<'a> {
    counter: &'a Counter,
    run: RunId,
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        self.counter.stops.remove(&self.run);
    }
}

/// The last line of a run.
fn end(carried: Result<(), Leaving>, report: Option<Result<Report, AppError>>) -> Line {
    let refusal = match (report, carried) {
        (Some(Ok(report)), _) => return Line::Report(Box::new(report)),
        (Some(Err(error)), _) => error.into(),
        (None, Err(leaving)) => Refusal::Plain {
            message: leaving.to_string(),
            hint: Some("what was begun is settled by the next run; ask again when the service is back".to_owned()),
            usage: false,
        },
        (None, Ok(())) => Refusal::Plain {
            message: "a defect in graphkeeper ended the run".to_owned(),
            hint: Some("please report it with the service's log".to_owned()),
            usage: false,
        },
    };
    Line::Failure(Told::of(&refusal))
}

/// One line of an answer.
pub(super) fn line(line: &impl Serialize) -> Bytes {
    let mut bytes = serde_json::to_vec(line).unwrap_or_else(|problem| {
        error!(error = &problem as &dyn std::error::Error, "a line of an answer could not be written");
        Vec::new()
    });
    bytes.push(b'\n');
    bytes.into()
}
