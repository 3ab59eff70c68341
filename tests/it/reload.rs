//! A configuration that is edited while the service runs: every way of saving is seen, what is good is taken up whole,
//! what is not changes nothing and is told once.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use graphkeeper::sandbox::faults::When;
use graphkeeper::sandbox::server::Service as Vendor;

use crate::support::process::Process;
use crate::support::{ACCOUNTS, Org, reached};

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
async fn a_file_that_is_written_in_place_is_taken_up() {
    let org = quiet().await;
    let mut service = serving(&org, &org.config()).await;
    fs::write(org.config(), with_job(&org, "inplace")).unwrap();
    takes_up(&mut service, "inplace").await;
    let mut file = OpenOptions::new().append(true).open(org.config()).unwrap();
    file.write_all(b"[jobs.appended]\nkind = \"licenses\"\n").unwrap();
    drop(file);
    takes_up(&mut service, "appended").await;
    is_content(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_renamed_over_the_old_one_is_taken_up() {
    let org = quiet().await;
    let mut service = serving(&org, &org.config()).await;
    let beside = |name: &str| org.home().join(name);
    fs::write(beside("new"), with_job(&org, "renamed")).unwrap();
    fs::rename(beside("new"), org.config()).unwrap();
    takes_up(&mut service, "renamed").await;

    // vim: a probe, the old file as a backup, the new one under its name, the backup removed.
    let text = with_job(&org, "vim");
    File::create(beside("4913")).unwrap();
    fs::remove_file(beside("4913")).unwrap();
    fs::rename(org.config(), beside("graphkeeper.toml~")).unwrap();
    fs::write(org.config(), text).unwrap();
    fs::remove_file(beside("graphkeeper.toml~")).unwrap();
    takes_up(&mut service, "vim").await;

    let edit = "$ a [jobs.sed]\\nkind = \"licenses\"";
    assert!(Command::new("sed").args(["-i", edit]).arg(org.config()).status().unwrap().success());
    takes_up(&mut service, "sed").await;
    is_content(service).await;
}

/// Time is told by a job of every second, so that the test waits for events and not for a clock.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_file_is_neither_taken_up_nor_complained_of() {
    let org = quiet().await;
    let ticking = format!("{}schedule = \"* * * * * *\"\n", with_job(&org, "ticking"));
    fs::write(org.config(), ticking).unwrap();
    let mut service = serving(&org, &org.config()).await;
    let text = with_job(&org, "whole");
    let (half, rest) = text.split_at(text.find("org_url").unwrap() + 3);

    let mut file = File::create(org.config()).unwrap();
    file.write_all(half.as_bytes()).unwrap();
    let begun = service.said("of ticking begins");
    service.says_times("of ticking begins", begun + 4).await;
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    takes_up(&mut service, "whole").await;

    // Closed amid the text, and completed while it settles.
    let text = with_job(&org, "completed");
    let (half, rest) = text.split_at(text.find("org_url").unwrap() + 3);
    fs::write(org.config(), half).unwrap();
    OpenOptions::new().append(true).open(org.config()).unwrap().write_all(rest.as_bytes()).unwrap();
    takes_up(&mut service, "completed").await;
    is_content(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_deleted_changes_nothing_until_it_is_restored() {
    let org = quiet().await;
    let mut service = serving(&org, &org.config()).await;
    let text = fs::read_to_string(org.config()).unwrap();
    fs::remove_file(org.config()).unwrap();
    service.says("there is no such file").await;
    service.says(NOT_USED).await;
    fs::write(org.config(), &text).unwrap();
    service.says("the configuration is good again").await;
    fs::remove_file(org.config()).unwrap();
    service.says_times(NOT_USED, 2).await;
    fs::write(org.config(), format!("{text}\n[jobs.restored]\nkind = \"licenses\"\n")).unwrap();
    takes_up(&mut service, "restored").await;
    ends(service).await;
}

/// Puts a link in the place of another at once, as `ln -sfn` and Kubernetes do.
fn relink(target: impl AsRef<Path>, link: &Path) {
    let fresh = link.parent().unwrap().join("link.tmp");
    symlink(target, &fresh).unwrap();
    fs::rename(fresh, link).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_another_file_is_taken_up_and_so_is_an_edit_behind_it() {
    let org = quiet().await;
    let link = org.home().join("linked/gk.toml");
    fs::create_dir_all(org.home().join("linked")).unwrap();
    symlink("../graphkeeper.toml", &link).unwrap();
    let mut service = serving(&org, &link).await;
    fs::write(org.config(), with_job(&org, "behind")).unwrap();
    takes_up(&mut service, "behind").await;
    let other = org.home().join("other.toml");
    fs::write(&other, with_job(&org, "swapped")).unwrap();
    relink("../other.toml", &link);
    takes_up(&mut service, "swapped").await;
    fs::write(&other, format!("{}\n[jobs.after]\nkind = \"licenses\"\n", fs::read_to_string(&other).unwrap())).unwrap();
    takes_up(&mut service, "after").await;
    is_content(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_another_directory_is_taken_up() {
    let org = quiet().await;
    let generation = |name: &str, text: String| {
        let directory = org.home().join(name);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("gk.toml"), text).unwrap();
        directory
    };
    let current = org.home().join("current");
    symlink(generation("one", fs::read_to_string(org.config()).unwrap()), &current).unwrap();
    let mut service = serving(&org, &current.join("gk.toml")).await;
    relink(generation("two", with_job(&org, "second")), &current);
    takes_up(&mut service, "second").await;
    fs::write(org.home().join("two/gk.toml"), with_job(&org, "edited")).unwrap();
    takes_up(&mut service, "edited").await;
    is_content(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_kubernetes_that_is_exchanged_is_taken_up() {
    let org = quiet().await;
    let volume = org.home().join("volume");
    let generation = |name: &str, text: String| {
        fs::create_dir_all(volume.join(name)).unwrap();
        fs::write(volume.join(name).join("gk.toml"), text).unwrap();
    };
    generation("..2026_1", fs::read_to_string(org.config()).unwrap());
    symlink("..2026_1", volume.join("..data")).unwrap();
    symlink("..data/gk.toml", volume.join("gk.toml")).unwrap();
    let mut service = serving(&org, &volume.join("gk.toml")).await;
    for (number, job) in [(2, "second"), (3, "third")] {
        generation(&format!("..2026_{number}"), with_job(&org, job));
        relink(format!("..2026_{number}"), &volume.join("..data"));
        fs::remove_dir_all(volume.join(format!("..2026_{}", number - 1))).unwrap();
        takes_up(&mut service, job).await;
    }
    is_content(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_ins_come_change_and_go() {
    let org = quiet().await;
    let mut service = serving(&org, &org.config()).await;
    let directory = org.home().join("graphkeeper.d");
    fs::create_dir(&directory).unwrap();
    let job = |name: &str| format!("[jobs.{name}]\nkind = \"licenses\"\n");
    fs::write(directory.join("10.toml"), job("ten")).unwrap();
    takes_up(&mut service, "ten").await;
    fs::write(directory.join("20.toml"), job("twenty")).unwrap();
    takes_up(&mut service, "twenty").await;
    // Emacs leaves a link that leads nowhere while it has a file open.
    symlink("ana@host.1:2", directory.join(".#20.toml")).unwrap();
    fs::write(directory.join("20.toml.new"), job("changed")).unwrap();
    fs::rename(directory.join("20.toml.new"), directory.join("20.toml")).unwrap();
    service.says("jobs added: changed; jobs taken out: twenty").await;
    fs::remove_file(directory.join("10.toml")).unwrap();
    service.says("read anew: jobs taken out: ten").await;
    fs::remove_dir_all(&directory).unwrap();
    service.says("read anew: jobs taken out: changed").await;
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("10.toml"), job("anew")).unwrap();
    takes_up(&mut service, "anew").await;
    is_content(service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_replaced_or_made_again_is_watched_as_before() {
    let org = quiet().await;
    let (directory, old) = (org.home().join("etc"), org.home().join("old"));
    let save = |directory: &PathBuf, text: String| {
        fs::create_dir(directory).unwrap();
        fs::write(directory.join("gk.toml"), text).unwrap();
    };
    save(&directory, fs::read_to_string(org.config()).unwrap());
    let mut service = serving(&org, &directory.join("gk.toml")).await;

    save(&org.home().join("new"), with_job(&org, "replaced"));
    fs::rename(&directory, &old).unwrap();
    fs::rename(org.home().join("new"), &directory).unwrap();
    takes_up(&mut service, "replaced").await;
    fs::write(old.join("gk.toml"), "this is the old one").unwrap();
    fs::write(directory.join("gk.toml"), with_job(&org, "inside")).unwrap();
    takes_up(&mut service, "inside").await;
    assert_eq!(service.said(NOT_USED), 0);

    fs::remove_dir_all(&directory).unwrap();
    save(&directory, with_job(&org, "atonce"));
    takes_up(&mut service, "atonce").await;
    fs::write(directory.join("gk.toml"), with_job(&org, "within")).unwrap();
    takes_up(&mut service, "within").await;

    fs::remove_dir_all(&directory).unwrap();
    service.says(NOT_USED).await;
    save(&directory, with_job(&org, "again"));
    takes_up(&mut service, "again").await;
    fs::write(directory.join("gk.toml"), with_job(&org, "watched")).unwrap();
    takes_up(&mut service, "watched").await;
    ends(service).await;
}

/// A write through another name of the file, in a directory that is not watched, raises no event here.
#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_has_the_file_read_where_no_event_tells_of_an_edit() {
    let org = quiet().await;
    let elsewhere = org.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::hard_link(org.config(), elsewhere.join("gk.toml")).unwrap();
    let mut service = serving(&org, &org.config()).await;
    fs::write(elsewhere.join("gk.toml"), with_job(&org, "unseen")).unwrap();
    service.reload();
    takes_up(&mut service, "unseen").await;
    is_content(service).await;
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
    let often = fs::read_to_string(org.config()).unwrap().replacen(RARELY, "* * * * * *", 1);
    fs::write(org.config(), &often).unwrap();
    let mut service = serving(&org, &org.config()).await;
    service.says("outcome=succeeded").await;
    fs::write(org.config(), often.replace("mode = \"apply\"", "mode = \"apply\"\nexclude = [\"bo@corp.example\"]"))
        .unwrap();
    // The people change only once the new rules are in force: an empty plan would approve them.
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    service.says("read anew: jobs changed: managers").await;
    org.moves("ana", "bo");
    gate.open();
    service.says("rules_changed").await;
    assert_eq!(org.writes(), 0);
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
