//! A configuration that is edited while the service runs: what is good is taken up whole, what is not changes nothing and
//! is told once. That every way of saving is seen is tested in [`saving`].

mod saving;

use std::fs;
use std::path::Path;

use graphkeeper::sandbox::faults::When;
use graphkeeper::sandbox::server::Service as Vendor;
use tokio::net::UnixDatagram;

use crate::support::process::Process;
use crate::support::{ACCOUNTS, Org, reached, within};

/// A moment that no test sees.
const RARELY: &str = "0 0 1 1 *";

/// What the log says of a configuration that was not taken.
const NOT_USED: &str = "is not used; the one in force stays";

/// What it says, at this level only, of an edit that was found by looking from time to time.
const UNSEEN: &str = "no event told of it";

/// An organization with a configuration under which nothing happens by itself.
async fn quiet() -> Org {
    let mut org = Org::team(["ana", "bo"]).await;
    org.env.push(("GRAPHKEEPER_LOG".to_owned(), "info,graphkeeper::config::watch=debug".to_owned()));
    let text = fs::read_to_string(org.config()).unwrap();
    let text = ["0,30 * * * * *", "10 * * * * *", "20 * * * * *"].iter().fold(text, |text, often| {
        assert!(text.contains(often));
        text.replace(often, RARELY)
    });
    fs::write(org.config(), text).unwrap();
    org
}

/// The configuration's text with one more job, by whose name the log tells that it was taken up.
fn with_job(org: &Org, name: &str) -> String {
    format!("{}\n[jobs.{name}]\nkind = \"licenses\"\n", fs::read_to_string(org.config()).unwrap())
}

async fn serving(org: &Org, config: &Path) -> Process {
    let mut service = Process::start(config, &["daemon"], &org.env);
    service.says("serving").await;
    service
}

async fn takes_up(service: &mut Process, job: &str) {
    service.says(&format!("the configuration was read anew: jobs added: {job}")).await;
}

/// Ends a service that has found nothing to complain of.
async fn is_content(service: Process) {
    assert_eq!(service.said(NOT_USED), 0);
    ends(service).await;
}

