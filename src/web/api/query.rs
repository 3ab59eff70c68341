//! What a request asks for beside its path. Everything that is not understood is refused by name: a filter that is misspelt
//! would answer another question.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::http::{StatusCode, Uri};
use jiff::Timestamp;
use url::form_urlencoded;

use crate::tables::when::When;
use crate::web::lent::Lent;
use crate::web::problem::Problem;

/// How many rows an answer has when nobody says, and at most.
pub(super) const LIMITS: (u32, u32) = (100, 500);
/// How far a list without an order of its own can be paged: rows before it are read and left out.
const DEEPEST: u32 = 10_000;

/// The parameters of a request, each at most once.
#[derive(Debug)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the parameters, of which there are `known` ones.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let mut found = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let hint = if known.is_empty() {
                    "there are none here".to_owned()
                } else {
                    format!("there are {}", known.join(", "))
                };
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    format!("there is no parameter `{name}`"),
                    Some(&hint),
                ));
            }
            if found.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(wrong(&name, "is given twice"));
            }
        }
        Ok(Self(found))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// A value that reads itself and explains its own mistakes.
    pub(super) fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        self.0.get(name).map(|value| value.parse().map_err(|error| wrong(name, &format!("{error}")))).transpose()
    }

    /// A moment as the command line takes it, in the configured zone.
    pub(super) fn moment(&self, name: &str, lent: &Lent) -> Result<Option<Timestamp>, Problem> {
        let when: Option<When> = self.parsed(name)?;
        Ok(when.map(|when| when.at(&(lent.zone)(), lent.clock.now())))
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.parsed(name)?.unwrap_or(false))
    }

    /// How many rows are wanted.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        let (usual, most) = LIMITS;
        match self.parsed("limit")? {
            None => Ok(usual),
            Some(limit) if (1..=most).contains(&limit) => Ok(limit),
            Some(_) => Err(wrong("limit", &format!("is not between 1 and {most}"))),
        }
    }

    /// How many rows came before, for lists that count them.
    pub(super) fn offset(&self) -> Result<u32, Problem> {
        match self.parsed("cursor")? {
            None => Ok(0),
            Some(rows) if rows <= DEEPEST => Ok(rows),
            Some(_) => Err(wrong("cursor", &format!("leads beyond {DEEPEST} rows: narrow the question by `until`"))),
        }
    }

    /// The same question, from `cursor` on.
    pub(super) fn next(&self, path: &str, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(name, _)| *name != "cursor")).append_pair("cursor", cursor);
        format!("<{path}?{}>; rel=\"next\"", query.finish())
    }
}

/// A parameter's value is wrong.
pub(super) fn wrong(name: &str, why: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("parameter `{name}`: {why}"), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Query, Problem> {
        Query::read(&format!("/runs?{query}").parse().unwrap(), &["job", "limit", "cursor", "diff"])
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        assert_eq!(read("jbo=x").unwrap_err().detail, "there is no parameter `jbo`");
        assert_eq!(read("job=x&job=y").unwrap_err().detail, "parameter `job`: is given twice");
        let (usual, most) = LIMITS;
        for (query, expected) in [("", Some(usual)), ("limit=1", Some(1)), (&*format!("limit={most}"), Some(most))] {
            assert_eq!(read(query).unwrap().limit().ok(), expected);
        }
        for query in ["limit=0", "limit=-1", "limit=ten", "limit=", &format!("limit={}", most + 1)] {
            let problem = read(query).unwrap().limit().unwrap_err();
            assert!(problem.status == 400 && problem.detail.starts_with("parameter `limit`: "), "{query}");
        }
        assert!(read("cursor=10001").unwrap().offset().is_err() && read("cursor=x").unwrap().offset().is_err());
        assert_eq!(read("cursor=7").unwrap().offset().unwrap(), 7);
        assert!(read("diff=true").unwrap().flag("diff").unwrap() && read("diff=yes").unwrap().flag("diff").is_err());
    }

    #[test]
    fn the_next_page_asks_the_same_question() {
        let query = read("job=a%26b&cursor=1&limit=2").unwrap();
        assert_eq!(query.next("/api/v1/runs", "x y"), "</api/v1/runs?job=a%26b&limit=2&cursor=x+y>; rel=\"next\"");
    }
}
