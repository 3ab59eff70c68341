//! The ledger: what became of every scheduled moment.

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{QueryBuilder, Sqlite};

use crate::domain::moment::{Disposition, Moment, Past};
use crate::domain::run::RunId;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, stamp};
use crate::history::runs::LIMIT;
use crate::history::{CHUNK, History, Write};

/// How far back a moment is looked for whose run was never begun, in milliseconds.
const WEEK: i64 = 7 * 24 * 60 * 60 * 1000;

/// Which moments to list. The default lists the newest of all.
#[derive(Clone, Debug, Default)]
pub struct MomentFilter {
    pub job: Option<String>,
    /// Planned for then or later.
    pub since: Option<Timestamp>,
    /// Planned for before.
    pub until: Option<Timestamp>,
    /// Only those at which the job did not run.
    pub missed_only: bool,
    /// At most so many; `None` is 100.
    pub limit: Option<u32>,
}

#[derive(sqlx::FromRow)]
struct MomentRow {
    job: String,
    planned_at: i64,
    disposition: String,
    run: Option<String>,
    reason: Option<String>,
}

impl TryFrom<MomentRow> for Moment {
    type Error = HistoryError;

    fn try_from(row: MomentRow) -> Result<Self, HistoryError> {
        let id = format!("{} {}", row.job, row.planned_at);
        let at = Row { table: "moment", id: &id };
        Ok(Self {
            planned_at: at.time("planned_at", row.planned_at)?,
            disposition: at.parse("disposition", &row.disposition)?,
            run: row.run.as_deref().map(RunId::stored),
            reason: row.reason,
            job: row.job,
        })
    }
}

/// A moment as an array that SQLite takes apart.
fn as_row(moment: &Moment) -> Value {
    let Moment { job, planned_at, disposition, run, reason } = moment;
    json!([job, stamp(*planned_at), disposition.as_str(), run.as_ref().map(RunId::as_str), reason])
}

/// A moment of which nothing came, likewise.
pub(super) fn bygone_row(job: &str, planned_at: Timestamp, disposition: Disposition, reason: &str) -> Value {
    json!([job, stamp(planned_at), disposition.as_str(), null, reason])
}

/// Writes rows that [`as_row`] or [`bygone_row`] made.
pub(super) async fn write_rows(
    tx: &mut Write<'_>,
    mut rows: impl Iterator<Item = Value> + Send,
    at: Timestamp,
) -> Result<(), HistoryError> {
    let recorded_at = stamp(at);
    loop {
        let chunk: Vec<Value> = rows.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return Ok(());
        }
        let rows = json!(chunk).to_string();
        // `true` keeps the parser from taking `on conflict` for a join's.
        sqlx::query!(
            "insert into moment (job, planned_at, disposition, run, reason, recorded_at)
                 select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, ?2 from json_each(?1) where true
                     on conflict (job, planned_at) do update
                    set disposition = iif(excluded.run is null and moment.run is not null,
                                          moment.disposition, excluded.disposition),
                        reason = iif(excluded.run is null and moment.run is not null,
                                     coalesce(excluded.reason, moment.reason), excluded.reason),
                        run = coalesce(excluded.run, moment.run), recorded_at = excluded.recorded_at",
            rows,
            recorded_at
        )
        .execute(&mut **tx)
        .await?;
    }
}

