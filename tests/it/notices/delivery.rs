//! The way of a notice: nothing is lost, nothing doubled, nothing shown that is secret, and a signature that holds.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::notices::{BUSY, QUIET, fails, hooked};
use crate::support::hook::Hook;
use crate::support::{Org, until};

/// Two minutes pass for whoever had taken notices in hand.
async fn claims_lapse(org: &Org) {
    org.database().await.execute("update notice set claimed_until = claimed_until - 120000").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_a_notice_is_on_its_way_it_comes_again_under_its_own_id_and_nothing_else_does() {
    let (org, hook) = hooked(BUSY, "").await;
    fails(&org);
    hook.holds(true);
    let service = org.serve().await;
    hook.hears(1).await;
    service.kill().await;
    let waiting = org.database().await.number("select count(*) from notice where state = 'waiting'").await;
    assert_eq!(waiting, 1, "nobody said that it arrived");
    hook.holds(false);
    claims_lapse(&org).await;
    let service = org.serve().await;
    let received = hook.hears(2).await;
    until(&org, "it is noted", "select count(*) from notice where state = 'delivered'").await;
    until(&org, "two more runs failed", "select count(*) >= 3 from run where outcome = 'failed'").await;
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!(received[0].header("graphkeeper-notice"), received[1].header("graphkeeper-notice"));
    assert!(hook.told().iter().all(|told| told.starts_with("new managers failed (")), "{:?}", hook.told());
    assert_eq!(hook.received().len(), 2, "{:?}", hook.told());
}

/// So often the service is killed at random.
const KILLS: u32 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_no_notice_is_lost_and_none_is_doubled_but_by_its_own_id() {
    let always = "on = \"always\"\n";
    let (org, hook) = hooked(BUSY, always).await;
    for killed in 0..KILLS {
        let service = org.serve().await;
        hook.hears(hook.received().len() + 1).await;
        let another = format!("select count(*) > {killed} from run where outcome = 'succeeded'");
        until(&org, "another run succeeds", &another).await;
        // The moment of the kill is what is drawn, not something waited for.
        tokio::time::sleep(std::time::Duration::from_millis(fastrand::u64(0..1200))).await;
        service.kill().await;
        claims_lapse(&org).await;
    }
    let quiet = fs::read_to_string(org.config()).unwrap().replace("\"* * * * * *\"", "\"0 0 1 1 *\"");
    fs::write(org.config(), quiet).unwrap();
    let service = org.serve().await;
    until(&org, "nothing waits", "select count(*) = 0 from notice where state = 'waiting'").await;
    service.terminate();
    service.finish().await.exits(0);
    let mut database = org.database().await;
    let each = "select count(*) from run where outcome = 'succeeded'
                   and (select count(*) from notice where notice.run = run.id and notice.kind = 'run') <> 1";
    assert_eq!(database.number(each).await, 0, "a run's end and its notice are written together");
    let mut written = database.texts("select uid from notice where state = 'delivered'").await;
    let mut arrived: Vec<String> =
        hook.received().iter().map(|received| received.header("graphkeeper-notice").to_owned()).collect();
    written.sort();
    arrived.sort();
    arrived.dedup();
    assert_eq!(arrived, written, "all that was written arrived, and nothing else");
}

/// The text between the fences of the only Python in the README.
fn recipe() -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, after) = readme.split_once("```python\n").expect("the README has the recipe");
    after.split_once("```").unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Python, named by GRAPHKEEPER_SMTPD; .ci/run installs and runs it"]
