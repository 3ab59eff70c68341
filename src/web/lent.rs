//! What the service lends to the page.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock::Clock;
use crate::daemon::Desk;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::tables::jobs::Overview;

/// The jobs, as soon as they are read.
pub type Looking = BoxFuture<'static, Result<Overview, HistoryError>>;

/// Everything that an answer is made of. Clones are of the same things.
#[derive(Clone)]
pub struct Lent {
    /// Opened for reading, with connections of its own: a page never keeps a job waiting for one.
    pub history: History,
    /// How the service is, and when that changes.
    pub desk: Desk,
    pub clock: Arc<dyn Clock>,
    /// The zone in which people are told times, as it is configured now.
    pub zone: Arc<dyn Fn() -> TimeZone + Send + Sync>,
    /// The jobs as they are configured now, as of the moment that is given, read from the history that is given.
    pub overview: Arc<dyn Fn(History, Timestamp) -> Looking + Send + Sync>,
    /// The program as it is configured now: [`crate::app::outlook`] says what may be asked of it.
    pub app: Arc<dyn Fn() -> Arc<App> + Send + Sync>,
    /// Where locks tell which runs live.
    pub state_directory: PathBuf,
    /// Raised when the page leaves: answers that go on end then.
    pub stop: CancellationToken,
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("history", &self.history).finish_non_exhaustive()
    }
}
