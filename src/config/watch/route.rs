//! Which entries of which directories decide what a configuration says: the file, its drop-ins, and every symbolic link
//! on the way to them.
//!
//! Directories are watched and never files: a watch on a file is lost with the first save that puts another in its
//! place, which is how most editors save.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::config::load;

/// As many links as the kernel follows.
const LINKS: usize = 40;

/// Tells one directory from another that took its name.
type Identity = Option<(u64, u64)>;

/// The places where a change may change the configuration. All paths are free of links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    /// To be watched.
    pub(super) directories: BTreeMap<PathBuf, Identity>,
    /// The entries of these directories that matter.
    pub(super) entries: BTreeSet<PathBuf>,
    /// Where every drop-in matters, when there is such a directory.
    pub(super) drop_ins: Option<PathBuf>,
}

impl Route {
    /// The way to the configuration at `file`, its drop-ins, and `others`. Where something is missing, the way ends at
    /// the directory in which it would appear.
    pub(super) fn to(file: &Path, others: &[PathBuf]) -> Self {
        let mut route = Self::default();
        route.follow(file);
        if let Some(directory) = route.follow(&load::drop_in_directory(file)).filter(|found| found.is_dir()) {
            route.watch(&directory);
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
            for drop_in in entries.filter(|path| load::is_drop_in(path)) {
                route.follow(&drop_in);
            }
            route.drop_ins = Some(directory);
        }
        for other in others {
            route.follow(other);
        }
        route
    }

    /// Enters every link and the end of the way to `path`. The end, when there is something.
    fn follow(&mut self, path: &Path) -> Option<PathBuf> {
        let whole = std::path::absolute(path).ok()?;
        let mut rest = steps(&whole);
        let mut here = PathBuf::from("/");
        let mut links = 0;
        while let Some(step) = rest.pop_front() {
            if step == ".." {
                here.pop();
                continue;
            }
            let entry = here.join(step);
            let found = fs::symlink_metadata(&entry).ok();
            if found.as_ref().is_some_and(Metadata::is_symlink) && links < LINKS {
                links += 1;
                self.enter(&here, &entry);
                let target = fs::read_link(&entry).ok()?;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for step in steps(&target).into_iter().rev() {
                    rest.push_front(step);
                }
            } else if found.as_ref().is_some_and(Metadata::is_dir) && !rest.is_empty() {
                here = entry;
            } else {
                self.enter(&here, &entry);
                return found.filter(|_| rest.is_empty()).map(|_| entry);
            }
        }
        Some(here)
    }

    fn enter(&mut self, directory: &Path, entry: &Path) {
        self.watch(directory);
        self.entries.insert(entry.to_owned());
    }

    fn watch(&mut self, directory: &Path) {
        self.directories.entry(directory.to_owned()).or_insert_with(|| identity(directory));
    }

    /// Whether a change of `path` matters.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        let in_drop_ins = || self.drop_ins.is_some() && path.parent() == self.drop_ins.as_deref();
        self.entries.contains(path) || (in_drop_ins() && load::is_drop_in(path))
    }

    /// What the files look like from outside: another look shows whether anything changed without being told.
    pub(super) fn stamps(&self) -> BTreeMap<PathBuf, Stamp> {
        let dropped = self.drop_ins.iter().filter_map(|directory| fs::read_dir(directory).ok());
        let dropped = dropped.flatten().flatten().map(|entry| entry.path()).filter(|path| load::is_drop_in(path));
        self.entries.iter().cloned().chain(dropped).map(|path| (path.clone(), Stamp::of(&path))).collect()
    }
}

/// One file from outside; empty when there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<[i128; 5]>);

impl Stamp {
    fn of(path: &Path) -> Self {
        let nanoseconds =
            |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Self(fs::metadata(path).ok().map(|found| {
            if found.is_dir() {
                return [found.dev().into(), found.ino().into(), 0, 0, 0]; // its entries are looked at one by one
            }
            let modified = nanoseconds(found.mtime(), found.mtime_nsec());
            let changed = nanoseconds(found.ctime(), found.ctime_nsec());
            [found.dev().into(), found.ino().into(), found.size().into(), modified, changed]
        }))
    }
}

fn identity(directory: &Path) -> Identity {
    fs::symlink_metadata(directory).ok().map(|found| (found.dev(), found.ino()))
}

