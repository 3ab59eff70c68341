//! What becomes of moments that were missed: a pure ruling over the job's wishes, why they were missed, and their age.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::moment::Disposition;
use crate::schedule::{CatchUp, MOST_CAUGHT_UP};

/// Why moments were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The service was not running.
    Down,
    /// The machine was suspended.
    Asleep,
    /// The wall clock jumped over them.
    SetForward,
    /// The process or the machine was held up.
    Stalled,
}

impl Cause {
    /// What a moment is recorded as that is missed for this cause and not made up for.
    const fn disposition(self) -> Disposition {
        match self {
            Self::Down => Disposition::Down,
            Self::Asleep => Disposition::Asleep,
            Self::SetForward | Self::Stalled => Disposition::Skipped,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "the service was not running",
            Self::Asleep => "the machine was asleep",
            Self::SetForward => "the clock was set forward past it",
            Self::Stalled => "the service was held up",
        })
    }
}

/// What the ruling depends on, beside the moments themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<'a> {
    pub(super) catch_up: CatchUp,
    /// How old a moment may be to be run afterwards.
    pub(super) within: Duration,
    /// Why the job is paused, if it is.
    pub(super) paused: Option<&'a str>,
    pub(super) cause: Cause,
}

/// Moments that share a fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) moments: Vec<Timestamp>,
    pub(super) disposition: Disposition,
    pub(super) reason: String,
}

/// Rules over `missed`, oldest first. Each moment is in exactly one verdict; those that are `caught_up` are to be run, in
/// this order.
pub(super) fn rule(rule: &Rule<'_>, missed: &[Timestamp], now: Timestamp) -> Vec<Verdict> {
    let cause = rule.cause;
    let mut verdicts = Vec::new();
    let mut say = |moments: &[Timestamp], disposition, reason: String| {
        if !moments.is_empty() {
            verdicts.push(Verdict { moments: moments.to_vec(), disposition, reason });
        }
    };
    if let Some(why) = rule.paused {
        say(missed, Disposition::Paused, why.to_owned());
        return verdicts;
    }
    if rule.catch_up == CatchUp::Skip {
        say(missed, cause.disposition(), format!("{cause}, and the job is not to catch up"));
        return verdicts;
    }
    let is_old = |moment: &Timestamp| now > *moment && now.duration_since(*moment).unsigned_abs() > rule.within;
    let (old, young) = missed.split_at(missed.partition_point(is_old));
    say(old, Disposition::TooOld, format!("{cause} until this was more than {:#} ago", spoken(rule.within)));
    let run = if rule.catch_up == CatchUp::All { usize::from(MOST_CAUGHT_UP) } else { 1 };
    let (covered, run) = young.split_at(young.len().saturating_sub(run));
    match (rule.catch_up, run.first()) {
        (CatchUp::All, _) => {
            say(
                covered,
                Disposition::Skipped,
                format!("{cause}, and only the newest {MOST_CAUGHT_UP} moments are caught up"),
            );
        }
        (_, Some(newest)) => say(covered, Disposition::Collapsed, format!("{cause}; covered by the run of {newest}")),
        (_, None) => {}
    }
    say(run, Disposition::CaughtUp, cause.to_string());
    verdicts
}

fn spoken(length: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(length).unwrap_or(jiff::SignedDuration::MAX)
}

