//! What is worth telling of a reading of the licenses. Pure: what a job read last, what it read now, its rules, and what it
//! has told already.
//!
//! What differs from the last reading is told as it happens. What stands (too few seats, an end that comes near) is told
//! once and remembered as an alarm, so that neither a missed run nor an edited rule lets it pass untold or told twice.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::event::{Alarm, Alarms, Event, EventKind, News, Severity};
use crate::domain::gauge::{self, ENABLED, Moved};
use crate::history::licenses::{LicenseSnapshot, SkuRow, SubscriptionRow};
use crate::jobs::licenses::counted;
use crate::jobs::licenses::differences::{Difference, Field, What, differences};

/// When few seats are too few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Of every product; `None` and 0: never.
    pub few_free: Option<u32>,
    /// Of single ones, by part number in lower case.
    pub few_free_by_product: BTreeMap<String, u32>,
}

impl Rules {
    /// With fewer seats than this a product has too few.
    fn few_free_of(&self, sku: &SkuRow) -> i64 {
        let own = self.few_free_by_product.get(&sku.part_number.to_lowercase()).copied();
        i64::from(own.or(self.few_free).unwrap_or(0))
    }
}

/// So many days before its end a subscription is told of, once each.
pub const WARNED: [u32; 4] = [1, 7, 14, 30];

/// What there is to tell of `after`, in the order of the products, and the alarms that stand from now on.
#[must_use]
pub fn news(before: Option<&LicenseSnapshot>, after: &LicenseSnapshot, rules: &Rules, alarms: &Alarms) -> News {
    let mut news = News { events: Vec::new(), alarms: alarms.clone() };
    if let Some(before) = before {
        changed(before, after, &mut news);
    }
    let readable: BTreeSet<&str> = after.skus.iter().filter(|sku| counts(sku)).map(|sku| sku.sku.as_str()).collect();
    // Of a product that is gone, or whose seats mean nothing now, nothing stands.
    news.alarms.retain(|alarm, _| {
        !matches!(alarm.kind, EventKind::OverUsed | EventKind::FewFree) || readable.contains(alarm.subject.as_str())
    });
    for sku in after.skus.iter().filter(|sku| counts(sku)) {
        seats(sku, rules, &mut news);
    }
    for one in &after.subscriptions {
        let watched = Watched { id: &one.id, name: &one.name, status: &one.status, ends: one.next_lifecycle };
        expiring(&watched, after.at, &mut news);
    }
    news
}

/// Whether a product's free seats mean anything: it is one that people are given, and in force. A suspended product has
/// none at all, and is not over-used by that.
fn counts(sku: &SkuRow) -> bool {
    sku.applies_to != "Company" && matches!(sku.status.as_str(), ENABLED | "Warning")
}

/// How many more seats are assigned than there are.
#[must_use]
pub fn over_used_by(sku: &SkuRow) -> u64 {
    if counts(sku) { u64::try_from(-sku.free()).unwrap_or(0) } else { 0 }
}

/// What is otherwise than it was.
fn changed(before: &LicenseSnapshot, after: &LicenseSnapshot, news: &mut News) {
    let mut by_product: BTreeMap<(String, String), Vec<Difference>> = BTreeMap::new();
    for difference in differences(before, after) {
        by_product.entry((difference.name.clone(), difference.sku.clone())).or_default().push(difference);
    }
    // A subscription may change whose product is in neither list.
    for one in &after.subscriptions {
        by_product.entry((one.name.clone(), one.sku.clone())).or_default();
    }
    for ((name, sku), found) in &by_product {
        product(&Product { sku, name, before, after }, found, news);
    }
}

struct Product<'a> {
    sku: &'a str,
    name: &'a str,
    before: &'a LicenseSnapshot,
    after: &'a LicenseSnapshot,
}

