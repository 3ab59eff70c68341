//! People who are left alone although they drift: refused, fought over, or undone by an operator.

use jiff::Timestamp;

use crate::domain::decision::Reason;
use crate::domain::identity::{AccountId, PersonId};
use crate::domain::run::RunId;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, account_text, stamp};

/// A person to be left alone, or who is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedPerson {
    pub job: String,
    pub person: PersonId,
    pub login: String,
    pub account: Option<AccountId>,
    /// [`Reason::Blocked`], [`Reason::Contested`] or [`Reason::Undone`]; the database refuses another.
    pub reason: Reason,
    /// The manager that Okta gave then. The park holds only while it still does.
    pub desired: Option<AccountId>,
    /// Why, and what to do about it.
    pub cause: String,
    pub remedy: String,
    pub since: Timestamp,
    /// From then on the person is tried again.
    pub review_at: Option<Timestamp>,
    pub run: RunId,
}

/// Whom to release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// By Okta id, login, user principal name or account id, of one job or all.
    Users { names: Vec<String>, job: Option<String> },
    /// All of a job; with a reason, those parked for it.
    Job { job: String, reason: Option<Reason> },
}

struct ParkedRow {
    job: String,
    person: String,
    login: String,
    account: Option<String>,
    reason: String,
    desired: Option<String>,
    cause: String,
    remedy: String,
    since: i64,
    review_at: Option<i64>,
    run: String,
}

impl TryFrom<ParkedRow> for ParkedPerson {
    type Error = HistoryError;

    fn try_from(row: ParkedRow) -> Result<Self, HistoryError> {
        let at = Row { table: "parked", id: &row.person };
        Ok(Self {
            person: PersonId::new(&row.person),
            account: at.maybe("account", row.account.as_deref())?,
            reason: at.parse("reason", &row.reason)?,
            desired: at.maybe("desired", row.desired.as_deref())?,
            since: at.time("since", row.since)?,
            review_at: at.maybe_time("review_at", row.review_at)?,
            run: RunId::stored(&row.run),
            job: row.job,
            login: row.login,
            cause: row.cause,
            remedy: row.remedy,
        })
    }
}

