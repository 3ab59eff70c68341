//! From an event and a verdict to the notice that a channel gets.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::domain::notice::{Event, Severity, Tone};
use crate::domain::run::RunId;
use crate::history::notices::{DigestItem, NewNotice, Standing};
use crate::notices::rules::Kind;

/// What of a vendor's answers a mail carries at most, in bytes, all together.
const OUTPUTS: usize = 256 * 1024;

/// The notice of an event. `before` is what stood until it.
#[must_use]
pub(super) fn of_event(
    event: &Event,
    tone: Tone,
    before: Option<&Standing>,
    (channel, kind): (&str, Kind),
    zone: &TimeZone,
    now: Timestamp,
) -> NewNotice {
    let mut lines = Vec::with_capacity(event.lines.len() + 1);
    match (tone, before) {
        (Tone::Recovered, Some(before)) => {
            lines.push(format!("Until now: {} ({}).", before.title, since(before, zone)));
        }
        // This one is counted, too.
        (Tone::Reminder, Some(before)) => {
            let before = Standing { seen: before.seen.saturating_add(1), ..before.clone() };
            lines.push(format!("It is so {}.", since(&before, zone)));
        }
        (Tone::Changed, Some(before)) => lines.push(format!("Before: {}.", before.title)),
        _ => {}
    }
    lines.extend(event.lines.iter().cloned());
    NewNotice {
        key: Some(event.trouble()),
        outputs: if kind == Kind::Mail { carried(event) } else { Vec::new() },
        ..notice(
            channel,
            event.job.clone(),
            event.run.clone(),
            &event.kind,
            tone,
            event.severity,
            &event.title,
            lines,
            now,
        )
    }
}

/// The reminder that the clock brings.
#[must_use]
pub(super) fn reminder(standing: &Standing, zone: &TimeZone, now: Timestamp) -> NewNotice {
    let kind = standing.key.split(':').next().unwrap_or_default();
    let mut lines = vec![format!("It is so {}.", since(standing, zone))];
    lines.extend(standing.lines.iter().cloned());
    let (channel, job) = (&standing.channel, standing.job.clone());
    NewNotice {
        key: Some(standing.key.clone()),
        ..notice(channel, job, None, kind, Tone::Reminder, standing.severity, &standing.title, lines, now)
    }
}

/// The ping of a run.
#[must_use]
pub(super) fn ping(channel: &str, job: &str, run: &RunId, tone: Tone, said: &str, now: Timestamp) -> NewNotice {
    let severity = if tone == Tone::Fail { Severity::Error } else { Severity::Info };
    let title = format!("{job}: {said}");
    notice(channel, Some(job.to_owned()), Some(run.clone()), "run", tone, severity, &title, Vec::new(), now)
}

/// What happened between two digests, and what is wrong at its end.
#[must_use]
pub(super) fn digest(
    channel: &str,
    (from, to): (Timestamp, Timestamp),
    items: &[DigestItem],
    standings: &[Standing],
    zone: &TimeZone,
) -> NewNotice {
    let mut counted: Vec<(&DigestItem, usize)> = Vec::new();
    for item in items {
        match counted.iter_mut().find(|(known, _)| known.title == item.title) {
            Some((_, count)) => *count += 1,
            None => counted.push((item, 1)),
        }
    }
    counted.sort_by_key(|(item, _)| std::cmp::Reverse(item.severity));
    let mut lines: Vec<String> = standings
        .iter()
        .map(|standing| format!("Wrong now: {} ({}).", standing.title, since(standing, zone)))
        .collect();
    lines.extend(counted.iter().map(|(item, count)| match count {
        1 => format!("{}, {}", item.title, local(item.at, zone)),
        count => format!("{count} times: {}", item.title),
    }));
    if items.is_empty() {
        lines.push("No run ended in this time.".to_owned());
    }
    let worst = items.iter().map(|item| item.severity).chain(standings.iter().map(|standing| standing.severity)).max();
    let wrong = match standings.len() {
        0 => "nothing is wrong".to_owned(),
        1 => "1 thing is wrong".to_owned(),
        count => format!("{count} things are wrong"),
    };
    let title = format!("{} to {}: {wrong}", local(from, zone), local(to, zone));
    let severity = if standings.is_empty() { Severity::Info } else { worst.unwrap_or(Severity::Info) };
    notice(channel, None, None, "digest", Tone::Digest, severity, &title, lines, to)
}

/// What a channel is sent by `notify test`.
#[must_use]
pub(super) fn test(channel: &str, tone: Tone, caller: &str, now: Timestamp) -> NewNotice {
    let lines = vec![format!("{caller} asked for it. Nothing is wrong, and nothing is to be done.")];
    notice(channel, None, None, "test", tone, Severity::Info, "this is a test", lines, now)
}

