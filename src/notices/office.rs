//! Decides what each channel is told, and writes it into the queue; or, where that cannot be written, tells it at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::domain::causes::chain;
use crate::domain::moment::Moment;
use crate::domain::notice::{Event, NoticeState, On, Tone};
use crate::domain::run::{Outcome, RunId, Trigger};
use crate::history::History;
use crate::history::error::HistoryError;
use crate::history::notices::{DigestItem, Lately, NewNotice, Remembered, Standing, Telling, Told};
use crate::history::outbox::Notice;
use crate::history::runs::Closing;
use crate::http::Client;
use crate::notices::channel::{Transport, Undelivered};
use crate::notices::compose;
use crate::notices::decide::{Stands, Verdict, decide, rise};
use crate::notices::events::{self, Ended};
use crate::notices::render::Origin;
use crate::notices::rules::Book;

/// Who tells people. Clones are the same one.
#[derive(Clone)]
pub struct Notices {
    pub(super) book: Arc<Book>,
    pub(super) channels: Arc<BTreeMap<String, Transport>>,
    pub(super) history: History,
    pub(super) http: Client,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) origin: Arc<Origin>,
    pub(super) shared: Arc<Shared>,
}

/// What outlives a reload.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Something waits to be delivered.
    pub(super) wake: Notify,
    /// What is told past the history.
    direct: TaskTracker,
    /// What is wrong with the history, as each channel knows it.
    unwritten: Mutex<BTreeMap<String, Standing>>,
    /// What the log knows of the queue's own trouble.
    pub(super) queue_failed: Mutex<bool>,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").field("channels", &self.channels.keys()).finish_non_exhaustive()
    }
}

/// A test notice was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    #[error("there is no channel `{name}` in the configuration{}", suggestion(near.as_deref()))]
    NoChannel { name: String, near: Option<String> },
    #[error("the channel `{channel}` did not take the test")]
    Undelivered {
        channel: String,
        #[source]
        source: Undelivered,
    },
}

