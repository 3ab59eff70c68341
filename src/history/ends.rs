//! Ends of runs that could not be recorded: kept, and written as soon as the database takes them.
//!
//! A locked database or a full disk must not leave a run `running` for ever, nor turn one that succeeded into one that was
//! cut off. What is kept here goes with the process; the job's lock file keeps the rest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::domain::run::RunId;
use crate::history::History;
use crate::history::calls::CallRow;
use crate::history::error::HistoryError;
use crate::history::gauge::Watched;
use crate::history::notices::Telling;
use crate::history::runs::Closing;

/// All that is to be written when a run ends.
#[derive(Clone, Debug)]
pub struct End {
    pub closing: Closing,
    /// The calls that are to be rows.
    pub calls: Vec<CallRow>,
    /// What a keepalive run found of its subscription.
    pub watched: Option<Box<Watched>>,
    /// What people are told of it, decided when it is written.
    pub telling: Option<Telling>,
}

/// Ends that are not written yet. Clones of a history share them.
#[derive(Debug, Default)]
pub(super) struct Ends {
    by_run: Mutex<BTreeMap<RunId, Owing>>,
    /// One writes at a time, lest the calls of a run are written twice.
    turn: tokio::sync::Mutex<()>,
}

pub(super) type Owed = Arc<Ends>;

#[derive(Debug)]
struct Owing {
    end: End,
    /// Its run is at writing it, for the first time.
    in_hand: bool,
}

/// The first attempt to write an end. However it ends, what is not written then is owed.
struct InHand<'a>(&'a History, RunId);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let Some(owing) = self.0.owed().get_mut(&self.1) {
            owing.in_hand = false;
        }
    }
}

impl History {
    /// Records the end of a run. One that cannot be written now is kept, for [`History::settle_ends`]; so is one whose
    /// caller goes away meanwhile.
    ///
    /// # Errors
    ///
    /// What kept the database from taking it; [`HistoryError::Missing`] when no such run is open, which is not tried again.
    pub async fn record_end(&self, end: End) -> Result<(), HistoryError> {
        let run = end.closing.run.clone();
        self.owed().insert(run.clone(), Owing { end, in_hand: true });
        let first = InHand(self, run);
        let _turn = self.owed.turn.lock().await;
        self.pay(&first.1).await
    }

