//! Keys and words that the documentation names and this version does not know yet: refused by name, never ignored.

use serde_json::Value;

use crate::config::key::{KeyPath, Step};
use crate::config::report::Report;
use crate::config::strict::{get_mut, remove};

/// A word that waits: the table (`*` is any job), its key, the words, what to write today, and the keys that come along.
struct LaterWord {
    table: [&'static str; 2],
    key: &'static str,
    words: &'static [&'static str],
    instead: &'static str,
    companions: &'static [&'static str],
}

const WORDS: [LaterWord; 2] = [
    LaterWord {
        table: ["okta", "auth"],
        key: "method",
        words: &["private-key"],
        instead: "use `api-token` with `token`",
        companions: &["client_id", "key_id", "private_key"],
    },
    LaterWord {
        table: ["entra", "app"],
        key: "method",
        words: &["certificate", "federated-token"],
        instead: "use `client-secret` with `client_secret`",
        companions: &["certificate", "private_key", "token_file"],
    },
];

/// Kinds of jobs that wait.
const KINDS: [&str; 2] = ["directory", "request"];

/// Reports what waits and takes it out of `tree`, with all that only makes sense beside it.
pub(super) fn refuse(tree: &mut Value, report: &mut Report) {
    for later in &WORDS {
        let table = KeyPath::of(later.table[0]).key(later.table[1]);
        let path = table.key(later.key);
        let written = get_mut(tree, &path).and_then(|value| value.as_str().map(str::to_owned));
        if let Some(word) = written.filter(|word| later.words.contains(&word.as_str())) {
            report.problem(&path, format!("`{word}` is not available yet in this version; {}", later.instead));
            report.drop_value(table.clone());
            remove(tree, &table);
        }
        for companion in later.companions {
            if remove(tree, &table.key(companion)).is_some() {
                let words = later.words.join("` and `");
                report.unwanted(
                    &table.key(companion),
                    format!("is not available yet in this version: it belongs to `{words}`"),
                    None,
                );
            }
        }
    }
    refuse_jobs(tree, report);
}

fn refuse_jobs(tree: &mut Value, report: &mut Report) {
    let jobs = KeyPath::of("jobs");
    let Some(Value::Object(table)) = get_mut(tree, &jobs) else { return };
    let names: Vec<String> = table.keys().cloned().collect();
    for name in names {
        let job = jobs.down(Step::Key(name));
        let kind = get_mut(tree, &job.key("kind")).and_then(|value| value.as_str().map(str::to_owned));
        if let Some(kind) = kind.filter(|kind| KINDS.contains(&kind.as_str())) {
            report.problem(&job.key("kind"), format!("`{kind}` jobs are not available yet in this version"));
            remove(tree, &job);
        }
    }
}
