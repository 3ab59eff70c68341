//! Secrets never leave: not in what is printed or logged at any level, not in the history, not in arguments, not in
//! what the page says.

mod commands;
mod newcomers;
mod page;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use graphkeeper::sandbox::faults::{Fault, Order, RetryAfter, When};
use graphkeeper::sandbox::model::habits::Person;
use graphkeeper::sandbox::server::Service;
use tokio::task::JoinSet;

use crate::secrets::commands::{AFTERWARDS, FIRST};
use crate::signin::{OFTEN, by_browser};
use crate::support::hook::Hook;
use crate::support::process::Output;
use crate::support::{ACCOUNTS, Org, PEOPLE};
use crate::web::Page;

const OKTA_TOKEN: &str = "00Qcanary-of-the-okta-api-token-4711";
const CLIENT_SECRET: &str = "canary~of.the-client_secret/+0815";
const ENCRYPTION_KEY: &str = "canary-of-the-encryption-key-of-the-store-0042";
const PAGE_TOKEN: &str = "canary-of-the-token-of-the-page-1618";

/// Everything is logged, by every crate.
const TRACED: [(&str, &str); 2] =
    [("GRAPHKEEPER_LOG", "trace,sqlx=trace,hyper_util=trace,tokio_cron_scheduler=trace"), ("RUST_BACKTRACE", "1")];

/// An organization whose secrets are canaries, and all that came out of the program.
struct Cage {
    org: Org,
    printed: String,
    /// Planted, beside those that cross the wire.
    planted: Vec<String>,
    /// What the configuration says in every case.
    always: String,
    /// Takes notices.
    hook: Hook,
}

impl Cage {
    /// Everything is logged, by every crate.
    async fn new(log: &str) -> Self {
        let mut org = Org::team(["ana", "bo"]).await;
        org.world().write().okta.tokens.push(OKTA_TOKEN.to_owned());
        org.world().write().entra.apps[0].secret = Some(CLIENT_SECRET.to_owned());
        org.world().write().entra.habits.device_interval = 1;
        org.world().write().entra.habits.person = Person::AgreesAfter(0);
        for (name, value) in TRACED.into_iter().chain([("GRAPHKEEPER_LOG_FORMAT", log)]) {
            org.env.push((name.to_owned(), value.to_owned()));
        }
        let planted = [OKTA_TOKEN, CLIENT_SECRET, ENCRYPTION_KEY].map(str::to_owned).to_vec();
        let hook = Hook::start().await;
        let mut cage = Self { org, printed: String::new(), planted, always: String::new(), hook };
        let of = |what: &str| format!("canary-of-the-{what}-of-a-channel-that-is-long-enough-2718");
        let hook = cage.file("hook", &format!("{}/{}", cage.hook.url, of("address")));
        let ping = cage.file("ping", &format!("{}/{}", cage.hook.url, of("switch")));
        let (key, password) = (cage.file("hook-key", &of("signature")), cage.file("smtp", &of("password")));
        // A managers job that began by itself would leave nothing to plan.
        cage.always = format!(
            "{OFTEN}\nschedule = \"0 0 1 1 *\"\nsave_bodies = true\n[jobs.managers]\nschedule = \"0 0 1 1 *\"\n\
             [jobs.look]\nkind = \"request\"\npath = \"/users?$select=id&$top=999\"\nsave_bodies = true\n\
             [notices.office]\nkind = \"webhook\"\nurl = {hook}\nsigning_key = {key}\n\
             [notices.dead]\nkind = \"ping\"\nurl = {ping}\njobs = [\"managers\"]\n\
             [notices.mail]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = 9\ntls = \"none\"\nusername = \"graphkeeper\"\n\
             password = {password}\nfrom = \"gk@corp.example\"\nto = [\"ops@corp.example\"]\n\
             [notices.letter]\nkind = \"graph\"\nfrom = \"boss@corp.example\"\nto = [\"ops@corp.example\"]\n"
        );
        cage.with("");
        cage
    }

