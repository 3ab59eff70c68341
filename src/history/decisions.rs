//! What was decided about each person, a row only when it changes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use crate::domain::decision::Reason;
use crate::domain::identity::{AccountId, PersonId};
use crate::domain::run::RunId;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, account_text, stamp};
pub use crate::history::standing::Recorded;
use crate::history::standing::{self, Seen, Standing, Table, key};
use crate::history::{Found, History, Write, after_prefix};

/// A run's look at people.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    pub run: &'a RunId,
    pub job: &'a str,
    pub at: Timestamp,
    /// Everybody was looked at: people not named are gone, and what did not change is known to hold still.
    pub full: bool,
}

/// What a run decided about one person.
#[derive(Clone, Debug)]
pub struct Decision<'a, E> {
    /// Okta's id.
    pub person: &'a str,
    pub login: &'a str,
    /// The account's user principal name, blank without one.
    pub upn: &'a str,
    pub account: Option<AccountId>,
    pub reason: Reason,
    /// Equal digests mean that the decision did not change.
    pub digest: u64,
    /// Makes the evidence, JSON text. Called only when the decision is written.
    pub evidence: E,
}

/// A decision as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastDecision {
    pub job: String,
    pub person: PersonId,
    pub login: String,
    pub upn: String,
    pub account: Option<AccountId>,
    pub reason: Reason,
    /// JSON text.
    pub evidence: String,
    pub first_run: RunId,
    /// Since when it holds; an age is counted from here.
    pub first_at: Timestamp,
    /// The last full run that is known to have come to it.
    pub last_run: RunId,
    pub last_at: Timestamp,
    /// It holds now.
    pub standing: bool,
}

/// How many people stand under a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonTally {
    pub people: u64,
    /// Since when the oldest of them does.
    pub oldest: Timestamp,
}

/// How many standing decisions are read at a time.
const PAGE: i64 = 5_000;

/// The last full pass before this one: until then decisions that change now are known to have held.
struct Before {
    run: Option<String>,
    at: i64,
}

/// The decisions of one pass.
struct Decisions<'a> {
    pass: &'a Pass<'a>,
    before: Before,
}

