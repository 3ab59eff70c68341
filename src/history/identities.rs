//! How each identity is, and how that changed.

use jiff::Timestamp;

use crate::domain::condition::{Condition, Credential, Ending, IdentityName, Known, State};
use crate::history::error::HistoryError;
use crate::history::rows::{Row, stamp};
use crate::history::{History, Write};

/// What became of an identity when something happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// As it was; with nothing known when it was new, or another one.
    pub before: Known,
    pub after: Known,
}

/// A change of an identity: of its state, of the reason, of the notice that is due; or somebody signed in or out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityChange {
    /// Grows with each.
    pub id: i64,
    pub at: Timestamp,
    pub name: IdentityName,
    /// Organization or tenant, and client.
    pub who: String,
    pub state: State,
    /// Who signed in or out; `None`: the program found it so.
    pub caller: Option<String>,
}

struct KnownRow {
    name: String,
    who: String,
    state: String,
    since: i64,
    reason: Option<String>,
    detail: String,
    hint: Option<String>,
    notice: Option<i64>,
    signed_in_at: Option<i64>,
    ends: Option<String>,
    ends_at: Option<i64>,
    claims: Option<String>,
    login_at: Option<i64>,
    login_by: Option<String>,
}

impl TryFrom<KnownRow> for Known {
    type Error = HistoryError;

    fn try_from(row: KnownRow) -> Result<Self, HistoryError> {
        let at = Row { table: "identity", id: &row.name };
        let what: Option<Credential> = at.maybe("ends", row.ends.as_deref())?;
        Ok(Self {
            name: at.parse("name", &row.name)?,
            state: State {
                condition: at.parse("state", &row.state)?,
                reason: row.reason,
                detail: row.detail,
                hint: row.hint,
                notice: row.notice.map(|days| at.number("notice", days)).transpose()?,
            },
            since: Some(at.time("since", row.since)?),
            signed_in_at: at.maybe_time("signed_in_at", row.signed_in_at)?,
            ends: what.zip(at.maybe_time("ends_at", row.ends_at)?).map(|(what, at)| Ending { what, at }),
            claims: row.claims,
            login: at.maybe_time("login_at", row.login_at)?.zip(row.login_by),
            who: row.who,
        })
    }
}

struct ChangeRow {
    id: i64,
    at: i64,
    name: String,
    who: String,
    state: String,
    reason: Option<String>,
    detail: String,
    hint: Option<String>,
    notice: Option<i64>,
    caller: Option<String>,
}

impl TryFrom<ChangeRow> for IdentityChange {
    type Error = HistoryError;

    fn try_from(row: ChangeRow) -> Result<Self, HistoryError> {
        let id = row.id.to_string();
        let at = Row { table: "identity_change", id: &id };
        Ok(Self {
            id: row.id,
            at: at.time("at", row.at)?,
            name: at.parse("name", &row.name)?,
            state: State {
                condition: at.parse("state", &row.state)?,
                reason: row.reason,
                detail: row.detail,
                hint: row.hint,
                notice: row.notice.map(|days| at.number("notice", days)).transpose()?,
            },
            who: row.who,
            caller: row.caller,
        })
    }
}

impl History {
    /// Every identity of which anything is known, Okta's first.
    pub async fn identities(&self) -> Result<Vec<Known>, HistoryError> {
        let rows = sqlx::query_as!(
            KnownRow,
            "select name, who, state, since, reason, detail, hint, notice, signed_in_at, ends, ends_at, claims, login_at, login_by
               from identity"
        )
        .fetch_all(&self.reader)
        .await?;
        let mut all = rows.into_iter().map(Known::try_from).collect::<Result<Vec<_>, _>>()?;
        all.sort_by_key(|known| known.name);
        Ok(all)
    }

    /// What is known of an identity, unless that was another one.
    pub async fn identity(&self, name: IdentityName, who: &str) -> Result<Known, HistoryError> {
        let found = self.identities().await?.into_iter().find(|known| known.name == name && known.who == who);
        Ok(found.unwrap_or_else(|| Known::nothing(name, who.to_owned())))
    }

