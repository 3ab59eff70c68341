//! Who carries a command out: the service, when it answers on its socket, for whoever may use that.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;

use graphkeeper::sandbox::faults::When;
use serde_json::Value;

use crate::support::process::{Output, Process};
use crate::support::{ACCOUNTS, BATCH, BOUND, Org, reached, within};

/// Schedules that do not come while a test lasts.
const NEVER: &str = "[jobs.managers]\nschedule = \"0 0 1 1 *\"\n[jobs.licenses]\nschedule = \"0 0 1 1 *\"\n\
                     [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\n";
/// Only the licenses, at every second.
const LICENSES: &str = "[jobs.managers]\nschedule = \"0 0 1 1 *\"\n[jobs.licenses]\nschedule = \"* * * * * *\"\n\
                        [jobs.keepalive]\nschedule = \"0 0 1 1 *\"\n";
/// What the licenses job reads.
const SKUS: &str = "/v1.0/subscribedSkus";
/// A member of the service's group, and somebody else. Neither has a name.
const MEMBER: (u32, u32) = (54_321, 43_210);
const OUTSIDER: (u32, u32) = (54_322, 54_322);

async fn quiet(members: &[&str]) -> Org {
    let org = Org::team(members.iter().copied()).await;
    org.configure(NEVER);
    org
}

fn by_the_service(output: &Output, service: &Process) {
    let said = format!("the service (process {}) carries it out", service.pid());
    assert!(output.stderr.contains(&said), "`{}` says: {}", output.command, output.stderr);
}

/// The keys of a value, and of everything in it, without what they hold.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(all) => all.first().map_or(Value::Array(Vec::new()), |one| Value::Array(vec![shape(one)])),
        _ => Value::Null,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_is_done_by_the_service_and_prints_what_it_would_print_at_home() {
    let (served, alone) = (quiet(&["ana", "bo"]).await, quiet(&["ana", "bo"]).await);
    let service = served.serve().await;
    for org in [&served, &alone] {
        org.moves("ana", "bo");
    }
    let mut runs = Vec::new();
    for command in [&["plan", "managers"][..], &["run", "managers", "--user", "ana@corp.example"], &["run", "licenses"]]
    {
        let (there, here) = (served.run(command).await.exits(0), alone.run(command).await.exits(0));
        by_the_service(&there, &service);
        assert!(!here.stderr.contains("the service"), "{}", here.stderr);
        assert_eq!(shape(&there.json()), shape(&here.json()), "{command:?}");
        runs.push([there.run_id(), here.run_id()]);
    }
    let mut plans = Vec::new();
    for org in [&served, &alone] {
        org.moves("bo", "chief");
        plans.push(org.run(&["plan", "managers"]).await.exits(0).plan_id()[..4].to_owned());
    }
    for [there, here] in [
        [vec!["approve", &plans[0]], vec!["approve", &plans[1]]],
        [vec!["accept-source", &runs[0][0]], vec!["accept-source", &runs[0][1]]],
    ] {
        let (there, here) = (served.run(&there).await.exits(0), alone.run(&here).await.exits(0));
        by_the_service(&there, &service);
        assert_eq!(shape(&there.json()), shape(&here.json()), "{}", there.command);
    }
    for command in [
        ["release", "nobody"],
        ["accept-source", "zzzz"],
        ["approve", "zzzz"],
        ["run", "manager"],
        ["plan", "licenses"],
        ["pause", "managers"],
        ["pause", "managers"],
        ["resume", "managers"],
        ["resume", "manager"],
    ] {
        let (there, here) = (served.run(&command).await, alone.run(&command).await);
        by_the_service(&there, &service);
        assert_eq!(there.code, here.code, "{command:?}");
        if there.code == Some(0) {
            assert_eq!(shape(&there.json()), shape(&here.json()), "{command:?}");
        } else {
            let told = there.stderr.split_once("carries it out\n").unwrap().1;
            assert_eq!((told, there.stdout), (here.stderr.as_str(), here.stdout), "{command:?}");
        }
    }
    let undo = served.run(&["undo", &runs[1][0][..6], "--yes"]).await.exits(0);
    assert_eq!(undo.json()["trigger"], "undo");
    assert_eq!(served.world().entra().manager_of("ana").as_deref(), Some("boss"));
    let released = served.run(&["release", "ana@corp.example"]).await.exits(0);
    assert_eq!(released.json()[0]["reason"], "undone");
    let mut database = served.database().await;
    let strangers = format!("select count(*) from run where pid <> {} or caller <> 'root'", service.pid());
    assert_eq!(database.number("select count(*) from run").await, 6);
    if cfg!(may_become_others) {
        assert_eq!(database.number(&strangers).await, 0);
    }
    service.terminate();
    service.finish().await.exits(0);
    assert!(!served.socket().exists(), "the socket goes with the service");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_for_the_service_and_its_group() {
    let org = quiet(&["ana"]).await;
    let service = org.serve().await;
    let socket = fs::metadata(org.socket()).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.mode() & 0o777, 0o660);
    service.terminate();
    service.finish().await.exits(0);
}

