//! A record of the calls made on behalf of a run, kept without handing it through every function.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::run::words;
use crate::http::heard::Heard;

words! {
    /// Whom a call went to.
    Service, "service", {
        Okta => "okta",
        /// Entra's sign-in.
        Entra => "entra",
        Graph => "graph",
        /// The channel of a notice.
        Notice => "notice",
    }
}

/// One finished request, its attempts taken together.
#[derive(Clone, Debug)]
pub struct Call {
    pub service: Service,
    pub method: String,
    /// The path without ids, such as `/users/{id}`.
    pub endpoint: &'static str,
    /// The path as it was, without query and without mail addresses.
    pub path: String,
    /// Absent when no answer arrived.
    pub status: Option<u16>,
    pub attempts: u32,
    /// From the first attempt to the last byte, waiting included.
    pub duration: Duration,
    pub request_id: Option<String>,
    pub client_request_id: Option<String>,
    pub error: Option<String>,
    /// When the first attempt began.
    pub at: Timestamp,
}

/// The calls of one run. Clones share the record.
#[derive(Clone, Debug, Default)]
pub struct CallLog {
    calls: Arc<Mutex<Vec<Call>>>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

tokio::task_local! {
    /// Where finished requests of this task are recorded: `CALLS.scope(log, work)`. A spawned task needs its own scope.
    pub static CALLS: CallLog;
}

/// The same work, its requests recorded where those of the current task are: for a task of its own.
pub fn inherited<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CALLS.scope(CALLS.try_with(CallLog::clone).unwrap_or_default(), work)
}

impl CallLog {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a call to the record of the current task, if it has one.
    pub(crate) fn record(call: Call) {
        let _ = CALLS.try_with(|log| log.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call));
    }

    /// Notes how the first answer of a host came, for the record of the current task, if it has one.
    pub(crate) fn hear(heard: impl FnOnce() -> Heard, service: Service, host: &str) {
        let _ = CALLS.try_with(|log| {
            let mut known = log.heard.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.iter().any(|known| known.service == service && known.host == host) {
                known.push(heard());
            }
        });
    }

    /// How the first answer of each host came.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes out what was recorded so far, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
