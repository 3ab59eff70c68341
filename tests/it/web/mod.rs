//! The page as any program meets it: through its port, byte by byte where that matters.

mod api;
mod flood;
mod listening;
mod metrics;
mod page;

use std::net::SocketAddr;

use graphkeeper::clock::{Clock as _, SystemClock};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::process::Process;
use crate::support::{Org, within};

/// Thirty-two characters, as `openssl rand` would make them.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A page at a port that is free, and jobs that wait for somebody to run them.
const PAGE: &str = r#"
[jobs]
managers.schedule = "0 0 1 1 *"
licenses.schedule = "0 0 1 1 *"
keepalive.schedule = "0 0 1 1 *"
[web]
listen = "127.0.0.1:0"
"#;

/// An hourly schedule whose next moment is half an hour away: nothing is run while a test looks.
fn hourly() -> String {
    format!("{} * * * *", (SystemClock.now().as_second() / 60 + 30) % 60)
}

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header, in lower case as it came; empty when it is not there.
    fn header(&self, name: &str) -> &str {
        let of = |line: &'_ str| line.split_once(": ").is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        self.head.lines().find(|line| of(line)).and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
    }

    /// All that came.
    pub(crate) fn whole(&self) -> String {
        format!("{}\r\n\r\n{}\n", self.head, self.body)
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.head, self.body))
    }
}

/// A service with a page, and where that is.
pub(crate) struct Page {
    pub(crate) service: Process,
    pub(crate) address: SocketAddr,
}

impl Page {
    pub(crate) async fn of(org: &Org) -> Self {
        let service = org.serve().await;
        Self::at(service).await
    }

    pub(crate) async fn at(mut service: Process) -> Self {
        service.says("the page is at http://").await;
        let said = service.all_said();
        let (_, after) = said.rsplit_once("the page is at http://").unwrap();
        let address = after.split('/').next().unwrap().parse().unwrap();
        Self { service, address }
    }

    /// The answer to these bytes; nothing when it hangs up.
    async fn says(&self, bytes: &[u8]) -> Option<Answer> {
        said(self.address, bytes).await
    }

    pub(crate) async fn asked(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let answer = self.says(format!("{method} {path} HTTP/1.1\r\n{}\r\n", headers.concat()).as_bytes()).await;
        answer.unwrap_or_else(|| panic!("{method} {path} was not answered"))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.asked("GET", path, &[("host", "localhost")]).await
    }

    async fn stop(self) {
        self.service.terminate();
        self.service.finish().await.exits(0);
    }
}

async fn said(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Who has heard enough may hang up amid it.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = within("the page answers", stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
