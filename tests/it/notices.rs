//! What people are told: once, with reminders, and once when it is over; on every kind of channel; and never what is secret.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use graphkeeper::sandbox::faults::{Fault, When};
use serde_json::{Value, json};

use crate::support::hook::Hook;
use crate::support::smtpd::Smtpd;
use crate::support::{ACCOUNTS, Org, until, within};

/// Jobs that run by hand alone, as far as a test does not say otherwise.
const QUIET: &str = "[jobs.managers]\nschedule = \"0 0 1 1 *\"\n[jobs.licenses]\nschedule = \"0 0 1 1 *\"\n\
                     [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\nmin_interval = \"0 seconds\"\n";

/// The same with a managers job at every second.
const BUSY: &str = "[jobs.managers]\nschedule = \"* * * * * *\"\n[jobs.licenses]\nschedule = \"0 0 1 1 *\"\n\
                    [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\n";

/// A secret file of the organization, as the configuration refers to it.
fn secret(org: &Org, name: &str, text: &str) -> String {
    let path = org.home().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    format!("{{ file = \"{}\" }}", path.display())
}

/// Two people, and a webhook as the channel `ops`, with more of its table.
async fn hooked(jobs: &str, more: &str) -> (Org, Hook) {
    let (org, hook) = (Org::team(["ana", "bo"]).await, Hook::start().await);
    let url = secret(&org, "hook-url", &format!("{}/hook/TOPSECRET", hook.url));
    org.configure(&format!("{jobs}[notices.ops]\nkind = \"webhook\"\nurl = {url}\n{more}"));
    (org, hook)
}

fn fails(org: &Org) {
    org.graph_fault(ACCOUNTS, When::Always, Fault::Status { status: 501, html: false });
}

