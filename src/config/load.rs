//! Reads the files and the environment and lays them over each other. The only home of the `config` crate.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ::config::{Config, Environment, File, FileFormat, Value as Layered, ValueKind};
use serde_json::{Map, Value};
use toml::de::DeTable;

use crate::config::key::{KeyPath, Step};
use crate::config::regular;
use crate::config::report::{Layer, Report};
use crate::config::spans::{SpanTree, position};

/// What variables begin with; `GRAPHKEEPER__OKTA__ORG_URL` is `okta.org_url`.
const PREFIX: &str = "GRAPHKEEPER";
const SEPARATOR: &str = "__";

/// Origin that the `config` crate gives to what came from variables.
const FROM_ENVIRONMENT: &str = "the environment";

/// The file at `path` and its drop-ins: `NAME.d/*.toml` beside `NAME.toml`, by name.
pub(super) fn files(path: &Path, report: &mut Report) -> Vec<(PathBuf, String)> {
    let mut files: Vec<_> = text_of(path, report).into_iter().map(|text| (path.to_owned(), text)).collect();
    for path in drop_ins(path, report) {
        if let Some(text) = text_of(&path, report) {
            files.push((path, text));
        }
    }
    files
}

fn text_of(path: &Path, report: &mut Report) -> Option<String> {
    let bytes = match regular::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            report.unusable(path, None, "there is no such file; name another by --config or $GRAPHKEEPER_CONFIG");
            return None;
        }
        Err(error) => {
            report.unusable(path, None, format!("cannot be read: {error}"));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
            report.unusable(path, Some(position(&good, good.len())), "is not UTF-8 text");
            None
        }
    }
}

/// Where the drop-ins of the file at `path` are: `NAME.d` beside `NAME.toml`.
pub(super) fn drop_in_directory(path: &Path) -> PathBuf {
    path.with_extension("d")
}

/// Whether a file there is a drop-in. Hidden ones are not: editors leave such beside the file that is being edited, and
/// Emacs names them `.#NAME.toml`.
pub(super) fn is_drop_in(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|end| end == "toml")
}

fn drop_ins(path: &Path, report: &mut Report) -> Vec<PathBuf> {
    let directory = drop_in_directory(path);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Vec::new();
        }
        Err(error) => {
            report.unusable(&directory, None, format!("cannot be read: {error}"));
            return Vec::new();
        }
    };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut paths: Vec<_> = paths.filter(|path| is_drop_in(path)).collect();
    paths.sort();
    paths
}

/// Lays the files over each other, then the variables, into one tree. `None` when a file is not TOML: all its mistakes
/// are reported.
pub(super) fn layers(files: Vec<(PathBuf, String)>, env: &[(String, String)], report: &mut Report) -> Option<Value> {
    let mut builder = Config::builder();
    for (path, text) in files {
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let (table, mistakes) = DeTable::parse_recoverable(&text);
        for mistake in &mistakes {
            let at = mistake.span().map(|span| position(&text, span.start));
            report.unusable(&path, at, mistake.message().trim().replace('\n', "; "));
        }
        let spans = SpanTree::of(&table);
        if mistakes.is_empty() {
            builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
        }
        report.add_layer(Layer { path, text, spans });
    }
    if report.has_problems() {
        return None;
    }
    // Without `try_parsing`, which would turn `0123` into 123: variables stay text until something else is wanted.
    let environment = Environment::with_prefix(PREFIX).prefix_separator(SEPARATOR).separator(SEPARATOR);
    let variables: HashMap<String, String> = env.iter().filter(|(name, _)| is_ours(name)).cloned().collect();
    let built = builder.add_source(environment.source(Some(variables))).build();
    let layered = match built {
        Ok(layered) => layered,
        Err(error) => {
            let file = report.files().first().cloned().unwrap_or_default();
            report.unusable(&file, None, error.to_string());
            return None;
        }
    };
    let mut found = BTreeSet::new();
    let tree = plain(layered.cache, &KeyPath::default(), &mut found);
    report.set_environment(found.into_iter().map(|path| (path.clone(), variable(env, &path))).collect());
    Some(tree)
}

fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len() + SEPARATOR.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(&format!("{PREFIX}{SEPARATOR}")))
}

/// The variable that set `path`, as it is spelled in the environment.
fn variable(env: &[(String, String)], path: &KeyPath) -> String {
    let steps = path.steps().iter().map(|step| match step {
        Step::Key(key) => key.clone(),
        Step::Index(index) => index.to_string(),
    });
    let name = std::iter::once(PREFIX.to_owned()).chain(steps).collect::<Vec<_>>().join(SEPARATOR);
    let spelled = env.iter().find(|(key, _)| key.eq_ignore_ascii_case(&name));
    spelled.map_or_else(|| name.to_uppercase(), |(key, _)| key.clone())
}

/// The tree without conversions: what is text stays text, so that reading it is strict.
fn plain(value: Layered, path: &KeyPath, from_environment: &mut BTreeSet<KeyPath>) -> Value {
    let given = value.origin() == Some(FROM_ENVIRONMENT);
    match value.kind {
        ValueKind::Table(table) => {
            let entries = table.into_iter().map(|(key, below)| {
                let below = plain(below, &path.key(&key), from_environment);
                (key, below)
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
        ValueKind::Array(items) => {
            let items = items.into_iter().enumerate();
            items.map(|(index, item)| plain(item, &path.index(index), from_environment)).collect()
        }
        scalar => {
            if given {
                from_environment.insert(path.clone());
            }
            match scalar {
                ValueKind::Boolean(value) => value.into(),
                ValueKind::I64(value) => value.into(),
                ValueKind::U64(value) => value.into(),
                ValueKind::Float(value) => value.into(),
                ValueKind::String(value) => value.into(),
                ValueKind::I128(value) => value.to_string().into(),
                ValueKind::U128(value) => value.to_string().into(),
                ValueKind::Nil | ValueKind::Table(_) | ValueKind::Array(_) => Value::Null,
            }
        }
    }
}
