//! The gauge: how long the subscription lasts, and whether its date moved. Pure; [`read`] alone asks Graph.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::domain::event::{Alarms, EventKind, News, Severity};
use crate::domain::gauge::{ENABLED, Gauge, GaugeState, Moved, ReadAs, day};
use crate::graph::{GraphClient, Identity, Subscription};
use crate::jobs::error::chain;
use crate::jobs::licenses::events::{Watched, date_moved, expiring};
use crate::jobs::licenses::name_of;

/// The developer program's product and its GUID.
/// Source: <https://learn.microsoft.com/entra/identity/users/licensing-service-plan-reference>
const DEVELOPER_PACK: (&str, &str) = ("DEVELOPERPACK_E5", "c42b9cae-ea4f-4ab7-9717-81576235ccac");

/// How long the reading may take: the calls are what the run is for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a reading brought.
pub(super) struct Reading {
    pub(super) read_as: Option<ReadAs>,
    /// The tenant's subscriptions, or why they could not be read.
    pub(super) found: Result<Vec<Subscription>, String>,
}

/// Reads the tenant's subscriptions: as the application where there is one, else as the person.
pub(super) async fn read(graph: &GraphClient) -> Reading {
    let (identity, read_as) = match (graph.has(Identity::App), graph.has(Identity::User)) {
        (true, _) => (Identity::App, ReadAs::App),
        (false, true) => (Identity::User, ReadAs::User),
        (false, false) => return Reading { read_as: None, found: Err("nobody is configured to read it".to_owned()) },
    };
    let found = match timeout(PATIENCE, graph.list_subscriptions(identity)).await {
        Ok(Ok(subscriptions)) => Ok(subscriptions),
        Ok(Err(error)) => Err(match error.hint() {
            Some(hint) => format!("{}; {hint}", chain(&error)),
            None => chain(&error),
        }),
        Err(_) => Err(format!("no answer within {} seconds", PATIENCE.as_secs())),
    };
    Reading { read_as: Some(read_as), found }
}

/// What is known of the product `wanted` now, from a reading and from what was known before. `calls` were answered since.
pub(super) fn observe(wanted: &str, reading: &Reading, before: Option<&Gauge>, calls: u64, at: Timestamp) -> Gauge {
    let chosen = reading.found.as_ref().ok().and_then(|subscriptions| choose(wanted, subscriptions));
    // Of another subscription nothing is known yet: that it ends at another date is no move.
    let is_other = |known: &str| chosen.is_some_and(|one| one.id != known);
    let before = before.filter(|before| !before.subscription.as_deref().is_some_and(is_other));
    let mut gauge = Gauge {
        state: GaugeState::Unknown,
        days_left: None,
        ends: None,
        moved: before.and_then(|before| before.moved.clone()),
        calls_since: before.map_or(0, |before| before.calls_since) + calls,
        why: None,
        part_number: wanted.to_owned(),
        subscription: before.and_then(|before| before.subscription.clone()),
        status: None,
        gone: before.is_some_and(|before| before.gone),
        known_end: before.and_then(|before| before.known_end),
        read_as: reading.read_as,
        read_at: at,
    };
    match (&reading.found, chosen) {
        (Err(why), _) => gauge.why = Some(why.clone()),
        (Ok(_), Some(one)) => see(&mut gauge, one),
        (Ok(_), None) if gauge.subscription.is_some() => gauge.gone = true,
        (Ok(_), None) => {
            gauge.why = Some(format!(
                "the tenant has no subscription of {wanted}; `subscription` of the job names another product"
            ));
        }
    }
    gauge.as_of(at)
}

/// The subscription of a product that counts: the enabled one that ends first, as none lasts longer than its first end;
/// else the one that has come least far on its way to deletion. A deleted one is none.
fn choose<'a>(wanted: &str, subscriptions: &'a [Subscription]) -> Option<&'a Subscription> {
    let is_wanted = |one: &&Subscription| {
        let by_id = wanted.eq_ignore_ascii_case(DEVELOPER_PACK.0) && one.sku_id.eq_ignore_ascii_case(DEVELOPER_PACK.1);
        by_id || one.part_number.eq_ignore_ascii_case(wanted)
    };
    let step = |one: &Subscription| match one.status.as_str() {
        ENABLED => Some(0),
        "Warning" => Some(1),
        "Deleted" => None,
        _ => Some(2),
    };
    let mine = subscriptions.iter().filter(is_wanted).filter_map(|one| Some((step(one)?, one)));
    let (_, one) = mine.min_by_key(|(step, one)| (*step, one.next_lifecycle.unwrap_or(Timestamp::MAX), &one.id))?;
    Some(one)
}