async fn the_recipe_in_the_readme_takes_what_is_ours_and_nothing_else() {
    let (org, hook) = hooked(QUIET, "").await;
    let (url, key) = (org.secret("url", &format!("{}/x", hook.url)), org.secret("key", "a key of mine"));
    org.configure(&format!("{QUIET}[notices.ops]\nkind = \"webhook\"\nurl = {url}\nsigning_key = {key}\n"));
    org.shows(&["notify", "test", "ops"]).await.exits(0);
    let received = hook.hears(1).await.remove(0);
    let signature = received.header("graphkeeper-signature").to_owned();
    let asks =
        "import sys; a = sys.argv; print(is_ours(a[1].encode(), a[2], a[3].encode(), time.time() + float(a[4])))";
    let script = format!("{}\n{asks}", recipe());
    let python = std::env::var("GRAPHKEEPER_SMTPD").expect("GRAPHKEEPER_SMTPD names a Python");
    let is_ours = |key: &str, signature: &str, body: &str, later: &str| {
        let run =
            std::process::Command::new(&python).args(["-c", &script, key, signature, body, later]).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap().trim() == "True"
    };
    let (key, body) = ("a key of mine", received.body.as_str());
    assert!(is_ours(key, &signature, body, "0"));
    assert!(!is_ours("another key", &signature, body, "0"));
    assert!(!is_ours(key, &signature, &body.replacen("test", "tost", 1), "0"));
    assert!(!is_ours(key, &signature, body, "400"), "too old");
    assert!(!is_ours(key, &signature.replacen("t=1", "t=2", 1), body, "0"), "the time is signed, too");
    assert!(!is_ours(key, "nonsense", body, "0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_signed_over_time_and_body_by_a_key_that_it_does_not_show() {
    let (org, hook) = hooked(QUIET, "").await;
    let (url, key) = (org.secret("url", &format!("{}/x", hook.url)), org.secret("key", "a key of mine"));
    org.configure(&format!("{QUIET}[notices.ops]\nkind = \"webhook\"\nurl = {url}\nsigning_key = {key}\n"));
    org.shows(&["notify", "test", "ops"]).await.exits(0);
    let received = hook.hears(1).await.remove(0);
    let signature = received.header("graphkeeper-signature").to_owned();
    let (time, tag) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"a key of mine");
    let expected = aws_lc_rs::hmac::sign(&key, format!("{time}.{}", received.body).as_bytes());
    let expected = expected.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!(tag, expected);
    assert_eq!(received.json()["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_webhook_is_nowhere_to_be_read() {
    let (mut org, hook) = hooked(QUIET, "").await;
    let url = org.secret("hook-url", &format!("{}/hook/TOPSECRET", hook.url));
    let key = org.secret("hook-key", "TOPSECRET too");
    org.configure(&format!(
        "{QUIET}[notices.ops]\nkind = \"webhook\"\nurl = {url}\nsigning_key = {key}\non = \"always\"\n"
    ));
    org.env.push(("GRAPHKEEPER_LOG".to_owned(), "trace".to_owned()));
    let mut printed = String::new();
    for status in [None, Some(404), Some(503), Some(301)] {
        hook.answers(status);
        for command in
            [&["run", "managers"][..], &["notify", "test", "ops"], &["jobs"], &["history", "notices", "--json"]]
        {
            printed.push_str(&org.shows(command).await.all());
        }
    }
    drop(hook);
    assert!(printed.contains("TRACE") || printed.contains("DEBUG"), "the log was really on");
    nowhere(&org, printed, &["TOPSECRET"]);
}

/// Neither in what was printed nor in the history.
pub(super) fn nowhere(org: &Org, printed: String, secrets: &[&str]) {
    let database =
        ["graphkeeper.db", "graphkeeper.db-wal"].map(|file| fs::read(org.state().join(file)).unwrap_or_default());
    for place in [printed.into_bytes()].into_iter().chain(database) {
        for secret in secrets.iter().map(|secret| secret.as_bytes()) {
            let found = place.windows(secret.len()).position(|window| window == secret);
            let around = found.map(|at| String::from_utf8_lossy(&place[at.saturating_sub(200)..at]).into_owned());
            assert!(found.is_none(), "after {around:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_cannot_be_written_is_told_past_it() {
    let (org, hook) = hooked(QUIET, "").await;
    org.reconcile().await.exits(0);
    let mut holder = org.database().await;
    holder.execute("begin immediate").await;
    let run = org.reconcile().await.exits(1);
    assert_eq!(run.reason(), "history_unusable");
    holder.execute("rollback").await;
    let told = hook.told();
    assert_eq!(told, ["new the history cannot be written"]);
    let lines = hook.received()[0].json()["lines"].to_string();
    assert!(lines.contains("managers was not run") && lines.contains("locked by another program"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_service_the_next_command_delivers_what_waits() {
    let (org, hook) = hooked(QUIET, "on = \"always\"\n").await;
    hook.answers(Some(503));
    org.reconcile().await.exits(0);
    hook.answers(None);
    org.database().await.execute("update notice set next_try = next_try - 60000").await;
    org.run(&["run", "licenses"]).await.exits(0);
    let told = hook.told();
    assert_eq!(told, ["news managers succeeded", "news managers succeeded", "news licenses succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_channel_fails_no_run_is_shown_and_gets_everything_when_it_is_mended() {
    let (org, hook) = hooked(QUIET, "on = \"always\"\n").await;
    hook.answers(Some(503));
    let run = org.reconcile().await.exits(0);
    assert!(run.stderr.contains("waits in the queue"), "{}", run.stderr);
    let jobs = org.run(&["jobs"]).await.exits(0);
    assert!(jobs.stderr.contains("the channel ops does not work since"), "{}", jobs.stderr);
    let managers = jobs.json().as_array().unwrap().iter().find(|job| job["job"] == "managers").unwrap().clone();
    assert_eq!(managers["notices"][0]["channel"], "ops");
    assert_eq!(managers["notices"][0]["problem"], "the channel answered 503");
    assert!(org.shows(&["jobs"]).await.stdout.contains("ops broken"));
    let waiting = org.run(&["history", "notices"]).await.exits(0).json();
    assert_eq!((&waiting[0]["state"], &waiting[0]["attempts"]), (&json!("waiting"), &json!(1)));
    hook.answers(None);
    let before = hook.received().len();
    // A start tries all that waits.
    let service = org.serve().await;
    let received = hook.hears(before + 1).await;
    assert_eq!(received[before].header("graphkeeper-notice"), received[0].header("graphkeeper-notice"));
    until(&org, "it is noted", "select count(*) from notice where state = 'delivered'").await;
    service.terminate();
    service.finish().await.exits(0);
    let jobs = org.run(&["jobs"]).await.exits(0);
    assert!(!jobs.stderr.contains("does not work") && !jobs.stdout.contains("503"), "{}", jobs.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_test_of_a_mended_channel_has_everything_that_waits_sent() {
    let (org, hook) = hooked(QUIET, "on = \"always\"\n").await;
    let service = org.serve().await;
    hook.answers(Some(503));
    org.reconcile().await.exits(0);
    until(&org, "it is seen to be broken", "select count(*) from channel where failing_since is not null").await;
    hook.answers(None);
    org.run(&["notify", "test", "ops"]).await.exits(0);
    until(&org, "what waited is delivered", "select count(*) from notice where state = 'delivered'").await;
    service.terminate();
    service.finish().await.exits(0);
    let jobs = org.run(&["jobs"]).await.exits(0);
    assert!(!jobs.stderr.contains("does not work"), "{}", jobs.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_gives_no_answer_holds_up_no_other() {
    let (org, hook) = hooked(QUIET, "").await;
    let slow = Hook::start().await;
    slow.holds(true);
    let (url, slow_url) =
        (org.secret("url", &format!("{}/x", hook.url)), org.secret("slow", &format!("{}/x", slow.url)));
    let channel =
        |name: &str, url: &str| format!("[notices.{name}]\nkind = \"webhook\"\nurl = {url}\non = \"always\"\n");
    org.configure(&format!("{BUSY}{}{}", channel("a", &slow_url), channel("b", &url)));
    let service = org.serve().await;
    hook.hears(3).await;
    assert_eq!(slow.received().len(), 1, "its first one is on its way all the time");
    service.kill().await;
}