    /// Lays this over the configuration, beside what is always there.
    fn with(&self, more: &str) {
        self.org.configure(&format!("{}{more}", self.always));
    }

    /// Keeps a secret in a file, and says how a configuration names it.
    fn file(&mut self, name: &str, secret: &str) -> String {
        self.planted.push(secret.to_owned());
        format!("{{ file = \"{}\" }}", self.org.keep_secret(name, secret))
    }

    /// Hands a secret over in a variable.
    fn env(&mut self, name: &str, secret: &str) -> String {
        self.planted.push(secret.to_owned());
        self.org.env.push((name.to_owned(), secret.to_owned()));
        format!("{{ env = \"{name}\" }}")
    }

    /// Hands a secret over as systemd does.
    fn credential(&mut self, name: &str, secret: &str) -> String {
        self.planted.push(secret.to_owned());
        let directory = Path::new(&self.org.keep_secret(name, secret)).parent().unwrap().display().to_string();
        self.org.env.push(("CREDENTIALS_DIRECTORY".to_owned(), directory));
        format!("{{ credential = \"{name}\" }}")
    }

    fn sealed_with(&self, key: &str) {
        self.with(&format!("[entra.user]\nencryption_key = {key}\n"));
    }

    async fn runs(&mut self, arguments: &[&str], output: &str) -> Output {
        let all: Vec<&str> = arguments.iter().copied().chain(["--output", output]).collect();
        let output = self.org.shows(&all).await;
        assert!(!output.stderr.contains("Usage:"), "{all:?} is no command: {}", output.stderr);
        self.printed.push_str(&output.all());
        output
    }

    /// Every command there is, but for those that make tenants of their own.
    async fn runs_everything(&mut self, output: &str) {
        self.org.moves("ana", "chief");
        for command in FIRST {
            let done = self.runs(command, output).await;
            assert_eq!(done.code, Some(0), "{command:?}: {}", tail(&done.all()));
        }
        let mut database = self.org.database().await;
        let run =
            database.texts("select id from run where job = 'managers' order by rowid desc limit 1").await.remove(0);
        let plan = database.texts("select id from plan order by rowid desc limit 1").await.remove(0);
        for command in AFTERWARDS {
            let named = |word: &'static str| match word {
                "RUN" => run.clone(),
                "PLAN" => plan.clone(),
                word => word.to_owned(),
            };
            let command: Vec<String> = command.iter().copied().map(named).collect();
            self.runs(&command.iter().map(String::as_str).collect::<Vec<_>>(), output).await;
        }
        let login = by_browser(&self.org).await;
        assert_eq!(login.code, Some(0), "{}", tail(&login.all()));
        self.printed.push_str(&login.all());
    }

    /// Answers of every broken kind, to sign-ins and to calls.
    async fn is_answered_badly(&mut self) {
        self.hook.answers(Some(500));
        let refuse = |code: &str| Fault::RefuseSignIn {
            code: code.to_owned(),
            error: None,
            retry_after: RetryAfter::Seconds(3_600),
        };
        let broken = [
            Fault::HtmlWith200,
            Fault::CutJson,
            Fault::ExpireToken,
            Fault::Status { status: 501, html: true },
            refuse("700082"),
        ];
        for fault in broken {
            for (service, path) in [
                (Service::Okta, PEOPLE),
                (Service::Okta, "/oauth2/v1/token"),
                (Service::Graph, ACCOUNTS),
                (Service::Graph, "/v1.0/me"),
                (Service::Login, "/*/oauth2/v2.0/token"),
            ] {
                self.org.faults().order(Order::new(service, path, fault.clone()).when(When::Next(1)));
            }
            for job in ["managers", "keepalive"] {
                self.runs(&["run", job], "json").await;
            }
            self.org.faults().clear();
        }
        for command in [&["history", "notices"][..], &["jobs"], &["doctor"], &["notify", "test", "office"]] {
            self.runs(command, "table").await;
        }
        self.hook.answers(None);
    }

    /// Looks for every canary in every place.
    fn finds_nothing(&self, sealed: bool) {
        let crossed = self.org.crossed().all();
        let mut needles: Vec<(String, String)> =
            crossed.iter().map(|(kind, secret)| (kind.clone(), piece(secret))).collect();
        needles.extend(self.planted.iter().map(|secret| ("planted".to_owned(), piece(secret))));
        let mut places = vec![("what was printed".to_owned(), self.printed.clone())];
        for path in files(&self.org.state()) {
            if path.ends_with("entra-user.json") && !sealed {
                assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
                continue;
            }
            places.push((path.clone(), String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()));
        }
        assert!(places.iter().any(|(name, _)| name.ends_with("graphkeeper.db")), "the database was looked at");
        assert!(self.printed.contains("TRACE"), "the log was really on");
        assert!(!self.printed.contains('\u{1b}'), "what goes into a pipe has no control sequences");
        looks(&places, &needles);
    }

    /// The kinds of secrets that really crossed the wire.
    fn crossed(&self, kinds: &[&str]) {
        for kind in kinds {
            assert!(!self.org.crossed().of(kind).is_empty(), "no {kind} came by");
        }
    }
}