    /// Keeps what is known of an identity after something happened to it: `next` makes it of what was known before, and no
    /// other process comes between. `caller` signed somebody in or out.
    ///
    /// # Errors
    ///
    /// The history cannot be written.
    pub async fn note_identity(
        &self,
        (name, who): (IdentityName, &str),
        at: Timestamp,
        caller: Option<&str>,
        next: impl FnOnce(Known) -> Known + Send,
    ) -> Result<Noted, HistoryError> {
        let mut tx = self.begin().await?;
        let word = name.as_str();
        let row = sqlx::query_as!(
            KnownRow,
            "select name, who, state, since, reason, detail, hint, notice, signed_in_at, ends, ends_at, claims, login_at, login_by
               from identity where name = ? and who = ?",
            word,
            who
        )
        .fetch_optional(&mut *tx)
        .await?;
        let before = match row {
            Some(row) => Known::try_from(row)?,
            None => Known::nothing(name, who.to_owned()),
        };
        let mut after = next(before.clone());
        let same = before.state.condition == after.state.condition && before.state.reason == after.state.reason;
        after.since = before.since.filter(|_| same).or(Some(at));
        if before != after {
            write(&mut tx, &after).await?;
        }
        if caller.is_some() || is_news(&before.state, &after.state) {
            write_change(&mut tx, &after, at, caller).await?;
        }
        tx.commit().await?;
        Ok(Noted { before, after })
    }

