//! Promises about mistakes: each is named with its place, all at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Visitor, value::Error as FieldError};

use super::*;
use crate::config::raw::{
    RawBrake, RawChannel, RawControl, RawCorrelateRule, RawEntra, RawEntraApp, RawEntraUser, RawHistory, RawHttp,
    RawJob, RawManagerRule, RawOkta, RawOktaAuth, RawScope, RawState, RawWeb, SECRET_KEYS,
};
use crate::config::secrets::SecretRef;
use crate::config::settings::{Cloud, ScopeSettings, Work};
use crate::domain::run::Mode;
use crate::reconcile::brake::Brake;
use crate::schedule::CatchUp;

const EXAMPLE: &str = include_str!("../../graphkeeper.example.toml");

/// A configuration without a mistake, to which a test adds one.
const GOOD: &str = r#"
[okta]
org_url = "https://example.okta.com"
auth = { method = "api-token", token = { env = "OKTA" } }
[entra]
tenant = "contoso.onmicrosoft.com"
app = { client_id = "a", client_secret = { env = "ENTRA" } }
user = { client_id = "b" }
[jobs.managers]
kind = "managers"
manager = [{ attribute = "managerId", is = "login" }]
"#;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let home = std::iter::once(&("HOME", "/home/ana"));
    home.chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parse(text: &str) -> Result<Settings, Problems> {
    load_text(Path::new("gk.toml"), text, &env(&[]))
}

/// The problems of a text, one a line.
fn problems(text: &str) -> String {
    lines(parse(text))
}

fn lines(result: Result<Settings, Problems>) -> String {
    let found = result.expect_err("it has a mistake").problems;
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn managers(settings: &Settings) -> &settings::ManagersSettings {
    match &settings.jobs["managers"].work {
        Work::Managers(managers) => managers,
        other => panic!("not a managers job: {other:?}"),
    }
}

#[test]
fn a_short_configuration_is_filled_up_with_careful_defaults() {
    let settings = parse(GOOD).unwrap();
    let job = &settings.jobs["managers"];
    let managers = managers(&settings);
    assert_eq!(managers.mode, Mode::Plan);
    assert_eq!(managers.brake, Brake::default());
    assert_eq!(managers.source_floor.to_string(), "80%");
    assert_eq!((managers.confirm_after, managers.check_after), (Duration::from_secs(30), Duration::from_mins(1)));
    assert_eq!(managers.scope, ScopeSettings::Everyone);
    assert_eq!(managers.policy.correlate[0].okta.to_string(), "login");
    assert_eq!((job.schedule.is_none(), job.jitter, job.timeout), (true, Duration::ZERO, Duration::from_hours(4)));
    assert_eq!(settings.state_directory, Path::new("/home/ana/.local/state/graphkeeper"));
    assert_eq!(
        (settings.entra.cloud, settings.entra.graph_url.as_str()),
        (Cloud::Global, "https://graph.microsoft.com/")
    );
    assert_eq!((settings.zone.name.as_str(), settings.http.timeout), ("UTC", Duration::from_secs(30)));
    assert_eq!(settings.warnings, []);
}

/// The example as it stands, and with every commented key in force.
#[test]
fn the_example_is_a_valid_configuration_with_and_without_its_comments() {
    let path = Path::new("graphkeeper.example.toml");
    load_text(path, EXAMPLE, &env(&[])).unwrap_or_else(|found| panic!("{found}"));
    let all = uncommented();
    let settings = load_text(path, &all, &env(&[])).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(managers(&settings).brake, Brake::default(), "the commented values are the defaults");
    assert_eq!(settings.warnings, []);
}

fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|letter: char| letter.is_ascii_lowercase()) => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    EXAMPLE.lines().map(line).collect()
}

#[test]
fn the_example_names_every_key_there_is() {
    let all = [
        fields::<Raw>(),
        fields::<RawState>(),
        fields::<RawControl>(),
        fields::<RawHistory>(),
        fields::<RawHttp>(),
        fields::<RawWeb>(),
        fields::<RawOkta>(),
        fields::<RawOktaAuth>(),
        fields::<RawEntra>(),
        fields::<RawEntraApp>(),
        fields::<RawEntraUser>(),
        fields::<RawChannel>(),
        fields::<RawJob>(),
        fields::<RawManagerRule>(),
        fields::<RawCorrelateRule>(),
        fields::<RawScope>(),
        fields::<RawBrake>(),
        SECRET_KEYS,
    ];
    let text = uncommented();
    let named = |key: &str| {
        let assignment = format!("{key} = ");
        let table = text.contains(&format!("[{key}]"))
            || text.contains(&format!("[{key}."))
            || text.contains(&format!(".{key}]"));
        table
            || text.match_indices(&assignment).any(|(at, _)| at == 0 || matches!(text.as_bytes()[at - 1], b'\n' | b' '))
    };
    let missing: Vec<&str> = all.iter().flat_map(|keys| keys.iter().copied()).filter(|key| !named(key)).collect();
    assert_eq!(missing, [""; 0]);
}

