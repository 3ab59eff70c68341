//! `history calls RUN`: the requests of one run.

use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::tables::calls::table;

/// Prints the calls of a run, in order.
pub(super) async fn list(desk: &Desk, prefix: &str) -> Result<(), Failure> {
    let history = desk.history()?;
    let run = desk.run(prefix).await?;
    let calls = history.calls_of_run(&run).await?;
    Ok(render::print(&table(&calls, desk.zone()), desk.format)?)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::cli::args::OutputFormat;
    use crate::cli::samples;
    use crate::history::calls::{CallRow, Verdict};
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
