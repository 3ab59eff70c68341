//! Plans that wait for an operator's word: made by `plan`, or held by a brake.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::decision::ChangeKind;
use crate::domain::identity::{AccountId, PersonId};
use crate::domain::run::{PlanId, RunId, words};
use crate::history::error::HistoryError;
use crate::history::rows::{ALL, Row, account_text, signed, stamp};
use crate::history::{CHUNK, Found, History, Write, after_prefix};

words! {
    /// Where a plan comes from.
    PlanOrigin, "origin of a plan", {
        /// Made to be looked at.
        Planned => "planned",
        /// What a brake held of a run.
        Held => "held",
    }
}

/// One change of a stored plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedChange {
    pub person: PersonId,
    pub login: String,
    pub account: AccountId,
    pub upn: String,
    pub kind: ChangeKind,
    pub from: Option<AccountId>,
    pub from_label: String,
    pub to: Option<AccountId>,
    pub to_label: String,
    /// A brake would hold it, or holds it.
    pub held: bool,
}

/// A plan to be stored. Its changes may be made on the way: the plan of a first adoption is as large as the company.
#[derive(Clone, Debug)]
pub struct StoredPlan<C = Vec<PlannedChange>> {
    pub id: PlanId,
    pub job: String,
    pub run: RunId,
    pub created_at: Timestamp,
    pub policy_fingerprint: String,
    pub origin: PlanOrigin,
    pub changes: C,
}

/// A plan as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSummary {
    pub id: PlanId,
    pub job: String,
    /// The run that came to it first.
    pub run: RunId,
    pub created_at: Timestamp,
    /// When a run last came to the same plan; its age counts from here.
    pub seen_at: Timestamp,
    pub policy_fingerprint: String,
    pub origin: PlanOrigin,
    /// How many changes it has, and how many of them are held.
    pub changes: u64,
    pub held: u64,
    pub superseded_by: Option<PlanId>,
    pub approval: Option<Approval>,
}

/// Who let a plan be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub run: RunId,
    pub by: String,
    pub at: Timestamp,
}

/// A plan with its changes, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedPlan {
    pub summary: PlanSummary,
    pub changes: Vec<PlannedChange>,
}

/// What differs between two plans. A change with another value stands on both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanDiff {
    pub only_in_first: Vec<PlannedChange>,
    pub only_in_second: Vec<PlannedChange>,
}

/// How many changes of two plans differ, compared as by [`diff`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Differs {
    pub only_here: u64,
    pub only_there: u64,
}

/// Compares two plans by account, old and new manager.
#[must_use]
pub fn diff(first: &[PlannedChange], second: &[PlannedChange]) -> PlanDiff {
    PlanDiff { only_in_first: missing(first, second), only_in_second: missing(second, first) }
}

fn missing(plan: &[PlannedChange], other: &[PlannedChange]) -> Vec<PlannedChange> {
    let known: HashMap<AccountId, (Option<AccountId>, Option<AccountId>)> =
        other.iter().map(|change| (change.account, (change.from, change.to))).collect();
    plan.iter().filter(|change| known.get(&change.account) != Some(&(change.from, change.to))).cloned().collect()
}

#[derive(sqlx::FromRow)]
struct PlanRow {
    id: String,
    job: String,
    run: String,
    created_at: i64,
    seen_at: i64,
    policy_fingerprint: String,
    origin: String,
    superseded_by: Option<String>,
    approved_run: Option<String>,
    approved_by: Option<String>,
    approved_at: Option<i64>,
    changes: i64,
    held: i64,
}

impl TryFrom<PlanRow> for PlanSummary {
    type Error = HistoryError;

    fn try_from(row: PlanRow) -> Result<Self, HistoryError> {
        let at = Row { table: "plan", id: &row.id };
        let approval = match (row.approved_run, row.approved_at) {
            (Some(run), Some(time)) => Some(Approval {
                run: RunId::stored(&run),
                by: row.approved_by.unwrap_or_default(),
                at: at.time("approved_at", time)?,
            }),
            _ => None,
        };
        Ok(Self {
            id: PlanId::stored(&row.id),
            run: RunId::stored(&row.run),
            created_at: at.time("created_at", row.created_at)?,
            seen_at: at.time("seen_at", row.seen_at)?,
            origin: at.parse("origin", &row.origin)?,
            changes: at.number("changes", row.changes)?,
            held: at.number("held", row.held)?,
            superseded_by: row.superseded_by.as_deref().map(PlanId::stored),
            approval,
            job: row.job,
            policy_fingerprint: row.policy_fingerprint,
        })
    }
}

/// So many superseded plans of a job keep their changes, to say what differs from the one that replaced them.
const KEPT_SUPERSEDED: i64 = 10;

