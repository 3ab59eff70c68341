//! What was decided about each person, a row only when it changes.
//!
//! A pass over a million people compares digests, 25 bytes a person, and writes the few that differ.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};

use jiff::Timestamp;

use crate::domain::decision::Reason;
use crate::domain::identity::{AccountId, PersonId};
use crate::domain::run::RunId;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, account_text, stamp};
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

/// How much a pass wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// New rows.
    pub written: u64,
    /// Rows of people who are no longer listed, closed.
    pub gone: u64,
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

/// The standing decisions of a job, compact: a hash of the person, the digest, the row.
#[derive(Debug, Default)]
struct Digests {
    people: Vec<(u64, u64, i64)>,
    seen: Vec<bool>,
}

/// A person's place in [`Digests`]. 64 bits: among a million people two share one once in 30 million passes.
fn hash(person: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(person.as_bytes());
    hasher.finish()
}

impl Digests {
    fn seal(&mut self) {
        self.people.sort_unstable_by_key(|(person, _, _)| *person);
        self.seen = vec![false; self.people.len()];
    }

    /// Marks a person as looked at: the digest that stands, and its row.
    fn look_up(&mut self, person: &str) -> Option<(u64, i64)> {
        let found = self.people.binary_search_by_key(&hash(person), |(person, _, _)| *person).ok()?;
        self.seen[found] = true;
        Some((self.people[found].1, self.people[found].2))
    }

    /// The rows of people who were not looked at.
    fn unseen(&self) -> impl Iterator<Item = i64> {
        self.people.iter().zip(&self.seen).filter(|(_, seen)| !**seen).map(|((_, _, row), _)| *row)
    }
}

/// How many standing decisions are read at a time.
const PAGE: i64 = 5_000;

/// How many new rows one statement adds. Evidence makes a row about 2 KB, and a statement's rows stand in memory several
/// times over: as values, as text, and in SQLite's own form of JSON.
const ROWS: usize = 200;

/// The last full pass before this one: until then decisions that change now are known to have held.
struct Before {
    run: Option<String>,
    at: i64,
}

/// Rows gathered for one statement each.
#[derive(Default)]
struct Batch {
    closed: Vec<i64>,
    rows: Vec<serde_json::Value>,
}

impl Batch {
    /// Closes old rows first, since a person has one standing row at most; then adds the new ones.
    async fn write(&mut self, tx: &mut Write<'_>, pass: &Pass<'_>, before: &Before) -> Result<(), HistoryError> {
        if !self.closed.is_empty() {
            let closed = serde_json::Value::from(std::mem::take(&mut self.closed)).to_string();
            sqlx::query!(
                "update decision
                    set last_run = case when ?1 is not null and ?2 >= first_at then ?1 else first_run end,
                        last_at = max(?2, first_at)
                  where id in (select value from json_each(?3))",
                before.run,
                before.at,
                closed
            )
            .execute(&mut **tx)
            .await?;
        }
        if !self.rows.is_empty() {
            let rows = serde_json::Value::from(std::mem::take(&mut self.rows)).to_string();
            let (run, at) = (pass.run.as_str(), stamp(pass.at));
            sqlx::query!(
                "insert into decision (job, person, login, upn, account, reason, digest, evidence, first_run, first_at)
                 select ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, ?2, ?3
                   from json_each(?4)",
                pass.job,
                run,
                at,
                rows
            )
            .execute(&mut **tx)
            .await?;
        }
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
        let mut digests = self.digests(pass.job).await?;
        let mut tx = self.begin().await?;
        let before = last_pass(&mut tx, pass.job).await?;
        let mut recorded = Recorded::default();
        let mut batch = Batch::default();
        for decision in decisions {
            #[expect(clippy::cast_possible_wrap, reason = "a digest is 64 bits, however they are read")]
            let digest = decision.digest as i64;
            match digests.look_up(decision.person) {
                Some((standing, _)) if standing == decision.digest => continue,
                Some((_, row)) => batch.closed.push(row),
                None => {}
            }
            let account = account_text(decision.account);
            let (reason, evidence) = (decision.reason.as_str(), (decision.evidence)());
            batch.rows.push(serde_json::json!([
                decision.person,
                decision.login,
                decision.upn,
                account,
                reason,
                digest,
                evidence
            ]));
            recorded.written += 1;
            if batch.rows.len() >= ROWS {
                batch.write(&mut tx, pass, &before).await?;
            }
        }
        if pass.full {
            batch.write(&mut tx, pass, &before).await?;
            batch.closed = digests.unseen().collect();
            recorded.gone = batch.closed.len() as u64;
        }
        batch.write(&mut tx, pass, &before).await?;
        if pass.full {
            note_pass(&mut tx, pass).await?;
        }
        tx.commit().await?;
        Ok(recorded)
    }

