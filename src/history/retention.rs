//! What is forgotten, and when: details before summaries, in small steps, while others write.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use sqlx::AssertSqlSafe;

use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::stamp;

/// How many free pages are given back to the file system at a time.
const VACUUM_PAGES: u32 = 2_000;

/// `6 months`
const WORDS: SpanPrinter =
    SpanPrinter::new().designator(Designator::Verbose).spacing(Spacing::BetweenUnitsAndDesignators);

/// How long something is kept: `90 days`, `6 months`, `5 years`, or `forever`.
#[derive(Clone, Copy, Debug)]
pub struct Age(Option<Span>);

/// A length of time that is none, or too short a unit for a history.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an age, such as \"90 days\", \"6 months\", \"5 years\" or \"forever\"")]
pub struct NoAge(String);

impl Age {
    /// So many calendar years.
    #[must_use]
    pub fn years(count: i32) -> Self {
        Self(Some(Span::new().years(count)))
    }

    /// What is older than this moment is forgotten; `None` when nothing ever is.
    #[must_use]
    pub fn before(self, now: &Zoned) -> Option<Timestamp> {
        self.0.and_then(|span| now.checked_sub(span).ok()).map(|moment| moment.timestamp())
    }

    /// Whether it lasts as long as `other` or longer. Months count from a day in spring, which is all that matters here.
    #[must_use]
    pub fn lasts(self, other: Self) -> bool {
        let Ok(day) = Date::constant(2026, 3, 1).to_zoned(TimeZone::UTC) else { return false };
        match (self.0, other.0) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(_)) => self.before(&day) <= other.before(&day),
        }
    }
}

impl FromStr for Age {
    type Err = NoAge;

    fn from_str(text: &str) -> Result<Self, NoAge> {
        if text.trim().eq_ignore_ascii_case("forever") {
            return Ok(Self(None));
        }
        let span: Span = text.trim().parse().map_err(|_| NoAge(text.to_owned()))?;
        let whole_days = span.get_hours() == 0
            && span.get_minutes() == 0
            && span.get_seconds() == 0
            && span.get_milliseconds() == 0
            && span.get_microseconds() == 0
            && span.get_nanoseconds() == 0;
        if whole_days && span.is_positive() { Ok(Self(Some(span))) } else { Err(NoAge(text.to_owned())) }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(span) => f.write_str(&WORDS.span_to_string(&span)),
            None => f.write_str("forever"),
        }
    }
}

impl PartialEq for Age {
    fn eq(&self, other: &Self) -> bool {
        self.0.map(Span::fieldwise) == other.0.map(Span::fieldwise)
    }
}

/// How long the history is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retention {
    /// Single calls and their bodies, plans, decisions and entries of imports that hold no more, moments that ran.
    pub details: Age,
    /// Runs, writes, counted licenses, missed moments.
    pub summaries: Age,
}

impl Default for Retention {
    fn default() -> Self {
        Self { details: Age::years(1), summaries: Age::years(5) }
    }
}

/// The moments before which is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoffs {
    pub details: Option<Timestamp>,
    pub summaries: Option<Timestamp>,
}

impl Retention {
    /// What is old at `now`.
    #[must_use]
    pub fn cutoffs(&self, now: &Zoned) -> Cutoffs {
        Cutoffs { details: self.details.before(now), summaries: self.summaries.before(now) }
    }
}

/// How many rows of a kind there are to forget, or were forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// What a row is, in the plural.
    pub what: &'static str,
    pub class: Class,
    /// Rows that began before this moment.
    pub before: Timestamp,
    pub rows: u64,
}

/// Which age counts for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Details,
    Summaries,
}

impl Class {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Details => "details",
            Self::Summaries => "summaries",
        }
    }

    const fn of(self, cutoffs: &Cutoffs) -> Option<Timestamp> {
        match self {
            Self::Details => cutoffs.details,
            Self::Summaries => cutoffs.summaries,
        }
    }
}

/// Rows of one table that are forgotten by one rule.
struct Rule {
    what: &'static str,
    class: Class,
    table: &'static str,
    key: &'static str,
    /// Selects the keys of what is older than `?1` and needed no more.
    doomed: &'static str,
    /// How many rows go in one transaction. What takes other rows along goes in fewer.
    step: u32,
}

