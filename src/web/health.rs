//! Whether the service lives and whether it can do its work, for whatever watches it. Told to everybody: names nobody.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::daemon::About;
use crate::web::lent::Lent;

pub(super) fn router() -> Router<Lent> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

/// `ok`, unless jobs are not fired any more: then a restart is what helps.
async fn alive(State(lent): State<Lent>) -> (StatusCode, &'static str) {
    if lent.desk.is_stalled() { (StatusCode::SERVICE_UNAVAILABLE, "stalled\n") } else { (StatusCode::OK, "ok\n") }
}

/// 200 when the service can do its work, else 503; JSON either way: see [`Readiness`].
async fn ready(State(lent): State<Lent>) -> Response {
    let readable = lent.history.pauses().await.is_ok();
    let readiness = judge(&lent.desk.about(), lent.desk.is_stalled(), readable);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

/// JSON: `{ready, reasons}`, where `reasons` is a list of `{reason, detail}`: why it is not ready, and what is worth a look
/// although it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<Why>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Why {
    /// A word for programs.
    reason: &'static str,
    detail: &'static str,
}

/// Everything that speaks against it. A configuration that is refused does not: the one before it is served.
fn judge(about: &About, stalled: bool, readable: bool) -> Readiness {
    let against = [
        (about.since.is_none(), "starting", "the service does not fire jobs yet"),
        (about.stopping, "stopping", "the service was asked to stop"),
        (stalled, "stalled", "the scheduler hangs: jobs are not fired; restart the service"),
        (!readable, "history_unreadable", "the history cannot be read; the service's log says why"),
        (
            about.unwritten > 0,
            "history_unwritable",
            "scheduled moments wait to be recorded; the service's log says why",
        ),
    ];
    let worth_a_look = [(
        about.refused.is_some(),
        "configuration_refused",
        "the configuration has a mistake, and the one before it is served; `graphkeeper check` says which",
    )];
    let ready = against.iter().all(|(holds, ..)| !holds);
    let holding = against.into_iter().chain(worth_a_look).filter(|(holds, ..)| *holds);
    Readiness { ready, reasons: holding.map(|(_, reason, detail)| Why { reason, detail }).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::Refusal;

    #[test]
    fn each_reason_is_named_and_a_refused_configuration_alone_leaves_it_ready() {
        let at = "2026-11-21T12:00:00Z".parse().unwrap();
        let well = About { since: Some(at), ..About::default() };
        let refused = Some(Refusal { reason: "gk.toml:1:1: ana@example.com".to_owned(), since: at });
        for (about, stalled, readable, ready, reasons) in [
            (well.clone(), false, true, true, &[][..]),
            (About::default(), false, true, false, &["starting"]),
            (About { stopping: true, ..well.clone() }, false, true, false, &["stopping"]),
            (
                About { unwritten: 2, ..well.clone() },
                false,
                false,
                false,
                &["history_unreadable", "history_unwritable"],
            ),
            (well.clone(), true, true, false, &["stalled"]),
            (About { refused, ..well }, false, true, true, &["configuration_refused"]),
        ] {
            let judged = judge(&about, stalled, readable);
            let found: Vec<_> = judged.reasons.iter().map(|why| why.reason).collect();
            assert_eq!((judged.ready, found.as_slice()), (ready, reasons));
            assert!(!serde_json::to_string(&judged).unwrap().contains("ana@"), "it is told to everybody");
        }
    }
}
