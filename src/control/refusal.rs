//! Why what was asked is not done, in the service or at home: the same words, hint and blame either way.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::app::AppError;
use crate::auth::{AuthError, Class};
use crate::history::Found;
use crate::history::error::HistoryError;
use crate::notices::TestError;

/// What was asked is not done, or cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("there is no {what} `{name}` in the history")]
    Nothing { what: &'static str, name: String, hint: &'static str },
    /// The history names ten at most.
    #[error("`{name}` fits more than one {what}: {}{}", candidates.join(", "), if candidates.len() < 10 { "" } else { " …" })]
    Several { what: &'static str, name: String, candidates: Vec<String> },
    #[error(transparent)]
    Test(#[from] TestError),
    #[error("{message}")]
    Plain { message: String, hint: Option<String>, usage: bool },
    /// The service refused, and told why.
    #[error("{}", .0.message)]
    Told(Told, #[source] Option<Cause>),
}

impl Refusal {
    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::App(error) => error.hint(),
            Self::History(error) => error.hint().map(str::to_owned),
            Self::Auth(error) => error.hint().map(str::to_owned),
            Self::Nothing { hint, .. } => Some((*hint).to_owned()),
            Self::Test(error) => error.hint().map(str::to_owned),
            Self::Several { .. } => Some("write it out further".to_owned()),
            Self::Plain { hint, .. } => hint.clone(),
            Self::Told(told, _) => told.hint.clone(),
        }
    }

    /// Whether the question or the configuration is at fault, and not the state of things.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::App(error) => error.is_configuration(),
            Self::History(error) => error.is_lasting(),
            Self::Auth(error) => error.class() == Class::Misconfigured,
            Self::Nothing { .. } | Self::Test(TestError::Undelivered { .. }) => false,
            Self::Test(TestError::NoChannel { .. }) | Self::Several { .. } => true,
            Self::Plain { usage, .. } => *usage,
            Self::Told(told, _) => told.usage,
        }
    }

    /// Whether somebody has to sign in or consent.
    #[must_use]
    pub fn needs_human(&self) -> bool {
        match self {
            Self::Auth(error) => error.class() == Class::NeedsHuman,
            Self::Told(told, _) => told.needs_human,
            _ => false,
        }
    }
}

/// The one that a name led to; otherwise why not, with the nearest way out.
pub fn one<T>(found: Found<T>, what: &'static str, name: &str, hint: &'static str) -> Result<T, Refusal> {
    match found {
        Found::One(found) => Ok(found),
        Found::Several(candidates) => Err(Refusal::Several { what, name: name.to_owned(), candidates }),
        Found::Nothing => Err(Refusal::Nothing { what, name: name.to_owned(), hint }),
    }
}

/// A refusal on its way from the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub message: String,
    /// What stands behind it, outermost first.
    pub causes: Vec<String>,
    pub hint: Option<String>,
    pub usage: bool,
    pub needs_human: bool,
}

impl Told {
    /// The same, as the service tells it.
    #[must_use]
    pub fn of(refusal: &Refusal) -> Self {
        let mut causes = Vec::new();
        let mut cause = refusal.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        let (hint, usage, needs_human) = (refusal.hint(), refusal.is_usage(), refusal.needs_human());
        Self { message: refusal.to_string(), causes, hint, usage, needs_human }
    }
}

impl From<Told> for Refusal {
    fn from(told: Told) -> Self {
        let link = |behind: Option<Cause>, message: &String| {
            Some(Cause { message: message.clone(), behind: behind.map(Box::new) })
        };
        let cause = told.causes.iter().rev().fold(None, link);
        Self::Told(told, cause)
    }
}

/// One cause that the service told of, and what stands behind it.
#[derive(Debug)]
pub struct Cause {
    message: String,
    behind: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.behind.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::error::chain;

    #[test]
    fn a_refusal_reads_the_same_after_its_way_through_the_socket() {
        let deep = HistoryError::Open { path: "/x.db".into(), source: Box::new(HistoryError::Locked { source: None }) };
        let several = vec!["7f3k".to_owned(), "7f9q".to_owned()];
        for refusal in [
            Refusal::App(AppError::History { path: "/x".into(), source: deep }),
            Refusal::App(AppError::NoJob { name: "manager".to_owned(), near: Some("managers".to_owned()) }),
            Refusal::History(HistoryError::Absent),
            Refusal::Auth(AuthError::NotCompleted("nobody came".to_owned())),
            Refusal::Nothing { what: "run", name: "7f".to_owned(), hint: "look" },
            Refusal::Several { what: "run", name: "7f".to_owned(), candidates: several },
            Refusal::Plain { message: "no".to_owned(), hint: None, usage: true },
        ] {
            let sent = serde_json::to_string(&Told::of(&refusal)).unwrap();
            let told: Told = serde_json::from_str(&sent).unwrap();
            let read = Refusal::from(told);
            assert_eq!(chain(&read), chain(&refusal));
            assert_eq!((read.hint(), read.is_usage()), (refusal.hint(), refusal.is_usage()));
            assert_eq!(read.needs_human(), refusal.needs_human());
        }
    }

    #[test]
    fn a_name_that_leads_nowhere_or_to_several_is_told_from_a_fault() {
        let found = |found: Found<u8>| one(found, "run", "7f", "`graphkeeper history` lists the runs");
        assert_eq!(found(Found::One(3)).unwrap(), 3);
        let nothing = found(Found::Nothing).unwrap_err();
        assert_eq!((nothing.is_usage(), nothing.to_string().as_str()), (false, "there is no run `7f` in the history"));
        let several = found(Found::Several(vec!["7f3k".to_owned(), "7f9q".to_owned()])).unwrap_err();
        assert_eq!(
            (several.is_usage(), several.to_string().as_str()),
            (true, "`7f` fits more than one run: 7f3k, 7f9q")
        );
    }
}