fn suggestion(near: Option<&str>) -> String {
    near.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

/// How often what is told past the history is tried, and the wait before the next try.
const DIRECT_TRIES: u32 = 3;
const DIRECT_WAIT: Duration = Duration::from_secs(2);

/// How long a test may take: somebody waits for it.
const TEST: Duration = Duration::from_secs(20);

/// How long one attempt may take, whatever a channel does.
pub(super) const ATTEMPT: Duration = Duration::from_mins(1);

impl Notices {
    /// Tells by `book` on `channels`, which have the same names. With a `before`, it takes the place of that one.
    #[must_use]
    pub fn new(
        book: Book,
        channels: BTreeMap<String, Transport>,
        (history, http, clock): (History, Client, Arc<dyn Clock>),
        origin: Origin,
        before: Option<&Self>,
    ) -> Self {
        let shared = before.map(|before| Arc::clone(&before.shared)).unwrap_or_default();
        let (book, channels, origin) = (Arc::new(book), Arc::new(channels), Arc::new(origin));
        Self { book, channels, history, http, clock, origin, shared }
    }

    /// Nobody listens.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn silent(history: History, clock: Arc<dyn Clock>) -> Self {
        let http = Client::new(crate::http::ClientSettings::default(), Arc::clone(&clock));
        let book = Book {
            channels: BTreeMap::new(),
            jobs: BTreeMap::new(),
            identities: BTreeMap::new(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let origin = Origin { host: String::new(), tenant: String::new() };
        Self::new(book, BTreeMap::new(), (history, http, clock), origin, None)
    }

    /// What is to be written together with the end of a run. `None` when nobody listens, or there is nothing to tell.
    #[must_use]
    pub fn of_run(&self, ended: Ended) -> Option<Telling> {
        if self.book.is_empty() {
            return None;
        }
        let rules = self.book.jobs.get(&ended.job);
        let alert = rules.and_then(|rules| rules.unresolved_alert).zip(ended.unresolved);
        let events: Vec<Event> = ended.event().into_iter().chain(ended.found.iter().cloned()).collect();
        if events.is_empty() && alert.is_none() {
            return None;
        }
        let (book, now) = (Arc::clone(&self.book), self.clock.now());
        let mut keys: Vec<String> = events.iter().map(Event::trouble).collect();
        keys.push(format!("unresolved:{}", ended.job));
        let job = Some(ended.job.clone());
        Some(Telling::new(now, keys, job, move |remembered| {
            let mut told = Told { notices: pings(&book, &ended, now), ..Told::default() };
            for event in &events {
                add(&book, event, remembered, &mut told, now);
            }
            if let Some((points, share)) = alert {
                let (lowest, rose) = rise(remembered.share, share, points);
                told.share = Some(lowest);
                if let Some(rose) = rose {
                    add(&book, &ended.rise(share, rose), remembered, &mut told, now);
                }
            }
            told
        }))
    }

    /// The same for a run of `job` whose end somebody kept who did not live to write it.
    #[must_use]
    pub async fn of_kept(&self, job: &str, end: &Closing) -> Option<Telling> {
        let row = self.history.run(&end.run).await.ok().flatten()?;
        if !speaks(row.trigger) {
            return None;
        }
        let said = (end.reason.clone(), end.message.clone().unwrap_or_default(), end.hint.clone());
        self.of_run(Ended::plain(job.to_owned(), end.run.clone(), end.outcome, said))
    }

    /// Tells the dead-man's switches that a run begins.
    pub async fn run_begins(&self, job: &str, run: &RunId) {
        let channels: Vec<String> = self.book.pings(job).map(str::to_owned).collect();
        if channels.is_empty() {
            return;
        }
        let (job, run, now) = (job.to_owned(), run.clone(), self.clock.now());
        let telling = Telling::new(now, vec![format!("ping:{job}")], None, move |_| {
            let ping = |channel: &String| compose::ping(channel, &job, &run, Tone::Start, "began", now);
            Told { notices: channels.iter().map(ping).collect(), ..Told::default() }
        });
        self.write(&telling, "the beginning of a run").await;
    }

    /// Tells of a run that somebody else left behind, and that was closed just now.
    pub async fn run_was_closed(&self, run: &RunId) {
        if self.book.is_empty() {
            return;
        }
        let Ok(Some(row)) = self.history.run(run).await else { return };
        let Some(outcome) = row.outcome.filter(|_| speaks(row.trigger)) else { return };
        let said = (row.reason, row.message.unwrap_or_default(), row.hint);
        if let Some(telling) = self.of_run(Ended::plain(row.job, row.id, outcome, said)) {
            self.write(&telling, "the end of a run").await;
        }
    }

    /// Tells of anything.
    pub async fn tell(&self, event: Event) {
        if self.book.is_empty() {
            return;
        }
        let (book, now) = (Arc::clone(&self.book), self.clock.now());
        let telling = Telling::new(now, vec![event.trouble()], None, move |remembered| {
            let mut told = Told::default();
            add(&book, &event, remembered, &mut told, now);
            told
        });
        self.write(&telling, "an event").await;
    }

    /// Tells of scheduled moments, as the ledger has them, at which a job did not run.
    pub async fn moments(&self, moments: &[Moment]) {
        for event in events::moments_missed(moments) {
            self.tell(event).await;
        }
    }

    async fn write(&self, telling: &Telling, what: &str) {
        match self.history.tell(telling).await {
            Ok(0) => {}
            Ok(_) => self.wake(),
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "{what} could not be put into the queue of notices");
                self.unwritten(None, &format!("What was to be told waits for it: {what}."), &error);
            }
        }
    }

    /// Has the queue looked at.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// The history cannot be written: told straight away, past it, once and then as each channel is reminded.
    pub fn unwritten(&self, job: Option<&str>, what: &str, error: &HistoryError) {
        let problem = chain(error);
        self.direct(&events::history_unwritten(job, what, &problem, error.hint()));
    }

    /// The same, where the cause is told as text.
    pub fn unwritten_because(&self, job: Option<&str>, what: &str, problem: &str, hint: Option<&str>) {
        self.direct(&events::history_unwritten(job, what, problem, hint));
    }

    /// The history was written: told, where it was told before that it could not be.
    pub fn written(&self) {
        if !self.standing_unwritten().is_empty() {
            self.direct(&events::history_written());
        }
    }

    fn standing_unwritten(&self) -> MutexGuard<'_, BTreeMap<String, Standing>> {
        // A panic elsewhere leaves the map whole: no entry is half made.
        self.shared.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides as ever, by what this process remembers, and sends at once.
    fn direct(&self, event: &Event) {
        let now = self.clock.now();
        let mut standings = self.standing_unwritten();
        for (channel, rules, on) in self.book.listeners(event.job.as_deref()) {
            // What could be gathered for a digest cannot be kept.
            let on = if on == On::Digest { On::Failure } else { on };
            let before = standings.get(channel).cloned();
            let Verdict { stands, tell, .. } = decide(before.as_ref(), event, (channel, rules, on), now);
            match stands {
                Stands::Unchanged => {}
                Stands::Now(standing) => drop(standings.insert(channel.to_owned(), *standing)),
                Stands::Over => drop(standings.remove(channel)),
            }
            let Some(tone) = tell else { continue };
            let notice = compose::of_event(event, tone, before.as_ref(), (channel, rules.kind), &self.book.zone, now);
            self.shared.direct.spawn(self.clone().send_directly(loose(notice)));
        }
    }

    async fn send_directly(self, notice: Notice) {
        let Some(transport) = self.channels.get(&notice.channel) else { return };
        for attempt in 1..=DIRECT_TRIES {
            match self.attempt(transport, &notice).await {
                Ok(()) => return info!(channel = notice.channel, "told {} past the history", notice.channel),
                Err(undelivered) if attempt == DIRECT_TRIES => {
                    warn!(
                        channel = notice.channel,
                        hint = undelivered.hint,
                        "a notice did not reach {} and cannot be kept: {undelivered}",
                        notice.channel
                    );
                }
                Err(_) => tokio::time::sleep(DIRECT_WAIT).await,
            }
        }
    }

    /// Waits until what is told past the history was sent, or given up, but no longer than so.
    pub async fn told(&self, limit: Duration) {
        self.shared.direct.close();
        let _ = tokio::time::timeout(limit, self.shared.direct.wait()).await;
        self.shared.direct.reopen();
    }

    /// One attempt, bounded.
    pub(super) async fn attempt(&self, transport: &Transport, notice: &Notice) -> Result<(), Undelivered> {
        let sent = transport.send(&self.http, notice, &self.origin, self.clock.now());
        tokio::time::timeout(ATTEMPT, sent)
            .await
            .unwrap_or_else(|_| Err(Undelivered::new(format!("no answer within {} seconds", ATTEMPT.as_secs()), None)))
    }

    /// Sends a test on a channel, at once. What is worth knowing of its arrival comes back.
    ///
    /// # Errors
    ///
    /// [`TestError::NoChannel`], and [`TestError::Undelivered`] with the cause.
    pub async fn test(&self, channel: &str, caller: &str) -> Result<Option<&'static str>, TestError> {
        let Some(transport) = self.channels.get(channel) else {
            let near = self.channels.keys().map(|name| (strsim::jaro_winkler(name, channel), name));
            let near = near.filter(|(likeness, _)| *likeness > 0.7).max_by(|a, b| a.0.total_cmp(&b.0));
            return Err(TestError::NoChannel { name: channel.to_owned(), near: near.map(|(_, name)| name.clone()) });
        };
        // A switch that waits for runs is not made to believe that one failed.
        let tone = if matches!(transport, Transport::Ping { .. }) { Tone::Success } else { Tone::News };
        let notice = loose(compose::test(channel, tone, caller, self.clock.now()));
        let late = || Err(Undelivered::new(format!("no answer within {} seconds", TEST.as_secs()), None));
        match tokio::time::timeout(TEST, self.attempt(transport, &notice)).await.unwrap_or_else(|_| late()) {
            Ok(()) => {
                if let Err(problem) = self.history.channel_works(channel, self.clock.now()).await {
                    warn!(error = &problem as &dyn std::error::Error, "that {channel} works again could not be noted");
                }
                self.shared.wake.notify_one();
                Ok(transport.taken())
            }
            Err(source) => Err(TestError::Undelivered { channel: channel.to_owned(), source }),
        }
    }
}

