//! Whether a channel is told of an event, and as what. Pure: what stands, what happened, the rules, the time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::notice::{Event, Manner, On, Phase, Severity, Tone};
use crate::history::notices::Standing;
use crate::notices::rules::ChannelRules;

/// So many causes of one trouble are remembered as told; one more makes room by the oldest.
const CAUSES: usize = 20;

/// What stands afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// As before.
    Unchanged,
    Now(Box<Standing>),
    /// Nothing any more.
    Over,
}

/// What an event means for one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) stands: Stands,
    /// As what the channel is told now, if it is.
    pub(super) tell: Option<Tone>,
    /// Whether it is told with the next digest.
    pub(super) gather: bool,
}

impl Verdict {
    const NOTHING: Self = Self { stands: Stands::Unchanged, tell: None, gather: false };
}

/// What is wrong is told when it is new or of another cause, then as the channel is to be reminded; that it is over, once.
#[must_use]
pub(super) fn decide(
    before: Option<&Standing>,
    event: &Event,
    (channel, rules, on): (&str, &ChannelRules, On),
    now: Timestamp,
) -> Verdict {
    if on == On::Never {
        return Verdict { stands: before.map_or(Stands::Unchanged, |_| Stands::Over), ..Verdict::NOTHING };
    }
    let before = before.filter(|standing| !has_lapsed(standing, now));
    let (stands, tone) = match &event.phase {
        Phase::Trouble { cause, manner } => trouble(before, event, (cause, *manner), (channel, rules), now),
        Phase::Over if before.is_some() => (Stands::Over, Some(Tone::Recovered)),
        Phase::News if event.severity >= Severity::Warning => (Stands::Unchanged, Some(Tone::News)),
        Phase::Over | Phase::News => (Stands::Unchanged, None),
    };
    let tell = match on {
        On::Never | On::Digest => None,
        On::Failure => tone,
        On::Change => tone.or_else(|| event.changed.then_some(Tone::News)),
        On::Always => tone.or_else(|| {
            let again = if matches!(stands, Stands::Now(_)) { Tone::Reminder } else { Tone::News };
            (event.is_run() || event.changed).then_some(again)
        }),
    };
    Verdict { stands, tell, gather: on == On::Digest }
}

fn trouble(
    before: Option<&Standing>,
    event: &Event,
    (cause, manner): (&str, Manner),
    (channel, rules): (&str, &ChannelRules),
    now: Timestamp,
) -> (Stands, Option<Tone>) {
    let fresh = Standing {
        channel: channel.to_owned(),
        key: event.trouble(),
        job: event.job.clone(),
        cause: cause.to_owned(),
        causes: vec![cause.to_owned()],
        manner,
        severity: event.severity,
        title: event.title.clone(),
        lines: event.lines.clone(),
        since: now,
        last_at: now,
        seen: 1,
        told_at: now,
        reminders: 0,
    };
    let Some(before) = before else { return (Stands::Now(Box::new(fresh)), Some(Tone::New)) };
    let seen = before.seen.saturating_add(1);
    let since = before.since.min(now); // a clock that was set back
    let mut causes = before.causes.clone();
    if !causes.iter().any(|told| told == cause) {
        causes.push(cause.to_owned());
        causes.drain(..causes.len().saturating_sub(CAUSES));
        return (Stands::Now(Box::new(Standing { causes, since, seen, ..fresh })), Some(Tone::Changed));
    }
    // The same cause, or one of those between which it goes back and forth.
    let (told_at, reminders) = (before.told_at, before.reminders);
    let standing = Standing { causes, since, seen, told_at, reminders, ..fresh };
    match remind(&standing, rules, now) {
        Some(reminded) => (Stands::Now(Box::new(reminded)), Some(Tone::Reminder)),
        None => (Stands::Now(Box::new(standing)), None),
    }
}

