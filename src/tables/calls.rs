//! Requests of one run, one a row.

use jiff::tz::TimeZone;

use crate::history::calls::CallRow;
use crate::tables::table::{Cell, Table};

/// The calls as rows.
///
/// JSON: a list of `{time, service, method, path, status, latency_ms, attempts, verdict, error, request_id,
/// client_request_id, body}`. `status` is null when no answer came, `body` unless the job saves bodies.
#[must_use]
pub fn table(calls: &[CallRow], zone: &TimeZone) -> Table {
    let columns = [
        ("time", "Time"),
        ("service", "Service"),
        ("method", "Method"),
        ("path", "Path"),
        ("status", "Status"),
        ("latency_ms", "ms"),
        ("attempts", "Tries"),
        ("verdict", "Verdict"),
        ("error", "Problem"),
        ("request_id", "Request id"),
        ("client_request_id", ""),
        ("body", ""),
    ];
    let mut table =
        Table::new(&columns, "no single calls are kept of this run; `graphkeeper history show` counts them");
    for call in calls {
        let text = |text: &Option<String>| Cell::optional(text.clone(), Cell::text);
        table.push(vec![
            Cell::moment(call.at, zone),
            Cell::text(&call.service),
            Cell::text(&call.method),
            Cell::text(&call.path),
            Cell::optional(call.status, Cell::number),
            Cell::new(call.latency_ms, call.latency_ms.to_string()),
            Cell::number(call.attempts),
            Cell::text(call.verdict.as_str()),
            text(&call.error),
            text(&call.request_id),
            text(&call.client_request_id),
            text(&call.body),
        ]);
    }
    table
}
