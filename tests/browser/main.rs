//! The status page in a real browser: what people see, hear and reach by keyboard, in every look.
//!
//! Needs Debian's `chromium` and `chromium-driver`, and axe-core from the npm registry: `.ci/run browser` fetches them where
//! they are missing, runs these tests, and prints what was looked at. Screenshots of every page are left in
//! `target/screenshots`; `.ci/run browser` renews the README's two from them when `WRITE=1` is set.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accessible;
mod browser;
mod hostile;
mod live;
mod program;
mod readme;
mod still;

use std::time::Duration;

/// How long anything here may take to come.
const BOUND: Duration = Duration::from_mins(2);

/// Waits until `look` finds what it looks for, asking again and again: a page tells nobody outside that it has changed.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    let found = tokio::time::timeout(BOUND, async {
        loop {
            pause.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what}: not within {BOUND:?}"))
}
