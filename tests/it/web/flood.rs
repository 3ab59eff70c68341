//! Clients that mean no good, or do not know better: what they cost is bounded, and no job waits for them.

use std::fs;
use std::time::{Duration, Instant};

use graphkeeper::sandbox::faults::When;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{MANAGER, Org, reached, within};
use crate::web::{PAGE, Page};

/// More than are held at once by far.
const CONNECTIONS: usize = 1_000;
/// The most files that the service has open meanwhile: 64 connections, and what it has without any.
const FILES: usize = 64 + 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_that_idle_or_dawdle_cost_no_job_a_call_and_others_are_answered() {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.configure(PAGE);
    let page = Page::of(&org).await;
    let mut open = Vec::new();
    for number in 0..CONNECTIONS {
        let mut stream = within("the system takes a connection", TcpStream::connect(page.address)).await.unwrap();
        if number % 2 == 0 {
            // A head that does not end; whoever made room for another hears nothing.
            let _ = stream.write_all(b"GET /api/v1/runs HTTP/1.1\r\nhost: local").await;
        }
        open.push(stream);
    }
    for person in ["ana", "bo", "cy"] {
        org.moves(person, "chief");
    }
    let gate = org.hold(MANAGER, When::Nth(1));
    let run = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    // Amid a write of the job.
    assert_eq!(page.get("/healthz").await.status, 200, "those that ask for something are answered");
    let files = fs::read_dir(format!("/proc/{}/fd", page.service.pid())).unwrap().count();
    assert!(files <= FILES, "{files} files are open");
    gate.open();
    let run = run.finish().await.exits(0);
    assert_eq!((run.counted("confirmed"), org.writes(), org.managed_by("chief")), (3, 3, 3));
    let hung_up = async {
        for stream in &mut open {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    };
    within("the service hangs up on all of them", hung_up).await;
    page.stop().await;
    let calm = Org::team(["ana", "bo", "cy"]).await;
    for person in ["ana", "bo", "cy"] {
        calm.moves(person, "chief");
    }
    let undisturbed = calm.reconcile().await.exits(0);
    assert_eq!(run.tally()["calls"], undisturbed.tally()["calls"], "not a call more or less");
}

/// So many ask for much and take nothing of it: more than there are places.
const READERS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn readers_who_take_nothing_keep_no_job_from_its_work_and_the_service_from_no_stop() {
    let org = Org::team(["ana", "bo"]).await;
    org.configure(PAGE);
    org.moves("ana", "chief");
    org.reconcile().await.exits(0);
    let mut database = org.database().await;
    database.execute("update change set to_label = hex(zeroblob(2000000))").await;
    let page = Page::of(&org).await;
    let large = page.get("/api/v1/changes").await.body.len();
    assert!(large > 4_000_000, "more than the system takes in for a reader: {large} bytes");
    let mut open = Vec::new();
    for _ in 0..READERS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = within("the system takes a connection", socket.connect(page.address)).await.unwrap();
        stream.write_all(b"GET /api/v1/changes HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        open.push(stream);
    }
    // The answer has begun, and goes no further.
    within("an answer begins", open[0].readable()).await.unwrap();
    org.moves("bo", "chief");
    let run = org.reconcile().await.exits(0);
    assert_eq!((run.counted("confirmed"), org.managed_by("chief")), (1, 2));
    let begun = Instant::now();
    page.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
