//! Clients that mean no good, or do not know better: what they cost is bounded, and no job waits for them.

use graphkeeper::sandbox::faults::When;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{MANAGER, Org, reached, within};
use crate::web::{PAGE, Page};

/// More than are held at once by far.
const CONNECTIONS: usize = 1_000;

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