/// The keys that a struct asks its deserializer for.
fn fields<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    struct Ask<'a>(&'a mut &'static [&'static str]);
    impl<'de> Deserializer<'de> for Ask<'_> {
        type Error = FieldError;
        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, FieldError> {
            *self.0 = fields;
            Err(serde::de::Error::custom("asked"))
        }
        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, FieldError> {
            Err(serde::de::Error::custom("not a struct"))
        }
        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut fields: &'static [&'static str] = &[];
    let _ = T::deserialize(Ask(&mut fields));
    assert!(!fields.is_empty());
    fields
}

/// One mistake each, added to a good configuration as a job, a table or a key.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_mistake_is_named_with_its_place_and_the_nearest_word() {
    let cases = [
        (
            "[jobs.k]\nkind = \"keepalive\"\nscedule = \"@daily\"",
            "gk.toml:14:1: jobs.k.scedule: unknown key `scedule` (did you mean `schedule`?)",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\nschedule = 5",
            "gk.toml:14:12: jobs.k.schedule: integer `5` stands where a text in quotes is wanted",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\nsave_bodies = \"yes\"",
            "gk.toml:14:15: jobs.k.save_bodies: a text stands where true or false is wanted",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\nrequests = \"/me\"",
            "gk.toml:14:12: jobs.k.requests: a text stands where a list: [ … ] is wanted",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\nrequests = [\"me\"]",
            "gk.toml:14:13: jobs.k.requests[0]: must be a path below /v1.0, such as \"/me\"",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\nrequests = [\"/me\", \"/%2E%2e/beta/me\"]",
            "gk.toml:14:20: jobs.k.requests[1]: is not a plain path: no blanks, `#`, `\\`, `.` or `..`",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\nrequests = [\"https://graph.microsoft.com/v1.0/me\"]",
            "gk.toml:14:13: jobs.k.requests[0]: must be a path below /v1.0, such as \"/me\"",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\nrequests = [\"/beta/me\"]",
            "gk.toml:14:13: jobs.k.requests[0]: must not begin with the version: write \"/me\", not \"/v1.0/me\"",
        ),
        ("[jobs.k]\nkind = \"keepalive\"\nsubscription = \"\"", "gk.toml:14:16: jobs.k.subscription: is empty"),
        (
            "[jobs.l]\nkind = \"licenses\"\nfew_free = -1",
            "gk.toml:14:12: jobs.l.few_free: `-1` is not a number of seats, such as 5; 0 is never",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\nfew_free = 5",
            "gk.toml:14:1: jobs.k.few_free: belongs to licenses jobs, and this is a keepalive job",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\nmin_interval = \"59 minutes\"",
            "gk.toml:14:16: jobs.k.min_interval: must be at least 1 hour: a sandbox is kept alive by use, not by noise",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\ntimezone = \"Europe/Olso\"",
            "gk.toml:14:12: jobs.k.timezone: `Europe/Olso` is not a time zone, such as Europe/Oslo (did you mean `Europe/Oslo`?)",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\ntimeout = \"30\"",
            "gk.toml:14:11: jobs.k.timeout: `30` has no unit: write \"30 seconds\" or \"30 minutes\"",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\ntimeout = \"0 s\"",
            "gk.toml:14:11: jobs.k.timeout: must be more than nothing",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\njitter = \"-5 s\"",
            "gk.toml:14:10: jobs.k.jitter: `-5 s` is not a length of time, such as \"30 seconds\", \"15 minutes\" or \"1h 30m\"",
        ),
        (
            "[jobs.k]\nkind = \"keepalive\"\nmode = \"apply\"",
            "gk.toml:14:1: jobs.k.mode: belongs to managers jobs, and this is a keepalive job",
        ),
        (
            "[jobs.k]\nkind = \"keepaliv\"",
            "gk.toml:13:8: jobs.k.kind: `keepaliv` is not one of managers, licenses, keepalive, directory, request (did you mean `keepalive`?)",
        ),
        (
            "[jobs.licences]\nevery = \"1 day\"",
            "gk.toml:12:7: jobs.licences.kind: is missing: one of managers, licenses, keepalive, directory, request, such as kind = \"licenses\"",
        ),
        (
            "[jobs.k]\nkind = \"request\"\npath = \"/Me/messages\"",
            "gk.toml:14:8: jobs.k.path: `/me` is whoever signed in, and Graph refuses it to an application: say `identity = \"user\"`",
        ),
        (
            "[jobs.k]\nkind = \"request\"\npath = \"/ME?$select=id\"",
            "gk.toml:14:8: jobs.k.path: `/me` is whoever signed in, and Graph refuses it to an application: say `identity = \"user\"`",
        ),
        (
            "[jobs.k]\nkind = \"request\"\npath = \"/%6de\"",
            "gk.toml:14:8: jobs.k.path: hides what is called behind a `%`: write its first part as it is",
        ),
        (
            "[jobs.k]\nkind = \"request\"\nmethod = \"POST\"\nallow_writes = true\npath = \"/$batch\"",
            "gk.toml:16:8: jobs.k.path: `$batch` hides which calls were made and what became of them: write a job for each call",
        ),
        (
            "[jobs.k]\nkind = \"request\"\npath = \"https://elsewhere.example/v1.0/users\"",
            "gk.toml:14:8: jobs.k.path: must be a path below /v1.0, such as \"/me\"",
        ),
        ("[jobs.k]\nkind = \"watch\"", "gk.toml:13:8: jobs.k.kind: `watch` jobs are not available yet in this version"),
        (
            "[jobs.K]\nkind = \"licenses\"",
            "gk.toml:12:7: jobs.K: a job's name is made of lower case letters, digits, `-` and `_`, and does not begin with `-`",
        ),
        ("[jobs]\nk = 5", "gk.toml:13:5: jobs.k: integer `5` stands where a table is wanted"),
        (
            "schedule = \"0 2 * * *\"\nevery = \"2 days\"",
            "gk.toml:13:1: jobs.managers.every: stands beside `schedule`: a job has one of them",
        ),
        (
            "every = \"1 month\"",
            "gk.toml:12:9: jobs.managers.every: `1 month` is not a period: months and years differ in length; use `schedule`, such as \"0 6 1 * *\"",
        ),
        (
            "schedule = \"0 25 * * *\"",
            "gk.toml:12:12: jobs.managers.schedule: hour \"25\" is not 0 to 23, a list, a range or a step such as */6",
        ),
        (
            "mode = \"aply\"",
            "gk.toml:12:8: jobs.managers.mode: `aply` is not one of plan, apply (did you mean `apply`?)",
        ),
        (
            "scope = { search = \"a\", app = \"0oa1\" }",
            "gk.toml:12:1: jobs.managers.scope: has search and app: a scope is one of search, group, app",
        ),
        ("scope = {}", "gk.toml:12:1: jobs.managers.scope.search: is missing: a scope is one of search, group, app"),
        (
            "scope = { group = \"Sales\\\" or 1\" }",
            "gk.toml:12:19: jobs.managers.scope.group: `Sales\" or 1` is not an Okta id, such as 00g1example",
        ),
        (
            "correlate = [{ okta = \"app_username\", entra = \"mail\" }]",
            "gk.toml:12:23: jobs.managers.correlate[0].okta: `app_username` is known with `scope = { app = \"0oa…\" }` only",
        ),
        (
            "correlate = [{ okta = \"login\", entra = \"emial\" }]",
            "gk.toml:12:40: jobs.managers.correlate[0].entra: `emial` is not one of userPrincipalName, mail, proxyAddresses, employeeId, onPremisesImmutableId, id (did you mean `mail`?)",
        ),
        (
            "correlate = []",
            "gk.toml:12:13: jobs.managers.correlate: has no rule: leave it out to compare login with userPrincipalName",
        ),
        (
            "source_floor = \"0.8\"",
            "gk.toml:12:16: jobs.managers.source_floor: `0.8` is not a percentage from 0% to 100%, such as 80% or 2.5%",
        ),
        (
            "brake = { set = \"20%\", delete = \"5%\" }",
            "gk.toml:12:24: jobs.managers.brake.delete: unknown key `delete`; the keys here are set, change, clear",
        ),
        (
            "canaries = [\"a\", 7]",
            "gk.toml:12:18: jobs.managers.canaries[1]: integer `7` stands where a text in quotes is wanted",
        ),
        (
            "[jobs.m]\nkind = \"managers\"",
            "gk.toml:12:7: jobs.m.manager: is missing: which Okta attribute names the manager, such as manager = [ { attribute = \"managerId\", is = \"login\" } ]",
        ),
        (
            "[state]\ndirectory = \"~/gk\"",
            "gk.toml:13:13: state.directory: is taken literally: `~` and `$` are not replaced; write the whole path",
        ),
        (
            "[http]\ntimeout = 2.5",
            "gk.toml:13:11: http.timeout: floating point `2.5` stands where a text in quotes is wanted",
        ),
    ];
    for (mistake, expected) in cases {
        assert_eq!(problems(&format!("{GOOD}{mistake}\n")), expected, "{mistake}");
    }
}

#[test]
fn mistakes_about_services_are_named() {
    let with = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        problems(&GOOD.replacen(from, to, 1))
    };
    let url = "https://example.okta.com";
    assert_eq!(
        with(url, "http://example.okta.com"),
        "gk.toml:3:11: okta.org_url: must begin with https: plain http is accepted for loopback only"
    );
    assert_eq!(
        with(url, "example.okta.com"),
        "gk.toml:3:11: okta.org_url: is not a URL, such as https://example.okta.com (did you mean `https://example.okta.com`?)"
    );
    assert_eq!(
        with(url, "https://example.okta.com/api/v1"),
        "gk.toml:3:11: okta.org_url: must be the root alone, without a path (did you mean `https://example.okta.com`?)"
    );
    assert_eq!(
        with(url, "https://example-admin.okta.com"),
        "gk.toml:3:11: okta.org_url: is the address of the admin console, not of the organization (did you mean `https://example.okta.com`?)"
    );
    assert_eq!(
        with("tenant = ", "graph_url = \"https://graph.microsoft.com/v1.0\"\ntenant = "),
        "gk.toml:6:13: entra.graph_url: must be the root alone, without a path (did you mean `https://graph.microsoft.com`?)"
    );
    assert_eq!(
        with("app = { client_id = \"a\", client_secret = { env = \"ENTRA\" } }\n", ""),
        "gk.toml:5:2: entra.app: is missing: the job `managers` needs an application that signs in as itself"
    );
    assert_eq!(
        with("contoso.onmicrosoft.com", "common"),
        "gk.toml:6:10: entra.tenant: `common` names no tenant: write its id or a domain of it"
    );
}

#[test]
fn every_way_to_sign_in_has_its_own_keys_and_no_others() {
    let okta = |auth: &str| problems(&GOOD.replacen("method = \"api-token\", token = { env = \"OKTA\" }", auth, 1));
    assert_eq!(
        okta("method = \"private-key\", token = { env = \"OKTA\" }"),
        "gk.toml:4:1: okta.auth.client_id: is missing: the client id of the service app (0oa…)\n\
         gk.toml:4:1: okta.auth.key_id: is missing: the id of the app's public key (KID) in Okta\n\
         gk.toml:4:1: okta.auth.private_key: is missing: where the private key is, such as { file = \"…\" }\n\
         gk.toml:4:34: okta.auth.token: belongs to method = \"api-token\""
    );
    assert_eq!(
        okta("method = \"api-token\", token = { env = \"OKTA\" }, key_id = \"k\""),
        "gk.toml:4:58: okta.auth.key_id: belongs to method = \"private-key\""
    );
    let app = |auth: &str| problems(&GOOD.replacen("client_secret = { env = \"ENTRA\" }", auth, 1));
    assert_eq!(
        app("method = \"certificate\", client_secret = { env = \"ENTRA\" }, assertion = \"es256\""),
        "gk.toml:7:1: entra.app.certificate: is missing: where the certificate is (PEM, or a PFX), such as { file = \"…\" }\n\
         gk.toml:7:50: entra.app.client_secret: belongs to method = \"client-secret\"\n\
         gk.toml:7:97: entra.app.assertion: `es256` is not one of ps256, rs256 (did you mean `rs256`?)"
    );
    assert_eq!(
        app("method = \"federated-token\""),
        "gk.toml:7:1: entra.app.token_file: is missing: the file in which the platform keeps its token, such as $AZURE_FEDERATED_TOKEN_FILE"
    );
    assert_eq!(
        app("client_secret = { env = \"ENTRA\" }, client_secret_ends = \"soon\""),
        "gk.toml:7:82: entra.app.client_secret_ends: `soon` is not a date such as 2027-01-31"
    );
    assert_eq!(
        app(
            "method = \"certificate\", certificate = { file = \"c\" }, private_key = { file = \"k\" }, password = { env = \"P\" }"
        ),
        "gk.toml:7:110: entra.app.password: belongs to a PFX, which has its `private_key` in it"
    );
    let app_is = |auth: &str| parse(&GOOD.replacen("client_secret = { env = \"ENTRA\" }", auth, 1)).is_ok();
    assert!(app_is("method = \"certificate\", certificate = { file = \"c\" }, private_key = { file = \"k\" }"));
    assert!(app_is("method = \"certificate\", certificate = { file = \"c\" }, password = { env = \"P\" }"));
    assert!(app_is("method = \"federated-token\", token_file = \"/var/run/secrets/token\""));
    let key = "method = \"private-key\", client_id = \"0oa\", key_id = \"k\", private_key = { credential = \"k\" }";
    assert!(parse(&GOOD.replacen("method = \"api-token\", token = { env = \"OKTA\" }", key, 1)).is_ok());
}

#[test]
fn a_keepalive_without_a_person_is_refused_with_the_reason() {
    let text =
        GOOD.replace("user = { client_id = \"b\" }\n", "") + "[jobs.k]\nkind = \"keepalive\"\nrequests = [\"/me\"]";
    assert_eq!(
        problems(&text),
        "gk.toml:5:2: entra.user: is missing: the job `k` needs somebody who signed in (`graphkeeper login`): the application \
         of `entra.app` speaks for itself alone, and Graph refuses /me to it"
    );
}

/// The configuration with these lines in the place of how the application signs in, and files beside it.
fn with_files(app: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Settings) {
    let home = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = home.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = GOOD.replacen("client_secret = { env = \"ENTRA\" }", app, 1);
    let settings = load_text(&home.path().join("gk.toml"), &text, &env(&[("OKTA", "x")])).unwrap();
    (home, settings)
}

#[test]
fn a_bad_key_and_a_bad_certificate_are_found_by_reading_them() {
    let (good, key) = (include_str!("../auth/testing/certificate.pem"), include_str!("../auth/testing/rsa-pkcs8.pem"));
    let encrypted = include_str!("../auth/testing/encrypted.pem");
    let other = include_str!("../auth/testing/other.pem");
    let pair = "method = \"certificate\", certificate = { file = \"c\" }, private_key = { file = \"k\" }";
    let now = "2026-12-01T00:00:00Z".parse().unwrap();
    let found = |files: &[(&str, &str)]| {
        let (_home, settings) = with_files(pair, files);
        let variables = env(&[("OKTA", "x")]);
        let each = settings.secrets.iter().filter_map(|secret| secret.problem(&variables)).map(|(problem, _)| problem);
        let all: Vec<_> = each.chain(settings.pair_problem(&variables, now)).collect();
        all.iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(found(&[("c", good), ("k", key)]), "");
    for (certificate, key, expected) in [
        (key, key, "entra.app.certificate: cannot be used: it holds no certificate in PEM form"),
        (good, good, "entra.app.private_key: cannot be used: it is a certificate and not a private key"),
        (good, encrypted, "entra.app.private_key: cannot be used: it is encrypted with a password"),
        (good, "rubbish", "entra.app.private_key: cannot be used: it holds no private key"),
        (good, other, "entra.app.certificate: cannot be used: the certificate belongs to another private key"),
    ] {
        let found = found(&[("c", certificate), ("k", key)]);
        assert!(found.starts_with(expected) && !found.contains('\n'), "{expected}\n{found}");
    }
    let late = "2126-12-01T00:00:00Z".parse().unwrap();
    let (_home, settings) = with_files(pair, &[("c", good), ("k", key)]);
    assert!(settings.pair_problem(&[], late).unwrap().message.contains("ended on"));
}

#[test]
fn plain_http_is_fine_on_loopback() {
    for root in ["http://127.0.0.1:8700", "http://localhost:8700", "http://[::1]:8700"] {
        let text = GOOD.replace("https://example.okta.com", root);
        assert!(parse(&text).is_ok(), "{root}");
    }
}

#[test]
fn a_secret_in_the_place_of_a_reference_is_refused_and_not_repeated() {
    for secret in ["\"hunter2\"", "{ value = \"hunter2\" }", "[\"hunter2\"]", "{ file = [\"hunter2\"] }", "20252025"] {
        let text = GOOD.replacen("{ env = \"OKTA\" }", secret, 1);
        let said = problems(&text);
        assert!(said.starts_with("gk.toml:4:") && said.contains("okta.auth.token"), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("2025"), "{said}");
    }
    let whole = problems(&GOOD.replacen("{ method = \"api-token\", token = { env = \"OKTA\" } }", "\"hunter2\"", 1));
    assert!(whole.contains("okta.auth") && !whole.contains("hunter2"), "{whole}");
    let variable = env(&[("GRAPHKEEPER__OKTA__AUTH__TOKEN", "hunter2")]);
    let said = lines(load_text(Path::new("gk.toml"), &GOOD.replacen("token = { env = \"OKTA\" }", "", 1), &variable));
    assert!(
        said.starts_with("environment GRAPHKEEPER__OKTA__AUTH__TOKEN: okta.auth.token: ") && !said.contains("hunter2")
    );
}

#[test]
fn variables_override_the_file_and_become_what_is_wanted() {
    let variables = env(&[
        ("GRAPHKEEPER__ENTRA__APP__CLIENT_ID", "0123"),
        ("GRAPHKEEPER__JOBS__MANAGERS__MODE", "apply"),
        ("GRAPHKEEPER__JOBS__MANAGERS__EXCLUDE", "a@example.com, b@example.com"),
        ("GRAPHKEEPER__JOBS__MANAGERS__CANARIES", "[\"c\"]"),
        ("GRAPHKEEPER__OKTA__AUTH__TOKEN", "{ file = \"/run/token\" }"),
        ("GRAPHKEEPER_LOG", "debug"),
    ]);
    let text = GOOD.replacen("token = { env = \"OKTA\" }", "", 1);
    let settings = load_text(Path::new("gk.toml"), &text, &variables).unwrap();
    assert_eq!(settings.entra.app.as_ref().unwrap().client_id, "0123", "digits stay text");
    let managers = managers(&settings);
    assert_eq!(managers.mode, Mode::Apply);
    assert_eq!(managers.policy.exclude, ["a@example.com", "b@example.com"]);
    assert_eq!(managers.canaries, ["c"]);
    assert_eq!(settings.secrets[0].secret, SecretRef::File("/run/token".into()));
}

#[test]
fn a_wrong_variable_is_named_as_it_is_spelled() {
    let variables =
        env(&[("graphkeeper__Http__timeout", "soon"), ("GRAPHKEEPER__JOBS__MANAGERS__SAVE_BODIES", "perhaps")]);
    insta::assert_snapshot!(lines(load_text(Path::new("gk.toml"), GOOD, &variables)), @r#"
    environment GRAPHKEEPER__JOBS__MANAGERS__SAVE_BODIES: jobs.managers.save_bodies: a text stands where true or false is wanted
    environment graphkeeper__Http__timeout: http.timeout: `soon` is not a length of time, such as "30 seconds", "15 minutes" or "1h 30m"
    "#);
}

#[test]
fn drop_ins_override_by_name_and_mistakes_name_the_right_file() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("gk.toml");
    let drop_ins = directory.path().join("gk.d");
    fs::create_dir(&drop_ins).unwrap();
    fs::write(&main, GOOD).unwrap();
    fs::write(drop_ins.join("10-zone.toml"), "timezone = \"Europe/Oslo\"\n[jobs.managers]\nmode = \"apply\"\n")
        .unwrap();
    fs::write(drop_ins.join("20-zone.toml"), "timezone = \"europe/paris\"\n").unwrap();
    fs::write(drop_ins.join("notes.txt"), "not toml").unwrap();
    let settings = load(&main, &env(&[])).unwrap();
    assert_eq!(settings.zone.name, "Europe/Paris");
    assert_eq!(managers(&settings).mode, Mode::Apply);
    assert_eq!(settings.files.len(), 3);
    fs::write(drop_ins.join("20-zone.toml"), "\n\ntimezone = \"Europe/Pari\"\n").unwrap();
    let said = lines(load(&main, &env(&[])));
    assert!(said.contains("20-zone.toml:3:12: timezone: `Europe/Pari`"), "{said}");
}

#[test]
fn a_byte_order_mark_and_dos_line_ends_are_fine() {
    let text = format!("\u{feff}timezone = \"UTC\"\n{GOOD}").replace('\n', "\r\n");
    assert!(parse(&text).is_ok());
    assert!(problems(&format!("{text}mode = \"aply\"\r\n")).starts_with("gk.toml:13:8: jobs.managers.mode"));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gk.toml");
    assert!(lines(load(&path, &env(&[]))).contains("gk.toml: there is no such file; name another by --config"));
    fs::write(&path, b"timezone = \"UTC\"\nx = \"\xff\"").unwrap();
    assert!(lines(load(&path, &env(&[]))).contains("gk.toml:2:6: is not UTF-8 text"));
    insta::assert_snapshot!(problems("timezone = \nx = 1 2\n[jobs\n"), @r"
    gk.toml:1:12: string values must be quoted, expected literal string
    gk.toml:2:5: string values must be quoted, expected literal string
    gk.toml:3:6: unclosed table, expected `]`
    ");
    assert!(problems("timezone = \"UTC\"\ntimezone = \"UTC\"\n").starts_with("gk.toml:2:1: duplicate key"));
}

#[test]
fn an_empty_configuration_says_what_it_needs() {
    assert_eq!(problems(""), "gk.toml: entra: is missing: the tenant, and how to sign in to it");
}

#[test]
fn what_is_allowed_and_risky_is_warned_of() {
    let text = format!(
        "{GOOD}when_empty = \"clear\"\nsource_floor = \"0%\"\n[jobs.keepalive]\nkind = \"keepalive\"\nschedule = \"*/10 * * * *\"\n"
    );
    let warnings = parse(&text).unwrap().warnings;
    insta::assert_snapshot!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), @r"
    gk.toml:12:14: jobs.managers.when_empty: `clear` without `canaries`: if Okta stops giving managers, only the brake keeps them from being cleared
    gk.toml:13:16: jobs.managers.source_floor: nothing but an empty listing is disbelieved: a source that shrank is believed
    gk.toml:16:12: jobs.keepalive.schedule: comes more often than `min_interval` allows: runs that are too soon are left out
    ");
    assert!(parse(&format!("{text}canaries = []\n")).is_err(), "a key in the wrong job");
}

#[test]
fn a_request_that_is_listed_twice_is_made_once_and_warned_of() {
    let requests = r#"["/me", "/ME/", "/users?$filter=a", "/Users?$filter=A", "/subscribedSkus"]"#;
    let settings = parse(&format!("{GOOD}[jobs.keepalive]\nkind = \"keepalive\"\nrequests = {requests}\n")).unwrap();
    let Work::Keepalive(keepalive) = &settings.jobs["keepalive"].work else { panic!("no keepalive") };
    assert_eq!(keepalive.requests, ["/me", "/users?$filter=a", "/Users?$filter=A", "/subscribedSkus"]);
    let warnings: Vec<_> = settings.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["gk.toml:14:20: jobs.keepalive.requests[1]: is the same request as `/me`, and made once a run"]
    );
}

#[test]
fn catching_up_is_read_and_what_changes_nothing_is_warned_of() {
    let job = |lines: &str| format!("{GOOD}[jobs.licenses]\nkind = \"licenses\"\n{lines}\n");
    let settings = parse(&job("every = \"2 hours\"\ncatch_up = \"all\"\ncatch_up_within = \"20 hours\"")).unwrap();
    let licenses = &settings.jobs["licenses"];
    assert_eq!((licenses.catch_up, licenses.catch_up_within), (CatchUp::All, Some(Duration::from_hours(20))));
    assert_eq!(settings.warnings, []);
    let managers = &settings.jobs["managers"];
    assert_eq!((managers.catch_up, managers.catch_up_within), (CatchUp::Once, None));

    let warned = |lines: &str| {
        let warnings = parse(&job(lines)).unwrap().warnings;
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    for (lines, warning) in [
        ("every = \"2 hours\"\ncatch_up_within = \"121 minutes\"", "within 2 hours, the newest moment is always"),
        ("every = \"2 hours\"\ncatch_up = \"all\"\ncatch_up_within = \"21 hours\"", "within 20 hours, the newest ten"),
        ("schedule = \"0 6 * * MON-FRI\"\ncatch_up_within = \"4 days\"", "within 3 days, the newest moment is always"),
        ("schedule = \"* 9-17 * * MON-FRI\"\ncatch_up_within = \"4 days\"", "within 2 days 15 hours 1 minute, the"),
        ("schedule = \"0 6 1 1 *\"\ncatch_up_within = \"400 days\"", "within 366 days, the"),
        ("schedule = \"0 6 * * *\"\ncatch_up = \"skip\"\ncatch_up_within = \"1 hour\"", "has no effect: with `skip`"),
        ("catch_up = \"all\"", "has no effect: a job without a schedule"),
    ] {
        assert!(warned(lines).contains(warning), "{lines}: {}", warned(lines));
    }
    for fine in [
        "schedule = \"0 6 * * MON-FRI\"\ncatch_up_within = \"3 days\"",
        "schedule = \"* 9-17 * * MON-FRI\"\ncatch_up_within = \"1 day\"",
        "schedule = \"* * 9-17 * * MON-FRI\"\ncatch_up_within = \"1 day\"",
        "every = \"1 hour\"\ncatch_up = \"skip\"",
    ] {
        assert_eq!(warned(fine), "", "{fine}");
    }
    insta::assert_snapshot!(problems(&format!("{GOOD}catch_up = \"all\"\ncatch_up_within = \"0s\"\nschedule = \"@daily\"")), @"
    gk.toml:12:12: jobs.managers.catch_up: managers jobs are not caught up run by run: one run finds all that differs; use `once`
    gk.toml:13:19: jobs.managers.catch_up_within: must be more than nothing
    ");
    insta::assert_snapshot!(problems(&job("every = \"1 hour\"\ncatch_up = \"one\"\ncatch_up_within = \"7\"")), @r#"
    gk.toml:15:12: jobs.licenses.catch_up: `one` is not one of once, all, skip (did you mean `once`?)
    gk.toml:16:19: jobs.licenses.catch_up_within: `7` has no unit: write "7 seconds" or "7 minutes"
    "#);
}

#[test]
fn the_fingerprint_follows_the_meaning_and_not_the_layout() {
    let plain = parse(GOOD).unwrap().fingerprint;
    assert_eq!(plain.len(), 12);
    assert_eq!(parse(&format!("# a remark\n{}", GOOD.replace(" = ", "="))).unwrap().fingerprint, plain);
    assert_ne!(parse(&format!("{GOOD}mode = \"apply\"\n")).unwrap().fingerprint, plain);
}

#[test]
fn each_cloud_has_its_own_hosts() {
    for (cloud, login, graph) in [
        ("us-gov", "https://login.microsoftonline.us/", "https://graph.microsoft.us/"),
        ("us-dod", "https://login.microsoftonline.us/", "https://dod-graph.microsoft.us/"),
        ("china", "https://login.partner.microsoftonline.cn/", "https://microsoftgraph.chinacloudapi.cn/"),
    ] {
        let settings = parse(&GOOD.replace("[entra]", &format!("[entra]\ncloud = \"{cloud}\""))).unwrap();
        assert_eq!((settings.entra.authority_url.as_str(), settings.entra.graph_url.as_str()), (login, graph));
    }
}

#[test]
fn the_state_directory_is_where_systemd_or_the_user_keeps_state() {
    for (pairs, expected) in [
        (&[("STATE_DIRECTORY", "/var/lib/graphkeeper:/var/lib/other")][..], "/var/lib/graphkeeper"),
        (&[("XDG_STATE_HOME", "/s")][..], "/s/graphkeeper"),
    ] {
        assert_eq!(load_text(Path::new("gk.toml"), GOOD, &env(pairs)).unwrap().state_directory, Path::new(expected));
    }
    let written =
        load_text(Path::new("/etc/gk/gk.toml"), &format!("state = {{ directory = \"here\" }}\n{GOOD}"), &env(&[]));
    assert_eq!(written.unwrap().state_directory, Path::new("/etc/gk/here"), "relative to the file");
}

#[test]
fn the_control_socket_lies_where_systemd_gives_room_or_in_the_state_directory() {
    let socket = |text: &str| parse(&format!("{text}\n{GOOD}")).map(|settings| settings.control.socket);
    for (text, expected) in [
        ("state = { directory = \"/var/lib/graphkeeper\" }", "/run/graphkeeper/control.sock"),
        ("state = { directory = \"/var/lib/graphkeeper/contoso\" }", "/run/graphkeeper/contoso/control.sock"),
        ("state = { directory = \"/var/lib\" }", "/var/lib/control.sock"),
        ("state = { directory = \"/srv/gk\" }", "/srv/gk/control.sock"),
        ("control = { socket = \"/tmp/gk.sock\" }", "/tmp/gk.sock"),
        ("control = { socket = \"gk.sock\" }", "gk.sock"),
    ] {
        assert_eq!(socket(text).unwrap(), Path::new(expected), "{text}");
    }
    let of = |bytes: usize| format!("control = {{ socket = \"/{}\" }}", "s".repeat(bytes - 1));
    assert!(socket(&of(107)).is_ok());
    let said = lines(parse(&format!("{}\n{GOOD}", of(108))));
    assert!(said.starts_with("gk.toml:1:22: control.socket: /sss"), "{said}");
    assert!(said.ends_with("has 108 bytes, and a socket's path at most 107: write a shorter one, such as \"/run/graphkeeper/control.sock\""), "{said}");
    let deep = format!("state = {{ directory = \"/{}\" }}", "d".repeat(100));
    assert!(lines(parse(&format!("{deep}\n{GOOD}"))).contains("control.socket: /ddd"), "the default is refused too");
}

#[test]
fn a_secret_file_that_everybody_may_read_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, "hunter2\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let reference = SecretRef::File(path.clone());
    let error = reference.read(&[]).unwrap_err();
    assert_eq!(error.to_string(), format!("secret file {} can be read by everybody (mode 0644)", path.display()));
    assert_eq!(error.hint().unwrap(), format!("chmod 0600 {}", path.display()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(reference.read(&[]).unwrap().expose(), "hunter2", "without the line end");
    fs::write(&path, "\n").unwrap();
    assert!(reference.read(&[]).unwrap_err().to_string().ends_with("is empty"));
}

#[test]
fn a_fifo_is_refused_by_name_wherever_a_file_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    fs::create_dir(place("gk.d")).unwrap();
    let fifos = [place("gk.toml"), place("gk.d/more.toml"), place("secret")];
    assert!(std::process::Command::new("mkfifo").args(["-m", "0600"]).args(&fifos).status().unwrap().success());
    let problems = load(&place("gk.toml"), &[]).unwrap_err().to_string();
    for fifo in &fifos[..2] {
        let expected = format!("{}: cannot be read: it is a FIFO", fifo.display());
        assert!(problems.contains(&expected), "{problems}");
    }
    let error = SecretRef::File(place("secret")).read(&[]).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "it is a FIFO, and only regular files are read");
}

#[test]
fn secrets_are_found_in_variables_and_credentials() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("okta");
    fs::write(&path, "from systemd").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let place = directory.path().to_str().unwrap();
    let env = env(&[("CREDENTIALS_DIRECTORY", place), ("OKTA", "from a variable")]);
    assert_eq!(SecretRef::Credential("okta".to_owned()).read(&env).unwrap().expose(), "from systemd");
    assert_eq!(SecretRef::Env("OKTA".to_owned()).read(&env).unwrap().expose(), "from a variable");
    assert!(SecretRef::Env("NONE".to_owned()).read(&env).unwrap_err().may_be_there_for_the_service());
    assert!(SecretRef::Credential("okta".to_owned()).read(&[]).unwrap_err().hint().is_some());
}

#[test]
fn how_long_the_history_is_kept_is_an_age_and_details_go_first() {
    let kept = parse(GOOD).unwrap().retention;
    assert_eq!((kept.details.to_string().as_str(), kept.summaries.to_string().as_str()), ("1 year", "5 years"));
    let kept = parse(&format!("history = {{ keep_details = \"90 days\", keep_summaries = \"forever\" }}\n{GOOD}"));
    assert_eq!(kept.unwrap().retention.summaries.to_string(), "forever");
    let wrong = format!("[history]\nkeep_details = \"2 weeks\"\nkeep_summaries = \"1 week\"\n{GOOD}");
    insta::assert_snapshot!(problems(&wrong), @r"
    gk.toml:2:16: history.keep_details: is less than 30 days: later runs look back at what happened
    gk.toml:3:18: history.keep_summaries: 1 week is shorter than the details are kept, 2 weeks
    ");
    let wrong = format!("[history]\nkeep_details = \"12 hours\"\n{GOOD}");
    insta::assert_snapshot!(problems(&wrong), @r#"gk.toml:2:16: history.keep_details: `12 hours` is not an age, such as "90 days", "6 months", "5 years" or "forever""#);
}
