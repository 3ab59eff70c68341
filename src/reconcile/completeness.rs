//! Whether a reading may be believed. From a half-read world nothing is planned.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::directory::People;
use crate::reconcile::fold::{is_placeholder, same};
use crate::reconcile::percent::Percent;
use crate::reconcile::policy::Policy;

/// How much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub people: u64,
    /// People whose manager reference is not blank, see [`with_reference`].
    /// `None` for a job that does not look at managers.
    pub with_reference: Option<u64>,
    /// The size of the scope, when the job has one.
    pub scope: Option<u64>,
    pub accounts: u64,
}

/// A reading of both sides, all of whose pages arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub counts: Counts,
    /// What `/users/$count` says, when it could be asked.
    pub accounts_counted: Option<u64>,
    /// See [`missing_canaries`].
    pub missing_canaries: Vec<String>,
}

/// The highest counts of the last days that were complete or accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    pub people: u64,
    pub with_reference: u64,
    pub scope: Option<u64>,
}

/// What a shrunken or empty count was of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    People,
    WithReference,
    Scope,
    Accounts,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::People => "people in Okta",
            Self::WithReference => "people in Okta with a manager reference",
            Self::Scope => "people in the scope",
            Self::Accounts => "accounts in Entra",
        })
    }
}

/// Why a reading is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    None { of: Counted },
    BelowFloor { of: Counted, read: u64, baseline: u64 },
    CountDisagrees { listed: u64, counted: u64 },
    CanaryMissing { canary: String },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None { of } => write!(f, "no {of}"),
            Self::BelowFloor { of, read, baseline } => {
                write!(f, "{read} {of}, far fewer than the {baseline} of the last days")
            }
            Self::CountDisagrees { listed, counted } => {
                write!(f, "the listing has {listed} accounts, but Entra counts {counted}")
            }
            Self::CanaryMissing { canary } => write!(f, "canary {canary} is not among the people in Okta"),
        }
    }
}

impl Doubt {
    /// What an operator can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::None { of: Counted::WithReference } => {
                "check that the attributes of `manager` exist in Okta and that the sign-in may read them"
            }
            // Recorded of Okta: a service app with the scope and without a role gets 200 and an empty list.
            Self::None { of: Counted::People } => {
                "give the sign-in an admin role in Okta (Read-only Administrator): without one Okta answers with an empty \
                 list and no error; an empty directory is never believed"
            }
            Self::None { of: Counted::Scope } => "check `scope`: nobody is in it",
            Self::None { .. } => "check what the sign-in may read; an empty directory is never believed",
            Self::BelowFloor { .. } => "if that many people really left, run `graphkeeper accept-source` with this run",
            Self::CountDisagrees { .. } => "the listing was cut short, or Entra is changing much just now; run again",
            Self::CanaryMissing { .. } => "check that person in Okta, or take them off `canaries`",
        }
    }
}

/// Judges a reading by itself and, when there is one, by the baseline. All doubts are told at once.
pub fn judge(reading: &Reading, baseline: Option<&Baseline>, floor: Percent) -> Result<(), Vec<Doubt>> {
    let Counts { people, with_reference, scope, accounts } = reading.counts;
    let base = baseline.copied();
    let sizes = [
        (Counted::People, Some(people), base.map(|base| base.people)),
        (Counted::WithReference, with_reference, base.map(|base| base.with_reference)),
        (Counted::Scope, scope, base.and_then(|base| base.scope)),
        (Counted::Accounts, Some(accounts), None),
    ];
    let mut doubts: Vec<Doubt> =
        sizes.into_iter().filter_map(|(of, read, base)| size(of, read?, base, floor)).collect();
    if let Some(counted) = reading.accounts_counted.filter(|counted| accounts.abs_diff(*counted) > slack(*counted)) {
        doubts.push(Doubt::CountDisagrees { listed: accounts, counted });
    }
    doubts.extend(reading.missing_canaries.iter().map(|canary| Doubt::CanaryMissing { canary: canary.clone() }));
    if doubts.is_empty() { Ok(()) } else { Err(doubts) }
}

fn size(of: Counted, read: u64, baseline: Option<u64>, floor: Percent) -> Option<Doubt> {
    match baseline {
        _ if read == 0 => Some(Doubt::None { of }),
        Some(baseline) if !floor.is_reached_by(read, baseline) => Some(Doubt::BelowFloor { of, read, baseline }),
        _ => None,
    }
}

/// Accounts come and go while a listing is read, and `$count` is eventually consistent.
fn slack(counted: u64) -> u64 {
    (counted / 100).max(2)
}