/// The same trouble as one that the channel was reminded of just now, if it is time to. One reminder stands for all that
/// fell due meanwhile.
#[must_use]
pub(super) fn remind(standing: &Standing, rules: &ChannelRules, now: Timestamp) -> Option<Standing> {
    if !standing.manner.reminds() {
        return None;
    }
    if standing.told_at > now {
        // Told in what is the future by a clock that was set back: it counts from now on.
        return Some(Standing { told_at: now, reminders: 0, ..standing.clone() });
    }
    let mut reminders = standing.reminders;
    while due(standing.told_at, reminders, &rules.remind).is_some_and(|due| due <= now) {
        reminders += 1;
    }
    (reminders > standing.reminders).then(|| Standing { reminders, ..standing.clone() })
}

/// When reminder number `index` (from 0) falls due: the configured ages one after the other, then the last again and again.
fn due(told_at: Timestamp, index: u32, remind: &[Duration]) -> Option<Timestamp> {
    let last = *remind.last()?;
    let index = index as usize;
    let age = match remind.get(index) {
        Some(age) => *age,
        None => last.saturating_mul(u32::try_from(index - remind.len() + 2).unwrap_or(u32::MAX)),
    };
    told_at.checked_add(SignedDuration::try_from(age).ok()?).ok()
}

/// Whether trouble that nobody reports as over has not been seen for so long that it is.
#[must_use]
pub(super) fn has_lapsed(standing: &Standing, now: Timestamp) -> bool {
    standing.manner.lapses_after().is_some_and(|lapse| now.duration_since(standing.last_at) > lapse)
}

/// What the clock alone brings: a reminder of what stands, or its end where nobody else will tell of it.
#[must_use]
pub(super) fn tick(standing: &Standing, (rules, on): (&ChannelRules, On), now: Timestamp) -> Verdict {
    if on == On::Never || has_lapsed(standing, now) {
        return Verdict { stands: Stands::Over, ..Verdict::NOTHING };
    }
    // What passes is told of when it comes again, and a digest tells of all that stands.
    if standing.manner == Manner::Passing || on == On::Digest {
        return Verdict::NOTHING;
    }
    match remind(standing, rules, now) {
        Some(reminded) => {
            Verdict { stands: Stands::Now(Box::new(reminded)), tell: Some(Tone::Reminder), gather: false }
        }
        None => Verdict::NOTHING,
    }
}

