//! The pen of the ledger: moments are written one list after the other, in the order in which they were told, by a task
//! of its own. A slow database then delays neither the schedules nor the watchdog, and one that cannot be written at all
//! (locked, full) loses no row: what is told waits here and is tried again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{error, info};

use super::StoreSchedules;
use crate::domain::moment::{Disposition, Moment};
use crate::domain::run::RunId;

/// The most rows that are written at once: some 100 bytes each, and a few milliseconds of the database.
const LIST: usize = 5000;

/// After how long a list that could not be written is tried again, at first.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest such wait; each is twice the one before.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The longest while somebody waits for the rows, such as a run that is to begin.
const LONGEST_AWAITED: Duration = Duration::from_secs(5);

/// Moments of one job of which the same is to be said. A week of every second is one of them, and small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) job: Arc<str>,
    pub(super) moments: Vec<Timestamp>,
    pub(super) disposition: Disposition,
    pub(super) run: Option<RunId>,
    pub(super) reason: Option<String>,
}

impl Rows {
    pub(super) fn of(
        job: &Arc<str>,
        moments: Vec<Timestamp>,
        disposition: Disposition,
        reason: Option<String>,
    ) -> Self {
        Self { job: Arc::clone(job), moments, disposition, run: None, reason }
    }

    pub(super) fn one(job: &Arc<str>, planned_at: Timestamp, disposition: Disposition, reason: Option<String>) -> Self {
        Self::of(job, vec![planned_at], disposition, reason)
    }

    /// Moments that came, and whose job left before they were fired.
    pub(super) fn taken_out(job: &Arc<str>, moments: Vec<Timestamp>) -> Self {
        Self::of(job, moments, Disposition::Skipped, Some("the job was taken out of the configuration".to_owned()))
    }

    fn row(&self, planned_at: Timestamp) -> Moment {
        Moment {
            job: self.job.to_string(),
            planned_at,
            disposition: self.disposition,
            run: self.run.clone(),
            reason: self.reason.clone(),
        }
    }
}

#[derive(Debug)]
enum Line {
    Rows(Rows),
    /// Schedules that are in force since then. What was told before was decided by others.
    Schedules(Timestamp, StoreSchedules),
    /// Answered when everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// Where moments are told. Clones write into the same ledger.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    // Unbounded on purpose: what the database does not take must wait somewhere, and moments come no faster than schedules.
    lines: mpsc::UnboundedSender<Line>,
    unwritten: Arc<AtomicUsize>,
}

impl Ledger {
    /// Starts the task that hands lists to `record` and awaits it.
    pub(super) fn open<L, F>(record: L) -> Self
    where
        L: Fn(Vec<Moment>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self::open_with(record, FIRST_WAIT)
    }

    fn open_with<L, F>(record: L, first_wait: Duration) -> Self
    where
        L: Fn(Vec<Moment>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let (lines, told) = mpsc::unbounded_channel();
        let unwritten = Arc::new(AtomicUsize::new(0));
        let pen = Pen {
            record: Arc::new(record),
            first_wait,
            told,
            queue: VecDeque::new(),
            in_hand: Vec::new(),
            schedules: None,
            unwritten: Arc::clone(&unwritten),
        };
        tokio::spawn(pen.write());
        Self { lines, unwritten }
    }

    /// A ledger that a test reads, instead of a task: lists of rows, and between them, as an error, since when others are
    /// in force.
    #[cfg(test)]
    pub(super) fn to_read() -> (Self, impl FnMut() -> Vec<Result<Rows, Timestamp>>) {
        let (lines, mut told) = mpsc::unbounded_channel();
        let read = move || {
            let lines = std::iter::from_fn(|| told.try_recv().ok());
            let line = |line| match line {
                Line::Rows(rows) => Some(Ok(rows)),
                Line::Schedules(since, _) => Some(Err(since)),
                Line::Flush(_) => None,
            };
            lines.filter_map(line).collect()
        };
        (Self { lines, unwritten: Arc::default() }, read)
    }

    /// Has `rows` written soon.
    pub(super) fn tell(&self, rows: Rows) {
        self.unwritten.fetch_add(rows.moments.len(), Ordering::Relaxed);
        if self.lines.send(Line::Rows(rows)).is_err() {
            error!("scheduled moments were not recorded: the ledger is closed");
        }
    }

    /// Has schedules stored that are in force since then, once everything told before is written.
    pub(super) fn tell_schedules(&self, since: Timestamp, store: StoreSchedules) {
        if self.lines.send(Line::Schedules(since, store)).is_err() {
            error!("schedules were not stored: the ledger is closed");
        }
    }