impl History {
    /// Stores a plan; plans of the job that waited until now are superseded by it. A plan whose id is known already is
    /// seen again: its changes stay, and it waits again should it have been superseded or approved.
    pub async fn store_plan<C>(&self, plan: &StoredPlan<C>) -> Result<(), HistoryError>
    where
        C: IntoIterator<Item = PlannedChange, IntoIter: Send> + Clone + Send + Sync,
    {
        let (id, run, origin, at) = (plan.id.as_str(), plan.run.as_str(), plan.origin.as_str(), stamp(plan.created_at));
        let mut tx = self.begin().await?;
        let known = sqlx::query_scalar!(r#"select count(*) as "count!: i64" from plan where id = ?"#, id)
            .fetch_one(&mut *tx)
            .await?;
        sqlx::query!(
            "insert into plan (id, job, run, created_at, seen_at, policy_fingerprint, origin) values (?, ?, ?, ?4, ?4, ?5, ?6)
             on conflict (id) do update
                set seen_at = excluded.seen_at, policy_fingerprint = excluded.policy_fingerprint, origin = excluded.origin,
                    superseded_by = null, superseded_at = null, approved_run = null, approved_by = null, approved_at = null",
            id,
            plan.job,
            run,
            at,
            plan.policy_fingerprint,
            origin
        )
        .execute(&mut *tx)
        .await?;
        if known == 0 || held_differs(&mut tx, plan).await? {
            write_changes(&mut tx, plan).await?;
        }
        sqlx::query!(
            "update plan set superseded_by = ?1, superseded_at = ?2
              where job = ?3 and id <> ?1 and superseded_by is null and approved_run is null",
            id,
            at,
            plan.job
        )
        .execute(&mut *tx)
        .await?;
        // A job that drifts and is never approved makes a plan a run: the changes of old ones are of no use to anybody.
        sqlx::query!(
            "delete from plan_change where plan in (select id from plan
                                                     where job = ? and superseded_by is not null and approved_run is null
                                                     order by superseded_at desc limit -1 offset ?)",
            plan.job,
            KEPT_SUPERSEDED
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// The plan whose id begins so, with its changes.
    pub async fn load_plan(&self, prefix: &str) -> Result<Found<LoadedPlan>, HistoryError> {
        let summary = match self.find_plan(prefix).await? {
            Found::One(summary) => summary,
            Found::Nothing => return Ok(Found::Nothing),
            Found::Several(ids) => return Ok(Found::Several(ids)),
        };
        let changes = self.changes_of_plan_from(&summary.id, 0, ALL).await?;
        Ok(Found::One(LoadedPlan { summary, changes }))
    }

    /// The plan whose id begins so.
    pub async fn find_plan(&self, prefix: &str) -> Result<Found<PlanSummary>, HistoryError> {
        let prefix = prefix.trim().to_ascii_lowercase();
        let end = after_prefix(&prefix);
        let ids = sqlx::query_scalar!(
            r#"select id as "id!" from plan where id >= ? and id < ? order by id limit 10"#,
            prefix,
            end
        )
        .fetch_all(&self.reader)
        .await?;
        let id = match ids.as_slice() {
            [] => return Ok(Found::Nothing),
            [id] => id,
            [first, ..] if *first == prefix => first,
            _ => return Ok(Found::Several(ids)),
        };
        let row = sqlx::query_as!(
            PlanRow,
            r#"select id as "id!", job as "job!", run as "run!", created_at as "created_at!", seen_at as "seen_at!",
                      policy_fingerprint as "policy_fingerprint!", origin as "origin!", superseded_by as "superseded_by?",
                      approved_run as "approved_run?", approved_by as "approved_by?", approved_at as "approved_at?",
                      (select count(*) from plan_change where plan = plan.id) as "changes!: i64",
                      (select count(*) from plan_change where plan = plan.id and held = 1) as "held!: i64"
                 from plan where id = ?"#,
            id
        )
        .fetch_one(&self.reader)
        .await?;
        Ok(Found::One(row.try_into()?))
    }

    /// The plans that a run was the first to come to, in their order.
    pub async fn plans_of_run(&self, run: &RunId) -> Result<Vec<PlanId>, HistoryError> {
        let run = run.as_str();
        let ids = sqlx::query_scalar!("select id from plan where run = ? order by created_at, id", run)
            .fetch_all(&self.reader)
            .await?;
        Ok(ids.iter().map(|id| PlanId::stored(id)).collect())
    }

    /// At most so many changes of a plan, in their order, after the first ones.
    pub async fn some_changes_of_plan(
        &self,
        plan: &PlanId,
        skip: u64,
        most: u32,
    ) -> Result<Vec<PlannedChange>, HistoryError> {
        self.changes_of_plan_from(plan, skip, i64::from(most)).await
    }

    /// How many changes of a plan are not in another one, and the other way round.
    pub async fn count_differences(&self, here: &PlanId, there: &PlanId) -> Result<Differs, HistoryError> {
        Ok(Differs {
            only_here: self.count_missing(here, there).await?,
            only_there: self.count_missing(there, here).await?,
        })
    }

    async fn count_missing(&self, plan: &PlanId, other: &PlanId) -> Result<u64, HistoryError> {
        let (plan, other) = (plan.as_str(), other.as_str());
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!: i64"
                 from (select account, from_account, to_account from plan_change where plan = ?1
                       except
                       select account, from_account, to_account from plan_change where plan = ?2)"#,
            plan,
            other
        )
        .fetch_one(&self.reader)
        .await?;
        Row { table: "plan_change", id: plan }.number("count", count)
    }

    async fn changes_of_plan_from(
        &self,
        plan: &PlanId,
        skip: u64,
        most: i64,
    ) -> Result<Vec<PlannedChange>, HistoryError> {
        let (plan, skip) = (plan.as_str(), signed(skip));
        let rows = sqlx::query!(
            "select place, person, login, account, upn, kind, from_account, from_label, to_account, to_label, held
               from plan_change where plan = ? order by place limit ? offset ?",
            plan,
            most,
            skip
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let id = format!("{plan} {}", row.place);
                let at = Row { table: "plan_change", id: &id };
                Ok(PlannedChange {
                    person: PersonId::new(&row.person),
                    login: row.login,
                    account: at.parse("account", &row.account)?,
                    upn: row.upn,
                    kind: at.parse("kind", &row.kind)?,
                    from: at.maybe("from_account", row.from_account.as_deref())?,
                    from_label: row.from_label,
                    to: at.maybe("to_account", row.to_account.as_deref())?,
                    to_label: row.to_label,
                    held: row.held == 1,
                })
            })
            .collect()
    }

