//! Where one job stands: which of its moments are decided, which comes next, and what is made of those that were missed.
//!
//! A moment is decided once, in the order of the schedule: it is fired when it is due, or ruled over when it was missed.
//! What is decided has a row in the ledger or is on its way there, and is not decided again, not even when a clock that
//! is set back brings it once more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

use super::catch_up::{Cause, Rule, Verdict, rule};
use super::done::Done;
use super::ledger::Rows;
use super::plan::{Entry, LATE_AFTER, Tick};
use crate::domain::moment::Disposition;
use crate::schedule::Anchor;

/// The most missed moments of a job that are recorded one by one: a week of every second. Who was away for longer, with
/// more of them, has the newest of so many seconds recorded.
const MOST: usize = 700_000;

/// How old a missed moment may be to be caught up, where nothing else is configured and its period is longer.
const WITHIN: Duration = Duration::from_hours(24);

/// A moment that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fired {
    pub(super) job: Arc<str>,
    pub(super) tick: Tick,
    /// Why it was missed, when it is made up for.
    pub(super) missed: Option<Cause>,
}

/// What a look at a job came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// For the ledger, at once.
    pub(super) rows: Vec<Rows>,
    /// To be fired now, in this order.
    pub(super) fire: Vec<Fired>,
    /// Missed moments to be fired as soon as their turn has come, before any other.
    pub(super) catch_up: Vec<Fired>,
}

/// The place of one job.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) job: Arc<str>,
    pub(super) entry: Entry,
    /// Every moment up to here is decided.
    cursor: Timestamp,
    /// The newest moments that were decided, from which a period counts.
    anchor: Anchor,
    done: Done,
    next: Option<Tick>,
    /// Moments of a schedule that was changed, which their jitter still puts off.
    left: VecDeque<Tick>,
}

impl Track {
    /// Takes a job up where its past ends.
    pub(super) fn new(entry: Entry, now: Timestamp) -> Self {
        let past = &entry.past;
        let cursor = past.last.map_or(past.since, |last| last.max(past.since)).min(whole(now));
        let mut track = Self {
            job: entry.job.as_str().into(),
            cursor,
            anchor: match past.last {
                // All runs may lie ahead; it has run all the same, and is not due at once.
                None if !past.ahead.is_empty() => Anchor::at(cursor),
                last => Anchor { last, before: past.before },
            },
            done: Done::of(past),
            next: None,
            left: VecDeque::new(),
            entry,
        };
        track.next = track.seek();
        track
    }

    /// The first look after the start of the service: what lies between the past and now was missed, and so were the
    /// moments whose run was never begun.
    pub(super) fn start(entry: Entry, now: Timestamp) -> (Self, Found) {
        let mut track = Self::new(entry, now);
        let mut missed = std::mem::take(&mut track.entry.past.unbegun);
        missed.sort_unstable();
        let found = track.decide(missed, now, Cause::Down);
        (track, found)
    }

    /// Decides all that is due at `now`; what was missed, was missed for `cause`.
    pub(super) fn look(&mut self, now: Timestamp, cause: Cause) -> Found {
        self.decide(Vec::new(), now, cause)
    }

    fn decide(&mut self, mut missed: Vec<Timestamp>, now: Timestamp, cause: Cause) -> Found {
        let mut found = Found::default();
        while let Some(tick) = self.left.pop_front_if(|tick| tick.due <= now) {
            found.fire.push(self.fired(tick, None));
        }
        let late = now.checked_sub(LATE_AFTER).unwrap_or(now);
        let unbegun = missed.len();
        while let Some(tick) = self.next.filter(|tick| tick.due <= now) {
            let before = self.anchor;
            self.cursor = tick.planned_at;
            self.anchor = before.then(tick.planned_at);
            if tick.due < late {
                missed.push(tick.planned_at);
            } else {
                self.done.add(before.last, tick.planned_at);
                found.fire.push(self.fired(tick, None));
            }
            if missed.len() - unbegun > MOST {
                missed.truncate(unbegun);
                self.skip_to_newest(now);
            }
            self.next = self.seek();
        }
        if !missed.is_empty() {
            self.make_up(&missed, now, cause, &mut found);
        }
        found
    }

    /// Rules over missed moments.
    fn make_up(&mut self, missed: &[Timestamp], now: Timestamp, cause: Cause, found: &mut Found) {
        let Entry { catch_up, ref paused, .. } = self.entry;
        let within = self.within(missed);
        let of = Rule { catch_up, within, paused: paused.as_deref(), cause };
        for Verdict { moments, disposition, reason } in rule(&of, missed, now) {
            if disposition == Disposition::CaughtUp {
                for planned_at in &moments {
                    self.done.add(None, *planned_at);
                    let tick =
                        Tick { planned_at: *planned_at, due: self.entry.due(Anchor::at(*planned_at), *planned_at) };
                    found.catch_up.push(self.fired(tick, Some(cause)));
                }
            }
            found.rows.push(Rows::of(&self.job, moments, disposition, Some(reason)));
        }
    }

