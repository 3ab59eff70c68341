//! When to look: once the files were left alone for a moment, and nobody is amid writing one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind};

use crate::config::watch::route::Route;

/// A save is several steps (write beside, rename, fix the mode); editors take milliseconds for all of them.
pub const SETTLE: Duration = Duration::from_millis(300);

/// However busy the files are, they are looked at after this long.
const LONGEST: Duration = Duration::from_secs(10);

/// A file that was written to and not closed since is not whole. Whoever holds it open for longer than this is not
/// saving it, and other files do not wait for it any longer, however busy it is.
const PATIENCE: Duration = Duration::from_mins(1);

/// What an event means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Somebody writes, and has not closed the file yet.
    Writing(PathBuf),
    /// This entry is another now, or whole again.
    Changed(PathBuf),
    /// A watched directory is gone, or events were lost: what is watched must be found out anew.
    Lost,
}

/// What an event of a watcher says about the configuration at the end of `route`; `None`: nothing. Opening and reading
/// mean nothing, or each look would lead to the next.
pub(super) fn seen(event: &Event, route: &Route) -> Option<Seen> {
    if event.need_rescan() {
        return Some(Seen::Lost);
    }
    let changed = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Create(_) => Seen::Changed,
        EventKind::Modify(ModifyKind::Data(_)) => Seen::Writing,
        EventKind::Access(_) => return None,
        // A mode, too: a file that could not be read may be readable now.
        EventKind::Any | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => Seen::Changed,
    };
    let gone = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
    event.paths.iter().find_map(|path| {
        if gone && route.directories.contains_key(path) {
            Some(Seen::Lost)
        } else {
            route.concerns(path).then(|| changed(path.clone()))
        }
    })
}

/// Changes that were seen and not looked at yet.
#[derive(Debug, Default)]
pub(super) struct Settling {
    first: Option<Instant>,
    last: Option<Instant>,
    /// Files that were written to and not closed since.
    open: BTreeSet<PathBuf>,
}

impl Settling {
    pub(super) fn note(&mut self, seen: &Seen, now: Instant) {
        match seen {
            Seen::Writing(path) => {
                self.open.insert(path.clone());
            }
            Seen::Changed(path) => self.closed(path),
            Seen::Lost => self.open.clear(),
        }
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    fn closed(&mut self, path: &Path) {
        self.open.remove(path);
    }

    /// When to look, if there is something to look at.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = (self.first?, self.last?);
        Some(if self.open.is_empty() { (last + SETTLE).min(first + LONGEST) } else { first + PATIENCE })
    }

    /// A look was taken.
    pub(super) fn looked(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, MetadataKind, RemoveKind, RenameMode};

    use super::*;

    fn route() -> Route {
        let mut route = Route::default();
        route.directories.insert("/etc/gk".into(), None);
        route.directories.insert("/etc/gk/gk.d".into(), None);
        route.entries.insert("/etc/gk/gk.toml".into());
        route.entries.insert("/etc/gk/..data".into());
        route.drop_ins = Some("/etc/gk/gk.d".into());
        route
    }

    fn after(kind: EventKind, paths: &[&str]) -> Option<Seen> {
        let event = paths.iter().fold(Event::new(kind), |event, path| event.add_path(path.into()));
        seen(&event, &route())
    }

