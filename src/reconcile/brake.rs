//! The brake: a plan too large to be true is held, kind by kind, until somebody approves it.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::domain::decision::{ChangeKind, Kinds};
use crate::reconcile::percent::{Percent, PercentError};
use crate::reconcile::plan::Change;

/// How many changes of a kind may be written in a day: `20%, at least 5, at most 500`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Of the people in scope.
    percent: Option<Percent>,
    at_least: Option<u64>,
    at_most: Option<u64>,
}

/// A text is not a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error(
        "`{0}` is neither a percentage, `at least N` nor `at most N`; write for example `20%, at least 5, at most 500`"
    )]
    Part(String),
    #[error(transparent)]
    Percent(#[from] PercentError),
    #[error("`{0}` stands twice")]
    Twice(&'static str),
    #[error("a limit needs a percentage or an `at most`")]
    Unlimited,
    #[error("at least {0} is more than at most {1}")]
    Crossed(u64, u64),
}

impl Limit {
    /// A percentage that is never below `at_least`.
    #[must_use]
    pub const fn share(percent: Percent, at_least: u64) -> Self {
        Self { percent: Some(percent), at_least: Some(at_least), at_most: None }
    }

    /// Never in the way. For a first adoption that somebody watches.
    #[must_use]
    pub const fn lifted() -> Self {
        Self { percent: None, at_least: None, at_most: Some(u64::MAX) }
    }

    /// How many changes that allows when `in_scope` people may be written.
    #[must_use]
    pub fn allowed(&self, in_scope: u64) -> u64 {
        let most = self.at_most.unwrap_or(u64::MAX);
        let share = self.percent.map_or(most, |percent| percent.of(in_scope));
        share.max(self.at_least.unwrap_or(0)).min(most)
    }

    /// Whether any part of `other` is wider than here.
    #[must_use]
    pub fn is_loosened_by(&self, other: &Self) -> bool {
        let share = |limit: &Self| limit.percent.map_or(u64::MAX, |percent| percent.of(10_000));
        let most = |limit: &Self| limit.at_most.unwrap_or(u64::MAX);
        share(other) > share(self)
            || other.at_least.unwrap_or(0) > self.at_least.unwrap_or(0)
            || most(other) > most(self)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.percent.map(|percent| percent.to_string());
        let at_least = self.at_least.map(|count| format!("at least {count}"));
        let at_most = self.at_most.map(|count| format!("at most {count}"));
        let parts: Vec<String> = [percent, at_least, at_most].into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut limit = Self { percent: None, at_least: None, at_most: None };
        for part in text.split(',').map(str::trim) {
            if part.ends_with('%') {
                once(&mut limit.percent, part.parse()?, "a percentage")?;
            } else if let Some(count) = count(part, "at least") {
                once(&mut limit.at_least, count, "at least")?;
            } else if let Some(count) = count(part, "at most") {
                once(&mut limit.at_most, count, "at most")?;
            } else {
                return Err(LimitError::Part(part.to_owned()));
            }
        }
        match limit {
            Self { percent: None, at_most: None, .. } => Err(LimitError::Unlimited),
            Self { at_least: Some(least), at_most: Some(most), .. } if least > most => {
                Err(LimitError::Crossed(least, most))
            }
            _ => Ok(limit),
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), LimitError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(LimitError::Twice(name)),
    }
}

/// The number after some words, whatever the blanks between them.
fn count(part: &str, words: &str) -> Option<u64> {
    let mut given = part.split_whitespace();
    words.split(' ').all(|word| given.next().is_some_and(|own| own.eq_ignore_ascii_case(word))).then_some(())?;
    let number = given.next().filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    given.next().is_none().then(|| number.parse().ok()).flatten()
}

/// A limit per kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brake {
    pub set: Limit,
    pub change: Limit,
    pub clear: Limit,
}

impl Default for Brake {
    fn default() -> Self {
        Self {
            set: Limit::share(Percent::whole(20), 5),
            change: Limit::share(Percent::whole(10), 3),
            clear: Limit::share(Percent::whole(5), 2),
        }
    }
}

impl Brake {
    /// Never in the way.
    #[must_use]
    pub const fn lifted() -> Self {
        Self { set: Limit::lifted(), change: Limit::lifted(), clear: Limit::lifted() }
    }

    #[must_use]
    pub const fn of(&self, kind: ChangeKind) -> &Limit {
        match kind {
            ChangeKind::Set => &self.set,
            ChangeKind::Change => &self.change,
            ChangeKind::Clear => &self.clear,
        }
    }

    /// Whether `other` lets pass what this one holds.
    #[must_use]
    pub fn is_loosened_by(&self, other: &Self) -> bool {
        ChangeKind::ALL.iter().any(|kind| self.of(*kind).is_loosened_by(other.of(*kind)))
    }
}

/// Why the changes of a kind are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hold {
    pub kind: ChangeKind,
    /// How many the plan has.
    pub wanted: u64,
    /// How many were written in the last 24 hours, approved plans apart.
    pub written: u64,
    /// How many may be, in 24 hours.
    pub limit: u64,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, wanted, written, limit } = self;
        write!(f, "{kind}: {wanted} planned and {written} written in the last 24 hours, limit {limit}")
    }
}

