//! Promises about noticing, with real directories. What an event means is tested beside [`settling`].

use std::fs;
use std::path::Path;

use super::*;

/// The most that anything may take here.
const BOUND: Duration = Duration::from_mins(1);

struct Place {
    home: tempfile::TempDir,
    messages: Receiver<Message>,
    watcher: Watcher,
}

impl Place {
    /// A directory `gk` with a configuration in it, watched, and nobody who reads the messages but the test.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("gk")).unwrap();
        fs::write(home.path().join("gk/gk.toml"), "one").unwrap();
        let (to_self, messages) = mpsc::channel();
        let mut watcher = Watcher::new(home.path().join("gk/gk.toml"), to_self, LOOK_EVERY);
        watcher.follow();
        watcher.stamps = watcher.route.stamps();
        Self { home, messages, watcher }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Waits for an event about this file.
    fn hears_of(&self, path: &Path) {
        let path = fs::canonicalize(path).unwrap();
        loop {
            match self.messages.recv_timeout(BOUND).expect("an event comes") {
                Message::Seen(Seen::Changed(changed)) if changed == path => return,
                _ => {}
            }
        }
    }
}

#[test]
fn a_change_that_no_event_tells_of_is_found_by_looking() {
    let mut place = Place::new();
    place.watcher.look();
    assert_eq!(place.watcher.settling.due(), None, "nothing changed");
    let (file, drop_ins) = (place.path("gk/gk.toml"), place.path("gk/gk.d"));
    let changes: [&dyn Fn(); 4] = [
        &|| fs::write(&file, "another").unwrap(),
        &|| fs::create_dir(&drop_ins).unwrap(),
        &|| fs::write(drop_ins.join("10.toml"), "").unwrap(),
        &|| fs::remove_file(&file).unwrap(),
    ];
    for (number, change) in changes.iter().enumerate() {
        change();
        place.watcher.look();
        assert!(place.watcher.settling.due().is_some(), "change {number}");
        place.watcher.settling.looked();
        place.watcher.stamps = place.watcher.route.stamps();
        fs::read_dir(place.path("gk")).unwrap().for_each(drop);
        place.watcher.look();
        assert_eq!(place.watcher.settling.due(), None, "change {number} is known");
    }
}

#[test]
fn a_watch_that_is_lost_with_its_directory_is_set_up_again() {
    let mut place = Place::new();
    let file = place.path("gk/gk.toml");
    fs::remove_dir_all(place.path("gk")).unwrap();
    fs::create_dir(place.path("gk")).unwrap();
    loop {
        let Message::Seen(seen) = place.messages.recv_timeout(BOUND).expect("the loss is told") else { continue };
        place.watcher.note(&seen);
        if seen == Seen::Lost {
            break;
        }
    }
    fs::write(&file, "two").unwrap();
    place.hears_of(&file);

    fs::remove_dir_all(place.path("gk")).unwrap();
    place.watcher.note(&Seen::Lost);
    fs::create_dir(place.path("gk")).unwrap();
    place.hears_of(&place.path("gk"));
    place.watcher.follow();
    fs::write(&file, "three").unwrap();
    place.hears_of(&file);
}

#[test]
fn what_may_be_mended_elsewhere_is_looked_at_again_once() {
    let mut place = Place::new();
    place.watcher.again = true;
    place.watcher.look();
    assert!(place.watcher.settling.due().is_some());
    place.watcher.settling.looked();
    place.watcher.look();
    assert_eq!(place.watcher.settling.due(), None);
}

#[test]
fn a_directory_that_is_exchanged_for_another_is_watched_in_its_place() {
    let mut place = Place::new();
    fs::create_dir(place.path("new")).unwrap();
    fs::write(place.path("new/gk.toml"), "two").unwrap();
    fs::rename(place.path("gk"), place.path("old")).unwrap();
    fs::rename(place.path("new"), place.path("gk")).unwrap();
    place.watcher.follow();
    fs::write(place.path("gk/gk.toml"), "three").unwrap();
    place.hears_of(&place.path("gk/gk.toml"));
}

#[test]
fn secrets_are_watched_once_they_are_named() {
    let mut place = Place::new();
    let token = place.path("token");
    place.watcher.also(vec![token.clone()]);
    fs::write(&token, "t").unwrap();
    place.hears_of(&token);
    place.watcher.look();
    assert!(place.watcher.settling.due().is_some());
}

#[test]
fn it_is_told_once_at_the_start_and_once_for_each_save() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("gk.toml");
    fs::write(&file, "one").unwrap();
    let (told, tellings) = mpsc::channel();
    let watch = Watch::start(file.clone(), move || told.send(()).unwrap()).unwrap();
    tellings.recv_timeout(BOUND).expect("at the start");
    for text in ["two", "three"] {
        fs::write(home.path().join("gk.toml.new"), text).unwrap();
        fs::rename(home.path().join("gk.toml.new"), &file).unwrap();
        tellings.recv_timeout(BOUND).expect("after a save");
    }
    drop(watch);
    assert!(tellings.recv_timeout(BOUND).is_err_and(|error| error == RecvTimeoutError::Disconnected), "it ends");
}