impl TestError {
    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NoChannel { .. } => Some("channels are the tables `[notices.NAME]` of the configuration"),
            Self::Undelivered { source, .. } => source.hint.as_deref(),
        }
    }
}

/// Adds what an event means for every channel.
fn add(book: &Book, event: &Event, remembered: &Remembered, told: &mut Told, now: Timestamp) {
    let key = event.trouble();
    for (channel, rules, on) in book.listeners(event.job.as_deref()) {
        let before = remembered.of(channel, &key);
        let Verdict { stands, tell, gather } = decide(before, event, (channel, rules, on), now);
        match stands {
            Stands::Unchanged => {}
            Stands::Now(standing) => told.standings.push(*standing),
            Stands::Over => told.over.push((channel.to_owned(), key.clone())),
        }
        told.over.extend(event.closes.iter().map(|moot| (channel.to_owned(), moot.clone())));
        // What another job told already is no news.
        let known = |lately: &Lately| lately.channel == channel && lately.key == key && lately.job != event.job;
        let tell = tell.filter(|tone| *tone != Tone::News || !remembered.lately.iter().any(known));
        if let Some(tone) = tell {
            told.notices.push(compose::of_event(event, tone, before, (channel, rules.kind), &book.zone, now));
        }
        if gather {
            let (channel, job, title) = (channel.to_owned(), event.job.clone(), event.title.clone());
            told.items.push(DigestItem { channel, at: now, job, severity: event.severity, title });
        }
    }
}

