//! Delivers what waits in the queue: in order on each channel, channels side by side.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::domain::notice::{Event, On, Phase};
use crate::history::error::HistoryError;
use crate::history::notices::{Remembered, Standing, Telling, Told};
use crate::history::outbox::{Attempt, Notice};
use crate::notices::compose;
use crate::notices::decide::{Stands, Verdict, tick};
use crate::notices::digest;
use crate::notices::events;
use crate::notices::office::{ATTEMPT, Notices};
use crate::notices::retry::{Next, is_of_use, next_try};
use crate::notices::rules::Book;

/// Channels that are served at the same time.
const AT_ONCE: usize = 8;
/// How often the clock is looked at where nothing else happens: reminders, digests, and what other processes queued.
const TICK: Duration = Duration::from_secs(30);
/// How long a process that took a notice in hand keeps it when nothing is heard of it. Longer than an attempt can take.
const CLAIM: SignedDuration = SignedDuration::from_secs(2 * 60);

/// What a round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    pub delivered: usize,
    pub failed: usize,
}

/// How long the last round may take, when the service leaves.
const LAST_ROUND: Duration = Duration::from_secs(2);

/// Delivers until `stop`, by the rules and channels that `current` gives at the time; then what came of the last runs, as far
/// as that is quick.
pub async fn serve(current: impl Fn() -> Notices + Send, stop: CancellationToken) {
    let mut told_for = None;
    loop {
        let leaves = stop.is_cancelled();
        let notices = current();
        let round = async {
            if told_for.as_ref().is_none_or(|book| !std::sync::Arc::ptr_eq(book, &notices.book)) {
                notices.begin().await?;
                told_for = Some(std::sync::Arc::clone(&notices.book));
            }
            if notices.book.is_empty() {
                return Ok(None);
            }
            notices.tend().await?;
            notices.deliver().await?;
            notices.history.next_notice().await
        };
        let too_late = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_ROUND).await;
        };
        // What is cut off is in the queue, and is sent again by the next one.
        let next = tokio::select! {
            next = round => next,
            () = too_late => return,
        };
        let wait = notices.wait(next);
        if leaves {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = notices.shared.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Notices {
    /// How long until the next round. Trouble with the queue is logged once.
    fn wait(&self, next: Result<Option<Timestamp>, HistoryError>) -> Duration {
        let mut failed = self.shared.queue_failed.lock().unwrap_or_else(PoisonError::into_inner);
        match next {
            Ok(next) => {
                if std::mem::take(&mut *failed) {
                    info!("the queue of notices can be used again");
                }
                let until = next.map(|next| next.duration_since(self.clock.now()));
                let until = until.map_or(TICK, |until| Duration::try_from(until).unwrap_or_default());
                until.clamp(Duration::from_millis(100), TICK)
            }
            Err(problem) => {
                if !std::mem::replace(&mut *failed, true) {
                    error!(error = &problem as &dyn std::error::Error, "the queue of notices cannot be used");
                }
                TICK
            }
        }
    }

    /// The first round under a configuration: what it does not name any more is forgotten, and what waits is tried now.
    async fn begin(&self) -> Result<(), HistoryError> {
        let now = self.clock.now();
        let channels: Vec<&str> = self.book.channels.keys().map(String::as_str).collect();
        let jobs: Vec<&str> = self.book.jobs.keys().map(String::as_str).collect();
        self.history.keep_notices_of(&channels, &jobs, now).await?;
        self.history.hurry_notices(now).await?;
        Ok(())
    }

    /// What the clock brings: reminders, ends of what passed, digests.
    async fn tend(&self) -> Result<(), HistoryError> {
        let now = self.clock.now();
        let standings = self.history.standings().await?;
        // Read first, as hardly ever anything is due; then decided again where it is written.
        if ticks(&self.book, &Remembered { standings, ..Remembered::default() }, now) != Told::default() {
            let book = std::sync::Arc::clone(&self.book);
            let decide = move |remembered: &Remembered| ticks(&book, remembered, now);
            self.history.tell(&Telling::new(now, Vec::new(), None, decide)).await?;
        }
        let standings = self.history.standings().await?;
        let known = self.history.identities().await?;
        let configured = known.iter().filter(|known| self.book.identities.get(&known.name) == Some(&known.who));
        for event in configured.filter_map(events::identity) {
            if is_news(&self.book, &standings, &event) {
                self.tell(event).await;
            }
        }
        for (channel, rules) in &self.book.channels {
            let gathers = rules.on == On::Digest
                || self.book.jobs.keys().any(|job| self.book.on(channel, Some(job)) == On::Digest);
            if !gathers {
                continue;
            }
            let Some(told_to) = self.history.digest_told_to(channel).await? else {
                self.history.begin_digest(channel, now).await?;
                continue;
            };
            let Some(due) = digest::due(told_to, rules.digest, &self.book.zone, now) else { continue };
            let compose = |items: Vec<_>, standings: Vec<_>| {
                compose::digest(channel, (told_to, due), &items, &standings, &self.book.zone)
            };
            self.history.take_digest(channel, told_to, due, compose).await?;
        }
        Ok(())
    }

    /// All that the clock brings and all that is due, once: for a process that does not stay, where no service does it.
    ///
    /// # Errors
    ///
    /// The queue cannot be used. What became of each notice is in the history.
    pub async fn attend(&self) -> Result<Delivered, HistoryError> {
        if self.book.is_empty() {
            return Ok(Delivered::default());
        }
        self.tend().await?;
        self.deliver().await
    }

    /// Delivers what is due, in order on each channel. A channel that is slow holds up nothing but itself: what is due, or
    /// becomes due meanwhile, on another one is delivered beside it.
    async fn deliver(&self) -> Result<Delivered, HistoryError> {
        let (mut all, mut at_work) = (Delivered::default(), FuturesUnordered::new());
        // Channels on which a notice is on its way, or that another process is at.
        let mut taken: BTreeSet<String> = BTreeSet::new();
        loop {
            for notice in self.history.due_notices(self.clock.now(), 1).await? {
                let known = self.channels.contains_key(&notice.channel);
                if known && at_work.len() < AT_ONCE && taken.insert(notice.channel.clone()) {
                    at_work.push(async move { (notice.channel.clone(), self.deliver_one(notice).await) });
                }
            }
            let woken = self.shared.wake.notified();
            tokio::select! {
                ended = at_work.next() => {
                    let Some((channel, delivered)) = ended else { return Ok(all) };
                    if let Some(delivered) = delivered? {
                        taken.remove(&channel);
                        all.delivered += delivered.delivered;
                        all.failed += delivered.failed;
                    }
                }
                () = woken => {}
            }
        }
    }

    /// Tries one notice; `None` when another process is at it.
    async fn deliver_one(&self, notice: Notice) -> Result<Option<Delivered>, HistoryError> {
        let now = self.clock.now();
        let until = now.checked_add(CLAIM).unwrap_or(Timestamp::MAX);
        if !self.history.claim_notice(notice.id, now, until).await? {
            return Ok(None);
        }
        let attempt = self.judged(&notice).await;
        self.history.settle_notice(&notice, &attempt, self.clock.now()).await?;
        Ok(Some(match attempt {
            Attempt::Delivered => Delivered { delivered: 1, failed: 0 },
            Attempt::Later { .. } | Attempt::GivenUp { .. } | Attempt::TooOld => Delivered { delivered: 0, failed: 1 },
        }))
    }

    /// One attempt, and what comes of it.
    async fn judged(&self, notice: &Notice) -> Attempt {
        let Some(transport) = self.channels.get(&notice.channel) else {
            return Attempt::GivenUp { problem: "its channel is not configured any more".to_owned(), hint: None };
        };
        let (channel, id) = (&notice.channel, notice.uid.as_str());
        if !is_of_use(notice.tone, notice.made_at, self.clock.now()) {
            warn!(%channel, id, "a notice for {channel} is too old to be of use, and is not sent");
            return Attempt::TooOld;
        }
        debug_assert!(Duration::try_from(CLAIM).is_ok_and(|claim| claim > ATTEMPT));
        let undelivered = match self.attempt(transport, notice).await {
            Ok(()) => {
                debug!(%channel, id, tone = %notice.tone, "a notice was delivered to {channel}");
                return Attempt::Delivered;
            }
            Err(undelivered) => undelivered,
        };
        let crate::notices::Undelivered { problem, hint, asked, this_one_alone } = undelivered;
        let (made_at, before, jitter) = (notice.made_at, notice.attempts, fastrand::f64());
        match next_try(notice.tone, made_at, before, asked, jitter, self.clock.now()) {
            Next::At(at) => {
                if before == 0 {
                    warn!(%channel, id, hint, "a notice did not reach {channel}, and is tried again: {problem}");
                }
                Attempt::Later { at, others: !this_one_alone, problem, hint }
            }
            Next::GiveUp => {
                error!(%channel, id, hint, "a notice did not reach {channel}, and is given up: {problem}");
                Attempt::GivenUp { problem, hint }
            }
        }
    }
}

/// Whether somebody who listens does not know of it yet.
fn is_news(book: &Book, standings: &[Standing], event: &Event) -> bool {
    let key = event.trouble();
    book.listeners(event.job.as_deref()).any(|(channel, ..)| {
        let stands = standings.iter().find(|standing| standing.channel == channel && standing.key == key);
        match &event.phase {
            Phase::Trouble { cause, .. } => stands.is_none_or(|stands| stands.cause != *cause),
            Phase::Over => stands.is_some(),
            Phase::News => true,
        }
    })
}

/// What the clock brings for all that stands.
fn ticks(book: &Book, remembered: &Remembered, now: Timestamp) -> Told {
    let mut told = Told::default();
    for standing in &remembered.standings {
        let Some(rules) = book.channels.get(&standing.channel) else { continue };
        // An identity that the configuration does not have any more is nobody's trouble.
        if events::identity_of(&standing.key)
            .is_some_and(|name| !book.identities.keys().any(|own| own.as_str() == name))
        {
            told.over.push((standing.channel.clone(), standing.key.clone()));
            continue;
        }
        let on = book.on(&standing.channel, standing.job.as_deref());
        let Verdict { stands, tell, .. } = tick(standing, (rules, on), now);
        match stands {
            Stands::Unchanged => {}
            Stands::Now(reminded) => told.standings.push(*reminded),
            Stands::Over => told.over.push((standing.channel.clone(), standing.key.clone())),
        }
        if tell.is_some() {
            told.notices.push(compose::reminder(standing, &book.zone, now));
        }
    }
    told
}
