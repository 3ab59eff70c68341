//! Each kind of channel: webhooks, chats, dead-man's switches, mail by Graph, and mail to a real server.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graphkeeper::sandbox::faults::{Fault, When};
use serde_json::{Value, json};

use crate::notices::delivery::nowhere;
use crate::notices::{QUIET, fails};
use crate::support::hook::Hook;
use crate::support::smtpd::Smtpd;
use crate::support::{Org, within};

/// A configuration with a channel of every kind that needs no mail server.
fn every_kind(org: &Org, hook: &Hook) -> String {
    let url = |path: &str| org.secret(path, &format!("{}/{path}", hook.url));
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

/// What the mail server wants to hear of `graphkeeper`.
const PASSWORD: &str = "CANARY-of-the-mail-server";

/// An organization with a mail channel to this server.
async fn mailing(server: &Smtpd, tls: &str, ca: &Path) -> Org {
    let org = Org::team(["ana"]).await;
    let password = org.secret("password", PASSWORD);
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
        let mut org = mailing(&server, tls, &server.ca()).await;
        org.env.push(("GRAPHKEEPER_LOG".to_owned(), "trace".to_owned()));
        fails(&org);
        let mut printed = org.reconcile().await.exits(1).all();
        printed.push_str(&org.shows(&["notify", "test", "mail"]).await.exits(0).all());
        let examined = org.shows(&["doctor"]).await.all();
        assert!(examined.contains("the mail server is there"), "{examined}");
        printed.push_str(&examined);
        let mail = server.mails(2).await.remove(0);
        assert_eq!((&mail["from"], &mail["to"][0]), (&json!("graphkeeper@corp.example"), &json!("ops@corp.example")));
        assert_eq!(mail["authenticated"], protected, "{mode}");
        let content = mail["content"].as_str().unwrap();
        for part in
            ["Subject: [graphkeeper] managers failed (", "Auto-Submitted: auto-generated", "text/html", "text/plain"]
        {
            assert!(content.contains(part), "{part}: {content}");
        }
        assert_eq!(server.count(), 2, "the doctor sends no mail");
        // As it is, and as it travels: AUTH PLAIN, AUTH LOGIN.
        let encoded = [format!("\0graphkeeper\0{PASSWORD}"), PASSWORD.to_owned()].map(|text| STANDARD.encode(text));
        nowhere(&org, printed, &[PASSWORD, &encoded[0], &encoded[1]]);
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
    fs::write(org.home().join("password"), PASSWORD).unwrap();
    let other = Smtpd::start("plain").await;
    let untrusted = tried(&mailing(&server, "starttls", &other.ca()).await).await;
    assert!(untrusted.to_lowercase().contains("certificate") && untrusted.contains("http.ca_file"), "{untrusted}");
    // A server without TLS gets neither password nor mail.
    let bare = mailing(&other, "starttls", &other.ca()).await;
    let said = tried(&bare).await;
    assert!(said.contains("hint:"), "{said}");
    let examined = bare.shows(&["doctor"]).await.all();
    assert!(!examined.contains("the mail server is there"), "{examined}");
    assert_eq!((server.count(), other.count()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_looks_at_each_channel_and_sends_nothing() {
    let (org, hook) = (Org::team(["ana"]).await, Hook::start().await);
    org.configure(&every_kind(&org, &hook));
    let examined = org.run(&["doctor"]).await.json();
    let of = |report: &Value, name: &str| {
        let all = report["findings"].as_array().unwrap();
        let found = all.iter().find(|one| one["check"] == "channel" && one["about"] == name);
        let found = found.unwrap_or_else(|| panic!("{name} in {report:#}"));
        ["severity", "what", "remedy"].map(|key| found[key].as_str().unwrap_or_default().to_owned()).join(": ")
    };
    for name in ["hook", "slack", "teams", "ping"] {
        assert!(of(&examined, name).starts_with("ok: its secrets can be read"), "{}", of(&examined, name));
    }
    let lacks = examined["findings"].to_string();
    assert!(lacks.contains("Mail.Send") && lacks.contains("person"), "{lacks}");
    fs::remove_file(org.home().join("hook")).unwrap();
    fs::write(org.home().join("slack"), "http://hooks.example.com/TOPSECRET").unwrap();
    fs::write(org.home().join("teams"), "TOPSECRET").unwrap();
    let examined = org.run(&["doctor"]).await.json();
    for (name, said) in [("hook", "cannot be read"), ("slack", "https is needed"), ("teams", "is not an address")] {
        let found = of(&examined, name);
        assert!(found.starts_with("warning: ") && found.contains(said), "{found}");
    }
    assert!(!examined.to_string().contains("TOPSECRET"), "{examined:#}");
    assert_eq!(hook.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_mans_switch_hears_of_the_start_and_the_end_of_every_run() {
    let (org, hook) = (Org::team(["ana"]).await, Hook::start().await);
    let url = org.secret("ping-url", &format!("{}/uuid", hook.url));
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
