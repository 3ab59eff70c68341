use super::*;
use crate::domain::notice::Manner;
use crate::domain::run::{Outcome, Trigger};
use crate::history::notices::{DigestItem, NewNotice, Standing, Telling, Told};
use crate::history::testing::{Place, a_run, at, closing, query_plan, rows};

fn new(number: u32, tone: Tone) -> NewNotice {
    NewNotice {
        uid: format!("00000000-0000-4000-8000-{number:012}"),
        channel: "ops".to_owned(),
        job: Some("managers".to_owned()),
        run: Some(RunId::stored("aaaa0001")),
        kind: "run".to_owned(),
        key: Some("run:managers".to_owned()),
        tone,
        severity: Severity::Error,
        title: "managers failed".to_owned(),
        lines: vec!["one".to_owned(), "two".to_owned()],
        outputs: vec![Output { name: "/me".to_owned(), text: "{}".to_owned() }],
        made_at: at(0),
    }
}

fn standing(channel: &str, key: &str) -> Standing {
    Standing {
        channel: channel.to_owned(),
        key: key.to_owned(),
        job: Some("managers".to_owned()),
        cause: "failed".to_owned(),
        causes: vec!["failed".to_owned()],
        manner: Manner::Lasting,
        severity: Severity::Error,
        title: "managers failed".to_owned(),
        lines: vec!["one".to_owned()],
        since: at(0),
        last_at: at(1),
        seen: 2,
        told_at: at(0),
        reminders: 1,
    }
}

async fn tell(place: &Place, told: Told) {
    let telling = Telling::new(at(0), Vec::new(), Some("managers".to_owned()), move |_| told.clone());
    place.history.tell(&telling).await.unwrap();
}

async fn queued(place: &Place, notices: Vec<NewNotice>) -> Vec<Notice> {
    tell(place, Told { notices, ..Told::default() }).await;
    place.history.due_notices(at(0), 10).await.unwrap()
}

#[tokio::test]
async fn a_notice_comes_back_as_it_was_made_and_one_process_alone_delivers_it() {
    let place = Place::new().await;
    let notice = queued(&place, vec![new(1, Tone::New)]).await.remove(0);
    assert_eq!((notice.lines.len(), notice.outputs.len(), notice.state), (2, 1, NoticeState::Waiting));
    let history = &place.history;
    assert!(history.claim_notice(notice.id, at(0), at(60)).await.unwrap());
    assert!(!history.claim_notice(notice.id, at(1), at(61)).await.unwrap(), "somebody is at it");
    assert!(history.due_notices(at(1), 10).await.unwrap().is_empty());
    assert_eq!(history.next_notice().await.unwrap(), Some(at(60)));
    assert!(history.claim_notice(notice.id, at(60), at(120)).await.unwrap(), "who was at it is gone");
    history.settle_notice(&notice, &Attempt::Delivered, at(61)).await.unwrap();
    assert!(!history.claim_notice(notice.id, at(999), at(1000)).await.unwrap());
    assert_eq!(history.next_notice().await.unwrap(), None);
    let listed = history.list_notices(&NoticeFilter::default()).await.unwrap().remove(0);
    assert_eq!((listed.state, listed.attempts, listed.settled_at), (NoticeState::Delivered, 1, Some(at(61))));
}

#[tokio::test]
async fn nothing_overtakes_what_waits_for_a_channel_that_does_not_work() {
    let place = Place::new().await;
    let history = &place.history;
    let first = queued(&place, vec![new(1, Tone::New)]).await.remove(0);
    let later = |others| Attempt::Later { at: at(3600), others, problem: "no".to_owned(), hint: None };
    history.settle_notice(&first, &later(true), at(0)).await.unwrap();
    assert!(queued(&place, vec![new(2, Tone::Recovered)]).await.is_empty(), "it waits behind the first");
    let due = history.due_notices(at(3600), 10).await.unwrap();
    assert_eq!(due.iter().map(|notice| notice.tone).collect::<Vec<_>>(), [Tone::New, Tone::Recovered]);
    history.settle_notice(&due[0], &Attempt::Delivered, at(3600)).await.unwrap();
    history.settle_notice(&due[1], &later(false), at(3600)).await.unwrap();
    assert_eq!(queued(&place, vec![new(3, Tone::New)]).await.len(), 1, "one that is not taken holds up no other");
}