/// Notes, within the transaction that opens a run, the moment that it is the run of: one that has none yet.
pub(super) async fn begin_moment(
    tx: &mut Write<'_>,
    (job, run): (&str, &RunId),
    (moment, disposition): (Timestamp, Disposition),
    at: Timestamp,
) -> Result<(), HistoryError> {
    let (planned_at, recorded_at) = (stamp(moment), stamp(at));
    let before = sqlx::query_scalar!(
        r#"select run as "run!" from moment where job = ? and planned_at = ? and run is not null"#,
        job,
        planned_at
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(before) = before {
        return Err(HistoryError::AlreadyRun { job: job.to_owned(), moment, run: RunId::stored(&before) });
    }
    let (disposition, run) = (disposition.as_str(), run.as_str());
    sqlx::query!(
        "insert into moment (job, planned_at, disposition, run, recorded_at) values (?, ?, ?, ?, ?)
         on conflict (job, planned_at) do update
            set disposition = excluded.disposition, run = excluded.run, recorded_at = excluded.recorded_at",
        job,
        planned_at,
        disposition,
        run,
        recorded_at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl History {
    /// Records what became of moments, as known at `at`: all of them or none. The later word replaces the former: a moment is
    /// told when it comes, by [`History::open_run`] when its run begins, and again when that has ended. Once it has a run, a
    /// word without one is of a clock that brought the moment twice, and changes at most the reason.
    pub async fn record_moments(&self, moments: &[Moment], at: Timestamp) -> Result<(), HistoryError> {
        if moments.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        write_rows(&mut tx, moments.iter().map(as_row), at).await?;
        Ok(tx.commit().await?)
    }

    /// What the ledger knows of a job's moments, seen from `now`. Of a job that never had a schedule they count from its
    /// newest row, or from now.
    pub async fn past(&self, job: &str, now: Timestamp) -> Result<Past, HistoryError> {
        let at = Row { table: "moment", id: job };
        let (present, week_ago) = (stamp(now), stamp(now).saturating_sub(WEEK));
        let newest = sqlx::query_scalar!(
            "select planned_at from moment where job = ? and planned_at <= ? order by planned_at desc limit 2",
            job,
            present
        )
        .fetch_all(&self.reader)
        .await?;
        let ahead = sqlx::query_scalar!(
            "select planned_at from moment
              where job = ? and planned_at > ?
                and disposition not in ('down', 'asleep', 'skipped', 'collapsed', 'too_old')",
            job,
            present
        )
        .fetch_all(&self.reader)
        .await?;
        // By name: a week of an every-second job has 600,000 rows, and SQLite would walk them.
        let unbegun = sqlx::query_scalar!(
            "select planned_at from moment indexed by moment_unbegun
              where job = ? and planned_at > ? and planned_at <= ?
                and run is null and disposition in ('ran', 'late', 'caught_up')
              order by planned_at desc",
            job,
            week_ago,
            present
        )
        .fetch_all(&self.reader)
        .await?;
        let last = at.maybe_time("planned_at", newest.first().copied())?;
        let scheduled = self.scheduled(job).await?;
        Ok(Past {
            since: scheduled.map(|scheduled| scheduled.since).or(last).unwrap_or(now),
            last,
            before: at.maybe_time("planned_at", newest.get(1).copied())?,
            ahead: ahead.into_iter().map(|time| at.time("planned_at", time)).collect::<Result<_, _>>()?,
            unbegun: unbegun.into_iter().map(|time| at.time("planned_at", time)).collect::<Result<_, _>>()?,
        })
    }

    /// Moments that fit, newest first.
    pub async fn list_moments(&self, filter: &MomentFilter) -> Result<Vec<Moment>, HistoryError> {
        let rows: Vec<MomentRow> = list_query(filter).build_query_as().fetch_all(&self.reader).await?;
        rows.into_iter().map(Moment::try_from).collect()
    }
}

/// The list of moments as SQL. Each filter has an index; none makes SQLite read the whole table or sort.
fn list_query(filter: &MomentFilter) -> QueryBuilder<Sqlite> {
    // By name: SQLite cannot know that those missed are few.
    let index = match (filter.missed_only, &filter.job) {
        (true, None) => " indexed by moment_missed",
        (true, Some(_)) => " indexed by moment_missed_by_job",
        (false, _) => "",
    };
    // As the view `missed_run` has it.
    let mut query = QueryBuilder::new(
        "select job, planned_at, disposition, reason,
                coalesce(run, iif(disposition = 'collapsed',
                                  (select later.run from moment as later
                                    where later.job = moment.job and later.planned_at > moment.planned_at
                                          and later.run is not null
                                    order by later.planned_at limit 1),
                                  null)) as run
           from moment",
    );
    query.push(index).push(" where planned_at >= ").push_bind(filter.since.map_or(i64::MIN, stamp));
    if let Some(until) = filter.until {
        query.push(" and planned_at < ").push_bind(stamp(until));
    }
    if let Some(job) = &filter.job {
        query.push(" and job = ").push_bind(job.clone());
    }
    if filter.missed_only {
        query.push(" and disposition not in ('ran', 'late', 'caught_up')");
    }
    query.push(" order by planned_at desc limit ").push_bind(i64::from(filter.limit.unwrap_or(LIMIT)));
    query
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::run::{Outcome, Trigger};
    use crate::history::runs::NewRun;
    use crate::history::testing::{Place, a_run, at, closing, query_plan, take_up};

    fn moment(when: i64, disposition: Disposition) -> Moment {
        Moment {
            job: "managers".to_owned(),
            planned_at: at(when),
            disposition,
            run: Some(RunId::stored("aaaa0001")),
            reason: None,
        }
    }

    #[tokio::test]
    async fn every_moment_has_one_word_and_the_later_one_stands() {
        let place = Place::new().await;
        for (when, disposition) in (0..).zip(Disposition::ALL) {
            let early = Moment { run: None, reason: Some("begun".to_owned()), ..moment(when, Disposition::Ran) };
            place.history.record_moments(&[early], at(when)).await.unwrap();
            place.history.record_moments(&[moment(when, *disposition)], at(when + 60)).await.unwrap();
        }
        let found = async |filter: MomentFilter| place.history.list_moments(&filter).await.unwrap();
        assert_eq!(found(MomentFilter::default()).await.len(), 12);
        assert_eq!(found(MomentFilter { missed_only: true, ..MomentFilter::default() }).await.len(), 9);
        assert_eq!(found(MomentFilter { job: Some("other".to_owned()), ..MomentFilter::default() }).await, []);
        let last = MomentFilter { since: Some(at(10)), limit: Some(1), ..MomentFilter::default() };
        assert_eq!(found(last).await, [moment(11, Disposition::QueueFull)]);
        let newest = MomentFilter { job: Some("managers".to_owned()), limit: Some(1), ..MomentFilter::default() };
        assert_eq!(found(newest).await, [moment(11, Disposition::QueueFull)]);
        let first = MomentFilter { until: Some(at(1)), ..MomentFilter::default() };
        assert_eq!(found(first).await, [moment(0, Disposition::Ran)]);
    }

    /// What the list of all moments says.
    async fn listed(place: &Place) -> Vec<Moment> {
        place.history.list_moments(&MomentFilter::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_run_and_its_moment_are_written_together_and_the_run_stays() {
        let place = Place::new().await;
        let run = NewRun { moment: Some((at(0), Disposition::Late)), ..a_run("aaaa0001", Trigger::Schedule, 7) };
        place.history.open_run(&run).await.unwrap();
        assert_eq!(listed(&place).await, [moment(0, Disposition::Late)]);
        let told = Moment { run: None, reason: Some("busy".to_owned()), ..moment(0, Disposition::Ran) };
        place.history.record_moments(std::slice::from_ref(&told), at(8)).await.unwrap();
        let kept = Moment { run: Some(run.id.clone()), disposition: Disposition::Late, ..told };
        assert_eq!(listed(&place).await, [kept]);
        let busy = NewRun { moment: Some((at(60), Disposition::Ran)), ..a_run("bbbb0002", Trigger::Schedule, 60) };
        place.history.open_run(&busy).await.unwrap_err();
        assert_eq!(listed(&place).await.len(), 1, "no run, no moment");
        place.history.close_run(&closing(&run.id, Outcome::Succeeded, 61)).await.unwrap();
        let early = Moment { run: None, ..moment(60, Disposition::Ran) };
        place.history.record_moments(&[early], at(60)).await.unwrap();
        place.history.open_run(&busy).await.unwrap();
        assert_eq!(listed(&place).await[0].run, Some(busy.id));
    }

    #[tokio::test]
    async fn no_clock_has_a_moment_run_twice() {
        let place = Place::new().await;
        let run = NewRun { moment: Some((at(0), Disposition::Late)), ..a_run("aaaa0001", Trigger::Schedule, 7) };
        place.history.open_run(&run).await.unwrap();
        place.history.close_run(&closing(&run.id, Outcome::Succeeded, 8)).await.unwrap();
        let before = listed(&place).await;
        // Years later, the clock is set back.
        let told = Moment { run: None, ..moment(0, Disposition::Ran) };
        place.history.record_moments(&[told], at(1)).await.unwrap();
        let again = NewRun { moment: Some((at(0), Disposition::Ran)), ..a_run("bbbb0002", Trigger::Schedule, 1) };
        let refused = place.history.open_run(&again).await.unwrap_err();
        assert_eq!(refused.to_string(), "the moment 2026-09-21T14:13:20Z of managers was run already, by run aaaa0001");
        assert!(place.history.run(&again.id).await.unwrap().is_none(), "neither row is written");
        assert_eq!(listed(&place).await, before, "and the first word stays");
        let other = NewRun { moment: Some((at(9), Disposition::Ran)), ..again };
        place.history.open_run(&other).await.unwrap();
    }

    #[tokio::test]
    async fn moments_are_recorded_all_or_none() {
        let place = Place::new().await;
        place.history.record_moments(&[], at(0)).await.unwrap();
        let guard = "create trigger no_more before insert on moment when new.planned_at > 1790000002000
                     begin select raise(abort, 'no more'); end";
        sqlx::query(guard).execute(place.history.writer().unwrap()).await.unwrap();
        let rows: Vec<Moment> =
            (0..=i64::try_from(CHUNK).unwrap()).map(|when| moment(when, Disposition::Down)).collect();
        place.history.record_moments(&rows, at(0)).await.unwrap_err();
        assert_eq!(listed(&place).await, []);
        place.history.record_moments(&rows[..3], at(0)).await.unwrap();
        assert_eq!(listed(&place).await.len(), 3);
    }

    #[tokio::test]
    async fn no_list_of_moments_reads_the_whole_table() {
        let place = Place::new().await;
        for bits in 0_u8..8 {
            let filter = MomentFilter {
                job: (bits & 1 > 0).then(|| "managers".to_owned()),
                since: (bits & 2 > 0).then(|| at(0)),
                until: (bits & 2 > 0).then(|| at(9)),
                missed_only: bits & 4 > 0,
                limit: None,
            };
            let steps = query_plan(&place.history, list_query(&filter).sql().as_str()).await;
            // The run that covers a moment is looked for by an index of its own.
            let quick = steps.iter().all(|step| step.starts_with("SEARCH") || step == "CORRELATED SCALAR SUBQUERY 1");
            assert!(quick, "{filter:?}: {steps:#?}");
        }
    }

    #[tokio::test]
    async fn the_past_of_a_job_is_split_at_now() {
        let place = Place::new().await;
        let day = 24 * 60 * 60;
        let now = at(8 * day);
        let past = async || place.history.past("managers", now).await.unwrap();
        assert_eq!(past().await, Past::none(now), "a job that is new counts from now");
        let unbegun = |when, disposition| Moment { run: None, ..moment(when, disposition) };
        let rows = [
            unbegun(0, Disposition::Ran), // too long ago
            unbegun(day + 1, Disposition::Ran),
            unbegun(2 * day, Disposition::Down),
            unbegun(3 * day, Disposition::Late),
            unbegun(4 * day, Disposition::CaughtUp),
            moment(5 * day, Disposition::Ran),
            unbegun(9 * day, Disposition::Ran),
            unbegun(10 * day, Disposition::TooOld),
            moment(3650 * day, Disposition::Ran),
            Moment { job: "licenses".to_owned(), ..moment(8 * day, Disposition::Ran) },
        ];
        place.history.record_moments(&rows, at(0)).await.unwrap();
        let split = Past {
            since: at(5 * day),
            last: Some(at(5 * day)),
            before: Some(at(4 * day)),
            ahead: BTreeSet::from([at(9 * day), at(3650 * day)]),
            unbegun: vec![at(4 * day), at(3 * day), at(day + 1)],
        };
        assert_eq!(past().await, split, "without a schedule on record moments count from the newest row");
        take_up(&place.history, &[("managers", "cron 0 2 * * *")], at(7)).await;
        assert_eq!(past().await, Past { since: at(7), ..split });
    }
}
