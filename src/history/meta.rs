//! Whom this history belongs to, and which rules of each job an operator agreed to.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, stamp};

/// Whom a history belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    pub org_url: Option<&'a str>,
    pub tenant: &'a str,
}

impl Owner<'_> {
    /// Key, what it is to a reader, and value of each.
    fn entries(self) -> Vec<(&'static str, &'static str, String)> {
        let org = self.org_url.map(|url| ("org_url", "Okta org", url.trim_end_matches('/').to_ascii_lowercase()));
        org.into_iter().chain([("tenant", "tenant", self.tenant.to_ascii_lowercase())]).collect()
    }
}

/// The rules of a job that an operator agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedRules {
    pub fingerprint: String,
    pub approved_at: Timestamp,
    pub approved_by: String,
}

impl History {
    /// Binds the history to its owner: the first org and the first tenant are kept for good. Whoever finds it bound so waits
    /// for no writer.
    ///
    /// # Errors
    ///
    /// [`HistoryError::OtherOwner`] when it belongs to another of either. Nothing is changed then.
    pub async fn bind(&self, owner: Owner<'_>) -> Result<(), HistoryError> {
        if self.may_belong_to(owner).await? {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for (key, what, configured) in owner.entries() {
            // Another process may have been first.
            if !is_bound(&mut tx, key, what, &configured).await? {
                sqlx::query!("insert into meta (key, value) values (?, ?)", key, configured).execute(&mut *tx).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Whether the history is bound to that owner already; false when it could be.
    ///
    /// # Errors
    ///
    /// As [`Self::bind`].
    pub async fn may_belong_to(&self, owner: Owner<'_>) -> Result<bool, HistoryError> {
        let mut reader = self.reader.acquire().await?;
        let mut bound = true;
        for (key, what, configured) in owner.entries() {
            bound &= is_bound(&mut reader, key, what, &configured).await?;
        }
        Ok(bound)
    }

    /// The rules that a job may write under.
    pub async fn approved_rules(&self, job: &str) -> Result<Option<ApprovedRules>, HistoryError> {
        let row = sqlx::query!("select fingerprint, approved_at, approved_by from job_policy where job = ?", job)
            .fetch_optional(&self.reader)
            .await?;
        row.map(|row| {
            let approved_at = Row { table: "job_policy", id: job }.time("approved_at", row.approved_at)?;
            Ok(ApprovedRules { fingerprint: row.fingerprint, approved_at, approved_by: row.approved_by })
        })
        .transpose()
    }

    /// Remembers that a job may write under these rules.
    pub async fn approve_rules(
        &self,
        job: &str,
        fingerprint: &str,
        at: Timestamp,
        by: &str,
    ) -> Result<(), HistoryError> {
        let at = stamp(at);
        sqlx::query!(
            "insert into job_policy (job, fingerprint, approved_at, approved_by) values (?, ?, ?, ?)
             on conflict (job) do update set fingerprint = excluded.fingerprint, approved_at = excluded.approved_at,
                                             approved_by = excluded.approved_by",
            job,
            fingerprint,
            at,
            by
        )
        .execute(self.writer()?)
        .await?;
        Ok(())
    }
}

/// Whether the history has that owner; false when it has none.
async fn is_bound(
    connection: &mut SqliteConnection,
    key: &str,
    what: &'static str,
    configured: &str,
) -> Result<bool, HistoryError> {
    let stored = sqlx::query_scalar!("select value from meta where key = ?", key).fetch_optional(connection).await?;
    match stored {
        Some(stored) if stored == configured => Ok(true),
        Some(stored) => Err(HistoryError::OtherOwner { what, stored, configured: configured.to_owned() }),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::{Place, at};

    #[tokio::test]
    async fn a_history_belongs_to_one_org_and_one_tenant() {
        let place = Place::new().await;
        let bind = async |org_url, tenant| {
            let owner = Owner { org_url, tenant };
            let allowed = place.history.may_belong_to(owner).await;
            let bound = place.history.bind(owner).await;
            assert_eq!(allowed.is_ok(), bound.is_ok(), "{owner:?}");
            bound
        };
        bind(None, "contoso.onmicrosoft.com").await.unwrap();
        bind(Some("https://example.okta.com/"), "contoso.onmicrosoft.com").await.unwrap();
        bind(Some("https://Example.okta.com"), "Contoso.onmicrosoft.com").await.unwrap();
        let org = bind(Some("https://other.okta.com"), "contoso.onmicrosoft.com").await.unwrap_err();
        assert_eq!(
            org.to_string(),
            "the history belongs to the Okta org https://example.okta.com, not to https://other.okta.com"
        );
        let tenant = bind(Some("https://example.okta.com"), "fabrikam.onmicrosoft.com").await.unwrap_err();
        assert!(tenant.to_string().contains("tenant contoso.onmicrosoft.com, not to fabrikam"), "{tenant}");
        assert!(tenant.hint().is_some());
        let writing = place.history.begin().await.unwrap();
        bind(Some("https://example.okta.com"), "contoso.onmicrosoft.com").await.unwrap(); // nothing to store, nobody to wait for
        drop(writing);
    }

    #[tokio::test]
    async fn the_last_rules_agreed_to_are_kept() {
        let place = Place::new().await;
        assert_eq!(place.history.approved_rules("managers").await.unwrap(), None);
        place.history.approve_rules("managers", "one", at(0), "ana").await.unwrap();
        place.history.approve_rules("managers", "two", at(9), "bo").await.unwrap();
        let expected =
            ApprovedRules { fingerprint: "two".to_owned(), approved_at: at(9), approved_by: "bo".to_owned() };
        assert_eq!(place.history.approved_rules("managers").await.unwrap(), Some(expected));
    }
}
