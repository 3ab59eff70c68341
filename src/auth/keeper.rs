//! Keeps in the history how an identity is, and tells of it when that changes.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use crate::auth::condition::{Event, after};
use crate::domain::condition::{Condition, Ending, IdentityName, Known};
use crate::history::History;
use crate::history::identities::Noted;

/// What the history may take. Nobody's token waits longer for a row.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where one identity's state is kept.
#[derive(Clone, Debug)]
pub struct Keeper {
    history: History,
    name: IdentityName,
    who: String,
}

impl Keeper {
    /// `who` tells two identities of one name apart: organization or tenant, and client.
    #[must_use]
    pub const fn new(history: History, name: IdentityName, who: String) -> Self {
        Self { history, name, who }
    }

    /// Keeps what an event made of the identity. The history may be away: the sign-in itself is what matters.
    pub(super) async fn note(&self, event: &Event<'_>, ends: &[Ending], now: Timestamp) {
        let caller = match event {
            Event::Login { by } | Event::Logout { by, .. } => Some(*by),
            Event::Good | Event::Failed { .. } | Event::Looked | Event::Challenged { .. } => None,
        };
        let noting =
            self.history.note_identity((self.name, &self.who), now, caller, |known| after(known, event, ends, now));
        match tokio::time::timeout(PATIENCE, noting).await {
            Ok(Ok(noted)) => tell(&noted),
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                warn!(error, identity = %self.name, "the state of the identity `{}` could not be recorded", self.name);
            }
            Err(_) => warn!(
                identity = %self.name,
                "the state of the identity `{}` could not be recorded in time: the history is busy", self.name
            ),
        }
    }

    /// What a policy wants of the next sign-in.
    pub(super) async fn claims(&self) -> Option<String> {
        let known = self.history.identity(self.name, &self.who);
        tokio::time::timeout(PATIENCE, known).await.ok()?.ok()?.claims
    }
}

/// Says once that an identity is in another state than before.
fn tell(noted: &Noted) {
    if !noted.is_news() {
        return;
    }
    let Noted { before, after: Known { name, state, .. } } = noted;
    match state.condition {
        Condition::Ok | Condition::Unknown => {
            let (word, was) = (state.condition, before.state.condition);
            info!(identity = %name, state = %word, "the identity `{name}` is {word}; it was {was}");
        }
        Condition::Expiring | Condition::Misconfigured | Condition::NeedsHuman => {
            let hint = state.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            let (word, reason) = (state.condition, state.reason.as_deref());
            warn!(identity = %name, state = %word, reason, "the identity `{name}` is {word}: {}{hint}", state.detail);
        }
    }
}
