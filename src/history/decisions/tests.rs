//! Promises about decisions: a pass that changes nothing adds nothing, and a person is found by any name.

use super::*;
use crate::domain::run::Trigger;
use crate::history::testing::{Place, account, at, past_run, query_plan, rows};

/// A decision about person number n; the digest is that of the reason.
fn decision(number: u128, reason: Reason) -> (u128, Reason) {
    (number, reason)
}

async fn record(history: &History, run: &str, when: i64, full: bool, list: &[(u128, Reason)]) -> Recorded {
    let run = past_run(history, run, Trigger::Schedule, when).await;
    let names: Vec<_> = list
        .iter()
        .map(|(number, _)| {
            (format!("00u{number}"), format!("Person{number}@example.com"), format!("p{number}@contoso.example"))
        })
        .collect();
    let decisions = list.iter().zip(&names).map(|((number, reason), (person, login, upn))| Decision {
        person,
        login,
        upn,
        account: Some(account(*number)),
        reason: *reason,
        digest: u64::MAX - *reason as u64,
        evidence: move || format!(r#"{{"number":"{number}"}}"#),
    });
    history.record_decisions(&Pass { run: &run, job: "managers", at: at(when), full }, decisions).await.unwrap()
}

#[tokio::test]
async fn a_pass_that_changes_nothing_adds_no_row() {
    let place = Place::new().await;
    let people: Vec<_> = (0..5_000).map(|number| decision(number, Reason::Agreed)).collect();
    let first = record(&place.history, "run1", 0, true, &people).await;
    assert_eq!(first, Recorded { written: 5_000, gone: 0 });
    let before = rows(&place.history, "decision").await;
    let reversed: Vec<_> = people.iter().rev().copied().collect();
    assert_eq!(record(&place.history, "run2", 10, true, &reversed).await, Recorded::default());
    assert_eq!(rows(&place.history, "decision").await, before);
}

#[tokio::test]
async fn a_decision_lasts_from_its_first_run_to_its_last() {
    let place = Place::new().await;
    let history = &place.history;
    record(history, "run1", 0, true, &[decision(1, Reason::NoAccount), decision(2, Reason::Agreed)]).await;
    record(history, "run2", 10, true, &[decision(1, Reason::NoAccount), decision(2, Reason::Agreed)]).await;
    let third = record(history, "run3", 20, true, &[decision(1, Reason::Agreed)]).await;
    assert_eq!(third, Recorded { written: 1, gone: 1 });
    let Found::One(past) = history.decisions_of_user("00u1").await.unwrap() else { panic!("not found") };
    let told: Vec<_> =
        past.iter().map(|one| (one.reason, one.first_run.as_str(), one.last_run.as_str(), one.standing)).collect();
    assert_eq!(told, [(Reason::Agreed, "run3", "run3", true), (Reason::NoAccount, "run1", "run2", false)]);
    assert_eq!((past[1].first_at, past[1].last_at), (at(0), at(10)));
    assert_eq!(past[0].evidence, r#"{"number":"1"}"#);
    let Found::One(gone) = history.decisions_of_user("00u2").await.unwrap() else { panic!("not found") };
    assert_eq!((gone[0].last_run.as_str(), gone[0].standing), ("run2", false));
    record(history, "run4", 30, true, &[decision(1, Reason::Agreed), decision(2, Reason::Agreed)]).await;
    assert_eq!(history.tally_by_reason("managers").await.unwrap()[&Reason::Agreed].people, 2);
}

#[tokio::test]
async fn a_run_over_one_person_says_nothing_about_the_others() {
    let place = Place::new().await;
    let history = &place.history;
    record(history, "run1", 0, true, &[decision(1, Reason::Agreed), decision(2, Reason::Agreed)]).await;
    let one = record(history, "run2", 10, false, &[decision(1, Reason::Stale)]).await;
    assert_eq!(one, Recorded { written: 1, gone: 0 });
    let Found::One(other) = history.decisions_of_user("00u2").await.unwrap() else { panic!("not found") };
    assert_eq!((other[0].standing, other[0].last_run.as_str()), (true, "run1"));
}

#[tokio::test]
async fn a_user_is_found_by_any_name_and_by_a_unique_beginning() {
    let place = Place::new().await;
    let history = &place.history;
    record(
        history,
        "run1",
        0,
        true,
        &[decision(1, Reason::Agreed), decision(21, Reason::Agreed), decision(22, Reason::Agreed)],
    )
    .await;
    for name in ["00u1", "person1@EXAMPLE.com", "P1@contoso.example", "PERSON1", " person1@ "] {
        let found = history.decisions_of_user(name).await.unwrap();
        assert!(matches!(&found, Found::One(past) if past[0].person.as_str() == "00u1"), "{name}: {found:?}");
    }
    let several = history.decisions_of_user("person2").await.unwrap();
    assert_eq!(several, Found::Several(vec!["Person21@example.com".to_owned(), "Person22@example.com".to_owned()]));
    for name in ["nobody", "", "%", "00U1"] {
        assert_eq!(history.decisions_of_user(name).await.unwrap(), Found::Nothing, "{name}");
    }
}

#[tokio::test]
async fn ages_are_told_by_reason_the_oldest_first() {
    let place = Place::new().await;
    let history = &place.history;
    record(history, "run1", 0, true, &[decision(1, Reason::ManagerHasNoAccount)]).await;
    record(
        history,
        "run2",
        10,
        true,
        &[decision(1, Reason::ManagerHasNoAccount), decision(2, Reason::ManagerHasNoAccount)],
    )
    .await;
    let tally = history.tally_by_reason("managers").await.unwrap();
    assert_eq!(tally[&Reason::ManagerHasNoAccount], ReasonTally { people: 2, oldest: at(0) });
    let waiting = history.people_with_reason("managers", Reason::ManagerHasNoAccount, 10).await.unwrap();
    let waiting: Vec<_> = waiting.iter().map(|one| (one.person.as_str(), one.first_at)).collect();
    assert_eq!(waiting, [("00u1", at(0)), ("00u2", at(10))]);
}

#[tokio::test]
async fn a_user_is_found_without_reading_all_decisions() {
    let place = Place::new().await;
    for column in ["login", "upn"] {
        for sql in [
            format!("select person from decision where {column} collate nocase = ?"),
            format!("select person from decision where {column} collate nocase >= ? and {column} collate nocase < ?"),
        ] {
            let steps = query_plan(&place.history, &sql).await;
            assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{sql}: {steps:?}");
        }
    }
}

#[tokio::test]
async fn two_digests_differ_up_to_the_last_bit() {
    let place = Place::new().await;
    let run = past_run(&place.history, "run1", Trigger::Schedule, 0).await;
    let pass = Pass { run: &run, job: "managers", at: at(0), full: true };
    for (digest, written) in [(u64::MAX, 1), (u64::MAX, 0), (u64::MAX - 1, 1), (1 << 63, 1), (1 << 63, 0)] {
        let one = Decision {
            person: "00u1",
            login: "a",
            upn: "",
            account: None,
            reason: Reason::NoAccount,
            digest,
            evidence: || "{}".to_owned(),
        };
        let recorded = place.history.record_decisions(&pass, std::iter::once(one)).await.unwrap();
        assert_eq!(recorded.written, written, "{digest:x}");
    }
}
