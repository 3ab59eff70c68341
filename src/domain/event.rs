//! What a run noticed that people may want to know: a license that appeared, a date that moved.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::run::words;

words! {
    /// What happened.
    EventKind, "kind of event", {
        /// A product that the tenant did not have before.
        Appeared => "appeared",
        Disappeared => "disappeared",
        /// Microsoft's word for a product or one of its subscriptions is another one.
        StatusChanged => "status_changed",
        /// Seats were bought, given back, assigned, freed …
        CountsChanged => "counts_changed",
        /// The state of a service plan is another one.
        PlansChanged => "plans_changed",
        OverUsed => "over_used",
        NoLongerOverUsed => "no_longer_over_used",
        FewFree => "few_free",
        EnoughFree => "enough_free",
        /// A subscription ends within 30, 14, 7 or 1 days.
        Expiring => "expiring",
        /// An enabled subscription ends at another date than before.
        DateMoved => "date_moved",
        /// The subscription that a keepalive job watches is no longer enabled.
        Expired => "expired",
        /// It is no longer among the tenant's subscriptions.
        Gone => "gone",
        /// It is enabled again, or there again.
        Back => "back",
    }
}

words! {
    /// How much an event matters.
    Severity, "severity", {
        Info => "info",
        Warning => "warning",
        /// Something ends, or has ended.
        Urgent => "urgent",
    }
}

/// One thing that a run noticed, ready to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub kind: EventKind,
    pub severity: Severity,
    /// The same for the same cause, whichever job notices it: whoever tells people can leave out the second.
    pub key: String,
    /// A product's GUID, or a subscription's id.
    pub subject: String,
    /// One line that reads alone.
    pub title: String,
    /// What there is to say beside it, a sentence or a fact each.
    pub lines: Vec<String>,
}

/// Something that was told and is not told again as long as it is so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    pub kind: EventKind,
    /// As [`Event::subject`].
    pub subject: String,
    /// The date that it is about, where there is one: about another date it is another alarm.
    pub date: Option<Timestamp>,
}

/// The alarms of a job, each with how few days before its date it was told last; 0 where that does not matter.
pub type Alarms = BTreeMap<Alarm, u32>;

/// What a run noticed, and the alarms as they stand afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    pub events: Vec<Event>,
    pub alarms: Alarms,
}
