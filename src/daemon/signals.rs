//! What the operating system asks of the service, as values that the serve loop receives.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::DaemonError;

/// A request to the running service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: the first drains, a second one aborts.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// Takes over SIGTERM, SIGINT and SIGHUP for the rest of the process's life.
///
/// # Errors
///
/// [`DaemonError::Signals`] when the operating system refuses a handler.
pub fn listen() -> Result<mpsc::Receiver<Signal>, DaemonError> {
    let handler = |kind| signal(kind).map_err(|source| DaemonError::Signals { source });
    let mut terminate = handler(SignalKind::terminate())?;
    let mut interrupt = handler(SignalKind::interrupt())?;
    let mut hangup = handler(SignalKind::hangup())?;
    let (told, asked) = mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            let asked = tokio::select! {
                Some(()) = terminate.recv() => Signal::Stop,
                Some(()) = interrupt.recv() => Signal::Stop,
                Some(()) = hangup.recv() => Signal::Reload,
                else => return,
            };
            if told.send(asked).await.is_err() {
                return; // nobody serves any more
            }
        }
    });
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_hangup_asks_for_a_reload_and_does_not_end_the_process() {
        let mut asked = listen().unwrap();
        let sent = Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status().unwrap();
        assert!(sent.success());
        let asked = tokio::time::timeout(Duration::from_secs(5), asked.recv()).await;
        assert_eq!(asked.expect("the signal arrives"), Some(Signal::Reload));
    }
}