/// Looks in every place for pieces of secrets, which have names.
#[track_caller]
fn looks(places: &[(String, String)], needles: &[(String, String)]) {
    for (place, text) in places {
        for (kind, needle) in needles {
            let around = text.find(needle).map(|at| tail(&text[..at]).to_owned());
            assert!(around.is_none(), "a secret ({kind}) is in {place}, after {around:?}");
        }
        // Whatever signed token there is begins so: access tokens, assertions, proofs, tokens of platforms.
        let around = text.find("eyJ").map(|at| tail(&text[..at]).to_owned());
        assert!(around.is_none() || !place.ends_with("printed"), "a token is in {place}, after {around:?}");
    }
}

/// Twenty-four letters out of the middle, of the last line among the longest: also a part of a secret is one.
fn piece(secret: &str) -> String {
    let line = secret.lines().max_by_key(|line| line.len()).unwrap_or_default();
    let letters: Vec<char> = line.chars().collect();
    assert!(letters.len() >= 24, "too short to be told from other words: {} letters", letters.len());
    letters[letters.len() / 2 - 12..letters.len() / 2 + 12].iter().collect()
}

fn tail(text: &str) -> &str {
    let start = text.char_indices().rev().nth(600).map_or(0, |(at, _)| at);
    &text[start..]
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&entry.path())),
            kind if kind.is_file() => found.push(entry.path().display().to_string()),
            _ => {}
        }
    }
    found
}

/// Tokens and secrets in files; the store is sealed.
async fn secrets_in_files() {
    let mut cage = Cage::new("text").await;
    let (token, secret) = (cage.file("okta-token", OKTA_TOKEN), cage.file("entra-secret", CLIENT_SECRET));
    let key = cage.file("seal", ENCRYPTION_KEY);
    cage.org.reword(&[
        ("token = ", &format!("token = {token}")),
        ("client_secret = ", &format!("client_secret = {secret}")),
    ]);
    cage.sealed_with(&key);
    cage.runs_everything("table").await;
    cage.is_answered_badly().await;
    cage.crossed(&[
        "authorization",
        "access_token",
        "refresh_token",
        "client_secret",
        "device_code",
        "code",
        "code_verifier",
    ]);
    cage.finds_nothing(true);
}

/// The same in variables, and the client secret in a header.
async fn secrets_in_variables() {
    let mut cage = Cage::new("json").await;
    let (token, secret) = (cage.env("OKTA", OKTA_TOKEN), cage.env("ENTRA", CLIENT_SECRET));
    let refresh = cage.org.credentials().refresh_token.clone();
    let refresh = cage.env("REFRESH", &refresh);
    cage.org.reword(&[
        ("token = ", &format!("token = {token}")),
        ("client_secret = ", &format!("client_secret = {secret}\nsend = \"basic\"")),
        ("refresh_token = ", &format!("refresh_token = {refresh}")),
    ]);
    cage.runs_everything("json").await;
    cage.is_answered_badly().await;
    cage.crossed(&["authorization", "access_token", "refresh_token"]);
    cage.finds_nothing(false);
}

