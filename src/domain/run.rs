//! What a run is: its id, why it began, how it ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Letters of ids that people type: Crockford's, without `i`, `l`, `o` and `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Eight letters of [`ALPHABET`] from 40 bits.
fn short(bits: u64) -> String {
    (0..8).map(|place| char::from(ALPHABET[(bits >> (35 - 5 * place) & 31) as usize])).collect()
}

/// Names one run. Eight letters, random; commands accept any unique prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// An id from 40 random bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(short(bits))
    }

    /// An id as it was stored.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one plan: the same changes of the same job have the same id. `p` and eight letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(String);

impl PlanId {
    /// The id of the plan whose content has this digest.
    #[must_use]
    pub fn from_digest(digest: u64) -> Self {
        Self(format!("p{}", short(digest)))
    }

    /// An id as it was stored.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A word is not one of a closed list.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a known {1}")]
pub struct UnknownWord(pub String, pub &'static str);

/// Gives a closed list of words its names: `as_str`, `Display`, `FromStr`, `ALL` and serde by name.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal, { $($(#[$vmeta:meta])* $variant:ident => $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every word, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as it is stored and shown.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = $crate::domain::run::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::domain::run::UnknownWord(text.to_owned(), $what)),
                }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What kinds of jobs there are.
    JobKind, "kind of job", {
        Managers => "managers",
        Licenses => "licenses",
        Keepalive => "keepalive",
        /// The seed's scheduled import: both directories compared, nothing written.
        Directory => "directory",
        /// Any call to Graph.
        Request => "request",
    }
}

words! {
    /// Whether a managers job only plans, or also writes.
    Mode, "mode", {
        Plan => "plan",
        Apply => "apply",
    }
}

words! {
    /// Why a run began.
    Trigger, "trigger", {
        Schedule => "schedule",
        Startup => "startup",
        Manual => "manual",
        /// `plan`: reads and shows, never writes.
        Plan => "plan",
        Approve => "approve",
        Undo => "undo",
    }
}

words! {
    /// How a run ended. Stored, shown and alerted on under these names.
    Outcome, "outcome", {
        /// Every drift found was written, even if there was none.
        Succeeded => "succeeded",
        /// The job only plans, and it did.
        Planned => "planned",
        /// Some of what was found was not written; the next run tries the rest.
        Partial => "partial",
        /// A brake holds some changes until somebody approves them.
        Held => "held",
        /// A listing was not believed; nothing was written.
        SourceIncomplete => "source_incomplete",
        /// Nothing useful was done.
        Failed => "failed",
        TimedOut => "timed_out",
        /// The program was stopped, or died, before the run could end.
        Interrupted => "interrupted",
        /// Somebody has to sign in or consent.
        NeedsHuman => "needs_human",
        /// Another process holds the job.
        Busy => "busy",
    }
}

impl Outcome {
    /// What the process exits with after a run that ended so.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Succeeded | Self::Planned => 0,
            Self::Failed | Self::TimedOut | Self::Interrupted => 1,
            Self::Partial => 3,
            Self::Held | Self::SourceIncomplete => 4,
            Self::NeedsHuman => 5,
            Self::Busy => 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_the_documented_exit_code() {
        let codes: Vec<(&str, u8)> = Outcome::ALL.iter().map(|o| (o.as_str(), o.exit_code())).collect();
        assert_eq!(
            codes,
            [
                ("succeeded", 0),
                ("planned", 0),
                ("partial", 3),
                ("held", 4),
                ("source_incomplete", 4),
                ("failed", 1),
                ("timed_out", 1),
                ("interrupted", 1),
                ("needs_human", 5),
                ("busy", 6)
            ]
        );
    }

    #[test]
    fn ids_are_eight_letters_that_nobody_confuses() {
        assert_eq!(RunId::from_bits(0).as_str(), "00000000");
        assert_eq!(RunId::from_bits((1 << 40) - 1).as_str(), "zzzzzzzz");
        assert_eq!(PlanId::from_digest(u64::MAX).as_str(), "pzzzzzzzz");
    }
}
