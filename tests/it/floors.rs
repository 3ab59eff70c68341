//! The house's floors: `src/lib.rs` lists the rooms in import order, and a room looks only downwards.
//!
//! The compiler guards crates, not folders, so this test reads the source instead. As every import goes down one list,
//! there can be no circle between rooms either.

use std::fs;
use std::path::{Path, PathBuf};

/// Outside crates that have one home, by the path below `src` where they may be named outside of tests; or a line a home.
const HOMES: [(&str, &str); 28] = [
    ("jsonwebtoken", "auth/jwt.rs"),
    ("reqwest", "http"),
    ("rustls", "http"),
    ("rustls_platform_verifier", "http/tls.rs"),
    ("cbc", "pki/pfx_cipher.rs"),
    ("des", "pki/pfx_cipher.rs"),
    ("rc2", "pki/pfx_cipher.rs"),
    ("sqlx", "history"),
    ("config", "config/load.rs"),
    ("notify", "config/watch"),
    ("tokio_cron_scheduler", "daemon/scheduler.rs"),
    ("chrono", "daemon/scheduler.rs"),
    ("tracing_subscriber", "telemetry"),
    ("croner", "schedule"),
    ("rustix", "clock.rs"),
    ("rustix", "control/socket.rs"),
    ("axum", "sandbox"),
    ("axum", "inbound"),
    ("axum", "control"),
    ("axum", "web"),
    ("hyper", "inbound"),
    ("hyper", "control"),
    ("hyper_util", "inbound"),
    ("hyper_util", "control"),
    ("askama", "web/page"),
    ("nix", "control/peer.rs"),
    ("lettre", "notices/smtp.rs"),
    ("prometheus_client", "web/metrics"),
];

