//! How the program's words look on the page: a tone, a sign and a letter beside each, so that none needs its color.

use std::fmt;

use crate::domain::condition::Condition;
use crate::domain::decision::Reason;
use crate::domain::moment::Disposition;
use crate::domain::run::Outcome;

/// What a word means to whoever looks: the class that gives it a color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Somebody should look when there is time.
    Fair,
    /// Somebody has to do something.
    Bad,
    /// Under way, or to be looked at before it is done.
    Calm,
    /// Neither good nor bad.
    Quiet,
}

impl Tone {
    /// The class, and nothing else: also what a template writes.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Bad => "bad",
            Self::Calm => "calm",
            Self::Quiet => "quiet",
        }
    }

    /// A sign that says the same without color.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Fair => "!",
            Self::Bad => "✕",
            Self::Calm => "▸",
            Self::Quiet => "–",
        }
    }
}

impl fmt::Display for Tone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

pub(super) const fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Succeeded => Tone::Good,
        Outcome::Planned => Tone::Calm,
        Outcome::Partial | Outcome::Held | Outcome::Busy | Outcome::Interrupted => Tone::Fair,
        Outcome::SourceIncomplete | Outcome::Failed | Outcome::TimedOut | Outcome::NeedsHuman => Tone::Bad,
    }
}

pub(super) const fn of_condition(condition: Condition) -> Tone {
    match condition {
        Condition::Ok => Tone::Good,
        Condition::Expiring => Tone::Fair,
        Condition::Misconfigured | Condition::NeedsHuman => Tone::Bad,
        Condition::Unknown => Tone::Quiet,
    }
}

/// Why a person was left alone, or was not.
pub(super) const fn of_reason(reason: Reason) -> Tone {
    match reason {
        Reason::Agreed => Tone::Good,
        Reason::Planned => Tone::Calm,
        reason if reason.is_resolved() => Tone::Quiet,
        _ => Tone::Fair,
    }
}

/// A disposition's letter and tone.
pub(super) const fn of_disposition(disposition: Disposition) -> (char, Tone) {
    match disposition {
        Disposition::Ran => ('R', Tone::Good),
        Disposition::Late => ('L', Tone::Fair),
        Disposition::CaughtUp => ('C', Tone::Calm),
        Disposition::Collapsed => ('V', Tone::Calm),
        Disposition::TooOld => ('O', Tone::Bad),
        Disposition::Skipped => ('S', Tone::Quiet),
        Disposition::Overlap => ('X', Tone::Fair),
        Disposition::TooSoon => ('T', Tone::Quiet),
        Disposition::Paused => ('P', Tone::Quiet),
        Disposition::Down => ('D', Tone::Bad),
        Disposition::Asleep => ('Z', Tone::Fair),
        Disposition::QueueFull => ('Q', Tone::Bad),
    }
}

/// The tone of a word in a column of a table.
pub(super) fn of_word(column: &str, word: &str) -> Option<Tone> {
    Some(match column {
        "outcome" | "last_outcome" if word == "running" => Tone::Calm,
        "outcome" | "last_outcome" => tone(word.parse().ok()?),
        "disposition" => of_disposition(word.parse().ok()?).1,
        "state" => match word {
            "confirmed" | "written" | "active" | "approved" => Tone::Good,
            "intended" | "accepted" | "open" => Tone::Calm,
            "refused" | "unconfirmed" | "overtaken" | "expired" => Tone::Bad,
            "expiring" | "unknown" | "not_written" => Tone::Fair,
            _ => Tone::Quiet,
        },
        "verdict" => match word {
            "ok" => Tone::Good,
            "unknown" => Tone::Fair,
            _ => Tone::Bad,
        },
        "severity" => match word {
            "urgent" => Tone::Bad,
            "warning" => Tone::Fair,
            _ => Tone::Quiet,
        },
        _ => return None,
    })
}

/// A word as people read it.
pub(super) fn plain(word: &str) -> String {
    word.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_disposition_has_a_letter_of_its_own() {
        let letters: BTreeSet<char> = Disposition::ALL.iter().map(|one| of_disposition(*one).0).collect();
        assert_eq!(letters.len(), Disposition::ALL.len());
    }

    #[test]
    fn a_run_that_did_not_do_its_work_is_never_green() {
        for outcome in Outcome::ALL {
            assert_eq!(tone(*outcome) == Tone::Good, *outcome == Outcome::Succeeded, "{outcome}");
            assert_eq!(of_word("outcome", outcome.as_str()), Some(tone(*outcome)));
        }
        assert_eq!((of_word("outcome", "running"), of_word("login", "ana")), (Some(Tone::Calm), None));
        assert_eq!(plain("source_incomplete"), "source incomplete");
    }
}
