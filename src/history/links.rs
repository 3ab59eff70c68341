//! Which account each person was found to be, so that a rename breaks no link.
//!
//! Links belong to the correlation rules that found them: other rules have another fingerprint and begin anew.

use futures_util::TryStreamExt as _;
use jiff::Timestamp;

use crate::domain::identity::AccountId;
use crate::domain::run::RunId;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, stamp};
use crate::history::{CHUNK, History};

impl History {
    /// Hands every remembered link of these rules to `each`, as Okta id and account. Rows are not gathered.
    pub async fn load_links(
        &self,
        fingerprint: &str,
        mut each: impl FnMut(&str, AccountId) + Send,
    ) -> Result<(), HistoryError> {
        let mut rows =
            sqlx::query!("select person, account from link where fingerprint = ?", fingerprint).fetch(&self.reader);
        while let Some(row) = rows.try_next().await? {
            let account = Row { table: "link", id: &row.person }.parse("account", &row.account)?;
            each(&row.person, account);
        }
        Ok(())
    }

    /// Forgets links whose account is gone: a rule has to find the person's next one.
    pub async fn forget_links(&self, fingerprint: &str, people: &[&str]) -> Result<u64, HistoryError> {
        let people = serde_json::json!(people).to_string();
        let done = sqlx::query!(
            "delete from link where fingerprint = ? and person in (select value from json_each(?))",
            fingerprint,
            people
        )
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected())
    }

    /// Remembers links, those that are new or lead elsewhere than before. Returns how many rows that were.
    pub async fn save_links<'a>(
        &self,
        run: &RunId,
        fingerprint: &str,
        links: impl Iterator<Item = (&'a str, AccountId)> + Send,
        at: Timestamp,
    ) -> Result<u64, HistoryError> {
        let (run, at) = (run.as_str(), stamp(at));
        let mut links = links.peekable();
        if links.peek().is_none() {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        let mut written = 0;
        while links.peek().is_some() {
            let rows: Vec<_> =
                links.by_ref().take(CHUNK).map(|(person, account)| (person, account.to_string())).collect();
            let rows = serde_json::json!(rows).to_string();
            let done = sqlx::query!(
                "insert into link (fingerprint, person, account, run, linked_at)
                 select ?1, value ->> 0, value ->> 1, ?2, ?3 from json_each(?4) where true
                 on conflict (fingerprint, person) do update
                    set account = excluded.account, run = excluded.run, linked_at = excluded.linked_at
                  where account <> excluded.account",
                fingerprint,
                run,
                at,
                rows
            )
            .execute(&mut *tx)
            .await?;
            written += done.rows_affected();
        }
        tx.commit().await?;
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::{Place, account, at};

    async fn load(history: &History, fingerprint: &str) -> Vec<(String, AccountId)> {
        let mut links = Vec::new();
        history.load_links(fingerprint, |person, account| links.push((person.to_owned(), account))).await.unwrap();
        links
    }

    #[tokio::test]
    async fn only_new_and_moved_links_are_written() {
        let place = Place::new().await;
        let run = RunId::stored("aaaa0001");
        let names: Vec<String> = (0..4_500).map(|number| format!("00u{number:05}")).collect();
        let links = |shift: u128| names.iter().zip(shift..).map(|(name, number)| (name.as_str(), account(number)));
        let save = async |fingerprint, links| place.history.save_links(&run, fingerprint, links, at(0)).await.unwrap();
        assert_eq!(save("one", links(0).take(4_500)).await, 4_500);
        assert_eq!(save("one", links(0).take(4_500)).await, 0);
        assert_eq!(save("one", links(1).take(2)).await, 2);
        let loaded = load(&place.history, "one").await;
        assert_eq!(
            (loaded.len(), loaded[0].clone(), loaded[2].clone()),
            (4_500, (names[0].clone(), account(1)), (names[2].clone(), account(2)))
        );
        assert!(load(&place.history, "two").await.is_empty(), "other rules begin anew");
    }
}