#[test]
fn every_room_looks_only_downwards_and_every_outside_crate_has_one_home() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = rooms(&fs::read_to_string(src.join("lib.rs")).unwrap());
    assert!(rooms.len() > 10, "src/lib.rs lists the rooms: {rooms:?}");
    let mut wrong = Vec::new();
    for path in sources(&src) {
        let place = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        if place != "lib.rs" && place != "main.rs" {
            wrong.extend(violations(&rooms, &place, &fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{} imports against the floors:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_planted_violation_is_found() {
    let rooms = rooms(&fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap());
    let found = |place: &str, text: &str| !violations(&rooms, place, text).is_empty();
    for (place, text) in [
        ("okta/client.rs", "use crate::jobs::runner;"),
        ("control/carry.rs", "use crate::config::settings::Settings;"),
        ("jobs/runner.rs", "use crate::control::peer;"),
        ("daemon/serve.rs", "use axum::Router;"),
        ("http/retry.rs", "fn f() { crate::cli::render() }"),
        ("auth/mod.rs", "use crate::{\n    domain::Word,\n    history::{runs, changes},\n    okta,\n};"),
        ("okta/mod.rs", "use crate::graph::GraphClient;"),
        ("daemon/mod.rs", "use crate::config::Settings;"),
        ("reconcile/plan.rs", "use crate::clock::Clock;"),
        ("sandbox/okta.rs", "use crate::domain::PersonId;"),
        ("jobs/managers.rs", "use crate::sandbox::Sandbox;"),
        ("graph/client.rs", "use reqwest::Client;"),
        ("config/raw.rs", "let c = ::config::Config::builder();"),
        ("jobs/runner.rs", "sqlx::query!(\"select 1\")"),
        ("jobs/runner.rs", "#[cfg(test)]\nmod tests {\n use crate::cli::main;\n}"),
    ] {
        assert!(found(place, text), "not found: {place}: {text}");
    }
    for (place, text) in [
        ("okta/client.rs", "/// See [`crate::jobs`].\nuse crate::http::Client;"),
        ("http/client.rs", "use reqwest::Client;"),
        ("config/load.rs", "use ::config::Config; use crate::reconcile::policy::Policy;"),
        ("cli/demo.rs", "use crate::{app, config, sandbox::Sandbox};"),
        ("http/client.rs", "#[cfg(test)]\nmod tests {\n use crate::sandbox::Sandbox; use axum::Router;\n}"),
        ("sandbox/tenant.rs", "use crate::sandbox::world::World;"),
        ("app/mod.rs", "let s = config::load(path)?; let sqlx_free = my_sqlx::x();"),
    ] {
        assert!(!found(place, text), "wrongly found: {place}: {text}: {:?}", violations(&rooms, place, text));
    }
}

/// The rooms as `src/lib.rs` lists them, uppermost first.
fn rooms(lib: &str) -> Vec<String> {
    let name = |line: &str| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned);
    lib.lines().filter_map(name).collect()
}

/// Every `.rs` file under `folder`, in a stable order.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let of = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.into_iter().flat_map(of).filter(|path| path.extension().is_some_and(|it| it == "rs")).collect()
}

/// What `text`, the file at `place` below `src`, imports and must not.
fn violations(rooms: &[String], place: &str, text: &str) -> Vec<String> {
    let room = place.split(['/', '.']).next().unwrap_or_default();
    let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let test_file = place.ends_with("/tests.rs") || place.contains("/tests/");
    let (own, tests) = code.split_at(if test_file { 0 } else { start_of_tests(&code) });
    let mut wrong = Vec::new();
    for (part, is_test) in [(own, false), (tests, true)] {
        for used in used_rooms(part).into_iter().filter(|used| used != room && rooms.contains(used)) {
            let allowed = may_use(rooms, room, &used) || (is_test && used == "sandbox");
            if !allowed {
                wrong.push(format!("src/{place}: {room} must not use crate::{used}"));
            }
        }
    }
    let is_at_home = |outside: &str| HOMES.iter().any(|(name, home)| *name == outside && place.starts_with(home));
    for (outside, home) in HOMES.iter().filter(|(outside, _)| !is_at_home(outside)) {
        if names_crate(own, outside) {
            wrong.push(format!("src/{place}: the crate {outside} is at home in src/{home} only"));
        }
    }
    wrong
}

/// Where a file's own tests begin: at `#[cfg(test)]` before a `mod`, other attributes between them or not.
fn start_of_tests(code: &str) -> usize {
    let of_module = |(at, found): &(usize, &str)| {
        let mut rest = code[at + found.len()..].lines().map(str::trim_start).skip_while(|line| line.starts_with("#["));
        rest.next().is_some_and(|line| line.starts_with("mod "))
    };
    code.match_indices("#[cfg(test)]\n").find(of_module).map_or(code.len(), |(at, _)| at)
}

/// Whether `room` may use `used`: downwards in the list, and within what some rooms may know at all.
fn may_use(rooms: &[String], room: &str, used: &str) -> bool {
    let floor = |name: &str| rooms.iter().position(|it| it == name);
    match (room, used) {
        ("cli", "sandbox") => true,
        ("sandbox", _) | (_, "sandbox") | ("okta", "graph") => false,
        ("reconcile", used) => used == "domain",
        (room, "config") => matches!(room, "cli" | "app"),
        _ => floor(room) < floor(used),
    }
}

/// The first names of all `crate::…` paths, those in `crate::{…}` too.
fn used_rooms(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let path = &code[at + found.len()..];
        match path.strip_prefix('{') {
            Some(group) => names.extend(heads(group)),
            None => names.push(identifier(path)),
        }
    }
    names
}

/// The first name of each entry of an import group, up to its closing brace.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut names) = (0_u32, 0, Vec::new());
    for (at, sign) in group.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                names.push(identifier(group[start..at].trim_start()));
                start = at + 1;
                if sign == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|sign| sign.is_alphanumeric() || *sign == '_').collect()
}

/// Whether `code` names the outside crate. `config` is also a room, so only `::config` and `use config` count for it.
fn names_crate(code: &str, outside: &str) -> bool {
    code.match_indices(outside).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + outside.len()..]);
        let path = after.starts_with("::") || before.ends_with("use ") && after.starts_with([';', ' ']);
        let rooted = before.ends_with("::") && !before[..at - 2].ends_with(|sign: char| sign.is_alphanumeric());
        let bare = !before.ends_with(|sign: char| sign.is_alphanumeric() || "_:".contains(sign));
        path && (rooted || bare && (outside != "config" || before.ends_with("use ")))
    })
}