/// When the caught-up runs of several jobs begin: a second apart in the order given, so that an outage does not end in
/// a stampede, but none later than half the way to its job's own next moment.
pub(super) fn stagger(next_of_each: &[Option<Timestamp>], now: Timestamp) -> Vec<Timestamp> {
    const APART: Duration = Duration::from_secs(1);
    let begin = |(place, next): (u32, &Option<Timestamp>)| {
        let half = next.map_or(Duration::MAX, |next| next.duration_since(now).try_into().unwrap_or(Duration::ZERO) / 2);
        now.checked_add((APART * place).min(half)).unwrap_or(now)
    };
    (0..).zip(next_of_each).map(begin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// `second disposition reason`, a line a moment.
    fn ruled(of: &Rule<'_>, missed: &[i64], now: i64) -> Vec<String> {
        let missed: Vec<Timestamp> = missed.iter().map(|second| at(*second)).collect();
        let line = |verdict: &Verdict, moment: &Timestamp| {
            format!("{} {} {}", moment.as_second(), verdict.disposition, verdict.reason)
        };
        let verdicts = rule(of, &missed, at(now));
        verdicts.iter().flat_map(|verdict| verdict.moments.iter().map(move |moment| line(verdict, moment))).collect()
    }

    fn of(catch_up: CatchUp, within: u64, cause: Cause) -> Rule<'static> {
        Rule { catch_up, within: Duration::from_secs(within), paused: None, cause }
    }

    #[test]
    fn once_runs_the_newest_for_all_that_are_young_enough() {
        let once = of(CatchUp::Once, 100, Cause::Down);
        assert_eq!(
            ruled(&once, &[10, 20, 899, 900, 950, 990], 1000),
            [
                "10 too_old the service was not running until this was more than 1m 40s ago",
                "20 too_old the service was not running until this was more than 1m 40s ago",
                "899 too_old the service was not running until this was more than 1m 40s ago",
                "900 collapsed the service was not running; covered by the run of 1970-01-01T00:16:30Z",
                "950 collapsed the service was not running; covered by the run of 1970-01-01T00:16:30Z",
                "990 caught_up the service was not running",
            ]
        );
        let old = "too_old the machine was asleep until this was more than 1m 40s ago";
        let asleep = of(CatchUp::Once, 100, Cause::Asleep);
        assert_eq!(ruled(&asleep, &[10, 20], 1000), [format!("10 {old}"), format!("20 {old}")]);
        assert_eq!(ruled(&once, &[], 1000), Vec::<String>::new());
    }

    #[test]
    fn skip_runs_none_and_says_why_they_were_missed() {
        for (cause, word, why) in [
            (Cause::Down, "down", "the service was not running"),
            (Cause::Asleep, "asleep", "the machine was asleep"),
            (Cause::SetForward, "skipped", "the clock was set forward past it"),
            (Cause::Stalled, "skipped", "the service was held up"),
        ] {
            let said = format!("999 {word} {why}, and the job is not to catch up");
            assert_eq!(ruled(&of(CatchUp::Skip, 100, cause), &[999], 1000), [said]);
        }
    }

    #[test]
    fn all_runs_the_newest_ten_that_are_young_enough() {
        let missed: Vec<i64> = (895..913).collect();
        let said = ruled(&of(CatchUp::All, 100, Cause::SetForward), &missed, 1000);
        let count = |word: &str| said.iter().filter(|line| line.contains(word)).count();
        assert_eq!((count("too_old"), count("skipped"), count("caught_up")), (5, 3, 10), "{said:#?}");
        assert_eq!(
            said[5],
            "900 skipped the clock was set forward past it, and only the newest 10 moments are caught up"
        );
        assert_eq!(said[8], "903 caught_up the clock was set forward past it");
        assert_eq!(
            ruled(&of(CatchUp::All, 100, Cause::Down), &[5, 999], 1000)[1],
            "999 caught_up the service was not running"
        );
    }

    #[test]
    fn a_paused_job_is_paused_whatever_was_wished() {
        for catch_up in CatchUp::ALL {
            let paused = Rule { paused: Some("paused by ana"), ..of(*catch_up, 100, Cause::Down) };
            assert_eq!(ruled(&paused, &[10, 999], 1000), ["10 paused paused by ana", "999 paused paused by ana"]);
        }
    }

    #[test]
    fn runs_after_an_outage_begin_a_second_apart_and_before_half_the_gap() {
        let cases: [(&[Option<i64>], &[i64]); 4] = [
            (&[], &[]),
            (&[Some(5000), None, Some(5000), Some(5000)], &[0, 1000, 2000, 3000]),
            (&[Some(5000), Some(1001), Some(1003), Some(5000)], &[0, 500, 1500, 3000]),
            (&[None, Some(1000), Some(990)], &[0, 0, 0]),
        ];
        for (next, begins) in cases {
            let next: Vec<Option<Timestamp>> = next.iter().map(|next| next.map(at)).collect();
            let found: Vec<i64> =
                stagger(&next, at(1000)).iter().map(|begin| begin.as_millisecond() - 1_000_000).collect();
            assert_eq!(found, begins, "{next:?}");
        }
    }
}