/// What the share of people left unresolved, in percent, means against the lowest since it was last told: the share to
/// remember, and by how many points it rose if that is to be told. Slow creep is seen as well as a jump.
#[must_use]
pub(super) fn rise(lowest: Option<f64>, share: f64, alert: f64) -> (f64, Option<f64>) {
    match lowest {
        Some(lowest) if share - lowest >= alert => (share, Some(share - lowest)),
        Some(lowest) => (lowest.min(share), None),
        None => (share, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::testing::at;
    use crate::notices::rules::Kind;

    const DAY: i64 = 86_400;

    fn rules(remind: &[i64]) -> ChannelRules {
        let remind = remind.iter().map(|days| Duration::from_hours(24) * u32::try_from(*days).unwrap()).collect();
        ChannelRules {
            kind: Kind::Chat,
            on: On::Failure,
            remind,
            digest: jiff::civil::time(8, 0, 0, 0),
            watches: Vec::new(),
        }
    }

    fn event(phase: Phase, severity: Severity, changed: bool) -> Event {
        Event {
            kind: "run".to_owned(),
            key: "managers".to_owned(),
            job: Some("managers".to_owned()),
            run: None,
            phase,
            changed,
            severity,
            title: "managers failed".to_owned(),
            lines: Vec::new(),
            outputs: Vec::new(),
            closes: Vec::new(),
        }
    }

    fn trouble_of(cause: &str, manner: Manner) -> Phase {
        Phase::Trouble { cause: cause.to_owned(), manner }
    }

    fn failing(cause: &str) -> Event {
        event(Phase::wrong(cause), Severity::Error, false)
    }

    fn fine() -> Event {
        event(Phase::Over, Severity::Info, false)
    }

    /// Tells events at moments, each a number of seconds, and gives what was told of each.
    fn play(on: On, rules: &ChannelRules, events: &[(i64, Event)]) -> Vec<Option<Tone>> {
        let mut stands = None;
        let tell = |(second, event): &(i64, Event)| {
            let verdict = decide(stands.as_ref(), event, ("ops", rules, on), at(*second));
            match verdict.stands {
                Stands::Unchanged => {}
                Stands::Now(now) => stands = Some(*now),
                Stands::Over => stands = None,
            }
            verdict.tell
        };
        events.iter().map(tell).collect()
    }

    #[test]
    fn ten_identical_failing_nights_are_one_notice_and_the_reminders() {
        let nights: Vec<(i64, Event)> = (0..10).map(|night| (night * DAY, failing("failed x"))).collect();
        let told = play(On::Failure, &rules(&[1, 7]), &nights);
        let mut expected = vec![None; 10];
        (expected[0], expected[1], expected[7]) = (Some(Tone::New), Some(Tone::Reminder), Some(Tone::Reminder));
        assert_eq!(told, expected);
        assert_eq!(play(On::Failure, &rules(&[]), &nights).iter().flatten().count(), 1, "no reminders are wanted");
    }

    #[test]
    fn what_is_over_is_told_once_and_another_cause_is_told_anew() {
        let told = play(
            On::Failure,
            &rules(&[7]),
            &[
                (0, fine()),
                (1, failing("a")),
                (2, failing("a")),
                (3, failing("b")),
                (4, failing("b")),
                (5, fine()),
                (6, fine()),
                (7, failing("b")),
            ],
        );
        let (new, changed, recovered) = (Some(Tone::New), Some(Tone::Changed), Some(Tone::Recovered));
        assert_eq!(told, [None, new, None, changed, None, recovered, None, new]);
    }

    #[test]
    fn a_trouble_that_goes_back_and_forth_between_two_causes_is_told_once_each() {
        let nights: Vec<(i64, Event)> =
            (0..10).map(|night| (night * DAY, failing(if night % 2 == 0 { "a" } else { "b" }))).collect();
        let told = play(On::Failure, &rules(&[7]), &nights);
        let mut expected = vec![None; 10];
        (expected[0], expected[1], expected[8]) = (Some(Tone::New), Some(Tone::Changed), Some(Tone::Reminder));
        assert_eq!(told, expected);
    }

    #[test]
    fn what_comes_in_stages_is_told_at_each_and_reminded_of_at_none() {
        let stage = |word: &str| event(trouble_of(word, Manner::Staged), Severity::Warning, false);
        let told = play(
            On::Failure,
            &rules(&[1]),
            &[(0, stage("30")), (9 * DAY, stage("30")), (16 * DAY, stage("14")), (90 * DAY, fine())],
        );
        assert_eq!(told, [Some(Tone::New), None, Some(Tone::Changed), Some(Tone::Recovered)]);
        let fading = event(trouble_of("30", Manner::Fading), Severity::Warning, false);
        let told = play(On::Failure, &rules(&[1]), &[(0, fading.clone()), (40 * DAY, fading), (90 * DAY, fine())]);
        assert_eq!(told, [Some(Tone::New), None, None], "over by itself");
    }

    #[test]
    fn always_is_each_run_and_not_each_look_at_what_is_well() {
        let look = Event { kind: "configuration".to_owned(), ..fine() };
        assert_eq!(play(On::Always, &rules(&[7]), &[(0, look), (1, fine())]), [None, Some(Tone::News)]);
    }

    #[test]
    fn each_word_hears_what_it_says() {
        let news = |severity, changed| event(Phase::News, severity, changed);
        let events = [
            (0, fine()),
            (1, event(Phase::Over, Severity::Info, true)),
            (2, news(Severity::Info, false)),
            (3, news(Severity::Warning, false)),
            (4, failing("a")),
            (5, failing("a")),
            (6, fine()),
        ];
        let (n, w, again, r) = (Some(Tone::New), Some(Tone::News), Some(Tone::Reminder), Some(Tone::Recovered));
        let cases = [
            (On::Never, [None; 7]),
            (On::Digest, [None; 7]),
            (On::Failure, [None, None, None, w, n, None, r]),
            (On::Change, [None, w, None, w, n, None, r]),
            (On::Always, [w, w, w, w, n, again, r]),
        ];
        for (on, expected) in cases {
            assert_eq!(play(on, &rules(&[7]), &events), expected, "{on:?}");
            let gathered = decide(None, &fine(), ("ops", &rules(&[7]), on), at(0)).gather;
            assert_eq!(gathered, on == On::Digest);
        }
    }

    #[test]
    fn what_nobody_reports_as_over_lapses_after_a_day() {
        let missed = || event(trouble_of("overlap", Manner::Passing), Severity::Warning, false);
        let hour = 3600;
        let times = [0, hour, 20 * hour, 40 * hour, 65 * hour];
        let events: Vec<(i64, Event)> = times.map(|second| (second, missed())).to_vec();
        let told = play(On::Failure, &rules(&[7]), &events);
        assert_eq!(told, [Some(Tone::New), None, None, None, Some(Tone::New)]);
    }

    #[test]
    fn a_clock_reminds_of_what_stands_and_forgets_what_passed() {
        let rules = rules(&[1]);
        let stands = |event: &Event| match decide(None, event, ("ops", &rules, On::Failure), at(0)).stands {
            Stands::Now(standing) => *standing,
            other => panic!("{other:?}"),
        };
        let standing = stands(&failing("a"));
        let told = |second| tick(&standing, (&rules, On::Failure), at(second)).tell;
        assert_eq!((told(DAY - 1), told(DAY), told(9 * DAY)), (None, Some(Tone::Reminder), Some(Tone::Reminder)));
        assert_eq!(tick(&standing, (&rules, On::Digest), at(9 * DAY)), Verdict::NOTHING);
        assert_eq!(tick(&standing, (&rules, On::Never), at(1)).stands, Stands::Over);
        let passing = stands(&event(trouble_of("x", Manner::Passing), Severity::Warning, false));
        assert_eq!(tick(&passing, (&rules, On::Failure), at(DAY)), Verdict::NOTHING);
        assert_eq!(tick(&passing, (&rules, On::Failure), at(DAY + 1)).stands, Stands::Over);
    }

    #[test]
    fn a_rise_of_the_unresolved_is_told_once_a_rise_also_when_it_creeps() {
        let mut lowest = None;
        let told: Vec<bool> = [5.0, 6.9, 7.0, 7.5, 4.0, 5.9, 6.1]
            .map(|share| {
                let (low, rose) = rise(lowest, share, 2.0);
                lowest = Some(low);
                rose.is_some()
            })
            .to_vec();
        assert_eq!(told, [false, false, true, false, false, false, true]);
    }

    proptest! {
        #[test]
        fn there_is_never_more_than_one_notice_a_reminder_and_never_a_silence_longer_than_the_last_one(
            gaps in proptest::collection::vec(1_i64..3 * DAY, 1..200),
        ) {
            let rules = rules(&[1, 7]);
            let mut second = 0;
            let events: Vec<(i64, Event)> = gaps.iter().map(|gap| { second += gap; (second, failing("a")) }).collect();
            let told = play(On::Failure, &rules, &events);
            let heard: Vec<i64> =
                events.iter().zip(&told).filter(|(_, tone)| tone.is_some()).map(|((at, _), _)| *at).collect();
            let span = (second - events[0].0) / DAY;
            // The first, one after a day, and one for every full week.
            prop_assert!(i64::try_from(heard.len()).unwrap() <= 2 + span / 7, "{} in {span} days", heard.len());
            for pair in heard.windows(2) {
                prop_assert!(pair[1] - pair[0] <= (7 + 3) * DAY, "{heard:?}");
            }
        }

        #[test]
        fn a_recovery_follows_each_trouble_and_nothing_else(fails in proptest::collection::vec(any::<bool>(), 1..100)) {
            let events: Vec<(i64, Event)> =
                (0..).zip(&fails).map(|(at, fails)| (at, if *fails { failing("a") } else { fine() })).collect();
            let told = play(On::Failure, &rules(&[1]), &events);
            let mut wrong = false;
            for (fails, tone) in fails.iter().zip(told) {
                let expected = match (wrong, fails) {
                    (false, true) => Some(Tone::New),
                    (true, false) => Some(Tone::Recovered),
                    _ => None,
                };
                prop_assert_eq!(tone, expected);
                wrong = *fails;
            }
        }
    }
}