/// How many people have a manager reference: a value in one of the manager attributes that is neither blank nor a
/// placeholder. A feed that turns to `N/A` has lost its references.
#[must_use]
pub fn with_reference(people: &People, policy: &Policy) -> u64 {
    let columns: Vec<usize> = policy.manager.iter().filter_map(|rule| people.column(&rule.attribute)).collect();
    let given = |value: &str| !value.is_empty() && !is_placeholder(value);
    let has = people.iter().filter(|(_, person)| columns.iter().any(|column| given(person.value(*column))));
    has.count() as u64
}

/// The canaries that are nobody's login, email or id.
#[must_use]
pub fn missing_canaries(people: &People, canaries: &[String]) -> Vec<String> {
    let email = people.column("email");
    let is_there = |canary: &String| {
        let canary = canary.trim();
        people.iter().any(|(_, person)| {
            same(person.login(), canary)
                || person.id() == canary
                || email.is_some_and(|column| same(person.value(column), canary))
        })
    };
    canaries.iter().filter(|canary| !is_there(canary)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::samples::Org;

    fn reading() -> Reading {
        let counts = Counts { people: 100, with_reference: Some(90), scope: Some(50), accounts: 120 };
        Reading { counts, accounts_counted: Some(120), missing_canaries: Vec::new() }
    }

    fn doubts(change: impl FnOnce(&mut Reading)) -> Vec<String> {
        let mut read = reading();
        change(&mut read);
        let baseline = Baseline { people: 100, with_reference: 90, scope: Some(50) };
        let judged = judge(&read, Some(&baseline), Percent::whole(80));
        judged.err().unwrap_or_default().iter().map(Doubt::to_string).collect()
    }

    #[test]
    fn a_complete_reading_is_believed_with_and_without_a_baseline() {
        assert_eq!(doubts(|_| ()), [""; 0]);
        assert_eq!(judge(&reading(), None, Percent::whole(80)), Ok(()));
    }

    #[test]
    fn each_gap_is_named() {
        type Edit = fn(&mut Reading);
        let cases: [(Edit, &str); 10] = [
            (|r| r.counts.people = 0, "no people in Okta"),
            (|r| r.counts.people = 79, "79 people in Okta, far fewer than the 100 of the last days"),
            (|r| r.counts.with_reference = Some(0), "no people in Okta with a manager reference"),
            (
                |r| r.counts.with_reference = Some(71),
                "71 people in Okta with a manager reference, far fewer than the 90 of the last days",
            ),
            (|r| r.counts.scope = Some(0), "no people in the scope"),
            (|r| r.counts.scope = Some(39), "39 people in the scope, far fewer than the 50 of the last days"),
            (|r| r.counts.accounts = 0, "no accounts in Entra"),
            (|r| r.accounts_counted = Some(123), "the listing has 120 accounts, but Entra counts 123"),
            (|r| r.counts.accounts = 117, "the listing has 117 accounts, but Entra counts 120"),
            (
                |r| r.missing_canaries.push("ceo@example.com".into()),
                "canary ceo@example.com is not among the people in Okta",
            ),
        ];
        for (edit, expected) in cases {
            assert_eq!(doubts(edit).first().map(String::as_str), Some(expected));
        }
    }

    #[test]
    fn the_floor_and_the_slack_belong_to_what_is_believed() {
        assert_eq!(doubts(|r| r.counts.people = 80), [""; 0]);
        assert_eq!(doubts(|r| r.counts.scope = None), [""; 0]);
        assert_eq!(doubts(|r| r.counts.with_reference = None), [""; 0]);
        assert_eq!(doubts(|r| r.accounts_counted = Some(122)), [""; 0]);
        assert_eq!(doubts(|r| r.accounts_counted = None), [""; 0]);
        let large = |counted| {
            let counts = Counts { people: 1, with_reference: Some(1), scope: None, accounts: 99_000 };
            judge(
                &Reading { counts, accounts_counted: Some(counted), missing_canaries: Vec::new() },
                None,
                Percent::whole(80),
            )
        };
        assert_eq!(large(100_000), Ok(()));
        assert!(large(100_100).is_err());
    }

    #[test]
    fn all_doubts_are_told_at_once() {
        let counts = Counts { with_reference: Some(0), ..Counts::default() };
        let none = Reading { counts, missing_canaries: vec!["a".into()], accounts_counted: None };
        assert_eq!(doubts(|r| *r = none).len(), 4);
    }

    #[test]
    fn placeholders_are_no_references_and_canaries_have_several_names() {
        let mut org = Org::agreeing();
        org.person("bo").manager = "N/A".into();
        let people = org.sides().people;
        assert_eq!(with_reference(&people, &org.policy), 1);
        let canaries = ["CY@example.com", "00u-ana", "bo@mail.example.com", "dee@example.com"].map(str::to_owned);
        assert_eq!(missing_canaries(&people, &canaries), ["dee@example.com"]);
    }
}