/// Lets the history believe that all it knows of notices happened so many days earlier.
async fn age(org: &Org, days: i64) {
    let by = days * 86_400_000;
    let sql = format!("update cause set told_at = told_at - {by}, since = since - {by}, last_at = last_at - {by}");
    org.database().await.execute(&sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_identical_failing_nights_are_one_notice_and_the_reminders_and_recovery_is_told_once() {
    let (org, hook) = hooked(QUIET, "").await;
    fails(&org);
    for _ in 0..10 {
        org.reconcile().await.exits(1);
        age(&org, 1).await;
    }
    org.faults().clear();
    org.reconcile().await.exits(0);
    org.reconcile().await.exits(0);
    let told = hook.told();
    let tones: Vec<&str> = told.iter().map(|told| told.split_once(' ').unwrap().0).collect();
    assert_eq!(tones, ["new", "reminder", "reminder", "recovered"], "{told:?}");
    assert!(told[0].contains("managers failed (") && told[1].contains("still: managers failed ("), "{told:?}");
    assert_eq!(told[3], "recovered recovered: managers succeeded");
    let lines = hook.received()[2].json()["lines"].to_string();
    assert!(lines.contains("seen 8 times") && lines.contains("graphkeeper history show "), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_tells_of_a_failing_job_once_and_once_when_it_is_well_again() {
    let (org, hook) = hooked(BUSY, "").await;
    fails(&org);
    let service = org.serve().await;
    hook.hears(1).await;
    until(&org, "three runs failed", "select count(*) >= 3 from run where outcome = 'failed'").await;
    assert_eq!(hook.received().len(), 1, "{:?}", hook.told());
    org.faults().clear();
    hook.hears(2).await;
    until(&org, "three runs went well", "select count(*) >= 3 from run where outcome = 'succeeded'").await;
    service.terminate();
    service.finish().await.exits(0);
    let told = hook.told();
    assert_eq!((told.len(), told[1].as_str()), (2, "recovered recovered: managers succeeded"), "{told:?}");
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
async fn a_webhook_is_signed_over_time_and_body_by_a_key_that_it_does_not_show() {
    let (org, hook) = hooked(QUIET, "").await;
    let (url, key) = (secret(&org, "url", &format!("{}/x", hook.url)), secret(&org, "key", "a key of mine"));
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

/// A configuration with a channel of every kind that needs no mail server.
fn every_kind(org: &Org, hook: &Hook) -> String {
    let url = |path: &str| secret(org, path, &format!("{}/{path}", hook.url));
    format!(
        "{QUIET}[notices.hook]\nkind = \"webhook\"\nurl = {}\n[notices.slack]\nkind = \"slack\"\nurl = {}\n\
         [notices.teams]\nkind = \"teams\"\nurl = {}\n[notices.ping]\nkind = \"ping\"\nurl = {}\njobs = [\"managers\"]\n\
         [notices.app]\nkind = \"graph\"\nfrom = \"boss@corp.example\"\nto = [\"ops@corp.example\"]\n\
         [notices.person]\nkind = \"graph\"\nas = \"user\"\nto = [\"ops@corp.example\"]\n",
        url("hook"),
        url("slack"),
        url("teams"),
        url("ping"),
    )
}

/// Grants the permission to send mail, to the application and to the person, who has a mailbox.
fn may_send_mail(org: &Org) {
    let mut world = org.world().write();
    let me = world.entra.me;
    assert!(world.entra.edit(me, |account| account.mail = Some("me@corp.example".into())));
    for app in &mut world.entra.apps {
        app.roles.push("Mail.Send".to_owned());
        app.scopes.push("Mail.Send".to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_channel_can_be_tried_with_and_without_the_service() {
    let (org, hook) = (Org::team(["ana"]).await, Hook::start().await);
    may_send_mail(&org);
    org.configure(&every_kind(&org, &hook));
    let service = org.serve().await;
    let kinds = ["hook", "slack", "teams", "ping", "app", "person"];
    for kind in kinds {
        let tried = org.run(&["notify", "test", kind]).await.exits(0);
        assert!(tried.stderr.contains("the service (process"), "{}", tried.stderr);
        assert_eq!((&tried.json()["channel"], &tried.json()["taken"]), (&json!(kind), &json!(true)));
    }
    service.terminate();
    service.finish().await.exits(0);
    for kind in kinds {
        let tried = org.shows(&["notify", "test", kind]).await.exits(0);
        assert!(tried.stdout.contains(&format!("The channel {kind} took a test notice.")), "{}", tried.stdout);
        let is_graph = ["app", "person"].contains(&kind);
        assert_eq!(tried.stdout.contains("100 recipients outside"), is_graph, "{}", tried.stdout);
    }
    let targets: Vec<String> = hook.received().into_iter().map(|received| received.target).collect();
    let once = ["/hook", "/slack", "/teams", "/ping"];
    assert_eq!(targets, [once, once].concat());
    let slack = hook.received()[1].json();
    assert!(slack["blocks"][0]["text"]["text"].as_str().unwrap().contains("this is a test"), "{slack}");
    let teams = hook.received()[2].json();
    assert_eq!(teams["attachments"][0]["content"]["type"], "AdaptiveCard");
    let mails = org.world().read().entra.mails.clone();
    let senders: Vec<&str> = mails.iter().map(|mail| mail.from.split('@').next().unwrap()).collect();
    assert_eq!((senders[0], senders.len()), ("boss", 4), "{mails:?}");
    assert_eq!(mails[0].subject, "[graphkeeper] this is a test");
    let missing = org.shows(&["notify", "test", "slak"]).await.exits(2);
    assert!(missing.stderr.contains("did you mean `slack`?"), "{}", missing.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_a_mail_by_graph_names_its_remedy() {
    let (org, hook) = (Org::team(["ana"]).await, Hook::start().await);
    org.configure(&every_kind(&org, &hook));
    let tried = async || org.shows(&["notify", "test", "app"]).await.exits(1).stderr;
    assert!(tried().await.contains("grant Mail.Send"), "without consent");
    may_send_mail(&org);
    org.world().entra().account("boss").edit(|account| account.mail = None);
    let unlicensed = tried().await;
    assert!(
        unlicensed.contains("MailboxNotEnabledForRESTAPI") && unlicensed.contains("give it a license"),
        "{unlicensed}"
    );
    let refuse = |status: u16, code: &str, message: &str| {
        let (code, message) = (code.to_owned(), message.to_owned());
        org.graph_fault("/v1.0/users/*/sendMail", When::Next(1), Fault::Refuse { status, code, message });
    };
    for (status, code, message, hint) in [
        (403, "ErrorAccessDenied", "Access to OData is disabled.", "application access policy"),
        (403, "ErrorSendAsDenied", "The user account does not have the right.", "right to send as"),
        (404, "ErrorInvalidUser", "The requested user is invalid.", "`from`"),
        (404, "ResourceNotFound", "Resource could not be discovered.", "`from`"),
        (400, "ErrorInvalidRecipients", "At least one recipient is not valid.", "`to`"),
    ] {
        refuse(status, code, message);
        let said = tried().await;
        assert!(said.contains(code) && said.contains(hint), "{code}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_mans_switch_hears_of_the_start_and_the_end_of_every_run() {
    let (org, hook) = (Org::team(["ana"]).await, Hook::start().await);
    let url = secret(&org, "ping-url", &format!("{}/uuid", hook.url));
    org.configure(&format!("{QUIET}[notices.dead]\nkind = \"ping\"\nurl = {url}\njobs = [\"managers\"]\n"));
    let service = org.serve().await;
    org.reconcile().await.exits(0);
    fails(&org);
    org.reconcile().await.exits(1);
    org.run(&["run", "licenses"]).await.exits(0);
    within("the switch hears of the failure", async {
        let mut count = 1;
        while hook.hears(count).await.last().is_none_or(|last| !last.target.ends_with("/fail")) {
            count += 1;
        }
    })
    .await;
    service.terminate();
    service.finish().await.exits(0);
    let targets: Vec<String> = hook.received().into_iter().map(|received| received.target).collect();
    // A start that its own run's end overtook is not sent any more.
    assert!(
        targets.iter().all(|target| ["/uuid", "/uuid/start", "/uuid/fail"].contains(&target.as_str())),
        "{targets:?}"
    );
    assert_eq!(targets.iter().filter(|target| *target == "/uuid").count(), 1, "{targets:?}");
    assert_eq!(targets.iter().filter(|target| *target == "/uuid/fail").count(), 1, "{targets:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mail_after_a_keepalive_carries_the_answers_as_they_are_stored() {
    let org = Org::team(["ana"]).await;
    may_send_mail(&org);
    let channel = "[notices.mail]\nkind = \"graph\"\nfrom = \"boss@corp.example\"\nto = [\"ops@corp.example\"]\n\
                   on = \"never\"\n[jobs.keepalive.notices]\nmail = \"always\"\n";
    org.configure(&format!("{QUIET}{channel}"));
    org.run(&["run", "keepalive"]).await.exits(0);
    org.configure(&format!("{QUIET}save_bodies = true\n{channel}"));
    org.run(&["run", "keepalive"]).await.exits(0);
    org.run(&["run", "licenses"]).await.exits(0);
    let mails = org.world().read().entra.mails.clone();
    assert_eq!(mails.len(), 2, "{mails:?}");
    assert_eq!(mails[0].attachments, [], "answers are not kept by default");
    let names: Vec<&str> = mails[1].attachments.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["1-me.json", "2-subscribedSkus.json"]);
    let me: Value = serde_json::from_str(&mails[1].attachments[0].1).unwrap();
    assert_eq!(me["displayName"], "(redacted)", "{me}");
    assert!(mails[1].attachments[1].1.contains("DEVELOPERPACK_E5"));
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
async fn a_configuration_that_is_not_used_is_told_once_and_that_it_was_mended_too() {
    let (org, hook) = hooked(QUIET, "").await;
    let mut service = org.serve().await;
    let good = fs::read_to_string(org.config()).unwrap();
    for (times, mistake) in [(1, "frobnicate = 1\n"), (2, "unfrobnicate = 1\n")] {
        fs::write(org.config(), format!("{mistake}{good}")).unwrap();
        service.reload();
        service.says_times("is not used; the one in force stays", times).await;
    }
    hook.hears(1).await;
    fs::write(org.config(), format!("{good}\n# mended\n")).unwrap();
    service.reload();
    hook.hears(2).await;
    service.terminate();
    service.finish().await.exits(0);
    let told = hook.told();
    assert_eq!(
        told,
        ["new the saved configuration is not used", "recovered recovered: the configuration is good again"]
    );
    let lines = hook.received()[0].json()["lines"].to_string();
    assert!(lines.contains("frobnicate"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_at_which_a_job_did_not_run_is_told_after_the_start() {
    let quiet = QUIET.replacen("0 0 1 1 *", "0 0 * * * *", 1).replacen(
        "[jobs.licenses]",
        "catch_up = \"skip\"\n[jobs.licenses]",
        1,
    );
    let (org, hook) = hooked(&quiet, "").await;
    let service = org.serve().await;
    service.terminate();
    service.finish().await.exits(0);
    org.database().await.execute("update job set since = since - 3 * 3600000").await;
    let service = org.serve().await;
    hook.hears(1).await;
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!(hook.told(), ["new managers was not run at 3 scheduled moments (down)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_webhook_is_nowhere_to_be_read() {
    let (mut org, hook) = hooked(QUIET, "on = \"always\"\n").await;
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
    let database =
        ["graphkeeper.db", "graphkeeper.db-wal"].map(|file| fs::read(org.state().join(file)).unwrap_or_default());
    for place in [printed.into_bytes()].into_iter().chain(database) {
        let secret = b"TOPSECRET";
        let found = place.windows(secret.len()).position(|window| window == secret);
        let around = found.map(|at| String::from_utf8_lossy(&place[at.saturating_sub(200)..at]).into_owned());
        assert!(found.is_none(), "after {around:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_gathers_and_a_word_of_the_job_goes_before_that_of_the_channel() {
    let (org, hook) = hooked(QUIET, "on = \"digest\"\n[jobs.licenses.notices]\nops = \"always\"\n").await;
    org.reconcile().await.exits(0);
    fails(&org);
    org.reconcile().await.exits(1);
    org.run(&["run", "licenses"]).await.exits(0);
    assert_eq!(hook.told(), ["news licenses succeeded"]);
    let service = org.serve().await;
    until(&org, "digests begin", "select count(*) from digest").await;
    service.terminate();
    service.finish().await.exits(0);
    org.database().await.execute("update digest set told_to = told_to - 3 * 86400000").await;
    org.database().await.execute("update digest_item set at = at - 2 * 86400000").await;
    let service = org.serve().await;
    let digest = hook.hears(2).await.remove(1).json();
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!((&digest["tone"], &digest["severity"]), (&json!("digest"), &json!("error")));
    let lines = digest["lines"].to_string();
    assert!(lines.contains("Wrong now: managers failed (") && lines.contains("managers succeeded"), "{lines}");
}

/// An organization with a mail channel to this server.
async fn mailing(server: &Smtpd, tls: &str, ca: &Path) -> Org {
    let org = Org::team(["ana"]).await;
    let password = secret(&org, "password", "right");
    let login =
        if tls == "none" { String::new() } else { format!("username = \"graphkeeper\"\npassword = {password}\n") };
    org.configure(&format!(
        "{QUIET}[notices.mail]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"{tls}\"\n\
         from = \"graphkeeper@corp.example\"\nto = [\"ops@corp.example\"]\n{login}[http]\nca_file = \"{}\"\n",
        server.port,
        ca.display()
    ));
    org
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Python with aiosmtpd, named by GRAPHKEEPER_SMTPD; .ci/run installs and runs it"]
async fn a_mail_server_takes_mail_with_each_kind_of_tls_and_none() {
    for (mode, tls, protected) in
        [("starttls", "starttls", true), ("implicit", "implicit", true), ("plain", "none", false)]
    {
        let mut server = Smtpd::start(mode).await;
        let org = mailing(&server, tls, &server.ca()).await;
        fails(&org);
        org.reconcile().await.exits(1);
        org.shows(&["notify", "test", "mail"]).await.exits(0);
        let mail = server.mails(2).await.remove(0);
        assert_eq!((&mail["from"], &mail["to"][0]), (&json!("graphkeeper@corp.example"), &json!("ops@corp.example")));
        assert_eq!(mail["authenticated"], protected, "{mode}");
        let content = mail["content"].as_str().unwrap();
        for part in
            ["Subject: [graphkeeper] managers failed (", "Auto-Submitted: auto-generated", "text/html", "text/plain"]
        {
            assert!(content.contains(part), "{part}: {content}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Python with aiosmtpd, named by GRAPHKEEPER_SMTPD; .ci/run installs and runs it"]
async fn a_mail_server_that_is_not_trusted_or_does_not_know_us_gets_nothing() {
    let server = Smtpd::start("starttls").await;
    let org = mailing(&server, "starttls", &server.ca()).await;
    let tried = async |org: &Org| org.shows(&["notify", "test", "mail"]).await.exits(1).stderr;
    fs::write(org.home().join("password"), "wrong").unwrap();
    let refused = tried(&org).await;
    assert!(refused.contains("535") && refused.contains("`username` and `password`"), "{refused}");
    fs::write(org.home().join("password"), "right").unwrap();
    let other = Smtpd::start("plain").await;
    let untrusted = tried(&mailing(&server, "starttls", &other.ca()).await).await;
    assert!(untrusted.to_lowercase().contains("certificate") && untrusted.contains("http.ca_file"), "{untrusted}");
    // A server without TLS gets neither password nor mail.
    let bare = mailing(&other, "starttls", &other.ca()).await;
    let said = tried(&bare).await;
    assert!(said.contains("hint:"), "{said}");
    assert_eq!((server.count(), other.count()), (0, 0));
}