    /// The standing decisions of a job in 25 bytes each.
    async fn digests(&self, job: &str) -> Result<Digests, HistoryError> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!: i64" from decision where job = ? and last_run is null"#,
            job
        )
        .fetch_one(&self.reader)
        .await?;
        let people = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let mut digests = Digests { people, seen: Vec::new() };
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
                #[expect(clippy::cast_sign_loss, reason = "a digest is 64 bits, however they are read")]
                digests.people.push((hash(person), *digest as u64, *row));
            }
            let Some((_, last, _)) = page.into_iter().next_back() else { break };
            after = last;
        }
        digests.seal();
        Ok(digests)
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
mod tests {
    use super::*;
    use crate::domain::run::Trigger;
    use crate::history::testing::{Place, account, at, past_run, query_plan, rows};

    /// A decision about person number n; the digest is that of the reason.
    fn decision(number: u128, reason: Reason) -> (u128, Reason) {
        (number, reason)
    }

    async fn record(history: &History, run: &str, when: i64, full: bool, list: &[(u128, Reason)]) -> Recorded {
        let run = past_run(history, run, Trigger::Schedule, when).await;
        let names: Vec<_> = list
            .iter()
            .map(|(number, _)| {
                (format!("00u{number}"), format!("Person{number}@example.com"), format!("p{number}@contoso.example"))
            })
            .collect();
        let decisions = list.iter().zip(&names).map(|((number, reason), (person, login, upn))| Decision {
            person,
            login,
            upn,
            account: Some(account(*number)),
            reason: *reason,
            digest: u64::MAX - *reason as u64,
            evidence: move || format!(r#"{{"number":"{number}"}}"#),
        });
        history.record_decisions(&Pass { run: &run, job: "managers", at: at(when), full }, decisions).await.unwrap()
    }

    #[tokio::test]
    async fn a_pass_that_changes_nothing_adds_no_row() {
        let place = Place::new().await;
        let people: Vec<_> = (0..5_000).map(|number| decision(number, Reason::Agreed)).collect();
        let first = record(&place.history, "run1", 0, true, &people).await;
        assert_eq!(first, Recorded { written: 5_000, gone: 0 });
        let before = rows(&place.history, "decision").await;
        let reversed: Vec<_> = people.iter().rev().copied().collect();
        assert_eq!(record(&place.history, "run2", 10, true, &reversed).await, Recorded::default());
        assert_eq!(rows(&place.history, "decision").await, before);
    }

    #[tokio::test]
    async fn a_decision_lasts_from_its_first_run_to_its_last() {
        let place = Place::new().await;
        let history = &place.history;
        record(history, "run1", 0, true, &[decision(1, Reason::NoAccount), decision(2, Reason::Agreed)]).await;
        record(history, "run2", 10, true, &[decision(1, Reason::NoAccount), decision(2, Reason::Agreed)]).await;
        let third = record(history, "run3", 20, true, &[decision(1, Reason::Agreed)]).await;
        assert_eq!(third, Recorded { written: 1, gone: 1 });
        let Found::One(past) = history.decisions_of_user("00u1").await.unwrap() else { panic!("not found") };
        let told: Vec<_> =
            past.iter().map(|one| (one.reason, one.first_run.as_str(), one.last_run.as_str(), one.standing)).collect();
        assert_eq!(told, [(Reason::Agreed, "run3", "run3", true), (Reason::NoAccount, "run1", "run2", false)]);
        assert_eq!((past[1].first_at, past[1].last_at), (at(0), at(10)));
        assert_eq!(past[0].evidence, r#"{"number":"1"}"#);
        let Found::One(gone) = history.decisions_of_user("00u2").await.unwrap() else { panic!("not found") };
        assert_eq!((gone[0].last_run.as_str(), gone[0].standing), ("run2", false));
        record(history, "run4", 30, true, &[decision(1, Reason::Agreed), decision(2, Reason::Agreed)]).await;
        assert_eq!(history.tally_by_reason("managers").await.unwrap()[&Reason::Agreed].people, 2);
    }

    #[tokio::test]
    async fn a_run_over_one_person_says_nothing_about_the_others() {
        let place = Place::new().await;
        let history = &place.history;
        record(history, "run1", 0, true, &[decision(1, Reason::Agreed), decision(2, Reason::Agreed)]).await;
        let one = record(history, "run2", 10, false, &[decision(1, Reason::Stale)]).await;
        assert_eq!(one, Recorded { written: 1, gone: 0 });
        let Found::One(other) = history.decisions_of_user("00u2").await.unwrap() else { panic!("not found") };
        assert_eq!((other[0].standing, other[0].last_run.as_str()), (true, "run1"));
    }

    #[tokio::test]
    async fn a_user_is_found_by_any_name_and_by_a_unique_beginning() {
        let place = Place::new().await;
        let history = &place.history;
        record(
            history,
            "run1",
            0,
            true,
            &[decision(1, Reason::Agreed), decision(21, Reason::Agreed), decision(22, Reason::Agreed)],
        )
        .await;
        for name in ["00u1", "person1@EXAMPLE.com", "P1@contoso.example", "PERSON1", " person1@ "] {
            let found = history.decisions_of_user(name).await.unwrap();
            assert!(matches!(&found, Found::One(past) if past[0].person.as_str() == "00u1"), "{name}: {found:?}");
        }
        let several = history.decisions_of_user("person2").await.unwrap();
        assert_eq!(several, Found::Several(vec!["Person21@example.com".to_owned(), "Person22@example.com".to_owned()]));
        for name in ["nobody", "", "%", "00U1"] {
            assert_eq!(history.decisions_of_user(name).await.unwrap(), Found::Nothing, "{name}");
        }
    }

    #[tokio::test]
    async fn ages_are_told_by_reason_the_oldest_first() {
        let place = Place::new().await;
        let history = &place.history;
        record(history, "run1", 0, true, &[decision(1, Reason::ManagerHasNoAccount)]).await;
        record(
            history,
            "run2",
            10,
            true,
            &[decision(1, Reason::ManagerHasNoAccount), decision(2, Reason::ManagerHasNoAccount)],
        )
        .await;
        let tally = history.tally_by_reason("managers").await.unwrap();
        assert_eq!(tally[&Reason::ManagerHasNoAccount], ReasonTally { people: 2, oldest: at(0) });
        let waiting = history.people_with_reason("managers", Reason::ManagerHasNoAccount, 10).await.unwrap();
        let waiting: Vec<_> = waiting.iter().map(|one| (one.person.as_str(), one.first_at)).collect();
        assert_eq!(waiting, [("00u1", at(0)), ("00u2", at(10))]);
    }

    #[tokio::test]
    async fn a_user_is_found_without_reading_all_decisions() {
        let place = Place::new().await;
        for column in ["login", "upn"] {
            for sql in [
                format!("select person from decision where {column} collate nocase = ?"),
                format!(
                    "select person from decision where {column} collate nocase >= ? and {column} collate nocase < ?"
                ),
            ] {
                let steps = query_plan(&place.history, &sql).await;
                assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{sql}: {steps:?}");
            }
        }
    }

    #[tokio::test]
    async fn two_digests_differ_up_to_the_last_bit() {
        let place = Place::new().await;
        let run = past_run(&place.history, "run1", Trigger::Schedule, 0).await;
        let pass = Pass { run: &run, job: "managers", at: at(0), full: true };
        for (digest, written) in [(u64::MAX, 1), (u64::MAX, 0), (u64::MAX - 1, 1), (1 << 63, 1), (1 << 63, 0)] {
            let one = Decision {
                person: "00u1",
                login: "a",
                upn: "",
                account: None,
                reason: Reason::NoAccount,
                digest,
                evidence: || "{}".to_owned(),
            };
            let recorded = place.history.record_decisions(&pass, std::iter::once(one)).await.unwrap();
            assert_eq!(recorded.written, written, "{digest:x}");
        }
    }
}