/// Whether a run speaks for its job. A plan that somebody looked at, an approval and an undoing do not: they say nothing of
/// how the next run will end.
const fn speaks(trigger: Trigger) -> bool {
    matches!(trigger, Trigger::Schedule | Trigger::Startup | Trigger::Manual)
}

/// The pings of a run's end. One that somebody stopped, or that never was, is no word from the job.
fn pings(book: &Book, ended: &Ended, now: Timestamp) -> Vec<NewNotice> {
    let Some(event) = ended.event() else { return Vec::new() };
    let tone = match ended.outcome {
        Outcome::Succeeded | Outcome::Planned => Tone::Success,
        Outcome::Interrupted if ended.reason.as_deref() == Some("stopped") => return Vec::new(),
        _ => Tone::Fail,
    };
    let said = event.title.strip_prefix(&ended.job).unwrap_or(&event.title).trim();
    book.pings(&ended.job).map(|channel| compose::ping(channel, &ended.job, &ended.run, tone, said, now)).collect()
}

/// A notice that is in no queue.
fn loose(new: NewNotice) -> Notice {
    let NewNotice { uid, channel, job, run, kind, key: _, tone, severity, title, lines, outputs, made_at } = new;
    Notice {
        id: 0,
        uid,
        channel,
        job,
        run,
        kind,
        tone,
        severity,
        title,
        lines,
        outputs,
        made_at,
        next_try: made_at,
        attempts: 0,
        state: NoticeState::Waiting,
        settled_at: None,
        problem: None,
        hint: None,
    }
}