fn product(product: &Product<'_>, found: &[Difference], news: &mut News) {
    let Product { sku, name, before, after } = *product;
    let now = after.skus.iter().find(|one| one.sku == sku);
    for difference in found {
        match (&difference.what, now) {
            (What::Appeared, Some(now)) => {
                let title = format!("{name} is new: {} bought, {} assigned", now.bought, now.assigned);
                news.tell(EventKind::Appeared, Severity::Info, sku, "", title, Vec::new());
            }
            (What::Disappeared, _) => {
                let title = format!("{name} is no longer among the tenant's products");
                news.tell(EventKind::Disappeared, Severity::Warning, sku, "", title, Vec::new());
            }
            _ => {}
        }
    }
    status(product, found, news);
    let is_count = |field: Field| {
        matches!(field, Field::Bought | Field::Assigned | Field::Warning | Field::Suspended | Field::LockedOut)
    };
    if let (lines @ [_, ..], Some(now)) = (lines(found, is_count).as_slice(), now) {
        let title = format!("{name}: {}", lines.join(", "));
        let detail = format!("{}/{}/{}/{}/{}", now.bought, now.assigned, now.warning, now.suspended, now.locked_out);
        news.tell(EventKind::CountsChanged, Severity::Info, sku, &detail, title, vec![free(now)]);
    }
    if let lines @ [_, ..] = lines(found, |field| field == Field::Plan).as_slice() {
        let title = format!("{name}: the state of {} changed", counted(lines.len(), "service plan"));
        news.tell(EventKind::PlansChanged, Severity::Info, sku, &after.at.to_string(), title, lines.to_vec());
    }
    for (old, new) in pairs(before, after, sku) {
        if let (ENABLED, ENABLED, Some(from), Some(to)) =
            (old.status.as_str(), new.status.as_str(), old.next_lifecycle, new.next_lifecycle)
            && from != to
        {
            date_moved(&new.id, name, &Moved { noticed: after.at, from, to }, news);
        }
    }
}

/// Tells of another status of a product or of one of its subscriptions, once for all of them.
fn status(product: &Product<'_>, found: &[Difference], news: &mut News) {
    let Product { sku, name, before, after } = *product;
    let mut words = Vec::new();
    for difference in found {
        if let What::Changed { field: Field::Status, from: Some(from), to: Some(to), .. } = &difference.what {
            words.push((from.to_string(), to.to_string()));
        }
    }
    let mut lines = Vec::new();
    for (old, new) in pairs(before, after, sku).filter(|(old, new)| old.status != new.status) {
        if words.is_empty() {
            words.push((old.status.clone(), new.status.clone()));
        }
        let until = new.next_lifecycle.map(|date| format!(", until {}", gauge::day(date))).unwrap_or_default();
        lines.push(format!("the subscription {} is {} after {}{until}", new.id, new.status, old.status));
    }
    let Some((from, to)) = words.first() else { return };
    lines.extend(meaning(to).map(str::to_owned));
    let severity = match to.as_str() {
        ENABLED => Severity::Info,
        "Warning" => Severity::Warning,
        _ => Severity::Urgent,
    };
    news.tell(EventKind::StatusChanged, severity, sku, to, format!("{name}: {from} became {to}"), lines);
}

/// What Microsoft means by a status.
fn meaning(status: &str) -> Option<&'static str> {
    match status {
        "Warning" => Some("its time is over; in this grace period it still works"),
        "Suspended" => Some("it cannot be used or assigned any more, and can still be recovered"),
        "LockedOut" => Some("it was canceled"),
        "Deleted" => Some("it is gone for good"),
        _ => None,
    }
}

/// The subscriptions of a product that both readings have.
fn pairs<'a>(
    before: &'a LicenseSnapshot,
    after: &'a LicenseSnapshot,
    sku: &'a str,
) -> impl Iterator<Item = (&'a SubscriptionRow, &'a SubscriptionRow)> {
    let old = |new: &SubscriptionRow| before.subscriptions.iter().find(|old| old.id == new.id);
    after.subscriptions_of(sku).filter_map(move |new| Some((old(new)?, new)))
}

/// `bought from 25 to 30`, for the fields that are asked for.
fn lines(found: &[Difference], wanted: impl Fn(Field) -> bool) -> Vec<String> {
    let line = |difference: &Difference| {
        let What::Changed { field, plan, from, to } = &difference.what else { return None };
        if !wanted(*field) {
            return None;
        }
        let name = plan.clone().unwrap_or_else(|| field.as_str().replace('_', " "));
        let value = |value: &Option<_>| value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        Some(format!("{name} from {} to {}", value(from), value(to)))
    };
    found.iter().filter_map(line).collect()
}

fn free(sku: &SkuRow) -> String {
    match sku.free() {
        free @ ..0 => format!("over-used by {}", -free),
        free => format!("{free} free"),
    }
}