    /// How many rows are still to be written.
    pub(super) fn unwritten(&self) -> usize {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// Has everything told before this call written, at once if the pen rests, and is over when it is: whenever the future
    /// is polled. False when the ledger is closed.
    pub(super) fn written(&self) -> impl Future<Output = bool> + Send + use<> {
        let (done, written) = oneshot::channel();
        // A closed ledger drops the line, and the wait is over.
        let _ = self.lines.send(Line::Flush(done));
        async move { written.await.is_ok() }
    }

    /// Waits until everything told so far is written, for at most `patience`. False when that was not enough.
    pub(super) async fn flush(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.written()).await.unwrap_or(false)
    }
}

/// What the writing task holds.
struct Pen<L> {
    record: Arc<L>,
    first_wait: Duration,
    told: mpsc::UnboundedReceiver<Line>,
    queue: VecDeque<Line>,
    /// The list that is being written.
    in_hand: Vec<Moment>,
    /// What is being stored, while the hand is empty.
    schedules: Option<(Timestamp, StoreSchedules)>,
    unwritten: Arc<AtomicUsize>,
}

impl<L, F> Pen<L>
where
    L: Fn(Vec<Moment>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    async fn write(mut self) {
        let mut failures = 0;
        loop {
            self.take_list();
            if self.in_hand.is_empty() && self.schedules.is_none() {
                let Some(line) = self.told.recv().await else { return };
                self.queue.push_back(line);
                continue;
            }
            match self.attempt().await {
                Ok(()) => {
                    self.unwritten.fetch_sub(self.in_hand.len(), Ordering::Relaxed);
                    if failures > 0 {
                        info!("the ledger is written again");
                    }
                    self.in_hand.clear();
                    self.schedules = None;
                    failures = 0;
                }
                Err(failure) => {
                    let unwritten = self.unwritten.load(Ordering::Relaxed);
                    let wait = wait(self.first_wait, failures, self.is_awaited());
                    let retry_s = wait.as_secs();
                    let what = if self.schedules.is_some() { "new schedules" } else { "scheduled moments" };
                    error!(unwritten, retry_s, "{what} were not recorded and are kept: {failure}");
                    if !self.rest(wait).await {
                        return;
                    }
                    failures += 1;
                }
            }
        }
    }

    /// Fills the hand with the rows that come first, and answers who waited for those before them.
    fn take_list(&mut self) {
        while let Ok(line) = self.told.try_recv() {
            self.queue.push_back(line);
        }
        while self.in_hand.len() < LIST && self.schedules.is_none() {
            match self.queue.pop_front() {
                Some(Line::Rows(mut rows)) => {
                    let later = rows.moments.split_off(rows.moments.len().min(LIST - self.in_hand.len()));
                    self.in_hand.extend(rows.moments.iter().map(|planned_at| rows.row(*planned_at)));
                    if !later.is_empty() {
                        self.queue.push_front(Line::Rows(Rows { moments: later, ..rows }));
                    }
                }
                Some(Line::Schedules(since, store)) if self.in_hand.is_empty() => self.schedules = Some((since, store)),
                Some(Line::Flush(done)) if self.in_hand.is_empty() => {
                    // Whoever asked may have lost patience.
                    let _ = done.send(());
                }
                Some(later @ (Line::Schedules(..) | Line::Flush(_))) => return self.queue.push_front(later),
                None => return,
            }
        }
    }

    /// Whether somebody waits for rows, and has not lost patience.
    fn is_awaited(&self) -> bool {
        self.queue.iter().any(|line| matches!(line, Line::Flush(done) if !done.is_closed()))
    }

    /// In a task of its own: a panic is a failure like another.
    async fn attempt(&self) -> Result<(), String> {
        let task = if let Some((since, store)) = &self.schedules {
            tokio::spawn(store.store(*since))
        } else {
            let (record, list) = (Arc::clone(&self.record), self.in_hand.clone());
            tokio::spawn(async move { record(list).await })
        };
        task.await.unwrap_or_else(|panic| Err(panic.to_string()))
    }

    /// Waits before the next attempt, unless somebody waits for that. False when nobody is left who could tell or wait.
    async fn rest(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                line = self.told.recv() => match line {
                    Some(line) => {
                        let urgent = matches!(line, Line::Flush(_));
                        self.queue.push_back(line);
                        if urgent {
                            return true;
                        }
                    }
                    None => return false,
                },
                () = tokio::time::sleep_until(until) => return true,
            }
        }
    }
}

