//! What the service does for its own house: it forgets what is old, every day.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;
use crate::history::retention::Forgotten;

/// Between two looks. What is forgotten is counted in months.
const EVERY: Duration = Duration::from_hours(24);

/// After a look that failed: a database that is locked or a disk that is full is not so for a day.
const AGAIN: Duration = Duration::from_hours(1);

/// Forgets what is old under the configuration in force, now and every day, until `stop` is raised.
pub async fn upkeep(current: impl Fn() -> Arc<App>, stop: CancellationToken) {
    loop {
        let app = current();
        let now = app.clock.now().to_zoned(app.settings.zone.tz.clone());
        let cutoffs = app.settings.retention.cutoffs(&now);
        let wait = match app.history.forget(&cutoffs, || !stop.is_cancelled()).await {
            Ok(found) => {
                tell(&found);
                EVERY
            }
            Err(problem) => {
                warn!(error = &problem as &dyn Error, "what is old could not be forgotten; tried again in an hour");
                AGAIN
            }
        };
        drop(app); // another one may be in force by then
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

fn tell(found: &[Forgotten]) {
    let lists: Vec<String> =
        found.iter().filter(|list| list.rows > 0).map(|list| format!("{} {}", list.rows, list.what)).collect();
    if !lists.is_empty() {
        info!("forgotten as the configuration says: {}", lists.join(", "));
    }
}