/// Takes over what a subscription tells. A move is one from an end while enabled to another end while enabled: the date of
/// a subscription that has expired is another thing.
fn see(gauge: &mut Gauge, one: &Subscription) {
    gauge.gone = false;
    gauge.subscription = Some(one.id.clone());
    gauge.status = Some(one.status.clone());
    gauge.ends = one.next_lifecycle;
    let Some(end) = one.next_lifecycle.filter(|_| one.status == ENABLED) else { return };
    if let Some(from) = gauge.known_end.filter(|known| *known != end) {
        gauge.moved = Some(Moved { noticed: gauge.read_at, from, to: end });
        gauge.calls_since = 0;
    }
    gauge.known_end = Some(end);
}

/// What there is to tell of a gauge, and the alarms that stand from now on. What is unknown changes nothing.
pub(super) fn news(before: Option<&Gauge>, gauge: &Gauge, alarms: &Alarms) -> News {
    let mut news = News { events: Vec::new(), alarms: alarms.clone() };
    let Some(id) = gauge.subscription.as_deref().filter(|_| gauge.why.is_none()) else { return news };
    let name = name_of(&gauge.part_number, id);
    let status = gauge.status.as_deref();
    // By product: the subscription that comes back may be another one.
    let expired = news.turned(EventKind::Expired, &gauge.part_number, status != Some(ENABLED));
    let gone = news.turned(EventKind::Gone, &gauge.part_number, gauge.gone);
    match (gone, expired) {
        (Some(true), _) => {
            let title = format!("{name} is no longer among the tenant's subscriptions");
            let lines = vec!["the keepalive makes no calls until it is there again; its history is kept".to_owned()];
            news.tell(EventKind::Gone, Severity::Urgent, id, "", title, lines);
        }
        (_, Some(true)) => {
            let status = status.unwrap_or("not known");
            let title = format!("{name} has expired: Microsoft's status is {status}");
            let lines = gauge.ends.map(|ends| format!("it leaves that status on {}", day(ends)));
            news.tell(EventKind::Expired, Severity::Urgent, id, "", title, lines.into_iter().collect());
        }
        (Some(false), _) | (_, Some(false)) => {
            let until = gauge.ends.map(|ends| format!(", until {}", day(ends))).unwrap_or_default();
            let title = format!("{name} is {} again{until}", status.unwrap_or("there"));
            news.tell(EventKind::Back, Severity::Info, id, "", title, Vec::new());
        }
        (None, None) => {}
    }
    if let Some(moved) = gauge.moved.as_ref().filter(|_| gauge.moved != before.and_then(|before| before.moved.clone()))
    {
        date_moved(id, name, moved, &mut news);
    }
    let watched = Watched { id, name, status: status.unwrap_or_default(), ends: gauge.ends };
    expiring(&watched, gauge.read_at, &mut news);
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + days * DAY).unwrap()
    }

    fn one(id: &str, part_number: &str, status: &str, ends: Option<i64>) -> Subscription {
        Subscription {
            id: id.to_owned(),
            commerce_subscription_id: None,
            sku_id: format!("sku of {part_number}"),
            part_number: part_number.to_owned(),
            status: status.to_owned(),
            total: 25,
            is_trial: None,
            created: None,
            next_lifecycle: ends.map(at),
        }
    }

    fn found(subscriptions: Vec<Subscription>) -> Reading {
        Reading { read_as: Some(ReadAs::App), found: Ok(subscriptions) }
    }

    fn pack(status: &str, ends: i64) -> Reading {
        found(vec![one("s-1", "DEVELOPERPACK_E5", status, Some(ends))])
    }

    #[test]
    fn the_subscription_that_counts_is_the_enabled_one_that_ends_first() {
        let e5 = DEVELOPER_PACK.0;
        let cases = [
            (vec![one("a", e5, "Enabled", Some(90)), one("b", e5, "Enabled", Some(30))], Some("b")),
            (vec![one("a", e5, "Enabled", None), one("b", e5, "Enabled", Some(30))], Some("b")),
            (vec![one("a", e5, "Suspended", Some(1)), one("b", "developerpack_e5", "Enabled", Some(30))], Some("b")),
            (vec![one("a", e5, "Suspended", Some(1)), one("b", e5, "Warning", Some(30))], Some("b")),
            (vec![one("a", e5, "Deleted", Some(1))], None),
            (vec![one("a", "SPE_E3", "Enabled", Some(1))], None),
        ];
        for (subscriptions, wanted) in cases {
            assert_eq!(choose(e5, &subscriptions).map(|one| one.id.as_str()), wanted, "{subscriptions:?}");
        }
        let unnamed = Subscription { sku_id: DEVELOPER_PACK.1.to_uppercase(), ..one("a", "", "Enabled", None) };
        assert!(choose("DeveloperPack_E5", std::slice::from_ref(&unnamed)).is_some(), "by its GUID");
        assert!(choose("SPE_E3", &[unnamed]).is_none());
    }

    #[test]
    fn a_move_is_from_an_end_while_enabled_to_another_and_starts_the_count_anew() {
        let wanted = DEVELOPER_PACK.0;
        let first = observe(wanted, &pack("Enabled", 10), None, 2, at(0));
        assert_eq!((first.days_left, first.moved.clone(), first.calls_since), (Some(10), None, 2));
        let same = observe(wanted, &pack("Enabled", 10), Some(&first), 2, at(3));
        assert_eq!((same.days_left, same.moved.clone(), same.calls_since), (Some(7), None, 4));
        let moved = observe(wanted, &pack("Enabled", 100), Some(&same), 2, at(4));
        let by = Moved { noticed: at(4), from: at(10), to: at(100) };
        assert_eq!((moved.moved.as_ref(), moved.calls_since), (Some(&by), 0));
        let expired = observe(wanted, &pack("Warning", 130), Some(&moved), 2, at(101));
        assert_eq!((expired.state, expired.moved.as_ref(), expired.calls_since), (GaugeState::Expired, Some(&by), 2));
        assert_eq!(expired.known_end, Some(at(100)));
        let unread = Reading { read_as: Some(ReadAs::App), found: Err("503".to_owned()) };
        let unknown = observe(wanted, &unread, Some(&expired), 1, at(102));
        assert_eq!((unknown.state, unknown.calls_since, unknown.moved.as_ref()), (GaugeState::Unknown, 3, Some(&by)));
        let back = observe(wanted, &pack("Enabled", 190), Some(&unknown), 2, at(103));
        assert_eq!(back.moved, Some(Moved { noticed: at(103), from: at(100), to: at(190) }));
    }

    #[test]
    fn another_subscription_that_ends_at_another_date_has_not_moved() {
        let wanted = DEVELOPER_PACK.0;
        let first = observe(wanted, &pack("Enabled", 300), None, 2, at(0));
        let moved = observe(wanted, &pack("Enabled", 330), Some(&first), 2, at(1));
        let (own, trial) = (one("s-1", wanted, "Enabled", Some(330)), one("s-2", wanted, "Enabled", Some(30)));
        let both = observe(wanted, &found(vec![own, trial]), Some(&moved), 2, at(2));
        let seen =
            |gauge: &Gauge| (gauge.subscription.clone(), gauge.days_left, gauge.moved.clone(), gauge.calls_since);
        assert_eq!(seen(&both), (Some("s-2".to_owned()), Some(28), None, 2));
        let told = |before: &Gauge, gauge: &Gauge| {
            let events = news(Some(before), gauge, &Alarms::new()).events;
            events.iter().map(|event| event.kind).collect::<Vec<_>>()
        };
        assert_eq!(told(&moved, &both), [EventKind::Expiring], "it ends soon, and nothing moved");
        let own_again = observe(wanted, &pack("Enabled", 330), Some(&both), 2, at(31));
        assert_eq!(seen(&own_again), (Some("s-1".to_owned()), Some(299), None, 2));
        assert!(told(&both, &own_again).is_empty());
        let gone = observe(wanted, &found(Vec::new()), Some(&own_again), 2, at(40));
        let anew = observe(wanted, &found(vec![one("s-3", wanted, "Enabled", Some(130))]), Some(&gone), 2, at(41));
        assert_eq!((seen(&anew), anew.gone), ((Some("s-3".to_owned()), Some(89), None, 2), false));
    }

    #[test]
    fn a_subscription_that_was_never_there_is_unknown_and_one_that_was_is_gone() {
        let wanted = DEVELOPER_PACK.0;
        let never = observe(wanted, &found(Vec::new()), None, 2, at(0));
        assert_eq!((never.state, never.gone), (GaugeState::Unknown, false));
        assert!(never.line().contains("no subscription of DEVELOPERPACK_E5"), "{}", never.line());
        let there = observe(wanted, &pack("Enabled", 60), Some(&never), 2, at(1));
        let gone = observe(wanted, &found(Vec::new()), Some(&there), 0, at(2));
        assert_eq!((gone.state, gone.gone, gone.subscription.as_deref()), (GaugeState::Expired, true, Some("s-1")));
        let unread = Reading { read_as: Some(ReadAs::App), found: Err("503".to_owned()) };
        assert!(observe(wanted, &unread, Some(&gone), 0, at(3)).gone, "what could not be read is still gone");
        assert!(!observe(wanted, &pack("Enabled", 60), Some(&gone), 0, at(3)).gone);
    }

    #[test]
    fn each_turn_is_told_once_and_the_unknown_tells_nothing() {
        let wanted = DEVELOPER_PACK.0;
        let mut before: Option<Gauge> = None;
        let mut alarms = Alarms::new();
        let mut told = Vec::new();
        let unread = || Reading { read_as: None, found: Err("503".to_owned()) };
        let life = [
            (0, pack("Enabled", 60)),
            (1, pack("Enabled", 60)),
            (35, pack("Enabled", 60)),
            (36, unread()),
            (37, pack("Enabled", 60)),
            (48, pack("Enabled", 150)),
            (140, pack("Enabled", 150)),
            (141, pack("Enabled", 150)),
            (144, pack("Enabled", 150)),
            (149, pack("Enabled", 150)),
            (151, pack("Warning", 180)),
            (152, unread()),
            (153, pack("Warning", 180)),
            (200, found(Vec::new())),
            (201, found(Vec::new())),
            (210, found(vec![one("s-2", wanted, "Enabled", Some(300))])),
        ];
        for (day, reading) in life {
            let gauge = observe(wanted, &reading, before.as_ref(), 2, at(day));
            let news = news(before.as_ref(), &gauge, &alarms);
            told.extend(news.events.iter().map(|event| format!("{day} {} {}", event.severity, event.title)));
            (before, alarms) = (Some(gauge), news.alarms);
        }
        insta::assert_snapshot!(told.join("\n"), @r"
        35 warning Microsoft 365 E5 Developer (without Windows and Audio Conferencing) ends in 25 days, on 2026-11-20
        48 info Microsoft 365 E5 Developer (without Windows and Audio Conferencing) ends on 2027-02-18 instead of 2026-11-20 (+90 days)
        140 warning Microsoft 365 E5 Developer (without Windows and Audio Conferencing) ends in 10 days, on 2027-02-18
        144 urgent Microsoft 365 E5 Developer (without Windows and Audio Conferencing) ends in 6 days, on 2027-02-18
        149 urgent Microsoft 365 E5 Developer (without Windows and Audio Conferencing) ends in 1 day, on 2027-02-18
        151 urgent Microsoft 365 E5 Developer (without Windows and Audio Conferencing) has expired: Microsoft's status is Warning
        200 urgent Microsoft 365 E5 Developer (without Windows and Audio Conferencing) is no longer among the tenant's subscriptions
        210 info Microsoft 365 E5 Developer (without Windows and Audio Conferencing) is Enabled again, until 2027-07-18
        ");
    }
}
