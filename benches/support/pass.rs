//! Full passes: what they cost in calls, time, memory and rows.

use std::time::Duration;

use graphkeeper::sandbox::Sandbox;
use graphkeeper::sandbox::journal::Row;
use graphkeeper::sandbox::server::Service;
use serde_json::Value;

use super::process::{Ended, watch};
use super::table::Table;
use super::{Bench, chain, configure, database, program, setting};

const PEOPLE: &str = "/api/v1/users";

/// Beside pages and changes: a token, the count of accounts, and what a pass may ask once.
const AROUND: u64 = 8 + 1;

/// What a pass was about, as far as its cost depends on it.
struct Size {
    people: u64,
    accounts: u64,
    /// Members of the group that is the scope.
    scope: u64,
    unresolved: u64,
    changes: u64,
}

impl Size {
    fn of(sandbox: &Sandbox, ended: &Ended) -> Self {
        let world = sandbox.world().read();
        let listed = world.okta.iter().filter(|user| !user.is_deprovisioned()).count() as u64;
        let searches = sandbox.journal().rows(|row| row.path == PEOPLE && row.query.contains("search="));
        let report: Value = serde_json::from_slice(&ended.stdout).expect("the report is JSON");
        let planned = &report["details"]["managers"]["tally"]["planned"];
        Self {
            people: listed,
            accounts: world.entra.len() as u64,
            scope: world.okta.groups.iter().map(|group| group.members.len() as u64).max().unwrap_or(0),
            unresolved: searches.iter().filter(|row| row.status == 200).map(terms).sum(),
            changes: ["set", "change", "clear"].iter().filter_map(|kind| planned[kind].as_u64()).sum(),
        }
    }

    /// The calls that such a pass may make.
    fn calls(&self) -> u64 {
        self.people.div_ceil(200)
            + self.accounts.div_ceil(999)
            + self.scope.div_ceil(200)
            + self.unresolved.div_ceil(20)
            + 3 * self.changes.div_ceil(20)
            + AROUND
    }
}

/// How many references a search asks for at once: its terms are joined by `or`.
fn terms(search: &Row) -> u64 {
    let query = search.query.replace("%20", "+");
    query.matches("+or+").count() as u64 + 1
}

/// Requests over the wire that were not answered 429: retries count apart.
fn requests(sandbox: &Sandbox) -> u64 {
    sandbox.journal().count(|row| !row.item && row.status != 429) as u64
}

/// Writes that the sandbox took or refused, as the limit of 20 a second sees them.
fn writes(sandbox: &Sandbox) -> u64 {
    sandbox.journal().count(|row| row.service == Service::Graph && matches!(row.method.as_str(), "PUT" | "DELETE"))
        as u64
}

pub(crate) fn measure(bench: &Bench, table: &mut Table) {
    let people: u32 = setting("PEOPLE", 10_000);
    let latency = Duration::from_millis(setting("LATENCY_MS", 50));
    let sandbox = bench.sandbox(people, latency);
    let directory = bench.directory("pass");
    let configuration = configure(&sandbox, &directory, |text| text);
    let database = directory.join("state/graphkeeper.db");
    let run = || {
        sandbox.journal().clear();
        let mut command = program(&configuration);
        command.args(["--json", "run", "managers"]);
        watch(command)
    };
    let (chain, whose) = bench.runtime.block_on(chain::slower(&sandbox));
    table.note(
        format!("slower page chain alone, {people} people, {} ms an answer", latency.as_millis()),
        format!("{:.1} s ({whose})", chain.as_secs_f64()),
    );

    let first = run();
    let size = Size::of(&sandbox, &first);
    costs(table, &sandbox, "first pass", &first, &size);
    took(table, "first pass", &first, chain, writes(&sandbox));
    run(); // the tenants have news of their own, made up for the first pass; this one takes them in
    let before = database::rows(bench, &database);
    let unchanged = run();
    let size = Size::of(&sandbox, &unchanged);
    costs(table, &sandbox, "unchanged pass", &unchanged, &size);
    took(table, "unchanged pass", &unchanged, chain, writes(&sandbox));
    #[expect(clippy::cast_precision_loss, reason = "a few thousand rows at most")]
    let added = (database::rows(bench, &database) - before) as f64;
    table.at_most("unchanged pass: new history rows", added, 19.0, ("", 0));
    bench.runtime.block_on(sandbox.stop());
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn costs(table: &mut Table, sandbox: &Sandbox, pass: &str, ended: &Ended, size: &Size) {
    assert!(matches!(ended.code, Some(0 | 3)), "a pass ends well, or with some refusals: {:?}", ended.code);
    let Size { people, accounts, scope, unresolved, changes } = size;
    table.note(
        format!("{pass}: exit {}", ended.code.unwrap_or(-1)),
        format!("{people} people, {accounts} accounts, {scope} in scope, {unresolved} unresolved, {changes} changes"),
    );
    table.at_most(format!("{pass}: vendor calls"), requests(sandbox) as f64, size.calls() as f64, ("", 0));
    let budget = 60e6 + 400.0 * *people as f64;
    table.at_most(format!("{pass}: peak memory"), ended.peak as f64 / 1e6, budget / 1e6, ("MB", 1));
}

/// Wall time against what the vendors' pace makes necessary. The sandbox is confirmed at once: `confirm_after` is zero.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn took(table: &mut Table, pass: &str, ended: &Ended, chain: Duration, writes: u64) {
    let limit = 1.15 * chain.as_secs_f64() + writes as f64 / 20.0 + 2.0;
    let took = ended.took.as_secs_f64();
    let what = format!("{pass}: wall time, {writes} writes (ratio {:.2})", took / limit);
    table.at_most(what, took, limit, ("s", 1));
}
