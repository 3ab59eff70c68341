//! From database values to domain types. A value that does not fit names its table, column and row.

use std::error::Error;
use std::str::FromStr;

use jiff::Timestamp;

use crate::domain::identity::AccountId;
use crate::history::error::HistoryError;

/// A time as the database keeps it.
pub(super) fn stamp(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// A limit of SQLite's that is none. Source: <https://www.sqlite.org/lang_select.html#the_limit_clause>
pub(super) const ALL: i64 = -1;

/// A count as the database keeps it. Ours stay far below the limit.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The row that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) table: &'static str,
    pub(super) id: &'a str,
}

impl Row<'_> {
    pub(super) fn bad(self, column: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> HistoryError {
        HistoryError::BadRow { table: self.table, column, id: self.id.to_owned(), source: source.into() }
    }

    pub(super) fn time(self, column: &'static str, value: i64) -> Result<Timestamp, HistoryError> {
        Timestamp::from_millisecond(value).map_err(|error| self.bad(column, error))
    }

    pub(super) fn maybe_time(
        self,
        column: &'static str,
        value: Option<i64>,
    ) -> Result<Option<Timestamp>, HistoryError> {
        value.map(|value| self.time(column, value)).transpose()
    }

    pub(super) fn parse<T>(self, column: &'static str, text: &str) -> Result<T, HistoryError>
    where
        T: FromStr,
        T::Err: Error + Send + Sync + 'static,
    {
        text.parse().map_err(|error: T::Err| self.bad(column, error))
    }

    pub(super) fn maybe<T>(self, column: &'static str, text: Option<&str>) -> Result<Option<T>, HistoryError>
    where
        T: FromStr,
        T::Err: Error + Send + Sync + 'static,
    {
        text.map(|text| self.parse(column, text)).transpose()
    }

    /// A number that is smaller or never negative on our side.
    pub(super) fn number<T: TryFrom<i64, Error = std::num::TryFromIntError>>(
        self,
        column: &'static str,
        value: i64,
    ) -> Result<T, HistoryError> {
        T::try_from(value).map_err(|error| self.bad(column, error))
    }
}

/// An account as the database keeps it.
pub(super) fn account_text(account: Option<AccountId>) -> Option<String> {
    account.map(|account| account.to_string())
}