/// The socket in a directory of its own, as in `/run`, and a home that others may enter.
fn open_house(org: &Org) -> String {
    fs::set_permissions(org.home(), Permissions::from_mode(0o755)).unwrap();
    let socket = org.home().join("run/control.sock");
    format!("{NEVER}[control]\nsocket = \"{}\"\n", socket.display())
}

fn owners(directory: &Path) -> Vec<u32> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: std::path::PathBuf| {
        let below = if path.is_dir() { owners(&path) } else { Vec::new() };
        below.into_iter().chain([fs::symlink_metadata(&path).unwrap().uid()])
    };
    entries.flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(may_become_others), ignore = "only root can become a member of the group and an outsider")]
async fn a_member_of_the_group_needs_no_secret_and_owns_no_file_and_an_outsider_is_told_the_group() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(&open_house(&org));
    org.moves("ana", "bo");
    let mut service = org.spawn_as(0, MEMBER.1, &["daemon"]);
    service.says("serving").await;
    let run = org.spawn_as(MEMBER.0, MEMBER.1, &["run", "managers", "--json"]).finish().await.exits(0);
    by_the_service(&run, &service);
    assert_eq!(org.database().await.texts("select caller from run").await, ["uid 54321"]);
    let paused = org.spawn_as(MEMBER.0, MEMBER.1, &["pause", "managers", "--json"]).finish().await.exits(0);
    assert_eq!(paused.json()["by"], "uid 54321");
    assert!(owners(&org.state()).iter().all(|owner| *owner == 0), "{:?}", owners(&org.state()));
    let refused = org.spawn_as(OUTSIDER.0, OUTSIDER.1, &["run", "managers"]).finish().await.exits(1);
    assert!(refused.stderr.contains("is not open to uid 54322"), "{}", refused.stderr);
    assert!(refused.stderr.contains("members of the group `gid 43210`"), "{}", refused.stderr);
    service.terminate();
    service.finish().await.exits(0);
    let refused = org.spawn_as(MEMBER.0, MEMBER.1, &["run", "managers"]).finish().await.exits(1);
    assert!(
        refused.stderr.contains("belongs to root, and this is uid 54321; no service answers"),
        "{}",
        refused.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(may_become_others), ignore = "only root can give a directory to another user")]