/// Tells when a product is over-used or has few seats left, and when it is no longer so.
fn seats(sku: &SkuRow, rules: &Rules, news: &mut News) {
    let (id, name, left) = (sku.sku.as_str(), &sku.name, sku.free());
    let over = left < 0;
    match news.turned(EventKind::OverUsed, id, over) {
        Some(true) => {
            let usable = sku.bought + sku.warning;
            let title = format!("{name} is over-used by {}: {} assigned, {usable} there", -left, sku.assigned);
            news.tell(EventKind::OverUsed, Severity::Warning, id, "", title, Vec::new());
        }
        Some(false) => {
            let title = format!("{name} is no longer over-used: {left} free");
            news.tell(EventKind::NoLongerOverUsed, Severity::Info, id, "", title, Vec::new());
        }
        None => {}
    }
    let least = rules.few_free_of(sku);
    match news.turned(EventKind::FewFree, id, left < least) {
        // Said already, and worse.
        Some(true) if over => {}
        Some(true) => {
            let title = format!("{name} has {left} free, fewer than {least}");
            news.tell(EventKind::FewFree, Severity::Warning, id, "", title, Vec::new());
        }
        Some(false) if !over => {
            let title = format!("{name} has {left} free again");
            news.tell(EventKind::EnoughFree, Severity::Info, id, "", title, Vec::new());
        }
        Some(false) | None => {}
    }
}

/// A subscription whose end is watched.
pub(in crate::jobs) struct Watched<'a> {
    pub(in crate::jobs) id: &'a str,
    pub(in crate::jobs) name: &'a str,
    pub(in crate::jobs) status: &'a str,
    pub(in crate::jobs) ends: Option<Timestamp>,
}

/// Tells of an end that is near: once within each of [`WARNED`]'s days, and of the nearest only.
pub(in crate::jobs) fn expiring(watched: &Watched<'_>, now: Timestamp, news: &mut News) {
    let Watched { id, name, status: ENABLED, ends: Some(ends) } = *watched else { return };
    let left = ends.duration_since(now);
    let Some(days) = WARNED.into_iter().find(|days| left <= SignedDuration::from_hours(24 * i64::from(*days))) else {
        return;
    };
    let alarm = Alarm { kind: EventKind::Expiring, subject: id.to_owned(), date: Some(ends) };
    if news.alarms.get(&alarm).is_some_and(|told| *told <= days) {
        return;
    }
    news.alarms.insert(alarm, days);
    let severity = if days <= 7 { Severity::Urgent } else { Severity::Warning };
    let title = match gauge::days_between(now, ends) {
        ..0 => format!("{name}: its last day was {}, and it is still enabled", gauge::day(ends)),
        0 => format!("{name} ends within a day, on {}", gauge::day(ends)),
        left => format!("{name} ends in {}, on {}", gauge::days(left), gauge::day(ends)),
    };
    let lines = vec!["unless it is renewed, which is for Microsoft or whoever pays for it to do".to_owned()];
    news.tell(EventKind::Expiring, severity, id, &format!("{ends}/{days}"), title, lines);
}

/// Tells of an end that is at another date than it was.
pub(in crate::jobs) fn date_moved(id: &str, name: &str, moved: &Moved, news: &mut News) {
    let title = format!(
        "{name} ends on {} instead of {} ({})",
        gauge::day(moved.to),
        gauge::day(moved.from),
        gauge::span(moved)
    );
    news.tell(EventKind::DateMoved, Severity::Info, id, &moved.to.to_string(), title, Vec::new());
}

impl News {
    /// Adds an event. `detail` tells apart what is not the same cause.
    pub(in crate::jobs) fn tell(
        &mut self,
        kind: EventKind,
        severity: Severity,
        subject: &str,
        detail: &str,
        title: String,
        lines: Vec<String>,
    ) {
        let key = if detail.is_empty() { format!("{kind}/{subject}") } else { format!("{kind}/{subject}/{detail}") };
        self.events.push(Event { kind, severity, key, subject: subject.to_owned(), title, lines });
    }

    /// Whether something turned out otherwise than it stood: `Some(true)` when it is so now, `Some(false)` when no longer.
    /// The alarm follows.
    pub(in crate::jobs) fn turned(&mut self, kind: EventKind, subject: &str, is_so: bool) -> Option<bool> {
        let alarm = Alarm { kind, subject: subject.to_owned(), date: None };
        let stood = if is_so { self.alarms.insert(alarm, 0) } else { self.alarms.remove(&alarm) };
        (stood.is_some() != is_so).then_some(is_so)
    }
}