impl History {
    /// Leaves people alone from now on. Who is parked already is parked for the new reason.
    pub async fn park(&self, people: &[ParkedPerson]) -> Result<(), HistoryError> {
        let mut tx = self.begin().await?;
        for parked in people {
            let (person, account) = (parked.person.as_str(), account_text(parked.account));
            let (reason, desired, run) = (parked.reason.as_str(), account_text(parked.desired), parked.run.as_str());
            let (since, review_at) = (stamp(parked.since), parked.review_at.map(stamp));
            sqlx::query!(
                "insert into parked (job, person, login, account, reason, desired, cause, remedy, since, review_at, run)
                 values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                 on conflict (job, person) where ended_as is null do update
                    set login = excluded.login, account = excluded.account, reason = excluded.reason,
                        desired = excluded.desired, cause = excluded.cause, remedy = excluded.remedy,
                        since = excluded.since, review_at = excluded.review_at, run = excluded.run",
                parked.job,
                person,
                parked.login,
                account,
                reason,
                desired,
                parked.cause,
                parked.remedy,
                since,
                review_at,
                run
            )
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Whom a job leaves alone now: those past their review date are tried again.
    pub async fn load_parked(&self, job: &str, now: Timestamp) -> Result<Vec<ParkedPerson>, HistoryError> {
        let now = stamp(now);
        let rows = sqlx::query_as!(
            ParkedRow,
            "select job, person, login, account, reason, desired, cause, remedy, since, review_at, run
               from parked
              where job = ? and ended_as is null and (review_at is null or review_at > ?)
              order by since, id",
            job,
            now
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(ParkedPerson::try_from).collect()
    }

    /// Everybody who is parked, of one job or all, oldest first.
    pub async fn list_parked(&self, job: Option<&str>) -> Result<Vec<ParkedPerson>, HistoryError> {
        let rows = sqlx::query_as!(
            ParkedRow,
            "select job, person, login, account, reason, desired, cause, remedy, since, review_at, run
               from parked
              where ended_as is null and (?1 is null or job = ?1)
              order by since, id",
            job
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(ParkedPerson::try_from).collect()
    }

    /// Lets the next run try people again, by an operator's word; forgets how often their value was fought over.
    pub async fn release(
        &self,
        whom: &Release,
        now: Timestamp,
        caller: &str,
    ) -> Result<Vec<ParkedPerson>, HistoryError> {
        let now = stamp(now);
        let (users, job, reason) = match whom {
            Release::Users { names, job } => (Some(serde_json::json!(names).to_string()), job.as_deref(), None),
            Release::Job { job, reason } => (None, Some(job.as_str()), reason.map(Reason::as_str)),
        };
        let rows = sqlx::query_as!(
            ParkedRow,
            r#"update parked set ended_as = 'released', ended_at = ?1, ended_by = ?2
                where ended_as is null
                  and (?3 is null or job = ?3)
                  and (?4 is null or reason = ?4)
                  and (?5 is null
                       or exists (select 1 from json_each(?5) as name
                                   where name.value in (person, account)
                                      or name.value = login collate nocase
                                      or lower(name.value) = account
                                      or exists (select 1 from decision
                                                  where decision.upn collate nocase = name.value
                                                    and decision.person = parked.person)))
            returning job as "job!", person as "person!", login as "login!", account as "account?", reason as "reason!",
                      desired as "desired?", cause as "cause!", remedy as "remedy!", since as "since!",
                      review_at as "review_at?", run as "run!""#,
            now,
            caller,
            job,
            reason,
            users
        )
        .fetch_all(self.writer()?)
        .await?;
        rows.into_iter().map(ParkedPerson::try_from).collect()
    }

    /// Ends the parking of people for whom it has become meaningless: written, agreed, or given another manager by Okta.
    /// Unlike [`History::release`] it forgets nothing of a fight.
    pub async fn lift(&self, job: &str, people: &[&str], now: Timestamp) -> Result<u64, HistoryError> {
        let (people, now) = (serde_json::json!(people).to_string(), stamp(now));
        let done = sqlx::query!(
            "update parked set ended_as = 'lifted', ended_at = ?
              where job = ? and ended_as is null and person in (select value from json_each(?))",
            now,
            job,
            people
        )
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::Trigger;
    use crate::history::decisions::{Decision, Pass};
    use crate::history::testing::{Place, account, at, past_run};

    fn parked(number: u128, reason: Reason) -> ParkedPerson {
        ParkedPerson {
            job: "managers".to_owned(),
            person: PersonId::new(&format!("00u{number}")),
            login: format!("person{number}@example.com"),
            account: Some(account(number)),
            reason,
            desired: Some(account(9)),
            cause: "refused".to_owned(),
            remedy: "grant it".to_owned(),
            since: at(0),
            review_at: None,
            run: RunId::stored("aaaa0001"),
        }
    }

    fn ids(people: &[ParkedPerson]) -> Vec<&str> {
        people.iter().map(|parked| parked.person.as_str()).collect()
    }

    #[tokio::test]
    async fn parked_people_come_back_whole_until_their_review() {
        let place = Place::new().await;
        let blocked = ParkedPerson { review_at: Some(at(100)), ..parked(1, Reason::Blocked) };
        place.history.park(&[blocked.clone(), parked(2, Reason::Undone)]).await.unwrap();
        assert_eq!(place.history.load_parked("managers", at(99)).await.unwrap()[0], blocked);
        assert_eq!(ids(&place.history.load_parked("managers", at(100)).await.unwrap()), ["00u2"]);
        assert_eq!(place.history.list_parked(None).await.unwrap().len(), 2);
        assert!(place.history.list_parked(Some("other")).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn parking_again_replaces_the_reason() {
        let place = Place::new().await;
        place.history.park(&[parked(1, Reason::Blocked)]).await.unwrap();
        place.history.park(&[parked(1, Reason::Contested)]).await.unwrap();
        assert_eq!(place.history.list_parked(None).await.unwrap(), [parked(1, Reason::Contested)]);
    }

    #[tokio::test]
    async fn only_three_reasons_park() {
        let place = Place::new().await;
        assert!(place.history.park(&[parked(1, Reason::Agreed)]).await.is_err());
    }

    #[tokio::test]
    async fn release_finds_people_by_any_name_once() {
        let place = Place::new().await;
        let history = &place.history;
        let run = past_run(history, "aaaa0001", Trigger::Schedule, 0).await;
        let known = Decision {
            person: "00u4",
            login: "person4@example.com",
            upn: "p4@contoso.example",
            account: None,
            reason: Reason::Blocked,
            digest: 1,
            evidence: || "{}".to_owned(),
        };
        let pass = Pass { run: &run, job: "managers", at: at(0), full: true };
        history.record_decisions(&pass, std::iter::once(known)).await.unwrap();
        let all: Vec<_> = (1..=5).map(|number| parked(number, Reason::Blocked)).collect();
        history.park(&all).await.unwrap();
        let names = ["00u1", "PERSON2@example.com", "00000000-0000-0000-0000-000000000003", "P4@contoso.example"];
        let names = Release::Users { names: names.map(str::to_owned).to_vec(), job: None };
        let mut released = history.release(&names, at(5), "ana").await.unwrap();
        released.sort_by(|a, b| a.person.cmp(&b.person));
        assert_eq!(ids(&released), ["00u1", "00u2", "00u3", "00u4"]);
        assert!(history.release(&names, at(6), "ana").await.unwrap().is_empty());
        assert_eq!(ids(&history.list_parked(None).await.unwrap()), ["00u5"]);
        history.park(&[parked(1, Reason::Blocked)]).await.unwrap();
        assert_eq!(history.list_parked(None).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn release_by_job_and_reason_leaves_the_others() {
        let place = Place::new().await;
        let other = ParkedPerson { job: "other".to_owned(), ..parked(1, Reason::Blocked) };
        place.history.park(&[other, parked(1, Reason::Blocked), parked(2, Reason::Undone)]).await.unwrap();
        let whom = Release::Job { job: "managers".to_owned(), reason: Some(Reason::Undone) };
        assert_eq!(ids(&place.history.release(&whom, at(5), "ana").await.unwrap()), ["00u2"]);
        let whom = Release::Job { job: "managers".to_owned(), reason: None };
        assert_eq!(ids(&place.history.release(&whom, at(5), "ana").await.unwrap()), ["00u1"]);
        assert_eq!(place.history.list_parked(None).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn lifting_ends_a_park() {
        let place = Place::new().await;
        place.history.park(&[parked(1, Reason::Blocked), parked(2, Reason::Blocked)]).await.unwrap();
        assert_eq!(place.history.lift("managers", &["00u1", "00u7"], at(5)).await.unwrap(), 1);
        assert_eq!(ids(&place.history.list_parked(None).await.unwrap()), ["00u2"]);
    }
}
