//! Keys and words that the documentation names and this version does not know yet: refused by name, never ignored.

use serde_json::Value;

use crate::config::key::{KeyPath, Step};
use crate::config::report::Report;
use crate::config::strict::{get_mut, remove};

/// Kinds of jobs that wait.
const KINDS: [&str; 2] = ["action", "watch"];

/// Reports what waits and takes it out of `tree`, with all that only makes sense beside it.
pub(super) fn refuse(tree: &mut Value, report: &mut Report) {
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
