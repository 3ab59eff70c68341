//! The socket itself: what comes through it that is no command, and whose it is.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use graphkeeper::sandbox::faults::When;

use crate::control::{LICENSES, NEVER, SKUS, by_the_service, quiet};
use crate::support::{BOUND, Org, reached, within};

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