/// In the order in which they are carried out: rows that point to others go first.
const RULES: [Rule; 19] = [
    Rule {
        what: "calls",
        class: Class::Details,
        table: "call",
        key: "id",
        doomed: "select id from call where at < ?1",
        step: 500,
    },
    // What waits is still to be delivered.
    Rule {
        what: "notices",
        class: Class::Details,
        table: "notice",
        key: "id",
        doomed: "select id from notice where made_at < ?1 and state <> 'waiting'",
        step: 500,
    },
    Rule {
        what: "plans",
        class: Class::Details,
        table: "plan",
        key: "id",
        doomed: "select id from plan where seen_at < ?1",
        step: 5,
    },
    Rule {
        what: "decisions that hold no more",
        class: Class::Details,
        table: "decision",
        key: "id",
        doomed: "select id from decision where last_run is not null and last_at < ?1",
        step: 500,
    },
    Rule {
        what: "entries of imports that hold no more",
        class: Class::Details,
        table: "directory_entry",
        key: "id",
        doomed: "select entry.id from directory_import as import
                   join directory_entry as entry on entry.last_import = import.id where import.at < ?1",
        step: 500,
    },
    Rule {
        what: "people who were let go",
        class: Class::Details,
        table: "parked",
        key: "id",
        doomed: "select id from parked where ended_at < ?1",
        step: 500,
    },
    // The newest moment of a job is where its schedule goes on.
    Rule {
        what: "moments that ran",
        class: Class::Details,
        table: "moment",
        key: "(job, planned_at)",
        doomed: "select job, planned_at from moment
                  where planned_at < ?1 and disposition in ('ran', 'late', 'caught_up')
                    and exists (select 1 from moment as later
                                 where later.job = moment.job and later.planned_at > moment.planned_at)",
        step: 500,
    },
    Rule {
        what: "missed moments",
        class: Class::Summaries,
        table: "moment",
        key: "(job, planned_at)",
        doomed: "select job, planned_at from moment
                  where planned_at < ?1 and disposition not in ('ran', 'late', 'caught_up')
                    and exists (select 1 from moment as later
                                 where later.job = moment.job and later.planned_at > moment.planned_at)",
        step: 500,
    },
    // What is in doubt has to be settled first.
    Rule {
        what: "writes",
        class: Class::Summaries,
        table: "change",
        key: "id",
        doomed: "select id from change
                  where intent_at < ?1 and not (settled is null and (answer is null or answer = 'unknown'))",
        step: 500,
    },
    Rule {
        what: "source counts",
        class: Class::Summaries,
        table: "source_reading",
        key: "run",
        doomed: "select run from source_reading where at < ?1",
        step: 500,
    },
    // What the tenant has now holds since whenever it was first counted so.
    Rule {
        what: "license counts",
        class: Class::Summaries,
        table: "license_snapshot",
        key: "(sku, since)",
        doomed: "select sku, since from license_snapshot where until in (select id from license_reading where at < ?1)",
        step: 500,
    },
    Rule {
        what: "states of service plans",
        class: Class::Summaries,
        table: "license_plans",
        key: "(sku, since)",
        doomed: "select sku, since from license_plans where until in (select id from license_reading where at < ?1)",
        step: 50,
    },
    Rule {
        what: "dates of subscriptions",
        class: Class::Summaries,
        table: "subscription_snapshot",
        key: "(id, since)",
        doomed: "select id, since from subscription_snapshot where until in (select id from license_reading where at < ?1)",
        step: 500,
    },
    // The newest reading says when that was found to hold; others are needed where something holds since or until then.
    Rule {
        what: "readings of licenses",
        class: Class::Summaries,
        table: "license_reading",
        key: "id",
        doomed: "select id from license_reading as reading
                  where at < ?1 and exists (select 1 from license_reading as later where later.id > reading.id)
                    and not exists (select 1 from license_snapshot where since = reading.id)
                    and not exists (select 1 from license_snapshot where until = reading.id)
                    and not exists (select 1 from license_plans where since = reading.id)
                    and not exists (select 1 from license_plans where until = reading.id)
                    and not exists (select 1 from subscription_snapshot where since = reading.id)
                    and not exists (select 1 from subscription_snapshot where until = reading.id)",
        step: 500,
    },
    Rule {
        what: "events of licenses",
        class: Class::Summaries,
        table: "event",
        key: "id",
        doomed: "select id from event where at < ?1",
        step: 500,
    },
    Rule {
        what: "readings of subscriptions",
        class: Class::Summaries,
        table: "gauge",
        key: "id",
        doomed: "select id from gauge
                  where at < ?1 and exists (select 1 from gauge as later where later.job = gauge.job and later.id > gauge.id)",
        step: 500,
    },
    // Whoever has told of the newest counts on from it.
    Rule {
        what: "changes of identities",
        class: Class::Summaries,
        table: "identity_change",
        key: "id",
        doomed:
            "select id from identity_change
                  where at < ?1 and exists (select 1 from identity_change as later where later.id > identity_change.id)",
        step: 500,
    },
    // An import stays as long as anything that it found.
    Rule {
        what: "imports",
        class: Class::Summaries,
        table: "directory_import",
        key: "id",
        doomed: "select id from directory_import as import
                  where at < ?1 and exists (select 1 from directory_import as later
                                             where later.job = import.job and later.id > import.id)
                    and not exists (select 1 from directory_entry where first_import = import.id)
                    and not exists (select 1 from directory_entry where last_import = import.id)",
        step: 50,
    },
    // A job's newest run says how it is, and a run that something still points to is needed.
    Rule {
        what: "runs",
        class: Class::Summaries,
        table: "run",
        key: "id",
        doomed: "select id from run
                  where started_at < ?1 and outcome is not null
                    and exists (select 1 from run as later
                                 where later.job = run.job and later.started_at > run.started_at
                                   and later.trigger in ('schedule', 'startup', 'manual'))
                    and not exists (select 1 from change where change.run = run.id)
                    and not exists (select 1 from call where call.run = run.id)
                    and not exists (select 1 from plan where plan.run = run.id)
                    and not exists (select 1 from source_reading where source_reading.run = run.id)
                    and not exists (select 1 from event where event.run = run.id)
                    and not exists (select 1 from gauge where gauge.run = run.id)
                    and not exists (select 1 from directory_import where directory_import.run = run.id)",
        step: 500,
    },
];

