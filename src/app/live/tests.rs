//! Promises about taking up another configuration, with real files. What is noticed is tested beside the watch; what
//! the service makes of it, in `tests/it/reload.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::clock::SystemClock;

/// A configuration, its secrets in files, and the program made from it.
struct Place {
    home: tempfile::TempDir,
    live: Live,
}

impl Place {
    async fn new() -> Self {
        Self::of(&text("")).await
    }

    async fn of(text: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let place = |name: &str| home.path().join(name);
        for secret in ["okta", "app", "user"] {
            write_secret(&place(secret), secret);
        }
        fs::write(place("gk.toml"), text).unwrap();
        let settings = config::load(&place("gk.toml"), &[]).unwrap_or_else(|found| panic!("{found}"));
        let app = App::open(settings, &[], Arc::new(SystemClock)).await.unwrap();
        let live = Live::new(app, place("gk.toml"), Vec::new());
        Self { home, live }
    }

    fn save(&self, text: &str) {
        fs::write(self.home.path().join("gk.toml"), text).unwrap();
    }

    fn secret(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    async fn reload(&self) -> Reload<String> {
        self.live.reload(|app| async move { Ok(app.settings.fingerprint.clone()) }).await
    }

    /// Reloads what must be taken up.
    async fn takes_up(&self) -> (Arc<App>, Arc<App>) {
        let before = self.live.current();
        let after = self.reload().await;
        let now = self.live.current();
        assert_eq!(after, Reload::Now(now.settings.fingerprint.clone()));
        (before, now)
    }

    /// Reloads what must be refused, and says why.
    async fn refuses(&self) -> String {
        let before = self.live.current();
        let Reload::Refused(why) = self.reload().await else { panic!("it was not refused") };
        assert!(Arc::ptr_eq(&before, &self.live.current()), "the last good one stays");
        why
    }
}

fn write_secret(path: &Path, secret: &str) {
    fs::write(path, secret).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn text(more: &str) -> String {
    format!(
        r#"
state = {{ directory = "state" }}
[okta]
org_url = "https://example.okta.com"
auth = {{ method = "api-token", token = {{ file = "okta" }} }}
[entra]
tenant = "contoso.onmicrosoft.com"
app = {{ client_id = "a", client_secret = {{ file = "app" }} }}
user = {{ client_id = "b", refresh_token = {{ file = "user" }} }}
[jobs.managers]
kind = "managers"
manager = [{{ attribute = "managerId", is = "login" }}]
{more}
"#
    )
}

#[tokio::test]
async fn what_is_the_same_is_left_alone() {
    let place = Place::new().await;
    let before = place.live.current();
    assert_eq!(place.reload().await, Reload::Unchanged);
    place.save(&format!("# a remark\n{}", text("")));
    assert_eq!(place.reload().await, Reload::Unchanged);
    assert!(Arc::ptr_eq(&before, &place.live.current()));
}

#[tokio::test]
async fn clients_live_on_when_jobs_change() {
    let place = Place::new().await;
    place.save(&text("timeout = \"1 hour\"\n[jobs.licenses]\nkind = \"licenses\""));
    let (before, now) = place.takes_up().await;
    assert_eq!((before.jobs.len(), now.jobs.len()), (1, 2));
    assert_eq!(now.job("managers").unwrap().timeout.as_secs(), 3600);
    assert!(now.clients.shares_identities_with(&before.clients, [true, true, true]));
}

#[tokio::test]
async fn a_secret_that_was_replaced_is_read_and_only_its_identity_begins_anew() {
    let place = Place::new().await;
    for (secret, kept) in [("okta", [false, true, true]), ("app", [true, false, true]), ("user", [true, true, false])] {
        write_secret(&place.secret(secret), "another");
        let (before, now) = place.takes_up().await;
        assert!(now.clients.shares_identities_with(&before.clients, kept), "{secret}");
    }
    place.save(&format!("http = {{ timeout = \"7 seconds\" }}\n{}", text("")));
    let (before, now) = place.takes_up().await;
    assert!(now.clients.shares_identities_with(&before.clients, [false; 3]), "connections are part of them");
}

#[tokio::test]
async fn a_secret_that_vanished_is_asked_for_only_where_something_changed() {
    let place = Place::new().await;
    fs::remove_file(place.secret("app")).unwrap();
    assert_eq!(place.reload().await, Reload::Unchanged);
    place.save(&text("timeout = \"1 hour\""));
    let (before, now) = place.takes_up().await;
    assert!(now.clients.shares_identities_with(&before.clients, [true; 3]));

    place.save(&text("").replace("file = \"app\"", "file = \"new\"").replace("file = \"okta\"", "file = \"none\""));
    let why = place.refuses().await;
    assert!(why.starts_with("okta.auth.token cannot be read: secret file"), "{why}");
    let told = place.live.told.lock().await.problems.join("\n");
    assert!(told.contains("entra.app.client_secret cannot be read"), "all at once: {told}");
    assert!(place.live.secret_files().contains(&place.secret("new")), "it is watched for");

    write_secret(&place.secret("new"), "secret");
    write_secret(&place.secret("none"), "secret");
    place.takes_up().await;
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_whole_and_told_once() {
    let place = Place::new().await;
    let told = async || place.live.told.lock().await.problems.len();
    place.save(&text("timeout = 7\nmode = \"aply\""));
    let why = place.refuses().await;
    assert!(why.contains("gk.toml:13:11: jobs.managers.timeout"), "{why}");
    assert_eq!(told().await, 2);
    fs::remove_file(place.home.path().join("gk.toml")).unwrap();
    assert!(place.refuses().await.contains("there is no such file"));
    place.save(&text("").replace("example.okta", "other.okta"));
    assert!(place.refuses().await.starts_with("okta.org_url: https://other.okta.com/ in place of"));
    place.save(&text(""));
    assert_eq!(place.reload().await, Reload::Unchanged);
    assert_eq!(told().await, 0, "mended");
}

#[tokio::test]
async fn only_news_are_told() {
    let mut told = Told::default();
    let place = Place::new().await;
    let settings = Arc::clone(&place.live.current().settings);
    let problems = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert_eq!(told.news(&problems(&["a", "b"])), ["a", "b"]);
    assert_eq!(told.refused::<()>(Path::new("gk.toml"), &settings, problems(&["a", "b"])), Reload::Refused("a".into()));
    assert_eq!(told.news(&problems(&["b", "c"])), ["c"]);
    assert_eq!(told.news(&problems(&["b"])), [""; 0]);
    told.mended(&settings);
    assert_eq!(told.news(&problems(&["a"])), ["a"]);
}

#[tokio::test]
async fn what_cannot_be_prepared_is_not_taken_up() {
    let place = Place::new().await;
    place.save(&text("mode = \"apply\""));
    let before = place.live.current();
    let refused = place.live.reload(|_| async { Err::<(), _>("the database is locked".to_owned()) }).await;
    assert_eq!(refused, Reload::Refused("the database is locked".to_owned()));
    assert!(Arc::ptr_eq(&before, &place.live.current()));
    place.takes_up().await;
}

#[tokio::test]
async fn a_disk_that_does_not_answer_leaves_the_configuration_in_force_and_a_later_edit_is_read() {
    let place = Place::new().await;
    place.save(&text("mode = \"apply\""));
    let hangs = Arc::clone(&place.live.disk).lock_owned().await;
    let slow = place.live.reload_within(Duration::ZERO, |_| async { Ok(()) }).await;
    let Reload::Refused(why) = slow else { panic!("it was not refused") };
    assert!(why.starts_with("reading the configuration took longer than 0 seconds"), "{why}");
    drop(hangs);
    place.takes_up().await;
    assert!(place.live.told.lock().await.problems.is_empty());
}

/// The configuration before somebody added Okta.
fn without_okta() -> String {
    text("").split_once("[okta]").unwrap().0.to_owned() + "[entra]\ntenant = \"contoso.onmicrosoft.com\"\n"
}

#[tokio::test]
async fn an_organization_may_be_added_and_then_stays() {
    let place = Place::of(&without_okta()).await;
    place.save(&text(""));
    place.takes_up().await;
    place.save(&without_okta());
    place.takes_up().await;
    place.save(&text("").replace("example.okta", "other.okta"));
    assert!(place.refuses().await.contains("belongs to the Okta org https://example.okta.com"));
}

#[tokio::test]
async fn the_organization_of_a_configuration_that_was_refused_is_not_bound() {
    let place = Place::of(&without_okta()).await;
    place.save(&text("").replace("example.okta", "mistyped.okta"));
    let refused = place.live.reload(|_| async { Err::<(), _>("the disk is full".to_owned()) }).await;
    assert_eq!(refused, Reload::Refused("the disk is full".to_owned()));
    place.save(&text(""));
    place.takes_up().await;
}
