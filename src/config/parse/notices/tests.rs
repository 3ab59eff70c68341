use std::path::Path;

use super::*;
use crate::config::load_text;
use crate::config::problem::Problems;
use crate::config::settings::Settings;

const GOOD: &str = r#"
state = { directory = "/srv/gk" }
[okta]
org_url = "https://example.okta.com"
auth = { method = "api-token", token = { env = "OKTA" } }
[entra]
tenant = "contoso.onmicrosoft.com"
app = { client_id = "a", client_secret = { env = "ENTRA" } }
[jobs.managers]
kind = "managers"
manager = [{ attribute = "managerId", is = "login" }]
"#;

fn parse(more: &str) -> Result<Settings, Problems> {
    load_text(Path::new("gk.toml"), &format!("{GOOD}{more}"), &[])
}

fn mail(more: &str) -> String {
    format!(
        "[notices.m]\nkind = \"smtp\"\nhost = \"mx.example.com\"\nfrom = \"gk@example.com\"\n\
             to = [\"ops@example.com\"]\n{more}"
    )
}

#[test]
fn a_channel_is_filled_up_with_what_is_usual() {
    let hook = "[notices.ops]\nkind = \"slack\"\nurl = { env = \"HOOK\" }\n";
    let settings = parse(&format!("{hook}[jobs.managers.notices]\nops = \"always\"\n{}", mail(""))).unwrap();
    let ops = &settings.notices["ops"];
    assert_eq!((ops.on, ops.remind.as_slice(), ops.digest), (On::Failure, &REMIND[..], jiff::civil::time(8, 0, 0, 0)));
    let Way::Smtp(smtp) = &settings.notices["m"].way else { panic!("{:?}", settings.notices["m"]) };
    assert_eq!((smtp.port, smtp.tls, &smtp.login), (587, Tls::StartTls, &None));
    let job = &settings.jobs["managers"].notices;
    assert_eq!((job.on["ops"], job.unresolved_alert), (On::Always, Some(2.0)));
    assert_eq!(settings.secrets.iter().filter(|secret| secret.key == "notices.ops.url").count(), 1, "check tries it");
    assert_eq!(settings.warnings, []);
    let port = |tls: &str| match &parse(&mail(&format!("tls = \"{tls}\""))).unwrap().notices["m"].way {
        Way::Smtp(smtp) => smtp.port,
        other => panic!("{other:?}"),
    };
    assert_eq!((port("implicit"), port("none")), (465, 25));
}

#[test]
fn what_is_allowed_and_doubtful_is_warned_of() {
    let plain = parse(&mail("tls = \"none\"")).unwrap();
    assert!(plain.warnings[0].to_string().contains("travels unprotected"), "{:?}", plain.warnings);
    assert_eq!(parse(&mail("tls = \"none\"").replace("mx.example.com", "127.0.0.1")).unwrap().warnings, []);
}

#[test]
fn each_mistake_is_named_with_its_place() {
    let hook = |more: &str| format!("[notices.ops]\nkind = \"webhook\"\nurl = {{ env = \"HOOK\" }}\n{more}");
    let cases = [
        (
            "[notices.ops]\nurl = { env = \"HOOK\" }".to_owned(),
            "gk.toml:12:10: notices.ops.kind: is missing: one of webhook",
        ),
        ("[notices.ops]\nkind = \"slak\"".to_owned(), "gk.toml:13:8: notices.ops.kind: `slak` is not one of"),
        ("[notices.ops]\nkind = \"slack\"".to_owned(), "notices.ops.url: is missing"),
        (
            "[notices.ops]\nkind = \"slack\"\nurl = \"https://hooks.slack.com/T0\"".to_owned(),
            "gk.toml:14:7: notices.ops.url: a secret is not written here",
        ),
        (hook("on = \"failures\""), "gk.toml:15:6: notices.ops.on: `failures` is not one of never, failure"),
        (
            hook("remind = [\"2 days\", \"1 day\"]"),
            "gk.toml:15:21: notices.ops.remind[1]: must be longer than the one before",
        ),
        (hook("remind = [\"2\"]"), "gk.toml:15:11: notices.ops.remind[0]: `2` has no unit"),
        (hook("digest = \"8 o'clock\""), "gk.toml:15:10: notices.ops.digest: `8 o'clock` is not a time of day"),
        (hook("host = \"x\""), "gk.toml:15:1: notices.ops.host: belongs to smtp channels, and this is webhook"),
        (hook("hots = \"x\""), "unknown key `hots` (did you mean `host`?)"),
        (hook("").replace("notices.ops", "notices.Ops"), "a channel's name is made of lower case letters"),
        (
            "[jobs.managers.notices]\nopps = \"always\"\n".to_owned() + &hook(""),
            "gk.toml:13:1: jobs.managers.notices.opps: there is no channel `[notices.opps]` (did you mean `ops`?)",
        ),
        (
            "[jobs.managers.notices]\nops = \"alway\"\n".to_owned() + &hook(""),
            "gk.toml:13:7: jobs.managers.notices.ops: `alway` is not one of",
        ),
        (
            "unresolved_alert = \"2 %\"".to_owned(),
            "gk.toml:12:20: jobs.managers.unresolved_alert: `2 %` is not a number of points",
        ),
        (mail("").replace("host", "#"), "notices.m.host: is missing"),
        (mail("").replace("[\"ops@example.com\"]", "[\"ops\"]"), "notices.m.to[0]: `ops` is not a mail address"),
        (mail("").replace("[\"ops@example.com\"]", "[]"), "notices.m.to: names nobody"),
        (mail("username = \"u\""), "notices.m.password: is missing beside `username`"),
        (mail("password = { env = \"P\" }"), "notices.m.username: is missing beside `password`"),
        (
            mail("tls = \"none\"\nusername = \"u\"\npassword = { env = \"P\" }"),
            "notices.m.tls: a password is not sent without TLS",
        ),
        (
            "[notices.p]\nkind = \"ping\"\nurl = { env = \"P\" }\njobs = [\"manager\"]".to_owned(),
            "gk.toml:15:9: notices.p.jobs[0]: there is no job `manager` (did you mean `managers`?)",
        ),
        ("[notices.p]\nkind = \"ping\"\nurl = { env = \"P\" }".to_owned(), "notices.p.jobs: is missing"),
        (
            "[jobs.managers.notices]\np = \"always\"\n[notices.p]\nkind = \"ping\"\nurl = { env = \"P\" }\n\
                 jobs = [\"managers\"]"
                .to_owned(),
            "gk.toml:13:1: jobs.managers.notices.p: is a ping",
        ),
        ("[notices.g]\nkind = \"graph\"\nto = [\"a@x.example\"]".to_owned(), "notices.g.from: is missing: the mailbox"),
        (
            "[notices.g]\nkind = \"graph\"\nas = \"user\"\nto = [\"a@x.example\"]".to_owned(),
            "needs `[entra.user]`, which is not configured",
        ),
    ];
    for (text, expected) in cases {
        let found = match parse(&text) {
            Ok(_) => panic!("no mistake in\n{text}"),
            Err(found) => found.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        };
        assert!(found.contains(expected), "{text}\n{found}");
    }
}

#[test]
fn a_mail_address_is_a_plain_one() {
    for good in ["a@b", "ana.b+c@x.example", "ü@x.example"] {
        assert!(is_address(good), "{good}");
    }
    for bad in ["", "a", "a@", "@b", "a b@x", "a@x\r\nBcc: b@x", "Ana <a@x>", "a@x,b@x", "a@x..y", ".a@x", "a@b@c"] {
        assert!(!is_address(bad), "{bad}");
    }
}