    /// Tries to write the ends that are owed, and names the runs whose ends now are.
    ///
    /// # Errors
    ///
    /// The first that cannot be written says why; it and those after it stay owed.
    pub async fn settle_ends(&self) -> Result<Vec<RunId>, HistoryError> {
        let _turn = self.owed.turn.lock().await;
        let mut settled = Vec::new();
        let late: Vec<RunId> =
            self.owed().iter().filter(|(_, owing)| !owing.in_hand).map(|(run, _)| run.clone()).collect();
        for run in late {
            match self.pay(&run).await {
                Ok(()) => settled.push(run),
                // Closed meanwhile by another process, from the job's lock file.
                Err(HistoryError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(settled)
    }

    /// Writes one end that is owed. It stays owed until it is written.
    async fn pay(&self, run: &RunId) -> Result<(), HistoryError> {
        let Some(mut end) = self.owed().get(run).map(|owing| owing.end.clone()) else { return Ok(()) };
        let written = self.write_end(&mut end).await;
        let mut owed = self.owed();
        if matches!(written, Ok(()) | Err(HistoryError::Missing { .. })) {
            owed.remove(run);
        } else if let Some(owing) = owed.get_mut(run) {
            owing.end = end;
        }
        drop(owed);
        written
    }

    /// Whether the end of a run is owed, and can still be paid.
    #[must_use]
    pub fn owes_ends(&self) -> bool {
        !self.owed().is_empty() && self.writer.as_ref().is_some_and(|writer| !writer.is_closed())
    }

    /// The runs whose ends are owed, as a list for SQLite.
    pub(super) fn owed_runs(&self) -> String {
        json!(self.owed().keys().collect::<Vec<_>>()).to_string()
    }

    /// What is written is taken out of `end`. The end is recorded even when the calls or the gauge cannot be.
    async fn write_end(&self, end: &mut End) -> Result<(), HistoryError> {
        let kept = if end.calls.is_empty() { Ok(()) } else { self.record_calls(&end.closing.run, &end.calls).await };
        if kept.is_ok() {
            end.calls.clear();
        }
        let shown = match &end.watched {
            Some(watched) => self.record_gauge(&end.closing.run, watched).await,
            None => Ok(()),
        };
        if shown.is_ok() {
            end.watched = None;
        }
        let kept = kept.and(shown);
        match self.close_run_telling(&end.closing, end.telling.as_ref()).await {
            // Its calls or its gauge were left over.
            Err(HistoryError::Missing { .. }) if self.is_closed(&end.closing.run).await => kept,
            closed => closed.and(kept),
        }
    }

    async fn is_closed(&self, run: &RunId) -> bool {
        matches!(self.run(run).await, Ok(Some(run)) if run.outcome.is_some())
    }

    fn owed(&self) -> std::sync::MutexGuard<'_, BTreeMap<RunId, Owing>> {
        // A panic elsewhere leaves the map whole: no entry is half made.
        self.owed.by_run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::domain::run::{Outcome, Trigger};
    use crate::history::calls::Verdict;
    use crate::history::testing::{Place, SOON, a_run, at, closing, rows};

    fn end(run: &RunId) -> End {
        let call = CallRow {
            at: at(1),
            service: "graph".to_owned(),
            method: "GET".to_owned(),
            path: "/me".to_owned(),
            status: Some(200),
            latency_ms: 3,
            attempts: 1,
            request_id: None,
            client_request_id: None,
            verdict: Verdict::Ok,
            error: None,
            body: None,
        };
        End { closing: closing(run, Outcome::Succeeded, 60), calls: vec![call], watched: None, telling: None }
    }

    /// A history with an open run, whose database refuses statements of a kind until the trigger `full` is dropped.
    async fn refusing(what: &str) -> (Place, RunId) {
        let place = Place::new().await;
        let run = a_run("aaaa0001", Trigger::Schedule, 0);
        place.history.open_run(&run).await.unwrap();
        let sql = format!("create trigger full before {what} begin select raise(abort, 'full'); end");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(place.history.writer().unwrap()).await.unwrap();
        (place, run.id)
    }

    async fn recover(place: &Place) {
        sqlx::query("drop trigger full").execute(place.history.writer().unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn an_end_is_owed_until_the_database_takes_it() {
        let (place, run) = refusing("update on run").await;
        place.history.record_end(end(&run)).await.unwrap_err();
        place.history.settle_ends().await.unwrap_err();
        assert!(place.history.owes_ends());
        recover(&place).await;
        assert_eq!(place.history.clone().settle_ends().await.unwrap(), std::slice::from_ref(&run));
        assert!(!place.history.owes_ends());
        assert!(place.history.settle_ends().await.unwrap().is_empty());
        assert_eq!(place.history.run(&run).await.unwrap().unwrap().outcome, Some(Outcome::Succeeded));
        assert_eq!(rows(&place.history, "call").await, 1, "its calls are not written twice");
    }

    #[tokio::test]
    async fn an_end_whose_writer_was_dropped_is_owed() {
        let place = Place::new().await;
        let run = a_run("aaaa0001", Trigger::Schedule, 0);
        place.history.open_run(&run).await.unwrap();
        let holder = place.history.begin().await.unwrap();
        assert!(place.history.record_end(end(&run.id)).now_or_never().is_none(), "the one connection is in use");
        assert!(place.history.owes_ends());
        drop(holder);
        assert_eq!(place.history.settle_ends().await.unwrap(), std::slice::from_ref(&run.id));
        let other = a_run("bbbb0002", Trigger::Schedule, 0);
        place
            .history
            .open_run(&crate::history::runs::NewRun { job: "licenses".to_owned(), ..other.clone() })
            .await
            .unwrap();
        place.history.owed().insert(other.id.clone(), Owing { end: end(&other.id), in_hand: true });
        assert!(place.history.settle_ends().await.unwrap().is_empty(), "its run is at it");
        assert_eq!(rows(&place.history, "call").await, 1);
    }

    #[tokio::test]
    async fn calls_that_could_not_be_written_do_not_keep_the_run_open() {
        let (place, run) = refusing("insert on call").await;
        place.history.record_end(end(&run)).await.unwrap_err();
        assert!(place.history.run(&run).await.unwrap().unwrap().outcome.is_some());
        recover(&place).await;
        assert_eq!(place.history.settle_ends().await.unwrap(), [run]);
        assert_eq!(rows(&place.history, "call").await, 1);
    }

    #[tokio::test]
    async fn what_another_process_closed_is_not_owed_any_more() {
        let (place, run) = refusing("update on run").await;
        place.history.record_end(End { calls: Vec::new(), ..end(&run) }).await.unwrap_err();
        recover(&place).await;
        let elsewhere = History::open(&place.path(), at(0)).await.unwrap();
        elsewhere.close_run(&closing(&run, Outcome::Partial, 60)).await.unwrap();
        place.history.settle_ends().await.unwrap();
        assert!(!place.history.owes_ends());
        assert_eq!(place.history.run(&run).await.unwrap().unwrap().outcome, Some(Outcome::Partial));
    }

    #[tokio::test]
    async fn a_closed_history_owes_nothing_that_it_could_pay() {
        let (place, run) = refusing("update on run").await;
        place.history.record_end(end(&run)).await.unwrap_err();
        place.history.close().await;
        assert!(!place.history.owes_ends());
    }

    #[tokio::test]
    async fn runs_of_a_process_that_leaves_are_cut_off_but_for_those_whose_end_is_known() {
        let (place, known) = refusing("update on run when new.outcome = 'succeeded'").await;
        place.history.record_end(end(&known)).await.unwrap_err();
        for (id, pid) in [("bbbb0002", 7), ("cccc0003", 8)] {
            let other = crate::history::runs::NewRun { job: id.to_owned(), pid, ..a_run(id, Trigger::Schedule, 0) };
            place.history.open_run(&other).await.unwrap();
        }
        let cut_off = place.history.interrupt_runs_of_process((7, "host"), at(9)).await.unwrap();
        assert_eq!(cut_off, [RunId::stored("bbbb0002")]);
        let row = place.history.run(&cut_off[0]).await.unwrap().unwrap();
        assert_eq!((row.outcome, row.reason.as_deref()), (Some(Outcome::Interrupted), Some("cut_off")));
        assert!(place.history.interrupt_runs_of_process((8, "elsewhere"), at(9)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn closing_does_not_wait_for_somebody_who_holds_the_database() {
        let place = Place::new().await;
        let mut holder = place.history.begin().await.unwrap();
        sqlx::query("insert into meta (key, value) values ('held', '1')").execute(&mut *holder).await.unwrap();
        assert!(!place.history.close_within(SOON).await);
        drop(holder);
        assert!(place.history.close_within(std::time::Duration::from_mins(1)).await);
    }
}