impl Table for Decisions<'_> {
    async fn close(&self, tx: &mut Write<'_>, ids: String) -> Result<(), HistoryError> {
        sqlx::query!(
            "update decision
                set last_run = case when ?1 is not null and ?2 >= first_at then ?1 else first_run end,
                    last_at = max(?2, first_at)
              where id in (select value from json_each(?3))",
            self.before.run,
            self.before.at,
            ids
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn add(&self, tx: &mut Write<'_>, rows: String) -> Result<(), HistoryError> {
        let (run, at) = (self.pass.run.as_str(), stamp(self.pass.at));
        sqlx::query!(
            "insert into decision (job, person, login, upn, account, reason, digest, evidence, first_run, first_at)
             select ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, ?2, ?3
               from json_each(?4)",
            self.pass.job,
            run,
            at,
            rows
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

impl History {
    /// Records what a run decided: closes rows whose decision changed or whose person is gone, adds the new ones. All or
    /// nothing. A pass that changes nothing adds no row. A person named twice counts once, the first time.
    pub async fn record_decisions<'a, E>(
        &self,
        pass: &Pass<'_>,
        decisions: impl Iterator<Item = Decision<'a, E>> + Send,
    ) -> Result<Recorded, HistoryError>
    where
        E: FnOnce() -> String + Send,
    {
        let standing = self.standing_decisions(pass.job).await?;
        let mut tx = self.begin().await?;
        let table = Decisions { pass, before: last_pass(&mut tx, pass.job).await? };
        let seen = decisions.map(|decision| Seen {
            key: key(&[decision.person]),
            digest: decision.digest,
            row: move |digest: i64| {
                let Decision { person, login, upn, account, reason, digest: _, evidence } = decision;
                json!([person, login, upn, account_text(account), reason.as_str(), digest, evidence()])
            },
        });
        let recorded = standing::replace(&table, &mut tx, standing, pass.full, seen).await?;
        if pass.full {
            note_pass(&mut tx, pass).await?;
        }
        tx.commit().await?;
        Ok(recorded)
    }

    /// The standing decisions of a job in 25 bytes each.
    async fn standing_decisions(&self, job: &str) -> Result<Standing, HistoryError> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!: i64" from decision where job = ? and last_run is null"#,
            job
        )
        .fetch_one(&self.reader)
        .await?;
        let mut standing = Standing::with_room(count);
        // Thousands of people a row: the cost is in handing rows over, not in finding them.
        let mut after = String::new();
        loop {
            let page = sqlx::query_scalar!(
                r#"select json_group_array(json_array(id, person, digest)) as "page!: String"
                     from (select id, person, digest from decision
                            where job = ?1 and last_run is null and person > ?2 order by person limit ?3)"#,
                job,
                after,
                PAGE
            )
            .fetch_one(&self.reader)
            .await?;
            let page: Vec<(i64, String, i64)> =
                serde_json::from_str(&page).map_err(|error| Row { table: "decision", id: job }.bad("digest", error))?;
            for (row, person, digest) in &page {
                standing.push(key(&[person]), *digest, *row);
            }
            let Some((_, last, _)) = page.into_iter().next_back() else { break };
            after = last;
        }
        standing.seal();
        Ok(standing)
    }

    /// Every decision about a user, newest first: by Okta id, login or user principal name, without regard to case, or by
    /// a beginning of one that fits a single person.
    pub async fn decisions_of_user(&self, name: &str) -> Result<Found<Vec<PastDecision>>, HistoryError> {
        let people = self.people_named(name).await?;
        let [(person, _)] = people.as_slice() else {
            let logins: Vec<String> = people.into_iter().map(|(_, login)| login).collect();
            return Ok(if logins.is_empty() { Found::Nothing } else { Found::Several(logins) });
        };
        let rows = sqlx::query_as!(
            DecisionRow,
            r#"select id as "id!", decision.job as "job!", person as "person!", login as "login!", upn as "upn!", account as "account?",
                      reason as "reason!", evidence as "evidence!", first_run as "first_run!", first_at as "first_at!",
                      coalesce(last_run, pass.run, first_run) as "last_run!: String",
                      coalesce(last_at, pass.at, first_at) as "last_at!: i64", last_run is null as "standing!: bool"
                 from decision
                 left join decision_pass as pass on pass.job = decision.job and pass.at >= decision.first_at
                where person = ?
                order by first_at desc, id desc"#,
            person
        )
        .fetch_all(&self.reader)
        .await?;
        Ok(Found::One(rows.into_iter().map(PastDecision::try_from).collect::<Result<_, _>>()?))
    }

    /// Who is meant by a name: id and login of at most ten people. Exact names win over beginnings.
    async fn people_named(&self, name: &str) -> Result<Vec<(String, String)>, HistoryError> {
        let name = name.trim();
        let exact = sqlx::query!(
            r#"select person as "person!", max(login) as "login!: String"
                 from (select person, login from decision where person = ?1
                       union select person, login from decision where login collate nocase = ?1
                       union select person, login from decision where upn collate nocase = ?1)
                group by person order by 2 limit 10"#,
            name
        )
        .fetch_all(&self.reader)
        .await?;
        if !exact.is_empty() || name.is_empty() {
            return Ok(exact.into_iter().map(|row| (row.person, row.login)).collect());
        }
        let end = after_prefix(name);
        let begins = sqlx::query!(
            r#"select person as "person!", max(login) as "login!: String"
                 from (select * from (select person, login from decision where person >= ?1 and person < ?2 limit 1000)
                       union select * from (select person, login from decision
                               where login collate nocase >= ?1 and login collate nocase < ?2 limit 1000)
                       union select * from (select person, login from decision
                               where upn collate nocase >= ?1 and upn collate nocase < ?2 limit 1000))
                group by person order by 2 limit 10"#,
            name,
            end
        )
        .fetch_all(&self.reader)
        .await?;
        Ok(begins.into_iter().map(|row| (row.person, row.login)).collect())
    }

    /// How many people stand under each reason now, and since when the oldest does.
    pub async fn tally_by_reason(&self, job: &str) -> Result<BTreeMap<Reason, ReasonTally>, HistoryError> {
        let rows = sqlx::query!(
            r#"select reason as "reason!", count(*) as "people!: i64", min(first_at) as "oldest!: i64"
                 from decision where job = ? and last_run is null group by reason"#,
            job
        )
        .fetch_all(&self.reader)
        .await?;
        let mut tally = BTreeMap::new();
        for row in rows {
            let at = Row { table: "decision", id: &row.reason };
            let people = at.number("count", row.people)?;
            let oldest = at.time("first_at", row.oldest)?;
            tally.insert(at.parse("reason", &row.reason)?, ReasonTally { people, oldest });
        }
        Ok(tally)
    }

    /// People who stand under a reason now, those who have done so longest first.
    pub async fn people_with_reason(
        &self,
        job: &str,
        reason: Reason,
        limit: u32,
    ) -> Result<Vec<PastDecision>, HistoryError> {
        let (reason, limit) = (reason.as_str(), i64::from(limit));
        let rows = sqlx::query_as!(
            DecisionRow,
            r#"select id as "id!", decision.job as "job!", person as "person!", login as "login!", upn as "upn!", account as "account?",
                      reason as "reason!", evidence as "evidence!", first_run as "first_run!", first_at as "first_at!",
                      coalesce(last_run, pass.run, first_run) as "last_run!: String",
                      coalesce(last_at, pass.at, first_at) as "last_at!: i64", last_run is null as "standing!: bool"
                 from decision
                 left join decision_pass as pass on pass.job = decision.job and pass.at >= decision.first_at
                where decision.job = ? and reason = ? and last_run is null
                order by first_at, id limit ?"#,
            job,
            reason,
            limit
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(PastDecision::try_from).collect()
    }
}

struct DecisionRow {
    id: i64,
    job: String,
    person: String,
    login: String,
    upn: String,
    account: Option<String>,
    reason: String,
    evidence: String,
    first_run: String,
    first_at: i64,
    last_run: String,
    last_at: i64,
    standing: bool,
}

impl TryFrom<DecisionRow> for PastDecision {
    type Error = HistoryError;

    fn try_from(row: DecisionRow) -> Result<Self, HistoryError> {
        let id = row.id.to_string();
        let at = Row { table: "decision", id: &id };
        Ok(Self {
            job: row.job,
            person: PersonId::new(&row.person),
            login: row.login,
            upn: row.upn,
            account: at.maybe("account", row.account.as_deref())?,
            reason: at.parse("reason", &row.reason)?,
            evidence: row.evidence,
            first_run: RunId::stored(&row.first_run),
            first_at: at.time("first_at", row.first_at)?,
            last_run: RunId::stored(&row.last_run),
            last_at: at.time("last_at", row.last_at)?,
            standing: row.standing,
        })
    }
}

async fn last_pass(tx: &mut Write<'_>, job: &str) -> Result<Before, HistoryError> {
    let row = sqlx::query!("select run, at from decision_pass where job = ?", job).fetch_optional(&mut **tx).await?;
    Ok(row.map_or(Before { run: None, at: i64::MIN }, |row| Before { run: Some(row.run), at: row.at }))
}

async fn note_pass(tx: &mut Write<'_>, pass: &Pass<'_>) -> Result<(), HistoryError> {
    let (run, at) = (pass.run.as_str(), stamp(pass.at));
    sqlx::query!(
        "insert into decision_pass (job, run, at) values (?, ?, ?)
         on conflict (job) do update set run = excluded.run, at = excluded.at",
        pass.job,
        run,
        at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