/// How long to wait after one more failure than so many.
fn wait(first: Duration, failures: u32, is_awaited: bool) -> Duration {
    let longest = if is_awaited { LONGEST_AWAITED } else { LONGEST_WAIT };
    first.saturating_mul(2_u32.saturating_pow(failures)).min(longest)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::testing::soon;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn rows(seconds: impl IntoIterator<Item = i64>) -> Rows {
        let moments = seconds.into_iter().map(at).collect();
        Rows::of(&"managers".into(), moments, Disposition::Ran, None)
    }

    #[tokio::test]
    async fn rows_are_written_in_the_order_told_however_often_that_fails() {
        let (tell, mut written) = mpsc::unbounded_channel();
        let failures = Mutex::new(9);
        let record = move |moments: Vec<Moment>| {
            let mut left = failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let fails = *left > 0;
            if fails {
                *left -= 1;
                assert!(*left != 4, "the panic of this test");
            } else {
                for moment in &moments {
                    tell.send(moment.planned_at.as_second()).unwrap();
                }
            }
            async move { if fails { Err("database is locked".to_owned()) } else { Ok(()) } }
        };
        let ledger = Ledger::open_with(record, Duration::from_micros(10));
        (1..=4).for_each(|second| ledger.tell(rows([second])));
        let mut seconds = Vec::new();
        for _ in 1..=4 {
            seconds.push(soon(&mut written).await);
        }
        assert_eq!(seconds, [1, 2, 3, 4]);
        assert!(ledger.flush(Duration::from_secs(5)).await);
        assert_eq!(ledger.unwritten(), 0);
    }

    #[test]
    fn what_was_not_written_is_tried_again_ever_more_seldom() {
        let waits =
            |is_awaited| [0, 1, 2, 3, 5, 6, 40].map(|failures| wait(FIRST_WAIT, failures, is_awaited).as_secs());
        assert_eq!(waits(false), [1, 2, 4, 8, 32, 60, 60]);
        assert_eq!(
            waits(true),
            [1, 2, 4, 5, 5, 5, 5],
            "whoever waits for the rows does not wait long for a mended database"
        );
    }

    #[tokio::test]
    async fn schedules_are_stored_between_the_rows_of_those_before_and_their_own() {
        let (tell, mut written) = mpsc::unbounded_channel();
        let (rows_told, fails) = (tell.clone(), Arc::new(AtomicUsize::new(2)));
        let record = move |moments: Vec<Moment>| {
            rows_told.send(moments.len()).unwrap();
            std::future::ready(Ok(()))
        };
        let store = StoreSchedules::new(move |since| {
            let fail = fails.load(Ordering::Relaxed) > 0 && fails.fetch_sub(1, Ordering::Relaxed) > 0;
            tell.send(if fail { 0 } else { usize::try_from(since.as_second()).unwrap() }).unwrap();
            std::future::ready(if fail { Err("disk is full".to_owned()) } else { Ok(()) })
        });
        let ledger = Ledger::open_with(record, Duration::from_micros(10));
        ledger.tell(rows(0..3));
        ledger.tell_schedules(at(77), store);
        ledger.tell(rows(3..5));
        assert!(ledger.flush(Duration::from_secs(5)).await);
        let told: Vec<usize> = std::iter::from_fn(|| written.try_recv().ok()).collect();
        assert_eq!(told, [3, 0, 0, 77, 2], "and nothing overtakes what could not be stored");
    }

    #[tokio::test]
    async fn a_long_absence_is_written_in_lists_of_bounded_length() {
        let (tell, mut written) = mpsc::unbounded_channel();
        let ledger = Ledger::open(move |moments: Vec<Moment>| {
            tell.send((moments.len(), moments[0].planned_at.as_second())).unwrap();
            std::future::ready(Ok(()))
        });
        ledger.tell(rows(0..12_000));
        ledger.tell(rows([12_000]));
        for (length, first) in [(5000, 0), (5000, 5000)] {
            assert_eq!(soon(&mut written).await, (length, first));
        }
        assert!(ledger.flush(Duration::from_secs(5)).await);
        let mut rest = 0;
        while let Ok((length, _)) = written.try_recv() {
            rest += length;
        }
        assert_eq!((rest, ledger.unwritten()), (2001, 0));
    }

    #[tokio::test]
    async fn a_flush_tries_at_once_and_gives_up_on_a_database_that_hangs() {
        let fails = Arc::new(Mutex::new(true));
        let ledger = {
            let fails = Arc::clone(&fails);
            Ledger::open(move |_| {
                let fails = *fails.lock().unwrap();
                async move { if fails { Err("disk is full".to_owned()) } else { Ok(()) } }
            })
        };
        ledger.tell(rows([1]));
        assert!(!ledger.flush(Duration::from_millis(50)).await);
        assert_eq!(ledger.unwritten(), 1);
        *fails.lock().unwrap() = false;
        assert!(ledger.flush(Duration::from_millis(900)).await, "long before the wait of a second is over");
        let hangs = Ledger::open(|_| std::future::pending());
        hangs.tell(rows([1]));
        assert!(!hangs.flush(Duration::from_millis(50)).await);
    }
}
