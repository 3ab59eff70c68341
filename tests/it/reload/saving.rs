//! Every way of saving a file, with the real service and no sleep: each edit is told by an event.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::reload::{NOT_USED, ends, is_content, quiet, serving, takes_up, with_job};

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