    /// Notes that a plan is carried out by a run. It waits no longer.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Missing`] when there is no such plan.
    pub async fn mark_approved(
        &self,
        plan: &PlanId,
        run: &RunId,
        caller: &str,
        now: Timestamp,
    ) -> Result<(), HistoryError> {
        let (id, run, now) = (plan.as_str(), run.as_str(), stamp(now));
        let done = sqlx::query!(
            "update plan set approved_run = ?, approved_by = ?, approved_at = ? where id = ?",
            run,
            caller,
            now,
            id
        )
        .execute(self.writer()?)
        .await?;
        if done.rows_affected() == 0 {
            return Err(HistoryError::Missing { what: "plan", id: id.to_owned() });
        }
        Ok(())
    }

    /// Plans of one job or all, newest first; with `open_only`, those that wait.
    pub async fn list_plans(
        &self,
        job: Option<&str>,
        open_only: bool,
        limit: u32,
    ) -> Result<Vec<PlanSummary>, HistoryError> {
        let mut query = sqlx::QueryBuilder::new(
            "select id, job, run, created_at, seen_at, policy_fingerprint, origin, superseded_by, approved_run, approved_by,
                    approved_at, (select count(*) from plan_change where plan = plan.id) as changes,
                    (select count(*) from plan_change where plan = plan.id and held = 1) as held
               from plan where true",
        );
        if let Some(job) = job {
            query.push(" and job = ").push_bind(job.to_owned());
        }
        if open_only {
            query.push(" and superseded_by is null and approved_run is null");
        }
        query.push(" order by created_at desc, rowid desc limit ").push_bind(i64::from(limit));
        let rows: Vec<PlanRow> = query.build_query_as().fetch_all(&self.reader).await?;
        rows.into_iter().map(PlanSummary::try_from).collect()
    }
}

/// Whether the brake holds other kinds of a known plan than it did. It holds whole kinds, so counts tell.
async fn held_differs<C>(tx: &mut Write<'_>, plan: &StoredPlan<C>) -> Result<bool, HistoryError>
where
    C: IntoIterator<Item = PlannedChange> + Clone + Sync,
{
    let id = plan.id.as_str();
    let stored = sqlx::query!(
        r#"select kind as "kind!", count(*) as "count!: i64" from plan_change where plan = ? and held = 1 group by kind"#,
        id
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut counts: HashMap<&str, i64> = HashMap::new();
    for change in plan.changes.clone().into_iter().filter(|change| change.held) {
        *counts.entry(change.kind.as_str()).or_default() += 1;
    }
    Ok(counts.len() != stored.len() || stored.iter().any(|row| counts.get(row.kind.as_str()) != Some(&row.count)))
}

async fn write_changes<C>(tx: &mut Write<'_>, plan: &StoredPlan<C>) -> Result<(), HistoryError>
where
    C: IntoIterator<Item = PlannedChange, IntoIter: Send> + Clone + Sync,
{
    let id = plan.id.as_str();
    sqlx::query!("delete from plan_change where plan = ?", id).execute(&mut **tx).await?;
    let mut changes = (1..).zip(plan.changes.clone());
    loop {
        let rows: Vec<serde_json::Value> =
            changes.by_ref().take(CHUNK).map(|(place, change)| row(place, &change)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let rows = serde_json::Value::from(rows).to_string();
        sqlx::query!(
            "insert into plan_change (plan, place, person, login, account, upn, kind, from_account, from_label, to_account,
                                      to_label, held)
             select ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
                    value ->> 8, value ->> 9, value ->> 10
               from json_each(?2)",
            id,
            rows
        )
        .execute(&mut **tx)
        .await?;
    }
}

fn row(place: u64, change: &PlannedChange) -> serde_json::Value {
    serde_json::json!([
        place,
        change.person.as_str(),
        change.login,
        change.account.to_string(),
        change.upn,
        change.kind,
        account_text(change.from),
        change.from_label,
        account_text(change.to),
        change.to_label,
        i32::from(change.held),
    ])
}

#[cfg(test)]
mod tests;
