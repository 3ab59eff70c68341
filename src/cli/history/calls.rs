//! `history calls RUN`: the requests of one run.

use jiff::tz::TimeZone;

use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::history::calls::CallRow;
use crate::tables::table::{Cell, Table};

/// Prints the calls of a run, in order.
///
/// JSON: a list of `{time, service, method, path, status, latency_ms, attempts, verdict, error, request_id,
/// client_request_id, body}`. `status` is null when no answer came, `body` unless the job saves bodies.
pub(super) async fn list(desk: &Desk, prefix: &str) -> Result<(), Failure> {
    let history = desk.history()?;
    let run = desk.run(prefix).await?;
    let calls = history.calls_of_run(&run).await?;
    Ok(render::print(&table(&calls, desk.zone()), desk.format)?)
}

fn table(calls: &[CallRow], zone: &TimeZone) -> Table {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::history::calls::Verdict;
    use crate::history::testing::at;

    #[test]
    fn a_call_is_told_with_its_answer_or_that_none_came() {
        let good = CallRow {
            at: at(0),
            service: "graph".to_owned(),
            method: "GET".to_owned(),
            path: "/v1.0/me".to_owned(),
            status: Some(200),
            latency_ms: 12,
            attempts: 1,
            request_id: Some("r-1".to_owned()),
            client_request_id: Some("c-1".to_owned()),
            verdict: Verdict::Ok,
            error: None,
            body: None,
        };
        let lost = CallRow {
            status: None,
            attempts: 5,
            request_id: None,
            verdict: Verdict::Failed,
            error: Some("no answer".to_owned()),
            ..good.clone()
        };
        let table = table(&[good, lost], &TimeZone::UTC);
        insta::assert_snapshot!(samples::written(&table, OutputFormat::Table), @r"
        Time                     Service  Method  Path      Status  ms  Tries  Verdict  Problem    Request id
        2026-09-21 14:13:20 UTC  graph    GET     /v1.0/me  200     12  1      ok                  r-1
        2026-09-21 14:13:20 UTC  graph    GET     /v1.0/me          12  5      failed   no answer
        ");
        insta::assert_snapshot!(samples::written(&table, OutputFormat::Csv), @r"
        time,service,method,path,status,latency_ms,attempts,verdict,error,request_id,client_request_id,body
        2026-09-21T14:13:20Z,graph,GET,/v1.0/me,200,12,1,ok,,r-1,c-1,
        2026-09-21T14:13:20Z,graph,GET,/v1.0/me,,12,5,failed,no answer,,c-1,
        ");
    }
}