/// Keys as systemd hands them over.
async fn keys_as_credentials() {
    let mut cage = Cage::new("text").await;
    let credentials = cage.org.credentials().clone();
    let key = cage.credential("okta-key", &credentials.okta_private_key);
    let certificate = cage.credential("certificate", &credentials.certificate);
    let private = cage.credential("entra-key", &credentials.private_key);
    let seal = cage.credential("seal", ENCRYPTION_KEY);
    let (client, id) = (credentials.okta_client_id, credentials.okta_key_id);
    cage.org.reword(&[
        ("method = \"api-token\"", "method = \"private-key\""),
        ("token = ", &format!("client_id = \"{client}\"\nkey_id = \"{id}\"\nprivate_key = {key}")),
        ("method = \"client-secret\"", "method = \"certificate\""),
        ("client_secret = ", &format!("certificate = {certificate}\nprivate_key = {private}")),
    ]);
    cage.sealed_with(&seal);
    cage.runs_everything("csv").await;
    cage.is_answered_badly().await;
    cage.crossed(&["authorization", "access_token", "client_assertion", "dpop"]);
    cage.finds_nothing(true);
}

/// The service, with a platform's token and a key on a curve; it carries commands out, and reads its files again.
async fn the_service() {
    let mut cage = Cage::new("json").await;
    let credentials = cage.org.credentials().clone();
    cage.org.with_okta_key(&credentials.okta_ec_key_id, &credentials.okta_ec_private_key);
    let token = cage.org.workload_token(600);
    let place = cage.org.keep_secret("platform-token", &token);
    cage.org.with_app(&format!("method = \"federated-token\"\ntoken_file = \"{place}\""));
    cage.planted.extend([token, credentials.okta_ec_private_key]);
    cage.org.moves("ana", "chief");
    let token = cage.file("page-token", PAGE_TOKEN);
    let web = format!("[web]\nlisten = \"127.0.0.1:0\"\ntoken = {token}\n");
    cage.with(&web);
    let Page { mut service, address } = Page::of(&cage.org).await;
    for command in
        [&["run", "managers"][..], &["run", "licenses"], &["run", "keepalive"], &["run", "import"], &["run", "look"]]
    {
        cage.runs(command, "table").await;
    }
    cage.org.moves("bo", "chief");
    cage.runs(&["plan", "managers"], "table").await;
    cage.runs(&["notify", "test", "office"], "table").await;
    let another = cage.org.workload_token(601);
    cage.org.keep_secret("platform-token", &another);
    cage.planted.push(another);
    cage.with(&format!("{web}[jobs.licenses]\ntimeout = \"4 minutes\"\n"));
    service.reload();
    service.says("was read anew").await;
    for job in ["managers", "licenses", "keepalive"] {
        cage.runs(&["run", job], "csv").await;
    }
    looks_harmless_from_outside(service.pid(), &cage.planted);
    cage.is_answered_badly().await;
    let page = Page { service, address };
    let told = page::everything(&cage.org, &page, PAGE_TOKEN).await;
    cage.printed.push_str(&told);
    page.service.terminate();
    let service = page.service.finish().await.exits(0);
    cage.printed.push_str(&service.all());
    cage.crossed(&["authorization", "access_token", "client_assertion", "dpop", "refresh_token"]);
    cage.finds_nothing(false);
}