/// A plan after the brake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Braked {
    /// May go on. No longer checked for cycles: a held change may have opened one.
    pub free: Vec<Change>,
    pub held: Vec<Change>,
    pub holds: Vec<Hold>,
}

/// Holds every kind of change that, with what was written in the last day, is over its limit: all of that kind or none.
#[must_use]
pub fn brake(changes: &[Change], brake: &Brake, in_scope: u64, written_last_day: &Kinds) -> Braked {
    let mut wanted = Kinds::default();
    for change in changes {
        wanted.add(change.kind);
    }
    let measure = |kind: &ChangeKind| Hold {
        kind: *kind,
        wanted: wanted.of(*kind),
        written: written_last_day.of(*kind),
        limit: brake.of(*kind).allowed(in_scope),
    };
    let over = |hold: &Hold| hold.wanted > 0 && hold.wanted + hold.written > hold.limit;
    let holds: Vec<Hold> = ChangeKind::ALL.iter().map(measure).filter(over).collect();
    let is_held = |change: &Change| holds.iter().any(|hold| hold.kind == change.kind);
    let (held, free) = changes.iter().copied().partition(is_held);
    Braked { free, held, holds }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::directory::{AccountIx, PersonIx};

    fn changes(kind: ChangeKind, count: u32) -> Vec<Change> {
        (0..count).map(|n| Change { person: PersonIx(n), account: AccountIx(n), kind, from: None, to: None }).collect()
    }

    #[test]
    fn twelve_people_and_three_clears_are_held() {
        let braked = brake(&changes(ChangeKind::Clear, 3), &Brake::default(), 12, &Kinds::default());
        assert_eq!(braked.holds, [Hold { kind: ChangeKind::Clear, wanted: 3, written: 0, limit: 2 }]);
        assert_eq!((braked.free.len(), braked.held.len()), (0, 3));
        assert_eq!(brake(&changes(ChangeKind::Clear, 2), &Brake::default(), 12, &Kinds::default()).holds, []);
    }

    #[test]
    fn a_bad_feed_in_slices_is_held_at_the_fourth_run() {
        let mut written = Kinds::default();
        let held_at = (1..=10).find(|_| {
            let braked = brake(&changes(ChangeKind::Change, 300), &Brake::default(), 10_000, &written);
            written.change += braked.free.len() as u64;
            !braked.holds.is_empty()
        });
        assert_eq!(held_at, Some(4));
        assert_eq!(written.change, 900);
    }

    #[test]
    fn only_the_kind_over_its_limit_is_held() {
        let mut all = changes(ChangeKind::Set, 5);
        all.extend(changes(ChangeKind::Clear, 3));
        let braked = brake(&all, &Brake::default(), 12, &Kinds::default());
        assert_eq!((braked.free.len(), braked.held.len()), (5, 3));
        let nothing = brake(&[], &Brake::default(), 12, &Kinds { set: 99, change: 99, clear: 99 });
        assert_eq!(nothing, Braked::default(), "no change is no reason to hold");
    }

    #[test]
    fn a_limit_is_read_as_written_and_shown_again() {
        for text in ["20%, at least 5, at most 500", "2.5%", "10%, at most 7", "at most 3", "at least 1, at most 3"] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), text);
        }
        assert_eq!("AT  MOST 5 ,20%".parse::<Limit>().unwrap().to_string(), "20%, at most 5");
        for text in
            ["", "5", "at least 3", "20%, 30%", "at most 3, at least 5", "120%", "20%,", "at most -1", "at most 3 4"]
        {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }

    #[test]
    fn at_least_lifts_and_at_most_caps() {
        let limit: Limit = "20%, at least 5, at most 500".parse().unwrap();
        for (in_scope, allowed) in [(0, 5), (24, 5), (34, 6), (2_500, 500), (100_000, 500)] {
            assert_eq!(limit.allowed(in_scope), allowed, "{in_scope} in scope");
        }
        assert_eq!("at most 3".parse::<Limit>().unwrap().allowed(1_000), 3);
        assert_eq!(Limit::lifted().allowed(12), u64::MAX);
    }

    #[test]
    fn a_wider_part_is_a_loosening() {
        let limit = |text: &str| text.parse::<Limit>().unwrap();
        let base = limit("20%, at least 5, at most 500");
        for wider in [
            "21%, at least 5, at most 500",
            "20%, at least 6, at most 500",
            "20%, at least 5, at most 501",
            "20%, at least 5",
        ] {
            assert!(base.is_loosened_by(&limit(wider)), "{wider}");
            assert!(!limit(wider).is_loosened_by(&base), "{wider}");
        }
        assert!(!base.is_loosened_by(&base));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_kind_goes_over(sets in 0u32..50, clears in 0u32..50, in_scope in 0u64..500, before in 0u64..30) {
            let mut all = changes(ChangeKind::Set, sets);
            all.extend(changes(ChangeKind::Clear, clears));
            let written = Kinds { set: before, change: 0, clear: before };
            let braked = brake(&all, &Brake::default(), in_scope, &written);
            prop_assert_eq!(braked.free.len() + braked.held.len(), all.len());
            for kind in ChangeKind::ALL {
                let free = braked.free.iter().filter(|change| change.kind == *kind).count() as u64;
                prop_assert!(free == 0 || free + written.of(*kind) <= Brake::default().of(*kind).allowed(in_scope));
            }
        }
    }
}
