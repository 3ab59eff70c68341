//! The serve loop: one task that receives moments, ends of runs, signals, requests and the trigger's looks, and waits for
//! nothing else, so that none of them can hold up the others. Only what a reload changes it waits for the trigger to take:
//! microseconds, and a few seconds when that hangs.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use super::desk::{About, Asked, DeskEnd};
use super::ledger::Ledger;
use super::plan::Entry;
use super::scheduler::Scheduler;
use super::service::Service;
use super::{DaemonError, Ended, ExitReason, Firing, Hooks, Reloaded, Signal};
use crate::clock::Clock;
use crate::domain::moment::Moment;

/// How many moments may wait for the loop. It takes microseconds for each, so that a full queue means that it hangs.
const QUEUE: usize = 1024;

/// Fires `entries` at their moments until `signals` brings [`Signal::Stop`].
///
/// Moments that were missed while the service was down are ruled over before anything is fired. Every run is a task of its
/// own; while one of a job is going on, further moments of that job are recorded as `overlap`, except that one waits for a
/// run that makes up for a missed moment. The first stop raises [`Firing::stop`] and waits for the runs, at most ten
/// seconds; a second one drops them.
///
/// # Errors
///
/// [`DaemonError::Scheduler`] when the trigger does not start. Once it has, nothing that a job does ends the service.
pub async fn serve<R, RunFuture, L, RecordFuture, N, ReloadFuture>(
    entries: Vec<Entry>,
    hooks: Hooks<R, L, N>,
    clock: Arc<dyn Clock>,
    mut signals: mpsc::Receiver<Signal>,
    desk: DeskEnd,
) -> Result<ExitReason, DaemonError>
where
    R: Fn(Firing) -> RunFuture + Send + Sync + 'static,
    RunFuture: Future<Output = Ended> + Send + 'static,
    L: Fn(Vec<Moment>) -> RecordFuture + Send + Sync + 'static,
    RecordFuture: Future<Output = Result<(), String>> + Send + 'static,
    N: Fn() -> ReloadFuture + Send + Sync + 'static,
    ReloadFuture: Future<Output = Reloaded> + Send + 'static,
{
    let ledger = Ledger::open(hooks.record);
    let (fire, mut fired) = mpsc::channel(QUEUE);
    let (look, mut looked) = mpsc::channel(1);
    let scheduler = Scheduler::start(entries, Arc::clone(&clock), fire, look, ledger.clone()).await?;
    let (run, reload) = (hooks.run, hooks.reload);
    let run = move |firing| -> BoxFuture<'static, Ended> { Box::pin(run(firing)) };
    let reload = move || -> BoxFuture<'static, Reloaded> { Box::pin(reload()) };
    let mut service = Service::new(Arc::new(run), Arc::new(reload), clock, ledger, scheduler);
    let DeskEnd { mut asked, about, heard } = desk;
    service.ready();
    loop {
        tell(&about, &service);
        tokio::select! {
            biased; // a run that has ended is noted before the next moment of its job is looked at
            Some(signal) = signals.recv() => match signal {
                Signal::Stop => break,
                Signal::Reload => service.reload(true),
            },
            Some(asked) = asked.recv() => match asked {
                Asked::Run { job, work, done } => service.begin_asked(&job, work, done),
                Asked::Pause { job, why } => service.pause(job, why),
                Asked::Reload => service.reload(false),
                Asked::Concern { part, what } => service.concern(part, what),
            },
            Some(()) = looked.recv() => {
                service.looked();
                heard.send_replace(Instant::now());
            }
            () = tokio::time::sleep_until(service.silent_at()) => service.silent(),
            read = service.rereading.read() => service.take_over(read).await,
            Some(joined) = service.runs.join_next_with_id() => service.end(joined),
            Some(fired) = fired.recv() => service.begin(fired),
        }
        service.tell_status();
    }
    drop(asked); // whoever waits there is told that the service leaves
    about.send_modify(|about| about.stopping = true);
    let reason = drain(&mut service, &mut signals, &mut looked).await;
    tell(&about, &service);
    Ok(reason)
}

/// Tells how the service is, when it is otherwise than before.
fn tell(about: &watch::Sender<About>, service: &Service) {
    let now = service.about();
    about.send_if_modified(|before| {
        let news = *before != now;
        *before = now;
        news
    });
}

/// Waits for another [`Signal::Stop`]; for ever when nobody can send one.
async fn second_stop(signals: &mut mpsc::Receiver<Signal>) {
    loop {
        match signals.recv().await {
            Some(Signal::Stop) => return,
            Some(Signal::Reload) => {}
            None => std::future::pending().await,
        }
    }
}

/// Lets the runs end, within the grace or until a second stop. Moments that still wait are not taken up: they have no row
/// in the ledger or one without a run, and the next start finds them missed.
async fn drain(
    service: &mut Service,
    signals: &mut mpsc::Receiver<Signal>,
    looked: &mut mpsc::Receiver<()>,
) -> ExitReason {
    let deadline = Instant::now() + service.grace;
    service.leave();
    let reason = loop {
        let running = service.runs.len();
        tokio::select! {
            joined = service.runs.join_next_with_id() => match joined {
                Some(joined) => service.end(joined),
                None => break ExitReason::Drained,
            },
            () = second_stop(signals) => break ExitReason::Aborted { running },
            () = tokio::time::sleep_until(deadline) => break ExitReason::GraceOver { running },
            Some(()) = looked.recv() => service.looked(),
        }
    };
    if !service.cut_off().await {
        warn!("the last scheduled moments were not recorded in time; the next start finds them missed");
    }
    info!("stopped: {reason}");
    reason
}

#[cfg(test)]
mod tests;