#[tokio::test]
async fn a_notice_too_old_to_be_of_use_is_given_up_and_the_channel_is_not_to_blame() {
    let place = Place::new().await;
    let old = queued(&place, vec![new(1, Tone::Success)]).await.remove(0);
    place.history.settle_notice(&old, &Attempt::TooOld, at(9999)).await.unwrap();
    let listed = place.history.list_notices(&NoticeFilter::default()).await.unwrap().remove(0);
    assert_eq!((listed.state, listed.attempts), (NoticeState::GivenUp, 0));
    assert!(place.history.channels().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_channel_that_does_not_work_waits_as_a_whole_and_tells_since_when() {
    let place = Place::new().await;
    let history = &place.history;
    let notices = queued(&place, vec![new(1, Tone::New), new(2, Tone::Recovered)]).await;
    let later = |second, others| Attempt::Later {
        at: at(second),
        others,
        problem: format!("no {second}"),
        hint: Some("look".to_owned()),
    };
    history.settle_notice(&notices[0], &later(30, true), at(0)).await.unwrap();
    history.settle_notice(&notices[0], &later(60, true), at(30)).await.unwrap();
    assert!(history.due_notices(at(59), 10).await.unwrap().is_empty());
    let channel = history.channels().await.unwrap().remove(0);
    let failing = channel.failing.unwrap();
    assert_eq!((failing.since, failing.problem.as_str(), channel.waiting), (at(0), "no 60", 2));
    history.hurry_notices(at(40)).await.unwrap();
    assert_eq!(history.due_notices(at(40), 10).await.unwrap().len(), 2);
    history.settle_notice(&notices[0], &later(99, false), at(40)).await.unwrap();
    assert_eq!(history.due_notices(at(40), 10).await.unwrap()[0].id, notices[1].id, "it alone is not taken");
    history.settle_notice(&notices[1], &Attempt::Delivered, at(41)).await.unwrap();
    let channel = history.channels().await.unwrap().remove(0);
    assert_eq!((channel.failing, channel.delivered_at), (None, Some(at(41))));
    let given_up = Attempt::GivenUp { problem: "too old".to_owned(), hint: None };
    history.settle_notice(&notices[0], &given_up, at(50)).await.unwrap();
    assert_eq!(history.next_notice().await.unwrap(), None);
    assert!(history.channels().await.unwrap()[0].failing.is_some());
}

#[tokio::test]
async fn of_pings_the_newest_alone_waits() {
    let place = Place::new().await;
    let ping = |number, tone| NewNotice { outputs: Vec::new(), ..new(number, tone) };
    let other = NewNotice { job: Some("licenses".to_owned()), ..ping(3, Tone::Start) };
    let due = queued(&place, vec![ping(1, Tone::Start), other, new(4, Tone::New), ping(2, Tone::Fail)]).await;
    let uids: Vec<&str> = due.iter().map(|notice| &notice.uid[35..]).collect();
    assert_eq!(uids, ["3", "4", "2"]);
}

#[tokio::test]
async fn what_is_not_configured_any_more_is_forgotten() {
    let place = Place::new().await;
    let standings = vec![standing("ops", "run:managers"), standing("gone", "run:managers")];
    let gone = NewNotice { channel: "gone".to_owned(), ..new(2, Tone::New) };
    tell(&place, Told { standings, notices: vec![new(1, Tone::New), gone], share: Some(4.5), ..Told::default() }).await;
    let history = &place.history;
    assert_eq!(history.standings().await.unwrap().len(), 2);
    history.keep_notices_of(&["ops"], &["managers"], at(9)).await.unwrap();
    assert_eq!(history.standings().await.unwrap(), [standing("ops", "run:managers")]);
    assert_eq!(history.due_notices(at(9), 10).await.unwrap().len(), 1);
    assert_eq!(rows(history, "unresolved_share").await, 1);
    history.keep_notices_of(&["ops"], &["licenses"], at(9)).await.unwrap();
    assert_eq!((history.standings().await.unwrap().len(), rows(history, "unresolved_share").await), (0, 0));
}

#[tokio::test]
async fn a_digest_takes_what_was_gathered_before_it_once() {
    let place = Place::new().await;
    let item = |second| DigestItem {
        channel: "ops".to_owned(),
        at: at(second),
        job: None,
        severity: Severity::Info,
        title: format!("at {second}"),
    };
    let told =
        Told { items: vec![item(5), item(1), item(20)], standings: vec![standing("ops", "a")], ..Told::default() };
    tell(&place, told).await;
    let history = &place.history;
    history.begin_digest("ops", at(0)).await.unwrap();
    history.begin_digest("ops", at(7)).await.unwrap();
    assert_eq!(history.digest_told_to("ops").await.unwrap(), Some(at(0)));
    let compose = |items: Vec<DigestItem>, standings: Vec<Standing>| {
        let titles: Vec<String> = items.into_iter().map(|item| item.title).collect();
        assert_eq!((titles.join(" "), standings.len()), ("at 1 at 5".to_owned(), 1));
        new(1, Tone::Digest)
    };
    assert!(history.take_digest("ops", at(0), at(10), compose).await.unwrap());
    assert!(!history.take_digest("ops", at(0), at(10), |_, _| panic!("twice")).await.unwrap());
    assert_eq!(rows(history, "digest_item").await, 1);
    assert_eq!(history.digest_told_to("ops").await.unwrap(), Some(at(10)));
}

#[tokio::test]
async fn the_queue_is_found_by_an_index_however_long_its_past_is() {
    let place = Place::new().await;
    for sql in [
        "select id from notice where state = 'waiting' and next_try <= 1 order by id limit 3",
        "select count(*) from notice where channel = 'ops' and state = 'waiting'",
        "select id from notice where made_at >= 0 and made_at < 9 order by made_at desc, id desc limit 3",
    ] {
        let steps = query_plan(&place.history, sql).await;
        assert!(
            steps.iter().all(|step| !step.starts_with("SCAN notice") || step.contains("INDEX")),
            "{sql}: {steps:?}"
        );
    }
}

#[tokio::test]
async fn each_channel_is_asked_for_a_few_however_many_wait_for_another() {
    let place = Place::new().await;
    let quiet = NewNotice { channel: "quiet".to_owned(), ..new(9, Tone::News) };
    let notices = (1..=3).map(|number| new(number, Tone::News)).chain([quiet]).collect();
    queued(&place, notices).await;
    let due = place.history.due_notices(at(0), 1).await.unwrap();
    let uids: Vec<&str> = due.iter().map(|notice| &notice.uid[35..]).collect();
    assert_eq!(uids, ["1", "9"]);
}

#[tokio::test]
async fn a_channel_that_took_a_test_works_and_what_waits_for_it_is_due() {
    let place = Place::new().await;
    let history = &place.history;
    let first = queued(&place, vec![new(1, Tone::New)]).await.remove(0);
    let later = Attempt::Later { at: at(3600), others: true, problem: "no".to_owned(), hint: None };
    history.channel_works("ops", at(0)).await.unwrap();
    assert!(history.channels().await.unwrap().is_empty(), "it was never used");
    history.settle_notice(&first, &later, at(0)).await.unwrap();
    history.channel_works("ops", at(5)).await.unwrap();
    let channel = history.channels().await.unwrap().remove(0);
    assert_eq!((channel.failing, channel.delivered_at), (None, Some(at(5))));
    assert_eq!(history.due_notices(at(5), 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_not_understood_of_notices_keeps_no_run_open() {
    let place = Place::new().await;
    let history = &place.history;
    let run = a_run("aaaa0001", Trigger::Schedule, 0);
    history.open_run(&run).await.unwrap();
    tell(&place, Told { standings: vec![standing("ops", "run:managers")], ..Told::default() }).await;
    sqlx::query("update cause set lines = '7'").execute(history.writer().unwrap()).await.unwrap();
    let telling = Telling::new(at(1), Vec::new(), None, |_| Told::default());
    history.close_run_telling(&closing(&run.id, Outcome::Succeeded, 1), Some(&telling)).await.unwrap();
    assert_eq!(history.run(&run.id).await.unwrap().unwrap().outcome, Some(Outcome::Succeeded));
}