    #[test]
    fn what_changes_the_configuration_is_seen_and_reading_it_is_not() {
        use EventKind::{Access, Create, Modify, Remove};
        let closed = Access(AccessKind::Close(AccessMode::Write));
        let changed = |path: &str| Some(Seen::Changed(path.into()));
        for (kind, path, expected) in [
            (closed, "/etc/gk/gk.toml", changed("/etc/gk/gk.toml")),
            (Create(CreateKind::File), "/etc/gk/gk.toml", changed("/etc/gk/gk.toml")),
            (Remove(RemoveKind::File), "/etc/gk/gk.toml", changed("/etc/gk/gk.toml")),
            (Modify(ModifyKind::Name(RenameMode::To)), "/etc/gk/..data", changed("/etc/gk/..data")),
            (Modify(ModifyKind::Metadata(MetadataKind::Any)), "/etc/gk/gk.toml", changed("/etc/gk/gk.toml")),
            (Create(CreateKind::File), "/etc/gk/gk.d/new.toml", changed("/etc/gk/gk.d/new.toml")),
            (
                Modify(ModifyKind::Data(DataChange::Any)),
                "/etc/gk/gk.toml",
                Some(Seen::Writing("/etc/gk/gk.toml".into())),
            ),
            (Remove(RemoveKind::Folder), "/etc/gk", Some(Seen::Lost)),
            (Modify(ModifyKind::Name(RenameMode::From)), "/etc/gk", Some(Seen::Lost)),
            (Remove(RemoveKind::Folder), "/etc/gk/gk.d", Some(Seen::Lost)),
            (Access(AccessKind::Open(AccessMode::Any)), "/etc/gk/gk.toml", None),
            (Access(AccessKind::Close(AccessMode::Read)), "/etc/gk/gk.toml", None),
            (Access(AccessKind::Read), "/etc/gk/gk.toml", None),
            (Access(AccessKind::Open(AccessMode::Any)), "/etc/gk", None),
            (Modify(ModifyKind::Metadata(MetadataKind::Any)), "/etc/gk", None),
            (closed, "/etc/gk/gk.toml~", None),
            (closed, "/etc/gk/.gk.toml.swp", None),
            (closed, "/etc/gk/gk.d/notes.txt", None),
        ] {
            assert_eq!(after(kind, &[path]), expected, "{kind:?} of {path}");
        }
        let both = Modify(ModifyKind::Name(RenameMode::Both));
        assert_eq!(after(both, &["/etc/gk/new", "/etc/gk/gk.toml"]), changed("/etc/gk/gk.toml"), "either name counts");
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(seen(&lost, &route()), Some(Seen::Lost));
    }

    #[test]
    fn a_look_is_due_when_all_was_left_alone_and_every_writer_has_closed() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let file = || PathBuf::from("/etc/gk/gk.toml");
        let mut settling = Settling::default();
        assert_eq!(settling.due(), None);
        settling.note(&Seen::Changed(file()), at(0));
        assert_eq!(settling.due(), Some(at(300)));
        settling.note(&Seen::Changed("/etc/gk/gk.d/a.toml".into()), at(200));
        assert_eq!(settling.due(), Some(at(500)), "it waits for the last step of a save");
        settling.note(&Seen::Writing(file()), at(400));
        assert_eq!(settling.due(), Some(at(60_000)), "half a file is not looked at");
        settling.note(&Seen::Changed("/etc/gk/gk.d/a.toml".into()), at(500));
        assert_eq!(settling.due(), Some(at(60_000)), "not even when another one is whole, up to a minute in all");
        settling.note(&Seen::Changed(file()), at(900));
        assert_eq!(settling.due(), Some(at(1200)));
        settling.looked();
        assert_eq!(settling.due(), None);
    }

    #[test]
    fn files_that_never_rest_are_looked_at_all_the_same() {
        let start = Instant::now();
        let mut settling = Settling::default();
        for tenth in 0..200 {
            settling.note(&Seen::Changed("/etc/gk/gk.toml".into()), start + Duration::from_millis(100 * tenth));
        }
        assert_eq!(settling.due(), Some(start + LONGEST));
    }

    #[test]
    fn a_writer_that_vanished_with_its_directory_is_not_waited_for() {
        let start = Instant::now();
        let mut settling = Settling::default();
        settling.note(&Seen::Writing("/etc/gk/gk.toml".into()), start);
        settling.note(&Seen::Lost, start);
        assert_eq!(settling.due(), Some(start + SETTLE));
    }
}
