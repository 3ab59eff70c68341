//! The commands that are searched for secrets: all there are.

use crate::support::Org;

/// Those that do well, in this order.
pub(super) const FIRST: [&[&str]; 10] = [
    &["check"],
    &["login"],
    &["run", "managers", "--user", "bo@corp.example"],
    &["plan", "managers"],
    &["run", "managers"],
    &["run", "licenses"],
    &["run", "keepalive"],
    &["run", "import"],
    &["run", "look"],
    &["notify", "test", "office"],
];

/// Those that come after them, whatever becomes of them. RUN and PLAN are the newest of the managers job.
pub(super) const AFTERWARDS: [&[&str]; 42] = [
    &["undo", "RUN"],
    &["undo", "RUN", "--yes"],
    &["approve", "PLAN"],
    &["release", "ana@corp.example"],
    &["accept-source", "RUN"],
    &["pause", "managers"],
    &["jobs"],
    &["resume", "managers"],
    &["explain", "ana@corp.example"],
    &["notify", "test", "dead"],
    &["notify", "test", "mail"],
    &["notify", "test", "letter"],
    &["history"],
    &["history", "show", "RUN"],
    &["history", "show", "PLAN"],
    &["history", "changes"],
    &["history", "calls", "RUN"],
    &["history", "directory"],
    &["history", "directory", "--diff"],
    &["history", "licenses"],
    &["history", "licenses", "--at", "now"],
    &["history", "licenses", "--diff", "now", "now"],
    &["history", "licenses", "--chart"],
    &["history", "licenses", "--events"],
    &["history", "missed"],
    &["history", "notices"],
    &["history", "prune", "--dry-run"],
    &["history", "export", "runs"],
    &["history", "export", "changes"],
    &["history", "export", "decisions"],
    &["history", "export", "missed"],
    &["history", "export", "calls"],
    &["history", "export", "licenses"],
    &["history", "export", "events"],
    &["history", "export", "gauges"],
    &["history", "export", "imports"],
    &["doctor"],
    &["completions", "bash"],
    &["man"],
    &["logout"],
    &["run", "keepalive"],
    &["plan", "look"],
];

/// These make tenants or a service of their own, and are tried beside the others.
const APART: [&str; 3] = ["daemon", "demo", "sandbox"];

/// The names below `heading` in a short help.
fn named(help: &str, heading: &str) -> Vec<String> {
    let Some((_, after)) = help.split_once(heading) else { return Vec::new() };
    let lines = after.lines().skip(1).take_while(|line| line.starts_with("  "));
    let names = lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_there_is_is_searched_for_secrets() {
    let org = Org::empty().await;
    let tried = |words: &[&str]| FIRST.iter().chain(&AFTERWARDS).any(|command| command.starts_with(words));
    let help = org.shows(&["-h"]).await.exits(0).stdout;
    let commands = named(&help, "Commands:");
    assert!(commands.len() > 20, "{help}");
    for command in commands.iter().map(String::as_str).filter(|command| !APART.contains(command)) {
        assert!(tried(&[command]), "`{command}` is not tried");
        let help = org.shows(&[command, "-h"]).await.exits(0).stdout;
        for below in named(&help, "Commands:") {
            assert!(tried(&[command, &below]), "`{command} {below}` is not tried");
        }
    }
    let help = org.shows(&["history", "export", "-h"]).await.exits(0).stdout;
    let kinds =
        help.split_once("[possible values: ").map(|(_, after)| after.split_once(']').unwrap().0).unwrap_or_default();
    assert!(kinds.split(',').count() > 5, "{help}");
    for kind in kinds.split(',').map(str::trim) {
        assert!(tried(&["history", "export", kind]), "`history export {kind}` is not tried");
    }
}
