//! Moments, lengths and counts as people read them.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// `2026-11-21 03:00:00 CET`
#[must_use]
pub fn local(moment: Timestamp, zone: &TimeZone) -> String {
    moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// `3 minutes ago`, `in 2 days`, `now`.
#[must_use]
pub fn relative(moment: Timestamp, now: Timestamp) -> String {
    let distance = moment.duration_since(now);
    let length = rough(distance.abs());
    match (length.as_str(), distance.is_negative()) {
        ("0 seconds", _) => "now".to_owned(),
        (length, true) => format!("{length} ago"),
        (length, false) => format!("in {length}"),
    }
}

/// One unit, the largest of which there are at least two, so that nothing is off by half.
fn rough(length: SignedDuration) -> String {
    let seconds = length.as_secs();
    let (count, unit) = match seconds {
        ..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A measured length of time: `0.8 s`, `42 s`, `3 min 20 s`, `1 h 5 min`.
#[must_use]
pub fn duration(length: std::time::Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", length.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1 change`, `2 changes`.
#[must_use]
pub fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A manager for people: its name, else its id, else that there is none.
#[must_use]
pub fn manager(label: &str, id: Option<impl ToString>) -> String {
    match id {
        None => "(none)".to_owned(),
        Some(id) if label.is_empty() => id.to_string(),
        Some(_) => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_and_lengths_read_as_people_say_them() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (seconds, said) in
            [(0, "now"), (-1, "1 second ago"), (-180, "3 minutes ago"), (7200, "in 2 hours"), (200_000, "in 2 days")]
        {
            assert_eq!(relative(now + SignedDuration::from_secs(seconds), now), said);
        }
        let lengths = [800, 42_000, 200_000, 3_900_000].map(|ms| duration(std::time::Duration::from_millis(ms)));
        assert_eq!(lengths, ["0.8 s", "42 s", "3 min 20 s", "1 h 5 min"]);
    }
}
