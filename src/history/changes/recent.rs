//! What a job wrote lately: for the brake, for listings that do not show it yet, and for tugs of war over one person.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;

use crate::domain::decision::{ChangeKind, Kinds};
use crate::domain::identity::AccountId;
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, stamp};

/// The last write of an account whose effect a listing may not show yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentWrite {
    pub account: AccountId,
    pub to: Option<AccountId>,
    pub at: Timestamp,
    /// Neither known to be carried out nor known not to be.
    pub open: bool,
}

/// How often in a row one value was written to an account and read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeats {
    pub to: Option<AccountId>,
    pub confirmed: u32,
}

impl History {
    /// How much a job has written at or after a moment, for the brake. What an operator approved or undid does not count.
    pub async fn written_since(&self, job: &str, since: Timestamp) -> Result<Kinds, HistoryError> {
        let since = stamp(since);
        let rows = sqlx::query!(
            r#"select change.kind as "kind!", count(*) as "count!: i64"
                 from change
                 join run on run.id = change.run
                where change.job = ? and change.intent_at >= ? and run.trigger not in ('approve', 'undo')
                  and (change.answer = 'accepted' or change.settled in ('confirmed', 'written'))
                group by change.kind"#,
            job,
            since
        )
        .fetch_all(&self.reader)
        .await?;
        let mut kinds = Kinds::default();
        for row in rows {
            let at = Row { table: "change", id: &row.kind };
            let count = at.number("count", row.count)?;
            match at.parse("kind", &row.kind)? {
                ChangeKind::Set => kinds.set = count,
                ChangeKind::Change => kinds.change = count,
                ChangeKind::Clear => kinds.clear = count,
            }
        }
        Ok(kinds)
    }

    /// The last write per account that a job sent at or after a moment, where it was or may have been carried out; and
    /// every write in doubt, however old. Any of them may not show in a listing yet.
    pub async fn recent_writes(&self, job: &str, since: Timestamp) -> Result<Vec<RecentWrite>, HistoryError> {
        let since = stamp(since);
        let rows = sqlx::query!(
            r#"select id as "id!", account as "account!", to_account as "to_account?", intent_at as "intent_at!", 0 as "open!: i64"
                 from change
                where job = ?1 and intent_at >= ?2 and answer = 'accepted' and (settled is null or settled <> 'overtaken')
               union all
               select id, account, to_account, intent_at, 0
                 from change where job = ?1 and intent_at >= ?2 and settled = 'written' and answer is not 'accepted'
               union all
               select id, account, to_account, intent_at, 1
                 from change where job = ?1 and settled is null and (answer is null or answer = 'unknown')
                order by 1"#,
            job,
            since
        )
        .fetch_all(&self.reader)
        .await?;
        let mut last: HashMap<AccountId, RecentWrite> = HashMap::new();
        for row in rows {
            let id = row.id.to_string();
            let at = Row { table: "change", id: &id };
            let account = at.parse("account", &row.account)?;
            let to = at.maybe("to_account", row.to_account.as_deref())?;
            let open = row.open == 1 || last.get(&account).is_some_and(|earlier| earlier.open);
            last.insert(account, RecentWrite { account, to, at: at.time("intent_at", row.intent_at)?, open });
        }
        Ok(last.into_values().collect())
    }

    /// Per account, the value that a job last wrote and how many confirmed writes of it stand in a row: since another
    /// value was written, since the person was last released, and since an undo. Writes of an undo never count. Looks at writes at or
    /// after `since` and returns accounts with `at_least` of them.
    pub async fn confirmed_repeats(
        &self,
        job: &str,
        since: Timestamp,
        at_least: u32,
    ) -> Result<HashMap<AccountId, Repeats>, HistoryError> {
        let (since, wanted) = (stamp(since), i64::from(at_least.max(1)));
        // The inner query walks the index alone: most accounts were written once, and are not looked at further.
        let mut rows = sqlx::query!(
            r#"select change.id as "id!", change.account as "account!", change.to_account as "to_account?",
                      run.trigger = 'undo' as "undo!: bool"
                 from change
                 join run on run.id = change.run
                where change.job = ?1 and change.intent_at >= ?2
                  and change.account in (select account from change where job = ?1 and intent_at >= ?2
                                          group by account having count(*) >= ?3)
                  and change.settled in ('confirmed', 'written')
                  and change.intent_at >= coalesce((select max(parked.ended_at) from parked
                                                     where parked.job = change.job and parked.person = change.person
                                                       and parked.ended_as = 'released'), ?2)
                order by change.account, change.id"#,
            job,
            since,
            wanted
        )
        .fetch(&self.reader);
        let mut repeats: HashMap<AccountId, Repeats> = HashMap::new();
        while let Some(row) = rows.try_next().await? {
            let id = row.id.to_string();
            let at = Row { table: "change", id: &id };
            let account = at.parse("account", &row.account)?;
            let to = at.maybe("to_account", row.to_account.as_deref())?;
            if row.undo {
                repeats.remove(&account);
                continue;
            }
            let entry = repeats.entry(account).or_insert(Repeats { to, confirmed: 0 });
            *entry = Repeats { to, confirmed: if entry.to == to { entry.confirmed + 1 } else { 1 } };
        }
        repeats.retain(|_, repeat| repeat.confirmed >= at_least);
        Ok(repeats)
    }
}
