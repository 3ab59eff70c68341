//! Reads a tree into a type, strictly, and goes on after each mistake so that one look shows them all.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::key::{KeyPath, Step};
use crate::config::near::nearest;
use crate::config::report::Report;

/// No configuration has more mistakes than an operator wants to read.
const PATIENCE: usize = 200;

/// Reads `tree`; each mistake is reported and repaired (a misspelt key is read as the word that was meant, a wrong value
/// is left out), until the rest can be read. The tree ends up as it was understood.
pub(super) fn read<T: DeserializeOwned + Default>(tree: &mut Value, report: &mut Report) -> T {
    for _ in 0..PATIENCE {
        match serde_path_to_error::deserialize::<_, T>(&*tree) {
            Ok(read) => return read,
            Err(error) => {
                let path = KeyPath::from(error.path());
                let message = error.into_inner().to_string();
                if !reread_variable(tree, &path, &message, report) {
                    repair(tree, &path, &message, report);
                }
            }
        }
    }
    T::default()
}

/// A variable is text; where something else is wanted, it is read as a TOML value, or as a list with commas. Once.
fn reread_variable(tree: &mut Value, path: &KeyPath, message: &str, report: &Report) -> bool {
    if !report.is_variable(path) {
        return false;
    }
    let Some(slot) = get_mut(tree, path) else { return false };
    let Value::String(text) = slot else { return false };
    let parsed = toml::from_str::<serde_json::Map<String, Value>>(&format!("value = {text}"));
    let value = parsed.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    match value {
        Some(value) if !value.is_string() => *slot = value,
        _ if message.ends_with("expected a sequence") => {
            *slot = text.split(',').map(|item| Value::String(item.trim().to_owned())).collect();
        }
        _ => return false,
    }
    true
}

fn repair(tree: &mut Value, path: &KeyPath, message: &str, report: &mut Report) {
    if let Some((written, known)) = unknown_field(message) {
        unknown_key(tree, path, written, &known, report);
        return;
    }
    report.problem(path, plain(message));
    report.drop_value(path.clone());
    remove(tree, path);
}

fn unknown_key(tree: &mut Value, path: &KeyPath, written: &str, known: &[&str], report: &mut Report) {
    let suggestion = nearest(written, known.iter().copied());
    let message = match suggestion {
        Some(_) => format!("unknown key `{written}`"),
        None => format!("unknown key `{written}`; the keys here are {}", known.join(", ")),
    };
    report.unwanted(path, message, suggestion.clone());
    let value = remove(tree, path);
    let table = path.parent().unwrap_or_default();
    let Some(meant) = suggestion else { return };
    if let (Some(value), Some(Value::Object(keys))) = (value, get_mut(tree, &table))
        && !keys.contains_key(&meant)
    {
        report.rename(table.key(&meant), path.clone());
        keys.insert(meant, value);
    }
}

/// The field and the known ones, when that is what serde complains about.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let end = rest.find("`, ")?;
    let known = rest[end + 3..].split('`').skip(1).step_by(2).collect();
    Some((&rest[..end], known))
}

/// serde's message without the text that was written: it might have been meant to be secret.
fn plain(message: &str) -> String {
    let wanted = |message: &str| {
        let expected = message.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
        match expected {
            "a string" => "a text in quotes".to_owned(),
            "a boolean" => "true or false".to_owned(),
            "a sequence" => "a list: [ … ]".to_owned(),
            other if other == "a map" || other.starts_with("struct ") => "a table".to_owned(),
            other => other.to_owned(),
        }
    };
    match message.strip_prefix("invalid type: ") {
        Some(rest) if rest.starts_with("string ") => format!("a text stands where {} is wanted", wanted(rest)),
        Some(rest) => {
            let found = rest.rsplit_once(", expected ").map_or(rest, |(found, _)| found).replace("sequence", "list");
            format!("{found} stands where {} is wanted", wanted(rest).replace("map", "table"))
        }
        None => message.to_owned(),
    }
}

pub(super) fn get_mut<'t>(tree: &'t mut Value, path: &KeyPath) -> Option<&'t mut Value> {
    path.steps().iter().try_fold(tree, |tree, step| match step {
        Step::Key(key) => tree.get_mut(key),
        Step::Index(index) => tree.get_mut(index),
    })
}

/// Takes a value out; an item of a list leaves a gap, so that the others keep their places.
pub(super) fn remove(tree: &mut Value, path: &KeyPath) -> Option<Value> {
    let Some(parent) = path.parent() else {
        return Some(std::mem::replace(tree, Value::Object(serde_json::Map::new())));
    };
    match (get_mut(tree, &parent)?, path.last()?) {
        (Value::Object(keys), Step::Key(key)) => keys.remove(key),
        (Value::Array(items), Step::Index(index)) => Some(items.get_mut(*index)?.take()),
        _ => None,
    }
}