    /// The changes after one that is known (0: from the first on), oldest first, at most so many.
    pub async fn identity_changes(&self, after: i64, limit: u32) -> Result<Vec<IdentityChange>, HistoryError> {
        let rows = sqlx::query_as!(
            ChangeRow,
            "select id, at, name, who, state, reason, detail, hint, notice, caller
               from identity_change where id > ? order by id limit ?",
            after,
            limit
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(IdentityChange::try_from).collect()
    }
}

/// Whether anybody is told: that an identity works of which nothing was known is no news.
fn is_news(before: &State, after: &State) -> bool {
    let begins_well = before.condition == Condition::Unknown && after.condition == Condition::Ok;
    let same = before.condition == after.condition && before.reason == after.reason && before.notice == after.notice;
    !same && !begins_well
}

impl Noted {
    /// Whether this is something to tell people.
    #[must_use]
    pub fn is_news(&self) -> bool {
        is_news(&self.before.state, &self.after.state)
    }
}

async fn write(tx: &mut Write<'_>, known: &Known) -> Result<(), HistoryError> {
    let State { condition, reason, detail, hint, notice } = &known.state;
    let (name, state, since) = (known.name.as_str(), condition.as_str(), known.since.map(stamp));
    let signed_in_at = known.signed_in_at.map(stamp);
    let (ends, ends_at) = (known.ends.map(|ends| ends.what.as_str()), known.ends.map(|ends| stamp(ends.at)));
    let (login_at, login_by) = known.login.as_ref().map(|(at, by)| (stamp(*at), by)).unzip();
    sqlx::query!(
        "insert into identity (name, who, state, since, reason, detail, hint, notice, signed_in_at, ends, ends_at, claims,
                               login_at, login_by)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         on conflict (name) do update
            set who = excluded.who, state = excluded.state, since = excluded.since, reason = excluded.reason,
                detail = excluded.detail, hint = excluded.hint, notice = excluded.notice,
                signed_in_at = excluded.signed_in_at, ends = excluded.ends, ends_at = excluded.ends_at,
                claims = excluded.claims, login_at = excluded.login_at, login_by = excluded.login_by",
        name,
        known.who,
        state,
        since,
        reason,
        detail,
        hint,
        notice,
        signed_in_at,
        ends,
        ends_at,
        known.claims,
        login_at,
        login_by
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn write_change(
    tx: &mut Write<'_>,
    known: &Known,
    at: Timestamp,
    caller: Option<&str>,
) -> Result<(), HistoryError> {
    let State { condition, reason, detail, hint, notice } = &known.state;
    let (at, name, state) = (stamp(at), known.name.as_str(), condition.as_str());
    sqlx::query!(
        "insert into identity_change (at, name, who, state, reason, detail, hint, notice, caller)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        at,
        name,
        known.who,
        state,
        reason,
        detail,
        hint,
        notice,
        caller
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::{Place, at, rows};

    const ANA: (IdentityName, &str) = (IdentityName::User, "contoso.example 3");

    fn dead() -> State {
        let words = |text: &str| Some(text.to_owned());
        let (reason, hint) = (words("AADSTS700082"), words("sign in again"));
        State { condition: Condition::NeedsHuman, reason, detail: "it is over".to_owned(), hint, notice: None }
    }

    /// Puts an identity into a state.
    async fn put(place: &Place, when: i64, state: State) -> Noted {
        place.history.note_identity(ANA, at(when), None, |known| Known { state, ..known }).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_known_of_an_identity_comes_back_whole() {
        let place = Place::new().await;
        let full = |known: Known| Known {
            state: State { notice: Some(7), ..dead() },
            signed_in_at: Some(at(-5)),
            ends: Some(Ending { what: Credential::RefreshToken, at: at(900) }),
            claims: Some("{}".to_owned()),
            login: Some((at(-9), "ana".to_owned())),
            ..known
        };
        let noted = place.history.note_identity(ANA, at(0), None, full).await.unwrap();
        assert_eq!(noted.after.since, Some(at(0)));
        assert_eq!(place.history.identities().await.unwrap(), std::slice::from_ref(&noted.after));
        assert_eq!(place.history.identity(ANA.0, ANA.1).await.unwrap(), noted.after);
        let other = place.history.identity(ANA.0, "contoso.example 4").await.unwrap();
        assert_eq!(other, Known::nothing(ANA.0, "contoso.example 4".to_owned()), "of another one nothing is known");
    }

    #[tokio::test]
    async fn a_state_that_lasts_is_one_change_since_its_beginning() {
        let place = Place::new().await;
        let ok = || State::plain(Condition::Ok);
        assert!(!put(&place, 0, ok()).await.is_news(), "that it works is no news");
        for when in 1..4 {
            let noted = put(&place, when, State { detail: format!("try {when}"), ..dead() }).await;
            assert_eq!((noted.is_news(), noted.after.since), (when == 1, Some(at(1))), "{when}");
        }
        assert!(put(&place, 5, ok()).await.is_news());
        assert!(!put(&place, 6, ok()).await.is_news());
        let expiring = |notice| State { condition: Condition::Expiring, notice: Some(notice), ..ok() };
        for (when, notice, news) in [(7, 30, true), (8, 30, false), (9, 14, true)] {
            let noted = put(&place, when, expiring(notice)).await;
            assert_eq!((noted.is_news(), noted.after.since), (news, Some(at(7))), "{when}");
        }
        let changes = place.history.identity_changes(0, 10).await.unwrap();
        let told: Vec<_> =
            changes.iter().map(|change| (change.at, change.state.condition, change.state.notice)).collect();
        assert_eq!(
            told,
            [
                (at(1), Condition::NeedsHuman, None),
                (at(5), Condition::Ok, None),
                (at(7), Condition::Expiring, Some(30)),
                (at(9), Condition::Expiring, Some(14)),
            ]
        );
        let rest = place.history.identity_changes(changes[1].id, 1).await.unwrap();
        assert_eq!(rest, changes[2..3]);
        assert_eq!(rows(&place.history, "identity").await, 1);
    }

    #[tokio::test]
    async fn who_signs_in_is_on_record_also_where_the_state_stays() {
        let place = Place::new().await;
        put(&place, 0, State::plain(Condition::Ok)).await;
        place.history.note_identity(ANA, at(1), Some("ana"), |known| known).await.unwrap();
        let changes = place.history.identity_changes(0, 10).await.unwrap();
        assert_eq!((changes.len(), changes[0].caller.as_deref()), (1, Some("ana")));
    }
}