async fn root_leaves_no_files_of_its_own_in_the_services_state_directory() {
    let org = quiet(&["ana"]).await;
    fs::create_dir_all(org.state()).unwrap();
    chown(org.state(), Some(MEMBER.0), Some(MEMBER.1)).unwrap();
    for command in [&["run", "managers"][..], &["pause", "managers"], &["release", "ana"], &["accept-source", "7f"]] {
        let refused = org.shows(command).await.exits(1);
        assert!(refused.stderr.contains("belongs to uid 54321, and this is root"), "{}", refused.stderr);
        assert!(refused.stderr.contains("hint: start the service"), "{}", refused.stderr);
    }
    let refused = org.shows(&["daemon"]).await.exits(2);
    assert!(refused.stderr.contains("`sudo -u '#54321' graphkeeper daemon`"), "{}", refused.stderr);
    assert_eq!(fs::read_dir(org.state()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_passed_on_to_the_run_and_the_service_goes_on() {
    let org = Org::team_of(45).await;
    org.configure(NEVER);
    for name in 0..45 {
        org.moves(&format!("m{name}"), "chief");
    }
    let service = org.serve().await;
    let gate = org.hold_answer(BATCH, When::Nth(2));
    let mut run = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    run.terminate();
    run.says("the run is asked to stop after the call in hand").await;
    let mut service = service;
    service.says("stops run").await;
    gate.open();
    let run = run.finish().await.exits(1);
    assert_eq!((run.outcome().as_str(), org.writes()), ("interrupted", 20), "{}", run.stdout);
    let again = org.reconcile().await.exits(0);
    by_the_service(&again, &service);
    assert_eq!((org.managed_by("chief"), org.writes()), (45, 45));
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_twice_or_is_lost_leaves_the_run_to_the_service() {
    let org = quiet(&["ana", "bo"]).await;
    let mut service = org.serve().await;
    org.moves("ana", "bo");
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let lost = org.spawn(&["run", "managers"]);
    reached(&gate).await;
    lost.kill().await;
    gate.open();
    service.says("outcome=succeeded").await;
    assert_eq!(org.world().entra().manager_of("ana").as_deref(), Some("bo"));
    org.faults().clear();
    org.moves("ana", "chief");
    let gate = org.hold_answer(BATCH, When::Nth(2));
    let mut left = org.spawn(&["run", "managers"]);
    reached(&gate).await;
    left.terminate();
    left.says("once more leaves it to the service").await;
    left.terminate();
    let left = left.finish().await.exits(1);
    assert!(left.stderr.contains("goes on in the service"), "{}", left.stderr);
    gate.open();
    service.says("outcome=interrupted").await;
    service.terminate();
    service.finish().await.exits(0);
    assert_eq!(org.database().await.outcomes("managers").await, ["succeeded", "interrupted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_leaves_tells_the_runs_it_was_asked_for_as_interrupted() {
    let org = quiet(&["ana", "bo"]).await;
    org.moves("ana", "bo");
    let mut service = org.serve().await;
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let run = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    service.terminate();
    service.says("stopping").await;
    let run = run.finish().await.exits(1);
    assert_eq!(run.outcome(), "interrupted", "{}", run.all());
    gate.open();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_want_a_job_one_is_told_who_has_it_and_a_moment_that_comes_then_is_an_overlap() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(LICENSES);
    let gate = org.hold(SKUS, When::Nth(1));
    let mut service = org.serve().await;
    reached(&gate).await;
    let by_schedule = org.run(&["run", "licenses"]).await.exits(6);
    assert!(by_schedule.message().contains("begun by schedule at 2"), "{}", by_schedule.message());
    assert!(by_schedule.message().contains(&format!("process {}", service.pid())), "{}", by_schedule.message());
    gate.open();
    service.terminate();
    service.finish().await;
    org.configure(NEVER);
    service = org.serve().await;
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let first = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    let second = org.reconcile().await.exits(6);
    assert_eq!(second.outcome(), "busy");
    gate.open();
    let first = first.finish().await.exits(0);
    assert!(second.message().contains(&format!("run {}", first.run_id())), "{}", second.message());
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_finds_a_run_asked_for_names_it() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(&NEVER.replacen("0 0 1 1 *", "* * * * * *", 1));
    let gate = org.hold(ACCOUNTS, When::Nth(1));
    let at_home = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    let mut service = org.serve().await;
    service.says("is being run by process").await;
    service.terminate();
    service.finish().await.exits(0);
    gate.open();
    let run = at_home.finish().await.exits(0).run_id();
    let named =
        format!("select count(*) from moment where disposition = 'overlap' and reason like '%run {run}, begun by%'");
    assert!(org.database().await.number(&named).await > 0);
}

/// What the socket answers to these bytes, until it hangs up.
fn said(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    // A service that has heard enough may hang up amid it.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn asks(method: &str, path: &str, protocol: u32, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: graphkeeper\r\ngraphkeeper-protocol: {protocol}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_refused_and_the_service_goes_on() {
    let org = quiet(&["ana"]).await;
    let service = org.serve().await;
    let large = format!(r#"{{"task":"run","job":"{}"}}"#, "x".repeat(1 << 20));
    let answers = |bytes: Vec<u8>| {
        let socket = org.socket();
        within("the service answers", async move {
            tokio::task::spawn_blocking(move || said(&socket, &bytes)).await.unwrap()
        })
    };
    for (asked, status, told) in [
        (asks("POST", "/v1/runs", 1, r#"{"task":"run","job":"managers","dry":1}"#), "400", "unknown field"),
        (asks("POST", "/v1/runs", 1, r#"{"task":"erase","job":"managers"}"#), "400", "unknown variant"),
        (asks("POST", "/v1/runs", 1, "garbage"), "400", "is not understood"),
        (asks("POST", "/v1/runs", 2, r#"{"task":"run","job":"managers"}"#), "400", "was asked in protocol 2"),
        (asks("POST", "/v1/pause", 1, r#"{"job":"other"}"#), "409", "there is no job `other`"),
        (asks("POST", "/v1/runs", 1, &large), "413", "bytes at most"),
        (asks("POST", "/v1/runs/00000000/stop", 1, ""), "404", "no run 00000000"),
        (asks("GET", "/v1/runs", 1, ""), "404", "knows no GET /v1/runs"),
        (asks("GET", "/v2/about", 1, ""), "404", "knows no GET /v2/about"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), "400", ""),
        (b"GET /v1/about HTTP/1.1\r\n".to_vec(), "", ""),
        (asks("GET", "/v1/about", 1, ""), "200", "state_directory"),
    ] {
        let answer = answers(asked.clone()).await;
        let head = answer.lines().next().unwrap_or_default();
        let asked = String::from_utf8_lossy(&asked[..asked.len().min(80)]).into_owned();
        assert!(head.contains(status) && answer.contains(told), "{asked}: {answer}");
    }
    assert_eq!(org.database().await.number("select count(*) from run").await, 0);
    org.reconcile().await.exits(0);
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_version_and_a_program_that_is_none_are_told_with_the_way_out() {
    let org = quiet(&["ana"]).await;
    fs::create_dir_all(org.state()).unwrap();
    let newer = "HTTP/1.1 400 Bad Request\r\ngraphkeeper-protocol: 2\r\ngraphkeeper-version: 7.0.0\r\ncontent-length: 2\r\n\r\n{}";
    let stranger = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    for (answer, told) in [
        (newer, "the service is graphkeeper 7.0.0 with protocol 2; this is graphkeeper"),
        (stranger, "is not graphkeeper"),
        ("SSH-2.0-OpenSSH\r\n", "is not graphkeeper"),
    ] {
        let listener = std::os::unix::net::UnixListener::bind(org.socket()).unwrap();
        let answering = tokio::task::spawn_blocking(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let refused = org.shows(&["run", "managers"]).await.exits(1);
        assert!(refused.stderr.contains(told) && refused.stderr.contains("hint: "), "{}", refused.stderr);
        answering.await.unwrap();
        fs::remove_file(org.socket()).unwrap();
    }
    assert!(!org.database_path().exists(), "nothing was begun at home");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_hold_up_neither_jobs_nor_commands() {
    let org = Org::team(["ana"]).await;
    org.configure(LICENSES);
    let service = org.serve().await;
    let mut silent: Vec<UnixStream> = (0..200).map(|_| UnixStream::connect(org.socket()).unwrap()).collect();
    for half in silent.iter_mut().take(100) {
        half.write_all(&asks("POST", "/v1/runs", 1, "12345678")[..90]).unwrap();
    }
    let gate = org.hold(SKUS, When::Nth(1));
    reached(&gate).await;
    gate.open();
    by_the_service(&org.reconcile().await.exits(0), &service);
    let hung_up = tokio::task::spawn_blocking(move || {
        for stream in &mut silent {
            stream.set_read_timeout(Some(BOUND)).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
        }
    });
    within("the service hangs up on all of them", hung_up).await.unwrap();
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_a_killed_service_left_is_no_service_and_is_replaced() {
    let org = quiet(&["ana"]).await;
    org.serve().await.kill().await;
    assert!(org.socket().exists());
    let run = org.reconcile().await.exits(0);
    assert!(!run.stderr.contains("the service"), "{}", run.stderr);
    let service = org.serve().await;
    by_the_service(&org.reconcile().await.exits(0), &service);
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_listen_serves_all_the_same_and_commands_say_so() {
    let org = quiet(&["ana"]).await;
    org.configure(&format!("{NEVER}[control]\nsocket = \"/proc/none/control.sock\"\n"));
    let mut service = org.serve().await;
    service.says("commands cannot be taken").await;
    let run = org.reconcile().await.exits(0);
    let beside = format!("process {} serves", service.pid());
    assert!(run.stderr.contains(&beside) && run.stderr.contains("does not listen"), "{}", run.stderr);
    let paused = org.shows(&["pause", "managers"]).await.exits(1);
    assert!(paused.stderr.contains("would go on as before"), "{}", paused.stderr);
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_too_long_for_a_socket_is_refused_before_the_service_starts() {
    let org = quiet(&["ana"]).await;
    org.configure(&format!("{NEVER}[control]\nsocket = \"/run/{}\"\n", "s".repeat(120)));
    let refused = org.spawn(&["daemon"]).finish().await.exits(2);
    assert!(refused.stderr.contains("control.socket"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_belongs_to_one_service_and_the_other_says_whose_it_is() {
    let (first, second) = (quiet(&["ana"]).await, quiet(&["ana"]).await);
    let service = first.serve().await;
    second.configure(&format!("{NEVER}[control]\nsocket = {:?}\n", first.socket()));
    let mut other = second.serve().await;
    let whose = format!("belongs to process {}, which serves {}", service.pid(), first.state().display());
    other.says(&whose).await;
    other.says("give each service its own `[control] socket`").await;
    by_the_service(&first.reconcile().await.exits(0), &service);
    let stranger = second.reconcile().await.exits(1);
    assert!(stranger.stderr.contains("serves the state directory"), "{}", stranger.stderr);
    // The lock goes with its holder, however that dies.
    service.kill().await;
    other.terminate();
    other.finish().await.exits(0);
    let service = second.serve().await;
    by_the_service(&second.reconcile().await.exits(0), &service);
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(may_become_others), ignore = "only root is believed")]
async fn what_sudo_says_is_recorded_as_a_claim_of_root_alone() {
    let mut org = Org::team(["ana", "bo"]).await;
    org.configure(&open_house(&org));
    org.env.push(("SUDO_USER".to_owned(), "eve".to_owned()));
    org.reconcile().await.exits(0);
    let mut service = org.spawn_as(0, MEMBER.1, &["daemon"]);
    service.says("serving").await;
    by_the_service(&org.reconcile().await.exits(0), &service);
    org.spawn_as(MEMBER.0, MEMBER.1, &["run", "managers"]).finish().await.exits(0);
    let callers = org.database().await.texts("select caller from run order by started_at").await;
    assert_eq!(callers, ["root (sudo: eve)", "root (sudo: eve)", "uid 54321"]);
    service.terminate();
    service.finish().await.exits(0);
}

/// Asks until the answer is what is waited for; each question takes its time.
async fn until(org: &Org, command: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
    let asked = async {
        loop {
            let answer = org.run(command).await.exits(0).json();
            if holds(&answer) {
                return answer;
            }
        }
    };
    within(&format!("{command:?} tells what is waited for"), asked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_is_not_run_until_it_is_resumed_also_by_the_next_service() {
    let org = Org::team(["ana"]).await;
    org.configure(LICENSES);
    let mut service = org.serve().await;
    service.says("outcome=succeeded").await;
    org.run(&["pause", "licenses"]).await.exits(0);
    let missed = ["history", "missed", "--job", "licenses"];
    let is_paused = |row: &Value| row["disposition"] == "paused";
    let rows = until(&org, &missed, |rows| rows.as_array().unwrap().iter().any(is_paused)).await;
    assert!(rows.to_string().contains("paused by "), "{rows}");
    org.run(&["run", "licenses"]).await.exits(0);
    service.terminate();
    service.finish().await.exits(0);
    let runs = "select count(*) from run where trigger = 'schedule'";
    let before = org.database().await.number(runs).await;
    let service = org.serve().await;
    let paused = "select count(*) from moment where disposition = 'paused'";
    let counted = org.database().await.number(paused).await;
    let more = |rows: &Value| {
        let paused = rows.as_array().unwrap().iter().filter(|row| is_paused(row)).count();
        i64::try_from(paused).unwrap() > counted + 1
    };
    until(&org, &[&missed[..], &["--limit", "1000"]].concat(), more).await;
    assert_eq!(org.database().await.number(runs).await, before, "nothing ran");
    let jobs = org.run(&["jobs"]).await.exits(0).json();
    let job = jobs.as_array().unwrap().iter().find(|job| job["job"] == "licenses").unwrap().clone();
    assert!(job["paused"]["by"].is_string() && job["next"].is_null(), "{job}");
    let resumed = org.run(&["resume", "licenses"]).await.exits(0);
    assert_eq!(resumed.json()["changed"], true);
    let gate = org.hold(SKUS, When::Nth(1));
    reached(&gate).await;
    gate.open();
    service.terminate();
    service.finish().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_tells_whether_a_service_is_running() {
    let org = quiet(&["ana"]).await;
    org.reconcile().await.exits(0);
    org.run(&["plan", "managers"]).await.exits(0);
    let alone = org.shows(&["jobs"]).await.exits(0);
    assert!(alone.stdout.contains("no service is running"), "{}", alone.stdout);
    assert!(alone.stdout.contains("succeeded"), "a plan does not hide the last outcome: {}", alone.stdout);
    let service = org.serve().await;
    let served = org.shows(&["jobs"]).await.exits(0);
    assert!(!served.all().contains("no service is running"), "{}", served.all());
    service.terminate();
    service.finish().await.exits(0);
}