impl History {
    /// How much there is to forget, a line a kind. Forgets nothing. Runs whose details are still to be forgotten are not
    /// counted: they go when those are gone.
    ///
    /// # Errors
    ///
    /// The history cannot be read.
    pub async fn forgettable(&self, cutoffs: &Cutoffs) -> Result<Vec<Forgotten>, HistoryError> {
        let mut found = Vec::new();
        for rule in &RULES {
            let Some(before) = rule.class.of(cutoffs) else { continue };
            let count = AssertSqlSafe(format!("select count(*) from ({})", rule.doomed));
            let rows: i64 = sqlx::query_scalar(count).bind(stamp(before)).fetch_one(&self.reader).await?;
            let rows = u64::try_from(rows).unwrap_or(0);
            found.push(Forgotten { what: rule.what, class: rule.class, before, rows });
        }
        Ok(found)
    }

    /// Forgets what is older than `cutoffs`, in transactions of some hundred rows between which others write, as long as
    /// `go_on` says so. What was freed is given back to the file system.
    ///
    /// # Errors
    ///
    /// The history cannot be written; what was forgotten until then stays forgotten.
    pub async fn forget(&self, cutoffs: &Cutoffs, go_on: impl Fn() -> bool) -> Result<Vec<Forgotten>, HistoryError> {
        let mut found = Vec::new();
        for rule in &RULES {
            let Some(before) = rule.class.of(cutoffs) else { continue };
            let mut rows = 0;
            while go_on() {
                let step = self.forget_step(rule, before).await?;
                rows += step;
                if step == 0 {
                    break;
                }
            }
            found.push(Forgotten { what: rule.what, class: rule.class, before, rows });
        }
        while go_on() && found.iter().any(|list| list.rows > 0) && self.give_back().await? {}
        Ok(found)
    }

    async fn forget_step(&self, rule: &Rule, before: Timestamp) -> Result<u64, HistoryError> {
        let Rule { table, key, doomed, step, .. } = rule;
        let delete = AssertSqlSafe(format!("delete from {table} where {key} in ({doomed} limit {step})"));
        let mut tx = self.begin().await?;
        let done = sqlx::query(delete).bind(stamp(before)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }

    /// Gives some free pages back; whether there were any.
    async fn give_back(&self) -> Result<bool, HistoryError> {
        let writer = self.writer()?;
        let free: i64 = sqlx::query_scalar("pragma freelist_count").fetch_one(writer).await?;
        let kept: i64 = sqlx::query_scalar("pragma auto_vacuum").fetch_one(writer).await?;
        // Files of an early version were made without room for this.
        if free == 0 || kept != 2 {
            return Ok(false);
        }
        sqlx::query(AssertSqlSafe(format!("pragma incremental_vacuum({VACUUM_PAGES})"))).fetch_all(writer).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