/// What everybody on the machine sees of a process: its arguments; and it has no children who would inherit anything.
fn looks_harmless_from_outside(pid: u32, planted: &[String]) {
    let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(arguments.contains("daemon"), "{arguments:?}");
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let children: Vec<String> = tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .filter(|ids| !ids.is_empty())
        .collect();
    assert_eq!(children, [""; 0], "the service starts no other program");
    assert!(planted.iter().all(|secret| !arguments.contains(&piece(secret))), "{arguments:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_printed_logged_or_stored_whatever_happens() {
    let mut all = JoinSet::new();
    all.spawn(secrets_in_files());
    all.spawn(secrets_in_variables());
    all.spawn(keys_as_credentials());
    all.spawn(the_service());
    all.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_wrong_place_or_of_the_wrong_form_is_named_and_not_shown() {
    let org = Org::team(["ana"]).await;
    let original = fs::read_to_string(org.config()).unwrap();
    let canary = "canary-that-somebody-put-there";
    let bad_key = format!("-----BEGIN PRIVATE KEY-----\n{canary}\n-----END PRIVATE KEY-----\n");
    let bad_jwk = format!("{{\"kty\": \"RSA\", \"d\": [\"{canary}\"]}}");
    let in_file = |name: &str, text: &str| format!("{{ file = \"{}\" }}", org.keep_secret(name, text));
    let key = |text: &str| format!("client_id = \"0oa1\"\nkey_id = \"k\"\nprivate_key = {}", in_file("key", text));
    let by_key = ("method = \"api-token\"", "method = \"private-key\"");
    let cases: Vec<Vec<(&str, String)>> = vec![
        vec![("token = ", format!("token = \"{canary}\""))],
        vec![("token = ", format!("token = {{ value = \"{canary}\" }}"))],
        vec![("token = ", format!("token = [\"{canary}\"]"))],
        vec![("token = ", format!("token = {{ file = \"/nowhere\" }}\npassword = \"{canary}\""))],
        vec![("client_secret = ", format!("client_secret = \"{canary}\""))],
        vec![("refresh_token = ", format!("refresh_token = \"{canary}\""))],
        vec![("org_url = ", format!("org_url = \"https://ana:{canary}@example.okta.com\""))],
        vec![("token = ", format!("token = {}", in_file("two-lines", &format!("00Q{canary}\n00Q{canary}"))))],
        vec![(by_key.0, by_key.1.to_owned()), ("token = ", key(&bad_key))],
        vec![(by_key.0, by_key.1.to_owned()), ("token = ", key(&bad_jwk))],
        vec![(by_key.0, by_key.1.to_owned()), ("token = ", key(canary))],
    ];
    for case in cases {
        fs::write(org.config(), &original).unwrap();
        let changes: Vec<(&str, &str)> = case.iter().map(|(start, new)| (*start, new.as_str())).collect();
        org.reword(&changes);
        for command in [&["check"][..], &["run", "managers"], &["run", "keepalive"]] {
            for output in ["table", "json"] {
                let said = org.shows(&[command, &["--output", output]].concat()).await;
                assert!(!said.all().contains(canary), "{command:?} with {case:?}: {}", said.all());
            }
        }
    }
    fs::write(org.config(), &original).unwrap();
    let mut org = org;
    for name in ["GRAPHKEEPER__OKTA__AUTH__TOKEN", "GRAPHKEEPER__ENTRA__APP__CLIENT_SECRET", "GRAPHKEEPER__SECRET"] {
        org.env = vec![(name.to_owned(), canary.to_owned())];
        let said = org.shows(&["check"]).await.exits(2);
        assert!(!said.all().contains(canary), "{name}: {}", said.all());
    }
    org.env.clear();
    // A store that is not ours, or of another version.
    for text in [format!("\"{canary}\""), format!("{{\"version\": 1, \"refresh_token\": [\"{canary}\"]}}")] {
        fs::write(org.state().join("entra-user.json"), text).unwrap();
        let said = org.shows(&["run", "keepalive"]).await;
        assert!(said.all().contains("entra-user.json") && !said.all().contains(canary), "{}", said.all());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_hold_no_address_and_no_query() {
    let mut org = Org::team(["ana", "bo"]).await;
    org.env.push(("GRAPHKEEPER_LOG".to_owned(), "debug,graphkeeper=trace".to_owned()));
    org.moves("ana", "nobody");
    org.moves("bo", "chief");
    let run = org.shows(&["run", "managers"]).await.exits(0);
    let telling: Vec<&str> =
        run.stderr.lines().filter(|line| line.contains("@corp.example") || line.contains("$select")).collect();
    assert_eq!(telling, [""; 0], "people and queries stay out of the log");
}
