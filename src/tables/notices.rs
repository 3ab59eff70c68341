//! Notices: what people were told, one a row.

use jiff::tz::TimeZone;

use crate::domain::run::RunId;
use crate::history::outbox::Notice;
use crate::tables::table::{Cell, Table};

/// The notices as rows.
///
/// JSON: a list of `{made, channel, job, run, kind, tone, severity, title, lines, state, attempts, settled, next_try,
/// problem, hint}`. `state` is `waiting`, `delivered`, `given_up` or `superseded`; `next_try` is null once it is settled;
/// `problem` is why the last attempt failed.
#[must_use]
pub fn table(notices: &[Notice], zone: &TimeZone) -> Table {
    let columns = [
        ("made", "Made"),
        ("channel", "Channel"),
        ("job", ""),
        ("run", ""),
        ("kind", ""),
        ("tone", "As"),
        ("severity", ""),
        ("title", "What"),
        ("lines", ""),
        ("state", "State"),
        ("attempts", "Attempts"),
        ("settled", ""),
        ("next_try", ""),
        ("problem", "Problem"),
        ("hint", ""),
    ];
    let mut table = Table::new(&columns, "nobody was told anything");
    for notice in notices {
        let is_open = notice.settled_at.is_none();
        table.push(vec![
            Cell::moment(notice.made_at, zone),
            Cell::text(&notice.channel),
            Cell::optional(notice.job.as_ref(), Cell::text),
            Cell::optional(notice.run.as_ref().map(RunId::as_str), Cell::text),
            Cell::text(&notice.kind),
            Cell::text(notice.tone.as_str()),
            Cell::text(notice.severity.as_str()),
            Cell::text(&notice.title),
            Cell::new(notice.lines.clone(), notice.lines.join("; ")),
            Cell::text(notice.state.as_str()),
            Cell::number(notice.attempts),
            Cell::optional(notice.settled_at, |at| Cell::moment(at, zone)),
            Cell::optional(Some(notice.next_try).filter(|_| is_open), |at| Cell::moment(at, zone)),
            Cell::optional(notice.problem.as_ref(), Cell::text),
            Cell::optional(notice.hint.as_ref(), Cell::text),
        ]);
    }
    table
}