    /// How old a missed moment may be: as configured, or the smaller of the gap to the next moment and a day.
    fn within(&self, missed: &[Timestamp]) -> Duration {
        self.entry.catch_up_within.unwrap_or_else(|| {
            let newest = missed.last().copied();
            let gap = |newest| self.entry.gap_after(Anchor::at(newest), newest);
            newest.and_then(gap).map_or(WITHIN, |gap| gap.min(WITHIN))
        })
    }

    /// There are too many missed moments to tell each.
    fn skip_to_newest(&mut self, now: Timestamp) {
        let span = Duration::from_secs(MOST as u64);
        self.cursor = now.checked_sub(span).unwrap_or(now).max(self.cursor);
        let (job, cursor) = (&self.job, self.cursor);
        warn!(%job, "{job} missed more moments than can be recorded; those before {cursor} are left out");
    }

    fn fired(&self, tick: Tick, missed: Option<Cause>) -> Fired {
        Fired { job: Arc::clone(&self.job), tick, missed }
    }

    /// The clock was set back to `now`: what lies ahead comes again, and what was fired of it is passed over then. Missed
    /// moments that were only recorded have not come yet by this clock, and will.
    pub(super) fn set_back(&mut self, now: Timestamp) {
        if self.cursor > now {
            self.cursor = whole(now);
            // All runs may lie ahead; it has run all the same, and is not due at once.
            let last = self.done.newest(now).or_else(|| self.anchor.last.map(|_| self.cursor));
            self.anchor = Anchor { last, before: None };
            self.next = self.seek();
        }
    }

    /// Takes over new settings. With the schedule as before, the job keeps its place; a new schedule counts from now, and a
    /// moment of the old one that its jitter puts off still comes. That one is told at once: after a kill, the ledger alone
    /// knows of it.
    pub(super) fn change(&mut self, entry: Entry, now: Timestamp) -> Vec<Rows> {
        let pending = self.next.filter(|tick| tick.planned_at <= now);
        let same = self.is_scheduled_as(&entry);
        self.entry = entry;
        if same {
            self.next = self.seek();
            if let (Some(_), Some(next)) = (pending, &mut self.next) {
                next.due = next.due.max(now); // a smaller jitter makes no moment missed
            }
            return Vec::new();
        }
        self.left.extend(pending);
        self.cursor = whole(now);
        self.anchor = pending.map_or(self.anchor, |tick| self.anchor.then(tick.planned_at));
        self.next = self.seek();
        let told = |tick: Tick| {
            let reason = "the schedule was changed while jitter put this moment off";
            Rows::of(&self.job, vec![tick.planned_at], Disposition::Ran, Some(reason.to_owned()))
        };
        pending.map(told).into_iter().collect()
    }

    /// Whether its moments are those of `entry`.
    fn is_scheduled_as(&self, entry: &Entry) -> bool {
        entry.schedule == self.entry.schedule && entry.zone == self.entry.zone
    }

    /// The job is fired no more: what is still to be recorded.
    pub(super) fn leave(self, now: Timestamp) -> Option<Rows> {
        let pending = self.next.filter(|tick| tick.planned_at <= now);
        let moments: Vec<Timestamp> = self.left.into_iter().chain(pending).map(|tick| tick.planned_at).collect();
        (!moments.is_empty()).then(|| Rows::taken_out(&self.job, moments))
    }

    /// What comes next.
    pub(super) fn next(&self) -> Option<Tick> {
        self.left.front().copied().into_iter().chain(self.next).min_by_key(|tick| tick.due)
    }

    /// The first moment that is not decided, as a tick.
    fn seek(&self) -> Option<Tick> {
        let (mut from, mut anchor) = (self.cursor, self.anchor);
        loop {
            let planned_at = self.entry.schedule.next_after(&self.entry.zone, anchor, from)?;
            match self.done.end_of(planned_at) {
                Some(end) => (from, anchor) = (end, Anchor::at(end)),
                None => return Some(Tick { planned_at, due: self.entry.due(anchor.then(planned_at), planned_at) }),
            }
        }
    }
}

impl Entry {
    /// The instant at which the job is next fired, jitter included, for whoever foretells it. What was missed is not
    /// asked about: the service makes up for it as soon as it runs.
    #[must_use]
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let mut track = Track::new(self.clone(), now);
        // Only moments of so long ago can still be put off by their jitter.
        let recent = now.checked_sub(self.jitter).ok()?.checked_sub(Duration::from_millis(1)).ok()?;
        if track.next.is_some_and(|tick| tick.due <= now) {
            track.cursor = track.cursor.max(recent);
            track.next = track.seek();
        }
        while let Some(tick) = track.next.filter(|tick| tick.due <= now) {
            (track.cursor, track.anchor) = (tick.planned_at, track.anchor.then(tick.planned_at));
            track.next = track.seek();
        }
        track.next.map(|tick| tick.due)
    }
}

/// The ledger keeps milliseconds: an instant that may become a moment has no more.
fn whole(now: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
