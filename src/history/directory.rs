//! Imports of both directories: who is whose and who is nobody's, a row only when that changes.

use jiff::Timestamp;
use serde_json::json;

use crate::domain::identity::AccountId;
use crate::domain::import::{Ended, Entry, Kind};
use crate::domain::index::Digest;
use crate::domain::run::RunId;
use crate::history::error::HistoryError;
use crate::history::rows::{Row, signed, stamp};
use crate::history::standing::{self, Recorded, Seen, Standing, Table, key};
use crate::history::{History, Write};

/// A complete import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// In the order of the imports of all jobs.
    pub id: i64,
    pub run: RunId,
    pub job: String,
    pub at: Timestamp,
}

/// An import that is to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct NewImport<'a> {
    pub run: &'a RunId,
    pub job: &'a str,
    pub at: Timestamp,
    /// Matches by Okta id that were not looked at: their entries stay as they are.
    pub kept: &'a [(&'a str, AccountId)],
}

/// The entries of one import.
struct Entries<'a> {
    job: &'a str,
    import: i64,
    /// The import before, with which ends what is no longer so.
    before: Option<i64>,
}

impl Table for Entries<'_> {
    async fn close(&self, tx: &mut Write<'_>, ids: String) -> Result<(), HistoryError> {
        sqlx::query!(
            "update directory_entry set last_import = coalesce(?1, first_import) where id in (select value from json_each(?2))",
            self.before,
            ids
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn add(&self, tx: &mut Write<'_>, rows: String) -> Result<(), HistoryError> {
        sqlx::query!(
            "insert into directory_entry (job, kind, person, login, status, account, upn, guest, disabled, digest, first_import)
             select ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
                    value ->> 8, ?2
               from json_each(?3)",
            self.job,
            self.import,
            rows
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

fn digest(entry: &Entry) -> u64 {
    let mut digest = Digest::new();
    for text in [entry.kind.as_str(), &entry.login, &entry.status, &entry.upn] {
        digest.text(text.as_bytes());
    }
    digest.word(u64::from(entry.guest) << 1 | u64::from(entry.disabled));
    digest.finish()
}

/// How many standing entries are read at a time.
const PAGE: i64 = 5_000;

impl History {
    /// Records a complete import: closes entries that are no longer so, adds new ones. All or nothing; an import that finds
    /// nothing new adds one row.
    pub async fn record_import(
        &self,
        new: &NewImport<'_>,
        entries: impl Iterator<Item = Entry> + Send,
    ) -> Result<(Import, Recorded), HistoryError> {
        let mut standing = self.standing_entries(new.job).await?;
        for (person, account) in new.kept {
            let _ = standing.look_up(key(&[person, &account.to_string()]));
        }
        let mut tx = self.begin().await?;
        let (run, at) = (new.run.as_str(), stamp(new.at));
        let before =
            sqlx::query_scalar!(r#"select max(id) as "id?: i64" from directory_import where job = ?"#, new.job)
                .fetch_one(&mut *tx)
                .await?;
        let import = sqlx::query!("insert into directory_import (run, job, at) values (?, ?, ?)", run, new.job, at)
            .execute(&mut *tx)
            .await?
            .last_insert_rowid();
        let seen = entries.map(|entry| Seen {
            key: key(&[entry.person.as_deref().unwrap_or(""), entry.account.as_deref().unwrap_or("")]),
            digest: digest(&entry),
            row: move |digest: i64| {
                let Entry { kind, person, login, status, account, upn, guest, disabled } = entry;
                let (person, account) = (person.unwrap_or_default(), account.unwrap_or_default());
                let (guest, disabled) = (i64::from(guest), i64::from(disabled));
                json!([kind.as_str(), person, login, status, account, upn, guest, disabled, digest])
            },
        });
        let table = Entries { job: new.job, import, before };
        let recorded = standing::replace(&table, &mut tx, standing, true, seen).await?;
        tx.commit().await?;
        Ok((Import { id: import, run: new.run.clone(), job: new.job.to_owned(), at: new.at }, recorded))
    }

    async fn standing_entries(&self, job: &str) -> Result<Standing, HistoryError> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!: i64" from directory_entry where job = ? and last_import is null"#,
            job
        )
        .fetch_one(&self.reader)
        .await?;
        let mut standing = Standing::with_room(count);
        let mut after = (String::new(), String::new());
        loop {
            let page = sqlx::query_scalar!(
                r#"select json_group_array(json_array(id, person, account, digest)) as "page!: String"
                     from (select id, person, account, digest from directory_entry
                            where job = ?1 and last_import is null and (person, account) > (?2, ?3)
                            order by person, account limit ?4)"#,
                job,
                after.0,
                after.1,
                PAGE
            )
            .fetch_one(&self.reader)
            .await?;
            let page: Vec<(i64, String, String, i64)> = serde_json::from_str(&page)
                .map_err(|error| Row { table: "directory_entry", id: job }.bad("digest", error))?;
            for (row, person, account, digest) in &page {
                standing.push(key(&[person, account]), *digest, *row);
            }
            let Some((_, person, account, _)) = page.into_iter().next_back() else { break };
            after = (person, account);
        }
        standing.seal();
        Ok(standing)
    }

    /// The newest complete import of a job, or of any.
    pub async fn latest_import(&self, job: Option<&str>) -> Result<Option<Import>, HistoryError> {
        let row = sqlx::query_as!(
            ImportRow,
            r#"select id as "id!", run, job, at from directory_import where ?1 is null or job = ?1 order by id desc limit 1"#,
            job
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(Import::try_from).transpose()
    }

    /// The import that a run made; `None` when it made none.
    pub async fn import_of_run(&self, run: &RunId) -> Result<Option<Import>, HistoryError> {
        let run = run.as_str();
        let row =
            sqlx::query_as!(ImportRow, r#"select id as "id!", run, job, at from directory_import where run = ?"#, run)
                .fetch_optional(&self.reader)
                .await?;
        row.map(Import::try_from).transpose()
    }

    /// The complete import of the same job before this one.
    pub async fn import_before(&self, import: &Import) -> Result<Option<Import>, HistoryError> {
        let row = sqlx::query_as!(
            ImportRow,
            r#"select id as "id!", run, job, at from directory_import where job = ? and id < ? order by id desc limit 1"#,
            import.job,
            import.id
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(Import::try_from).transpose()
    }

    /// The entries of an import of these kinds: conflicts first and matches last, members before disabled accounts and
    /// those before guests, then by name. And how many there are beyond `limit`.
    pub async fn entries_of_import(
        &self,
        import: &Import,
        kinds: &[Kind],
        limit: u32,
    ) -> Result<(Vec<Entry>, u64), HistoryError> {
        let mut entries = Vec::new();
        // A kind at a time: the index `directory_entry_in_order` gives each in its order, and no more is read than is shown.
        for kind in Kind::ALL.iter().filter(|kind| kinds.contains(kind)) {
            let left = i64::from(limit) - signed(entries.len() as u64);
            if left <= 0 {
                break;
            }
            let kind = kind.as_str();
            let rows = sqlx::query_as!(
                EntryRow,
                r#"select id as "id!", kind, person, login, status, account, upn, guest as "guest: bool",
                          disabled as "disabled: bool"
                     from directory_entry
                    where job = ?1 and kind = ?2 and first_import <= ?3 and (last_import is null or last_import >= ?3)
                    order by guest, disabled, login, upn, id
                    limit ?4"#,
                import.job,
                kind,
                import.id,
                left
            )
            .fetch_all(&self.reader)
            .await?;
            for row in rows {
                entries.push(Entry::try_from(row)?);
            }
        }
        let shown = entries.len() as u64;
        // The run counted them, if it could be closed: among a hundred thousand, that is quicker.
        if let Some(tally) = self.run(&import.run).await?.and_then(|run| run.import_tally()) {
            let all: u64 = kinds.iter().map(|kind| tally.of(*kind).entries).sum();
            return Ok((entries, all.saturating_sub(shown)));
        }
        let kinds = json!(kinds).to_string();
        let all = sqlx::query_scalar!(
            r#"select count(*) as "count!: i64" from directory_entry
                where job = ?1 and first_import <= ?2 and (last_import is null or last_import >= ?2)
                  and kind in (select value from json_each(?3))"#,
            import.job,
            import.id,
            kinds
        )
        .fetch_one(&self.reader)
        .await?;
        Ok((entries, u64::try_from(all).unwrap_or(0).saturating_sub(shown)))
    }

    /// What ended with the import before this one, and what began with this one.
    pub async fn entries_changed_by(&self, import: &Import) -> Result<(Vec<Ended>, Vec<Entry>), HistoryError> {
        let begun = sqlx::query_as!(
            EntryRow,
            r#"select id as "id!", kind, person, login, status, account, upn, guest as "guest: bool", disabled as "disabled: bool"
                 from directory_entry where first_import = ? order by id"#,
            import.id
        )
        .fetch_all(&self.reader)
        .await?;
        let begun = begun.into_iter().map(Entry::try_from).collect::<Result<Vec<_>, _>>()?;
        let Some(before) = self.import_before(import).await? else { return Ok((Vec::new(), begun)) };
        let ended = sqlx::query!(
            r#"select id as "id!", kind, person, login, status, account, upn, guest as "guest: bool", disabled as "disabled: bool",
                      exists (select 1 from directory_entry as other
                               where other.person <> '' and other.person = ended.person and other.job = ended.job
                                 and other.first_import <= ?2 and (other.last_import is null or other.last_import >= ?2))
                          as "person_stays!: bool",
                      exists (select 1 from directory_entry as other
                               where other.account <> '' and other.account = ended.account and other.job = ended.job
                                 and other.first_import <= ?2 and (other.last_import is null or other.last_import >= ?2))
                          as "account_stays!: bool"
                 from directory_entry as ended where last_import = ?1 order by id"#,
            before.id,
            import.id
        )
        .fetch_all(&self.reader)
        .await?;
        let ended = ended.into_iter().map(|row| {
            let (person_stays, account_stays) = (row.person_stays, row.account_stays);
            let entry = Entry::try_from(EntryRow {
                id: row.id,
                kind: row.kind,
                person: row.person,
                login: row.login,
                status: row.status,
                account: row.account,
                upn: row.upn,
                guest: row.guest,
                disabled: row.disabled,
            })?;
            Ok(Ended { entry, person_stays, account_stays })
        });
        Ok((ended.collect::<Result<_, HistoryError>>()?, begun))
    }
}

struct ImportRow {
    id: i64,
    run: String,
    job: String,
    at: i64,
}

impl TryFrom<ImportRow> for Import {
    type Error = HistoryError;

    fn try_from(row: ImportRow) -> Result<Self, HistoryError> {
        let at = Row { table: "directory_import", id: &row.run }.time("at", row.at)?;
        Ok(Self { id: row.id, run: RunId::stored(&row.run), job: row.job, at })
    }
}

struct EntryRow {
    id: i64,
    kind: String,
    person: String,
    login: String,
    status: String,
    account: String,
    upn: String,
    guest: bool,
    disabled: bool,
}

impl TryFrom<EntryRow> for Entry {
    type Error = HistoryError;

    fn try_from(row: EntryRow) -> Result<Self, HistoryError> {
        let id = row.id.to_string();
        let kind = Row { table: "directory_entry", id: &id }.parse("kind", &row.kind)?;
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Self {
            kind,
            person: given(row.person),
            login: row.login,
            status: row.status,
            account: given(row.account),
            upn: row.upn,
            guest: row.guest,
            disabled: row.disabled,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::import::Difference;
    use crate::domain::run::Trigger;
    use crate::history::testing::{Place, account, at, past_run, rows};
    use crate::reconcile::import_diff::differences;

    /// Person and account of a number, the person under another login when `name` says so.
    fn matched(number: u128, name: &str) -> Entry {
        Entry {
            kind: Kind::Matched,
            person: Some(format!("00u{number}")),
            login: format!("{name}{number}@example.com"),
            status: "ACTIVE".to_owned(),
            account: Some(account(number).to_string()),
            upn: format!("p{number}@example.com"),
            guest: false,
            disabled: false,
        }
    }

    fn alone(number: u128) -> Entry {
        Entry { kind: Kind::UnmatchedInOkta, account: None, upn: String::new(), ..matched(number, "p") }
    }

    async fn record(history: &History, run: &str, entries: &[Entry]) -> (Import, Recorded) {
        keeping(history, run, entries, &[]).await
    }

    async fn keeping(
        history: &History,
        run: &str,
        entries: &[Entry],
        kept: &[(&str, AccountId)],
    ) -> (Import, Recorded) {
        let run = past_run(history, run, Trigger::Schedule, 0).await;
        let new = NewImport { run: &run, job: "import", at: at(0), kept };
        history.record_import(&new, entries.iter().cloned()).await.unwrap()
    }

    async fn told(history: &History, import: &Import) -> Vec<String> {
        let (ended, begun) = history.entries_changed_by(import).await.unwrap();
        let line = |it: &crate::domain::import::Changed| format!("{} {}", it.difference, it.entry.login);
        differences(&ended, &begun).iter().map(line).collect()
    }

    #[tokio::test]
    async fn an_import_that_finds_nothing_new_adds_one_row() {
        let place = Place::new().await;
        let all: Vec<Entry> = (0..12_000).map(|number| matched(number, "p")).collect();
        let (_, first) = record(&place.history, "run1", &all).await;
        assert_eq!(first, Recorded { written: 12_000, gone: 0 });
        let reversed: Vec<Entry> = all.iter().rev().cloned().collect();
        let (import, second) = record(&place.history, "run2", &reversed).await;
        assert_eq!(second, Recorded::default());
        assert_eq!(rows(&place.history, "directory_entry").await, 12_000);
        let (shown, more) = place.history.entries_of_import(&import, &[Kind::Matched], 10).await.unwrap();
        assert_eq!((shown.len(), more), (10, 11_990));
    }

    #[tokio::test]
    async fn every_import_can_be_asked_for_what_it_found_and_what_was_new() {
        let place = Place::new().await;
        let history = &place.history;
        let first = record(history, "run1", &[matched(1, "p"), matched(2, "p"), alone(3)]).await.0;
        let second = record(history, "run2", &[matched(1, "q"), matched(2, "p"), matched(3, "p")]).await.0;
        let third = record(history, "run3", &[matched(1, "q"), alone(2)]).await.0;
        assert_eq!(told(history, &second).await, ["renamed q1@example.com", "newly_matched p3@example.com"]);
        let gone = told(history, &third).await;
        assert_eq!(gone, ["newly_unmatched p2@example.com", "gone ", "gone p3@example.com"]);
        let logins = async |import: &Import| {
            let (entries, _) = history.entries_of_import(import, Kind::ALL, 9).await.unwrap();
            entries.iter().map(|entry| entry.login[..2].to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(logins(&first).await, "p3 p1 p2");
        assert_eq!(logins(&second).await, "p2 p3 q1");
        assert_eq!(logins(&third).await, "p2 q1");
        assert_eq!(history.latest_import(Some("import")).await.unwrap(), Some(third.clone()));
        assert_eq!(history.latest_import(Some("other")).await.unwrap(), None);
        assert_eq!(history.import_of_run(&second.run).await.unwrap(), Some(second.clone()));
        assert_eq!(history.import_before(&third).await.unwrap(), Some(second));
        assert_eq!(history.import_before(&first).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_was_not_looked_at_stays_as_it_is() {
        let place = Place::new().await;
        let history = &place.history;
        record(history, "run1", &[matched(1, "p"), matched(2, "p")]).await;
        let (import, recorded) = keeping(history, "run2", &[matched(1, "p")], &[("00u2", account(2))]).await;
        assert_eq!(recorded, Recorded::default());
        assert!(told(history, &import).await.is_empty());
    }

    #[tokio::test]
    async fn an_account_that_goes_from_one_person_to_another_has_moved() {
        let place = Place::new().await;
        let history = &place.history;
        record(history, "run1", &[matched(1, "p"), alone(2)]).await;
        let moved = Entry { person: Some("00u2".to_owned()), login: "p2@example.com".to_owned(), ..matched(1, "p") };
        let (import, _) = record(history, "run2", &[moved, alone(1)]).await;
        let (ended, begun) = history.entries_changed_by(&import).await.unwrap();
        let found = differences(&ended, &begun);
        assert_eq!((found[0].difference, found[0].entry.login.as_str()), (Difference::Moved, "p2@example.com"));
        assert_eq!(found[0].before.as_ref().unwrap().login, "p1@example.com");
        assert_eq!(found[1].difference, Difference::NewlyUnmatched);
        assert_eq!(found.len(), 2);
    }

    #[tokio::test]
    async fn flags_and_status_are_part_of_what_an_entry_is() {
        let place = Place::new().await;
        let history = &place.history;
        record(history, "run1", &[matched(1, "p")]).await;
        for (run, change) in [("run2", (true, false)), ("run3", (false, true)), ("run4", (false, false))] {
            let entry = Entry { guest: change.0, disabled: change.1, ..matched(1, "p") };
            let (import, recorded) = record(history, run, &[entry]).await;
            assert_eq!(recorded.written, 1, "{run}");
            assert_eq!(told(history, &import).await, ["changed p1@example.com"]);
        }
        let suspended = Entry { status: "SUSPENDED".to_owned(), ..matched(1, "p") };
        assert_eq!(record(history, "run5", &[suspended]).await.1.written, 1);
    }
}
