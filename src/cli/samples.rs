//! Shared by the tests of the reading commands: a history with something in it.

use serde_json::json;

use crate::cli::args::OutputFormat;
use crate::cli::render;
use crate::domain::decision::Reason;
use crate::domain::identity::PersonId;
use crate::domain::run::{Outcome, PlanId, RunId, Trigger};
use crate::history::History;
use crate::history::changes::{Answer, Confirmation, Intent};
use crate::history::decisions::{Decision, Pass};
use crate::history::parked::ParkedPerson;
use crate::history::plans::{PlanOrigin, PlannedChange, StoredPlan};
use crate::history::runs::{Closing, NewRun, Run};
use crate::history::testing::{a_run, account, at, closing, intent, write};
use crate::tables::table::Table;

/// What a table looks like, in one of the formats.
pub(super) fn written(table: &Table, format: OutputFormat) -> String {
    let mut out = Vec::new();
    render::write(table, &mut out, format, None).unwrap();
    String::from_utf8(out).unwrap()
}

/// A run that wrote two managers and was refused one. It took 42 seconds.
pub(super) async fn managers_run(history: &History, id: &str, started: i64) -> RunId {
    let new = a_run(id, Trigger::Schedule, started);
    history.open_run(&new).await.unwrap();
    write(history, &new.id, intent(1, None, Some(9)), started + 1, Some(Confirmation::Confirmed)).await;
    write(history, &new.id, intent(2, Some(8), Some(9)), started + 2, None).await;
    let refused =
        history.record_intents(&new.id, "managers", at(started + 3), &[intent(3, Some(8), None)]).await.unwrap();
    let answer = Answer::Refused {
        status: 403,
        code: "Authorization_RequestDenied".to_owned(),
        message: "Insufficient privileges".to_owned(),
        request_id: Some("r-3".to_owned()),
    };
    history.record_answers(&[(refused[0], answer)], at(started + 4)).await.unwrap();
    let tally = json!({
        "people": 12, "with_reference": 11, "in_scope": 12, "accounts": 14,
        "planned": { "set": 1, "change": 1, "clear": 1 }, "held": { "set": 0, "change": 0, "clear": 0 },
        "accepted": { "set": 1, "change": 1, "clear": 0 }, "confirmed": { "set": 1, "change": 0, "clear": 0 },
        "reasons": { "agreed": 7, "planned": 3, "no_account": 2 },
        "calls": { "okta": 2, "graph": 9 },
    });
    let end = Closing {
        reason: Some("refused".to_owned()),
        message: Some("2 of 3 changes written; 2 people unresolved".to_owned()),
        hint: Some("grant the permission".to_owned()),
        tally: Some(tally),
        unresolved: Some(2),
        ..closing(&new.id, Outcome::Partial, started + 42)
    };
    history.close_run(&end).await.unwrap();
    new.id
}

/// A plan of two changes, one of them held. `number` is the person of the first.
pub(super) fn plan(id: &str, run: &RunId, when: i64, number: u128) -> StoredPlan {
    let change = |intent: Intent, held: bool| PlannedChange {
        person: intent.person,
        login: intent.login,
        account: intent.account,
        upn: intent.upn,
        kind: intent.kind,
        from: intent.from,
        from_label: intent.from_label,
        to: intent.to,
        to_label: intent.to_label,
        held,
    };
    StoredPlan {
        id: PlanId::stored(id),
        job: "managers".to_owned(),
        run: run.clone(),
        created_at: at(when),
        policy_fingerprint: "f".to_owned(),
        origin: PlanOrigin::Held,
        changes: vec![change(intent(number, None, Some(9)), false), change(intent(5, Some(8), None), true)],
    }
}

/// A person left alone by the job `managers`.
pub(super) fn parked(number: u128, reason: Reason) -> ParkedPerson {
    ParkedPerson {
        job: "managers".to_owned(),
        person: PersonId::new(&format!("00u{number}")),
        login: format!("person{number}@example.com"),
        account: Some(account(number)),
        reason,
        desired: Some(account(9)),
        cause: "403 Authorization_RequestDenied".to_owned(),
        remedy: "grant the permission".to_owned(),
        since: at(0),
        review_at: Some(at(864_000)),
        run: RunId::stored("aaaa0001"),
    }
}

/// A run's decision about the first person, who had none like it before.
pub(super) async fn decide(history: &History, run: &RunId, when: i64, reason: Reason, evidence: &str) {
    let decision = Decision {
        person: "00u1",
        login: "person1@example.com",
        upn: "person1@contoso.example",
        account: Some(account(1)),
        reason,
        digest: reason as u64,
        evidence: || evidence.to_owned(),
    };
    let pass = Pass { run, job: "managers", at: at(when), full: true };
    history.record_decisions(&pass, std::iter::once(decision)).await.unwrap();
}

/// A run that has not ended.
pub(super) fn open(new: &NewRun) -> Run {
    Run {
        id: new.id.clone(),
        job: new.job.clone(),
        kind: new.kind,
        trigger: new.trigger,
        caller: new.caller.clone(),
        config_fingerprint: new.config_fingerprint.clone(),
        started_at: new.started_at,
        pid: new.pid,
        host: new.host.clone(),
        ended_at: None,
        outcome: None,
        reason: None,
        message: None,
        hint: None,
        tally: None,
        unresolved: None,
    }
}