/// The names on a path, downwards.
fn steps(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The watched directories and the entries that matter, below `root`.
    fn below(root: &Path, route: &Route) -> (Vec<String>, Vec<String>) {
        let inside = |path: &PathBuf| path.strip_prefix(root).ok().map(|path| path.display().to_string());
        (route.directories.keys().filter_map(inside).collect(), route.entries.iter().filter_map(inside).collect())
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(home.path()).unwrap();
        (home, root)
    }

    #[test]
    fn a_plain_file_is_watched_in_its_directory_alone() {
        let (_home, root) = place();
        fs::create_dir(root.join("gk")).unwrap();
        fs::write(root.join("gk/gk.toml"), "").unwrap();
        let route = Route::to(&root.join("gk/gk.toml"), &[]);
        assert_eq!(below(&root, &route), (vec!["gk".to_owned()], vec!["gk/gk.d".to_owned(), "gk/gk.toml".to_owned()]));
        assert!(route.concerns(&root.join("gk/gk.toml")) && route.concerns(&root.join("gk/gk.d")));
        for other in ["gk/gk.toml~", "gk/.gk.toml.swp", "gk/4913", "gk/other.toml", "gk"] {
            assert!(!route.concerns(&root.join(other)), "{other}");
        }
    }

    #[test]
    fn every_drop_in_matters_and_nothing_else_beside_them() {
        let (_home, root) = place();
        fs::create_dir(root.join("gk.d")).unwrap();
        fs::write(root.join("gk.toml"), "").unwrap();
        fs::write(root.join("gk.d/10.toml"), "").unwrap();
        let route = Route::to(&root.join("gk.toml"), &[]);
        for (path, matters) in
            [("gk.d/10.toml", true), ("gk.d/20.toml", true), ("gk.d/.#10.toml", false), ("gk.d/10.toml~", false)]
        {
            assert_eq!(route.concerns(&root.join(path)), matters, "{path}");
        }
        assert_eq!(route.drop_ins, Some(root.join("gk.d")));
    }

    /// A volume of Kubernetes: the names lead through `..data` to a directory that is exchanged as a whole.
    #[test]
    fn every_link_on_the_way_matters() {
        let (_home, root) = place();
        fs::create_dir_all(root.join("volume/..2026_1")).unwrap();
        fs::write(root.join("volume/..2026_1/gk.toml"), "").unwrap();
        symlink("..2026_1", root.join("volume/..data")).unwrap();
        symlink("..data/gk.toml", root.join("volume/gk.toml")).unwrap();
        symlink(root.join("volume"), root.join("etc")).unwrap();
        let route = Route::to(&root.join("etc/gk.toml"), &[]);
        let (directories, entries) = below(&root, &route);
        assert_eq!(directories, ["", "volume", "volume/..2026_1"]);
        assert_eq!(entries, ["etc", "volume/..2026_1/gk.toml", "volume/..data", "volume/gk.d", "volume/gk.toml"]);
    }

    #[test]
    fn what_is_missing_is_waited_for_where_it_would_appear() {
        let (_home, root) = place();
        let route = Route::to(&root.join("a/b/gk.toml"), &[root.join("secrets/token")]);
        assert_eq!(
            below(&root, &route),
            (vec![String::new()], vec!["a".to_owned(), "secrets".to_owned()]),
            "the nearest directory there is"
        );
        fs::create_dir(root.join("a")).unwrap();
        assert_eq!(below(&root, &Route::to(&root.join("a/b/gk.toml"), &[])).1, ["a/b"]);
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(below(&root, &Route::to(&root.join("loop/gk.toml"), &[])).1, ["loop"], "a circle ends");
    }

    #[test]
    fn a_directory_that_took_the_name_of_another_makes_another_route() {
        let (_home, root) = place();
        let file = root.join("gk/gk.toml");
        for generation in ["one", "two"] {
            fs::create_dir(root.join(generation)).unwrap();
            fs::write(root.join(generation).join("gk.toml"), generation).unwrap();
        }
        fs::rename(root.join("one"), root.join("gk")).unwrap();
        let before = Route::to(&file, &[]);
        assert_eq!(Route::to(&file, &[]), before);
        let stamps = before.stamps();
        fs::rename(root.join("gk"), root.join("old")).unwrap();
        fs::rename(root.join("two"), root.join("gk")).unwrap();
        let after = Route::to(&file, &[]);
        assert_eq!(after.entries, before.entries);
        assert_ne!(after, before);
        assert_ne!(after.stamps(), stamps);
    }
}
