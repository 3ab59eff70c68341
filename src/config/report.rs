//! Gathers what is wrong and says where it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::config::key::KeyPath;
use crate::config::problem::{Origin, Problem, Problems};
use crate::config::spans::{Part, SpanTree, position};

/// One file as it was read.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) spans: SpanTree,
}

/// The problems of one configuration, and the means to place them.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Later ones override earlier ones.
    layers: Vec<Layer>,
    /// What came from the environment, and by which variable.
    environment: BTreeMap<KeyPath, String>,
    /// Misspelt keys that were read as what was meant: the meant one, and the written one.
    renamed: BTreeMap<KeyPath, KeyPath>,
    /// Values that were wrong and are reported already: they are not missing as well.
    dropped: BTreeSet<KeyPath>,
    problems: Vec<(Rank, Problem)>,
    warnings: Vec<(Rank, Problem)>,
}

/// Orders problems as one reads: file by file, downwards; the environment last.
type Rank = (usize, usize, usize);

impl Report {
    pub(super) fn add_layer(&mut self, layer: Layer) {
        self.layers.push(layer);
    }

    pub(super) fn set_environment(&mut self, environment: BTreeMap<KeyPath, String>) {
        self.environment = environment;
    }

    pub(super) fn rename(&mut self, meant: KeyPath, written: KeyPath) {
        self.renamed.insert(meant, written);
    }

    pub(super) fn drop_value(&mut self, path: KeyPath) {
        self.dropped.insert(path);
    }

    /// Whether the value here, or one around it, was found wrong before.
    pub(super) fn is_dropped(&self, path: &KeyPath) -> bool {
        path.upwards().any(|place| self.dropped.contains(&place))
    }

    /// The exact place that a variable gave.
    pub(super) fn is_variable(&self, path: &KeyPath) -> bool {
        self.environment.contains_key(path)
    }

    /// The value at `path` is wrong.
    pub(super) fn problem(&mut self, path: &KeyPath, message: impl Into<String>) {
        self.add(path, Part::Value, message.into(), None);
    }

    /// The value at `path` is wrong, and another one is like it.
    pub(super) fn suggest(&mut self, path: &KeyPath, message: impl Into<String>, suggestion: Option<String>) {
        self.add(path, Part::Value, message.into(), suggestion);
    }

    /// The key at `path` should not be there.
    pub(super) fn unwanted(&mut self, path: &KeyPath, message: impl Into<String>, suggestion: Option<String>) {
        self.add(path, Part::Key, message.into(), suggestion);
    }

    /// The key at `path` should be there. Says nothing when it was, and was wrong.
    pub(super) fn missing(&mut self, path: &KeyPath, message: impl Into<String>) {
        if !self.is_dropped(path) {
            self.add(path, Part::Key, message.into(), None);
        }
    }

    /// A file cannot be used, at the byte where that shows.
    pub(super) fn unusable(&mut self, file: &Path, position: Option<(usize, usize)>, message: impl Into<String>) {
        let rank = (self.layers.len(), position.map_or(0, |p| p.0), position.map_or(0, |p| p.1));
        let origin = Origin::File { path: file.to_owned(), position };
        self.problems.push((rank, Problem { origin, key: String::new(), message: message.into(), suggestion: None }));
    }

    /// The value at `path` is allowed and yet worth a second look.
    pub(super) fn warn(&mut self, path: &KeyPath, message: impl Into<String>) {
        let (rank, origin) = self.locate(path, Part::Value);
        let problem = Problem { origin, key: path.to_string(), message: message.into(), suggestion: None };
        self.warnings.push((rank, problem));
    }

    /// A variable that is no key is worth a second look.
    pub(super) fn warn_of_variable(&mut self, name: &str, message: String) {
        let origin = Origin::Environment { variable: name.to_owned() };
        let problem = Problem { origin, key: String::new(), message, suggestion: None };
        self.warnings.push(((usize::MAX, 0, 0), problem));
    }

    fn add(&mut self, path: &KeyPath, part: Part, message: String, suggestion: Option<String>) {
        let (rank, origin) = self.locate(path, part);
        self.problems.push((rank, Problem { origin, key: path.to_string(), message, suggestion }));
    }

    /// Where a value was written.
    pub(super) fn origin(&self, path: &KeyPath) -> Origin {
        self.locate(path, Part::Value).1
    }

    /// Where `path` was written, or the nearest table around it.
    fn locate(&self, path: &KeyPath, part: Part) -> (Rank, Origin) {
        let mut part = part;
        for place in path.upwards() {
            let place = self.as_written(&place);
            if let Some(variable) = self.environment.get(&place) {
                return ((usize::MAX, 0, 0), Origin::Environment { variable: variable.clone() });
            }
            if place.steps().is_empty() {
                break;
            }
            for (rank, layer) in self.layers.iter().enumerate().rev() {
                if let Some(span) = layer.spans.locate(&place, part) {
                    let (line, column) = position(&layer.text, span.start);
                    let origin = Origin::File { path: layer.path.clone(), position: Some((line, column)) };
                    return ((rank, line, column), origin);
                }
            }
            part = Part::Key;
        }
        let path = self.layers.first().map(|layer| layer.path.clone()).unwrap_or_default();
        ((0, 0, 0), Origin::File { path, position: None })
    }

    /// Undoes renames, from the root down.
    fn as_written(&self, path: &KeyPath) -> KeyPath {
        let mut written = KeyPath::default();
        let mut meant = KeyPath::default();
        for step in path.steps() {
            written = written.down(step.clone());
            meant = meant.down(step.clone());
            if let Some(original) = self.renamed.get(&meant) {
                written = original.clone();
            }
        }
        written
    }

    pub(super) const fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// The files that were read.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.layers.iter().map(|layer| layer.path.clone()).collect()
    }

    /// Problems and warnings as one reads them.
    pub(super) fn close(self) -> Problems {
        Problems { problems: in_order(self.problems), warnings: in_order(self.warnings) }
    }
}

fn in_order(mut found: Vec<(Rank, Problem)>) -> Vec<Problem> {
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, problem)| problem).collect()
}