#[expect(clippy::too_many_arguments, reason = "the one place that makes them, a field each")]
fn notice(
    channel: &str,
    job: Option<String>,
    run: Option<RunId>,
    kind: &str,
    tone: Tone,
    severity: Severity,
    title: &str,
    lines: Vec<String>,
    made_at: Timestamp,
) -> NewNotice {
    NewNotice {
        uid: Uuid::new_v4().to_string(),
        channel: channel.to_owned(),
        job,
        run,
        kind: kind.to_owned(),
        key: None,
        tone,
        severity,
        title: title.to_owned(),
        lines,
        outputs: Vec::new(),
        made_at,
    }
}

/// The answers that still fit, in their order.
fn carried(event: &Event) -> Vec<crate::domain::notice::Output> {
    let mut room = OUTPUTS;
    let fits = |output: &&crate::domain::notice::Output| {
        let fits = output.text.len() <= room;
        room -= if fits { output.text.len() } else { 0 };
        fits
    };
    event.outputs.iter().filter(fits).cloned().collect()
}

fn since(standing: &Standing, zone: &TimeZone) -> String {
    let since = local(standing.since, zone);
    match standing.seen {
        1 => format!("since {since}"),
        seen => format!("since {since}, seen {seen} times"),
    }
}

fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::Manner;
    use crate::history::testing::at;

    fn item(second: i64, severity: Severity, title: &str) -> DigestItem {
        let (channel, job) = ("mail".to_owned(), Some("managers".to_owned()));
        DigestItem { channel, at: at(second), job, severity, title: title.to_owned() }
    }

    fn standing() -> Standing {
        Standing {
            channel: "mail".to_owned(),
            key: "run:managers".to_owned(),
            job: Some("managers".to_owned()),
            cause: "failed".to_owned(),
            causes: vec!["failed".to_owned()],
            manner: Manner::Lasting,
            severity: Severity::Error,
            title: "managers failed".to_owned(),
            lines: vec!["no connection".to_owned()],
            since: at(0),
            last_at: at(60),
            seen: 3,
            told_at: at(0),
            reminders: 0,
        }
    }

    #[test]
    fn a_digest_counts_what_is_alike_with_the_worst_first_and_says_when_nothing_ran() {
        let items = [
            item(0, Severity::Info, "managers succeeded"),
            item(60, Severity::Error, "licenses failed"),
            item(120, Severity::Info, "managers succeeded"),
        ];
        let told = digest("mail", (at(0), at(86_400)), &items, &[standing()], &TimeZone::UTC);
        insta::assert_snapshot!(format!("{}\n{}", told.title, told.lines.join("\n")), @r"
        2026-09-21 14:13 UTC to 2026-09-22 14:13 UTC: 1 thing is wrong
        Wrong now: managers failed (since 2026-09-21 14:13 UTC, seen 3 times).
        licenses failed, 2026-09-21 14:14 UTC
        2 times: managers succeeded
        ");
        assert_eq!(told.severity, Severity::Error);
        let quiet = digest("mail", (at(0), at(86_400)), &[], &[], &TimeZone::UTC);
        assert_eq!(quiet.lines, ["No run ended in this time."]);
        assert_eq!(quiet.severity, Severity::Info);
    }

    #[test]
    fn only_a_mail_carries_answers_and_no_more_than_it_should() {
        let output = |size| crate::domain::notice::Output { name: "/me".to_owned(), text: "x".repeat(size) };
        let event = Event {
            kind: "run".to_owned(),
            key: "keepalive".to_owned(),
            job: None,
            run: None,
            phase: crate::domain::notice::Phase::Over,
            closes: Vec::new(),
            changed: false,
            severity: Severity::Info,
            title: "keepalive succeeded".to_owned(),
            lines: Vec::new(),
            outputs: vec![output(10), output(OUTPUTS), output(20)],
        };
        let told = |kind| of_event(&event, Tone::News, None, ("x", kind), &TimeZone::UTC, at(0)).outputs;
        assert_eq!(told(Kind::Mail).iter().map(|output| output.text.len()).collect::<Vec<_>>(), [10, 20]);
        assert_eq!(told(Kind::Chat), []);
    }

    #[test]
    fn a_reminder_says_since_when_and_how_often() {
        let told = reminder(&standing(), &TimeZone::UTC, at(86_400));
        assert_eq!(told.lines, ["It is so since 2026-09-21 14:13 UTC, seen 3 times.", "no connection"]);
        assert_eq!((told.kind.as_str(), told.tone), ("run", Tone::Reminder));
    }
}