/// Ends a service that was told of every edit at once.
async fn ends(service: Process) {
    assert_eq!(service.said(UNSEEN), 0);
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_changes_nothing_and_every_problem_is_told_once() {
    let org = quiet().await;
    let mut service = serving(&org, &org.config()).await;
    let good = fs::read_to_string(org.config()).unwrap();
    let bad = good.replace("mode = \"apply\"", "mode = \"aply\"").replace("[http]", "").replace("\"UTC\"", "\"Mars\"");
    fs::write(org.config(), &bad).unwrap();
    service.says(NOT_USED).await;
    assert_eq!((service.said("jobs.managers.mode: `aply`"), service.said("timezone: `Mars`")), (1, 1));
    service.reload();
    fs::write(org.config(), bad.replace("\"Mars\"", "\"Venus\"")).unwrap();
    service.says_times(NOT_USED, 2).await;
    assert_eq!((service.said("jobs.managers.mode: `aply`"), service.said("timezone: `Venus`")), (1, 1));
    fs::write(org.config(), good).unwrap();
    service.says("the configuration is good again").await;
    fs::write(org.config(), with_job(&org, "fine")).unwrap();
    takes_up(&mut service, "fine").await;
    ends(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_restart_can_bring_is_refused_by_name() {
    let org = quiet().await;
    let mut service = serving(&org, &org.config()).await;
    let good = fs::read_to_string(org.config()).unwrap();
    fs::write(org.config(), good.replace("/state\"", "/another\"")).unwrap();
    service.says(NOT_USED).await;
    for problem in ["state.directory: ", "control.socket: "] {
        assert_eq!(service.said(problem), 1, "{problem} goes with it");
    }
    assert_eq!(service.said("needs a restart of the service"), 2);
    assert!(!org.home().join("another").exists());
    fs::write(org.config(), good).unwrap();
    service.says("the configuration is good again").await;
    ends(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_keeps_the_settings_with_which_it_began() {
    let org = quiet().await;
    let often = fs::read_to_string(org.config()).unwrap().replacen(RARELY, "* * * * * *", 1);
    fs::write(org.config(), &often).unwrap();
    org.moves("ana", "bo");
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let mut service = serving(&org, &org.config()).await;
    reached(&gate).await;
    fs::write(org.config(), often.replace("mode = \"apply\"", "mode = \"plan\"")).unwrap();
    service.says("read anew: jobs changed: managers").await;
    gate.open();
    service.says("outcome=succeeded").await;
    assert_eq!(org.writes(), 1, "it was told to apply");
    org.moves("bo", "chief");
    service.says("outcome=planned").await;
    assert_eq!(org.writes(), 1, "and the next one only plans");
    ends(service).await;
    let mut database = org.database().await;
    let prints = database.texts("select distinct config_fingerprint from run order by started_at").await;
    assert_eq!(prints.len(), 2, "{prints:?}");
    let first = database.texts("select config_fingerprint from run order by rowid limit 1").await;
    let planned = database.texts("select distinct config_fingerprint from run where outcome = 'planned'").await;
    assert_ne!(first, planned, "each run is told under the configuration that it had");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_changed_only_plan_until_they_are_approved() {
    let org = quiet().await;
    org.reconcile().await.exits(0);
    let mut service = serving(&org, &org.config()).await;
    org.moves("ana", "bo");
    // The first run by schedule comes with the new rules.
    let often = fs::read_to_string(org.config()).unwrap().replacen(RARELY, "* * * * * *", 1);
    let rules = "mode = \"apply\"\nmanager_disabled = \"assign\"";
    fs::write(org.config(), often.replace("mode = \"apply\"", rules)).unwrap();
    service.says("read anew: jobs changed: managers").await;
    service.says_times("rules_changed", 2).await;
    assert_eq!(org.writes(), 0);
    fs::write(org.config(), &often).unwrap();
    service.says("outcome=succeeded").await;
    assert_eq!(org.writes(), 1, "the rules of before need nobody's word");
    ends(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_survive_an_edit_and_a_replaced_secret_is_read() {
    let org = quiet().await;
    let often = |text: String| text.replacen(RARELY, "* * * * * *", 1);
    fs::write(org.config(), often(fs::read_to_string(org.config()).unwrap())).unwrap();
    let tokens = || org.journal().count(|row| row.service == Vendor::Login && row.path.ends_with("/token"));
    let mut service = serving(&org, &org.config()).await;
    service.says("outcome=succeeded").await;
    assert_eq!(tokens(), 1);
    fs::write(org.config(), with_job(&org, "other")).unwrap();
    takes_up(&mut service, "other").await;
    let done = service.said("outcome=succeeded");
    service.says_times("outcome=succeeded", done + 2).await;
    assert_eq!(tokens(), 1, "the token is good for an hour, whatever is edited");

    let secret = org.home().join("secrets/entra-secret");
    let right = fs::read_to_string(&secret).unwrap();
    fs::write(&secret, "not-the-secret").unwrap();
    service.says("read anew: secrets were replaced").await;
    service.says("outcome=failed").await;
    assert!(tokens() > 1, "it was tried");
    fs::write(&secret, right).unwrap();
    service.says_times("read anew: secrets were replaced", 2).await;
    let done = service.said("outcome=succeeded");
    service.says_times("outcome=succeeded", done + 1).await;
    ends(service).await;
}

/// Where a service manager would be told how the service is.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// For the processes that `org` starts from now on.
    fn of(org: &mut Org) -> Self {
        let path = org.home().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        org.env.push(("NOTIFY_SOCKET".to_owned(), path.display().to_string()));
        Self { socket }
    }

    /// Waits for a message with `text` in it; answers all that came until then.
    async fn hears(&self, text: &str) -> String {
        let mut heard = String::new();
        while !heard.contains(text) {
            let mut message = [0; 4096];
            let length = within(&format!("`{text}` after {heard}"), self.socket.recv(&mut message)).await.unwrap();
            heard.push_str(&String::from_utf8_lossy(&message[..length]));
            heard.push('\n');
        }
        heard
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_of_a_reload_and_of_what_is_wrong() {
    let mut org = quiet().await;
    let manager = Manager::of(&mut org);
    let mut service = serving(&org, &org.config()).await;
    manager.hears("READY=1").await;
    service.reload();
    let heard = manager.hears("READY=1").await;
    assert!(heard.contains("RELOADING=1\nMONOTONIC_USEC="), "{heard}");

    let good = fs::read_to_string(org.config()).unwrap();
    fs::write(org.config(), good.replace("mode = \"apply\"", "mode = \"aply\"\nbreak = 1")).unwrap();
    let status = manager.hears("the configuration is refused").await;
    assert!(status.contains("graphkeeper.toml:") && status.contains("jobs.managers.mode: `aply`"), "{status}");
    service.reload();
    let heard = manager.hears("READY=1").await;
    assert!(heard.contains("RELOADING=1"), "an answer comes also when it is refused: {heard}");
    fs::write(org.config(), good).unwrap();
    service.says("the configuration is good again").await;
    let status = manager.hears("STATUS=next run").await;
    assert!(!status.contains("refused"), "{status}");
    ends(service).await;
}

/// Seconds between the moments of a job, in order.
async fn rhythm(org: &Org, job: &str) -> Vec<i64> {
    let sql = format!("select cast(planned_at / 1000 as text) from moment where job = '{job}' order by planned_at");
    let seconds: Vec<i64> =
        org.database().await.texts(&sql).await.iter().map(|second| second.parse().unwrap()).collect();
    seconds.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_come_change_and_go_keep_their_place_in_the_ledger() {
    let org = quiet().await;
    let base = fs::read_to_string(org.config()).unwrap();
    let job = |name: &str, schedule: &str| format!("\n[jobs.{name}]\nkind = \"licenses\"\nschedule = \"{schedule}\"\n");
    let clock = base + &job("clock", "* * * * * *");
    let save = |more: &str| fs::write(org.config(), format!("{clock}{more}")).unwrap();
    save(&job("tick", "* * * * * *"));
    let mut service = serving(&org, &org.config()).await;
    service.says_times("of tick begins", 3).await;

    save(&(job("tick", "* * * * * *") + "timeout = \"1 minute\"\n" + &job("other", RARELY)));
    service.says("jobs added: other; jobs changed: tick").await;
    service.says_times("of tick begins", service.said("of tick begins") + 3).await;

    save(&job("tick", "*/2 * * * * *"));
    service.says("jobs changed: tick; jobs taken out: other").await;
    service.says_times("of tick begins", service.said("of tick begins") + 3).await;

    save("");
    service.says("jobs taken out: tick").await;
    service.says_times("of clock begins", service.said("of clock begins") + 6).await;

    save(&job("tick", "* * * * * *"));
    service.says("jobs added: tick").await;
    service.says_times("of tick begins", service.said("of tick begins") + 3).await;
    ends(service).await;

    let clock = rhythm(&org, "clock").await;
    assert!(clock.len() > 12 && clock.iter().all(|seconds| *seconds == 1), "no edit loses a moment: {clock:?}");
    let mut tick = rhythm(&org, "tick").await;
    let rhythm = tick.clone();
    tick.dedup();
    let gap = tick.get(2).copied().unwrap_or_default();
    assert!(tick == [1, 2, gap, 1] && gap >= 4, "every second, every other, none while it was out, again: {rhythm:?}");
}
